//! What neighbours relay: foreign bytes, mistakes, lies.

use std::time::Duration;

use prost::Message as _;

use super::pump::Pump;
use super::sites::NETWORK;
use crate::mesh::event::{ControlFrame, Event};
use crate::mesh::frame::{FrameType, decode_control};
use crate::mesh::ids::{Bid, ConnId, Epoch, Instance, Sid, link_hash};
use crate::mesh::messages::{Entry, HalfLink, Int, Lsa, LsaFrame};
use crate::mesh::random::Random;
use crate::mesh::session::LinkState;

/// `a`, `b` and `c` in a row; records are handed to `b` as if `a` had sent them.
fn row() -> (Pump, ConnId) {
    let mut pump = Pump::of(&["a", "b", "c"], &[("a", "b"), ("b", "c")]);
    pump.seconds(3);
    let b = pump.node("b");
    let conn = b.mesh.conn(b.mesh.link("a-b").unwrap()).unwrap();
    pump.frames.clear();
    (pump, conn)
}

fn relay(pump: &mut Pump, conn: ConnId, kind: FrameType, body: Vec<u8>) {
    let b = pump.index("b");
    pump.tell(
        b,
        Event::Frame {
            conn,
            frame: ControlFrame {
                kind,
                body: body.into(),
            },
        },
    );
}

fn lsa(site: &str) -> Lsa {
    Lsa {
        bid: Bid::derive(NETWORK, site).0.to_vec(),
        instance: vec![8; 16],
        epoch: 5,
        seq: 1,
        sid: 77,
        site: site.to_owned(),
        since: 5,
        ..Lsa::default()
    }
}

fn framed(lsa: Vec<u8>, unreachable_ms: u32) -> Vec<u8> {
    LsaFrame {
        unreachable_ms,
        lsa: lsa.into(),
    }
    .encode_to_vec()
}

fn flooded(pump: &Pump) -> Vec<LsaFrame> {
    let b = pump.index("b");
    pump.frames
        .iter()
        .filter(|(node, kind, _)| *node == b && *kind == FrameType::Lsa)
        .map(|(_, kind, body)| decode_control(*kind, body).unwrap())
        .collect()
}

/// I26.
#[test]
fn fields_of_a_later_release_are_flooded_byte_by_byte() {
    let (mut pump, conn) = row();
    let mut bytes = lsa("far").encode_to_vec();
    // Field 60, length-delimited, two bytes.
    bytes.extend_from_slice(&[0xe2, 0x03, 2, 1, 2]);
    relay(&mut pump, conn, FrameType::Lsa, framed(bytes.clone(), 40));
    let sent = flooded(&pump);
    assert_eq!(sent.len(), 1, "to the other neighbour only");
    assert_eq!(sent[0].lsa, bytes);
    assert_eq!(sent[0].unreachable_ms, 40);
    pump.run(Duration::from_millis(100));
    assert!(pump.databases("c").iter().any(|row| row.0 == "far"));
}

#[test]
fn records_that_cannot_be_true_are_not_stored_and_not_flooded() {
    let half = HalfLink {
        peer: vec![1; 16],
        cost: 0,
        ..HalfLink::default()
    };
    let rows = [
        (
            "id of another site",
            Lsa {
                site: "near".to_owned(),
                ..lsa("far")
            },
        ),
        (
            "short id 0",
            Lsa {
                sid: 0,
                ..lsa("far")
            },
        ),
        (
            "short id above 16 bits",
            Lsa {
                sid: 70_000,
                ..lsa("far")
            },
        ),
        (
            "cost 0",
            Lsa {
                links: vec![half.clone()],
                ..lsa("far")
            },
        ),
        (
            "too many links",
            Lsa {
                links: vec![HalfLink { cost: 1, ..half }; 1025],
                ..lsa("far")
            },
        ),
        (
            "half an instance",
            Lsa {
                instance: vec![8; 8],
                ..lsa("far")
            },
        ),
        (
            "an epoch beyond all clocks",
            Lsa {
                epoch: u64::MAX,
                ..lsa("far")
            },
        ),
    ];
    for (name, lsa) in rows {
        let (mut pump, conn) = row();
        relay(
            &mut pump,
            conn,
            FrameType::Lsa,
            framed(lsa.encode_to_vec(), 1),
        );
        assert!(flooded(&pump).is_empty(), "{name}");
        assert_eq!(pump.databases("b").len(), 3, "{name}");
        assert_eq!(pump.state("b", "a-b").0, LinkState::Up, "{name}");
    }
}

