//! What a link keeps over connections: its ring, which connection carries it, and what is counted.

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use prometheus::{IntCounter, IntGauge};

use super::conn::Conn;
use crate::mesh::event::RingLevel;
use crate::mesh::frame::{FrameError, encode_fwd};
use crate::mesh::ids::{ConnId, LinkId, Now};
use crate::mesh::ring::{Append, Level, Queued, Ring, Source};
use crate::metrics::Metrics;

/// Without an acknowledgement for so long a link is blocked,
const BLOCKED: Duration = Duration::from_secs(10);
/// and it is closed when for so long no byte of a message was taken either.
const STALLED: Duration = Duration::from_secs(30);

/// Handles of one link's series, resolved once.
#[derive(Debug)]
pub struct LinkCounters {
    topic_out: IntCounter,
    queue_out: IntCounter,
    /// Topic messages received.
    pub topic_in: IntCounter,
    /// Queue messages received.
    pub queue_in: IntCounter,
    /// Bytes sent.
    pub bytes_out: IntCounter,
    /// Bytes received.
    pub bytes_in: IntCounter,
    /// Messages sent anew after a death.
    pub resent: IntCounter,
    /// Second copies removed.
    pub duplicates: IntCounter,
    link_full: IntCounter,
    expired: IntCounter,
    pending_messages: IntGauge,
    pending_bytes: IntGauge,
}

impl LinkCounters {
    fn new(metrics: &Metrics, link: &str, peer: &str) -> Self {
        let links = &metrics.links;
        links.add_link(link, peer);
        let messages = |direction, kind| {
            links
                .messages
                .with_label_values(&[link, peer, direction, kind])
        };
        let dropped = |reason| links.dropped.with_label_values(&[link, peer, reason]);
        Self {
            topic_out: messages("out", "topic"),
            queue_out: messages("out", "queue"),
            topic_in: messages("in", "topic"),
            queue_in: messages("in", "queue"),
            bytes_out: links.bytes.with_label_values(&[link, peer, "out"]),
            bytes_in: links.bytes.with_label_values(&[link, peer, "in"]),
            resent: links.resent.with_label_values(&[link, peer]),
            duplicates: links.duplicates.with_label_values(&[link, peer]),
            link_full: dropped("link_full"),
            expired: dropped("expired"),
            pending_messages: links.pending_messages.with_label_values(&[link, peer]),
            pending_bytes: links.pending_bytes.with_label_values(&[link, peer]),
        }
    }
}

/// One configured link: its ring outlives connections.
#[derive(Debug)]
pub struct LinkData {
    /// Index in the table of links.
    pub id: LinkId,
    /// Its name.
    pub name: String,
    /// The other site.
    pub peer: String,
    /// Guards the frames that wait or are unacknowledged.
    ring: Mutex<Ring>,
    /// The connection that data is sent over.
    conn: ArcSwapOption<Conn>,
    /// The one that takes over when all that was sent is acknowledged (R25).
    next: ArcSwapOption<Conn>,
    rtt_us: AtomicU64,
    /// The level that control was told last.
    told: Mutex<RingLevel>,
    /// What is counted.
    pub counters: LinkCounters,
}

impl LinkData {
    /// A link without a connection.
    #[must_use]
    pub fn new(
        id: LinkId,
        name: &str,
        peer: &str,
        cap: usize,
        metrics: &Metrics,
        now: Now,
    ) -> Self {
        Self {
            id,
            name: name.to_owned(),
            peer: peer.to_owned(),
            ring: Mutex::new(Ring::new(cap, now)),
            conn: ArcSwapOption::empty(),
            next: ArcSwapOption::empty(),
            rtt_us: AtomicU64::new(0),
            told: Mutex::new(RingLevel::Free),
            counters: LinkCounters::new(metrics, name, peer),
        }
    }

    /// The frames that wait.
    pub fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Smoothed round trip.
    #[must_use]
    pub fn rtt(&self) -> Duration {
        Duration::from_micros(self.rtt_us.load(Ordering::Relaxed))
    }

    /// Takes a new measurement in.
    pub fn note_rtt(&self, micros: u64) {
        let old = self.rtt_us.load(Ordering::Relaxed);
        let smoothed = if old == 0 {
            micros
        } else {
            (old * 7 + micros) / 8
        };
        self.rtt_us.store(smoothed, Ordering::Relaxed);
    }

    /// The connection that carries data, if any.
    #[must_use]
    pub fn conn(&self) -> Option<Arc<Conn>> {
        self.conn.load_full()
    }

    /// The connection that takes over soon, if one does.
    #[must_use]
    pub fn next_conn(&self) -> Option<Arc<Conn>> {
        self.next.load_full()
    }

    /// Gives data a connection.
    pub fn set_conn(self: &Arc<Self>, conn: Arc<Conn>) {
        let mut ring = self.ring();
        ring.set_carrier(Some(conn.id));
        self.next.store(None);
        self.conn.store(Some(conn.clone()));
        drop(ring);
        conn.carry(self);
    }

