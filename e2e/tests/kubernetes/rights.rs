//! An operator that lacks one right of its Role says so in the status, in the API server's words.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use causeway_e2e::kubernetes::{Cluster, Level, Operator};
use causeway_e2e::pages;
use causeway_e2e::wait;
use serde::Deserialize as _;
use serde_json::{Value, json};

use super::{countries, print};

/// A refusal is told at once; the slowest watch is tried again after half a minute.
const TOLD: Duration = Duration::from_secs(60);

/// So many operators are tried at a time.
const AT_A_TIME: usize = 3;

/// What cannot be told in a status, and why.
const UNTOLD: [(&str, &str, &str); 9] = [
    ("brokernetworks", "list", "no network is known"),
    (
        "brokernetworks/status",
        "patch",
        "the status is what cannot be written",
    ),
    (
        "brokerusers/status",
        "patch",
        "the status is what cannot be written",
    ),
    (
        "events",
        "create",
        "an Event that is not sent is a line in the log",
    ),
    ("events", "patch", "likewise"),
    (
        "leases",
        "get",
        "who does not lead does nothing; the tests' operators need no lease",
    ),
    ("leases", "create", "likewise"),
    ("leases", "patch", "likewise"),
    ("pods", "patch", "no pod runs here; told as all writes are"),
];

/// One right of the Role.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    pub group: String,
    pub resource: String,
    pub verb: String,
}

/// The rules of the chart's Role, as the plain manifests have them, which are compared with the chart elsewhere.
pub fn rules() -> Result<Vec<Value>> {
    let path = pages::source("deploy/base/role.yaml");
    let text = std::fs::read_to_string(&path)?;
    let role = serde_yaml::Deserializer::from_str(&text)
        .next()
        .context("no Role")?;
    let mut role = Value::deserialize(role)?;
    let rules = role["rules"].as_array_mut().context("no rules")?;
    Ok(std::mem::take(rules))
}

fn words(value: &Value) -> Vec<String> {
    let all = value.as_array().into_iter().flatten();
    all.filter_map(|word| word.as_str().map(str::to_owned))
        .collect()
}

/// Every right alone.
pub fn rights(rules: &[Value]) -> Vec<Right> {
    let mut all = Vec::new();
    for rule in rules {
        for group in words(&rule["apiGroups"]) {
            for resource in words(&rule["resources"]) {
                for verb in words(&rule["verbs"]) {
                    let (group, resource) = (group.clone(), resource.clone());
                    all.push(Right {
                        group,
                        resource,
                        verb,
                    });
                }
            }
        }
    }
    all
}

/// A namespace with the documents and an account that lacks one right.
struct Case<'a> {
    cluster: &'a Cluster,
    namespace: String,
    right: &'a Right,
}

