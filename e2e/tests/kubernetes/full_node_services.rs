//! Pods and clients find brokers by the names and addresses of Services.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use causeway_e2e::document::MCOLLECTIVE;
use causeway_e2e::kubernetes::{Cluster, Level};
use causeway_e2e::mcollective::{Login, Mco, Node};
use causeway_e2e::process::Folder;

use super::COUNTRIES;
use super::brokers::{PASSWORD, Site};

#[test]
fn a_static_program_in_an_empty_image_finds_a_broker_by_each_of_its_names() -> Result<()> {
    let cluster = Cluster::shared(Level::FullNode)?;
    let site = Site {
        cluster: &cluster,
        namespace: "names",
        name: "ie",
        service: "ClusterIP",
    };
    site.deploy(Path::new(COUNTRIES))?;
    let address = cluster.service_address("names", "broker")?;
    cluster.resolve("amq.names.example.com", address)?;
    let probe = |(pod, host, is_known)| -> Result<()> {
        let url = format!("stomp://{host}:61613");
        let arguments = ["probe", &url, "--user", MCOLLECTIVE];
        let environment = [("CAUSEWAY_PASSWORD", PASSWORD)];
        let probe = cluster.run_command("names", pod, &arguments, &environment)?;
        println!("{host}: {}", probe.stdout.trim());
        let is_found = probe.code == Some(0);
        ensure!(is_found == is_known, "{host}: {}", probe.output());
        Ok(())
    };
    std::thread::scope(|scope| {
        let probes = [
            ("short", "broker", true),
            ("long", "broker.names.svc.cluster.local", true),
            ("declared", "amq.names.example.com", true),
            ("unknown", "other.names.svc", false),
        ]
        .map(|name| scope.spawn(move || probe(name)));
        let mut results = probes.into_iter().map(|one| one.join());
        results.try_for_each(|result| result.ok().context("a probe panicked")?)
    })
}

#[test]
fn mcollective_finds_a_node_through_a_service() -> Result<()> {
    let cluster = Cluster::shared(Level::FullNode)?;
    let site = Site {
        cluster: &cluster,
        namespace: "orchestrated",
        name: "ie",
        service: "ClusterIP",
    };
    site.deploy(Path::new(COUNTRIES))?;
    let address = cluster.service_address("orchestrated", "broker")?;
    let login = Login {
        address: (address, 61613).into(),
        user: MCOLLECTIVE,
        password: PASSWORD,
    };
    let folder = Folder::new()?;
    cluster.inside(|| {
        let node = Node::start(folder.path(), "ie1", &login, &[("country", "ie")])?;
        let mco = Mco::new(folder.path(), "client", &login)?;
        mco.wait_for(1).with_context(|| node.log())
    })
}
