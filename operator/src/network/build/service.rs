//! One Service for each open listener: their types change one by one and restart nothing.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::Value;

use super::SiteContext;
use super::secret::listener_part;
use super::site::object;
use crate::api::cluster::{ServiceType, Strategy, TrafficPolicy};
use crate::labels;
use crate::model::ListenerKind;
use crate::model::cluster::ValidService;
use crate::model::observed::{ChildKey, ChildKind};
use crate::names::{self, Part};

impl SiteContext<'_> {
    pub(super) fn services(&self) -> Result<Vec<(ChildKey, Value)>, serde_json::Error> {
        let services = self.valid.cluster.services.iter();
        services
            .filter_map(|(kind, service)| Some((*kind, service, self.port(*kind)?)))
            .map(|(kind, service, port)| self.service(kind, service, port))
            .chain(self.handover_service())
            .collect()
    }

    /// Where a pod that starts finds the one that serves. The Service of links leads to pods that are not ready too, and so
    /// to that pod itself.
    fn handover_service(&self) -> Option<Result<(ChildKey, Value), serde_json::Error>> {
        if self.valid.cluster.strategy != Strategy::Handover {
            return None;
        }
        let port = i32::from(self.port(ListenerKind::Link)?);
        let name = names::site_part(self.network(), self.name.as_str(), Part::Handover);
        let built = Service {
            metadata: self.meta(name.clone()),
            spec: Some(ServiceSpec {
                type_: Some(type_name(ServiceType::ClusterIP).to_owned()),
                selector: Some(self.selector()),
                ports: Some(vec![ServicePort {
                    name: Some(Part::Handover.as_str().to_owned()),
                    port,
                    target_port: Some(IntOrString::Int(port)),
                    protocol: Some("TCP".to_owned()),
                    ..ServicePort::default()
                }]),
                ..ServiceSpec::default()
            }),
            ..Service::default()
        };
        Some(object(ChildKind::Service, name, &built))
    }

    fn service(
        &self,
        kind: ListenerKind,
        service: &ValidService,
        port: u16,
    ) -> Result<(ChildKey, Value), serde_json::Error> {
        let part = listener_part(kind);
        let name = names::site_part(self.network(), self.name.as_str(), part);
        let mut metadata = self.meta(name.clone());
        let labels = metadata.labels.get_or_insert_default();
        labels.insert(labels::LISTENER.to_owned(), part.as_str().to_owned());
        let mut annotations = service.annotations.clone();
        if kind == ListenerKind::Link && self.valid.cluster.has_external_dns {
            let host = self.valid.endpoint.as_ref().map(|end| end.host.clone());
            annotations.extend(host.map(|host| (labels::EXTERNAL_DNS.to_owned(), host)));
        }
        metadata.annotations = (!annotations.is_empty()).then_some(annotations);
        let is_balanced = service.kind == ServiceType::LoadBalancer;
        let is_outside = is_balanced || service.kind == ServiceType::NodePort;
        let ranges = &service.load_balancer_source_ranges;
        let policy = service.external_traffic_policy.map(|policy| match policy {
            TrafficPolicy::Cluster => "Cluster",
            TrafficPolicy::Local => "Local",
        });
        let built = Service {
            metadata,
            spec: Some(ServiceSpec {
                type_: Some(type_name(service.kind).to_owned()),
                selector: Some(self.selector()),
                ports: Some(vec![ServicePort {
                    name: Some(part.as_str().to_owned()),
                    port: i32::from(port),
                    target_port: Some(IntOrString::Int(i32::from(port))),
                    protocol: Some("TCP".to_owned()),
                    node_port: service.node_port.filter(|_| is_outside),
                    ..ServicePort::default()
                }]),
                load_balancer_class: service.load_balancer_class.clone().filter(|_| is_balanced),
                load_balancer_source_ranges: (is_balanced && !ranges.is_empty())
                    .then(|| ranges.clone()),
                external_traffic_policy: policy.filter(|_| is_outside).map(str::to_owned),
                // A link is there for peers before the pod is ready to serve clients.
                publish_not_ready_addresses: (kind == ListenerKind::Link).then_some(true),
                ..ServiceSpec::default()
            }),
            ..Service::default()
        };
        object(ChildKind::Service, name, &built)
    }
}

const fn type_name(kind: ServiceType) -> &'static str {
    match kind {
        ServiceType::ClusterIP | ServiceType::None => "ClusterIP",
        ServiceType::LoadBalancer => "LoadBalancer",
        ServiceType::NodePort => "NodePort",
    }
}
