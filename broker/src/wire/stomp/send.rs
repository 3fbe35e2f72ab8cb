//! SEND: headers sorted into fields and properties, destinations told apart.

use std::borrow::Cow;

use super::destination::{check_name, is_plain, is_remote, split_prefix};
use super::error::{Failure, FrameError, Refusal, shorten};
use super::frame::FrameRef;
use super::headers;
use super::session::Session;
use super::sink::{Sink, Time};
use super::version::Version;
use crate::model::destination::is_pattern;
use crate::model::{HeaderBlockBuf, Kind, MessageView, ReplyTo};

/// Why the pattern of a subscription is no place to send to.
pub const NO_PATTERN: &str = "a message cannot be sent to a wildcard";

/// The headers of a SEND that are fields of a message.
#[derive(Debug, Default)]
struct Fields<'a> {
    destination: Option<Cow<'a, str>>,
    transaction: Option<Cow<'a, str>>,
    correlation_id: Option<Cow<'a, str>>,
    jms_type: Option<Cow<'a, str>>,
    reply_to: Option<Cow<'a, str>>,
    persistent: Option<bool>,
    expires_ms: Option<i64>,
    timestamp_ms: Option<i64>,
    priority: Option<u8>,
    is_text: Option<bool>,
}

impl Session {
    pub(super) fn on_send(
        &mut self,
        frame: &FrameRef<'_>,
        time: Time,
        sink: &mut impl Sink,
    ) -> Result<(), Failure> {
        // Both keep their memory between messages.
        let mut block = std::mem::take(&mut self.block);
        block.clear();
        self.make_message_id();
        let id = std::mem::take(&mut self.message_id);
        let outcome = self.send(frame, time, &mut block, &id, sink);
        self.block = block;
        self.message_id = id;
        outcome
    }

    fn send(
        &mut self,
        frame: &FrameRef<'_>,
        time: Time,
        block: &mut HeaderBlockBuf,
        id: &[u8],
        sink: &mut impl Sink,
    ) -> Result<(), Failure> {
        let fields = read_fields(frame, self.version, block)?;
        let destination = fields.destination.as_deref();
        let destination = destination.ok_or(Refusal::NoDestination("SEND"))?.trim();
        let transaction = fields.transaction.as_deref();
        if let Some(transaction) = transaction {
            self.count_frame(transaction, sink)?;
        }
        let own_name;
        let reply_to = match fields.reply_to.as_deref().map(str::trim) {
            None => None,
            Some(text) => match self.reply_to(text) {
                Some((kind, name)) if kind.is_temporary() && !is_remote(text) => {
                    own_name = sink.temporary(kind, name)?;
                    Some(ReplyTo::Destination(kind, &own_name))
                }
                Some((kind, name)) => Some(ReplyTo::Destination(kind, name)),
                None => Some(ReplyTo::Text(text)),
            },
        };
        let view = MessageView {
            persistent: fields.persistent.unwrap_or(false),
            text: fields.is_text.unwrap_or(!frame.has_length),
            priority: fields.priority.unwrap_or(4),
            timestamp_ms: fields.timestamp_ms.unwrap_or(time.wall_ms),
            expires_ms: fields.expires_ms.unwrap_or(0),
            correlation_id: fields.correlation_id.as_deref(),
            jms_type: fields.jms_type.as_deref(),
            reply_to,
            headers: block.block(),
            // Made of a prefix that is text and of digits.
            ..MessageView::new(
                Kind::Queue,
                "",
                std::str::from_utf8(id).unwrap_or(""),
                frame.body,
            )
        };
        Ok(self.send_to(destination, transaction, &view, sink)?)
    }

