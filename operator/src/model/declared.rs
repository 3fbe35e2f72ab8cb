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
    /// Secrets by name: bytes by key.
    pub secrets: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    /// Names of Secrets that are there and cannot be read, about which enough has been said.
    pub unreadable: BTreeSet<String>,
    /// ConfigMaps by name: bytes by key.
    pub config_maps: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
}

impl Declared {
    /// Name of the network.
    #[must_use]
    pub fn name(&self) -> &str {
        self.network.metadata.name.as_deref().unwrap_or_default()
    }
}
