//! Whether a user may do something, by the broker's own decision, and what decides it.

use causeway_broker::model::{Kind, destination};
use causeway_broker::security::{Decision, Rules, Verb};
use causeway_broker::wire::stomp::{NO_PATTERN, Refusal, parts};
use serde::Serialize;

use crate::api::shared::Entry;
use crate::model::valid::{ValidEntry, ValidUser};
use crate::model::{Declared, ValidNetwork};
use crate::names::SiteName;
use crate::render;
use crate::topology::collectives;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// Login name.
    pub user: &'a str,
    /// What the user wants to do.
    pub verb: Verb,
    /// With what, as a client writes it: `/queue/a,topic://b`.
    pub destination: &'a str,
    /// Where; absent: wherever the user is known.
    pub site: Option<&'a SiteName>,
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QuestionError {
    /// There is no such user.
    #[error("there is no user {user}; the network has {known}")]
    NoUser {
        /// The name.
        user: String,
        /// What there is.
        known: String,
    },
    /// There is no such site.
    #[error("there is no site {site}; the network has {known}")]
    NoSite {
        /// The name.
        site: SiteName,
        /// What there is.
        known: String,
    },
    /// The destination is none.
    #[error(transparent)]
    Destination(#[from] Refusal),
}

/// The answer about one destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// The destination, as `queue/NAME`.
    pub destination: String,
    /// Whether it is a yes.
    pub allowed: bool,
    /// What decides it, in words.
    pub because: String,
    /// Where that is written; absent: nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// The field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// Whether every part is a yes.
    pub allowed: bool,
    /// The parts of the destination.
    pub parts: Vec<Part>,
    /// What else has to be known.
    pub notes: Vec<String>,
}

/// Answers a question.
///
/// # Errors
/// It names no user, site or destination.
pub fn answer(
    declared: &Declared,
    network: &ValidNetwork,
    question: &Question<'_>,
) -> Result<Answer, QuestionError> {
    let user = network
        .users
        .get(question.user)
        .ok_or_else(|| QuestionError::NoUser {
            user: question.user.to_owned(),
            known: list(network.users.keys().map(String::as_str)),
        })?;
    if let Some(site) = question
        .site
        .filter(|site| !network.sites.contains_key(*site))
    {
        return Err(QuestionError::NoSite {
            site: site.clone(),
            known: list(network.sites.keys().map(SiteName::as_str)),
        });
    }
    let asked = parts(question.destination)?;
    let rights = render::rights_of(question.user, user);
    let rules = Rules::new(&render::authorization(network), &[rights]);
    let judge = Judge {
        declared,
        network,
        question,
        user,
    };
    let answers: Vec<Part> = asked
        .iter()
        .map(|(kind, name)| judge.part(&rules, *kind, name))
        .collect();
    Ok(Answer {
        allowed: answers.iter().all(|part| part.allowed),
        notes: judge.notes(&rules, &asked, &answers),
        parts: answers,
    })
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    match names.is_empty() {
        true => "none".to_owned(),
        false => names.join(", "),
    }
}

struct Judge<'a> {
    declared: &'a Declared,
    network: &'a ValidNetwork,
    question: &'a Question<'a>,
    user: &'a ValidUser,
}

