//! Whether GitOps may go on and clients of this cluster may connect. What other sites do has no part in it, unless
//! `readiness: AllLinks` says so.

use super::conditions::{Verdict, list, stored};
use super::degraded::Others;
use super::facts::{Facts, LocalSite, SILENCE};
use super::sites::balanced;
use super::stalled::{self, Stall};
use crate::api::cluster::Readiness;
use crate::api::condition::{ConditionType, Reason, Truth};
use crate::api::network::TlsSource;
use crate::api::status::BrokerNetworkStatus;
use crate::model::observed::{Applied, PodState, Refusal};

/// `Ready`, and what is awaited where it does not hold.
pub struct Ready {
    /// The condition.
    pub verdict: Verdict,
    /// What comes by itself.
    pub awaited: Option<Verdict>,
}

/// A blocker: why it is not ready, what is awaited, and in words.
type Blocker = (Reason, Option<Reason>, String);

/// Finds it.
pub fn find(
    facts: &Facts<'_>,
    status: &BrokerNetworkStatus,
    stall: &Stall,
    others: &Others<'_>,
) -> Ready {
    if let Some(stalled) = &stall.stalled {
        let message = format!("{}: {}", stalled.reason, stalled.message);
        return Ready {
            verdict: Verdict::no(Reason::Stalled, message),
            awaited: None,
        };
    }
    let blockers = blockers(facts, status, stall, others);
    // The first of the list that is there.
    let order = [
        Reason::PodCreationRefused,
        Reason::Progressing,
        Reason::PodsNotReady,
        Reason::TLSInvalid,
        Reason::ConfigNotApplied,
        Reason::AddressPending,
        Reason::LinksDown,
        Reason::BrokerUnreachable,
    ];
    let worst = order
        .into_iter()
        .find(|reason| blockers.iter().any(|(one, ..)| one == reason));
    let Some(worst) = worst else {
        return Ready {
            verdict: good(facts),
            awaited: stall.awaited.clone(),
        };
    };
    let told = blockers.iter().filter(|(one, ..)| *one == worst);
    let message = list(told.clone().map(|(_, _, text)| text)).unwrap_or_default();
    let message = match facts.is_paused() {
        true => format!("paused, so that nothing is written: {message}"),
        false => message,
    };
    let awaited = told.clone().find_map(|(_, awaited, _)| *awaited);
    let verdict = match worst {
        Reason::BrokerUnreachable => Verdict::unknown(worst, message.clone()),
        _ => Verdict::no(worst, message.clone()),
    };
    let awaited = awaited.map(|reason| Verdict::yes(reason, message));
    Ready {
        verdict,
        awaited: stall.awaited.clone().or(awaited),
    }
}

fn good(facts: &Facts<'_>) -> Verdict {
    let count = facts.local.len();
    if count == 0 {
        let message = "no site of this network is this cluster's";
        return Verdict::yes(Reason::NoLocalSite, message);
    }
    if facts.running().next().is_none() {
        return Verdict::yes(Reason::Stopped, "every local site is stopped, as declared");
    }
    let message = format!("{count} of {count} local sites are as declared");
    Verdict::yes(Reason::AllSitesReady, message)
}

fn blockers(
    facts: &Facts<'_>,
    status: &BrokerNetworkStatus,
    stall: &Stall,
    others: &Others<'_>,
) -> Vec<Blocker> {
    let mut found: Vec<Blocker> = unwritten(facts).collect();
    if facts.inputs.valid.is_none() && !facts.local.is_empty() {
        let awaited = stall.awaited.as_ref();
        let message = awaited.map_or("it has not been looked at", |awaited| &awaited.message);
        found.push((
            Reason::Progressing,
            Some(Reason::NewGeneration),
            message.to_owned(),
        ));
    }
    let without = stalled::links(facts);
    found.extend(without.map(|text| {
        let awaited = Some(Reason::WaitingForSecret);
        (Reason::ConfigNotApplied, awaited, text)
    }));
    for site in &facts.local {
        if !site.is_running {
            found.extend(stopping(facts, site));
            continue;
        }
        found.extend(pods(facts, site).or_else(|| broker(facts, status, site)));
        found.extend(address(facts, site));
    }
    if let Some(tls) = others.tls.filter(|tls| tls.truth == Truth::False) {
        let tls_spec = facts.inputs.network.spec.tls.as_ref();
        let is_issued = tls_spec.is_some_and(|tls| tls.source == TlsSource::CertManager);
        let awaited = is_issued.then_some(Reason::WaitingForCertificate);
        found.push((Reason::TLSInvalid, awaited, tls.message.clone()));
    }
    found.extend(links(facts, others.links));
    found
}

