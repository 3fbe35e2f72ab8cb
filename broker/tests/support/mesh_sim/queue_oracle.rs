//! The history of queue messages, and what must be true of each step: nobody gets a message a second
//! time without being told (I12), no entry refuses it twice (I14).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use causeway_broker::mesh::custody::{Candidate, Credit, QueueName, Refusal, ReturnReason};
use causeway_broker::mesh::frame::TransferHead;
use causeway_broker::mesh::ids::{Bid, Now};
use causeway_broker::mesh::random::Random;
use causeway_broker::queue::state::DeadReason;

use super::broker::Broker;
use super::consumers::Consumer;
use super::producers::Request;
use super::queues::number_of;
use super::world::World;

/// Numbers of queue messages begin here; those of topics are below.
pub const FIRST: u64 = 1 << 62;
/// When nothing changed for so long the beginning of every stream has come.
const STREAMS_KNOWN: Duration = Duration::from_secs(8);
/// Lifetimes are measured by several clocks and over several links.
const TOLERANCE: Duration = Duration::from_secs(1);

/// What a producer sends.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where.
    pub queue: QueueName,
    /// Property `k`.
    pub key: Option<&'static str>,
    /// Property `size` is `large`.
    pub is_large: bool,
    /// Bytes of the body.
    pub len: usize,
    /// Its lifetime.
    pub ttl: Option<Duration>,
    /// A persistent message.
    pub is_persistent: bool,
    /// The queue where the answer is wanted,
    pub reply_to: Option<QueueName>,
    /// or the topic.
    pub reply_topic: Option<&'static str>,
}

impl Plan {
    /// A short message without properties.
    pub fn to(queue: QueueName) -> Self {
        Self {
            queue,
            key: None,
            is_large: false,
            len: 20,
            ttl: None,
            is_persistent: false,
            reply_to: None,
            reply_topic: None,
        }
    }
}

/// What happened to a queue message, in the fewest words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A client sent it.
    Produced,
    /// Its owner sent it to a broker.
    Offered { to: usize },
    /// It came to a broker that took it, or not.
    Arrived {
        credit: Credit,
        refused: Option<Refusal>,
    },
    /// A consumer got it.
    Served {
        consumer: usize,
        is_redelivered: bool,
    },
    /// A consumer is done with it.
    Acked { consumer: usize },
    /// Its owner has it back.
    Returned(ReturnReason),
    /// Its former owner forgets it.
    Gone,
    /// The second copy of a message that was in doubt is dropped.
    Recalled,
    /// It left for the dead letters.
    Dead(DeadReason),
}

/// An entry in the state in which it refused a message, and the queue that it refused it from.
type Refused = (usize, u32, Vec<(Bid, u64, u64, u32)>);

/// A message.
#[derive(Debug)]
pub struct Record {
    /// What was sent.
    pub plan: Plan,
    /// When.
    pub produced: Now,
    /// Deliveries without the redelivered flag.
    pub unflagged: u32,
    /// Who acknowledged it.
    pub acks: Vec<usize>,
    /// It is among the dead letters.
    pub is_dead: bool,
    /// A broker that had it died.
    pub may_be_lost: bool,
    /// It was in doubt, or a broker that had accepted it died: it may exist twice, flagged.
    pub may_be_double: bool,
    /// Accepted transfers.
    pub accepted: u32,
    /// Consumers that left meanwhile, and other reasons to move on.
    pub reasons: u32,
    /// Brokers where it used up its learned route.
    learned: BTreeSet<usize>,
    /// Processes that accepted it.
    accepted_by: BTreeSet<(usize, u32)>,
    /// Where each owner sent it to, and by which entries.
    sent: BTreeMap<usize, (usize, Vec<Candidate>)>,
    refusals: BTreeMap<Refused, u32>,
}

/// The history of queues.
#[derive(Debug, Default)]
pub struct QueueOracle {
    /// By number.
    pub records: Vec<Record>,
    /// Since when a message waits at a broker, as far as checks saw it.
    pub idle: BTreeMap<(usize, u64), Now>,
}

impl QueueOracle {
    /// A message is sent; gives its number.
    pub fn produce(&mut self, plan: Plan, now: Now) -> u64 {
        self.records.push(Record {
            plan,
            produced: now,
            unflagged: 0,
            acks: Vec::new(),
            is_dead: false,
            may_be_lost: false,
            may_be_double: false,
            accepted: 0,
            reasons: 0,
            learned: BTreeSet::new(),
            accepted_by: BTreeSet::new(),
            sent: BTreeMap::new(),
            refusals: BTreeMap::new(),
        });
        FIRST + u64::try_from(self.records.len() - 1).unwrap()
    }

    /// True when a broker has a message that came over a learned route, or came back from one.
    pub fn was_learned(&self, number: u64, at: usize) -> bool {
        let record = &self.records[usize::try_from(number - FIRST).unwrap()];
        record.learned.contains(&at)
    }

