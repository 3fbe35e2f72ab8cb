//! `crds/*.yaml` is what the code prints, and what the API server accepts as far as that can be told here.

use causeway_operator::api::{crd, patterns};
use serde_json::Value;

const PRINTED: [(&str, &str); 2] = [
    (
        "BrokerNetwork",
        include_str!("../../crds/brokernetworks.yaml"),
    ),
    ("BrokerUser", include_str!("../../crds/brokerusers.yaml")),
];

#[test]
fn files_of_definitions_equal_what_the_code_prints() {
    for (kind, file) in PRINTED {
        let printed = crd::definition_yaml(kind).expect("the kind is known");
        assert!(
            printed == file,
            "run `causeway crds --kind {kind}` and write it to the file in crds/"
        );
    }
}

#[test]
fn definitions_are_small_enough_for_client_side_apply() {
    for (_, file) in PRINTED {
        assert!(file.len() < 256 * 1024);
    }
}

/// Calls `see` for every object inside a value, with its path.
fn visit(value: &Value, path: &str, see: &mut impl FnMut(&str, &serde_json::Map<String, Value>)) {
    match value {
        Value::Object(fields) => {
            see(path, fields);
            fields
                .iter()
                .for_each(|(key, field)| visit(field, &format!("{path}.{key}"), see));
        }
        Value::Array(items) => items.iter().for_each(|item| visit(item, path, see)),
        _ => {}
    }
}

#[test]
fn definitions_hold_no_empty_lists() {
    for kind in crd::KINDS {
        let definition = crd::definition_json(kind).expect("the kind is known");
        visit(&definition, kind, &mut |path, fields| {
            for (key, field) in fields {
                assert!(
                    !field.as_array().is_some_and(Vec::is_empty),
                    "{path}.{key} is empty"
                );
            }
        });
    }
}

#[test]
fn every_node_of_a_schema_has_a_type_or_keeps_what_is_unknown() {
    for kind in crd::KINDS {
        let schema = crd::schema(kind).expect("the kind is known");
        visit(&schema, kind, &mut |path, fields| {
            let Some(properties) = fields.get("properties").and_then(Value::as_object) else {
                return;
            };
            for (name, node) in properties {
                let is_free = node["x-kubernetes-preserve-unknown-fields"] == Value::Bool(true);
                assert!(
                    node["type"].is_string() || is_free,
                    "{path}.{name} has no type"
                );
            }
        });
    }
}

#[test]
fn lists_and_texts_are_bounded_so_that_the_cost_of_rules_is() {
    for kind in crd::KINDS {
        let schema = crd::schema(kind).expect("the kind is known");
        visit(&schema, kind, &mut |path, fields| {
            // Inside Kubernetes' own types no rule of ours looks.
            let is_foreign = crd::FOREIGN.iter().any(|name| {
                path.split_once(&format!(".{name}."))
                    .is_some_and(|(_, below)| below != "items")
            });
            if fields.get("type").and_then(Value::as_str) == Some("array") && !is_foreign {
                assert!(fields.contains_key("maxItems"), "{path} has no maxItems");
            }
        });
    }
}

#[test]
fn every_pattern_of_the_schemas_is_known_to_the_schema_walk() {
    for kind in crd::KINDS {
        let schema = crd::schema(kind).expect("the kind is known");
        visit(&schema, kind, &mut |path, fields| {
            if let Some(pattern) = fields.get("pattern").and_then(Value::as_str) {
                assert!(patterns::find(pattern).is_some(), "{path}: {pattern}");
            }
        });
    }
}

#[test]
fn sites_have_no_schema_defaults_so_that_site_defaults_win() {
    let schema = crd::schema("BrokerNetwork").expect("the kind is known");
    for field in ["sites", "siteDefaults"] {
        let part = schema
            .pointer(&format!("/properties/spec/properties/{field}"))
            .expect("is there");
        visit(part, field, &mut |path, fields| {
            assert!(!fields.contains_key("default"), "{path} has a default");
        });
    }
}

#[test]
fn fields_of_later_work_are_not_in_the_schema() {
    let later = [
        "bridges",
        "trafficRules",
        "storage",
        "openwire",
        "openwireTls",
        "stompWs",
    ];
    let schema = crd::schema("BrokerNetwork").expect("the kind is known");
    visit(&schema, "", &mut |path, fields| {
        let Some(properties) = fields.get("properties").and_then(Value::as_object) else {
            return;
        };
        for name in later {
            assert!(!properties.contains_key(name), "{path}.{name}");
        }
    });
}
