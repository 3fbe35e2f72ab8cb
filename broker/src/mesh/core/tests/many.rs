use std::time::Duration;

use super::pump::Pump;
use super::sites::{NETWORK, claim, config, link};
use crate::mesh::event::{CloseCause, Event, MeshLog};
use crate::mesh::forward::Routes as _;
use crate::mesh::frame::FrameType;
use crate::mesh::ids::{Bid, Sid};
use crate::mesh::interest::{Demand, LocalChange};
use crate::mesh::messages::Kind;
use crate::mesh::random::Random;

const FIVE: [&str; 5] = ["a", "b", "c", "d", "e"];

/// A ring of five with one chord.
fn five() -> Pump {
    let edges = [
        ("a", "b"),
        ("b", "c"),
        ("c", "d"),
        ("d", "e"),
        ("e", "a"),
        ("b", "d"),
    ];
    let mut pump = Pump::of(&FIVE, &edges);
    pump.seconds(4);
    pump
}

pub(super) fn subscribe(pump: &mut Pump, site: &str, filter: &str) {
    let change = LocalChange {
        kind: Kind::Topic,
        filter: filter.into(),
        demand: Some(Demand::of(1)),
    };
    let node = pump.index(site);
    pump.tell(node, Event::Interest(vec![change]));
}

#[test]
fn five_brokers_with_loops_agree_on_everything() {
    let mut pump = five();
    for site in FIVE {
        subscribe(&mut pump, site, &format!("news.{site}"));
        assert_eq!(pump.reached(site).len(), 4);
    }
    pump.seconds(6);
    pump.assert_agreed();
    for site in FIVE {
        assert_eq!(pump.node(site).entries.len(), 4, "{site}");
    }
}

#[test]
fn a_cut_link_is_routed_around_and_used_again_when_it_heals() {
    let mut pump = five();
    pump.cut("a", "b", true);
    pump.run(Duration::from_millis(100));
    assert_eq!(pump.reached("a"), ["b", "c", "d", "e"]);
    let routes = pump.node("a").mesh.routes();
    let toward_b = routes
        .site(pump.node("b").config.bid())
        .unwrap()
        .way
        .unwrap();
    assert_eq!(Some(toward_b.link), pump.node("a").mesh.link("e-a"));
    pump.heal("a", "b");
    pump.seconds(10);
    let routes = pump.node("a").mesh.routes();
    assert_eq!(
        routes
            .site(pump.node("b").config.bid())
            .unwrap()
            .way
            .unwrap()
            .hops,
        1
    );
    pump.assert_agreed();
}

#[test]
fn both_halves_of_a_partition_work_and_the_heal_needs_nobody() {
    let mut pump = five();
    for (one, other) in [("a", "b"), ("d", "e")] {
        pump.cut(one, other, false);
    }
    pump.seconds(4);
    assert_eq!(pump.reached("a"), ["e"]);
    assert_eq!(pump.reached("c"), ["b", "d"]);
    subscribe(&mut pump, "a", "made.apart");
    subscribe(&mut pump, "c", "made.apart");
    pump.seconds(4);
    for (one, other) in [("a", "b"), ("d", "e")] {
        pump.heal(one, other);
    }
    pump.seconds(12);
    assert_eq!(pump.reached("a").len(), 4);
    assert_eq!(pump.node("a").entries.len(), 1);
    assert_eq!(pump.node("b").entries.len(), 2);
    pump.seconds(10);
    pump.assert_agreed();
}

/// R8, 5.3: the next hops of all brokers together form the tree of the origin.
#[test]
fn following_next_hops_leads_everywhere_along_the_tree_of_the_origin() {
    let pump = five();
    for origin in FIVE {
        for dest in FIVE.iter().filter(|dest| **dest != origin) {
            let mut at = origin;
            let mut hops = 0;
            while at != *dest {
                let routes = pump.node(at).mesh.routes();
                let link = routes.next_hop(Sid::from_name(origin), 0, 0, Sid::from_name(dest));
                let status = pump.node(at).mesh.status(pump.now);
                let link = &status.links[link.unwrap().index()];
                at = FIVE.iter().find(|site| **site == link.peer).unwrap();
                hops += 1;
                assert!(hops <= 2, "{origin} to {dest}");
            }
        }
    }
}

/// R14.
#[test]
fn interest_of_a_dead_broker_counts_for_two_seconds_and_again_when_it_is_back() {
    let mut pump = five();
    subscribe(&mut pump, "c", "news.c");
    pump.seconds(1);
    pump.cut("b", "c", true);
    pump.cut("c", "d", true);
    pump.run(Duration::from_millis(1900));
    assert_eq!(pump.node("a").entries.len(), 1);
    assert_eq!(pump.reached("a"), ["b", "d", "e"]);
    pump.run(Duration::from_millis(200));
    assert!(pump.node("a").entries.is_empty());
    pump.heal("b", "c");
    pump.seconds(7);
    assert_eq!(pump.node("a").entries.len(), 1);
}

/// R14.
#[test]
fn records_of_a_dead_broker_are_purged_everywhere_after_an_hour() {
    let mut pump = five();
    pump.seconds(30);
    pump.kill("c");
    pump.seconds(3590);
    assert_eq!(pump.databases("a").len(), 5);
    pump.seconds(20);
    for site in ["a", "b", "d", "e"] {
        assert_eq!(pump.databases(site).len(), 4, "{site}");
    }
}