impl Case<'_> {
    fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        let here = format!("--namespace={}", self.namespace);
        let mut all = vec![here.as_str()];
        all.extend_from_slice(arguments);
        self.cluster.kubectl(&all)
    }

    fn apply(&self, documents: &str) -> Result<()> {
        let here = format!("--namespace={}", self.namespace);
        self.cluster
            .apply(documents, &[&here, "--force-conflicts"])?;
        Ok(())
    }

    /// The rules without that one right, one rule for each of the others.
    fn role(&self, all: &[Right]) -> Value {
        let others = all.iter().filter(|right| *right != self.right);
        let rules: Vec<Value> = others
            .map(|right| {
                json!({"apiGroups": [right.group], "resources": [right.resource], "verbs": [right.verb]})
            })
            .collect();
        let kind = "rbac.authorization.k8s.io";
        json!({
            "apiVersion": "v1", "kind": "List",
            "items": [
                {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "operator"}},
                {"apiVersion": format!("{kind}/v1"), "kind": "Role",
                    "metadata": {"name": "operator"}, "rules": rules},
                {"apiVersion": format!("{kind}/v1"), "kind": "RoleBinding",
                    "metadata": {"name": "operator"},
                    "roleRef": {"apiGroup": kind, "kind": "Role", "name": "operator"},
                    "subjects": [{"kind": "ServiceAccount", "name": "operator",
                        "namespace": self.namespace}]},
            ],
        })
    }

    /// Waits for the condition that names the right.
    fn is_told(&self, operator: &Operator<'_>) -> Result<()> {
        let wanted = format!(
            "cannot {} resource \"{}\"",
            self.right.verb, self.right.resource
        );
        let mut last = String::new();
        let found = wait::until(&wanted, TOLD, || {
            let network =
                self.kubectl(&["get", "brokernetwork", "mcollective", "--output=json"])?;
            let network: Value = serde_json::from_str(&network)?;
            let conditions = network["status"]["conditions"].as_array();
            let stalled = conditions
                .into_iter()
                .flatten()
                .find(|one| one["type"] == "Stalled" && one["status"] == "True");
            last = network["status"]["conditions"].to_string();
            let Some(stalled) = stalled else {
                return Ok(None);
            };
            let message = stalled["message"].as_str().unwrap_or_default();
            Ok((stalled["reason"] == "Forbidden" && message.contains(&wanted)).then_some(()))
        });
        found.with_context(|| format!("{last}\n{}", operator.log()))
    }

    /// Removes the site from the documents once everything of it is there.
    fn lose_the_site(&self, operator: &Operator<'_>, documents: &str) -> Result<()> {
        operator.wait_ready()?;
        operator.wait_settled()?;
        let others: Vec<String> = documents.split("---\n").map(without_ie).collect();
        self.apply(&others.join("---\n"))
    }

    fn run(&self, all: &[Right]) -> Result<()> {
        self.cluster
            .kubectl(&["create", "namespace", &self.namespace])?;
        self.apply(&self.role(all).to_string())?;
        let roots = ["create", "configmap", "roots", "--from-literal=ca.crt=none"];
        self.kubectl(&roots)?;
        let mut documents = countries()?;
        if self.right.resource == "configmaps" {
            let tls = "  tls: {source: Secret, trustBundleRef: {name: roots}}\n  linkAuth:";
            documents = documents.replace("  linkAuth:", tls);
        }
        self.apply(&documents)?;
        let kubeconfig = self
            .cluster
            .account_kubeconfig(&self.namespace, "operator")?;
        let started = Instant::now();
        let operator = Operator::launch(self.cluster, &kubeconfig, "ie", &self.namespace, &[])?;
        if self.right.verb == "delete" {
            self.lose_the_site(&operator, &documents)?;
        }
        self.is_told(&operator)?;
        println!(
            "{} {}: told {:?} after the operator's start",
            self.right.verb,
            self.right.resource,
            started.elapsed()
        );
        Ok(())
    }
}

/// A document in which the site ie is no longer there, nor its links.
fn without_ie(document: &str) -> String {
    let lines = document.lines().filter(|line| {
        !line.contains("name: ie,") && !line.contains("[ie, ") && !line.contains("link-ie-us}}}")
    });
    lines.map(|line| format!("{line}\n")).collect()
}

/// O8: one right after the other is missing; the others do what they are for.
#[test]
fn each_right_that_is_missing_is_named_in_a_condition() -> Result<()> {
    let cluster = Cluster::shared(Level::ControlPlane)?;
    cluster.apply(&print(&["crds"])?, &["--force-conflicts"])?;
    let all = rights(&rules()?);
    let is_untold = |right: &Right| {
        let mut untold = UNTOLD.iter();
        untold.any(|(resource, verb, _)| right.resource == *resource && right.verb == *verb)
    };
    let cases: Vec<&Right> = all.iter().filter(|right| !is_untold(right)).collect();
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let work = || -> Result<()> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(right) = cases.get(number) else {
                return Ok(());
            };
            let case = Case {
                cluster: &cluster,
                namespace: format!("right{number}"),
                right,
            };
            if let Err(error) = case.run(&all) {
                let name = format!("{} {}", right.verb, right.resource);
                let mut failures = failures.lock().map_err(|_| anyhow!("poisoned"))?;
                failures.insert(name, format!("{error:#}"));
            }
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_A_TIME).map(|_| scope.spawn(work)).collect();
        let mut results = workers.into_iter().map(|worker| worker.join());
        results.try_for_each(|result| result.map_err(|_| anyhow!("a case panicked"))?)
    })?;
    let failures = failures.into_inner().map_err(|_| anyhow!("poisoned"))?;
    ensure!(failures.is_empty(), "{failures:#?}");
    println!("{} rights, each missed by name", cases.len());
    Ok(())
}
