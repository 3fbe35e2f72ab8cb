//! What a queue offers to other brokers and takes from them.

use super::*;
use crate::mesh::custody::ReturnReason;
use crate::mesh::ids::{Bid, Epoch};
use crate::model::Kind;
use crate::queue::Look;
use crate::queue::state::{ConsumerId, ConsumerOptions, QueueLimits};

const OTHER: Bid = Bid([2; 16]);

fn at(millis: u64) -> Present {
    let now = Now(0).plus(Duration::from_millis(millis));
    Present {
        now,
        wall_ms: 1_000_000 + i64::try_from(millis).expect("a time of a test"),
    }
}

fn queue() -> Queue {
    Queue::new(QueueLimits {
        max_bytes: 1_000_000,
        max_messages: 0,
        max_redeliveries: 0,
    })
}

fn message(expires_ms: i64) -> Message {
    let mut message = Message::from_view(&MessageView::new(Kind::Queue, "q", "1", b"body"));
    message.expires_ms = expires_ms;
    message
}

fn entry() -> Candidate {
    Candidate {
        bid: OTHER,
        epoch: Epoch(1),
        entry: 1,
        rev: 1,
        distance: 1,
        consumers_log2: 0,
        open: 1,
        hint: 1,
        key: None,
        is_ring_open: true,
    }
}

/// Offers message 1, which custody sends; gives what it was told.
fn offer(queue: &mut Queue, millis: u64) -> Option<Offer> {
    let mut told = None;
    let outlook = |_: &MessageView<'_>, _| Outlook {
        candidates: vec![entry()],
        learned: Some(Learned {
            bid: OTHER,
            is_ring_open: true,
        }),
        is_uniform: true,
    };
    queue.offer_remote(&"q".into(), 1, at(millis), outlook, |offer, _| {
        told = Some(offer.clone());
        Placement::Sent(OTHER)
    });
    told
}

/// Looks once; `custody` answers for each message that is offered. Gives their numbers.
fn look(
    queue: &mut Queue,
    look: Look,
    is_uniform: bool,
    mut custody: impl FnMut(u64) -> Placement,
) -> Vec<u64> {
    let mut offered = Vec::new();
    for seq in queue.turn(look) {
        let outlook = |_: &MessageView<'_>, _| Outlook {
            candidates: vec![entry()],
            learned: None,
            is_uniform,
        };
        let looked = queue.offer_remote(&"q".into(), seq, at(0), outlook, |offer, _| {
            offered.push(offer.token);
            custody(offer.token)
        });
        if looked == Looked::Stop {
            break;
        }
    }
    offered
}

fn queue_of(messages: usize) -> Queue {
    let (mut queue, mut effects) = (queue(), Vec::new());
    for _ in 0..messages {
        queue.enqueue(message(0), &mut effects);
    }
    queue
}

fn consumer() -> ConsumerOptions {
    ConsumerOptions {
        selector: None,
        capacity: 1,
        priority: 0,
        is_exclusive: false,
        is_monitor: false,
    }
}

fn arrival(credit: Credit) -> Arrival {
    let envelope = message(0).envelope().clone();
    Arrival::new(envelope, None, (credit, 3, false), at(0)).expect("a message")
}

#[test]
fn a_message_whose_time_is_over_is_offered_to_nobody() {
    let (mut queue, mut effects) = (queue(), Vec::new());
    queue.enqueue(message(at(500).wall_ms), &mut effects);
    assert!(offer(&mut queue, 500).is_none());
    assert!(queue.is_ready(1));
    let in_time = offer(&mut queue, 400).expect("an offer");
    assert_eq!(in_time.expires, Some(at(500).now));
    assert!(!queue.is_ready(1));
}

#[test]
fn what_a_consumer_had_remembers_its_moves_and_rests_from_when_it_is_back() {
    let (mut queue, mut effects) = (queue(), Vec::new());
    queue.subscribe(ConsumerId(1), consumer(), &mut effects);
    queue.take_over(arrival(Credit::Standing), &mut effects);
    queue.unsubscribe(ConsumerId(1), &mut effects);
    let told = offer(&mut queue, 900).expect("an offer");
    assert_eq!((told.moves, told.idle_since), (3, at(900).now));
    assert!(told.is_redelivered);
}

