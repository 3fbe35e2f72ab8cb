//! One queue as a pure state machine: commands in, effects out.
//!
//! Every message is in exactly one place: ready, or in flight at one consumer. Consumers with equal
//! selectors form a class; each class has its own set of ready messages, so a head that nobody of
//! one class wants never blocks another, and no page size exists (`docs/architecture.md`).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::groups::{Groups, Member};
use super::handover::History;
use super::monitors::Monitors;
use super::scan::Scan;
use crate::mesh::custody::Room;
use crate::model::Message;
use crate::routing::properties::MessageProperties;
use crate::selector::{ClassId, ClassIndex, Selector};

pub use super::types::{
    Admission, ConsumerId, ConsumerOptions, DeadReason, Effect, QueueCounters, QueueLimits,
};

/// Service order: higher priority first, longest unserved first.
pub(super) type Turn = (i16, u64, ConsumerId);

/// What a message takes beside its bytes, in the queue and in the sets that name it: measured, with
/// 100,000 messages without a body.
pub const PER_MESSAGE: usize = 320;

/// Holds what is on its way to another broker.
pub(super) const REMOTE: ConsumerId = ConsumerId(u64::MAX);

#[derive(Debug)]
pub(super) struct Consumer {
    pub(super) class: ClassId,
    pub(super) capacity: u32,
    pub(super) priority: i8,
    pub(super) is_exclusive: bool,
    pub(super) turn: u64,
    pub(super) in_flight: BTreeSet<u64>,
    /// Messages of its groups that wait for room.
    pub(super) reserved: BTreeSet<u64>,
}

impl Consumer {
    pub(super) fn key(&self, id: ConsumerId) -> Turn {
        (-i16::from(self.priority), self.turn, id)
    }

    pub(super) fn has_room(&self) -> bool {
        self.in_flight.len() < usize::try_from(self.capacity).unwrap_or(usize::MAX)
    }
}

#[derive(Debug, Default)]
pub(super) struct Class {
    pub(super) available: BTreeSet<Turn>,
    pub(super) ready: BTreeSet<u64>,
    pub(super) members: usize,
}

#[derive(Debug)]
pub(super) struct Kept {
    pub(super) message: Message,
    pub(super) holder: Option<ConsumerId>,
    pub(super) classes: Vec<ClassId>,
    /// Of a message that moved or was refused.
    pub(super) history: Option<Box<History>>,
    pub(super) group: Option<Box<Member>>,
}

/// One queue.
#[derive(Debug)]
pub struct Queue {
    pub(super) limits: QueueLimits,
    pub(super) kept: BTreeMap<u64, Kept>,
    pub(super) ready_count: usize,
    /// Of those, the ones that wait for the consumer of their group.
    pub(super) reserved_count: usize,
    pub(super) bytes: usize,
    pub(super) next_seq: u64,
    pub(super) next_turn: u64,
    pub(super) consumers: HashMap<ConsumerId, Consumer>,
    pub(super) exclusive: BTreeSet<ConsumerId>,
    pub(super) monitors: Monitors,
    pub(super) index: ClassIndex<()>,
    pub(super) classes: HashMap<ClassId, Class>,
    pub(super) scratch: Vec<ClassId>,
    pub(super) has_groups: bool,
    pub(super) groups: Groups,
    /// Waiting messages that have to be offered before the command is over.
    pub(super) unsettled: BTreeSet<u64>,
    pub(super) counters: QueueCounters,
    pub(super) scan: Scan,
    /// Other brokers wait for consumers here to have room (R16).
    pub(super) is_awaited: bool,
}

