//! The project's images in pods, with containerd, kubelet and kube-proxy.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use causeway_e2e::client::Client;
use causeway_e2e::kubernetes::{Cluster, Level};
use causeway_e2e::process::Folder;
use causeway_e2e::wait;

use super::brokers::Site;
use super::{COUNTRIES, countries};

const TOPIC: &str = "/topic/mcollective.hello";

/// A lost link is dialled again within seconds; five times that.
const RECOVERY: Duration = Duration::from_secs(60);

#[test]
fn a_client_reaches_the_restricted_pod_of_a_broker_through_its_service() -> Result<()> {
    let cluster = Cluster::shared(Level::FullNode)?;
    let site = Site {
        cluster: &cluster,
        namespace: "alone",
        name: "ie",
        service: "ClusterIP",
    };
    site.deploy(Path::new(COUNTRIES))?;
    let mut client = site.connect()?;
    client.subscribe("1", TOPIC, &[])?;
    client.send_with_receipt(TOPIC, &[], "from outside the pod")?;
    let message = client.message()?;
    ensure!(message.text() == "from outside the pod", "{message:?}");
    client.disconnect()
}

/// Publishes until something arrives, and says how long that took.
fn arrives(from: &mut Client, to: &mut Client, what: &str) -> Result<Duration> {
    let started = Instant::now();
    wait::until(what, RECOVERY, || {
        from.send_with_receipt(TOPIC, &[], what)?;
        let message = to.receive(Duration::from_millis(100))?;
        Ok(message.filter(|message| message.text() == what))
    })?;
    Ok(started.elapsed())
}

#[test]
fn two_regions_are_one_network_as_long_as_the_cable_between_them_holds() -> Result<()> {
    let first = Cluster::shared(Level::FullNode)?;
    let second = Cluster::start(Level::FullNode, 1)?;
    let border = first.join(&second)?;
    let site = |cluster, name| Site {
        cluster,
        namespace: "region",
        name,
        service: "LoadBalancer",
    };
    let (ie, uk) = (site(&first, "ie"), site(&second, "uk"));
    // Brokers of other tests must not find these.
    let documents = countries()?.replace(".example.com", ".region.example.com");
    let folder = Folder::new()?;
    let file = folder.path().join("network.yaml");
    std::fs::write(&file, &documents)?;
    // As in two clouds: the addresses are known when the Services are there, and so are the names.
    for (site, other) in [(&ie, &second), (&uk, &first)] {
        let host = format!("amq.{}.region.example.com", site.name);
        ensure!(documents.contains(&host), "no endpoint {host} any more");
        site.cluster.provide_load_balancers(1..=99)?;
        site.deploy(&file)?;
        let address = site.cluster.balanced_address(site.namespace, "broker")?;
        other.resolve(&host, address)?;
    }
    let mut near = ie.connect()?;
    let mut far = uk.connect()?;
    far.subscribe("1", TOPIC, &[])?;
    let explain = || format!("{}\n{}", ie.explain(), uk.explain());
    let time = arrives(&mut near, &mut far, "joined").with_context(explain)?;
    println!("the first message crossed after {time:?}");
    border.cut()?;
    near.send_with_receipt(TOPIC, &[], "lost or late")?;
    let crossed = far.receive(Duration::from_secs(2))?;
    ensure!(crossed.is_none(), "through a cut cable: {crossed:?}");
    border.heal()?;
    let time = arrives(&mut near, &mut far, "healed").with_context(explain)?;
    println!("the first message after the cut crossed after {time:?}");
    far.disconnect()
}
