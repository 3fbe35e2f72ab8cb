//! Who gets what of a reply queue.

use std::time::Duration;

use super::*;
use crate::mesh::custody::{Candidate, Credit, Offer, Placement};
use crate::mesh::ids::Bid;
use crate::model::{Kind, Message, MessageView};
use crate::queue::Look;
use crate::queue::handover::{Arrival, Looked, Outlook, Present};
use crate::queue::state::{ConsumerOptions, QueueLimits};

const REQUESTER: ConsumerId = ConsumerId(1);
const MONITOR: ConsumerId = ConsumerId(2);

const REPLIES: ReplyFacts = ReplyFacts {
    is_reply_queue: true,
    is_wanted_elsewhere: false,
    has_way_out: false,
};

fn at(millis: u64) -> Now {
    Now(0).plus(Duration::from_millis(millis))
}

fn options(is_monitor: bool) -> ConsumerOptions {
    ConsumerOptions {
        selector: None,
        capacity: 10,
        priority: 0,
        is_exclusive: false,
        is_monitor,
    }
}

/// A queue with a monitor, and who gets what of it.
struct Bench {
    queue: Queue,
    effects: Vec<Effect>,
}

impl Bench {
    fn new(facts: ReplyFacts) -> Self {
        let limits = QueueLimits {
            max_bytes: 1_000_000,
            max_messages: 0,
            max_redeliveries: 0,
        };
        let (queue, effects) = (Queue::new(limits), Vec::new());
        let mut bench = Self { queue, effects };
        bench.judge(facts, 0);
        bench.comes(MONITOR, options(true));
        bench
    }

    fn judge(&mut self, facts: ReplyFacts, millis: u64) {
        let effects = &mut self.effects;
        self.queue.judge_monitors(facts, at(millis), effects);
    }

    fn comes(&mut self, id: ConsumerId, options: ConsumerOptions) {
        self.queue.subscribe(id, options, &mut self.effects);
    }

    fn goes(&mut self, id: ConsumerId) {
        self.queue.unsubscribe(id, &mut self.effects);
    }

    fn message() -> Message {
        Message::from_view(&MessageView::new(Kind::Queue, "a.reply.b", "1", b"answer"))
    }

    fn send(&mut self) {
        self.queue.enqueue(Self::message(), &mut self.effects);
    }

    /// Who was given something since it was last asked.
    fn served(&mut self) -> Vec<ConsumerId> {
        let who = |effect| match effect {
            Effect::Deliver { consumer, .. } => Some(consumer),
            Effect::Dead { .. } => None,
        };
        self.effects.drain(..).filter_map(who).collect()
    }

    /// For each message that is looked at: are entries of patterns left out?
    fn offers(&mut self, look: Look) -> Vec<bool> {
        let (mut spares, present) = (
            Vec::new(),
            Present {
                now: at(0),
                wall_ms: 0,
            },
        );
        for seq in self.queue.turn(look) {
            let outlook = |_: &MessageView<'_>, is_spared| {
                spares.push(is_spared);
                Outlook::default()
            };
            let custody = |_: &Offer, _: &[Candidate]| Placement::Sent(Bid([2; 16]));
            let looked =
                self.queue
                    .offer_remote(&"a.reply.b".into(), seq, present, outlook, custody);
            assert_eq!(looked, Looked::Stays);
        }
        spares
    }
}

#[test]
fn a_monitor_gets_what_is_in_queues_that_await_no_replies() {
    let mut bench = Bench::new(ReplyFacts::default());
    bench.send();
    assert_eq!(bench.served(), [MONITOR]);
    bench.comes(REQUESTER, options(false));
    bench.send();
    bench.send();
    assert_eq!(bench.served(), [MONITOR, REQUESTER]);
}

#[test]
fn a_reply_waits_for_its_requester_even_if_a_monitor_has_room() {
    let mut bench = Bench::new(REPLIES);
    bench.comes(
        REQUESTER,
        ConsumerOptions {
            capacity: 1,
            ..options(false)
        },
    );
    (0..3).for_each(|_| bench.send());
    assert_eq!(bench.served(), [REQUESTER]);
    assert!(bench.queue.ack(REQUESTER, 1, &mut bench.effects));
    assert_eq!(bench.served(), [REQUESTER]);
    assert_eq!(bench.queue.ready(), 1);
}

#[test]
fn two_seconds_after_the_requester_left_the_monitor_gets_what_is_there() {
    let mut bench = Bench::new(REPLIES);
    bench.comes(REQUESTER, options(false));
    bench.judge(REPLIES, 1000);
    bench.goes(REQUESTER);
    bench.send();
    // It was seen for the last time at some moment up to this one.
    bench.judge(REPLIES, 1500);
    bench.judge(REPLIES, 3499);
    assert!(bench.served().is_empty());
    bench.judge(REPLIES, 3500);
    assert_eq!(bench.served(), [MONITOR]);
}