impl Judge<'_> {
    fn part(&self, rules: &Rules, kind: Kind, name: &str) -> Part {
        let bare = |because: String| Part {
            destination: format!("{}/{name}", word(kind)),
            allowed: false,
            because,
            document: None,
            path: None,
        };
        if let Some(reason) = self.is_kept_out() {
            return Part {
                document: Some(self.document()),
                ..bare(reason)
            };
        }
        let Some(identity) = rules.identity(self.question.user) else {
            return bare("the user is not active".to_owned());
        };
        if self.question.verb == Verb::Write && destination::is_pattern(name) {
            return bare(NO_PATTERN.to_owned());
        }
        let decision = rules.decide(identity, self.question.verb, kind, name);
        let verb = operation(self.question.verb);
        let told = match decision {
            Decision::Temporary { is_allowed } => {
                let word = if is_allowed { "give" } else { "do not give" };
                let because = format!("the rights on temporary destinations {word} {verb}");
                let path = "spec.authorization.temporary".to_owned();
                self.in_network(bare(because), path)
            }
            Decision::Advisory => bare("only brokers send advisories".to_owned()),
            Decision::Denied(index) | Decision::Own(index) => self.own(bare(String::new()), index),
            Decision::Entry(index) => self.entry(bare(String::new()), index),
            Decision::Nothing => bare(format!("nothing gives {verb}: {}", self.membership())),
        };
        Part {
            allowed: decision.is_allowed(),
            ..told
        }
    }

    /// Why the user cannot even log in.
    fn is_kept_out(&self) -> Option<String> {
        if !self.user.is_active {
            return Some("the user is Suspended".to_owned());
        }
        let known = self.user.sites.as_ref()?;
        match self.question.site {
            Some(site) if known.contains(site) => None,
            Some(site) => {
                let sites = list(known.iter().map(SiteName::as_str));
                Some(format!("the user is not known at {site}, only at {sites}"))
            }
            None if known.is_empty() => Some("the user is known at no site".to_owned()),
            None => None,
        }
    }

    fn membership(&self) -> String {
        match self.user.groups.is_empty() {
            true => "the user is in no group".to_owned(),
            false => {
                let groups = list(self.user.groups.iter().map(String::as_str));
                format!("the user's groups are {groups}")
            }
        }
    }

    /// The object that declares the user.
    fn document(&self) -> String {
        let mut users = self.declared.users.iter();
        let object = users
            .find(|(name, spec)| spec.username.as_deref().unwrap_or(name) == self.question.user);
        let name = object.map_or(self.question.user, |(name, _)| name);
        format!("BrokerUser/{name}")
    }

    fn in_network(&self, part: Part, path: String) -> Part {
        Part {
            document: Some(format!("BrokerNetwork/{}", self.network.name)),
            path: Some(path),
            ..part
        }
    }

    /// A right of the user's own.
    fn own(&self, part: Part, index: usize) -> Part {
        let Some(right) = self.user.permissions.get(index) else {
            return part;
        };
        let (kind, pattern) = match (&right.queue, &right.topic) {
            (Some(pattern), _) => ("queue", pattern.as_str()),
            (None, pattern) => ("topic", pattern.as_deref().unwrap_or_default()),
        };
        let verb = operation(self.question.verb);
        let because = format!(
            "{:?} {verb} {kind} {pattern}, of the user's own",
            right.effect
        );
        let mut written = self.declared.users.iter().filter_map(|(name, spec)| {
            let username = spec.username.as_deref().unwrap_or(name);
            (username == self.question.user).then_some(spec.permissions.as_deref()?)
        });
        let position = written.next().and_then(|written| {
            written.iter().position(|one| {
                let is_deny = one.effect.unwrap_or_default() == crate::api::user::Effect::Deny;
                let was_deny = right.effect == causeway_broker::config::file::Effect::Deny;
                let has = one
                    .operations
                    .iter()
                    .any(|one| format!("{one:?}").eq_ignore_ascii_case(verb));
                has && is_deny == was_deny && one.queue == right.queue && one.topic == right.topic
            })
        });
        Part {
            because,
            document: Some(self.document()),
            path: position.map(|index| format!("spec.permissions[{index}]")),
            ..part
        }
    }

    /// An entry of the authorization, or of a collective.
    fn entry(&self, part: Part, index: usize) -> Part {
        let Some(entry) = self.network.entries.get(index) else {
            return part;
        };
        let verb = operation(self.question.verb);
        let groups = match self.question.verb {
            Verb::Read => &entry.read,
            Verb::Write => &entry.write,
            Verb::Admin => &entry.admin,
        };
        let own = groups
            .iter()
            .filter(|group| self.user.groups.contains(*group));
        let own = match list(own.map(String::as_str)).as_str() {
            "none" => "everybody".to_owned(),
            groups => format!("the group {groups}"),
        };
        let kind = if entry.is_queue { "queue" } else { "topic" };
        let because = format!("{kind} {} gives {verb} to {own}", entry.pattern);
        let path = self
            .written(entry)
            .unwrap_or_else(|| "spec.authorization".to_owned());
        self.in_network(Part { because, ..part }, path)
    }

    /// Where an entry is written.
    fn written(&self, wanted: &ValidEntry) -> Option<String> {
        let rights = self.declared.network.spec.authorization.as_ref()?;
        if wanted.collective.is_some() {
            let mut collectives = rights.collectives.iter().flatten();
            let index = collectives.position(|one| collectives::entries(one).contains(wanted))?;
            return Some(format!("spec.authorization.collectives[{index}]"));
        }
        let mut entries = rights.entries.iter().flatten();
        let index = entries.position(|entry| is_same(entry, wanted))?;
        Some(format!("spec.authorization.entries[{index}]"))
    }

    /// What else has to be known about a yes.
    fn notes(&self, rules: &Rules, asked: &[(Kind, String)], answers: &[Part]) -> Vec<String> {
        let mut notes = Vec::new();
        if let (None, Some(known)) = (self.question.site, &self.user.sites) {
            let sites = list(known.iter().map(SiteName::as_str));
            notes.push(format!("the user is known at {sites} only"));
        }
        let Some(identity) = rules.identity(self.question.user) else {
            return notes;
        };
        for ((kind, name), part) in asked.iter().zip(answers) {
            let makes = *kind == Kind::Queue && self.question.verb != Verb::Admin;
            if part.allowed && makes && !rules.may(identity, Verb::Admin, *kind, name) {
                let text = format!(
                    "a queue {name} that is not there yet is refused: creating it needs admin"
                );
                notes.push(text);
            }
        }
        notes
    }
}

fn is_same(entry: &Entry, wanted: &ValidEntry) -> bool {
    let pattern = entry.queue.as_ref().or(entry.topic.as_ref());
    let sorted = |groups: &Option<Vec<String>>| {
        let mut groups = groups.clone().unwrap_or_default();
        groups.sort();
        groups.dedup();
        groups
    };
    entry.queue.is_some() == wanted.is_queue
        && pattern == Some(&wanted.pattern)
        && sorted(&entry.read) == wanted.read
        && sorted(&entry.write) == wanted.write
        && sorted(&entry.admin) == wanted.admin
}

const fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Queue => "queue",
        Kind::Topic => "topic",
        Kind::TempQueue => "temp-queue",
        Kind::TempTopic => "temp-topic",
    }
}

/// The right that a verb needs.
#[must_use]
pub const fn operation(verb: Verb) -> &'static str {
    match verb {
        Verb::Read => "read",
        Verb::Write => "write",
        Verb::Admin => "admin",
    }
}
