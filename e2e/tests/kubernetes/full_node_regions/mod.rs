//! Two regions, each with an operator of its own in a pod: what the README and the page about installing say is what is
//! run, in namespaces that take only pods of the restricted profile.

mod declared;
mod fleet;
mod observed;
mod order;
mod rotation;
mod surface;
mod upgrade;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use causeway_e2e::kubernetes::{Cluster, Region, Regions};
use causeway_e2e::pages::{self, Command};
use causeway_e2e::process::Folder;
use causeway_e2e::wait;
use serde_json::Value;

/// Where the README's operator is installed.
const README: &str = "readme";
/// Where commands are run that install it.
const INSTALL: &str = "docs/install.md";
/// Everything is up within seconds; five times that.
const UP: Duration = Duration::from_secs(120);

/// Whether the README's operator is there, and with it the definitions.
static IS_INSTALLED: Mutex<bool> = Mutex::new(false);

/// A namespace of one test in both regions, and a folder where its commands are typed.
pub struct Place {
    pub regions: Arc<Regions>,
    pub namespace: &'static str,
    pub folder: Folder,
}

impl Place {
    /// Makes one, where the README's operator is installed in another namespace.
    pub fn new(namespace: &'static str) -> Result<Self> {
        let mut is_installed = IS_INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        if !*is_installed {
            let place = Self::make(README)?;
            let commands = readme()?;
            place.in_both(commands.first().context("no command")?)?;
            *is_installed = true;
        }
        match namespace {
            README => Self::at(README),
            other => Self::make(other),
        }
    }

    /// The same with an operator of its own, as the page about installing says for a second one in a cluster.
    pub fn with_operator(namespace: &'static str, values: &str) -> Result<Self> {
        Self::claiming(namespace, "{ie,uk}", values)
    }

    /// The same with other sites here.
    pub fn claiming(namespace: &'static str, sites: &str, values: &str) -> Result<Self> {
        let place = Self::new(namespace)?;
        let commands = pages::commands(INSTALL, "helm install")?;
        let install = commands.first().context("no command")?;
        let own = install.text.replace(
            "--namespace causeway",
            &format!("--namespace {}", place.namespace),
        );
        let more = format!("--set crds.install=false {values}");
        let command = Command {
            text: own
                .replacen("--set", &format!("{more} --set"), 1)
                .replace("{ie,uk}", sites),
            comment: install.comment.clone(),
        };
        place.in_both(&command)?;
        Ok(place)
    }

    fn at(namespace: &'static str) -> Result<Self> {
        let folder = Folder::new()?;
        for name in ["charts", "deploy"] {
            std::os::unix::fs::symlink(pages::source(name), folder.path().join(name))?;
        }
        Ok(Self {
            regions: Regions::shared()?,
            namespace,
            folder,
        })
    }

    fn make(namespace: &'static str) -> Result<Self> {
        let place = Self::at(namespace)?;
        for (_, cluster) in place.regions.both() {
            cluster.kubectl(&["create", "namespace", namespace])?;
            let enforce = "pod-security.kubernetes.io/enforce=restricted";
            cluster.kubectl(&["label", "namespace", namespace, enforce])?;
        }
        Ok(place)
    }

    pub fn cluster(&self, region: Region) -> &Cluster {
        self.regions.cluster(region)
    }

    /// Types a command line in a region and returns what it prints.
    pub fn shell(&self, region: Region, command: &str) -> Result<String> {
        self.cluster(region)
            .shell(self.folder.path(), self.namespace, command)
    }

    /// Runs a command of a page in both regions, in each as the page says.
    pub fn in_both(&self, command: &Command) -> Result<[String; 2]> {
        let here = self.shell(Region::Here, &command.text)?;
        let there = self.shell(Region::There, &command.elsewhere())?;
        Ok([here, there])
    }

    /// `kubectl` in the namespace of the test.
    pub fn kubectl(&self, region: Region, arguments: &[&str]) -> Result<String> {
        let mut all = vec!["--namespace", self.namespace];
        all.extend_from_slice(arguments);
        self.cluster(region).kubectl(&all)
    }

    pub fn json(&self, region: Region, arguments: &[&str]) -> Result<Value> {
        let mut all = arguments.to_vec();
        all.push("--output=json");
        Ok(serde_json::from_str(&self.kubectl(region, &all)?)?)
    }

    pub fn network(&self, region: Region, name: &str) -> Result<Value> {
        self.json(region, &["get", "brokernetwork", name])
    }

