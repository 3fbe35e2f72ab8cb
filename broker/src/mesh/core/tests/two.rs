use std::time::Duration;

use super::pump::Pump;
use super::sites::{config, link};
use crate::mesh::event::{Action, CloseCause, Event, MeshLog, RingLevel, Transport};
use crate::mesh::frame::{FrameType, decode_control};
use crate::mesh::ids::{ConnId, Epoch};
use crate::mesh::messages::{Hello, LsaFrame, Reason, Refuse};
use crate::mesh::session::LinkState;

fn pair() -> Pump {
    let mut pump = Pump::of(&["a", "b"], &[("a", "b")]);
    pump.seconds(2);
    pump
}

#[test]
fn two_brokers_synchronise_and_reach_each_other() {
    let pump = pair();
    assert_eq!(pump.state("a", "a-b"), (LinkState::Up, ""));
    assert_eq!(pump.state("b", "a-b"), (LinkState::Up, ""));
    assert_eq!(pump.reached("a"), ["b"]);
    assert_eq!(pump.reached("b"), ["a"]);
    pump.assert_agreed();
    let status = pump.node("b").mesh.status(pump.now);
    let seen = status
        .reports
        .iter()
        .find(|one| one.report.site == "a")
        .unwrap();
    assert_eq!(seen.report.links[0].name, "a-b");
    assert_eq!(status.links[0].rtt, Some(Duration::from_millis(2)));
}

#[test]
fn one_connection_stays_when_both_ends_dial() {
    let mut pump = Pump::new();
    for (at, site, peer) in [(1, "a", "b"), (2, "b", "a")] {
        let links = vec![link("ab", peer, true)];
        pump.add(
            config(site, &["a", "b"], links),
            super::sites::claim(at, 1),
            1,
        );
    }
    pump.seconds(5);
    assert_eq!(pump.state("a", "ab").0, LinkState::Up);
    assert_eq!(pump.state("b", "ab").0, LinkState::Up);
    let hellos = pump
        .frames
        .iter()
        .filter(|(_, kind, _)| *kind == FrameType::Hello)
        .count();
    assert!(hellos <= 4, "{hellos}");
    pump.frames.clear();
    pump.seconds(60);
    assert!(
        pump.frames
            .iter()
            .all(|(_, kind, _)| *kind != FrameType::Hello)
    );
}

#[test]
fn a_reset_link_comes_back_by_itself_and_its_ring_is_split_anew() {
    let mut pump = pair();
    pump.cut("a", "b", true);
    pump.run(Duration::from_millis(5));
    assert_eq!(pump.state("a", "a-b").0, LinkState::Down);
    assert!(pump.reached("a").is_empty());
    assert_eq!(pump.node("a").resplit.len(), 1);
    assert_eq!(pump.node("b").resplit.len(), 1);
    pump.heal("a", "b");
    pump.seconds(7);
    assert_eq!(pump.reached("a"), ["b"]);
    pump.assert_agreed();
}

/// R11.
#[test]
fn silence_is_noticed_after_three_intervals_and_not_before() {
    let mut pump = pair();
    pump.cut("a", "b", false);
    pump.run(Duration::from_millis(1900));
    assert_eq!(pump.state("a", "a-b").0, LinkState::Up);
    pump.run(Duration::from_millis(1200));
    assert_eq!(pump.state("b", "a-b"), (LinkState::Down, "silent"));
    assert!(pump.reached("a").is_empty() && pump.reached("b").is_empty());
}

/// 3.4: whichever end decides.
#[test]
fn a_half_dead_connection_does_not_block_the_return_of_the_link() {
    for (loser, other) in [("a", "b"), ("b", "a")] {
        let mut pump = Pump::of(&["a", "b"], &[(loser, other)]);
        let name = format!("{loser}-{other}");
        pump.seconds(2);
        // One end loses the connection, the other does not hear of it.
        pump.cut("a", "b", false);
        let node = pump.node(loser);
        let conn = node.mesh.conn(node.mesh.link(&name).unwrap()).unwrap();
        let at = pump.index(loser);
        pump.tell(
            at,
            Event::Closed {
                conn,
                why: CloseCause::Reset,
            },
        );
        pump.heal("a", "b");
        pump.run(Duration::from_millis(1500));
        assert_eq!(pump.state(loser, &name).0, LinkState::Up);
        assert_eq!(pump.state(other, &name).0, LinkState::Up);
        assert_eq!(pump.reached(other), [loser]);
        assert_eq!(
            pump.node(other).resplit.len(),
            1,
            "what its ring held is split anew"
        );
    }
}

