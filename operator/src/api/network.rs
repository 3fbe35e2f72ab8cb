//! `BrokerNetwork`: one object that declares every site and every link.
//!
//! Only what works is in the schema. Inside `sites[]` and `siteDefaults` there are no schema defaults: a
//! filled-in default could not be told from a written one, and `siteDefaults` would never win.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::link::{
    LINK_COST, Link, LinkAuth, LinkAuthMode, LinkCredentials, LinkState, Shape, Topology, Tuning,
};
use super::patterns;
use super::shared::{BundleRef, Entry};

/// Port of the STOMP listener where nothing else is said.
pub const STOMP_PORT: u16 = 61613;
/// Port of STOMP over TLS where nothing else is said.
pub const STOMP_TLS_PORT: u16 = 61614;
/// Port of the link listener where nothing else is said.
pub const LINK_PORT: u16 = 61618;
/// Port of the admin listener where nothing else is said.
pub const ADMIN_PORT: u16 = 8161;
/// First part of the identity in certificates where nothing else is said.
pub const TRUST_DOMAIN: &str = "causeway";

/// Message of N4, which cannot name the entry; `network::validate` does.
pub const UNKNOWN_END: &str = "links[].between must name entries of sites";

/// A network of brokers: sites, the links between them, and who may do what.
#[derive(Debug, Clone, PartialEq, CustomResource, KubeSchema, Serialize, Deserialize)]
#[kube(
    group = "causeway.dev",
    version = "v1alpha1",
    kind = "BrokerNetwork",
    plural = "brokernetworks",
    shortname = "bn",
    category = "causeway",
    namespaced,
    cel,
    derive = "PartialEq",
    doc = "A network of message brokers: sites, the links between them, and who may do what.",
    validation = Rule::new("size(self.metadata.name) <= 24 && self.metadata.name.matches('^[a-z][a-z0-9]*(-[a-z0-9]+)*$')")
        .message("metadata.name starts every child name: a DNS-1035 label of at most 24 characters without \"--\""),
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.links) || self.links.all(l, l.between.all(b, self.sites.exists(s, s.name == b)))")
        .message(UNKNOWN_END)
        .field_path(".links"),
    validation = Rule::new("!has(self.topology) || self.topology.shape != 'Star' || (has(self.topology.hub) && self.sites.exists(s, s.name == self.topology.hub))")
        .message("topology Star needs hub, a name from sites")
        .field_path(".topology"),
    validation = Rule::new("!has(self.topology) || !(self.topology.shape in ['Ring','Chain']) || (has(self.topology.order) && size(self.topology.order) == size(self.sites) && self.sites.all(s, s.name in self.topology.order))")
        .message("topology Ring and Chain need order with every site exactly once")
        .field_path(".topology"),
    validation = Rule::new("!has(self.linkAuth) || self.linkAuth.mode == 'Password' || has(self.tls)")
        .message("linkAuth MTLS needs spec.tls")
        .field_path(".linkAuth"),
    validation = Rule::new(tls_listener_rule("stompTls"))
        .message("a TLS listener needs spec.tls, which says where its certificate comes from"),
    validation = Rule::new("!has(self.topology) || self.topology.shape != 'Mesh' || size(self.sites) <= 32")
        .message("topology Mesh links every pair: at most 32 sites, because a network has at most 512 links")
        .field_path(".topology"),
)]
pub struct BrokerNetworkSpec {
    /// What every site has that does not say otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site_defaults: Option<SiteDefaults>,
    /// The sites: one broker each.
    #[schemars(length(min = 1, max = 64))]
    #[x_kube(
        validation = Rule::new("self.all(s, !has(s.id) || self.exists_one(t, has(t.id) && t.id == s.id))")
            .message("sites[].id must be unique"),
        merge_strategy = ListMerge::Map(vec!["name".into()])
    )]
    pub sites: Vec<Site>,
    /// A shape that expands to links.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topology: Option<Topology>,
    /// Links, beside those of the shape or instead of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub links: Option<Vec<Link>>,
    /// How the two ends of a link prove who they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_auth: Option<LinkAuth>,
    /// Where certificates come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Sites that every broker refuses at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 24)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub denied_sites: Option<Vec<String>>,
    /// Who may do what with which destinations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Authorization>,
    /// Settings of the brokers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Settings>,
}

