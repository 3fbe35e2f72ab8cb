//! What a real operator answers to Prometheus, against what is written about it.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use causeway_e2e::http;
use causeway_e2e::kubernetes::{Cluster, Level};
use causeway_e2e::ports::Block;
use causeway_e2e::process::{causeway, end, run};
use causeway_e2e::wait::{PATIENCE, START, until};

use super::monitoring::{documented, expressions, metrics_in};
use super::{read, scrape};

const NAMESPACE: &str = "measured";

/// Begin with their first event, which a good day does not have.
const RARE: [&str; 4] = [
    "causeway_operator_broker_requests_total",
    "causeway_operator_pruned_total",
    "causeway_operator_reconcile_errors_total",
    "causeway_operator_watch_restarts_total",
];

/// An operator on this machine, which ends with the test.
struct Operator(Child);

impl Drop for Operator {
    fn drop(&mut self) {
        end(&mut self.0);
    }
}

#[test]
fn an_operator_shows_what_is_documented_and_what_rules_and_dashboards_read() -> Result<()> {
    let cluster = Cluster::shared(Level::ControlPlane)?;
    cluster.apply(&read("deploy/crds/causeway.yaml")?, &["--force-conflicts"])?;
    for name in ["brokernetworks.causeway.dev", "brokerusers.causeway.dev"] {
        let name = format!("crd/{name}");
        cluster.kubectl(&[
            "wait",
            "--for=condition=Established",
            "--timeout=30s",
            &name,
        ])?;
    }
    let namespace = format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {NAMESPACE}}}}}");
    cluster.apply(&namespace, &[])?;
    let documents = read("deploy/examples/countries.yaml")?;
    cluster.apply(&documents, &[&format!("--namespace={NAMESPACE}")])?;

    let ports = Block::take(1)?;
    let port = ports.base();
    let mut command = Command::new(causeway()?);
    command
        .args([
            "operator",
            "--sites=ie",
            "--leader-elect=false",
            "--namespaces",
            NAMESPACE,
        ])
        .arg(format!("--http=127.0.0.1:{port}"))
        .env("KUBECONFIG", cluster.kubeconfig())
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let _operator = Operator(command.spawn()?);

    let url = format!("http://127.0.0.1:{port}");
    until("the operator to be ready", START, || {
        let mut asked = Command::new(causeway()?);
        let finished = run(asked.args(["ready", &url]), PATIENCE)?;
        Ok((finished.code == Some(0)).then_some(()))
    })?;
    let mut text = String::new();
    let made = until("a site's objects to be made", START, || {
        text = http::fetch(port, "/metrics")?.1;
        let is_made = text.contains("{kind=\"Deployment\"");
        Ok((is_made && text.contains("causeway_operator_reconciles_total{")).then_some(()))
    });
    made.with_context(|| text.clone())?;
    let result = compare(&text);
    cluster.kubectl(&["delete", "namespace", NAMESPACE, "--wait=false"])?;
    result
}

fn compare(text: &str) -> Result<()> {
    scrape::check(text)?;
    let shown = scrape::names(text);
    let page = documented(|section| section == "Operator")?;
    let unknown: Vec<&String> = shown.difference(&page).collect();
    ensure!(unknown.is_empty(), "not documented: {unknown:?}");
    let rare = RARE.map(str::to_owned);
    let missing: BTreeSet<String> = page.difference(&shown).cloned().collect();
    let missing: Vec<&String> = missing.iter().filter(|name| !rare.contains(name)).collect();
    ensure!(missing.is_empty(), "not shown: {missing:?}\n{text}");
    for (place, expression) in expressions()? {
        for name in metrics_in(&expression) {
            let is_ours = name.starts_with("causeway_operator_");
            ensure!(
                !is_ours || page.contains(&name),
                "{place}: no operator shows {name}"
            );
        }
    }
    Ok(())
}
