//! Two holders of one site (R26).

use std::time::Duration;

use super::pump::Pump;
use super::sites::{claim, config, link};
use crate::mesh::event::MeshLog;
use crate::mesh::session::LinkState;

const SITES: [&str; 3] = ["a", "b", "c"];

/// `b` in the middle; `c` is run by two, each linked to another neighbour.
fn rivals() -> Pump {
    let mut pump = Pump::new();
    let a = vec![link("a-b", "b", true), link("a-c", "c", false)];
    let b = vec![link("a-b", "a", false), link("b-c", "c", false)];
    pump.add(config("a", &SITES, a), claim(1, 1), 1);
    pump.add(config("b", &SITES, b), claim(2, 1), 1);
    pump.add(
        config("c", &SITES, vec![link("b-c", "b", true)]),
        claim(3, 1),
        10,
    );
    pump.seconds(3);
    pump
}

#[test]
fn a_second_holder_of_a_live_site_is_refused_and_told_why() {
    let mut pump = rivals();
    let other = pump.add(
        config("c", &SITES, vec![link("a-c", "a", true)]),
        claim(9, 20),
        20,
    );
    pump.seconds(3);
    let status = pump.nodes[other].mesh.status(pump.now);
    assert_eq!(
        (status.links[0].state, status.links[0].reason),
        (LinkState::Refused, "duplicate_site")
    );
    assert_eq!(pump.reached("a"), ["b", "c"]);
}

#[test]
fn a_holder_that_is_gone_makes_room_for_another_one() {
    let mut pump = rivals();
    pump.kill("c");
    let other = pump.add(
        config("c", &SITES, vec![link("a-c", "a", true)]),
        claim(9, 20),
        20,
    );
    pump.seconds(1);
    assert!(
        pump.reached("a").len() < 2,
        "the former holder may come back at any moment"
    );
    pump.seconds(20);
    let status = pump.nodes[other].mesh.status(pump.now);
    assert_eq!(status.links[0].state, LinkState::Up);
    assert_eq!(pump.reached("b"), ["a", "c"]);
}

#[test]
fn a_neighbour_proves_the_holder_alive_before_it_refuses_another_one() {
    let mut pump = Pump::new();
    pump.add(
        config(
            "a",
            &SITES,
            vec![link("a-c", "c", false), link("x", "c", false)],
        ),
        claim(1, 1),
        1,
    );
    let first = pump.add(
        config("c", &SITES, vec![link("a-c", "a", true)]),
        claim(3, 1),
        10,
    );
    pump.seconds(2);
    // The holder's host vanishes without a word; its site moves elsewhere.
    pump.nodes[first].is_running = false;
    let other = pump.add(
        config("c", &SITES, vec![link("x", "a", true)]),
        claim(9, 20),
        20,
    );
    pump.run(Duration::from_millis(1500));
    let status = pump.nodes[other].mesh.status(pump.now);
    assert_eq!(status.links[0].state, LinkState::Up);
    assert_eq!(pump.reached("a"), ["c"]);
}

#[test]
fn when_two_parts_with_one_holder_each_meet_the_older_one_stays() {
    let mut pump = rivals();
    pump.cut("a", "b", true);
    let other = pump.add(
        config("c", &SITES, vec![link("a-c", "a", true)]),
        claim(9, 20),
        20,
    );
    pump.seconds(8);
    assert_eq!(
        pump.nodes[other].mesh.status(pump.now).links[0].state,
        LinkState::Up
    );
    pump.heal("a", "b");
    pump.seconds(8);
    let status = pump.nodes[other].mesh.status(pump.now);
    assert_eq!(
        (status.links[0].state, status.links[0].reason),
        (LinkState::Refused, "duplicate_site")
    );
    assert!(
        pump.nodes[other]
            .log
            .iter()
            .any(|log| matches!(log, MeshLog::Rival { .. }))
    );
    let routes = pump.node("a").mesh.routes();
    let site = routes.site(pump.nodes[other].config.bid()).unwrap();
    assert_eq!(site.id.instance8, u64::from_be_bytes([3; 8]));
}
