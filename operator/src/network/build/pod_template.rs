//! The pod of a broker, from what is kept beside it: equal inputs give an equal template, whichever version of the
//! operator builds it.
//!
//! A change of this file that changes a template needs another [`TEMPLATE_REVISION`](crate::settings::TEMPLATE_REVISION)
//! and keeps the one before: a newer operator restarts nothing by itself.

use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMapProjection, Container, EmptyDirVolumeSource, HTTPGetAction, KeyToPath,
    LocalObjectReference, PodSecurityContext, PodSpec, PodTemplateSpec, Probe,
    ProjectedVolumeSource, SeccompProfile, SecretProjection, SecurityContext, Volume, VolumeMount,
    VolumeProjection,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::TemplateInputs;
use crate::api::cluster::PullPolicy;
use crate::api::shared::{BundleKind, BundleRef};
use crate::labels;
use crate::model::cluster::{Mounts, ValidImage};
use crate::names::{self, Part};
use crate::network::placement::STATE_DIR;
use crate::render;

/// Name of the container.
pub const CONTAINER: &str = "broker";
/// Where the configuration is mounted.
pub const CONFIG_DIR: &str = "/etc/causeway";
/// What a broker may write: its epoch, and a note of what was lost.
const STATE_SIZE: &str = "64Mi";

/// Builds the template.
#[must_use]
pub fn build(network: &str, site: &str, inputs: &TemplateInputs) -> PodTemplateSpec {
    let placement = &inputs.restart.placement;
    let mut pod_labels = placement.labels.clone();
    pod_labels.extend(labels::of_site(network, site));
    let annotations = placement.annotations.clone();
    let image = inputs
        .restart
        .image
        .as_ref()
        .unwrap_or(&inputs.defaults.image);
    let secrets: Vec<LocalObjectReference> = image
        .pull_secrets
        .iter()
        .map(|name| LocalObjectReference { name: name.clone() })
        .collect();
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(pod_labels),
            annotations: (!annotations.is_empty()).then_some(annotations),
            ..ObjectMeta::default()
        }),
        spec: Some(PodSpec {
            service_account_name: Some(names::site_object(network, site)),
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            security_context: Some(PodSecurityContext {
                run_as_non_root: Some(true),
                fs_group: inputs.defaults.fs_group,
                seccomp_profile: Some(SeccompProfile {
                    type_: "RuntimeDefault".to_owned(),
                    localhost_profile: None,
                }),
                ..PodSecurityContext::default()
            }),
            termination_grace_period_seconds: Some(placement.grace_period),
            image_pull_secrets: (!secrets.is_empty()).then_some(secrets),
            node_selector: (!placement.node_selector.is_empty())
                .then(|| placement.node_selector.clone()),
            tolerations: (!placement.tolerations.is_empty()).then(|| placement.tolerations.clone()),
            affinity: placement.affinity.clone(),
            topology_spread_constraints: (!placement.topology_spread_constraints.is_empty())
                .then(|| placement.topology_spread_constraints.clone()),
            priority_class_name: placement.priority_class_name.clone(),
            containers: vec![container(inputs, image)],
            volumes: Some(volumes(network, site, inputs)),
            ..PodSpec::default()
        }),
    }
}

fn container(inputs: &TemplateInputs, image: &ValidImage) -> Container {
    let resources = inputs.restart.resources.as_ref();
    let probe = |path, period, failures| Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path),
            port: IntOrString::Int(i32::from(inputs.restart.placement.admin_port)),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        failure_threshold: Some(failures),
        timeout_seconds: Some(5),
        ..Probe::default()
    };
    let mount = |name: &str, path: &str, is_read_only: bool| VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: is_read_only.then_some(true),
        ..VolumeMount::default()
    };
    Container {
        name: CONTAINER.to_owned(),
        image: Some(image.reference.clone()),
        image_pull_policy: Some(pull_policy(image.pull_policy).to_owned()),
        args: Some(vec!["--config".to_owned(), CONFIG_DIR.to_owned()]),
        resources: Some(resources.unwrap_or(&inputs.defaults.resources).clone()),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            read_only_root_filesystem: Some(true),
            capabilities: Some(Capabilities {
                drop: Some(vec!["ALL".to_owned()]),
                add: None,
            }),
            ..SecurityContext::default()
        }),
        // Alive is not the same as in company: no probe depends on a peer. Without a startup probe the kubelet asks a container
        // that it has just seen start whether it is ready, at once and not with the next tick of a second.
        liveness_probe: Some(probe("/healthz".to_owned(), 10, 3)),
        readiness_probe: Some(probe("/readyz".to_owned(), 2, 2)),
        volume_mounts: Some(vec![
            mount("config", CONFIG_DIR, true),
            mount("data", STATE_DIR, false),
        ]),
        ..Container::default()
    }
}

