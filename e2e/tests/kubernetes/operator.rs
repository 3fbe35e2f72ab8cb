//! The operator against a real API server: what it writes, what it never writes, and that a death after any write is
//! made good by the next start.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use causeway_e2e::kubernetes::proxy::Proxy;
use causeway_e2e::kubernetes::{Cluster, Level, Operator};
use causeway_e2e::wait;
use serde_json::Value;

use super::{countries, print};

/// Kinds of everything that the operator makes.
pub const KINDS: &str =
    "deployments,services,serviceaccounts,secrets,networkpolicies,poddisruptionbudgets";

/// A namespace with the definitions and the README's documents in it.
pub struct Place {
    pub cluster: Arc<Cluster>,
    pub namespace: &'static str,
}

impl Place {
    pub fn new(namespace: &'static str) -> Result<Self> {
        Self::on(Cluster::shared(Level::ControlPlane)?, namespace)
    }

    pub fn on(cluster: Arc<Cluster>, namespace: &'static str) -> Result<Self> {
        cluster.apply(&print(&["crds"])?, &["--force-conflicts"])?;
        cluster.kubectl(&["create", "namespace", namespace])?;
        Ok(Self { cluster, namespace })
    }

    pub fn apply(&self, documents: &str) -> Result<()> {
        let here = format!("--namespace={}", self.namespace);
        self.cluster
            .apply(documents, &[&here, "--force-conflicts"])?;
        Ok(())
    }

    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        let here = format!("--namespace={}", self.namespace);
        let mut all = vec![here.as_str()];
        all.extend_from_slice(arguments);
        self.cluster.kubectl(&all)
    }

    pub fn json(&self, arguments: &[&str]) -> Result<Value> {
        let mut all = arguments.to_vec();
        all.push("--output=json");
        Ok(serde_json::from_str(&self.kubectl(&all)?)?)
    }

    /// What the operator made: versions by kind and name.
    pub fn made(&self) -> Result<BTreeMap<String, String>> {
        let selector = "--selector=app.kubernetes.io/managed-by=causeway-operator";
        let list = self.json(&["get", KINDS, selector])?;
        let items = list["items"].as_array().context("no items")?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let pairs = items.iter().map(|item| {
            let name = format!(
                "{} {}",
                text(&item["kind"]),
                text(&item["metadata"]["name"])
            );
            (name, text(&item["metadata"]["resourceVersion"]))
        });
        Ok(pairs.collect())
    }

    /// The names of [`Self::made`].
    pub fn names(&self) -> Result<Vec<String>> {
        Ok(self.made()?.into_keys().collect())
    }
}

/// What the operator makes for the sites ie and uk.
const EXPECTED: [&str; 19] = [
    "Deployment mcollective--ie",
    "Deployment mcollective--uk",
    "NetworkPolicy mcollective--ie",
    "NetworkPolicy mcollective--uk",
    "PodDisruptionBudget mcollective--ie",
    "PodDisruptionBudget mcollective--uk",
    "Secret mcollective--ie-config",
    "Secret mcollective--ie-keys",
    "Secret mcollective--uk-config",
    "Secret mcollective--uk-keys",
    "Secret mcollective-keys",
    "Service mcollective--ie-admin",
    "Service mcollective--ie-link",
    "Service mcollective--ie-stomp",
    "Service mcollective--uk-admin",
    "Service mcollective--uk-link",
    "Service mcollective--uk-stomp",
    "ServiceAccount mcollective--ie",
    "ServiceAccount mcollective--uk",
];

#[test]
fn the_second_reconcile_and_a_restart_write_nothing() -> Result<()> {
    let place = Place::new("operator-writes")?;
    place.apply(&countries()?)?;
    let operator = Operator::start(&place.cluster, "ie,uk", place.namespace)?;
    operator.wait_settled()?;
    let made = place.made()?;
    ensure!(made.keys().eq(EXPECTED), "{made:#?}");
    // An annotation that means nothing is a reason to look, and none to write.
    place.kubectl(&[
        "annotate",
        "brokernetwork",
        "mcollective",
        "example.com/look=again",
    ])?;
    let writes = operator.wait_settled()?;
    ensure!(place.made()? == made, "{:#?}", place.made()?);
    operator.stop()?;
    let again = Operator::start(&place.cluster, "ie,uk", place.namespace)?;
    let after = again.wait_settled()?;
    ensure!(
        after == 0.0,
        "{after} writes after a restart\n{}",
        again.log()
    );
    ensure!(place.made()? == made, "{:#?}", place.made()?);
    println!(
        "{} objects in {writes} writes, none after a restart",
        made.len()
    );
    Ok(())
}

