//! The development authority of a network in a cluster: its Secrets are made once, kept good, and nobody else's are
//! written.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use causeway_e2e::kubernetes::Operator;
use causeway_e2e::wait;
use serde_json::Value;

use super::countries;
use super::operator::Place;

/// What is gone or spoiled is good again within a second; five times that on a busy machine.
const REPAIRED: Duration = Duration::from_secs(10);

const SECRETS: [&str; 3] = [
    "mcollective-dev-ca",
    "mcollective--ie-tls",
    "mcollective--uk-tls",
];

/// The README's documents without the site us, with certificates of the development authority.
pub fn documents() -> Result<String> {
    let without_us = countries()?
        .lines()
        .filter(|line| !line.contains("name: us,") && !line.contains(", us]"))
        .filter(|line| !line.contains("link-ie-us}}}"))
        .map(|line| format!("{line}\n"))
        .collect::<String>();
    let tls = "  tls: {source: Development}\n  linkAuth: {mode: MTLS}";
    let documents = without_us.replace("  linkAuth: {mode: Password}", tls);
    ensure!(documents.contains(tls), "the example has another linkAuth");
    Ok(documents)
}

fn condition(place: &Place, kind: &str) -> Result<Value> {
    let network = place.json(&["get", "brokernetwork", "mcollective"])?;
    let conditions = network["status"]["conditions"].as_array();
    let found = conditions.and_then(|all| all.iter().find(|one| one["type"] == kind));
    Ok(found.cloned().unwrap_or_default())
}

fn wait_for(place: &Place, operator: &Operator<'_>, kind: &str, reason: &str) -> Result<String> {
    let found = wait::until(&format!("{kind} {reason}"), wait::PATIENCE, || {
        let condition = condition(place, kind)?;
        let is_it = condition["reason"] == reason && condition["status"] == "True";
        let message = condition["message"].as_str().unwrap_or_default().to_owned();
        Ok(is_it.then_some(message))
    });
    found.with_context(|| {
        let status = place.kubectl(&["get", "brokernetwork", "mcollective", "--output=yaml"]);
        format!("{}\n{}", status.unwrap_or_default(), operator.log())
    })
}

/// A Secret with its versions, if it is there.
fn secret(place: &Place, name: &str) -> Result<Option<Value>> {
    let list = place.json(&["get", "secrets"])?;
    let items = list["items"].as_array().context("no items")?;
    Ok(items
        .iter()
        .find(|item| item["metadata"]["name"] == name)
        .cloned())
}

#[test]
fn certificates_are_made_once_and_what_is_gone_or_spoiled_is_made_good() -> Result<()> {
    let place = Place::new("authority-made")?;
    place.apply(&documents()?)?;
    let operator = Operator::start(&place.cluster, "ie,uk", place.namespace)?;
    operator.wait_settled()?;
    for name in SECRETS {
        let secret = secret(&place, name)?.with_context(|| operator.log())?;
        let kind = secret["metadata"]["ownerReferences"][0]["kind"].clone();
        ensure!(kind == "BrokerNetwork", "{name} belongs to {kind}");
        for key in ["tls.crt", "tls.key", "ca.crt"] {
            ensure!(secret["data"][key].is_string(), "{name} has no {key}");
        }
    }
    wait_for(&place, &operator, "Degraded", "DevelopmentCA")?;
    let made = place.made()?;
    operator.stop()?;
    let again = Operator::start(&place.cluster, "ie,uk", place.namespace)?;
    let writes = again.wait_settled()?;
    ensure!(writes == 0.0, "{writes} writes\n{}", again.log());
    ensure!(place.made()? == made, "{:#?}", place.made()?);

    let authority = secret(&place, SECRETS[0])?;
    place.kubectl(&["delete", "secret", SECRETS[1]])?;
    let garbage = r#"{"data":{"tls.crt":"Z2FyYmFnZQ=="}}"#;
    place.kubectl(&["patch", "secret", SECRETS[2], "--patch", garbage])?;
    wait::until("both certificates to be good again", REPAIRED, || {
        let (ie, uk) = (secret(&place, SECRETS[1])?, secret(&place, SECRETS[2])?);
        let is_good = ie.is_some() && uk.is_some_and(|uk| uk["data"]["tls.crt"] != "Z2FyYmFnZQ==");
        Ok(is_good.then_some(()))
    })
    .with_context(|| again.log())?;
    again.wait_settled()?;
    ensure!(
        secret(&place, SECRETS[0])? == authority,
        "another authority"
    );
    // Who takes certificates from elsewhere keeps no key that signs them.
    let other = documents()?.replace("{source: Development}", "{source: Secret}");
    place.apply(&other)?;
    wait::until("the authority to be gone", REPAIRED, || {
        Ok(secret(&place, SECRETS[0])?.is_none().then_some(()))
    })
    .with_context(|| again.log())?;
    ensure!(secret(&place, SECRETS[1])?.is_some(), "a pod may mount it");
    Ok(())
}

#[test]
fn a_secret_of_somebody_else_is_left_alone_and_named() -> Result<()> {
    let place = Place::new("authority-foreign")?;
    let foreign = SECRETS[..2].iter().map(|name| {
        format!(
            r#"{{"apiVersion":"v1","kind":"Secret","metadata":{{"name":"{name}"}},"stringData":{{"mine":"alone"}}}}"#
        )
    });
    place.apply(&foreign.collect::<Vec<_>>().join("\n---\n"))?;
    let before = (secret(&place, SECRETS[0])?, secret(&place, SECRETS[1])?);
    place.apply(&documents()?)?;
    let operator = Operator::start(&place.cluster, "ie,uk", place.namespace)?;
    let message = wait_for(&place, &operator, "Stalled", "SecretNotOwned")?;
    ensure!(message.contains(SECRETS[0]), "{message}");
    operator.wait_settled()?;
    let after = (secret(&place, SECRETS[0])?, secret(&place, SECRETS[1])?);
    ensure!(after == before, "{after:?}");
    // The one it cannot do without is out of the way: the other is named.
    place.kubectl(&["delete", "secret", SECRETS[0]])?;
    wait::until("the other to be named", wait::PATIENCE, || {
        let stalled = condition(&place, "Stalled")?;
        let message = stalled["message"].as_str().unwrap_or_default();
        Ok(message.contains(SECRETS[1]).then_some(()))
    })
    .with_context(|| operator.log())?;
    ensure!(secret(&place, SECRETS[1])? == before.1);
    ensure!(secret(&place, SECRETS[2])?.is_some());
    Ok(())
}

#[test]
fn a_network_with_sites_elsewhere_gets_no_authority() -> Result<()> {
    let place = Place::new("authority-unsafe")?;
    place.apply(&documents()?)?;
    let operator = Operator::start(&place.cluster, "ie", place.namespace)?;
    let message = wait_for(&place, &operator, "Stalled", "DevelopmentCAUnsafe")?;
    ensure!(
        message.starts_with("spec.tls.source: ") && message.contains("uk"),
        "{message}"
    );
    operator.wait_settled()?;
    for name in SECRETS {
        ensure!(secret(&place, name)?.is_none(), "{name} was made");
    }
    Ok(())
}
