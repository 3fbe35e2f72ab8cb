//! What changes between two configurations.

use std::collections::BTreeMap;

use super::file::{Link, LinkSecret, User, UserState};
use super::valid::Config;

/// The parts that have to be acted on. Everything is in the order of names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// Keys that are read at start only: the configuration is refused.
    pub needs_restart: Vec<&'static str>,
    /// Listeners that were closed and are open now.
    pub listeners_opened: Vec<&'static str>,
    /// Listeners whose address, port or way of working differs.
    pub listeners_moved: Vec<&'static str>,
    /// Listeners that are closed now.
    pub listeners_closed: Vec<&'static str>,
    /// Certificates, keys or bundles.
    pub certificates: bool,
    /// Users that may log in now and could not before.
    pub users_added: Vec<String>,
    /// Users that are gone: their sessions end.
    pub users_removed: Vec<String>,
    /// Users that may not log in any more: their sessions end.
    pub users_suspended: Vec<String>,
    /// Users that lost a password hash or have another certificate: sessions opened with what is
    /// not listed any more end.
    pub users_with_other_credentials: Vec<String>,
    /// Rights: entries, or groups, permissions or limits of a user that stays.
    pub rights: bool,
    /// Links that are new.
    pub links_added: Vec<String>,
    /// Links that are gone.
    pub links_removed: Vec<String>,
    /// Links whose cost, addresses, peer or secret differ.
    pub links_changed: Vec<String>,
    /// Limits and policies.
    pub limits: bool,
    /// What the mesh is told besides links: sites, denied sites, authentication, its section.
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
    let needs_restart = start_only.into_iter().filter(|(_, differs)| *differs);
    let links = Sides::new(links(old), links(new));
    let mut changes = Changes {
        needs_restart: needs_restart.map(|(key, _)| key).collect(),
        certificates: a.tls != b.tls || old.others != new.others,
        rights: a.authorization != b.authorization,
        links_added: links.added(),
        links_removed: links.removed(),
        links_changed: links.changed(|old, new| old != new),
        limits: old.limits != new.limits || a.queue != b.queue || a.topic != b.topic,
        mesh: a.sites != b.sites
            || a.denied_sites != b.denied_sites
            || a.link_auth != b.link_auth
            || a.mesh != b.mesh
            || a.spec_hash != b.spec_hash,
        ..Changes::default()
    };
    listeners(old, new, &mut changes);
    users(old, new, &mut changes);
    changes
}

/// Things by name, before and after.
struct Sides<'a, T> {
    old: BTreeMap<&'a str, T>,
    new: BTreeMap<&'a str, T>,
}

impl<'a, T> Sides<'a, T> {
    fn new(old: BTreeMap<&'a str, T>, new: BTreeMap<&'a str, T>) -> Self {
        Self { old, new }
    }

    fn added(&self) -> Vec<String> {
        only_in(&self.new, &self.old)
    }

    fn removed(&self) -> Vec<String> {
        only_in(&self.old, &self.new)
    }

    fn changed(&self, differs: impl Fn(&T, &T) -> bool) -> Vec<String> {
        self.new
            .iter()
            .filter(|(name, new)| self.old.get(*name).is_some_and(|old| differs(old, new)))
            .map(|(name, _)| (*name).to_owned())
            .collect()
    }
}

fn only_in<T>(one: &BTreeMap<&str, T>, other: &BTreeMap<&str, T>) -> Vec<String> {
    one.keys()
        .filter(|name| !other.contains_key(*name))
        .map(|name| (*name).to_owned())
        .collect()
}

fn links(config: &Config) -> BTreeMap<&str, (&Link, Option<&LinkSecret>)> {
    config
        .broker
        .links
        .iter()
        .map(|link| {
            let secret = config.secrets.links.get(&link.name);
            (link.name.as_str(), (link, secret))
        })
        .collect()
}

