//! `status.links`: each end as it tells itself, and the worse of both.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use super::clock::{ago, whole};
use super::facts::Facts;
use super::sites::STALE;
use crate::api::network::LinkState as Declared;
use crate::api::shared::MAX_LINKS;
use crate::api::status::{LinkEnd, LinkState, LinkStatus};
use crate::client::view::LinkView;
use crate::topology::expand::{self, Expanded};

/// Longest text of an error that is kept.
const MAX_ERROR: usize = 256;
/// Two answers tell the beginning of one state with this difference at most.
const JITTER_SECONDS: i64 = 2;

/// Whether messages pass.
pub const fn is_up(state: LinkState) -> bool {
    matches!(state, LinkState::Up | LinkState::Throttled)
}

/// Whether a link has ever been up, as far as the status remembers: what a session was opened with is kept.
pub fn was_up(row: &LinkStatus) -> bool {
    let mut ends = row.ends.iter().flatten();
    ends.any(|end| end.credential.is_some())
}

/// Every link of the network, sorted by name; those that no shape and no entry makes are none.
pub fn rows(facts: &Facts<'_>) -> Vec<LinkStatus> {
    let (all, _) = expand::links(&facts.inputs.network.spec);
    let by_name: BTreeMap<&str, &Expanded> =
        all.iter().map(|link| (link.name.as_str(), link)).collect();
    let links = by_name.into_values().take(MAX_LINKS);
    links.map(|link| row(facts, link)).collect()
}

fn row(facts: &Facts<'_>, link: &Expanded) -> LinkStatus {
    let (one, other) = (&link.pair.0, &link.pair.1);
    let written = link.written.and_then(|index| {
        let links = facts.inputs.network.spec.links.as_ref()?;
        links.get(index)?.state
    });
    let is_off = facts.is_stopped(one) || facts.is_stopped(other);
    let old = facts.old.links.as_deref().unwrap_or_default();
    let old = old.iter().find(|row| row.name == link.name);
    if written == Some(Declared::Disabled) || is_off {
        return LinkStatus {
            name: link.name.clone(),
            state: LinkState::Disabled,
            ends: None,
        };
    }
    let ends = [one, other].map(|site| end(facts, &link.name, site, old));
    let states = ends
        .iter()
        .map(|end| end.as_ref().map(|end| end.state).unwrap_or_default());
    let state = states.max().unwrap_or_default();
    let ends: Vec<LinkEnd> = ends.into_iter().flatten().collect();
    LinkStatus {
        name: link.name.clone(),
        state,
        ends: (!ends.is_empty()).then_some(ends),
    }
}

/// What is told of one end, and when.
fn told<'a>(facts: &Facts<'a>, link: &str, site: &str) -> Option<(&'a LinkView, Timestamp)> {
    if let Some(local) = facts.local_site(site) {
        let (view, at) = local.view()?;
        let mut links = view.links.iter();
        return links.find(|view| view.link == link).map(|link| (link, at));
    }
    let reports = facts.answers().filter_map(|(view, at)| {
        let mut claims = view.sites.iter();
        let claim = claims.find(|claim| claim.site == site && !claim.rival)?;
        let mut links = claim.links.iter();
        let found = links.find(|view| view.link == link)?;
        Some((found, ago(at, claim.report_age_ms?)))
    });
    reports.max_by_key(|(_, seen)| *seen)
}

/// Whether what is stored of an end stands: its broker, or any that could tell of it, was not asked yet (P16).
fn stands(facts: &Facts<'_>, site: &str) -> bool {
    match facts.local_site(site) {
        Some(local) => local.view().is_none() && !local.is_lost(),
        None => facts.is_early(),
    }
}

fn end(facts: &Facts<'_>, link: &str, site: &str, old: Option<&LinkStatus>) -> Option<LinkEnd> {
    let mut ends = old.and_then(|row| row.ends.as_ref()).into_iter().flatten();
    let old = ends.find(|end| end.site == site);
    if stands(facts, site) {
        return old.cloned();
    }
    let mut end = match told(facts, link, site) {
        Some((view, seen)) => from_view(site, view, seen, old),
        None => LinkEnd {
            rtt: None,
            pending: None,
            ..old.cloned()?
        },
    };
    let seen = end.last_seen.as_ref();
    if seen.is_none_or(|seen| facts.clock.has_passed(seen.0, STALE)) {
        end.state = LinkState::Unknown;
        (end.rtt, end.pending, end.since) = (None, None, None);
    }
    Some(end)
}

fn from_view(site: &str, view: &LinkView, seen: Timestamp, old: Option<&LinkEnd>) -> LinkEnd {
    let state = state(&view.state);
    let since = view.since_ms.map(|age| whole(ago(seen, age)));
    let before = old.filter(|old| old.state == state);
    let before = before.and_then(|old| old.since.clone());
    let credential = word(view.credential.as_deref()).filter(|word| word != "None");
    let error = [view.last_error.as_deref(), Some(view.reason.as_str())];
    let error = error.into_iter().flatten().find(|text| !text.is_empty());
    LinkEnd {
        site: site.to_owned(),
        role: word(view.role.as_deref()),
        state,
        since: steady(since, before),
        rtt: view.rtt_ms.filter(|rtt| *rtt > 0.0).map(rtt),
        pending: view
            .pending
            .map(|count| i64::try_from(count).unwrap_or(i64::MAX)),
        // What it was opened with last: it tells that the link has been up, when it no longer is.
        credential: credential.or_else(|| old?.credential.clone()),
        root: view.root.clone().filter(|text| !text.is_empty()),
        last_error: error
            .filter(|_| !is_up(state))
            .map(|text| text.chars().take(MAX_ERROR).collect()),
        last_seen: Some(whole(seen)),
    }
}

/// The earlier time where both mean the same: ages come with the jitter of the way.
fn steady(new: Option<Time>, old: Option<Time>) -> Option<Time> {
    match (new, old) {
        (Some(new), Some(old))
            if (new.0.as_second() - old.0.as_second()).abs() <= JITTER_SECONDS =>
        {
            Some(old)
        }
        (new, _) => new,
    }
}

fn state(word: &str) -> LinkState {
    match word {
        "up" => LinkState::Up,
        "throttled" => LinkState::Throttled,
        "connecting" => LinkState::Connecting,
        "blocked" => LinkState::Blocked,
        "down" => LinkState::Down,
        "auth_failed" => LinkState::AuthFailed,
        "refused" => LinkState::Refused,
        _ => LinkState::Unknown,
    }
}

/// A word as a status writes it.
fn word(text: Option<&str>) -> Option<String> {
    let mut letters = text?.chars();
    let first = letters.next()?.to_ascii_uppercase();
    Some(std::iter::once(first).chain(letters).collect())
}

fn rtt(milliseconds: f64) -> String {
    match milliseconds {
        ..10.0 => format!("{milliseconds:.1}ms"),
        _ => format!("{milliseconds:.0}ms"),
    }
}
