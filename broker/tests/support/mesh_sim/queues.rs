//! Queues of a broker and their custody, as `link::custody` runs them: the same calls in the same
//! order. A queue is the product's own state; its consumers are in `consumers`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use causeway_broker::link::interest::{LocalConsumers, may_take};
use causeway_broker::mesh::custody::{
    Candidate, Credit, CreditWanted, Custody, CustodyConfig, Effect, Effects, Event, Learned,
    Offer, Outcome, Placement, QueueName, Refusal, Refusals, Returned, Room, Stay,
};
use causeway_broker::mesh::ids::{Bid, Epoch, Now};
use causeway_broker::mesh::replies::{LostSites, Replies};
use causeway_broker::mesh::ring::Level;
use causeway_broker::model::{Kind, Message, MessageView};
use causeway_broker::queue::handover::{Arrival, Looked, Outlook, Present, admits};
use causeway_broker::queue::state::{Admission, ConsumerId, Effect as Served, Queue, QueueLimits};
use causeway_broker::queue::{Look, TURN};
use causeway_broker::routing::properties::MessageProperties;
use causeway_broker::selector::Selector;

use super::broker::Broker;
use super::queue_oracle::Step;
use super::world::{Sabotage, World};

/// Bytes of all reorder buffers of a broker.
pub const REORDER: usize = 64 << 10;
/// Names with a learned route at most.
pub const ROUTES: usize = 64;
/// Doubt of persistent messages.
pub const DOUBT: Duration = Duration::from_secs(12);
/// What the clock on the wall shows when the simulated time is zero.
const WALL: i64 = 1_700_000_000_000;

/// One queue.
#[derive(Debug)]
pub struct SimQueue {
    /// The product's own state.
    pub queue: Queue,
    /// Its consumers and what they select.
    pub consumers: BTreeMap<ConsumerId, Option<Selector>>,
}

/// What a broker keeps for queues.
#[derive(Debug)]
pub struct Keeping {
    /// Custody.
    pub custody: Custody,
    /// Learned routes.
    pub replies: Replies,
    /// Since when sites are lost.
    pub lost: LostSites,
    /// What consumers amount to.
    pub local: LocalConsumers,
    /// The queues.
    pub queues: BTreeMap<QueueName, SimQueue>,
    /// Queues with messages that no consumer here can take, not looked at yet.
    pub waiting: BTreeSet<QueueName>,
    /// Queues with room that other brokers wait for, not told yet.
    pub roomy: BTreeSet<QueueName>,
    /// When messages expire next.
    pub next_expiry: Now,
}

/// The time by both clocks.
pub fn present(now: Now) -> Present {
    let wall_ms = WALL + i64::try_from(now.0 / 1_000_000).unwrap_or(i64::MAX);
    Present { now, wall_ms }
}

fn is_ring_open(broker: &Broker, bid: Bid) -> bool {
    let way = broker.routes.site(bid).and_then(|site| site.way);
    way.and_then(|way| broker.links.get(way.link.index()))
        .is_some_and(|link| link.data.ring().level() == Level::Free)
}

impl Keeping {
    /// Of a process that starts.
    pub fn new(own: Bid, epoch: Epoch, now: Now) -> Self {
        let config = CustodyConfig {
            own,
            epoch,
            doubt_persistent: Some(DOUBT),
            doubt_brief: Duration::from_secs(3),
            reorder_bytes: REORDER,
        };
        Self {
            custody: Custody::new(config, now),
            replies: Replies::new(ROUTES, Duration::from_secs(600)),
            lost: LostSites::default(),
            local: LocalConsumers::default(),
            queues: BTreeMap::new(),
            waiting: BTreeSet::new(),
            roomy: BTreeSet::new(),
            next_expiry: now.plus(Duration::from_secs(1)),
        }
    }

    /// When something is due.
    pub fn deadline(&self) -> Now {
        self.custody.deadline().min(self.next_expiry)
    }
}

