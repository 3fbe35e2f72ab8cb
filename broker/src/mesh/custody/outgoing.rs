//! The owner's end of a stream of transfers (R17).
//!
//! A transfer stays here until the receiver's outcome is known. A message that this broker takes
//! back while the outcome is open leaves a *void* in the stream: its number is sent again without
//! a message, and the receiver's answer tells whether it had accepted it before.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::credit::AskKey;
use super::event::{Effect, Effects, QueueName, ReturnReason, Returned};
use super::refusals::Refusals;
use crate::mesh::frame::{TransferHead, XF_LEARNED, XF_PERSISTENT, XF_REDELIVERED};
use crate::mesh::ids::{Bid, Epoch, Now};

/// Transfers of one stream without an outcome. The receiver remembers as many refusals.
pub(super) const MAX_OPEN: usize = 2048;
/// Sent again in one go: what the receiver's reorder buffer holds.
const RESEND_FRAMES: u64 = 256;
/// Bytes sent again in one go.
const RESEND_BYTES: usize = 1024 * 1024;
const RETRY_MIN: Duration = Duration::from_secs(1);
/// A change of the map repeats transfers at most this often.
const NUDGE_GAP: Duration = Duration::from_millis(50);

/// Which credit a transfer uses up until its outcome is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Charge {
    /// Standing credit or a grant of that entry.
    Entry {
        ask: AskKey,
        epoch: Epoch,
        entry: u64,
        rev: u32,
        is_standing: bool,
    },
    /// The implicit credit of learned routes.
    Learned,
}

/// One transfer without an outcome.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) queue: QueueName,
    pub(super) token: u64,
    pub(super) envelope: Bytes,
    pub(super) expires: Option<Now>,
    pub(super) moves: u16,
    pub(super) is_redelivered: bool,
    pub(super) grant: u64,
    pub(super) charge: Charge,
    pub(super) refusals: Refusals,
    pub(super) sent: Option<Now>,
    pub(super) times: u32,
    pub(super) state: ItemState,
}

/// Where the message of a transfer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ItemState {
    /// Only here.
    Live,
    /// Its lifetime ended: it comes back when the receiver has refused the void.
    Expired,
    /// Back in its queue, in doubt.
    Doubted,
}

impl Item {
    /// It may be with the receiver, and with a consumer there.
    pub(super) const fn was_sent(&self) -> bool {
        self.times > 0
    }

    pub(super) fn returned(self, why: ReturnReason, is_redelivered: bool) -> Effect {
        Effect::Returned(Returned {
            queue: self.queue,
            token: self.token,
            why,
            is_redelivered: self.is_redelivered || is_redelivered,
            was_learned: self.charge == Charge::Learned,
            refusals: self.refusals,
        })
    }
}

/// One stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) owner: Bid,
    pub(super) to: Bid,
    /// The process of the receiver that is meant.
    pub(super) to_epoch: Epoch,
    pub(super) epoch: u64,
    pub(super) number: u32,
    is_persistent: bool,
    /// Number of the first item.
    first: u64,
    items: VecDeque<Item>,
    /// The next one to send.
    next: u64,
    /// Those below it are sent for the second time, window by window.
    resend_below: u64,
    heard: Now,
    smoothed: Option<Duration>,
    pub(super) doubt_since: Option<Now>,
    pub(super) resent: u64,
}

