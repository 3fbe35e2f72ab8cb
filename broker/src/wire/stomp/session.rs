//! One STOMP connection from the first frame to the last: negotiation, subscriptions,
//! transactions. Knows no socket, queue or clock; what has to happen goes to the `Sink`.

use std::collections::{BTreeMap, HashMap};

use super::encode::{self, Connected, Escaping};
use super::error::{FrameError, Refusal};
use super::frame::{Command, FrameRef};
use super::headers;
use super::subscribe::Subscription;
use super::transaction::Transaction;
use super::version::{HeartBeat, Version};
use crate::model::{HeaderBlockBuf, Kind, MessageView};

pub use super::subscribe::{AckMode, Subscribe};

/// Settings of all sessions of a broker.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Text of CONNECTED's `server` header.
    pub server: String,
    /// Our offer: how often we can send, how often we want to hear; milliseconds.
    pub heart_beat_ms: (u64, u64),
    /// True without a store.
    pub is_memory_only: bool,
    /// Subscriptions per connection.
    pub subscriptions: usize,
    /// Bytes of ids.
    pub id_length: usize,
    /// Bytes of a destination.
    pub destination_length: usize,
    /// Frames in a transaction.
    pub transaction_frames: usize,
    /// Bytes of all open transactions of a connection.
    pub transaction_bytes: usize,
}

/// Open transactions of one connection.
pub const MAX_TRANSACTIONS: usize = 16;

/// The time of a frame.
#[derive(Debug, Clone, Copy)]
pub struct Time {
    /// Milliseconds since 1970 UTC.
    pub wall_ms: i64,
}

/// What a client says about itself.
#[derive(Debug, Clone)]
pub struct Login {
    /// User name; empty when none was given.
    pub login: String,
    /// Password; empty when none was given.
    pub passcode: String,
    /// JMS client id.
    pub client_id: Option<String>,
}

/// How an ACK or NACK names its message, once the session has looked at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AckName {
    /// The token of MESSAGE's `ack` header.
    Token(u64),
    /// The message id, with the subscription's number where the client gave it.
    MessageId(String, Option<u32>),
}

/// An ACK or NACK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Which message.
    pub name: AckName,
    /// What the client wrote, for errors.
    pub shown: String,
    /// True for NACK.
    pub is_nack: bool,
}

