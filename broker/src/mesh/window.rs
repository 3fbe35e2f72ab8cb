//! The duplicate window: which frames were delivered here (R9).
//!
//! Consulted for every frame that is for this broker, marked or not: a marked copy may overtake the
//! unmarked one.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use super::ids::{Epoch, Now, Sid};

/// Sequence numbers of one block.
const BLOCK_BITS: u64 = 65_536;
const WORDS: usize = 1024;
/// Bytes of one block.
pub const BLOCK_LEN: usize = 8 * WORDS;
/// Blocks one origin may keep.
const BLOCKS_PER_ORIGIN: usize = 256;
/// Origins without any block that are remembered for their floor.
const MAX_ORIGINS: usize = 8192;

/// Whose numbers a window holds: a site and the epoch of its process.
pub type Origin = (Sid, Epoch);

/// Whether a frame was delivered before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Not that we know: deliver it.
    First,
    /// Yes, or it is a marked one from before everything we remember.
    Seen,
}

#[derive(Debug)]
struct Block {
    touched: Now,
    bits: Box<[u64; WORDS]>,
}

#[derive(Debug, Default)]
struct Window {
    /// Blocks below this one were dropped.
    floor: u64,
    touched: Now,
    blocks: BTreeMap<u64, Block>,
}

/// The windows of all origins.
#[derive(Debug)]
pub struct Windows {
    origins: BTreeMap<Origin, Window>,
    keep: Duration,
    max_blocks: usize,
    blocks: usize,
}

impl Windows {
    /// Blocks are kept for `keep` after their last use, and at most `max_bytes` of them, but one.
    #[must_use]
    pub fn new(keep: Duration, max_bytes: usize) -> Self {
        let max_blocks = (max_bytes / BLOCK_LEN).max(1);
        Self {
            origins: BTreeMap::new(),
            keep,
            max_blocks,
            blocks: 0,
        }
    }

    /// Bytes of bitmaps in use.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.blocks * BLOCK_LEN
    }

    /// Tests and sets one number. Rule: R9.
    pub fn first(&mut self, origin: Origin, seq: u64, is_marked: bool, now: Now) -> Verdict {
        let index = seq / BLOCK_BITS;
        let window = self.origins.entry(origin).or_default();
        window.touched = now;
        if index < window.floor {
            return if is_marked {
                Verdict::Seen
            } else {
                Verdict::First
            };
        }
        let (verdict, is_new) = window.test_and_set(index, seq % BLOCK_BITS, now);
        if is_new {
            self.blocks += 1;
            self.make_room(origin, index, now);
        }
        verdict
    }

    /// Frees what was not used for long enough. Called about once a second.
    pub fn sweep(&mut self, now: Now) {
        let keep = self.keep;
        for window in self.origins.values_mut() {
            self.blocks -= window.drop_old(keep, now);
        }
        self.origins
            .retain(|_, window| now.since(window.touched) < keep);
    }

    fn make_room(&mut self, origin: Origin, index: u64, now: Now) {
        let keep = self.keep;
        if let Some(window) = self.origins.get_mut(&origin) {
            self.blocks -= window.drop_old(keep, now);
            while window.blocks.len() > BLOCKS_PER_ORIGIN {
                self.blocks -= window.drop_lowest();
            }
        }
        while self.blocks > self.max_blocks {
            if !self.drop_oldest((origin, index)) {
                break;
            }
        }
        if self.origins.len() > MAX_ORIGINS {
            self.origins
                .retain(|key, window| *key == origin || !window.blocks.is_empty());
        }
    }

    /// Drops the block used longest ago, but never the one just made.
    fn drop_oldest(&mut self, except: (Origin, u64)) -> bool {
        let oldest = self
            .origins
            .iter()
            .flat_map(|(key, window)| {
                window
                    .blocks
                    .iter()
                    .map(move |(at, b)| (b.touched, *key, *at))
            })
            .filter(|(_, key, at)| (*key, *at) != except)
            .min();
        let Some((_, key, at)) = oldest else {
            return false;
        };
        if let Some(window) = self.origins.get_mut(&key) {
            self.blocks -= window.drop_through(at);
        }
        true
    }
}

impl Window {
    fn test_and_set(&mut self, index: u64, bit: u64, now: Now) -> (Verdict, bool) {
        let mut is_new = false;
        let block = self.blocks.entry(index).or_insert_with(|| {
            is_new = true;
            Block {
                touched: now,
                bits: Box::new([0; WORDS]),
            }
        });
        block.touched = now;
        let (word, mask) = (usize::try_from(bit / 64).unwrap_or(0), 1_u64 << (bit % 64));
        let was_set = block.bits[word] & mask != 0;
        block.bits[word] |= mask;
        (
            if was_set {
                Verdict::Seen
            } else {
                Verdict::First
            },
            is_new,
        )
    }

    fn drop_old(&mut self, keep: Duration, now: Now) -> usize {
        let mut dropped = 0;
        while let Some(block) = self.blocks.first_entry()
            && now.since(block.get().touched) >= keep
        {
            dropped += self.drop_lowest();
        }
        dropped
    }

    fn drop_lowest(&mut self) -> usize {
        let Some((index, _)) = self.blocks.pop_first() else {
            return 0;
        };
        self.floor = self.floor.max(index + 1);
        1
    }

    /// Drops that block and all below it, since the floor is one number.
    fn drop_through(&mut self, index: u64) -> usize {
        let mut dropped = 0;
        while self
            .blocks
            .first_key_value()
            .is_some_and(|(lowest, _)| *lowest <= index)
        {
            dropped += self.drop_lowest();
        }
        dropped
    }
}
