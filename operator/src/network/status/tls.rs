//! Whether the certificates of the local brokers are good, as they tell.

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::conditions::{Verdict, list};
use super::facts::{Broker, Facts, LocalSite};
use crate::api::condition::{ConditionType, Reason};
use crate::client::view::{CertificateView, StatusView};

/// A certificate that ends within this time is told of.
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

/// `TLSValid`; nothing where the network has no certificates, or this cluster none of its sites.
pub fn condition(facts: &Facts<'_>) -> Option<Verdict> {
    let is_used = facts.inputs.network.spec.tls.is_some();
    if !is_used || facts.local.is_empty() {
        return None;
    }
    let mut found: Vec<(Reason, String)> = malformed(facts).collect();
    let mut is_early = false;
    for site in facts.running() {
        match site.broker {
            Broker::Answers(view, _) => match &view.certs {
                Some(_) if refused(view).is_some() => {
                    let error = refused(view).unwrap_or_default();
                    found.push((Reason::PairMalformed, format!("{}: {error}", site.name)));
                }
                Some(certs) => found.extend(certs.iter().filter_map(|one| check(facts, site, one))),
                None => found.push((Reason::NotObserved, format!("{} does not tell", site.name))),
            },
            Broker::Lost(..) => {
                let message = format!("no answer from {}", site.name);
                found.push((Reason::BrokerUnreachable, message));
            }
            Broker::NotAsked => {
                is_early = true;
                let message = format!("no answer yet from {}", site.name);
                found.push((Reason::NotObserved, message));
            }
        }
    }
    if facts.running().next().is_none() {
        found.push((Reason::NotObserved, "no broker runs".to_owned()));
    }
    // What was known before the operator started stands until a broker has been asked (P16).
    let stored = is_early.then(|| Verdict::stored(facts.old, ConditionType::TLSValid));
    let verdict = verdict(&found);
    match stored.flatten() {
        Some(stored) if verdict.reason == Reason::NotObserved => Some(stored),
        _ => Some(verdict),
    }
}

fn verdict(found: &[(Reason, String)]) -> Verdict {
    let order = [
        Reason::PairMalformed,
        Reason::Expired,
        Reason::NameMismatch,
        Reason::UntrustedRoot,
        Reason::BrokerUnreachable,
        Reason::NotObserved,
        Reason::ExpiresSoon,
    ];
    let worst = order
        .into_iter()
        .find(|reason| found.iter().any(|(one, _)| one == reason));
    let Some(worst) = worst else {
        return Verdict::yes(Reason::Valid, "every certificate is good");
    };
    let told = found.iter().filter(|(reason, _)| *reason == worst);
    let message = list(told.map(|(_, text)| text)).unwrap_or_default();
    match worst {
        Reason::ExpiresSoon => Verdict::yes(worst, message),
        Reason::BrokerUnreachable | Reason::NotObserved => Verdict::unknown(worst, message),
        _ => Verdict::no(worst, message),
    }
}

/// Pairs that no broker could start with, as far as their Secrets show.
fn malformed<'a>(facts: &Facts<'a>) -> impl Iterator<Item = (Reason, String)> + use<'a> {
    let findings = facts.inputs.findings.iter();
    let findings = findings.filter(|finding| finding.cause == Reason::PairMalformed);
    findings.map(|finding| {
        let text = format!("{}: {}", finding.path, finding.reason);
        (Reason::PairMalformed, text)
    })
}

/// Why a broker refuses certificates that are there: with them alone the files it saw last are those it runs, since their
/// hash does not cover certificates.
fn refused(view: &StatusView) -> Option<&str> {
    let config = &view.config;
    let error = config.error.as_deref()?;
    (config.seen == config.applied).then_some(error)
}

fn check(
    facts: &Facts<'_>,
    site: &LocalSite<'_>,
    one: &CertificateView,
) -> Option<(Reason, String)> {
    let told = |reason, text: &str| Some((reason, format!("{} {}: {text}", site.name, one.file)));
    let error = one.error.as_deref().unwrap_or_default();
    let end: Option<Timestamp> = one.not_after.as_deref().and_then(|end| end.parse().ok());
    if end.is_some_and(|end| facts.clock.is_near(end, SignedDuration::ZERO)) {
        return told(Reason::Expired, "its time is over");
    }
    match one.problem.as_deref() {
        None if error.is_empty() => {}
        Some("expired") => return told(Reason::Expired, error),
        Some("name_mismatch") => return told(Reason::NameMismatch, error),
        Some("untrusted_root") => return told(Reason::UntrustedRoot, error),
        _ => return told(Reason::PairMalformed, error),
    }
    let end = end?;
    match facts.clock.is_near(end, SOON) {
        true => told(Reason::ExpiresSoon, &format!("ends at {end}")),
        false => None,
    }
}