/// I21.
#[test]
fn one_lost_link_costs_two_advertisements_per_link_and_direction() {
    let mut pump = five();
    pump.seconds(60);
    pump.frames.clear();
    pump.cut("b", "d", true);
    pump.run(Duration::from_millis(400));
    let lsas = pump
        .frames
        .iter()
        .filter(|(_, kind, _)| *kind == FrameType::Lsa)
        .count();
    assert!(lsas <= 2 * 2 * 5, "{lsas}");
}

/// I7, I18: whatever happened, the survivors agree afterwards.
#[test]
fn random_networks_agree_after_random_faults() {
    let names: Vec<String> = (0..7).map(|at| format!("s{at}")).collect();
    let sites: Vec<&str> = names.iter().map(String::as_str).collect();
    for seed in 0..25 {
        let mut random = Random::new(seed);
        let mut pick = |limit: usize| {
            usize::try_from(random.number() % u64::try_from(limit).unwrap()).unwrap()
        };
        let mut edges: Vec<(&str, &str)> = (1..sites.len())
            .map(|at| (sites[at], sites[pick(at)]))
            .collect();
        for _ in 0..4 {
            let (one, other) = (pick(7), pick(7));
            let pair = (sites[one.max(other)], sites[one.min(other)]);
            if one != other && !edges.contains(&pair) {
                edges.push(pair);
            }
        }
        let mut pump = Pump::of(&sites, &edges);
        pump.seconds(3);
        for step in 0..12 {
            let (one, other) = edges[pick(edges.len())];
            match pick(4) {
                0 => pump.cut(one, other, true),
                1 => pump.cut(one, other, false),
                2 => edges
                    .iter()
                    .for_each(|(one, other)| pump.repair(one, other)),
                _ => restart(&mut pump, one, 10 + step),
            }
            subscribe(&mut pump, other, &format!("topic.{step}"));
            pump.run(Duration::from_millis(u64::try_from(pick(4000)).unwrap()));
        }
        edges
            .iter()
            .for_each(|(one, other)| pump.repair(one, other));
        pump.seconds(90);
        for site in &sites {
            assert_eq!(pump.reached(site).len(), 6, "seed {seed}, {site}");
        }
        pump.assert_agreed();
        let counts: Vec<usize> = sites
            .iter()
            .map(|site| {
                let status = pump.node(site).mesh.status(pump.now);
                status.remote_entries + status.local_entries
            })
            .collect();
        assert!(
            counts.windows(2).all(|pair| pair[0] == pair[1]),
            "seed {seed}: {counts:?}"
        );
        for site in &sites {
            let status = pump.node(site).mesh.status(pump.now);
            assert_eq!(
                pump.node(site).entries.len(),
                status.remote_entries,
                "seed {seed}"
            );
        }
    }
}

fn restart(pump: &mut Pump, site: &str, epoch: u64) {
    let at = pump.index(site);
    let config = pump.nodes[at].config.clone();
    let byte = u8::try_from(config.site[1..].parse::<u32>().unwrap() + 1).unwrap();
    pump.kill(site);
    let fresh = pump.add(config, claim(byte, 1), epoch);
    pump.move_cuts(at, fresh);
}

#[test]
fn two_links_between_one_pair_are_two_edges_and_the_cheaper_one_is_used() {
    let mut pump = Pump::new();
    for (at, site, peer, dials) in [(1, "a", "b", true), (2, "b", "a", false)] {
        let mut links = vec![link("wan-1", peer, dials), link("wan-2", peer, dials)];
        links[1].cost = 5;
        pump.add(config(site, &["a", "b"], links), claim(at, 1), 1);
    }
    pump.seconds(3);
    let way = |pump: &Pump| pump.node("a").mesh.routes().sites()[0].way.unwrap();
    assert_eq!(Some(way(&pump).link), pump.node("a").mesh.link("wan-2"));
    let (a, second) = (pump.index("a"), way(&pump).link);
    let conn = pump.node("a").mesh.conn(second).unwrap();
    let why = CloseCause::Reset;
    pump.tell(a, Event::Closed { conn, why });
    assert_eq!(Some(way(&pump).link), pump.node("a").mesh.link("wan-1"));
}

#[test]
fn two_sites_with_one_short_id_are_told_apart_and_one_of_them_stays_out() {
    let mut pump = Pump::new();
    let sites = ["a", "b", "c"];
    for (at, site, links) in [
        (1, "a", vec![link("a-b", "b", true)]),
        (
            2,
            "b",
            vec![link("a-b", "a", false), link("b-c", "c", true)],
        ),
        (3, "c", vec![link("b-c", "b", false)]),
    ] {
        let mut config = config(site, &sites, links);
        config.sid = Sid(if site == "b" { 2 } else { 1 });
        pump.add(config, claim(at, 1), 1);
    }
    pump.seconds(5);
    let reached = pump.reached("b");
    assert_eq!(reached.len(), 1, "{reached:?}");
    let is_logged =
        |log: &MeshLog| matches!(log, MeshLog::SidConflict { keeps, .. } if *keeps == reached[0]);
    assert!(pump.node("b").log.iter().any(is_logged));
    let lower = ["a", "c"]
        .into_iter()
        .min_by_key(|site| Bid::derive(NETWORK, site))
        .unwrap();
    assert_eq!(reached, [lower]);
}
