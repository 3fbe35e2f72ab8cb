//! Links of a `BrokerNetwork`: shapes, written links, and how both ends prove who they are.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::patterns;
use super::shared::{Address, NameRef};

/// Cost of a link where nothing else is said.
pub const LINK_COST: u16 = 10;

/// A shape that expands to links.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Topology {
    /// The shape.
    #[serde(default)]
    pub shape: Shape,
    /// The middle of a Star.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 24))]
    pub hub: Option<String>,
    /// The order of a Ring or Chain: every site exactly once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(max = 24)))]
    pub order: Option<Vec<String>>,
}

/// How links follow from the sites.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Shape {
    /// Only what `links` says.
    #[default]
    Custom,
    /// Every pair of sites.
    Mesh,
    /// Neighbours in `order`, and the last with the first.
    Ring,
    /// The hub with every other site.
    Star,
    /// Neighbours in `order`.
    Chain,
}

/// A link between two sites.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.between[0] != self.between[1]").message("a link joins two different sites"),
    validation = Rule::new("!has(self.dialer) || self.dialer in self.between").message("dialer must be one of between"),
)]
pub struct Link {
    /// Name, unique in the network.
    #[schemars(length(min = 1, max = 63), regex(pattern = patterns::LINK))]
    pub name: String,
    /// The two sites.
    #[schemars(length(min = 2, max = 2), inner(length(min = 1, max = 24)))]
    pub between: Vec<String>,
    /// Cost of the link; paths with the lowest sum are used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub cost: Option<i32>,
    /// The end that dials; absent: either that knows an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 24))]
    pub dialer: Option<String>,
    /// What is dialled instead of the site's endpoint, in this order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8))]
    pub addresses: Option<Vec<Address>>,
    /// Whether the link is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<LinkState>,
    /// Where the link's password is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<LinkCredentials>,
    /// Timing and memory of the link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tuning: Option<Tuning>,
}

/// Whether a link is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum LinkState {
    /// It is used.
    #[default]
    Enabled,
    /// Neither end knows it.
    Disabled,
}

/// Where a link's password is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LinkCredentials {
    /// Secret with the keys current, previous (during a rotation) and username (informational).
    pub secret_ref: NameRef,
}

/// Timing and memory of a link.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tuning {
    /// Heart-beat, 100ms to 60s; a link is dead after three of them without a sign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = patterns::DURATION))]
    pub heartbeat: Option<String>,
    /// Unacknowledged bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = patterns::SIZE))]
    pub window: Option<String>,
}

/// How links are authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LinkAuth {
    /// The way.
    #[serde(default)]
    pub mode: LinkAuthMode,
}

/// Ways of authenticating links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum LinkAuthMode {
    /// A password per link, proved inside TLS.
    #[default]
    Password,
    /// Certificates of both ends.
    #[serde(rename = "MTLS")]
    Mtls,
    /// Either, while moving from one to the other.
    #[serde(rename = "PasswordAndMTLS")]
    PasswordAndMtls,
}
