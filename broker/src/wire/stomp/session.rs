//! One STOMP connection from the first frame to the last: negotiation, subscriptions,
//! transactions. Knows no socket, queue or clock; what has to happen goes to the `Sink`.

use std::collections::{BTreeMap, HashMap};

use super::encode::{self, Connected, Escaping};
use super::error::{Failure, FrameError, Refusal};
use super::frame::{Command, FrameRef};
use super::headers;
use super::subscribe::Subscription;
use super::transaction::Transaction;
use super::version::{HeartBeat, Version};
use crate::model::HeaderBlockBuf;

pub use super::sink::{AckName, Answer, Login, Settings, Sink, Time};
pub use super::subscribe::{AckMode, Subscribe};
pub use super::transaction::MAX_TRANSACTIONS;

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
    /// The receipt that the frame asked for which ends the session.
    last_receipt: Option<String>,
    pub(super) client_id: Option<String>,
    id_prefix: String,
    next_message: u64,
    pub(super) subscriptions: BTreeMap<u32, Subscription>,
    pub(super) by_id: HashMap<String, u32>,
    pub(super) next_subscription: u32,
    pub(super) transactions: BTreeMap<String, Transaction>,
    pub(super) transaction_bytes: usize,
    /// All that open transactions take, and how much that may be.
    pub(super) transaction_memory: usize,
    pub(super) transaction_room: usize,
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
            last_receipt: None,
            client_id: None,
            id_prefix: id_prefix.to_owned(),
            next_message: 0,
            subscriptions: BTreeMap::new(),
            by_id: HashMap::new(),
            next_subscription: 1,
            transactions: BTreeMap::new(),
            transaction_bytes: 0,
            transaction_memory: 0,
            transaction_room: usize::MAX,
            block: HeaderBlockBuf::default(),
            message_id: Vec::new(),
            out: Vec::new(),
        }
    }

    /// Memory that open transactions take, with what is needed beside their messages.
    #[must_use]
    pub const fn transaction_memory(&self) -> usize {
        self.transaction_memory
    }

    /// Lets open transactions take so much memory from now on.
    pub const fn limit_transactions(&mut self, memory: usize) {
        self.transaction_room = memory;
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
        let outcome = match self.state {
            State::Fresh => self.on_connect(frame, sink),
            State::Verifying | State::Closed => Ok(()),
            State::Open => self.on_open_frame(frame, time, sink),
        };
        if outcome.is_err() {
            self.note_last_receipt(frame);
        }
        outcome
    }

    /// The ERROR that ends the session answers a frame that is not read any further.
    fn note_last_receipt(&mut self, frame: &FrameRef<'_>) {
        let id = frame.first("receipt").map(headers::decode_lenient);
        self.last_receipt = id
            .and_then(Result::ok)
            .filter(|id| id.len() <= self.settings.id_length)
            .map(Into::into);
    }

    fn on_connect(&mut self, frame: &FrameRef<'_>, sink: &mut impl Sink) -> Result<(), FrameError> {
        match frame.command {
            Command::Connect | Command::Stomp => {}
            Command::FromServer => return Err(FrameError::ServerCommand),
            _ => return Err(FrameError::NotConnected),
        }
        let version = Version::negotiate(connect_header(frame, "accept-version")?.as_deref());
        self.version = version.ok_or(FrameError::NoCommonVersion)?;
        let heart_beat = connect_header(frame, "heart-beat")?;
        let (can_send, want) = self.settings.heart_beat_ms;
        self.heart_beat = HeartBeat::negotiate(heart_beat.as_deref(), can_send, want)
            .ok_or(FrameError::BadHeartBeat)?;
        let text = |name: &str| -> Result<Option<String>, FrameError> {
            let text = connect_header(frame, name)?;
            Ok(text.map(|text| match self.version {
                Version::V10 => text.trim().to_owned(),
                Version::V11 | Version::V12 => text,
            }))
        };
        let response_id = text("request-id")?.or(text("receipt")?);
        let client_id = text("client-id")?.filter(|id| !id.is_empty());
        let login = Login {
            login: text("login")?.unwrap_or_default(),
            passcode: text("passcode")?.unwrap_or_default(),
            client_id: client_id.clone(),
        };
        self.note_last_receipt(frame);
        if client_id.as_ref().is_some_and(|id| self.is_too_long(id)) {
            self.end_with_error(&Refusal::IdTooLong("client-id").to_string(), None, sink);
            return Ok(());
        }
        self.response_id = response_id;
        self.client_id = client_id;
        self.state = State::Verifying;
        sink.login(login);
        Ok(())
    }

    /// The client may come in. `session` names the connection where it gave no client id.
    pub fn logged_in(&mut self, session: &str, sink: &mut impl Sink) {
        self.state = State::Open;
        self.last_receipt = None;
        self.out.clear();
        let connected = Connected {
            version: self.version,
            session: self.client_id.as_deref().unwrap_or(session),
            server: &self.settings.server,
            heart_beat_ms: self.settings.heart_beat_ms,
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
        self.end_with_error(&error.to_string(), error.extra_header(), sink);
    }

    fn end_with_error(&mut self, text: &str, extra: Option<(&str, &str)>, sink: &mut impl Sink) {
        self.state = State::Closed;
        self.out.clear();
        let receipt = self.last_receipt.take();
        let escaping = Escaping::from(self.version);
        encode::error(text, receipt.as_deref(), extra, escaping, &mut self.out);
        sink.reply(&self.out);
        sink.close();
    }

    fn on_open_frame(
        &mut self,
        frame: &FrameRef<'_>,
        time: Time,
        sink: &mut impl Sink,
    ) -> Result<(), FrameError> {
        if frame.command != Command::Send {
            // SEND looks at every header anyway.
            headers::check(frame, self.version)?;
        }
        let receipt = self.header(frame, "receipt")?;
        let receipt = receipt.as_deref();
        match self.carry_out(frame, receipt, time, sink) {
            Ok(()) => {
                if let Some(id) = receipt
                    && frame.command != Command::Subscribe
                {
                    self.out.clear();
                    encode::receipt(id, Escaping::from(self.version), &mut self.out);
                    sink.reply(&self.out);
                }
            }
            Err(Failure::Refused(refusal)) => self.refuse(&refusal, receipt, sink),
            Err(Failure::Broken(error)) => return Err(error),
        }
        if frame.command == Command::Disconnect {
            self.state = State::Closed;
            sink.close();
        }
        Ok(())
    }

    /// `receipt` is written by the caller, except for SUBSCRIBE: that one precedes the first
    /// message.
    fn carry_out(
        &mut self,
        frame: &FrameRef<'_>,
        receipt: Option<&str>,
        time: Time,
        sink: &mut impl Sink,
    ) -> Result<(), Failure> {
        if receipt.is_some_and(|id| self.is_too_long(id)) {
            return Err(Refusal::IdTooLong("receipt").into());
        }
        match frame.command {
            Command::Connect | Command::Stomp => Err(FrameError::AlreadyConnected.into()),
            Command::FromServer => Err(FrameError::ServerCommand.into()),
            Command::Send => self.on_send(frame, time, sink),
            Command::Subscribe => self.on_subscribe(frame, receipt, sink),
            Command::Unsubscribe => self.on_unsubscribe(frame, sink),
            Command::Ack => self.on_answer(frame, false, sink),
            Command::Nack => self.on_answer(frame, true, sink),
            Command::Begin => self.on_begin(frame),
            Command::Commit => self.on_commit(frame, sink),
            Command::Abort => self.on_abort(frame, sink),
            Command::Disconnect => {
                self.abort_all(sink);
                Ok(())
            }
        }
    }

    fn refuse(&mut self, refusal: &Refusal, receipt: Option<&str>, sink: &mut impl Sink) {
        self.out.clear();
        let escaping = Escaping::from(self.version);
        // A receipt that is too long is not worth repeating.
        let receipt = receipt.filter(|id| !self.is_too_long(id));
        encode::error(&refusal.to_string(), receipt, None, escaping, &mut self.out);
        sink.reply(&self.out);
    }

    pub(super) fn is_too_long(&self, id: &str) -> bool {
        id.len() > self.settings.id_length
    }

    /// The first header of that name, read by the rules of the version; 1.0 trims blanks.
    pub(super) fn header(
        &self,
        frame: &FrameRef<'_>,
        name: &str,
    ) -> Result<Option<String>, FrameError> {
        let Some(value) = frame.first(name) else {
            return Ok(None);
        };
        let text = headers::decode(value, self.version)?;
        Ok(Some(match self.version {
            Version::V10 => text.trim().to_owned(),
            Version::V11 | Version::V12 => text.into_owned(),
        }))
    }

    /// Makes the next message id in `self.message_id`.
    pub(super) fn make_message_id(&mut self) {
        self.next_message += 1;
        self.message_id.clear();
        self.message_id.extend_from_slice(self.id_prefix.as_bytes());
        encode::push_decimal(&mut self.message_id, self.next_message);
    }
}

/// CONNECT is never escaped; in STOMP some clients escape and others do not.
fn connect_header(frame: &FrameRef<'_>, name: &str) -> Result<Option<String>, FrameError> {
    let Some(value) = frame.first(name) else {
        return Ok(None);
    };
    let text = match frame.command {
        Command::Stomp => headers::decode_lenient(value)?,
        _ => headers::decode(value, Version::V10)?,
    };
    Ok(Some(text.into_owned()))
}
