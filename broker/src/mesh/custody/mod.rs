//! Custody of queue messages (R15–R19): a message has one owner, which forgets it only when
//! another broker has accepted it.
//!
//! One machine per broker. It never waits: queues offer what no local consumer can take, link
//! readers bring transfers and routed control, timers call [`Event::Tick`]; what it wants done is
//! in the effects. State is in memory; a message in flight is also still held by its queue, under
//! the token it was offered with, until [`Effect::Gone`] or [`Effect::Returned`].

mod credit;
mod event;
mod grants;
mod incoming;
mod offer;
mod outgoing;
mod owner;
mod receiver;
mod refusals;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::ids::{Bid, Epoch, Now};
use super::messages::{Body, CreditGrant, TransferRelease};
use credit::Asked;
use grants::{Granted, Grants};
use incoming::Incoming;
use offer::{LEARNED_BYTES, LEARNED_FRAMES};
use outgoing::Stream;

pub use credit::{CREQ_WAIT, GRANT_TTL};
pub use event::{
    Candidate, Cause, Credit, CreditWanted, CustodyConfig, Effect, Effects, Event, Learned, Offer,
    Outcome, Placement, QueueName, Refusal, ReturnReason, Returned, Room, SelectorKey, Stay,
    TransferId,
};
pub use offer::{HOLD_MAX, HOLD_MIN, hold};
pub use refusals::{MAX_NOTES, Refusals};

/// Queues with messages for others are looked at this often (R19).
pub const SWEEP: Duration = Duration::from_secs(1);

/// What happened so far, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Transfers whose messages others own now.
    pub accepted: u64,
    /// Transfers that others refused.
    pub refused: u64,
    /// Transfers sent again.
    pub resent: u64,
    /// Messages taken back in doubt.
    pub in_doubt: u64,
    /// Of those, accepted by the other broker after all.
    pub recalled: u64,
}

/// What is known of another broker.
#[derive(Debug, Default)]
struct Peer {
    epoch: Epoch,
    is_reachable: bool,
    learned_frames: usize,
    learned_bytes: usize,
}

impl Peer {
    const fn is_spent(&self) -> bool {
        self.learned_frames >= LEARNED_FRAMES || self.learned_bytes >= LEARNED_BYTES
    }
}

/// Standing credit used and share of the rotation, of one entry.
#[derive(Debug, Default)]
struct Outlet {
    standing: u32,
    pass: u64,
}

/// The machine.
#[derive(Debug)]
pub struct Custody {
    config: CustodyConfig,
    peers: BTreeMap<Bid, Peer>,
    /// By destination and persistence.
    streams: BTreeMap<(Bid, bool), Stream>,
    last_stream: u32,
    outlets: BTreeMap<(Bid, u64), Outlet>,
    /// Where the rotation stands.
    pass_floor: u64,
    asked: Asked,
    /// By owner, epoch and number of the stream.
    incoming: BTreeMap<(Bid, u64, u32), Incoming>,
    reorder_bytes: usize,
    grants: Grants,
    /// Queues with a message that stayed at its last offer.
    waiting: BTreeSet<QueueName>,
    sweep_at: Now,
    counters: Counters,
}

impl Custody {
    /// Nothing owed to anybody.
    #[must_use]
    pub fn new(config: CustodyConfig, now: Now) -> Self {
        Self {
            config,
            peers: BTreeMap::new(),
            streams: BTreeMap::new(),
            last_stream: 0,
            outlets: BTreeMap::new(),
            pass_floor: 0,
            asked: Asked::default(),
            incoming: BTreeMap::new(),
            reorder_bytes: 0,
            grants: Grants::default(),
            waiting: BTreeSet::new(),
            sweep_at: now.plus(SWEEP),
            counters: Counters::default(),
        }
    }

    /// What happened so far.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// Transfers without an outcome.
    #[must_use]
    pub fn open(&self) -> usize {
        self.streams.values().map(Stream::len).sum()
    }

    /// Bytes of transfers that wait for one before them.
    #[must_use]
    pub const fn reorder_bytes(&self) -> usize {
        self.reorder_bytes
    }

    /// Messages of a queue that others may still send by what this broker granted them.
    #[must_use]
    pub fn promised(&self, queue: &str, now: Now) -> u32 {
        self.grants.promised(queue, now)
    }

    /// Messages of a queue that this broker may still send by what others granted it.
    #[must_use]
    pub fn unused(&self, queue: &str, now: Now) -> u32 {
        self.asked.unused(queue, now)
    }

    /// True while another broker waits for consumers of the queue to have room.
    #[must_use]
    pub fn is_awaited(&self, queue: &str) -> bool {
        self.grants.is_awaited(queue)
    }

