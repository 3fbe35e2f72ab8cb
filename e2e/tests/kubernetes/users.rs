//! Users against a real API server: what their status says, and the Secrets of generated passwords.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use causeway_e2e::kubernetes::Operator;
use causeway_e2e::wait::{self, PATIENCE};
use serde_json::{Value, json};

use super::countries;
use super::operator::{Place, dies_after};

/// That there is no network is told after ten seconds; five times that.
const NO_NETWORK: Duration = Duration::from_secs(50);

/// A user whose password is generated where ie runs.
pub fn generated(name: &str, rotation: &str) -> String {
    user(
        name,
        json!({"type": "Generated", "generated": {"rotation": rotation}}),
    )
}

/// A user of ie.
fn user(name: &str, credentials: Value) -> String {
    let mut user = json!({
        "apiVersion": "causeway.dev/v1alpha1", "kind": "BrokerUser", "metadata": {"name": name},
        "spec": {
            "networkRef": {"name": "mcollective"}, "sites": {"names": ["ie"]},
            "groups": ["mcollectiveusers"],
        },
    });
    user["spec"]["credentials"] = credentials;
    user.to_string()
}

/// Waits until a user has a condition, given as "Type=Status Reason".
pub fn wait_for(place: &Place, user: &str, word: &str, patience: Duration) -> Result<Value> {
    let mut last = Value::Null;
    let found = wait::until(word, patience, || {
        // Whoever applies it may not have come to it yet.
        let Ok(object) = place.json(&["get", "brokeruser", user]) else {
            return Ok(None);
        };
        last = object["status"].clone();
        let conditions = object["status"]["conditions"].as_array();
        let mut words = conditions.into_iter().flatten().map(|one| {
            let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
            format!("{}={} {}", text("type"), text("status"), text("reason"))
        });
        let is_seen = object["status"]["observedGeneration"] == object["metadata"]["generation"];
        Ok((is_seen && words.any(|found| found == word)).then_some(object))
    });
    found.with_context(|| format!("{last:#}"))
}

fn secret(place: &Place, name: &str) -> Result<Value> {
    place.json(&["get", "secret", name])
}

/// What a key of a Secret holds, as the API server shows it.
fn value<'a>(secret: &'a Value, key: &str) -> Option<&'a str> {
    secret["data"][key].as_str()
}

/// Waits for the Secret of a rotation.
fn made(place: &Place, user: &str, rotation: &str) -> Result<Value> {
    let name = format!("{user}-credentials");
    wait::until("a generated password", PATIENCE, || {
        let held = secret(place, &name).ok();
        Ok(
            held.filter(|held| {
                held["metadata"]["annotations"]["causeway.dev/rotation"] == rotation
            }),
        )
    })
}

#[test]
fn a_generated_password_is_made_once_and_rotated_when_asked() -> Result<()> {
    let place = Place::new("users-generated")?;
    place.apply(&countries()?)?;
    place.apply(&generated("made", "1"))?;
    let operator = Operator::start(&place.cluster, "ie", place.namespace)?;
    let first = made(&place, "made", "1")?;
    ensure!(first["data"].as_object().map(|data| data.len()) == Some(2));
    ensure!(value(&first, "username") == Some("bWFkZQ=="), "{first:#}");
    let password = value(&first, "password").context("no password")?;
    ensure!(password.len() == 44, "32 characters are 44 in base64");
    let owner = &first["metadata"]["ownerReferences"][0];
    ensure!(
        owner["kind"] == "BrokerUser" && owner["name"] == "made" && owner["controller"] == true
    );
    operator.wait_settled()?;
    let status = place.json(&["get", "brokeruser", "made"])?["status"].clone();
    ensure!(
        status["secretRef"]["name"] == "made-credentials",
        "{status:#}"
    );
    operator.stop()?;

    let again = Operator::start(&place.cluster, "ie", place.namespace)?;
    let writes = again.wait_settled()?;
    ensure!(
        writes == 0.0,
        "{writes} writes after a restart\n{}",
        again.log()
    );
    ensure!(secret(&place, "made-credentials")? == first);

    place.apply(&generated("made", "2"))?;
    let second = made(&place, "made", "2")?;
    ensure!(value(&second, "previousPassword") == Some(password));
    let newer = value(&second, "password").context("no password")?;
    ensure!(newer != password);
    place.apply(&generated("made", "3"))?;
    let third = made(&place, "made", "3")?;
    ensure!(value(&third, "previousPassword") == Some(newer));
    again.wait_settled()?;

    // Whoever removes it gets another.
    place.kubectl(&["delete", "secret", "made-credentials"])?;
    let anew = made(&place, "made", "3")?;
    ensure!(value(&anew, "password") != value(&third, "password"));
    ensure!(value(&anew, "previousPassword").is_none());
    again.wait_settled()?;

    place.kubectl(&["delete", "brokeruser", "made"])?;
    wait::until("the Secret to go with its user", PATIENCE, || {
        Ok(secret(&place, "made-credentials").is_err().then_some(()))
    })
}

