//! `status` of both kinds: what was observed, never what is wished.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shared::NameRef;

/// What is observed of a network, from this cluster.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct BrokerNetworkStatus {
    /// Generation of the object that this is about; -1 before anybody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Hash of what all sites share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec_hash: Option<String>,
    /// Hash of the users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users_hash: Option<String>,
    /// The operator that wrote this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<OperatorStatus>,
    /// The sites that this cluster runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub local_sites: Option<Vec<String>>,
    /// Counts, as "well/all".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
    /// Every site of the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub sites: Option<Vec<SiteStatus>>,
    /// Every link of the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub links: Option<Vec<LinkStatus>>,
    /// Conditions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Option<Vec<Condition>>,
}

/// The operator that wrote a status.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct OperatorStatus {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// Counts, as "well/all".
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// Sites that run.
    pub sites: String,
    /// Links that are up.
    pub links: String,
    /// Users that are served.
    pub users: String,
}

/// One site, seen from this cluster.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SiteStatus {
    /// Name.
    pub name: String,
    /// Whether this cluster runs it.
    #[serde(default)]
    pub local: bool,
    /// What it does.
    pub state: SiteState,
    /// Version of its broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Hash of the network it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec_hash: Option<String>,
    /// Hash of the users it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users_hash: Option<String>,
    /// Whether its documents are those of this cluster: True, False or Unknown.
    pub in_sync: String,
    /// Since when its documents differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub differs_since: Option<Time>,
    /// When it was last heard of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Time>,
    /// The configuration of a local site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<ConfigStatus>,
    /// What waits for the next restart of a local site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub restart_pending: Option<Vec<RestartReason>>,
    /// Where the listeners of a local site are reached from outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["listener".into()]))]
    pub addresses: Option<Vec<ListenerAddress>>,
    /// Whether a remote site is reached over links: True, False or Unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reachable: Option<String>,
    /// First site on the way to a remote one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// Links on the way to a remote site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hops: Option<i32>,
}

/// What a site does.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema,
)]
pub enum SiteState {
    /// Its objects are being made.
    Pending,
    /// Its pod starts.
    Starting,
    /// It serves.
    Running,
    /// It stops.
    Draining,
    /// It is stopped, as declared.
    Stopped,
    /// It cannot run.
    Failed,
    /// Nobody knows.
    #[default]
    Unknown,
}

/// The configuration of a local site.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct ConfigStatus {
    /// Hash of the files it should run.
    pub desired: String,
    /// Hash of the files that the process runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<String>,
    /// Since when it runs them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// Since when it should run others.
    #[serde(
        rename = "pendingSince",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub pending_since: Option<Time>,
    /// Why the process refused files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What only a restart brings into force.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum RestartReason {
    /// The image, or what a newer operator would do otherwise.
    Image,
    /// Processor and memory.
    Resources,
    /// Where the pod runs, and what else is text of the pod alone.
    Placement,
}

/// Where a listener is reached from outside.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ListenerAddress {
    /// The listener.
    pub listener: String,
    /// Host name or IP address.
    pub host: String,
    /// TCP port.
    pub port: i32,
}

/// One link.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, KubeSchema)]
pub struct LinkStatus {
    /// Name.
    pub name: String,
    /// The worse of both ends.
    pub state: LinkState,
    /// Both ends, as far as anything is known of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["site".into()]))]
    pub ends: Option<Vec<LinkEnd>>,
}

/// State of a link; a later one is worse.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema,
)]
pub enum LinkState {
    /// Messages pass.
    Up,
    /// They pass slowly: the peer or a limit holds them back.
    Throttled,
    /// It is being dialled or greeted.
    Connecting,
    /// No fresh report.
    #[default]
    Unknown,
    /// Connected, and no message passed for ten seconds.
    Blocked,
    /// No connection.
    Down,
    /// The ends do not agree on a credential.
    AuthFailed,
    /// The other end refuses it.
    Refused,
    /// Switched off in the spec; not counted.
    Disabled,
}

/// One end of a link, as it tells itself.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LinkEnd {
    /// The site at this end.
    pub site: String,
    /// Dialer or Acceptor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// How this end sees the link.
    pub state: LinkState,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// Round-trip time, such as 23ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt: Option<String>,
    /// Messages that wait for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<i64>,
    /// What the session was opened with: Current, Previous or Certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// The root that the peer's certificate ended at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// Why it is not up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// When this end last told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Time>,
}

/// What is observed of a user, from this cluster.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct BrokerUserStatus {
    /// Generation of the object that this is about; -1 before anybody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Login name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The sites of this cluster that know the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub local_sites: Option<Vec<String>>,
    /// Sites where the user is in force, as "applied/all".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// Each local site that knows the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub sites: Option<Vec<UserSiteStatus>>,
    /// Which credential is in force: the rotation of a generated password, else the resourceVersion of the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_version: Option<String>,
    /// The Secret with a generated password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<NameRef>,
    /// Conditions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Option<Vec<Condition>>,
}

/// A user at one site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UserSiteStatus {
    /// The site.
    pub name: String,
    /// Whether the running broker knows the user as declared: True, False or Unknown.
    pub applied: String,
}
