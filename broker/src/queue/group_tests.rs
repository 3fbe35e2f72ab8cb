//! Message groups, on the state machine alone.

use std::collections::{BTreeMap, BTreeSet};

use super::groups::{MAX_GROUPS, MAX_RELEASED};
use super::state::{ConsumerId, ConsumerOptions, Effect, Queue, QueueLimits};
use crate::model::{HeaderBlockBuf, Kind, Message, MessageView};
use crate::selector::{Conversion, Selector};

const LIMITS: QueueLimits = QueueLimits {
    max_bytes: 10_000_000,
    max_messages: 0,
    max_redeliveries: 0,
};

fn message(text: &str, headers: &[(&str, &str)]) -> Message {
    let mut block = HeaderBlockBuf::default();
    for (name, value) in headers {
        assert!(block.push(name, value));
    }
    let view = MessageView::new(Kind::Queue, "q", text, text.as_bytes());
    Message::from_view(&MessageView {
        headers: block.block(),
        ..view
    })
}

fn consumer(capacity: u32) -> ConsumerOptions {
    ConsumerOptions {
        selector: None,
        capacity,
        priority: 0,
        is_exclusive: false,
        is_monitor: false,
    }
}

/// A queue, what it did, and who holds what.
struct Bench {
    queue: Queue,
    effects: Vec<Effect>,
    /// What each message was sent with, by its number.
    groups: BTreeMap<u64, String>,
}

impl Bench {
    fn new() -> Self {
        Self {
            queue: Queue::new(LIMITS),
            effects: Vec::new(),
            groups: BTreeMap::new(),
        }
    }

    fn send(&mut self, text: &str, group: &str) {
        self.queue
            .enqueue(message(text, &[("JMSXGroupID", group)]), &mut self.effects);
        self.groups.insert(self.queue.last_seq(), group.to_owned());
    }

    fn send_last(&mut self, text: &str, group: &str) {
        let headers = [("JMSXGroupID", group), ("JMSXGroupSeq", "-1")];
        self.queue
            .enqueue(message(text, &headers), &mut self.effects);
    }

    fn join(&mut self, id: u64, capacity: u32) {
        self.queue
            .subscribe(ConsumerId(id), consumer(capacity), &mut self.effects);
    }

    fn leave(&mut self, id: u64) {
        self.queue.unsubscribe(ConsumerId(id), &mut self.effects);
    }

    /// Consumer, number and text of what was handed over since the last look.
    fn handed(&mut self) -> Vec<(u64, u64, String)> {
        let deliver = |effect| match effect {
            Effect::Deliver {
                consumer,
                seq,
                message,
            } => Some((consumer.0, seq, message.view()?.id.to_owned())),
            Effect::Dead { .. } => None,
        };
        self.effects.drain(..).filter_map(deliver).collect()
    }

    fn whom(&mut self) -> String {
        let handed = self.handed();
        let shown: Vec<String> = handed
            .iter()
            .map(|(id, _, text)| format!("{id}:{text}"))
            .collect();
        shown.join(" ")
    }

    fn ack(&mut self, id: u64, seq: u64) {
        assert!(self.queue.ack(ConsumerId(id), seq, &mut self.effects));
    }
}

#[test]
fn a_group_stays_with_its_consumer_and_others_are_served_meanwhile() {
    let mut bench = Bench::new();
    bench.join(1, 2);
    bench.join(2, 2);
    for (text, group) in [
        ("a1", "a"),
        ("b1", "b"),
        ("a2", "a"),
        ("a3", "a"),
        ("b2", "b"),
    ] {
        bench.send(text, group);
    }
    assert_eq!(bench.whom(), "1:a1 2:b1 1:a2 2:b2", "a3 waits for 1");
    assert_eq!(bench.queue.ready(), 1);
    bench.ack(2, 2);
    bench.queue.enqueue(message("x", &[]), &mut bench.effects);
    assert_eq!(bench.whom(), "2:x", "a3 stands before nobody else");
    bench.ack(1, 1);
    assert_eq!(bench.whom(), "1:a3");
}

#[test]
fn the_backlog_of_a_group_goes_to_whoever_takes_its_first() {
    let mut bench = Bench::new();
    for text in ["1", "2", "3"] {
        bench.send(text, "a");
    }
    bench.join(1, 1);
    bench.join(2, 10);
    assert_eq!(bench.whom(), "1:1");
    bench.ack(1, 1);
    assert_eq!(bench.whom(), "1:2");
}

