//! `BrokerUser`: who may log in, where, with what, and with which rights.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::patterns;
use super::shared::NameRef;
use super::status::BrokerUserStatus;

/// A user of one network.
#[derive(Debug, Clone, PartialEq, Eq, CustomResource, KubeSchema, Serialize, Deserialize)]
#[kube(
    group = "causeway.dev",
    version = "v1alpha1",
    kind = "BrokerUser",
    plural = "brokerusers",
    shortname = "bu",
    category = "causeway",
    namespaced,
    cel,
    derive = "PartialEq",
    status = "BrokerUserStatus",
    printcolumn = r#"{"name":"NETWORK","type":"string","jsonPath":".spec.networkRef.name","description":"The network"}"#,
    printcolumn = r#"{"name":"USER","type":"string","jsonPath":".status.username","description":"Login name"}"#,
    printcolumn = r#"{"name":"SITES","type":"string","jsonPath":".status.summary","description":"Sites of this cluster where the user is in force, of all that know it"}"#,
    printcolumn = r#"{"name":"READY","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].status","description":"Whether the user is in force"}"#,
    printcolumn = r#"{"name":"CREDENTIAL","type":"string","jsonPath":".status.credentialVersion","description":"Which credential is in force","priority":1}"#,
    printcolumn = r#"{"name":"REASON","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].reason","description":"Why it is in force or not","priority":1}"#,
    printcolumn = r#"{"name":"AGE","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    doc = "A user of a network of message brokers.",
    validation = Rule::new("size(self.metadata.name) <= 63")
        .message("metadata.name names the generated Secret: at most 63 characters"),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.credentials.type != 'Generated' || (has(self.sites) && has(self.sites.names) && size(self.sites.names) == 1)")
        .message("Generated passwords differ per cluster: limit the user to exactly one site by sites.names"),
    validation = Rule::new("has(self.username) == has(oldSelf.username) && (!has(self.username) || self.username == oldSelf.username)")
        .message("username is immutable"),
)]
pub struct BrokerUserSpec {
    /// The network, in the same namespace.
    #[x_kube(validation = Rule::new("self == oldSelf")
        .message("networkRef is immutable: delete the user and create another"))]
    pub network_ref: NameRef,
    /// Login name; default: metadata.name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = patterns::USERNAME))]
    pub username: Option<String>,
    /// Whether the user may log in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<UserState>,
    /// Sites that know the user; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sites: Option<UserSites>,
    /// Groups of the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 128)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub groups: Option<Vec<String>>,
    /// The user's own rights, beside those of the groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub permissions: Option<Vec<Permission>>,
    /// How the user proves who it is.
    pub credentials: Credentials,
    /// Limits of the user at one site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<UserLimits>,
}

/// Whether a user may log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum UserState {
    /// The user may log in.
    #[default]
    Active,
    /// The user is refused and its sessions are closed.
    Suspended,
}

/// Sites that know a user.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!(has(self.names) && has(self.matchLabels))")
        .message("use names or matchLabels, not both"),
)]
pub struct UserSites {
    /// Names of sites.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 24)))]
    pub names: Option<Vec<String>>,
    /// Labels that a site must have, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 16))]
    pub match_labels: Option<BTreeMap<String, String>>,
}

/// One right of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("has(self.queue) != has(self.topic)").message("exactly one of queue, topic"),
)]
pub struct Permission {
    /// Pattern of queues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255), regex(pattern = patterns::DESTINATIONS))]
    pub queue: Option<String>,
    /// Pattern of topics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255), regex(pattern = patterns::DESTINATIONS))]
    pub topic: Option<String>,
    /// What it is about.
    #[schemars(length(min = 1, max = 3))]
    pub operations: Vec<Operation>,
    /// Whether it is allowed or denied; Deny wins over everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
}

/// What a right is about.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum Operation {
    /// Receive.
    Read,
    /// Send.
    Write,
    /// Create and remove queues.
    Admin,
}

/// Whether a right allows or denies.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema,
)]
pub enum Effect {
    /// It allows.
    #[default]
    Allow,
    /// It denies, whatever else allows.
    Deny,
}

/// How a user proves who it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(self.type in ['Password','PasswordHash']) == has(self.secretRef) && (self.type == 'Certificate') == has(self.certificate) && (!has(self.generated) || self.type == 'Generated')")
        .message("secretRef is for Password and PasswordHash, certificate for Certificate, generated for Generated"),
)]
pub struct Credentials {
    /// The kind of proof.
    #[serde(rename = "type")]
    pub kind: CredentialKind,
    /// The Secret of a password or its hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<PasswordRef>,
    /// How a generated password changes; type Generated only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generated: Option<Generated>,
    /// The identity in the client's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<ClientCertificate>,
}

/// Kinds of proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CredentialKind {
    /// A clear-text password in a Secret.
    Password,
    /// An Argon2id hash in a Secret.
    PasswordHash,
    /// A password that is made here, in the Secret NAME-credentials.
    Generated,
    /// A client certificate.
    Certificate,
}

/// How a generated password changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Generated {
    /// Any change of this text makes another password; the one before stays good until the next change.
    #[schemars(length(min = 1, max = 64))]
    pub rotation: String,
}

/// Where a password or its hash is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PasswordRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = patterns::OBJECT))]
    pub name: String,
    /// Key of the current one; default password or passwordHash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub key: Option<String>,
    /// Key of the previous one, which may be absent; default previousPassword or previousPasswordHash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub previous_key: Option<String>,
}

/// Identity in a client's certificate, matched exactly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.uri) != has(self.commonName)").message("exactly one of uri, commonName"),
)]
pub struct ClientCertificate {
    /// A URI of the certificate's alternative names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub uri: Option<String>,
    /// The whole common name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub common_name: Option<String>,
}

/// Limits of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserLimits {
    /// Connections at one site at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub max_connections: Option<i32>,
}
