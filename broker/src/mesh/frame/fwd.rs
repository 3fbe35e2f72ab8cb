//! FWD: a head that is rewritten at each hop, and a tail that is copied verbatim.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::{FLAG_MARKED, FrameError, FrameType, HEADER_LEN, Header};
use crate::mesh::forward::{DSet, SetForm};
use crate::mesh::ids::{Epoch, Sid};

/// Bytes of the head without the set.
pub const FWD_HEAD_LEN: usize = 20;
/// Bytes of the tail before the payload.
pub const TAIL_HEAD_LEN: usize = 32;
/// A FWD whose body is longer is cut into parts of this size.
pub const CUT: usize = 256 * 1024;
/// Tail flag: dropped only when its time is over.
pub const TF_RELIABLE: u16 = 1;
/// Tail flag: acknowledged when the next broker has acknowledged it (R10).
pub const TF_PATH_SAFE: u16 = 2;
/// Tail flag: a persistent message.
pub const TF_PERSISTENT: u16 = 4;

/// The fields rewritten at each hop, without the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FwdHead {
    /// Number on this connection.
    pub lseq: u64,
    /// Time spent in brokers and on links so far.
    pub age_ms: u32,
    /// Links crossed.
    pub hops: u16,
    /// A second copy may exist.
    pub is_marked: bool,
}

/// What the payload of a FWD is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PayloadKind {
    /// A message for a topic: an envelope.
    Topic,
    /// Custody of a queue message: a transfer head and an envelope.
    Transfer,
    /// Routed control: a `Unicast`.
    Control,
    /// Something of a later version, for others to understand.
    Unknown(u8),
}

impl PayloadKind {
    const fn code(self) -> u8 {
        match self {
            Self::Topic => 0,
            Self::Transfer => 1,
            Self::Control => 2,
            Self::Unknown(code) => code,
        }
    }

    const fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Topic,
            1 => Self::Transfer,
            2 => Self::Control,
            other => Self::Unknown(other),
        }
    }
}

/// The fixed fields of a tail, written once by the ingress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TailHead {
    /// The ingress.
    pub origin: Sid,
    /// Traffic class; 0 = everything else.
    pub class: u16,
    /// What the payload is.
    pub kind: PayloadKind,
    /// Flow label.
    pub label: u8,
    /// `TF_…` bits.
    pub flags: u16,
    /// Epoch of the ingress.
    pub epoch: Epoch,
    /// Number per origin and epoch, from 1.
    pub seq: u64,
    /// Lifetime left when it left the ingress; 0 = for ever.
    pub ttl_ms: u32,
    /// Bytes of the payload.
    pub payload_len: u32,
}

impl TailHead {
    /// Appends the fixed fields.
    pub fn encode(&self, out: &mut impl BufMut) {
        out.put_u16(self.origin.0);
        out.put_u16(self.class);
        out.put_u8(self.kind.code());
        out.put_u8(self.label);
        out.put_u16(self.flags);
        out.put_u64(self.epoch.0);
        out.put_u64(self.seq);
        out.put_u32(self.ttl_ms);
        out.put_u32(self.payload_len);
    }

    /// Reads the fixed fields.
    ///
    /// # Errors
    /// Fewer bytes than they need.
    pub fn decode(mut tail: &[u8]) -> Result<Self, FrameError> {
        if tail.len() < TAIL_HEAD_LEN {
            return Err(FrameError::Truncated);
        }
        Ok(Self {
            origin: Sid(tail.get_u16()),
            class: tail.get_u16(),
            kind: PayloadKind::from_code(tail.get_u8()),
            label: tail.get_u8(),
            flags: tail.get_u16(),
            epoch: Epoch(tail.get_u64()),
            seq: tail.get_u64(),
            ttl_ms: tail.get_u32(),
            payload_len: tail.get_u32(),
        })
    }

    /// True when one of the `TF_…` bits is set.
    #[must_use]
    pub const fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    /// The whole tail in one piece. `parts` together are the payload.
    #[must_use]
    pub fn with_payload(mut self, parts: &[&[u8]]) -> Bytes {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        self.payload_len = u32::try_from(len).unwrap_or(u32::MAX);
        let mut tail = BytesMut::with_capacity(TAIL_HEAD_LEN + len);
        self.encode(&mut tail);
        parts.iter().for_each(|part| tail.extend_from_slice(part));
        tail.freeze()
    }
}

/// A complete FWD as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FwdFrame {
    /// The fields of this hop.
    pub head: FwdHead,
    /// Who still has to get it.
    pub dset: DSet,
    /// Fixed fields of the tail.
    pub tail_head: TailHead,
    /// The tail, fixed fields included: what is sent on.
    pub tail: Bytes,
}

impl FwdFrame {
    /// The payload: shares the tail's bytes.
    #[must_use]
    pub fn payload(&self) -> Bytes {
        self.tail.slice(TAIL_HEAD_LEN..)
    }
}

/// Where the parts of a FWD are in its body.
struct Layout {
    head: FwdHead,
    form: SetForm,
    tail_at: usize,
}

fn layout(flags: u8, mut body: &[u8]) -> Result<Layout, FrameError> {
    if body.len() < FWD_HEAD_LEN {
        return Err(FrameError::Truncated);
    }
    let is_marked = flags & FLAG_MARKED != 0;
    let head = FwdHead {
        lseq: body.get_u64(),
        age_ms: body.get_u32(),
        hops: body.get_u16(),
        is_marked,
    };
    let kind = body.get_u8();
    body.advance(1);
    let form = SetForm {
        kind,
        count: body.get_u16(),
        base: body.get_u16(),
    };
    let tail_at = FWD_HEAD_LEN + form.byte_len()?;
    Ok(Layout {
        head,
        form,
        tail_at,
    })
}

