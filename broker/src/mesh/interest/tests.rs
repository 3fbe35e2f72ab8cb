use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;

use super::local::{Local, LocalConfig, Step};
use super::remote::{Idb, Outcome, PartOutcome};
use super::{Demand, EntryChange, LocalChange, Summary, value_hash};
use crate::mesh::ids::{ClaimId, ConnId, Epoch, Now};
use crate::mesh::messages::{
    ENTRY_MERGED, Entry, EqDelta, Int, IntSnap, Kind, SELECTOR_EQUALITY, SELECTOR_NONE,
    SELECTOR_OPAQUE,
};
use crate::mesh::random::Random;
use crate::mesh::replies::ReplyPatterns;

fn at(millis: u64) -> Now {
    Now(0).plus(Duration::from_millis(10_000 + millis))
}

fn local(cap: usize) -> Local {
    let replies = ReplyPatterns::new(["*.reply.>"]);
    Local::new(LocalConfig {
        topics: cap,
        queues: cap,
        open_credit: 16,
        replies,
    })
}

fn set(local: &mut Local, filter: &str, demand: Option<Demand>, now: Now) {
    local.change(
        LocalChange {
            kind: Kind::Queue,
            filter: filter.into(),
            demand,
        },
        now,
    );
}

fn equality(values: &[&str]) -> Demand {
    let mut hashes: Vec<u64> = values.iter().map(|value| value_hash(value)).collect();
    hashes.sort_unstable();
    let summary = Summary::Equality(vec![("id".into(), hashes.into())]);
    Demand {
        summary,
        ..Demand::of(u32::try_from(values.len()).unwrap())
    }
}

fn opaque(consumers: u32) -> Demand {
    Demand {
        summary: Summary::Opaque,
        ..Demand::of(consumers)
    }
}

fn puts(steps: &[Step]) -> Vec<Entry> {
    let put = |step: &Step| match step {
        Step::Put(bytes) => Some(Entry::decode(bytes.clone()).unwrap()),
        _ => None,
    };
    steps.iter().filter_map(put).collect()
}

/// R5.
#[test]
fn changes_are_gathered_for_five_milliseconds() {
    let mut local = local(100);
    set(&mut local, "q", Some(Demand::of(1)), at(0));
    set(&mut local, "r", Some(Demand::of(1)), at(3));
    assert_eq!(local.deadline(), Some(at(5)));
    let steps = local.flush(at(5));
    assert_eq!(puts(&steps).len(), 2);
    assert!(local.flush(at(5)).is_empty());
    assert_eq!(local.deadline(), None);
}

#[test]
fn an_entry_that_came_and_went_within_a_batch_is_nothing() {
    let mut local = local(100);
    set(&mut local, "q", Some(Demand::of(1)), at(0));
    set(&mut local, "q", None, at(1));
    assert!(local.flush(at(5)).is_empty());
}

/// R5.
#[test]
fn hints_alone_are_told_once_a_second() {
    let mut local = local(100);
    set(&mut local, "q", Some(Demand::of(1)), at(0));
    local.flush(at(5));
    set(&mut local, "q", Some(Demand::of(100)), at(10));
    assert!(!local.has_pending());
    assert!(local.flush(at(500)).is_empty());
    let due = local.deadline().unwrap();
    assert!(due <= at(1005));
    assert_eq!(puts(&local.flush(due))[0].consumers_log2, 6);
}

/// R5.
#[test]
fn rev_rises_when_the_entry_comes_to_cover_more_and_only_then() {
    let mut local = local(100);
    let rows = [
        ("one value", equality(&["x"]), 1),
        ("one value more", equality(&["x", "y"]), 2),
        ("one value less", equality(&["y"]), 2),
        ("anything", opaque(2), 3),
        ("another unknown selector", opaque(3), 4),
        ("one of them less", opaque(2), 4),
        ("everything", Demand::of(2), 5),
        ("still everything", Demand::of(40), 5),
        (
            "said by the caller",
            Demand {
                is_wider: true,
                ..Demand::of(40)
            },
            6,
        ),
    ];
    let mut rev = 0;
    for (step, (name, demand, expected)) in (0..).zip(rows) {
        let now = at(step * 2000);
        set(&mut local, "q", Some(demand), now);
        if let Some(entry) = puts(&local.flush(now)).first() {
            rev = entry.rev;
        }
        assert_eq!(rev, expected, "{name}");
    }
}

#[test]
fn equality_values_travel_as_differences() {
    let mut local = local(100);
    set(&mut local, "q", Some(equality(&["x", "y"])), at(0));
    local.flush(at(0));
    set(&mut local, "q", Some(equality(&["y", "z"])), at(10));
    let steps = local.flush(at(10));
    let delta = steps.iter().find_map(|step| match step {
        Step::Values(delta) => Some(delta.clone()),
        _ => None,
    });
    let delta = delta.unwrap();
    assert_eq!(
        (delta.add, delta.del),
        (vec![value_hash("z")], vec![value_hash("x")])
    );
}