    /// The message behind a number.
    pub fn record(&mut self, number: u64) -> &mut Record {
        &mut self.records[usize::try_from(number - FIRST).unwrap()]
    }
}

/// Queues of a run.
#[derive(Debug)]
pub struct QueueWorld {
    /// This run has queues.
    pub is_on: bool,
    /// What was seen.
    pub oracle: QueueOracle,
    /// All consumers there ever were.
    pub consumers: Vec<Consumer>,
    /// All requests.
    pub requests: Vec<Request>,
    /// Consumers that wander, by their number.
    pub visitors: BTreeMap<usize, usize>,
    /// How many there were.
    pub visits: usize,
    /// Where the lasting consumers begin.
    pub shift: usize,
    /// Chance of clients of queues.
    pub random: Random,
    /// Topics for answers that were used.
    pub topics: usize,
    /// The last frame of each broker and label that was delivered somewhere (I11).
    pub order: BTreeMap<(usize, u32, u16, u64, u8), u64>,
    seen: BTreeSet<(usize, Bid, u64, u32, u64)>,
    /// Which process each process sends transfers to, as far as it was told.
    streams: BTreeMap<(usize, u32, usize, bool), (u32, Now)>,
}

impl QueueWorld {
    /// No queue yet.
    pub fn new(seed: u64) -> Self {
        Self {
            is_on: false,
            oracle: QueueOracle::default(),
            consumers: Vec::new(),
            requests: Vec::new(),
            visitors: BTreeMap::new(),
            visits: 0,
            shift: 0,
            topics: 0,
            order: BTreeMap::new(),
            random: Random::new(seed ^ 5),
            seen: BTreeSet::new(),
            streams: BTreeMap::new(),
        }
    }

    /// True when a broker gets a transfer for the first time.
    pub fn first(&mut self, at: usize, head: &TransferHead) -> bool {
        let key = (at, head.owner, head.stream_epoch, head.stream, head.seq);
        self.seen.insert(key)
    }

    /// A consumer left: what it wanted may move once more (I14).
    pub fn consumer_moved(&mut self, consumer: usize) {
        let one = &self.consumers[consumer];
        for record in &mut self.oracle.records {
            if record.acks.is_empty() && one.wants(&record.plan) {
                record.reasons += 1;
            }
        }
    }

    /// Consumers there are for a message.
    pub fn takers(&self, number: u64) -> impl Iterator<Item = usize> + '_ {
        let plan = &self.oracle.records[usize::try_from(number - FIRST).unwrap()].plan;
        let wants =
            move |at: &usize| self.consumers[*at].is_there && self.consumers[*at].wants(plan);
        (0..self.consumers.len()).filter(wants)
    }
}

impl World {
    /// A broker took its queues along.
    pub fn queues_died(&mut self, at: usize, broker: &Broker) {
        let now = self.clock.now();
        for own in broker.keeping.iter().flat_map(|one| one.queues.values()) {
            let kept = (1..=own.queue.last_seq()).filter_map(|seq| own.queue.peek(seq));
            for number in kept.filter_map(number_of) {
                self.queues.oracle.record(number).may_be_lost = true;
            }
        }
        for record in &mut self.queues.oracle.records {
            record.may_be_double |= record.accepted_by.contains(&(at, broker.life));
        }
        for consumer in 0..self.queues.consumers.len() {
            let one = &mut self.queues.consumers[consumer];
            if one.at == at && std::mem::take(&mut one.is_there) {
                one.left = Some(now);
                self.queues.consumer_moved(consumer);
            }
        }
    }

    /// A message is on its way to another broker.
    pub fn offered(&mut self, at: usize, name: &QueueName, seq: u64, to: Bid, tried: &[Candidate]) {
        let now = self.clock.now();
        let message = self
            .queue(at, name)
            .and_then(|own| number_of(own.queue.peek(seq)?));
        let to_at = (0..self.names.len()).find(|other| self.bid_of(*other) == Some(to));
        let (Some(message), Some(to_at)) = (message, to_at) else {
            return;
        };
        let entries = tried.iter().filter(|one| one.bid == to).cloned().collect();
        let life = self.life(to_at).unwrap_or(0);
        let own_life = self.life(at).unwrap_or(0);
        let record = self.queues.oracle.record(message);
        let stream = (at, own_life, to_at, record.plan.is_persistent);
        self.queues.streams.entry(stream).or_insert((life, now));
        record.sent.insert(at, (to_at, entries));
        let step = Step::Offered { to: to_at };
        self.oracle.note_step(now, message, at, step);
    }

    /// The id of a broker.
    pub fn bid_of(&self, at: usize) -> Option<Bid> {
        Some(Bid::derive("sim", self.names.get(at)?))
    }

