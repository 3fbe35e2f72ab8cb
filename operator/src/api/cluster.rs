//! What only a cluster can act on: images, Services, placement of pods, who may reach them. `causeway up` reads
//! past it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, ResourceRequirements, Toleration, TopologySpreadConstraint,
};
use k8s_openapi::api::networking::v1::NetworkPolicyPeer;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::patterns;
use super::shared::NameRef;

/// Seconds that a broker has to stop where nothing else is said.
pub const GRACE_PERIOD: i64 = 60;
/// Clients closed per second before a stop where nothing else is said.
pub const DRAIN_RATE: u32 = 200;

/// What `Ready` waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Readiness {
    /// The sites of this cluster.
    #[default]
    Local,
    /// Every link as well.
    AllLinks,
}

/// The image of brokers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// Registry and name.
    #[schemars(length(min = 1, max = 255))]
    pub repository: String,
    /// Tag; default: the operator's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub tag: Option<String>,
    /// Digest; wins over the tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128), regex(pattern = patterns::DIGEST))]
    pub digest: Option<String>,
    /// When it is pulled; default IfNotPresent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_policy: Option<PullPolicy>,
    /// Secrets with the registry's credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8))]
    pub pull_secrets: Option<Vec<NameRef>>,
}

/// The image of one site's broker; what is absent is that of the network.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageOverride {
    /// Registry and name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub repository: Option<String>,
    /// Tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub tag: Option<String>,
    /// Digest; wins over the tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128), regex(pattern = patterns::DIGEST))]
    pub digest: Option<String>,
    /// When it is pulled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_policy: Option<PullPolicy>,
    /// Secrets with the registry's credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8))]
    pub pull_secrets: Option<Vec<NameRef>>,
}

/// When an image is pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum PullPolicy {
    /// Each time a pod starts.
    Always,
    /// When the node does not have it.
    #[default]
    IfNotPresent,
    /// Never: the node has it.
    Never,
}

/// How brokers are stopped and brought up to date.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Update {
    /// Whether a newer operator may restart brokers to bring them up to date; default Manual: it may not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<UpdatePolicy>,
    /// Clients closed per second before a broker stops; default 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000))]
    pub drain_connections_per_second: Option<i32>,
}

/// Whether a newer operator may restart brokers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum UpdatePolicy {
    /// It waits for the next change that restarts.
    #[default]
    Manual,
    /// It restarts them one by one.
    Automatic,
}

/// The Service in front of a listener.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.nodePort) || (has(self.type) && self.type in ['NodePort','LoadBalancer'])")
        .message("nodePort needs type NodePort or LoadBalancer"),
)]
pub struct Service {
    /// Its type; default ClusterIP.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ServiceType>,
    /// Port on every node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub node_port: Option<i32>,
    /// Annotations, for the cloud's load balancer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 32))]
    pub annotations: Option<BTreeMap<String, String>>,
    /// Class of the load balancer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub load_balancer_class: Option<String>,
    /// Addresses that the load balancer lets through, as CIDRs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 64)))]
    pub load_balancer_source_ranges: Option<Vec<String>>,
    /// Whether traffic from outside may go through other nodes; default Cluster: it may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_traffic_policy: Option<TrafficPolicy>,
}

/// Types of Services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum ServiceType {
    /// An address inside the cluster.
    #[default]
    ClusterIP,
    /// An address of the cloud's load balancer.
    LoadBalancer,
    /// A port on every node.
    NodePort,
    /// No Service.
    None,
}

/// Whether traffic from outside may go through other nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TrafficPolicy {
    /// Through any node.
    Cluster,
    /// Only through nodes with a pod; keeps the client's address.
    Local,
}

/// Fields of a site that only a cluster can act on.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterFields {
    /// The broker's image, for what differs from that of the network. A change restarts the broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageOverride>,
    /// Processor and memory; default: the operator's. A change restarts the broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// Labels of nodes that may run the broker. A change restarts the broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 16))]
    pub node_selector: Option<BTreeMap<String, String>>,
    /// Taints that the broker bears. A change restarts the broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub tolerations: Option<Vec<Toleration>>,
    /// Where the broker is drawn to. A change restarts the broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
    /// How pods are spread. A change restarts the broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8))]
    pub topology_spread_constraints: Option<Vec<TopologySpreadConstraint>>,
    /// Priority class of the pod. A change restarts the broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub priority_class_name: Option<String>,
    /// Seconds that the broker has to stop; default 60. A change restarts the broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 5, max = 3600))]
    pub termination_grace_period_seconds: Option<i64>,
    /// How a change that restarts the broker is made; default Recreate. A change of this restarts nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// Annotations of the pod. A change restarts the broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 32))]
    pub pod_annotations: Option<BTreeMap<String, String>>,
    /// Labels of the pod. A change restarts the broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("maxProperties" = 32))]
    pub pod_labels: Option<BTreeMap<String, String>>,
    /// Merge patches on the objects that are made. One on a pod template restarts the broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub overrides: Option<Vec<Override>>,
}

/// How a change that restarts a broker is made, Recreate by default. Recreate: the old pod stops before the new one starts,
/// and what waits in its queues goes to other sites that have consumers for it. Handover: the new pod starts beside the old
/// one and takes over its queues and durable subscriptions. A change of it restarts nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Strategy {
    /// The old pod stops before the new one starts.
    #[default]
    Recreate,
    /// The new pod takes over from the old one.
    Handover,
}

/// A JSON merge patch on an object that is made for a site.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Override {
    /// Kind of the object.
    pub kind: OverrideKind,
    /// The part whose object it is, such as stomp for that Service; absent: all of the kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub name: Option<String>,
    /// The patch.
    #[schemars(schema_with = "patch_schema")]
    pub patch: serde_json::Value,
}

fn patch_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// Kinds of objects that may be patched.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum OverrideKind {
    /// The Deployment.
    Deployment,
    /// A Service.
    Service,
    /// The NetworkPolicy.
    NetworkPolicy,
    /// The PodDisruptionBudget.
    PodDisruptionBudget,
    /// The ServiceAccount.
    ServiceAccount,
    /// The Certificate.
    Certificate,
}

/// Who may reach the brokers' pods.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPolicy {
    /// Whether a NetworkPolicy is made; default Generate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<NetworkPolicyMode>,
    /// Who may reach the listeners of clients; empty: everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub clients: Option<Vec<NetworkPolicyPeer>>,
    /// Who may reach the admin listener, beside the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 8))]
    pub monitoring: Option<Vec<NetworkPolicyPeer>>,
}

/// Whether a NetworkPolicy is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum NetworkPolicyMode {
    /// It is.
    #[default]
    Generate,
    /// It is not.
    None,
}
