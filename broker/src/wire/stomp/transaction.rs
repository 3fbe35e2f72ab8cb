//! SEND, and the transactions that hold sends back.

use std::borrow::Cow;

use super::error::{FrameError, Refusal};
use super::frame::FrameRef;
use super::headers;
use super::session::{MAX_TRANSACTIONS, Session, Sink, Time};
use super::subscribe::{check_name, split_prefix};
use super::version::Version;
use crate::model::destination::is_pattern;
use crate::model::{HeaderBlockBuf, Kind, Message, MessageView, ReplyTo};

/// What an open transaction holds back.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    sends: Vec<Message>,
    bytes: usize,
    frames: usize,
}

/// The headers of a SEND that are fields of a message.
#[derive(Debug, Default)]
struct Fields<'a> {
    destination: Option<Cow<'a, str>>,
    transaction: Option<Cow<'a, str>>,
    correlation_id: Option<Cow<'a, str>>,
    jms_type: Option<Cow<'a, str>>,
    reply_to: Option<Cow<'a, str>>,
    persistent: bool,
    expires_ms: i64,
    timestamp_ms: Option<i64>,
    priority: u8,
    text: Option<bool>,
}

type Outcome<T> = Result<Result<T, Refusal>, FrameError>;

impl Session {
    pub(super) fn on_send(
        &mut self,
        frame: &FrameRef<'_>,
        time: Time,
        sink: &mut impl Sink,
    ) -> Result<Result<(), Refusal>, FrameError> {
        let mut block = std::mem::take(&mut self.block);
        block.clear();
        let outcome = self.send_with(frame, time, &mut block, sink);
        self.block = block;
        outcome
    }

