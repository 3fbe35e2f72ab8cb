//! Between the API server's objects and what the steps see of them.

use kube::api::DynamicObject;
use kube::{Resource as _, ResourceExt as _};
use serde_json::Value;

use crate::model::observed::{ChildKind, Live, Owner};

/// Drops what nobody reads and what may be long or secret.
pub fn prune_metadata<K: kube::Resource>(object: &mut K) {
    let meta = object.meta_mut();
    meta.managed_fields = None;
    if let Some(annotations) = &mut meta.annotations {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
}

/// What the steps see of an object; `uid` and `name` are those of the BrokerNetwork.
///
/// # Errors
/// It does not become JSON.
pub fn live(
    object: &DynamicObject,
    kind: ChildKind,
    uid: &str,
    name: &str,
) -> Result<Live, serde_json::Error> {
    let mut value = serde_json::to_value(object)?;
    // The items of a list do not say what they are.
    value["apiVersion"] = kind.api_version().into();
    value["kind"] = kind.as_str().into();
    Ok(Live {
        uid: object.uid().unwrap_or_default(),
        resource_version: object.resource_version().unwrap_or_default(),
        owner: owner(&value, uid, name),
        is_deleting: object.meta().deletion_timestamp.is_some(),
        value,
    })
}

/// Whose an object is.
#[must_use]
pub fn owner(object: &Value, uid: &str, name: &str) -> Owner {
    let references = object["metadata"]["ownerReferences"].as_array();
    let controller = references
        .into_iter()
        .flatten()
        .find(|reference| reference["controller"] == Value::Bool(true));
    let Some(controller) = controller else {
        return Owner::Foreign(None);
    };
    let kind = controller["kind"].as_str().unwrap_or_default();
    let other = controller["name"].as_str().unwrap_or_default();
    if controller["uid"] == uid {
        Owner::Ours
    } else if kind == "BrokerNetwork" && other == name {
        Owner::Former
    } else {
        Owner::Foreign(Some(format!("{kind}/{other}")))
    }
}
