//! Objects that no schema has looked at: definitions without any rule let through what a mistake, an attack or a newer
//! version would write.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use causeway_e2e::kubernetes::proxy::Proxy;
use causeway_e2e::kubernetes::{Cluster, Editor, Level, Operator};
use causeway_e2e::wait;
use serde::Deserialize as _;
use serde_json::{Value, json};

use super::super::operator::Place;
use super::super::print;
use super::strange::specs;
use super::{countries, nothing_is_left_to_do, wait_made, wanted};

/// An object is judged within 2 s; five times that.
const JUDGED: Duration = Duration::from_secs(10);

/// The definitions without types, rules and limits of what is in a spec.
fn open_definitions() -> Result<String> {
    let text = print(&["crds"])?;
    let mut documents = Vec::new();
    for document in serde_yaml::Deserializer::from_str(&text) {
        let mut definition = Value::deserialize(document)?;
        let versions = definition["spec"]["versions"].as_array_mut();
        for version in versions.context("no versions")? {
            version["schema"]["openAPIV3Schema"] = json!({
                "type": "object",
                "properties": {
                    "spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                    "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                },
            });
        }
        documents.push(definition.to_string());
    }
    Ok(documents.join("\n---\n"))
}

/// A cluster of its own, whose definitions nobody else needs.
fn place() -> Result<Place> {
    let cluster = Arc::new(Cluster::start(Level::ControlPlane, 0)?);
    cluster.apply(&open_definitions()?, &[])?;
    let namespace = "rule-hostile";
    cluster.kubectl(&["create", "namespace", namespace])?;
    let place = Place { cluster, namespace };
    place.apply(&countries()?)?;
    let other = json!({
        "apiVersion": "causeway.dev/v1alpha1", "kind": "BrokerNetwork",
        "metadata": {"name": "other"}, "spec": {"sites": [{"name": "fr"}]},
    });
    place.apply(&other.to_string())?;
    Ok(place)
}

/// A network that is spoiled in every way, and one beside it.
struct World<'a> {
    place: &'a Place,
    editor: Editor,
    operator: Operator<'a>,
    networks: String,
}

impl World<'_> {
    /// Writes a spec in the place of another and waits until the operator has judged it; returns why it is stalled.
    fn judge(&self, spec: &Value) -> Result<Option<String>> {
        let path = format!("{}/mcollective", self.networks);
        if !self.editor.replace(&path, "/spec", spec)? {
            return Ok(Some("the API server refuses it".to_owned()));
        }
        let mut last = Value::Null;
        let judged = wait::until("a verdict", JUDGED, || {
            last = self.editor.get(&path)?;
            let is_judged = last["status"]["observedGeneration"] == last["metadata"]["generation"];
            Ok(is_judged.then(|| stalled(&last)))
        });
        judged.with_context(|| format!("{}", last["status"]))
    }

    /// The network beside it is changed and reconciled as ever.
    fn beside(&self, cost: usize) -> Result<()> {
        let path = format!("{}/other", self.networks);
        let port =
            json!({"sites": [{"name": "fr", "listeners": {"stomp": {"port": 20_000 + cost}}}]});
        ensure!(self.editor.replace(&path, "/spec", &port)?, "refused");
        let service = format!(
            "/api/v1/namespaces/{}/services/other--fr-stomp",
            self.place.namespace
        );
        wait::until("the network beside it", JUDGED, || {
            let service = self.editor.get(&service)?;
            Ok((service["spec"]["ports"][0]["targetPort"] == 20_000 + cost).then_some(()))
        })
    }
}

fn stalled(network: &Value) -> Option<String> {
    let conditions = network["status"]["conditions"].as_array()?;
    let stalled = conditions
        .iter()
        .find(|one| one["type"] == "Stalled" && one["status"] == "True")?;
    Some(format!(
        "{}: {}",
        stalled["reason"].as_str()?,
        stalled["message"].as_str()?
    ))
}

