//! What the operator reads is older than what is there.

use anyhow::{Context, Result, ensure};
use causeway_e2e::kubernetes::Operator;
use causeway_e2e::wait;
use serde_json::Value;

use super::super::operator::OF_IE;
use super::{Behind, countries, nothing_is_left_to_do, wait_made, without_ie};

impl Behind {
    fn networks(&self) -> String {
        let namespace = self.place.namespace;
        format!("/apis/causeway.dev/v1alpha1/namespaces/{namespace}/brokernetworks")
    }

    /// Lets who lists what is at a path through the proxy see it as it is now, for ever. Who asks for one object sees it as
    /// it will be: such a question goes to the store behind the API server and not to a cache.
    fn freeze(&self, paths: &[String]) -> Result<()> {
        for path in paths {
            // Lists begin with limit= or labelSelector=, a question for one object with fieldSelector=.
            self.proxy.freeze(&format!("GET {path}?&l"));
            self.proxy.lose_events(&format!("WATCH {path}"), "/");
        }
        // One that runs no site here lists everything, and its lists are those that are kept.
        let first = self.launch("elsewhere", &[])?;
        first.wait_ready()?;
        wait::until("every list", wait::PATIENCE, || {
            let requests = self.proxy.requests_since(0);
            let is_listed = |path: &String| {
                let list = format!("{path}?&l");
                let mut lists = requests.iter();
                lists.any(|one| one.path.starts_with(&list) && one.status == Some(200))
            };
            Ok(paths.iter().all(is_listed).then_some(()))
        })?;
        first.stop()
    }

    /// Lets an operator with nothing between it and the API server do what there is to do.
    fn settle(&self, sites: &str) -> Result<()> {
        let operator = Operator::start(self.cluster(), sites, self.place.namespace)?;
        wait_made(&self.place, &operator, sites)?;
        operator.stop()
    }

    fn uid_of_deployment(&self) -> Result<Value> {
        let object = self.place.json(&["get", "deployment", "mcollective--ie"])?;
        Ok(object["metadata"]["uid"].clone())
    }
}

/// O3: an operator that reads the network as it was before a site came removes nothing of that site: it looks at the
/// network itself first.
#[test]
fn a_network_that_is_read_as_it_was_costs_no_site() -> Result<()> {
    let behind = Behind::new("rule-stale-network")?;
    behind.place.apply(&without_ie()?)?;
    behind.freeze(&[behind.networks()])?;
    behind.place.apply(&countries()?)?;
    behind.settle("ie,uk")?;
    let (names, uid) = (behind.place.names()?, behind.uid_of_deployment()?);
    let stale = behind.operate("ie,uk")?;
    ensure!(behind.place.names()? == names, "{}", stale.log());
    ensure!(behind.uid_of_deployment()? == uid, "made anew");
    wait::until("it to notice", wait::PATIENCE, || {
        let log = stale.log();
        Ok(log.contains("changed meanwhile").then_some(()))
    })
    .with_context(|| stale.log())?;
    behind.proxy.heal();
    behind.proxy.refuse("WATCH ", 410, 1);
    behind.proxy.close_watches();
    stale.wait_settled()?;
    ensure!(behind.place.names()? == names, "{}", stale.log());
    stale.stop()?;
    nothing_is_left_to_do(&behind.place, "ie,uk")
}

/// O3: an operator that reads of no object though all are there makes none anew and changes none.
#[test]
fn objects_that_are_not_read_are_not_made_twice() -> Result<()> {
    let behind = Behind::new("rule-stale-objects")?;
    let namespace = behind.place.namespace;
    let paths = [
        ("/api/v1", "services"),
        ("/api/v1", "serviceaccounts"),
        ("/api/v1", "secrets"),
        ("/apis/apps/v1", "deployments"),
        ("/apis/networking.k8s.io/v1", "networkpolicies"),
        ("/apis/policy/v1", "poddisruptionbudgets"),
    ];
    let paths = paths.map(|(group, plural)| format!("{group}/namespaces/{namespace}/{plural}"));
    behind.freeze(&paths)?;
    behind.settle("ie")?;
    let made = behind.place.made()?;
    let mark = behind.proxy.recorded();
    let stale = behind.launch("ie", &[])?;
    stale.wait_ready()?;
    std::thread::sleep(std::time::Duration::from_secs(3));
    let after = behind.place.made()?;
    ensure!(after == made, "{after:#?} were {made:#?}\n{}", stale.log());
    let tried = behind.proxy.writes_since(mark);
    println!("it tried {} writes", tried.len());
    ensure!((1..20).contains(&tried.len()), "{tried:#?}");
    stale.stop()
}

/// O3: an operator that knows of a network that was removed, and made again by the same name, touches nothing of the new
/// one.
#[test]
fn an_earlier_network_of_the_name_touches_nothing_of_the_new_one() -> Result<()> {
    let behind = Behind::new("rule-stale-uid")?;
    behind.freeze(&[behind.networks()])?;
    let network = ["delete", "brokernetwork", "mcollective"];
    behind.place.kubectl(&network)?;
    behind.place.apply(&countries()?)?;
    behind.settle("ie")?;
    let made = behind.place.made()?;
    ensure!(made.keys().eq(OF_IE), "{made:#?}");
    let object = || behind.place.json(&["get", "brokernetwork", "mcollective"]);
    let before = object()?;
    let stale = behind.launch("ie", &[])?;
    stale.wait_ready()?;
    std::thread::sleep(std::time::Duration::from_secs(3));
    let after = behind.place.made()?;
    ensure!(after == made, "{after:#?} were {made:#?}\n{}", stale.log());
    ensure!(object()?["status"] == before["status"], "{}", stale.log());
    stale.stop()
}
