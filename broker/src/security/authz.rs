//! Rights: entries grant to groups, permissions grant or deny to one user.
//!
//! Order: any matching deny of the user refuses; any matching entry of one of its groups or allow
//! of its own grants (union, as ActiveMQ does); no match refuses. Entries of queues say nothing
//! about topics.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::identity::Identity;
use super::pattern::covers;
use crate::config::file::{Authorization, Operation, Temporary, User, UserState};
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

/// What decides about a right. Positions are those among the entries, or the user's own rights, of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The rights on temporary destinations.
    Temporary {
        /// Whether they name a group of the user.
        is_allowed: bool,
    },
    /// Advisories are the broker's own: nobody sends them.
    Advisory,
    /// A right of the user's own that denies.
    Denied(usize),
    /// A right of the user's own that allows.
    Own(usize),
    /// An entry that names a group of the user.
    Entry(usize),
    /// Nothing grants it.
    Nothing,
}

impl Decision {
    /// Whether it is a yes.
    #[must_use]
    pub const fn is_allowed(self) -> bool {
        match self {
            Self::Temporary { is_allowed } => is_allowed,
            Self::Own(_) | Self::Entry(_) => true,
            Self::Advisory | Self::Denied(_) | Self::Nothing => false,
        }
    }
}

/// Stands for everybody who is logged in.
const EVERYBODY: &str = "*";
/// What brokers tell about themselves.
const ADVISORIES: &str = "ActiveMQ.Advisory.>";

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
        self.decide(identity, verb, kind, name).is_allowed()
    }

    /// The same with what decides it.
    #[must_use]
    pub fn decide(&self, identity: &Identity, verb: Verb, kind: Kind, name: &str) -> Decision {
        let is_among = |groups: &BTreeSet<String>| {
            groups.contains(EVERYBODY) || !groups.is_disjoint(&identity.groups)
        };
        if kind.is_temporary() {
            let is_allowed = is_among(&self.temporary[index(verb)]);
            return Decision::Temporary { is_allowed };
        }
        let is_queue = kind == Kind::Queue;
        if verb == Verb::Write && !is_queue && destination::matches(ADVISORIES, name) {
            return Decision::Advisory;
        }
        let mine = |is_deny: bool| {
            identity
                .permissions
                .iter()
                .position(|grant| grant.is_deny == is_deny && grant.covers(is_queue, name, verb))
        };
        if let Some(position) = mine(true) {
            return Decision::Denied(position);
        }
        if let Some(position) = mine(false) {
            return Decision::Own(position);
        }
        let entry = self.rules.iter().position(|rule| {
            rule.is_queue == is_queue
                && covers(&rule.pattern, name)
                && is_among(&rule.groups[index(verb)])
        });
        entry.map_or(Decision::Nothing, Decision::Entry)
    }
}

#[cfg(test)]
mod tests {
    use super::{Decision, Rules, Verb};
    use crate::config::file::{Authorization, Entry, User};
    use crate::model::Kind;

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
                entry(None, Some("news"), "*"),
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
            ("own", Verb::Read, Kind::Topic, "news", true),
            ("own", Verb::Read, Kind::Topic, "news.x", false),
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
    fn what_decides_is_told_by_its_place() {
        let rules = rules();
        let rows = [
            ("amq", Verb::Read, Kind::Queue, "x", Decision::Entry(0)),
            ("amq", Verb::Read, Kind::Topic, "x", Decision::Nothing),
            (
                "mc",
                Verb::Read,
                Kind::Topic,
                "mcollective.secret",
                Decision::Denied(0),
            ),
            ("own", Verb::Write, Kind::Queue, "q.1", Decision::Own(0)),
            ("own", Verb::Read, Kind::Topic, "news", Decision::Entry(3)),
            (
                "own",
                Verb::Write,
                Kind::Topic,
                "ActiveMQ.Advisory.x",
                Decision::Advisory,
            ),
            (
                "own",
                Verb::Admin,
                Kind::TempQueue,
                "x",
                Decision::Temporary { is_allowed: true },
            ),
        ];
        for (name, verb, kind, destination, expected) in rows {
            let identity = rules.identity(name).expect("a user of the table");
            let found = rules.decide(identity, verb, kind, destination);
            assert_eq!(found, expected, "{name} {verb:?} {destination}");
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
    }
}
