//! Tests of custody: two machines and what they say to each other, step by step. Random schedules
//! are in `chaos`, who is offered what in `offering`, what a restart of the other one means in `processes`.

mod chaos;
mod offering;
mod processes;
mod waiting;

use bytes::Bytes;

use super::*;
use crate::mesh::frame::TransferHead;

const A: Bid = Bid([1; 16]);
const B: Bid = Bid([2; 16]);

fn at(millis: u64) -> Now {
    Now(0).plus(Duration::from_millis(millis))
}

fn config(own: Bid, epoch: u64) -> CustodyConfig {
    CustodyConfig {
        own,
        epoch: Epoch(epoch),
        doubt_persistent: Some(Duration::from_secs(60)),
        doubt_brief: Duration::from_secs(3),
        reorder_bytes: 1 << 20,
    }
}

const fn room(free: u32, all: u32) -> Room {
    Room { free, all }
}

/// A machine that reaches the other one.
fn machine(own: Bid, epoch: u64) -> Custody {
    let mut custody = Custody::new(config(own, epoch), at(0));
    let other = if own == A { B } else { A };
    say(
        &mut custody,
        Event::Peer {
            bid: other,
            epoch: Epoch(1),
            is_reachable: true,
        },
        0,
    );
    custody
}

fn say(custody: &mut Custody, event: Event<'_>, millis: u64) -> Effects {
    let mut out = Effects::new();
    custody.handle(event, at(millis), &mut out);
    out
}

fn message(token: u64) -> Offer {
    Offer {
        queue: "work".into(),
        token,
        envelope: Bytes::from_static(b"message"),
        expires: None,
        is_persistent: false,
        is_redelivered: false,
        moves: 0,
        idle_since: at(0),
        learned: None,
        refusals: Refusals::new(),
        waiting: 5,
    }
}

fn entry_of(bid: Bid) -> Candidate {
    Candidate {
        bid,
        epoch: Epoch(1),
        entry: 9,
        rev: 0,
        distance: 1,
        consumers_log2: 0,
        open: 2,
        hint: 1,
        key: None,
        is_ring_open: true,
    }
}

fn offer(custody: &mut Custody, offer: &Offer, millis: u64) -> (Placement, Effects) {
    let mut out = Effects::new();
    let placement = custody.offer(offer, &[entry_of(B)], at(millis), &mut out);
    (placement, out)
}

/// The transfers among effects, as events for their receiver.
fn transfers(effects: Effects) -> Vec<(TransferHead, Bytes)> {
    let forward = |effect| match effect {
        Effect::Forward { head, envelope, .. } => Some((head, envelope)),
        _ => None,
    };
    effects.into_iter().filter_map(forward).collect()
}

/// Hands a transfer over; gives what its queue gets.
fn receive(
    custody: &mut Custody,
    transfer: &(TransferHead, Bytes),
    millis: u64,
) -> Vec<TransferId> {
    let (head, envelope) = transfer.clone();
    let arrived = say(
        custody,
        Event::Transfer {
            head,
            envelope,
            expires: None,
        },
        millis,
    );
    let id = |effect| match effect {
        Effect::Arrived { id, .. } => Some(id),
        _ => None,
    };
    arrived.into_iter().filter_map(id).collect()
}

/// A queue's answer; gives the acknowledgements that leave.
fn answer(
    custody: &mut Custody,
    id: TransferId,
    refused: Option<Refusal>,
    millis: u64,
) -> Vec<Body> {
    bodies(say(
        custody,
        Event::Outcomes(&[Outcome { id, refused }]),
        millis,
    ))
}

fn bodies(effects: Effects) -> Vec<Body> {
    let body = |effect| match effect {
        Effect::Route { body, .. } => Some(body),
        _ => None,
    };
    effects.into_iter().filter_map(body).collect()
}

/// Offers one message from `a`, which `b` answers; gives what that means for `a`.
fn hand_over(a: &mut Custody, b: &mut Custody, token: u64, refused: Option<Refusal>) -> Effects {
    let (placement, effects) = offer(a, &message(token), 0);
    assert_eq!(placement, Placement::Sent(B));
    let id = receive(b, &transfers(effects)[0], 0)[0];
    let body = answer(b, id, refused, 0).remove(0);
    say(a, Event::Routed { from: B, body }, 0)
}

fn gone(token: u64) -> Effect {
    Effect::Gone {
        queue: "work".into(),
        token,
    }
}

fn returned(effects: &Effects) -> Vec<&Returned> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Returned(returned) => Some(returned),
            _ => None,
        })
        .collect()
}

