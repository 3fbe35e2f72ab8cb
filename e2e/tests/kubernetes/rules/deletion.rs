//! What is reconciled is removed at the same time.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use causeway_e2e::wait;
use serde_json::Value;

use super::super::operator::KINDS;
use super::{Behind, countries, nothing_is_left_to_do};

/// Moments of a creation at which the network is removed: it takes about a second.
const MOMENTS: [u64; 3] = [50, 300, 1000];

/// O10: a network that is removed in the middle of its creation leaves nothing behind, whatever the moment, and nothing has
/// a finalizer that could hold it.
#[test]
fn a_network_that_is_removed_while_it_is_made_leaves_nothing() -> Result<()> {
    let behind = Behind::new("rule-removed")?;
    let network = ["delete", "brokernetwork", "mcollective"];
    behind.place.kubectl(&network)?;
    let operator = behind.launch("ie,uk", &[])?;
    operator.wait_ready()?;
    for moment in MOMENTS {
        behind.place.apply(&countries()?)?;
        std::thread::sleep(Duration::from_millis(moment));
        behind.place.kubectl(&network)?;
        let gone = wait::until("everything to be gone", wait::START, || {
            Ok(behind.place.names()?.is_empty().then_some(()))
        });
        gone.with_context(|| format!("{moment} ms\n{}", operator.log()))?;
        operator.wait_settled()?;
        let left = behind.place.names()?;
        ensure!(left.is_empty(), "{moment} ms: {left:?}");
    }
    // It is not confused: the next one is made as the first.
    behind.place.apply(&countries()?)?;
    wait::until("the next one", wait::PATIENCE, || {
        let names = behind.place.names()?;
        Ok(names
            .contains(&"Deployment mcollective--uk".to_owned())
            .then_some(()))
    })
    .with_context(|| operator.log())?;
    operator.wait_settled()?;
    nothing_is_held(&behind)?;
    operator.stop()?;
    nothing_is_left_to_do(&behind.place, "ie,uk")
}

fn nothing_is_held(behind: &Behind) -> Result<()> {
    let kinds = format!("{KINDS},brokernetworks,brokerusers");
    let list = behind.place.json(&["get", &kinds])?;
    let items = list["items"].as_array().context("no items")?;
    ensure!(items.len() > 20, "only {} objects", items.len());
    for item in items {
        let finalizers = &item["metadata"]["finalizers"];
        let name = &item["metadata"]["name"];
        // The cloud's own for load balancers is none of ours.
        let is_ours = |one: &Value| {
            !one.as_str()
                .unwrap_or_default()
                .starts_with("service.kubernetes.io/")
        };
        let ours = finalizers
            .as_array()
            .into_iter()
            .flatten()
            .filter(|one| is_ours(one));
        ensure!(ours.count() == 0, "{name}: {finalizers}");
    }
    Ok(())
}

/// O10: a namespace that goes while its operator works goes to its end; the operator outlives it without a storm of
/// requests.
#[test]
fn a_namespace_that_goes_is_not_held_up() -> Result<()> {
    let behind = Behind::new("rule-gone")?;
    let operator = behind.launch("ie,uk", &[])?;
    operator.wait_ready()?;
    std::thread::sleep(Duration::from_millis(300));
    let namespace = behind.place.namespace;
    let mark = behind.proxy.recorded();
    let delete = ["delete", "namespace", namespace, "--timeout=60s"];
    let started = std::time::Instant::now();
    let gone = behind.cluster().kubectl(&delete);
    gone.with_context(|| operator.log())?;
    println!("{namespace} is gone after {:?}", started.elapsed());
    operator.resident().context("the operator has ended")?;
    std::thread::sleep(Duration::from_secs(2));
    let writes = behind.proxy.writes_since(mark);
    println!("{} writes meanwhile", writes.len());
    ensure!(writes.len() < 120, "{} writes", writes.len());
    let mark = behind.proxy.recorded();
    std::thread::sleep(Duration::from_secs(3));
    let writes = behind.proxy.writes_since(mark);
    ensure!(writes.is_empty(), "{writes:?}");
    operator.stop()
}
