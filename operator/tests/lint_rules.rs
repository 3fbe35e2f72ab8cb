//! Each finding of `causeway lint`: what brings it, and what takes it away.

mod offline;

use std::time::{Duration, Instant};

use causeway_operator::documents::Problem;
use offline::{COUNTRIES, edited, lint_at};

/// Findings of a number, one a line: severity, document, path and reason.
fn found_at(text: &str, number: &str, sites: &[&str]) -> Vec<String> {
    let problems = lint_at(text, sites);
    let of_number = |problem: &&Problem| problem.rule.is_some_and(|rule| rule.number() == number);
    problems
        .iter()
        .filter(of_number)
        .map(|problem| {
            let Problem {
                severity,
                document,
                path,
                reason,
                ..
            } = problem;
            assert!(problem.at.line > 0, "{problem} has no place");
            format!("{severity:?} {document} {path}: {reason}")
        })
        .collect()
}

fn found(text: &str, number: &str) -> Vec<String> {
    found_at(text, number, &[])
}

fn one(text: &str, number: &str) -> String {
    let found = found(text, number);
    assert_eq!(found.len(), 1, "{found:#?}");
    found[0].clone()
}

const NONE: [&str; 0] = [];

#[test]
fn the_example_has_what_it_is_known_for_and_nothing_else() {
    let problems = lint_at(COUNTRIES, &[]);
    let mut names: Vec<String> = problems
        .iter()
        .map(|problem| {
            let rule = problem.rule.expect("everything found is a finding");
            format!("{rule}")
        })
        .collect();
    names.sort();
    names.dedup();
    assert_eq!(names, ["L09 WeakCredential", "L12 AdvisoryWriteIgnored"]);
}

#[test]
fn l01_parts_that_no_links_join() {
    assert_eq!(found(COUNTRIES, "L01"), NONE);
    let text = edited("between: [uk, us],", "between: [uk, us], state: Disabled,")
        .replace("between: [ie, us],", "between: [ie, us], state: Disabled,");
    let expected = "Warning BrokerNetwork/mcollective spec.sites[2]: the network falls into 2 parts that no links join: ie, uk | us";
    assert_eq!(one(&text, "L01"), expected);
    // A stopped site joins nobody, and is missed by nobody.
    let text = edited("{name: uk,", "{name: uk, mode: Stopped,");
    assert_eq!(found(&text, "L01"), NONE);
    let text = text.replace("between: [ie, us],", "between: [ie, us], state: Disabled,");
    assert!(one(&text, "L01").ends_with("ie | us (uk is Stopped)"));
    let denied = edited("  links:\n", "  deniedSites: [uk]\n  links:\n")
        .replace("between: [ie, us],", "between: [ie, us], state: Disabled,");
    assert!(one(&denied, "L01").ends_with("ie | us (uk is denied)"));
}

#[test]
fn l02_what_everything_hangs_on() {
    assert_eq!(found(COUNTRIES, "L02"), NONE);
    let text = edited("between: [ie, us],", "between: [ie, us], state: Disabled,");
    let start = "Warning BrokerNetwork/mcollective";
    let expected = [
        format!("{start} spec.sites[1]: site uk is the only way between ie | us"),
        format!("{start} spec.links[0]: link ie-uk is the only way between uk, us | ie"),
        format!("{start} spec.links[1]: link uk-us is the only way between ie, uk | us"),
    ];
    assert_eq!(found(&text, "L02"), expected);
    let (head, rest) = text.split_once("  links:\n").expect("links");
    let (_, tail) = rest.split_once("  authorization:").expect("rights");
    let star = format!("{head}  topology: {{shape: Star, hub: uk}}\n  authorization:{tail}");
    let found = found(&star, "L02");
    assert!(
        found
            .iter()
            .any(|line| line.contains(" spec.topology: link ie-uk is")),
        "{found:#?}"
    );
}

#[test]
fn l03_two_links_of_one_pair_are_an_error_that_lint_only_names() {
    let twice = "    - {name: twice, between: [us, uk]}\n  authorization:\n";
    let text = edited("  authorization:\n", twice);
    assert!(one(&text, "L03").starts_with(
        "Error BrokerNetwork/mcollective spec.links[3].between: uk-us and twice join the same sites"
    ));
    let own = twice.replace("[us, uk]", "[us, uk], addresses: [{host: h, port: 1}]");
    let first = edited("  authorization:\n", &own).replace(
        "between: [uk, us],",
        "between: [uk, us], addresses: [{host: g, port: 1}],",
    );
    assert_eq!(found(&first, "L03"), NONE);
}

