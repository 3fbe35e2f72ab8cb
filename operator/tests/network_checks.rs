//! What only the whole of a network shows: certificates, ids, credentials of users.

use causeway_operator::documents::Source;
use causeway_operator::model::{Credential, ValidNetwork};
use causeway_operator::names::SiteName;
use causeway_operator::network::load::{Generated, Wanted, examine, load};
use causeway_operator::network::validate::MissingSecrets;
use causeway_operator::render;

const COUNTRIES: &str = include_str!("../../deploy/examples/countries.yaml");

fn read(text: &str, missing: MissingSecrets) -> Result<ValidNetwork, String> {
    let lines = |problems: Vec<causeway_operator::documents::Problem>| {
        problems
            .iter()
            .map(|problem| format!("{problem}\n"))
            .collect::<String>()
    };
    load(&[Source::new("a.yaml", text)], None, missing)
        .map(|loaded| loaded.network)
        .map_err(lines)
}

fn valid(text: &str) -> ValidNetwork {
    read(text, MissingSecrets::Refuse).unwrap_or_else(|problems| panic!("{problems}"))
}

fn refused(text: &str) -> String {
    read(text, MissingSecrets::Refuse).expect_err("it is refused")
}

fn with_tls(source: &str) -> String {
    let tls = format!("  tls: {{source: {source}, trustBundleRef: {{name: roots}}}}\n  linkAuth:");
    COUNTRIES.replace("  linkAuth:", &tls)
}

/// A certificate that signed itself, and its key.
fn certified() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a pair");
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// A value of several lines under a key.
fn block(key: &str, text: &str) -> String {
    let lines = text.lines().map(|line| format!("    {line}\n"));
    format!("  {key}: |\n{}", lines.collect::<String>())
}

fn pair(site: &str, (certificate, key): &(String, String)) -> String {
    let (certificate, key) = (block("tls.crt", certificate), block("tls.key", key));
    format!(
        "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: mcollective--{site}-tls}}\n\
         stringData:\n{certificate}{key}"
    )
}

fn certificate(site: &str) -> String {
    pair(site, &certified())
}

fn bundle(name: &str, roots: &str) -> String {
    let roots = block("ca.crt", roots);
    format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata:\n{roots}")
}

#[test]
fn certificates_of_the_input_are_used_when_all_are_there() {
    let (root, own) = (certified().0, certified());
    let others = ["ie", "us"].map(certificate).concat();
    let text = with_tls("Secret") + &others + &pair("uk", &own) + &bundle("roots", &root);
    let network = valid(&text);
    let files = render::certificates(&network, &SiteName::new("uk"));
    let expected = [
        ("ca/ca.crt", root.as_str()),
        ("tls/tls.crt", &own.0),
        ("tls/tls.key", &own.1),
    ];
    let found: Vec<_> = files
        .iter()
        .map(|(path, bytes)| (path.as_str(), String::from_utf8_lossy(bytes)))
        .collect();
    assert_eq!(found, expected.map(|(path, text)| (path, text.into())));
    let secret = own.1.lines().nth(1).unwrap_or_default();
    assert!(!format!("{network:?}").contains(secret), "the key is shown");
}

#[test]
fn certificates_that_no_broker_can_start_with_are_told_at_the_keys_of_their_secrets() {
    let good = certified();
    let strange = (good.0.clone(), certified().1);
    let text = with_tls("Secret")
        + &pair("ie", &("garbage".to_owned(), good.1.clone()))
        + &pair("uk", &strange)
        + &pair("us", &good)
        + &bundle("roots", "garbage");
    for missing in [MissingSecrets::Refuse, MissingSecrets::Mark] {
        let problems = read(&text, missing).expect_err("it is refused");
        let lines: Vec<&str> = problems.lines().collect();
        let expected = [
            "Secret/mcollective--ie-tls stringData[\"tls.crt\"]: holds no certificate",
            "Secret/mcollective--uk-tls stringData[\"tls.key\"]: does not belong to the certificate",
            "ConfigMap/roots data[\"ca.crt\"]: holds no certificate",
        ];
        assert_eq!(lines.len(), expected.len(), "{problems}");
        for (line, expected) in lines.iter().zip(expected) {
            assert!(line.contains(expected), "{problems}");
            // The first line of the value, below that of its key.
            let number = line
                .split(':')
                .nth(1)
                .and_then(|number| number.parse().ok());
            let number: usize = number.expect("a line");
            let key = expected.split('"').nth(1).unwrap_or_default();
            let written = text.lines().nth(number - 2).unwrap_or_default();
            assert_eq!(written, format!("  {key}: |"), "{line}");
        }
        let secret = good.1.lines().nth(1).unwrap_or_default();
        assert!(!problems.contains(secret), "{problems}");
    }
}

