//! Configurations for the tests.

use std::time::Duration;

use crate::mesh::config::{Address, Claim, LinkConfig, MeshConfig, Secret, Secrets};
use crate::mesh::ids::{Epoch, Instance, Sid};

pub(super) const NETWORK: &str = "net";

/// A link of a test: its name is made of both sites; the first one dials.
pub(super) fn link(name: &str, peer: &str, dials: bool) -> LinkConfig {
    LinkConfig {
        name: name.to_owned(),
        peer: peer.to_owned(),
        cost: 10,
        addresses: if dials {
            vec![Address {
                host: peer.to_owned(),
                port: 1,
            }]
        } else {
            Vec::new()
        },
        heartbeat: Duration::from_secs(1),
        user: "link".to_owned(),
        secrets: Secrets {
            current: Some(Secret::new(b"a long shared secret")),
            previous: None,
        },
    }
}

pub(super) fn config(site: &str, sites: &[&str], links: Vec<LinkConfig>) -> MeshConfig {
    let mut config = MeshConfig::new(NETWORK, site);
    config.sites = sites
        .iter()
        .map(|name| ((*name).to_owned(), Sid::from_name(name)))
        .collect();
    config.links = links;
    config.timing.probe = Duration::ZERO;
    config
}

pub(super) fn claim(byte: u8, since: u64) -> Claim {
    Claim {
        instance: Instance([byte; 16]),
        since: Epoch(since),
    }
}
