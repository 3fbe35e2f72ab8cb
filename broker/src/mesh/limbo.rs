//! Limbo: frames that have no route at the moment (R9, R10, R14). A short flap of an only path
//! loses nothing.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use super::frame::{PayloadKind, TAIL_HEAD_LEN, TransferHead};
use super::ids::{Bid, Now};
use super::ring::Queued;

/// A frame that waits for a route.
#[derive(Debug)]
pub struct Parked {
    /// The frame.
    pub frame: Queued,
    /// Since when; kept when it is parked again without having left.
    pub since: Now,
}

/// What becomes of a frame whose stay is over.
#[derive(Debug)]
pub enum Over {
    /// It had no route for too long.
    Dropped(Queued),
    /// It is to be split once more.
    Again(Queued),
}

/// The frames of one broker that wait for a route.
#[derive(Debug)]
pub struct Limbo {
    cap: usize,
    stay: Duration,
    bytes: usize,
    generation: u64,
    /// In order of `since`.
    frames: VecDeque<Parked>,
}

impl Limbo {
    /// Frames stay for `stay` and take at most `cap` bytes, but one of any size.
    #[must_use]
    pub const fn new(cap: usize, stay: Duration) -> Self {
        Self {
            cap,
            stay,
            bytes: 0,
            generation: 0,
            frames: VecDeque::new(),
        }
    }

    /// Applies new limits from the next frame on.
    pub const fn set_limits(&mut self, cap: usize, stay: Duration) {
        self.cap = cap;
        self.stay = stay;
    }

    /// Frames that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// True when none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Bytes they take.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The newest map whose routes were tried. A frame that was split by an older one is to be split
    /// again instead of parked.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Parks a frame; false when there is no room, and it is dropped as `no_route`.
    pub fn park(&mut self, frame: Queued, now: Now) -> bool {
        self.park_again(Parked { frame, since: now })
    }

    /// Parks a frame that [`Self::take`] gave and that still has no route; its stay goes on.
    pub fn park_again(&mut self, parked: Parked) -> bool {
        let cost = parked.frame.cost();
        if !self.frames.is_empty() && self.bytes + cost > self.cap {
            return false;
        }
        self.bytes += cost;
        let at = self
            .frames
            .partition_point(|other| other.since <= parked.since);
        self.frames.insert(at, parked);
        true
    }

    /// All frames, when the map is a newer one than at the last call: each is to be split again.
    pub fn take(&mut self, generation: u64) -> VecDeque<Parked> {
        if generation <= self.generation {
            return VecDeque::new();
        }
        self.generation = generation;
        self.bytes = 0;
        std::mem::take(&mut self.frames)
    }

    /// All frames, whatever map they were tried with: a newer one came while some were parked.
    pub fn take_all(&mut self) -> VecDeque<Parked> {
        self.bytes = 0;
        std::mem::take(&mut self.frames)
    }

    /// Removes the frames whose stay is over: `over` says what becomes of each. One that was parked for
    /// having come around too often, by more than `bound` hops, goes on with a new count: the maps
    /// have not changed for so long, so they agree now. Rule: R9.
    pub fn expire(&mut self, now: Now, bound: u16, mut over: impl FnMut(Over)) {
        while self
            .frames
            .front()
            .is_some_and(|first| now.since(first.since) >= self.stay)
            && let Some(parked) = self.frames.pop_front()
        {
            self.bytes -= parked.frame.cost();
            let mut frame = parked.frame;
            if frame.hops > bound {
                frame.hops = 0;
                over(Over::Again(frame));
            } else {
                over(Over::Dropped(frame));
            }
        }
    }

    /// Keeps only what `keep` says.
    pub fn retain(&mut self, mut keep: impl FnMut(&Queued) -> bool) {
        self.frames.retain(|parked| keep(&parked.frame));
        self.bytes = self.frames.iter().map(|parked| parked.frame.cost()).sum();
    }

    /// Drops the transfers of a stream whose messages their owner serves again. Rule: R17.
    pub fn drop_stream(&mut self, owner: Bid, to: Bid, stream: u32) {
        self.retain(|frame| {
            let head = || {
                let payload = frame.tail.get(TAIL_HEAD_LEN..)?;
                TransferHead::decode(payload).ok()
            };
            let is_it =
                |head: TransferHead| (head.owner, head.to, head.stream) == (owner, to, stream);
            frame.tail_head.kind != PayloadKind::Transfer || !head().is_some_and(is_it)
        });
    }

    /// When [`Self::expire`] is wanted next.
    #[must_use]
    pub fn deadline(&self) -> Option<Now> {
        self.frames.front().map(|first| first.since.plus(self.stay))
    }
}
