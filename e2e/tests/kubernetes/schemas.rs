//! The API server takes the definitions and enforces their rules, and the command refuses what it
//! refuses.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use causeway_e2e::kubernetes::{Cluster, Level};
use causeway_e2e::process::{Folder, causeway, run};
use causeway_e2e::wait::PATIENCE;
use serde_json::{Value, json};

use super::{countries, print};

/// The names of both definitions.
const DEFINITIONS: [&str; 2] = ["brokernetworks.causeway.dev", "brokerusers.causeway.dev"];

/// A cluster that knows both kinds.
fn cluster() -> Result<Arc<Cluster>> {
    let cluster = Cluster::shared(Level::ControlPlane)?;
    cluster.apply(&print(&["crds"])?, &[])?;
    for name in DEFINITIONS {
        let name = format!("crd/{name}");
        cluster.kubectl(&[
            "wait",
            "--for=condition=Established",
            "--timeout=30s",
            &name,
        ])?;
    }
    Ok(cluster)
}

fn network(name: &str, spec: Value) -> Value {
    let mut value = json!({
        "apiVersion": "causeway.dev/v1alpha1", "kind": "BrokerNetwork",
        "metadata": {"name": name}, "spec": {"sites": [{"name": "ie"}, {"name": "uk"}]},
    });
    merge(&mut value["spec"], spec);
    value
}

fn user(name: &str, spec: Value) -> Value {
    let mut value = json!({
        "apiVersion": "causeway.dev/v1alpha1", "kind": "BrokerUser",
        "metadata": {"name": name},
        "spec": {
            "networkRef": {"name": "mcollective"},
            "credentials": {"type": "Password", "secretRef": {"name": "user-amq"}},
        },
    });
    merge(&mut value["spec"], spec);
    value
}

/// Replaces the keys that are given.
fn merge(spec: &mut Value, changes: Value) {
    for (key, value) in changes.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
}

/// Documents that break one rule each, and what that rule says.
fn refused() -> Vec<(&'static str, Value)> {
    let link = |link: Value| json!({"links": [link]});
    let shape = |topology: Value| json!({"topology": topology});
    let service =
        |service: Value| json!({"siteDefaults": {"listeners": {"stomp": {"service": service}}}});
    let entry = |entry: Value| json!({"authorization": {"entries": [entry]}});
    let many: Vec<Value> = (0..33).map(|n| json!({"name": format!("s{n}")})).collect();
    let twice = json!([{"name": "ie", "id": 7}, {"name": "uk", "id": 7}]);
    let certificate =
        |value: Value| json!({"credentials": {"type": "Certificate", "certificate": value}});
    vec![
        (
            "metadata.name starts every child name",
            network("two--hyphens", json!({})),
        ),
        (
            "sites[].id must be unique",
            network("ids", json!({"sites": twice})),
        ),
        (
            "links[].between must name entries of sites",
            network("ends", link(json!({"name": "l", "between": ["ie", "de"]}))),
        ),
        (
            "a link joins two different sites",
            network("same", link(json!({"name": "l", "between": ["ie", "ie"]}))),
        ),
        (
            "dialer must be one of between",
            network(
                "dialer",
                link(json!({"name": "l", "between": ["ie", "uk"], "dialer": "us"})),
            ),
        ),
        (
            "topology Star needs hub",
            network("star", shape(json!({"shape": "Star"}))),
        ),
        (
            "topology Ring and Chain need order",
            network("chain", shape(json!({"shape": "Chain"}))),
        ),
        (
            "topology Mesh links every pair",
            network(
                "mesh",
                json!({"topology": {"shape": "Mesh"}, "sites": many}),
            ),
        ),
        (
            "exactly one of queue, topic",
            network("entry", entry(json!({"read": ["a"]}))),
        ),
        (
            "an entry without groups",
            network("groups", entry(json!({"queue": ">"}))),
        ),
        (
            "linkAuth MTLS needs spec.tls",
            network("mtls", json!({"linkAuth": {"mode": "MTLS"}})),
        ),
        (
            "a TLS listener needs spec.tls",
            network(
                "tls",
                json!({"siteDefaults": {"listeners": {"stompTls": {"state": "Open"}}}}),
            ),
        ),
        (
            "metadata.name names the generated Secret",
            user(&"a".repeat(64), json!({})),
        ),
        (
            "exactly one of queue, topic",
            user(
                "permission",
                json!({"permissions": [{"operations": ["Read"]}]}),
            ),
        ),
        (
            "secretRef is for Password",
            user("password", json!({"credentials": {"type": "Password"}})),
        ),
        (
            "use names or matchLabels",
            user(
                "sites",
                json!({"sites": {"names": ["ie"], "matchLabels": {"a": "b"}}}),
            ),
        ),
        (
            "exactly one of uri, commonName",
            user("certificate", certificate(json!({}))),
        ),
        (
            "Generated passwords differ per cluster",
            user("generated", json!({"credentials": {"type": "Generated"}})),
        ),
        (
            "nodePort needs type",
            network("port", service(json!({"nodePort": 31613}))),
        ),
        (
            "issuerRef is for source CertManager",
            network("issuer", json!({"tls": {"source": "CertManager"}})),
        ),
    ]
}

