//! Every request to the API server: watched stores, one door for writes, one for what is removed.

pub mod apply;
pub mod compare;
pub mod definitions;
pub mod denials;
pub mod gate;
pub mod lease;
pub mod objects;
pub mod pace;
pub mod prune;
pub mod readable;
pub mod secrets;
pub mod status;
pub mod term;
pub mod watch;

use kube::api::ApiResource;
use kube::core::GroupVersionKind;

use crate::model::observed::ChildKind;

/// What a kind is called in requests.
#[must_use]
pub fn resource(kind: ChildKind) -> ApiResource {
    let plural = match kind {
        ChildKind::ServiceAccount => "serviceaccounts",
        ChildKind::Secret => "secrets",
        ChildKind::Certificate => "certificates",
        ChildKind::Service => "services",
        ChildKind::NetworkPolicy => "networkpolicies",
        ChildKind::PodDisruptionBudget => "poddisruptionbudgets",
        ChildKind::Deployment => "deployments",
        ChildKind::Pod => "pods",
    };
    let (group, version) = kind
        .api_version()
        .split_once('/')
        .unwrap_or(("", kind.api_version()));
    let gvk = GroupVersionKind::gvk(group, version, kind.as_str());
    ApiResource::from_gvk_with_plural(&gvk, plural)
}
