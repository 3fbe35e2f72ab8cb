//! Users with real pods: a generated password lets its user in, and Helm waits for exactly as long as there is something to
//! wait for.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use causeway_e2e::client::Client;
use causeway_e2e::kubernetes::{Cluster, Helm, Level, Operator, helm};
use causeway_e2e::process::{self, Folder};
use causeway_e2e::wait;
use serde_json::{Value, json};

use super::countries;
use super::operator::Place;
use super::users::{generated, wait_for};

/// A user's change is in force within 2 s; five times that.
const CHANGE: Duration = Duration::from_secs(10);
/// Everything is up within seconds; five times that.
const UP: Duration = Duration::from_secs(90);
/// So long it is watched that Helm goes on waiting.
const PAUSE: Duration = Duration::from_secs(15);

fn place(namespace: &'static str) -> Result<Place> {
    let cluster = Cluster::shared(Level::FullNode)?;
    cluster.import_images()?;
    cluster.provide_load_balancers(1..=99)?;
    Place::on(cluster, namespace)
}

fn login(place: &Place, user: &str, password: &str) -> Result<Client> {
    let address = place
        .cluster
        .service_address(place.namespace, "mcollective--ie-stomp")?;
    let connect = || Client::connect_to((address, 61613).into(), user, password);
    place.cluster.inside(connect)
}

/// The generated password of a user, once it is of a rotation.
fn password(place: &Place, user: &str, rotation: &str) -> Result<String> {
    let name = format!("{user}-credentials");
    wait::until("a generated password", CHANGE, || {
        let Ok(secret) = place.json(&["get", "secret", &name]) else {
            return Ok(None);
        };
        if secret["metadata"]["annotations"]["causeway.dev/rotation"] != rotation {
            return Ok(None);
        }
        let template = "--output=go-template={{.data.password | base64decode}}";
        place.kubectl(&["get", "secret", &name, template]).map(Some)
    })
}

#[test]
fn a_generated_password_lets_its_user_in_and_the_one_before_until_the_next_rotation() -> Result<()>
{
    let place = place("users-live")?;
    place.apply(&countries()?)?;
    let operator = Operator::start(&place.cluster, "ie", place.namespace)?;
    wait_for(&place, "mcollective", "Ready=True Applied", UP).with_context(|| operator.log())?;
    let mut passwords = Vec::new();
    for rotation in ["1", "2", "3"] {
        let started = Instant::now();
        place.apply(&generated("made", rotation))?;
        let password = password(&place, "made", rotation)?;
        wait::until("a login with the generated password", CHANGE, || {
            Ok(login(&place, "made", &password).ok())
        })
        .with_context(|| operator.log())?
        .disconnect()?;
        let in_force = started.elapsed();
        let object = wait_for(&place, "made", "Applied=True Applied", CHANGE)?;
        println!(
            "rotation {rotation}: in force after {in_force:?}, told after {:?}",
            started.elapsed()
        );
        let status = &object["status"];
        ensure!(status["credentialVersion"] == rotation, "{status:#}");
        ensure!(status["summary"] == "1/1" && status["localSites"] == json!(["ie"]));
        passwords.push(password);
    }
    login(&place, "made", &passwords[1])?.disconnect()?;
    ensure!(login(&place, "made", &passwords[0]).is_err());

    let suspend = r#"{"spec":{"state":"Suspended"}}"#;
    place.kubectl(&[
        "patch",
        "brokeruser",
        "made",
        "--type=merge",
        "--patch",
        suspend,
    ])?;
    wait_for(&place, "made", "Ready=True Suspended", CHANGE)?;
    ensure!(login(&place, "made", &passwords[2]).is_err());
    // What another user went through is no news of this one.
    let version = |user| {
        place
            .json(&["get", "brokeruser", user])
            .map(|one| one["metadata"]["resourceVersion"].clone())
    };
    let before = version("mcollective")?;
    place.apply(&generated("other", "1"))?;
    wait_for(&place, "other", "Ready=True Applied", CHANGE)?;
    ensure!(version("mcollective")? == before);
    operator.wait_settled()?;
    operator.stop()?;
    let again = Operator::start(&place.cluster, "ie", place.namespace)?;
    let writes = again.wait_settled()?;
    ensure!(
        writes == 0.0,
        "{writes} writes after a restart\n{}",
        again.log()
    );
    Ok(())
}

/// A Helm that installs or upgrades the network and waits.
struct Waiting {
    child: Child,
    started: Instant,
    _folder: Folder,
}

