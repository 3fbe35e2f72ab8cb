//! What changes between two configurations.

use std::collections::BTreeMap;

use super::file::{Link, LinkSecret, User};
use super::valid::Config;

/// The parts that have to be acted on.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Changes {
    /// Keys that are read at start only: the configuration is refused.
    pub needs_restart: Vec<&'static str>,
    /// Listeners or the certificate of TLS listeners.
    pub listeners: bool,
    /// Certificates, keys or bundles.
    pub certificates: bool,
    /// Users, groups, permissions or entries.
    pub rights: bool,
    /// Links that are new.
    pub links_added: Vec<String>,
    /// Links that are gone.
    pub links_removed: Vec<String>,
    /// Links whose cost, addresses, peer or secret differ.
    pub links_changed: Vec<String>,
    /// Limits and policies.
    pub limits: bool,
    /// Anything that the mesh is told (sites, denied sites, authentication, mesh section).
    pub mesh: bool,
}

/// Compares two configurations.
#[must_use]
pub fn diff(old: &Config, new: &Config) -> Changes {
    let (a, b) = (&old.broker, &new.broker);
    let start_only = [
        ("network", a.network != b.network),
        ("site", a.site != b.site),
        ("instance", a.instance != b.instance),
        ("state_dir", a.state_dir != b.state_dir),
    ];
    let (old_links, new_links) = (links(old), links(new));
    let gone = |from: &BTreeMap<&str, _>, other: &BTreeMap<&str, _>| -> Vec<String> {
        from.keys()
            .filter(|name| !other.contains_key(*name))
            .map(|name| (*name).to_owned())
            .collect()
    };
    Changes {
        needs_restart: start_only
            .iter()
            .filter(|(_, differs)| *differs)
            .map(|(key, _)| *key)
            .collect(),
        listeners: a.listeners != b.listeners,
        certificates: a.tls != b.tls || old.others != new.others,
        rights: a.authorization != b.authorization || old.users != new.users,
        links_added: gone(&new_links, &old_links),
        links_removed: gone(&old_links, &new_links),
        links_changed: new_links
            .iter()
            .filter(|(name, link)| old_links.get(*name).is_some_and(|known| known != *link))
            .map(|(name, _)| (*name).to_owned())
            .collect(),
        limits: old.limits != new.limits || a.queue != b.queue || a.topic != b.topic,
        mesh: a.sites != b.sites
            || a.denied_sites != b.denied_sites
            || a.link_auth != b.link_auth
            || a.mesh != b.mesh
            || a.spec_hash != b.spec_hash,
    }
}

fn links(config: &Config) -> BTreeMap<&str, (&Link, Option<&LinkSecret>)> {
    config
        .broker
        .links
        .iter()
        .map(|link| {
            (
                link.name.as_str(),
                (link, config.secrets.links.get(&link.name)),
            )
        })
        .collect()
}

/// Users whose sessions end: removed, suspended, or with fewer verifiers than before.
#[must_use]
pub fn withdrawn_users<'a>(old: &'a Config, new: &'a Config) -> Vec<&'a User> {
    let now: BTreeMap<&str, &User> = new
        .users
        .users
        .iter()
        .map(|user| (user.name.as_str(), user))
        .collect();
    old.users
        .users
        .iter()
        .filter(|user| match now.get(user.name.as_str()) {
            None => true,
            Some(current) => current.state != user.state,
        })
        .collect()
}
