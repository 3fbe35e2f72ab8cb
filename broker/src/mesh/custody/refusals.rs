//! What a message remembers of those who have no consumer for it (R16).

use std::time::Duration;

use super::event::Candidate;
use crate::mesh::ids::{Bid, Epoch, Now};

/// Refusals one message remembers.
pub const MAX_NOTES: usize = 64;
/// When more refuse it, the oldest may be asked again, but not before this time.
const REST: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Note {
    bid: Bid,
    epoch: Epoch,
    entry: u64,
    rev: u32,
}

/// Entries that refused one message, in the state they refused it in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusals {
    notes: Vec<Note>,
    resting: Option<Now>,
}

impl Refusals {
    /// Nobody refused it.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            notes: Vec::new(),
            resting: None,
        }
    }

    /// Remembers a refusal until the entry's epoch or revision differs.
    pub(super) fn note(&mut self, bid: Bid, epoch: Epoch, entry: u64, rev: u32, now: Now) {
        self.notes
            .retain(|note| (note.bid, note.entry) != (bid, entry));
        if self.notes.len() >= MAX_NOTES {
            self.notes.remove(0);
            self.resting = Some(now.plus(REST));
        }
        self.notes.push(Note {
            bid,
            epoch,
            entry,
            rev,
        });
    }

    /// True when the entry, as it is now, refused the message.
    #[must_use]
    pub fn contains(&self, candidate: &Candidate) -> bool {
        let note = Note {
            bid: candidate.bid,
            epoch: candidate.epoch,
            entry: candidate.entry,
            rev: candidate.rev,
        };
        self.notes.contains(&note)
    }

    /// True while a message that nearly everybody refused is offered to nobody.
    #[must_use]
    pub fn is_resting(&self, now: Now) -> bool {
        self.resting.is_some_and(|until| now < until)
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.notes.len()
    }

    /// True when nobody refused it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.notes.is_empty()
    }
}
