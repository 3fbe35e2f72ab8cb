//! Monitors, which are consumers with a wildcard filter, stand back where replies are awaited (R12 d).
//!
//! The caller says what is known of the queue's name, at each change and every second; between two
//! words of it nothing is asked for a message.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use super::state::{Kept, Queue};
use super::types::{ConsumerId, Effect};
use crate::mesh::ids::Now;
use crate::mesh::replies::spares_monitors;

/// What is known of a queue's name besides its consumers here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReplyFacts {
    /// It matches a reply pattern, or a route to it was learned.
    pub is_reply_queue: bool,
    /// Another broker has consumers of that very name.
    pub is_wanted_elsewhere: bool,
    /// A learned route leads to another broker, which is reachable or was a moment ago.
    pub has_way_out: bool,
}

/// The messages that monitors do not get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Spared {
    /// They get any.
    #[default]
    Nothing,
    /// Those that the learned route may still take.
    Unused,
    /// All.
    Everything,
}

/// The monitors of a queue, and whether they are served.
#[derive(Debug, Default)]
pub(super) struct Monitors {
    ids: BTreeSet<ConsumerId>,
    facts: ReplyFacts,
    /// There was a consumer of the literal name since somebody looked.
    was_known: bool,
    last_known: Option<Now>,
    spared: Spared,
}

impl Monitors {
    pub(super) fn is_spared(&self, id: ConsumerId) -> bool {
        self.spared != Spared::Nothing && self.ids.contains(&id)
    }

    /// True when a message is kept from monitors whose learned route was used, or not.
    pub(super) fn are_spared_from(&self, was_learned: bool) -> bool {
        match self.spared {
            Spared::Nothing => false,
            Spared::Unused => !was_learned,
            Spared::Everything => true,
        }
    }

    /// True when it depends on the message.
    pub(super) fn is_only_for_unused(&self) -> bool {
        self.spared == Spared::Unused
    }

    pub(super) fn forget(&mut self, id: ConsumerId) {
        self.ids.remove(&id);
    }

    fn judge(&mut self, facts: ReplyFacts, is_known_here: bool, now: Now) -> Spared {
        let is_known = is_known_here || facts.is_wanted_elsewhere;
        if is_known || self.was_known {
            self.last_known = Some(now);
        }
        (self.facts, self.was_known) = (facts, is_known);
        if spares_monitors(facts.is_reply_queue, self.last_known, now) {
            Spared::Everything
        } else if facts.has_way_out {
            Spared::Unused
        } else {
            Spared::Nothing
        }
    }
}

impl Queue {
    /// Consumers here that asked for this queue by its name.
    #[must_use]
    pub fn literal_consumers(&self) -> usize {
        self.consumers.len() - self.monitors.ids.len()
    }

    /// A consumer came. One of the literal name keeps monitors away from now on.
    pub(super) fn note_consumer(
        &mut self,
        id: ConsumerId,
        is_monitor: bool,
        effects: &mut Vec<Effect>,
    ) {
        if is_monitor {
            self.monitors.ids.insert(id);
            return;
        }
        self.monitors.was_known = true;
        if self.monitors.facts.is_reply_queue {
            self.spare(Spared::Everything, effects);
        }
    }

    /// A consumer left at that moment. Without this it was there until somebody looks again.
    pub fn note_departure(&mut self, now: Now) {
        let is_known = self.literal_consumers() > 0 || self.monitors.facts.is_wanted_elsewhere;
        if self.monitors.was_known && !is_known {
            self.monitors.last_known = Some(now);
            self.monitors.was_known = false;
        }
    }

    /// Says what is known of the queue's name now. Monitors are served again when nothing keeps them
    /// away any more. Rule: R12 d.
    pub fn judge_monitors(&mut self, facts: ReplyFacts, now: Now, effects: &mut Vec<Effect>) {
        let is_known_here = self.literal_consumers() > 0;
        let spared = self.monitors.judge(facts, is_known_here, now);
        self.spare(spared, effects);
        if spared == Spared::Unused {
            self.serve_used(effects);
        }
    }

    fn spare(&mut self, spared: Spared, effects: &mut Vec<Effect>) {
        let before = std::mem::replace(&mut self.monitors.spared, spared);
        if spared < before {
            // Monitors elsewhere may have what waits, too.
            self.scan.reopen();
        }
        if spared == before || self.monitors.ids.is_empty() {
            return;
        }
        if self.exclusive.is_empty() {
            let ids: Vec<ConsumerId> = self.monitors.ids.iter().copied().collect();
            ids.into_iter().for_each(|id| self.refresh(id, effects));
        } else {
            self.refresh_all(effects);
        }
    }

    /// Monitors may have what the learned route has not taken. That is rare, so these messages are
    /// looked for each time; those of groups wait, since a group would bring the others with it.
    fn serve_used(&mut self, effects: &mut Vec<Effect>) {
        if self.monitors.ids.is_empty() || self.ready_count == 0 {
            return;
        }
        let was_used = |kept: &Kept| {
            let is_free = kept.holder.is_none() && kept.group.is_none();
            is_free && kept.history.as_ref().is_some_and(|one| one.was_learned)
        };
        let used = self.kept.iter().filter(|(_, kept)| was_used(kept));
        let used: Vec<u64> = used.map(|(seq, _)| *seq).collect();
        for seq in used {
            if let Some(id) = self.monitor_for(seq) {
                self.hand_over(seq, id, effects);
            }
        }
    }

    fn monitor_for(&self, seq: u64) -> Option<ConsumerId> {
        let kept = self.kept.get(&seq)?;
        let first = self.exclusive.first();
        let ids = self.monitors.ids.iter();
        ids.filter(|id| first.is_none_or(|first| first == *id))
            .filter_map(|id| Some((*id, self.consumers.get(id)?)))
            .filter(|(_, one)| one.has_room() && kept.classes.contains(&one.class))
            .map(|(id, one)| one.key(id))
            .min()
            .map(|(.., id)| id)
    }
}
