//! The bytes of a link: the 8-byte header of every frame, what may arrive in which phase, and how
//! long it may be. FWD and its parts are in [`fwd`], custody's head in [`transfer`].
//!
//! Nothing here allocates by a declared length.

mod fwd;
mod transfer;

#[cfg(test)]
mod tests;

use bytes::{Buf, BufMut};

use super::messages::Reason;

pub use fwd::{
    CUT, FWD_HEAD_LEN, FwdFrame, FwdHead, PayloadKind, Reassembly, TAIL_HEAD_LEN, TF_PATH_SAFE,
    TF_PERSISTENT, TF_RELIABLE, TailHead, cuts, decode_fwd, encode_fwd, encode_fwd_start,
};
pub use transfer::{TRANSFER_HEAD_LEN, TransferHead, XF_LEARNED, XF_PERSISTENT, XF_REDELIVERED};

/// Bytes of the header of every frame.
pub const HEADER_LEN: usize = 8;
/// Limit of a control frame.
pub const CONTROL_LIMIT: usize = 64 * 1024;
/// Limit of everything together before authentication.
pub const PRE_AUTH_LIMIT: usize = 16 * 1024;
/// A FWD may be this much longer than the largest client frame.
pub const FWD_EXTRA: usize = 64 * 1024;
/// Header flag: this FWD may be a second copy (R10).
pub const FLAG_MARKED: u8 = 1;
/// Header flag: the body is compressed.
pub const FLAG_LZ4: u8 = 2;
/// Types from here on may be skipped by whoever does not know them.
const FIRST_IGNORABLE: u8 = 0x80;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum FrameType {
    /// Proof of a password.
    Auth = 0x01,
    /// Who speaks.
    Hello = 0x02,
    /// The HELLO was accepted.
    Accept = 0x03,
    /// The HELLO was refused.
    Refuse = 0x04,
    /// The connection ends.
    Bye = 0x05,
    /// Sign of life.
    Ping = 0x06,
    /// Answer to it.
    Pong = 0x07,
    /// What the sender stores.
    Digest = 0x10,
    /// Asks for a record.
    Req = 0x11,
    /// Link-state advertisement.
    Lsa = 0x12,
    /// Change of interest.
    Int = 0x13,
    /// Part of all interest of one broker.
    IntSnap = 0x14,
    /// Everything asked for has been sent.
    Synced = 0x15,
    /// Site report.
    Report = 0x16,
    /// Congestion hint.
    Cong = 0x18,
    /// Message or routed control.
    Fwd = 0x20,
    /// Continuation of a FWD.
    Cont = 0x21,
    /// Acknowledgement of FWD frames.
    Lack = 0x22,
}

impl FrameType {
    /// The type a header's number stands for.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0x01 => Self::Auth,
            0x02 => Self::Hello,
            0x03 => Self::Accept,
            0x04 => Self::Refuse,
            0x05 => Self::Bye,
            0x06 => Self::Ping,
            0x07 => Self::Pong,
            0x10 => Self::Digest,
            0x11 => Self::Req,
            0x12 => Self::Lsa,
            0x13 => Self::Int,
            0x14 => Self::IntSnap,
            0x15 => Self::Synced,
            0x16 => Self::Report,
            0x18 => Self::Cong,
            0x20 => Self::Fwd,
            0x21 => Self::Cont,
            0x22 => Self::Lack,
            _ => return None,
        })
    }

    /// True for FWD, CONT and LACK, which never reach the control core.
    #[must_use]
    pub const fn is_data(self) -> bool {
        matches!(self, Self::Fwd | Self::Cont | Self::Lack)
    }

    /// True when the type may arrive in that phase.
    #[must_use]
    pub const fn is_allowed(self, phase: Phase) -> bool {
        match phase {
            Phase::PreAuth => matches!(self, Self::Auth | Self::Hello | Self::Refuse | Self::Bye),
            Phase::Hello => matches!(self, Self::Hello | Self::Accept | Self::Refuse | Self::Bye),
            Phase::Sync => !self.is_handshake() && !self.is_data(),
            Phase::Up => !self.is_handshake(),
        }
    }

    const fn is_handshake(self) -> bool {
        matches!(self, Self::Auth | Self::Hello | Self::Accept | Self::Refuse)
    }
}

