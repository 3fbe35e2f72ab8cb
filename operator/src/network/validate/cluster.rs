//! What only a cluster acts on: defaults filled in, overrides kept off what is ours.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Check;
use super::sites::listener;
use crate::api::cluster::{
    ClusterFields, GRACE_PERIOD, Image, ImageOverride, NetworkPolicyMode, Override, OverrideKind,
    Service, ServiceType, Strategy,
};
use crate::api::condition::Reason;
use crate::api::network::{
    ADMIN_PORT, EndpointDns, LinkAuthMode, Site, SiteDefaults, Tls, TlsSource,
};
use crate::api::shared::{BundleKind, BundleRef};
use crate::finding::{Finding, Subject};
use crate::model::ListenerKind;
use crate::model::cluster::{
    ClusterNetwork, ClusterSite, Mounts, PodPlacement, PolicyPeers, RestartClass, ValidImage,
    ValidOverride, ValidService,
};
use crate::names;

impl Check<'_> {
    pub(super) fn cluster(&self) -> ClusterNetwork {
        let spec = &self.declared.network.spec;
        let policy = spec.network_policy.clone().unwrap_or_default();
        let is_made = policy.mode.unwrap_or_default() == NetworkPolicyMode::Generate;
        ClusterNetwork {
            readiness: spec.readiness.unwrap_or_default(),
            drain_rate: spec
                .update
                .as_ref()
                .and_then(|update| update.drain_connections_per_second)
                .and_then(|rate| u32::try_from(rate).ok()),
            update: spec
                .update
                .clone()
                .and_then(|update| update.policy)
                .unwrap_or_default(),
            network_policy: is_made.then(|| PolicyPeers {
                clients: policy.clients.unwrap_or_default(),
                monitoring: policy.monitoring.unwrap_or_default(),
            }),
            issuer: spec.tls.as_ref().and_then(|tls| tls.issuer_ref.clone()),
        }
    }

    pub(super) fn cluster_site(
        &mut self,
        index: usize,
        site: &Site,
        defaults: &SiteDefaults,
        listeners: &BTreeMap<ListenerKind, u16>,
    ) -> ClusterSite {
        let (own, common) = (&site.cluster, &defaults.cluster);
        let written = own.overrides.as_ref().or(common.overrides.as_ref());
        let overrides = self.overrides(index, written.map_or(&[], Vec::as_slice));
        let admin_port = listeners.get(&ListenerKind::Admin).copied();
        let admin_port = admin_port.unwrap_or(ADMIN_PORT);
        let placement = PodPlacement {
            admin_port,
            ..self.pod_placement(site, own, common, &overrides)
        };
        let services = listeners.keys().filter_map(|kind| {
            let service = self.service(index, site, defaults, *kind)?;
            Some((*kind, service))
        });
        let services = services.collect();
        let strategy = own.strategy.or(common.strategy).unwrap_or_default();
        if strategy == Strategy::Handover && !listeners.contains_key(&ListenerKind::Link) {
            let path = format!("spec.sites[{index}].strategy");
            self.add(
                path,
                "Handover needs the link listener, over which it is made",
            );
        }
        let image = self.image(index, own.image.as_ref().or(common.image.as_ref()));
        ClusterSite {
            restart: RestartClass {
                image,
                resources: own.resources.clone().or_else(|| common.resources.clone()),
                placement,
            },
            services,
            strategy,
            has_external_dns: site.endpoint.as_ref().and_then(|endpoint| endpoint.dns)
                == Some(EndpointDns::ExternalDNS),
            overrides,
        }
    }

    fn pod_placement(
        &self,
        site: &Site,
        own: &ClusterFields,
        common: &ClusterFields,
        overrides: &[ValidOverride],
    ) -> PodPlacement {
        let patches = overrides.iter().filter_map(|one| {
            let is_pod = one.kind == OverrideKind::Deployment;
            one.patch.pointer("/spec/template").filter(|_| is_pod)
        });
        PodPlacement {
            node_selector: either(&own.node_selector, &common.node_selector),
            tolerations: either(&own.tolerations, &common.tolerations),
            affinity: own.affinity.clone().or_else(|| common.affinity.clone()),
            topology_spread_constraints: either(
                &own.topology_spread_constraints,
                &common.topology_spread_constraints,
            ),
            priority_class_name: own
                .priority_class_name
                .clone()
                .or_else(|| common.priority_class_name.clone()),
            grace_period: own
                .termination_grace_period_seconds
                .or(common.termination_grace_period_seconds)
                .unwrap_or(GRACE_PERIOD),
            annotations: either(&own.pod_annotations, &common.pod_annotations),
            labels: either(&own.pod_labels, &common.pod_labels),
            template_patches: patches.cloned().collect(),
            mounts: self.mounts(&site.name),
            ..PodPlacement::default()
        }
    }

    fn mounts(&self, site: &str) -> Mounts {
        let spec = &self.declared.network.spec;
        let Some(tls) = &spec.tls else {
            return Mounts::default();
        };
        let certificate = certificate_secret(tls, self.declared.name(), site);
        let proves_by_certificate =
            spec.link_auth.unwrap_or_default().mode != LinkAuthMode::Password;
        let beside = || BundleRef {
            kind: BundleKind::Secret,
            name: certificate.clone(),
            key: "ca.crt".to_owned(),
        };
        let trust_bundle = match tls.source {
            TlsSource::Development => Some(beside()),
            _ => tls
                .trust_bundle_ref
                .clone()
                .or_else(|| proves_by_certificate.then(beside)),
        };
        Mounts {
            trust_bundle,
            client_trust_bundle: tls.client_trust_bundle_ref.clone(),
            certificate: Some(certificate),
        }
    }

    fn service(
        &mut self,
        index: usize,
        site: &Site,
        defaults: &SiteDefaults,
        kind: ListenerKind,
    ) -> Option<ValidService> {
        let own = listener(site.listeners.as_ref(), kind)
            .service
            .unwrap_or_default();
        let common = listener(defaults.listeners.as_ref(), kind)
            .service
            .unwrap_or_default();
        let service = merged(own, common);
        let is_inside = service.kind == ServiceType::ClusterIP;
        if service.node_port.is_some() && is_inside {
            let path = format!("spec.sites[{index}].listeners.{}.service", kind.field());
            self.add(path, "nodePort needs type NodePort or LoadBalancer");
        }
        if kind == ListenerKind::Admin && !is_inside && service.kind != ServiceType::None {
            let path = format!("spec.sites[{index}].listeners.admin.service.type");
            self.add(path, "the admin listener is for ClusterIP or None only");
        }
        (service.kind != ServiceType::None).then_some(service)
    }

    /// The image of a site: its own fields over those of the network.
    fn image(&mut self, index: usize, own: Option<&ImageOverride>) -> Option<ValidImage> {
        let common = self.declared.network.spec.image.as_ref();
        if own.is_none() && common.is_none() {
            return None;
        }
        let own = own.cloned().unwrap_or_default();
        let is_other = own.tag.is_some() || own.digest.is_some();
        let tag = own.tag.or_else(|| common?.tag.clone());
        // A tag of the site's own is not overruled by the digest of the network.
        let digest = own
            .digest
            .or_else(|| common.filter(|_| !is_other)?.digest.clone());
        let digest = digest.filter(|digest| !digest.is_empty());
        let repository = own.repository.or_else(|| Some(common?.repository.clone()));
        let Some(repository) = repository else {
            let path = format!("spec.sites[{index}].image");
            self.add(
                path,
                "the image has no repository: neither here nor in spec.image",
            );
            return None;
        };
        let reference = match (digest, tag) {
            (Some(digest), _) => format!("{repository}@{digest}"),
            (None, Some(tag)) if !tag.is_empty() => format!("{repository}:{tag}"),
            (None, _) => {
                self.add("spec.image", "the image has neither a tag nor a digest");
                return None;
            }
        };
        let secrets = own.pull_secrets.or_else(|| common?.pull_secrets.clone());
        let secrets = secrets.into_iter().flatten().map(|secret| secret.name);
        Some(ValidImage {
            reference,
            pull_policy: own
                .pull_policy
                .or_else(|| common.and_then(|image: &Image| image.pull_policy))
                .unwrap_or_default(),
            pull_secrets: secrets.collect(),
        })
    }

    fn overrides(&mut self, index: usize, written: &[Override]) -> Vec<ValidOverride> {
        for (number, one) in written.iter().enumerate() {
            for path in forbidden(one.kind, &one.patch) {
                let at = format!("spec.sites[{index}].overrides[{number}].patch");
                let reason = format!("{path} is not to be changed");
                let finding = Finding::error(Subject::Network, at, reason);
                self.findings
                    .push(finding.because(Reason::OverrideForbidden));
            }
        }
        let valid = written.iter().map(|one| ValidOverride {
            kind: one.kind,
            part: one.name.clone().filter(|name| !name.is_empty()),
            patch: one.patch.clone(),
        });
        valid.collect()
    }
}

