//! Groups that are probably misspelt: rights for one that nobody has, members of one that no right names, where the other
//! side has one of nearly that name.

use std::collections::BTreeMap;

use super::Check;
use crate::api::network::Authorization;
use crate::documents::schema_walk::nearest;
use crate::finding::{Finding, Subject};

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
                self.findings.push(finding);
            }
        }
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
                self.findings.push(finding);
            }
        }
    }
}

fn meant<'a>(group: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    nearest(group, known.filter(|name| *name != EVERYBODY))
        .map(|near| format!("did you mean {near}?"))
}

/// Every group that has rights, with the first place that names it.
fn granted(rights: &Authorization) -> BTreeMap<&str, String> {
    let mut lists = Vec::new();
    for (index, entry) in rights.entries.iter().flatten().enumerate() {
        let path = format!("spec.authorization.entries[{index}]");
        lists.push((&entry.read, format!("{path}.read")));
        lists.push((&entry.write, format!("{path}.write")));
        lists.push((&entry.admin, format!("{path}.admin")));
    }
    if let Some(temporary) = &rights.temporary {
        let path = "spec.authorization.temporary";
        lists.push((&temporary.read, format!("{path}.read")));
        lists.push((&temporary.write, format!("{path}.write")));
        lists.push((&temporary.admin, format!("{path}.admin")));
    }
    let written = lists
        .into_iter()
        .filter_map(|(groups, path)| Some((groups.as_ref()?, path)));
    let collectives = rights.collectives.iter().flatten().enumerate();
    let of_collectives = collectives.flat_map(|(index, collective)| {
        let path = format!("spec.authorization.collectives[{index}]");
        [
            (&collective.servers, format!("{path}.servers")),
            (&collective.admins, format!("{path}.admins")),
        ]
    });
    let mut granted = BTreeMap::new();
    for (groups, path) in written.chain(of_collectives) {
        for (index, group) in groups.iter().enumerate() {
            granted
                .entry(group.as_str())
                .or_insert_with(|| format!("{path}[{index}]"));
        }
    }
    granted
}
