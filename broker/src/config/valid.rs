//! What a configuration directory means: checked as a whole, defaults filled in.

use std::collections::BTreeMap;

use super::check;
use super::file::{BrokerFile, SecretsFile, UsersFile};
use super::hash::config_hash;
use super::parse::{Document, parse};
use super::problem::{Problem, Problems};

pub use super::limits::{Limits, MeshTimes};
pub use super::parse::MAX_FILE;

/// The three files and whatever they name.
#[derive(Clone, Default)]
pub struct Files {
    /// `broker.yaml`.
    pub broker: Vec<u8>,
    /// `users.yaml`.
    pub users: Vec<u8>,
    /// `secrets.yaml`.
    pub secrets: Vec<u8>,
    /// Certificates, keys and bundles by their path in the directory.
    pub others: BTreeMap<String, Vec<u8>>,
}

impl std::fmt::Debug for Files {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Files")
            .field("hash", &self.hash())
            .finish_non_exhaustive()
    }
}

impl Files {
    /// `configHash` over the three files, in the order of their names.
    #[must_use]
    pub fn hash(&self) -> String {
        config_hash(&[
            (BrokerFile::NAME, &self.broker),
            (SecretsFile::NAME, &self.secrets),
            (UsersFile::NAME, &self.users),
        ])
    }
}

/// A configuration that is in order.
#[derive(Clone)]
pub struct Config {
    /// See [`Files::hash`].
    pub hash: String,
    /// `broker.yaml`, as written.
    pub broker: BrokerFile,
    /// `users.yaml`, as written.
    pub users: UsersFile,
    /// `secrets.yaml`, as written.
    pub secrets: SecretsFile,
    /// Certificates, keys and bundles by path.
    pub others: BTreeMap<String, Vec<u8>>,
    /// Limits with their defaults.
    pub limits: Limits,
    /// Hash of the certificates, keys and bundles, which `hash` does not cover; empty without any.
    pub certificates: String,
    /// Fingerprint of every user by name: which user is in force, and as it was written when.
    pub fingerprints: BTreeMap<String, String>,
}

impl Files {
    /// Hash of the certificates, keys and bundles; empty without any.
    #[must_use]
    pub fn certificates_hash(&self) -> String {
        if self.others.is_empty() {
            return String::new();
        }
        let files: Vec<(&str, &[u8])> = self
            .others
            .iter()
            .map(|(path, bytes)| (path.as_str(), bytes.as_slice()))
            .collect();
        super::hash::config_hash(&files)
    }
}

impl std::fmt::Debug for Config {
    // Keys and hashes of passwords are in here.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Config")
            .field("hash", &self.hash)
            .field("broker", &self.broker)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// Reads and checks a directory as a whole.
    ///
    /// # Errors
    /// Every mistake there is.
    pub fn from_files(files: &Files) -> Result<Self, Vec<Problem>> {
        let mut problems = Problems::default();
        let broker = parse::<BrokerFile>(&files.broker, &mut problems);
        let users = parse::<UsersFile>(&files.users, &mut problems);
        let secrets = parse::<SecretsFile>(&files.secrets, &mut problems);
        if let Some(broker) = &broker {
            check::broker(broker, &files.others, &mut problems);
            if let Some(secrets) = &secrets {
                check::secrets(broker, secrets, &mut problems);
            }
        }
        if let Some(users) = &users {
            check::users(users, &mut problems);
        }
        match (broker, users, secrets) {
            (Some(broker), Some(users), Some(secrets)) if problems.0.is_empty() => Ok(Self {
                hash: files.hash(),
                limits: Limits::of(&broker),
                certificates: files.certificates_hash(),
                fingerprints: fingerprints(&users),
                broker,
                users,
                secrets,
                others: files.others.clone(),
            }),
            _ => {
                for (name, bytes) in [
                    (BrokerFile::NAME, &files.broker),
                    (UsersFile::NAME, &files.users),
                    (SecretsFile::NAME, &files.secrets),
                ] {
                    problems.find_lines(name, std::str::from_utf8(bytes).unwrap_or(""));
                }
                Err(problems.0)
            }
        }
    }
}

fn fingerprints(file: &UsersFile) -> BTreeMap<String, String> {
    let users = file.users.iter();
    users
        .map(|user| (user.name.clone(), user.fingerprint()))
        .collect()
}
