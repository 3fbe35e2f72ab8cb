//! Which waiting messages are offered to other brokers next. Looking at everything for each message
//! that comes or goes would cost the square of what waits.

use super::state::Queue;

/// Messages of one queue looked at in a turn.
pub const TURN: usize = 1024;

/// Why a queue is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// A message came or came back: what was looked at before has nothing new to hope for.
    New,
    /// Something changed for what stays: routes, entries, credit.
    All,
}

/// What was looked at.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// The next turn over everything begins after this one; 0 = at the head.
    next: u64,
    /// Those after it came later than the last turn.
    seen: u64,
    /// None can go before something changes.
    is_shut: bool,
}

impl Scan {
    /// A message begins to wait behind so many. Where none waits nobody promised to look again.
    pub(super) fn came(&mut self, before: usize) {
        if before == 0 {
            self.is_shut = false;
        }
    }

    /// A message waits again.
    pub(super) fn came_back(&mut self, seq: u64) {
        self.seen = self.seen.min(seq.saturating_sub(1));
    }

    /// Everything has something new to hope for.
    pub(super) fn reopen(&mut self) {
        (self.seen, self.is_shut) = (0, false);
    }

    /// The messages after that one were not looked at; `is_shut`: they would fare no better, and the
    /// head is to be the first when that changes.
    pub(super) fn stopped(&mut self, seq: u64, is_shut: bool) {
        self.seen = seq;
        if is_shut {
            *self = Self {
                is_shut,
                ..Self::default()
            };
        }
    }
}

impl Queue {
    /// True when the next look at everything begins with the oldest message.
    #[must_use]
    pub const fn looks_from_head(&self) -> bool {
        self.scan.next == 0
    }

    /// The messages to look at, oldest first.
    pub fn turn(&mut self, look: Look) -> Vec<u64> {
        let after = match look {
            Look::New if self.scan.is_shut => return Vec::new(),
            Look::New => self.scan.seen,
            Look::All => self.scan.next,
        };
        let seqs = self.ready_after(after, TURN);
        if look == Look::All {
            self.scan.is_shut = false;
            let is_more = seqs.len() >= TURN;
            self.scan.next = seqs.last().copied().filter(|_| is_more).unwrap_or(0);
        }
        self.scan.seen = seqs.last().copied().unwrap_or(self.scan.seen);
        seqs
    }
}
