//! Whether the other sites have the same documents (P4): drift is visible and blocks nothing.

use k8s_openapi::jiff::SignedDuration;

use super::conditions::{Verdict, list};
use super::facts::Facts;
use super::sites::{Match, documents};
use crate::api::condition::{ConditionType, Reason, Truth};
use crate::api::status::{BrokerNetworkStatus, SiteStatus};

/// A difference counts once it has lasted for this time: commits arrive in any order.
const DIFFERENT: SignedDuration = SignedDuration::from_mins(5);

/// `PeersInSync`.
pub fn condition(facts: &Facts<'_>, status: &BrokerNetworkStatus) -> Verdict {
    if facts.local.is_empty() {
        let message = "no site of this network is this cluster's";
        return Verdict::unknown(Reason::NoLocalSite, message);
    }
    // Whether a difference has lasted is not known before somebody was asked (P16).
    let stored = Verdict::stored(facts.old, ConditionType::PeersInSync);
    if let Some(stored) = stored.filter(|_| facts.is_early()) {
        return stored;
    }
    let rows = status.sites.as_deref().unwrap_or_default();
    let peers: Vec<&SiteStatus> = rows
        .iter()
        .filter(|row| !row.local && !facts.is_stopped(&row.name))
        .collect();
    if peers.is_empty() {
        return Verdict::yes(Reason::NoPeers, "there are no other sites");
    }
    let differ: Vec<&SiteStatus> = peers
        .iter()
        .copied()
        .filter(|row| row.in_sync == Truth::False.as_str())
        .collect();
    let is_old = |row: &&SiteStatus| {
        let since = row.differs_since.as_ref();
        since.is_some_and(|since| facts.clock.has_passed(since.0, DIFFERENT))
    };
    let long: Vec<&SiteStatus> = differ.iter().copied().filter(is_old).collect();
    if !long.is_empty() {
        let reason = match long.iter().any(|row| has_other_spec(facts, row)) {
            true => Reason::SpecDiffers,
            false => Reason::UsersDiffer,
        };
        return Verdict::no(reason, hashes(facts, &long).unwrap_or_default());
    }
    unknown(facts, &peers).unwrap_or_else(|| {
        let count = peers.len();
        let message = match hashes(facts, &differ) {
            Some(told) => format!("other documents, for less than 5 minutes: {told}"),
            None => format!("{count} of {count} other sites have the same documents"),
        };
        Verdict::yes(Reason::InSync, message)
    })
}

fn has_other_spec(facts: &Facts<'_>, row: &SiteStatus) -> bool {
    documents(facts, row)[0] == Match::Differs
}

/// Which site has which hash in the place of ours.
fn hashes(facts: &Facts<'_>, rows: &[&SiteStatus]) -> Option<String> {
    let told = rows.iter().map(|row| {
        let (what, hash) = match has_other_spec(facts, row) {
            true => ("specHash", &row.spec_hash),
            false => ("usersHash", &row.users_hash),
        };
        let hash = hash.as_deref().unwrap_or_default();
        format!("{} has {what} {hash}", row.name)
    });
    list(told)
}

fn unknown(facts: &Facts<'_>, peers: &[&SiteStatus]) -> Option<Verdict> {
    let unknown: Vec<&SiteStatus> = peers
        .iter()
        .copied()
        .filter(|row| row.in_sync == Truth::Unknown.as_str())
        .collect();
    let names = list(unknown.iter().map(|row| &row.name))?;
    if unknown
        .iter()
        .any(|row| documents(facts, row).contains(&Match::OtherAlgorithm))
    {
        let message = format!("hashes are counted in different ways at {names}");
        return Some(Verdict::unknown(Reason::AlgorithmDiffers, message));
    }
    if facts.answers().next().is_none() {
        let message = format!("no local broker has told of {names} yet");
        return Some(Verdict::unknown(Reason::NotObserved, message));
    }
    let message = format!("no report from {names}");
    Some(Verdict::unknown(Reason::NoReport, message))
}