    /// Everything but offers.
    pub fn handle(&mut self, event: Event<'_>, now: Now, out: &mut Effects) {
        match event {
            Event::Transfer {
                head,
                envelope,
                expires,
            } => {
                self.on_transfer(head, envelope, expires, now, out);
            }
            Event::Outcomes(outcomes) => self.on_outcomes(outcomes, now, out),
            Event::Routed { from, body } => self.on_routed(from, body, now, out),
            Event::Grant { request, room } => self.on_grant(&request, room, now, out),
            Event::Room(queue) => self.tell_room(&queue, out),
            Event::Peer {
                bid,
                epoch,
                is_reachable,
            } => {
                self.on_peer(bid, epoch, is_reachable, now, out);
            }
            Event::Generation => self.streams.values_mut().for_each(|s| s.nudge(now, out)),
            Event::RingFree => self.look_at_all(out),
            Event::QueueServed { queue, is_empty } => {
                let send = |to, body| out.push(Effect::Route { to, body });
                self.asked.give_back(&queue, is_empty, now, send);
            }
            Event::ConsumersGone(queue) => {
                self.grants
                    .withdraw(&queue, |to, body| out.push(Effect::Route { to, body }));
            }
            Event::Purged(bid) => self.on_purged(bid),
            Event::Epoch(epoch) => self.config.epoch = epoch,
            Event::Tick => self.on_tick(now, out),
        }
        self.count_resent();
    }

    /// When [`Event::Tick`] is wanted next.
    #[must_use]
    pub fn deadline(&self) -> Now {
        let streams = self
            .streams
            .iter()
            .filter_map(|((_, is_persistent), stream)| {
                stream
                    .deadline()
                    .or_else(|| self.doubt_end(stream, *is_persistent))
            });
        let incoming = self.incoming.values().filter_map(Incoming::deadline);
        let asked = self.asked.deadline();
        streams
            .chain(incoming)
            .chain(asked)
            .chain(self.grants.deadline())
            .fold(self.sweep_at, Now::min)
    }

    fn on_routed(&mut self, from: Bid, body: Body, now: Now, out: &mut Effects) {
        match body {
            Body::Creq(request) => out.push(Effect::CreditWanted(CreditWanted {
                from,
                queue: QueueName::from(request.queue),
                key: credit::own_key(&request.property, request.value),
                want: request.want,
                cause: Cause::Asked,
            })),
            Body::Cgrant(answer) => self.on_granted(from, &answer, now, out),
            Body::Xack(ack) => self.on_ack(from, &ack, now, out),
            Body::Xrel(release) => {
                if credit::is_granted_by(self.config.own, from, release.grant) {
                    if let Some(queue) = self.grants.released(from, release, now) {
                        self.tell_room(&queue, out);
                    }
                } else {
                    self.asked.withdrawn(from, release.grant);
                }
            }
            _ => {}
        }
    }

    fn on_granted(&mut self, from: Bid, answer: &CreditGrant, now: Now, out: &mut Effects) {
        if let Some(queue) = self.asked.granted(from, answer, now) {
            out.push(Effect::Look(queue));
        } else if answer.granted > 0 {
            // Asked for so long ago that it is forgotten.
            let body = Body::Xrel(TransferRelease {
                grant: answer.grant,
                unused: answer.granted,
            });
            out.push(Effect::Route { to: from, body });
        }
    }

    fn on_grant(&mut self, request: &CreditWanted, room: Room, now: Now, out: &mut Effects) {
        match self.grants.grant(self.config.own, request, room, now) {
            Granted::Say(body) => out.push(Effect::Route {
                to: request.from,
                body,
            }),
            Granted::Soon => out.push(Effect::Wake),
            Granted::Nothing => {}
        }
    }

    /// Rule: R16.
    fn tell_room(&self, queue: &QueueName, out: &mut Effects) {
        let waiting = self.grants.waiting(queue, Cause::Room);
        out.extend(waiting.map(Effect::CreditWanted));
    }

    fn on_tick(&mut self, now: Now, out: &mut Effects) {
        self.end_doubts(now, out);
        self.streams
            .values_mut()
            .for_each(|stream| stream.tick(now, out));
        self.asked
            .tick(now, |queue| out.push(Effect::Look(queue.clone())));
        self.tick_incoming(now, out);
        out.extend(self.grants.tick(now).into_iter().map(Effect::CreditWanted));
        if now >= self.sweep_at {
            self.sweep_at = now.plus(SWEEP);
            out.extend(self.grants.sweep(now).into_iter().map(Effect::CreditWanted));
            self.look_at_all(out);
        }
    }

    /// Rule: R19. What stays again is put back by its offer.
    fn look_at_all(&mut self, out: &mut Effects) {
        out.extend(
            std::mem::take(&mut self.waiting)
                .into_iter()
                .map(Effect::Look),
        );
    }

    fn is_reachable(&self, bid: Bid) -> bool {
        self.peers.get(&bid).is_some_and(|peer| peer.is_reachable)
    }

    fn count_resent(&mut self) {
        let resent = self
            .streams
            .values_mut()
            .map(|stream| std::mem::take(&mut stream.resent));
        self.counters.resent += resent.sum::<u64>();
    }
}
