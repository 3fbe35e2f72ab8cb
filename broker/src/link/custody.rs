//! Queue messages between brokers: what custody decides is done to the queues here.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::interest::may_take;
use super::node::{Node, now};
use crate::clock;
use crate::mesh::custody::{
    Candidate, Cause, Credit, CreditWanted, Effect, Effects, Event, Learned, Offer, Outcome,
    QueueName, Refusal, ReturnReason, Returned, Room,
};
use crate::mesh::ids::{Bid, Now};
use crate::mesh::ring::Level;
use crate::model::{Destination, Kind, Message, MessageView, destination, temporary};
use crate::queue::handover::{Arrival, Looked, Outlook, Present, admits};
use crate::queue::{Enqueued, Look, QueueCell, TURN, Work};

fn present() -> Present {
    Present {
        now: now(),
        wall_ms: clock::wall_ms(),
    }
}

/// What became of one turn over a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// There is another one.
    Next(Look),
    /// Everything was looked at.
    Through,
    /// What comes behind would fare no better.
    Stopped,
}

impl Node {
    /// Tells custody, and does what it asks for.
    pub(super) fn custody(&self, event: Event<'_>) {
        let mut effects = Effects::new();
        self.custody_lock().handle(event, now(), &mut effects);
        self.perform(effects);
    }

    fn perform(&self, effects: Effects) {
        let mut work = Work::default();
        for effect in effects {
            self.perform_one(effect, &mut work);
        }
        self.broker.settle(&mut work);
    }

    fn perform_one(&self, effect: Effect, work: &mut Work) {
        let transfers = &self.broker.metrics.mesh_transfers;
        match effect {
            Effect::Forward {
                head,
                envelope,
                ttl_ms,
            } => self.send_transfer(&head, &envelope, ttl_ms),
            Effect::Route { to, body } => {
                self.send_control(to, body);
            }
            Effect::Arrived {
                id,
                envelope,
                expires,
                moves,
                is_redelivered,
                credit,
                ..
            } => {
                let refused = self
                    .arrived(envelope, expires, (credit, moves, is_redelivered), work)
                    .err();
                transfers
                    .with_label_values(&[if refused.is_none() {
                        "received"
                    } else {
                        "turned_away"
                    }])
                    .inc();
                self.custody(Event::Outcomes(&[Outcome { id, refused }]));
            }
            Effect::CreditWanted(request) => {
                let room = self.room_for(&request);
                let newcomer = (request.cause == Cause::Asked).then(|| request.queue.clone());
                self.custody(Event::Grant { request, room });
                if let Some(cell) = newcomer.and_then(|queue| self.find_queue(&queue)) {
                    self.await_room(&cell);
                }
            }
            Effect::Gone { queue, token } => {
                transfers.with_label_values(&["accepted"]).inc();
                if let Some(cell) = self.find_queue(&queue) {
                    cell.apply(work, |queue, _| queue.ack_remote(token));
                }
            }
            Effect::Returned(returned) => self.returned(returned, work),
            Effect::Recall { queue, token } => {
                if let Some(cell) = self.find_queue(&queue) {
                    let is_undelivered = cell.apply(work, |queue, _| queue.recall(token));
                    let label = if is_undelivered {
                        "recalled"
                    } else {
                        "duplicate"
                    };
                    transfers.with_label_values(&[label]).inc();
                }
            }
            Effect::Look(queue) => {
                if let Some(cell) = self.find_queue(&queue) {
                    self.look_at(&cell, Look::All);
                }
            }
            Effect::Wake => self.tick.notify_one(),
            Effect::DropParked { to, stream } => self.limbo().drop_stream(self.bid, to, stream),
        }
    }

    /// The name under which custody knows a queue: temporary ones have a name space of their own.
    fn custody_name(destination: &Destination) -> QueueName {
        if destination.kind == Kind::TempQueue {
            Arc::from(format!("temp-queue://{}", destination.name))
        } else {
            destination.name.clone()
        }
    }

    fn find_queue(&self, name: &str) -> Option<Arc<QueueCell>> {
        let destination = match name.strip_prefix("temp-queue://") {
            Some(name) => Destination::new(Kind::TempQueue, name),
            None => Destination::new(Kind::Queue, name),
        };
        self.broker.queues.find(&destination)
    }

