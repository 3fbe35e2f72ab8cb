//! `status.sites`: local facts, and what is reported of the others with its age (P5).

use std::collections::BTreeSet;

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::applied;
use super::clock::{ago, whole};
use super::facts::{Facts, LocalSite};
use crate::api::cluster::ServiceType;
use crate::api::condition::Truth;
use crate::api::shared::MAX_SITES;
use crate::api::status::{ListenerAddress, RestartReason, SiteState, SiteStatus};
use crate::client::view::SiteView;
use crate::model::ListenerKind;
use crate::model::plan::SiteAction;

/// A row that is older is Unknown, never the last good value.
pub const STALE: SignedDuration = SignedDuration::from_mins(3);
/// What keeps a container from running for good, as far as the kubelet can tell.
const FAILED: [&str; 7] = [
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
];

/// Every site of the spec, in its order.
pub fn rows(facts: &Facts<'_>) -> Vec<SiteStatus> {
    let mut seen = BTreeSet::new();
    let sites = facts.inputs.network.spec.sites.iter();
    sites
        .map(|site| site.name.as_str())
        .filter(|name| seen.insert(*name))
        .take(MAX_SITES)
        .map(|name| match facts.local_site(name) {
            Some(site) => local(facts, site),
            None if is_held(facts, name) => held(facts, name),
            None => remote(facts, name),
        })
        .collect()
}

fn local(facts: &Facts<'_>, site: &LocalSite<'_>) -> SiteStatus {
    let memory = site.old.cloned().unwrap_or_default();
    let view = site.view().map(|(view, _)| view);
    let is_stale = site.is_lost() && is_stale(facts, site.seen());
    let mut row = SiteStatus {
        name: site.name.to_string(),
        local: true,
        state: state(site, is_stale),
        last_seen: site.seen().map(whole),
        config: Some(applied::config(facts, site)),
        restart_pending: restart_pending(facts, site),
        addresses: addresses(facts, site),
        ..memory
    };
    (row.reachable, row.via, row.hops) = (None, None, None);
    if let Some(view) = view {
        row.version = Some(view.version.clone()).filter(|text| !text.is_empty());
        row.spec_hash.clone_from(&view.config.spec_hash);
        row.users_hash.clone_from(&view.config.users_hash);
    }
    compare(facts, &mut row, is_stale || !site.is_running);
    row
}

/// Whether a site runs here though it is claimed no longer (P17).
fn is_held(facts: &Facts<'_>, name: &str) -> bool {
    facts
        .inputs
        .plan
        .is_some_and(|plan| plan.held.contains(name))
}

/// Such a site: its broker is not asked any more, and its pods tell what it does.
fn held(facts: &Facts<'_>, name: &str) -> SiteStatus {
    let rows = facts.old.sites.as_deref().unwrap_or_default();
    let mut memory = rows.iter().filter(|row| row.name == name && row.local);
    let pods: Vec<_> = facts.inputs.observed.pods_of(name).collect();
    let state = if pods.iter().any(|pod| pod.is_ready) {
        SiteState::Running
    } else if pods.is_empty() {
        SiteState::Pending
    } else {
        SiteState::Starting
    };
    SiteStatus {
        name: name.to_owned(),
        local: true,
        state,
        in_sync: Truth::Unknown.as_str().to_owned(),
        restart_pending: None,
        differs_since: None,
        ..memory.next().cloned().unwrap_or_default()
    }
}

/// Whether a row is too old to be shown as it is.
fn is_stale(facts: &Facts<'_>, seen: Option<Timestamp>) -> bool {
    seen.is_none_or(|seen| facts.clock.has_passed(seen, STALE))
}

fn state(site: &LocalSite<'_>, is_stale: bool) -> SiteState {
    if !site.is_running {
        return match site.pods.is_empty() {
            true => SiteState::Stopped,
            false => SiteState::Draining,
        };
    }
    if site.workload.refusal.is_some() {
        return SiteState::Failed;
    }
    let Some(pod) = site.pod() else {
        return match site.pods.is_empty() {
            true => SiteState::Pending,
            false => SiteState::Draining,
        };
    };
    let is_failed = |why: &String| FAILED.contains(&why.as_str());
    if pod.waiting.as_ref().is_some_and(is_failed) {
        SiteState::Failed
    } else if !pod.is_ready {
        SiteState::Starting
    } else if is_stale {
        SiteState::Unknown
    } else {
        SiteState::Running
    }
}

fn restart_pending(facts: &Facts<'_>, site: &LocalSite<'_>) -> Option<Vec<RestartReason>> {
    let Some(plan) = facts.inputs.plan else {
        return site.old?.restart_pending.clone();
    };
    let mut reasons = plan.pending.get(site.name).cloned().unwrap_or_default();
    if let Some(SiteAction::Wait { reasons: more, .. }) = site.action {
        reasons.extend(more.iter().copied());
    }
    let reasons: Vec<RestartReason> = reasons.into_iter().collect();
    (!reasons.is_empty()).then_some(reasons)
}

/// The listeners that have a load balancer.
pub fn balanced<'a>(site: &LocalSite<'a>) -> impl Iterator<Item = ListenerKind> + use<'a> {
    let services = site.valid.map(|valid| &valid.cluster.services);
    let services = services.into_iter().flatten();
    services
        .filter(|(_, service)| service.kind == ServiceType::LoadBalancer)
        .map(|(kind, _)| *kind)
}

