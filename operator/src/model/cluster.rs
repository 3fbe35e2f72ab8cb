//! What only a cluster acts on, with every default filled in.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, ResourceRequirements, Toleration, TopologySpreadConstraint,
};
use k8s_openapi::api::networking::v1::NetworkPolicyPeer;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::placement::ListenerKind;
use crate::api::cluster::{
    OverrideKind, PullPolicy, Readiness, ServiceType, Strategy, TrafficPolicy, UpdatePolicy,
};
use crate::api::shared::{BundleRef, IssuerRef};
use crate::api::status::RestartReason;

/// What only a cluster acts on, of a whole network.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ClusterNetwork {
    /// What `Ready` waits for.
    pub readiness: Readiness,
    /// Whether a newer operator may restart brokers.
    pub update: UpdatePolicy,
    /// Clients closed per second before a broker stops, where it is written.
    pub drain_rate: Option<u32>,
    /// Who may reach the pods; absent: no NetworkPolicy is made.
    pub network_policy: Option<PolicyPeers>,
    /// Who issues certificates, where cert-manager does.
    pub issuer: Option<IssuerRef>,
}

/// Who may reach the pods.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PolicyPeers {
    /// The listeners of clients; empty: everybody.
    pub clients: Vec<NetworkPolicyPeer>,
    /// The admin listener, beside the operator.
    pub monitoring: Vec<NetworkPolicyPeer>,
}

/// What only a cluster acts on, of one site.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ClusterSite {
    /// What a change of restarts the broker, and nothing else does.
    pub restart: RestartClass,
    /// The Service in front of each open listener that has one.
    pub services: BTreeMap<ListenerKind, ValidService>,
    /// How a change that restarts the broker is made.
    pub strategy: Strategy,
    /// Whether ExternalDNS makes the endpoint's name known.
    pub has_external_dns: bool,
    /// Merge patches on the objects that are made, in the order of the document.
    pub overrides: Vec<ValidOverride>,
}

/// The fields that restart a broker: the closed list of what is not live.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RestartClass {
    /// The image; absent: that of the Deployment, or the operator's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<ValidImage>,
    /// Processor and memory; absent: the operator's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// Where the pod runs, and what else is text of the pod alone.
    pub placement: PodPlacement,
}

/// Where a pod runs, and what else exists only as text of the pod.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PodPlacement {
    /// Labels of nodes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints that are borne.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<Toleration>,
    /// Where the pod is drawn to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
    /// How pods are spread.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,
    /// Priority class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority_class_name: Option<String>,
    /// Seconds to stop.
    pub grace_period: i64,
    /// Annotations of the pod.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Labels of the pod.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The pod template's part of the overrides of the Deployment.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub template_patches: Vec<Value>,
    /// Port of the admin listener, which the probes of the pod name.
    pub admin_port: u16,
    /// The Secrets and bundles that are mounted.
    pub mounts: Mounts,
}

/// The objects that a pod mounts, by name; their contents are live.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Mounts {
    /// The Secret with the site's certificate and key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// Roots of the other sites.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust_bundle: Option<BundleRef>,
    /// Roots of clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_trust_bundle: Option<BundleRef>,
}

/// An image with all that is needed to pull it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValidImage {
    /// Registry, name, and tag or digest.
    pub reference: String,
    /// When it is pulled.
    pub pull_policy: PullPolicy,
    /// Secrets with the registry's credentials.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pull_secrets: Vec<String>,
}

/// A Service in front of a listener.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ValidService {
    /// Its type, never None.
    pub kind: ServiceType,
    /// Port on every node.
    pub node_port: Option<i32>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// Class of the load balancer.
    pub load_balancer_class: Option<String>,
    /// Addresses that the load balancer lets through.
    pub load_balancer_source_ranges: Vec<String>,
    /// Whether traffic from outside may go through other nodes.
    pub external_traffic_policy: Option<TrafficPolicy>,
}

/// A merge patch on one kind of object.
#[derive(Debug, Clone, PartialEq)]
pub struct ValidOverride {
    /// The kind.
    pub kind: OverrideKind,
    /// The part; absent: all of the kind.
    pub part: Option<String>,
    /// The patch.
    pub patch: Value,
}

impl RestartClass {
    /// What differs from an earlier one.
    #[must_use]
    pub fn differences(&self, earlier: &Self) -> Vec<RestartReason> {
        let parts = [
            (self.image != earlier.image, RestartReason::Image),
            (
                self.resources != earlier.resources,
                RestartReason::Resources,
            ),
            (
                self.placement != earlier.placement,
                RestartReason::Placement,
            ),
        ];
        let different = parts.into_iter().filter(|(differs, _)| *differs);
        different.map(|(_, reason)| reason).collect()
    }
}
