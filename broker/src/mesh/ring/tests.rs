//! Tests of the ring and its receiving end.

use super::*;
use crate::mesh::frame::{PayloadKind, TF_PATH_SAFE};
use crate::mesh::ids::{Epoch, Sid};

fn at(millis: u64) -> Now {
    Now(0).plus(Duration::from_millis(millis))
}

/// A frame that costs 1,000 bytes.
fn frame(seq: u64, flags: u16) -> Queued {
    let tail_head = TailHead {
        origin: Sid(1),
        class: 0,
        kind: PayloadKind::Topic,
        label: 0,
        flags,
        epoch: Epoch(1),
        seq,
        ttl_ms: 0,
        payload_len: 0,
    };
    let tail = tail_head.with_payload(&[&[0; 1000 - ENTRY_COST - 32]]);
    Queued::own(DSet::of(Sid(2)), tail_head, tail, at(0))
}

fn ring(frames: usize) -> Ring {
    Ring::new(frames * 1000, at(0))
}

fn fill(ring: &mut Ring, frames: u64) {
    for seq in 0..frames {
        assert_eq!(
            ring.append(frame(seq, 0), Source::Client, at(0)),
            Append::Placed
        );
    }
}

const TRANSIT: Source = Source::Transit {
    overflow_room: 1500,
};

#[test]
fn frames_leave_in_order_and_are_kept_until_acknowledged() {
    let mut ring = ring(10);
    fill(&mut ring, 3);
    assert_eq!(ring.next(at(5)).unwrap().head.lseq, 1);
    let second = ring.next(at(5)).unwrap();
    assert_eq!((second.head.lseq, second.head.age_ms), (2, 5));
    assert_eq!(ring.lack(1, at(6), |_| {}), Ok(1));
    assert_eq!((ring.len(), ring.bytes()), (2, 2000));
    assert_eq!(ring.lack(1, at(6), |_| {}), Ok(0));
    assert_eq!(
        ring.lack(3, at(6), |_| {}),
        Err(FrameError::LackAhead { lseq: 3, sent: 2 })
    );
}

#[test]
fn a_dead_link_hands_everything_back_and_marks_what_was_given_to_the_socket() {
    let mut ring = ring(10);
    fill(&mut ring, 4);
    ring.next(at(0));
    ring.next(at(0));
    ring.lack(1, at(0), |_| {}).unwrap();
    let back: Vec<(u64, bool)> = ring
        .die(at(1))
        .map(|frame| (frame.tail_head.seq, frame.is_marked))
        .collect();
    assert_eq!(back, [(1, true), (2, false), (3, false)]);
    assert_eq!(
        (ring.len(), ring.bytes(), ring.level()),
        (0, 0, Level::Free)
    );
    fill(&mut ring, 1);
    assert_eq!(ring.next(at(2)).unwrap().head.lseq, 1);
}

#[test]
fn the_level_rises_at_75_and_falls_at_50_percent() {
    let mut ring = ring(8);
    fill(&mut ring, 5);
    assert_eq!(ring.level(), Level::Free);
    fill(&mut ring, 1);
    assert_eq!(ring.level(), Level::Throttled);
    fill(&mut ring, 2);
    assert_eq!(ring.level(), Level::Full);
    while ring.next(at(0)).is_some() {}
    ring.lack(4, at(0), |_| {}).unwrap();
    assert_eq!(ring.level(), Level::Throttled);
    ring.lack(5, at(0), |_| {}).unwrap();
    assert_eq!(ring.level(), Level::Free);
}

#[test]
fn a_full_ring_drops_in_transit_what_is_not_reliable() {
    let mut ring = ring(4);
    fill(&mut ring, 4);
    assert_eq!(ring.append(frame(9, 0), TRANSIT, at(0)), Append::LinkFull);
    assert_eq!(
        ring.append(frame(9, TF_RELIABLE), TRANSIT, at(0)),
        Append::Placed
    );
    assert_eq!(ring.overflow(), 1000);
    let spent = Source::Transit {
        overflow_room: 1999,
    };
    assert_eq!(
        ring.append(frame(9, TF_RELIABLE), spent, at(0)),
        Append::Overflow
    );
}

