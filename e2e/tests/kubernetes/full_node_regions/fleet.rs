//! MCollective at every site, as its users run it: servers that connect to the nearest broker, and the `mco` command.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use causeway_e2e::document::MCOLLECTIVE;
use causeway_e2e::kubernetes::Region;
use causeway_e2e::mcollective::{Login, Mco, Node};

use super::{Place, folder};

/// Where each site of the README's network runs.
const SITES: [(&str, Region); 3] = [
    ("ie", Region::Here),
    ("uk", Region::Here),
    ("us", Region::There),
];

/// A node at every site, and a ping from every site that all of them answer once.
pub fn everybody_finds_everybody(place: &Place, password: &str) -> Result<()> {
    let mut nodes = Vec::new();
    let mut clients = Vec::new();
    for (site, region) in SITES {
        let cluster = place.cluster(region);
        let service = format!("mcollective--{site}-stomp");
        let address = cluster.service_address(place.namespace, &service)?;
        let login = Login {
            address: (address, 61613).into(),
            user: MCOLLECTIVE,
            password,
        };
        let (node, client) = cluster.inside(|| {
            let name = format!("{site}1.example.com");
            let node = Node::start(folder(place), &name, &login, &[("country", site)])?;
            Ok((
                node,
                Mco::new(folder(place), &format!("client-{site}"), &login)?,
            ))
        })?;
        nodes.push(node);
        clients.push((site, region, client));
    }
    let names: BTreeSet<String> = nodes.iter().map(|node| node.identity.clone()).collect();
    let logs = || nodes.iter().map(Node::log).collect::<String>();
    for (site, region, client) in &clients {
        let found = place.cluster(*region).inside(|| {
            client.wait_for(names.len())?;
            client.ping()
        });
        let found = found.with_context(logs)?;
        ensure!(found == names, "from {site}: {found:?}\n{}", logs());
        println!("mco ping at {site}: {found:?}");
    }
    Ok(())
}
