//! What is to be done about the Secret of a generated password. Pure: what is random comes in as an argument.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::ResourceExt as _;
use serde_json::{Value, json};

use super::ownership::{self, Holder};
use crate::api::user::{BrokerUser, CredentialKind};
use crate::api::{API_VERSION, BrokerUserSpec};
use crate::labels;
use crate::model::SecretText;
use crate::names;

/// Key of the login name.
pub const USERNAME: &str = "username";
/// Key of the password.
pub const PASSWORD: &str = "password";
/// Key of the password before the last rotation; it is good until the next.
pub const PREVIOUS: &str = "previousPassword";

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing: it is as it should be, or not ours to write.
    Leave,
    /// It is made.
    Make,
    /// The password becomes the previous one, and another takes its place.
    Rotate,
    /// Looked at again in a moment: what an earlier user of the name owned is being removed.
    Wait,
}

/// A Secret that is there.
pub struct Held<'a> {
    /// Its owners.
    pub owners: &'a [OwnerReference],
    /// The rotation that it was made for.
    pub rotation: Option<&'a str>,
    /// What its key `password` holds.
    pub password: Option<&'a [u8]>,
}

/// The rotation that a user asks for; nothing where its password is not generated.
#[must_use]
pub fn rotation(spec: &BrokerUserSpec) -> Option<&str> {
    let credentials = &spec.credentials;
    let written = credentials.generated.as_ref();
    let text = written.map_or("", |generated| generated.rotation.as_str());
    (credentials.kind == CredentialKind::Generated).then_some(text)
}

/// What is to be done about the Secret of a user whose password is generated here.
#[must_use]
pub fn step(held: Option<&Held<'_>>, uid: &str, name: &str, rotation: &str) -> Step {
    let Some(held) = held else {
        return Step::Make;
    };
    match ownership::holder(held.owners, uid, name) {
        Holder::Former => Step::Wait,
        Holder::Foreign(_) | Holder::Shared(_) => Step::Leave,
        Holder::Ours if held.rotation == Some(rotation) => Step::Leave,
        // What somebody damaged is theirs to remove: another is made then.
        Holder::Ours if held.password.is_none_or(<[u8]>::is_empty) => Step::Leave,
        Holder::Ours => Step::Rotate,
    }
}

/// The Secret as it is made.
#[must_use]
pub fn made(user: &BrokerUser, password: &SecretText, rotation: &str) -> Secret {
    let name = user.name_any();
    let data = [(USERNAME, username(user)), (PASSWORD, password.expose())];
    let data = data.map(|(key, text)| (key.to_owned(), ByteString(text.as_bytes().to_vec())));
    Secret {
        metadata: ObjectMeta {
            name: Some(names::generated_secret(&name)),
            namespace: user.namespace(),
            labels: Some(labels::of_user(&user.spec.network_ref.name, &name)),
            annotations: Some(BTreeMap::from([(
                labels::ROTATION.to_owned(),
                rotation.to_owned(),
            )])),
            owner_references: Some(vec![owner(user)]),
            ..ObjectMeta::default()
        },
        data: Some(data.into()),
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    }
}

/// The merge patch of a rotation: one write, so that a death before or after it leaves a whole Secret.
#[must_use]
pub fn rotated(user: &BrokerUser, old: &[u8], password: &SecretText, rotation: &str) -> Value {
    json!({
        "metadata": {"annotations": {labels::ROTATION: rotation}},
        "data": {
            USERNAME: ByteString(username(user).as_bytes().to_vec()),
            PASSWORD: ByteString(password.expose().as_bytes().to_vec()),
            PREVIOUS: ByteString(old.to_vec()),
        },
    })
}

fn username(user: &BrokerUser) -> &str {
    let name = user.metadata.name.as_deref().unwrap_or_default();
    user.spec.username.as_deref().unwrap_or(name)
}

fn owner(user: &BrokerUser) -> OwnerReference {
    OwnerReference {
        api_version: API_VERSION.to_owned(),
        kind: ownership::KIND.to_owned(),
        name: user.name_any(),
        uid: user.metadata.uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: None,
    }
}
