//! The ring of one link: frames sent and not yet acknowledged, and those that wait to be sent (R10).
//!
//! Nothing here waits. An append says at once what became of the frame, and [`Ring::level`] says
//! whose producers have to be slowed.

mod inbound;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::forward::{DSet, DropReason, is_over};
use super::frame::{FrameError, FwdFrame, FwdHead, TF_RELIABLE, TailHead};
use super::ids::{ConnId, Now};

pub use inbound::{Inbound, LACK_BYTES, LACK_DELAY, LACK_FRAMES, PATH_SAFE_HOLD};

/// Bytes an entry costs beside its tail.
const ENTRY_COST: usize = 160;
/// Frames one ring may hold.
pub const MAX_FRAMES: usize = 65_536;
/// Own routed control may exceed the cap by this much: each has a timer that repeats it.
const CONTROL_EXTRA: usize = 256 * 1024;
/// Producers of droppable frames are held this long by a full ring, then their frames are dropped.
const FULL_HOLD: Duration = Duration::from_secs(1);

/// An inbound frame whose acknowledgement waits for this one (PATH_SAFE).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hold {
    /// The connection it came over.
    pub conn: ConnId,
    /// Its number there.
    pub lseq: u64,
}

/// A frame in a ring or in limbo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// Who still has to get it.
    pub dset: DSet,
    /// Fixed fields of the tail.
    pub tail_head: TailHead,
    /// The tail, shared by all parts of a split.
    pub tail: Bytes,
    /// Age when it came to this broker.
    pub age_ms: u32,
    /// When that was.
    pub since: Now,
    /// Links crossed so far.
    pub hops: u16,
    /// A second copy may exist.
    pub is_marked: bool,
    /// Whose acknowledgement waits for it.
    pub hold: Option<Hold>,
}

impl Queued {
    /// A frame of this broker's own.
    #[must_use]
    pub fn own(dset: DSet, tail_head: TailHead, tail: Bytes, now: Now) -> Self {
        let (age_ms, hops, is_marked) = (0, 0, false);
        Self {
            dset,
            tail_head,
            tail,
            age_ms,
            since: now,
            hops,
            is_marked,
            hold: None,
        }
    }

    /// The part of an arrived frame that goes over one link.
    #[must_use]
    pub fn part(frame: &FwdFrame, dset: DSet, now: Now) -> Self {
        Self {
            dset,
            tail_head: frame.tail_head,
            tail: frame.tail.clone(),
            age_ms: frame.head.age_ms,
            since: now,
            hops: frame.head.hops,
            is_marked: frame.head.is_marked,
            hold: None,
        }
    }

    /// The part of a frame that was queued before and is split anew.
    #[must_use]
    pub fn with_dset(&self, dset: DSet) -> Self {
        Self {
            dset,
            tail: self.tail.clone(),
            ..*self
        }
    }

    /// Its age now.
    #[must_use]
    pub fn age_ms(&self, now: Now) -> u32 {
        let here = u32::try_from(now.since(self.since).as_millis()).unwrap_or(u32::MAX);
        self.age_ms.saturating_add(here)
    }

    /// Why it must not be sent any more, if so.
    #[must_use]
    pub fn is_over(&self, now: Now) -> Option<DropReason> {
        is_over(self.tail_head.ttl_ms, self.age_ms(now))
    }

    /// Bytes it counts for.
    #[must_use]
    pub fn cost(&self) -> usize {
        ENTRY_COST + self.tail.len() + self.dset.heap_len()
    }
}

/// Where a frame comes from, which decides what a full ring does with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// A client of this broker: its producer is held where the frame must not be lost.
    Client,
    /// A link, or another ring that died.
    Transit {
        /// Bytes of the overflow area that this ring may take in all.
        overflow_room: usize,
    },
    /// Routed control of this broker.
    Control,
}

/// What became of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Append {
    /// In the ring, or behind it in the overflow area.
    Placed,
    /// Dropped: the ring is full.
    LinkFull,
    /// Dropped: the overflow area is full too.
    Overflow,
}

/// How full a ring is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// Below 75 %, and below 50 % since it was last above.
    Free,
    /// From 75 % until it is below 50 %: producers are slowed, queues hand nothing over.
    Throttled,
    /// 100 %: producers of reliable frames wait.
    Full,
}