#[test]
fn a_secret_of_somebody_else_is_neither_written_nor_anybodys_password() -> Result<()> {
    let place = Place::new("users-foreign")?;
    place.apply(
        r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"made-credentials"},"stringData":{"password":"theirs"}}"#,
    )?;
    let before = secret(&place, "made-credentials")?;
    place.apply(&countries()?)?;
    place.apply(&generated("made", "1"))?;
    let operator = Operator::start(&place.cluster, "ie", place.namespace)?;
    let object = wait_for(&place, "made", "Stalled=True SecretNotOwned", PATIENCE)
        .with_context(|| operator.log())?;
    ensure!(object["status"].to_string().contains("belongs to nobody"));
    operator.wait_settled()?;
    ensure!(secret(&place, "made-credentials")? == before);
    let files = secret(&place, "mcollective--ie-config")?;
    let users = base64(value(&files, "users.yaml").context("no users")?)?;
    ensure!(!users.contains("name: made"), "the user is served");
    ensure!(
        users.contains("name: mcollective"),
        "nobody else is held up"
    );

    place.kubectl(&["delete", "secret", "made-credentials"])?;
    let ours = made(&place, "made", "1")?;
    let waiting = wait::until("the end of the stall", PATIENCE, || {
        let object = place.json(&["get", "brokeruser", "made"])?;
        let is_over = !object["status"].to_string().contains("Stalled");
        Ok(is_over.then_some(()))
    });
    waiting.with_context(|| operator.log())?;

    // Somebody claims it as well: what it holds stays in force, and nobody writes.
    let owner = place.json(&["get", "secret", "user-amq"])?;
    let patch = json!({"metadata": {"ownerReferences": [
        ours["metadata"]["ownerReferences"][0],
        {"apiVersion": "v1", "kind": "Secret", "name": "user-amq", "uid": owner["metadata"]["uid"]},
    ]}});
    let patch = patch.to_string();
    place.kubectl(&[
        "patch",
        "secret",
        "made-credentials",
        "--type=merge",
        "--patch",
        &patch,
    ])?;
    place.apply(&generated("made", "2"))?;
    let object = wait_for(&place, "made", "Stalled=True SecretNotOwned", PATIENCE)?;
    ensure!(
        object["status"].to_string().contains("Secret/user-amq too"),
        "{object:#}"
    );
    operator.wait_settled()?;
    let held = secret(&place, "made-credentials")?;
    ensure!(value(&held, "password") == value(&ours, "password"));
    let files = secret(&place, "mcollective--ie-config")?;
    let users = base64(value(&files, "users.yaml").context("no users")?)?;
    ensure!(users.contains("name: made"), "the user is no longer served");
    Ok(())
}

fn base64(text: &str) -> Result<String> {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text)?;
    Ok(String::from_utf8(bytes)?)
}

#[test]
fn a_death_after_any_write_leaves_one_password_and_the_one_before() -> Result<()> {
    let place = Place::new("users-dying")?;
    place.apply(&countries()?)?;
    let settle = || -> Result<()> {
        Operator::start(&place.cluster, "ie", place.namespace)?
            .wait_settled()
            .map(drop)
    };
    settle()?;
    let mut deaths = 0;
    for nth in 1.. {
        place.kubectl(&["delete", "brokeruser", "made", "--ignore-not-found"])?;
        wait::until("the Secret to be collected", wait::START, || {
            Ok(secret(&place, "made-credentials").is_err().then_some(()))
        })?;
        settle()?;
        place.apply(&generated("made", "1"))?;
        if !dies_after(&place, "ie", nth)? {
            break;
        }
        let seen = secret(&place, "made-credentials").ok();
        settle()?;
        let first = made(&place, "made", "1")?;
        if let Some(seen) = seen {
            ensure!(value(&seen, "password") == value(&first, "password"));
        }
        deaths += 1;
    }
    ensure!(
        deaths >= 2,
        "only {deaths} deaths: Secret, files and status"
    );
    let created = deaths;
    for nth in 1.. {
        settle()?;
        let before = secret(&place, "made-credentials")?;
        let rotation = format!("again-{nth}");
        place.apply(&generated("made", &rotation))?;
        let is_dead = dies_after(&place, "ie", nth)?;
        settle()?;
        let after = made(&place, "made", &rotation)?;
        ensure!(value(&after, "previousPassword") == value(&before, "password"));
        if !is_dead {
            break;
        }
        deaths += 1;
    }
    ensure!(
        deaths >= created + 2,
        "Secret, files and status are written"
    );
    println!("{deaths} deaths, {created} of them while it was made, each made good");
    Ok(())
}

