//! What was written about one network, gathered from wherever it was kept.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::{BrokerNetwork, BrokerUserSpec};

/// One network with its users, and the Secrets and ConfigMaps that may be named.
#[derive(Debug, Clone)]
pub struct Declared {
    /// The network.
    pub network: BrokerNetwork,
    /// Its users by the name of their object.
    pub users: BTreeMap<String, BrokerUserSpec>,
    /// The annotations of users, by the name of their object; those that have none may be left out.
    pub annotations: BTreeMap<String, BTreeMap<String, String>>,
    /// The sites that run here; absent: all of them, as with files.
    pub local_sites: Option<BTreeSet<String>>,
    /// Secrets by name: bytes by key.
    pub secrets: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    /// Names of Secrets that are there and cannot be read, about which enough has been said.
    pub unreadable: BTreeSet<String>,
    /// Secrets and ConfigMaps of links and certificates that the API server does not give, as "Kind name", with its words.
    pub unread: BTreeMap<String, String>,
    /// Secrets of the names of generated ones that somebody else claims: whose they are, in words. What they hold is among
    /// `secrets` only where it was made here.
    pub foreign: BTreeMap<String, String>,
    /// ConfigMaps by name: bytes by key.
    pub config_maps: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
}

impl Declared {
    /// Whether a site runs here.
    #[must_use]
    pub fn is_local(&self, site: &str) -> bool {
        self.local_sites
            .as_ref()
            .is_none_or(|local| local.contains(site))
    }

    /// Name of the network.
    #[must_use]
    pub fn name(&self) -> &str {
        self.network.metadata.name.as_deref().unwrap_or_default()
    }
}
