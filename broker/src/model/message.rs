//! A message: the borrowed view that routing, selectors and encoders read, and the owned form that
//! queues, rings and durable subscriptions keep.

use bytes::Bytes;

use super::destination::Kind;
use super::envelope::{self, EnvelopeError};
use super::headers::HeaderBlock;

/// Where an answer is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyTo<'a> {
    /// A destination of ours.
    Destination(Kind, &'a str),
    /// Text without a known prefix: kept as the property `reply-to` and shown unchanged.
    Text(&'a str),
}

/// A message as it is read everywhere. All parts are borrowed: from the frame it arrived in, or from
/// the envelope of a kept message.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MessageView<'a> {
    /// Name space of the destination.
    pub kind: Kind,
    /// Name of the destination, without prefix.
    pub name: &'a str,
    /// Network-wide unique id, the same for every subscriber.
    pub id: &'a str,
    /// Survives a restart where there is a store.
    pub persistent: bool,
    /// Text message (no `content-length` towards STOMP clients); else bytes.
    pub text: bool,
    /// Was handed to a consumer before.
    pub redelivered: bool,
    /// How often it came back from a consumer.
    pub redeliveries: u16,
    /// 0 to 9; 4 by default.
    pub priority: u8,
    /// Milliseconds since 1970 UTC, as the sender or the first broker said.
    pub timestamp_ms: i64,
    /// Milliseconds since 1970 UTC by this broker's clock; 0 = never.
    pub expires_ms: i64,
    /// JMSCorrelationID.
    pub correlation_id: Option<&'a str>,
    /// JMSType.
    pub jms_type: Option<&'a str>,
    /// JMSReplyTo.
    pub reply_to: Option<ReplyTo<'a>>,
    /// The broker where the consumer of `reply_to` was when the message entered the network (R12).
    pub reply_home: Option<[u8; 16]>,
    /// Authenticated name of the sender.
    pub user: Option<&'a str>,
    /// The composite this copy was made from.
    pub original_destination: Option<&'a str>,
    /// Application properties.
    pub headers: HeaderBlock<'a>,
    /// The body, byte-exact.
    pub body: &'a [u8],
}

impl<'a> MessageView<'a> {
    /// A message of that destination with nothing else set.
    #[must_use]
    pub const fn new(kind: Kind, name: &'a str, id: &'a str, body: &'a [u8]) -> Self {
        Self {
            kind,
            name,
            id,
            persistent: false,
            text: true,
            redelivered: false,
            redeliveries: 0,
            priority: 4,
            timestamp_ms: 0,
            expires_ms: 0,
            correlation_id: None,
            jms_type: None,
            reply_to: None,
            reply_home: None,
            user: None,
            original_destination: None,
            headers: HeaderBlock::new(&[]),
            body,
        }
    }

    /// Appends the envelope: the canonical bytes of everything but expiry.
    pub fn encode(&self, out: &mut Vec<u8>) {
        envelope::encode(self, out);
    }
}

/// A message that is kept: one refcounted envelope and the fields that change while it waits.
#[derive(Debug, Clone)]
pub struct Message {
    envelope: Bytes,
    /// Milliseconds since 1970 UTC by this broker's clock; 0 = never.
    pub expires_ms: i64,
    /// Was handed to a consumer before.
    pub redelivered: bool,
    /// How often it came back from a consumer.
    pub redeliveries: u16,
}

impl Message {
    /// Keeps a copy of what the view shows.
    #[must_use]
    pub fn from_view(view: &MessageView<'_>) -> Self {
        let mut bytes = Vec::with_capacity(envelope::encoded_len(view));
        view.encode(&mut bytes);
        Self {
            envelope: Bytes::from(bytes),
            expires_ms: view.expires_ms,
            redelivered: view.redelivered,
            redeliveries: view.redeliveries,
        }
    }

    /// Takes an envelope that came over a link, after checking it.
    ///
    /// # Errors
    /// The envelope does not decode.
    pub fn from_envelope(bytes: Bytes, expires_ms: i64) -> Result<Self, EnvelopeError> {
        let view = envelope::decode(&bytes)?;
        let (redelivered, redeliveries) = (view.redelivered, view.redeliveries);
        Ok(Self {
            envelope: bytes,
            expires_ms,
            redelivered,
            redeliveries,
        })
    }

    /// The message to read. `None` never happens for a value made by the constructors, which have
    /// decoded the same bytes.
    #[must_use]
    pub fn view(&self) -> Option<MessageView<'_>> {
        let mut view = envelope::decode(&self.envelope).ok()?;
        view.expires_ms = self.expires_ms;
        view.redelivered = self.redelivered;
        view.redeliveries = self.redeliveries;
        Some(view)
    }

    /// The canonical bytes, shared.
    #[must_use]
    pub const fn envelope(&self) -> &Bytes {
        &self.envelope
    }

    /// Bytes that this message keeps in memory.
    #[must_use]
    pub fn len(&self) -> usize {
        self.envelope.len()
    }

    /// Never true: an envelope has a head.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.envelope.is_empty()
    }

    /// True when it may no longer be delivered at `wall_ms`.
    #[must_use]
    pub const fn is_expired(&self, wall_ms: i64) -> bool {
        self.expires_ms != 0 && self.expires_ms <= wall_ms
    }
}
