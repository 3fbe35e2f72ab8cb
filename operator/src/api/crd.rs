//! Prints the custom resource definitions: what `causeway crds` writes and `crds/` must equal.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::Value;

use super::{BrokerNetwork, BrokerUser};

/// Kinds whose definitions are printed, in this order.
pub const KINDS: [&str; 2] = ["BrokerNetwork", "BrokerUser"];

/// The definition of one of [`KINDS`].
#[must_use]
pub fn definition(kind: &str) -> Option<CustomResourceDefinition> {
    match kind {
        "BrokerNetwork" => Some(BrokerNetwork::crd()),
        "BrokerUser" => Some(BrokerUser::crd()),
        _ => None,
    }
}

/// The definition of a kind as JSON without empty lists: those would be a permanent difference between
/// what is in Git and what the API server answers.
#[must_use]
pub fn definition_json(kind: &str) -> Option<Value> {
    let mut value = serde_json::to_value(definition(kind)?).ok()?;
    drop_empty_lists(&mut value);
    Some(value)
}

/// The definition of a kind as one YAML document.
#[must_use]
pub fn definition_yaml(kind: &str) -> Option<String> {
    serde_yaml::to_string(&definition_json(kind)?).ok()
}

/// The OpenAPI schema of a kind, which documents are checked against.
#[must_use]
pub fn schema(kind: &str) -> Option<Value> {
    definition_json(kind)?
        .pointer("/spec/versions/0/schema/openAPIV3Schema")
        .cloned()
}

fn drop_empty_lists(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.as_array().is_some_and(Vec::is_empty));
            fields.values_mut().for_each(drop_empty_lists);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_empty_lists),
        _ => {}
    }
}
