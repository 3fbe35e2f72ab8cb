//! Rights: entries grant to groups, permissions grant or deny to one user.
//!
//! Order: any matching deny of the user refuses; any matching entry of one of its groups or allow
//! of its own grants (union, as ActiveMQ does); no match refuses. Entries of queues say nothing
//! about topics.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::config::file::{Authorization, Effect, Operation, Temporary, User, UserState};
use crate::model::{Kind, destination};

/// What somebody wants to do with a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// Subscribe, browse.
    Read,
    /// Send.
    Write,
    /// Make a queue.
    Admin,
}

impl Verb {
    /// The words of ActiveMQ's error text.
    #[must_use]
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::Read => "read from",
            Self::Write => "write to",
            Self::Admin => "create",
        }
    }
}

impl From<Operation> for Verb {
    fn from(operation: Operation) -> Self {
        match operation {
            Operation::Read => Self::Read,
            Operation::Write => Self::Write,
            Operation::Admin => Self::Admin,
        }
    }
}

/// A user as rights see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Login name.
    pub user: Arc<str>,
    /// Its groups.
    pub groups: BTreeSet<String>,
    permissions: Vec<Grant>,
    /// Connections at once; 0 = the broker's limit.
    pub max_connections: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Grant {
    is_queue: bool,
    pattern: String,
    verbs: BTreeSet<Verb>,
    is_deny: bool,
}

impl Grant {
    /// True when it speaks of every name that `wanted` (a name or a pattern) can mean.
    fn covers(&self, is_queue: bool, wanted: &str, verb: Verb) -> bool {
        self.is_queue == is_queue && self.verbs.contains(&verb) && covers(&self.pattern, wanted)
    }

    fn overlaps(&self, is_queue: bool, wanted: &str, verb: Verb) -> bool {
        self.is_queue == is_queue && self.verbs.contains(&verb) && overlaps(&self.pattern, wanted)
    }
}

impl Identity {
    /// The rights of a configured user.
    #[must_use]
    pub fn of(user: &User) -> Self {
        let permissions = user
            .permissions
            .iter()
            .filter_map(|permission| {
                let (is_queue, pattern) = match (&permission.queue, &permission.topic) {
                    (Some(pattern), _) => (true, pattern),
                    (None, Some(pattern)) => (false, pattern),
                    (None, None) => return None,
                };
                Some(Grant {
                    is_queue,
                    pattern: pattern.clone(),
                    verbs: permission
                        .operations
                        .iter()
                        .map(|one| Verb::from(*one))
                        .collect(),
                    is_deny: permission.effect == Effect::Deny,
                })
            })
            .collect();
        Self {
            user: Arc::from(user.name.as_str()),
            groups: user.groups.iter().cloned().collect(),
            permissions,
            max_connections: user.limits.as_ref().map_or(0, |limits| limits.connections),
        }
    }
}

#[derive(Debug, Clone)]
struct Rule {
    is_queue: bool,
    pattern: String,
    groups: [BTreeSet<String>; 3],
}

/// All entries, and the users by name.
#[derive(Debug, Clone)]
pub struct Rules {
    rules: Vec<Rule>,
    temporary: [BTreeSet<String>; 3],
    identities: BTreeMap<String, Arc<Identity>>,
}

const fn index(verb: Verb) -> usize {
    match verb {
        Verb::Read => 0,
        Verb::Write => 1,
        Verb::Admin => 2,
    }
}

impl Rules {
    /// The rights of a configuration.
    #[must_use]
    pub fn new(authorization: &Authorization, users: &[User]) -> Self {
        let set = |groups: &[String]| groups.iter().cloned().collect();
        let rules = authorization
            .entries
            .iter()
            .filter_map(|entry| {
                let (is_queue, pattern) = match (&entry.queue, &entry.topic) {
                    (Some(pattern), _) => (true, pattern),
                    (None, Some(pattern)) => (false, pattern),
                    (None, None) => return None,
                };
                let groups = [set(&entry.read), set(&entry.write), set(&entry.admin)];
                Some(Rule {
                    is_queue,
                    pattern: pattern.clone(),
                    groups,
                })
            })
            .collect();
        let Temporary { read, write, admin } = &authorization.temporary;
        let identities = users
            .iter()
            .filter(|user| user.state == UserState::Active)
            .map(|user| (user.name.clone(), Arc::new(Identity::of(user))))
            .collect();
        Self {
            rules,
            temporary: [set(read), set(write), set(admin)],
            identities,
        }
    }

