//! Mistakes are found, all of them, and told where they stand.

use crate::config::test_support::{certified, config, files};
use crate::config::{Config, Files, Problem};

fn problems(files: &Files) -> Vec<Problem> {
    Config::from_files(files).err().unwrap_or_default()
}

fn changed(from: &str, to: &str) -> Files {
    let mut files = files();
    let mut is_found = false;
    for bytes in [&mut files.broker, &mut files.users, &mut files.secrets] {
        let text = String::from_utf8_lossy(bytes).into_owned();
        is_found |= text.contains(from);
        *bytes = text.replacen(from, to, 1).into_bytes();
    }
    assert!(is_found, "{from}");
    files
}

#[test]
fn defaults_follow_memory() {
    let text = "memory: {limit: 64Mi}\nsites:";
    let limits = config(&changed("sites:", text)).limits;
    assert_eq!(limits.queue_bytes, 16 << 20);
    assert_eq!(limits.outbound, 2 << 20);
    assert_eq!(limits.transaction_bytes, 4 << 20);
    assert_eq!(limits.rings, 16 << 20);
    assert_eq!(limits.reply_routes, 16_384);
    let file = config(&files());
    assert_eq!(file.limits.memory, 512 << 20);
    assert_eq!(file.limits.outbound, 16 << 20);
    assert_eq!(file.limits.reply_routes, 100_000);
    let link = &file.broker.links[0];
    assert_eq!(file.limits.link_window(link, 1), 8 << 20);
    assert_eq!(file.limits.link_window(link, 64), 2 << 20);
}

#[test]
fn each_mistake_is_found_at_its_line() {
    let rows = [
        (
            "format: 1\nnetwork",
            "format: 2\nnetwork",
            "broker.yaml:2: format: 2 is not known",
        ),
        (
            "site: a",
            "site: c",
            "broker.yaml:4: site: c is not one of sites",
        ),
        (
            "instance: 75baf888",
            "instance: 75",
            "broker.yaml:5: instance: must be a UUID",
        ),
        (
            "port: 61613",
            "port: 0",
            "broker.yaml:7: listeners.stomp.port: must be 1 to 65535",
        ),
        (
            "  stomp:",
            "  admin: {bind: \"::\", port: 1, status: open}\n  stomp:",
            "broker.yaml:7: listeners.admin.status: open is for a loopback",
        ),
        (
            "  stomp:",
            "  link: {bind: \"127.0.0.1\", port: 61613}\n  stomp:",
            "listeners.link.port: 61613 is the port of stomp too",
        ),
        (
            "  stomp:",
            "  stomp_tls: {bind: \"::\", port: 1}\n  stomp:",
            "listeners.stomp_tls: needs tls",
        ),
        (
            "peer: b",
            "peer: b\n    window: 129Mi",
            "links: the windows given are 135266304 bytes together, more than mesh.rings, 134217728",
        ),
        ("{name: b}", "{name: a}", "sites.a: is listed twice"),
        (
            "{name: a}\n  - {name: b}",
            "{name: a, id: 5}\n  - {name: b, id: 5}",
            "sites.b: has the id 5, as a has",
        ),
        (
            "peer: b",
            "peer: x",
            "broker.yaml:12: links.a-b: peer x is not one of sites",
        ),
        ("peer: b", "peer: a", "links.a-b: leads to this site itself"),
        (
            "peer: b",
            "peer: b\n    cost: 0",
            "links.a-b: cost must be 1 to 65535",
        ),
        (
            "peer: b",
            "peer: b\n    heartbeat: 99ms",
            "links.a-b: heartbeat must be 100ms to 60s",
        ),
        (
            "peer: b\n",
            "peer: b\n    addresses: [{host: b.example.com, port: 61618}]\n  - name: c\n    peer: b\n",
            "links.c: b.example.com:61618 is an address of b in another place too",
        ),
        (
            "links:\n  - name",
            "link_auth: mtls\nlinks:\n  - name",
            "link_auth: certificates need tls.trust_bundle",
        ),
        (
            "queue: \">\"",
            "queue: \"a..b\"",
            "broker.yaml:17: authorization.entries[0]: \"a..b\" is not a pattern",
        ),
        (
            "queue: \">\"",
            "queue: \">\", topic: a",
            "needs exactly one of queue and topic",
        ),
        (
            "sites:",
            "tls: {certificate: tls/tls.crt, key: tls/tls.key}\nsites:",
            "tls.certificate: the file tls/tls.crt is not in the directory",
        ),
        (
            "sites:",
            "memory: {limit: 15Mi}\nsites:",
            "memory.limit: must be at least 16Mi",
        ),
        (
            "sites:",
            "mesh: {rings: 1Gi}\nsites:",
            "more than memory.limit, 512Mi",
        ),
        (
            "sites:",
            "queue: {policies: [{match: \"a.>.b\"}]}\nsites:",
            "queue.policies[0].match: \"a.>.b\" is not a pattern",
        ),
        (
            "sites:",
            "queue: {prefetch: 32768}\nsites:",
            "broker.yaml:8: queue.prefetch: must be 1 to 32767",
        ),
        (
            "sites:",
            "mesh: {redial_min: 9s}\nsites:",
            "mesh.redial_max: max, 5s, is below min, 9s",
        ),
        (
            "    verifiers: [\"$argon2id",
            "    other: [\"$argon2id",
            "users.yaml:6: users[0].other: unknown field",
        ),
        (
            "m=19456",
            "m=65537",
            "users.yaml:4: users.alice: a verifier asks for more than",
        ),
        (
            "    groups: [everyone]\n",
            "    permissions: [{operations: [read]}]\n",
            "users.yaml:5: users.alice.permissions[0]: needs exactly one",
        ),
        (
            "  a-b: {current: one}",
            "  b-a: {current: one}",
            "secrets.yaml:4: links.a-b: the link has no secret here",
        ),
        (
            "{current: one}",
            "{current: \"\"}",
            "secrets.yaml:5: links.a-b: a secret is empty",
        ),
    ];
    for (from, to, expected) in rows {
        let found = problems(&changed(from, to));
        let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert!(
            texts.iter().any(|text| text.contains(expected)),
            "{to}: {texts:#?}"
        );
    }
}

