//! The conditions, in one order, each with a reason of the closed list.

use std::fmt::Display;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::clock::Clock;
use super::degraded::Others;
use super::facts::Facts;
use super::{applied, degraded, linksup, peers, ready, reconciling, stalled, tls};
use crate::api::condition::{ConditionType, Reason, Truth};
use crate::api::status::BrokerNetworkStatus;

/// Longest message.
const MAX_MESSAGE: usize = 2048;
/// Names in a message.
const MAX_NAMES: usize = 8;
/// Generation of a status that is about nothing yet.
const NOBODY_LOOKED: i64 = -1;

/// What a condition says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it holds.
    pub truth: Truth,
    /// Why, as a word.
    pub reason: Reason,
    /// Why, for people.
    pub message: String,
}

impl Verdict {
    fn new(truth: Truth, reason: Reason, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            truth,
            reason,
            message,
        }
    }

    /// It holds.
    pub fn yes(reason: Reason, message: impl Into<String>) -> Self {
        Self::new(Truth::True, reason, message)
    }

    /// It does not hold.
    pub fn no(reason: Reason, message: impl Into<String>) -> Self {
        Self::new(Truth::False, reason, message)
    }

    /// Nobody knows.
    pub fn unknown(reason: Reason, message: impl Into<String>) -> Self {
        Self::new(Truth::Unknown, reason, message)
    }

    /// What a status said.
    pub fn stored(status: &BrokerNetworkStatus, kind: ConditionType) -> Option<Self> {
        Self::of(stored(status, kind)?)
    }

    /// What a condition said.
    pub fn of(stored: &Condition) -> Option<Self> {
        let truths = [Truth::True, Truth::False, Truth::Unknown];
        let truth = truths
            .into_iter()
            .find(|truth| truth.as_str() == stored.status)?;
        let mut reasons = Reason::ALL.iter();
        let reason = reasons.find(|reason| reason.as_str() == stored.reason)?;
        Some(Self::new(truth, *reason, &stored.message))
    }
}

/// A condition of a status.
pub fn stored(status: &BrokerNetworkStatus, kind: ConditionType) -> Option<&Condition> {
    let mut conditions = status.conditions.iter().flatten();
    conditions.find(|condition| condition.type_ == kind.as_str())
}

/// Names for a message; nothing where there are none.
pub fn list(names: impl Iterator<Item = impl Display>) -> Option<String> {
    let all: Vec<String> = names.map(|name| name.to_string()).collect();
    let shown = all.get(..MAX_NAMES).unwrap_or(&all).join(", ");
    match all.len() {
        0 => None,
        1..=MAX_NAMES => Some(shown),
        count => Some(format!("{shown} and {} more", count - MAX_NAMES)),
    }
}

/// Sentences of a message.
pub fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join("; ")
}

/// Every condition of a network, given its rows.
pub fn all(facts: &Facts<'_>, status: &BrokerNetworkStatus) -> Vec<Condition> {
    let (links, peers) = (
        linksup::condition(facts, status),
        peers::condition(facts, status),
    );
    let tls = tls::condition(facts);
    let others = Others {
        links: &links,
        peers: &peers,
        tls: tls.as_ref(),
    };
    let degraded = degraded::condition(facts, status, &others);
    let stall = stalled::find(facts, status);
    let ready = ready::find(facts, status, &stall, &others);
    let is_paused = facts.is_paused();
    let reconciling = match is_paused || stall.stalled.is_some() {
        true => None,
        false => reconciling::condition(facts, &ready),
    };
    let paused = is_paused.then(|| {
        let message = "nothing is written: the annotation causeway.dev/reconcile is paused";
        Verdict::yes(Reason::PausedByAnnotation, message)
    });
    let verdicts = [
        (ConditionType::Ready, Some(ready.verdict)),
        (
            ConditionType::ConfigApplied,
            Some(applied::condition(facts, status)),
        ),
        (ConditionType::LinksUp, Some(links.clone())),
        (ConditionType::PeersInSync, Some(peers.clone())),
        (ConditionType::TLSValid, tls.clone()),
        (ConditionType::Degraded, Some(degraded)),
        (ConditionType::Reconciling, reconciling),
        (ConditionType::Stalled, stall.stalled),
        (ConditionType::Paused, paused),
    ];
    let verdicts = verdicts.into_iter();
    verdicts
        .filter_map(|(kind, verdict)| Some(stamp(facts, kind, verdict?)))
        .collect()
}

fn stamp(facts: &Facts<'_>, kind: ConditionType, verdict: Verdict) -> Condition {
    let generation = facts.inputs.network.metadata.generation;
    let before = stored(facts.old, kind);
    stamped(kind, verdict, before, generation, &facts.clock)
}

/// A verdict as a condition. `lastTransitionTime` is that of the last change of the status alone.
pub fn stamped(
    kind: ConditionType,
    verdict: Verdict,
    before: Option<&Condition>,
    generation: Option<i64>,
    clock: &Clock,
) -> Condition {
    let status = verdict.truth.as_str();
    let before = before.filter(|before| before.status == status);
    let message = &verdict.message;
    Condition {
        type_: kind.as_str().to_owned(),
        status: status.to_owned(),
        reason: verdict.reason.as_str().to_owned(),
        message: match message.char_indices().nth(MAX_MESSAGE) {
            Some((end, _)) => format!("{}…", &message[..end]),
            None => message.clone(),
        },
        observed_generation: generation,
        last_transition_time: before
            .map_or_else(|| clock.now(), |before| before.last_transition_time.clone()),
    }
}

/// The status while what is there cannot be read: no truth is downgraded (P16), and at first sight none is known. A right
/// that is missing has to be given by somebody, and an object that means nothing to be changed.
pub fn unread(facts: &Facts<'_>) -> BrokerNetworkStatus {
    let outcome = facts.inputs.outcome;
    let failed = outcome.unreadable.iter().chain(&outcome.denied);
    let failed = list(failed.chain(&outcome.failed_reads)).unwrap_or_default();
    let message = format!("what is there cannot be read, the rest is as it was: {failed}");
    let mut status = facts.old.clone();
    let mut conditions = status.conditions.take().unwrap_or_default();
    if conditions.is_empty() {
        status.observed_generation = Some(NOBODY_LOOKED);
        let kinds = [
            ConditionType::Ready,
            ConditionType::ConfigApplied,
            ConditionType::LinksUp,
            ConditionType::PeersInSync,
            ConditionType::Degraded,
        ];
        let unseen = |kind| stamp(facts, kind, Verdict::unknown(Reason::NotObserved, ""));
        conditions = kinds.into_iter().map(unseen).collect();
    }
    let ready = ConditionType::Ready.as_str();
    let ready = conditions.iter_mut().filter(|one| one.type_ == ready);
    ready.for_each(|ready| ready.message.clone_from(&message));
    let unreadable = outcome.unreadable.as_ref();
    let unreadable = unreadable.map(|error| {
        let message = format!("this version of the operator cannot read it: {error}");
        Verdict::yes(Reason::SpecInvalid, message)
    });
    let denied = list(outcome.denied.iter()).map(|all| Verdict::yes(Reason::Forbidden, all));
    if let Some(verdict) = unreadable.or(denied) {
        status.observed_generation = facts.inputs.network.metadata.generation;
        let [stalled, reconciling] = [ConditionType::Stalled, ConditionType::Reconciling];
        conditions.retain(|one| ![stalled.as_str(), reconciling.as_str()].contains(&&*one.type_));
        conditions.push(stamp(facts, stalled, verdict));
    }
    status.conditions = Some(conditions);
    status
}