/// O12: by hand; by chance in `rules::tampered`.
#[test]
fn what_somebody_changes_or_removes_is_made_good_and_nothing_else_is_touched() -> Result<()> {
    let place = Place::new("operator-repairs")?;
    place.apply(&countries()?)?;
    let operator = Operator::start(&place.cluster, "ie", place.namespace)?;
    operator.wait_settled()?;
    let before = place.made()?;
    let patch = r#"{"spec":{"ports":[{"name":"stomp","port":61613,"targetPort":1}]}}"#;
    place.kubectl(&[
        "patch",
        "service",
        "mcollective--ie-stomp",
        "--patch",
        patch,
    ])?;
    place.kubectl(&["delete", "poddisruptionbudget", "mcollective--ie"])?;
    let image =
        r#"[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"evil"}]"#;
    place.kubectl(&[
        "patch",
        "deployment",
        "mcollective--ie",
        "--type=json",
        "--patch",
        image,
    ])?;
    wait::until("everything to be as it was", wait::PATIENCE, || {
        let service = place.json(&["get", "service", "mcollective--ie-stomp"])?;
        let deployment = place.json(&["get", "deployment", "mcollective--ie"])?;
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        let is_good = service["spec"]["ports"][0]["targetPort"] == 61613
            && container["image"] != "evil"
            && place.names()?.len() == before.len();
        Ok(is_good.then_some(()))
    })
    .with_context(|| operator.log())?;
    operator.wait_settled()?;
    let after = place.made()?;
    let changed: Vec<&String> = before
        .iter()
        .filter(|(name, version)| after.get(*name) != Some(version))
        .map(|(name, _)| name)
        .collect();
    let expected = [
        "Deployment mcollective--ie",
        "PodDisruptionBudget mcollective--ie",
        "Service mcollective--ie-stomp",
    ];
    ensure!(changed == expected, "{changed:?}");
    // What was changed is told of one by one; nobody knows who removed the third, or whether it was ever there.
    let field = "--field-selector=reason=Restored";
    let told = place.json(&["get", "events.events.k8s.io", field])?;
    let events = told["items"].as_array().context("no list")?;
    let mut related: Vec<&str> = events
        .iter()
        .filter_map(|event| event["related"]["name"].as_str())
        .collect();
    related.sort_unstable();
    let expected = ["mcollective--ie", "mcollective--ie-stomp"];
    ensure!(related == expected, "{told:#}");
    Ok(())
}

#[test]
fn an_object_of_somebody_else_is_never_written() -> Result<()> {
    let place = Place::new("operator-foreign")?;
    let foreign = r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"mcollective--ie-config"},"stringData":{"mine":"alone"}}
---
{"apiVersion":"v1","kind":"Service","metadata":{"name":"mcollective--ie-stomp"},"spec":{"ports":[{"port":1}],"selector":{"app":"mine"}}}"#;
    place.apply(foreign)?;
    let versions = || -> Result<Value> {
        let list = place.json(&[
            "get",
            "secret/mcollective--ie-config",
            "service/mcollective--ie-stomp",
        ])?;
        Ok(list["items"].clone())
    };
    let before = versions()?;
    place.apply(&countries()?)?;
    let operator = Operator::start(&place.cluster, "ie", place.namespace)?;
    operator.wait_settled()?;
    ensure!(versions()? == before, "{:#}", versions()?);
    // No pod may mount what a stranger wrote.
    let deployment = "Deployment mcollective--ie".to_owned();
    ensure!(!place.names()?.contains(&deployment), "it is made");
    place.kubectl(&["delete", "secret", "mcollective--ie-config"])?;
    wait::until("the site to be made", wait::PATIENCE, || {
        Ok(place.names()?.contains(&deployment).then_some(()))
    })
    .with_context(|| operator.log())
}

/// Everything of one site.
pub const OF_IE: [&str; 10] = [
    "Deployment mcollective--ie",
    "NetworkPolicy mcollective--ie",
    "PodDisruptionBudget mcollective--ie",
    "Secret mcollective--ie-config",
    "Secret mcollective--ie-keys",
    "Secret mcollective-keys",
    "Service mcollective--ie-admin",
    "Service mcollective--ie-link",
    "Service mcollective--ie-stomp",
    "ServiceAccount mcollective--ie",
];