/// Reads a complete FWD. `flags` are those of its header, `body` everything after the header, with
/// the bodies of its continuations appended.
///
/// # Errors
/// The connection ends.
pub fn decode_fwd(flags: u8, body: &Bytes) -> Result<FwdFrame, FrameError> {
    let Layout {
        head,
        form,
        tail_at,
    } = layout(flags, body)?;
    let members = body
        .get(FWD_HEAD_LEN..tail_at)
        .ok_or(FrameError::Truncated)?;
    let dset = DSet::decode(form, members)?;
    let tail_head = TailHead::decode(&body[tail_at..])?;
    let declared = usize::try_from(tail_head.payload_len).unwrap_or(usize::MAX);
    let received = body.len() - tail_at - TAIL_HEAD_LEN;
    if declared != received {
        return Err(FrameError::LengthMismatch { declared, received });
    }
    Ok(FwdFrame {
        head,
        dset,
        tail_head,
        tail: body.slice(tail_at..),
    })
}

/// Appends header, head and set of a FWD, for a tail of `tail_len` bytes of which `first` follow
/// in this frame and the rest in continuations ([`cuts`] tells).
pub fn encode_fwd_start(head: FwdHead, dset: &DSet, first: usize, out: &mut impl BufMut) {
    let form = dset.form();
    let members = form.byte_len().unwrap_or(0);
    let flags = if head.is_marked { FLAG_MARKED } else { 0 };
    Header::new(FrameType::Fwd, flags, FWD_HEAD_LEN + members + first).encode(out);
    out.put_u64(head.lseq);
    out.put_u32(head.age_ms);
    out.put_u16(head.hops);
    out.put_u8(form.kind);
    out.put_u8(0);
    out.put_u16(form.count);
    out.put_u16(form.base);
    dset.encode(form, out);
}

/// Ranges of the tail per frame: the first for the FWD, each further one for a CONT.
pub fn cuts(dset: &DSet, tail_len: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let head = FWD_HEAD_LEN + dset.form().byte_len().unwrap_or(0);
    let first = tail_len.min(CUT - head.min(CUT / 2));
    let rest = (first..tail_len)
        .step_by(CUT)
        .map(move |at| at..tail_len.min(at + CUT));
    std::iter::once(0..first).chain(rest)
}

/// Appends a whole FWD with its continuations, where copying the tail is cheaper than a second
/// buffer for the socket.
pub fn encode_fwd(head: FwdHead, dset: &DSet, tail: &[u8], out: &mut Vec<u8>) {
    out.reserve(HEADER_LEN + FWD_HEAD_LEN + 2 * dset.len() + tail.len());
    for (at, range) in cuts(dset, tail.len()).enumerate() {
        if at == 0 {
            encode_fwd_start(head, dset, range.len(), out);
        } else {
            Header::new(FrameType::Cont, 0, range.len()).encode(out);
        }
        out.extend_from_slice(&tail[range]);
    }
}

/// Puts the FWD frames of one connection together and checks that they are numbered without gaps.
#[derive(Debug)]
pub struct Reassembly {
    limit: usize,
    last: u64,
    partial: Option<Partial>,
}

#[derive(Debug)]
struct Partial {
    flags: u8,
    whole: usize,
    body: BytesMut,
}

impl Reassembly {
    /// For one connection that takes frames up to `limit` bytes, continuations included.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self {
            limit,
            last: 0,
            partial: None,
        }
    }

    /// Number of the last complete frame.
    #[must_use]
    pub const fn last(&self) -> u64 {
        self.last
    }

    /// Takes the body of a FWD; gives the frame when it is complete.
    ///
    /// # Errors
    /// The connection ends.
    pub fn fwd(&mut self, flags: u8, body: Bytes) -> Result<Option<FwdFrame>, FrameError> {
        if self.partial.is_some() {
            return Err(FrameError::Interleaved);
        }
        let layout = layout(flags, &body)?;
        let tail = body.get(layout.tail_at..).ok_or(FrameError::Truncated)?;
        let payload = usize::try_from(TailHead::decode(tail)?.payload_len).unwrap_or(usize::MAX);
        let whole = payload.saturating_add(layout.tail_at + TAIL_HEAD_LEN);
        if whole > self.limit {
            return Err(FrameError::TooLarge {
                len: whole,
                limit: self.limit,
            });
        }
        if body.len() < whole {
            self.partial = Some(Partial {
                flags,
                whole,
                body: BytesMut::from(body),
            });
            return Ok(None);
        }
        self.complete(flags, &body).map(Some)
    }

    /// Takes the body of a CONT; gives the frame when it is complete.
    ///
    /// # Errors
    /// The connection ends.
    pub fn cont(&mut self, body: &[u8]) -> Result<Option<FwdFrame>, FrameError> {
        let Some(mut partial) = self.partial.take() else {
            return Err(FrameError::ContWithoutFwd);
        };
        let received = partial.body.len() + body.len();
        if received > partial.whole {
            return Err(FrameError::LengthMismatch {
                declared: partial.whole,
                received,
            });
        }
        partial.body.extend_from_slice(body);
        if received < partial.whole {
            self.partial = Some(partial);
            return Ok(None);
        }
        self.complete(partial.flags, &partial.body.freeze())
            .map(Some)
    }

    fn complete(&mut self, flags: u8, body: &Bytes) -> Result<FwdFrame, FrameError> {
        let frame = decode_fwd(flags, body)?;
        let expected = self.last + 1;
        if frame.head.lseq != expected {
            return Err(FrameError::SequenceGap {
                expected,
                got: frame.head.lseq,
            });
        }
        self.last = expected;
        Ok(frame)
    }
}
