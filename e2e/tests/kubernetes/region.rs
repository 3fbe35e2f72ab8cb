//! A region of a network on real pods: a namespace with an operator for its sites, and what its brokers and its clients
//! see. Two of them in one cluster are two regions that share nothing but the link ports.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use causeway_e2e::client::Client;
use causeway_e2e::document::MCOLLECTIVE;
use causeway_e2e::http;
use causeway_e2e::kubernetes::{Cluster, Level, Operator};
use serde_json::Value;

use super::brokers::PASSWORD;
use super::countries;
use super::operator::Place;

/// Everything is up within seconds; five times that.
const UP: Duration = Duration::from_secs(120);

/// A namespace whose documents an operator turns into brokers.
pub struct Region {
    pub place: Place,
    /// The sites that its operator claims.
    sites: &'static str,
}

/// Uid and restarts of a pod.
pub type Pod = (String, i64);

impl Region {
    /// Prepares a namespace that takes only pods of the restricted profile.
    pub fn new(namespace: &'static str, sites: &'static str) -> Result<Self> {
        let cluster = Cluster::shared(Level::FullNode)?;
        cluster.import_images()?;
        cluster.provide_load_balancers(1..=99)?;
        let place = Place::on(cluster, namespace)?;
        let enforce = "pod-security.kubernetes.io/enforce=restricted";
        place
            .cluster
            .kubectl(&["label", "namespace", namespace, enforce])?;
        Ok(Self { place, sites })
    }

    /// One with the sites ie and uk of the README's network, whose documents are applied.
    pub fn of_countries(namespace: &'static str) -> Result<Self> {
        let region = Self::new(namespace, "ie,uk")?;
        region.place.apply(&countries()?)?;
        Ok(region)
    }

    pub fn cluster(&self) -> &Arc<Cluster> {
        &self.place.cluster
    }

    pub fn operate(&self) -> Result<Operator<'_>> {
        Operator::start(self.cluster(), self.sites, self.place.namespace)
    }

    /// Waits until the status says that everything here is as declared.
    pub fn wait_ready(&self, operator: &Operator<'_>) -> Result<()> {
        let begin = Instant::now();
        let network = "brokernetwork/mcollective";
        let timeout = format!("--timeout={}s", UP.as_secs());
        let wait = ["wait", "--for=condition=Ready", network, &timeout];
        let waited = self.place.kubectl(&wait);
        waited.with_context(|| self.explain(operator))?;
        println!("Ready after {:?}", begin.elapsed());
        Ok(())
    }

    /// What the object and the operator say.
    pub fn explain(&self, operator: &Operator<'_>) -> String {
        let get = ["get", "brokernetwork", "mcollective", "--output=yaml"];
        let status = self.place.kubectl(&get).unwrap_or_default();
        let log = operator.log();
        let tail: Vec<&str> = log.lines().rev().take(60).collect();
        let tail: Vec<&str> = tail.into_iter().rev().collect();
        format!("{status}\n{}", tail.join("\n"))
    }

    /// Where a Service of a site is.
    fn address(&self, site: &str, part: &str, port: u16) -> Result<std::net::SocketAddr> {
        let service = format!("mcollective--{site}-{part}");
        let address = self
            .cluster()
            .service_address(self.place.namespace, &service)?;
        Ok((address, port).into())
    }

    pub fn connect(&self, site: &str) -> Result<Client> {
        self.login(site, MCOLLECTIVE, PASSWORD)
    }

    pub fn login(&self, site: &str, user: &str, password: &str) -> Result<Client> {
        let address = self.address(site, "stomp", 61613)?;
        self.cluster()
            .inside(|| Client::connect_to(address, user, password))
    }

    /// The same with a client id.
    pub fn connect_as(&self, site: &str, client_id: &str) -> Result<Client> {
        let address = self.address(site, "stomp", 61613)?;
        self.cluster()
            .inside(|| Client::connect_to_as(address, MCOLLECTIVE, PASSWORD, client_id))
    }

    /// `/status` of a site's broker.
    pub fn page(&self, site: &str) -> Result<Value> {
        let name = format!("mcollective--{site}-keys");
        let secret = self.place.json(&["get", "secret", &name])?;
        let token = secret["data"]["adminToken"].as_str().context("no token")?;
        let token = String::from_utf8(STANDARD.decode(token)?)?;
        let address = self.address(site, "admin", 8161)?;
        let (status, text) = self
            .cluster()
            .inside(|| http::fetch_from(address, "/status", Some(&token)))?;
        ensure!(status == 200, "/status of {site} answers {status}");
        Ok(serde_json::from_str(&text)?)
    }

    /// The pods of the network, with their restarts.
    pub fn pods(&self) -> Result<Vec<Pod>> {
        let selector = "--selector=causeway.dev/network=mcollective";
        let list = self.place.json(&["get", "pods", selector])?;
        let pods = list["items"].as_array().context("no pods")?;
        let state = |pod: &Value| {
            let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
            let restarts = pod["status"]["containerStatuses"][0]["restartCount"].as_i64();
            (uid.to_owned(), restarts.unwrap_or(-1))
        };
        Ok(pods.iter().map(state).collect())
    }

    /// Uid of the pod of a site that runs.
    pub fn uid(&self, site: &str) -> Result<String> {
        let selector = format!("--selector=causeway.dev/site={site}");
        let running = "--field-selector=status.phase=Running";
        let list = self.place.json(&["get", "pods", &selector, running])?;
        let uid = list["items"][0]["metadata"]["uid"].as_str();
        uid.map(str::to_owned).context("no pod")
    }

    /// Merges `spec.siteDefaults` with fields, as JSON without the braces.
    pub fn change_defaults(&self, fields: &str) -> Result<()> {
        let patch = format!(r#"{{"spec":{{"siteDefaults":{{{fields}}}}}}}"#);
        let network = ["patch", "brokernetwork", "mcollective", "--type=merge"];
        let command = [&network[..], &["--patch", &patch]].concat();
        self.place.kubectl(&command).map(drop)
    }

    /// A condition of the network; null where it is not there.
    pub fn condition(&self, kind: &str) -> Result<Value> {
        let network = self.place.json(&["get", "brokernetwork", "mcollective"])?;
        let conditions = network["status"]["conditions"].as_array();
        let found = conditions.and_then(|all| all.iter().find(|one| one["type"] == kind));
        Ok(found.cloned().unwrap_or_default())
    }
}

/// The state of a link on a page.
pub fn link<'a>(page: &'a Value, name: &str) -> &'a Value {
    let links = page["links"].as_array();
    let found = links.and_then(|links| links.iter().find(|link| link["link"] == name));
    found.unwrap_or(&Value::Null)
}

/// A Secret as a document.
pub fn secret(name: &str, values: &[(&str, &str)]) -> String {
    let values: serde_json::Map<String, Value> = values
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).into()))
        .collect();
    serde_json::json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values,
    })
    .to_string()
}

/// A BrokerUser with a password in the Secret `user-NAME`.
pub fn user(name: &str, group: &str) -> String {
    serde_json::json!({
        "apiVersion": "causeway.dev/v1alpha1", "kind": "BrokerUser",
        "metadata": {"name": name},
        "spec": {
            "networkRef": {"name": "mcollective"},
            "groups": [group],
            "credentials": {"type": "Password", "secretRef": {"name": format!("user-{name}")}},
        },
    })
    .to_string()
}
