//! A newer operator restarts no broker and writes nothing; a newer image of brokers is rolled out one site at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use causeway_e2e::client::Client;
use causeway_e2e::document::MCOLLECTIVE;
use causeway_e2e::kubernetes::{BROKER_IMAGE, OPERATOR_IMAGE, Region};
use causeway_e2e::wait;
use serde_json::Value;

use super::super::brokers::PASSWORD;
use super::super::countries;
use super::{Place, UP, is_true};

const HERE: Region = Region::Here;
const TOPIC: &str = "/topic/mcollective.upgraded";
const QUEUE: &str = "/queue/mcollective.upgraded";
/// Messages that wait for their only consumer.
const WAITING: usize = 50;
const KINDS: &str =
    "pods,deployments,services,secrets,serviceaccounts,networkpolicies,poddisruptionbudgets";
/// A new operator looks at everything at once; whatever it would write it writes by then.
const QUIET: Duration = Duration::from_secs(10);

/// The sites ie and uk of the README's network, under an operator of their own.
struct Upgrade {
    place: Place,
}

impl Upgrade {
    fn start() -> Result<Self> {
        let place = Place::with_operator("upgraded", "")?;
        // Only what runs in this region.
        let documents = countries()?
            .replace(".example.com", ".upgraded.example.com")
            .replace("    - {name: us,", "    - {name: us, mode: Stopped,");
        let here = format!("--namespace={}", place.namespace);
        place.cluster(HERE).apply(&documents, &[&here])?;
        let upgrade = Self { place };
        upgrade.wait_ready()?;
        Ok(upgrade)
    }

    fn wait_ready(&self) -> Result<()> {
        let ready = wait::until("the network to be ready", UP, || {
            let network = self.place.network(HERE, "mcollective")?;
            Ok((is_true(&network, "Ready") && is_true(&network, "ConfigApplied")).then_some(()))
        });
        ready.with_context(|| self.place.explain())
    }

    /// Version of every object of the network, and of the network itself.
    fn versions(&self) -> Result<BTreeMap<String, String>> {
        let selector = "--selector=causeway.dev/network=mcollective";
        let mut all = self.place.json(HERE, &["get", KINDS, selector])?;
        let mut items = all["items"].as_array_mut().context("no items")?.clone();
        items.push(self.place.network(HERE, "mcollective")?);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let version = |item: &Value| {
            let metadata = &item["metadata"];
            let name = format!("{} {}", text(&item["kind"]), text(&metadata["name"]));
            (name, text(&metadata["resourceVersion"]))
        };
        Ok(items.iter().map(version).collect())
    }

    /// `helm upgrade` to images of the same code under other names, until the new operator leads.
    fn upgrade(&self, values: &str) -> Result<()> {
        let command = format!(
            "helm upgrade causeway charts/causeway --namespace {} --reuse-values {values} --wait",
            self.place.namespace
        );
        self.place.shell(HERE, &command)?;
        let led = wait::until("the new operator to lead", UP, || {
            let pods = self.place.json(
                HERE,
                &["get", "pods", "--selector=app.kubernetes.io/name=causeway"],
            )?;
            let lease = self.place.json(HERE, &["get", "lease", "causeway"])?;
            let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
            let items = pods["items"].as_array().context("no pods")?;
            let [only] = &items[..] else { return Ok(None) };
            let logs = self.place.kubectl(HERE, &["logs", "deployment/causeway"])?;
            let name = only["metadata"]["name"].as_str().unwrap_or_default();
            Ok((logs.contains("leading") && !holder.is_empty()).then(|| name.to_owned()))
        });
        println!("{} leads", led.with_context(|| self.place.explain())?);
        std::thread::sleep(QUIET);
        Ok(())
    }

    /// What the operator's account has changed, beside its lease.
    fn writes(&self) -> Result<Vec<String>> {
        let requests = self
            .place
            .cluster(HERE)
            .requests_of(self.place.namespace, "causeway")?;
        let writes = requests.iter().filter(|one| one.is_write());
        let others = writes.filter(|one| one.resource != "coordination.k8s.io/leases");
        Ok(others
            .map(|one| format!("{} {} {}", one.verb, one.resource, one.name))
            .collect())
    }

    fn connect(&self, site: &str) -> Result<Client> {
        let cluster = self.place.cluster(HERE);
        let service = format!("mcollective--{site}-stomp");
        let address = cluster.service_address(self.place.namespace, &service)?;
        cluster.inside(|| Client::connect_to((address, 61613).into(), MCOLLECTIVE, PASSWORD))
    }

