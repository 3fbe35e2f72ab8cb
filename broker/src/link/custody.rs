//! Queue messages between brokers: what custody decides is done to the queues here.

use std::sync::Arc;
use std::time::Duration;

use super::node::Node;
use crate::clock;
use crate::mesh::custody::{
    Candidate, Credit, CreditWanted, Effect, Effects, Event, Learned, Offer, Outcome, Placement,
    QueueName, Refusal, ReturnReason, Returned, Stay,
};
use crate::mesh::ids::{Bid, Now};
use crate::mesh::ring::Level;
use crate::model::{Destination, Kind, Message, temporary};
use crate::queue::{Enqueued, QueueCell, Work};

/// Messages of one queue looked at in a turn.
const TURN: usize = 1024;

/// What custody has to remember about a message that waits in its queue.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// Accepted transfers so far.
    pub moves: u16,
    /// Since when it is here, in this owner's hands.
    pub since: Now,
    /// The learned route was used, or a transfer came over one: only entries count.
    pub was_learned: bool,
    /// Who refused it.
    pub refusals: crate::mesh::custody::Refusals,
}

impl Node {
    /// Tells custody, and does what it asks for.
    pub(super) fn custody(&self, event: Event<'_>) {
        let mut effects = Effects::new();
        self.custody_lock()
            .handle(event, Now(clock::monotonic_ns()), &mut effects);
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
                    .arrived(envelope, expires, moves, is_redelivered, credit, work)
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
                let free = self.free_for(&request);
                self.custody(Event::Grant { request, free });
            }
            Effect::Gone { queue, token } => {
                transfers.with_label_values(&["accepted"]).inc();
                self.forget_history(&queue, token);
                if let Some(cell) = self.find_queue(&queue) {
                    cell.apply(work, |queue, _| queue.ack_remote(token));
                }
            }
            Effect::Returned(returned) => self.returned(returned, work),
            Effect::Recall { queue, token } => {
                self.forget_history(&queue, token);
                if let Some(cell) = self.find_queue(&queue) {
                    let is_undelivered = cell.apply(work, |queue, _| {
                        queue.hold_for_remote(token).is_some() && queue.ack_remote(token)
                    });
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
                    self.look_at(&cell);
                }
            }
            Effect::DropParked { to, stream } => self.drop_parked(to, stream),
        }
    }

    fn drop_parked(&self, to: Bid, stream: u32) {
        use crate::mesh::frame::{PayloadKind, TAIL_HEAD_LEN, TransferHead};
        let own = self.bid;
        self.limbo().retain(|frame| {
            let is_ours = frame.tail_head.kind == PayloadKind::Transfer
                && frame
                    .tail
                    .get(TAIL_HEAD_LEN..)
                    .and_then(|payload| TransferHead::decode(payload).ok())
                    .is_some_and(|head| {
                        head.owner == own && head.to == to && head.stream == stream
                    });
            !is_ours
        });
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

    /// Offers what no consumer here can take to brokers that have some. Rules: R12 b, R15, R16.
    pub(super) fn look_at(&self, cell: &Arc<QueueCell>) {
        let name = Self::custody_name(&cell.destination);
        let has_outlet = self.interest().has_queue(&cell.destination.name)
            || self.learned_count() > 0
            || cell.destination.kind.is_temporary();
        if !has_outlet {
            return;
        }
        let (mut work, mut effects) = (Work::default(), Effects::new());
        let after = self.cursors().get(&name).copied().unwrap_or(0);
        let seqs = cell.apply(&mut Work::default(), |queue, _| {
            queue.ready_after(after, TURN)
        });
        let end = if seqs.len() < TURN {
            0
        } else {
            seqs.last().copied().unwrap_or(0)
        };
        let waiting = u32::try_from(seqs.len()).unwrap_or(u32::MAX);
        for seq in seqs {
            let placement = cell.apply(&mut work, |queue, _| {
                let message = queue.peek(seq).filter(|_| queue.is_ready(seq)).cloned()?;
                let placement = self.offer(&name, cell, seq, &message, waiting, &mut effects)?;
                if matches!(placement, Placement::Sent(_)) {
                    queue.hold_for_remote(seq);
                }
                Some(placement)
            });
            if placement == Some(Placement::Stays(Stay::RingFull)) {
                break;
            }
        }
        let mut cursors = self.cursors();
        if end == 0 {
            cursors.remove(&name);
        } else {
            cursors.insert(name, end);
        }
        drop(cursors);
        self.perform(effects);
    }

    fn offer(
        &self,
        name: &QueueName,
        cell: &QueueCell,
        token: u64,
        message: &Message,
        waiting: u32,
        effects: &mut Effects,
    ) -> Option<Placement> {
        let now = Now(clock::monotonic_ns());
        let view = message.view()?;
        let candidates = self.candidates(&cell.destination, message);
        let history = self.history(name, token);
        let learned = if history.was_learned {
            None
        } else {
            self.learned_route(&cell.destination)
        };
        if candidates.is_empty() && learned.is_none() {
            return None;
        }
        let left_ms = match message.expires_ms {
            0 => None,
            expires => Some(u64::try_from(expires.saturating_sub(clock::wall_ms())).unwrap_or(0)),
        };
        let offer = Offer {
            queue: name.clone(),
            token,
            envelope: message.envelope().clone(),
            expires: left_ms.map(|left| now.plus(Duration::from_millis(left))),
            is_persistent: view.persistent,
            is_redelivered: message.redelivered,
            moves: history.moves,
            idle_since: history.since,
            learned,
            refusals: history.refusals,
            waiting,
        };
        Some(self.custody_lock().offer(&offer, &candidates, now, effects))
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
        let (now, own) = (Now(clock::monotonic_ns()), self.bid);
        let bid = self
            .replies()
            .newest(Kind::Queue.code(), &destination.name, now, |bid| {
                bid == own || routes.is_reachable(bid)
            })?;
        (bid != own).then(|| Learned {
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

    fn candidates(&self, destination: &Destination, message: &Message) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        if destination.kind != Kind::Queue {
            return candidates;
        }
        let Some(view) = message.view() else {
            return candidates;
        };
        let routes = self.routes.load();
        self.interest()
            .queue_candidates(&view, &routes, &mut candidates);
        for candidate in &mut candidates {
            candidate.is_ring_open = self.is_ring_open(candidate.bid);
        }
        candidates
    }

    /// Sends a message to a temporary queue of another broker: it waits in a queue of that name
    /// here until its home has taken it.
    pub(super) fn transfer_to_home(&self, home: Bid, view: &crate::model::MessageView<'_>) -> bool {
        let name = temporary::local_name(view.name);
        let mut work = Work::default();
        let destination = Destination::new(Kind::TempQueue, &format!("{name}@{home}"));
        let message = Message::from_view(&crate::model::MessageView { name, ..*view });
        let is_taken = self.broker.enqueue_kept(&destination, &message, &mut work);
        self.broker.settle(&mut work);
        is_taken
    }

    /// A message of another broker: take custody, or say why not.
    fn arrived(
        &self,
        envelope: bytes::Bytes,
        expires: Option<Now>,
        moves: u16,
        is_redelivered: bool,
        credit: Credit,
        work: &mut Work,
    ) -> Result<(), Refusal> {
        let expires_ms = expires.map_or(0, |expires| {
            let left = expires.since(Now(clock::monotonic_ns())).as_millis();
            clock::wall_ms()
                .saturating_add(i64::try_from(left).unwrap_or(i64::MAX))
                .max(1)
        });
        let mut message =
            Message::from_envelope(envelope, expires_ms).map_err(|_| Refusal::NotAllowed)?;
        message.redelivered |= is_redelivered;
        let destination = match message.view() {
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
        if credit == Credit::Standing {
            match cell.local_capacity_for(&message) {
                None => return Err(Refusal::NoConsumer),
                Some(0) => return Err(Refusal::NoCredit),
                Some(_) => {}
            }
        }
        let name = Self::custody_name(&cell.destination);
        let now_ns = clock::monotonic_ns();
        match cell.enqueue(message.len(), || message, now_ns, work) {
            Enqueued::Accepted { seq, waiting } => {
                if waiting {
                    let was_learned = credit == Credit::Learned;
                    let history = History {
                        moves,
                        since: Now(now_ns),
                        was_learned,
                        ..History::default()
                    };
                    self.keep_history(&name, seq, history);
                }
                Ok(())
            }
            Enqueued::Full | Enqueued::Gone => Err(Refusal::Full),
        }
    }

    fn free_for(&self, request: &CreditWanted) -> u32 {
        let Some(cell) = self.find_queue(&request.queue) else {
            return 0;
        };
        let takes = |selector: Option<&crate::selector::Selector>| match (selector, &request.key) {
            (None, _) => true,
            (Some(_), None) => true,
            (Some(selector), Some((property, value))) => match selector.equality_key() {
                Some(key) if *key.name == **property => {
                    super::interest::hash_of(&key.literal) == Some(*value)
                }
                _ => true,
            },
        };
        cell.free_capacity(takes)
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
        let Returned {
            queue,
            token,
            is_redelivered,
            was_learned,
            refusals,
            ..
        } = returned;
        let old = self.history(&queue, token);
        let since = Now(clock::monotonic_ns());
        let history = History {
            was_learned: old.was_learned || was_learned,
            refusals,
            moves: old.moves,
            since: if old.since == Now(0) {
                since
            } else {
                old.since
            },
        };
        self.keep_history(&queue, token, history);
        if let Some(cell) = self.find_queue(&queue) {
            cell.apply(work, |queue, effects| {
                queue.release_remote(token, is_redelivered, effects)
            });
        }
    }
}
