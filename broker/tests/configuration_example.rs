//! The example of `docs/configuration.md` is a directory that a broker accepts, and what it calls a
//! default is one.

use std::collections::BTreeMap;

use causeway_broker::config::file::{BrokerFile, UserState};
use causeway_broker::config::{Config, Files};
use causeway_broker::model::Kind;
use causeway_broker::security::{Rules, Verb, password};

const PAGE: &str = include_str!("../../docs/configuration.md");

/// The YAML blocks of the page, in their order.
fn blocks() -> Vec<&'static str> {
    PAGE.split("```yaml\n")
        .skip(1)
        .map(|rest| rest.split("\n```").next().unwrap_or(rest))
        .collect()
}

fn files() -> Files {
    let blocks = blocks();
    assert_eq!(blocks.len(), 3, "broker.yaml, users.yaml and secrets.yaml");
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a pair");
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let others = [
        ("tls/tls.crt", &certificate),
        ("tls/tls.key", &key),
        ("ca/ca.crt", &certificate),
        ("clients/ca.crt", &certificate),
    ];
    Files {
        broker: blocks[0].into(),
        users: blocks[1].into(),
        secrets: blocks[2].into(),
        others: BTreeMap::from(
            others.map(|(path, text)| (path.to_owned(), text.clone().into_bytes())),
        ),
    }
}

fn load(files: &Files) -> Config {
    match Config::from_files(files) {
        Ok(config) => config,
        Err(problems) => panic!("{problems:#?}"),
    }
}

/// The example up to its defaults.
fn without_defaults() -> Files {
    let mut files = files();
    let whole = String::from_utf8_lossy(&files.broker).into_owned();
    let Some((head, _)) = whole.split_once("\nqueue:") else {
        panic!("the defaults begin with the section queue");
    };
    files.broker = head.into();
    files
}

#[test]
fn the_example_is_accepted() {
    let config = load(&files());
    assert_eq!(config.hash.len(), 16);
    assert_eq!(config.broker.sites.len(), 3);
    assert_eq!(config.broker.links.len(), 2);
    assert!(config.secrets.links["ie-uk"].previous.is_some());
    assert_eq!(config.users.users[1].state, UserState::Active);
}

#[test]
fn what_the_example_calls_a_default_is_one() {
    let (shown, filled_in) = (load(&files()), load(&without_defaults()));
    assert_eq!(shown.limits, filled_in.limits);
}

#[test]
fn the_example_shows_every_key_that_has_a_default() {
    let text = format!("{:?}", load(&files()).broker);
    let sections = text.split_once("queue: QueueSection");
    let (queue, rest) = sections
        .and_then(|(_, sections)| sections.split_once("policies: Some"))
        .unwrap_or_default();
    let (_, others) = rest.split_once("topic: TopicSection").unwrap_or_default();
    assert!(queue.contains("Some") && others.contains("Some"), "{text}");
    assert!(!queue.contains(": None"), "{queue}");
    assert!(!others.contains(": None"), "{others}");
}

#[test]
fn the_passwords_that_the_page_tells_let_in() {
    let config = load(&files());
    let verifiers = |name: &str| {
        let user = config.users.users.iter().find(|user| user.name == name);
        user.map(|user| user.verifiers.clone()).unwrap_or_default()
    };
    assert!(password::verify("Afuphohxoh", &verifiers("amq")[0]));
    assert!(password::verify("pI1jweRV", &verifiers("mcollective")[0]));
    assert!(password::verify("Cc5ZoUaH", &verifiers("mcollective")[1]));
    assert!(!password::verify("Cc5ZoUaH", &verifiers("mcollective")[0]));
}

#[test]
fn the_rights_of_the_example_are_what_it_says() {
    let config = load(&files());
    let rules = Rules::new(&config.broker.authorization, &config.users.users);
    let may = |user: &str, verb, kind, name: &str| {
        let identity = rules.identity(user);
        identity.is_some_and(|identity| rules.may(identity, verb, kind, name))
    };
    assert!(may("amq", Verb::Admin, Kind::Queue, "anything"));
    assert!(may("mcollective", Verb::Read, Kind::Topic, "mcollective.>"));
    assert!(!may("mcollective", Verb::Read, Kind::Topic, ">"));
    assert!(!may(
        "mcollective",
        Verb::Read,
        Kind::Queue,
        "mcollective.secret.a"
    ));
    assert!(!may("probe", Verb::Read, Kind::Topic, "mcollective.a"));
    assert!(may("probe", Verb::Write, Kind::TempQueue, "a"));
}

#[test]
fn the_example_is_written_and_read_again_without_loss() {
    let config = load(&files());
    let text = serde_yaml::to_string(&config.broker).unwrap_or_default();
    let again: Result<BrokerFile, _> = serde_yaml::from_str(&text);
    assert_eq!(again.ok().as_ref(), Some(&config.broker), "{text}");
}
