//! What waits for one connection between brokers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use rustls::pki_types::CertificateDer;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::lasting::LinkData;
use super::tls;
use crate::mesh::event::Lane;
use crate::mesh::frame::{FrameType, encode_lack};
use crate::mesh::ids::{ClaimId, ConnId, Now};
use crate::mesh::ring::Inbound;

/// Bytes handed to the socket at once.
const BATCH: usize = 64 << 10;
/// Below so much waiting control a connection has room (R1).
const ROOM: usize = 256 << 10;

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

/// A chain of certificates.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) chain: Vec<CertificateDer<'static>>,
    /// When the first of them ends, in ms of the wall clock.
    pub(super) ends_ms: i64,
}

/// One connection.
#[derive(Debug)]
pub struct Conn {
    /// Its number.
    pub id: ConnId,
    /// Guards what waits for it.
    out: Mutex<Out>,
    wake: Notify,
    /// The link whose data arrives, from when that may be.
    link: OnceLock<Arc<LinkData>>,
    /// What the peer showed, when it led to a root.
    shown: OnceLock<Shown>,
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
            link: OnceLock::new(),
            shown: OnceLock::new(),
            cancel,
        }
    }

    /// Wakes its writer.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
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

    /// The link whose data arrives here, if any may by now.
    #[must_use]
    pub fn link(&self) -> Option<&Arc<LinkData>> {
        self.link.get()
    }

    /// Keeps the chain that the peer showed.
    pub(super) fn keep_chain(&self, chain: &[CertificateDer<'_>]) {
        self.shown.get_or_init(|| Shown {
            chain: chain.iter().map(|one| one.clone().into_owned()).collect(),
            ends_ms: tls::end_of(chain).unwrap_or(i64::MAX),
        });
    }

    /// What the peer showed, when it led to a root.
    pub(super) fn shown(&self) -> Option<&Shown> {
        self.shown.get()
    }

    /// From now on this connection carries the link's data, outwards when the link says so.
    pub(super) fn carry(&self, link: &Arc<LinkData>) {
        self.link.get_or_init(|| link.clone());
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
            has_data = link.fill(self.id, batch, BATCH, now);
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
