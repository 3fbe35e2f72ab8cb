//! The schema of a whole document: that of the custom resource, with the fields every object has. Each is
//! made once for all documents of its kind, as are its rules.

use std::collections::BTreeMap;

use kube::core::cel::{CompiledSchema, ValidationErrors, Validator, compile_schema};
use serde_json::{Value as Json, json};

use crate::api::crd;

/// Schemas and rules by kind, made when they are first asked for.
pub(super) struct Schemas {
    validator: Validator,
    shapes: BTreeMap<String, Json>,
    rules: BTreeMap<String, CompiledSchema>,
}

impl Schemas {
    pub(super) fn new() -> Self {
        Self {
            validator: Validator::new(),
            shapes: BTreeMap::new(),
            rules: BTreeMap::new(),
        }
    }

    /// The schema of documents of a kind; nothing where there is none.
    pub(super) fn shape(&mut self, kind: &str) -> Option<&Json> {
        if !self.shapes.contains_key(kind) {
            self.shapes.insert(kind.to_owned(), of(kind)?);
        }
        self.shapes.get(kind)
    }

    /// Applies the rules of a kind.
    pub(super) fn validate(&mut self, kind: &str, object: &Json) -> Result<(), ValidationErrors> {
        if !self.rules.contains_key(kind) {
            let schema = crd::schema(kind).unwrap_or_default();
            self.rules.insert(kind.to_owned(), compile_schema(&schema));
        }
        match self.rules.get(kind) {
            Some(rules) => self.validator.validate_compiled(rules, object, None),
            None => Ok(()),
        }
    }
}

/// Schema of a kind, or nothing where the kind is passed over.
fn of(kind: &str) -> Option<Json> {
    let mut schema = match kind {
        "Secret" => json!({"type": "object", "properties": {
            "type": {"type": "string"}, "immutable": {"type": "boolean"},
            "data": texts(), "stringData": texts(),
        }}),
        "ConfigMap" => json!({"type": "object", "properties": {
            "immutable": {"type": "boolean"}, "data": texts(), "binaryData": texts(),
        }}),
        _ => crd::schema(kind)?,
    };
    schema["properties"]["apiVersion"] = json!({"type": "string"});
    schema["properties"]["kind"] = json!({"type": "string"});
    schema["properties"]["metadata"] = metadata();
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    schema["required"] = required.into_iter().chain([json!("metadata")]).collect();
    Some(schema)
}

fn texts() -> Json {
    json!({"type": "object", "nullable": true, "additionalProperties": {"type": "string"}})
}

/// What a person writes, and what `kubectl get -o yaml` adds.
fn metadata() -> Json {
    let anything = json!({"x-kubernetes-preserve-unknown-fields": true});
    json!({"type": "object", "required": ["name"], "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 253},
        "namespace": {"type": "string"},
        "labels": texts(),
        "annotations": texts(),
        "creationTimestamp": anything,
        "finalizers": anything,
        "generation": anything,
        "managedFields": anything,
        "ownerReferences": anything,
        "resourceVersion": anything,
        "selfLink": anything,
        "uid": anything,
    }})
}
