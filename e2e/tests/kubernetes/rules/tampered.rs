//! Somebody changes, spoils or replaces what the operator made.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use causeway_e2e::kubernetes::{Editor, Operator};
use causeway_e2e::wait;
use serde_json::{Value, json};

use super::super::operator::Place;
use super::{Behind, nothing_is_left_to_do, wanted, without_ie};

/// Paths of what is spoiled: everything of ie that is not a secret.
const SPOILED: [(&str, &str, &str); 7] = [
    ("/api/v1", "services", "mcollective--ie-stomp"),
    ("/api/v1", "services", "mcollective--ie-admin"),
    ("/api/v1", "services", "mcollective--ie-link"),
    ("/api/v1", "secrets", "mcollective--ie-config"),
    ("/apis/apps/v1", "deployments", "mcollective--ie"),
    (
        "/apis/networking.k8s.io/v1",
        "networkpolicies",
        "mcollective--ie",
    ),
    ("/apis/policy/v1", "poddisruptionbudgets", "mcollective--ie"),
];

/// Chance that is the same in each run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        // Knuth's constants; the upper bits are the good ones.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % end.max(1)
    }
}

/// O12: whatever field of the operator's somebody changes by chance, it is as it was soon; nothing is made anew for it.
#[test]
fn every_field_that_somebody_changes_is_put_right() -> Result<()> {
    let behind = Behind::new("rule-mutated")?;
    let operator = behind.operate("ie")?;
    let editor = behind.cluster().editor()?;
    let before = wanted(&behind.place)?;
    let mut chance = Chance(14);
    let mut changed = 0;
    for round in 0..3 {
        for (group, plural, name) in SPOILED {
            let path = format!(
                "{group}/namespaces/{}/{plural}/{name}",
                behind.place.namespace
            );
            changed += usize::from(spoil(&editor, &path, &mut chance)?);
        }
        as_before(&behind.place, &operator, &before).with_context(|| format!("round {round}"))?;
    }
    println!("{changed} fields were changed and put right");
    ensure!(changed >= 15, "only {changed} changes were taken");
    operator.stop()?;
    nothing_is_left_to_do(&behind.place, "ie")
}

/// Changes one field that the operator owns; false where the API server refuses that.
fn spoil(editor: &Editor, path: &str, chance: &mut Chance) -> Result<bool> {
    let object = editor.get(path)?;
    let managers = object["metadata"]["managedFields"].as_array();
    let mut managers = managers.context("nobody owns a field")?.iter();
    let own = managers.find(|one| one["manager"] == "causeway-operator");
    let own = &own.context("the operator owns no field")?["fieldsV1"];
    let mut leaves = Vec::new();
    collect((own, &Value::Null), &object, String::new(), &mut leaves);
    leaves.retain(|(place, _)| !place.starts_with("/metadata/ownerReferences"));
    ensure!(!leaves.is_empty(), "{path} has no field of the operator's");
    let (place, value) = &leaves[chance.below(leaves.len())];
    let other = match value {
        Value::Number(number) => json!(number.as_i64().unwrap_or(1) + 1),
        Value::Bool(flag) => json!(!flag),
        // Also base64, and a label.
        Value::String(_) => json!("dGFtcGVyZWQh"),
        _ => Value::Null,
    };
    let is_taken = editor.replace(path, place, &other)?;
    let what = if is_taken { "changed" } else { "refused" };
    println!("{path} {place}: {what}");
    Ok(is_taken)
}

/// The leaves of an object that a set of fields names, as JSON pointers; but for those by which items of a list are told
/// apart: an item of another key is one more item, which somebody else added.
fn collect(
    (fields, keys): (&Value, &Value),
    object: &Value,
    place: String,
    leaves: &mut Vec<(String, Value)>,
) {
    let inner = fields.as_object().into_iter().flatten();
    for (name, below) in inner.filter(|(name, _)| *name != ".") {
        let mut own = Value::Null;
        let found = match name.split_once(':') {
            Some(("f", field)) if keys.get(field).is_none() => {
                Some((field.replace('~', "~0").replace('/', "~1"), &object[field]))
            }
            Some(("k", keys)) => serde_json::from_str::<Value>(keys).ok().and_then(|keys| {
                own = keys;
                item(object, &own)
            }),
            _ => None,
        };
        let Some((step, value)) = found else { continue };
        let place = format!("{place}/{step}");
        let is_leaf = below.as_object().is_none_or(serde_json::Map::is_empty);
        match value {
            Value::String(_) | Value::Number(_) | Value::Bool(_) if is_leaf => {
                leaves.push((place, value.clone()));
            }
            value => collect((below, &own), value, place, leaves),
        }
    }
}

/// The item of a list that has these keys, with its place.
fn item<'a>(list: &'a Value, keys: &Value) -> Option<(String, &'a Value)> {
    let keys = keys.as_object()?;
    let mut items = list.as_array()?.iter().enumerate();
    let (index, item) =
        items.find(|(_, item)| keys.iter().all(|(key, value)| item[key] == *value))?;
    Some((index.to_string(), item))
}