/// R3.
#[test]
fn an_older_record_is_answered_with_the_newer_one() {
    let (mut pump, conn) = row();
    let newer = Lsa {
        seq: 9,
        ..lsa("far")
    }
    .encode_to_vec();
    relay(&mut pump, conn, FrameType::Lsa, framed(newer.clone(), 1));
    pump.frames.clear();
    relay(
        &mut pump,
        conn,
        FrameType::Lsa,
        framed(lsa("far").encode_to_vec(), 1),
    );
    let sent = flooded(&pump);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].lsa, newer);
    pump.frames.clear();
    relay(&mut pump, conn, FrameType::Lsa, framed(newer, 1));
    assert!(flooded(&pump).is_empty(), "the same again is nothing new");
}

/// R14.
#[test]
fn what_nobody_has_reached_for_an_hour_is_not_taken_again() {
    let (mut pump, conn) = row();
    relay(
        &mut pump,
        conn,
        FrameType::Lsa,
        framed(lsa("far").encode_to_vec(), 3_600_000),
    );
    assert!(flooded(&pump).is_empty());
    relay(
        &mut pump,
        conn,
        FrameType::Lsa,
        framed(lsa("far").encode_to_vec(), 3_599_000),
    );
    assert_eq!(pump.databases("b").len(), 4);
    pump.seconds(2);
    assert_eq!(pump.databases("b").len(), 3, "the count went on");
}

fn own(pump: &Pump, epoch: u64, seq: u64) -> Lsa {
    let b = pump.node("b").config.clone();
    Lsa {
        bid: b.bid().0.to_vec(),
        instance: vec![2; 16],
        epoch,
        seq,
        sid: Sid::from_name("b").0.into(),
        ..lsa("b")
    }
}

/// R3.
#[test]
fn leftovers_of_an_own_earlier_process_are_topped() {
    let (mut pump, conn) = row();
    let leftover = own(&pump, 40, 1).encode_to_vec();
    relay(&mut pump, conn, FrameType::Lsa, framed(leftover, 500));
    assert_eq!(pump.node("b").epochs, [Epoch(41)]);
    assert_eq!(pump.node("b").mesh.routes().epoch(), Epoch(41));
    pump.run(Duration::from_millis(100));
    assert!(
        pump.databases("c")
            .iter()
            .any(|row| row.0 == "b" && row.1 == Epoch(41))
    );
    assert_eq!(pump.reached("a"), ["b", "c"]);
    let same_epoch = own(&pump, 41, 90).encode_to_vec();
    relay(&mut pump, conn, FrameType::Lsa, framed(same_epoch, 0));
    let last = flooded(&pump).pop().unwrap();
    assert_eq!(Lsa::decode(last.lsa).unwrap().seq, 91);
}

/// R26.
#[test]
fn a_later_process_of_the_own_claim_that_lives_ends_this_one_in_the_network() {
    let (mut pump, conn) = row();
    let alive = own(&pump, 40, 1).encode_to_vec();
    relay(&mut pump, conn, FrameType::Lsa, framed(alive, 0));
    assert_eq!(
        pump.state("b", "a-b"),
        (LinkState::Refused, "duplicate_site")
    );
    assert!(pump.reached("b").is_empty());
}

/// R7.
#[test]
fn changes_of_an_unknown_claim_are_asked_for_not_applied() {
    let (mut pump, conn) = row();
    let int = Int {
        bid: Bid::derive(NETWORK, "far").0.to_vec(),
        instance8: 8,
        epoch: 5,
        iseq: 3,
        ..Int::default()
    };
    relay(&mut pump, conn, FrameType::Int, int.encode_to_vec());
    let kinds: Vec<FrameType> = pump.frames.iter().map(|(_, kind, _)| *kind).collect();
    assert_eq!(kinds, [FrameType::Req, FrameType::Req]);
}