impl Queue {
    /// An empty queue.
    #[must_use]
    pub fn new(limits: QueueLimits) -> Self {
        Self {
            limits,
            kept: BTreeMap::new(),
            ready_count: 0,
            reserved_count: 0,
            bytes: 0,
            next_seq: 1,
            next_turn: 1,
            consumers: HashMap::new(),
            exclusive: BTreeSet::new(),
            monitors: Monitors::default(),
            index: ClassIndex::new(),
            classes: HashMap::new(),
            scratch: Vec::new(),
            has_groups: true,
            groups: Groups::default(),
            unsettled: BTreeSet::new(),
            counters: QueueCounters::default(),
            scan: Scan::default(),
            is_awaited: false,
        }
    }

    /// Applies new limits from the next command on.
    pub fn set_limits(&mut self, limits: QueueLimits) {
        self.limits = limits;
    }

    /// The limits in force.
    #[must_use]
    pub const fn limits(&self) -> QueueLimits {
        self.limits
    }

    /// Removes waiting messages, the oldest first, until one of that size is admitted and all of it
    /// takes at most `most` bytes of memory; returns how many. What is in flight stays.
    pub fn make_room(&mut self, size: usize, most: usize) -> u64 {
        let mut removed = 0;
        while (self.is_full_for(size) || self.is_beyond(size, most))
            && let Some(seq) = self.oldest_ready()
        {
            self.remove(seq);
            removed += 1;
        }
        removed
    }

    /// Three quarters of it are used, bytes or messages.
    #[must_use]
    pub fn is_tight(&self) -> bool {
        let QueueLimits {
            max_bytes,
            max_messages,
            ..
        } = self.limits;
        let is_long = max_messages != 0 && self.kept.len() > max_messages / 4 * 3;
        is_long || self.bytes > max_bytes / 4 * 3
    }

    /// True when with one more of that size it would take more memory than `most`. An empty queue
    /// takes any size.
    #[must_use]
    pub fn is_beyond(&self, size: usize, most: usize) -> bool {
        let more = PER_MESSAGE.saturating_add(size);
        !self.kept.is_empty() && self.memory().saturating_add(more) > most
    }

    /// Without a consumer everything is ready; with one, its class knows what is.
    fn oldest_ready(&self) -> Option<u64> {
        if self.ready_count == 0 {
            return None;
        }
        let of_classes = self
            .classes
            .values()
            .filter_map(|class| class.ready.first())
            .min();
        let waits = |(_, kept): &(&u64, &Kept)| kept.holder.is_none();
        of_classes
            .or_else(|| self.kept.iter().find(waits).map(|(seq, _)| seq))
            .copied()
    }

    /// Removes the waiting messages that `keeps` is false for; returns how many.
    pub fn retain_ready(&mut self, keeps: impl Fn(&Message) -> bool) -> usize {
        let unwanted = |(_, kept): &(&u64, &Kept)| kept.holder.is_none() && !keeps(&kept.message);
        let seqs: Vec<u64> = self
            .kept
            .iter()
            .filter(unwanted)
            .map(|(seq, _)| *seq)
            .collect();
        for seq in &seqs {
            self.remove(*seq);
        }
        seqs.len()
    }

    /// Takes a message, and hands it on at once when a matching consumer has room.
    pub fn enqueue(&mut self, message: Message, effects: &mut Vec<Effect>) -> Admission {
        if self.is_full_for(message.len()) {
            return Admission::Full;
        }
        self.admit(message, effects);
        Admission::Accepted
    }

    /// Takes a message whatever the limits say; its number.
    pub(super) fn admit(&mut self, message: Message, effects: &mut Vec<Effect>) -> u64 {
        let seq = self.next_seq;
        self.next_seq += 1;
        self.counters.enqueued += 1;
        self.bytes += message.len();
        self.insert_ready(seq, message, effects);
        seq
    }

    /// True when a message of that size would not be admitted. An empty queue takes any size.
    #[must_use]
    pub fn is_full_for(&self, size: usize) -> bool {
        if self.kept.is_empty() {
            return false;
        }
        let too_many = self.limits.max_messages != 0 && self.kept.len() >= self.limits.max_messages;
        too_many || self.bytes + size > self.limits.max_bytes
    }

