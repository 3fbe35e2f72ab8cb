//! Sites of a `BrokerNetwork`. There are no schema defaults here: a filled-in default could not be told from a
//! written one, and `siteDefaults` would never win.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cluster::{ClusterFields, Service};
use super::patterns;

/// What sites have in common.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SiteDefaults {
    /// Listeners; a site's own fields win one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listeners: Option<Listeners>,
    /// How a site runs in a cluster.
    #[serde(flatten)]
    pub cluster: ClusterFields,
}

/// One site: one broker, one place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(oldSelf.id) || (has(self.id) && self.id == oldSelf.id)")
        .message("sites[].id is immutable"),
)]
pub struct Site {
    /// Name, unique in the network.
    #[schemars(length(min = 1, max = 24), regex(pattern = patterns::SITE))]
    pub name: String,
    /// Short id of the routing protocol; derived from the name where it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub id: Option<i32>,
    /// Labels that users' `sites.matchLabels` select by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 16))]
    pub labels: Option<BTreeMap<String, String>>,
    /// Whether the broker runs; default Running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<SiteMode>,
    /// Where the other sites dial this one; absent: nobody outside can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Endpoint>,
    /// Listeners of this site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listeners: Option<Listeners>,
    /// How the site runs in a cluster.
    #[serde(flatten)]
    pub cluster: ClusterFields,
}

/// Whether a site runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum SiteMode {
    /// The broker runs.
    #[default]
    Running,
    /// The broker is stopped, everything else is kept.
    Stopped,
}

/// Where a site is dialled from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Host name or IP address.
    #[schemars(length(min = 1, max = 253))]
    pub host: String,
    /// Port; default: the port of the link listener.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,
    /// Who makes the host name known; default None.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<EndpointDns>,
}

/// Who makes a host name known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum EndpointDns {
    /// Somebody else.
    #[default]
    None,
    /// ExternalDNS, by an annotation of the link Service.
    ExternalDNS,
}

/// The listeners of a site.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Listeners {
    /// STOMP; default port 61613, open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stomp: Option<Listener>,
    /// STOMP over TLS; default port 61614, closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stomp_tls: Option<Listener>,
    /// Links of other sites, always TLS; default port 61618, open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<Listener>,
    /// Health, metrics and status over HTTP; default port 8161, open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin: Option<Listener>,
}

/// One listener.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Listener {
    /// TCP port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,
    /// Whether it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<ListenerState>,
    /// The Service in front of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Service>,
}

/// Whether a listener is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ListenerState {
    /// It accepts connections.
    Open,
    /// Nothing listens.
    Closed,
}
