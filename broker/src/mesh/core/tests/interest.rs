use std::time::Duration;

use super::many::subscribe;
use super::pump::Pump;
use super::sites::link;
use crate::mesh::event::Event;
use crate::mesh::frame::{FrameType, decode_control};
use crate::mesh::interest::{Demand, LocalChange, Summary, value_hash};
use crate::mesh::messages::{IntSnap, Kind};

fn chain() -> Pump {
    let mut pump = Pump::of(&["a", "b", "c"], &[("a", "b"), ("b", "c")]);
    pump.seconds(3);
    pump
}

fn change(filter: &str, demand: Option<Demand>) -> LocalChange {
    LocalChange {
        kind: Kind::Queue,
        filter: filter.into(),
        demand,
    }
}

fn filters(pump: &Pump, site: &str) -> Vec<String> {
    let mut filters: Vec<String> = pump
        .node(site)
        .entries
        .values()
        .map(|entry| entry.filter.to_string())
        .collect();
    filters.sort();
    filters
}

#[test]
fn interest_is_known_everywhere_one_flood_later_and_forgotten_as_fast() {
    let mut pump = chain();
    subscribe(&mut pump, "c", "news.>");
    assert!(pump.node("c").mesh.has_pending_interest());
    pump.run(Duration::from_millis(10));
    assert!(!pump.node("c").mesh.has_pending_interest());
    assert_eq!(filters(&pump, "a"), ["news.>"]);
    let gone = LocalChange {
        kind: Kind::Topic,
        filter: "news.>".into(),
        demand: None,
    };
    let c = pump.index("c");
    pump.tell(c, Event::Interest(vec![gone]));
    pump.run(Duration::from_millis(10));
    assert!(pump.node("a").entries.is_empty());
    pump.seconds(10);
    pump.assert_agreed();
}

/// R6.
#[test]
fn pending_interest_leaves_before_whatever_is_sent_after_the_flush() {
    let mut pump = chain();
    subscribe(&mut pump, "c", "news.>");
    let (c, now) = (pump.index("c"), pump.now);
    let mut actions = Vec::new();
    pump.nodes[c].mesh.flush_interest(now, &mut actions);
    assert!(!pump.nodes[c].mesh.has_pending_interest());
    assert_eq!(actions.len(), 1, "one INT for the one neighbour");
}

#[test]
fn only_local_interest_is_advertised() {
    let mut pump = chain();
    subscribe(&mut pump, "a", "x");
    subscribe(&mut pump, "c", "x");
    pump.seconds(1);
    assert_eq!(filters(&pump, "b").len(), 2);
    assert_eq!(filters(&pump, "a").len(), 1);
}

/// R12 c.
#[test]
fn reply_subscriptions_younger_than_a_second_flood_nothing() {
    let mut pump = chain();
    pump.frames.clear();
    let c = pump.index("c");
    for round in 0..20 {
        let name = format!("mco.reply.{round}");
        pump.tell(c, Event::Interest(vec![change(&name, Some(Demand::of(1)))]));
        pump.run(Duration::from_millis(500));
        pump.tell(c, Event::Interest(vec![change(&name, None)]));
    }
    assert!(
        pump.frames
            .iter()
            .all(|(_, kind, _)| *kind != FrameType::Int)
    );
    pump.tell(
        c,
        Event::Interest(vec![change("mco.reply.long", Some(Demand::of(1)))]),
    );
    pump.run(Duration::from_millis(900));
    assert!(filters(&pump, "a").is_empty());
    pump.run(Duration::from_millis(200));
    assert_eq!(filters(&pump, "a"), ["mco.reply.long"]);
}

#[test]
fn many_equality_values_arrive_in_parts_and_prove_what_does_not_match() {
    let mut pump = chain();
    let mut hashes: Vec<u64> = (0..20_000)
        .map(|node| value_hash(&format!("node{node}")))
        .collect();
    hashes.sort_unstable();
    let summary = Summary::Equality(vec![("mc_identity".into(), hashes.into())]);
    let demand = Demand {
        consumers: 20_000,
        summary,
        credit: 2,
        is_wider: false,
    };
    let a = pump.index("a");
    pump.tell(
        a,
        Event::Interest(vec![change("mcollective.nodes", Some(demand))]),
    );
    pump.seconds(1);
    let entry = pump.node("c").entries.values().next().cloned().unwrap();
    let ask = |value: &str| {
        let hash = value_hash(value);
        entry
            .summary
            .may_match(|property| (property == "mc_identity").then_some(hash))
    };
    assert!(ask("node0") && ask("node19999") && !ask("node20000"));
    assert_eq!(entry.consumers_log2, 14);
    pump.assert_databases();
}

#[test]
fn a_late_comer_gets_everything_in_snapshots_that_fit_their_frames() {
    let mut pump = chain();
    let a = pump.index("a");
    let many =
        (0..3000).map(|at| change(&format!("queue.with.a.long.name.{at}"), Some(Demand::of(1))));
    pump.tell(a, Event::Interest(many.collect()));
    pump.seconds(1);
    let mut config = super::sites::config("d", &["a", "b", "c", "d"], vec![link("d-c", "c", true)]);
    config.timing.probe = Duration::ZERO;
    let c = pump.index("c");
    let mut wider = pump.nodes[c].config.clone();
    wider.sites = config.sites.clone();
    wider.links.push(link("d-c", "d", false));
    pump.tell(c, Event::Config(Box::new(wider)));
    pump.frames.clear();
    pump.add(config, super::sites::claim(4, 1), 1);
    pump.seconds(3);
    assert_eq!(pump.node("d").entries.len(), 3000);
    let parts: Vec<IntSnap> = pump
        .frames
        .iter()
        .filter(|(_, kind, _)| *kind == FrameType::IntSnap)
        .map(|(_, kind, body)| decode_control(*kind, body).unwrap())
        .collect();
    let of_a: Vec<&IntSnap> = parts.iter().filter(|part| part.put.len() > 1).collect();
    assert_eq!(
        of_a.len(),
        usize::try_from(of_a[0].parts).unwrap(),
        "every part once"
    );
    assert!(of_a.len() > 1);
    pump.seconds(10);
    pump.assert_agreed();
}

#[test]
fn a_lost_change_is_noticed_and_asked_for() {
    let mut pump = chain();
    let a = pump.index("a");
    // The flood of one change is swallowed; the next one does not fit.
    pump.cut("a", "b", false);
    subscribe(&mut pump, "a", "one");
    pump.run(Duration::from_millis(20));
    pump.heal("a", "b");
    assert!(filters(&pump, "c").is_empty());
    subscribe(&mut pump, "a", "two");
    pump.run(Duration::from_millis(100));
    assert_eq!(filters(&pump, "c"), ["one", "two"]);
    assert_eq!(pump.nodes[a].resplit, []);
    pump.assert_databases();
}

/// R13.
#[test]
fn what_an_earlier_process_wanted_ends_with_its_epoch() {
    let mut pump = chain();
    subscribe(&mut pump, "a", "kept");
    pump.seconds(1);
    let config = pump.node("a").config.clone();
    pump.kill("a");
    pump.run(Duration::from_millis(50));
    pump.add(config, super::sites::claim(1, 1), 2);
    subscribe(&mut pump, "a", "new");
    // Sooner than what is not reached would be hidden.
    pump.run(Duration::from_millis(1500));
    assert_eq!(filters(&pump, "c"), ["new"]);
    pump.seconds(16);
    pump.assert_agreed();
}
