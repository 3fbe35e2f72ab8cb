//! `can-i` agrees with the broker, and says what decides.

mod offline;

use std::collections::BTreeMap;

use causeway_broker::model::Kind;
use causeway_broker::security::{Rules, Verb, password};
use causeway_operator::names::SiteName;
use causeway_operator::network::credentials::{self, HashCache};
use causeway_operator::network::placement;
use causeway_operator::render;
use causeway_operator::rights::{self, Answer, Question};
use offline::{edited, loaded};

/// The example with a collective, and users with rights of their own.
fn document() -> String {
    let text = edited(
        "  authorization:\n",
        "  authorization:\n    collectives: [{name: c, servers: [nodes], admins: [ops]}]\n",
    );
    let user = |name: &str, fields: &str| {
        format!(
            "---\napiVersion: causeway.dev/v1alpha1\nkind: BrokerUser\nmetadata: {{name: {name}}}\nspec:\n  \
             networkRef: {{name: mcollective}}\n  credentials: {{type: Password, secretRef: {{name: user-amq}}}}\n{fields}"
        )
    };
    text + &user("node", "  groups: [nodes]\n")
        + &user("op", "  groups: [ops]\n  username: operator\n")
        + &user(
            "mixed",
            "  groups: [mcollectiveusers]\n  permissions:\n    \
             - {topic: mcollective.secret, operations: [Read], effect: Deny}\n    \
             - {queue: \"own.*\", operations: [Read, Write]}\n",
        )
        + &user("nobody", "")
        + &user("gone", "  state: Suspended\n  groups: [admins]\n")
        + &user("local", "  groups: [admins]\n  sites: {names: [uk]}\n")
}

fn ask(user: &str, verb: Verb, destination: &str, site: Option<&str>) -> Answer {
    let loaded = loaded(&document());
    let site = site.map(SiteName::new);
    let question = Question {
        user,
        verb,
        destination,
        site: site.as_ref(),
    };
    rights::answer(&loaded.declared, &loaded.network, &question).expect("a question")
}

#[test]
fn answers_are_those_of_the_files_that_a_broker_gets() {
    let loaded = loaded(&document());
    let network = &loaded.network;
    let jobs = credentials::missing(network, &HashCache::new()).into_iter();
    let hashes = jobs.map(|job| (job, password::DUMMY.to_owned())).collect();
    let ie = SiteName::new("ie");
    let placement = placement::in_cluster(network, &ie).expect("a site");
    let files = render::render(network, &ie, &placement, &hashes).expect("rendered");
    let config = render::check(&files, &BTreeMap::new()).expect("a broker takes it");
    let rules = Rules::new(&config.broker.authorization, &config.users.users);
    let names = [
        "mcollective.x",
        "mcollective.secret",
        "mcollective.>",
        "own.a",
        "own.a.b",
        "c.nodes",
        "c.reply.1.2",
        "c.x.agent",
        "c.registration.agent",
        "other",
        ">",
        "ActiveMQ.Advisory.Queue",
    ];
    let users = [
        "amq",
        "mcollective",
        "node",
        "operator",
        "mixed",
        "nobody",
        "gone",
    ];
    let mut yes = 0;
    for user in users {
        for verb in [Verb::Read, Verb::Write, Verb::Admin] {
            for (kind, word) in [(Kind::Queue, "queue"), (Kind::Topic, "topic")] {
                for name in names {
                    // A broker refuses these before it looks at rights.
                    let can_be = verb != Verb::Write || !name.ends_with('>');
                    let expected = can_be
                        && rules
                            .identity(user)
                            .is_some_and(|identity| rules.may(identity, verb, kind, name));
                    let destination = format!("/{word}/{name}");
                    let question = Question {
                        user,
                        verb,
                        destination: &destination,
                        site: Some(&ie),
                    };
                    let answer = rights::answer(&loaded.declared, network, &question);
                    let answer = answer.expect("a question");
                    assert_eq!(
                        answer.allowed, expected,
                        "{user} {verb:?} {destination}: {answer:?}"
                    );
                    yes += usize::from(expected);
                }
            }
        }
    }
    assert!((100..400).contains(&yes), "{yes} of 504 are a yes");
}

