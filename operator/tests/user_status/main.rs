//! What a BrokerUser says of itself is true, tools read it right, and nothing is written that says nothing new.

mod messages;
mod table;
mod world;

use std::time::Duration;

use causeway_operator::names::SiteName;
use causeway_operator::user::decided::Seen;
use causeway_operator::user::view::Ack;
use k8s_openapi::jiff::SignedDuration;

use self::table::TABLE;
use self::world::{World, kstatus, words};

#[test]
fn every_condition_says_what_happened_and_tools_read_it_right() {
    for (name, happens, expected, verdict) in TABLE {
        let mut world = World::settled();
        happens(&mut world);
        world.step();
        let status = world.status();
        let words = words(&status);
        for word in *expected {
            assert!(
                words.iter().any(|found| found == word),
                "{name}: no {word} in {words:?}"
            );
        }
        assert_eq!(kstatus(&world.user, &status), *verdict, "{name}: {words:?}");
        let both = |kind: &str| words.iter().any(|word| word.starts_with(kind));
        assert!(
            !(both("Reconciling") && both("Stalled")),
            "{name}: {words:?}"
        );
        for condition in status.conditions.iter().flatten() {
            assert!(!condition.message.is_empty(), "{name}: {words:?}");
            assert_eq!(
                condition.observed_generation, world.user.metadata.generation,
                "{name}"
            );
        }
    }
}

#[test]
fn what_was_written_once_is_not_written_again_whatever_happened() {
    for (name, happens, ..) in TABLE {
        let mut world = World::settled();
        happens(&mut world);
        world.step();
        let before = world.status();
        world.now += SignedDuration::from_secs(30);
        let again = world.compute().status;
        assert!(
            again.is_none() || again.as_ref() == Some(&before),
            "{name}: {again:#?} after {before:#?}"
        );
        // The brokers have not been asked by the next operator yet.
        let sites: Vec<SiteName> = world.view.sites.keys().cloned().collect();
        let is_decided = matches!(world.seen, Seen::View(_));
        // While a credential is on its way nobody can tell which one an old row was about.
        let is_about = before.credential_version == world.view.credential;
        if is_decided && is_about && world.view.problem.is_none() {
            for site in sites {
                world.ack(site.as_str(), Ack::NotAsked);
            }
            let anew = world.compute().status;
            assert!(
                anew.is_none() || anew.as_ref() == Some(&before),
                "{name}: {anew:#?} after {before:#?}"
            );
        }
        world.seen = Seen::Unknown;
        assert_eq!(world.compute().status, None, "{name}");
    }
}

#[test]
fn a_state_that_ends_by_itself_in_a_moment_is_written_only_when_it_lasts() {
    for (name, happens, expected, _) in TABLE {
        let mut world = World::settled();
        happens(&mut world);
        let patience = world.compute().patience;
        let is_news = expected
            .iter()
            .any(|word| word.starts_with("Reconciling") || word.contains("NetworkNotFound"));
        if is_news {
            assert!(patience >= Duration::from_secs(1), "{name}: {patience:?}");
        }
        let is_final = expected.iter().any(|word| {
            word.starts_with("Ready=True") || word.contains("Malformed") || word.contains("Owned")
        });
        if is_final {
            assert_eq!(patience, Duration::ZERO, "{name}");
        }
    }
}

/// Every reason that only users have, and every condition of theirs, is reached above.
#[test]
fn the_page_about_the_status_names_every_reason_of_users() {
    let page = include_str!("../../../docs/status.md");
    for (name, _, expected, _) in TABLE {
        for word in *expected {
            let reason = word.rsplit(' ').next().unwrap_or_default();
            assert!(
                page.contains(reason),
                "{name}: {reason} is not in docs/status.md"
            );
        }
    }
}
