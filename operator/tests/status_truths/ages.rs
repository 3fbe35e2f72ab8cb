//! What age does to a truth, and what it does not.

use std::time::Duration;

use causeway_operator::api::condition::{ConditionType, Reason};
use causeway_operator::api::status::{BrokerNetworkStatus, LinkState, SiteState, SiteStatus};
use causeway_operator::model::observed::BrokerState;
use serde_json::json;

use super::world::{OTHER, World, condition, ie, words};

fn site<'a>(status: &'a BrokerNetworkStatus, name: &str) -> &'a SiteStatus {
    let mut sites = status.sites.iter().flatten();
    sites.find(|row| row.name == name).expect("a row")
}

fn says(status: &BrokerNetworkStatus, word: &str) -> bool {
    words(status).iter().any(|found| found == word)
}

#[test]
fn rows_show_local_facts_and_reports_with_their_age() {
    let status = World::settled().compute().status;
    let summary = status.summary.clone().expect("a summary");
    assert_eq!(
        [&*summary.sites, &*summary.links, &*summary.users],
        ["3/3", "2/2", "2/2"]
    );
    let us = serde_json::to_value(site(&status, "us")).expect("JSON");
    assert_eq!(us["via"], "uk");
    assert_eq!(
        (us["hops"].as_i64(), &us["reachable"]),
        (Some(2), &json!("True"))
    );
    assert_eq!(us["lastSeen"], "2026-11-25T11:59:59Z");
    let link = &status.links.as_ref().expect("links")[0];
    let link = serde_json::to_value(link).expect("JSON");
    assert_eq!(
        link["ends"][0],
        json!({
            "site": "ie", "role": "Dialer", "state": "Up", "since": "2026-11-25T11:59:00Z", "rtt": "23ms",
            "pending": 0, "credential": "Current", "lastSeen": "2026-11-25T12:00:00Z",
        })
    );
}

#[test]
fn another_country_that_is_down_leaves_this_one_ready() {
    let mut world = World::settled();
    world.wait(60);
    world.answer(|page| {
        page["links"][0]["state"] = json!("down");
        page["links"][0]["credential"] = json!("none");
        page["sites"][0]["reachable"] = json!(false);
        page["sites"][0]["reportAgeMs"] = json!(61_000);
        page["sites"][1]["reachable"] = json!(false);
    });
    let status = world.compute().status;
    assert!(says(&status, "Ready=True AllSitesReady"));
    assert!(says(&status, "LinksUp=False LinkDown"));
    assert!(says(&status, "Degraded=True LinkDown"));
    assert_eq!(site(&status, "uk").reachable.as_deref(), Some("False"));
    let degraded = condition(&status, ConditionType::Degraded).expect("it is there");
    assert!(degraded.message.contains("SiteUnreachable: uk, us"));
}

#[test]
fn a_row_older_than_three_minutes_is_unknown_and_never_the_last_good_value() {
    for (age, expected) in [(179, SiteState::Running), (180, SiteState::Unknown)] {
        let mut world = World::settled();
        world.wait(200);
        world.answer(|page| page["sites"][0]["reportAgeMs"] = json!(age * 1000));
        let status = world.compute().status;
        let row = site(&status, "uk");
        assert_eq!(row.state, expected, "{age} s");
        let is_unknown = expected == SiteState::Unknown;
        assert_eq!(row.in_sync == "Unknown", is_unknown, "{age} s");
        let link = &status.links.as_ref().expect("links")[0];
        let expected = if is_unknown {
            LinkState::Unknown
        } else {
            LinkState::Up
        };
        assert_eq!(link.state, expected, "{age} s");
        assert_eq!(says(&status, "PeersInSync=Unknown NoReport"), is_unknown);
    }
}

#[test]
fn a_broker_that_does_not_answer_leaves_it_ready_for_two_minutes() {
    for (seconds, failures, ready, applied) in [
        (
            60,
            3,
            "Ready=True AllSitesReady",
            "ConfigApplied=True Applied",
        ),
        (
            119,
            10,
            "Ready=True AllSitesReady",
            "ConfigApplied=Unknown BrokerUnreachable",
        ),
        (
            120,
            10,
            "Ready=Unknown BrokerUnreachable",
            "ConfigApplied=Unknown BrokerUnreachable",
        ),
        (
            120,
            1,
            "Ready=Unknown BrokerUnreachable",
            "ConfigApplied=Unknown BrokerUnreachable",
        ),
    ] {
        let mut world = World::settled();
        world.silence(seconds, failures);
        let status = world.compute().status;
        assert!(says(&status, ready), "{seconds} s: {:?}", words(&status));
        assert!(says(&status, applied), "{seconds} s: {:?}", words(&status));
    }
    let mut world = World::settled();
    world.silence(119, 10);
    assert_eq!(world.compute().next, Some(Duration::from_secs(1)));
}

