//! Tests of limbo.

use super::*;
use crate::mesh::forward::DSet;
use crate::mesh::frame::{PayloadKind, TailHead};
use crate::mesh::ids::{Epoch, Sid};

fn at(millis: u64) -> Now {
    Now(0).plus(Duration::from_millis(millis))
}

fn frame(seq: u64) -> Queued {
    let tail_head = TailHead {
        origin: Sid(1),
        class: 0,
        kind: PayloadKind::Topic,
        label: 0,
        flags: 0,
        epoch: Epoch(1),
        seq,
        ttl_ms: 0,
        payload_len: 0,
    };
    Queued::own(
        DSet::of(Sid(2)),
        tail_head,
        tail_head.with_payload(&[&[0; 500]]),
        at(0),
    )
}

fn limbo(frames: usize) -> Limbo {
    Limbo::new(frames * frame(0).cost(), Duration::from_secs(2))
}

#[test]
fn a_frame_comes_out_with_the_next_map_and_only_then() {
    let mut limbo = limbo(5);
    assert!(limbo.take(1).is_empty());
    assert!(limbo.park(frame(1), at(0)));
    assert!(limbo.take(1).is_empty());
    assert_eq!(limbo.take(2).len(), 1);
    assert_eq!((limbo.len(), limbo.bytes(), limbo.generation()), (0, 0, 2));
}

#[test]
fn a_stay_ends_after_two_seconds_however_often_it_was_tried() {
    let mut limbo = limbo(5);
    limbo.park(frame(1), at(0));
    limbo.park(frame(2), at(1500));
    for parked in limbo.take(7) {
        assert!(limbo.park_again(parked));
    }
    let mut dropped = Vec::new();
    assert_eq!(limbo.deadline(), Some(at(2000)));
    limbo.expire(at(2000), 20, |over| match over {
        Over::Dropped(frame) => dropped.push(frame.tail_head.seq),
        Over::Again(frame) => panic!("{frame:?} had no route"),
    });
    assert_eq!(dropped, [1]);
    assert_eq!(limbo.bytes(), frame(2).cost());
}

#[test]
fn a_full_limbo_takes_no_more_but_an_empty_one_takes_any_size() {
    let mut limbo = limbo(2);
    assert!(limbo.park(frame(1), at(0)) && limbo.park(frame(2), at(0)));
    assert!(!limbo.park(frame(3), at(0)));
    let mut tiny = Limbo::new(1, Duration::from_secs(2));
    assert!(tiny.park(frame(1), at(0)));
    assert!(!tiny.park(frame(2), at(0)));
}

#[test]
fn custody_takes_its_own_frames_out() {
    let mut limbo = limbo(5);
    limbo.park(frame(1), at(0));
    limbo.park(frame(2), at(0));
    limbo.retain(|queued| queued.tail_head.seq != 1);
    assert_eq!((limbo.len(), limbo.bytes()), (1, frame(2).cost()));
}

#[test]
fn what_came_around_too_often_goes_on_with_a_new_count_when_the_maps_were_quiet() {
    let mut limbo = limbo(5);
    let around = Queued {
        hops: 21,
        ..frame(1)
    };
    limbo.park(around, at(0));
    let mut again = Vec::new();
    limbo.expire(at(2000), 20, |over| match over {
        Over::Again(frame) => again.push(frame.hops),
        Over::Dropped(frame) => panic!("{frame:?} had a route"),
    });
    assert_eq!(again, [0]);
    assert_eq!((limbo.len(), limbo.bytes()), (0, 0));
}