#[test]
fn l05_links_that_nobody_can_dial() {
    assert_eq!(found(COUNTRIES, "L05"), NONE);
    let without = edited(", endpoint: {host: amq.ie.example.com}", "");
    assert_eq!(found(&without, "L05"), NONE, "ie dials the others");
    let text = without.replace(", endpoint: {host: amq.uk.example.com}", "");
    let expected = "Warning BrokerNetwork/mcollective spec.links[0]: neither ie nor uk can dial the link ie-uk";
    assert_eq!(one(&text, "L05"), expected);
    assert_eq!(
        found_at(&text, "L05", &["ie", "uk"]),
        NONE,
        "they are in one cluster"
    );
    assert_eq!(found_at(&text, "L05", &["ie"]).len(), 1);
    let own = text.replace(
        "between: [ie, uk],",
        "between: [ie, uk], addresses: [{host: h, port: 1}],",
    );
    assert_eq!(found(&own, "L05"), NONE);
    // Who alone may dial has to know where.
    let text = without.replace("between: [ie, uk],", "between: [ie, uk], dialer: uk,");
    assert_eq!(found(&text, "L05").len(), 1);
    let closed = edited(
        "link: {service: {type: LoadBalancer}}",
        "link: {state: Closed}",
    );
    assert_eq!(found(&closed, "L05").len(), 3);
}

#[test]
fn l07_one_short_id_of_two_sites() {
    let id = causeway_broker::mesh::ids::Sid::from_name("uk").0;
    let text = edited("{name: ie,", &format!("{{name: ie, id: {id},"));
    assert!(
        one(&text, "L07")
            .starts_with("Error BrokerNetwork/mcollective spec.sites[1]: sites ie and uk")
    );
    let other = edited(
        "{name: ie,",
        &format!("{{name: ie, id: {},", id % 60_000 + 1),
    );
    assert_eq!(found(&other, "L07"), NONE);
}

#[test]
fn l09_passwords_that_can_be_guessed_are_counted_and_not_shown() {
    let found_in = |text: &str| found(text, "L09");
    let all = found_in(COUNTRIES);
    assert!(
        all.iter()
            .all(|line| line.contains("the password of a link has")),
        "{all:#?}"
    );
    let long = COUNTRIES.replace("current: ", "current: long-enough-to-be-");
    assert_eq!(found_in(&long), NONE);
    let short = long.replace("{password: pI1jweRV}", "{password: pI1jweR}");
    let expected = "Warning Secret/user-mcollective stringData.password: the password of a user has 7 letters; at least 8 are hard to guess";
    assert_eq!(found_in(&short), [expected]);
    let shown: String = lint_at(&short, &[])
        .iter()
        .map(|problem| problem.to_text(false))
        .collect();
    assert!(!shown.contains("pI1jweR"), "{shown}");
}

#[test]
fn l10_clear_text_behind_a_way_in_from_outside() {
    assert_eq!(found(COUNTRIES, "L10"), NONE, "links are always inside TLS");
    let common = edited(
        "link: {service: {type: LoadBalancer}}",
        "stomp: {service: {type: LoadBalancer}}",
    );
    let expected = "Warning BrokerNetwork/mcollective spec.siteDefaults.listeners.stomp.service.type: passwords and messages pass a LoadBalancer in clear to the stomp listener of ie, uk, us";
    assert_eq!(one(&common, "L10"), expected);
    let own = edited(
        "{name: uk,",
        "{name: uk, listeners: {stomp: {service: {type: NodePort}}},",
    );
    assert!(one(&own, "L10").contains(
        "spec.sites[1].listeners.stomp.service.type: passwords and messages pass a NodePort"
    ));
    let closed = own.replace("{stomp: {service", "{stomp: {state: Closed, service");
    assert_eq!(found(&closed, "L10"), NONE);
    let tls = edited(
        "{name: uk,",
        "{name: uk, listeners: {stompTls: {state: Open, service: {type: NodePort}}},",
    )
    .replace("  linkAuth:", "  tls: {source: Development}\n  linkAuth:");
    assert_eq!(found(&tls, "L10"), NONE);
}

