//! Messages on their way to other brokers: in the queue, but out of service until the answer.

use super::state::{Class, Kept, Queue, REMOTE};
use super::types::Effect;
use crate::model::Message;

fn may_leave(kept: &Kept) -> bool {
    let is_reserved = kept
        .group
        .as_ref()
        .is_some_and(|one| one.reserved.is_some());
    kept.holder.is_none() && !is_reserved
}

impl Queue {
    /// Takes a ready message out of service while another broker is asked to take it over.
    pub fn hold_for_remote(&mut self, seq: u64) -> Option<Message> {
        if !self.is_ready(seq) {
            return None;
        }
        self.unfile(seq);
        let kept = self.kept.get_mut(&seq)?;
        kept.holder = Some(REMOTE);
        self.ready_count -= 1;
        Some(kept.message.clone())
    }

    /// The other broker owns it now. False when it was not held for one.
    pub fn ack_remote(&mut self, seq: u64) -> bool {
        let is_held = self
            .kept
            .get(&seq)
            .is_some_and(|kept| kept.holder == Some(REMOTE));
        if is_held {
            self.remove(seq);
        }
        is_held
    }

    /// The other broker did not take it; `was_seen` when it may have served it, which flags the
    /// message. No consumer has returned it, so that it does not count as a return.
    pub fn release_remote(&mut self, seq: u64, was_seen: bool, effects: &mut Vec<Effect>) -> bool {
        let kept = self.kept.get_mut(&seq);
        let Some(kept) = kept.filter(|kept| kept.holder == Some(REMOTE)) else {
            return false;
        };
        kept.message.redelivered |= was_seen;
        self.put_back(seq, false, effects);
        true
    }

    /// Numbers of messages after `after` that another broker may have, oldest first.
    #[must_use]
    pub fn ready_after(&self, after: u64, limit: usize) -> Vec<u64> {
        self.kept
            .range(after.saturating_add(1)..)
            .filter(|(_, kept)| may_leave(kept))
            .map(|(seq, _)| *seq)
            .take(limit)
            .collect()
    }

    /// Says whether other brokers wait for consumers here to have room.
    pub fn set_awaited(&mut self, is_awaited: bool) {
        self.is_awaited = is_awaited;
    }

    /// True when other brokers wait for room, and a consumer has some. Rule: R16.
    #[must_use]
    pub fn has_awaited_room(&self) -> bool {
        let has_room = |class: &Class| !class.available.is_empty();
        self.is_awaited && self.classes.values().any(has_room)
    }

    /// True when something waits for any consumer, here or elsewhere.
    #[must_use]
    pub const fn has_ready(&self) -> bool {
        self.ready_count > self.reserved_count
    }

    /// True when the message waits for any consumer, here or elsewhere. One whose group has a
    /// consumer here waits for that one.
    #[must_use]
    pub fn is_ready(&self, seq: u64) -> bool {
        self.kept.get(&seq).is_some_and(may_leave)
    }

    /// True when the message waits, for whomever.
    #[must_use]
    pub fn waits(&self, seq: u64) -> bool {
        self.kept
            .get(&seq)
            .is_some_and(|kept| kept.holder.is_none())
    }

    /// The number of the newest message.
    #[must_use]
    pub const fn last_seq(&self) -> u64 {
        self.next_seq - 1
    }
}