/// How far a connection has come, as the receiver of a frame sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The peer is not proved: AUTH, and the HELLO of a peer with a certificate.
    PreAuth,
    /// Proved, not accepted both ways.
    Hello,
    /// Accepted both ways, synchronising.
    Sync,
    /// SYNCED was received: data may come.
    Up,
}

/// Everything a peer can do wrong in bytes; section 4.5 of the design. Each ends the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A type below 0x80 that does not exist.
    #[error("unknown frame type {0:#04x}")]
    UnknownType(u8),
    /// A type that may not come yet, or not any more.
    #[error("{kind:?} is not allowed in phase {phase:?}")]
    WrongPhase {
        /// What came.
        kind: FrameType,
        /// When.
        phase: Phase,
    },
    /// Longer than its kind may be.
    #[error("a frame of {len} bytes is above the limit of {limit}")]
    TooLarge {
        /// Declared length.
        len: usize,
        /// What is allowed.
        limit: usize,
    },
    /// Compressed without the capability.
    #[error("a compressed frame without the capability")]
    Compressed,
    /// A control frame that does not decode.
    #[error("a {0:?} does not decode")]
    Undecodable(FrameType),
    /// A frame too short for its fixed fields.
    #[error("a frame is too short for its fixed fields")]
    Truncated,
    /// Neither list nor bitmap.
    #[error("unknown form {0} of the destination set")]
    UnknownSetForm(u8),
    /// No destination.
    #[error("empty destination set")]
    EmptySet,
    /// A list that is not ascending.
    #[error("unsorted destination set")]
    UnsortedSet,
    /// A site twice.
    #[error("site {0} twice in a destination set")]
    RepeatedMember(u16),
    /// Site 0 does not exist.
    #[error("site 0 in a destination set")]
    ZeroMember,
    /// More than 4,096 members.
    #[error("{0} members in a destination set")]
    TooManyMembers(usize),
    /// More than 1,024 words.
    #[error("{0} words in a destination set")]
    TooManyWords(usize),
    /// Words beyond site 65,535.
    #[error("a destination set beyond the last site")]
    WordsOutOfRange,
    /// FWD frames are numbered without gaps.
    #[error("frame {got} where {expected} was due")]
    SequenceGap {
        /// The number that was due.
        expected: u64,
        /// The number that came.
        got: u64,
    },
    /// A continuation of nothing.
    #[error("a continuation without a frame to continue")]
    ContWithoutFwd,
    /// A FWD before the one before it was complete.
    #[error("a frame inside an unfinished one")]
    Interleaved,
    /// The payload is not as long as declared.
    #[error("a payload of {received} bytes where {declared} were declared")]
    LengthMismatch {
        /// What the frame says.
        declared: usize,
        /// What came.
        received: usize,
    },
    /// A LACK is 8 bytes.
    #[error("an acknowledgement of {0} bytes")]
    LackLength(usize),
    /// An acknowledgement of what was not sent.
    #[error("acknowledgement of frame {lseq}, {sent} was the last one sent")]
    LackAhead {
        /// The number acknowledged.
        lseq: u64,
        /// The last one sent.
        sent: u64,
    },
}

impl FrameError {
    /// What the BYE says.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::TooLarge { .. } => Reason::TooLarge,
            _ => Reason::Protocol,
        }
    }
}

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the body.
    pub len: u32,
    /// Number of the type.
    pub code: u8,
    /// `FLAG_…` bits.
    pub flags: u8,
}

/// What to do with a frame whose header was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Read the body and handle it.
    Take(FrameType),
    /// Read past the body: an extension that may be ignored.
    Skip,
}

