//! Whether the processes run exactly what the object says: the hash that each of them reports.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::clock::whole;
use super::conditions::{Verdict, join, list};
use super::facts::{Broker, Facts, LocalSite};
use super::stalled;
use crate::api::condition::{ConditionType, Reason};
use crate::api::status::{BrokerNetworkStatus, ConfigStatus};

/// What is not in force after this time is out of date.
const OUT_OF_DATE: SignedDuration = SignedDuration::from_mins(10);

/// How far the configuration of a site is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// In force.
    Applied,
    /// Not yet.
    Pending,
    /// Not for more than ten minutes.
    OutOfDate,
    /// The broker refuses it.
    Rejected(String),
    /// Its broker has never told.
    NotObserved,
    /// Its broker does not answer.
    Unreachable,
}

/// Hash of what the broker runs, as far as it told.
fn applied(site: &LocalSite<'_>) -> Option<String> {
    match site.view() {
        Some((view, _)) => view.config.applied.clone(),
        None => site.old?.config.as_ref()?.applied.clone(),
    }
}

/// The configuration of a local site.
pub fn config(facts: &Facts<'_>, site: &LocalSite<'_>) -> ConfigStatus {
    let old = site.old.and_then(|row| row.config.clone());
    let old = old.unwrap_or_default();
    let desired = facts.inputs.config_hashes.get(site.name).cloned();
    let applied = applied(site);
    let is_pending = site.is_running && (desired.is_none() || desired != applied);
    let pending_since = old.pending_since.or_else(|| Some(facts.clock.now()));
    let view = site.view().map(|(view, _)| &view.config);
    ConfigStatus {
        desired: desired.unwrap_or(old.desired),
        applied,
        since: match view {
            Some(view) => time(view.since.as_deref()),
            None => old.since,
        },
        pending_since: pending_since.filter(|_| is_pending),
        error: match view {
            Some(view) => view.error.clone(),
            None => old.error,
        },
    }
}

fn time(text: Option<&str>) -> Option<Time> {
    let time: Timestamp = text?.parse().ok()?;
    Some(whole(time))
}

/// How far the configuration of a local site is, given its row.
pub fn progress(facts: &Facts<'_>, site: &LocalSite<'_>, config: &ConfigStatus) -> Progress {
    if site.is_lost() {
        return Progress::Unreachable;
    }
    let Some(since) = &config.pending_since else {
        return Progress::Applied;
    };
    if let Some(error) = refusal(site, config) {
        return Progress::Rejected(error);
    }
    if is_out_of_date(facts, site, since) {
        return Progress::OutOfDate;
    }
    match site.is_unheard() {
        true => Progress::NotObserved,
        false => Progress::Pending,
    }
}

/// A broker that was asked before the operator started, and not yet since, is as late as it was then (P16).
fn is_out_of_date(facts: &Facts<'_>, site: &LocalSite<'_>, since: &Time) -> bool {
    if matches!(site.broker, Broker::NotAsked) && !site.is_unheard() {
        let stored = Verdict::stored(facts.old, ConditionType::ConfigApplied);
        return stored.is_some_and(|stored| stored.reason == Reason::OutOfDate);
    }
    facts.clock.has_passed(since.0, OUT_OF_DATE)
}

/// Why the broker refuses the files that it should run.
fn refusal(site: &LocalSite<'_>, config: &ConfigStatus) -> Option<String> {
    let is_about = match site.view() {
        Some((view, _)) => view.config.seen.as_ref() == Some(&config.desired),
        None => true,
    };
    config.error.clone().filter(|_| is_about)
}

/// How far each local site is whose broker is meant to run.
pub fn all<'a>(
    facts: &'a Facts<'a>,
    status: &BrokerNetworkStatus,
) -> Vec<(&'a LocalSite<'a>, Progress)> {
    let rows = status.sites.as_deref().unwrap_or_default();
    let progress = |site: &'a LocalSite<'a>| {
        let mut rows = rows.iter().filter(|row| row.name == site.name.as_str());
        let config = rows.next()?.config.as_ref()?;
        Some((site, progress(facts, site, config)))
    };
    facts.running().filter_map(progress).collect()
}

/// Sites that do not run what is declared, and links that go on without what is declared of them.
fn late(facts: &Facts<'_>, outdated: Option<String>, pending: Option<String>) -> Option<Verdict> {
    let (reason, sites) = match outdated {
        Some(sites) => {
            let paused = match facts.is_paused() {
                true => ", and nothing is written while it is paused",
                false => "",
            };
            let text = format!("for more than 10 minutes not what is declared{paused}: {sites}");
            (Reason::OutOfDate, Some(text))
        }
        None => {
            let text = pending.map(|sites| match facts.is_paused() {
                true => format!(
                    "not what is declared, and nothing is written while it is paused: {sites}"
                ),
                false => format!("not yet what is declared: {sites}"),
            });
            (Reason::Pending, text)
        }
    };
    let unmounted = sites.as_ref().and_then(|_| stalled::unmounted(facts));
    let parts: Vec<String> = [sites, unmounted, stalled::links(facts)]
        .into_iter()
        .flatten()
        .collect();
    (!parts.is_empty()).then(|| Verdict::no(reason, join(parts.into_iter())))
}

/// `ConfigApplied`.
pub fn condition(facts: &Facts<'_>, status: &BrokerNetworkStatus) -> Verdict {
    if facts.local.is_empty() {
        let message = "no site of this network is this cluster's";
        return Verdict::unknown(Reason::NoLocalSite, message);
    }
    let all = all(facts, status);
    let of = |wanted: &Progress| {
        let same = all.iter().filter(|(_, progress)| progress == wanted);
        list(same.map(|(site, _)| site.name.as_str()))
    };
    let rejected = all.iter().filter_map(|(site, progress)| match progress {
        Progress::Rejected(error) => Some(format!("{}: {error}", site.name)),
        _ => None,
    });
    if let Some(message) = list(rejected) {
        return Verdict::no(Reason::Rejected, message);
    }
    if let Some(late) = late(facts, of(&Progress::OutOfDate), of(&Progress::Pending)) {
        return late;
    }
    if let Some(sites) = of(&Progress::Unreachable) {
        let message = format!("no answer from {sites}");
        return Verdict::unknown(Reason::BrokerUnreachable, message);
    }
    if let Some(sites) = of(&Progress::NotObserved) {
        let message = format!("no answer yet from {sites}");
        return Verdict::unknown(Reason::NotObserved, message);
    }
    let count = all.len();
    Verdict::yes(
        Reason::Applied,
        format!("{count} of {count} brokers run what is declared"),
    )
}
