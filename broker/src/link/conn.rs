//! What waits for one connection between brokers, and what its link keeps over connections.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use prometheus::{IntCounter, IntGauge};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::mesh::event::{Lane, RingLevel};
use crate::mesh::frame::{FrameType, encode_fwd, encode_lack};
use crate::mesh::ids::{ClaimId, ConnId, LinkId, Now};
use crate::mesh::ring::{Append, Inbound, Level, Queued, Ring, Source};
use crate::metrics::Metrics;

/// Bytes handed to the socket at once.
const BATCH: usize = 64 << 10;
/// Without an acknowledgement for so long a link is blocked,
const BLOCKED: Duration = Duration::from_secs(10);
/// and it is closed when for so long no byte of a message was taken either.
const STALLED: Duration = Duration::from_secs(30);
/// Below so much waiting control a connection has room (R1).
const ROOM: usize = 256 << 10;

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
    /// The connection that carries data.
    conn: ArcSwapOption<Conn>,
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

    /// Gives data a connection, or takes it away.
    pub fn set_conn(&self, conn: Option<Arc<Conn>>) {
        self.conn.store(conn);
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
                conn.wake.notify_one();
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
}

#[derive(Debug, Default)]
struct Out {
    urgent: VecDeque<Bytes>,
    ordered: VecDeque<(Bytes, Option<(FrameType, ClaimId)>)>,
    waiting: usize,
    asks_room: bool,
    last: Option<Bytes>,
    is_closing: bool,
    link: Option<Arc<LinkData>>,
    inbound: Inbound,
}

/// One connection.
#[derive(Debug)]
pub struct Conn {
    /// Its number.
    pub id: ConnId,
    /// Guards what waits for it.
    out: Mutex<Out>,
    wake: Notify,
    /// Ends both of its tasks.
    pub cancel: CancellationToken,
}

/// What a writer is to do with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Batch {
    /// Close after it.
    pub is_last: bool,
    /// There is room for control again, which was asked for.
    pub has_room: bool,
    /// Messages are in it.
    pub has_data: bool,
}

impl Conn {
    /// A fresh connection.
    #[must_use]
    pub fn new(id: ConnId, cancel: CancellationToken) -> Self {
        Self {
            id,
            out: Mutex::default(),
            wake: Notify::new(),
            cancel,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Out> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a control frame.
    pub fn send(&self, frame: Bytes, lane: Lane, replaces: Option<(FrameType, ClaimId)>) {
        let mut out = self.lock();
        if replaces.is_some() {
            let before: usize = out.waiting;
            let Out { ordered, .. } = &mut *out;
            let mut dropped = 0;
            ordered.retain(|(queued, what)| {
                let is_older = *what == replaces;
                if is_older {
                    dropped += queued.len();
                }
                !is_older
            });
            out.waiting = before.saturating_sub(dropped);
        }
        out.waiting += frame.len();
        match lane {
            Lane::Urgent => out.urgent.push_back(frame),
            Lane::Ordered => out.ordered.push_back((frame, replaces)),
        }
        drop(out);
        self.wake.notify_one();
    }

    /// Sends the last frame, then closes.
    pub fn close(&self, last: Option<Bytes>) {
        let mut out = self.lock();
        out.is_closing = true;
        out.last = last;
        out.link = None;
        drop(out);
        self.wake.notify_one();
    }

    /// Tells the writer to say when there is room.
    pub fn ask_room(&self) {
        self.lock().asks_room = true;
        self.wake.notify_one();
    }

    /// From now on this connection carries the link's data.
    pub fn carry(&self, link: &Arc<LinkData>) {
        self.lock().link = Some(link.clone());
        self.wake.notify_one();
    }

    /// A frame that arrived here is delivered and placed.
    pub fn handled(&self, lseq: u64, len: usize, now: Now) {
        let mut out = self.lock();
        out.inbound.handled(lseq, len, 0, now);
        drop(out);
        self.wake.notify_one();
    }

    /// The transport took bytes of a batch with messages.
    pub fn took(&self, now: Now) {
        if let Some(link) = &self.lock().link {
            link.ring().took(now);
        }
    }

    /// Waits until something is queued, or an acknowledgement is due.
    pub async fn wait(&self, now: Now) {
        let deadline = self.lock().inbound.deadline();
        match deadline {
            None => self.wake.notified().await,
            Some(deadline) => {
                // The time out is the event that is waited for.
                let _ = tokio::time::timeout(deadline.since(now), self.wake.notified()).await;
            }
        }
    }

    /// Fills a batch: urgent control, ordered control, an acknowledgement that is due, then data.
    /// Control that was queued before a data frame always leaves before it (R6).
    pub fn fill(&self, batch: &mut Vec<u8>, now: Now) -> Batch {
        let mut out = self.lock();
        let out = &mut *out;
        for frame in out.urgent.drain(..) {
            batch.extend_from_slice(&frame);
        }
        while let Some((frame, _)) = out.ordered.pop_front() {
            batch.extend_from_slice(&frame);
            if batch.len() >= BATCH {
                break;
            }
        }
        out.waiting = out.ordered.iter().map(|(frame, _)| frame.len()).sum();
        if out.is_closing && out.ordered.is_empty() {
            if let Some(last) = out.last.take() {
                batch.extend_from_slice(&last);
            }
            return Batch {
                is_last: true,
                ..Batch::default()
            };
        }
        if let Some(lseq) = out.inbound.lack(now) {
            encode_lack(lseq, batch);
        }
        let mut has_data = false;
        if let Some(link) = &out.link
            && out.ordered.is_empty()
        {
            has_data = fill_data(link, batch, now);
        }
        let has_room = out.asks_room && out.waiting < ROOM;
        if has_room {
            out.asks_room = false;
        }
        Batch {
            is_last: false,
            has_room,
            has_data,
        }
    }
}

/// True when there was something.
fn fill_data(link: &LinkData, batch: &mut Vec<u8>, now: Now) -> bool {
    let mut ring = link.ring();
    let before = batch.len();
    let (mut topics, mut queues) = (0, 0);
    while batch.len() < BATCH
        && let Some(sending) = ring.next(now)
    {
        match sending.tail.get(4) {
            Some(0) => topics += 1,
            Some(1) => queues += 1,
            _ => {}
        }
        encode_fwd(sending.head, sending.dset, sending.tail, batch);
    }
    link.counters.expired.inc_by(ring.take_expired());
    drop(ring);
    link.counters.topic_out.inc_by(topics);
    link.counters.queue_out.inc_by(queues);
    batch.len() > before
}