fn as_before(
    place: &Place,
    operator: &Operator<'_>,
    before: &BTreeMap<String, Value>,
) -> Result<()> {
    let mut last = String::new();
    let found = wait::until("everything to be as it was", wait::PATIENCE, || {
        let now = wanted(place)?;
        let other = before
            .iter()
            .find(|(name, value)| now.get(*name) != Some(*value));
        if let Some((name, value)) = other {
            last = format!(
                "{name}: {:#} was {value:#}",
                now.get(name).unwrap_or(&Value::Null)
            );
        }
        Ok((other.is_none() && now.len() == before.len()).then_some(()))
    });
    found.with_context(|| format!("{last}\n{}", operator.log()))?;
    operator.wait_settled()?;
    Ok(())
}

/// O12: a Deployment with another selector, which cannot be changed, is made anew; labels that are taken away come back;
/// what is not the operator's any more by its owner is left alone and named.
#[test]
fn what_cannot_be_changed_is_made_anew_and_what_was_taken_over_is_named() -> Result<()> {
    let behind = Behind::new("rule-replaced")?;
    let operator = behind.operate("ie")?;
    let editor = behind.cluster().editor()?;
    let before = wanted(&behind.place)?;
    let namespace = behind.place.namespace;
    let deployments = format!("/apis/apps/v1/namespaces/{namespace}/deployments");
    replace_deployment(&behind, &editor, &deployments)?;
    let service = format!("{}/mcollective--ie-stomp", behind.path("services"));
    let labels = json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": null}}});
    editor.merge(&service, &labels)?;
    as_before(&behind.place, &operator, &before)?;

    let nobodys =
        json!({"metadata": {"ownerReferences": null}, "spec": {"sessionAffinity": "ClientIP"}});
    let taken = editor.merge(&service, &nobodys)?;
    let named = wait::until("the Service to be named", wait::PATIENCE, || {
        let stalled = condition(&behind.place, "Stalled")?;
        let message = stalled["message"].as_str().unwrap_or_default().to_owned();
        let is_it =
            stalled["reason"] == "ChildNotOwned" && message.contains("mcollective--ie-stomp");
        Ok(is_it.then_some(message))
    });
    println!("{}", named.with_context(|| operator.log())?);
    let now = editor.get(&service)?;
    ensure!(now["spec"] == taken["spec"], "{now:#}");
    editor.delete(&service)?;
    as_before(&behind.place, &operator, &before)?;
    operator.stop()
}

/// Puts another Deployment in the place of the operator's: its labels, its owner, another selector.
fn replace_deployment(behind: &Behind, editor: &Editor, deployments: &str) -> Result<()> {
    let path = format!("{deployments}/mcollective--ie");
    let mut other = editor.get(&path)?;
    let meta = &other["metadata"];
    other["metadata"] = json!({
        "name": meta["name"], "labels": meta["labels"],
        "annotations": meta["annotations"], "ownerReferences": meta["ownerReferences"],
    });
    other["spec"]["selector"]["matchLabels"] = json!({"other": "selector"});
    other["spec"]["template"]["metadata"]["labels"]["other"] = json!("selector");
    other["status"] = json!({});
    // The operator may be the first to make it again.
    for _ in 0..20 {
        editor.delete(&path)?;
        if editor.create(deployments, &other)? {
            return Ok(());
        }
    }
    anyhow::bail!("{} is always quicker", behind.place.namespace)
}

fn condition(place: &Place, kind: &str) -> Result<Value> {
    let network = place.json(&["get", "brokernetwork", "mcollective"])?;
    let conditions = network["status"]["conditions"].as_array();
    let found = conditions.and_then(|all| all.iter().find(|one| one["type"] == kind));
    Ok(found.cloned().unwrap_or_default())
}

/// O12: a Secret that somebody made immutable is not made anew under a running broker, it is named; and a volume is never
/// removed, whatever its labels and its owner say.
#[test]
fn what_holds_data_is_never_removed() -> Result<()> {
    let behind = Behind::new("rule-kept")?;
    let operator = behind.operate("ie,uk")?;
    let editor = behind.cluster().editor()?;
    let config = format!("{}/mcollective--uk-config", behind.path("secrets"));
    let claims = behind.path("persistentvolumeclaims");
    let own = editor.get(&config)?;
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": "mcollective--ie", "labels": own["metadata"]["labels"]},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    });
    ensure!(editor.create(&claims, &claim)?, "no claim");
    let locked = editor.merge(&config, &json!({"immutable": true}))?;
    behind.place.apply(&without_ie()?)?;
    let named = wait::until("the Secret to be named", wait::PATIENCE, || {
        let stalled = condition(&behind.place, "Stalled")?;
        let message = stalled["message"].as_str().unwrap_or_default().to_owned();
        Ok(message
            .contains("mcollective--uk-config")
            .then_some(message))
    });
    println!("{}", named.with_context(|| operator.log())?);
    wait::until("ie to be gone", wait::PATIENCE, || {
        let names = behind.place.names()?;
        Ok((!names.iter().any(|name| name.contains("--ie"))).then_some(()))
    })
    .with_context(|| operator.log())?;
    operator.wait_settled()?;
    let now = editor.get(&config)?;
    ensure!(
        now["metadata"]["uid"] == locked["metadata"]["uid"],
        "made anew"
    );
    let claim = editor.get(&format!("{claims}/mcollective--ie"))?;
    ensure!(
        claim["metadata"]["deletionTimestamp"].is_null(),
        "{claim:#}"
    );
    operator.stop()
}
