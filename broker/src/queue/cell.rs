//! One queue and whom its consumers' numbers stand for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::handover::Arrival;
use super::state::{
    Admission, ConsumerId, ConsumerOptions, DeadReason, Effect, PER_MESSAGE, Queue, QueueCounters,
    QueueLimits,
};
use crate::broker::ledger::{Account, Ledger};
use crate::clock;
use crate::mesh::custody::Room;
use crate::mesh::ids::Now;
use crate::model::{Destination, Message};
use crate::net::outbound::{Append, AutoAck, Outbound};
use crate::net::subscriber::Subscriber;
use crate::selector::Selector;

/// What queue operations leave for their caller to finish, without any lock held.
#[derive(Debug, Default)]
pub struct Work {
    /// Connections with something new to write.
    pub dirty: Vec<Arc<Outbound>>,
    /// Messages for the dead letters, with the queue they came from.
    pub dead: Vec<(Destination, Message, DeadReason)>,
    /// Queues with messages that no local consumer can take now.
    pub waiting: Vec<Arc<QueueCell>>,
    /// Queues with room that other brokers wait for.
    pub roomy: Vec<Arc<QueueCell>>,
    /// Messages of mode `auto` that were written and are done with.
    pub written: Vec<AutoAck>,
    /// A queue, or the broker, is three quarters full: producers are slowed down.
    pub is_tight: bool,
    /// Something went to other brokers: its producer waits while a ring is full (R10).
    pub forwarded: Forwarded,
}

/// What went to other brokers since somebody looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Forwarded {
    /// Nothing.
    #[default]
    Nothing,
    /// Messages that a full ring may drop after a second.
    Droppable,
    /// Messages that a full ring must not drop.
    Reliable,
}

impl Work {
    /// Notes a connection once.
    pub fn touch(&mut self, outbound: &Arc<Outbound>) {
        if outbound.mark_dirty() {
            self.dirty.push(outbound.clone());
        }
    }

    /// True when nothing is left to finish.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.dirty.is_empty()
            && self.dead.is_empty()
            && self.waiting.is_empty()
            && self.roomy.is_empty()
            && self.written.is_empty()
    }
}

/// What a queue takes before anything is in it: measured, 100,000 of them in a process.
const EMPTY: usize = 2048;

#[derive(Debug)]
struct Inner {
    queue: Queue,
    targets: HashMap<ConsumerId, Arc<Subscriber>>,
    effects: Vec<Effect>,
    is_removed: bool,
    last_used_ns: u64,
    account: Account,
}

/// One queue of this broker.
#[derive(Debug)]
pub struct QueueCell {
    /// Its name and kind.
    pub destination: Destination,
    /// Guards the queue and its consumers.
    inner: Mutex<Inner>,
}

/// What came of an enqueue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    /// The queue has it, or a consumer does. `waiting`: no local consumer could take it now.
    Accepted {
        /// Its number in the queue.
        seq: u64,
        /// True while it is ready.
        waiting: bool,
    },
    /// The queue is full.
    Full,
    /// The queue was removed meanwhile: look it up again.
    Gone,
}

/// A queue's numbers, for reports.
#[derive(Debug, Clone, Copy)]
pub struct QueueNumbers {
    /// Messages in it, in flight included.
    pub depth: usize,
    /// Messages that wait.
    pub ready: usize,
    /// Bytes of all.
    pub bytes: usize,
    /// Consumers here.
    pub consumers: usize,
    /// Totals.
    pub counters: QueueCounters,
}