#[test]
fn a_message_is_forgotten_when_the_other_broker_has_accepted_it() {
    let (mut a, mut b) = (machine(A, 1), machine(B, 1));
    assert_eq!(hand_over(&mut a, &mut b, 7, None), [gone(7)]);
    assert_eq!(a.counters().accepted, 1);
}

#[test]
fn a_lost_acknowledgement_is_asked_for_and_nothing_is_delivered_twice() {
    let (mut a, mut b) = (machine(A, 1), machine(B, 1));
    let sent = transfers(offer(&mut a, &message(7), 0).1);
    let id = receive(&mut b, &sent[0], 0)[0];
    answer(&mut b, id, None, 0);
    assert!(say(&mut a, Event::Tick, 999).is_empty());
    let again = transfers(say(&mut a, Event::Tick, 1000));
    assert_eq!((again[0].0.seq, &again[0].1), (sent[0].0.seq, &sent[0].1));
    assert!(receive(&mut b, &again[0], 1000).is_empty());
    let body = bodies(say(&mut b, Event::Tick, 1020)).remove(0);
    assert_eq!(
        say(&mut a, Event::Routed { from: B, body }, 1020),
        [gone(7)]
    );
}

#[test]
fn transfers_are_taken_in_order_whatever_the_order_of_arrival() {
    let (mut a, mut b) = (machine(A, 1), machine(B, 1));
    let mut sent = transfers(offer(&mut a, &message(1), 0).1);
    sent.extend(transfers(offer(&mut a, &message(2), 0).1));
    assert!(receive(&mut b, &sent[1], 0).is_empty());
    let seqs: Vec<u64> = receive(&mut b, &sent[0], 1)
        .iter()
        .map(|id| id.seq)
        .collect();
    assert_eq!(seqs, [1, 2]);
}

#[test]
fn outcomes_are_acknowledged_without_gaps_and_refusals_are_repeated() {
    let (mut a, mut b) = (machine(A, 1), machine(B, 1));
    let first = transfers(offer(&mut a, &message(1), 0).1);
    let second = transfers(offer(&mut a, &message(2), 0).1);
    let (one, two) = (
        receive(&mut b, &first[0], 0)[0],
        receive(&mut b, &second[0], 0)[0],
    );
    assert!(answer(&mut b, two, None, 0).is_empty());
    let lost = answer(&mut b, one, Some(Refusal::Full), 0);
    assert!(matches!(&lost[0], Body::Xack(ack) if ack.upto == 2 && ack.refused.len() == 1));
    // The acknowledgement is lost; the next one says the same.
    receive(&mut b, &first[0], 1000);
    let body = bodies(say(&mut b, Event::Tick, 1020)).remove(0);
    let effects = say(&mut a, Event::Routed { from: B, body }, 1020);
    assert_eq!(
        returned(&effects)[0].why,
        ReturnReason::Refused(Refusal::Full)
    );
    assert_eq!(effects[1], gone(2));
}

#[test]
fn in_doubt_a_message_comes_back_flagged_and_is_recalled_if_it_was_accepted() {
    let (mut a, mut b) = (machine(A, 1), machine(B, 1));
    let sent = transfers(offer(&mut a, &message(7), 0).1);
    let id = receive(&mut b, &sent[0], 0)[0];
    answer(&mut b, id, None, 0);
    say(
        &mut a,
        Event::Peer {
            bid: B,
            epoch: Epoch(1),
            is_reachable: false,
        },
        100,
    );
    assert_eq!(a.deadline(), at(1000));
    assert!(returned(&say(&mut a, Event::Tick, 3099)).is_empty());
    let effects = say(&mut a, Event::Tick, 3100);
    let back = returned(&effects)[0];
    assert_eq!(
        (back.why, back.is_redelivered),
        (ReturnReason::InDoubt, true)
    );
    assert!(effects.contains(&Effect::DropParked { to: B, stream: 1 }));

    let back = Event::Peer {
        bid: B,
        epoch: Epoch(1),
        is_reachable: true,
    };
    let voids = transfers(say(&mut a, back, 9000));
    assert_eq!((voids[0].0.seq, voids[0].1.len()), (1, 0));
    assert!(receive(&mut b, &voids[0], 9000).is_empty());
    let body = bodies(say(&mut b, Event::Tick, 9020)).remove(0);
    let recall = Effect::Recall {
        queue: "work".into(),
        token: 7,
    };
    assert_eq!(say(&mut a, Event::Routed { from: B, body }, 9020), [recall]);
}