#[test]
fn a_token_is_needed_while_status_is_not_open() {
    let mut files = changed("  stomp:", "  admin: {bind: \"::\", port: 1}\n  stomp:");
    assert_eq!(problems(&files), []);
    files.secrets = b"format: 1\nlinks: {a-b: {current: one}}".to_vec();
    let found = problems(&files);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].path, "admin_token");
}

#[test]
fn a_hand_over_needs_an_address() {
    for at in ["{host: a.example.com, port: 0}", "{host: '', port: 61618}"] {
        let found = problems(&changed("sites:", &format!("handover: {at}\nsites:")));
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].ends_with("handover: needs a host and a port from 1 to 65535"),
            "{found:?}"
        );
    }
}

#[test]
fn a_token_is_needed_for_a_hand_over() {
    let handover = "handover: {host: a.example.com, port: 61618}\nsites:";
    let mut files = changed("sites:", handover);
    assert_eq!(problems(&files), []);
    files.secrets = b"format: 1\nlinks: {a-b: {current: one}}".to_vec();
    let found = problems(&files);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].to_string().contains("is needed for handover"));
}

#[test]
fn every_unknown_key_and_wrong_value_of_all_files_is_told() {
    let mut files = changed(
        "sites:",
        "limits: {frmae: 1Mi, connections: many, frame: 1Mi}\nqueue: {ful: block}\nturbo: yes\nsites:",
    );
    files.users = b"format: 1\nusers:\n  - {name: a, verifiers: 7}\n  - {nmae: b}\n".to_vec();
    files.secrets = b"format: 1\nlinks:\n  a-b: {currnet: hunter2}\n".to_vec();
    let found = problems(&files);
    let places: Vec<(&str, Option<usize>, &str)> = found
        .iter()
        .map(|problem| (problem.file, problem.line, problem.path.as_str()))
        .collect();
    assert_eq!(
        places,
        [
            ("broker.yaml", Some(8), "limits.frmae"),
            ("broker.yaml", Some(8), "limits.connections"),
            ("broker.yaml", Some(9), "queue.ful"),
            ("broker.yaml", Some(10), "turbo"),
            ("users.yaml", Some(3), "users[0]"),
            ("users.yaml", Some(4), "users[1].nmae"),
            ("secrets.yaml", Some(3), "links.a-b.currnet"),
        ]
    );
}