/// Largest bodies of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// FWD with everything that continues it.
    pub fwd: usize,
    /// Whether LZ4 was chosen.
    pub lz4: bool,
}

impl Limits {
    /// Limits of a broker whose clients may send frames of that size.
    #[must_use]
    pub const fn for_client_frame(limit: usize) -> Self {
        Self {
            fwd: limit.saturating_add(FWD_EXTRA),
            lz4: false,
        }
    }

    /// Judges a header before its body is read.
    ///
    /// # Errors
    /// The connection ends with [`FrameError::reason`].
    pub fn admit(&self, header: Header, phase: Phase) -> Result<Admission, FrameError> {
        let kind = FrameType::from_code(header.code);
        let limit = match (kind, phase) {
            (_, Phase::PreAuth) => PRE_AUTH_LIMIT,
            (Some(FrameType::Fwd | FrameType::Cont), Phase::Up) => self.fwd,
            _ => CONTROL_LIMIT,
        };
        if kind.is_none() && header.code < FIRST_IGNORABLE {
            return Err(FrameError::UnknownType(header.code));
        }
        if let Some(kind) = kind
            && !kind.is_allowed(phase)
        {
            return Err(FrameError::WrongPhase { kind, phase });
        }
        let len = usize::try_from(header.len).unwrap_or(usize::MAX);
        if len > limit {
            return Err(FrameError::TooLarge { len, limit });
        }
        if header.flags & FLAG_LZ4 != 0 && !self.lz4 {
            return Err(FrameError::Compressed);
        }
        Ok(kind.map_or(Admission::Skip, Admission::Take))
    }
}

impl Header {
    /// The header of a body of that length. Bodies are bounded far below 4 GiB.
    #[must_use]
    pub fn new(kind: FrameType, flags: u8, len: usize) -> Self {
        Self {
            len: u32::try_from(len).unwrap_or(u32::MAX),
            code: kind as u8,
            flags,
        }
    }

    /// Reads a header; `None` while fewer than 8 bytes are there.
    #[must_use]
    pub fn decode(mut bytes: &[u8]) -> Option<Self> {
        if bytes.len() < HEADER_LEN {
            return None;
        }
        Some(Self {
            len: bytes.get_u32(),
            code: bytes.get_u8(),
            flags: bytes.get_u8(),
        })
    }

    /// Appends the 8 bytes.
    pub fn encode(self, out: &mut impl BufMut) {
        out.put_u32(self.len);
        out.put_u8(self.code);
        out.put_u8(self.flags);
        out.put_u16(0);
    }
}

/// Appends a whole control frame.
pub fn encode_control(kind: FrameType, message: &impl prost::Message, out: &mut Vec<u8>) {
    let len = message.encoded_len();
    out.reserve(HEADER_LEN + len);
    Header::new(kind, 0, len).encode(out);
    message.encode_raw(out);
}

/// Decodes the body of a control frame.
///
/// # Errors
/// It is no message of that kind.
pub fn decode_control<M: prost::Message + Default>(
    kind: FrameType,
    body: &[u8],
) -> Result<M, FrameError> {
    M::decode(body).map_err(|_| FrameError::Undecodable(kind))
}

/// Appends a SYNCED.
pub fn encode_synced(out: &mut Vec<u8>) {
    Header::new(FrameType::Synced, 0, 0).encode(out);
}

/// Appends a LACK of everything up to `lseq`.
pub fn encode_lack(lseq: u64, out: &mut Vec<u8>) {
    Header::new(FrameType::Lack, 0, 8).encode(out);
    out.put_u64(lseq);
}

/// Reads a LACK.
///
/// # Errors
/// It has another length than 8 bytes.
pub fn decode_lack(body: &[u8]) -> Result<u64, FrameError> {
    let bytes = <[u8; 8]>::try_from(body).map_err(|_| FrameError::LackLength(body.len()))?;
    Ok(u64::from_be_bytes(bytes))
}
