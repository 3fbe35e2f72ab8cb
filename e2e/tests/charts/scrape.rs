//! What a real broker answers to Prometheus, against what is written about it.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use causeway_e2e::certificates::SiteCertificates;
use causeway_e2e::document::{Document, NETWORK, Shape};
use causeway_e2e::http;
use causeway_e2e::kubernetes::promtool;
use causeway_e2e::network::Network;
use causeway_e2e::process::{causeway, run};
use causeway_e2e::wait::{PATIENCE, until};

use super::monitoring::{documented, expressions, metrics_in};

/// Probes go out every 15 s.
const PROBED: Duration = Duration::from_secs(75);

#[test]
fn a_broker_shows_what_is_documented_and_what_rules_and_dashboards_read() -> Result<()> {
    let mut document = Document::new(Shape::Mesh, &["ie", "uk", "us"]);
    document.tls = Some(SiteCertificates::make(NETWORK, &["ie", "uk", "us"])?);
    let network = Network::up(document)?;
    let port = network.port_of("ie", "admin")?;
    let text = until("a probe to come back", PROBED, || {
        let (_, text) = http::fetch(port, "/metrics")?;
        Ok(text
            .contains("causeway_probe_seconds{peer=\"us\"}")
            .then_some(text))
    })?;

    let shown = names(&text);
    let page = documented(|section| section == "Brokers")?;
    ensure!(
        shown == page,
        "not documented: {:?}; not shown: {:?}",
        shown.difference(&page).collect::<Vec<_>>(),
        page.difference(&shown).collect::<Vec<_>>()
    );
    for (place, expression) in expressions()? {
        for name in metrics_in(&expression) {
            let is_elsewhere = name.starts_with("causeway_operator_")
                || ["causeway_resource_", "causeway_network_", "kube_"]
                    .iter()
                    .any(|of| name.starts_with(of));
            ensure!(
                is_elsewhere || shown.contains(&name),
                "{place}: no broker shows {name}"
            );
        }
    }
    check(&text)?;
    values_are_right(&text)?;
    asked_whether_it_is_ready(port)?;
    network.stop()
}

/// The metrics of a text.
pub fn names(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .map(str::to_owned)
        .collect()
}

/// `promtool check metrics`: names, units, types, help.
pub fn check(text: &str) -> Result<()> {
    let mut child = Command::new(promtool()?)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().context("standard input")?;
    input.write_all(text.as_bytes())?;
    drop(input);
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(
        output.status.success() && said.is_empty(),
        "promtool: {said}"
    );
    Ok(())
}

fn values_are_right(text: &str) -> Result<()> {
    for line in [
        "causeway_peer_spec_in_sync{peer=\"uk\"} 1",
        "causeway_probe_failures_total{peer=\"us\"} 0",
        "causeway_config_last_reload_successful 1",
        "causeway_denied_total{verb=\"read\"} 0",
    ] {
        ensure!(text.lines().any(|one| one == line), "no {line} in\n{text}");
    }
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)?
        .as_secs_f64();
    let value = |start: &str| -> Result<f64> {
        let line = text
            .lines()
            .find(|line| line.starts_with(start))
            .with_context(|| start.to_owned())?;
        Ok(line.rsplit(' ').next().unwrap_or_default().parse()?)
    };
    let since = value("causeway_config_spec_timestamp_seconds ")?;
    ensure!(
        (now - 600.0..=now).contains(&since),
        "specification since {since}, now {now}"
    );
    let end = value("causeway_tls_cert_not_after_timestamp_seconds{")?;
    ensure!(end > now, "the certificate ends at {end}, now {now}");
    Ok(())
}

/// As the pod of `helm test` asks.
fn asked_whether_it_is_ready(port: u16) -> Result<()> {
    let url = format!("http://127.0.0.1:{port}");
    let mut command = Command::new(causeway()?);
    let finished = run(command.args(["ready", &url]), PATIENCE)?;
    ensure!(finished.code == Some(0), "{}", finished.output());
    let mut command = Command::new(causeway()?);
    let finished = run(command.args(["ready", "http://127.0.0.1:1"]), PATIENCE)?;
    ensure!(
        finished.code == Some(3),
        "nobody listens: {}",
        finished.output()
    );
    Ok(())
}
