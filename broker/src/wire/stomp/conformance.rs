//! Raw bytes in, raw bytes out: a session behind its decoder, with a sink that writes everything
//! down.

mod answers;
mod connect;
mod destinations;
mod errors;
mod framing;
mod fuzz;
mod hostile;
mod limits;
mod send;
mod subscriptions;
mod transactions;

use super::session::{Answer, Login, Settings, Subscribe, Time};
use super::{Decoded, Decoder, Limits, Refusal, Session, Sink};
use crate::model::{Kind, Message, MessageView};

/// Remembers what a session asked for, in order.
#[derive(Debug, Default)]
struct Recorder {
    out: Vec<u8>,
    events: Vec<String>,
    published: Vec<Message>,
    login: Option<Login>,
    is_closed: bool,
    /// What the next request is answered with.
    refusal: Option<Refusal>,
}

impl Recorder {
    fn note(&mut self, event: String) -> Result<(), Refusal> {
        match self.refusal.take() {
            Some(refusal) => Err(refusal),
            None => {
                self.events.push(event);
                Ok(())
            }
        }
    }
}

impl Sink for Recorder {
    fn login(&mut self, login: Login) {
        self.login = Some(login);
    }

    fn temporary(&mut self, kind: Kind, private: &str) -> String {
        self.events
            .push(format!("temporary {}{private}", kind.scheme()));
        format!("ID:t-1:{private}")
    }

    fn check_publish(&mut self, kind: Kind, name: &str) -> Result<(), Refusal> {
        self.note(format!("check {}{name}", kind.scheme()))
    }

    fn publish(&mut self, view: &MessageView<'_>) -> Result<(), Refusal> {
        self.note(format!("publish {}{}", view.kind.scheme(), view.name))?;
        self.published.push(Message::from_view(view));
        Ok(())
    }

    fn subscribe(&mut self, subscribe: &Subscribe<'_>, receipt: &[u8]) -> Result<(), Refusal> {
        let parts: Vec<String> = subscribe
            .parts
            .iter()
            .map(|(kind, name)| format!("{}{name}", kind.scheme()))
            .collect();
        self.note(format!(
            "subscribe {} {} {:?}",
            subscribe.number,
            parts.join(" "),
            subscribe.mode
        ))?;
        self.events.push(format!("{subscribe:?}"));
        self.out.extend_from_slice(receipt);
        Ok(())
    }

    fn unsubscribe(&mut self, number: u32) {
        self.events.push(format!("unsubscribe {number}"));
    }

    fn delete_durable(&mut self, client_id: &str, name: &str) -> Result<(), Refusal> {
        self.note(format!("delete {client_id} {name}"))
    }

    fn answer(&mut self, answer: &Answer, transaction: Option<&str>) -> Result<(), Refusal> {
        let word = if answer.is_nack { "nack" } else { "ack" };
        self.note(format!("{word} {:?} {transaction:?}", answer.name))
    }

    fn end_transaction(&mut self, transaction: &str, is_commit: bool) {
        let word = if is_commit { "commit" } else { "abort" };
        self.events.push(format!("{word} {transaction}"));
    }

    fn reply(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    fn close(&mut self) {
        self.is_closed = true;
    }
}

fn settings() -> Settings {
    Settings {
        server: "causeway/1.0".to_owned(),
        heart_beat_ms: (1000, 10_000),
        is_memory_only: true,
        subscriptions: 3,
        id_length: 32,
        destination_length: 256,
        transaction_frames: 4,
        transaction_bytes: 4096,
    }
}

/// A client's wire, seen from the broker.
#[derive(Debug)]
struct Wire {
    session: Session,
    decoder: Decoder,
    sink: Recorder,
    buffer: Vec<u8>,
}

impl Wire {
    /// Before the first byte.
    fn fresh() -> Self {
        Self {
            session: Session::new(settings(), "ID:t-1:"),
            decoder: Decoder::new(Limits::default()),
            sink: Recorder::default(),
            buffer: Vec::new(),
        }
    }

    /// Logged in with that version; nothing said or noted yet.
    fn open(version: &str) -> Self {
        let mut wire = Self::fresh();
        wire.feed(format!(
            "CONNECT\naccept-version:{version}\nclient-id:c\n\n\0"
        ));
        wire.session.logged_in("s", &mut wire.sink);
        assert_eq!(wire.session.version().text(), version);
        wire.said();
        wire
    }

    /// Hands bytes in as a connection does.
    fn feed(&mut self, bytes: impl AsRef<[u8]>) {
        self.buffer.extend_from_slice(bytes.as_ref());
        while !self.sink.is_closed && !self.session.is_verifying() {
            let decoded = self.decoder.decode(&self.buffer);
            let (consumed, outcome) = match decoded {
                Ok(Decoded::Incomplete { skip }) => {
                    self.buffer.drain(..skip);
                    return;
                }
                Ok(Decoded::Frame { consumed }) => {
                    let frame = self.decoder.frame(&self.buffer);
                    let time = Time { wall_ms: 1_000_000 };
                    (
                        consumed,
                        self.session.on_frame(&frame, time, &mut self.sink),
                    )
                }
                Err(error) => (0, Err(error)),
            };
            if let Err(error) = outcome {
                self.session.fail(error, &mut self.sink);
            }
            self.buffer.drain(..consumed);
        }
    }

    /// What the client was told since the last call; NUL is shown as `^@`.
    fn said(&mut self) -> String {
        let out = std::mem::take(&mut self.sink.out);
        String::from_utf8_lossy(&out).replace('\0', "^@")
    }

    /// Feeds, and returns what was said.
    fn ask(&mut self, bytes: impl AsRef<[u8]>) -> String {
        self.feed(bytes);
        self.said()
    }

    /// What the sink was asked for since the last call.
    fn events(&mut self) -> Vec<String> {
        std::mem::take(&mut self.sink.events)
    }

    /// The message that was published last.
    fn last(&self) -> MessageView<'_> {
        let message = self.sink.published.last().expect("nothing was published");
        message.view().expect("an envelope of ours")
    }
}