impl SimQueue {
    /// An empty queue.
    pub fn new() -> Self {
        let limits = QueueLimits {
            max_bytes: 16 << 20,
            max_messages: 0,
            max_redeliveries: 0,
        };
        Self {
            queue: Queue::new(limits),
            consumers: BTreeMap::new(),
        }
    }

    /// Free places of consumers that would take the message; `None` when no consumer would.
    fn free_for(&self, message: &Message) -> Option<u32> {
        let view = message.view()?;
        let properties = MessageProperties::new(&view);
        let takes = |selector: &Option<Selector>| {
            selector.as_ref().is_none_or(|one| one.matches(&properties))
        };
        self.consumers.values().any(takes).then(|| {
            let takes = |id| self.consumers.get(&id).is_some_and(takes);
            self.queue.room(takes).free
        })
    }
}

impl World {
    /// What a broker keeps for queues, if this run has queues.
    pub fn keeping(&mut self, at: usize) -> Option<&mut Keeping> {
        self.brokers[at].as_mut()?.keeping.as_mut()
    }

    /// The queue of that name at a broker.
    pub fn queue(&mut self, at: usize, name: &str) -> Option<&mut SimQueue> {
        self.keeping(at)?.queues.get_mut(name)
    }

    /// Applies a command to a queue, and carries out what follows.
    pub fn apply<R>(
        &mut self,
        at: usize,
        name: &QueueName,
        command: impl FnOnce(&mut Queue, &mut Vec<Served>) -> R,
    ) -> Option<R> {
        let mut effects = Vec::new();
        let keeping = self.keeping(at)?;
        let own = keeping.queues.get_mut(name)?;
        let result = command(&mut own.queue, &mut effects);
        if own.queue.ready() > 0 {
            keeping.waiting.insert(name.clone());
        }
        for effect in effects {
            match effect {
                Served::Deliver {
                    consumer,
                    seq,
                    message,
                } => self.served(at, name, consumer, seq, &message),
                Served::Dead { message, reason } => self.dead(at, &message, reason),
            }
        }
        self.note_roomy(at, name);
        Some(result)
    }

    fn note_roomy(&mut self, at: usize, name: &QueueName) {
        if let Some(keeping) = self.keeping(at)
            && let Some(own) = keeping.queues.get(name)
            && own.queue.has_awaited_room()
        {
            keeping.roomy.insert(name.clone());
        }
    }

    /// Looks at the queues that have something for others, and at those with room for it.
    pub fn settle_queues(&mut self, at: usize) {
        while let Some(name) = self.keeping(at).and_then(|one| one.waiting.pop_first()) {
            self.look_at(at, &name, Look::New);
        }
        while let Some(name) = self.keeping(at).and_then(|one| one.roomy.pop_first()) {
            if self.sabotage != Some(Sabotage::Room) {
                self.custody(at, Event::Room(name.clone()));
            }
            self.await_room(at, &name);
        }
    }

    fn await_room(&mut self, at: usize, name: &QueueName) -> bool {
        let Some(keeping) = self.keeping(at) else {
            return false;
        };
        let is_awaited = keeping.custody.is_awaited(name);
        keeping.queues.get_mut(name).is_some_and(|own| {
            own.queue.set_awaited(is_awaited);
            own.queue.has_awaited_room()
        })
    }

    /// Tells custody, and does what it asks for.
    pub fn custody(&mut self, at: usize, event: Event<'_>) {
        let now = self.clock.now();
        let mut effects = Effects::new();
        let is_blind = matches!(event, Event::Tick) && self.sabotage == Some(Sabotage::Sweep);
        let Some(keeping) = self.keeping(at) else {
            return;
        };
        keeping.custody.handle(event, now, &mut effects);
        if is_blind {
            effects.retain(|effect| !matches!(effect, Effect::Look(_)));
        }
        self.perform_effects(at, effects);
        self.set_timer(at);
    }