/// N23 for one listener; no rule may forget `siteDefaults`.
fn tls_listener_rule(listener: &str) -> String {
    let open = |holder: &str| {
        format!(
            "has({holder}.listeners) && has({holder}.listeners.{listener}) && \
             has({holder}.listeners.{listener}.state) && {holder}.listeners.{listener}.state == 'Open'"
        )
    };
    format!(
        "has(self.tls) || !(self.sites.exists(s, {}) || (has(self.siteDefaults) && {}))",
        open("s"),
        open("self.siteDefaults")
    )
}

/// What sites have in common.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SiteDefaults {
    /// Listeners; a site's own fields win one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listeners: Option<Listeners>,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Listener {
    /// TCP port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,
    /// Whether it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<ListenerState>,
}

/// Whether a listener is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ListenerState {
    /// It accepts connections.
    Open,
    /// Nothing listens.
    Closed,
}

/// Where certificates come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tls {
    /// The source of the sites' certificates.
    pub source: TlsSource,
    /// Name of each site's Secret of type kubernetes.io/tls; {network} and {site} are replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub secret_name_template: Option<String>,
    /// Roots of the other sites.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_bundle_ref: Option<BundleRef>,
    /// First part of the identity in certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = patterns::DOMAIN))]
    pub trust_domain: Option<String>,
    /// Roots of client certificates; absent: none are accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_trust_bundle_ref: Option<BundleRef>,
}

/// Sources of certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TlsSource {
    /// Secrets that somebody else fills.
    Secret,
    /// A certificate authority made for trying things out.
    Development,
}

/// Who may do what with which destinations.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Authorization {
    /// What groups may do; the union of all matching entries counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub entries: Option<Vec<Entry>>,
    /// Temporary destinations; default: any authenticated user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temporary: Option<TemporaryRights>,
    /// MCollective collectives; each expands to the entries it needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub collectives: Option<Vec<Collective>>,
}

/// Rights on temporary destinations; `*` is any authenticated user.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct TemporaryRights {
    /// Groups that may receive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 128)))]
    pub read: Option<Vec<String>>,
    /// Groups that may send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 128)))]
    pub write: Option<Vec<String>>,
    /// Groups that may create.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 128)))]
    pub admin: Option<Vec<String>>,
}

/// One MCollective collective.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Collective {
    /// Prefix of its destinations.
    #[schemars(length(min = 1, max = 128), regex(pattern = patterns::SEGMENT))]
    pub name: String,
    /// Groups of its servers (nodes).
    #[schemars(length(min = 1, max = 32), inner(length(min = 1, max = 128)))]
    pub servers: Vec<String>,
    /// Groups of those who send requests.
    #[schemars(length(min = 1, max = 32), inner(length(min = 1, max = 128)))]
    pub admins: Vec<String>,
}

/// Settings of the brokers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// Client connections of one site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub max_connections: Option<i32>,
    /// Largest frame of a client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = patterns::SIZE))]
    pub max_frame_size: Option<String>,
    /// Queues whose messages are replies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 16),
        inner(length(max = 255), regex(pattern = patterns::DESTINATIONS))
    )]
    pub reply_patterns: Option<Vec<String>>,
    /// An empty, unused queue is removed after this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = patterns::DURATION))]
    pub inactive_queue_after: Option<String>,
    /// How much is logged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_level: Option<LogLevel>,
    /// Further live keys of the broker's file, such as limits.accept_rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "extra_schema")]
    pub extra: Option<BTreeMap<String, serde_json::Value>>,
}

fn extra_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "object",
        "nullable": true,
        "maxProperties": 64,
        "additionalProperties": {"x-kubernetes-preserve-unknown-fields": true},
    })
}

/// How much a broker logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LogLevel {
    /// What is lost or broken.
    Error,
    /// What is not as it should be.
    Warn,
    /// Life-cycle events.
    Info,
    /// Every command.
    Debug,
}
