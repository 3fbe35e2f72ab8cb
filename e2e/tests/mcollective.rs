//! The real MCollective works from any site: discovery, RPC, inventory, direct addressing, fact
//! filters.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use anyhow::{Context, Result, ensure};
use causeway_e2e::document::{Document, MCOLLECTIVE, Shape};
use causeway_e2e::mcollective::{Login, Mco, Node};
use causeway_e2e::network::Network;

struct Fleet {
    network: Network,
    nodes: Vec<Node>,
    clients: Vec<Mco>,
}

impl Fleet {
    /// Two nodes and one client at every site; all nodes answer when it returns.
    fn start(shape: Shape, sites: &[&str]) -> Result<Self> {
        let network = Network::up(Document::new(shape, sites))?;
        let (mut nodes, mut clients) = (Vec::new(), Vec::new());
        for site in sites {
            let login = Login {
                address: (Ipv4Addr::LOCALHOST, network.port(site)?).into(),
                user: MCOLLECTIVE,
                password: network.document.password(MCOLLECTIVE),
            };
            for (name, role) in [(node(site, 1), "web"), (node(site, 2), "db")] {
                let facts = [("country", *site), ("role", role)];
                nodes.push(Node::start(network.folder(), &name, &login, &facts)?);
            }
            let client = Mco::new(network.folder(), &format!("client-{site}"), &login)?;
            clients.push(client);
        }
        let fleet = Self {
            network,
            nodes,
            clients,
        };
        fleet.clients[0]
            .wait_for(fleet.nodes.len())
            .with_context(|| fleet.node_logs())?;
        Ok(fleet)
    }

    fn names(&self) -> BTreeSet<String> {
        self.nodes
            .iter()
            .map(|node| node.identity.clone())
            .collect()
    }

    fn node_logs(&self) -> String {
        self.nodes
            .iter()
            .map(|node| format!("{}:\n{}\n", node.identity, node.log()))
            .collect()
    }
}

fn node(site: &str, number: u8) -> String {
    format!("{site}{number}.example.com")
}

fn senders(replies: &[(String, serde_json::Value)]) -> BTreeSet<String> {
    replies.iter().map(|(sender, _)| sender.clone()).collect()
}

fn everything_works(shape: Shape, sites: &[&str]) -> Result<()> {
    let fleet = Fleet::start(shape, sites)?;
    for (at, site) in sites.iter().enumerate() {
        let far = sites[(at + sites.len() - 1) % sites.len()];
        works_from(&fleet, at, far).with_context(|| format!("{shape:?}, client at {site}"))?;
    }
    drop(fleet.nodes);
    fleet.network.stop()
}

fn works_from(fleet: &Fleet, at: usize, far: &str) -> Result<()> {
    let (client, all) = (&fleet.clients[at], fleet.names());
    let answered = client.ping()?;
    ensure!(answered == all, "ping: {answered:?} instead of {all:?}");

    let replies = client.rpc(&["rpcutil", "ping"])?;
    ensure!(
        senders(&replies) == all && replies.len() == all.len(),
        "rpcutil ping: {replies:?}"
    );

    let target = node(far, 2);
    let inventory = client.run(&["inventory", &target])?.success("inventory")?;
    let fact = format!("country => {far}");
    for expected in [target.as_str(), "rpcutil", &fact] {
        ensure!(
            inventory.stdout.contains(expected),
            "inventory without {expected}: {}",
            inventory.output()
        );
    }

    let direct = client.rpc(&["rpcutil", "ping", "-I", &target])?;
    ensure!(
        direct.len() == 1 && direct[0].0 == target,
        "addressed {target}, answers: {direct:?}"
    );

    let here = BTreeSet::from([node(far, 1), node(far, 2)]);
    let country = format!("country={far}");
    let found = client.find(&["-F", &country])?;
    ensure!(found == here, "find {country}: {found:?}");
    let one = client.rpc(&["rpcutil", "ping", "-F", &country, "-F", "role=web"])?;
    ensure!(
        senders(&one) == BTreeSet::from([node(far, 1)]),
        "filter by two facts: {one:?}"
    );
    println!("{} of {} nodes answered", answered.len(), all.len());
    Ok(())
}

#[test]
fn mcollective_works_from_every_site_of_a_chain_of_three_countries() -> Result<()> {
    everything_works(Shape::Chain, &["ie", "uk", "us"])
}

#[test]
fn mcollective_works_from_every_site_of_a_ring_of_four() -> Result<()> {
    everything_works(Shape::Ring, &["ie", "uk", "us", "de"])
}

#[test]
fn mcollective_works_from_every_site_of_a_full_mesh_of_four() -> Result<()> {
    everything_works(Shape::Mesh, &["ie", "uk", "us", "de"])
}