#[test]
fn what_is_stored_stands_until_a_broker_has_been_asked() {
    for tls in [false, true] {
        let mut world = World::settled();
        if tls {
            world.change(|spec| spec["tls"] = json!({"source": "Secret"}));
        }
        world.answer(|page| {
            page["links"][0]["state"] = json!("down");
            page["sites"][1]["reachable"] = json!(false);
            page["sites"][1]["usersHash"] = json!(OTHER);
        });
        world.step();
        let before = world.step();
        // Days later another operator of another version starts.
        world.wait(200_000);
        world.operator.version = "0.2.0".to_owned();
        for asked in [None, Some(BrokerState::default())] {
            world.observed.brokers.clear();
            let asked = asked.map(|state| (ie(), state));
            world.observed.brokers.extend(asked);
            let after = world.compute();
            assert!(!after.is_urgent, "{:#?}", after.status);
            assert_eq!(after.events, []);
            assert_eq!(after.status, before.status);
        }
    }
}

#[test]
fn after_ten_failed_questions_what_is_stored_no_longer_stands() {
    let mut world = World::settled();
    world.wait(125);
    let failing = BrokerState {
        failures: 10,
        error: "connection refused".to_owned(),
        ..BrokerState::default()
    };
    world.observed.brokers.insert(ie(), failing);
    assert!(says(
        &world.compute().status,
        "Ready=Unknown BrokerUnreachable"
    ));
}

#[test]
fn drift_counts_after_five_minutes_and_is_over_at_once() {
    let mut world = World::settled();
    let differ = |world: &mut World| {
        world.answer(|page| page["sites"][0]["specHash"] = json!(OTHER));
        world.step()
    };
    let first = differ(&mut world);
    assert!(says(&first.status, "PeersInSync=True InSync"));
    assert_eq!(site(&first.status, "uk").in_sync, "False");
    let since = site(&first.status, "uk").differs_since.clone();
    assert!(since.is_some());
    world.wait(299);
    let almost = differ(&mut world);
    assert!(says(&almost.status, "PeersInSync=True InSync"));
    assert_eq!(almost.next, Some(Duration::from_secs(1)));
    assert_eq!(site(&almost.status, "uk").differs_since, since);
    world.wait(1);
    let over = differ(&mut world);
    let peers = condition(&over.status, ConditionType::PeersInSync).expect("it is there");
    assert_eq!((&*peers.status, &*peers.reason), ("False", "SpecDiffers"));
    assert!(peers.message.contains("uk") && peers.message.contains(OTHER));
    assert!(says(&over.status, "Ready=True AllSitesReady"));
    world.answer(|_| {});
    let same = world.step().status;
    assert!(says(&same, "PeersInSync=True InSync"));
    assert_eq!(site(&same, "uk").differs_since, None);
}

#[test]
fn a_configuration_that_is_not_in_force_is_out_of_date_after_ten_minutes() {
    let mut world = World::settled();
    world.hashes.insert(ie(), "new".to_owned());
    let first = world.step();
    assert!(says(&first.status, "ConfigApplied=False Pending"));
    world.wait(599);
    world.hashes.insert(ie(), "newer".to_owned());
    world.answer(|_| {});
    assert!(says(&world.step().status, "ConfigApplied=False Pending"));
    world.wait(1);
    world.answer(|_| {});
    assert!(says(&world.step().status, "ConfigApplied=False OutOfDate"));
    world.answer(|page| page["config"]["applied"] = json!("newer"));
    let applied = world.step().status;
    assert!(says(&applied, "ConfigApplied=True Applied"));
    let config = site(&applied, "ie").config.clone().expect("a local site");
    assert_eq!(config.pending_since, None);
}

#[test]
fn a_secret_is_waited_for_ten_minutes_whatever_was_awaited_before() {
    let mut world = World::settled();
    world.stop_pod();
    assert!(says(
        &world.step().status,
        "Reconciling=True WaitingForPods"
    ));
    world.wait(3600);
    world.find(Reason::SecretNotFound);
    for _ in 0..2 {
        assert!(says(
            &world.step().status,
            "Reconciling=True WaitingForSecret"
        ));
        world.wait(299);
    }
    assert_eq!(world.step().next.map(|next| next.as_secs()), Some(2));
    world.wait(2);
    let given_up = world.step().status;
    assert!(says(&given_up, "Stalled=True SecretNotFound"));
    // It stays so, and ends the moment the Secret is there.
    world.wait(1);
    assert!(says(&world.step().status, "Stalled=True SecretNotFound"));
    world.findings.clear();
    world.change(|_| {});
    assert!(condition(&world.step().status, ConditionType::Stalled).is_none());
}

#[test]
fn a_transition_is_one_of_the_status_alone() {
    let mut world = World::settled();
    let time = |status: &BrokerNetworkStatus, kind| {
        condition(status, kind)
            .expect("it is there")
            .last_transition_time
            .clone()
    };
    let first = world.step().status;
    world.wait(60);
    world.answer(|page| page["links"][0]["state"] = json!("throttled"));
    let same = world.step().status;
    for kind in [ConditionType::Ready, ConditionType::LinksUp] {
        assert_eq!(time(&first, kind), time(&same, kind));
    }
    world.answer(|page| page["links"][0]["state"] = json!("down"));
    let down = world.step().status;
    assert_ne!(
        time(&first, ConditionType::LinksUp),
        time(&down, ConditionType::LinksUp)
    );
    world.wait(60);
    // Another reason is no transition.
    world.answer(|page| page["links"][0]["state"] = json!("refused"));
    let refused = world.step().status;
    assert!(says(&refused, "LinksUp=False LinkRefused"));
    assert_eq!(
        time(&down, ConditionType::LinksUp),
        time(&refused, ConditionType::LinksUp)
    );
}