fn unwritten<'a>(facts: &Facts<'a>) -> impl Iterator<Item = Blocker> + use<'a> {
    let objects = facts.inputs.outcome.objects.iter();
    objects.filter_map(|(key, applied)| match applied {
        Applied::Refused(Refusal::Former) => Some((
            Reason::Progressing,
            Some(Reason::WaitingForGarbageCollection),
            format!("{key} of an earlier object of the name is being removed"),
        )),
        Applied::Refused(Refusal::Failed(error)) => Some((
            Reason::Progressing,
            Some(Reason::NewGeneration),
            format!("{key} could not be written and is tried again: {error}"),
        )),
        _ => None,
    })
}

fn stopping(facts: &Facts<'_>, site: &LocalSite<'_>) -> Option<Blocker> {
    let text = match facts.is_paused() {
        true => format!("{} is not stopped", site.name),
        false => format!("{} is stopping", site.name),
    };
    (!site.pods.is_empty()).then_some((Reason::Progressing, Some(Reason::WaitingForPods), text))
}

fn pods(facts: &Facts<'_>, site: &LocalSite<'_>) -> Option<Blocker> {
    let name = site.name;
    if let Some(refusal) = &site.workload.refusal {
        let text = format!("{name}: {refusal}");
        return Some((
            Reason::PodCreationRefused,
            Some(Reason::WaitingForPods),
            text,
        ));
    }
    if !site.workload.exists {
        let text = match facts.is_paused() {
            true => format!("{name} is not made"),
            false => format!("{name} is being made"),
        };
        return Some((Reason::Progressing, Some(Reason::NewGeneration), text));
    }
    let text = match site.pod() {
        Some(pod) if site.is_up() => {
            let text = site.next_pod().map(unready)?;
            format!("{name}: {text}; pod {} serves meanwhile", pod.name)
        }
        Some(pod) => format!("{name}: {}", unready(pod)),
        None => format!("{name} has no pod"),
    };
    Some((Reason::PodsNotReady, Some(Reason::WaitingForPods), text))
}

fn unready(pod: &PodState) -> String {
    match &pod.waiting {
        Some(waiting) => format!("pod {} waits: {waiting}", pod.name),
        None => format!("pod {} is not ready", pod.name),
    }
}

fn broker(
    facts: &Facts<'_>,
    status: &BrokerNetworkStatus,
    site: &LocalSite<'_>,
) -> Option<Blocker> {
    let name = site.name;
    let mut rows = status.sites.iter().flatten();
    let row = rows.find(|row| row.name == name.as_str())?;
    let config = row.config.as_ref()?;
    if site.is_unheard() {
        let text = format!("the broker of {name} has not answered yet");
        return Some((
            Reason::ConfigNotApplied,
            Some(Reason::WaitingForBroker),
            text,
        ));
    }
    if config.pending_since.is_some() {
        let yet = if facts.is_paused() { "" } else { " yet" };
        let text = format!("the broker of {name} does not run what is declared{yet}");
        return Some((Reason::ConfigNotApplied, Some(change(facts)), text));
    }
    let seen = site.seen().filter(|_| site.is_lost())?;
    let text = format!("the broker of {name} does not answer");
    let is_over = facts.clock.has_passed(seen, SILENCE);
    is_over.then_some((
        Reason::BrokerUnreachable,
        Some(Reason::WaitingForBroker),
        text,
    ))
}

/// What a configuration waits for that is not in force: the object was changed, or the broker has to hear of it.
fn change(facts: &Facts<'_>) -> Reason {
    let generation = facts.inputs.network.metadata.generation;
    let before = Verdict::stored(facts.old, ConditionType::Reconciling);
    let goes_on = before.is_some_and(|before| before.reason == Reason::NewGeneration);
    match facts.old.observed_generation != generation || goes_on {
        true => Reason::NewGeneration,
        false => Reason::WaitingForBroker,
    }
}

fn address(facts: &Facts<'_>, site: &LocalSite<'_>) -> Option<Blocker> {
    let pending = balanced(site).filter(|kind| facts.balancer(site, *kind).is_none());
    let listeners = list(pending.map(|kind| kind.field()))?;
    let text = format!("{} has no address for {listeners}", site.name);
    Some((
        Reason::AddressPending,
        Some(Reason::WaitingForAddress),
        text,
    ))
}

/// Links count only where the object says so: they are awaited until they were up once for this generation.
fn links(facts: &Facts<'_>, links: &Verdict) -> Option<Blocker> {
    let readiness = facts.inputs.network.spec.readiness.unwrap_or_default();
    let counts = readiness == Readiness::AllLinks && !facts.local.is_empty();
    if !counts || links.truth == Truth::True {
        return None;
    }
    let generation = facts.inputs.network.metadata.generation;
    let before = stored(facts.old, ConditionType::Ready);
    let were_up = before.is_some_and(|ready| {
        let reasons = [Reason::AllSitesReady, Reason::LinksDown];
        let is_after = reasons.iter().any(|reason| reason.as_str() == ready.reason);
        ready.observed_generation == generation && is_after
    });
    match were_up {
        true => Some((Reason::LinksDown, None, links.message.clone())),
        false => Some((
            Reason::Progressing,
            Some(Reason::WaitingForLinks),
            links.message.clone(),
        )),
    }
}