    /// The rights of an active user.
    #[must_use]
    pub fn identity(&self, user: &str) -> Option<&Arc<Identity>> {
        self.identities.get(user)
    }

    /// May this user do that with `name`? For a subscription `name` may be a pattern; then one
    /// grant has to cover the whole of it.
    #[must_use]
    pub fn may(&self, identity: &Identity, verb: Verb, kind: Kind, name: &str) -> bool {
        if kind.is_temporary() {
            let allowed = &self.temporary[index(verb)];
            return allowed.contains("*") || !allowed.is_disjoint(&identity.groups);
        }
        let is_queue = kind == Kind::Queue;
        if verb == Verb::Write && !is_queue && destination::matches("ActiveMQ.Advisory.>", name) {
            return false;
        }
        let mine = &identity.permissions;
        if mine
            .iter()
            .any(|grant| grant.is_deny && grant.covers(is_queue, name, verb))
        {
            return false;
        }
        mine.iter()
            .any(|grant| !grant.is_deny && grant.covers(is_queue, name, verb))
            || self.rules.iter().any(|rule| {
                rule.is_queue == is_queue
                    && !rule.groups[index(verb)].is_disjoint(&identity.groups)
                    && covers(&rule.pattern, name)
            })
    }

    /// True when a deny of the user touches a part of the pattern: every delivery is then judged by
    /// its concrete name.
    #[must_use]
    pub fn needs_check(&self, identity: &Identity, verb: Verb, kind: Kind, pattern: &str) -> bool {
        let is_queue = kind == Kind::Queue;
        identity
            .permissions
            .iter()
            .any(|grant| grant.is_deny && grant.overlaps(is_queue, pattern, verb))
    }
}

/// True when a pattern matches every name that `wanted` can mean.
#[must_use]
pub fn covers(pattern: &str, wanted: &str) -> bool {
    let mut own = pattern.split('.');
    let mut other = wanted.split('.');
    loop {
        match (own.next(), other.next()) {
            (Some(">"), _) | (None, None) => return true,
            (_, Some(">")) => return false,
            (Some("*"), Some(_)) => {}
            (Some(segment), Some(name)) if segment == name && name != "*" => {}
            _ => return false,
        }
    }
}

/// True when some name is matched by both.
fn overlaps(one: &str, other: &str) -> bool {
    let (mut left, mut right) = (one.split('.'), other.split('.'));
    loop {
        match (left.next(), right.next()) {
            (Some(">"), _) | (_, Some(">")) | (None, None) => return true,
            (Some(a), Some(b)) if a == b || a == "*" || b == "*" => {}
            _ => return false,
        }
    }
}

/// True for dotted segments without blanks and commas, where `>` stands last if at all.
#[must_use]
pub fn is_valid_pattern(pattern: &str) -> bool {
    let mut segments = pattern.split('.').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        let is_wild = segment == "*" || (segment == ">" && is_last);
        let is_name = !segment.is_empty()
            && !segment
                .contains(|character: char| character.is_whitespace() || ",*>".contains(character));
        if !is_wild && !is_name {
            return false;
        }
    }
    pattern.len() <= 255
}

#[cfg(test)]
mod tests {
    use super::{Rules, Verb, covers, is_valid_pattern};
    use crate::config::file::{Authorization, Entry, User};
    use crate::model::{Kind, destination};

    fn user(name: &str, groups: &[&str], permissions: &str) -> User {
        let groups = groups.join(", ");
        let text = format!(
            "{{name: {name}, groups: [{groups}], verifiers: [x], permissions: [{permissions}]}}"
        );
        serde_yaml::from_str(&text).expect("the user of a test parses")
    }