#[test]
fn times_and_figures_alone_are_not_urgent() {
    let mut world = World::settled();
    assert!(!world.step().is_urgent, "nothing has changed");
    world.wait(61);
    world.answer(|page| {
        page["links"][0]["rttMs"] = json!(99.0);
        page["links"][0]["pending"] = json!(12);
        page["links"][0]["sinceMs"] = json!(121_300);
    });
    let later = world.step();
    assert!(!later.is_urgent);
    assert_eq!(later.events, []);
    assert_eq!(world.step().status, later.status, "it settles");
    let end = &later.status.links.as_ref().expect("links")[0]
        .ends
        .as_ref()
        .expect("ends")[0];
    assert_eq!(end.rtt.as_deref(), Some("99ms"));
    let since = serde_json::to_value(&end.since).expect("JSON");
    assert_eq!(
        since, "2026-11-25T11:59:00Z",
        "ages jitter, beginnings do not"
    );
    world.answer(|page| page["sites"][0]["version"] = json!("0.2.0"));
    assert!(world.step().is_urgent);
}

#[test]
fn attempts_to_connect_to_a_site_that_is_away_are_not_urgent() {
    let mut world = World::settled();
    let away = |world: &mut World, state: &str| {
        world.wait(200);
        world.answer(|page| {
            page["links"][0]["state"] = json!(state);
            page["links"][0]["lastError"] = json!(format!("{state} at 203.0.113.7"));
            page["sites"] = json!([]);
        });
        world.step()
    };
    assert!(away(&mut world, "down").is_urgent);
    for state in ["connecting", "down"] {
        let attempt = away(&mut world, state);
        assert!(!attempt.is_urgent, "{state}");
        assert!(says(&attempt.status, "LinksUp=False LinkDown"), "{state}");
    }
}

#[test]
fn a_read_that_failed_downgrades_nothing() {
    let mut world = World::settled();
    world.observed.children.clear();
    world.observed.pods.clear();
    world
        .outcome
        .failed_reads
        .push("deployments: timeout".to_owned());
    let before = world.network.status.clone().expect("a status");
    let computed = world.step();
    assert_eq!(words(&computed.status), words(&before));
    assert_eq!(computed.status.sites, before.sites);
    let ready = condition(&computed.status, ConditionType::Ready).expect("it is there");
    assert!(ready.message.contains("deployments: timeout"));
}

#[test]
fn a_network_that_cannot_be_read_is_stalled_and_all_else_stands() {
    let mut world = World::settled();
    world.observed.children.clear();
    world.outcome.unreadable = Some("unknown variant `Hologram`".to_owned());
    let before = world.network.status.clone().expect("a status");
    let status = world.step().status;
    assert!(says(&status, "Stalled=True SpecInvalid"));
    let stalled = condition(&status, ConditionType::Stalled).expect("it is there");
    assert!(stalled.message.contains("Hologram"), "{}", stalled.message);
    assert_eq!(status.sites, before.sites);
    assert!(says(&status, "LinksUp=True AllUp"));
    assert!(!world.step().is_urgent, "it is written again and again");
}

#[test]
fn users_are_counted_as_before_while_the_network_is_not_valid() {
    let mut world = World::settled();
    world.find(Reason::DuplicatePair);
    (world.users.served, world.users.declared) = (0, 2);
    let status = world.step().status;
    assert_eq!(status.summary.expect("a summary").users, "2/2");
}

#[test]
fn a_load_balancer_has_its_address_in_the_status() {
    use causeway_operator::model::observed::ChildKind;
    let mut world = World::settled();
    world.change(|spec| {
        spec["sites"][0]["listeners"] = json!({"link": {"service": {"type": "LoadBalancer"}}});
    });
    let service = json!({
        "spec": {"ports": [{"port": 61618}]},
        "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}},
    });
    world.object(ChildKind::Service, "mco--ie-link", service);
    let status = world.step().status;
    assert!(says(&status, "Ready=True AllSitesReady"));
    let addresses = serde_json::to_value(&site(&status, "ie").addresses).expect("JSON");
    let expected = json!([{"listener": "link", "host": "203.0.113.7", "port": 61618}]);
    assert_eq!(addresses, expected);
}

#[test]
fn links_of_a_stopped_site_and_disabled_ones_are_not_counted() {
    let mut world = World::settled();
    world.change(|spec| {
        spec["links"][0]["state"] = json!("Disabled");
        spec["sites"][2]["mode"] = json!("Stopped");
    });
    let status = world.step().status;
    let states = status.links.iter().flatten().map(|link| link.state);
    assert_eq!(states.collect::<Vec<_>>(), [LinkState::Disabled; 2]);
    assert_eq!(status.summary.expect("a summary").links, "0/0");
}
