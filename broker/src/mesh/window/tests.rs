//! Tests of the duplicate window.

use std::collections::HashSet;

use super::*;

const A: Origin = (Sid(1), Epoch(1));

fn at(seconds: u64) -> Now {
    Now(0).plus(Duration::from_secs(seconds))
}

fn windows(blocks: usize) -> Windows {
    Windows::new(Duration::from_secs(60), blocks * BLOCK_LEN)
}

#[test]
fn while_nothing_is_dropped_it_is_exact() {
    let mut windows = windows(1000);
    let mut model = HashSet::new();
    let mut seed = 3_u64;
    for round in 0..200_000_u64 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let origin = (
            Sid(u16::try_from((seed >> 60) + 1).unwrap()),
            Epoch((seed >> 50) & 1),
        );
        let seq = round / 2 + (seed >> 40) % 1000;
        let is_first = windows.first(origin, seq, (seed >> 30) & 1 == 0, at(0)) == Verdict::First;
        assert_eq!(is_first, model.insert((origin, seq)));
    }
}

#[test]
fn below_the_window_unmarked_is_new_and_marked_is_seen() {
    let mut windows = windows(1);
    windows.first(A, 5, false, at(0));
    windows.first(A, 70_000, false, at(0));
    assert_eq!(windows.bytes(), BLOCK_LEN);
    assert_eq!(windows.first(A, 5, true, at(0)), Verdict::Seen);
    assert_eq!(windows.first(A, 6, true, at(0)), Verdict::Seen);
    assert_eq!(windows.first(A, 6, false, at(0)), Verdict::First);
}

#[test]
fn a_block_is_kept_while_it_is_young() {
    let mut windows = windows(100);
    windows.first(A, 5, false, at(0));
    windows.first(A, 70_000, false, at(30));
    windows.first(A, 140_000, false, at(59));
    assert_eq!(windows.bytes(), 3 * BLOCK_LEN);
    windows.sweep(at(61));
    assert_eq!(windows.bytes(), 2 * BLOCK_LEN);
    assert_eq!(windows.first(A, 6, true, at(61)), Verdict::Seen);
    assert_eq!(windows.first(A, 70_000, false, at(61)), Verdict::Seen);
}

#[test]
fn an_origin_without_traffic_is_freed() {
    let mut windows = windows(100);
    windows.first(A, 5, false, at(0));
    windows.sweep(at(59));
    assert_eq!(windows.bytes(), BLOCK_LEN);
    windows.sweep(at(60));
    assert_eq!(windows.bytes(), 0);
    assert_eq!(windows.first(A, 5, true, at(61)), Verdict::First);
}

#[test]
fn memory_stays_within_its_cap_and_the_oldest_goes_first() {
    let mut windows = windows(10);
    for second in 0..100 {
        let origin = (Sid(u16::try_from(second).unwrap() + 1), Epoch(1));
        windows.first(origin, 1, false, at(second / 10));
        assert!(windows.bytes() <= 10 * BLOCK_LEN);
    }
    assert_eq!(
        windows.first((Sid(100), Epoch(1)), 1, true, at(10)),
        Verdict::Seen
    );
    // What was dropped for want of room is remembered as dropped: no duplicate comes of it.
    assert_eq!(
        windows.first((Sid(1), Epoch(1)), 1, true, at(10)),
        Verdict::Seen
    );
}

#[test]
fn one_origin_keeps_at_most_256_blocks() {
    let mut windows = windows(1000);
    for block in 0..300 {
        windows.first(A, block * BLOCK_BITS, false, at(0));
    }
    assert_eq!(windows.bytes(), 256 * BLOCK_LEN);
}