#[test]
fn a_negative_sequence_closes_the_group_behind_itself() {
    let mut bench = Bench::new();
    bench.join(1, 1);
    bench.join(2, 10);
    bench.send("1", "a");
    bench.send_last("2", "a");
    bench.send("3", "a");
    assert_eq!(bench.whom(), "1:1");
    bench.ack(1, 1);
    // Handing over 2 sets 3 free, which the other consumer takes at once.
    assert_eq!(bench.whom(), "1:2 2:3");
    bench.send("4", "a");
    assert_eq!(bench.whom(), "2:4");
}

#[test]
fn a_group_with_a_long_backlog_is_not_closed() {
    let to_second = |waiting: usize| {
        let mut bench = Bench::new();
        bench.join(1, 1);
        bench.send("1", "a");
        bench.send_last("2", "a");
        for _ in 0..waiting {
            bench.send("x", "a");
        }
        bench.join(2, u32::MAX);
        bench.handed();
        bench.ack(1, 1);
        let handed = bench.handed();
        handed.iter().filter(|(id, ..)| *id == 2).count()
    };
    assert_eq!(to_second(MAX_RELEASED), MAX_RELEASED);
    assert_eq!(to_second(MAX_RELEASED + 1), 0);
}

#[test]
fn a_long_run_of_short_groups_is_served_without_recursion() {
    let mut bench = Bench::new();
    for number in 0..2_000 {
        bench.send(&number.to_string(), "a");
        bench.send_last(&number.to_string(), "a");
    }
    bench.join(1, 1);
    bench.join(2, u32::MAX);
    bench.ack(1, 1);
    while let Some((1, seq, _)) = bench.handed().pop() {
        bench.ack(1, seq);
    }
    bench.leave(1);
    assert_eq!(bench.queue.ready(), 0);
}

#[test]
fn when_its_consumer_leaves_the_group_goes_on_in_order_at_another() {
    let mut bench = Bench::new();
    bench.join(1, 2);
    bench.send("1", "a");
    bench.send("2", "a");
    bench.send("3", "a");
    bench.join(2, 10);
    bench.join(3, 10);
    assert_eq!(bench.whom(), "1:1 1:2");
    bench.leave(1);
    assert_eq!(bench.whom(), "2:1 2:2 2:3");
}

#[test]
fn a_consumer_without_its_right_loses_its_groups() {
    let mut bench = Bench::new();
    bench.join(1, 1);
    bench.send("1", "a");
    bench.send("2", "a");
    bench.join(2, 10);
    assert_eq!(bench.whom(), "1:1");
    bench
        .queue
        .set_capacity(ConsumerId(1), 0, &mut bench.effects);
    assert_eq!(bench.whom(), "2:2");
}

#[test]
fn an_exclusive_consumer_takes_over_every_group() {
    let mut bench = Bench::new();
    bench.join(1, 1);
    bench.send("1", "a");
    bench.send("2", "a");
    let options = ConsumerOptions {
        is_exclusive: true,
        ..consumer(10)
    };
    bench
        .queue
        .subscribe(ConsumerId(2), options, &mut bench.effects);
    assert_eq!(bench.whom(), "1:1 2:2");
}

#[test]
fn what_the_groups_consumer_does_not_select_goes_to_who_does() {
    let mut bench = Bench::new();
    let selecting = |text: &str| ConsumerOptions {
        selector: Selector::parse(text, Conversion::ConvertStrings).ok(),
        ..consumer(1)
    };
    let effects = &mut bench.effects;
    bench
        .queue
        .subscribe(ConsumerId(1), selecting("to = 'x'"), effects);
    bench
        .queue
        .subscribe(ConsumerId(2), selecting("to = 'y'"), effects);
    for (text, to) in [("1", "x"), ("2", "y"), ("3", "x")] {
        let headers = [("JMSXGroupID", "a"), ("to", to)];
        bench.queue.enqueue(message(text, &headers), effects);
    }
    assert_eq!(bench.whom(), "1:1 2:2");
    bench.ack(1, 1);
    assert_eq!(bench.whom(), "1:3");
}

