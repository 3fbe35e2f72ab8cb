//! What is under way.

use k8s_openapi::jiff::SignedDuration;

use super::conditions::{Verdict, list};
use super::facts::Facts;
use super::ready::Ready;
use super::stalled::{dated, since};
use crate::api::condition::{ConditionType, Reason};
use crate::model::plan::SiteAction;

/// A restart that waits for another site is told of after this time.
const HELD: SignedDuration = SignedDuration::from_mins(5);
/// How a message begins that tells of it.
pub const HELD_MARK: &str = "held up: ";

/// `Reconciling`, which is there only while it holds.
pub fn condition(facts: &Facts<'_>, ready: &Ready) -> Option<Verdict> {
    let awaited = ready.awaited.clone();
    // What is missing would be missing after a restart too.
    let is_missing = |verdict: &Verdict| {
        let reasons = [
            Reason::WaitingForSecret,
            Reason::WaitingForCertificate,
            Reason::WaitingForGarbageCollection,
        ];
        reasons.contains(&verdict.reason)
    };
    match awaited {
        Some(awaited) if is_missing(&awaited) => Some(awaited),
        awaited => rolling(facts).or(awaited),
    }
}

/// Restarts that happen, wait, or are not over.
fn rolling(facts: &Facts<'_>) -> Option<Verdict> {
    let before = Verdict::stored(facts.old, ConditionType::Reconciling);
    let goes_on = before.is_some_and(|before| before.reason == Reason::Rolling);
    let is_rolling = facts.running().filter(|site| {
        let is_back = site.is_up() && site.workload.is_settled;
        matches!(site.action, Some(SiteAction::Roll(_))) || (goes_on && !is_back)
    });
    let rolling = list(is_rolling.map(|site| site.name));
    let waiting = facts.running().filter_map(|site| match site.action {
        Some(SiteAction::Wait { behind, .. }) => Some(format!("{} waits for {behind}", site.name)),
        _ => None,
    });
    let waiting = list(waiting);
    let parts = [
        rolling.map(|sites| format!("restarting {sites}")),
        waiting.clone(),
    ];
    let text = list(parts.into_iter().flatten())?;
    let since = since(facts, Reason::Rolling);
    let is_held = waiting.is_some() && facts.clock.has_passed(since.0, HELD);
    let mark = if is_held { HELD_MARK } else { "" };
    let message = dated(&format!("{mark}{text}"), &since);
    Some(Verdict::yes(Reason::Rolling, message))
}
