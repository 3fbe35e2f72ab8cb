//! Each refusal of 3.3, by its reason, as the dialler shows it.

use std::time::Duration;

use super::pump::Pump;
use super::sites::{claim, config, link};
use crate::mesh::config::MeshConfig;
use crate::mesh::event::{ControlFrame, Event, Transport};
use crate::mesh::frame::{FrameType, decode_control};
use crate::mesh::ids::{Bid, ConnId, Sid};
use crate::mesh::messages::{Hello, Reason, Refuse};
use crate::mesh::session::LinkState;

const SITES: [&str; 2] = ["a", "b"];

fn pair(change_a: impl Fn(&mut MeshConfig), change_b: impl Fn(&mut MeshConfig)) -> Pump {
    let mut pump = Pump::new();
    for (at, site, peer) in [(1, "a", "b"), (2, "b", "a")] {
        let mut config = config(site, &SITES, vec![link("a-b", peer, site == "a")]);
        if site == "a" {
            change_a(&mut config)
        } else {
            change_b(&mut config)
        }
        pump.add(config, claim(at, 1), 1);
    }
    pump.run(Duration::from_millis(500));
    pump
}

#[test]
fn refusals_are_shown_by_their_reason() {
    let nothing = |_: &mut MeshConfig| {};
    let rows: [(&str, Pump); 5] = [
        (
            "network_mismatch",
            pair(nothing, |b| b.network = "other".to_owned()),
        ),
        (
            "denied_site",
            pair(nothing, |b| b.denied_sites = ["a".to_owned()].into()),
        ),
        (
            "unknown_peer",
            pair(nothing, |b| b.sites.retain(|site, _| site != "a")),
        ),
        (
            "link_not_configured",
            pair(nothing, |b| b.links[0].name = "b-a".to_owned()),
        ),
        (
            "link_not_configured",
            pair(|a| a.sid = Sid(9), |b| b.sid = Sid(9)),
        ),
    ];
    for (reason, pump) in rows {
        assert_eq!(pump.state("a", "a-b"), (LinkState::Refused, reason));
        assert!(pump.reached("a").is_empty() && pump.reached("b").is_empty());
    }
}

#[test]
fn a_refused_link_is_tried_again_and_comes_up_when_the_reason_is_gone() {
    let mut pump = pair(|_| {}, |b| b.sites.retain(|site, _| site != "a"));
    let b = pump.index("b");
    let mut config = pump.nodes[b].config.clone();
    config.sites.insert("a".to_owned(), Sid::from_name("a"));
    pump.tell(b, Event::Config(Box::new(config)));
    pump.seconds(33);
    assert_eq!(pump.state("a", "a-b").0, LinkState::Up);
}

#[test]
fn a_leaving_broker_refuses_new_links() {
    let mut pump = Pump::of(&SITES, &[("a", "b")]);
    let b = pump.index("b");
    pump.tell(b, Event::Leave);
    pump.run(Duration::from_millis(500));
    assert_eq!(pump.state("a", "a-b"), (LinkState::Down, "leaving"));
}

#[test]
fn too_many_links_are_refused_as_busy() {
    let pump = pair(|_| {}, |b| b.caps.links = 0);
    assert!(!pump.reached("a").contains(&"b".to_owned()));
    let refusals: Vec<Refuse> = pump
        .frames
        .iter()
        .filter(|(_, kind, _)| *kind == FrameType::Refuse)
        .map(|(_, kind, body)| decode_control(*kind, body).unwrap())
        .collect();
    assert_eq!(refusals[0].reason, i32::from(Reason::Busy));
}

/// A broker that is spoken to by hand.
fn alone() -> (Pump, usize) {
    let mut pump = Pump::new();
    let mut own = config("b", &SITES, vec![link("a-b", "a", false)]);
    own.auth = crate::mesh::config::LinkAuth::Both;
    let b = pump.add(own, claim(2, 1), 1);
    let verified = Some(pump.nodes[b].config.identity("a"));
    let transport = Transport {
        verified,
        ..Transport::default()
    };
    pump.tell(
        b,
        Event::Accepted {
            conn: ConnId(1),
            transport,
        },
    );
    (pump, b)
}

fn hello() -> Hello {
    Hello {
        proto_min: 1,
        proto_max: 1,
        network: "net".to_owned(),
        site: "a".to_owned(),
        bid: Bid::derive("net", "a").0.to_vec(),
        instance: vec![1; 16],
        epoch: 1,
        sid: Sid::from_name("a").0.into(),
        link: "a-b".to_owned(),
        conn: 5,
        ..Hello::default()
    }
}