    /// Hands over what waits here as far as others want it. True when nothing is under way. Rule: R24.
    pub(super) fn hand_over(&self) -> bool {
        for cell in self.broker.queues.all() {
            if cell.numbers().ready > 0 {
                self.look_at(&cell, Look::All);
            }
        }
        self.custody_lock().open() == 0
    }

    /// Offers what no consumer here can take to brokers that have some. Rules: R12 b, R15, R16.
    pub(super) fn look_at(&self, cell: &Arc<QueueCell>, look: Look) {
        let has_outlet = self.interest().has_queue(&cell.destination.name)
            || self.learned_count() > 0
            || cell.destination.kind.is_temporary();
        if !has_outlet {
            return;
        }
        let mut none = Work::default();
        let is_whole =
            look == Look::All && cell.apply(&mut none, |queue, _| queue.looks_from_head());
        let mut effects = Effects::new();
        let mut turn = Turn::Next(look);
        while let Turn::Next(look) = turn {
            turn = self.look_once(cell, look, &mut effects);
        }
        // An answer to a request for credit, and the sweep, look at everything: what is left of a
        // grant then is for others.
        if look == Look::All {
            let is_empty = cell.apply(&mut none, |queue, _| !queue.has_ready());
            if is_empty || (is_whole && turn == Turn::Through) {
                let queue = Self::custody_name(&cell.destination);
                let served = Event::QueueServed { queue, is_empty };
                self.custody_lock().handle(served, now(), &mut effects);
            }
        }
        self.perform(effects);
    }

    /// Somebody may wait for room in the queue; if there is some meanwhile, it is told at once.
    fn await_room(&self, cell: &Arc<QueueCell>) {
        let name = Self::custody_name(&cell.destination);
        if cell.await_room(|| self.custody_lock().is_awaited(&name)) {
            self.custody(Event::Room(name));
        }
    }

    /// Consumers here have room that others wait for. Rule: R16.
    pub(super) fn tell_room(&self, cell: &Arc<QueueCell>) {
        let name = Self::custody_name(&cell.destination);
        self.custody(Event::Room(name.clone()));
        cell.await_room(|| self.custody_lock().is_awaited(&name));
    }

    /// A consumer went. Where no other one is left, credit given for its queues is withdrawn at once,
    /// or what came by it would have to move on. Rules: R16, R18.
    pub(super) fn consumer_left(&self, filter: &Destination) {
        let is_meant = |cell: &Arc<QueueCell>| {
            let own = &cell.destination;
            own.kind == filter.kind && destination::matches(&filter.name, &own.name)
        };
        let cells = if filter.is_pattern() {
            self.broker.queues.all()
        } else {
            self.broker.queues.find(filter).into_iter().collect()
        };
        for cell in cells.iter().filter(|cell| is_meant(cell)) {
            if !cell.local_subscribers().iter().any(|one| one.allowed()) {
                let name = Self::custody_name(&cell.destination);
                self.custody(Event::ConsumersGone(name));
            }
        }
    }