    /// Adds a consumer and serves it what is ready. A known id is replaced.
    pub fn subscribe(
        &mut self,
        id: ConsumerId,
        options: ConsumerOptions,
        effects: &mut Vec<Effect>,
    ) {
        self.unsubscribe(id, effects);
        let class = self.index.insert(options.selector);
        let is_new_class = !self.classes.contains_key(&class);
        self.classes.entry(class).or_default().members += 1;
        if is_new_class {
            self.file_backlog_under(class);
        }
        let consumer = Consumer {
            class,
            capacity: options.capacity,
            priority: options.priority,
            is_exclusive: options.is_exclusive,
            turn: self.next_turn,
            in_flight: BTreeSet::new(),
            reserved: BTreeSet::new(),
        };
        self.next_turn += 1;
        if consumer.is_exclusive {
            self.exclusive.insert(id);
        }
        self.consumers.insert(id, consumer);
        self.note_consumer(id, options.is_monitor, effects);
        if options.is_exclusive {
            self.refresh_all(effects);
        } else {
            self.refresh(id, effects);
        }
    }

    /// Changes how many messages may be in flight; a consumer that lost its right has 0.
    pub fn set_capacity(&mut self, id: ConsumerId, capacity: u32, effects: &mut Vec<Effect>) {
        if let Some(consumer) = self.consumers.get_mut(&id) {
            consumer.capacity = capacity;
            self.refresh(id, effects);
        }
    }

    /// Removes a consumer; what it had in flight comes back, flagged redelivered, to the head.
    pub fn unsubscribe(&mut self, id: ConsumerId, effects: &mut Vec<Effect>) {
        self.release_groups_of(id);
        let Some(consumer) = self.consumers.remove(&id) else {
            return;
        };
        let was_exclusive = self.exclusive.remove(&id);
        self.monitors.forget(id);
        if let Some(class) = self.classes.get_mut(&consumer.class) {
            class.available.remove(&consumer.key(id));
            class.members -= 1;
            if class.members == 0 {
                self.drop_class(consumer.class);
            }
        }
        self.index.remove(consumer.class);
        // All of it waits again before any of it is offered: the order within a group depends on it.
        for seq in consumer.in_flight {
            self.let_wait(seq, true, effects);
        }
        if was_exclusive {
            self.refresh_all(effects);
        }
        self.settle(effects);
    }

    /// Numbers of the messages in flight at a consumer.
    #[must_use]
    pub fn in_flight(&self, id: ConsumerId) -> Vec<u64> {
        self.consumers
            .get(&id)
            .map(|one| one.in_flight.iter().copied().collect())
            .unwrap_or_default()
    }

    /// The consumer is done with the message. False when it does not hold it.
    pub fn ack(&mut self, id: ConsumerId, seq: u64, effects: &mut Vec<Effect>) -> bool {
        let is_held = self.take_from(id, seq);
        if is_held {
            self.remove(seq);
            self.refresh(id, effects);
        }
        is_held
    }

    /// As [`Self::ack`], for a consumer that is about to go: it is served nothing more.
    pub fn consume(&mut self, id: ConsumerId, seq: u64) {
        if self.take_from(id, seq) {
            self.remove(seq);
        }
    }

    /// The consumer refuses the message for good: a dead letter. False when it does not hold it.
    pub fn reject(&mut self, id: ConsumerId, seq: u64, effects: &mut Vec<Effect>) -> bool {
        self.bury_held(id, seq, DeadReason::Poison, effects)
    }

    /// The time of the message was over before its consumer got it. False when it does not hold it.
    pub fn expire_held(&mut self, id: ConsumerId, seq: u64, effects: &mut Vec<Effect>) -> bool {
        self.bury_held(id, seq, DeadReason::Expired, effects)
    }