#[test]
fn roots_of_clients_are_used_with_certificates_of_the_development_authority_too() {
    let root = certified().0;
    for (kind, fields) in [("ConfigMap", "data"), ("Secret", "stringData")] {
        let tls = format!(
            "  tls: {{source: Development, clientTrustBundleRef: {{kind: {kind}, name: clients}}}}\n  linkAuth:"
        );
        let network = COUNTRIES.replace("  linkAuth:", &tls);
        let clients = |roots: &str| {
            let roots = block("ca.crt", roots);
            format!(
                "---\napiVersion: v1\nkind: {kind}\nmetadata: {{name: clients}}\n{fields}:\n{roots}"
            )
        };
        let read_one = valid(&(network.clone() + &clients(&root)));
        let files = render::certificates(&read_one, &SiteName::new("uk"));
        let found = files.get(render::CLIENT_TRUST_BUNDLE).map(Vec::as_slice);
        assert_eq!(found, Some(root.as_bytes()));
        let problems = refused(&(network.clone() + &clients("garbage")));
        let expected = format!("{kind}/clients {fields}[\"ca.crt\"]: holds no certificate");
        assert!(problems.contains(&expected), "{problems}");
        // Without them those of the development authority are taken, and that is said.
        let loaded = load(
            &[Source::new("a.yaml", network)],
            None,
            MissingSecrets::Refuse,
        )
        .expect("it runs");
        assert!(
            loaded
                .network
                .tls
                .is_some_and(|tls| tls.client_trust_bundle.is_none())
        );
        let said: Vec<String> = loaded.problems.iter().map(ToString::to_string).collect();
        let expected = format!(
            "{kind} clients with the key ca.crt is missing: client certificates have to end"
        );
        assert!(
            said.iter().any(|line| line.contains(&expected)),
            "{said:#?}"
        );
    }
}

#[test]
fn certificates_are_made_when_the_input_holds_none_of_them() {
    for source in ["Secret", "Development"] {
        let tls = valid(&with_tls(source)).tls.expect("TLS is declared");
        assert_eq!(tls.material, None);
    }
}

#[test]
fn part_of_the_certificates_is_an_error_that_lists_the_rest() {
    let problems = refused(&(with_tls("Secret") + &certificate("ie")));
    for missing in [
        "Secret mcollective--uk-tls with tls.crt and tls.key is missing",
        "Secret mcollective--us-tls with tls.crt and tls.key is missing",
        "ConfigMap roots with the key ca.crt is missing",
    ] {
        assert!(problems.contains(missing), "{problems}");
    }
    assert!(!problems.contains("mcollective--ie-tls"), "{problems}");
}

#[test]
fn links_with_certificates_alone_need_no_passwords() {
    let text = with_tls("Development").replace("{mode: Password}", "{mode: MTLS}");
    let text = text.split("---").take(3).collect::<Vec<_>>().join("---");
    let text = text.replace(
        "Password, secretRef: {name: user-amq}",
        "Certificate, certificate: {commonName: amq}",
    );
    let text = text.replace(
        "Password, secretRef: {name: user-mcollective}",
        "Certificate, certificate: {uri: u}",
    );
    let network = valid(&text);
    assert!(network.links.values().all(|link| link.secret.is_none()));
    assert!(
        network
            .users
            .values()
            .all(|user| matches!(user.credential, Credential::Certificate(_)))
    );
}

#[test]
fn two_sites_with_one_short_id_are_refused() {
    let derived = causeway_broker::mesh::ids::Sid::from_name("uk").0;
    let text = COUNTRIES.replace("{name: ie,", &format!("{{name: ie, id: {derived},"));
    let problems = refused(&text);
    let expected = format!(
        "sites ie and uk have the same short id {derived} (set id on the newer of the two)"
    );
    assert!(problems.contains(&expected), "{problems}");
}

#[test]
fn missing_secret_is_marked_where_that_is_enough() {
    let text = COUNTRIES.replace("metadata: {name: link-ie-uk}", "metadata: {name: other}");
    assert!(refused(&text).contains("Secret link-ie-uk is missing; its key current is needed"));
    let misspelt = COUNTRIES.replace(
        "metadata: {name: link-ie-uk}",
        "metadata: {name: link-ei-uk}",
    );
    assert!(refused(&misspelt).contains("(did you mean link-ei-uk?)"));
    let network = read(&text, MissingSecrets::Mark).expect("it is marked");
    let secret = network.links["ie-uk"]
        .secret
        .clone()
        .expect("the link has a password");
    assert_eq!(secret.current.expose(), "<missing: link-ie-uk/current>");
}

