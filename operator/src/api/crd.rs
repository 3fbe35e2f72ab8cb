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
    let properties = value.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties")?;
    // Without it, tools that wait take an object that nobody has looked at for one that is well.
    properties["status"]["default"] = serde_json::json!({"observedGeneration": -1});
    strip_foreign(&mut properties["spec"]);
    Some(value)
}

/// Fields whose types are Kubernetes' own: their texts are many times as long as ours, and are known.
pub const FOREIGN: [&str; 6] = [
    "affinity",
    "clients",
    "monitoring",
    "resources",
    "tolerations",
    "topologySpreadConstraints",
];

fn strip_foreign(value: &mut Value) {
    let Value::Object(fields) = value else {
        return;
    };
    for (key, field) in fields.iter_mut() {
        if FOREIGN.contains(&key.as_str()) {
            if let Some(parts) = field.as_object_mut() {
                let own = parts.remove("description");
                parts.values_mut().for_each(drop_descriptions);
                parts.extend(own.map(|own| ("description".to_owned(), own)));
            }
        } else {
            strip_foreign(field);
        }
    }
}

/// Drops the texts of a schema; a property that is called `description` is a schema and stays.
fn drop_descriptions(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.retain(|key, field| key != "description" || !field.is_string());
            fields.values_mut().for_each(drop_descriptions);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_descriptions),
        _ => {}
    }
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
