//! `users.yaml` and `secrets.yaml`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use crate::config::hash::config_hash;

/// `users.yaml`: the users of this site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsersFile {
    /// Format number.
    pub format: u32,
    /// The users, by name.
    pub users: Vec<User>,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Login name.
    pub name: String,
    /// May log in, or not.
    #[serde(default)]
    pub state: UserState,
    /// Groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Rights beside those of the groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permissions: Vec<Permission>,
    /// Password hashes: the current one, then the previous one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verifiers: Vec<String>,
    /// The certificate that logs in as this user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<UserCertificate>,
    /// Limits of this user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<UserLimits>,
}

impl User {
    /// Says whether a broker has a user as another process wrote it: 16 hexadecimal digits over everything that is written
    /// of it. What a password is cannot be told from it, since only hashes with a salt are written.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        // Maps with keys that are no text would fail, and there are none.
        let text = serde_json::to_vec(self).unwrap_or_default();
        config_hash(&[(&self.name, &text)])
    }
}

/// May a user log in?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UserState {
    /// Yes.
    #[default]
    Active,
    /// No; live sessions are closed.
    Suspended,
}

/// A right of one user: exactly one of queue and topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Permission {
    /// Pattern of queues.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// Pattern of topics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// What is allowed or denied.
    pub operations: Vec<Operation>,
    /// Allowed, or denied whatever else says.
    #[serde(default)]
    pub effect: Effect,
}

/// What a right is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// Subscribe.
    Read,
    /// Send.
    Write,
    /// Make queues.
    Admin,
}

/// Allow or deny.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Allowed.
    #[default]
    Allow,
    /// Denied; wins over everything.
    Deny,
}

/// What a client certificate must say; exactly one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserCertificate {
    /// A URI of its subject alternative names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Its whole common name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub common_name: Option<String>,
}

/// Limits of one user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserLimits {
    /// Connections at once; 0 = the broker's limit.
    #[serde(default)]
    pub connections: u32,
}

/// `secrets.yaml`. Never printed, wiped when dropped.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretsFile {
    /// Format number.
    pub format: u32,
    /// Bearer token of `/status`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_token: Option<String>,
    /// Secrets of links, by name.
    #[serde(default)]
    pub links: BTreeMap<String, LinkSecret>,
}

/// The secret of one link. Never printed, wiped when dropped.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkSecret {
    /// A name that is shown beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The password.
    pub current: String,
    /// The password before a rotation; still accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
}

impl Drop for SecretsFile {
    fn drop(&mut self) {
        self.admin_token.zeroize();
    }
}

impl Drop for LinkSecret {
    fn drop(&mut self) {
        self.current.zeroize();
        self.previous.zeroize();
    }
}

impl std::fmt::Debug for SecretsFile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SecretsFile(redacted)")
    }
}

impl std::fmt::Debug for LinkSecret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("LinkSecret(redacted)")
    }
}
