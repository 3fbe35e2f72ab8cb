//! Every rule of the schemas once accepted and once refused, with its message.

use causeway_operator::api::{BrokerNetwork, BrokerUser};
use serde_json::{Value, json};

fn network(changes: &[(&str, Value)]) -> BrokerNetwork {
    let mut value = json!({
        "apiVersion": "causeway.dev/v1alpha1", "kind": "BrokerNetwork",
        "metadata": {"name": "mcollective"},
        "spec": {"sites": [{"name": "ie"}, {"name": "uk"}]},
    });
    change(&mut value, changes);
    serde_json::from_value(value).expect("the fixture decodes")
}

fn user(changes: &[(&str, Value)]) -> BrokerUser {
    let mut value = json!({
        "apiVersion": "causeway.dev/v1alpha1", "kind": "BrokerUser",
        "metadata": {"name": "amq"},
        "spec": {
            "networkRef": {"name": "mcollective"},
            "credentials": {"type": "Password", "secretRef": {"name": "user-amq"}},
        },
    });
    change(&mut value, changes);
    serde_json::from_value(value).expect("the fixture decodes")
}

/// Sets dotted paths.
fn change(value: &mut Value, changes: &[(&str, Value)]) {
    for (path, new) in changes {
        let place = path
            .split('.')
            .fold(&mut *value, |place, part| &mut place[part]);
        *place = new.clone();
    }
}

fn messages(outcome: Result<(), kube::core::cel::ValidationErrors>) -> Vec<String> {
    let errors = outcome
        .err()
        .map(kube::core::cel::ValidationErrors::into_vec)
        .unwrap_or_default();
    errors.into_iter().map(|error| error.message).collect()
}

