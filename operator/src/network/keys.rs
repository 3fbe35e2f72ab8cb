//! What is random and made once: the salt key of a network in a cluster, the token of each broker's `/status`.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt as _;

use super::build;
use super::error::Error;
use crate::api::BrokerNetwork;
use crate::kube_io::apply::Door;
use crate::kube_io::secrets::Contents;
use crate::labels;
use crate::model::observed::{ChildKey, ChildKind};
use crate::names::{self, Part};

/// Key of the Secret of a network.
pub const SALT_KEY: &str = "saltKey";
/// Key of the Secret of a site.
pub const ADMIN_TOKEN: &str = "adminToken";

/// What was made once.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    /// Salts of password hashes follow from it.
    pub salt_key: [u8; 32],
    /// Tokens by site.
    pub tokens: BTreeMap<String, String>,
}

/// Reads the keys; a Secret that is there and is not as it was made is an error.
///
/// # Errors
/// A Secret holds something else.
pub fn read(
    network: &str,
    local: &BTreeSet<String>,
    contents: &BTreeMap<String, Contents>,
) -> Result<Option<Keys>, Error> {
    let name = names::network_keys(network);
    let Some(salt) = contents.get(&name) else {
        return Ok(None);
    };
    let bytes = salt
        .data
        .get(SALT_KEY)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let Ok(salt_key) = <[u8; 32]>::try_from(bytes) else {
        return Err(Error::Keys(name));
    };
    let mut tokens = BTreeMap::new();
    for site in local {
        let name = names::site_part(network, site, Part::Keys);
        let Some(secret) = contents.get(&name) else {
            return Ok(None);
        };
        let token = secret.data.get(ADMIN_TOKEN).cloned();
        let token = token.and_then(|bytes| String::from_utf8(bytes).ok());
        match token.filter(|token| token.len() >= 32) {
            Some(token) => drop(tokens.insert(site.clone(), token)),
            None => return Err(Error::Keys(name)),
        }
    }
    Ok(Some(Keys { salt_key, tokens }))
}

/// Makes the Secrets that are not there. One that is there meanwhile is as good, if it is ours: the next run reads it.
///
/// # Errors
/// The API server refuses one.
pub async fn create(
    door: &Door<'_>,
    object: &BrokerNetwork,
    local: &BTreeSet<String>,
    contents: &BTreeMap<String, Contents>,
) -> Result<(), Error> {
    let network = object.name_any();
    let salt = names::network_keys(&network);
    if !contents.contains_key(&salt) {
        let value = random()?.to_vec();
        make(
            door,
            object,
            labels::of_network(&network),
            salt,
            SALT_KEY,
            value,
        )
        .await?;
    }
    for site in local {
        let name = names::site_part(&network, site, Part::Keys);
        if !contents.contains_key(&name) {
            let token = URL_SAFE_NO_PAD.encode(random()?).into_bytes();
            let labels = labels::of_site(&network, site);
            make(door, object, labels, name, ADMIN_TOKEN, token).await?;
        }
    }
    Ok(())
}

fn random() -> Result<[u8; 32], Error> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).map_err(|_| Error::Hash("no random numbers".to_owned()))?;
    Ok(bytes)
}

async fn make(
    door: &Door<'_>,
    object: &BrokerNetwork,
    labels: BTreeMap<String, String>,
    name: String,
    key: &str,
    value: Vec<u8>,
) -> Result<(), Error> {
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            namespace: object.namespace(),
            labels: Some(labels),
            owner_references: Some(vec![build::owner(object)]),
            ..ObjectMeta::default()
        },
        data: Some([(key.to_owned(), ByteString(value))].into()),
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    };
    let value = serde_json::to_value(&secret)?;
    let child = ChildKey {
        kind: ChildKind::Secret,
        name: name.clone(),
    };
    match door.create(&child, &value).await {
        Ok(()) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(cause) => Err(Error::Create { name, cause }),
    }
}
