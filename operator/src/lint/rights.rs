//! L11, L12, L13: rights that do nothing, or not what they seem to.

use std::collections::{BTreeMap, BTreeSet};

use causeway_broker::model::Kind;
use causeway_broker::security::pattern::covers;
use causeway_broker::security::{Identity, Rules, Verb};

use super::Context;
use crate::api::shared::Entry;
use crate::api::user::{Effect, Operation, Permission};
use crate::documents::schema_walk::nearest;
use crate::finding::{Finding, Subject};
use crate::render;
use crate::rule::Rule;

const ENTRIES: &str = "spec.authorization.entries";
/// Stands for everybody who is logged in.
const EVERYBODY: &str = "*";
const ADVISORY: &str = "ActiveMQ.Advisory";

fn entries<'a>(context: &Context<'a>) -> &'a [Entry] {
    let rights = context.declared.network.spec.authorization.as_ref();
    rights
        .and_then(|rights| rights.entries.as_deref())
        .unwrap_or_default()
}

fn pattern(entry: &Entry) -> (bool, &str) {
    let pattern = entry.queue.as_ref().or(entry.topic.as_ref());
    (entry.queue.is_some(), pattern.map_or("", String::as_str))
}

fn lists(entry: &Entry) -> [(&'static str, &[String]); 3] {
    [
        ("read", entry.read.as_deref().unwrap_or_default()),
        ("write", entry.write.as_deref().unwrap_or_default()),
        ("admin", entry.admin.as_deref().unwrap_or_default()),
    ]
}

/// L11: groups that nobody is in, and entries that another one makes needless. Users without rights, and groups that are
/// probably misspelt, `validate` has found.
pub(super) fn unused(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = groups(context);
    let entries = entries(context);
    for (index, entry) in entries.iter().enumerate() {
        let other = (0..entries.len()).find(|other| {
            // Of two that are equal the first one counts.
            let is_equal = includes(entry, &entries[*other]);
            *other != index && includes(&entries[*other], entry) && (!is_equal || *other < index)
        });
        if let Some(other) = other {
            let reason = format!("everything in it is in {ENTRIES}[{other}] already");
            let path = format!("{ENTRIES}[{index}]");
            let finding = Finding::note(Subject::Network, path, reason);
            findings.push(finding.called(Rule::UnusedEntry));
        }
    }
    findings
}

/// Whether one entry gives all that another one gives.
fn includes(wide: &Entry, narrow: &Entry) -> bool {
    let ((is_queue, own), (other_is_queue, other)) = (pattern(wide), pattern(narrow));
    let mut pairs = lists(wide).into_iter().zip(lists(narrow));
    is_queue == other_is_queue
        && covers(own, other)
        && pairs.all(|((_, given), (_, wanted))| {
            let is_given = |group: &String| given.contains(group);
            given.iter().any(|group| group == EVERYBODY) || wanted.iter().all(is_given)
        })
}

fn groups(context: &Context<'_>) -> Vec<Finding> {
    let users = &context.declared.users;
    let members: BTreeSet<&str> = users
        .values()
        .flat_map(|user| user.groups.iter().flatten())
        .map(String::as_str)
        .collect();
    // The users may well be in files of their own.
    if users.is_empty() {
        return Vec::new();
    }
    let mut first: BTreeMap<&str, String> = BTreeMap::new();
    for (index, entry) in entries(context).iter().enumerate() {
        for (operation, groups) in lists(entry) {
            for (position, group) in groups.iter().enumerate() {
                let path = format!("{ENTRIES}[{index}].{operation}[{position}]");
                first.entry(group).or_insert(path);
            }
        }
    }
    first
        .into_iter()
        .filter(|(group, _)| *group != EVERYBODY && !members.contains(group))
        .filter(|(group, _)| nearest(group, members.iter().copied()).is_none())
        .map(|(group, path)| {
            let reason = format!("no user is in the group {group}");
            let finding = Finding::note(Subject::Network, path, reason);
            finding.called(Rule::GroupWithoutUsers)
        })
        .collect()
}

/// L12: clients never send advisories, whatever the entries say.
pub(super) fn advisories(context: &Context<'_>) -> Vec<Finding> {
    let note = |subject: Subject, path: String| {
        let reason = "has no effect: only brokers send advisories and make their topics";
        Finding::note(subject, path, reason).called(Rule::AdvisoryWriteIgnored)
    };
    let mut findings = Vec::new();
    for (index, entry) in entries(context).iter().enumerate() {
        if !entry.topic.as_deref().is_some_and(is_advisory) {
            continue;
        }
        let vain = lists(entry)
            .into_iter()
            .find(|(operation, groups)| *operation != "read" && !groups.is_empty());
        let path = vain.map(|(operation, _)| format!("{ENTRIES}[{index}].{operation}"));
        findings.extend(path.map(|path| note(Subject::Network, path)));
    }
    for (name, user) in &context.declared.users {
        for (index, right) in user.permissions.iter().flatten().enumerate() {
            if is_vain(right) {
                let path = format!("spec.permissions[{index}]");
                findings.push(note(Subject::User(name.clone()), path));
            }
        }
    }
    findings
}

fn is_advisory(pattern: &str) -> bool {
    covers(&format!("{ADVISORY}.>"), pattern)
}

fn is_vain(right: &Permission) -> bool {
    let operations = &right.operations;
    right.topic.as_deref().is_some_and(is_advisory)
        && right.effect != Some(Effect::Deny)
        && operations.iter().any(|one| *one != Operation::Read)
}

/// L13: groups that may use queues which none of their users may create.
pub(super) fn without_admin(context: &Context<'_>) -> Vec<Finding> {
    let Some(valid) = context.valid else {
        return Vec::new();
    };
    let users: Vec<_> = valid
        .users
        .iter()
        .map(|(name, user)| render::rights_of(name, user))
        .collect();
    let rules = Rules::new(&render::authorization(valid), &users);
    let active = users.iter().filter_map(|user| rules.identity(&user.name));
    let active: Vec<&Identity> = active.map(AsRef::as_ref).collect();
    let mut findings = Vec::new();
    for (index, entry) in entries(context).iter().enumerate() {
        let Some(queue) = entry.queue.as_deref() else {
            continue;
        };
        for group in users_of_entry(entry) {
            let mut members = active
                .iter()
                .filter(|user| user.groups.contains(group))
                .peekable();
            let is_empty = members.peek().is_none();
            if is_empty || members.any(|user| rules.may(user, Verb::Admin, Kind::Queue, queue)) {
                continue;
            }
            let reason = format!(
                "the group {group} may use queues {queue}, and none of its users may create them"
            );
            let path = format!("{ENTRIES}[{index}]");
            let finding = Finding::warning(Subject::Network, path, reason)
                .with_help("who sends to or reads a queue first creates it, which needs admin");
            findings.push(finding.called(Rule::ReadWithoutAdmin));
        }
    }
    findings
}

/// The groups that may read or write.
fn users_of_entry(entry: &Entry) -> BTreeSet<&str> {
    let [(_, read), (_, write), _] = lists(entry);
    read.iter().chain(write).map(String::as_str).collect()
}
