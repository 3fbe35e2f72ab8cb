//! Clear-text passwords to hashes, off the threads that serve requests, and never twice for the same Secret.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use kube::ResourceExt as _;
use serde::{Deserialize, Serialize};

use super::context::Context;
use super::credentials::{self, HashCache};
use super::error::Error;
use super::fetch::Fetched;
use crate::api::user::{BrokerUserSpec, CredentialKind};
use crate::kube_io::secrets::Contents;
use crate::model::observed::ChildKind;
use crate::model::{Credential, SecretText, ValidNetwork};
use crate::names::{self, Part};

/// So many passwords are hashed at a time: each takes a core and 19 MiB.
const AT_A_TIME: usize = 2;

/// Where the hashes of a user came from: kept beside the files, so that a start of the operator hashes nothing again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Kept {
    users: BTreeMap<String, BTreeMap<String, String>>,
}

/// The hash of every password of a network.
///
/// # Errors
/// One cannot be hashed.
pub async fn hashes(
    context: &Context,
    network: &ValidNetwork,
    fetched: &Fetched,
    salt_key: [u8; 32],
) -> Result<HashCache, Error> {
    let object = &fetched.declared.network;
    let key = (object.namespace().unwrap_or_default(), object.name_any());
    let mut known = recalled(fetched);
    {
        let hashes = context
            .hashes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let own = hashes.get(&key);
        for job in credentials::missing(network, &known) {
            if let Some(hash) = own.and_then(|own| own.get(&job)) {
                known.insert(job, hash.clone());
            }
        }
    }
    let jobs: Vec<_> = credentials::missing(network, &known).into_iter().collect();
    for jobs in jobs.chunks(AT_A_TIME) {
        let tasks: Vec<_> = jobs
            .iter()
            .cloned()
            .map(|job| {
                tokio::task::spawn_blocking(move || {
                    let hash = credentials::hash(&salt_key, &job.0, &job.1);
                    hash.map(|hash| (job, hash))
                        .map_err(|error| error.to_string())
                })
            })
            .collect();
        for task in tasks {
            let done = task.await.map_err(|error| Error::Hash(error.to_string()))?;
            let (job, hash) = done.map_err(Error::Hash)?;
            known.insert(job, hash);
        }
    }
    known.retain(|(user, password), _| {
        let own = network.users.get(user).map(|user| &user.credential);
        matches!(own, Some(Credential::Passwords(passwords)) if passwords.contains(password))
    });
    let mut hashes = context
        .hashes
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    hashes.insert(key, known.clone());
    Ok(known)
}

/// `cache.json` of a site: hash by user and by the Secret's version and key it was made from.
#[must_use]
pub fn cache(network: &ValidNetwork, fetched: &Fetched, hashes: &HashCache) -> Vec<u8> {
    let mut kept = Kept::default();
    for (object, spec) in &fetched.declared.users {
        let username = spec.username.as_deref().unwrap_or(object);
        let Some(user) = network.users.get(username) else {
            continue;
        };
        if !matches!(user.credential, Credential::Passwords(_)) {
            continue;
        }
        for (source, password) in sources(object, spec, &fetched.contents) {
            if let Some(hash) = hashes.get(&(username.to_owned(), password)) {
                let own = kept.users.entry(username.to_owned()).or_default();
                own.insert(source, hash.clone());
            }
        }
    }
    serde_json::to_vec(&kept).unwrap_or_default()
}

/// What an earlier run kept and is still about the Secrets of now.
fn recalled(fetched: &Fetched) -> HashCache {
    let network = fetched.declared.name();
    let local = fetched.declared.local_sites.iter().flatten();
    let mut known = HashCache::new();
    for site in local {
        let name = names::site_part(network, site, Part::Config);
        if fetched.observed.child(ChildKind::Secret, &name).is_none() {
            continue;
        }
        let bytes = fetched
            .contents
            .get(&name)
            .and_then(|held| held.data.get("cache.json"));
        let kept: Kept = bytes
            .and_then(|bytes| serde_json::from_slice(bytes).ok())
            .unwrap_or_default();
        for (object, spec) in &fetched.declared.users {
            let username = spec.username.as_deref().unwrap_or(object);
            let Some(own) = kept.users.get(username) else {
                continue;
            };
            for (source, password) in sources(object, spec, &fetched.contents) {
                if let Some(hash) = own.get(&source) {
                    known.insert((username.to_owned(), password), hash.clone());
                }
            }
        }
    }
    known
}

/// The passwords of a user with the version of the Secret and the key that each stands in.
fn sources(
    object: &str,
    spec: &BrokerUserSpec,
    contents: &BTreeMap<String, Contents>,
) -> Vec<(String, SecretText)> {
    let reference = spec.credentials.secret_ref.as_ref();
    let (name, key, previous) = match spec.credentials.kind {
        CredentialKind::Generated => (names::generated_secret(object), None, None),
        CredentialKind::Password => match reference {
            Some(reference) => (
                reference.name.clone(),
                reference.key.as_deref(),
                reference.previous_key.as_deref(),
            ),
            None => return Vec::new(),
        },
        CredentialKind::PasswordHash | CredentialKind::Certificate => return Vec::new(),
    };
    let Some(secret) = contents.get(&name) else {
        return Vec::new();
    };
    let keys = [
        key.unwrap_or("password"),
        previous.unwrap_or("previousPassword"),
    ];
    keys.into_iter()
        .filter_map(|key| {
            let text = std::str::from_utf8(secret.data.get(key)?).ok()?;
            let source = format!("{}/{}/{key}", secret.uid, secret.resource_version);
            Some((source, SecretText::new(text)))
        })
        .collect()
}