#[test]
fn the_two_seconds_begin_when_the_requester_leaves_if_that_is_told() {
    let mut bench = Bench::new(REPLIES);
    bench.comes(REQUESTER, options(false));
    bench.goes(REQUESTER);
    bench.queue.note_departure(at(1100));
    // Another one leaves later, but it does not count.
    bench.comes(ConsumerId(3), options(true));
    bench.goes(ConsumerId(3));
    bench.queue.note_departure(at(2000));
    bench.send();
    bench.judge(REPLIES, 2000);
    bench.judge(REPLIES, 3099);
    assert!(bench.served().is_empty());
    bench.judge(REPLIES, 3100);
    assert_eq!(bench.served(), [MONITOR]);
}

#[test]
fn a_requester_that_left_between_two_looks_was_seen() {
    let mut bench = Bench::new(REPLIES);
    bench.comes(REQUESTER, options(false));
    bench.goes(REQUESTER);
    bench.send();
    bench.judge(REPLIES, 100);
    bench.judge(REPLIES, 2099);
    assert!(bench.served().is_empty());
}

#[test]
fn a_requester_elsewhere_keeps_the_monitor_away_and_so_it_does_a_moment_after() {
    let elsewhere = ReplyFacts {
        is_wanted_elsewhere: true,
        ..REPLIES
    };
    let mut bench = Bench::new(elsewhere);
    bench.send();
    bench.judge(elsewhere, 60_000);
    bench.judge(REPLIES, 61_000);
    bench.judge(REPLIES, 62_999);
    assert!(bench.served().is_empty());
    bench.judge(REPLIES, 63_000);
    assert_eq!(bench.served(), [MONITOR]);
}

#[test]
fn a_route_learned_for_any_name_keeps_monitors_from_it() {
    let mut bench = Bench::new(ReplyFacts::default());
    bench.comes(REQUESTER, options(false));
    bench.judge(REPLIES, 10);
    bench.send();
    bench.send();
    assert_eq!(bench.served(), [REQUESTER, REQUESTER]);
}

#[test]
fn a_free_place_of_a_spared_monitor_is_promised_to_nobody() {
    let mut bench = Bench::new(REPLIES);
    assert_eq!(bench.queue.room(|_| true).free, 10);
    bench.comes(REQUESTER, options(false));
    assert_eq!(bench.queue.room(|_| true).free, 10);
    bench.goes(REQUESTER);
    assert_eq!(bench.queue.room(|_| true).free, 0);
}

#[test]
fn an_exclusive_monitor_does_not_shut_the_requester_out() {
    let mut bench = Bench::new(REPLIES);
    bench.goes(MONITOR);
    let alone = ConsumerOptions {
        is_exclusive: true,
        ..options(true)
    };
    bench.comes(MONITOR, alone);
    bench.comes(REQUESTER, options(false));
    bench.send();
    assert_eq!(bench.served(), [REQUESTER]);
}

#[test]
fn what_a_learned_route_may_take_is_for_no_monitor_here_or_elsewhere() {
    let way_out = ReplyFacts {
        has_way_out: true,
        ..REPLIES
    };
    let mut bench = Bench::new(way_out);
    bench.send();
    assert!(bench.served().is_empty());
    assert_eq!(bench.offers(Look::All), [true]);
    // It came by the learned route, or was refused there: it has no other way than entries.
    let envelope = Bench::message().envelope().clone();
    let manner = (Credit::Learned, 1, false);
    let present = Present {
        now: at(0),
        wall_ms: 0,
    };
    let arrival = Arrival::new(envelope, None, manner, present).expect("a message");
    bench.queue.take_over(arrival, &mut bench.effects);
    assert_eq!(bench.offers(Look::All), [true, false]);
    bench.judge(way_out, 1000);
    assert_eq!(bench.served(), [MONITOR]);
    assert!(bench.queue.waits(1) && !bench.queue.waits(2));
}

#[test]
fn when_nothing_keeps_monitors_away_any_more_all_that_waits_is_looked_at_again() {
    let elsewhere = ReplyFacts {
        is_wanted_elsewhere: true,
        ..REPLIES
    };
    let mut bench = Bench::new(elsewhere);
    bench.goes(MONITOR);
    (0..3).for_each(|_| bench.send());
    assert_eq!(bench.offers(Look::New), [true; 3]);
    assert!(bench.offers(Look::New).is_empty());
    bench.judge(REPLIES, 1000);
    bench.judge(REPLIES, 3000);
    assert_eq!(bench.offers(Look::New), [false; 3]);
}
