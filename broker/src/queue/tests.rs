//! The queue's promises, on the state machine alone.

use super::state::{
    Admission, ConsumerId, ConsumerOptions, DeadReason, Effect, Queue, QueueLimits,
};
use crate::model::{HeaderBlockBuf, Kind, Message, MessageView};
use crate::selector::{Conversion, Selector};

const LIMITS: QueueLimits = QueueLimits {
    max_bytes: 1_000_000,
    max_messages: 0,
    max_redeliveries: 0,
};

fn message(text: &str, header: Option<(&str, &str)>) -> Message {
    let mut headers = HeaderBlockBuf::default();
    if let Some((name, value)) = header {
        assert!(headers.push(name, value));
    }
    let view = MessageView::new(Kind::Queue, "q", text, text.as_bytes());
    Message::from_view(&MessageView {
        headers: headers.block(),
        ..view
    })
}

fn consumer(capacity: u32, selector: Option<&str>) -> ConsumerOptions {
    let selector = selector.map(|text| {
        Selector::parse(text, Conversion::ConvertStrings).expect("the selector of a test parses")
    });
    ConsumerOptions {
        selector,
        capacity,
        priority: 0,
        is_exclusive: false,
        is_monitor: false,
    }
}

fn delivered(effects: &mut Vec<Effect>) -> Vec<(u64, String)> {
    effects
        .drain(..)
        .filter_map(|effect| match effect {
            Effect::Deliver {
                consumer, message, ..
            } => Some((consumer.0, message.view().map(|view| view.id.to_owned())?)),
            Effect::Dead { .. } => None,
        })
        .collect()
}

fn pairs(list: &[(u64, &str)]) -> Vec<(u64, String)> {
    list.iter()
        .map(|(id, text)| (*id, (*text).to_owned()))
        .collect()
}

#[test]
fn consumers_take_turns_and_never_exceed_their_prefetch() {
    let (mut queue, mut effects) = (Queue::new(LIMITS), Vec::new());
    queue.subscribe(ConsumerId(1), consumer(2, None), &mut effects);
    queue.subscribe(ConsumerId(2), consumer(1, None), &mut effects);
    for text in ["a", "b", "c", "d"] {
        assert_eq!(
            queue.enqueue(message(text, None), &mut effects),
            Admission::Accepted
        );
    }
    assert_eq!(
        delivered(&mut effects),
        pairs(&[(1, "a"), (2, "b"), (1, "c")])
    );
    assert_eq!(queue.ready(), 1);
    assert!(queue.ack(ConsumerId(2), 2, &mut effects));
    assert_eq!(delivered(&mut effects), pairs(&[(2, "d")]));
}

#[test]
fn a_head_that_nobody_wants_does_not_block_the_rest() {
    let (mut queue, mut effects) = (Queue::new(LIMITS), Vec::new());
    queue.enqueue(message("a", Some(("to", "x"))), &mut effects);
    queue.enqueue(message("b", Some(("to", "y"))), &mut effects);
    queue.subscribe(ConsumerId(1), consumer(10, Some("to = 'y'")), &mut effects);
    assert_eq!(delivered(&mut effects), pairs(&[(1, "b")]));
    queue.subscribe(ConsumerId(2), consumer(10, Some("to = 'x'")), &mut effects);
    assert_eq!(delivered(&mut effects), pairs(&[(2, "a")]));
}

#[test]
fn unacked_messages_come_back_in_order_and_flagged_when_their_consumer_goes() {
    let (mut queue, mut effects) = (Queue::new(LIMITS), Vec::new());
    queue.subscribe(ConsumerId(1), consumer(10, None), &mut effects);
    for text in ["a", "b", "c"] {
        queue.enqueue(message(text, None), &mut effects);
    }
    assert!(queue.ack(ConsumerId(1), 1, &mut effects));
    effects.clear();
    queue.unsubscribe(ConsumerId(1), &mut effects);
    queue.enqueue(message("d", None), &mut effects);
    queue.subscribe(ConsumerId(2), consumer(10, None), &mut effects);
    let flags: Vec<bool> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Deliver { message, .. } => Some(message.redelivered),
            Effect::Dead { .. } => None,
        })
        .collect();
    assert_eq!(
        delivered(&mut effects),
        pairs(&[(2, "b"), (2, "c"), (2, "d")])
    );
    assert_eq!(flags, [true, true, false]);
}

#[test]
fn an_answer_for_a_message_that_is_not_held_changes_nothing() {
    let (mut queue, mut effects) = (Queue::new(LIMITS), Vec::new());
    queue.subscribe(ConsumerId(1), consumer(1, None), &mut effects);
    queue.enqueue(message("a", None), &mut effects);
    assert!(!queue.ack(ConsumerId(2), 1, &mut effects));
    assert!(queue.ack(ConsumerId(1), 1, &mut effects));
    assert!(!queue.ack(ConsumerId(1), 1, &mut effects));
    assert_eq!(queue.depth(), 0);
    assert_eq!(queue.bytes(), 0);
}

#[test]
fn a_refused_message_is_dead_at_once() {
    let (mut queue, mut effects) = (Queue::new(LIMITS), Vec::new());
    queue.subscribe(ConsumerId(1), consumer(1, None), &mut effects);
    queue.enqueue(message("a", None), &mut effects);
    effects.clear();
    assert!(queue.reject(ConsumerId(1), 1, &mut effects));
    assert!(matches!(
        effects[..],
        [Effect::Dead {
            reason: DeadReason::Poison,
            ..
        }]
    ));
}