    fn perform_effects(&mut self, at: usize, effects: Effects) {
        for effect in effects {
            self.perform_effect(at, effect);
        }
        self.settle_queues(at);
    }

    fn perform_effect(&mut self, at: usize, effect: Effect) {
        match effect {
            Effect::Forward {
                head,
                envelope,
                ttl_ms,
            } => self.send_transfer(at, &head, &envelope, ttl_ms),
            Effect::Route { to, body } => self.send_control(at, to, body),
            Effect::Arrived {
                id,
                envelope,
                expires,
                moves,
                is_redelivered,
                credit,
                ..
            } => {
                let manner = (credit, moves, is_redelivered);
                let refused = self.arrived(at, envelope, expires, manner).err();
                self.custody(at, Event::Outcomes(&[Outcome { id, refused }]));
            }
            Effect::CreditWanted(request) => {
                let room = self.room_for(at, &request);
                let queue = request.queue.clone();
                self.custody(at, Event::Grant { request, room });
                self.await_room(at, &queue);
            }
            Effect::Gone { queue, token } => {
                self.note_token(at, &queue, token, Step::Gone);
                self.apply(at, &queue, |queue, _| queue.ack_remote(token));
            }
            Effect::Returned(returned) => self.returned(at, returned),
            Effect::Recall { queue, token } => {
                self.note_token(at, &queue, token, Step::Recalled);
                self.apply(at, &queue, |queue, _| queue.recall(token));
            }
            Effect::Wake => {}
            Effect::Look(queue) => self.look_at(at, &queue, Look::All),
            Effect::DropParked { to, stream } => {
                if let Some(broker) = self.brokers[at].as_mut() {
                    let own = broker.routes.bid();
                    broker.limbo.drop_stream(own, to, stream);
                }
            }
        }
    }

    fn note_token(&mut self, at: usize, name: &QueueName, token: u64, step: Step) {
        let message = self
            .queue(at, name)
            .and_then(|own| number_of(own.queue.peek(token)?));
        if let Some(message) = message {
            let now = self.clock.now();
            self.oracle.note_step(now, message, at, step);
        }
    }

    fn returned(&mut self, at: usize, returned: Returned) {
        let (name, token, why) = (returned.queue.clone(), returned.token, returned.why);
        self.note_token(at, &name, token, Step::Returned(why));
        self.judge_return(at, &name, token, why);
        if returned.was_learned {
            self.note_learned(at, &name, token);
        }
        self.apply(at, &name, |queue, effects| {
            queue.take_back(returned, effects)
        });
    }