#[test]
fn hashes_are_taken_as_they_are_and_checked() {
    let hash = "$argon2id$v=19$m=19456,t=2,p=1$qXlxQtCHRJ9ebmVExRjZsA$MUcfVq+/K3S9dIwqOZetvENY/pDpDuHUEG+FqYeHaZ8";
    let text = COUNTRIES.replace(
        "type: Password, secretRef: {name: user-amq}",
        "type: PasswordHash, secretRef: {name: user-amq}",
    );
    let given = |hash: &str| {
        text.replace(
            "{password: Afuphohxoh}",
            &format!("{{passwordHash: \"{hash}\"}}"),
        )
    };
    assert_eq!(
        valid(&given(hash)).users["amq"].credential,
        Credential::Hashes(vec![hash.to_owned()])
    );
    let problems = refused(&given("s3cret"));
    assert!(
        problems.contains("the key passwordHash of Secret user-amq"),
        "{problems}"
    );
    assert!(!problems.contains("s3cret"), "{problems}");
}

#[test]
fn a_password_that_ends_with_a_line_break_is_refused_with_the_way_to_make_one() {
    let words = "ends with a line break, which is part of it: make it with `printf %s`";
    for (from, to, key) in [
        (
            "{password: Afuphohxoh}",
            r#"{password: "Afuphohxoh\n"}"#,
            "password",
        ),
        (
            "{password: Afuphohxoh}",
            r#"{password: Afuphohxoh, previousPassword: "old\r\n"}"#,
            "previousPassword",
        ),
        (
            "current: Afuphohxoh",
            r#"current: "Afuphohxoh\n""#,
            "current",
        ),
        (
            "current: Afuphohxoh",
            r#"current: Afuphohxoh, previous: "old\r""#,
            "previous",
        ),
    ] {
        let text = COUNTRIES.replacen(from, to, 1);
        assert_ne!(text, COUNTRIES, "{from}");
        for missing in [MissingSecrets::Refuse, MissingSecrets::Mark] {
            let problems = read(&text, missing).expect_err(key);
            let problems = format!("{problems:?}");
            let about = format!("the password in the key {key} of Secret");
            assert!(problems.contains(&about), "{problems}");
            assert!(problems.contains(words), "{problems}");
            assert!(!problems.contains("Afuphohxoh"), "{problems}");
        }
    }
}

#[test]
fn collectives_and_entries_become_one_sorted_list() {
    let collective = "    collectives: [{name: c, servers: [s], admins: [a]}]\n    entries:\n";
    let network = valid(&COUNTRIES.replace("    entries:\n", collective));
    assert_eq!(network.entries.len(), 10);
    assert!(network.entries.is_sorted());
    assert_eq!(
        network
            .entries
            .iter()
            .filter(|entry| entry.collective.as_deref() == Some("c"))
            .count(),
        5
    );
}