    /// A message came back from the learned route.
    pub fn note_learned(&mut self, at: usize, name: &QueueName, token: u64) {
        let own = self.queue(at, name);
        if let Some(message) = own.and_then(|own| number_of(own.queue.peek(token)?)) {
            self.queues.oracle.record(message).learned.insert(at);
        }
    }

    /// A message came back to its owner. I14: no entry refuses it twice for want of a consumer.
    pub fn judge_return(&mut self, at: usize, name: &QueueName, token: u64, why: ReturnReason) {
        let now = self.clock.now();
        let message = self
            .queue(at, name)
            .and_then(|own| number_of(own.queue.peek(token)?));
        let (Some(message), Some(life)) = (message, self.life(at)) else {
            return;
        };
        let is_calm = now.since(self.oracle.changed) > STREAMS_KNOWN;
        let record = self.queues.oracle.record(message);
        let (to, entries) = record.sent.get(&at).cloned().unwrap_or_default();
        match why {
            ReturnReason::Refused(Refusal::NoConsumer) => {
                let state = |one: &Candidate| (one.bid, one.epoch.0, one.entry, one.rev);
                let key = (at, life, entries.iter().map(state).collect());
                let count = record.refusals.entry(key).or_default();
                *count += 1;
                let allowed = u32::try_from(entries.len()).unwrap();
                if *count > allowed && allowed > 0 {
                    let what = format!("{to} refuses it {count} times to {at}: no consumer");
                    self.oracle.fail("I14", Some(message), what);
                }
            }
            ReturnReason::InDoubt => record.may_be_double = true,
            ReturnReason::Unknown => {
                record.may_be_double = true;
                let stream = (at, life, to, record.plan.is_persistent);
                let to_life = self.life(to).unwrap_or(0);
                let told = self.queues.streams.insert(stream, (to_life, now));
                // All messages of a stream come back at once. While ways break, the beginning of a
                // stream may be lost for longer than anybody waits for it.
                if is_calm && told.is_some_and(|(life, when)| life == to_life && when < now) {
                    let what = format!("{to} runs on and knows nothing of the stream of {at}");
                    self.oracle.fail("I12", Some(message), what);
                }
            }
            _ => {}
        }
    }

    /// A transfer came to a broker.
    pub fn note_arrival(
        &mut self,
        message: u64,
        at: usize,
        credit: Credit,
        free: Option<u32>,
        refused: Option<Refusal>,
    ) {
        let now = self.clock.now();
        let step = Step::Arrived { credit, refused };
        self.oracle.note_step(now, message, at, step);
        let life = self.life(at).unwrap_or(0);
        let record = self.queues.oracle.record(message);
        if refused.is_some() {
            return;
        }
        record.accepted += 1;
        // A broker remembers refusals with the messages that it has, so for each stay anew.
        record.refusals.retain(|(owner, ..), _| *owner != at);
        record.learned.remove(&at);
        if credit == Credit::Learned {
            record.learned.insert(at);
        }
        record.accepted_by.insert((at, life));
        // The place it was granted is taken, or nobody is there any more: it may move on.
        let is_served = free.is_some_and(|free| free > 0);
        record.reasons += u32::from(!is_served);
    }

    /// I12: nobody gets a message a second time without being told, nor one that it did not select.
    pub fn judge_delivery(&mut self, message: u64, consumer: usize, is_redelivered: bool) {
        let record = self.queues.oracle.record(message);
        record.unflagged += u32::from(!is_redelivered);
        let is_second = record.unflagged > 1 && !is_redelivered;
        if is_second {
            let what = format!("consumer {consumer} has it as if nobody had had it before");
            self.oracle.fail("I12", Some(message), what);
        }
        let plan = self.queues.oracle.record(message).plan.clone();
        if !self.queues.consumers[consumer].wants(&plan) {
            let what = format!("consumer {consumer} did not ask for it");
            self.oracle.fail("selector", Some(message), what);
        }
    }

    /// I12: one consumer is done with a message.
    pub fn judge_ack(&mut self, message: u64, consumer: usize) {
        let record = self.queues.oracle.record(message);
        record.acks.push(consumer);
        if record.acks.len() > 1 && !record.may_be_double {
            let what = format!("consumers {:?} are done with it", record.acks);
            self.oracle.fail("I12", Some(message), what);
        }
    }

    /// Only what is over is dead.
    pub fn judge_death(&mut self, message: u64, reason: DeadReason) {
        let now = self.clock.now();
        let record = self.queues.oracle.record(message);
        record.is_dead = true;
        let end = record.plan.ttl.map(|ttl| record.produced.plus(ttl));
        let is_over = end.is_some_and(|end| end <= now.plus(TOLERANCE));
        if reason != DeadReason::Expired || !is_over {
            let what = format!("dead before its time: {reason:?}");
            self.oracle.fail("I12", Some(message), what);
        }
    }
}
