//! A queue and custody: what is offered to other brokers, and what comes from them (R12 b, R15 to
//! R18). The driver of links and the simulator of networks call the same functions.

#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;

use super::state::{Kept, Queue, REMOTE};
use super::types::{Admission, DeadReason, Effect};
use crate::mesh::custody::{
    Candidate, Credit, Learned, Offer, Placement, QueueName, Refusal, Refusals, ReturnReason,
    Returned, Stay,
};
use crate::mesh::ids::{Bid, Now};
use crate::model::{Message, MessageView};

/// What custody has to remember about a message. It goes with the message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// Accepted transfers so far.
    pub moves: u16,
    /// Since when it waits here; unknown until somebody looks.
    pub since: Option<Now>,
    /// The learned route was used, or a transfer came over one: only entries count.
    pub was_learned: bool,
    /// Who refused it.
    pub refusals: Refusals,
}

impl History {
    /// Of a message that arrived with that credit after so many moves.
    #[must_use]
    pub fn arrived(credit: Credit, moves: u16, now: Now) -> Self {
        Self {
            moves,
            since: Some(now),
            was_learned: credit == Credit::Learned,
            refusals: Refusals::new(),
        }
    }
}

/// The present, by the clock that goes on and by that on the wall.
#[derive(Debug, Clone, Copy)]
pub struct Present {
    /// Monotonic.
    pub now: Now,
    /// Milliseconds since 1970 UTC.
    pub wall_ms: i64,
}

impl Present {
    /// Until when a message lives that is over at that time by the wall; 0 = for ever.
    #[must_use]
    pub fn deadline(self, expires_ms: i64) -> Option<Now> {
        let left = u64::try_from(expires_ms.saturating_sub(self.wall_ms)).unwrap_or(0);
        (expires_ms != 0).then(|| self.now.plus(Duration::from_millis(left)))
    }

    /// The other way round.
    #[must_use]
    pub fn expires_ms(self, deadline: Option<Now>) -> i64 {
        deadline.map_or(0, |deadline| {
            let left = deadline.since(self.now).as_millis();
            self.wall_ms
                .saturating_add(i64::try_from(left).unwrap_or(i64::MAX))
                .max(1)
        })
    }
}

/// The ways out of a queue for one message.
#[derive(Debug, Default)]
pub struct Outlook {
    /// Entries of other brokers.
    pub candidates: Vec<Candidate>,
    /// The learned route, if there is one.
    pub learned: Option<Learned>,
    /// Every message of the queue has the same ways out.
    pub is_uniform: bool,
}

impl Outlook {
    /// This broker leaves: the nearest entry is as good as a learned route, which needs neither a
    /// round of credit nor a consumer that is free. Rule: R24.
    pub fn leave(&mut self) {
        let open = self.candidates.iter().filter(|one| one.is_ring_open);
        let nearest = open.min_by_key(|one| (one.distance, one.bid));
        let nearest = nearest.map(|one| Learned {
            bid: one.bid,
            is_ring_open: true,
        });
        self.learned = self.learned.or(nearest);
    }
}

/// What became of a message that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looked {
    /// On its way to that broker.
    Sent(Bid),
    /// It stays; the next one may fare better.
    Stays,
    /// It stays, and so do those behind it.
    Stop,
}

/// A message of another broker, as its queue is to take it.
#[derive(Debug)]
pub struct Arrival {
    /// The message.
    pub message: Message,
    /// What custody has to remember of it.
    pub history: History,
}

impl Arrival {
    /// Reads what came.
    ///
    /// # Errors
    /// It is no message.
    pub fn new(
        envelope: Bytes,
        expires: Option<Now>,
        (credit, moves, is_redelivered): (Credit, u16, bool),
        present: Present,
    ) -> Result<Self, Refusal> {
        let mut message = Message::from_envelope(envelope, present.expires_ms(expires))
            .map_err(|_| Refusal::NotAllowed)?;
        message.redelivered |= is_redelivered;
        let history = History::arrived(credit, moves, present.now);
        Ok(Self { message, history })
    }
}

/// Whether a message that came with that credit is taken. `free`: the free places of consumers that
/// match, `None` without any. Only standing credit depends on them. Rule: R16.
///
/// # Errors
/// Why it is not.
pub fn admits(credit: Credit, free: impl FnOnce() -> Option<u32>) -> Result<(), Refusal> {
    if credit != Credit::Standing {
        return Ok(());
    }
    match free() {
        None => Err(Refusal::NoConsumer),
        Some(0) => Err(Refusal::NoCredit),
        Some(_) => Ok(()),
    }
}