/// The Secret with the certificate of a site; those made here have names of their own.
pub(super) fn certificate_secret(tls: &Tls, network: &str, site: &str) -> String {
    let template = match tls.source {
        TlsSource::Secret => tls.secret_name_template.as_deref(),
        TlsSource::CertManager | TlsSource::Development => None,
    };
    names::certificate_secret(template, network, site)
}

fn either<T: Clone + Default>(own: &Option<T>, common: &Option<T>) -> T {
    own.as_ref()
        .or(common.as_ref())
        .cloned()
        .unwrap_or_default()
}

fn merged(own: Service, common: Service) -> ValidService {
    ValidService {
        kind: own.kind.or(common.kind).unwrap_or_default(),
        node_port: own.node_port.or(common.node_port),
        annotations: own.annotations.or(common.annotations).unwrap_or_default(),
        load_balancer_class: own.load_balancer_class.or(common.load_balancer_class),
        load_balancer_source_ranges: own
            .load_balancer_source_ranges
            .or(common.load_balancer_source_ranges)
            .unwrap_or_default(),
        external_traffic_policy: own
            .external_traffic_policy
            .or(common.external_traffic_policy),
    }
}

/// The paths of a patch that would take an object out of the operator's hands.
fn forbidden(kind: OverrideKind, patch: &Value) -> Vec<String> {
    const EVERYWHERE: [&str; 6] = [
        "/apiVersion",
        "/kind",
        "/status",
        "/metadata/name",
        "/metadata/namespace",
        "/metadata/ownerReferences",
    ];
    let mut paths: Vec<&str> = EVERYWHERE.to_vec();
    match kind {
        OverrideKind::Deployment => {
            paths.extend(["/spec/selector", "/spec/replicas", "/spec/strategy"]);
            // Merge patches replace lists whole: one of containers or volumes would replace ours.
            paths.extend([
                "/spec/template/spec/containers",
                "/spec/template/spec/volumes",
                "/spec/template/spec/serviceAccountName",
            ]);
        }
        OverrideKind::Service => paths.extend(["/spec/selector", "/spec/ports"]),
        OverrideKind::NetworkPolicy => paths.push("/spec/podSelector"),
        OverrideKind::PodDisruptionBudget => paths.push("/spec/selector"),
        OverrideKind::ServiceAccount | OverrideKind::Certificate => {}
    }
    let mut found: Vec<String> = paths
        .into_iter()
        .filter(|path| patch.pointer(path).is_some())
        .map(|path| path.trim_start_matches('/').replace('/', "."))
        .collect();
    for holder in ["/metadata/labels", "/spec/template/metadata/labels"] {
        let labels = patch.pointer(holder).and_then(Value::as_object);
        let is_ours = |key: &&String| {
            key.starts_with("causeway.dev/") || key.starts_with("app.kubernetes.io/")
        };
        let ours = labels
            .into_iter()
            .flat_map(|labels| labels.keys())
            .filter(is_ours);
        found.extend(ours.map(|key| format!("the label {key}")));
    }
    found
}