    /// What cannot be a destination of ours is kept as text.
    fn reply_to<'a>(&self, text: &'a str) -> Option<(Kind, &'a str)> {
        let (kind, name) = split_prefix(text)?;
        let is_usable = text.len() <= self.settings.destination_length && check_name(name).is_ok();
        is_usable.then_some((kind, name))
    }

    fn send_to(
        &mut self,
        destination: &str,
        transaction: Option<&str>,
        view: &MessageView<'_>,
        sink: &mut impl Sink,
    ) -> Result<(), Refusal> {
        let (kind, name) = self.split(destination)?;
        let name = name.trim();
        if transaction.is_none() && !kind.is_temporary() && is_plain(name) {
            check_name(name)?;
            return sink.publish(&MessageView {
                kind,
                name,
                ..*view
            });
        }
        let parts = self.parts(destination, sink)?;
        if let Some((_, name)) = parts.iter().find(|(_, name)| is_pattern(name)) {
            return Err(Refusal::BadName(name.clone(), NO_PATTERN));
        }
        for (kind, name) in &parts {
            sink.check_publish(*kind, name)?;
        }
        let original_destination = (parts.len() > 1).then_some(destination);
        for (kind, name) in &parts {
            let part = MessageView {
                kind: *kind,
                name,
                original_destination,
                ..*view
            };
            match transaction {
                None => sink.publish(&part)?,
                Some(id) => self.hold_back(id, &part, sink)?,
            }
        }
        Ok(())
    }
}

/// Sorts the headers of a SEND into fields and properties; the first of equal names wins.
fn read_fields<'a>(
    frame: &FrameRef<'a>,
    version: Version,
    block: &mut HeaderBlockBuf,
) -> Result<Fields<'a>, Failure> {
    let mut fields = Fields::default();
    let mut refusal = None;
    for (index, (raw_name, value)) in frame.headers().enumerate() {
        let name = headers::decode(raw_name, version)?;
        let value = decode_value(value, version)?;
        if headers::is_reserved(&name) {
            continue;
        }
        let outcome = if headers::is_field(&name) {
            fields.set(&name, value)
        } else if is_repeated(frame, index, raw_name) || block.push(&name, &value) {
            Ok(())
        } else {
            Err(Refusal::PropertyTooLong(shorten(&name)))
        };
        // A broken header further down is fatal, and goes before what is only refused.
        refusal = refusal.or(outcome.err());
    }
    match refusal {
        None => Ok(fields),
        Some(refusal) => Err(refusal.into()),
    }
}

fn decode_value(value: &[u8], version: Version) -> Result<Cow<'_, str>, FrameError> {
    Ok(match headers::decode(value, version)? {
        // 1.0 has no escapes, so its values are always borrowed.
        Cow::Borrowed(text) if version == Version::V10 => Cow::Borrowed(text.trim()),
        value => value,
    })
}

/// Names are compared as on the wire: an escape has one spelling only.
fn is_repeated(frame: &FrameRef<'_>, index: usize, name: &[u8]) -> bool {
    frame.headers().take(index).any(|(other, _)| other == name)
}

impl<'a> Fields<'a> {
    fn set(&mut self, name: &str, value: Cow<'a, str>) -> Result<(), Refusal> {
        match name {
            "destination" => keep_first(&mut self.destination, value),
            "transaction" => keep_first(&mut self.transaction, value),
            "correlation-id" => keep_first(&mut self.correlation_id, value),
            "type" => keep_first(&mut self.jms_type, value),
            "reply-to" => keep_first(&mut self.reply_to, value),
            "persistent" => {
                keep_first(
                    &mut self.persistent,
                    value.trim().eq_ignore_ascii_case("true"),
                );
            }
            "expires" if self.expires_ms.is_none() => {
                self.expires_ms = Some(integer("expires", &value)?.max(0));
            }
            "timestamp" if self.timestamp_ms.is_none() => {
                self.timestamp_ms = Some(integer("timestamp", &value)?);
            }
            "priority" if self.priority.is_none() => {
                let clamped = integer("priority", &value)?.clamp(0, 9);
                self.priority = u8::try_from(clamped).ok();
            }
            "amq-msg-type" if self.is_text.is_none() => {
                self.is_text = match value.trim() {
                    "text" => Some(true),
                    "bytes" => Some(false),
                    other => {
                        let allowed = "text or bytes";
                        return Err(Refusal::bad_header("amq-msg-type", other, allowed));
                    }
                };
            }
            _ => {}
        }
        Ok(())
    }
}

fn integer(name: &'static str, value: &str) -> Result<i64, Refusal> {
    let number = value.trim().parse();
    number.map_err(|_| Refusal::bad_header(name, value, "an integer"))
}

fn keep_first<T>(field: &mut Option<T>, value: T) {
    if field.is_none() {
        *field = Some(value);
    }
}