#[test]
fn the_deciding_entry_is_named_with_its_place() {
    let rows = [
        (
            ask("mcollective", Verb::Read, "/topic/mcollective.a", None),
            true,
            "topic mcollective.> gives read to the group mcollectiveusers",
            "BrokerNetwork/mcollective spec.authorization.entries[2]",
        ),
        (
            ask("mixed", Verb::Read, "/topic/mcollective.secret", None),
            false,
            "Deny read topic mcollective.secret, of the user's own",
            "BrokerUser/mixed spec.permissions[0]",
        ),
        (
            ask("mixed", Verb::Write, "/queue/own.x", None),
            true,
            "Allow write queue own.*, of the user's own",
            "BrokerUser/mixed spec.permissions[1]",
        ),
        (
            ask("operator", Verb::Write, "/queue/c.nodes", None),
            true,
            "queue c.nodes gives write to the group ops",
            "BrokerNetwork/mcollective spec.authorization.collectives[0]",
        ),
        (
            ask("node", Verb::Write, "/queue/c.nodes", None),
            false,
            "nothing gives write: the user's groups are nodes",
            "",
        ),
        (
            ask("nobody", Verb::Write, "/temp-queue/x", None),
            true,
            "the rights on temporary destinations give write",
            "BrokerNetwork/mcollective spec.authorization.temporary",
        ),
        (
            ask("amq", Verb::Write, "/topic/ActiveMQ.Advisory.x", None),
            false,
            "only brokers send advisories",
            "",
        ),
    ];
    for (answer, allowed, because, place) in rows {
        let part = &answer.parts[0];
        assert_eq!((part.allowed, part.because.as_str()), (allowed, because));
        let place_of: Vec<&str> = [&part.document, &part.path]
            .into_iter()
            .filter_map(|text| text.as_deref())
            .collect();
        assert_eq!(place_of.join(" "), place, "{because}");
    }
}

#[test]
fn every_part_of_a_composite_has_to_pass() {
    let whole = ask(
        "mcollective",
        Verb::Write,
        "/queue/mcollective.a,topic://mcollective.b",
        None,
    );
    assert!(whole.allowed && whole.parts.len() == 2, "{whole:?}");
    let part = ask(
        "mcollective",
        Verb::Write,
        "/queue/mcollective.a,topic://other",
        None,
    );
    let answers: Vec<(&str, bool)> = part
        .parts
        .iter()
        .map(|part| (part.destination.as_str(), part.allowed))
        .collect();
    assert_eq!(
        answers,
        [("queue/mcollective.a", true), ("topic/other", false)]
    );
    assert!(!part.allowed);
}

#[test]
fn who_cannot_log_in_may_do_nothing() {
    assert_eq!(
        ask("gone", Verb::Read, "/queue/x", None).parts[0].because,
        "the user is Suspended"
    );
    let away = ask("local", Verb::Read, "/queue/x", Some("ie"));
    assert_eq!(
        (away.allowed, away.parts[0].because.as_str()),
        (false, "the user is not known at ie, only at uk")
    );
    assert!(ask("local", Verb::Read, "/queue/x", Some("uk")).allowed);
    let anywhere = ask("local", Verb::Read, "/queue/x", None);
    assert!(anywhere.allowed);
    assert_eq!(anywhere.notes, ["the user is known at uk only"]);
}

#[test]
fn a_queue_that_the_user_may_use_and_not_make_is_told() {
    let answer = ask("mixed", Verb::Write, "/queue/own.x", None);
    let expected = "a queue own.x that is not there yet is refused: creating it needs admin";
    assert_eq!(answer.notes, [expected]);
    assert_eq!(ask("amq", Verb::Write, "/queue/own.x", None).notes, [""; 0]);
}

#[test]
fn questions_about_nothing_are_refused_with_what_there_is() {
    let loaded = loaded(&document());
    let refused = |user, destination, site| {
        let question = Question {
            user,
            verb: Verb::Read,
            destination,
            site,
        };
        let answer = rights::answer(&loaded.declared, &loaded.network, &question);
        answer.expect_err("no question").to_string()
    };
    assert!(
        refused("op", "/queue/x", None).contains("there is no user op; the network has amq, gone")
    );
    let de = SiteName::new("de");
    assert!(refused("amq", "/queue/x", Some(&de)).contains("there is no site de"));
    assert!(refused("amq", "/queue/a..b", None).contains("a segment of the name is empty"));
}

#[test]
fn nobody_sends_to_a_wildcard_whatever_the_rights() {
    for destination in ["/queue/>", "/topic/a.*"] {
        let answer = ask("amq", Verb::Write, destination, None);
        assert!(!answer.allowed, "{destination}");
        let because = &answer.parts[0].because;
        assert_eq!(because, "a message cannot be sent to a wildcard");
    }
    assert!(ask("amq", Verb::Read, "/queue/>", None).allowed);
}