/// R14: entries count when they are at least what their issuer says.
#[test]
fn entries_behind_the_word_of_their_issuer_do_not_count_yet() {
    let (mut pump, conn) = row();
    let [a, b] = [("a", 1), ("b", 2)].map(|(site, byte)| (Bid::derive(NETWORK, site), [byte; 16]));
    let half = |peer: (Bid, [u8; 16]), name: &str| HalfLink {
        peer: peer.0.0.to_vec(),
        peer_instance8: Instance(peer.1).instance8(),
        link: link_hash(name),
        cost: 10,
        deny: Vec::new(),
    };
    let far = (Bid::derive(NETWORK, "far"), [8; 16]);
    let of_far = Lsa {
        links: vec![half(a, "x")],
        iseq: 2,
        ..lsa("far")
    };
    let of_a = Lsa {
        instance: a.1.to_vec(),
        epoch: 1,
        seq: 99,
        sid: Sid::from_name("a").0.into(),
        since: 1,
        links: vec![half(b, "a-b"), half(far, "x")],
        ..lsa("a")
    };
    for record in [of_far, of_a] {
        relay(
            &mut pump,
            conn,
            FrameType::Lsa,
            framed(record.encode_to_vec(), 0),
        );
    }
    pump.run(Duration::from_millis(20));
    assert!(pump.reached("b").contains(&"far".to_owned()));
    for iseq in [1, 2] {
        assert!(pump.node("b").entries.is_empty());
        let entry = Entry {
            id: iseq,
            filter: format!("q{iseq}"),
            ..Entry::default()
        };
        let int = Int {
            bid: far.0.0.to_vec(),
            instance8: Instance(far.1).instance8(),
            epoch: 5,
            iseq,
            put: vec![entry.encode_to_vec().into()],
            ..Int::default()
        };
        relay(&mut pump, conn, FrameType::Int, int.encode_to_vec());
        if iseq == 2 {
            let newest = pump
                .databases("b")
                .into_iter()
                .find(|row| row.0 == "far")
                .unwrap();
            let word = Lsa {
                seq: 2,
                links: vec![half(a, "x")],
                iseq: 2,
                ihash: newest.3.to_be_bytes().to_vec(),
                ..lsa("far")
            };
            relay(
                &mut pump,
                conn,
                FrameType::Lsa,
                framed(word.encode_to_vec(), 0),
            );
        }
    }
    assert_eq!(pump.node("b").entries.len(), 2);
}

/// I17, section 4.5.
#[test]
fn no_bytes_of_a_neighbour_end_the_process() {
    let kinds = [
        FrameType::Auth,
        FrameType::Hello,
        FrameType::Accept,
        FrameType::Refuse,
        FrameType::Bye,
        FrameType::Ping,
        FrameType::Pong,
        FrameType::Digest,
        FrameType::Req,
        FrameType::Lsa,
        FrameType::Int,
        FrameType::IntSnap,
        FrameType::Synced,
        FrameType::Report,
        FrameType::Cong,
        FrameType::Fwd,
    ];
    let mut random = Random::new(11);
    let (mut pump, _) = row();
    let templates: Vec<(FrameType, Vec<u8>)> = {
        let fresh = Pump::of(&["a", "b", "c"], &[("a", "b"), ("b", "c")]);
        let mut fresh = fresh;
        super::many::subscribe(&mut fresh, "a", "x");
        fresh.seconds(20);
        fresh
            .frames
            .into_iter()
            .map(|(_, kind, body)| (kind, body))
            .collect()
    };
    for round in 0..4000_u64 {
        let b = pump.node("b");
        let link = b
            .mesh
            .link(if round % 2 == 0 { "a-b" } else { "b-c" })
            .unwrap();
        let Some(conn) = b.mesh.conn(link) else {
            pump.seconds(1);
            continue;
        };
        let pick = usize::try_from(random.number() % 1000).unwrap();
        let (kind, mut body) = templates[pick % templates.len()].clone();
        let kind = if pick % 10 == 0 {
            kinds[pick / 10 % kinds.len()]
        } else {
            kind
        };
        for _ in 0..random.number() % 4 {
            if body.is_empty() {
                break;
            }
            let at = usize::try_from(random.number()).unwrap() % body.len();
            body[at] = u8::try_from(random.number() % 256).unwrap();
        }
        relay(&mut pump, conn, kind, body);
        pump.run(Duration::from_millis(20));
    }
    assert!(pump.databases("b").len() < 100);
}
