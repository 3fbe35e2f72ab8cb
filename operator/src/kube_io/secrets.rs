//! What is in Secrets: read by name, only those that are named, and only when their version is another.
//!
//! They are kept, redacted, while a network names them: a change of one user costs one read and not one for each user.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{Api, PartialObjectMeta};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Client, ResourceExt as _};

use crate::labels;

/// What a Secret holds.
#[derive(Clone, PartialEq)]
pub struct Contents {
    /// The version that was read.
    pub resource_version: String,
    /// Its uid.
    pub uid: String,
    /// Bytes by key.
    pub data: BTreeMap<String, Vec<u8>>,
    /// Whose it is.
    pub owners: Vec<OwnerReference>,
    /// The rotation it was made for, where the operator made it for a user.
    pub rotation: Option<String>,
}

impl std::fmt::Debug for Contents {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Contents")
            .field("resource_version", &self.resource_version)
            .finish_non_exhaustive()
    }
}

/// Contents that were read, by namespace and name.
#[derive(Debug, Default)]
pub struct SecretCache {
    known: Mutex<BTreeMap<(String, String), Contents>>,
}

impl SecretCache {
    /// What a Secret holds; nothing where there is none.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn get(
        &self,
        client: &Client,
        store: &Store<PartialObjectMeta<Secret>>,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Contents>, kube::Error> {
        let key = (namespace.to_owned(), name.to_owned());
        let watched = store.get(&ObjectRef::new(name).within(namespace));
        let Some(watched) = watched else {
            self.lock().remove(&key);
            return Ok(None);
        };
        let version = watched.resource_version().unwrap_or_default();
        if let Some(known) = self.lock().get(&key)
            && known.resource_version == version
        {
            return Ok(Some(known.clone()));
        }
        let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
        let Some(secret) = api.get_opt(name).await? else {
            self.lock().remove(&key);
            return Ok(None);
        };
        let contents = Contents {
            resource_version: secret.resource_version().unwrap_or_default(),
            uid: secret.uid().unwrap_or_default(),
            owners: secret.owner_references().to_vec(),
            rotation: secret.annotations().get(labels::ROTATION).cloned(),
            data: secret
                .data
                .unwrap_or_default()
                .into_iter()
                .map(|(key, bytes)| (key, bytes.0))
                .collect(),
        };
        self.lock().insert(key, contents.clone());
        Ok(Some(contents))
    }

    /// Forgets what is named by nobody in a namespace.
    pub fn keep(&self, namespace: &str, is_named: impl Fn(&str) -> bool) {
        self.lock()
            .retain(|(place, name), _| place != namespace || is_named(name));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<(String, String), Contents>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