/// 3.4.
#[test]
fn a_dial_that_comes_too_late_is_closed_without_a_word() {
    let mut pump = pair();
    let (link, now) = (pump.node("a").mesh.link("a-b").unwrap(), pump.now);
    let mut actions = Vec::new();
    let event = Event::Dialled {
        link,
        conn: ConnId(9999),
        transport: Transport::default(),
    };
    pump.nodes[0].mesh.handle(event, now, &mut actions);
    let is_closed = |action: &Action| {
        matches!(
            action,
            Action::Close {
                conn: ConnId(9999),
                last: None
            }
        )
    };
    assert!(actions.iter().any(is_closed));
    assert!(!actions.iter().any(|action| matches!(
        action,
        Action::Send {
            conn: ConnId(9999),
            ..
        }
    )));
}

/// R1.
#[test]
fn a_flapping_link_is_advertised_later_each_time() {
    let mut pump = pair();
    for _ in 0..4 {
        pump.cut("a", "b", true);
        pump.run(Duration::from_millis(5));
        pump.heal("a", "b");
        pump.seconds(3);
    }
    pump.cut("a", "b", true);
    pump.run(Duration::from_millis(5));
    pump.heal("a", "b");
    pump.run(Duration::from_millis(1500));
    assert_eq!(pump.state("a", "a-b"), (LinkState::Connecting, "sync"));
    pump.seconds(6);
    assert_eq!(pump.state("a", "a-b").0, LinkState::Up);
}

/// R13.
#[test]
fn a_restarted_process_takes_its_place_with_a_larger_epoch() {
    let mut pump = pair();
    pump.kill("b");
    pump.run(Duration::from_millis(50));
    let config = pump.nodes[1].config.clone();
    pump.add(config, super::sites::claim(2, 1), 2);
    pump.seconds(6);
    assert_eq!(pump.reached("a"), ["b"]);
    let epochs: Vec<u64> = pump.databases("a").iter().map(|row| row.1.0).collect();
    assert!(epochs.contains(&2));
    pump.assert_agreed();
}

/// 3.4.
#[test]
fn a_peer_that_appears_over_another_path_is_dialled_at_once() {
    let mut pump = Pump::of(&["a", "b", "c"], &[("a", "b"), ("c", "a"), ("b", "c")]);
    pump.seconds(2);
    pump.kill("b");
    pump.seconds(120);
    let config = pump.nodes[1].config.clone();
    pump.add(config, super::sites::claim(2, 1), 2);
    let dials = |pump: &Pump| pump.node("a").log.len();
    let before = dials(&pump);
    pump.run(Duration::from_millis(1100));
    assert_eq!(pump.state("a", "a-b").0, LinkState::Up);
    assert!(dials(&pump) > before);
}

/// 3.3, row 9; R3.
#[test]
fn a_process_whose_stored_epoch_was_lost_goes_on_above_the_known_one() {
    let mut pump = pair();
    pump.kill("b");
    pump.seconds(1);
    let config = pump.nodes[1].config.clone();
    let late = pump.add(config, super::sites::claim(2, 0), 0);
    pump.seconds(6);
    assert_eq!(pump.nodes[late].epochs, [Epoch(2)]);
    let refusals: Vec<Refuse> = pump
        .frames
        .iter()
        .filter(|(_, kind, _)| *kind == FrameType::Refuse)
        .map(|(_, kind, body)| decode_control(*kind, body).unwrap())
        .collect();
    let told: Vec<(i32, u64)> = refusals
        .iter()
        .map(|one| (one.reason, one.epoch_seen))
        .collect();
    assert_eq!(told, [(Reason::StaleEpoch.into(), 1)]);
    assert_eq!(pump.reached("a"), ["b"]);
    pump.assert_agreed();
}

/// R24.
#[test]
fn a_broker_that_leaves_says_so_and_is_not_dialled_in_a_hurry() {
    let mut pump = Pump::of(&["a", "b", "c"], &[("a", "b"), ("b", "c")]);
    pump.seconds(3);
    assert_eq!(pump.reached("a"), ["b", "c"]);
    let b = pump.index("b");
    pump.tell(b, Event::Leave);
    pump.run(Duration::from_millis(200));
    assert_eq!(pump.reached("a"), ["b"], "reached, but not passed through");
    pump.tell(b, Event::Stop);
    pump.run(Duration::from_millis(200));
    assert_eq!(pump.state("a", "a-b"), (LinkState::Down, "leaving"));
    assert!(pump.reached("a").is_empty());
}