    /// Offers what no consumer here can take to brokers that have some.
    pub fn look_at(&mut self, at: usize, name: &QueueName, look: Look) {
        let now = self.clock.now();
        let sabotage = self.sabotage;
        let Some(broker) = self.brokers[at].as_mut() else {
            return;
        };
        let Some(mut keeping) = broker.keeping.take() else {
            return;
        };
        let (mut effects, mut sent) = (Effects::new(), Vec::new());
        let has_outlet = broker.interest.has_queue(name) || !keeping.replies.is_empty();
        let Keeping {
            custody,
            replies,
            queues,
            ..
        } = &mut keeping;
        let is_whole = queues
            .get(name)
            .is_some_and(|own| own.queue.looks_from_head());
        let mut is_through = look == Look::All && is_whole;
        let mut next = Some(look).filter(|_| has_outlet);
        while let Some(own) = queues.get_mut(name)
            && let Some(this) = next.take()
        {
            let seqs = own.queue.turn(this);
            next = (seqs.len() >= TURN).then_some(Look::New);
            for seq in seqs {
                let outlook = |view: &MessageView<'_>, spares_monitors| {
                    let learned = learned(broker, replies, name, now)
                        .filter(|_| sabotage != Some(Sabotage::Learned));
                    let spares = spares_monitors && sabotage != Some(Sabotage::Patterns);
                    outlook(broker, view, spares, learned)
                };
                let mut tried = Vec::new();
                let offer = |offer: &Offer, candidates: &[Candidate]| {
                    let mut offer = offer.clone();
                    if sabotage == Some(Sabotage::Refusals) {
                        offer.refusals = Refusals::new();
                    }
                    if sabotage == Some(Sabotage::Gone) && offer.moves > 0 {
                        return Placement::Stays(Stay::NoCandidate);
                    }
                    tried = candidates.to_vec();
                    custody.offer(&offer, candidates, now, &mut effects)
                };
                match own
                    .queue
                    .offer_remote(name, seq, present(now), outlook, offer)
                {
                    Looked::Sent(to) => sent.push((seq, to, tried)),
                    Looked::Stays => {}
                    Looked::Stop => {
                        (next, is_through) = (None, false);
                        break;
                    }
                }
            }
        }
        let is_empty = queues.get(name).is_none_or(|own| !own.queue.has_ready());
        if has_outlet && look == Look::All && (is_empty || is_through) {
            let queue = name.clone();
            custody.handle(Event::QueueServed { queue, is_empty }, now, &mut effects);
        }
        broker.keeping = Some(keeping);
        for (seq, to, tried) in sent {
            self.offered(at, name, seq, to, &tried);
        }
        self.perform_effects(at, effects);
        self.set_timer(at);
    }

    /// A message of another broker: take it, or say why not.
    pub fn arrived(
        &mut self,
        at: usize,
        envelope: Bytes,
        expires: Option<Now>,
        manner: (Credit, u16, bool),
    ) -> Result<(), Refusal> {
        let present = present(self.clock.now());
        let arrival = Arrival::new(envelope, expires, manner, present)?;
        let number = number_of(&arrival.message);
        let name: QueueName = match arrival.message.view() {
            Some(view) => Arc::from(view.name),
            None => return Err(Refusal::NotAllowed),
        };
        self.make_queue(at, &name);
        let own = self.queue(at, &name).ok_or(Refusal::Full)?;
        let free = own.free_for(&arrival.message);
        let verdict = admits(manner.0, || free);
        if let Some(message) = number {
            self.note_arrival(message, at, manner.0, free, verdict.err());
        }
        verdict?;
        match self.apply(at, &name, |queue, effects| {
            queue.take_over(arrival, effects)
        }) {
            Some(Admission::Accepted) => Ok(()),
            _ => Err(Refusal::Full),
        }
    }

    fn room_for(&mut self, at: usize, request: &CreditWanted) -> Room {
        let Some(own) = self.queue(at, &request.queue) else {
            return Room::default();
        };
        own.queue.room(|id| {
            own.consumers
                .get(&id)
                .is_some_and(|selector| may_take(selector.as_ref(), &request.key))
        })
    }
}

/// The number of a message.
pub fn number_of(message: &Message) -> Option<u64> {
    message.view()?.id.parse().ok()
}

fn outlook(
    broker: &Broker,
    view: &MessageView<'_>,
    spares_monitors: bool,
    learned: Option<Learned>,
) -> Outlook {
    let mut candidates = Vec::new();
    let is_uniform =
        broker
            .interest
            .queue_candidates(view, &broker.routes, spares_monitors, &mut candidates);
    for candidate in &mut candidates {
        candidate.is_ring_open = is_ring_open(broker, candidate.bid);
    }
    Outlook {
        candidates,
        learned,
        is_uniform,
    }
}

fn learned(broker: &Broker, replies: &mut Replies, name: &str, now: Now) -> Option<Learned> {
    let (kind, routes) = (Kind::Queue.code(), &broker.routes);
    let bid = replies.way_out(kind, name, routes.bid(), now, |bid| {
        routes.is_reachable(bid)
    })?;
    Some(Learned {
        bid,
        is_ring_open: is_ring_open(broker, bid),
    })
}
