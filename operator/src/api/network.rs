//! `BrokerNetwork`: one object that declares every site and every link.
//!
//! Only what works is in the schema. Inside `sites[]` and `siteDefaults` there are no schema defaults: a
//! filled-in default could not be told from a written one, and `siteDefaults` would never win.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::cluster::{
    Image, ImageOverride, NetworkPolicy, NetworkPolicyMode, Override, OverrideKind, PullPolicy,
    Readiness, Service, ServiceType, TrafficPolicy, Update, UpdatePolicy,
};
pub use super::link::{
    LINK_COST, Link, LinkAuth, LinkAuthMode, LinkCredentials, LinkState, Shape, Topology, Tuning,
};
use super::patterns;
use super::shared::{BundleRef, Entry, IssuerRef};
pub use super::site::{
    Endpoint, EndpointDns, Listener, ListenerState, Listeners, Site, SiteDefaults, SiteMode,
};
use super::status::BrokerNetworkStatus;

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
    status = "BrokerNetworkStatus",
    printcolumn = r#"{"name":"SITES","type":"string","jsonPath":".status.summary.sites","description":"Sites that are well, of all"}"#,
    printcolumn = r#"{"name":"LINKS","type":"string","jsonPath":".status.summary.links","description":"Links that are up, of all that are enabled"}"#,
    printcolumn = r#"{"name":"READY","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].status","description":"Whether this cluster's part is as declared and serves"}"#,
    printcolumn = r#"{"name":"SYNC","type":"string","jsonPath":".status.conditions[?(@.type=='PeersInSync')].status","description":"Whether the other sites have the same documents"}"#,
    printcolumn = r#"{"name":"LOCAL","type":"string","jsonPath":".status.localSites","description":"Sites that this cluster runs","priority":1}"#,
    printcolumn = r#"{"name":"CONFIG","type":"string","jsonPath":".status.conditions[?(@.type=='ConfigApplied')].status","description":"Whether the brokers run what is declared","priority":1}"#,
    printcolumn = r#"{"name":"REASON","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].reason","description":"Why it is ready or not","priority":1}"#,
    printcolumn = r#"{"name":"AGE","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
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
    /// What Ready waits for; default Local: this cluster's sites alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readiness: Option<Readiness>,
    /// The brokers' image; absent: the operator's, kept until a change that restarts. A change restarts brokers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
    /// How brokers are stopped and brought up to date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<Update>,
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
    /// Who may reach the brokers' pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_policy: Option<NetworkPolicy>,
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

/// Where certificates come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(self.source == 'CertManager') == has(self.issuerRef)")
        .message("issuerRef is for source CertManager, and required there"),
)]
pub struct Tls {
    /// The source of the sites' certificates. A change restarts brokers.
    pub source: TlsSource,
    /// Who issues the sites' certificates; source CertManager only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer_ref: Option<IssuerRef>,
    /// Name of each site's Secret of type kubernetes.io/tls; {network} and {site} are replaced. A change restarts brokers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub secret_name_template: Option<String>,
    /// Roots of the other sites. Another name restarts brokers, other contents do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust_bundle_ref: Option<BundleRef>,
    /// First part of the identity in certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = patterns::DOMAIN))]
    pub trust_domain: Option<String>,
    /// Roots of client certificates; absent: none are accepted. Another name restarts brokers, other contents do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_trust_bundle_ref: Option<BundleRef>,
}

/// Sources of certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TlsSource {
    /// Certificates that cert-manager issues.
    CertManager,
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