#[test]
fn a_full_ring_takes_droppable_frames_of_clients_for_one_second_only() {
    let mut ring = ring(4);
    fill(&mut ring, 4);
    assert_eq!(
        ring.append(frame(9, 0), Source::Client, at(999)),
        Append::Placed
    );
    assert_eq!(
        ring.append(frame(9, 0), Source::Client, at(1000)),
        Append::LinkFull
    );
    assert_eq!(
        ring.append(frame(9, TF_RELIABLE), Source::Client, at(1000)),
        Append::Placed
    );
    // The episode ends below 75 %.
    while ring.next(at(1000)).is_some() {}
    ring.lack(2, at(1100), |_| {}).unwrap();
    assert!(ring.is_dropping(at(1100)));
    ring.lack(4, at(1100), |_| {}).unwrap();
    assert!(!ring.is_dropping(at(1100)));
}

#[test]
fn own_control_exceeds_the_cap_by_a_bounded_part() {
    let mut ring = ring(4);
    fill(&mut ring, 4);
    let mut placed = 0;
    while ring.append(frame(9, 0), Source::Control, at(0)) == Append::Placed {
        placed += 1;
    }
    assert_eq!(placed, 262);
}

#[test]
fn an_empty_ring_takes_one_frame_of_any_size() {
    let mut ring = Ring::new(10, at(0));
    assert_eq!(ring.append(frame(1, 0), TRANSIT, at(0)), Append::Placed);
    assert_eq!(ring.append(frame(2, 0), TRANSIT, at(0)), Append::LinkFull);
}

#[test]
fn what_is_over_is_dropped_before_it_is_sent_and_uses_no_number() {
    let mut ring = ring(10);
    let mut short = frame(1, 0);
    short.tail_head.ttl_ms = 50;
    ring.append(short, Source::Client, at(0));
    ring.append(frame(2, 0), Source::Client, at(0));
    let next = ring.next(at(50)).unwrap();
    assert_eq!((next.head.lseq, next.tail.clone()), (1, frame(2, 0).tail));
    assert_eq!(
        (ring.take_expired(), ring.take_expired(), ring.bytes()),
        (1, 0, 1000)
    );
}

#[test]
fn a_link_without_progress_is_noticed_only_while_something_waits() {
    let mut ring = ring(10);
    assert_eq!(ring.stalled_for(at(10_000)), Duration::ZERO);
    ring.append(frame(1, 0), Source::Client, at(10_000));
    assert_eq!(ring.stalled_for(at(20_000)), Duration::from_secs(10));
    ring.append(frame(2, 0), Source::Client, at(20_000));
    ring.next(at(20_000));
    ring.lack(1, at(20_000), |_| {}).unwrap();
    assert_eq!(ring.stalled_for(at(21_000)), Duration::from_secs(1));
}

#[test]
fn a_long_frame_on_a_slow_wire_waits_for_its_acknowledgement_and_is_not_idle() {
    let mut ring = ring(10);
    ring.append(frame(1, 0), Source::Client, at(0));
    ring.next(at(0));
    for second in 1..60 {
        ring.took(at(second * 1000));
    }
    assert_eq!(ring.stalled_for(at(60_000)), Duration::from_secs(60));
    assert_eq!(ring.idle_for(at(60_000)), Duration::from_secs(1));
    assert_eq!(ring.idle_for(at(90_000)), Duration::from_secs(31));
    // An answer counts as well.
    ring.append(frame(2, 0), Source::Client, at(90_000));
    ring.lack(1, at(90_000), |_| {}).unwrap();
    assert_eq!(ring.idle_for(at(91_000)), Duration::from_secs(1));
}