#[test]
fn the_return_beyond_the_limit_is_dead() {
    let mut queue = Queue::new(QueueLimits {
        max_redeliveries: 1,
        ..LIMITS
    });
    let mut effects = Vec::new();
    queue.enqueue(message("a", None), &mut effects);
    for round in 0..2 {
        queue.subscribe(ConsumerId(round), consumer(1, None), &mut effects);
        effects.clear();
        queue.unsubscribe(ConsumerId(round), &mut effects);
        assert_eq!(effects.is_empty(), round == 0, "round {round}");
    }
    assert_eq!(queue.depth(), 0);
}

#[test]
fn a_full_queue_refuses_at_its_limit_and_an_empty_one_takes_any_size() {
    let size = message("a", None).len();
    let limits = QueueLimits {
        max_bytes: 2 * size,
        ..LIMITS
    };
    let (mut queue, mut effects) = (Queue::new(limits), Vec::new());
    assert_eq!(
        queue.enqueue(message("a", None), &mut effects),
        Admission::Accepted
    );
    assert_eq!(
        queue.enqueue(message("b", None), &mut effects),
        Admission::Accepted
    );
    assert_eq!(
        queue.enqueue(message("c", None), &mut effects),
        Admission::Full
    );
    let mut tiny = Queue::new(QueueLimits {
        max_bytes: 1,
        ..LIMITS
    });
    assert_eq!(
        tiny.enqueue(message("a", None), &mut effects),
        Admission::Accepted
    );
}

#[test]
fn only_the_first_exclusive_consumer_is_served() {
    let (mut queue, mut effects) = (Queue::new(LIMITS), Vec::new());
    let exclusive = ConsumerOptions {
        is_exclusive: true,
        ..consumer(10, None)
    };
    queue.subscribe(ConsumerId(1), consumer(10, None), &mut effects);
    queue.subscribe(ConsumerId(2), exclusive.clone(), &mut effects);
    queue.subscribe(ConsumerId(3), exclusive, &mut effects);
    queue.enqueue(message("a", None), &mut effects);
    queue.enqueue(message("b", None), &mut effects);
    assert_eq!(delivered(&mut effects), pairs(&[(2, "a"), (2, "b")]));
    queue.unsubscribe(ConsumerId(2), &mut effects);
    assert_eq!(delivered(&mut effects), pairs(&[(3, "a"), (3, "b")]));
}

#[test]
fn a_message_on_its_way_to_another_broker_is_out_of_service_until_the_answer() {
    let (mut queue, mut effects) = (Queue::new(LIMITS), Vec::new());
    queue.enqueue(message("a", None), &mut effects);
    assert!(queue.hold_for_remote(1).is_some());
    assert!(queue.hold_for_remote(1).is_none());
    queue.subscribe(ConsumerId(1), consumer(1, None), &mut effects);
    assert!(delivered(&mut effects).is_empty());
    assert!(queue.release_remote(1, true, &mut effects));
    assert_eq!(delivered(&mut effects), pairs(&[(1, "a")]));
    assert!(!queue.ack_remote(1));
}

/// Random commands against a list: every message is consumed once, and none is stuck.
#[test]
fn random_commands_lose_nothing_and_double_nothing() {
    for seed in 1..200_u64 {
        random_run(seed);
    }
}

fn random_run(seed: u64) {
    let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = move |bound: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % bound
    };
    let (mut queue, mut effects) = (Queue::new(LIMITS), Vec::new());
    let (mut sent, mut consumed) = (0_u64, std::collections::BTreeSet::new());
    let mut held: Vec<(ConsumerId, u64, String)> = Vec::new();
    for _ in 0..300 {
        match next(5) {
            0 | 1 => {
                sent += 1;
                let kind = ["x", "y"][usize::from(next(2) == 0)];
                queue.enqueue(message(&sent.to_string(), Some(("to", kind))), &mut effects);
            }
            2 => {
                let selector = [None, Some("to = 'x'"), Some("to <> 'x'")][next(3) as usize];
                let id = ConsumerId(next(4));
                held.retain(|(holder, ..)| *holder != id);
                let capacity = u32::try_from(next(3)).unwrap_or(0);
                queue.subscribe(id, consumer(capacity, selector), &mut effects);
            }
            3 => {
                let id = ConsumerId(next(4));
                held.retain(|(holder, ..)| *holder != id);
                queue.unsubscribe(id, &mut effects);
            }
            _ if !held.is_empty() => {
                let index = usize::try_from(next(held.len() as u64)).unwrap_or(0);
                let (id, seq, text) = held.swap_remove(index);
                assert!(queue.ack(id, seq, &mut effects), "seed {seed}");
                assert!(consumed.insert(text), "seed {seed}: consumed twice");
            }
            _ => {}
        }
        for effect in effects.drain(..) {
            if let Effect::Deliver {
                consumer,
                seq,
                message,
            } = effect
            {
                let text = message
                    .view()
                    .map(|view| view.id.to_owned())
                    .unwrap_or_default();
                held.push((consumer, seq, text));
            }
        }
    }
    for id in 0..4 {
        queue.unsubscribe(ConsumerId(id), &mut effects);
    }
    effects.clear();
    queue.subscribe(ConsumerId(9), consumer(100_000, None), &mut effects);
    for (_, text) in delivered(&mut effects) {
        assert!(
            consumed.insert(text),
            "seed {seed}: delivered after it was consumed"
        );
    }
    assert_eq!(
        consumed.len() as u64,
        sent,
        "seed {seed}: a message is missing"
    );
}