#[test]
fn so_many_groups_are_remembered_and_the_longest_unused_is_forgotten() {
    let mut bench = Bench::new();
    bench.join(1, u32::MAX);
    for group in 0..MAX_GROUPS {
        bench.send("x", &group.to_string());
    }
    bench.handed();
    bench.join(2, u32::MAX);
    // Used again: it is not the longest unused one any more.
    bench.send("0", "0");
    assert_eq!(bench.whom(), "1:0");
    bench.send("new", "new");
    assert_eq!(
        bench.whom(),
        "2:new",
        "one group too many: group 1 is forgotten"
    );
    bench.send("0", "0");
    bench.send("2", "2");
    assert_eq!(bench.whom(), "1:0 1:2", "remembered");
    bench.queue.enqueue(message("x", &[]), &mut bench.effects);
    assert_eq!(bench.whom(), "2:x");
    bench.send("1", "1");
    bench.send("1", "1");
    let handed = bench.whom();
    assert_eq!(handed, "1:1 1:1", "the longest unserved one has it now");
}

#[test]
fn what_waits_for_a_consumer_here_does_not_go_to_another_broker() {
    let mut bench = Bench::new();
    bench.join(1, 1);
    bench.send("1", "a");
    bench.send("2", "a");
    bench.send("x", "");
    assert_eq!(bench.queue.ready_after(0, 10), [3]);
    assert!(bench.queue.has_ready());
    bench.queue.hold_for_remote(3);
    assert!(!bench.queue.has_ready(), "2 is for nobody else");
    bench.queue.release_remote(3, false, &mut bench.effects);
    assert!(!bench.queue.is_ready(2) && bench.queue.waits(2));
    assert!(bench.queue.hold_for_remote(2).is_none());
    bench.leave(1);
    assert_eq!(bench.queue.ready_after(0, 10), [1, 2, 3]);
}

/// Random commands: nothing is lost or doubled, no group has two holders at once while nothing
/// closes it, and each group is first handed over in order.
#[test]
fn random_commands_keep_groups_together_and_in_order() {
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
    let mut bench = Bench::new();
    let mut held: BTreeMap<u64, (u64, String)> = BTreeMap::new();
    let (mut sent, mut seen, mut consumed) = (0_u64, BTreeSet::new(), BTreeSet::new());
    for _ in 0..300 {
        match next(6) {
            0..=2 => {
                sent += 1;
                bench.send(&format!("{sent}"), ["a", "b", "c", ""][next(4) as usize]);
            }
            3 => {
                let id = next(4);
                held.retain(|_, (holder, _)| *holder != id);
                bench.join(id, u32::try_from(next(4)).unwrap_or(0));
            }
            4 => {
                let id = next(4);
                held.retain(|_, (holder, _)| *holder != id);
                bench.leave(id);
            }
            _ => {
                let count = held.len() as u64;
                let index = if count == 0 { 0 } else { next(count) };
                let found = held.iter().nth(usize::try_from(index).unwrap_or(0));
                if let Some((seq, id)) = found.map(|(seq, (id, _))| (*seq, *id)) {
                    let (_, text) = held.remove(&seq).expect("it was found");
                    bench.ack(id, seq);
                    assert!(consumed.insert(text), "seed {seed}: twice");
                }
            }
        }
        check(seed, &mut bench, &mut held, &mut seen);
    }
    for id in 0..4 {
        bench.leave(id);
    }
    bench.handed();
    let all = bench.queue.ready_after(0, usize::MAX).len();
    assert_eq!(all, bench.queue.ready(), "seed {seed}: nothing is reserved");
    assert_eq!(all > 0, bench.queue.has_ready(), "seed {seed}");
    bench.join(9, u32::MAX);
    for (_, _, text) in bench.handed() {
        assert!(consumed.insert(text), "seed {seed}: came after its end");
    }
    assert_eq!(consumed.len() as u64, sent, "seed {seed}: one is missing");
}

fn check(
    seed: u64,
    bench: &mut Bench,
    held: &mut BTreeMap<u64, (u64, String)>,
    seen: &mut BTreeSet<u64>,
) {
    for (id, seq, text) in bench.handed() {
        held.insert(seq, (id, text));
        let group = &bench.groups[&seq];
        if !group.is_empty() && seen.insert(seq) {
            let mut later = seen.range(seq + 1..);
            let overtook = later.find(|other| bench.groups[*other] == *group);
            assert_eq!(
                overtook, None,
                "seed {seed}: {seq} of {group} was overtaken"
            );
        }
    }
    let mut holders: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    for (seq, (id, _)) in held.iter() {
        holders.entry(&bench.groups[seq]).or_default().insert(*id);
    }
    holders.remove("");
    let is_shared = holders.values().any(|holders| holders.len() > 1);
    assert!(!is_shared, "seed {seed}: {holders:?}");
}
