//! What an edit of a network changes at each site, and what that costs: nothing, a broker that reads its files again, or a
//! restart.

mod facts;
mod immutable;
mod objects;
mod restart;
mod users;

pub use immutable::refusals;
pub use objects::{ObjectChanges, objects};

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::api::cluster::Strategy;
use crate::api::status::RestartReason;
use crate::model::ValidNetwork;
use crate::model::valid::ValidSite;
use crate::names::SiteName;
use facts::{Fact, Value};

/// What a change asks of a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// It is in force at once, without a restart.
    Live,
    /// The broker is restarted.
    Restart(RestartReason),
    /// No broker acts on it.
    None,
}

impl Class {
    /// Its word in tables.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Restart(_) => "restart",
            Self::None => "none",
        }
    }
}

impl Serialize for Class {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Change {
    /// Its path; members of lists are named by what identifies them.
    pub path: String,
    /// What it was; absent: nothing, or a secret.
    pub before: Option<String>,
    /// What it becomes; absent: nothing, or a secret.
    pub after: Option<String>,
    /// What it asks of the broker.
    pub class: Class,
    /// Why.
    pub reason: &'static str,
}

/// What becomes of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// It is new.
    Created,
    /// It is gone.
    Removed,
    /// It runs again.
    Started,
    /// It is stopped; everything but its pod is kept.
    Stopped,
    /// It was there and is there.
    Kept,
}

/// What changes at a site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SiteChange {
    /// The site.
    pub site: SiteName,
    /// What becomes of it.
    pub fate: Fate,
    /// Why its broker is restarted; empty: it is not.
    pub restarts: Vec<RestartReason>,
    /// How it is restarted, which decides what becomes of what waits there; absent: it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// The fields, in the order of their paths.
    pub changes: Vec<Change>,
}

/// Compares two networks, site by site, in the order of names.
#[must_use]
pub fn compare(old: &ValidNetwork, new: &ValidNetwork) -> Vec<SiteChange> {
    let names: BTreeSet<&SiteName> = old.sites.keys().chain(new.sites.keys()).collect();
    names
        .into_iter()
        .filter_map(|name| site(name, old, new))
        .collect()
}

fn site(name: &SiteName, old: &ValidNetwork, new: &ValidNetwork) -> Option<SiteChange> {
    let bare = |fate| SiteChange {
        site: name.clone(),
        fate,
        restarts: Vec::new(),
        strategy: None,
        changes: Vec::new(),
    };
    let (before, after) = match (old.sites.get(name), new.sites.get(name)) {
        (Some(before), Some(after)) => (before, after),
        (Some(_), None) => return Some(bare(Fate::Removed)),
        (None, Some(_)) => return Some(bare(Fate::Created)),
        (None, None) => return None,
    };
    let fate = match (before.is_running, after.is_running) {
        (false, true) => Fate::Started,
        (true, false) => Fate::Stopped,
        _ => Fate::Kept,
    };
    let mut changes = diff(&facts::of(old, name, before), &facts::of(new, name, after));
    let runs_on = fate == Fate::Kept && after.is_running;
    if !runs_on {
        changes.iter_mut().for_each(wait_for_start);
    }
    let restarts = match runs_on {
        true => restarts(before, after),
        false => Vec::new(),
    };
    Some(SiteChange {
        strategy: (!restarts.is_empty()).then_some(after.cluster.strategy),
        restarts,
        fate,
        changes,
        site: name.clone(),
    })
}

/// Why the broker is restarted, as the operator decides it.
fn restarts(before: &ValidSite, after: &ValidSite) -> Vec<RestartReason> {
    let mut compared = after.cluster.restart.clone();
    // An image that is no longer named is the one that is there, until something else restarts the broker.
    if compared.image.is_none() {
        compared.image.clone_from(&before.cluster.restart.image);
    }
    compared.differences(&before.cluster.restart)
}

/// A broker that does not run is not restarted.
fn wait_for_start(change: &mut Change) {
    if let Class::Restart(_) = change.class {
        change.class = Class::None;
        change.reason = "the broker does not run: it starts with it";
    }
}

/// The facts that differ. Of what is new or gone as a whole the parts are not told one by one.
fn diff(old: &BTreeMap<String, Fact>, new: &BTreeMap<String, Fact>) -> Vec<Change> {
    let paths: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let is_told = |path: &str| {
        let mut holders = path.match_indices('.').map(|(at, _)| &path[..at]);
        holders.any(|holder| old.contains_key(holder) != new.contains_key(holder))
    };
    let paths = paths.into_iter().filter(|path| !is_told(path));
    paths
        .filter_map(|path| change(path, old.get(path), new.get(path)))
        .collect()
}

fn change(path: &str, old: Option<&Fact>, new: Option<&Fact>) -> Option<Change> {
    let (before, after) = (old.map(|fact| &fact.value), new.map(|fact| &fact.value));
    if before == after || is_unknown(before) || is_unknown(after) {
        return None;
    }
    let of = new.or(old)?;
    let shown = |value: Option<&Value>| match value {
        Some(Value::Shown(text)) => Some(text.clone()),
        Some(Value::Hidden(_)) | None => None,
    };
    let judged = restart::judged(path, new.is_none(), of.class);
    let (class, reason) = judged.unwrap_or((of.class, of.reason));
    Some(Change {
        path: path.to_owned(),
        before: shown(before),
        after: shown(after),
        class,
        reason,
    })
}

/// A Secret that is not in the files says nothing about a change.
fn is_unknown(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Hidden(secrets)) => secrets.iter().any(|secret| secret.is_missing()),
        _ => false,
    }
}