    fn look_once(&self, cell: &Arc<QueueCell>, look: Look, effects: &mut Effects) -> Turn {
        let name = Self::custody_name(&cell.destination);
        // Nothing becomes ready by this, so nothing is left to do afterwards.
        let mut none = Work::default();
        let seqs = cell.apply(&mut none, |queue, _| queue.turn(look));
        for seq in &seqs {
            let looked = cell.apply(&mut none, |queue, _| {
                let outlook = |view: &MessageView<'_>, spares_monitors| {
                    self.outlook(&cell.destination, view, spares_monitors)
                };
                let present = present();
                let custody = |offer: &Offer, candidates: &[Candidate]| {
                    self.custody_lock()
                        .offer(offer, candidates, present.now, effects)
                };
                queue.offer_remote(&name, *seq, present, outlook, custody)
            });
            if looked == Looked::Stop {
                return Turn::Stopped;
            }
        }
        match seqs.len() {
            TURN.. => Turn::Next(Look::New),
            _ => Turn::Through,
        }
    }

    fn outlook(
        &self,
        destination: &Destination,
        view: &MessageView<'_>,
        spares_monitors: bool,
    ) -> Outlook {
        if self.is_succeeded.load(Ordering::Acquire) {
            return Outlook::default();
        }
        let mut outlook = Outlook {
            candidates: Vec::new(),
            learned: self.learned_route(destination),
            is_uniform: true,
        };
        if destination.kind == Kind::Queue {
            let routes = self.routes.load();
            outlook.is_uniform = self.interest().queue_candidates(
                view,
                &routes,
                spares_monitors,
                &mut outlook.candidates,
            );
            for candidate in &mut outlook.candidates {
                candidate.is_ring_open = self.is_ring_open(candidate.bid);
            }
        }
        if self.is_leaving.load(Ordering::Acquire) {
            outlook.leave();
        }
        outlook
    }

    fn learned_route(&self, destination: &Destination) -> Option<Learned> {
        let routes = self.routes.load();
        if destination.kind == Kind::TempQueue {
            // Named by `transfer_to_home`; a temporary queue of this broker has no `@`.
            let (_, home) = destination.name.rsplit_once('@')?;
            let bid = Bid(u128::from_str_radix(home, 16).ok()?.to_be_bytes());
            return routes.is_reachable(bid).then(|| Learned {
                bid,
                is_ring_open: self.is_ring_open(bid),
            });
        }
        if destination.kind != Kind::Queue || self.learned_count() == 0 {
            return None;
        }
        let (kind, name) = (Kind::Queue.code(), &destination.name);
        let bid = self
            .replies()
            .way_out(kind, name, self.bid, now(), |bid| routes.is_reachable(bid))?;
        Some(Learned {
            bid,
            is_ring_open: self.is_ring_open(bid),
        })
    }

    pub(super) fn is_ring_open(&self, bid: Bid) -> bool {
        let routes = self.routes.load();
        let Some(way) = routes.site(bid).and_then(|site| site.way) else {
            return false;
        };
        let links = self.links.load();
        links
            .get(way.link.index())
            .and_then(Option::as_ref)
            .is_some_and(|link| link.ring().level() == Level::Free)
    }

    /// Sends a message to a temporary queue of another broker: it waits in a queue of that name
    /// here until its home has taken it.
    pub(super) fn transfer_to_home(&self, home: Bid, view: &MessageView<'_>) -> bool {
        let name = temporary::local_name(view.name);
        let mut work = Work::default();
        let destination = Destination::new(Kind::TempQueue, &format!("{name}@{home}"));
        let message = Message::from_view(&MessageView { name, ..*view });
        let is_taken = self.broker.enqueue_kept(&destination, &message, &mut work);
        self.broker.settle(&mut work);
        is_taken
    }

    /// A message of another broker: take custody, or say why not.
    fn arrived(
        &self,
        envelope: bytes::Bytes,
        expires: Option<Now>,
        manner: (Credit, u16, bool),
        work: &mut Work,
    ) -> Result<(), Refusal> {
        if self.is_leaving.load(Ordering::Acquire) {
            return Err(Refusal::NoConsumer);
        }
        let present = present();
        let arrival = Arrival::new(envelope, expires, manner, present)?;
        let destination = match arrival.message.view() {
            Some(view) => Destination::new(view.kind, temporary::local_name(view.name)),
            None => return Err(Refusal::NotAllowed),
        };
        let cell = if destination.kind == Kind::TempQueue {
            self.broker
                .queues
                .find(&destination)
                .ok_or(Refusal::NoConsumer)?
        } else {
            self.broker.queue(&destination, work).ok_or(Refusal::Full)?
        };
        admits(manner.0, || cell.local_capacity_for(&arrival.message))?;
        match cell.take_over(arrival, present.now.0, work) {
            Enqueued::Accepted { .. } => Ok(()),
            Enqueued::Full | Enqueued::Gone => Err(Refusal::Full),
        }
    }

    fn room_for(&self, request: &CreditWanted) -> Room {
        let Some(cell) = self.find_queue(&request.queue) else {
            return Room::default();
        };
        cell.room(|selector| may_take(selector, &request.key))
    }

    fn returned(&self, returned: Returned, work: &mut Work) {
        let label = match returned.why {
            ReturnReason::Refused(_) => "refused",
            ReturnReason::InDoubt | ReturnReason::Unknown => "in_doubt",
            ReturnReason::Expired => "expired",
        };
        self.broker
            .metrics
            .mesh_transfers
            .with_label_values(&[label])
            .inc();
        if let Some(cell) = self.find_queue(&returned.queue) {
            cell.apply(work, |queue, effects| queue.take_back(returned, effects));
        }
    }
}