#[test]
fn a_message_that_came_over_a_learned_route_leaves_by_entries_only() {
    let (mut queue, mut effects) = (queue(), Vec::new());
    queue.take_over(arrival(Credit::Learned), &mut effects);
    let told = offer(&mut queue, 100).expect("an offer");
    assert_eq!((told.learned, told.idle_since), (None, at(0).now));
}

#[test]
fn a_message_that_comes_back_remembers_who_refused_it_and_that_the_route_was_tried() {
    let (mut queue, mut effects) = (queue(), Vec::new());
    queue.enqueue(message(0), &mut effects);
    assert!(offer(&mut queue, 0).expect("an offer").learned.is_some());
    let returned = Returned {
        queue: "q".into(),
        token: 1,
        why: ReturnReason::Refused(Refusal::Full),
        is_redelivered: false,
        was_learned: true,
        refusals: Refusals::new(),
    };
    assert!(queue.take_back(returned, &mut effects));
    let again = offer(&mut queue, 10).expect("an offer");
    assert_eq!((again.learned, again.is_redelivered), (None, false));
}

#[test]
fn what_other_brokers_refuse_or_leave_in_doubt_is_no_return_of_a_consumer() {
    let (mut queue, mut effects) = (queue(), Vec::new());
    let limits = QueueLimits {
        max_redeliveries: 1,
        ..queue.limits()
    };
    queue.set_limits(limits);
    queue.subscribe(ConsumerId(1), consumer(), &mut effects);
    queue.enqueue(message(0), &mut effects);
    queue.unsubscribe(ConsumerId(1), &mut effects);
    effects.clear();
    for why in [
        ReturnReason::Refused(Refusal::NoCredit),
        ReturnReason::InDoubt,
        ReturnReason::Unknown,
    ] {
        // The second time it was flagged before it left.
        for millis in [0, 10] {
            let told = offer(&mut queue, millis).expect("an offer");
            assert!(told.is_redelivered);
            let returned = Returned {
                queue: "q".into(),
                token: 1,
                why,
                is_redelivered: told.is_redelivered,
                was_learned: false,
                refusals: Refusals::new(),
            };
            assert!(queue.take_back(returned, &mut effects));
        }
    }
    assert!(effects.is_empty(), "no dead letter: {effects:?}");
    assert_eq!(queue.peek(1).map(|kept| kept.redeliveries), Some(1));
}

#[test]
fn a_message_whose_time_was_over_on_its_way_is_dead_and_served_to_nobody() {
    let (mut queue, mut effects) = (queue(), Vec::new());
    queue.enqueue(message(at(500).wall_ms), &mut effects);
    offer(&mut queue, 0).expect("an offer");
    queue.subscribe(ConsumerId(1), consumer(), &mut effects);
    let returned = Returned {
        queue: "q".into(),
        token: 1,
        why: ReturnReason::Expired,
        is_redelivered: true,
        was_learned: false,
        refusals: Refusals::new(),
    };
    assert!(queue.take_back(returned.clone(), &mut effects));
    assert!(matches!(
        effects[..],
        [Effect::Dead {
            reason: DeadReason::Expired,
            ..
        }]
    ));
    assert_eq!(queue.depth(), 0);
    assert!(!queue.take_back(returned, &mut effects));
}

#[test]
fn only_standing_credit_asks_for_a_free_consumer() {
    assert_eq!(admits(Credit::Standing, || None), Err(Refusal::NoConsumer));
    assert_eq!(admits(Credit::Standing, || Some(0)), Err(Refusal::NoCredit));
    assert_eq!(admits(Credit::Standing, || Some(1)), Ok(()));
    assert_eq!(admits(Credit::Granted, || None), Ok(()));
    assert_eq!(admits(Credit::Learned, || Some(0)), Ok(()));
}

