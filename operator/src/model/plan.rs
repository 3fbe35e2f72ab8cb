//! What may happen now, and what has to wait.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::status::RestartReason;
use crate::names::SiteName;

/// What happens to one local site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SiteAction {
    /// It is made.
    Create,
    /// Whatever changed is applied live; its pod template stays as it is in the cluster.
    Live,
    /// Its broker is restarted.
    Roll(Vec<RestartReason>),
    /// Its broker is restarted when another site is back.
    Wait {
        /// What waits.
        reasons: Vec<RestartReason>,
        /// The site that is restarting, or would be cut off.
        behind: SiteName,
    },
    /// Its broker is stopped, or stays so.
    Stop,
}

/// What may happen now to a network in this cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// What happens to each local site.
    pub sites: BTreeMap<SiteName, SiteAction>,
    /// What only a restart that nobody asked for yet would bring into force.
    pub pending: BTreeMap<SiteName, BTreeSet<RestartReason>>,
    /// Sites that are no longer claimed while their objects are here: they are kept (P17).
    pub held: BTreeSet<String>,
    /// Nothing but the status is written.
    pub is_paused: bool,
}
