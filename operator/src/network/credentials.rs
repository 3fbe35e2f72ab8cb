//! Clear-text passwords to Argon2id hashes. Pure and slow: about 34 ms of a core and 19 MiB for each.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::hmac;
use causeway_broker::security::password::{self, HashError};

use crate::model::{Credential, SecretText, ValidNetwork};

/// Hashes by login name and password.
pub type HashCache = BTreeMap<(String, SecretText), String>;

/// The salt key of what is rendered offline, so that its output can be compared.
pub const OFFLINE_SALT_KEY: [u8; 32] = [0; 32];

/// What has to be hashed before a network can be rendered and is not in the cache.
#[must_use]
pub fn missing(network: &ValidNetwork, cache: &HashCache) -> BTreeSet<(String, SecretText)> {
    let mut jobs = BTreeSet::new();
    for (name, user) in &network.users {
        if let Credential::Passwords(passwords) = &user.credential {
            jobs.extend(
                passwords
                    .iter()
                    .map(|password| (name.clone(), password.clone())),
            );
        }
    }
    jobs.retain(|job| !cache.contains_key(job));
    jobs
}

/// Hashes one password. The salt follows from the login name alone, so that a rotation moves a hash from
/// the first place to the second unchanged.
///
/// # Errors
/// The password cannot be hashed.
pub fn hash(salt_key: &[u8; 32], username: &str, secret: &SecretText) -> Result<String, HashError> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, salt_key);
    let tag = hmac::sign(&key, username.as_bytes());
    let mut salt = [0; 16];
    salt.copy_from_slice(&tag.as_ref()[..16]);
    password::hash(secret.expose(), &salt)
}

/// Hashes what is missing, one after the other.
///
/// # Errors
/// A password cannot be hashed.
pub fn fill(
    network: &ValidNetwork,
    salt_key: &[u8; 32],
    cache: &mut HashCache,
) -> Result<(), HashError> {
    for (username, secret) in missing(network, cache) {
        let hash = hash(salt_key, &username, &secret)?;
        cache.insert((username, secret), hash);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_with_a_zero_salt_key_are_those_of_the_documentation() {
        let hash = hash(&OFFLINE_SALT_KEY, "amq", &SecretText::new("Afuphohxoh"));
        let expected = "$argon2id$v=19$m=19456,t=2,p=1$qXlxQtCHRJ9ebmVExRjZsA$MUcfVq+/K3S9dIwqOZetvENY/pDpDuHUEG+FqYeHaZ8";
        assert_eq!(hash.as_deref(), Ok(expected));
    }
}
