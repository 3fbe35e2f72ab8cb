//! Which broker a message is handed to (R15, R16).

use std::time::Duration;

use super::credit::{Allowance, AskKey};
use super::event::{Candidate, Effect, Effects, Learned, Offer, Placement, Stay};
use super::outgoing::{Charge, Item, ItemState, Stream};
use super::{Custody, Peer};
use crate::mesh::ids::{Bid, Epoch, Now};

/// A message that lost its consumers rests so long after its first move,
pub const HOLD_MIN: Duration = Duration::from_millis(50);
/// twice as long after each further one, up to this.
pub const HOLD_MAX: Duration = Duration::from_secs(5);
/// Implicit credit of learned routes per destination: frames,
pub(super) const LEARNED_FRAMES: usize = 1024;
/// and bytes.
pub(super) const LEARNED_BYTES: usize = 4 * 1024 * 1024;
/// What one transfer advances an entry without weight in the rotation.
const STRIDE: u64 = 1 << 32;

/// How long a message that moved so often rests. Rule: R18.
#[must_use]
pub fn hold(moves: u16) -> Duration {
    match moves {
        0 => Duration::ZERO,
        moves => HOLD_MIN.saturating_mul(1 << moves.min(8)).min(HOLD_MAX),
    }
}

impl Custody {
    /// Hands a message over, if somebody may take it now. `candidates` are the entries of other
    /// brokers that cover the queue and do not exclude the message, in any order.
    /// Rules: R12 b, R15, R16, R18.
    pub fn offer(
        &mut self,
        offer: &Offer,
        candidates: &[Candidate],
        now: Now,
        out: &mut Effects,
    ) -> Placement {
        let placement = self.place(offer, candidates, now, out);
        if matches!(placement, Placement::Stays(_)) {
            self.waiting.insert(offer.queue.clone());
        }
        self.count_resent();
        placement
    }

    fn place(
        &mut self,
        offer: &Offer,
        candidates: &[Candidate],
        now: Now,
        out: &mut Effects,
    ) -> Placement {
        if let Some(learned) = offer.learned
            && self.is_reachable(learned.bid)
        {
            return self.place_learned(offer, learned, now, out);
        }
        let rested = offer.idle_since.plus(hold(offer.moves));
        if now < rested {
            return Placement::Stays(Stay::Held(rested));
        }
        if offer.refusals.is_resting(now) {
            return Placement::Stays(Stay::NoCandidate);
        }
        self.place_by_entry(offer, candidates, now, out)
    }

    fn place_learned(
        &mut self,
        offer: &Offer,
        learned: Learned,
        now: Now,
        out: &mut Effects,
    ) -> Placement {
        if !learned.is_ring_open {
            return Placement::Stays(Stay::RingFull);
        }
        let peer = self.peers.entry(learned.bid).or_default();
        let is_spent = peer.learned_frames >= LEARNED_FRAMES
            || (peer.learned_frames > 0
                && peer.learned_bytes + offer.envelope.len() > LEARNED_BYTES);
        if is_spent || self.is_stream_full(learned.bid, offer.is_persistent) {
            return Placement::Stays(Stay::NoCredit);
        }
        self.send(learned.bid, offer, Charge::Learned, 0, now, out)
    }

    fn place_by_entry(
        &mut self,
        offer: &Offer,
        candidates: &[Candidate],
        now: Now,
        out: &mut Effects,
    ) -> Placement {
        let mut stay = Stay::NoCandidate;
        for at in self.in_order(offer, candidates) {
            let candidate = &candidates[at];
            if !candidate.is_ring_open {
                stay = Stay::RingFull;
                continue;
            }
            stay = Stay::NoCredit;
            if self.is_stream_full(candidate.bid, offer.is_persistent) {
                continue;
            }
            match self.credit_of(offer, candidate, now, out) {
                Found::Use(charge, grant) => {
                    return self.send(candidate.bid, offer, charge, grant, now, out);
                }
                // The nearest is worth waiting for: its answer or its silence moves things on.
                Found::Asked => break,
                Found::Nothing => {}
            }
        }
        Placement::Stays(stay)
    }

