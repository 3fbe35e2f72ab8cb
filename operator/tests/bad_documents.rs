//! Bad documents: all that is wrong, in one run, each with its line and field.

use causeway_operator::documents::{Problem, Severity, Source};
use causeway_operator::network::load::load;
use causeway_operator::network::validate::MissingSecrets;

/// Everything found, one line each.
fn problems(texts: &[&str]) -> Vec<Problem> {
    let sources: Vec<_> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| Source::new(format!("{index}.yaml"), *text))
        .collect();
    match load(&sources, None, MissingSecrets::Refuse) {
        Ok(loaded) => loaded.problems,
        Err(problems) => problems,
    }
}

fn lines(texts: &[&str]) -> String {
    problems(texts)
        .iter()
        .map(|problem| format!("{problem}\n"))
        .collect()
}

const GOOD: &str = include_str!("../../deploy/examples/countries.yaml");

/// A network with one more or another line of its spec.
fn network(spec: &str) -> String {
    format!(
        "apiVersion: causeway.dev/v1alpha1\nkind: BrokerNetwork\nmetadata: {{name: net}}\nspec:\n{spec}\n  \
         sites: [{{name: ie}}, {{name: uk}}]\n"
    )
}

#[test]
fn examples_are_without_any_problem() {
    let examples = [
        GOOD,
        include_str!("../../deploy/examples/ring.yaml"),
        include_str!("../../deploy/examples/mesh.yaml"),
    ];
    for example in examples {
        assert_eq!(lines(&[example]), "");
    }
}

#[test]
fn everything_wrong_with_a_file_is_found_in_one_run() {
    let expected = include_str!("fixtures/everything_wrong.txt");
    let found = lines(&[include_str!("fixtures/everything_wrong.yaml")]);
    assert!(found == expected, "found:\n{found}");
}

#[test]
fn each_mistake_is_told_with_its_place() {
    let rows = [
        (
            "an unknown field",
            "  toplogy: {}",
            "0.yaml:5:3: BrokerNetwork/net spec.toplogy: unknown field toplogy (did you mean topology?)",
        ),
        (
            "a field of later work",
            "  bridges: []",
            "0.yaml:5:3: BrokerNetwork/net spec.bridges: unknown field bridges",
        ),
        (
            "a wrong word",
            "  topology: {shape: Rng}",
            "0.yaml:5:21: BrokerNetwork/net spec.topology.shape: Rng is not one of Custom, Mesh, Ring, Star, Chain (did you mean Ring?)",
        ),
        (
            "an empty field",
            "  topology: {shape: }",
            "0.yaml:5:14: BrokerNetwork/net spec.topology.shape: is empty; expected text",
        ),
        (
            "a list for a mapping",
            "  topology: [Mesh]",
            "0.yaml:5:13: BrokerNetwork/net spec.topology: expected a mapping, found a list",
        ),
        (
            "a boolean for text",
            "  deniedSites: [no]",
            "0.yaml:5:17: BrokerNetwork/net spec.deniedSites[0]: expected text, found the boolean false (an unquoted no is not text; write \"no\")",
        ),
        (
            "a number for text",
            "  settings: {maxFrameSize: 10}",
            "0.yaml:5:28: BrokerNetwork/net spec.settings.maxFrameSize: expected text, found the number 10 (an unquoted 10 is not text; write \"10\")",
        ),
        (
            "a size",
            "  settings: {maxFrameSize: 10MB}",
            "0.yaml:5:28: BrokerNetwork/net spec.settings.maxFrameSize: \"10MB\" must be a number of bytes, or a number and one of Ki, Mi, Gi",
        ),
        (
            "a port",
            "  siteDefaults: {listeners: {stomp: {port: 70000}}}",
            "0.yaml:5:44: BrokerNetwork/net spec.siteDefaults.listeners.stomp.port: 70000 is out of range: 1 to 65535",
        ),
        (
            "two listeners on one port",
            "  siteDefaults: {listeners: {stomp: {port: 61618}}}",
            "0.yaml:6:11: BrokerNetwork/net spec.sites[0].listeners: stomp and link both listen on port 61618\n0.yaml:6:23: BrokerNetwork/net spec.sites[1].listeners: stomp and link both listen on port 61618",
        ),
        (
            "a pattern",
            "  authorization: {entries: [{queue: a.>.b, read: [g]}]}",
            "0.yaml:5:37: BrokerNetwork/net spec.authorization.entries[0].queue: \"a.>.b\" must be names joined by dots, where * stands for one and > at the end for the rest",
        ),
        (
            "a rule of the schema",
            "  topology: {shape: Star}",
            "0.yaml:5:3: BrokerNetwork/net spec.topology: topology Star needs hub, a name from sites",
        ),
        (
            "a heart-beat",
            "  links: [{name: l, between: [ie, uk], tuning: {heartbeat: 5m}, credentials: {secretRef: {name: s}}}]",
            "0.yaml:5:60: BrokerNetwork/net spec.links[0].tuning.heartbeat: is out of range: 100ms to 60s",
        ),
        (
            "a key of the broker",
            "  settings: {extra: {limits.frme: 1Mi}}",
            "0.yaml:5:35: BrokerNetwork/net spec.settings.extra[\"limits.frme\"]: unknown field frme (did you mean limits.frame?)",
        ),
        (
            "two keys the broker refuses",
            "  settings: {extra: {queue.policies: 3, memory.limit: 1Mi}}",
            "0.yaml:5:38: BrokerNetwork/net spec.settings.extra[\"queue.policies\"]: the broker refuses it: invalid type: integer `3`, expected a sequence\n\
             0.yaml:5:55: BrokerNetwork/net spec.settings.extra[\"memory.limit\"]: the broker refuses it: must be at least 16Mi",
        ),
        (
            "memory the broker refuses",
            "  settings: {extra: {memory.limit: 1Mi}}",
            "0.yaml:5:36: BrokerNetwork/net spec.settings.extra[\"memory.limit\"]: the broker refuses it: must be at least 16Mi",
        ),
    ];
    let secret =
        "---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {current: abc}\n";
    for (name, spec, expected) in rows {
        let found = lines(&[&(network(spec) + secret)]);
        assert!(found.starts_with(expected), "{name}:\n{found}");
        assert_eq!(
            found.lines().count(),
            expected.lines().count(),
            "{name}:\n{found}"
        );
    }
}