impl Waiting {
    fn start(place: &Place, values: &Value) -> Result<Self> {
        let folder = Folder::new()?;
        let file = folder.path().join("values.yaml");
        std::fs::write(&file, values.to_string())?;
        let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/causeway-network");
        let mut command = Command::new(helm(Helm::Four)?);
        command
            .args(["upgrade", "--install", "network", chart])
            .args(["--namespace", place.namespace, "--wait", "--timeout=120s"])
            .arg("--values")
            .arg(&file)
            .env("KUBECONFIG", place.cluster.kubeconfig())
            .env("HELM_CACHE_HOME", folder.path().join("cache"))
            .env("HELM_CONFIG_HOME", folder.path().join("config"))
            .env("HELM_DATA_HOME", folder.path().join("data"))
            .stdin(Stdio::null());
        let child = place
            .cluster
            .inside(|| command.spawn().context("starting helm"))?;
        Ok(Self {
            child,
            started: Instant::now(),
            _folder: folder,
        })
    }

    fn is_waiting(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    fn finish(&mut self) -> Result<Duration> {
        let status = process::wait(&mut self.child, UP)?.context("helm still waits")?;
        ensure!(status.success(), "helm ends with {status}");
        Ok(self.started.elapsed())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        process::end(&mut self.child);
    }
}

/// The README's documents as values of the chart, with one more user.
fn values(extra: &Value) -> Result<Value> {
    let mut values = json!({"name": "mcollective", "users": {"late": extra}});
    for document in countries()?.split("\n---\n") {
        let document: Value = serde_yaml::from_str(document)?;
        let name = document["metadata"]["name"].as_str().unwrap_or_default();
        match document["kind"].as_str() {
            Some("BrokerNetwork") => values["network"] = document["spec"].clone(),
            Some("BrokerUser") => {
                let mut spec = document["spec"].clone();
                spec.as_object_mut()
                    .map(|spec| spec.remove("networkRef"))
                    .context("a spec")?;
                values["users"][name] = spec;
            }
            _ => {}
        }
    }
    Ok(values)
}

#[test]
fn helm_returns_when_and_only_when_network_and_users_are_ready() -> Result<()> {
    let place = place("users-helm")?;
    let secrets: Vec<String> = countries()?
        .split("\n---\n")
        .filter(|document| document.contains("kind: Secret"))
        .map(str::to_owned)
        .collect();
    place.apply(&secrets.join("\n---\n"))?;
    let operator = Operator::start(&place.cluster, "ie", place.namespace)?;
    // The Secret of one user is not there yet.
    let late = json!({"credentials": {"type": "Password", "secretRef": {"name": "late"}}});
    let mut first = Waiting::start(&place, &values(&late)?)?;
    wait_for(&place, "mcollective", "Ready=True Applied", UP).with_context(|| operator.log())?;
    std::thread::sleep(PAUSE);
    ensure!(first.is_waiting()?, "helm returned although one user waits");
    place.apply(
        r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"late"},"stringData":{"password":"wanderlust"}}"#,
    )?;
    let given = Instant::now();
    first.finish().with_context(|| operator.log())?;
    println!(
        "helm returned {:?} after the last Secret came",
        given.elapsed()
    );
    login(&place, "late", "wanderlust")?.disconnect()?;
    is_ready(&place)?;

    // An upgrade changes one user and waits for that.
    let made = json!({
        "sites": {"names": ["ie"]},
        "credentials": {"type": "Generated", "generated": {"rotation": "1"}},
    });
    let took = Waiting::start(&place, &values(&made)?)?
        .finish()
        .with_context(|| operator.log())?;
    is_ready(&place)?;
    login(&place, "late", &password(&place, "late", "1")?)?.disconnect()?;
    println!("an upgrade with a generated password took {took:?}");
    let none = Waiting::start(&place, &values(&made)?)?.finish()?;
    println!("an upgrade that changes nothing took {none:?}");
    Ok(())
}

/// Whether everything says so at this moment.
fn is_ready(place: &Place) -> Result<()> {
    let list = place.json(&["get", "brokernetworks,brokerusers"])?;
    for item in list["items"].as_array().into_iter().flatten() {
        let mut conditions = item["status"]["conditions"]
            .as_array()
            .into_iter()
            .flatten();
        let is_ready = conditions.any(|one| one["type"] == "Ready" && one["status"] == "True");
        ensure!(is_ready, "{item:#}");
    }
    Ok(())
}
