//! `users.yaml`: the users of one site and no others (P12).

use causeway_broker::config::file::{FORMAT, User, UserLimits, UserState, UsersFile};

use super::RenderError;
use crate::model::{Credential, ValidNetwork, ValidUser};
use crate::names::SiteName;
use crate::network::credentials::HashCache;

/// The file, sorted by login name.
pub(super) fn file(
    network: &ValidNetwork,
    site: &SiteName,
    hashes: &HashCache,
) -> Result<UsersFile, RenderError> {
    let users = network
        .users_of(site)
        .map(|(name, valid)| user(name, valid, hashes));
    Ok(UsersFile {
        format: FORMAT,
        users: users.collect::<Result<_, _>>()?,
    })
}

/// One user as the file has it.
pub(super) fn user(name: &str, valid: &ValidUser, hashes: &HashCache) -> Result<User, RenderError> {
    let mut verifiers = Vec::new();
    let mut certificate = None;
    match &valid.credential {
        Credential::Hashes(given) => verifiers.clone_from(given),
        Credential::Certificate(given) => certificate = Some(given.clone()),
        Credential::Passwords(passwords) => {
            for password in passwords {
                let hash = hashes.get(&(name.to_owned(), password.clone()));
                verifiers.push(
                    hash.cloned()
                        .ok_or_else(|| RenderError::NotHashed(name.to_owned()))?,
                );
            }
        }
    }
    verifiers.dedup();
    Ok(User {
        verifiers,
        certificate,
        ..rights(name, valid)
    })
}

/// What a user may do.
pub(super) fn rights(name: &str, valid: &ValidUser) -> User {
    User {
        name: name.to_owned(),
        state: if valid.is_active {
            UserState::Active
        } else {
            UserState::Suspended
        },
        groups: valid.groups.iter().cloned().collect(),
        permissions: valid.permissions.clone(),
        verifiers: Vec::new(),
        certificate: None,
        limits: valid
            .max_connections
            .map(|connections| UserLimits { connections }),
    }
}