impl QueueCell {
    /// An empty queue whose bytes count in `ledger`.
    #[must_use]
    pub fn new(
        destination: Destination,
        limits: QueueLimits,
        now_ns: u64,
        ledger: Arc<Ledger>,
    ) -> Self {
        let mut queue = Queue::new(limits);
        if !destination.kind.is_queue() {
            queue.ignore_groups();
        }
        let mut account = Account::new(ledger);
        account.set(EMPTY);
        let inner = Inner {
            queue,
            targets: HashMap::new(),
            effects: Vec::new(),
            is_removed: false,
            last_used_ns: now_ns,
            account,
        };
        Self {
            destination,
            inner: Mutex::new(inner),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a message. `message` is only made when the queue has room.
    pub fn enqueue(
        self: &Arc<Self>,
        size: usize,
        message: impl FnOnce() -> Message,
        now_ns: u64,
        work: &mut Work,
    ) -> Enqueued {
        self.enqueue_with(size, now_ns, work, |queue, effects| {
            queue.enqueue(message(), effects)
        })
    }

    fn enqueue_with(
        self: &Arc<Self>,
        size: usize,
        now_ns: u64,
        work: &mut Work,
        enqueue: impl FnOnce(&mut Queue, &mut Vec<Effect>) -> Admission,
    ) -> Enqueued {
        let mut inner = self.lock();
        if inner.is_removed {
            return Enqueued::Gone;
        }
        inner.last_used_ns = now_ns;
        // An empty queue takes one message of any size, so that nothing waits for ever; but not so
        // many of them that the limit means nothing.
        let ledger = inner.account.ledger();
        let is_broker_full = ledger.is_full_for(PER_MESSAGE + size)
            && (inner.queue.depth() > 0 || ledger.is_overdrawn());
        if is_broker_full || inner.queue.is_full_for(size) {
            return Enqueued::Full;
        }
        let Inner { queue, effects, .. } = &mut *inner;
        let admission = enqueue(queue, effects);
        work.is_tight |= queue.is_tight();
        self.perform(&mut inner, work);
        work.is_tight |= inner.account.ledger().is_tight();
        match admission {
            Admission::Accepted => {
                let seq = inner.queue.last_seq();
                Enqueued::Accepted {
                    seq,
                    waiting: inner.queue.waits(seq),
                }
            }
            Admission::Full => Enqueued::Full,
        }
    }

    /// Takes a message of another broker.
    pub fn take_over(self: &Arc<Self>, arrival: Arrival, now_ns: u64, work: &mut Work) -> Enqueued {
        self.enqueue_with(arrival.message.len(), now_ns, work, |queue, effects| {
            queue.take_over(arrival, effects)
        })
    }

    /// Keeps a message that the process before this one kept; no limit refuses it. False when the
    /// queue was removed.
    pub fn restore(self: &Arc<Self>, arrival: Arrival, work: &mut Work) -> bool {
        let mut inner = self.lock();
        if inner.is_removed {
            return false;
        }
        let Inner { queue, effects, .. } = &mut *inner;
        queue.restore(arrival, effects);
        self.perform(&mut inner, work);
        true
    }

    /// Takes a message of a topic. When the queue is full the oldest that wait make room for it;
    /// returns how many messages were lost, that one included when nothing could make room.
    pub fn enqueue_dropping(self: &Arc<Self>, message: &Message, work: &mut Work) -> u64 {
        let mut inner = self.lock();
        if inner.is_removed {
            return 0;
        }
        let Inner {
            queue,
            effects,
            account,
            ..
        } = &mut *inner;
        // While the broker is full a backlog grows no more.
        let most = if account.ledger().is_full_for(PER_MESSAGE + message.len()) {
            queue.memory()
        } else {
            usize::MAX
        };
        let dropped = queue.make_room(message.len(), most);
        if queue.is_beyond(message.len(), most) {
            return dropped + 1;
        }
        let admission = queue.enqueue(message.clone(), effects);
        self.perform(&mut inner, work);
        dropped + u64::from(admission == Admission::Full)
    }

    /// Empties the queue for good: it takes nothing more, and nobody is served.
    pub fn discard(&self) {
        let mut inner = self.lock();
        let limits = inner.queue.limits();
        inner.is_removed = true;
        inner.queue = Queue::new(limits);
        inner.targets.clear();
        inner.account.set(0);
    }

    /// Adds a consumer; false when the queue was removed meanwhile.
    pub fn subscribe(
        self: &Arc<Self>,
        key: u64,
        options: ConsumerOptions,
        subscriber: Arc<Subscriber>,
        now_ns: u64,
        work: &mut Work,
    ) -> bool {
        let mut inner = self.lock();
        if inner.is_removed {
            return false;
        }
        inner.last_used_ns = now_ns;
        inner.targets.insert(ConsumerId(key), subscriber);
        let Inner { queue, effects, .. } = &mut *inner;
        queue.subscribe(ConsumerId(key), options, effects);
        self.perform(&mut inner, work);
        true
    }

    /// Removes a consumer. Of what it had in flight, `returns` says what goes back to be served to
    /// others; the rest counts as consumed.
    pub fn unsubscribe(
        self: &Arc<Self>,
        key: u64,
        returns: impl Fn(u64) -> bool,
        now_ns: u64,
        work: &mut Work,
    ) {
        let mut inner = self.lock();
        inner.last_used_ns = now_ns;
        inner.targets.remove(&ConsumerId(key));
        let Inner { queue, effects, .. } = &mut *inner;
        for seq in queue.in_flight(ConsumerId(key)) {
            if !returns(seq) {
                queue.consume(ConsumerId(key), seq);
            }
        }
        queue.unsubscribe(ConsumerId(key), effects);
        queue.note_departure(Now(now_ns));
        self.perform(&mut inner, work);
    }

    /// Applies one command to the queue and performs what follows.
    pub fn apply<R>(
        self: &Arc<Self>,
        work: &mut Work,
        command: impl FnOnce(&mut Queue, &mut Vec<Effect>) -> R,
    ) -> R {
        let mut inner = self.lock();
        let Inner { queue, effects, .. } = &mut *inner;
        let result = command(queue, effects);
        self.perform(&mut inner, work);
        result
    }

    fn perform(self: &Arc<Self>, inner: &mut Inner, work: &mut Work) {
        self.perform_all(inner, work);
        inner.account.set(EMPTY + inner.queue.memory());
    }

    fn perform_all(self: &Arc<Self>, inner: &mut Inner, work: &mut Work) {
        let Inner {
            targets,
            effects,
            queue,
            ..
        } = inner;
        // What waits in the backlog of a topic subscription is for nobody else.
        if queue.has_ready() && self.destination.kind.is_queue() {
            self.note_once(&mut work.waiting);
        }
        // What expires on its way to a consumer makes room for the next, hence a second round.
        let mut round = std::mem::take(effects);
        loop {
            for effect in round.drain(..) {
                self.perform_one(effect, queue, targets, effects, work);
            }
            if effects.is_empty() {
                break;
            }
            std::mem::swap(&mut round, effects);
        }
        // The memory is kept for the next command.
        *effects = round;
        if queue.has_awaited_room() {
            self.note_once(&mut work.roomy);
        }
    }

    fn note_once(self: &Arc<Self>, cells: &mut Vec<Arc<Self>>) {
        if !cells.last().is_some_and(|last| Arc::ptr_eq(last, self)) {
            cells.push(self.clone());
        }
    }

    /// Says whether other brokers wait for room; `is_awaited` is asked while nothing happens to the
    /// queue. True when there is room right away.
    pub fn await_room(&self, is_awaited: impl FnOnce() -> bool) -> bool {
        let mut inner = self.lock();
        inner.queue.set_awaited(is_awaited());
        inner.queue.has_awaited_room()
    }

    fn perform_one(
        self: &Arc<Self>,
        effect: Effect,
        queue: &mut Queue,
        targets: &HashMap<ConsumerId, Arc<Subscriber>>,
        effects: &mut Vec<Effect>,
        work: &mut Work,
    ) {
        match effect {
            Effect::Deliver {
                consumer,
                seq,
                message,
            } => {
                if message.expires_ms != 0 && message.is_expired(clock::wall_ms()) {
                    queue.expire_held(consumer, seq, effects);
                } else if let Some(subscriber) = targets.get(&consumer) {
                    match subscriber.deliver_queue(&message, self, seq) {
                        Append::Closed => queue.refuse(consumer, seq, effects),
                        Append::Queued | Append::Dropped => work.touch(&subscriber.outbound),
                    }
                }
            }
            Effect::Dead { message, reason } => {
                work.dead.push((self.destination.clone(), message, reason));
            }
        }
    }

    /// Copies of waiting messages.
    #[must_use]
    pub fn browse(&self, selector: Option<&Selector>, limit: usize) -> Vec<Message> {
        self.lock().queue.browse(selector, limit)
    }

    /// The queue's numbers.
    #[must_use]
    pub fn numbers(&self) -> QueueNumbers {
        let inner = self.lock();
        QueueNumbers {
            depth: inner.queue.depth(),
            ready: inner.queue.ready(),
            bytes: inner.queue.bytes(),
            consumers: inner.queue.consumers(),
            counters: inner.queue.counters(),
        }
    }

    /// True when replies that this connection asks for to this queue have a consumer here: one of its
    /// literal name, or one of that connection (R12 a).
    #[must_use]
    pub fn awaits_replies_of(&self, connection: u64) -> bool {
        let inner = self.lock();
        let is_own = |one: &Arc<Subscriber>| one.outbound.connection == connection;
        inner.queue.literal_consumers() > 0 || inner.targets.values().any(is_own)
    }

    /// The local subscriptions that consume here.
    #[must_use]
    pub fn local_subscribers(&self) -> Vec<Arc<Subscriber>> {
        self.lock().targets.values().cloned().collect()
    }

    /// Free places at local consumers that would take such a message: none, or how many (R16).
    #[must_use]
    pub fn local_capacity_for(&self, message: &Message) -> Option<u32> {
        let view = message.view()?;
        let properties = crate::routing::properties::MessageProperties::new(&view);
        let inner = self.lock();
        let takes = |subscriber: &Arc<Subscriber>| {
            let matches = |selector: &Selector| selector.matches(&properties);
            subscriber.allowed() && subscriber.selector.as_ref().is_none_or(matches)
        };
        if !inner.targets.values().any(takes) {
            return None;
        }
        let room = inner
            .queue
            .room(|id| inner.targets.get(&id).is_some_and(takes));
        Some(room.free)
    }

    /// Places at local consumers whose selector `takes` accepts.
    #[must_use]
    pub fn room(&self, takes: impl Fn(Option<&Selector>) -> bool) -> Room {
        let inner = self.lock();
        inner.queue.room(|id| {
            inner
                .targets
                .get(&id)
                .is_some_and(|target| target.allowed() && takes(target.selector.as_ref()))
        })
    }

    /// Marks the queue removed when it has been idle since before `before_ns`.
    pub fn remove_if_idle(&self, before_ns: u64) -> bool {
        let mut inner = self.lock();
        if !inner.is_removed && inner.queue.is_idle() && inner.last_used_ns < before_ns {
            inner.is_removed = true;
        }
        inner.is_removed
    }
}