/// O9: whatever is in a network, the operator judges it, never panics, and goes on with the others; while it is stalled
/// everything runs with the last good configuration, and once it is good again everything is as before.
#[test]
fn whatever_is_in_a_network_is_judged_and_harms_nothing_else() -> Result<()> {
    let place = place()?;
    let operator = Operator::start(&place.cluster, "ie,fr", place.namespace)?;
    wait_made(&place, &operator, "ie")?;
    let networks = format!(
        "/apis/causeway.dev/v1alpha1/namespaces/{}/brokernetworks",
        place.namespace
    );
    let world = World {
        place: &place,
        editor: place.cluster.editor()?,
        operator,
        networks,
    };
    let good = world
        .editor
        .get(&format!("{}/mcollective", world.networks))?["spec"]
        .clone();
    let before = wanted(&place)?;
    let (begin, mut reasons, mut count) = (Instant::now(), BTreeSet::new(), 0);
    for (number, (name, spec)) in specs(&good).iter().enumerate() {
        let verdict = world
            .judge(spec)
            .with_context(|| format!("{name}\n{}", world.operator.log()))?;
        if let Some(verdict) = verdict {
            count += 1;
            reasons.insert(verdict.split(':').next().unwrap_or_default().to_owned());
            let deployment = place.made()?.contains_key("Deployment mcollective--ie");
            ensure!(deployment, "{name}: {verdict}, and its broker is gone");
        }
        if number % 10 == 0 {
            world
                .beside(number)
                .with_context(|| format!("{name}\n{}", world.operator.log()))?;
        }
    }
    println!("{count} stalled, for {reasons:?}, in {:?}", begin.elapsed());
    ensure!(count >= 15, "only {count} were stalled");
    let log = world.operator.log();
    ensure!(!log.contains("panicked"), "{log}");
    ensure!(world.judge(&good)?.is_none(), "{log}");
    world.beside(0)?;
    as_before(&world, &before)?;
    world.operator.stop()?;
    nothing_is_left_to_do(&place, "ie,fr")
}

fn as_before(world: &World<'_>, before: &std::collections::BTreeMap<String, Value>) -> Result<()> {
    world.operator.wait_settled()?;
    let now = wanted(world.place)?;
    ensure!(now.keys().eq(before.keys()), "{:?}", now.keys());
    // A site that was not there for a while has other keys, and so have its files.
    let others = before.iter();
    let others = others.filter(|(name, _)| !name.starts_with("Secret") && !name.contains("--fr"));
    for (name, value) in others {
        let is_same = now.get(name) == Some(value);
        ensure!(
            is_same,
            "{name}: {:#} was {value:#}",
            now.get(name).unwrap_or(&Value::Null)
        );
    }
    Ok(())
}

/// O9, O14: a user of whom this version can read nothing keeps no other user from being known, and a name that is a path
/// leads nowhere.
#[test]
fn a_user_that_cannot_be_read_keeps_nobody_else_out() -> Result<()> {
    let place = place()?;
    let proxy = Proxy::start(&place.cluster, None)?;
    let kubeconfig = proxy.kubeconfig();
    let operator = Operator::launch(&place.cluster, kubeconfig, "ie,fr,at", place.namespace, &[])?;
    operator.wait_ready()?;
    operator.wait_settled()?;
    let path =
        json!({"kind": "ConfigMap", "name": "../../kube-system/configmaps/kube-root-ca.crt"});
    let thief = json!({
        "apiVersion": "causeway.dev/v1alpha1", "kind": "BrokerNetwork", "metadata": {"name": "thief"},
        "spec": {"sites": [{"name": "at"}], "tls": {"source": "Secret", "trustBundleRef": path}},
    });
    place.apply(&thief.to_string())?;
    let user = |name: &str, credentials: Value| {
        json!({
            "apiVersion": "causeway.dev/v1alpha1", "kind": "BrokerUser", "metadata": {"name": name},
            "spec": {"networkRef": {"name": "mcollective"}, "credentials": credentials},
        })
        .to_string()
    };
    place.apply(&user("tomorrow", json!({"type": "Hologram", "beam": 7})))?;
    let good = json!({"type": "Password", "secretRef": {"name": "user-amq"}});
    place.apply(&user("today", good))?;
    let is_known = |operator: &Operator<'_>| {
        wait::until("the other user to be known", JUDGED, || {
            let network = place.json(&["get", "brokernetwork", "mcollective"])?;
            Ok((network["status"]["summary"]["users"] == "3/3").then_some(()))
        })
        .with_context(|| operator.log())
    };
    is_known(&operator)?;
    ensure!(operator.log().contains("tomorrow"), "not a word of it");
    wait::until("the user itself to be told", JUDGED, || {
        let field = "--field-selector=involvedObject.name=tomorrow";
        let told = place.kubectl(&["get", "events", field, "--output=yaml"])?;
        Ok((told.contains("SpecInvalid") && told.contains("Hologram")).then_some(()))
    })
    .with_context(|| operator.log())?;
    operator.wait_settled()?;
    let network = place.json(&["get", "brokernetwork", "thief"])?;
    ensure!(!network["status"].is_null(), "not looked at: {network:#}");
    let requests = proxy.requests_since(0);
    let paths = requests.iter().map(|one| one.path.as_str());
    let elsewhere: Vec<&str> = paths.filter(|path| path.contains("kube-system")).collect();
    ensure!(elsewhere.is_empty(), "{elsewhere:?}");
    operator.stop()?;
    // It is there when the next operator lists all of them, too.
    let again = Operator::start(&place.cluster, "ie,fr", place.namespace)?;
    again.wait_settled()?;
    is_known(&again)?;
    let log = again.log();
    ensure!(!log.contains("panicked"), "{log}");
    again.stop()
}