/// A frame to be written to the socket now.
#[derive(Debug, Clone)]
pub struct Sending<'a> {
    /// The fields of this hop.
    pub head: FwdHead,
    /// Who is to get it.
    pub dset: &'a DSet,
    /// The tail.
    pub tail: &'a Bytes,
}

/// The ring of one link.
#[derive(Debug)]
pub struct Ring {
    cap: usize,
    bytes: usize,
    /// Number of the last acknowledged frame.
    acked: u64,
    /// Given to the transport; the first has number `acked` + 1.
    sent: VecDeque<Queued>,
    unsent: VecDeque<Queued>,
    level: Level,
    full_since: Option<Now>,
    progress: Now,
    taken: Now,
    over: u64,
    carrier: Option<ConnId>,
    is_draining: bool,
}

impl Ring {
    /// An empty ring of so many bytes, for a new connection.
    #[must_use]
    pub const fn new(cap: usize, now: Now) -> Self {
        Self {
            cap,
            bytes: 0,
            acked: 0,
            sent: VecDeque::new(),
            unsent: VecDeque::new(),
            level: Level::Free,
            full_since: None,
            progress: now,
            taken: now,
            over: 0,
            carrier: None,
            is_draining: false,
        }
    }

    /// The connection whose numbers count: frames go out over it, and acknowledgements of another
    /// one mean others.
    #[must_use]
    pub const fn carrier(&self) -> Option<ConnId> {
        self.carrier
    }

    /// From now on frames go out over that connection, or over none.
    pub const fn set_carrier(&mut self, conn: Option<ConnId>) {
        self.carrier = conn;
        self.is_draining = false;
    }

    /// Sends nothing more until [`Self::take_over`]. Rule: R25.
    pub const fn drain(&mut self) {
        self.is_draining = true;
    }