/// R5: too wide, never too narrow.
#[test]
fn too_many_entries_are_merged_under_their_prefix_and_come_apart_again() {
    let mut local = local(10);
    for number in 0..9 {
        set(
            &mut local,
            &format!("jobs.{number}"),
            Some(equality(&["x"])),
            at(0),
        );
    }
    set(&mut local, "other", Some(Demand::of(1)), at(0));
    assert_eq!(puts(&local.flush(at(0))).len(), 10);
    set(&mut local, "jobs.9", Some(Demand::of(1)), at(10));
    let steps = local.flush(at(10));
    let merged = puts(&steps);
    assert_eq!(merged.len(), 1);
    let wide = (&*merged[0].filter, merged[0].flags, merged[0].selector);
    assert_eq!(wide, ("jobs.>", ENTRY_MERGED, SELECTOR_OPAQUE));
    let gone = steps
        .iter()
        .filter(|step| matches!(step, Step::Delete(_)))
        .count();
    assert_eq!(gone, 9, "what stood for itself goes");
    set(&mut local, "jobs.10", Some(Demand::of(1)), at(20));
    assert_eq!(
        puts(&local.flush(at(20)))[0].rev,
        merged[0].rev + 1,
        "it covers one more"
    );
    for number in 3..11 {
        set(&mut local, &format!("jobs.{number}"), None, at(30));
    }
    let apart = puts(&local.flush(at(30)));
    let filters: Vec<&str> = apart.iter().map(|entry| entry.filter.as_str()).collect();
    assert_eq!(filters, ["jobs.0", "jobs.1", "jobs.2"]);
    assert!(
        apart
            .iter()
            .all(|entry| entry.selector == SELECTOR_EQUALITY)
    );
}

fn id() -> ClaimId {
    ClaimId {
        instance8: 1,
        ..ClaimId::default()
    }
}

fn idb() -> Idb {
    let mut idb = Idb::default();
    idb.reset(id(), Epoch(1));
    idb
}

fn entry(number: u64, selector: u32) -> Bytes {
    let filter = format!("q.{number}");
    Entry {
        id: number,
        filter,
        selector,
        kind: 1,
        ..Entry::default()
    }
    .encode_to_vec()
    .into()
}

fn int(iseq: u64) -> Int {
    Int {
        epoch: 1,
        iseq,
        instance8: 1,
        ..Int::default()
    }
}

fn apply(idb: &mut Idb, int: &Int) -> Outcome {
    idb.change(id(), int, &Bytes::from(int.encode_to_vec()))
}

/// R7.
#[test]
fn changes_are_applied_in_order_and_gaps_are_noticed() {
    let mut idb = idb();
    assert!(matches!(apply(&mut idb, &int(1)), Outcome::Applied(_)));
    assert_eq!(apply(&mut idb, &int(1)), Outcome::Stale);
    assert_eq!(apply(&mut idb, &int(3)), Outcome::Gap);
    assert_eq!(apply(&mut idb, &Int { epoch: 0, ..int(9) }), Outcome::Stale);
    assert_eq!(apply(&mut idb, &Int { epoch: 2, ..int(1) }), Outcome::Gap);
    assert_eq!(
        Idb::default().change(id(), &int(1), &Bytes::new()),
        Outcome::Gap
    );
}

#[test]
fn a_record_without_equality_loses_the_values_it_had() {
    let mut idb = idb();
    let eq = EqDelta {
        entry: 1,
        property: "id".to_owned(),
        add: vec![1, 2],
        del: vec![],
    };
    let with = Int {
        put: vec![entry(1, SELECTOR_EQUALITY)],
        eq: vec![eq],
        ..int(1)
    };
    let Outcome::Applied(changes) = apply(&mut idb, &with) else {
        panic!()
    };
    assert_eq!(changes.len(), 1, "one change, whatever it is made of");
    let Some(EntryChange::Put(put)) = changes.last() else {
        panic!()
    };
    assert_eq!(
        put.summary,
        Summary::Equality(vec![("id".into(), vec![1, 2].into())])
    );
    apply(
        &mut idb,
        &Int {
            put: vec![entry(1, SELECTOR_NONE)],
            ..int(2)
        },
    );
    let mut plain = self::idb();
    apply(
        &mut plain,
        &Int {
            put: vec![entry(1, SELECTOR_NONE)],
            ..int(1)
        },
    );
    assert_eq!(
        idb.claim(&id()).unwrap().ihash,
        plain.claim(&id()).unwrap().ihash
    );
    assert_eq!(idb.bytes(), plain.bytes());
}

#[test]
fn unknown_kinds_are_stored_hashed_and_not_shown() {
    let mut idb = idb();
    let bytes = Entry {
        id: 1,
        kind: 9,
        ..Entry::default()
    }
    .encode_to_vec();
    let outcome = apply(
        &mut idb,
        &Int {
            put: vec![bytes.into()],
            ..int(1)
        },
    );
    assert_eq!(outcome, Outcome::Applied(Vec::new()));
    assert_eq!(idb.claim(&id()).unwrap().len(), 1);
    assert_ne!(idb.claim(&id()).unwrap().ihash, 0);
}