#[test]
fn l11_groups_without_users_users_without_rights_and_entries_without_effect() {
    assert_eq!(found(COUNTRIES, "L11"), NONE);
    let entry = |entry: &str| {
        edited(
            "    entries:\n",
            &format!("    entries:\n      - {entry}\n"),
        )
    };
    let stranger = entry("{topic: a, read: [strangers-to-all]}");
    let expected = "Note BrokerNetwork/mcollective spec.authorization.entries[0].read[0]: no user is in the group strangers-to-all";
    assert_eq!(one(&stranger, "L11"), expected);
    let needless = entry("{queue: a.b, read: [admins]}");
    let expected = "Note BrokerNetwork/mcollective spec.authorization.entries[0]: everything in it is in spec.authorization.entries[1] already";
    assert_eq!(one(&needless, "L11"), expected);
    assert_eq!(found(&entry("{queue: a.b, read: [everyone]}"), "L11"), NONE);
    let twice = entry("{topic: \">\", read: [admins], write: [admins], admin: [admins]}");
    assert!(
        one(&twice, "L11")
            .contains("entries[2]: everything in it is in spec.authorization.entries[0]")
    );
    let powerless = edited("groups: [admins, everyone]", "groups: [visitors]");
    let expected = "BrokerUser/amq spec.groups: no right names any of the groups visitors";
    assert!(
        found(&powerless, "L11")
            .iter()
            .any(|line| line.contains(expected))
    );
}

#[test]
fn l12_rights_to_send_advisories() {
    let expected = "Note BrokerNetwork/mcollective spec.authorization.entries[3].write: has no effect: only brokers send advisories and make their topics";
    assert_eq!(one(COUNTRIES, "L12"), expected);
    let read = edited(
        "read: [everyone], write: [everyone], admin: [everyone]",
        "read: [everyone]",
    );
    assert_eq!(found(&read, "L12"), NONE);
    let right = "permissions: [{topic: ActiveMQ.Advisory.Queue, operations: [Write]}]";
    let own = read.replacen(
        "  groups: [admins,",
        &format!("  {right}\n  groups: [admins,"),
        1,
    );
    assert!(one(&own, "L12").starts_with("Note BrokerUser/amq spec.permissions[0]:"));
    let deny = own.replace("[Write]}", "[Write], effect: Deny}");
    assert_eq!(found(&deny, "L12"), NONE);
}

#[test]
fn l13_queues_that_a_group_may_use_and_none_of_its_users_may_make() {
    assert_eq!(found(COUNTRIES, "L13"), NONE);
    let text = edited(
        "- {queue: \"mcollective.>\",       read: [mcollectiveusers], write: [mcollectiveusers], admin: [mcollectiveusers]}",
        "- {queue: \"mcollective.>\", read: [mcollectiveusers]}",
    );
    let expected = "Warning BrokerNetwork/mcollective spec.authorization.entries[4]: the group mcollectiveusers may use queues mcollective.>, and none of its users may create them";
    assert_eq!(one(&text, "L13"), expected);
    let right = "permissions: [{queue: \"mcollective.>\", operations: [Admin]}]";
    let own = text.replacen(
        "  groups: [mcollectiveusers,",
        &format!("  {right}\n  groups: [mcollectiveusers,"),
        1,
    );
    assert_eq!(found(&own, "L13"), NONE);
}

#[test]
fn l14_what_is_for_a_while_only() {
    let with = |source: &str, mode: &str| {
        let tls = format!("  tls: {{source: {source}}}\n  linkAuth: {{mode: {mode}}}");
        found(&edited("  linkAuth: {mode: Password}", &tls), "L14")
    };
    let certificates = "Warning BrokerNetwork/mcollective spec.tls.source: certificates of the development authority are for trying things out";
    let both = "Warning BrokerNetwork/mcollective spec.linkAuth.mode: links accept passwords beside certificates, which is for moving from one to the other";
    assert_eq!(with("Development", "PasswordAndMTLS"), [certificates, both]);
    assert_eq!(with("Secret", "MTLS"), NONE);
    assert_eq!(with("Secret", "Password"), NONE);
}

/// A chain of so many sites.
fn chain(count: usize) -> String {
    let names: Vec<String> = (0..count).map(|index| format!("s{index:02}")).collect();
    let sites = names
        .iter()
        .map(|name| format!("    - {{name: {name}, endpoint: {{host: h}}}}\n"));
    format!(
        "apiVersion: causeway.dev/v1alpha1\nkind: BrokerNetwork\nmetadata: {{name: n}}\nspec:\n  sites:\n{}  \
         topology: {{shape: Chain, order: [{}]}}\n",
        sites.collect::<String>(),
        names.join(", ")
    )
}

