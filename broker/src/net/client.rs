//! What is known of one client: its session, what it said that is not whole yet, and what it made
//! the broker keep.

use std::cell::RefCell;
use std::sync::Arc;

use super::outbound::Outbound;
use super::sink::ConnectionSink;
use crate::broker::Broker;
use crate::broker::ledger::Account;
use crate::clock;
use crate::config::valid::Limits;
use crate::security::certificate::Names;
use crate::wire::stomp::session::{Settings, Time};
use crate::wire::stomp::{Decoded, Decoder, FrameError, Session, frame};

/// Bytes a client may send before it is in.
const PRE_AUTH_FRAME: usize = 16 << 10;
/// Beginnings of frames up to this size are joined with what follows in a buffer of the worker: most
/// clients that send without pause have one after each read, and none needs a buffer of its own.
const SMALL_PARTIAL: usize = 16 << 10;
/// The beginning of a CONNECT that is not counted.
const FREE_BEFORE_LOGIN: usize = 1 << 10;

thread_local! {
    static JOINED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

pub(super) struct Client {
    pub(super) session: Session,
    pub(super) decoder: Decoder,
    pub(super) sink: ConnectionSink,
    pub(super) limits: Limits,
    pub(super) certificate: Option<Names>,
    pub(super) listener: u64,
    /// What it broke.
    pub(super) broken: Option<FrameError>,
    partial: Vec<u8>,
    /// Open transactions.
    account: Account,
    /// A frame that has not arrived whole.
    arriving: Account,
    /// The same before the login.
    before_login: Account,
}

pub(super) fn frame_limits(limits: &Limits, is_open: bool) -> frame::Limits {
    frame::Limits {
        line: limits.max_line,
        header_block: limits.max_header_block,
        headers: limits.max_headers,
        frame: if is_open {
            limits.frame
        } else {
            PRE_AUTH_FRAME.min(limits.frame)
        },
    }
}

fn settings(limits: &Limits) -> Settings {
    Settings {
        server: concat!("causeway/", env!("CARGO_PKG_VERSION")).to_owned(),
        heart_beat_ms: (limits.heart_beat.send.0, limits.heart_beat.want.0),
        is_memory_only: true,
        subscriptions: limits.subscriptions,
        id_length: limits.id_length,
        destination_length: limits.destination_length,
        transaction_frames: limits.transaction_frames,
        transaction_bytes: limits.transaction_bytes,
    }
}

impl Client {
    /// A client that has said nothing yet.
    pub(super) fn new(broker: Arc<Broker>, outbound: Arc<Outbound>, limits: Limits) -> Self {
        let site = broker.config().broker.site.clone();
        let prefix = format!("ID:{site}-{:x}-{}:", broker.epoch, outbound.connection);
        Self {
            account: Account::new(broker.memory.clients.clone()),
            arriving: Account::new(broker.memory.arriving.clone()),
            before_login: Account::new(broker.memory.before_login.clone()),
            session: Session::new(settings(&limits), &prefix),
            decoder: Decoder::new(frame_limits(&limits, false)),
            partial: Vec::new(),
            sink: ConnectionSink::new(broker, outbound, prefix.into_boxed_str()),
            limits,
            certificate: None,
            listener: 0,
            broken: None,
        }
    }

    /// Handles bytes, and what was left over from earlier ones.
    pub(super) fn handle(&mut self, bytes: &[u8]) {
        self.sink.refresh_identity();
        let clients = self.account.ledger();
        let free = clients.limit().saturating_sub(clients.used());
        let taken = self.session.transaction_memory();
        self.session.limit_transactions(taken.saturating_add(free));
        match self.partial.len() {
            0 => {
                let consumed = self.decode(bytes);
                self.keep(&bytes[consumed..]);
            }
            1..=SMALL_PARTIAL => JOINED.with_borrow_mut(|joined| {
                joined.clear();
                joined.extend_from_slice(&self.partial);
                joined.extend_from_slice(bytes);
                let consumed = self.decode(joined);
                self.keep(&joined[consumed..]);
            }),
            _ => self.grow(bytes),
        }
        self.count();
        self.sink.finish_batch();
    }

    /// True while a large frame is on its way: its next bytes need more memory.
    pub(super) fn is_amid_large_frame(&self) -> bool {
        let free = match self.session.is_open() {
            true => SMALL_PARTIAL,
            false => FREE_BEFORE_LOGIN,
        };
        self.partial.len() > free
    }

    /// What is left over, in a buffer that is no larger than it must be.
    fn keep(&mut self, rest: &[u8]) {
        self.partial.clear();
        self.partial.extend_from_slice(rest);
        if self.partial.capacity() > 2 * rest.len() + 4096 {
            self.partial.shrink_to_fit();
        }
    }

    /// A large frame goes on.
    fn grow(&mut self, bytes: &[u8]) {
        let mut buffer = std::mem::take(&mut self.partial);
        if buffer.capacity() - buffer.len() < bytes.len() {
            // By a quarter and not by the whole: it counts.
            buffer.reserve_exact(bytes.len().max(buffer.len() / 4));
        }
        buffer.extend_from_slice(bytes);
        let consumed = self.decode(&buffer);
        match consumed {
            0 => self.partial = buffer,
            _ => self.keep(&buffer[consumed..]),
        }
    }

    fn count(&mut self) {
        self.account.set(self.session.transaction_memory());
        let partial = self.partial.capacity();
        if self.session.is_open() {
            self.before_login.set(0);
            self.arriving.set(partial);
        } else {
            let is_free = partial <= FREE_BEFORE_LOGIN;
            self.before_login.set(if is_free { 0 } else { partial });
        }
    }

    fn decode(&mut self, bytes: &[u8]) -> usize {
        let time = Time {
            wall_ms: clock::wall_ms(),
        };
        let mut consumed = 0;
        while consumed < bytes.len()
            && self.sink.held.is_empty()
            && self.sink.pending_login.is_none()
            && !self.sink.is_closing
        {
            let rest = &bytes[consumed..];
            match self.decoder.decode(rest) {
                Ok(Decoded::Incomplete { skip }) => return consumed + skip,
                Ok(Decoded::Frame { consumed: length }) => {
                    let frame = self.decoder.frame(rest);
                    if let Err(error) = self.session.on_frame(&frame, time, &mut self.sink) {
                        self.fail(error);
                    }
                    consumed += length;
                }
                Err(error) => self.fail(error),
            }
        }
        if self.sink.is_closing {
            bytes.len()
        } else {
            consumed
        }
    }

    /// Ends the connection for what its client did not say.
    pub(super) fn give_up(&mut self, error: FrameError) {
        self.fail(error);
        self.sink.finish_batch();
    }

    fn fail(&mut self, error: FrameError) {
        self.broken = Some(error);
        self.sink
            .broker
            .metrics
            .frame_errors
            .with_label_values(&[error.label()])
            .inc();
        self.session.fail(error, &mut self.sink);
    }
}