fn say(pump: &mut Pump, node: usize, kind: FrameType, message: &impl prost::Message) {
    let body = message.encode_to_vec().into();
    let frame = ControlFrame { kind, body };
    pump.tell(
        node,
        Event::Frame {
            conn: ConnId(1),
            frame,
        },
    );
}

fn answer(pump: &Pump) -> Option<(FrameType, i32)> {
    let (_, kind, body) = pump.frames.last()?;
    let reason = match kind {
        FrameType::Refuse => decode_control::<Refuse>(*kind, body).unwrap().reason,
        FrameType::Bye => {
            decode_control::<crate::mesh::messages::Bye>(*kind, body)
                .unwrap()
                .reason
        }
        _ => 0,
    };
    Some((*kind, reason))
}

#[test]
fn a_hello_is_judged_in_the_order_of_the_design() {
    let mut version = hello();
    (version.proto_min, version.proto_max) = (2, 3);
    version.network.clear();
    let rows = [
        (version, Reason::VersionMismatch),
        (
            Hello {
                network: "x".to_owned(),
                site: "x".to_owned(),
                ..hello()
            },
            Reason::NetworkMismatch,
        ),
        (
            Hello {
                site: "c".to_owned(),
                ..hello()
            },
            Reason::UnknownPeer,
        ),
        (
            Hello {
                bid: vec![0; 16],
                ..hello()
            },
            Reason::UnknownPeer,
        ),
        (
            Hello {
                instance: vec![0; 3],
                ..hello()
            },
            Reason::UnknownPeer,
        ),
        (Hello { sid: 0, ..hello() }, Reason::UnknownPeer),
        (
            Hello {
                link: "x".to_owned(),
                ..hello()
            },
            Reason::LinkNotConfigured,
        ),
        (
            Hello {
                sid: Sid::from_name("b").0.into(),
                ..hello()
            },
            Reason::LinkNotConfigured,
        ),
    ];
    for (hello, reason) in rows {
        let (mut pump, b) = alone();
        say(&mut pump, b, FrameType::Hello, &hello);
        assert_eq!(
            answer(&pump),
            Some((FrameType::Refuse, reason.into())),
            "{hello:?}"
        );
        assert_eq!(pump.nodes[b].mesh.phase(ConnId(1)), None);
    }
    let (mut pump, b) = alone();
    say(&mut pump, b, FrameType::Hello, &hello());
    assert_eq!(answer(&pump), Some((FrameType::Accept, 0)));
}

#[test]
fn hello_without_a_proof_is_refused() {
    let (mut pump, b) = alone();
    pump.tell(
        b,
        Event::Accepted {
            conn: ConnId(1),
            transport: Transport::default(),
        },
    );
    say(&mut pump, b, FrameType::Hello, &hello());
    assert_eq!(
        answer(&pump),
        Some((FrameType::Refuse, Reason::AuthFailed.into()))
    );
}

#[test]
fn frames_out_of_turn_end_the_connection() {
    for kind in [
        FrameType::Ping,
        FrameType::Lsa,
        FrameType::Synced,
        FrameType::Accept,
    ] {
        let (mut pump, b) = alone();
        say(&mut pump, b, kind, &crate::mesh::messages::Ping::default());
        assert_eq!(
            answer(&pump),
            Some((FrameType::Bye, Reason::Protocol.into())),
            "{kind:?}"
        );
    }
}

#[test]
fn a_frame_that_does_not_decode_ends_the_connection() {
    let (mut pump, b) = alone();
    let frame = ControlFrame {
        kind: FrameType::Hello,
        body: vec![0xff; 9].into(),
    };
    pump.tell(
        b,
        Event::Frame {
            conn: ConnId(1),
            frame,
        },
    );
    assert_eq!(
        answer(&pump),
        Some((FrameType::Bye, Reason::Protocol.into()))
    );
}

#[test]
fn more_than_16_kib_before_authentication_ends_the_connection() {
    let (mut pump, b) = alone();
    let frame = ControlFrame {
        kind: FrameType::Hello,
        body: vec![0; 16 * 1024 + 1].into(),
    };
    pump.tell(
        b,
        Event::Frame {
            conn: ConnId(1),
            frame,
        },
    );
    assert_eq!(
        answer(&pump),
        Some((FrameType::Bye, Reason::TooLarge.into()))
    );
}

#[test]
fn a_connection_that_says_nothing_is_closed_after_five_seconds() {
    let (mut pump, b) = alone();
    pump.run(Duration::from_millis(4900));
    assert!(pump.nodes[b].mesh.phase(ConnId(1)).is_some());
    pump.run(Duration::from_millis(200));
    assert_eq!(pump.nodes[b].mesh.phase(ConnId(1)), None);
}
