//! Transactions: what they hold back, and how they end.

use super::error::{Failure, Refusal};
use super::frame::FrameRef;
use super::session::Session;
use super::sink::Sink;
use crate::model::{Message, MessageView};

/// Open transactions of one connection.
pub const MAX_TRANSACTIONS: usize = 16;
/// What a transaction takes before anything is in it, its id apart.
const OPEN: usize = 512;
/// What a message takes beside its bytes: measured, with what growing leaves free.
const MESSAGE: usize = 128;
/// What an answer takes.
const ANSWER: usize = 256;

/// What an open transaction holds back.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    sends: Vec<Message>,
    bytes: usize,
    frames: usize,
    /// All that it takes.
    memory: usize,
}

impl Session {
    /// Counts a SEND, ACK or NACK of a transaction; too many end it.
    pub(super) fn count_frame(&mut self, id: &str, sink: &mut impl Sink) -> Result<(), Refusal> {
        let limit = self.settings.transaction_frames;
        let Some(transaction) = self.transactions.get_mut(id) else {
            return Err(Refusal::InvalidTransaction(id.to_owned()));
        };
        if transaction.frames >= limit {
            self.forget(id, false, sink);
            return Err(Refusal::TransactionTooLarge(id.to_owned()));
        }
        transaction.frames += 1;
        Ok(())
    }

    /// Keeps a message until its transaction ends; too many bytes end it.
    pub(super) fn hold_back(
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
        let is_too_large = self.transaction_bytes + size > self.settings.transaction_bytes;
        let memory = self.transaction_memory + MESSAGE + size;
        if is_too_large || memory > self.transaction_room {
            self.forget(id, false, sink);
            return Err(Refusal::TransactionTooLarge(id.to_owned()));
        }
        transaction.bytes += size;
        transaction.memory += MESSAGE + size;
        transaction.sends.push(message);
        self.transaction_bytes += size;
        self.transaction_memory = memory;
        Ok(())
    }

    /// Counts what an answer takes until its transaction ends. It is held back in any case: it is
    /// what frees memory in the end.
    pub(super) fn hold_answer(&mut self, id: &str) {
        if let Some(transaction) = self.transactions.get_mut(id) {
            transaction.memory += ANSWER;
            self.transaction_memory += ANSWER;
        }
    }

    pub(super) fn on_begin(&mut self, frame: &FrameRef<'_>) -> Result<(), Failure> {
        let id = self.transaction_id(frame, "BEGIN")?;
        if self.transactions.contains_key(&id) {
            return Err(Refusal::InvalidTransaction(id).into());
        }
        if self.transactions.len() >= MAX_TRANSACTIONS {
            return Err(Refusal::TooManyTransactions.into());
        }
        // Both this and its answers are filed under the id.
        let memory = OPEN + 2 * id.len();
        self.transaction_memory += memory;
        let transaction = Transaction {
            memory,
            ..Transaction::default()
        };
        self.transactions.insert(id, transaction);
        Ok(())
    }

    pub(super) fn on_commit(
        &mut self,
        frame: &FrameRef<'_>,
        sink: &mut impl Sink,
    ) -> Result<(), Failure> {
        let id = self.transaction_id(frame, "COMMIT")?;
        let Some(transaction) = self.transactions.get(&id) else {
            return Err(Refusal::InvalidTransaction(id).into());
        };
        // A right may be gone since the SEND: then nothing of the transaction happens.
        if let Err(refusal) = check_sends(&transaction.sends, sink) {
            self.forget(&id, false, sink);
            return Err(refusal.into());
        }
        let Some(transaction) = self.forget(&id, true, sink) else {
            return Err(Refusal::InvalidTransaction(id).into());
        };
        let mut outcome = Ok(());
        for view in transaction.sends.iter().filter_map(Message::view) {
            // The rest is still published: a commit is not undone halfway by one full queue.
            if let Err(refusal) = sink.publish(&view) {
                outcome = Err(refusal.into());
            }
        }
        outcome
    }

    pub(super) fn on_abort(
        &mut self,
        frame: &FrameRef<'_>,
        sink: &mut impl Sink,
    ) -> Result<(), Failure> {
        let id = self.transaction_id(frame, "ABORT")?;
        match self.forget(&id, false, sink) {
            Some(_) => Ok(()),
            None => Err(Refusal::InvalidTransaction(id).into()),
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
        self.transaction_memory -= transaction.memory;
        sink.end_transaction(id, is_commit);
        Some(transaction)
    }

    fn transaction_id(
        &self,
        frame: &FrameRef<'_>,
        command: &'static str,
    ) -> Result<String, Failure> {
        match self.header(frame, "transaction")? {
            None => Err(Refusal::MissingHeader(command, "transaction").into()),
            Some(id) if self.is_too_long(&id) => Err(Refusal::IdTooLong("transaction").into()),
            Some(id) => Ok(id),
        }
    }
}

fn check_sends(sends: &[Message], sink: &mut impl Sink) -> Result<(), Refusal> {
    let mut last = None;
    for view in sends.iter().filter_map(Message::view) {
        let destination = (view.kind, view.name.to_owned());
        if last.as_ref() != Some(&destination) {
            sink.check_publish(view.kind, view.name)?;
            last = Some(destination);
        }
    }
    Ok(())
}