/// Lets operators die after the first, the second, the third write and so on, until one comes to its end before; each
/// time another has to finish. Returns how many died.
pub fn deaths(
    place: &Place,
    sites: &str,
    before: impl Fn() -> Result<()>,
    after: &[&str],
) -> Result<usize> {
    for nth in 1.. {
        before()?;
        if !dies_after(place, sites, nth)? {
            return Ok(nth - 1);
        }
        let operator = Operator::start(&place.cluster, sites, place.namespace)?;
        operator.wait_settled()?;
        let names = place.names()?;
        ensure!(
            names == after,
            "after a death at write {nth}: {names:#?}\n{}",
            operator.log()
        );
    }
    Ok(0)
}

/// Lets an operator die after its nth write; false where it makes fewer.
pub fn dies_after(place: &Place, sites: &str, nth: usize) -> Result<bool> {
    let proxy = Proxy::start(&place.cluster, None)?;
    proxy.go_away_after_write(nth);
    let operator = Operator::launch(
        &place.cluster,
        proxy.kubeconfig(),
        sites,
        place.namespace,
        &[],
    )?;
    let mut last = (0, Instant::now());
    let is_dead = wait::until("an end of the writes", wait::START, || {
        let writes = proxy.writes_since(0).len();
        if writes != last.0 {
            last = (writes, Instant::now());
        }
        let is_quiet = last.0 > 0 && last.1.elapsed() > Duration::from_secs(3);
        Ok((proxy.is_away() || is_quiet).then(|| proxy.is_away()))
    })?;
    operator.kill();
    Ok(is_dead)
}

/// O5: after a death at each write in turn nothing is missing and nothing is there twice.
#[test]
fn a_death_after_any_write_of_a_creation_is_made_good_by_the_next_start() -> Result<()> {
    let place = Place::new("operator-dies-creating")?;
    let documents = countries()?;
    let anew = || {
        place.kubectl(&[
            "delete",
            "brokernetwork",
            "mcollective",
            "--ignore-not-found",
        ])?;
        wait::until("everything to be collected", wait::START, || {
            Ok(place.names()?.is_empty().then_some(()))
        })?;
        place.apply(&documents)
    };
    let deaths = deaths(&place, "ie", anew, &OF_IE)?;
    println!("{deaths} deaths, each made good");
    ensure!(
        deaths >= OF_IE.len(),
        "only {deaths} deaths: every object is a write"
    );
    Ok(())
}

/// O5: the same for a change and for a removal.
#[test]
fn a_death_after_any_write_of_a_change_or_a_removal_is_made_good_by_the_next_start() -> Result<()> {
    let place = Place::new("operator-dies-changing")?;
    let documents = countries()?;
    let without_stomp = documents.replace("cost: 50", "cost: 60").replace(
        "    listeners:\n",
        "    listeners:\n      stomp: {state: Closed}\n",
    );
    ensure!(without_stomp != documents);
    let change = || {
        place.apply(&documents)?;
        Operator::start(&place.cluster, "ie", place.namespace)?.wait_settled()?;
        place.apply(&without_stomp)
    };
    let left: Vec<&str> = OF_IE
        .into_iter()
        .filter(|name| !name.ends_with("-stomp"))
        .collect();
    let changes = deaths(&place, "ie", change, &left)?;
    ensure!(
        changes >= 3,
        "only {changes} deaths: files, policy and Service change"
    );
    // ie is no longer in the documents: all of it goes.
    let without_ie: String = documents
        .lines()
        .filter(|line| {
            !line.contains("name: ie,")
                && !line.contains("[ie, ")
                && !line.contains("link-ie-us}}}")
        })
        .map(|line| format!("{line}\n"))
        .collect();
    let remove = || {
        place.apply(&documents)?;
        Operator::start(&place.cluster, "ie", place.namespace)?.wait_settled()?;
        place.apply(&without_ie)
    };
    let removals = deaths(&place, "ie", remove, &[])?;
    println!("{changes} deaths while changing and {removals} while removing, each made good");
    ensure!(
        removals >= OF_IE.len(),
        "only {removals} deaths: every object is removed"
    );
    Ok(())
}
