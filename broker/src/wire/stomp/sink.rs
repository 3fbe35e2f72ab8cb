//! What a session is told about its surroundings, and what it asks of them.

use std::fmt;

use super::error::Refusal;
use super::subscribe::Subscribe;
use crate::model::{Kind, MessageView};

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

/// The time of a frame.
#[derive(Debug, Clone, Copy)]
pub struct Time {
    /// Milliseconds since 1970 UTC.
    pub wall_ms: i64,
}

/// What a client says about itself.
#[derive(Clone)]
pub struct Login {
    /// User name; empty when none was given.
    pub login: String,
    /// Password; empty when none was given.
    pub passcode: String,
    /// JMS client id.
    pub client_id: Option<String>,
}

impl fmt::Debug for Login {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Login")
            .field("login", &self.login)
            .field("passcode", &"<redacted>")
            .field("client_id", &self.client_id)
            .finish()
    }
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
    /// Find out whether the client may come in; the answer goes to `Session::logged_in` or
    /// `Session::login_failed`. No frame is handled until then.
    fn login(&mut self, login: Login);
    /// The network's name of a temporary destination that this connection calls `private`; made
    /// when it does not exist yet.
    fn temporary(&mut self, kind: Kind, private: &str) -> String;
    /// May this user write there? Asked for composites and in transactions, before the first part
    /// is published or held back.
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
    /// The durable subscription of that client id and name is deleted, with what it kept.
    ///
    /// # Errors
    /// There is no such subscription, or somebody consumes from it.
    fn delete_durable(&mut self, client_id: &str, name: &str) -> Result<(), Refusal>;
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
