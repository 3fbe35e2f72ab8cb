//! What the object says of itself: old status and what is observed become the new status and Events.
//!
//! The old status is the only memory: since when something differs, is awaited or is declared in vain stands in it, so
//! that an operator that starts anew goes on where the last one ended. Until a broker has been asked what is stored of
//! it stands (P16).

mod applied;
pub(crate) mod clock;
pub(crate) mod conditions;
mod degraded;
pub(crate) mod events;
pub(crate) mod facts;
mod links;
mod linksup;
mod peers;
mod ready;
mod reconciling;
mod sites;
pub(crate) mod stalled;
mod tls;
mod urgency;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use self::facts::Facts;
use crate::api::BrokerNetwork;
use crate::api::status::{BrokerNetworkStatus, LinkState, OperatorStatus, SiteState, Summary};
use crate::finding::Finding;
use crate::model::ValidNetwork;
use crate::model::observed::{Observed, Outcome};
use crate::model::plan::Plan;
use crate::names::SiteName;

pub use self::events::{About, Note, restored};

/// What a status is computed from.
pub struct Inputs<'a> {
    /// Now.
    pub now: Timestamp,
    /// The object with its old status.
    pub network: &'a BrokerNetwork,
    /// The sites of the spec that this operator claims.
    pub local: &'a BTreeSet<SiteName>,
    /// Who writes it.
    pub operator: &'a OperatorStatus,
    /// The network; nothing where it is not valid.
    pub valid: Option<&'a ValidNetwork>,
    /// Errors, where it is not valid or users are wrong, and warnings.
    pub findings: &'a [Finding],
    /// The users that concern this cluster.
    pub users: &'a Users,
    /// What may happen now.
    pub plan: Option<&'a Plan>,
    /// Hash of the files that each local site should run.
    pub config_hashes: &'a BTreeMap<SiteName, String>,
    /// What is there.
    pub observed: &'a Observed,
    /// What became of what was written.
    pub outcome: &'a Outcome,
}

/// The users that concern a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Users {
    /// How many the brokers' files hold.
    pub served: usize,
    /// How many there should be.
    pub declared: usize,
    /// The objects of those that are wrong and still let in with what was in force.
    pub kept: BTreeSet<String>,
    /// The objects of those that are wrong and let in by nobody.
    pub left_out: BTreeSet<String>,
}

/// A status.
#[derive(Debug, Clone, PartialEq)]
pub struct Computed {
    /// The new status.
    pub status: BrokerNetworkStatus,
    /// What is to be told, once.
    pub events: Vec<Note>,
    /// After this time an age passes that changes the status, if nothing else happens.
    pub next: Option<Duration>,
    /// It differs from the old one in more than times and figures.
    pub is_urgent: bool,
}

/// Computes a status.
#[must_use]
pub fn compute(inputs: &Inputs<'_>) -> Computed {
    let old = inputs.network.status.clone().unwrap_or_default();
    let facts = Facts::new(inputs, &old);
    let outcome = inputs.outcome;
    let mut status = match outcome.is_blind() {
        true => conditions::unread(&facts),
        false => observed(&facts),
    };
    let is_urgent = urgency::is_urgent(&old, &status);
    if !is_urgent && old.operator.is_some() {
        // Another version of the operator is no reason to write, so it must not be one later on.
        status.operator.clone_from(&old.operator);
    }
    Computed {
        events: events::between(&old, &status),
        next: facts.clock.next(),
        is_urgent,
        status,
    }
}

fn observed(facts: &Facts<'_>) -> BrokerNetworkStatus {
    let (inputs, old) = (facts.inputs, facts.old);
    let sites = sites::rows(facts);
    let links = links::rows(facts);
    let mut status = BrokerNetworkStatus {
        observed_generation: inputs.network.metadata.generation,
        spec_hash: match inputs.valid {
            Some(valid) => Some(valid.spec_hash.clone()),
            None => old.spec_hash.clone(),
        },
        users_hash: match inputs.valid {
            Some(valid) => Some(valid.users_hash.clone()),
            None => old.users_hash.clone(),
        },
        operator: Some(inputs.operator.clone()),
        local_sites: Some(inputs.local.iter().map(ToString::to_string).collect()),
        summary: None,
        sites: Some(sites),
        links: Some(links),
        conditions: None,
    };
    status.summary = Some(summary(facts, &status));
    status.conditions = Some(conditions::all(facts, &status));
    status
}

fn summary(facts: &Facts<'_>, status: &BrokerNetworkStatus) -> Summary {
    let sites = status.sites.as_deref().unwrap_or_default();
    let is_well = |state: SiteState| matches!(state, SiteState::Running | SiteState::Stopped);
    let well = sites.iter().filter(|row| is_well(row.state)).count();
    let links = status.links.as_deref().unwrap_or_default().iter();
    let enabled: Vec<LinkState> = links
        .map(|row| row.state)
        .filter(|state| *state != LinkState::Disabled)
        .collect();
    let up = enabled.iter().filter(|state| links::is_up(**state)).count();
    // While the network is not valid its brokers go on with the users they have.
    let Users {
        served, declared, ..
    } = facts.inputs.users;
    let stored = facts.old.summary.as_ref();
    let stored = stored.filter(|_| facts.inputs.valid.is_none());
    let users = stored.map(|stored| stored.users.clone());
    Summary {
        sites: format!("{well}/{}", sites.len()),
        links: format!("{up}/{}", enabled.len()),
        users: users.unwrap_or_else(|| format!("{served}/{declared}")),
    }
}
