//! L01, L02, L05, L15: what the links make of the sites.

use std::collections::BTreeSet;

use super::Context;
use crate::api::network::SiteMode;
use crate::finding::{Finding, Subject};
use crate::model::ListenerKind;
use crate::names::SiteName;
use crate::rule::Rule;
use crate::topology::expand::Expanded;

/// Hops between two sites from which on a network is called wide.
const MAX_HOPS: u16 = 8;

/// L01: parts that no link joins.
pub(super) fn parts(context: &Context<'_>) -> Option<Finding> {
    let parts = context.graph.parts();
    let smallest = parts.iter().min_by_key(|part| part.len())?;
    if parts.len() < 2 {
        return None;
    }
    let path = context.site_path(smallest.first()?.as_str());
    let reason = format!(
        "the network falls into {} parts that no links join: {}{}",
        parts.len(),
        sides(&parts),
        left_out(context)
    );
    let finding = Finding::warning(Subject::Network, path, reason);
    let help = "add a link between the parts, or a topology";
    Some(finding.with_help(help).called(Rule::UnreachableSite))
}

/// L02: what others reach each other through, and in no other way.
pub(super) fn single_points(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for found in context.graph.articulations() {
        let reason = format!(
            "site {} is the only way between {}",
            found.site,
            sides(&found.parts)
        );
        let path = context.site_path(found.site.as_str());
        findings.push(Finding::warning(Subject::Network, path, reason));
    }
    for found in context.graph.bridges() {
        let reason = format!(
            "link {} is the only way between {}",
            found.link,
            sides(&found.sides)
        );
        let name = found.link.as_str();
        let link = context.links.iter().find(|link| link.name == name);
        let path = link.map(|link| context.link_path(link));
        let finding = Finding::warning(Subject::Network, path.unwrap_or_default(), reason);
        findings.push(finding);
    }
    findings
        .into_iter()
        .map(|finding| finding.called(Rule::SinglePointOfFailure))
        .collect()
}

/// L05: links that neither end can dial. Sites of one cluster dial each other's Service (P6).
pub(super) fn not_dialable(context: &Context<'_>) -> Vec<Finding> {
    let spec = &context.declared.network.spec;
    let local = context.declared.local_sites.as_ref();
    let is_inside = |link: &Expanded| {
        let ends = [&link.pair.0, &link.pair.1];
        local.is_some_and(|local| ends.into_iter().all(|end| local.contains(end)))
    };
    let has_endpoint = |name: &str| {
        let mut sites = spec.sites.iter();
        sites.any(|site| site.name == name && site.endpoint.is_some())
    };
    let links = context.links.iter().filter(|link| {
        let written = context.written(link);
        let dialer = written.and_then(|link| link.dialer.as_deref());
        let has_own = written
            .and_then(|link| link.addresses.as_ref())
            .is_some_and(|addresses| !addresses.is_empty());
        let dials = |from: &str, to: &str| {
            let may = dialer.is_none_or(|dialer| dialer == from);
            may && accepts(context, to) && (has_own || has_endpoint(to))
        };
        let (one, other) = (link.pair.0.as_str(), link.pair.1.as_str());
        !is_inside(link) && !dials(one, other) && !dials(other, one)
    });
    let finding = |link: &Expanded| {
        let (one, other) = &link.pair;
        let reason = format!("neither {one} nor {other} can dial the link {}", link.name);
        let finding = Finding::warning(Subject::Network, context.link_path(link), reason);
        let help = "give one of the sites an endpoint (not the dialer itself) and an open link listener, or the link addresses";
        finding.with_help(help).called(Rule::NotDialable)
    };
    links.map(finding).collect()
}

/// Whether the link listener of a site is open.
fn accepts(context: &Context<'_>, site: &str) -> bool {
    let site = context.valid.and_then(|valid| valid.sites.get(site));
    site.is_none_or(|site| site.listeners.contains_key(&ListenerKind::Link))
}

/// L15: sites that are far apart.
pub(super) fn diameter(context: &Context<'_>) -> Option<Finding> {
    let (from, to, hops) = context.graph.widest()?;
    (hops > MAX_HOPS).then(|| {
        let reason = format!("the way from {from} to {to} has {hops} hops, more than {MAX_HOPS}");
        let finding = Finding::note(Subject::Network, "spec.links", reason);
        let help = "each hop adds its delay; a link across would shorten the way";
        finding.with_help(help).called(Rule::LargeDiameter)
    })
}

/// Groups of sites, as `ie, uk | us`.
fn sides(parts: &[BTreeSet<SiteName>]) -> String {
    let part = |part: &BTreeSet<SiteName>| {
        let names: Vec<&str> = part.iter().map(SiteName::as_str).collect();
        names.join(", ")
    };
    parts.iter().map(part).collect::<Vec<_>>().join(" | ")
}

/// Sites that are written and take no part, which may be why.
fn left_out(context: &Context<'_>) -> String {
    let spec = &context.declared.network.spec;
    let denied = |name: &String| spec.denied_sites.iter().flatten().any(|site| site == name);
    let words = spec.sites.iter().filter_map(|site| {
        if site.mode.unwrap_or_default() == SiteMode::Stopped {
            return Some(format!("{} is Stopped", site.name));
        }
        denied(&site.name).then(|| format!("{} is denied", site.name))
    });
    let words: Vec<String> = words.collect();
    match words.is_empty() {
        true => String::new(),
        false => format!(" ({})", words.join(", ")),
    }
}