    /// Names of the objects of a kind that the operator made.
    pub fn made(&self, region: Region, kind: &str) -> Result<Vec<String>> {
        let selector = "--selector=app.kubernetes.io/managed-by=causeway-operator";
        let list = self.json(region, &["get", kind, selector])?;
        let items = list["items"].as_array().into_iter().flatten();
        let names = items.filter_map(|item| item["metadata"]["name"].as_str());
        Ok(names.map(str::to_owned).collect())
    }

    /// Gives the names that others dial the addresses that the load balancers of the links got.
    pub fn name_endpoints(&self, network: &str, sites: &[(&str, Region, &str)]) -> Result<()> {
        for (site, region, host) in sites {
            let address = self.link_address(network, site, *region)?;
            for (_, cluster) in self.regions.both() {
                cluster.resolve(host, address)?;
            }
        }
        Ok(())
    }

    pub fn link_address(
        &self,
        network: &str,
        site: &str,
        region: Region,
    ) -> Result<std::net::Ipv4Addr> {
        let service = format!("{network}--{site}-link");
        let found = wait::until("a link Service", UP, || {
            let cluster = self.cluster(region);
            Ok(cluster.balanced_address(self.namespace, &service).ok())
        });
        found.with_context(|| self.explain())
    }

    /// Waits until both regions say so.
    pub fn wait_for(
        &self,
        network: &str,
        what: &str,
        patience: Duration,
        holds: impl Fn(&Value) -> bool,
    ) -> Result<Duration> {
        let started = Instant::now();
        let found = wait::until(what, patience, || {
            for region in [Region::Here, Region::There] {
                if !holds(&self.network(region, network)?) {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        });
        found.with_context(|| self.explain())?;
        Ok(started.elapsed())
    }

    /// Waits until every link is up, as both regions see it, and what is declared runs.
    pub fn wait_up(&self, network: &str) -> Result<Duration> {
        let kinds = ["Ready", "ConfigApplied", "LinksUp", "PeersInSync"];
        let holds = |object: &Value| kinds.iter().all(|kind| is_true(object, kind));
        self.wait_for(network, "every link to be up", UP, holds)
    }

    /// What there is to know when something went wrong.
    pub fn explain(&self) -> String {
        let commands = [
            vec!["get", "brokernetworks", "--output=yaml"],
            vec!["get", "pods,services"],
            vec!["logs", "deployment/causeway", "--tail=60"],
        ];
        let mut text = String::new();
        for region in [Region::Here, Region::There] {
            for command in &commands {
                let told = self.kubectl(region, command);
                let told = told.unwrap_or_else(|error| format!("{error:#}"));
                text.push_str(&format!("{region:?} {}:\n{told}\n", command.join(" ")));
            }
        }
        text
    }
}

/// The README's commands for Kubernetes.
fn readme() -> Result<Vec<Command>> {
    pages::commands("README.md", "helm install")
}

/// A condition of an object.
pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    let mut conditions = object["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten();
    conditions.find(|condition| condition["type"] == kind)
}

/// Whether a condition holds, and is about what is declared now.
pub fn is_true(object: &Value, kind: &str) -> bool {
    condition(object, kind).is_some_and(|condition| {
        condition["status"] == "True"
            && condition["observedGeneration"] == object["metadata"]["generation"]
    })
}

#[test]
fn the_readmes_commands_make_one_network_of_two_regions() -> Result<()> {
    let place = Place::new(README)?;
    let [_, apply, get] = &readme()?[..] else {
        anyhow::bail!("the README has other commands");
    };
    place.in_both(apply)?;
    let sites = [
        ("ie", Region::Here, "amq.ie.example.com"),
        ("uk", Region::Here, "amq.uk.example.com"),
        ("us", Region::There, "amq.us.example.com"),
    ];
    place.name_endpoints("mcollective", &sites)?;
    let up = place.wait_up("mcollective")?;
    println!("every link is up {up:?} after its address was known");
    for (region, expected) in [
        (
            Region::Here,
            &["mcollective--ie", "mcollective--uk"] as &[&str],
        ),
        (Region::There, &["mcollective--us"]),
    ] {
        let made = place.made(region, "deployments")?;
        ensure!(made == expected, "{region:?}: {made:?}");
    }
    for text in place.in_both(get)? {
        println!("{text}");
    }
    fleet::everybody_finds_everybody(&place, super::brokers::PASSWORD)
}

/// The folder of a place, for what is written there.
pub fn folder(place: &Place) -> &Path {
    place.folder.path()
}
