//! What a status says is true: local facts, reports with their age, and nothing from partial knowledge.

mod ages;
mod events;
mod messages;
mod table;
mod world;

use std::collections::BTreeSet;

use causeway_operator::api::condition::{ConditionType, EventKind, Reason};
use causeway_operator::api::status::BrokerNetworkStatus;

use self::table::{CAUSES, CERTIFICATES, LINKS_AND_PEERS, READY, Row, STALLS};
use self::world::{World, condition, kstatus, words};

fn rows() -> impl Iterator<Item = &'static Row> {
    [READY, LINKS_AND_PEERS, CERTIFICATES, STALLS]
        .into_iter()
        .flatten()
}

fn after(happens: impl FnOnce(&mut World)) -> (World, BrokerNetworkStatus) {
    let mut world = World::settled();
    happens(&mut world);
    let status = world.compute().status;
    (world, status)
}

#[test]
fn every_condition_says_what_happened_and_tools_read_it_right() {
    for (name, happens, expected, verdict) in rows() {
        let (world, status) = after(*happens);
        let words = words(&status);
        for word in *expected {
            assert!(
                words.iter().any(|found| found == word),
                "{name}: no {word} in {:#?}",
                status.conditions
            );
        }
        assert_eq!(
            kstatus(&world, &status),
            *verdict,
            "{name}: {:#?}",
            status.conditions
        );
    }
}

#[test]
fn what_is_there_only_while_it_holds_is_never_there_otherwise_nor_two_at_once() {
    for (name, happens, ..) in rows() {
        let (_, status) = after(*happens);
        let found = |kind| condition(&status, kind);
        for kind in [
            ConditionType::Reconciling,
            ConditionType::Stalled,
            ConditionType::Paused,
        ] {
            let truth = found(kind).map(|one| one.status.as_str());
            assert!(matches!(truth, None | Some("True")), "{name}: {kind}");
        }
        let both = [ConditionType::Reconciling, ConditionType::Stalled];
        assert!(
            both.into_iter().any(|kind| found(kind).is_none()),
            "{name}: {status:#?}"
        );
        for condition in status.conditions.iter().flatten() {
            assert!(!condition.reason.is_empty(), "{name}");
            assert!(!condition.message.is_empty() || name.contains("first sight"));
        }
    }
}

#[test]
fn mistakes_of_the_object_stall_it_with_their_own_reason() {
    for cause in CAUSES {
        let mut world = World::settled();
        world.find(cause);
        let status = world.compute().status;
        let words = words(&status);
        let expected = format!("Stalled=True {cause}");
        assert!(words.contains(&expected), "{words:?}");
        assert_eq!(kstatus(&world, &status), "Failed");
    }
}

#[test]
fn the_page_about_the_status_names_every_condition_and_event() {
    let page = include_str!("../../../docs/status.md");
    let conditions = ConditionType::ALL.iter().map(ToString::to_string);
    let events = EventKind::ALL.iter().map(ToString::to_string);
    for word in conditions.chain(events) {
        assert!(page.contains(&word), "{word} is not in docs/status.md");
    }
}

/// Reasons of a BrokerUser's status, which somebody else writes.
const OF_USERS: [Reason; 4] = [
    Reason::UnknownSite,
    Reason::Suspended,
    Reason::NetworkNotFound,
    Reason::DuplicateUsername,
];

#[test]
fn every_reason_of_the_list_is_reached() {
    let mut reached = BTreeSet::new();
    for (_, happens, ..) in rows() {
        let (_, status) = after(*happens);
        let conditions = status.conditions.into_iter().flatten();
        reached.extend(conditions.map(|condition| condition.reason));
    }
    reached.extend(CAUSES.iter().map(ToString::to_string));
    let missing: Vec<&Reason> = Reason::ALL
        .iter()
        .filter(|reason| !OF_USERS.contains(reason) && !reached.contains(reason.as_str()))
        .collect();
    assert!(missing.is_empty(), "nothing reaches {missing:?}");
}
