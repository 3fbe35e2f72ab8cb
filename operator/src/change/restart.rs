//! The closed list of what restarts a broker.

use serde::Serialize;

use super::Class;
use super::facts::{Facts, text};
use crate::api::status::RestartReason;
use crate::model::cluster::{PodPlacement, RestartClass};

const POD: &str = "Placement: only a new pod has it";

/// Adds the fields that restart.
pub(super) fn add(facts: &mut Facts, restart: &RestartClass) {
    if let Some(image) = &restart.image {
        let mut put = |path: &str, value: String| {
            let class = Class::Restart(RestartReason::Image);
            facts.put(path, value, class, "Image: only a new pod has it");
        };
        put("image", image.reference.clone());
        put("image.pullPolicy", format!("{:?}", image.pull_policy));
        put("image.pullSecrets", text(&image.pull_secrets));
    }
    if let Some(resources) = &restart.resources {
        let class = Class::Restart(RestartReason::Resources);
        let reason = "Resources: only a new pod has it";
        facts.put("resources", text(resources), class, reason);
    }
    placement(facts, &restart.placement);
}

/// What a change is, where the list does not say it all: an image that is no longer named is the one that is there.
pub(super) fn judged(path: &str, is_gone: bool, class: Class) -> Option<(Class, &'static str)> {
    let is_image = path == "image" && class == Class::Restart(RestartReason::Image);
    (is_image && is_gone).then_some((
        Class::None,
        "the broker keeps the image it has until something else restarts it",
    ))
}

fn placement(facts: &mut Facts, placement: &PodPlacement) {
    let mut put = |path: &str, value: String| {
        let class = Class::Restart(RestartReason::Placement);
        facts.put(path, value, class, POD);
    };
    let PodPlacement {
        node_selector,
        tolerations,
        affinity,
        topology_spread_constraints,
        priority_class_name,
        grace_period,
        annotations,
        labels,
        template_patches,
        admin_port,
        mounts,
    } = placement;
    put("nodeSelector", text(node_selector));
    put("tolerations", text(tolerations));
    put("affinity", text(affinity));
    put(
        "topologySpreadConstraints",
        text(topology_spread_constraints),
    );
    put("priorityClassName", text(priority_class_name));
    put("terminationGracePeriodSeconds", grace_period.to_string());
    put("podAnnotations", text(annotations));
    put("podLabels", text(labels));
    put("overrides (pod template)", text(template_patches));
    put("listeners.admin.port", admin_port.to_string());
    put("tls (mounted certificate)", mounted(&mounts.certificate));
    put("tls.trustBundleRef", mounted(&mounts.trust_bundle));
    put(
        "tls.clientTrustBundleRef",
        mounted(&mounts.client_trust_bundle),
    );
}

fn mounted<T: Serialize>(name: &Option<T>) -> String {
    name.as_ref().map_or("none".to_owned(), text)
}