#[test]
fn rings_show_in_the_state_of_their_link() {
    let mut pump = pair();
    let (a, id) = (pump.index("a"), pump.node("a").mesh.link("a-b").unwrap());
    pump.tell(
        a,
        Event::Ring {
            link: id,
            level: RingLevel::High,
        },
    );
    pump.run(Duration::from_millis(900));
    assert_eq!(pump.state("a", "a-b").0, LinkState::Up);
    pump.run(Duration::from_millis(200));
    assert_eq!(pump.state("a", "a-b"), (LinkState::Throttled, "window"));
    pump.tell(
        a,
        Event::Ring {
            link: id,
            level: RingLevel::Blocked,
        },
    );
    assert_eq!(pump.state("a", "a-b"), (LinkState::Blocked, "no_ack"));
    pump.tell(
        a,
        Event::Ring {
            link: id,
            level: RingLevel::Moving,
        },
    );
    pump.tell(
        a,
        Event::Ring {
            link: id,
            level: RingLevel::Free,
        },
    );
    assert_eq!(pump.state("a", "a-b").0, LinkState::Up);
    pump.tell(
        a,
        Event::Ring {
            link: id,
            level: RingLevel::Stalled,
        },
    );
    assert_eq!(pump.state("a", "a-b"), (LinkState::Down, "stalled"));
}

#[test]
fn a_suspended_process_asks_before_it_judges() {
    let mut pump = pair();
    // Nothing reaches anybody for ten minutes, as both processes stand still.
    pump.now = pump.now.plus(Duration::from_secs(600));
    pump.seconds(2);
    assert_eq!(pump.state("a", "a-b").0, LinkState::Up);
    assert!(pump.node("a").resplit.is_empty());
}

/// R3.
#[test]
fn a_quiet_network_refreshes_its_map_every_two_minutes_and_no_more() {
    let mut pump = pair();
    pump.seconds(20);
    pump.frames.clear();
    pump.seconds(600);
    let lsas: Vec<&Vec<u8>> = pump
        .frames
        .iter()
        .filter(|(_, kind, _)| *kind == FrameType::Lsa)
        .map(|(_, _, body)| body)
        .collect();
    assert!((8..=14).contains(&lsas.len()), "{}", lsas.len());
    for body in lsas {
        let frame: LsaFrame = decode_control(FrameType::Lsa, body).unwrap();
        assert_eq!(frame.unreachable_ms, 0);
    }
}

#[test]
fn every_change_of_state_is_one_line_in_the_log() {
    let pump = pair();
    let states: Vec<LinkState> = pump
        .node("a")
        .log
        .iter()
        .filter_map(|log| match log {
            MeshLog::Link { new, .. } => Some(*new),
            _ => None,
        })
        .collect();
    assert_eq!(states, [LinkState::Connecting, LinkState::Up]);
}

#[test]
fn a_changed_configuration_touches_only_what_changed() {
    let mut pump = pair();
    let a = pump.index("a");
    let mut config = pump.nodes[a].config.clone();
    config.facts.spec_hash = "other".to_owned();
    pump.tell(a, Event::Config(Box::new(config.clone())));
    pump.seconds(1);
    assert!(pump.node("a").resplit.is_empty());
    config.links[0].cost = 77;
    pump.tell(a, Event::Config(Box::new(config.clone())));
    pump.seconds(1);
    let routes = pump.node("b").mesh.routes();
    assert_eq!(routes.sites()[0].way.unwrap().distance, 77);
    config.links.clear();
    pump.tell(a, Event::Config(Box::new(config)));
    pump.run(Duration::from_millis(50));
    assert_eq!(pump.state("b", "a-b"), (LinkState::Refused, "link_removed"));
    assert!(pump.reached("b").is_empty());
}

#[test]
fn hellos_name_the_connection_that_is_up() {
    let pump = pair();
    let hellos: Vec<Hello> = pump
        .frames
        .iter()
        .filter(|(_, kind, _)| *kind == FrameType::Hello)
        .map(|(_, kind, body)| decode_control(*kind, body).unwrap())
        .collect();
    assert_eq!(hellos.len(), 2);
    assert!(hellos.iter().all(|hello| hello.live_conn == 0));
    assert_eq!(hellos.iter().filter(|hello| hello.conn != 0).count(), 1);
}