#[test]
fn it_agrees_with_a_naive_model_under_any_schedule() {
    let mut ring = ring(20);
    let (mut sent, mut unsent, mut acked) = (Vec::new(), Vec::new(), 0_u64);
    let mut seed = 11_u64;
    for seq in 0..50_000_u64 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        match (seed >> 33) % 5 {
            0 | 1 => {
                let appended = ring.append(frame(seq, TF_RELIABLE), TRANSIT, at(0));
                if appended == Append::Placed {
                    unsent.push(seq);
                }
            }
            2 => {
                let next = ring.next(at(0)).map(|sending| sending.head.lseq);
                if !unsent.is_empty() {
                    sent.push(unsent.remove(0));
                }
                let last = acked + u64::try_from(sent.len()).unwrap();
                assert!(next.is_none_or(|lseq| lseq == last));
            }
            3 => {
                let count = usize::try_from(seed >> 40).unwrap() % (sent.len() + 1);
                acked += u64::try_from(count).unwrap();
                sent.drain(..count);
                assert_eq!(ring.lack(acked, at(0), |_| {}), Ok(count));
            }
            _ if (seed >> 50).is_multiple_of(50) => {
                let back: Vec<u64> = ring.die(at(0)).map(|frame| frame.tail_head.seq).collect();
                sent.append(&mut unsent);
                assert_eq!(back, std::mem::take(&mut sent));
                acked = 0;
            }
            _ => {}
        }
        assert_eq!(ring.len(), sent.len() + unsent.len());
        assert_eq!(ring.bytes(), 1000 * ring.len());
        assert!(ring.bytes() <= 20_000 + 1500);
    }
}

#[test]
fn acknowledgements_are_due_by_count_by_bytes_or_by_time() {
    let mut inbound = Inbound::new();
    inbound.handled(1, 100, 0, at(0));
    assert_eq!(inbound.lack(at(19)), None);
    assert_eq!(inbound.deadline(), Some(at(20)));
    assert_eq!(inbound.lack(at(20)), Some(1));
    assert_eq!((inbound.lack(at(100)), inbound.deadline()), (None, None));
    for lseq in 2..66 {
        assert_eq!(inbound.lack(at(100)), None);
        inbound.handled(lseq, 100, 0, at(100));
    }
    assert_eq!(inbound.lack(at(100)), Some(65));
    inbound.handled(66, LACK_BYTES, 0, at(100));
    assert_eq!(inbound.lack(at(100)), Some(66));
}

#[test]
fn a_path_safe_frame_holds_the_acknowledgement_until_the_next_rings_have_theirs() {
    let (mut inbound, mut next_ring) = (Inbound::new(), ring(10));
    let hold = Hold {
        conn: ConnId(7),
        lseq: 2,
    };
    let mut safe = frame(1, TF_PATH_SAFE);
    safe.hold = Some(hold);
    next_ring.append(safe, TRANSIT, at(0));
    next_ring.next(at(0));
    inbound.handled(1, 100, 0, at(0));
    inbound.handled(2, 100, 1, at(0));
    inbound.handled(3, 100, 0, at(0));
    assert_eq!(inbound.lack(at(20)), Some(1));
    let mut released = Vec::new();
    next_ring
        .lack(1, at(30), |hold| released.push(hold))
        .unwrap();
    assert_eq!(released, [hold]);
    inbound.release(2);
    assert_eq!(inbound.lack(at(50)), Some(3));
}

#[test]
fn a_path_safe_frame_holds_no_longer_than_two_seconds() {
    let mut inbound = Inbound::new();
    inbound.handled(1, 100, 2, at(0));
    assert_eq!(inbound.deadline(), Some(at(2000)));
    assert_eq!(
        (inbound.expire(at(1999)), inbound.lack(at(1999))),
        (0, None)
    );
    assert_eq!(
        (inbound.expire(at(2000)), inbound.lack(at(2000))),
        (1, Some(1))
    );
}
