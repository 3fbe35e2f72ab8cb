//! The receiving end of a ring: when to acknowledge what (R10).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::mesh::ids::Now;

/// An acknowledgement is due after so many frames,
pub const LACK_FRAMES: u64 = 64;
/// or so many bytes,
pub const LACK_BYTES: usize = 256 * 1024;
/// or so much time.
pub const LACK_DELAY: Duration = Duration::from_millis(20);
/// A PATH_SAFE frame holds the acknowledgement no longer than this: full rings in a cycle would
/// otherwise wait for one another.
pub const PATH_SAFE_HOLD: Duration = Duration::from_secs(2);

#[derive(Debug)]
struct Held {
    parts: usize,
    since: Now,
}

/// What one connection received and has to acknowledge.
#[derive(Debug, Default)]
pub struct Inbound {
    handled: u64,
    acked: u64,
    bytes: usize,
    due: Option<Now>,
    held: BTreeMap<u64, Held>,
}

impl Inbound {
    /// Nothing received yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Frame `lseq` was delivered and placed everywhere. With `parts` > 0 (PATH_SAFE) its
    /// acknowledgement waits for that many [`Self::release`]s.
    pub fn handled(&mut self, lseq: u64, len: usize, parts: usize, now: Now) {
        self.handled = lseq;
        self.bytes += len;
        self.due.get_or_insert(now.plus(LACK_DELAY));
        if parts > 0 {
            self.held.insert(lseq, Held { parts, since: now });
        }
    }

    /// A part that is split again counts as so many more.
    pub fn add_parts(&mut self, lseq: u64, parts: usize) {
        if let Some(held) = self.held.get_mut(&lseq) {
            held.parts += parts;
        }
    }

    /// One part of a held frame was acknowledged by the next broker, or came to an end.
    pub fn release(&mut self, lseq: u64) {
        if let Some(held) = self.held.get_mut(&lseq) {
            held.parts = held.parts.saturating_sub(1);
            if held.parts == 0 {
                self.held.remove(&lseq);
            }
        }
    }

    /// Ends the holds that lasted too long; how many (`path_safe_expired`).
    pub fn expire(&mut self, now: Now) -> u64 {
        let mut count = 0;
        while let Some(held) = self.held.first_entry()
            && now.since(held.get().since) >= PATH_SAFE_HOLD
        {
            held.remove();
            count += 1;
        }
        count
    }

    /// The number to acknowledge, when it is time.
    pub fn lack(&mut self, now: Now) -> Option<u64> {
        let upto = self.ackable();
        let is_due = self.due.is_some_and(|due| due <= now)
            || upto.saturating_sub(self.acked) >= LACK_FRAMES
            || self.bytes >= LACK_BYTES;
        if !is_due || upto <= self.acked {
            return None;
        }
        self.acked = upto;
        self.bytes = 0;
        self.due = (self.handled > upto).then(|| now.plus(LACK_DELAY));
        Some(upto)
    }

    /// When [`Self::lack`] or [`Self::expire`] is wanted next.
    #[must_use]
    pub fn deadline(&self) -> Option<Now> {
        let expiry = self
            .held
            .first_key_value()
            .map(|(_, held)| held.since.plus(PATH_SAFE_HOLD));
        if self.ackable() > self.acked {
            return [self.due, expiry].into_iter().flatten().min();
        }
        expiry
    }

    fn ackable(&self) -> u64 {
        self.held
            .first_key_value()
            .map_or(self.handled, |(lseq, _)| lseq - 1)
    }
}
