//! An operator that has done everything.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use causeway_e2e::kubernetes::Operator;
use causeway_e2e::wait;
use serde_json::json;

use super::super::operator::Place;
use super::super::rights::rules;
use super::{countries, wait_made};

/// So long it is watched, longer than a lease lasts; nothing that it does by itself is rarer than once in a resync but
/// figures in the status, every five minutes.
const REST: Duration = Duration::from_secs(16);

/// P4, O7: by the API server's own audit log an operator that has done everything writes its lease and nothing else, and
/// asks for nothing but that.
#[test]
fn an_operator_at_rest_writes_its_lease_and_nothing_else() -> Result<()> {
    let place = Place::new("rule-rest")?;
    place.apply(&account(place.namespace)?)?;
    place.apply(&countries()?)?;
    let kubeconfig = place
        .cluster
        .account_kubeconfig(place.namespace, "operator")?;
    let own = format!("--own-namespace={}", place.namespace);
    let arguments = [
        "--leader-elect=true",
        "--lease-duration=4s",
        "--lease-renew=1s",
        &own,
    ];
    let operator = Operator::launch(
        &place.cluster,
        &kubeconfig,
        "ie,uk",
        place.namespace,
        &arguments,
    )?;
    operator.wait_ready()?;
    wait::until("it to lead", wait::START, || {
        Ok(operator.leads()?.then_some(()))
    })
    .with_context(|| operator.log())?;
    operator.wait_ready()?;
    wait_made(&place, &operator, "ie,uk")?;
    let asked = || place.cluster.requests_of(place.namespace, "operator");
    let before = asked()?.len();
    let made = place.made()?;
    let begin = Instant::now();
    std::thread::sleep(REST);
    let requests = asked()?.split_off(before);
    let (leases, others): (Vec<_>, Vec<_>) = requests
        .iter()
        .partition(|one| one.resource == "coordination.k8s.io/leases");
    println!(
        "{} requests for the lease in {:?}, {} others",
        leases.len(),
        begin.elapsed(),
        others.len()
    );
    let writes = others.iter().filter(|one| one.is_write());
    ensure!(writes.count() == 0, "{others:#?}");
    ensure!(others.iter().all(|one| one.verb == "watch"), "{others:#?}");
    let renewals = leases.iter().filter(|one| one.is_write()).count();
    ensure!((3..=8).contains(&renewals), "{renewals} renewals");
    ensure!(place.made()? == made, "{}", operator.log());
    operator.stop()
}

/// An account with the rights that the chart gives.
fn account(namespace: &str) -> Result<String> {
    let all = rules()?;
    let api = "rbac.authorization.k8s.io";
    Ok(json!({
        "apiVersion": "v1", "kind": "List",
        "items": [
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "operator"}},
            {"apiVersion": format!("{api}/v1"), "kind": "Role",
                "metadata": {"name": "operator"}, "rules": all},
            {"apiVersion": format!("{api}/v1"), "kind": "RoleBinding",
                "metadata": {"name": "operator"},
                "roleRef": {"apiGroup": api, "kind": "Role", "name": "operator"},
                "subjects": [{"kind": "ServiceAccount", "name": "operator",
                    "namespace": namespace}]},
        ],
    })
    .to_string())
}
