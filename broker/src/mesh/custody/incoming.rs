//! The receiver's end of a stream of transfers (R17): each is handed to its queue once, in order,
//! and acknowledged when its outcome and all before it are known.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use super::event::Refusal;
use super::outgoing::MAX_OPEN;
use crate::mesh::frame::TransferHead;
use crate::mesh::ids::{Epoch, Now};
use crate::mesh::messages::{Refused, TransferAck};

/// Transfers that wait for one before them.
const REORDER_FRAMES: usize = 256;
/// Their bytes.
const REORDER_BYTES: usize = 1024 * 1024;
/// Acknowledgements of repeated transfers are collected for so long.
const REPEAT_DELAY: Duration = Duration::from_millis(20);
/// A stream that does not begin at 1 is unknown after this time: by then a silent link was found out,
/// and the owner has sent again from the first transfer it has no outcome for.
const GAP_NEW: Duration = Duration::from_secs(5);
/// The same in the middle of a stream.
const GAP_KNOWN: Duration = Duration::from_secs(10);

/// A transfer as it arrived.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) head: TransferHead,
    pub(super) envelope: Bytes,
    pub(super) expires: Option<Now>,
}

/// One stream.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    /// The last one handed to its queue.
    known: u64,
    /// All up to this one have an outcome.
    done: u64,
    /// Outcomes above `done`.
    outcomes: BTreeMap<u64, Option<Refusal>>,
    /// The owner may not know of these.
    refused: VecDeque<(u64, Refusal)>,
    reorder: BTreeMap<u64, Waiting>,
    reorder_bytes: usize,
    gap_since: Option<Now>,
    is_unknown: bool,
    ack_at: Option<Now>,
    pub(super) used: Now,
}

impl Incoming {
    pub(super) const fn reorder_bytes(&self) -> usize {
        self.reorder_bytes
    }

    /// True when its owner is told that nothing is known of it.
    pub(super) const fn is_unknown(&self) -> bool {
        self.is_unknown
    }

    /// Takes a transfer. `ready` gets those whose turn it is.
    pub(super) fn take(
        &mut self,
        transfer: Waiting,
        room: usize,
        now: Now,
        mut ready: impl FnMut(Waiting),
    ) {
        self.used = now;
        let seq = transfer.head.seq;
        if self.is_unknown || seq <= self.known {
            self.ack_at.get_or_insert(now.plus(REPEAT_DELAY));
        } else if seq == self.known + 1 {
            self.known = seq;
            ready(transfer);
            self.take_waiting(now, ready);
        } else {
            self.keep_waiting(transfer, room, now);
        }
    }

    fn take_waiting(&mut self, now: Now, mut ready: impl FnMut(Waiting)) {
        while let Some(transfer) = self.reorder.remove(&(self.known + 1)) {
            self.known += 1;
            self.reorder_bytes -= transfer.envelope.len();
            ready(transfer);
        }
        self.gap_since = (!self.reorder.is_empty()).then_some(now);
    }

    fn keep_waiting(&mut self, transfer: Waiting, room: usize, now: Now) {
        let (seq, len) = (transfer.head.seq, transfer.envelope.len());
        self.gap_since.get_or_insert(now);
        let is_full = self.reorder.len() >= REORDER_FRAMES
            || self.reorder_bytes + len > REORDER_BYTES
            || len > room;
        if self.reorder.contains_key(&seq) || (is_full && !self.reorder.is_empty()) {
            return;
        }
        self.reorder_bytes += len;
        self.reorder.insert(seq, transfer);
    }

    /// A queue's answer. True when an acknowledgement should leave now.
    pub(super) fn outcome(&mut self, seq: u64, refused: Option<Refusal>, now: Now) -> bool {
        if seq <= self.done || seq > self.known {
            return false;
        }
        self.used = now;
        self.outcomes.insert(seq, refused);
        let before = self.done;
        while let Some(refused) = self.outcomes.remove(&(self.done + 1)) {
            self.done += 1;
            if let Some(why) = refused {
                self.refused.push_back((self.done, why));
            }
        }
        // The owner has at most MAX_OPEN transfers open, so it has the outcome of older ones.
        let span = u64::try_from(MAX_OPEN).unwrap_or(u64::MAX);
        let known_there = self.known.saturating_sub(span);
        while self
            .refused
            .front()
            .is_some_and(|(seq, _)| *seq <= known_there)
        {
            self.refused.pop_front();
        }
        self.done > before
    }

    /// What the owner is told by this process.
    pub(super) fn ack(&mut self, stream_epoch: u64, stream: u32, own: Epoch) -> TransferAck {
        self.ack_at = None;
        let refused = self
            .refused
            .iter()
            .map(|(seq, why)| Refused {
                seq: *seq,
                why: why.code(),
            })
            .collect();
        let unknown = self.is_unknown && self.known == self.done;
        TransferAck {
            stream_epoch,
            stream,
            upto: self.done,
            refused,
            unknown,
            epoch: own.0,
        }
    }

    /// True when an acknowledgement is due: of repeated transfers, or because a gap lasted so long
    /// that owner and receiver do not mean the same stream.
    pub(super) fn tick(&mut self, now: Now) -> bool {
        if self.gap_deadline().is_some_and(|due| due <= now) {
            self.is_unknown = true;
            self.reorder.clear();
            self.reorder_bytes = 0;
            self.gap_since = None;
            self.ack_at = Some(now);
        }
        self.ack_at.is_some_and(|due| due <= now)
    }

    pub(super) fn deadline(&self) -> Option<Now> {
        [self.gap_deadline(), self.ack_at]
            .into_iter()
            .flatten()
            .min()
    }

    fn gap_deadline(&self) -> Option<Now> {
        let wait = if self.known == 0 { GAP_NEW } else { GAP_KNOWN };
        self.gap_since.map(|since| since.plus(wait))
    }

    /// True when every transfer handed over has its outcome.
    pub(super) fn is_settled(&self) -> bool {
        self.known == self.done && self.reorder.is_empty()
    }
}
