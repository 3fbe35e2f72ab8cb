//! The users of a site.

use causeway_broker::config::file::Permission;

use super::facts::{Facts, list, text};
use crate::model::valid::{Credential, ValidUser};
use crate::model::{SecretText, ValidNetwork};
use crate::names::SiteName;

/// Adds the users that a site knows.
pub(super) fn add(facts: &mut Facts, network: &ValidNetwork, site: &SiteName) {
    for (name, user) in network.users_of(site) {
        let path = format!("users[{name}]");
        let state = if user.is_active {
            "Active"
        } else {
            "Suspended"
        };
        facts.live(&path, state);
        facts.live(&format!("{path}.groups"), list(&user.groups));
        for permission in &user.permissions {
            facts.live(&format!("{path}.permissions[{}]", right(permission)), "");
        }
        credential(facts, &format!("{path}.credentials"), user);
        facts.maybe(
            &format!("{path}.limits.maxConnections"),
            user.max_connections,
        );
    }
}

/// A right in words.
fn right(permission: &Permission) -> String {
    let (kind, pattern) = match (&permission.queue, &permission.topic) {
        (Some(pattern), _) => ("queue", pattern.as_str()),
        (None, pattern) => ("topic", pattern.as_deref().unwrap_or_default()),
    };
    let operations = list(permission.operations.iter().map(|one| format!("{one:?}")));
    format!("{:?} {operations} {kind} {pattern}", permission.effect)
}

fn credential(facts: &mut Facts, path: &str, user: &ValidUser) {
    match &user.credential {
        Credential::Passwords(passwords) => facts.hidden(path, passwords.clone()),
        Credential::Hashes(hashes) => {
            facts.hidden(path, hashes.iter().map(SecretText::new).collect());
        }
        Credential::Certificate(certificate) => {
            facts.live(path, format!("certificate {}", text(certificate)));
        }
    }
}