    /// Changes the image of all brokers and looks, until they have it, how many sites are down at a time.
    fn roll(&self, patch: &str) -> Result<usize> {
        let arguments = [
            "patch",
            "brokernetwork",
            "mcollective",
            "--type=merge",
            "--patch",
            patch,
        ];
        self.place.kubectl(HERE, &arguments)?;
        let mut most = 0;
        wait::until("both sites to run the new image", UP, || {
            let list = self.place.json(
                HERE,
                &["get", "deployments", "--selector=causeway.dev/network"],
            )?;
            let items = list["items"].as_array().context("no Deployments")?;
            let is_down =
                |one: &&Value| one["status"]["availableReplicas"].as_i64().unwrap_or(0) == 0;
            let down = items.iter().filter(is_down).count();
            most = most.max(down);
            let is_new = |one: &Value| {
                let image = &one["spec"]["template"]["spec"]["containers"][0]["image"];
                let is_whole =
                    one["status"]["updatedReplicas"] == 1 && one["status"]["replicas"] == 1;
                is_whole && image.as_str().is_some_and(|image| image.ends_with(":next"))
            };
            Ok((down == 0 && items.iter().all(is_new)).then_some(most))
        })
        .with_context(|| self.place.explain())
    }
}

#[test]
fn a_newer_operator_writes_nothing_and_a_newer_broker_comes_one_site_at_a_time() -> Result<()> {
    let upgrade = Upgrade::start()?;
    let cluster = upgrade.place.cluster(HERE);
    for (image, name) in [
        (OPERATOR_IMAGE, "docker.io/causeway/causeway:next"),
        (BROKER_IMAGE, "docker.io/causeway/causeway-broker:next"),
    ] {
        cluster.name_image(image, name)?;
    }
    std::thread::sleep(QUIET);
    let (before, written) = (upgrade.versions()?, upgrade.writes()?);
    upgrade.upgrade("--set image.tag=next")?;
    let (after, now) = (upgrade.versions()?, upgrade.writes()?);
    ensure!(now == written, "written: {:?}", &now[written.len()..]);
    ensure!(after == before, "{after:#?} were {before:#?}");
    println!("{} objects have the versions that they had", after.len());
    // Another default image of brokers waits for the next change that restarts.
    upgrade.upgrade("--set broker.image.tag=next")?;
    let after = upgrade.versions()?;
    let changed: Vec<_> = before
        .iter()
        .filter(|(name, version)| after.get(*name) != Some(version))
        .collect();
    let is_told = changed
        .iter()
        .all(|(name, _)| *name == "BrokerNetwork mcollective");
    ensure!(is_told, "changed: {changed:?}");
    let network = upgrade.place.network(HERE, "mcollective")?;
    let pending = &network["status"]["sites"][0]["restartPending"];
    ensure!(pending[0] == "Image", "{pending}");
    upgrade.brokers_are_rolled()
}

impl Upgrade {
    /// One site at a time: its clients are told to go before it ends, and what waits in its queues goes where somebody
    /// wants it.
    fn brokers_are_rolled(&self) -> Result<()> {
        let mut clients = [self.connect("ie")?, self.connect("uk")?];
        for client in &mut clients {
            client.subscribe("1", TOPIC, &[])?;
        }
        let mut consumer = self.waiting_messages()?;
        let patch = r#"{"spec":{"image":{"repository":"causeway/causeway-broker","tag":"next"}}}"#;
        let (most, taken) = std::thread::scope(|scope| {
            let roll = scope.spawn(|| self.roll(patch));
            let taken = self.take_once_ie_stops(&mut consumer);
            (roll.join(), taken)
        });
        let most = most.map_err(|_| anyhow!("the look at Deployments panicked"))??;
        ensure!(taken? == WAITING, "messages were lost");
        ensure!(most == 1, "{most} sites were down at a time");
        for client in &mut clients {
            client.expect_close(wait::PATIENCE)?;
        }
        self.wait_ready()?;
        println!(
            "both sites run the new image, one was down at a time, {WAITING} messages went over"
        );
        Ok(())
    }

    /// Messages in a queue at ie, and their consumer at uk that has taken one and has no room for more.
    fn waiting_messages(&self) -> Result<Client> {
        let mut consumer = self.connect("uk")?;
        let one = [("ack", "client-individual"), ("activemq.prefetchSize", "1")];
        consumer.subscribe("1", QUEUE, &one)?;
        let mut producer = self.connect("ie")?;
        for number in 0..WAITING {
            producer.send_with_receipt(QUEUE, &[], &number.to_string())?;
        }
        producer.disconnect()?;
        Ok(consumer)
    }

    /// Takes all of them once ie is on its way out, and counts them.
    fn take_once_ie_stops(&self, consumer: &mut Client) -> Result<usize> {
        let first = consumer.message()?;
        wait::until("ie to stop", UP, || {
            let ie = self
                .place
                .json(HERE, &["get", "deployment", "mcollective--ie"])?;
            let available = ie["status"]["availableReplicas"].as_i64().unwrap_or(0);
            Ok((available == 0).then_some(()))
        })?;
        let mut numbers = BTreeSet::from([first.text().to_owned()]);
        consumer.acknowledge(&first)?;
        while numbers.len() < WAITING {
            let message = consumer.message()?;
            consumer.acknowledge(&message)?;
            ensure!(
                numbers.insert(message.text().to_owned()),
                "twice: {}",
                message.text()
            );
        }
        Ok(numbers.len())
    }
}