fn addresses(facts: &Facts<'_>, site: &LocalSite<'_>) -> Option<Vec<ListenerAddress>> {
    if site.valid.is_none() {
        return site.old?.addresses.clone();
    }
    let found: Vec<ListenerAddress> = balanced(site)
        .filter_map(|kind| {
            let (host, port) = facts.balancer(site, kind)?;
            let listener = kind.field().to_owned();
            Some(ListenerAddress {
                listener,
                host,
                port,
            })
        })
        .collect();
    (!found.is_empty()).then_some(found)
}

/// What the local brokers tell of a site: the youngest report, and the shortest way.
struct Told<'a> {
    report: Option<(&'a SiteView, Timestamp)>,
    way: Option<(&'a SiteView, String)>,
    is_known: bool,
}

fn told<'a>(facts: &Facts<'a>, name: &str) -> Told<'a> {
    let mut told = Told {
        report: None,
        way: None,
        is_known: false,
    };
    for (view, at) in facts.answers() {
        told.is_known = true;
        let mut claims = view.sites.iter();
        let Some(claim) = claims.find(|claim| claim.site == name && !claim.rival) else {
            continue;
        };
        if let Some(age) = claim.report_age_ms {
            let seen = ago(at, age);
            if told.report.is_none_or(|(_, best)| best < seen) {
                told.report = Some((claim, seen));
            }
        }
        let is_shorter = |(best, _): &(&SiteView, String)| best.hops > claim.hops;
        if claim.reachable && told.way.as_ref().is_none_or(is_shorter) {
            let links = view.links.iter();
            let mut links = links.filter(|link| Some(&link.link) == claim.via.as_ref());
            let first = links.next().map(|link| link.peer.clone());
            told.way = Some((claim, first.unwrap_or_default()));
        }
    }
    told
}

fn remote(facts: &Facts<'_>, name: &str) -> SiteStatus {
    let rows = facts.old.sites.as_deref().unwrap_or_default();
    let mut memory = rows.iter().filter(|row| row.name == name && !row.local);
    let mut row = SiteStatus {
        name: name.to_owned(),
        ..memory.next().cloned().unwrap_or_default()
    };
    if row.in_sync.is_empty() {
        row.in_sync = Truth::Unknown.as_str().to_owned();
    }
    // A broker that has not been asked yet knows better than nobody (P16).
    if facts.is_early() {
        return row;
    }
    let told = told(facts, name);
    if let Some((report, seen)) = told.report {
        row.last_seen = Some(whole(seen));
        row.version.clone_from(&report.version);
        row.spec_hash.clone_from(&report.spec_hash);
        row.users_hash.clone_from(&report.users_hash);
        row.state = match report.state.as_deref() {
            Some("starting") => SiteState::Starting,
            Some("draining") => SiteState::Draining,
            _ => SiteState::Running,
        };
    }
    let reachable = match told.is_known {
        true => Truth::known(told.way.is_some()),
        false => Truth::Unknown,
    };
    row.reachable = Some(reachable.as_str().to_owned());
    let way = told.way;
    row.hops = way.as_ref().map(|(claim, _)| i32::from(claim.hops));
    row.via = way.map(|(_, first)| first).filter(|text| !text.is_empty());
    let is_stale = is_stale(facts, row.last_seen.as_ref().map(|time| time.0));
    if is_stale {
        row.state = match facts.is_stopped(name) {
            true => SiteState::Stopped,
            false => SiteState::Unknown,
        };
    }
    compare(facts, &mut row, is_stale);
    row
}

/// How two hashes compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// They are equal.
    Same,
    /// They differ.
    Differs,
    /// They are counted in different ways.
    OtherAlgorithm,
    /// One of them is not known.
    Unknown,
}

/// Compares two hashes with their algorithms in front (P14).
pub fn matching(ours: Option<&String>, theirs: Option<&String>) -> Match {
    let (Some(ours), Some(theirs)) = (ours, theirs) else {
        return Match::Unknown;
    };
    let algorithm = |text: &str| text.split_once(':').map(|(name, _)| name.to_owned());
    match (algorithm(ours), algorithm(theirs)) {
        (Some(_), Some(_)) if ours == theirs => Match::Same,
        (Some(one), Some(other)) if one == other => Match::Differs,
        (Some(_), Some(_)) => Match::OtherAlgorithm,
        _ => Match::Unknown,
    }
}

/// How the documents of a site compare with ours: the specification, then the users.
pub fn documents(facts: &Facts<'_>, row: &SiteStatus) -> [Match; 2] {
    let (spec, users) = match facts.inputs.valid {
        Some(valid) => (Some(&valid.spec_hash), Some(&valid.users_hash)),
        None => (facts.old.spec_hash.as_ref(), facts.old.users_hash.as_ref()),
    };
    [
        matching(spec, row.spec_hash.as_ref()),
        matching(users, row.users_hash.as_ref()),
    ]
}

fn compare(facts: &Facts<'_>, row: &mut SiteStatus, is_unknown: bool) {
    let [spec, users] = documents(facts, row);
    let in_sync = if is_unknown {
        Truth::Unknown
    } else if [spec, users].contains(&Match::Differs) {
        Truth::False
    } else if spec != Match::Same || users == Match::OtherAlgorithm {
        Truth::Unknown
    } else {
        Truth::True
    };
    row.in_sync = in_sync.as_str().to_owned();
    match in_sync {
        Truth::True => row.differs_since = None,
        Truth::False if row.differs_since.is_none() => row.differs_since = Some(facts.clock.now()),
        Truth::False | Truth::Unknown => {}
    }
}