#[test]
fn a_broken_secrets_file_is_told_by_its_syntax_or_its_key_without_a_value() {
    let rows = [
        (
            "format: 1\nlinks: {a-b: {current: \"hunter2}}\n",
            ": is not YAML: a mistake of syntax at line",
        ),
        (
            "format: 1\nlinks: {a-b: {current: [4711]}}\n",
            "secrets.yaml:2: links.a-b.current: has another type",
        ),
        (
            "format: 1\nadmin_token: {a: 4711}\n",
            "secrets.yaml:2: admin_token: has another type",
        ),
        (
            "format: 1\nlinks:\n  a-b: {user: x}\n",
            "secrets.yaml:3: links.a-b: missing field `current`",
        ),
        ("format: 1\nformat: 4711\n", "a key is there twice"),
        ("[4711]", "secrets.yaml:1: has another type"),
    ];
    for (text, expected) in rows {
        let mut files = files();
        files.secrets = text.into();
        let told: Vec<String> = problems(&files).iter().map(ToString::to_string).collect();
        let told = told.join("\n");
        assert!(told.contains(expected), "{text}: {told}");
        assert!(
            !told.contains("hunter2") && !told.contains("4711"),
            "{told}"
        );
    }
}

#[test]
fn nothing_secret_is_in_a_message_or_a_debug_text() {
    let rows = [
        "format: 1\nadmin_token: [hunter2]\n",
        "format: 1\nlinks: hunter2\n",
        "format: 1\nlinks: {a-b: hunter2}\n",
        "format: 1\nlinks: {a-b: {current: [hunter2]}}\n",
        "hunter2",
        "format: hunter2",
        "a: b: hunter2",
    ];
    for text in rows {
        let mut files = files();
        files.secrets = text.into();
        let found = problems(&files);
        assert!(!found.is_empty(), "{text}");
        assert!(!format!("{found:?}").contains("hunter2"), "{found:?}");
    }
    let files = changed("current: one", "current: hunter2");
    let text = format!("{files:?} {:?}", config(&files));
    assert!(
        !text.contains("hunter2") && !text.contains("argon2id"),
        "{text}"
    );
    let found = problems(&changed(
        "verifiers: [\"$argon2id",
        "verifiers: [x, \"$argon2id",
    ));
    assert!(!format!("{found:?}").contains("argon2id$v"), "{found:?}");
}

#[test]
fn a_file_that_is_not_yaml_is_told_with_its_line() {
    let mut files = files();
    files.users = b"format: 1\nusers: [\n".to_vec();
    let found = problems(&files);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (found[0].file, found[0].line.is_some()),
        ("users.yaml", true)
    );
    files.users = vec![b'#'; (16 << 20) + 1];
    assert_eq!(problems(&files)[0].reason, "is larger than 16 MiB");
}

#[test]
fn certificates_that_no_broker_can_start_with_are_told_at_their_keys() {
    let tls = "tls:\n  certificate: tls/a.crt\n  key: tls/a.key\n  trust_bundle: ca/a.crt\n  \
               client_trust_bundle: clients/a.crt\nsites:";
    let mut files = changed("sites:", tls);
    let (certificate, key) = certified();
    let mut put = |path: &str, text: &str| {
        files.others.insert(path.to_owned(), text.into());
        let told: Vec<String> = problems(&files).iter().map(ToString::to_string).collect();
        told.join("\n")
    };
    put("tls/a.crt", &certificate);
    put("tls/a.key", &key);
    put("ca/a.crt", &certificate);
    assert_eq!(put("clients/a.crt", &certificate), "");
    let told = put("tls/a.key", &certified().1);
    assert!(
        told.starts_with("broker.yaml:10: tls.key: tls/a.key does not belong to the certificate"),
        "{told}"
    );
    put("ca/a.crt", "garbage");
    let told = put("clients/a.crt", "");
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 3, "{told}");
    assert!(
        lines[1].starts_with("broker.yaml:11: tls.trust_bundle: ca/a.crt holds no certificate"),
        "{told}"
    );
    assert!(
        lines[2].starts_with("broker.yaml:12: tls.client_trust_bundle: clients/a.crt holds no"),
        "{told}"
    );
}