/// Documents, changes that their rules forbid, and what those rules say.
fn refused_changes() -> Vec<(&'static str, Value, Value)> {
    let sites = |id: u16| json!({"sites": [{"name": "ie", "id": id}]});
    vec![
        (
            "sites[].id is immutable",
            network("fixed", sites(7)),
            network("fixed", sites(8)),
        ),
        (
            "networkRef is immutable",
            user("moved", json!({})),
            user("moved", json!({"networkRef": {"name": "other"}})),
        ),
        (
            "username is immutable",
            user("renamed", json!({"username": "a"})),
            user("renamed", json!({"username": "b"})),
        ),
    ]
}

/// What the API server has against each document, by its name.
fn verdicts(stderr: &str) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    let mut name = String::new();
    for line in stderr.lines() {
        if let Some((before, _)) = line.split_once("\" is invalid") {
            name = before.rsplit('"').next().unwrap_or_default().to_owned();
        }
        let text = all.entry(name.clone()).or_default();
        text.push_str(line);
        text.push('\n');
    }
    all
}

fn join(documents: impl Iterator<Item = Value>) -> String {
    let texts: Vec<String> = documents.map(|document| document.to_string()).collect();
    texts.join("\n---\n")
}

fn name(document: &Value) -> &str {
    document["metadata"]["name"].as_str().unwrap_or_default()
}

/// Every message of the rules in the definitions, as the API server has them.
fn messages(cluster: &Cluster) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for definition in DEFINITIONS {
        let text = cluster.kubectl(&["get", "crd", definition, "--output=json"])?;
        collect(&serde_json::from_str(&text)?, &mut found);
    }
    Ok(found)
}

fn collect(schema: &Value, found: &mut BTreeSet<String>) {
    if let Some(rules) = schema["x-kubernetes-validations"].as_array() {
        let texts = rules.iter().filter_map(|rule| rule["message"].as_str());
        found.extend(texts.map(str::to_owned));
    }
    match schema {
        Value::Object(fields) => fields.values().for_each(|field| collect(field, found)),
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        _ => {}
    }
}

#[test]
fn the_definitions_and_the_documents_of_the_readme_are_accepted() -> Result<()> {
    let cluster = cluster()?;
    let again = cluster.apply(&print(&["crds"])?, &["--dry-run=server"])?;
    ensure!(again.lines().count() == 2, "{again}");
    let applied = cluster.apply(&countries()?, &["--namespace=default"])?;
    println!("{applied}");
    ensure!(applied.lines().count() == 8, "{applied}");
    let columns = cluster.kubectl(&["get", "brokernetworks,brokerusers"])?;
    println!("{columns}");
    ensure!(columns.contains("mcollective"));
    Ok(())
}

/// O9: what schema and rules can refuse they refuse, each with words.
#[test]
fn every_rule_refuses_with_its_message_and_the_command_refuses_too() -> Result<()> {
    let cluster = cluster()?;
    let rows = refused();
    let documents = join(rows.iter().map(|(_, document)| document.clone()));
    let finished = cluster.try_apply(&documents, &["--dry-run=server"])?;
    let found = verdicts(&finished.stderr);
    for (message, document) in &rows {
        let name = name(document);
        let verdict = found.get(name);
        let verdict = verdict.with_context(|| format!("{name} passed\n{}", finished.output()))?;
        ensure!(verdict.contains(message), "{name}: {verdict}");
        ensure!(is_refused_by_command(document)?, "the command takes {name}");
    }
    let changes = refused_changes();
    cluster.apply(&join(changes.iter().map(|(_, old, _)| old.clone())), &[])?;
    let documents = join(changes.iter().map(|(_, _, new)| new.clone()));
    let finished = cluster.try_apply(&documents, &["--dry-run=server"])?;
    let found = verdicts(&finished.stderr);
    for (message, _, new) in &changes {
        let verdict = found.get(name(new)).with_context(|| finished.output())?;
        ensure!(verdict.contains(message), "{}: {verdict}", name(new));
    }
    let broken = rows.iter().map(|(message, _)| *message);
    let broken: Vec<&str> = broken.chain(changes.iter().map(|row| row.0)).collect();
    for message in messages(&cluster)? {
        let is_broken = broken.iter().any(|start| message.starts_with(start));
        ensure!(is_broken, "no document breaks the rule: {message}");
    }
    println!("{} documents refused", rows.len() + changes.len());
    Ok(())
}

/// Whether `causeway render` refuses a document, beside a network that users can belong to.
fn is_refused_by_command(document: &Value) -> Result<bool> {
    let folder = Folder::new()?;
    let path = folder.path().join("document.yaml");
    let mut text = document.to_string();
    if document["kind"] == "BrokerUser" {
        text = format!("{}\n---\n{text}", network("mcollective", json!({})));
    }
    std::fs::write(&path, text)?;
    let mut command = Command::new(causeway()?);
    let finished = run(command.arg("render").arg(&path), PATIENCE)?;
    Ok(finished.code != Some(0) && finished.stderr.contains(name(document)))
}
