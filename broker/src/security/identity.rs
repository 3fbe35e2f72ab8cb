//! Who somebody is for the rules: a name, groups, and rights of one's own.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::authz::Verb;
use super::pattern::covers;
use crate::config::file::{Effect, User};

/// A user as rights see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Login name.
    pub user: Arc<str>,
    /// Its groups.
    pub groups: BTreeSet<String>,
    pub(super) permissions: Vec<Grant>,
    /// Connections at once; 0 = the broker's limit.
    pub max_connections: u32,
}

impl Identity {
    /// The rights of a configured user.
    #[must_use]
    pub fn of(user: &User) -> Self {
        let permissions = user.permissions.iter().filter_map(|permission| {
            let (is_queue, pattern) = match (&permission.queue, &permission.topic) {
                (Some(pattern), _) => (true, pattern),
                (None, Some(pattern)) => (false, pattern),
                (None, None) => return None,
            };
            let operations = permission.operations.iter();
            Some(Grant {
                is_queue,
                pattern: pattern.clone(),
                verbs: operations.map(|one| Verb::from(*one)).collect(),
                is_deny: permission.effect == Effect::Deny,
            })
        });
        Self {
            user: Arc::from(user.name.as_str()),
            groups: user.groups.iter().cloned().collect(),
            permissions: permissions.collect(),
            max_connections: user.limits.as_ref().map_or(0, |limits| limits.connections),
        }
    }
}

/// A right of one user, granted or denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grant {
    is_queue: bool,
    pattern: String,
    verbs: BTreeSet<Verb>,
    pub(super) is_deny: bool,
}

impl Grant {
    /// True when it speaks of every name that `wanted` (a name or a pattern) can mean.
    pub(super) fn covers(&self, is_queue: bool, wanted: &str, verb: Verb) -> bool {
        self.is_queue == is_queue && self.verbs.contains(&verb) && covers(&self.pattern, wanted)
    }
}