const fn pull_policy(policy: PullPolicy) -> &'static str {
    match policy {
        PullPolicy::Always => "Always",
        PullPolicy::IfNotPresent => "IfNotPresent",
        PullPolicy::Never => "Never",
    }
}

fn volumes(network: &str, site: &str, inputs: &TemplateInputs) -> Vec<Volume> {
    let config = names::site_part(network, site, Part::Config);
    let files = [render::BROKER, render::USERS, render::SECRETS];
    let mut sources = vec![secret(
        config,
        files.map(|file| (file, file)).to_vec(),
        None,
    )];
    sources.extend(certificates(&inputs.restart.placement.mounts));
    // Without a group of its own nobody but the owner could read what is for the group alone.
    let mode = if inputs.defaults.fs_group.is_some() {
        0o440
    } else {
        0o444
    };
    vec![
        Volume {
            name: "config".to_owned(),
            projected: Some(ProjectedVolumeSource {
                default_mode: Some(mode),
                sources: Some(sources),
                ..ProjectedVolumeSource::default()
            }),
            ..Volume::default()
        },
        Volume {
            name: "data".to_owned(),
            empty_dir: Some(EmptyDirVolumeSource {
                size_limit: Some(Quantity(STATE_SIZE.to_owned())),
                ..EmptyDirVolumeSource::default()
            }),
            ..Volume::default()
        },
    ]
}

/// While a mounted Secret is missing the kubelet brings no new files at all, not even those that shut somebody out, unless it
/// may be missing. A broker goes on with the certificates that it has, and none starts without.
const OPTIONAL: Option<bool> = Some(true);

/// Certificates are mounted and not copied: who renews them has nothing to tell us.
fn certificates(mounts: &Mounts) -> Vec<VolumeProjection> {
    let pair = mounts.certificate.clone().map(|name| {
        secret(
            name,
            vec![("tls.crt", render::CERTIFICATE), ("tls.key", render::KEY)],
            OPTIONAL,
        )
    });
    let bundle = |reference: &Option<BundleRef>, path: &'static str| {
        reference
            .as_ref()
            .map(|reference| projected(reference, path))
    };
    [
        pair,
        bundle(&mounts.trust_bundle, render::TRUST_BUNDLE),
        bundle(&mounts.client_trust_bundle, render::CLIENT_TRUST_BUNDLE),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn projected(reference: &BundleRef, path: &str) -> VolumeProjection {
    match reference.kind {
        BundleKind::Secret => secret(
            reference.name.clone(),
            vec![(&reference.key, path)],
            OPTIONAL,
        ),
        BundleKind::ConfigMap => VolumeProjection {
            config_map: Some(ConfigMapProjection {
                name: reference.name.clone(),
                items: Some(items(vec![(&reference.key, path)])),
                optional: OPTIONAL,
            }),
            ..VolumeProjection::default()
        },
    }
}

fn secret(name: String, paths: Vec<(&str, &str)>, optional: Option<bool>) -> VolumeProjection {
    VolumeProjection {
        secret: Some(SecretProjection {
            name,
            items: Some(items(paths)),
            optional,
        }),
        ..VolumeProjection::default()
    }
}

fn items(paths: Vec<(&str, &str)>) -> Vec<KeyToPath> {
    let paths = paths.into_iter();
    paths
        .map(|(key, path)| KeyToPath {
            key: key.to_owned(),
            path: path.to_owned(),
            ..KeyToPath::default()
        })
        .collect()
}