#[test]
fn missing_secrets_and_keys_are_all_listed() {
    let text = network("  topology: {shape: Mesh}")
        + "---\napiVersion: causeway.dev/v1alpha1\nkind: BrokerUser\nmetadata: {name: amq}\nspec:\n  \
           networkRef: {name: net}\n  credentials: {type: Password, secretRef: {name: u}}\n\
           ---\napiVersion: v1\nkind: Secret\nmetadata: {name: u}\nstringData: {pasword: x}\n";
    assert_eq!(
        lines(&[&text]),
        "0.yaml:5:3: BrokerNetwork/net spec.topology: Secret net-link-ie-uk is missing; its key current is needed \
         (add a document of kind Secret with that name)\n\
         0.yaml:13:33: BrokerUser/amq spec.credentials.secretRef: Secret u has no key password (it has pasword)\n"
    );
}

#[test]
fn values_of_secrets_are_not_shown() {
    let text = GOOD.replace("current: Afuphohxoh", "current: 0x5ec2e7");
    let found: String = problems(&[&text])
        .iter()
        .map(|problem| problem.to_text(false) + &problem.to_json())
        .collect();
    assert!(found.contains("put the value into quotes"), "{found}");
    assert!(!found.contains("5ec2e7"), "{found}");
}

#[test]
fn syntax_error_in_one_file_does_not_hide_what_is_wrong_in_another() {
    let found = lines(&["a: [1\nb: 2\n", &network("  toplogy: {}")]);
    assert!(found.starts_with("0.yaml:2:2: not YAML: "), "{found}");
    assert!(
        found.contains("1.yaml:5:3: BrokerNetwork/net spec.toplogy: unknown field toplogy"),
        "{found}"
    );
}

#[test]
fn documents_that_are_not_ours_are_passed_over_with_a_note() {
    let text = GOOD.to_owned()
        + "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\nspec: {a: b}\n";
    let found = problems(&[&text]);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].severity, Severity::Note);
    assert_eq!(
        found[0].reason,
        "Deployment is not used here and is passed over"
    );
}

