//! Links, and their secrets.

use std::collections::BTreeSet;

use super::{BROKER, SECRETS};
use crate::config::file::{BrokerFile, Link, LinkAuthMode, SecretsFile};
use crate::config::limits::{Limits, MIN_LINK_WINDOW};
use crate::config::problem::Problems;

/// Links of one broker.
pub const MAX_LINKS: usize = 128;

pub(super) fn check(file: &BrokerFile, problems: &mut Problems) {
    if file.links.len() > MAX_LINKS {
        problems.add(BROKER, "links", format!("more than {MAX_LINKS}"));
    }
    let mut names = BTreeSet::new();
    let mut ends = BTreeSet::new();
    for link in &file.links {
        let path = format!("links.{}", link.name);
        if link.name.is_empty() {
            problems.add(BROKER, "links", "a link has no name");
        }
        if !names.insert(link.name.as_str()) {
            problems.add(BROKER, path.clone(), "is listed twice");
        }
        for address in &link.addresses {
            if !ends.insert((&link.peer, &address.host, address.port)) {
                let reason = format!(
                    "{}:{} is an address of {} in another place too: two links need two",
                    address.host, address.port, link.peer
                );
                problems.add(BROKER, path.clone(), reason);
            }
        }
        for reason in reasons(file, link) {
            problems.add(BROKER, path.clone(), reason);
        }
    }
    windows(file, problems);
    authentication(file, problems);
}

/// Windows that are given have to fit into what all rings may take.
fn windows(file: &BrokerFile, problems: &mut Problems) {
    let given = file.links.iter().filter_map(|link| link.window);
    let sum = given.fold(0_u64, |sum, window| sum.saturating_add(window.0));
    let rings = Limits::of(file).rings as u64;
    if sum > rings {
        let reason =
            format!("the windows given are {sum} bytes together, more than mesh.rings, {rings}");
        problems.add(BROKER, "links", reason);
    }
}

fn reasons(file: &BrokerFile, link: &Link) -> Vec<String> {
    let mut reasons = Vec::new();
    let mut refuse = |is_wrong: bool, reason: &str| {
        if is_wrong {
            reasons.push(reason.to_owned());
        }
    };
    let is_known = file.sites.iter().any(|site| site.name == link.peer);
    let small = link
        .window
        .is_some_and(|window| window.0 < MIN_LINK_WINDOW as u64);
    refuse(link.peer == file.site, "leads to this site itself");
    refuse(
        !is_known,
        &format!("peer {} is not one of sites", link.peer),
    );
    refuse(link.cost == 0, "cost must be 1 to 65535");
    refuse(
        !(100..=60_000).contains(&link.heartbeat.0),
        "heartbeat must be 100ms to 60s",
    );
    refuse(small, "window must be at least 64Ki");
    refuse(
        link.addresses
            .iter()
            .any(|address| address.host.is_empty() || address.port == 0),
        "an address has a host and a port of 1 to 65535",
    );
    reasons
}

fn authentication(file: &BrokerFile, problems: &mut Problems) {
    if file.link_auth == LinkAuthMode::Password {
        return;
    }
    let has_roots = file
        .tls
        .as_ref()
        .is_some_and(|tls| tls.trust_bundle.is_some());
    if !has_roots {
        problems.add(BROKER, "link_auth", "certificates need tls.trust_bundle");
    }
}

pub(super) fn secrets(broker: &BrokerFile, file: &SecretsFile, problems: &mut Problems) {
    if broker.link_auth != LinkAuthMode::Mtls {
        let without = |link: &&Link| !file.links.contains_key(&link.name);
        for link in broker.links.iter().filter(without) {
            let path = format!("links.{}", link.name);
            problems.add(SECRETS, path, "the link has no secret here");
        }
    }
    for (name, secret) in &file.links {
        let previous = secret.previous.as_ref();
        if secret.current.is_empty() || previous.is_some_and(String::is_empty) {
            problems.add(SECRETS, format!("links.{name}"), "a secret is empty");
        }
    }
}
