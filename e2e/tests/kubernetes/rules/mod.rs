//! What the operator does when its API server, somebody else or the operator itself fails: the rules O1–O14 of the page
//! about testing, each in a test that begins with its number.

mod api_server;
mod conflicts;
mod deletion;
mod drift;
mod hostile;
mod leaders;
mod references;
mod rest;
mod stale;
mod strange;
mod tampered;
mod watches;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use causeway_e2e::kubernetes::proxy::{Proxy, Request};
use causeway_e2e::kubernetes::{Cluster, Operator};
use causeway_e2e::wait;
use serde_json::Value;

use super::countries;
use super::operator::Place;

/// A network is looked at anew after this time though nothing changed.
const RESYNC: Duration = Duration::from_secs(60);

/// A namespace whose operator reaches the API server through a proxy.
struct Behind {
    place: Place,
    proxy: Proxy,
}

impl Behind {
    /// One with the README's documents.
    fn new(namespace: &'static str) -> Result<Self> {
        let place = Place::new(namespace)?;
        place.apply(&countries()?)?;
        let proxy = Proxy::start(&place.cluster, None)?;
        Ok(Self { place, proxy })
    }

    fn cluster(&self) -> &Arc<Cluster> {
        &self.place.cluster
    }

    fn launch(&self, sites: &str, arguments: &[&str]) -> Result<Operator<'_>> {
        let kubeconfig = self.proxy.kubeconfig();
        Operator::launch(
            self.cluster(),
            kubeconfig,
            sites,
            self.place.namespace,
            arguments,
        )
    }

    /// Starts an operator and waits until it has done everything.
    fn operate(&self, sites: &str) -> Result<Operator<'_>> {
        let operator = self.launch(sites, &[])?;
        operator.wait_ready()?;
        wait_made(&self.place, &operator, sites)?;
        Ok(operator)
    }

    /// The path of objects of a kind of the core group.
    fn path(&self, plural: &str) -> String {
        format!("/api/v1/namespaces/{}/{plural}", self.place.namespace)
    }

    /// Removes the budget of ie, which the operator has to make again.
    fn take_budget(&self) -> Result<()> {
        let budget = ["delete", "poddisruptionbudget", "mcollective--ie"];
        self.place.kubectl(&budget).map(drop)
    }

    /// Waits until the budget is there again; returns how long that took.
    fn wait_budget(&self, operator: &Operator<'_>, patience: Duration) -> Result<Duration> {
        let begin = Instant::now();
        let back = wait::until("the budget to be there again", patience, || {
            let names = self.place.names()?;
            let budget = "PodDisruptionBudget mcollective--ie".to_owned();
            Ok(names.contains(&budget).then_some(()))
        });
        back.with_context(|| operator.log())?;
        Ok(begin.elapsed())
    }
}

/// Waits until the brokers of these sites are made and nothing is left to do: on a busy machine more than a moment can pass
/// between two writes.
fn wait_made(place: &Place, operator: &Operator<'_>, sites: &str) -> Result<()> {
    let made = wait::until("every Deployment", wait::START, || {
        let names = place.names()?;
        let is_made = |site: &str| names.contains(&format!("Deployment mcollective--{site}"));
        Ok(sites.split(',').all(is_made).then_some(()))
    });
    made.with_context(|| operator.log())?;
    operator.wait_settled().map(drop)
}

/// The lists among requests.
fn lists(requests: &[Request]) -> Vec<&Request> {
    let lists = requests.iter();
    lists
        .filter(|one| one.verb == "GET" && one.path.contains("limit="))
        .collect()
}

/// The watches among requests that were answered with a status.
fn watches(requests: &[Request], status: u16) -> usize {
    let watches = requests.iter().filter(|one| one.verb == "WATCH");
    watches.filter(|one| one.status == Some(status)).count()
}

/// Fields that others fill in, by the place of what they are in.
const ADDITIONS: [(&str, &[&str]); 4] = [
    ("", &["status"]),
    (
        "/metadata",
        &[
            "uid",
            "resourceVersion",
            "generation",
            "creationTimestamp",
            "managedFields",
        ],
    ),
    (
        "/metadata/annotations",
        &["deployment.kubernetes.io/revision"],
    ),
    ("/spec", &["clusterIP", "clusterIPs", "healthCheckNodePort"]),
];

/// What is wanted of everything that the operator made, by kind and name: without what the API server and the
/// controllers add.
fn wanted(place: &Place) -> Result<BTreeMap<String, Value>> {
    let selector = "--selector=app.kubernetes.io/managed-by=causeway-operator";
    let list = place.json(&["get", super::operator::KINDS, selector])?;
    let items = list["items"].as_array().context("no items")?;
    let pairs = items.iter().map(|item| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let name = format!(
            "{} {}",
            text(&item["kind"]),
            text(&item["metadata"]["name"])
        );
        (name, without_additions(item))
    });
    Ok(pairs.collect())
}

fn without_additions(item: &Value) -> Value {
    let mut item = item.clone();
    for (place, names) in ADDITIONS {
        if let Some(Value::Object(fields)) = item.pointer_mut(place) {
            fields.retain(|name, _| !names.contains(&name.as_str()));
        }
    }
    let ports = item
        .pointer_mut("/spec/ports")
        .and_then(Value::as_array_mut);
    for port in ports.into_iter().flatten().filter_map(Value::as_object_mut) {
        port.remove("nodePort");
    }
    item
}

/// Checks that an operator that begins anew, with nothing between it and the API server, finds nothing to do.
fn nothing_is_left_to_do(place: &Place, sites: &str) -> Result<()> {
    let made = place.made()?;
    let fresh = Operator::start(&place.cluster, sites, place.namespace)?;
    let writes = fresh.wait_settled()?;
    ensure!(writes == 0.0, "{writes} writes\n{}", fresh.log());
    let after = place.made()?;
    ensure!(after == made, "{after:#?} were {made:#?}");
    fresh.stop()
}

/// The documents with one text in the place of another.
fn edited(from: &str, to: &str) -> Result<String> {
    let documents = countries()?;
    ensure!(documents.contains(from), "the documents lack {from}");
    Ok(documents.replacen(from, to, 1))
}

/// The documents without the site ie and its links.
fn without_ie() -> Result<String> {
    let documents = countries()?;
    let lines = documents.lines().filter(|line| {
        !line.contains("name: ie,") && !line.contains("[ie, ") && !line.contains("link-ie-us}}}")
    });
    Ok(lines.map(|line| format!("{line}\n")).collect())
}