#[test]
fn unknown_kinds_and_versions_of_our_group_are_errors() {
    for (header, expected) in [
        (
            "apiVersion: causeway.dev/v1alpha1\nkind: BrokerBridge",
            "kind: there is no BrokerBridge in",
        ),
        (
            "apiVersion: causeway.dev/v1\nkind: BrokerUser",
            "apiVersion: there is no BrokerUser in",
        ),
        ("kind: BrokerNetwork", "apiVersion"),
    ] {
        let found = lines(&[GOOD, &format!("{header}\nmetadata: {{name: x}}\n")]);
        assert!(found.contains(expected), "{found}");
    }
}

#[test]
fn one_object_declared_twice_and_one_login_name_given_twice_are_errors() {
    let user = |name: &str| {
        format!(
            "---\napiVersion: causeway.dev/v1alpha1\nkind: BrokerUser\nmetadata: {{name: {name}}}\nspec:\n  \
             networkRef: {{name: mcollective}}\n  username: amq\n  \
             credentials: {{type: Password, secretRef: {{name: user-amq}}}}\n"
        )
    };
    let found = lines(&[GOOD, &(user("amq") + &user("zoe"))]);
    assert!(
        found.contains("BrokerUser amq is declared twice; the first is at 0.yaml:"),
        "{found}"
    );
    assert!(
        found.contains("amq is the username of BrokerUser amq too"),
        "{found}"
    );
}

#[test]
fn hostile_texts_are_refused_and_do_not_exhaust_the_machine() {
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..9 {
        let below = format!("*a{}", level - 1);
        laughs += &format!("a{level}: &a{level} [{}]\n", vec![below; 10].join(", "));
    }
    assert!(lines(&[&laughs]).contains("more than a million values"));
    assert!(
        lines(&[&("[".repeat(100) + &"]".repeat(100))]).contains("nested deeper than 64 levels")
    );
    assert!(lines(&["a: &a [*a]"]).contains("not YAML"));
    assert!(lines(&[&"x".repeat((16 << 20) + 1)]).contains("larger than 16 MiB"));
    assert!(lines(&["", "# nothing\n"]).contains("holds no document"));
    assert!(
        lines(&["{a: 1, b: 2, a: 3}"]).contains("the key a is given twice; the first is on line 1")
    );
}

#[test]
fn several_networks_need_a_choice() {
    let other = network("").replace("{name: net}", "{name: other}");
    assert!(
        lines(&[GOOD, &other])
            .contains("there are several networks: mcollective, other (choose one with")
    );
    let sources = [Source::new("a.yaml", GOOD), Source::new("b.yaml", other)];
    let loaded = load(&sources, Some("mcollective"), MissingSecrets::Refuse).expect("it is chosen");
    assert_eq!(loaded.network.name.as_str(), "mcollective");
    assert!(load(&sources, Some("third"), MissingSecrets::Refuse).is_err());
}

#[test]
fn source_line_is_shown_and_marked() {
    let found = problems(&[&network("  toplogy: {}")]);
    let text = found[0].to_text(false);
    for part in [
        "0.yaml:5:3",
        "  toplogy: {}",
        "BrokerNetwork/net spec.toplogy: unknown field toplogy",
        "did you mean topology?",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn documentation_of_the_resources_is_without_error() {
    let documentation = include_str!("../../docs/resources.md");
    let blocks: Vec<&str> = documentation
        .split("```yaml\n")
        .skip(1)
        .filter_map(|block| block.split_once("```").map(|(text, _)| text))
        .collect();
    let secrets = "apiVersion: v1\nkind: Secret\nmetadata: {name: link-ie-uk}\nstringData: {current: a}\n\
                   ---\napiVersion: v1\nkind: Secret\nmetadata: {name: user-mcollective}\nstringData: {password: a}\n";
    assert_eq!(lines(&[&blocks.join("---\n"), secrets]), "");
}

#[test]
fn names_from_a_document_reach_no_terminal_as_they_are() {
    let found = problems(&[&network("  \"\\e[31mco\\nst\": 50")]);
    assert!(!found.is_empty());
    for problem in found {
        let line = problem.to_string();
        assert!(!line.contains(char::is_control), "{line:?}");
        assert!(line.contains(r"\u{1b}[31mco\nst"), "{line}");
        let text = problem.to_text(false).replace('\n', "");
        assert!(!text.contains(char::is_control), "{text:?}");
    }
}