impl Queue {
    /// Offers a waiting message to other brokers: `outlook` says who there is, without entries of
    /// patterns when it is told true, and `custody` decides.
    /// What is sent is out of service from then on. Rules: R12 b, R15.
    pub fn offer_remote(
        &mut self,
        name: &QueueName,
        seq: u64,
        present: Present,
        outlook: impl FnOnce(&MessageView<'_>, bool) -> Outlook,
        custody: impl FnOnce(&Offer, &[Candidate]) -> Placement,
    ) -> Looked {
        let Some((offer, outlook)) = self.make_offer(name, seq, present, outlook) else {
            return Looked::Stays;
        };
        let is_usual = offer.refusals.is_empty() && outlook.is_uniform;
        match custody(&offer, &outlook.candidates) {
            Placement::Sent(to) => {
                self.hold_for_remote(seq);
                Looked::Sent(to)
            }
            Placement::Stays(Stay::NoCredit | Stay::RingFull) if is_usual => {
                self.scan.stopped(seq, true);
                Looked::Stop
            }
            Placement::Stays(Stay::RingFull) => {
                self.scan.stopped(seq, false);
                Looked::Stop
            }
            Placement::Stays(_) => Looked::Stays,
        }
    }

    fn make_offer(
        &mut self,
        name: &QueueName,
        seq: u64,
        present: Present,
        outlook: impl FnOnce(&MessageView<'_>, bool) -> Outlook,
    ) -> Option<(Offer, Outlook)> {
        let waiting = u32::try_from(self.ready_count).unwrap_or(u32::MAX);
        let kept = self.kept.get_mut(&seq)?;
        if kept.holder.is_some() || kept.message.is_expired(present.wall_ms) {
            return None;
        }
        if let Some(history) = &mut kept.history {
            // What had a consumer here rests from the moment that nobody has it any more (R18).
            history.since.get_or_insert(present.now);
        }
        let history = kept.history.as_deref().cloned().unwrap_or_default();
        let view = kept.message.view()?;
        let is_persistent = view.persistent;
        let spares_monitors = self.monitors.are_spared_from(history.was_learned);
        let mut outlook = outlook(&view, spares_monitors);
        if spares_monitors {
            // Those with a history may go where the others may not.
            outlook.is_uniform &= !self.monitors.is_only_for_unused();
        }
        if history.was_learned && outlook.learned.take().is_some() {
            outlook.is_uniform = false;
        }
        if outlook.candidates.is_empty() && outlook.learned.is_none() {
            return None;
        }
        let offer = Offer {
            queue: name.clone(),
            token: seq,
            envelope: kept.message.envelope().clone(),
            expires: present.deadline(kept.message.expires_ms),
            is_persistent,
            is_redelivered: kept.message.redelivered,
            moves: history.moves,
            idle_since: history.since.unwrap_or_default(),
            learned: outlook.learned,
            refusals: history.refusals,
            waiting,
        };
        Some((offer, outlook))
    }

    /// Everything that is kept, in the order of service, whoever holds it. `show` is told what
    /// custody remembers of it, and whether somebody has it.
    pub fn stock<T>(&self, show: impl Fn(&Message, Option<&History>, bool) -> T) -> Vec<T> {
        let show = |kept: &Kept| {
            show(
                &kept.message,
                kept.history.as_deref(),
                kept.holder.is_some(),
            )
        };
        self.kept.values().map(show).collect()
    }

    /// Keeps what was kept elsewhere, whatever the limits say.
    pub fn restore(&mut self, arrival: Arrival, effects: &mut Vec<Effect>) {
        let Arrival { message, history } = arrival;
        let seq = self.admit(message, effects);
        if history != History::default()
            && let Some(kept) = self.kept.get_mut(&seq)
        {
            kept.history = Some(Box::new(history));
        }
    }

    /// Takes a message of another broker.
    pub fn take_over(&mut self, arrival: Arrival, effects: &mut Vec<Effect>) -> Admission {
        let Arrival { message, history } = arrival;
        let admission = self.enqueue(message, effects);
        if admission == Admission::Accepted
            && let Some(kept) = self.kept.get_mut(&self.last_seq())
        {
            kept.history = Some(Box::new(history));
        }
        admission
    }

    /// Serves a message again that another broker did not take; one whose time is over is dead.
    pub fn take_back(&mut self, returned: Returned, effects: &mut Vec<Effect>) -> bool {
        let Returned {
            token,
            why,
            is_redelivered,
            was_learned,
            refusals,
            ..
        } = returned;
        if why == ReturnReason::Expired {
            return self.drop_expired(token, effects);
        }
        if let Some(kept) = self.kept.get_mut(&token) {
            let history = kept.history.get_or_insert_default();
            history.was_learned |= was_learned;
            history.refusals = refusals;
        }
        self.release_remote(token, is_redelivered, effects)
    }

    fn drop_expired(&mut self, token: u64, effects: &mut Vec<Effect>) -> bool {
        let is_held = |kept: &Kept| kept.holder == Some(REMOTE);
        if !self.kept.get(&token).is_some_and(is_held) {
            return false;
        }
        let reason = DeadReason::Expired;
        let dead = self.remove(token);
        effects.extend(dead.map(|message| Effect::Dead { message, reason }));
        true
    }

    /// Drops a message that came back in doubt and that the other broker has after all. False when
    /// it is with a consumer: it exists twice (R17).
    pub fn recall(&mut self, token: u64) -> bool {
        self.hold_for_remote(token).is_some() && self.ack_remote(token)
    }
}