#[test]
fn a_recalled_message_is_dropped_only_while_nobody_has_it() {
    let (mut queue, mut effects) = (queue(), Vec::new());
    queue.enqueue(message(0), &mut effects);
    queue.enqueue(message(0), &mut effects);
    queue.subscribe(ConsumerId(1), consumer(), &mut effects);
    assert!(!queue.recall(1));
    assert!(queue.recall(2));
    assert_eq!(queue.depth(), 1);
}

const NO_CREDIT: Placement = Placement::Stays(Stay::NoCredit);

#[test]
fn without_credit_a_long_queue_costs_one_offer_and_a_new_message_none() {
    let mut queue = queue_of(500);
    assert_eq!(look(&mut queue, Look::All, true, |_| NO_CREDIT), [1]);
    queue.enqueue(message(0), &mut Vec::new());
    assert!(look(&mut queue, Look::New, true, |_| NO_CREDIT).is_empty());
}

#[test]
fn when_there_is_credit_again_the_head_goes_first() {
    let mut queue = queue_of(5);
    look(&mut queue, Look::All, true, |_| NO_CREDIT);
    let two = |seq| {
        if seq <= 2 {
            Placement::Sent(OTHER)
        } else {
            NO_CREDIT
        }
    };
    assert_eq!(look(&mut queue, Look::All, true, two), [1, 2, 3]);
    let rest = look(&mut queue, Look::All, true, |_| Placement::Sent(OTHER));
    assert_eq!(rest, [3, 4, 5]);
}

#[test]
fn where_selectors_decide_every_message_is_offered_and_then_only_what_is_new() {
    let mut queue = queue_of(3);
    let stays = |_| NO_CREDIT;
    assert_eq!(look(&mut queue, Look::All, false, stays), [1, 2, 3]);
    queue.enqueue(message(0), &mut Vec::new());
    assert_eq!(look(&mut queue, Look::New, false, stays), [4]);
    assert!(look(&mut queue, Look::New, false, stays).is_empty());
    assert_eq!(look(&mut queue, Look::All, false, stays), [1, 2, 3, 4]);
}

#[test]
fn what_a_consumer_gives_back_is_offered_as_if_it_were_new() {
    let mut queue = queue_of(1);
    let mut effects = Vec::new();
    queue.subscribe(ConsumerId(1), consumer(), &mut effects);
    queue.enqueue(message(0), &mut effects);
    assert_eq!(look(&mut queue, Look::New, false, |_| NO_CREDIT), [2]);
    queue.unsubscribe(ConsumerId(1), &mut effects);
    assert_eq!(look(&mut queue, Look::New, false, |_| NO_CREDIT), [1, 2]);
}

#[test]
fn a_turn_over_a_very_long_queue_ends_and_goes_on_where_it_ended() {
    let mut queue = queue_of(crate::queue::TURN + 2);
    let held = |_| Placement::Stays(Stay::Held(Now(0)));
    assert_eq!(
        look(&mut queue, Look::All, false, held).len(),
        crate::queue::TURN
    );
    assert_eq!(look(&mut queue, Look::All, false, held).len(), 2);
    assert_eq!(
        look(&mut queue, Look::All, false, held).len(),
        crate::queue::TURN
    );
}

#[test]
fn a_message_that_finds_the_queue_empty_is_offered_whatever_stayed_before() {
    let mut queue = queue_of(1);
    let mut effects = Vec::new();
    assert_eq!(look(&mut queue, Look::All, true, |_| NO_CREDIT), [1]);
    queue.subscribe(ConsumerId(1), consumer(), &mut effects);
    queue.enqueue(message(0), &mut effects);
    assert!(look(&mut queue, Look::New, true, |_| NO_CREDIT).contains(&2));
}

#[test]
fn a_broker_that_leaves_takes_the_nearest_entry_for_a_route() {
    let far = Candidate {
        bid: Bid([3; 16]),
        distance: 2,
        ..entry()
    };
    let mut outlook = Outlook {
        candidates: vec![far, entry()],
        ..Outlook::default()
    };
    outlook.leave();
    assert_eq!(outlook.learned.map(|one| one.bid), Some(OTHER));
}