fn listeners(old: &Config, new: &Config, changes: &mut Changes) {
    let (old, new) = (&old.broker.listeners, &new.broker.listeners);
    let mut note = |name, was_open: bool, is_open: bool, differs: bool| match (was_open, is_open) {
        (false, true) => changes.listeners_opened.push(name),
        (true, false) => changes.listeners_closed.push(name),
        (true, true) if differs => changes.listeners_moved.push(name),
        _ => {}
    };
    macro_rules! compare {
        ($($name:ident),*) => {
            $(note(
                stringify!($name),
                old.$name.is_some(),
                new.$name.is_some(),
                old.$name != new.$name,
            );)*
        };
    }
    compare!(admin, link, stomp, stomp_tls);
}

fn by_name(config: &Config) -> BTreeMap<&str, &User> {
    let users = config.users.users.iter();
    users.map(|user| (user.name.as_str(), user)).collect()
}

fn users(old: &Config, new: &Config, changes: &mut Changes) {
    let sides = Sides::new(by_name(old), by_name(new));
    let is_active = |user: &User| user.state == UserState::Active;
    changes.users_added = sides.added();
    changes
        .users_added
        .extend(sides.changed(|old, new| !is_active(old) && is_active(new)));
    changes.users_added.sort_unstable();
    changes.users_removed = sides.removed();
    changes.users_suspended = sides.changed(|old, new| is_active(old) && !is_active(new));
    changes.users_with_other_credentials = sides.changed(|old, new| {
        let is_kept = |verifier| new.verifiers.contains(verifier);
        old.certificate != new.certificate || !old.verifiers.iter().all(is_kept)
    });
    let rights = sides.changed(|old, new| {
        old.groups != new.groups || old.permissions != new.permissions || old.limits != new.limits
    });
    changes.rights |= !rights.is_empty();
}

#[cfg(test)]
mod tests {
    use super::{Changes, diff};
    use crate::config::test_support::{config, files};

    fn changes(from: &str, to: &str) -> Changes {
        let old = files();
        let mut new = files();
        for bytes in [&mut new.broker, &mut new.users, &mut new.secrets] {
            let text = String::from_utf8_lossy(bytes).replace(from, to);
            *bytes = text.into_bytes();
        }
        assert!(from.is_empty() || new.hash() != old.hash(), "{from}");
        diff(&config(&old), &config(&new))
    }

    #[test]
    fn equal_configurations_have_no_changes() {
        assert_eq!(changes("", ""), Changes::default());
    }

    #[test]
    fn what_is_read_at_start_only_is_named() {
        let changed = changes("network: n", "network: m");
        assert_eq!(changed.needs_restart, ["network"]);
    }

    #[test]
    fn listeners_open_move_and_close() {
        let changed = changes(
            "stomp: {bind: \"127.0.0.1\", port: 61613}",
            "stomp: {bind: \"127.0.0.1\", port: 61713}",
        );
        assert_eq!(changed.listeners_moved, ["stomp"]);
        let changed = changes("  stomp: {", "  admin: {");
        assert_eq!(changed.listeners_opened, ["admin"]);
        assert_eq!(changed.listeners_closed, ["stomp"]);
    }

    #[test]
    fn links_are_compared_with_their_secrets() {
        let changed = changes("current: one", "current: two");
        assert_eq!(changed.links_changed, ["a-b"]);
        let changed = changes("a-b", "ab");
        assert_eq!(changed.links_added, ["ab"]);
        assert_eq!(changed.links_removed, ["a-b"]);
    }

    #[test]
    fn users_come_go_and_are_suspended() {
        let changed = changes("name: alice", "name: carol");
        assert_eq!(changed.users_added, ["carol"]);
        assert_eq!(changed.users_removed, ["alice"]);
        let changed = changes("name: alice", "name: alice\n    state: suspended");
        assert_eq!(changed.users_suspended, ["alice"]);
        assert!(!changed.rights);
    }

    #[test]
    fn only_a_lost_hash_ends_sessions() {
        let changed = changes("m=19456", "m=19457");
        assert_eq!(changed.users_with_other_credentials, ["alice"]);
        let changed = changes("groups: [everyone]", "groups: [nobody]");
        assert!(changed.rights && changed.users_with_other_credentials.is_empty());
    }
}