    fn bury_held(
        &mut self,
        id: ConsumerId,
        seq: u64,
        reason: DeadReason,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let is_held = self.take_from(id, seq);
        if is_held {
            if let Some(message) = self.remove(seq) {
                effects.push(Effect::Dead { message, reason });
            }
            self.refresh(id, effects);
        }
        is_held
    }

    /// Gives a message back. `was_seen` flags and counts it as redelivered; a refusal by another
    /// broker does not.
    pub fn release(
        &mut self,
        id: ConsumerId,
        seq: u64,
        was_seen: bool,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let is_held = self.take_from(id, seq);
        if is_held {
            self.put_back(seq, was_seen, effects);
            self.refresh(id, effects);
        }
        is_held
    }

    /// The consumer is about to go and was not given the message: it is served nothing more.
    pub fn refuse(&mut self, id: ConsumerId, seq: u64, effects: &mut Vec<Effect>) {
        self.set_capacity(id, 0, effects);
        self.release(id, seq, false, effects);
    }

    /// Takes out every ready message whose time is over at `wall_ms`.
    pub fn expire(&mut self, wall_ms: i64, effects: &mut Vec<Effect>) {
        let expired: Vec<u64> = self
            .kept
            .iter()
            .filter(|(_, kept)| kept.holder.is_none() && kept.message.is_expired(wall_ms))
            .map(|(seq, _)| *seq)
            .collect();
        for seq in expired {
            if let Some(message) = self.remove(seq) {
                effects.push(Effect::Dead {
                    message,
                    reason: DeadReason::Expired,
                });
            }
        }
    }

    /// Removes every ready message; returns how many.
    pub fn purge(&mut self) -> usize {
        let ready: Vec<u64> = self
            .kept
            .iter()
            .filter(|(_, kept)| kept.holder.is_none())
            .map(|(seq, _)| *seq)
            .collect();
        for seq in &ready {
            self.remove(*seq);
        }
        ready.len()
    }

    /// Copies of the ready messages that match, oldest first.
    #[must_use]
    pub fn browse(&self, selector: Option<&Selector>, limit: usize) -> Vec<Message> {
        self.kept
            .values()
            .filter(|kept| kept.holder.is_none())
            .filter(|kept| match (selector, kept.message.view()) {
                (None, _) => true,
                (Some(selector), Some(view)) => selector.matches(&MessageProperties::new(&view)),
                (Some(_), None) => false,
            })
            .take(limit)
            .map(|kept| kept.message.clone())
            .collect()
    }

    /// The message with that number.
    #[must_use]
    pub fn peek(&self, seq: u64) -> Option<&Message> {
        self.kept.get(&seq).map(|kept| &kept.message)
    }

    /// Ready and in-flight messages.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.kept.len()
    }

    /// Messages that wait for a consumer.
    #[must_use]
    pub const fn ready(&self) -> usize {
        self.ready_count
    }

    /// Memory that all of it takes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.bytes + self.kept.len() * PER_MESSAGE
    }

    /// Bytes of all kept messages.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Consumers here.
    #[must_use]
    pub fn consumers(&self) -> usize {
        self.consumers.len()
    }

    /// Places at the local consumers that match: what may be promised to other brokers (R16).
    #[must_use]
    pub fn room(&self, matches: impl Fn(ConsumerId) -> bool) -> Room {
        let mut room = Room::default();
        for (id, consumer) in &self.consumers {
            if self.may_serve(*id) && matches(*id) {
                let taken = u32::try_from(consumer.in_flight.len()).unwrap_or(u32::MAX);
                let free = consumer.capacity.saturating_sub(taken);
                room.free = room.free.saturating_add(free);
                room.all = room.all.saturating_add(consumer.capacity);
            }
        }
        room
    }

    /// True when nothing would be lost by removing it.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.kept.is_empty() && self.consumers.is_empty()
    }

    /// Counters since the queue was made.
    #[must_use]
    pub const fn counters(&self) -> QueueCounters {
        self.counters
    }
}
