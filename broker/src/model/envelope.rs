//! The envelope: the canonical encoding of a message, the same bytes on links and in queues.
//!
//! Layout, big-endian: `u8 version (1), u8 flags, u8 kind, u8 priority, u16 redeliveries, i64
//! timestamp`, then length-prefixed parts (`u16` length, `0xFFFF` = absent): name, id, user,
//! correlation id, type, original destination, reply-to (its first byte is the kind, 255 = plain
//! text), the 16-byte id of the broker where the reply is awaited; then `u32` length and the header block; the rest is the body. Expiry is not in it: it
//! travels as the time that is left.

use super::destination::Kind;
use super::headers::HeaderBlock;
use super::message::{MessageView, ReplyTo};

const VERSION: u8 = 1;
const ABSENT: u16 = 0xffff;
const PLAIN_TEXT: u8 = 255;
const HEAD: usize = 14;

const PERSISTENT: u8 = 1;
const TEXT: u8 = 2;
const REDELIVERED: u8 = 4;

/// Why bytes are not an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// The first byte is not a version this release reads.
    #[error("envelope version {0} is not known")]
    Version(u8),
    /// A length reaches beyond the end.
    #[error("envelope is cut short")]
    Short,
    /// A kind that does not exist.
    #[error("envelope has an unknown destination kind {0}")]
    UnknownKind(u8),
    /// Text that is not UTF-8, or a header block that does not parse.
    #[error("envelope holds malformed text")]
    Malformed,
}

/// Bytes that `encode` will append.
#[must_use]
pub fn encoded_len(view: &MessageView<'_>) -> usize {
    let optional = |text: Option<&str>| 2 + text.map_or(0, str::len);
    let reply_to = match view.reply_to {
        Some(ReplyTo::Destination(_, text) | ReplyTo::Text(text)) => 3 + text.len(),
        None => 2,
    };
    HEAD + 4
        + view.name.len()
        + view.id.len()
        + optional(view.user)
        + optional(view.correlation_id)
        + optional(view.jms_type)
        + optional(view.original_destination)
        + reply_to
        + if view.reply_home.is_some() { 18 } else { 2 }
        + 4
        + view.headers.as_bytes().len()
        + view.body.len()
}

/// Appends the envelope of `view`. Parts longer than 65,534 bytes are cut there; the limits on
/// names, ids and header lines keep them below.
pub fn encode(view: &MessageView<'_>, out: &mut Vec<u8>) {
    out.reserve(encoded_len(view));
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    out.extend_from_slice(&[
        VERSION,
        flag(view.persistent, PERSISTENT)
            | flag(view.text, TEXT)
            | flag(view.redelivered, REDELIVERED),
        view.kind.code(),
        view.priority,
    ]);
    out.extend_from_slice(&view.redeliveries.to_be_bytes());
    out.extend_from_slice(&view.timestamp_ms.to_be_bytes());
    put_part(out, Some(view.name));
    put_part(out, Some(view.id));
    put_part(out, view.user);
    put_part(out, view.correlation_id);
    put_part(out, view.jms_type);
    put_part(out, view.original_destination);
    put_reply_to(out, view.reply_to);
    match view.reply_home {
        None => out.extend_from_slice(&ABSENT.to_be_bytes()),
        Some(home) => {
            out.extend_from_slice(&16_u16.to_be_bytes());
            out.extend_from_slice(&home);
        }
    }
    let headers = view.headers.as_bytes();
    out.extend_from_slice(
        &u32::try_from(headers.len())
            .unwrap_or(u32::MAX)
            .to_be_bytes(),
    );
    out.extend_from_slice(headers);
    out.extend_from_slice(view.body);
}

fn put_part(out: &mut Vec<u8>, part: Option<&str>) {
    match part {
        None => out.extend_from_slice(&ABSENT.to_be_bytes()),
        Some(text) => {
            let bytes = cut(text, usize::from(ABSENT) - 1);
            out.extend_from_slice(&length(bytes.len()).to_be_bytes());
            out.extend_from_slice(bytes.as_bytes());
        }
    }
}

fn put_reply_to(out: &mut Vec<u8>, reply_to: Option<ReplyTo<'_>>) {
    let (code, text) = match reply_to {
        None => return out.extend_from_slice(&ABSENT.to_be_bytes()),
        Some(ReplyTo::Destination(kind, name)) => (kind.code(), name),
        Some(ReplyTo::Text(text)) => (PLAIN_TEXT, text),
    };
    let text = cut(text, usize::from(ABSENT) - 2);
    out.extend_from_slice(&length(text.len() + 1).to_be_bytes());
    out.push(code);
    out.extend_from_slice(text.as_bytes());
}

fn length(bytes: usize) -> u16 {
    u16::try_from(bytes).unwrap_or(ABSENT - 1)
}