#[test]
fn a_user_says_what_is_wrong_with_it_and_holds_nobody_up() -> Result<()> {
    let place = Place::new("users-wrong")?;
    let password = |secret: &str, kind: &str| json!({"type": kind, "secretRef": {"name": secret}});
    place.apply(&user("early", password("user-amq", "Password")))?;
    let operator = Operator::start(&place.cluster, "ie", place.namespace)?;
    let started = Instant::now();
    wait_for(&place, "early", "Stalled=True NetworkNotFound", NO_NETWORK)
        .with_context(|| operator.log())?;
    println!("NetworkNotFound after {:?}", started.elapsed());
    place.apply(&countries()?)?;
    place.apply(&user("dangling", password("nowhere", "Password")))?;
    place.apply(&user("keyless", password("user-amq", "PasswordHash")))?;
    place.apply(
        r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"bad-hash"},"stringData":{"passwordHash":"plain"}}"#,
    )?;
    place.apply(&user("hashless", password("bad-hash", "PasswordHash")))?;
    let mut second: Value =
        serde_json::from_str(&user("second", password("user-amq", "Password")))?;
    second["spec"]["username"] = "amq".into();
    place.apply(&second.to_string())?;
    for (user, word) in [
        ("early", "Reconciling=True WaitingForBroker"),
        ("amq", "Applied=Unknown NotObserved"),
        ("dangling", "Reconciling=True WaitingForSecret"),
        ("keyless", "Stalled=True SecretMalformed"),
        ("hashless", "Stalled=True SecretMalformed"),
        ("second", "Stalled=True DuplicateUsername"),
    ] {
        wait_for(&place, user, word, PATIENCE).with_context(|| operator.log())?;
    }
    let told = place.kubectl(&["get", "events", "--output=yaml"])?;
    ensure!(told.contains("SecretMalformed"), "{told}");
    let table = place.kubectl(&["get", "brokerusers", "--output=wide"])?;
    let head = table.lines().next().unwrap_or_default();
    for column in ["NETWORK", "USER", "SITES", "READY", "CREDENTIAL", "REASON"] {
        ensure!(head.contains(column), "{table}");
    }
    operator.wait_settled()?;
    let files = secret(&place, "mcollective--ie-config")?;
    let users = base64(value(&files, "users.yaml").context("no users")?)?;
    for name in ["amq", "early", "mcollective"] {
        ensure!(
            users.contains(&format!("name: {name}")),
            "{name} is held up"
        );
    }
    for name in ["dangling", "keyless", "hashless", "second"] {
        ensure!(
            !users.contains(&format!("name: {name}")),
            "{name} is served"
        );
    }
    operator.stop()?;
    let again = Operator::start(&place.cluster, "ie", place.namespace)?;
    let writes = again.wait_settled()?;
    ensure!(
        writes == 0.0,
        "{writes} writes after a restart\n{}",
        again.log()
    );

    // Whose Secret is lost keeps what was in force.
    place.kubectl(&["delete", "secret", "user-amq"])?;
    wait_for(&place, "amq", "Reconciling=True WaitingForSecret", PATIENCE)
        .with_context(|| again.log())?;
    again.wait_settled()?;
    let now = secret(&place, "mcollective--ie-config")?;
    ensure!(value(&now, "users.yaml") == value(&files, "users.yaml"));

    // In a cluster without its sites a user has nothing to wait for, and no password is made.
    again.stop()?;
    let other = Place::on(place.cluster.clone(), "users-elsewhere")?;
    other.apply(&countries()?)?;
    other.apply(&generated("made", "1"))?;
    let elsewhere = Operator::start(&other.cluster, "us", other.namespace)?;
    wait_for(&other, "made", "Ready=True NoLocalSite", PATIENCE)?;
    elsewhere.wait_settled()?;
    ensure!(secret(&other, "made-credentials").is_err());
    Ok(())
}