/// What a session asks of its surroundings.
pub trait Sink {
    /// Find out whether the client may come in; the answer goes to [`Session::logged_in`] or
    /// [`Session::login_failed`]. No frame is handled until then.
    fn login(&mut self, login: Login);
    /// The network's name of a temporary destination that this connection calls `private`; made
    /// when it does not exist yet.
    fn temporary(&mut self, kind: Kind, private: &str) -> String;
    /// May this user write there? Asked for composites, before the first part is published.
    ///
    /// # Errors
    /// No.
    fn check_publish(&mut self, kind: Kind, name: &str) -> Result<(), Refusal>;
    /// A message for one destination.
    ///
    /// # Errors
    /// It was not taken.
    fn publish(&mut self, view: &MessageView<'_>) -> Result<(), Refusal>;
    /// A subscription. On success `receipt` is written before its first message.
    ///
    /// # Errors
    /// It was not made.
    fn subscribe(&mut self, subscribe: &Subscribe<'_>, receipt: &[u8]) -> Result<(), Refusal>;
    /// The subscription with that number ends.
    fn unsubscribe(&mut self, number: u32);
    /// A message was consumed or refused. `transaction`: only note it, the outcome comes later.
    ///
    /// # Errors
    /// The client does not have such a message.
    fn answer(&mut self, answer: &Answer, transaction: Option<&str>) -> Result<(), Refusal>;
    /// Carry out the answers noted for a transaction, or forget them.
    fn end_transaction(&mut self, transaction: &str, is_commit: bool);
    /// Bytes for this client.
    fn reply(&mut self, bytes: &[u8]);
    /// Everything before was said; close when it is written.
    fn close(&mut self);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Fresh,
    Verifying,
    Open,
    Closed,
}

/// One connection.
#[derive(Debug)]
pub struct Session {
    pub(super) settings: Settings,
    state: State,
    pub(super) version: Version,
    heart_beat: HeartBeat,
    response_id: Option<String>,
    pub(super) client_id: Option<String>,
    id_prefix: String,
    next_message: u64,
    pub(super) subscriptions: BTreeMap<u32, Subscription>,
    pub(super) by_id: HashMap<String, u32>,
    pub(super) next_subscription: u32,
    pub(super) transactions: BTreeMap<String, Transaction>,
    pub(super) transaction_bytes: usize,
    pub(super) block: HeaderBlockBuf,
    pub(super) message_id: Vec<u8>,
    out: Vec<u8>,
}

impl Session {
    /// A session before its first frame. Message ids of this connection begin with `id_prefix`.
    #[must_use]
    pub fn new(settings: Settings, id_prefix: &str) -> Self {
        Self {
            settings,
            state: State::Fresh,
            version: Version::V10,
            heart_beat: HeartBeat::default(),
            response_id: None,
            client_id: None,
            id_prefix: id_prefix.to_owned(),
            next_message: 0,
            subscriptions: BTreeMap::new(),
            by_id: HashMap::new(),
            next_subscription: 1,
            transactions: BTreeMap::new(),
            transaction_bytes: 0,
            block: HeaderBlockBuf::default(),
            message_id: Vec::new(),
            out: Vec::new(),
        }
    }

    /// True while a login is looked at: no frame may be handed in.
    #[must_use]
    pub fn is_verifying(&self) -> bool {
        self.state == State::Verifying
    }

    /// True once the client is in.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// True when nothing more is said or heard.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// The agreed version; 1.0 before CONNECT.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The agreed heart-beats.
    #[must_use]
    pub const fn heart_beat(&self) -> HeartBeat {
        self.heart_beat
    }

    /// Handles one frame.
    ///
    /// # Errors
    /// The frame breaks the protocol: say so with [`Session::fail`] and close.
    pub fn on_frame(
        &mut self,
        frame: &FrameRef<'_>,
        time: Time,
        sink: &mut impl Sink,
    ) -> Result<(), FrameError> {
        match self.state {
            State::Fresh => self.on_connect(frame, sink),
            State::Verifying | State::Closed => Ok(()),
            State::Open => self.on_open_frame(frame, time, sink),
        }
    }

    fn on_connect(&mut self, frame: &FrameRef<'_>, sink: &mut impl Sink) -> Result<(), FrameError> {
        let is_stomp = match frame.command {
            Command::Connect => false,
            Command::Stomp => true,
            Command::FromServer => return Err(FrameError::ServerCommand),
            _ => return Err(FrameError::NotConnected),
        };
        let text = |name: &str| -> Result<Option<String>, FrameError> {
            let Some(value) = frame.first(name) else {
                return Ok(None);
            };
            let text = if is_stomp {
                headers::decode_lenient(value)?.into_owned()
            } else {
                headers::decode(value, Version::V10)?.into_owned()
            };
            Ok(Some(text))
        };
        let version = Version::negotiate(text("accept-version")?.as_deref());
        self.version = version.ok_or(FrameError::NoCommonVersion)?;
        let (can_send, want) = self.settings.heart_beat_ms;
        self.heart_beat = HeartBeat::negotiate(text("heart-beat")?.as_deref(), can_send, want)
            .ok_or(FrameError::BadHeartBeat)?;
        self.response_id = text("request-id")?.or(text("receipt")?);
        self.client_id = text("client-id")?.filter(|id| !id.is_empty());
        let trimmed = |text: String| {
            if self.version == Version::V10 {
                text.trim().to_owned()
            } else {
                text
            }
        };
        let login = Login {
            login: trimmed(text("login")?.unwrap_or_default()),
            passcode: trimmed(text("passcode")?.unwrap_or_default()),
            client_id: self.client_id.clone(),
        };
        self.state = State::Verifying;
        sink.login(login);
        Ok(())
    }

    /// The client may come in. `session` names the connection where it gave no client id.
    pub fn logged_in(&mut self, session: &str, sink: &mut impl Sink) {
        self.state = State::Open;
        self.out.clear();
        let connected = Connected {
            version: self.version,
            session: self.client_id.as_deref().unwrap_or(session),
            server: &self.settings.server,
            heart_beat: self.heart_beat,
            response_id: self.response_id.as_deref(),
            is_memory_only: self.settings.is_memory_only,
        };
        encode::connected(&connected, &mut self.out);
        sink.reply(&self.out);
    }

    /// The client may not come in; the text says why.
    pub fn login_failed(&mut self, text: &str, sink: &mut impl Sink) {
        self.end_with_error(text, None, sink);
    }

    /// Tells the client which rule it broke, and closes.
    pub fn fail(&mut self, error: FrameError, sink: &mut impl Sink) {
        let extra = (error == FrameError::NoCommonVersion).then_some(("version", "1.0,1.1,1.2"));
        self.end_with_error(&error.to_string(), extra, sink);
    }

    fn end_with_error(&mut self, text: &str, extra: Option<(&str, &str)>, sink: &mut impl Sink) {
        self.state = State::Closed;
        self.out.clear();
        encode::error(
            text,
            None,
            extra,
            Escaping::from(self.version),
            &mut self.out,
        );
        sink.reply(&self.out);
        sink.close();
    }

    fn on_open_frame(
        &mut self,
        frame: &FrameRef<'_>,
        time: Time,
        sink: &mut impl Sink,
    ) -> Result<(), FrameError> {
        let receipt = match frame.first("receipt") {
            None => None,
            Some(value) => Some(self.text(value)?),
        };
        let outcome = match frame.command {
            Command::Connect | Command::Stomp => return Err(FrameError::AlreadyConnected),
            Command::FromServer => return Err(FrameError::ServerCommand),
            _ if receipt
                .as_ref()
                .is_some_and(|id| id.len() > self.settings.id_length) =>
            {
                Err(Refusal::IdTooLong("receipt"))
            }
            Command::Send => self.on_send(frame, time, sink)?,
            Command::Subscribe => {
                return self.on_subscribe(frame, receipt.as_deref(), sink);
            }
            Command::Unsubscribe => self.on_unsubscribe(frame, sink)?,
            Command::Ack => self.on_answer(frame, false, sink)?,
            Command::Nack => self.on_answer(frame, true, sink)?,
            Command::Begin => self.on_begin(frame)?,
            Command::Commit => self.on_commit(frame, sink)?,
            Command::Abort => self.on_abort(frame, sink)?,
            Command::Disconnect => {
                self.abort_all(sink);
                Ok(())
            }
        };
        match outcome {
            Ok(()) => {
                if let Some(id) = receipt.as_deref() {
                    self.receipt(id, sink);
                }
            }
            Err(refusal) => self.refuse(&refusal, receipt.as_deref(), sink),
        }
        if frame.command == Command::Disconnect {
            self.state = State::Closed;
            sink.close();
        }
        Ok(())
    }

    fn receipt(&mut self, id: &str, sink: &mut impl Sink) {
        self.out.clear();
        encode::receipt(id, Escaping::from(self.version), &mut self.out);
        sink.reply(&self.out);
    }

    pub(super) fn refuse(
        &mut self,
        refusal: &Refusal,
        receipt: Option<&str>,
        sink: &mut impl Sink,
    ) {
        self.out.clear();
        let escaping = Escaping::from(self.version);
        encode::error(&refusal.to_string(), receipt, None, escaping, &mut self.out);
        sink.reply(&self.out);
    }

    /// Reads a header value by the rules of the version; 1.0 trims blanks.
    pub(super) fn text(&self, value: &[u8]) -> Result<String, FrameError> {
        let text = headers::decode(value, self.version)?;
        Ok(if self.version == Version::V10 {
            text.trim().to_owned()
        } else {
            text.into_owned()
        })
    }

    pub(super) fn header(
        &self,
        frame: &FrameRef<'_>,
        name: &str,
    ) -> Result<Option<String>, FrameError> {
        frame.first(name).map(|value| self.text(value)).transpose()
    }

    /// Makes the next message id in `self.message_id`.
    pub(super) fn make_message_id(&mut self) {
        self.next_message += 1;
        self.message_id.clear();
        self.message_id.extend_from_slice(self.id_prefix.as_bytes());
        encode::push_decimal(&mut self.message_id, self.next_message);
    }

    fn on_unsubscribe(
        &mut self,
        frame: &FrameRef<'_>,
        sink: &mut impl Sink,
    ) -> Result<Result<(), Refusal>, FrameError> {
        let number = match self.header(frame, "id")? {
            Some(id) => self.by_id.get(&id).copied(),
            None => match self.header(frame, "destination")? {
                Some(destination) => self
                    .subscriptions
                    .iter()
                    .find(|(_, known)| known.destination == destination.trim())
                    .map(|(number, _)| *number),
                None => None,
            },
        };
        let Some(number) = number else {
            return Ok(Err(Refusal::NoSubscription));
        };
        if let Some(subscription) = self.subscriptions.remove(&number)
            && let Some(id) = subscription.id
        {
            self.by_id.remove(&id);
        }
        sink.unsubscribe(number);
        Ok(Ok(()))
    }

    fn on_answer(
        &mut self,
        frame: &FrameRef<'_>,
        is_nack: bool,
        sink: &mut impl Sink,
    ) -> Result<Result<(), Refusal>, FrameError> {
        let command = if is_nack { "NACK" } else { "ACK" };
        let header = if self.version == Version::V12 {
            "id"
        } else {
            "message-id"
        };
        let Some(shown) = self.header(frame, header)? else {
            return Ok(Err(Refusal::MissingHeader(command, header)));
        };
        let unexpected = || Refusal::UnexpectedAck {
            command,
            id: shown.clone(),
        };
        let name = match self.version {
            Version::V12 => match shown.parse() {
                Ok(token) => AckName::Token(token),
                Err(_) => return Ok(Err(unexpected())),
            },
            _ => {
                let subscription = match self.header(frame, "subscription")? {
                    None => None,
                    Some(id) => match self.by_id.get(&id) {
                        Some(number) => Some(*number),
                        None => return Ok(Err(unexpected())),
                    },
                };
                AckName::MessageId(shown.clone(), subscription)
            }
        };
        let answer = Answer {
            name,
            shown,
            is_nack,
        };
        match self.header(frame, "transaction")? {
            None => Ok(sink.answer(&answer, None)),
            Some(id) if self.transactions.contains_key(&id) => Ok(sink.answer(&answer, Some(&id))),
            Some(id) => Ok(Err(Refusal::InvalidTransaction(id))),
        }
    }
}