#[test]
fn in_doubt_a_message_that_never_arrived_is_not_accepted_later() {
    let (mut a, mut b) = (machine(A, 1), machine(B, 1));
    let lost = transfers(offer(&mut a, &message(7), 0).1);
    say(
        &mut a,
        Event::Peer {
            bid: B,
            epoch: Epoch(1),
            is_reachable: false,
        },
        0,
    );
    say(&mut a, Event::Tick, 3000);
    let back = Event::Peer {
        bid: B,
        epoch: Epoch(1),
        is_reachable: true,
    };
    let voids = transfers(say(&mut a, back, 9000));
    let (head, envelope) = voids[0].clone();
    let acked = bodies(say(
        &mut b,
        Event::Transfer {
            head,
            envelope,
            expires: None,
        },
        9000,
    ));
    let body = acked.into_iter().next().unwrap();
    assert!(say(&mut a, Event::Routed { from: B, body }, 9000).is_empty());
    // The frame itself, held up somewhere, comes too late.
    assert!(receive(&mut b, &lost[0], 9001).is_empty());
    // The stream goes on.
    let next = transfers(offer(&mut a, &message(8), 9002).1);
    assert_eq!(receive(&mut b, &next[0], 9002).len(), 1);
}

#[test]
fn what_never_left_its_owner_comes_back_without_a_flag() {
    let mut a = machine(A, 1);
    let peer = |is_reachable| Event::Peer {
        bid: B,
        epoch: Epoch(1),
        is_reachable,
    };
    let learned = |token| Offer {
        learned: Some(Learned {
            bid: B,
            is_ring_open: true,
        }),
        ..message(token)
    };
    // More than the window of what is sent again, so that a new one has to wait behind it.
    for token in 0..300 {
        assert_eq!(offer(&mut a, &learned(token), 0).0, Placement::Sent(B));
    }
    say(&mut a, peer(false), 100);
    say(&mut a, peer(true), 200);
    let (placement, effects) = offer(&mut a, &learned(300), 200);
    assert_eq!(placement, Placement::Sent(B));
    assert!(transfers(effects).is_empty(), "it waits");
    say(&mut a, peer(false), 300);
    let effects = say(&mut a, Event::Tick, 3300);
    let back = returned(&effects);
    assert_eq!(back.len(), 301);
    for one in back {
        assert_eq!(one.is_redelivered, one.token != 300, "{}", one.token);
    }
}

#[test]
fn a_new_stream_whose_beginning_is_lost_waits_until_it_is_sent_again() {
    let (mut a, mut b) = (machine(A, 1), machine(B, 1));
    transfers(offer(&mut a, &message(1), 0).1);
    let second = transfers(offer(&mut a, &message(2), 0).1).remove(0);
    // The way is quick at first and slow when the owner sends again.
    assert!(receive(&mut b, &second, 5).is_empty());
    let again = transfers(say(&mut a, Event::Tick, 1000));
    assert!(bodies(say(&mut b, Event::Tick, 1400)).is_empty());
    assert_eq!(receive(&mut b, &again[0], 1400).len(), 2);
}

#[test]
fn a_message_that_moves_rests_longer_each_time() {
    assert_eq!(
        [0, 1, 2, 6, 7, 99].map(hold).map(|rest| rest.as_millis()),
        [0, 100, 200, 3200, 5000, 5000]
    );
    let mut a = machine(A, 1);
    let moved = Offer {
        moves: 2,
        ..message(1)
    };
    assert_eq!(
        offer(&mut a, &moved, 199).0,
        Placement::Stays(Stay::Held(at(200)))
    );
    assert_eq!(offer(&mut a, &moved, 200).0, Placement::Sent(B));
}

#[test]
fn a_message_whose_time_is_over_comes_back_to_its_owner() {
    let (mut a, mut b) = (machine(A, 1), machine(B, 1));
    let short = Offer {
        expires: Some(at(500)),
        ..message(7)
    };
    offer(&mut a, &short, 0);
    let void = transfers(say(&mut a, Event::Tick, 1000)).remove(0);
    assert!(void.1.is_empty());
    let (head, envelope) = void;
    let body = bodies(say(
        &mut b,
        Event::Transfer {
            head,
            envelope,
            expires: None,
        },
        1000,
    ))
    .remove(0);
    let effects = say(&mut a, Event::Routed { from: B, body }, 1000);
    assert_eq!(returned(&effects)[0].why, ReturnReason::Expired);
}
