//! The Secret of a link is lost, and whoever loses access meanwhile has lost it.

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use causeway_e2e::kubernetes::Operator;
use causeway_e2e::wait;

use super::countries;
use super::operator::Place;

/// One of the files of ie, as its Secret holds it.
fn file(place: &Place, name: &str) -> Result<String> {
    let secret = place.json(&["get", "secret", "mcollective--ie-config"])?;
    let text = secret["data"][name].as_str().context("no such file")?;
    Ok(String::from_utf8(STANDARD.decode(text)?)?)
}

fn message(place: &Place, condition: &str) -> Result<String> {
    let path =
        format!("--output=jsonpath={{.status.conditions[?(@.type==\"{condition}\")].message}}");
    place.kubectl(&["get", "brokernetwork", "mcollective", &path])
}

#[test]
fn a_user_and_a_site_lose_access_while_a_link_has_lost_its_secret() -> Result<()> {
    let place = Place::new("lost-secrets")?;
    place.apply(&countries()?)?;
    let operator = Operator::start(&place.cluster, "ie", place.namespace)?;
    operator.wait_settled()?;
    let secrets = file(&place, "secrets.yaml")?;
    ensure!(secrets.contains("ie-uk"), "the link is not there");

    place.kubectl(&["delete", "secret", "link-ie-uk"])?;
    place.kubectl(&["delete", "brokeruser", "amq"])?;
    let denied = r#"--patch={"spec":{"deniedSites":["us"]}}"#;
    let object = ["patch", "brokernetwork", "mcollective"];
    place.kubectl(&[object.as_slice(), &["--type=merge", denied]].concat())?;
    wait::until("both to be out", wait::PATIENCE, || {
        let is_out = !file(&place, "users.yaml")?.contains("name: amq")
            && file(&place, "broker.yaml")?.contains("denied_sites");
        Ok(is_out.then_some(()))
    })
    .with_context(|| operator.log())?;
    operator.wait_settled()?;
    ensure!(
        file(&place, "secrets.yaml")? == secrets,
        "the link has changed"
    );
    for condition in ["ConfigApplied", "Reconciling"] {
        let told = message(&place, condition)?;
        for part in ["Secret link-ie-uk is missing", "link ie-uk goes on"] {
            ensure!(told.contains(part), "{condition}: {told}");
        }
    }

    // What is kept is kept by the next operator too, which has nothing to write.
    operator.stop()?;
    let again = Operator::start(&place.cluster, "ie", place.namespace)?;
    let writes = again.wait_settled()?;
    ensure!(writes == 0.0, "{writes} writes\n{}", again.log());
    ensure!(
        file(&place, "secrets.yaml")? == secrets,
        "the link has changed"
    );
    again.stop()
}