/// What is changed, and the start of the only message; nothing where the object is accepted.
type Row = (
    &'static str,
    Vec<(&'static str, Value)>,
    Option<&'static str>,
);

fn check(rows: Vec<Row>, validate: impl Fn(&[(&str, Value)]) -> Vec<String>) {
    for (name, changes, expected) in rows {
        let found = validate(&changes);
        match expected {
            None => assert!(found.is_empty(), "{name}: {found:?}"),
            Some(start) => {
                assert!(
                    found.len() == 1 && found[0].starts_with(start),
                    "{name}: {found:?}"
                );
            }
        }
    }
}

#[test]
fn rules_of_networks_accept_and_refuse() {
    let link = |extra: Value| {
        let mut link = json!({"name": "ie-uk", "between": ["ie", "uk"]});
        for (key, value) in extra.as_object().expect("an object") {
            link[key] = value.clone();
        }
        ("spec.links", json!([link]))
    };
    let topology = |topology: Value| ("spec.topology", topology);
    let tls = ("spec.tls", json!({"source": "Development"}));
    let sites = |count: usize| {
        let sites: Vec<_> = (0..count)
            .map(|index| json!({"name": format!("s{index}")}))
            .collect();
        ("spec.sites", json!(sites))
    };
    let entries = |entry: Value| ("spec.authorization", json!({"entries": [entry]}));
    let open = json!({"stompTls": {"state": "Open"}});
    let rows: Vec<Row> = vec![
        ("N1", vec![("metadata.name", json!("a-2"))], None),
        (
            "N1 two hyphens",
            vec![("metadata.name", json!("a--b"))],
            Some("metadata.name starts"),
        ),
        (
            "N1 too long",
            vec![("metadata.name", json!("a".repeat(25)))],
            Some("metadata.name starts"),
        ),
        (
            "N1 digit first",
            vec![("metadata.name", json!("2a"))],
            Some("metadata.name starts"),
        ),
        (
            "N3",
            vec![(
                "spec.sites",
                json!([{"name": "a", "id": 1}, {"name": "b", "id": 2}]),
            )],
            None,
        ),
        (
            "N3 twice",
            vec![(
                "spec.sites",
                json!([{"name": "a", "id": 1}, {"name": "b", "id": 1}]),
            )],
            Some("sites[].id must be unique"),
        ),
        ("N4", vec![link(json!({}))], None),
        (
            "N4 unknown",
            vec![link(json!({"between": ["ie", "de"]}))],
            Some("links[].between must name"),
        ),
        (
            "N5",
            vec![link(json!({"between": ["ie", "ie"]}))],
            Some("a link joins two different sites"),
        ),
        ("N6", vec![link(json!({"dialer": "uk"}))], None),
        (
            "N6 stranger",
            vec![link(json!({"dialer": "us"}))],
            Some("dialer must be one of between"),
        ),
        (
            "N7",
            vec![topology(json!({"shape": "Star", "hub": "uk"}))],
            None,
        ),
        (
            "N7 none",
            vec![topology(json!({"shape": "Star"}))],
            Some("topology Star needs hub"),
        ),
        (
            "N7 unknown",
            vec![topology(json!({"shape": "Star", "hub": "us"}))],
            Some("topology Star needs hub"),
        ),
        (
            "N8 ring",
            vec![topology(json!({"shape": "Ring", "order": ["uk", "ie"]}))],
            None,
        ),
        (
            "N8 chain",
            vec![topology(json!({"shape": "Chain"}))],
            Some("topology Ring and Chain need order"),
        ),
        (
            "N8 short",
            vec![topology(json!({"shape": "Ring", "order": ["uk"]}))],
            Some("topology Ring and Chain"),
        ),
        (
            "N8 double",
            vec![topology(json!({"shape": "Ring", "order": ["uk", "uk"]}))],
            Some("topology Ring and Chain"),
        ),
        (
            "N14",
            vec![entries(json!({"queue": ">", "read": ["a"]}))],
            None,
        ),
        (
            "N14 both",
            vec![entries(json!({"queue": ">", "topic": ">", "read": ["a"]}))],
            Some("exactly one of queue"),
        ),
        (
            "N14 none",
            vec![entries(json!({"read": ["a"]}))],
            Some("exactly one of queue"),
        ),
        (
            "N15",
            vec![entries(json!({"queue": ">"}))],
            Some("an entry without groups grants nothing"),
        ),
        (
            "N19",
            vec![("spec.linkAuth", json!({"mode": "MTLS"})), tls.clone()],
            None,
        ),
        (
            "N19 password",
            vec![("spec.linkAuth", json!({"mode": "Password"}))],
            None,
        ),
        (
            "N19 no tls",
            vec![("spec.linkAuth", json!({"mode": "MTLS"}))],
            Some("linkAuth MTLS needs spec.tls"),
        ),
        (
            "N23",
            vec![
                ("spec.siteDefaults", json!({"listeners": open})),
                tls.clone(),
            ],
            None,
        ),
        (
            "N23 defaults",
            vec![("spec.siteDefaults", json!({"listeners": open}))],
            Some("a TLS listener needs spec.tls"),
        ),
        (
            "N23 site",
            vec![("spec.sites", json!([{"name": "ie", "listeners": open}]))],
            Some("a TLS listener needs spec.tls"),
        ),
        (
            "N23 closed",
            vec![(
                "spec.siteDefaults",
                json!({"listeners": {"stompTls": {"state": "Closed"}}}),
            )],
            None,
        ),
        (
            "N24",
            vec![topology(json!({"shape": "Mesh"})), sites(32)],
            None,
        ),
        (
            "N24 33",
            vec![topology(json!({"shape": "Mesh"})), sites(33)],
            Some("topology Mesh links every pair"),
        ),
    ];
    check(rows, |changes| messages(network(changes).validate_cel()));
}

#[test]
fn ids_of_sites_are_immutable() {
    let sites = |id: Value| network(&[("spec.sites", json!([{"name": "ie", "id": id}]))]);
    let without = network(&[("spec.sites", json!([{"name": "ie"}]))]);
    assert_eq!(
        messages(sites(json!(7)).validate_cel_update(&sites(json!(7)))),
        [""; 0]
    );
    assert_eq!(
        messages(sites(json!(7)).validate_cel_update(&without)),
        [""; 0]
    );
    let expected = ["sites[].id is immutable"];
    assert_eq!(
        messages(sites(json!(8)).validate_cel_update(&sites(json!(7)))),
        expected
    );
    assert_eq!(
        messages(without.validate_cel_update(&sites(json!(7)))),
        expected
    );
}

#[test]
fn rules_of_users_accept_and_refuse() {
    let credentials = |value: Value| ("spec.credentials", value);
    let secret = json!({"name": "user-amq"});
    let rows: Vec<Row> = vec![
        ("U1", vec![("metadata.name", json!("a".repeat(63)))], None),
        (
            "U1 64",
            vec![("metadata.name", json!("a".repeat(64)))],
            Some("metadata.name names"),
        ),
        (
            "N14",
            vec![(
                "spec.permissions",
                json!([{"topic": "a", "operations": ["Read"]}]),
            )],
            None,
        ),
        (
            "N14 none",
            vec![("spec.permissions", json!([{"operations": ["Read"]}]))],
            Some("exactly one of queue, topic"),
        ),
        (
            "U4 hash",
            vec![credentials(
                json!({"type": "PasswordHash", "secretRef": secret}),
            )],
            None,
        ),
        (
            "U4 password",
            vec![credentials(json!({"type": "Password"}))],
            Some("secretRef is for Password"),
        ),
        (
            "U4 certificate",
            vec![credentials(json!({"type": "Certificate"}))],
            Some("secretRef is for Password"),
        ),
        (
            "U4 both",
            vec![credentials(
                json!({"type": "Password", "secretRef": secret, "certificate": {"uri": "u"}}),
            )],
            Some("secretRef is for Password"),
        ),
        ("U6", vec![("spec.sites", json!({"names": ["ie"]}))], None),
        (
            "U6 both",
            vec![(
                "spec.sites",
                json!({"names": ["ie"], "matchLabels": {"a": "b"}}),
            )],
            Some("use names or matchLabels, not both"),
        ),
        (
            "U7",
            vec![credentials(
                json!({"type": "Certificate", "certificate": {"uri": "u"}}),
            )],
            None,
        ),
        (
            "U5 one site",
            vec![
                credentials(json!({"type": "Generated", "generated": {"rotation": "1"}})),
                ("spec.sites", json!({"names": ["ie"]})),
            ],
            None,
        ),
        (
            "U5 everywhere",
            vec![credentials(json!({"type": "Generated"}))],
            Some("Generated passwords differ per cluster"),
        ),
        (
            "U4 rotation of what is not generated",
            vec![credentials(json!({
                "type": "Certificate", "certificate": {"uri": "u"}, "generated": {"rotation": "1"},
            }))],
            Some("secretRef is for Password and PasswordHash"),
        ),
        (
            "U7 none",
            vec![credentials(
                json!({"type": "Certificate", "certificate": {}}),
            )],
            Some("exactly one of uri, commonName"),
        ),
        (
            "U7 both",
            vec![credentials(
                json!({"type": "Certificate", "certificate": {"uri": "u", "commonName": "c"}}),
            )],
            Some("exactly one of uri, commonName"),
        ),
    ];
    check(rows, |changes| messages(user(changes).validate_cel()));
}

#[test]
fn network_and_login_name_of_a_user_are_immutable() {
    let old = user(&[("spec.username", json!("amq"))]);
    assert_eq!(messages(old.validate_cel_update(&old)), [""; 0]);
    let renamed = user(&[("spec.username", json!("amq2"))]);
    assert_eq!(
        messages(renamed.validate_cel_update(&old)),
        ["username is immutable"]
    );
    assert_eq!(
        messages(user(&[]).validate_cel_update(&old)),
        ["username is immutable"]
    );
    let moved = user(&[
        ("spec.username", json!("amq")),
        ("spec.networkRef", json!({"name": "other"})),
    ]);
    let found = messages(moved.validate_cel_update(&old));
    assert_eq!(
        found,
        ["networkRef is immutable: delete the user and create another"]
    );
}

#[test]
fn services_and_issuers_are_whole() {
    let stomp = |service: Value| {
        (
            "spec.siteDefaults",
            json!({"listeners": {"stomp": {"service": service}}}),
        )
    };
    let rows: Vec<Row> = vec![
        (
            "N9 with a type",
            vec![stomp(json!({"type": "NodePort", "nodePort": 31613}))],
            None,
        ),
        (
            "N9 without",
            vec![stomp(json!({"nodePort": 31613}))],
            Some("nodePort needs type NodePort or LoadBalancer"),
        ),
        (
            "N20 with an issuer",
            vec![(
                "spec.tls",
                json!({"source": "CertManager", "issuerRef": {"name": "i"}}),
            )],
            None,
        ),
        (
            "N20 without",
            vec![("spec.tls", json!({"source": "CertManager"}))],
            Some("issuerRef is for source CertManager"),
        ),
        (
            "N20 with one that is not asked",
            vec![(
                "spec.tls",
                json!({"source": "Secret", "issuerRef": {"name": "i"}}),
            )],
            Some("issuerRef is for source CertManager"),
        ),
    ];
    check(rows, |changes| messages(network(changes).validate_cel()));
}
