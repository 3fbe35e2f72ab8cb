//! Tests of the message structs against the published schema, `docs/mesh.proto`.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;

use super::*;

const SCHEMA: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/mesh.proto"));
const SOURCES: [&str; 3] = [
    include_str!("../messages.rs"),
    include_str!("interest.rs"),
    include_str!("unicast.rs"),
];
/// Messages of the schema that are not in these files (site reports), or share a struct.
const ELSEWHERE: [&str; 5] = [
    "Report",
    "LinkReport",
    "BridgeReport",
    "Drained",
    "ProbeReply",
];

/// Message name to fields: (number, wire type or message name, name).
type Fields = BTreeMap<String, BTreeSet<(u32, String, String)>>;

fn schema_fields() -> Fields {
    let mut fields = Fields::new();
    let mut current: Option<String> = None;
    for line in SCHEMA.lines() {
        let words: Vec<&str> = line
            .trim()
            .trim_end_matches(';')
            .split_whitespace()
            .collect();
        match words.as_slice() {
            ["message", name, "{"] => current = Some((*name).to_owned()),
            ["enum", ..] => current = None,
            [kind @ .., name, "=", number] if !kind.is_empty() => {
                if let Some(current) = &current {
                    let field = (number.parse().unwrap(), kind.join(" "), (*name).to_owned());
                    fields.entry(current.clone()).or_default().insert(field);
                }
            }
            _ => {}
        }
    }
    fields
}

fn source_fields() -> Fields {
    let mut fields = Fields::new();
    for source in SOURCES {
        let mut current = String::new();
        let mut attribute = String::new();
        for line in source.lines().map(str::trim) {
            if let Some(rest) = line.strip_prefix("pub struct ") {
                current = rest.trim_end_matches(" {").to_owned();
            } else if line.starts_with("#[prost(") {
                attribute = line.to_owned();
            } else if let Some(rest) = line.strip_prefix("pub ")
                && let Some((name, rust_type)) = rest.trim_end_matches(',').split_once(": ")
                && !attribute.is_empty()
            {
                if !attribute.contains("oneof") {
                    let (number, kind) = wire_type(&attribute, rust_type);
                    fields.entry(current.clone()).or_default().insert((
                        number,
                        kind,
                        name.to_owned(),
                    ));
                }
                attribute.clear();
            }
        }
    }
    fields
}

fn wire_type(attribute: &str, rust_type: &str) -> (u32, String) {
    let inner = attribute
        .trim_start_matches("#[prost(")
        .trim_end_matches(")]");
    let mut kind = String::new();
    let mut number = 0;
    let mut is_repeated = false;
    for part in inner.split(", ") {
        match part.split_once(" = ") {
            Some(("tag", value)) => number = value.trim_matches('"').parse().unwrap(),
            Some(("bytes", _)) => kind = "bytes".to_owned(),
            Some(("enumeration", value)) => {
                kind = value
                    .trim_matches('"')
                    .rsplit("::")
                    .next()
                    .unwrap()
                    .to_owned();
            }
            None if part == "repeated" => is_repeated = true,
            None if part == "message" => {
                kind = rust_type
                    .trim_start_matches("Vec<")
                    .trim_end_matches('>')
                    .to_owned();
            }
            _ => kind = part.to_owned(),
        }
    }
    (
        number,
        if is_repeated {
            format!("repeated {kind}")
        } else {
            kind
        },
    )
}

#[test]
fn every_struct_is_as_the_schema_says() {
    let (mut schema, source) = (schema_fields(), source_fields());
    // The body of a Unicast is an enum here.
    schema
        .get_mut("Unicast")
        .unwrap()
        .retain(|(number, ..)| *number < 3);
    assert!(source.len() > 30);
    for (name, fields) in &source {
        assert_eq!(schema.get(name), Some(fields), "{name}");
    }
    for name in schema
        .keys()
        .filter(|name| !ELSEWHERE.contains(&name.as_str()))
    {
        assert!(source.contains_key(name), "{name} has no struct");
    }
}

#[test]
fn every_reason_has_the_number_of_the_schema() {
    let start = SCHEMA.find("enum Reason").unwrap();
    let body = &SCHEMA[start..start + SCHEMA[start..].find('}').unwrap()];
    let mut count = 0;
    for line in body.lines().skip(1) {
        let (name, number) = line.trim().trim_end_matches(';').split_once(" = ").unwrap();
        let reason = Reason::try_from(number.parse::<i32>().unwrap()).unwrap();
        let letters = name.replace('_', "").to_lowercase();
        assert_eq!(format!("{reason:?}").to_lowercase(), letters);
        count += 1;
    }
    assert_eq!(count, 18);
}

#[test]
fn every_body_of_routed_control_survives_the_wire() {
    let bodies = [
        Body::Creq(CreditRequest {
            queue: "q".into(),
            property: "p".into(),
            value: 7,
            want: 3,
        }),
        Body::Cgrant(CreditGrant {
            queue: "q".into(),
            granted: 2,
            grant: 9,
            ..Default::default()
        }),
        Body::Xack(TransferAck {
            stream: 1,
            upto: 5,
            refused: vec![Refused { seq: 4, why: 2 }],
            ..Default::default()
        }),
        Body::Xrel(TransferRelease {
            grant: 9,
            unused: 1,
        }),
        Body::Probed(Probe { id: 8 }),
    ];
    for body in bodies {
        let sent = Unicast {
            to: vec![1; 16],
            from: vec![2; 16],
            body: Some(body),
        };
        assert_eq!(Unicast::decode(sent.encode_to_vec().as_slice()), Ok(sent));
    }
}

#[test]
fn a_body_of_a_later_version_is_absent_and_harms_nothing() {
    // Field 99, length-delimited, two bytes.
    let bytes = [0x0a, 1, 5, 0x9a, 0x06, 2, 1, 1];
    let unicast = Unicast::decode(&bytes[..]).unwrap();
    assert_eq!(unicast.to, [5]);
    assert_eq!(unicast.body, None);
}