#[test]
fn l15_sites_that_are_far_apart() {
    assert_eq!(found(&chain(9), "L15"), NONE);
    let expected = "the way from s00 to s09 has 9 hops, more than 8";
    assert!(one(&chain(10), "L15").ends_with(expected));
}

#[test]
fn l16_what_is_named_and_not_there() {
    assert_eq!(found(COUNTRIES, "L16"), NONE);
    let text = edited("metadata: {name: link-ie-uk}", "metadata: {name: other}");
    let expected = "Warning BrokerNetwork/mcollective spec.links[0].credentials.secretRef.name: Secret link-ie-uk is missing; its key current is needed";
    assert_eq!(one(&text, "L16"), expected);
    assert_eq!(
        found_at(&text, "L16", &["us"]),
        NONE,
        "us has no end of that link"
    );
    let text = edited(
        "networkRef: {name: mcollective}",
        "networkRef: {name: other}",
    );
    assert!(one(&text, "L16").starts_with(
        "Warning BrokerUser/amq spec.networkRef.name: there is no BrokerNetwork other"
    ));
    let made = edited(
        "  credentials: {type: Password, secretRef: {name: user-amq}}",
        "  sites: {names: [ie]}\n  credentials: {type: Generated}",
    );
    assert_eq!(found(&made, "L16"), NONE, "the operator makes it");
}

/// Two sites with so many links.
fn bundle_of(count: usize) -> String {
    let links = (0..count).map(|index| {
        let address = format!("{{host: h, port: {}}}", index + 1);
        format!("    - {{name: l{index}, between: [a, b], addresses: [{address}]}}\n")
    });
    format!(
        "apiVersion: causeway.dev/v1alpha1\nkind: BrokerNetwork\nmetadata: {{name: net}}\nspec:\n  \
         tls: {{source: Secret}}\n  linkAuth: {{mode: MTLS}}\n  sites: [{{name: a}}, {{name: b}}]\n  links:\n{}",
        links.collect::<String>()
    )
}

#[test]
fn l17_too_many_links_and_a_name_that_is_taken() {
    assert_eq!(found(&bundle_of(128), "L17"), NONE);
    let many = found(&bundle_of(129), "L17");
    assert_eq!(many.len(), 2, "{many:#?}");
    let expected = "Error BrokerNetwork/net spec.links: site a has 129 links after expansion; at most 128 are allowed";
    assert_eq!(many[0], expected);
    let mesh = edited("  links:\n", "  topology: {shape: Mesh}\n  links:\n");
    assert_eq!(found(&mesh, "L17"), NONE);
    // The second link takes the name that the shape has for the pair of the third, which is joined otherwise.
    let taken = mesh
        .replace(
            "{name: uk-us, between: [uk, us],",
            "{name: ie-us, between: [uk, us],",
        )
        .replace(
            "{name: ie-us, between: [ie, us],",
            "{name: other, between: [ie, uk], addresses: [{host: h, port: 1}],",
        )
        .replace(
            "{name: ie-uk, between: [ie, uk],",
            "{name: first, between: [ie, uk], addresses: [{host: g, port: 1}],",
        );
    let expected =
        "Error BrokerNetwork/mcollective spec.links[1].name: ie-us is also the name of the link";
    assert!(one(&taken, "L17").starts_with(expected));
}

/// Names that the documents use were once gathered for each Secret that is missing: it took more than a minute.
const STATED: Duration = Duration::from_secs(1);

#[test]
fn a_mesh_of_as_many_sites_as_there_may_be_is_looked_through_at_once() {
    let mesh = chain(64).replace("Chain, order: ", "Mesh, ignored: ");
    let mesh = mesh.split(", ignored").next().expect("a part").to_owned() + "}\n";
    let began = Instant::now();
    let problems = lint_at(&mesh, &[]);
    let took = began.elapsed();
    println!("took {took:?}, stated {STATED:?}");
    assert!(took < 5 * STATED, "it took {took:?}");
    let is_named = |one: &Problem| one.reason.contains("2016 links");
    assert!(problems.iter().any(is_named), "{problems:#?}");
}