/// 4.2: adding and removing are one addition each, in any order.
#[test]
fn equal_entries_have_equal_hashes_whatever_led_to_them() {
    for seed in 0..50 {
        let mut random = Random::new(seed);
        let mut idb = idb();
        for iseq in 1..60 {
            let number = random.number() % 6;
            let mut change = int(iseq);
            match random.number() % 3 {
                0 => change.del.push(number),
                1 => change
                    .put
                    .push(entry(number, u32::try_from(random.number() % 3).unwrap())),
                _ => change.eq.push(EqDelta {
                    entry: number,
                    property: "id".to_owned(),
                    add: vec![random.number() % 5],
                    del: vec![random.number() % 5],
                }),
            }
            apply(&mut idb, &change);
        }
        let copy = copy_by_snapshot(&idb);
        let (one, other) = (idb.claim(&id()).unwrap(), copy.claim(&id()).unwrap());
        assert_eq!(
            (one.iseq, one.ihash),
            (other.iseq, other.ihash),
            "seed {seed}"
        );
        assert_eq!(one.all(), other.all(), "seed {seed}");
        assert_eq!(idb.bytes(), copy.bytes(), "seed {seed}");
    }
}

fn copy_by_snapshot(idb: &Idb) -> Idb {
    let mut copy = self::idb();
    for body in idb.claim(&id()).unwrap().snapshot(id()) {
        let snap = IntSnap::decode(body.clone()).unwrap();
        copy.part(ConnId(1), id(), snap, body);
    }
    copy
}

fn large() -> Idb {
    let mut idb = idb();
    let put = (0..4000)
        .map(|number| entry(number, SELECTOR_NONE))
        .collect();
    apply(&mut idb, &Int { put, ..int(1) });
    idb
}

fn parts(idb: &Idb) -> Vec<(IntSnap, Bytes)> {
    let bodies = idb.claim(&id()).unwrap().snapshot(id());
    bodies
        .into_iter()
        .map(|body| (IntSnap::decode(body.clone()).unwrap(), body))
        .collect()
}

/// R7.
#[test]
fn changes_that_come_during_a_snapshot_are_applied_after_it() {
    let source = large();
    let mut copy = idb();
    let mut parts = parts(&source);
    assert!(parts.len() > 1);
    let (last, body) = parts.pop().unwrap();
    for (snap, body) in parts {
        assert_eq!(copy.part(ConnId(1), id(), snap, body), PartOutcome::Waiting);
    }
    assert_eq!(apply(&mut copy, &int(2)), Outcome::Kept);
    let PartOutcome::Complete(done) = copy.part(ConnId(1), id(), last, body) else {
        panic!()
    };
    assert_eq!(done.later.len(), 1);
    assert!(matches!(apply(&mut copy, &int(2)), Outcome::Applied(_)));
}

#[test]
fn a_snapshot_whose_hash_differs_or_whose_parts_are_in_disorder_is_not_taken() {
    let source = large();
    let mut copy = idb();
    for (mut snap, body) in parts(&source) {
        snap.put.pop();
        let outcome = copy.part(ConnId(1), id(), snap, body);
        assert!(matches!(outcome, PartOutcome::Waiting | PartOutcome::Wrong));
    }
    let mut reversed = parts(&source);
    reversed.swap(0, 1);
    let (snap, body) = reversed.swap_remove(0);
    assert_eq!(copy.part(ConnId(1), id(), snap, body), PartOutcome::Wrong);
    assert_eq!(copy.claim(&id()).unwrap().len(), 0);
}

#[test]
fn a_snapshot_that_was_cut_short_begins_anew_from_another_neighbour() {
    let source = large();
    let mut copy = idb();
    let (snap, body) = parts(&source).swap_remove(0);
    assert_eq!(copy.part(ConnId(1), id(), snap, body), PartOutcome::Waiting);
    let (snap, body) = parts(&source).swap_remove(1);
    assert_eq!(copy.part(ConnId(2), id(), snap, body), PartOutcome::Ignored);
    let (snap, body) = parts(&source).swap_remove(0);
    assert_eq!(copy.part(ConnId(2), id(), snap, body), PartOutcome::Waiting);
    copy.lost(ConnId(1));
    copy.lost(ConnId(2));
    let outcomes: Vec<PartOutcome> = parts(&source)
        .into_iter()
        .map(|(snap, body)| copy.part(ConnId(3), id(), snap, body))
        .collect();
    assert!(matches!(outcomes.last(), Some(PartOutcome::Complete(_))));
    assert_eq!(copy.claim(&id()).unwrap().len(), 4000);
}

#[test]
fn entries_above_the_limits_are_refused_and_counted() {
    let mut idb = idb();
    let long = Entry {
        id: 1,
        filter: "x".repeat(5000),
        ..Entry::default()
    }
    .encode_to_vec();
    apply(
        &mut idb,
        &Int {
            put: vec![long.into(), vec![0xff].into()],
            ..int(1)
        },
    );
    let claim = idb.claim_mut(&id()).unwrap();
    assert_eq!(
        (claim.len(), claim.take_refused(), claim.take_refused()),
        (0, 2, 0)
    );
}