    /// Reachable candidates that have not refused the message: nearest first, those of one distance
    /// by the weighted rotation.
    fn in_order(&self, offer: &Offer, candidates: &[Candidate]) -> Vec<usize> {
        let is_open = |candidate: &Candidate| {
            candidate.bid != self.config.own
                && self.is_reachable(candidate.bid)
                && !offer.refusals.contains(candidate)
        };
        let mut order: Vec<usize> = (0..candidates.len())
            .filter(|at| is_open(&candidates[*at]))
            .collect();
        order.sort_by_key(|at| {
            let Candidate {
                bid,
                entry,
                distance,
                ..
            } = candidates[*at];
            let pass = self
                .outlets
                .get(&(bid, entry))
                .map_or(0, |outlet| outlet.pass);
            (distance, pass, bid, entry)
        });
        order
    }

    fn credit_of(
        &mut self,
        offer: &Offer,
        candidate: &Candidate,
        now: Now,
        out: &mut Effects,
    ) -> Found {
        let Candidate {
            bid,
            epoch,
            entry,
            rev,
            ..
        } = *candidate;
        let ask = AskKey {
            bid,
            queue: offer.queue.clone(),
            key: candidate.key.clone(),
        };
        let outlet = self.outlets.entry((bid, entry)).or_default();
        let (is_standing, grant) = match self.asked.allowance(&ask, candidate.hint, now) {
            Allowance::Grant(grant) => (false, grant),
            Allowance::Standing if outlet.standing < candidate.open => {
                outlet.standing += 1;
                (true, 0)
            }
            Allowance::Standing | Allowance::AskFirst => {
                let body = self.asked.ask(&ask, offer.waiting, now);
                out.push(Effect::Route { to: bid, body });
                return Found::Asked;
            }
            Allowance::Pending => return Found::Asked,
            Allowance::Wait => return Found::Nothing,
        };
        // An entry that was idle does not catch up on what others were served meanwhile.
        outlet.pass = outlet.pass.max(self.pass_floor);
        self.pass_floor = outlet.pass;
        outlet.pass += STRIDE >> candidate.consumers_log2.min(20);
        Found::Use(
            Charge::Entry {
                ask,
                epoch,
                entry,
                rev,
                is_standing,
            },
            grant,
        )
    }

    fn is_stream_full(&self, to: Bid, is_persistent: bool) -> bool {
        self.streams
            .get(&(to, is_persistent))
            .is_some_and(Stream::is_full)
    }

    fn send(
        &mut self,
        to: Bid,
        offer: &Offer,
        charge: Charge,
        grant: u64,
        now: Now,
        out: &mut Effects,
    ) -> Placement {
        if charge == Charge::Learned {
            let peer: &mut Peer = self.peers.entry(to).or_default();
            peer.learned_frames += 1;
            peer.learned_bytes += offer.envelope.len();
        }
        let item = Item {
            queue: offer.queue.clone(),
            token: offer.token,
            envelope: offer.envelope.clone(),
            expires: offer.expires,
            moves: offer.moves,
            is_redelivered: offer.is_redelivered,
            grant,
            charge,
            refusals: offer.refusals.clone(),
            sent: None,
            times: 0,
            state: ItemState::Live,
        };
        let own = (self.config.own, self.config.epoch);
        let to_epoch = self
            .peers
            .get(&to)
            .map_or_else(Epoch::default, |peer| peer.epoch);
        let stream = self
            .streams
            .entry((to, offer.is_persistent))
            .or_insert_with(|| {
                self.last_stream += 1;
                Stream::new(
                    own,
                    (to, to_epoch),
                    self.last_stream,
                    offer.is_persistent,
                    now,
                )
            });
        stream.push(item, now, out);
        Placement::Sent(to)
    }
}

/// What an entry offers for one message.
enum Found {
    Use(Charge, u64),
    Asked,
    Nothing,
}
