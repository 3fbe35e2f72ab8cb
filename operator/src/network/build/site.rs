//! The objects of one site, beside its Services and its Deployment.

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
    NetworkPolicySpec,
};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::Serialize;
use serde_json::Value;

use super::SiteContext;
use crate::labels;
use crate::model::ListenerKind;
use crate::model::cluster::PolicyPeers;
use crate::model::observed::{ChildKey, ChildKind};

impl SiteContext<'_> {
    /// Every object of the site.
    pub(super) fn objects(&self) -> Result<Vec<(ChildKey, Value)>, serde_json::Error> {
        let mut objects = vec![
            object(
                ChildKind::ServiceAccount,
                self.own_name(),
                &self.service_account(),
            )?,
            object(
                ChildKind::PodDisruptionBudget,
                self.own_name(),
                &self.disruption_budget(),
            )?,
            object(ChildKind::Deployment, self.own_name(), &self.deployment()?)?,
        ];
        objects.push(self.config_secret()?);
        objects.extend(self.services()?);
        if let Some(peers) = &self.inputs.network.cluster.network_policy {
            let policy = self.network_policy(peers);
            objects.push(object(ChildKind::NetworkPolicy, self.own_name(), &policy)?);
        }
        objects.extend(self.certificate());
        Ok(objects)
    }

    fn service_account(&self) -> ServiceAccount {
        ServiceAccount {
            metadata: self.meta(self.own_name()),
            automount_service_account_token: Some(false),
            ..ServiceAccount::default()
        }
    }

    /// With one replica a minimum of one would block the drain of every node.
    fn disruption_budget(&self) -> PodDisruptionBudget {
        PodDisruptionBudget {
            metadata: self.meta(self.own_name()),
            spec: Some(PodDisruptionBudgetSpec {
                max_unavailable: Some(IntOrString::Int(1)),
                selector: Some(LabelSelector {
                    match_labels: Some(self.selector()),
                    ..LabelSelector::default()
                }),
                ..PodDisruptionBudgetSpec::default()
            }),
            ..PodDisruptionBudget::default()
        }
    }

    /// Ingress alone: clients as declared, links from anywhere (they authenticate), the admin page for the operator and
    /// for monitoring.
    fn network_policy(&self, peers: &PolicyPeers) -> NetworkPolicy {
        let client_ports = [ListenerKind::Stomp, ListenerKind::StompTls];
        let mut rules = Vec::new();
        rules.extend(self.rule(&client_ports, peers.clients.clone()));
        rules.extend(self.rule(&[ListenerKind::Link], Vec::new()));
        let mut readers = vec![self.operator_pods()];
        readers.extend(peers.monitoring.iter().cloned());
        rules.extend(self.rule(&[ListenerKind::Admin], readers));
        NetworkPolicy {
            metadata: self.meta(self.own_name()),
            spec: Some(NetworkPolicySpec {
                pod_selector: Some(LabelSelector {
                    match_labels: Some(self.selector()),
                    ..LabelSelector::default()
                }),
                policy_types: Some(vec!["Ingress".to_owned()]),
                ingress: Some(rules),
                egress: None,
            }),
        }
    }

    /// A rule for the open listeners among some; no peers are all peers.
    fn rule(
        &self,
        kinds: &[ListenerKind],
        from: Vec<NetworkPolicyPeer>,
    ) -> Option<NetworkPolicyIngressRule> {
        let ports = kinds.iter().filter_map(|kind| self.port(*kind));
        let ports: Vec<NetworkPolicyPort> = ports
            .map(|port| NetworkPolicyPort {
                port: Some(IntOrString::Int(i32::from(port))),
                protocol: Some("TCP".to_owned()),
                end_port: None,
            })
            .collect();
        (!ports.is_empty()).then(|| NetworkPolicyIngressRule {
            from: (!from.is_empty()).then_some(from),
            ports: Some(ports),
        })
    }

    fn operator_pods(&self) -> NetworkPolicyPeer {
        let pair = |key: &str, value: &str| Some([(key.to_owned(), value.to_owned())].into());
        NetworkPolicyPeer {
            pod_selector: Some(LabelSelector {
                match_labels: pair(labels::NAME, "causeway"),
                ..LabelSelector::default()
            }),
            namespace_selector: Some(LabelSelector {
                match_labels: pair(
                    "kubernetes.io/metadata.name",
                    &self.inputs.settings.operator.namespace,
                ),
                ..LabelSelector::default()
            }),
            ip_block: None,
        }
    }
}

/// A built object with its key.
pub(super) fn object<T: Serialize>(
    kind: ChildKind,
    name: String,
    built: &T,
) -> Result<(ChildKey, Value), serde_json::Error> {
    let mut value = serde_json::to_value(built)?;
    value["apiVersion"] = kind.api_version().into();
    value["kind"] = kind.as_str().into();
    Ok((ChildKey { kind, name }, value))
}