    fn send_with(
        &mut self,
        frame: &FrameRef<'_>,
        time: Time,
        block: &mut HeaderBlockBuf,
        sink: &mut impl Sink,
    ) -> Outcome<()> {
        let fields = match read_fields(frame, self.version, block)? {
            Ok(fields) => fields,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let Some(destination) = fields.destination.as_deref() else {
            return Ok(Err(Refusal::NoDestination("SEND")));
        };
        self.make_message_id();
        let message_id = std::mem::take(&mut self.message_id);
        let reply_name;
        let reply_to = match fields.reply_to.as_deref().map(str::trim) {
            None => None,
            Some(text) => match split_prefix(text) {
                None => Some(ReplyTo::Text(text)),
                Some((kind, name)) if kind.is_temporary() && !text.starts_with("/remote-") => {
                    reply_name = sink.temporary(kind, name);
                    Some(ReplyTo::Destination(kind, &reply_name))
                }
                Some((kind, name)) => Some(ReplyTo::Destination(kind, name)),
            },
        };
        let view = MessageView {
            persistent: fields.persistent,
            text: fields.text.unwrap_or(!frame.has_length),
            priority: fields.priority,
            timestamp_ms: fields.timestamp_ms.unwrap_or(time.wall_ms),
            expires_ms: fields.expires_ms,
            correlation_id: fields.correlation_id.as_deref(),
            jms_type: fields.jms_type.as_deref(),
            reply_to,
            headers: block.block(),
            ..MessageView::new(Kind::Queue, "", id_text(&message_id), frame.body)
        };
        let outcome = self.send_to(
            destination.trim(),
            fields.transaction.as_deref(),
            &view,
            sink,
        );
        self.message_id = message_id;
        Ok(outcome)
    }

    fn send_to(
        &mut self,
        destination: &str,
        transaction: Option<&str>,
        view: &MessageView<'_>,
        sink: &mut impl Sink,
    ) -> Result<(), Refusal> {
        if transaction.is_none()
            && destination.len() <= self.settings.destination_length
            && let Some((kind, name)) = split_prefix(destination)
            && !kind.is_temporary()
            && memchr::memchr2(b',', b'*', name.as_bytes()).is_none()
            && !name.ends_with('>')
        {
            check_name(name)?;
            return sink.publish(&MessageView {
                kind,
                name,
                ..*view
            });
        }
        let parts = self.parts(destination, sink)?;
        if let Some((_, name)) = parts.iter().find(|(_, name)| is_pattern(name)) {
            return Err(Refusal::BadName(
                name.clone(),
                "a message cannot be sent to a wildcard",
            ));
        }
        let original = (parts.len() > 1).then_some(destination);
        for (kind, name) in &parts {
            sink.check_publish(*kind, name)?;
        }
        for (kind, name) in &parts {
            let part = MessageView {
                kind: *kind,
                name,
                original_destination: original,
                ..*view
            };
            match transaction {
                None => sink.publish(&part)?,
                Some(id) => self.hold_back(id, &part, sink)?,
            }
        }
        Ok(())
    }

    fn hold_back(
        &mut self,
        id: &str,
        view: &MessageView<'_>,
        sink: &mut impl Sink,
    ) -> Result<(), Refusal> {
        let Some(transaction) = self.transactions.get_mut(id) else {
            return Err(Refusal::InvalidTransaction(id.to_owned()));
        };
        let message = Message::from_view(view);
        let size = message.len();
        if transaction.frames >= self.settings.transaction_frames
            || self.transaction_bytes + size > self.settings.transaction_bytes
        {
            self.forget(id, false, sink);
            return Err(Refusal::TransactionTooLarge(id.to_owned()));
        }
        transaction.frames += 1;
        transaction.bytes += size;
        transaction.sends.push(message);
        self.transaction_bytes += size;
        Ok(())
    }

    pub(super) fn on_begin(&mut self, frame: &FrameRef<'_>) -> Outcome<()> {
        let id = match self.transaction_id(frame, "BEGIN")? {
            Ok(id) => id,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if self.transactions.contains_key(&id) || self.transactions.len() >= MAX_TRANSACTIONS {
            return Ok(Err(Refusal::InvalidTransaction(id)));
        }
        self.transactions.insert(id, Transaction::default());
        Ok(Ok(()))
    }

    pub(super) fn on_commit(&mut self, frame: &FrameRef<'_>, sink: &mut impl Sink) -> Outcome<()> {
        let id = match self.transaction_id(frame, "COMMIT")? {
            Ok(id) => id,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let Some(transaction) = self.forget(&id, true, sink) else {
            return Ok(Err(Refusal::InvalidTransaction(id)));
        };
        let mut outcome = Ok(());
        for message in &transaction.sends {
            let Some(view) = message.view() else { continue };
            // The rest is still published: a commit is not undone halfway by one full queue.
            if let Err(refusal) = sink.publish(&view) {
                outcome = Err(refusal);
            }
        }
        Ok(outcome)
    }

    pub(super) fn on_abort(&mut self, frame: &FrameRef<'_>, sink: &mut impl Sink) -> Outcome<()> {
        let id = match self.transaction_id(frame, "ABORT")? {
            Ok(id) => id,
            Err(refusal) => return Ok(Err(refusal)),
        };
        match self.forget(&id, false, sink) {
            Some(_) => Ok(Ok(())),
            None => Ok(Err(Refusal::InvalidTransaction(id))),
        }
    }

    /// Forgets every open transaction: the client leaves.
    pub fn abort_all(&mut self, sink: &mut impl Sink) {
        let ids: Vec<String> = self.transactions.keys().cloned().collect();
        for id in ids {
            self.forget(&id, false, sink);
        }
    }

    fn forget(&mut self, id: &str, is_commit: bool, sink: &mut impl Sink) -> Option<Transaction> {
        let transaction = self.transactions.remove(id)?;
        self.transaction_bytes -= transaction.bytes;
        sink.end_transaction(id, is_commit);
        Some(transaction)
    }

    fn transaction_id(&self, frame: &FrameRef<'_>, command: &'static str) -> Outcome<String> {
        Ok(match self.header(frame, "transaction")? {
            None => Err(Refusal::MissingHeader(command, "transaction")),
            Some(id) if id.len() > self.settings.id_length => {
                Err(Refusal::IdTooLong("transaction"))
            }
            Some(id) => Ok(id),
        })
    }
}

fn id_text(bytes: &[u8]) -> &str {
    // Made of a prefix that is text and of digits.
    std::str::from_utf8(bytes).unwrap_or("")
}

/// Sorts the headers of a SEND into fields and properties; the first of equal names wins.
fn read_fields<'a>(
    frame: &FrameRef<'a>,
    version: Version,
    block: &mut HeaderBlockBuf,
) -> Outcome<Fields<'a>> {
    let mut fields = Fields {
        priority: 4,
        ..Fields::default()
    };
    let mut has = Seen::default();
    for (name, value) in frame.headers() {
        let name = headers::decode(name, version)?;
        let mut value = headers::decode(value, version)?;
        if version == Version::V10 && value.trim().len() != value.len() {
            value = Cow::Owned(value.trim().to_owned());
        }
        if headers::is_reserved(&name) {
            continue;
        }
        if !headers::is_field(&name) {
            if block.block().get(&name).is_none() && !block.push(&name, &value) {
                return Ok(Err(Refusal::BadHeader("property")));
            }
            continue;
        }
        if let Err(refusal) = fields.set(&name, value, &mut has) {
            return Ok(Err(refusal));
        }
    }
    Ok(Ok(fields))
}

/// Which of the fields with defaults were given.
#[derive(Debug, Default)]
struct Seen {
    persistent: bool,
    expires: bool,
    priority: bool,
}

impl<'a> Fields<'a> {
    fn set(&mut self, name: &str, value: Cow<'a, str>, has: &mut Seen) -> Result<(), Refusal> {
        match name {
            "destination" => keep_first(&mut self.destination, value),
            "transaction" => keep_first(&mut self.transaction, value),
            "correlation-id" => keep_first(&mut self.correlation_id, value),
            "type" => keep_first(&mut self.jms_type, value),
            "reply-to" => keep_first(&mut self.reply_to, value),
            "persistent" if !std::mem::replace(&mut has.persistent, true) => {
                self.persistent = value.trim().eq_ignore_ascii_case("true");
            }
            "expires" if !std::mem::replace(&mut has.expires, true) => {
                let parsed = value
                    .trim()
                    .parse::<i64>()
                    .map_err(|_| Refusal::BadHeader("expires"))?;
                self.expires_ms = parsed.max(0);
            }
            "timestamp" if self.timestamp_ms.is_none() => {
                let parsed = value
                    .trim()
                    .parse()
                    .map_err(|_| Refusal::BadHeader("timestamp"))?;
                self.timestamp_ms = Some(parsed);
            }
            "priority" if !std::mem::replace(&mut has.priority, true) => {
                let parsed = value
                    .trim()
                    .parse::<i64>()
                    .map_err(|_| Refusal::BadHeader("priority"))?;
                self.priority = u8::try_from(parsed.clamp(0, 9)).unwrap_or(4);
            }
            "amq-msg-type" if self.text.is_none() => {
                self.text = match value.trim() {
                    "text" => Some(true),
                    "bytes" => Some(false),
                    _ => return Err(Refusal::BadHeader("amq-msg-type")),
                };
            }
            _ => {}
        }
        Ok(())
    }
}

fn keep_first<'a>(field: &mut Option<Cow<'a, str>>, value: Cow<'a, str>) {
    if field.is_none() {
        *field = Some(value);
    }
}