fn cut(text: &str, limit: usize) -> &str {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Reads an envelope; every part borrows from `bytes`.
///
/// # Errors
/// The bytes are not an envelope of a known version.
pub fn decode(bytes: &[u8]) -> Result<MessageView<'_>, EnvelopeError> {
    let (head, rest) = bytes.split_at_checked(HEAD).ok_or(EnvelopeError::Short)?;
    if head[0] != VERSION {
        return Err(EnvelopeError::Version(head[0]));
    }
    let kind = Kind::from_code(head[2]).ok_or(EnvelopeError::UnknownKind(head[2]))?;
    let mut reader = Reader { rest };
    let name = reader.text()?.ok_or(EnvelopeError::Malformed)?;
    let id = reader.text()?.ok_or(EnvelopeError::Malformed)?;
    let user = reader.text()?;
    let correlation_id = reader.text()?;
    let jms_type = reader.text()?;
    let original_destination = reader.text()?;
    let reply_to = reader.reply_to()?;
    let reply_home = match reader.part()? {
        None => None,
        Some(part) => Some(part.try_into().map_err(|_| EnvelopeError::Malformed)?),
    };
    let headers = reader.headers()?;
    Ok(MessageView {
        kind,
        name,
        id,
        persistent: head[1] & PERSISTENT != 0,
        text: head[1] & TEXT != 0,
        redelivered: head[1] & REDELIVERED != 0,
        redeliveries: u16::from_be_bytes([head[4], head[5]]),
        priority: head[3].min(9),
        timestamp_ms: i64::from_be_bytes([
            head[6], head[7], head[8], head[9], head[10], head[11], head[12], head[13],
        ]),
        expires_ms: 0,
        correlation_id,
        jms_type,
        reply_to,
        reply_home,
        user,
        original_destination,
        headers,
        body: reader.rest,
    })
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], EnvelopeError> {
        let (part, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(EnvelopeError::Short)?;
        self.rest = rest;
        Ok(part)
    }

    fn part(&mut self) -> Result<Option<&'a [u8]>, EnvelopeError> {
        let length = self.take(2)?;
        let length = u16::from_be_bytes([length[0], length[1]]);
        if length == ABSENT {
            return Ok(None);
        }
        self.take(usize::from(length)).map(Some)
    }

    fn text(&mut self) -> Result<Option<&'a str>, EnvelopeError> {
        self.part()?.map(utf8).transpose()
    }

    fn reply_to(&mut self) -> Result<Option<ReplyTo<'a>>, EnvelopeError> {
        let Some(part) = self.part()? else {
            return Ok(None);
        };
        let (code, text) = part.split_first().ok_or(EnvelopeError::Malformed)?;
        let text = utf8(text)?;
        if *code == PLAIN_TEXT {
            return Ok(Some(ReplyTo::Text(text)));
        }
        let kind = Kind::from_code(*code).ok_or(EnvelopeError::UnknownKind(*code))?;
        Ok(Some(ReplyTo::Destination(kind, text)))
    }

    fn headers(&mut self) -> Result<HeaderBlock<'a>, EnvelopeError> {
        let length = self.take(4)?;
        let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]);
        let length = usize::try_from(length).map_err(|_| EnvelopeError::Short)?;
        let block = HeaderBlock::new(self.take(length)?);
        if block.is_well_formed() {
            Ok(block)
        } else {
            Err(EnvelopeError::Malformed)
        }
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, EnvelopeError> {
    std::str::from_utf8(bytes).map_err(|_| EnvelopeError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::{EnvelopeError, decode, encode, encoded_len};
    use crate::model::{HeaderBlockBuf, Kind, MessageView, ReplyTo};

    fn full(headers: &HeaderBlockBuf) -> MessageView<'_> {
        MessageView {
            persistent: true,
            text: false,
            redelivered: true,
            redeliveries: 3,
            priority: 9,
            timestamp_ms: 1_700_000_000_123,
            correlation_id: Some("c"),
            jms_type: Some("t"),
            reply_to: Some(ReplyTo::Destination(Kind::TempQueue, "ID:ie-1")),
            reply_home: Some([7; 16]),
            user: Some("amq"),
            original_destination: Some("queue://a,b"),
            headers: headers.block(),
            ..MessageView::new(Kind::Queue, "a", "ID:1", b"body\0")
        }
    }

    #[test]
    fn every_field_comes_back() {
        let mut headers = HeaderBlockBuf::default();
        assert!(headers.push("mc_identity", "web1"));
        let view = full(&headers);
        let mut bytes = Vec::new();
        encode(&view, &mut bytes);
        assert_eq!(bytes.len(), encoded_len(&view));
        assert_eq!(decode(&bytes), Ok(view));
    }

    #[test]
    fn a_cut_envelope_is_an_error_and_never_a_panic() {
        let headers = HeaderBlockBuf::default();
        let mut bytes = Vec::new();
        encode(&full(&headers), &mut bytes);
        let body_start = bytes.len() - 5;
        for end in 0..body_start {
            assert!(decode(&bytes[..end]).is_err(), "cut at {end}");
        }
        bytes[0] = 9;
        assert_eq!(decode(&bytes), Err(EnvelopeError::Version(9)));
    }
}
