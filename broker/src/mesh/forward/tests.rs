//! Tests of sets, splitting and arrival.

use std::collections::BTreeSet;

use super::*;
use crate::mesh::frame::{FwdHead, PayloadKind};
use crate::mesh::ids::Epoch;

/// Even sites over link 0, odd ones over link 1, those above 1,000 over none.
struct TwoLinks;

impl Routes for TwoLinks {
    fn own(&self) -> Sid {
        Sid(10)
    }
    fn generation(&self) -> u64 {
        1
    }
    fn hop_bound(&self) -> u16 {
        20
    }
    fn next_hop(&self, _: Sid, _: u8, _: u16, dest: Sid) -> Option<LinkId> {
        (dest.0 <= 1000).then_some(LinkId(u32::from(dest.0 % 2)))
    }
    fn is_denied(&self, origin: Sid) -> bool {
        origin == Sid(666)
    }
}

fn set(sids: &[u16]) -> DSet {
    sids.iter().map(|sid| Sid(*sid)).collect()
}

fn frame(dset: DSet, origin: u16, seq: u64) -> FwdFrame {
    let tail_head = TailHead {
        origin: Sid(origin),
        class: 0,
        kind: PayloadKind::Topic,
        label: 0,
        flags: 0,
        epoch: Epoch(1),
        seq,
        ttl_ms: 0,
        payload_len: 0,
    };
    let tail = tail_head.with_payload(&[]);
    let head = FwdHead {
        lseq: 1,
        age_ms: 100,
        hops: 0,
        is_marked: false,
    };
    FwdFrame {
        head,
        dset,
        tail_head,
        tail,
    }
}

fn arrive(frame: &mut FwdFrame, windows: &mut Windows) -> Received {
    receive(&TwoLinks, windows, frame, Duration::from_millis(40), Now(0))
}

fn windows() -> Windows {
    Windows::new(Duration::from_secs(60), 1 << 20)
}

#[test]
fn a_set_behaves_like_a_set() {
    let mut seed = 7_u64;
    for limit in [20_u64, 300, 65_535] {
        let (mut dset, mut model) = (DSet::new(), BTreeSet::new());
        for _ in 0..2000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let sid = Sid(u16::try_from((seed >> 33) % limit + 1).unwrap());
            if (seed >> 20).is_multiple_of(3) {
                assert_eq!(dset.remove(sid), model.remove(&sid));
            } else {
                assert_eq!(dset.insert(sid), model.insert(sid));
            }
            assert_eq!(dset.contains(sid), model.contains(&sid));
            assert_eq!(dset.len(), model.len());
        }
        assert!(dset.iter().eq(model.iter().copied()));
        let form = dset.form();
        let mut bytes = Vec::new();
        dset.encode(form, &mut bytes);
        assert_eq!(bytes.len(), form.byte_len().unwrap());
        assert_eq!(DSet::decode(form, &bytes), Ok(dset));
    }
}

#[test]
fn a_set_that_grew_and_shrank_is_still_usable() {
    let mut dset: DSet = (1..40).map(Sid).collect();
    for sid in 1..40 {
        assert!(dset.remove(Sid(sid)));
    }
    assert!(dset.is_empty());
    assert!(dset.insert(Sid(9)));
    assert_eq!(dset, DSet::of(Sid(9)));
}

#[test]
fn a_split_has_one_disjoint_part_per_link_and_a_rest() {
    let mut split_into = Split::default();
    let tail = frame(DSet::new(), 1, 1).tail_head;
    split(&TwoLinks, &tail, &set(&[1, 2, 3, 4, 2000]), &mut split_into);
    assert_eq!(
        split_into.parts(),
        [(LinkId(1), set(&[1, 3])), (LinkId(0), set(&[2, 4]))]
    );
    assert_eq!(*split_into.rest(), set(&[2000]));
    // Used again, nothing of the last time is left.
    split(&TwoLinks, &tail, &set(&[6]), &mut split_into);
    assert_eq!(split_into.parts(), [(LinkId(0), set(&[6]))]);
    assert!(split_into.rest().is_empty());
}

#[test]
fn a_frame_for_here_and_others_is_delivered_and_sent_on_without_us() {
    let mut frame = frame(set(&[10, 11]), 1, 1);
    let received = arrive(&mut frame, &mut windows());
    assert_eq!(
        received,
        Received::Handle {
            local: Local::Deliver,
            onward: Onward::Split
        }
    );
    assert_eq!(frame.dset, set(&[11]));
    assert_eq!((frame.head.age_ms, frame.head.hops), (120, 1));
}

#[test]
fn the_second_copy_is_not_delivered_whether_marked_or_not() {
    let mut windows = windows();
    arrive(&mut frame(set(&[10]), 1, 1), &mut windows);
    for is_marked in [true, false] {
        let mut again = frame(set(&[10, 12]), 1, 1);
        again.head.is_marked = is_marked;
        let received = arrive(&mut again, &mut windows);
        assert_eq!(
            received,
            Received::Handle {
                local: Local::Duplicate,
                onward: Onward::Split
            }
        );
    }
}

#[test]
fn a_frame_in_transit_leaves_the_window_alone() {
    let mut windows = windows();
    let received = arrive(&mut frame(set(&[12]), 1, 1), &mut windows);
    assert_eq!(
        received,
        Received::Handle {
            local: Local::No,
            onward: Onward::Split
        }
    );
    assert_eq!(windows.bytes(), 0);
}

#[test]
fn too_many_hops_park_a_frame_after_it_was_delivered_here() {
    let mut frame = frame(set(&[10, 12]), 1, 1);
    frame.head.hops = 20;
    let received = arrive(&mut frame, &mut windows());
    assert_eq!(
        received,
        Received::Handle {
            local: Local::Deliver,
            onward: Onward::Park
        }
    );
}

#[test]
fn what_is_too_old_or_denied_ends_here() {
    let mut expired = frame(set(&[10]), 1, 1);
    expired.tail_head.ttl_ms = 120;
    assert_eq!(
        arrive(&mut expired, &mut windows()),
        Received::Drop(DropReason::Expired)
    );
    let mut aged = frame(set(&[10]), 1, 1);
    aged.head.age_ms = 30_000;
    assert_eq!(
        arrive(&mut aged, &mut windows()),
        Received::Drop(DropReason::Age)
    );
    let mut denied = frame(set(&[10]), 666, 1);
    assert_eq!(
        arrive(&mut denied, &mut windows()),
        Received::Drop(DropReason::Denied)
    );
}