impl Stream {
    pub(super) fn new(
        (owner, epoch): (Bid, Epoch),
        (to, to_epoch): (Bid, Epoch),
        number: u32,
        is_persistent: bool,
        now: Now,
    ) -> Self {
        Self {
            owner,
            to,
            to_epoch,
            epoch: epoch.0,
            number,
            is_persistent,
            first: 1,
            items: VecDeque::new(),
            next: 1,
            resend_below: 0,
            heard: now,
            smoothed: None,
            doubt_since: None,
            resent: 0,
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.items.len() >= MAX_OPEN
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.items.is_empty()
    }

    /// True while a message of this stream is in no queue.
    pub(super) fn is_holding(&self) -> bool {
        self.items
            .iter()
            .any(|item| item.state != ItemState::Doubted)
    }

    fn end(&self) -> u64 {
        self.first + u64::try_from(self.items.len()).unwrap_or(0)
    }

    /// Adds a transfer and sends it, unless older ones are being sent again first.
    pub(super) fn push(&mut self, item: Item, now: Now, out: &mut Effects) {
        if self.items.is_empty() {
            self.heard = now;
        }
        self.items.push_back(item);
        self.pump(now, out);
    }

    /// Sends what may be sent: new transfers at once, old ones within the window.
    pub(super) fn pump(&mut self, now: Now, out: &mut Effects) {
        if self.doubt_since.is_some() {
            return;
        }
        let mut bytes = 0;
        while self.next < self.end() {
            if self.next < self.resend_below {
                if self.next >= self.first + RESEND_FRAMES || bytes > RESEND_BYTES {
                    break;
                }
                self.resent += 1;
            }
            bytes += self.send(self.next, now, out);
            self.next += 1;
        }
    }

    fn send(&mut self, seq: u64, now: Now, out: &mut Effects) -> usize {
        let at = usize::try_from(seq - self.first).unwrap_or(usize::MAX);
        let Some(item) = self.items.get_mut(at) else {
            return 0;
        };
        let mut ttl_ms = 0;
        if let (ItemState::Live, Some(expires)) = (item.state, item.expires) {
            let left = u32::try_from(expires.since(now).as_millis()).unwrap_or(u32::MAX);
            if left == 0 {
                item.state = ItemState::Expired;
            }
            ttl_ms = left;
        }
        let is_void = item.state != ItemState::Live;
        item.sent = Some(now);
        item.times += 1;
        let mut flags = if self.is_persistent { XF_PERSISTENT } else { 0 };
        // An earlier process of the receiver may have served what came there first.
        flags |= if item.is_redelivered || item.times > 1 {
            XF_REDELIVERED
        } else {
            0
        };
        flags |= if item.charge == Charge::Learned {
            XF_LEARNED
        } else {
            0
        };
        let head = TransferHead {
            owner: self.owner,
            to: self.to,
            to_epoch: self.to_epoch.0,
            stream_epoch: self.epoch,
            stream: self.number,
            seq,
            moves: item.moves,
            flags,
            grant: item.grant,
            term: 0,
        };
        let envelope = if is_void {
            Bytes::new()
        } else {
            item.envelope.clone()
        };
        let len = envelope.len();
        out.push(Effect::Forward {
            head,
            envelope,
            ttl_ms,
        });
        len
    }

    /// Removes the next item whose outcome an acknowledgement up to `upto` gives.
    pub(super) fn pop(&mut self, upto: u64, now: Now) -> Option<(u64, Item)> {
        let sent_below = self.next.max(self.resend_below);
        if self.first > upto || self.first >= sent_below {
            return None;
        }
        let item = self.items.pop_front()?;
        let seq = self.first;
        self.first += 1;
        self.next = self.next.max(self.first);
        self.heard = now;
        if item.times == 1
            && let Some(sent) = item.sent
        {
            let sample = now.since(sent);
            self.smoothed = Some(self.smoothed.map_or(sample, |old| (old * 7 + sample) / 8));
        }
        Some((seq, item))
    }

    /// Takes everything back at once.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Item> + use<> {
        self.first = self.end();
        self.next = self.first;
        std::mem::take(&mut self.items).into_iter()
    }

    fn retry(&self) -> Duration {
        self.smoothed
            .map_or(RETRY_MIN, |time| (time * 4).max(RETRY_MIN))
    }

    /// Sends again from the first transfer without an outcome.
    pub(super) fn resend(&mut self, now: Now, out: &mut Effects) {
        if self.items.is_empty() {
            return;
        }
        self.heard = now;
        self.resend_below = self.next.max(self.resend_below);
        self.next = self.first;
        self.pump(now, out);
    }

    /// The map changed: what is open may have been lost with a route.
    pub(super) fn nudge(&mut self, now: Now, out: &mut Effects) {
        let is_recent = self.items.front().and_then(|item| item.sent);
        if is_recent.is_none_or(|sent| now.since(sent) >= NUDGE_GAP) {
            self.resend(now, out);
        }
    }

    /// The receiver's process is a new one: it may deliver again what the old one had.
    pub(super) fn flag_redelivered(&mut self) {
        self.items
            .iter_mut()
            .filter(|item| item.was_sent())
            .for_each(|item| item.is_redelivered = true);
    }

    pub(super) fn tick(&mut self, now: Now, out: &mut Effects) {
        if self.deadline().is_some_and(|due| due <= now) {
            self.resend(now, out);
        }
    }

    /// When an acknowledgement is overdue.
    pub(super) fn deadline(&self) -> Option<Now> {
        (!self.items.is_empty() && self.doubt_since.is_none())
            .then(|| self.heard.plus(self.retry()))
    }

    /// The doubt lasted too long: what is live goes back to its queue and leaves a void. `charges`
    /// gets the credit that is free again.
    pub(super) fn give_up(&mut self, mut charges: impl FnMut(&Item), out: &mut Effects) -> u64 {
        let mut count = 0;
        for item in self
            .items
            .iter_mut()
            .filter(|item| item.state != ItemState::Doubted)
        {
            charges(item);
            let why = if item.state == ItemState::Live {
                ReturnReason::InDoubt
            } else {
                ReturnReason::Expired
            };
            out.push(Effect::Returned(Returned {
                queue: item.queue.clone(),
                token: item.token,
                why,
                is_redelivered: item.is_redelivered || item.was_sent(),
                was_learned: item.charge == Charge::Learned,
                refusals: std::mem::take(&mut item.refusals),
            }));
            item.state = ItemState::Doubted;
            item.envelope = Bytes::new();
            count += 1;
        }
        if count > 0 {
            out.push(Effect::DropParked {
                to: self.to,
                stream: self.number,
            });
        }
        count
    }
}
