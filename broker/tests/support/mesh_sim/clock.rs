//! Virtual time: a heap of (time, order of scheduling, event). Nothing else decides what is next.

use std::collections::BTreeMap;
use std::time::Duration;

use causeway_broker::mesh::ids::Now;

/// The clock and what is to come.
#[derive(Debug)]
pub struct Clock<E> {
    now: Now,
    next: u64,
    events: BTreeMap<(Now, u64), E>,
}

impl<E> Clock<E> {
    /// A clock that has run for a second, so that no time is zero by chance.
    pub fn new() -> Self {
        Self {
            now: Now(1_000_000_000),
            next: 0,
            events: BTreeMap::new(),
        }
    }

    /// The time.
    pub fn now(&self) -> Now {
        self.now
    }

    /// Schedules an event; never before the present.
    pub fn at(&mut self, time: Now, event: E) {
        self.next += 1;
        self.events.insert((time.max(self.now), self.next), event);
    }

    /// Schedules an event for so much later.
    pub fn after(&mut self, time: Duration, event: E) {
        self.at(self.now.plus(time), event);
    }

    /// The next event until `end`; without one the clock stands at `end`.
    pub fn pop(&mut self, end: Now) -> Option<E> {
        match self.events.first_entry() {
            Some(first) if first.key().0 <= end => {
                self.now = first.key().0;
                Some(first.remove())
            }
            _ => {
                self.now = self.now.max(end);
                None
            }
        }
    }
}
