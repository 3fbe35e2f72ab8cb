//! What both kinds are made of: references, permissions' patterns, and the constants of the schema.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::patterns;

/// Longest name of a network or a site (N1, N2).
pub const MAX_NAME: usize = 24;
/// Most sites of a network.
pub const MAX_SITES: usize = 64;
/// Most links of a network, with those of the shape.
pub const MAX_LINKS: usize = 512;
/// Most links of one site.
pub const MAX_SITE_LINKS: usize = 128;

/// The name of an object in the same namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NameRef {
    /// Name of the object.
    #[schemars(length(min = 1, max = 253), regex(pattern = patterns::OBJECT))]
    pub name: String,
}

/// An issuer of cert-manager.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IssuerRef {
    /// Name of the issuer.
    #[schemars(length(min = 1, max = 253), regex(pattern = patterns::OBJECT))]
    pub name: String,
    /// Kind; default Issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub kind: Option<String>,
    /// Group; default cert-manager.io.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub group: Option<String>,
}

/// A host and a port that can be dialled.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Address {
    /// Host name or IP address.
    #[schemars(length(min = 1, max = 253))]
    pub host: String,
    /// TCP port.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
}

/// Where trusted roots are kept: one key of a ConfigMap or a Secret; it may hold several certificates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BundleRef {
    /// Kind of the object.
    #[serde(default)]
    pub kind: BundleKind,
    /// Name of the object.
    #[schemars(length(min = 1, max = 253), regex(pattern = patterns::OBJECT))]
    pub name: String,
    /// Key inside it.
    #[serde(default = "default_bundle_key")]
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

fn default_bundle_key() -> String {
    "ca.crt".to_owned()
}

/// What a bundle is kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum BundleKind {
    /// A ConfigMap.
    #[default]
    ConfigMap,
    /// A Secret.
    Secret,
}

/// One entry of the authorization: a pattern of queues or of topics, and the groups that may do what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(
    validation = Rule::new("has(self.queue) != has(self.topic)").message("exactly one of queue, topic"),
    validation = Rule::new("has(self.read) || has(self.write) || has(self.admin)")
        .message("an entry without groups grants nothing"),
)]
pub struct Entry {
    /// Pattern of queues: names separated by dots, `*` for one, `>` for the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255), regex(pattern = patterns::DESTINATIONS))]
    pub queue: Option<String>,
    /// Pattern of topics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255), regex(pattern = patterns::DESTINATIONS))]
    pub topic: Option<String>,
    /// Groups that may receive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 128)))]
    pub read: Option<Vec<String>>,
    /// Groups that may send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 128)))]
    pub write: Option<Vec<String>>,
    /// Groups that may create and remove queues.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 128)))]
    pub admin: Option<Vec<String>>,
}
