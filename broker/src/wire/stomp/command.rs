//! The words that frames begin with. Matched whole and case-sensitively.

use super::error::FrameError;

/// Bytes of a command line.
pub const MAX_COMMAND: usize = 64;

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Log in.
    Connect,
    /// Log in, with escaped headers.
    Stomp,
    /// Publish.
    Send,
    /// Ask for messages.
    Subscribe,
    /// End a subscription.
    Unsubscribe,
    /// Consumed.
    Ack,
    /// Refused.
    Nack,
    /// Start a transaction.
    Begin,
    /// Carry a transaction out.
    Commit,
    /// Forget a transaction.
    Abort,
    /// Leave.
    Disconnect,
    /// One that only servers send.
    FromServer,
}

impl Command {
    pub(super) fn parse(line: &[u8]) -> Result<Self, FrameError> {
        Ok(match line {
            b"SEND" => Self::Send,
            b"ACK" => Self::Ack,
            b"CONNECT" => Self::Connect,
            b"STOMP" => Self::Stomp,
            b"SUBSCRIBE" => Self::Subscribe,
            b"UNSUBSCRIBE" => Self::Unsubscribe,
            b"NACK" => Self::Nack,
            b"BEGIN" => Self::Begin,
            b"COMMIT" => Self::Commit,
            b"ABORT" => Self::Abort,
            b"DISCONNECT" => Self::Disconnect,
            b"CONNECTED" | b"MESSAGE" | b"RECEIPT" | b"ERROR" => Self::FromServer,
            _ => return Err(FrameError::UnknownCommand),
        })
    }

    /// The word on the wire.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Connect => "CONNECT",
            Self::Stomp => "STOMP",
            Self::Send => "SEND",
            Self::Subscribe => "SUBSCRIBE",
            Self::Unsubscribe => "UNSUBSCRIBE",
            Self::Ack => "ACK",
            Self::Nack => "NACK",
            Self::Begin => "BEGIN",
            Self::Commit => "COMMIT",
            Self::Abort => "ABORT",
            Self::Disconnect => "DISCONNECT",
            Self::FromServer => "a server command",
        }
    }
}