fn warnings(text: &str) -> Vec<String> {
    let loaded = load(&[Source::new("a.yaml", text)], None, MissingSecrets::Refuse);
    let problems = loaded.expect("it is valid").problems;
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn a_user_of_a_network_that_is_not_there_is_an_error_that_says_which_is_meant() {
    let text = COUNTRIES.replacen(
        "networkRef: {name: mcollective}",
        "networkRef: {name: mcolective}",
        1,
    );
    let problems = refused(&text);
    let expected = "there is no BrokerNetwork mcolective";
    assert!(problems.contains(expected), "{problems}");
    assert!(problems.contains("did you mean mcollective?"), "{problems}");
    let shown = read(&text, MissingSecrets::Mark);
    assert_eq!(shown.expect("only a warning").users.len(), 1);
}

#[test]
fn a_group_that_is_named_on_one_side_only_is_a_warning_with_what_may_be_meant() {
    assert_eq!(warnings(COUNTRIES), Vec::<String>::new());
    let text = COUNTRIES.replacen("groups: [admins,", "groups: [admin,", 1);
    let found = warnings(&text).join("\n");
    for part in [
        "spec.authorization.entries[0].read[0]: no user is in the group admins",
        "did you mean admin?",
        "spec.groups[0]: no right names the group admin",
        "did you mean admins?",
    ] {
        assert!(found.contains(part), "{part} is missing in\n{found}");
    }
    assert_eq!(found.matches("no user is in").count(), 1, "{found}");
    let text = COUNTRIES.replacen("groups: [admins,", "groups: [admins, unrelated-people,", 1);
    assert_eq!(warnings(&text), Vec::<String>::new(), "it does no harm");
}

#[test]
fn a_user_who_may_do_nothing_is_a_warning() {
    let (start, _) = COUNTRIES.split_once("groups: [admins,").expect("groups");
    let (_, rest) = COUNTRIES[start.len()..].split_once(']').expect("an end");
    let with = |line: &str| warnings(&format!("{start}{line}{rest}")).join("\n");
    let found = with("groups: [visitors]");
    let expected = "spec.groups: no right names any of the groups visitors: it can use temporary destinations at most";
    assert!(found.contains(expected), "{found}");
    let found = with("groups: []");
    assert!(
        found.contains("spec: the user has neither groups nor permissions"),
        "{found}"
    );
    let found = with("permissions: [{queue: x, operations: [Read]}]");
    assert!(!found.contains("temporary"), "{found}");
}

#[test]
fn a_user_with_a_certificate_nobody_asks_for_is_a_warning() {
    let text = COUNTRIES.replacen(
        "credentials: {type: Password, secretRef: {name: user-amq}}",
        "credentials: {type: Certificate, certificate: {commonName: amq}}",
        1,
    );
    let found = warnings(&text).join("\n");
    let expected = "spec.credentials.certificate: no broker asks for the certificates of clients";
    assert!(found.contains(expected), "{found}");
    let tls = "  tls: {source: Development, clientTrustBundleRef: {name: roots}}\n  linkAuth:";
    let text = text.replace("  linkAuth:", tls) + &bundle("roots", &certified().0);
    assert_eq!(warnings(&text), Vec::<String>::new());
}

#[test]
fn the_development_authority_serves_networks_of_one_cluster_alone() {
    let examined = |local: &[&str]| {
        let local = local.iter().map(|site| (*site).to_owned()).collect();
        let wanted = Wanted {
            network: None,
            missing: MissingSecrets::Refuse,
            generated: Generated::Nothing,
            local: Some(local),
            further: &|_, _| Vec::new(),
        };
        let text = with_tls("Development");
        let problems = examine(&[Source::new("a.yaml", text)], wanted).problems;
        let problems = problems.iter().map(ToString::to_string);
        let ours = problems.filter(|problem| problem.contains("development authority"));
        ours.collect::<Vec<_>>()
    };
    assert_eq!(examined(&["ie", "uk", "us"]), Vec::<String>::new());
    let found = examined(&["ie"]).join("\n");
    let expected = "spec.tls.source: the development authority is for networks of one cluster, and these sites run elsewhere: uk, us";
    assert!(found.contains(expected), "{found}");
}

#[test]
fn an_annotation_that_nobody_heeds_is_a_warning_with_what_may_be_meant() {
    let with = |annotation: &str| {
        let metadata = format!("  name: mcollective\n  annotations: {{{annotation}}}\nspec:");
        let text = COUNTRIES.replacen("  name: mcollective\nspec:", &metadata, 1);
        assert_ne!(text, COUNTRIES);
        warnings(&text)
    };
    let path = |key: &str| format!("metadata.annotations[\"causeway.dev/{key}\"]");
    for (annotation, key, reason, help) in [
        (
            "causeway.dev/reconcile: pause",
            "reconcile",
            "\"pause\" is no value of it",
            "did you mean paused?",
        ),
        (
            "causeway.dev/reconcil: paused",
            "reconcil",
            "is no annotation of a BrokerNetwork",
            "did you mean causeway.dev/reconcile?",
        ),
        (
            "causeway.dev/allow-site-removal: \"uk, ukk\"",
            "allow-site-removal",
            "the network has no site ukk",
            "did you mean uk?",
        ),
    ] {
        let found = with(annotation);
        assert_eq!(found.len(), 1, "{found:#?}");
        for part in [&path(key), reason, "so it is ignored", help] {
            assert!(found[0].contains(part), "{part} is missing in {}", found[0]);
        }
    }
    for good in [
        "causeway.dev/reconcile: paused",
        "causeway.dev/allow-site-removal: uk",
        "argocd.argoproj.io/sync-wave: \"1\"",
    ] {
        assert_eq!(with(good), Vec::<String>::new(), "{good}");
    }
}
