//! Groups that are probably misspelt: rights for one that nobody has, members of one that no right names, where the other
//! side has one of nearly that name.

use std::collections::BTreeMap;

use super::Check;
use crate::api::network::Authorization;
use crate::api::user::{Effect, Permission};
use crate::documents::schema_walk::nearest;
use crate::finding::{Finding, Subject};
use crate::rule::Rule;

const TEMPORARY: &str = "spec.authorization.temporary";
/// Stands for everybody who is logged in.
const EVERYBODY: &str = "*";

impl Check<'_> {
    /// L11, as far as it is probably a mistake.
    pub(super) fn groups(&mut self) {
        let declared = self.declared;
        // The users may well be in files of their own.
        let Some(rights) = declared.network.spec.authorization.as_ref() else {
            return;
        };
        if declared.users.is_empty() {
            return;
        }
        let granted = granted(rights);
        let members = || {
            let users = declared.users.iter();
            users.flat_map(|(name, user)| {
                let groups = user.groups.iter().flatten().enumerate();
                groups.map(move |(index, group)| (name, index, group.as_str()))
            })
        };
        for (group, path) in &granted {
            if *group == EVERYBODY || members().any(|(.., own)| own == *group) {
                continue;
            }
            // Without a group that is nearly it, its users will come later.
            if let Some(help) = meant(group, members().map(|(.., own)| own)) {
                let reason = format!("no user is in the group {group}");
                let finding = Finding::warning(Subject::Network, path, reason).with_help(help);
                self.findings.push(finding.called(Rule::GroupWithoutUsers));
            }
        }
        self.powerless(&granted);
        for (user, index, group) in members() {
            if granted.contains_key(group) {
                continue;
            }
            // A group without rights does no harm, unless another one was meant.
            if let Some(help) = meant(group, granted.keys().copied()) {
                let subject = Subject::User(user.clone());
                let reason = format!("no right names the group {group}");
                let path = format!("spec.groups[{index}]");
                let finding = Finding::warning(subject, path, reason).with_help(help);
                self.findings.push(finding.called(Rule::UserWithoutRights));
            }
        }
    }
}

impl Check<'_> {
    /// L11: users without rights.
    fn powerless(&mut self, granted: &BTreeMap<&str, String>) {
        // Temporary destinations alone are of no use.
        let everybody = granted.get(EVERYBODY);
        if everybody.is_some_and(|path| !path.starts_with(TEMPORARY)) {
            return;
        }
        let declared = self.declared;
        for (name, user) in &declared.users {
            let mut groups = user.groups.iter().flatten();
            let is_allowed = |right: &Permission| right.effect != Some(Effect::Deny);
            if groups.any(|group| granted.contains_key(group.as_str()))
                || user.permissions.iter().flatten().any(is_allowed)
            {
                continue;
            }
            let written: Vec<&str> = user.groups.iter().flatten().map(String::as_str).collect();
            let (path, reason) = match written.is_empty() {
                true => (
                    "spec",
                    "the user has neither groups nor permissions".to_owned(),
                ),
                false => (
                    "spec.groups",
                    format!("no right names any of the groups {}", written.join(", ")),
                ),
            };
            let reason = format!("{reason}: it can use temporary destinations at most");
            let finding = Finding::warning(Subject::User(name.clone()), path, reason);
            self.findings.push(finding.called(Rule::UserWithoutRights));
        }
    }
}

fn meant<'a>(group: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    nearest(group, known.filter(|name| *name != EVERYBODY))
        .map(|near| format!("did you mean {near}?"))
}

fn named(
    lists: Vec<(&Option<Vec<String>>, String)>,
) -> impl Iterator<Item = (&Vec<String>, String)> {
    lists
        .into_iter()
        .filter_map(|(groups, path)| Some((groups.as_ref()?, path)))
}

/// Every group that has rights, with the first place that names it: temporary destinations come last.
fn granted(rights: &Authorization) -> BTreeMap<&str, String> {
    let mut lists = Vec::new();
    for (index, entry) in rights.entries.iter().flatten().enumerate() {
        let path = format!("spec.authorization.entries[{index}]");
        lists.push((&entry.read, format!("{path}.read")));
        lists.push((&entry.write, format!("{path}.write")));
        lists.push((&entry.admin, format!("{path}.admin")));
    }
    let written = named(lists);
    let temporary = rights.temporary.iter().flat_map(|temporary| {
        named(vec![
            (&temporary.read, format!("{TEMPORARY}.read")),
            (&temporary.write, format!("{TEMPORARY}.write")),
            (&temporary.admin, format!("{TEMPORARY}.admin")),
        ])
    });
    let collectives = rights.collectives.iter().flatten().enumerate();
    let of_collectives = collectives.flat_map(|(index, collective)| {
        let path = format!("spec.authorization.collectives[{index}]");
        [
            (&collective.servers, format!("{path}.servers")),
            (&collective.admins, format!("{path}.admins")),
        ]
    });
    let mut granted = BTreeMap::new();
    for (groups, path) in written.chain(of_collectives).chain(temporary) {
        for (index, group) in groups.iter().enumerate() {
            granted
                .entry(group.as_str())
                .or_insert_with(|| format!("{path}[{index}]"));
        }
    }
    granted
}