    /// True when it sends nothing, and all that it sent is acknowledged.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.is_draining && self.sent.is_empty()
    }

    /// Goes on over another connection and starts numbering anew. What was not acknowledged goes
    /// first, marked, in its order; gives how many that are. Rule: R25.
    pub fn take_over(&mut self, conn: ConnId, now: Now) -> usize {
        let count = self.sent.len();
        while let Some(mut frame) = self.sent.pop_back() {
            frame.is_marked = true;
            self.unsent.push_front(frame);
        }
        (self.acked, self.progress) = (0, now);
        self.set_carrier(Some(conn));
        count
    }

    /// Frames sent or waiting.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sent.len() + self.unsent.len()
    }

    /// True when nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of all frames, those in the overflow area included.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes beyond the cap: what this ring takes of the overflow area.
    #[must_use]
    pub const fn overflow(&self) -> usize {
        self.bytes.saturating_sub(self.cap)
    }

    /// How full it is.
    #[must_use]
    pub const fn level(&self) -> Level {
        self.level
    }

    /// Frames dropped here because their time was over; reset by reading.
    pub const fn take_expired(&mut self) -> u64 {
        std::mem::replace(&mut self.over, 0)
    }

    /// How long frames have waited without any acknowledgement; zero when none waits.
    #[must_use]
    pub fn stalled_for(&self, now: Now) -> Duration {
        if self.is_empty() {
            Duration::ZERO
        } else {
            now.since(self.progress)
        }
    }

    /// The transport took bytes of a frame: a slow wire carries a long one for longer than a link may
    /// stand still.
    pub const fn took(&mut self, now: Now) {
        self.taken = now;
    }

    /// How long frames have waited without any acknowledgement and without a byte taken.
    #[must_use]
    pub fn idle_for(&self, now: Now) -> Duration {
        self.stalled_for(now).min(now.since(self.taken))
    }

    /// Bytes that it takes.
    #[must_use]
    pub const fn cap(&self) -> usize {
        self.cap
    }

    /// Changes the cap, live.
    pub fn set_cap(&mut self, cap: usize, now: Now) {
        self.cap = cap;
        self.update_level(now);
    }

    /// Takes a frame, or says why it is dropped. An empty ring takes one frame of any size.
    /// Rule: R10.
    pub fn append(&mut self, frame: Queued, source: Source, now: Now) -> Append {
        let verdict = self.admit(&frame, source, now);
        if verdict != Append::Placed {
            return verdict;
        }
        if self.is_empty() {
            self.progress = now;
        }
        self.bytes += frame.cost();
        self.unsent.push_back(frame);
        self.update_level(now);
        Append::Placed
    }

    fn admit(&self, frame: &Queued, source: Source, now: Now) -> Append {
        if self.is_empty() || self.level != Level::Full {
            return Append::Placed;
        }
        let is_reliable = frame.tail_head.has(TF_RELIABLE);
        let is_placed = match source {
            Source::Client => is_reliable || !self.is_dropping(now),
            Source::Transit { overflow_room } if is_reliable => {
                return if self.overflow() + frame.cost() <= overflow_room {
                    Append::Placed
                } else {
                    Append::Overflow
                };
            }
            Source::Transit { .. } => false,
            Source::Control => self.bytes + frame.cost() <= self.cap + CONTROL_EXTRA,
        };
        if is_placed {
            Append::Placed
        } else {
            Append::LinkFull
        }
    }

    /// True once droppable frames have held their producers for a second of this episode.
    #[must_use]
    pub fn is_dropping(&self, now: Now) -> bool {
        self.full_since
            .is_some_and(|since| now.since(since) >= FULL_HOLD)
    }

    /// The next frame for the socket, numbered. From here on it counts as given to the transport.
    /// Frames whose time is over are dropped on the way and do not use a number.
    pub fn next(&mut self, now: Now) -> Option<Sending<'_>> {
        if self.is_draining {
            return None;
        }
        while let Some(frame) = self.unsent.pop_front() {
            if frame.is_over(now).is_some() {
                self.bytes -= frame.cost();
                self.over += 1;
                self.update_level(now);
                continue;
            }
            self.sent.push_back(frame);
            let lseq = self.last_sent();
            return self.sent.back().map(|frame| Sending {
                head: FwdHead {
                    lseq,
                    age_ms: frame.age_ms(now),
                    hops: frame.hops,
                    is_marked: frame.is_marked,
                },
                dset: &frame.dset,
                tail: &frame.tail,
            });
        }
        None
    }

    /// True when something waits for the socket.
    #[must_use]
    pub fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Number of the last frame given to the transport.
    #[must_use]
    pub fn last_sent(&self) -> u64 {
        self.acked + u64::try_from(self.sent.len()).unwrap_or(0)
    }

    /// Forgets what the peer acknowledged. `released` gets the holds that end.
    ///
    /// # Errors
    /// The peer acknowledges what was not sent.
    pub fn lack(
        &mut self,
        lseq: u64,
        now: Now,
        mut released: impl FnMut(Hold),
    ) -> Result<usize, FrameError> {
        let sent = self.last_sent();
        if lseq > sent {
            return Err(FrameError::LackAhead { lseq, sent });
        }
        let before = self.sent.len();
        while self.acked < lseq
            && let Some(frame) = self.sent.pop_front()
        {
            self.acked += 1;
            self.bytes -= frame.cost();
            frame.hold.into_iter().for_each(&mut released);
        }
        let count = before - self.sent.len();
        if count > 0 {
            self.progress = now;
            self.update_level(now);
        }
        Ok(count)
    }

    /// The link died: hands all frames back in order, those given to the transport marked, and
    /// starts numbering anew. Each is to be split again after the map without the link was
    /// published. Rule: R10.
    pub fn die(&mut self, now: Now) -> impl Iterator<Item = Queued> + use<> {
        let mut sent = std::mem::take(&mut self.sent);
        sent.iter_mut().for_each(|frame| frame.is_marked = true);
        let unsent = std::mem::take(&mut self.unsent);
        (self.bytes, self.acked, self.progress) = (0, 0, now);
        self.set_carrier(None);
        self.update_level(now);
        sent.into_iter().chain(unsent)
    }

    /// All sites that queued frames go to, for the congestion hint (R23).
    pub fn destinations(&self, into: &mut DSet) {
        for frame in self.sent.iter().chain(&self.unsent) {
            for sid in frame.dset.iter() {
                into.insert(sid);
            }
        }
    }

    fn update_level(&mut self, now: Now) {
        self.level = if self.is_above(100) {
            Level::Full
        } else if self.is_above(75) || (self.level > Level::Free && self.is_above(50)) {
            Level::Throttled
        } else {
            Level::Free
        };
        if self.level == Level::Full {
            self.full_since.get_or_insert(now);
        } else if !self.is_above(75) {
            self.full_since = None;
        }
    }

    fn is_above(&self, percent: usize) -> bool {
        !self.is_empty()
            && (self.bytes >= self.cap.saturating_mul(percent) / 100
                || self.len() >= MAX_FRAMES * percent / 100)
    }
}