    fn entry(queue: Option<&str>, topic: Option<&str>, group: &str) -> Entry {
        let groups = vec![group.to_owned()];
        Entry {
            queue: queue.map(str::to_owned),
            topic: topic.map(str::to_owned),
            read: groups.clone(),
            write: groups.clone(),
            admin: groups,
        }
    }

    fn rules() -> Rules {
        let authorization = Authorization {
            entries: vec![
                entry(Some(">"), None, "admins"),
                entry(None, Some("mcollective.>"), "mc"),
                entry(None, Some("ActiveMQ.Advisory.>"), "mc"),
            ],
            ..Authorization::default()
        };
        let users = [
            user("amq", &["admins"], ""),
            user(
                "mc",
                &["mc"],
                "{topic: mcollective.secret, operations: [read], effect: deny}",
            ),
            user("own", &[], "{queue: \"q.*\", operations: [write]}"),
        ];
        Rules::new(&authorization, &users)
    }

    #[test]
    fn rights_are_the_union_of_grants_and_a_deny_wins() {
        let rules = rules();
        let rows = [
            ("amq", Verb::Read, Kind::Queue, "any.queue", true),
            ("amq", Verb::Read, Kind::Topic, "any.topic", false),
            ("mc", Verb::Read, Kind::Topic, "mcollective.x", true),
            ("mc", Verb::Read, Kind::Topic, "mcollective", true),
            ("mc", Verb::Read, Kind::Topic, "mcollective.secret", false),
            ("mc", Verb::Write, Kind::Topic, "mcollective.secret", true),
            ("mc", Verb::Read, Kind::Queue, "mcollective.x", false),
            ("mc", Verb::Write, Kind::Topic, "ActiveMQ.Advisory.x", false),
            ("mc", Verb::Read, Kind::Topic, "ActiveMQ.Advisory.x", true),
            ("own", Verb::Write, Kind::Queue, "q.1", true),
            ("own", Verb::Read, Kind::Queue, "q.1", false),
            ("own", Verb::Write, Kind::TempQueue, "anything", true),
        ];
        for (name, verb, kind, destination, expected) in rows {
            let identity = rules.identity(name).expect("a user of the table");
            assert_eq!(
                rules.may(identity, verb, kind, destination),
                expected,
                "{name} {verb:?} {destination}"
            );
        }
    }

    #[test]
    fn one_grant_has_to_cover_the_whole_pattern_of_a_subscription() {
        let rules = rules();
        let identity = rules.identity("mc").expect("a user of the table");
        let rows = [
            ("mcollective.>", true),
            ("mcollective.*", true),
            (">", false),
            ("*.x", false),
        ];
        for (pattern, expected) in rows {
            assert_eq!(
                rules.may(identity, Verb::Read, Kind::Topic, pattern),
                expected,
                "{pattern}"
            );
        }
        assert!(rules.needs_check(identity, Verb::Read, Kind::Topic, "mcollective.>"));
        assert!(!rules.needs_check(identity, Verb::Read, Kind::Topic, "mcollective.a.>"));
    }

    #[test]
    fn covering_means_matching_every_name() {
        let patterns = ["a.b", "a.*", "a.>", ">", "*.b", "*", "a.*.c", "*.>"];
        let names = ["a", "b", "a.b", "a.c", "b.b", "a.b.c", "a.x.c", "z.z.z"];
        for one in patterns {
            for other in patterns {
                if covers(one, other) {
                    for name in names
                        .iter()
                        .filter(|name| destination::matches(other, name))
                    {
                        assert!(
                            destination::matches(one, name),
                            "{one} covers {other} but not {name}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn patterns_are_checked() {
        for good in ["a", "a.b", "a.*", ">", "a.>", "*.x.>"] {
            assert!(is_valid_pattern(good), "{good}");
        }
        for bad in ["", "a..b", ">.a", "a.b*", "a b", "a,b", "a.>.b"] {
            assert!(!is_valid_pattern(bad), "{bad}");
        }
    }
}
