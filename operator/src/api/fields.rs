//! Which fields of the definitions of this version a cluster does not know: its definitions are older, and what is written
//! in such a field is dropped without a word.

use serde_json::{Map, Value};

use super::crd;

/// Paths of fields that the OpenAPI document of our group lacks, such as `BrokerNetwork spec.sites[].mode`, in the order
/// of the kinds and then of the paths. Where all of a field is missing, what is below it is not listed.
#[must_use]
pub fn missing(document: &Value) -> Vec<String> {
    let schemas = document.pointer("/components/schemas");
    let schemas = schemas.and_then(Value::as_object);
    let mut found = Vec::new();
    for kind in crd::KINDS {
        let known = schemas.and_then(|schemas| of_kind(schemas, kind));
        let (Some(known), Some(own)) = (known, crd::schema(kind)) else {
            found.push(kind.to_owned());
            continue;
        };
        let mut paths = Vec::new();
        compare(&own, known, "", &mut paths);
        paths.sort_unstable();
        found.extend(paths.into_iter().map(|path| format!("{kind} {path}")));
    }
    found
}

/// The schema of a kind in a version that we speak.
fn of_kind<'a>(schemas: &'a Map<String, Value>, kind: &str) -> Option<&'a Value> {
    let is_ours = |schema: &&Value| {
        let kinds = schema["x-kubernetes-group-version-kind"].as_array();
        kinds.into_iter().flatten().any(|one| {
            one["kind"] == kind && one["group"] == "causeway.dev" && one["version"] == "v1alpha1"
        })
    };
    schemas.values().find(is_ours)
}

fn compare(own: &Value, known: &Value, path: &str, missing: &mut Vec<String>) {
    let keeps_all = known["x-kubernetes-preserve-unknown-fields"] == Value::Bool(true);
    // What somebody has widened by hand loses nothing.
    if keeps_all {
        return;
    }
    for (name, field) in own["properties"].as_object().into_iter().flatten() {
        let path = match path {
            "" => name.clone(),
            _ => format!("{path}.{name}"),
        };
        match known["properties"].get(name) {
            Some(known) => compare(field, known, &path, missing),
            None if is_common(&path) => {}
            None => missing.push(path),
        }
    }
    for (part, end) in [("items", "[]"), ("additionalProperties", ".*")] {
        if own[part].is_object() && known[part].is_object() {
            compare(&own[part], &known[part], &format!("{path}{end}"), missing);
        }
    }
}

/// Fields that every object has, whatever its definition says.
fn is_common(path: &str) -> bool {
    matches!(path, "apiVersion" | "kind" | "metadata")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What an API server tells of our own definitions.
    fn document() -> Value {
        let mut schemas = Map::new();
        for kind in crd::KINDS {
            let mut schema = crd::schema(kind).expect("one of ours");
            let gvk = json!([{"group": "causeway.dev", "version": "v1alpha1", "kind": kind}]);
            schema["x-kubernetes-group-version-kind"] = gvk;
            schemas.insert(format!("dev.causeway.v1alpha1.{kind}"), schema);
        }
        json!({"components": {"schemas": schemas}})
    }

    fn network(document: &mut Value) -> &mut Value {
        &mut document["components"]["schemas"]["dev.causeway.v1alpha1.BrokerNetwork"]["properties"]
    }

    #[test]
    fn nothing_is_missing_of_the_definitions_of_this_version() {
        assert_eq!(missing(&document()), Vec::<String>::new());
    }

    #[test]
    fn fields_are_named_by_kind_and_path_and_what_is_below_them_is_not() {
        let mut document = document();
        let properties = network(&mut document);
        let remove = |fields: &mut Value, name: &str| {
            fields
                .as_object_mut()
                .expect("fields")
                .remove(name)
                .expect("there");
        };
        remove(&mut properties["spec"]["properties"], "readiness");
        remove(&mut properties["spec"]["properties"], "tls");
        remove(
            &mut properties["spec"]["properties"]["sites"]["items"]["properties"],
            "mode",
        );
        let expected = [
            "BrokerNetwork spec.readiness",
            "BrokerNetwork spec.sites[].mode",
            "BrokerNetwork spec.tls",
        ];
        assert_eq!(missing(&document), expected);
    }

    #[test]
    fn a_kind_that_is_not_there_is_named_and_fields_that_are_kept_unseen_are_not() {
        let mut document = document();
        let spec = &mut network(&mut document)["spec"];
        *spec = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        let schemas = document["components"]["schemas"].as_object_mut();
        schemas
            .expect("schemas")
            .remove("dev.causeway.v1alpha1.BrokerUser");
        assert_eq!(missing(&document), ["BrokerUser"]);
    }
}