    /// The connection is gone: hands back all that waits, what was given to it marked.
    pub fn die(&self, now: Now) -> Vec<Queued> {
        self.die_in(&mut self.ring(), now)
    }

    /// Hands back what waits while there is no connection.
    pub fn rescue(&self, now: Now) -> Vec<Queued> {
        let mut ring = self.ring();
        if ring.carrier().is_some() {
            return Vec::new();
        }
        self.die_in(&mut ring, now)
    }

    fn die_in(&self, ring: &mut Ring, now: Now) -> Vec<Queued> {
        self.conn.store(None);
        self.next.store(None);
        ring.die(now).collect()
    }

    /// A newer connection is ready: its data may arrive, and nothing more is sent until it takes
    /// over. True when it may do so at once. Rule: R25.
    pub fn drain(self: &Arc<Self>, next: Arc<Conn>) -> bool {
        next.carry(self);
        let mut ring = self.ring();
        self.next.store(Some(next));
        ring.drain();
        ring.is_drained()
    }

    /// The newer connection is used from now on; gives how many frames it carries a second time.
    /// Rule: R25.
    pub fn take_over(&self, now: Now) -> usize {
        let Some(next) = self.next.swap(None) else {
            return 0;
        };
        let mut ring = self.ring();
        let count = ring.take_over(next.id, now);
        self.conn.store(Some(next.clone()));
        drop(ring);
        next.wake();
        count
    }

    /// An acknowledgement came over a connection.
    ///
    /// # Errors
    /// The peer acknowledges what was not sent.
    pub fn lack(&self, over: ConnId, lseq: u64, now: Now) -> Result<Acked, FrameError> {
        let mut ring = self.ring();
        if ring.carrier() != Some(over) {
            return Ok(Acked::default());
        }
        let was_tight = ring.level() != Level::Free;
        ring.lack(lseq, now, |_| {})?;
        let next = self.next.load();
        Ok(Acked {
            is_free: was_tight && ring.level() == Level::Free,
            drained: next
                .as_ref()
                .filter(|_| ring.is_drained())
                .map(|next| next.id),
        })
    }

    /// Queues a frame. Wakes the writer. Beside the outcome: how full the ring is now, by which its
    /// producer is slowed or held (R10).
    pub fn append(&self, frame: Queued, source: Source, now: Now) -> (Append, Level) {
        let mut ring = self.ring();
        let outcome = ring.append(frame, source, now);
        let level = ring.level();
        drop(ring);
        if outcome == Append::Placed {
            if let Some(conn) = &*self.conn.load() {
                conn.wake();
            }
        } else {
            self.counters.link_full.inc();
        }
        (outcome, level)
    }

    /// How full the ring is, when that is news for control.
    pub fn news(&self, now: Now) -> Option<RingLevel> {
        let ring = self.ring();
        let level = match (ring.idle_for(now), ring.stalled_for(now)) {
            (idle, _) if idle >= STALLED => RingLevel::Stalled,
            (_, stalled) if stalled >= BLOCKED => RingLevel::Blocked,
            _ => match ring.level() {
                Level::Free => RingLevel::Free,
                Level::Throttled => RingLevel::High,
                Level::Full => RingLevel::Full,
            },
        };
        drop(ring);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let was_stuck = matches!(*told, RingLevel::Blocked | RingLevel::Stalled);
        let is_stuck = matches!(level, RingLevel::Blocked | RingLevel::Stalled);
        if *told == level {
            return None;
        }
        *told = level;
        Some(if was_stuck && !is_stuck {
            RingLevel::Moving
        } else {
            level
        })
    }

    /// Brings the gauges up to date.
    pub fn show(&self) {
        let ring = self.ring();
        self.counters
            .pending_messages
            .set(i64::try_from(ring.len()).unwrap_or(i64::MAX));
        self.counters
            .pending_bytes
            .set(i64::try_from(ring.bytes()).unwrap_or(i64::MAX));
    }

    /// Adds frames to a batch that a connection is about to write, until that has so many bytes.
    /// True when there were some.
    pub(super) fn fill(&self, over: ConnId, batch: &mut Vec<u8>, most: usize, now: Now) -> bool {
        let mut ring = self.ring();
        if ring.carrier() != Some(over) {
            return false;
        }
        let before = batch.len();
        let (mut topics, mut queues) = (0, 0);
        while batch.len() < most
            && let Some(sending) = ring.next(now)
        {
            match sending.tail.get(4) {
                Some(0) => topics += 1,
                Some(1) => queues += 1,
                _ => {}
            }
            encode_fwd(sending.head, sending.dset, sending.tail, batch);
        }
        self.counters.expired.inc_by(ring.take_expired());
        drop(ring);
        self.counters.topic_out.inc_by(topics);
        self.counters.queue_out.inc_by(queues);
        batch.len() > before
    }
}

/// What follows from an acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Acked {
    /// The ring is not three quarters full any more.
    pub is_free: bool,
    /// The newer connection that can take over now.
    pub drained: Option<ConnId>,
}
