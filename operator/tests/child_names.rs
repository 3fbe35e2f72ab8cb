//! Names of what is made: legal, and never the same for two things.

use std::collections::BTreeMap;

use causeway_operator::names::{self, Part};

/// Names that N1 and N2 allow, those with hyphens and the longest among them.
const NAMES: [&str; 14] = [
    "a",
    "b",
    "c",
    "a-b",
    "b-c",
    "a-b-c",
    "stomp",
    "stomp-tls",
    "tls",
    "link",
    "keys",
    "config",
    "n23456789-123456789-1234",
    "x23456789-123456789-1234",
];

fn is_label(name: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    name.len() <= 63
        && name.starts_with(|letter: char| letter.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.bytes().all(is_inner)
}

/// The kind that a part has an object of.
const fn kind(part: Part) -> &'static str {
    match part {
        Part::Keys | Part::Config | Part::Tls => "Secret",
        Part::Stomp | Part::StompTls | Part::Link | Part::Admin | Part::Handover => "Service",
    }
}

#[test]
fn different_networks_sites_and_parts_have_different_names_that_kubernetes_takes() {
    let mut known: BTreeMap<(&str, String), String> = BTreeMap::new();
    let mut note = |kind: &'static str, name: String, what: String| {
        assert!(is_label(&name), "{name} of {what}");
        if let Some(other) = known.insert((kind, name.clone()), what.clone()) {
            panic!("{kind} {name} is {other} and {what}");
        }
    };
    for network in NAMES {
        let authority = names::development_authority(network);
        note(
            "Secret",
            names::network_keys(network),
            format!("keys of {network}"),
        );
        note("Secret", authority, format!("authority of {network}"));
        for site in NAMES {
            let own = names::site_object(network, site);
            note("Deployment", own, format!("{network} {site}"));
            for part in Part::ALL {
                let what = format!("{network} {site} {part:?}");
                note(kind(part), names::site_part(network, site, part), what);
            }
        }
    }
}
