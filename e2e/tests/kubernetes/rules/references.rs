//! References to objects of other namespaces cannot be expressed, and the operator reaches into none.

use anyhow::{Context, Result, ensure};
use causeway_e2e::kubernetes::{Cluster, Level};
use serde_json::{Value, json};

use super::super::print;
use super::{Behind, wanted};

const DEFINITIONS: [&str; 2] = ["brokernetworks.causeway.dev", "brokerusers.causeway.dev"];

/// What Kubernetes itself means by a field of a pod: which pods of other namespaces one is scheduled beside, or which may
/// connect. Nothing is read from there.
const SCHEDULING: [&str; 3] = ["affinity", "networkPolicy", "overrides"];

/// O14: no field of the definitions that names an object has a place for a namespace, takes unknown fields, or a name that
/// is none.
#[test]
fn no_reference_has_a_namespace() -> Result<()> {
    let cluster = Cluster::shared(Level::ControlPlane)?;
    cluster.apply(&print(&["crds"])?, &["--force-conflicts"])?;
    let mut references = Vec::new();
    for definition in DEFINITIONS {
        let text = cluster.kubectl(&["get", "crd", definition, "--output=json"])?;
        let definition: Value = serde_json::from_str(&text)?;
        let versions = definition["spec"]["versions"].as_array();
        for version in versions.context("no versions")? {
            let spec = &version["schema"]["openAPIV3Schema"]["properties"]["spec"];
            walk(spec, "spec", &mut references)?;
        }
    }
    println!("{references:#?}");
    ensure!(references.len() >= 8, "only {references:?} are references");
    Ok(())
}

/// Collects the references below a schema and checks each.
fn walk(schema: &Value, path: &str, references: &mut Vec<String>) -> Result<()> {
    if let Some(items) = schema.get("items") {
        walk(items, &format!("{path}[]"), references)?;
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        if SCHEDULING.contains(&name.as_str()) {
            continue;
        }
        ensure!(!name.to_lowercase().contains("namespace"), "{path}");
        if name.ends_with("Ref") || name == "pullSecrets" {
            let open = field.get("x-kubernetes-preserve-unknown-fields");
            ensure!(open.is_none(), "{path} takes any field");
            ensure!(field["additionalProperties"].is_null(), "{path}");
            let name = field.pointer("/properties/name");
            let name = name.or_else(|| field.pointer("/items/properties/name"));
            let name = name.with_context(|| format!("{path} has no name"))?;
            ensure!(name["pattern"].is_string(), "{path} takes any text");
            references.push(path.clone());
        }
        walk(field, &path, references)?;
    }
    Ok(())
}

/// O14: a document with a namespace beside a name is refused, and so is a name that would lead somewhere else.
#[test]
fn a_reference_to_another_namespace_is_refused() -> Result<()> {
    let behind = Behind::new("rule-elsewhere")?;
    let here = format!("--namespace={}", behind.place.namespace);
    let elsewhere = json!({"name": "s", "namespace": "kube-system"});
    let refused = [
        (
            network(
                "bundle",
                json!({"tls": {"source": "Secret", "trustBundleRef": {"kind": "Secret", "name": "s", "namespace": "kube-system"}}}),
            ),
            "namespace",
        ),
        (
            network(
                "link",
                json!({"links": [{"name": "l", "between": ["ie", "uk"], "credentials": {"secretRef": elsewhere}}]}),
            ),
            "namespace",
        ),
        (
            network(
                "path",
                json!({"links": [{"name": "l", "between": ["ie", "uk"], "credentials": {"secretRef": {"name": "../kube-system/s"}}}]}),
            ),
            "secretRef.name",
        ),
        (
            user(
                "secret",
                json!({"credentials": {"type": "Password", "secretRef": elsewhere}}),
            ),
            "namespace",
        ),
        (
            user(
                "network",
                json!({"networkRef": {"name": "mcollective", "namespace": "kube-system"}}),
            ),
            "namespace",
        ),
        (
            user(
                "slash",
                json!({"credentials": {"type": "Password", "secretRef": {"name": "kube-system/s"}}}),
            ),
            "secretRef.name",
        ),
    ];
    for (document, words) in refused {
        let text = document.to_string();
        let finished = behind.cluster().try_apply(&text, &[&here])?;
        let name = &document["metadata"]["name"];
        ensure!(finished.code != Some(0), "{name} was taken: {text}");
        ensure!(
            finished.stderr.contains(words),
            "{name}: {}",
            finished.stderr
        );
    }
    Ok(())
}

fn network(name: &str, more: Value) -> Value {
    let sites = json!([{"name": "ie"}, {"name": "uk"}]);
    document("BrokerNetwork", name, json!({"sites": sites}), more)
}

fn user(name: &str, more: Value) -> Value {
    let spec = json!({
        "networkRef": {"name": "mcollective"},
        "credentials": {"type": "Password", "secretRef": {"name": "user-amq"}},
    });
    document("BrokerUser", name, spec, more)
}

fn document(kind: &str, name: &str, mut spec: Value, more: Value) -> Value {
    for (key, value) in more.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    json!({
        "apiVersion": "causeway.dev/v1alpha1", "kind": kind,
        "metadata": {"name": name}, "spec": spec,
    })
}

/// O14: an operator that makes a network, repairs it and takes a site away asks for nothing outside of its namespace, and
/// what it makes names nothing there.
#[test]
fn the_operator_reaches_into_no_other_namespace() -> Result<()> {
    let behind = Behind::new("rule-inside")?;
    let operator = behind.operate("ie,uk")?;
    behind.take_budget()?;
    behind.wait_budget(&operator, causeway_e2e::wait::PATIENCE)?;
    let objects = wanted(&behind.place)?;
    behind.place.apply(&super::without_ie()?)?;
    operator.wait_settled()?;
    let own = format!("/namespaces/{}/", behind.place.namespace);
    let requests = behind.proxy.requests_since(0);
    // The definitions are of the whole cluster, and are read as every client may.
    let is_own = |path: &str| path.contains(&own) || path.starts_with("/openapi/");
    let others = requests.iter().filter(|one| !is_own(&one.path));
    let others: Vec<String> = others.map(|one| one.line()).collect();
    ensure!(others.is_empty(), "{others:#?}");
    println!("{} requests, all in {own}", requests.len());
    ensure!(objects.len() > 15, "only {} objects", objects.len());
    for (name, object) in &objects {
        let namespace = &object["metadata"]["namespace"];
        ensure!(
            namespace == behind.place.namespace,
            "{name} is in {namespace}"
        );
        let owners = object["metadata"]["ownerReferences"].as_array();
        ensure!(owners.is_some_and(|owners| owners.len() == 1), "{name}");
    }
    operator.stop()
}
