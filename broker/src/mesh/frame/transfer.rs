//! The head of a transfer (FWD kind 1): whose message it is and where in which stream it stands.

use bytes::{Buf, BufMut};

use super::{FrameError, FwdFrame};
use crate::mesh::ids::Bid;

/// Bytes of the head; the envelope follows.
pub const TRANSFER_HEAD_LEN: usize = 80;
/// Transfer flag: a consumer may have seen it.
pub const XF_REDELIVERED: u16 = 1;
/// Transfer flag: a persistent message.
pub const XF_PERSISTENT: u16 = 2;
/// Transfer flag: sent over a learned route (R12).
pub const XF_LEARNED: u16 = 4;

/// Who hands what to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransferHead {
    /// The owner.
    pub owner: Bid,
    /// The broker that is to become the owner.
    pub to: Bid,
    /// Its epoch, as the owner knows it: no other process of it takes the transfer.
    pub to_epoch: u64,
    /// Owner's epoch when the stream was opened.
    pub stream_epoch: u64,
    /// Number of the stream.
    pub stream: u32,
    /// Number in the stream, from 1.
    pub seq: u64,
    /// Accepted transfers of the message so far (R18).
    pub moves: u16,
    /// `XF_…` bits.
    pub flags: u16,
    /// The grant used; 0 = standing credit.
    pub grant: u64,
    /// Term of the queue's homes; else 0.
    pub term: u64,
}

impl TransferHead {
    /// The bytes before the envelope.
    #[must_use]
    pub fn encode(&self) -> [u8; TRANSFER_HEAD_LEN] {
        let mut bytes = [0; TRANSFER_HEAD_LEN];
        let mut out = &mut bytes[..];
        out.put_slice(&self.owner.0);
        out.put_slice(&self.to.0);
        out.put_u64(self.to_epoch);
        out.put_u64(self.stream_epoch);
        out.put_u32(self.stream);
        out.put_u64(self.seq);
        out.put_u16(self.moves);
        out.put_u16(self.flags);
        out.put_u64(self.grant);
        out.put_u64(self.term);
        bytes
    }

    /// Reads the head of a payload of kind 1.
    ///
    /// # Errors
    /// Fewer bytes than it needs.
    pub fn decode(mut payload: &[u8]) -> Result<Self, FrameError> {
        if payload.len() < TRANSFER_HEAD_LEN {
            return Err(FrameError::Truncated);
        }
        let (mut owner, mut to) = ([0; 16], [0; 16]);
        payload.copy_to_slice(&mut owner);
        payload.copy_to_slice(&mut to);
        Ok(Self {
            owner: Bid(owner),
            to: Bid(to),
            to_epoch: payload.get_u64(),
            stream_epoch: payload.get_u64(),
            stream: payload.get_u32(),
            seq: payload.get_u64(),
            moves: payload.get_u16(),
            flags: payload.get_u16(),
            grant: payload.get_u64(),
            term: payload.get_u64(),
        })
    }

    /// Reads the head of a transfer as it arrived. One that was sent again by a broker on the way may
    /// have been served by an earlier process of this broker.
    ///
    /// # Errors
    /// Fewer bytes than it needs.
    pub fn received(frame: &FwdFrame) -> Result<Self, FrameError> {
        let mut head = Self::decode(&frame.payload())?;
        if frame.head.is_marked {
            head.flags |= XF_REDELIVERED;
        }
        Ok(head)
    }

    /// True when one of the `XF_…` bits is set.
    #[must_use]
    pub const fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }
}
