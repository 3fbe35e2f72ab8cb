//! What does not go on before somebody changes something, and what may still come by itself.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::applied::{self, Progress};
use super::conditions::{Verdict, join, list};
use super::facts::Facts;
use crate::api::condition::{ConditionType, Reason};
use crate::api::status::BrokerNetworkStatus;
use crate::documents::Severity;
use crate::finding::{Finding, Subject};
use crate::labels;
use crate::model::observed::{Applied, ChildKey, ChildKind, Refusal};

/// What is missing for this time does not come by itself.
pub const PATIENCE: SignedDuration = SignedDuration::from_mins(10);
/// Findings in a message.
const MAX_FINDINGS: usize = 3;
/// What findings may stall a network with; any other is a mistake of the object.
const CAUSES: [Reason; 14] = [
    Reason::SpecInvalid,
    Reason::DuplicatePair,
    Reason::DuplicateLinkName,
    Reason::TooManyLinks,
    Reason::SiteIdCollision,
    Reason::OverrideForbidden,
    Reason::ConfigTooLarge,
    Reason::ConfigRejected,
    Reason::SecretMalformed,
    Reason::SecretNotOwned,
    Reason::ChildNotOwned,
    Reason::DevelopmentCAUnsafe,
    Reason::SiteRemovalHeld,
    Reason::Forbidden,
];

/// What keeps a network.
pub struct Stall {
    /// `Stalled`.
    pub stalled: Option<Verdict>,
    /// What is awaited.
    pub awaited: Option<Verdict>,
}

/// Finds it.
pub fn find(facts: &Facts<'_>, status: &BrokerNetworkStatus) -> Stall {
    let stalled = mistakes(facts)
        .or_else(|| refusals(facts))
        .or_else(|| held(facts))
        .or_else(|| rejected(facts, status));
    let absent = absent(facts);
    match (stalled, absent) {
        (Some(stalled), _) => Stall {
            stalled: Some(stalled),
            awaited: None,
        },
        (None, Some(Absent::ForGood(verdict))) => Stall {
            stalled: Some(verdict),
            awaited: None,
        },
        (None, Some(Absent::ForNow(verdict))) => Stall {
            stalled: None,
            awaited: Some(verdict),
        },
        (None, None) => Stall {
            stalled: None,
            awaited: None,
        },
    }
}

/// Findings about the network itself: a wrong user is left out and holds nobody up.
fn findings<'a>(facts: &Facts<'a>) -> impl Iterator<Item = &'a Finding> + use<'a> {
    let findings = facts.inputs.findings.iter();
    findings.filter(|finding| !matches!(finding.subject, Subject::User(_)))
}

/// What a finding waits for, and what it is once nobody waits any longer.
const fn wait(cause: Reason) -> Option<(Reason, Option<Reason>)> {
    match cause {
        Reason::SecretNotFound => Some((Reason::WaitingForSecret, Some(Reason::SecretNotFound))),
        Reason::ReferenceNotFound => Some((
            Reason::WaitingForCertificate,
            Some(Reason::ReferenceNotFound),
        )),
        Reason::WaitingForCertificate => Some((Reason::WaitingForCertificate, None)),
        _ => None,
    }
}

/// Links that go on with what was in force, or are left out, in words: their Secrets are missing or wrong.
pub fn links(facts: &Facts<'_>) -> Option<String> {
    let found: Vec<&Finding> = findings(facts)
        .filter(|finding| finding.severity == Severity::Error)
        .filter(|finding| matches!(finding.subject, Subject::Link(_)))
        .collect();
    (!found.is_empty()).then(|| told(&found))
}

/// What pods mount beside their files and is not there, in words.
pub fn unmounted(facts: &Facts<'_>) -> Option<String> {
    let found: Vec<&Finding> = findings(facts)
        .filter(|finding| matches!(finding.subject, Subject::Network))
        .filter(|finding| finding.severity == Severity::Warning && wait(finding.cause).is_some())
        .collect();
    (!found.is_empty()).then(|| {
        format!(
            "brokers go on with the certificates that they have, and none starts without: {}",
            told(&found)
        )
    })
}

fn mistakes(facts: &Facts<'_>) -> Option<Verdict> {
    // What may not be read does not come by itself, even where all else goes on without.
    let is_mistake = |finding: &&Finding| {
        let is_lasting = finding.severity == Severity::Error || finding.cause == Reason::Forbidden;
        is_lasting && wait(finding.cause).is_none()
    };
    let found: Vec<&Finding> = findings(facts).filter(is_mistake).collect();
    let first = found.first()?;
    let cause = match CAUSES.contains(&first.cause) {
        true => first.cause,
        false => Reason::SpecInvalid,
    };
    Some(Verdict::yes(cause, told(&found)))
}

