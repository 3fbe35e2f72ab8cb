//! A plan in words and tables.

use std::fmt::Display;

use super::plan::Report;
use super::table::{lines, row};
use crate::api::cluster::Strategy;
use crate::change::{Change, Fate, ObjectChanges, SiteChange};
use crate::topology::graph::Route;
use crate::topology::what_if::Outcome;

/// The whole plan.
pub(super) fn report(report: &Report, is_each: bool) -> String {
    let mut text = String::new();
    if let Some(sites) = &report.sites {
        text += &edit(&report.network, sites, report.objects.as_ref());
    }
    if is_each {
        text += &each(&report.what_if);
    } else {
        report.what_if.iter().for_each(|one| text += &outcome(one));
    }
    text
}

fn edit(network: &str, sites: &[SiteChange], objects: Option<&ObjectChanges>) -> String {
    let mut text = String::new();
    let common = common(sites);
    if !common.is_empty() {
        text += "every site that stays:\n";
        text += &changes(common.iter());
    }
    for site in sites {
        let own: Vec<&Change> = site
            .changes
            .iter()
            .filter(|change| !common.contains(change))
            .collect();
        if site.fate == Fate::Kept && site.changes.is_empty() {
            continue;
        }
        text += &format!("{}: {}\n", site.site, fate(site));
        text += site.strategy.map_or("", waiting);
        text += &changes(own.into_iter());
    }
    let no_objects =
        |objects: &ObjectChanges| objects.created.is_empty() && objects.removed.is_empty();
    if text.is_empty() && objects.is_none_or(no_objects) {
        return format!("nothing changes in network {network}\n");
    }
    if let Some(objects) = objects {
        text += &listed("objects created", &objects.created);
        text += &listed("objects removed", &objects.removed);
    }
    text
}

/// What changes alike at all sites that stay, where those are several.
fn common(sites: &[SiteChange]) -> Vec<Change> {
    let mut stay = sites
        .iter()
        .filter(|site| !matches!(site.fate, Fate::Created | Fate::Removed));
    let Some(first) = stay.next() else {
        return Vec::new();
    };
    let others: Vec<&SiteChange> = stay.collect();
    if others.is_empty() {
        return Vec::new();
    }
    let is_common = |change: &&Change| others.iter().all(|site| site.changes.contains(change));
    first.changes.iter().filter(is_common).cloned().collect()
}

fn fate(site: &SiteChange) -> String {
    match site.fate {
        Fate::Created => "created".to_owned(),
        Fate::Removed => "removed, with what waits in its queues".to_owned(),
        Fate::Started => "its broker starts".to_owned(),
        Fate::Stopped => {
            "its broker stops, with what waits in its queues; the other objects are kept".to_owned()
        }
        Fate::Kept if site.restarts.is_empty() => "no restart".to_owned(),
        Fate::Kept => {
            let reasons = site.restarts.iter().map(|reason| format!("{reason:?}"));
            format!("restarts ({})", joined(reasons))
        }
    }
}

/// What becomes of what waits at a broker that is restarted.
const fn waiting(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::Recreate => {
            "  strategy Recreate: messages in queues go to other sites that have consumers for them; the others are lost, and so are durable subscriptions\n"
        }
        Strategy::Handover => {
            "  strategy Handover: the new pod takes over messages in queues and durable subscriptions\n"
        }
    }
}

fn changes<'a>(changes: impl Iterator<Item = &'a Change>) -> String {
    let mut rows = vec![row(["CLASS", "FIELD", "CHANGE", "WHY"])];
    rows.extend(changes.map(|change| {
        let what = match (change.before.as_deref(), change.after.as_deref()) {
            (None, None) => "changed (secret)".to_owned(),
            (None, Some("")) => "added".to_owned(),
            (Some(""), None) => "removed".to_owned(),
            (None, Some(after)) => format!("added: {after}"),
            (Some(before), None) => format!("removed: {before}"),
            (Some(before), Some(after)) => format!("{before} -> {after}"),
        };
        row([change.class.word(), &change.path, &what, change.reason])
    }));
    match rows.len() {
        1 => String::new(),
        _ => lines(&rows, "  "),
    }
}

fn listed(head: &str, names: &[String]) -> String {
    if names.is_empty() {
        return String::new();
    }
    let names = names.iter().map(|name| format!("  {name}\n"));
    format!("{head}:\n{}", names.collect::<String>())
}

/// One loss, pair by pair.
fn outcome(outcome: &Outcome) -> String {
    let mut text = format!("without {}:\n", joined(&outcome.lost));
    let mut rows = vec![row(["PAIR", "NOW", "THEN"])];
    rows.extend(outcome.cut.iter().map(|(from, to)| {
        let pair = format!("{from} - {to}");
        row([&pair, "", "no way: they can no longer talk"])
    }));
    rows.extend(outcome.moved.iter().map(|moved| {
        let pair = format!("{} - {}", moved.from, moved.to);
        row([&pair, &way(&moved.before), &way(&moved.after)])
    }));
    text += &match rows.len() {
        1 => "  every pair of sites that is left talks as before\n".to_owned(),
        _ => lines(&rows, "  "),
    };
    let mut tell = |words: &str, names: String| {
        if !names.is_empty() {
            text += &format!("  {words}: {names}\n");
        }
    };
    tell("without any link", joined(&outcome.isolated));
    tell("users that no site is left for", joined(&outcome.shut_out));
    tell(
        "what waits in queues there is out of reach",
        joined(&outcome.queues_at),
    );
    text
}

fn way(route: &Route) -> String {
    let links = joined_by(route.hops.iter().map(|hop| &hop.link), " > ");
    format!("cost {} over {links}", route.cost)
}

/// Every single loss, a line each.
fn each(outcomes: &[Outcome]) -> String {
    let mut rows = vec![row([
        "LOST",
        "PAIRS CUT",
        "PAIRS MOVED",
        "LONGEST DETOUR",
        "CUT OFF",
    ])];
    rows.extend(outcomes.iter().map(|outcome| {
        let isolated = joined(&outcome.isolated);
        let detour = format!("+{}", outcome.detour());
        row([
            &joined(&outcome.lost),
            &outcome.cut.len().to_string(),
            &outcome.moved.len().to_string(),
            if outcome.moved.is_empty() {
                "-"
            } else {
                &detour
            },
            if isolated.is_empty() { "-" } else { &isolated },
        ])
    }));
    let dangerous = outcomes.iter().filter(|one| !one.cut.is_empty()).count();
    let end = match dangerous {
        0 => "no single loss cuts sites off from each other".to_owned(),
        1 => "1 loss cuts sites off from each other".to_owned(),
        count => format!("{count} losses cut sites off from each other"),
    };
    format!("{}{end}\n", lines(&rows, ""))
}

fn joined<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    joined_by(items, ", ")
}

fn joined_by<T: Display>(items: impl IntoIterator<Item = T>, between: &str) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    items.join(between)
}