fn told(findings: &[&Finding]) -> String {
    let shown = findings.iter().take(MAX_FINDINGS).map(|finding| {
        let help = finding.help.as_ref().map(|help| format!(" ({help})"));
        let help = help.unwrap_or_default();
        format!("{}: {}{help}", finding.path, finding.reason)
    });
    let text = join(shown);
    match findings.len() {
        ..=MAX_FINDINGS => text,
        count => format!("{text}; and {} more", count - MAX_FINDINGS),
    }
}

fn refusals(facts: &Facts<'_>) -> Option<Verdict> {
    let objects = facts.inputs.outcome.objects.iter();
    let found: Vec<(Reason, String)> = objects
        .filter_map(|(key, applied)| match applied {
            Applied::Refused(refusal) => refused(key, refusal),
            _ => None,
        })
        .collect();
    let (reason, _) = found.first()?;
    let message = list(found.iter().map(|(_, text)| text)).unwrap_or_default();
    Some(Verdict::yes(*reason, message))
}

fn refused(key: &ChildKey, refusal: &Refusal) -> Option<(Reason, String)> {
    let found = match refusal {
        Refusal::NotOwned { owner } => {
            let reason = match key.kind {
                ChildKind::Secret => Reason::SecretNotOwned,
                _ => Reason::ChildNotOwned,
            };
            let whose = owner.as_deref().unwrap_or("nobody");
            let text = format!(
                "{key} is there and belongs to {whose}: its name is needed here, so remove it, and keep what it holds \
                 under another name"
            );
            (reason, text)
        }
        Refusal::Forbidden { verb, message } => {
            (Reason::Forbidden, format!("{verb} {key}: {message}"))
        }
        Refusal::Invalid(message) => (Reason::SpecInvalid, format!("{key}: {message}")),
        Refusal::Former | Refusal::Failed(_) => return None,
    };
    Some(found)
}

/// P17.
fn held(facts: &Facts<'_>) -> Option<Verdict> {
    let plan = facts.inputs.plan?;
    let sites: Vec<&str> = plan.held.iter().map(String::as_str).collect();
    let names = list(sites.iter())?;
    let message = format!(
        "{names}: no longer among the sites that this operator was told to run, yet in spec.sites, so the objects are kept; \
         if that is a slip, put the name back into its value sites; to remove them annotate this object with {}: {}",
        labels::ALLOW_SITE_REMOVAL,
        sites.join(",")
    );
    Some(Verdict::yes(Reason::SiteRemovalHeld, message))
}

fn rejected(facts: &Facts<'_>, status: &BrokerNetworkStatus) -> Option<Verdict> {
    let all = applied::all(facts, status).into_iter();
    let told = all.filter_map(|(site, progress)| match progress {
        Progress::Rejected(error) => Some(format!("{}: {error}", site.name)),
        _ => None,
    });
    let message = list(told)?;
    Some(Verdict::yes(Reason::ConfigRejected, message))
}

enum Absent {
    ForNow(Verdict),
    ForGood(Verdict),
}

/// Secrets, roots and certificates that are not there.
fn absent(facts: &Facts<'_>) -> Option<Absent> {
    let found: Vec<&Finding> = findings(facts)
        .filter(|finding| wait(finding.cause).is_some())
        .collect();
    let (waiting, end) = found.iter().find_map(|finding| wait(finding.cause))?;
    let of_kind: Vec<&Finding> = found
        .into_iter()
        .filter(|finding| wait(finding.cause) == Some((waiting, end)))
        .collect();
    let text = told(&of_kind);
    let Some(end) = end else {
        return Some(Absent::ForNow(Verdict::yes(waiting, text)));
    };
    let before = Verdict::stored(facts.old, ConditionType::Stalled);
    let was_given_up = before.is_some_and(|before| before.reason == end);
    let since = since(facts, waiting);
    if was_given_up || facts.clock.has_passed(since.0, PATIENCE) {
        return Some(Absent::ForGood(Verdict::yes(end, text)));
    }
    Some(Absent::ForNow(Verdict::yes(waiting, dated(&text, &since))))
}

/// A message with the time since when it holds, which the next run reads again.
pub fn dated(text: &str, since: &Time) -> String {
    format!("{text} (since {})", since.0)
}

/// Since when the condition Reconciling has had a reason; now, if it has another.
pub fn since(facts: &Facts<'_>, reason: Reason) -> Time {
    let before = Verdict::stored(facts.old, ConditionType::Reconciling);
    let time = before.and_then(|before| date(&before, reason));
    time.map_or_else(|| facts.clock.now(), Time)
}

/// The time in a message of [`dated`], where it is about this reason.
pub fn date(before: &Verdict, reason: Reason) -> Option<Timestamp> {
    let (_, time) = before.message.rsplit_once("(since ")?;
    let time = time.trim_end_matches(')').parse().ok()?;
    (before.reason == reason).then_some(time)
}
