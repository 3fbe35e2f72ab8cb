//! What waits to be written to one client: appended by whoever publishes, flushed by whoever gets
//! there first.
//!
//! A publisher's task appends a frame under the lock and, on a plain socket, writes it out itself
//! after its read batch; nobody has to be woken for that. When the socket is full, or encrypted,
//! the connection's own writer task takes over. There is one writer at any time, so frames never
//! interleave. No system call happens under the lock.

mod frames;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use tokio::net::TcpStream;
use tokio::sync::Notify;

pub use self::frames::Counters;
use self::frames::{Marks, append, count_messages, drop_oldest, finish_append};
use super::unacked::{Delivered, Unacked};
use crate::broker::ledger::{Account, Ledger};
use crate::queue::QueueCell;

/// What an append did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Append {
    /// The frame waits to be written.
    Queued,
    /// The frame, or older ones in its place, were dropped: the client reads too slowly.
    Dropped,
    /// The connection is gone.
    Closed,
}

/// What a flush came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flush {
    /// Nothing is left.
    Done,
    /// The socket takes no more at the moment.
    WouldBlock,
    /// Another task is writing and will see what was appended.
    Busy,
    /// The peer is gone.
    Broken,
}

/// A message of a queue whose frame ends at `end` of the stream: done with once it is written.
#[derive(Debug)]
pub struct AutoAck {
    end: u64,
    /// The queue.
    pub queue: Arc<QueueCell>,
    /// The consumer in it.
    pub consumer: u64,
    /// The number of the message in it.
    pub seq: u64,
}

#[derive(Debug, Default)]
struct State {
    /// Appended, not yet taken by a writer.
    pending: Vec<u8>,
    /// Taken by a writer, and how much of it is written.
    writing: Vec<u8>,
    written: usize,
    is_flushing: bool,
    is_closed: bool,
    /// The last words are in: no message comes behind them.
    has_last_words: bool,
    /// Ends of frames in `pending`, with whether it may be dropped, and the same of `writing`.
    marks: Marks,
    writing_marks: Marks,
    appended_total: u64,
    flushed_total: u64,
    auto_acks: VecDeque<AutoAck>,
    unacked: Unacked,
    last_progress_ns: u64,
    /// Bytes that a writer has in its hands.
    in_hand: usize,
    account: Account,
}

impl State {
    const fn takes_nothing(&self) -> bool {
        self.is_closed || self.has_last_words
    }

    /// Tells the broker's account what is held.
    fn count(&mut self) {
        let bytes = self.pending.len() + self.writing.len().max(self.in_hand);
        let marks = self.marks.len() + self.writing_marks.len();
        let held = bytes
            + marks * size_of::<(usize, bool)>()
            + self.auto_acks.len() * size_of::<AutoAck>()
            + self.unacked.len() * PER_UNACKED;
        if held.abs_diff(self.account.bytes()) >= BLOCK || held == 0 {
            self.account.set(held);
        }
    }
}

/// The way out to one client connection.
#[derive(Debug)]
pub struct Outbound {
    /// Unique within the broker's life.
    pub connection: u64,
    /// Guards all that waits; taken for copies only, never across a system call.
    state: Mutex<State>,
    /// The connection's, which closes it when it ends: routes that publishers have cached keep the
    /// rest of this for longer.
    socket: OnceLock<Weak<TcpStream>>,
    wake: Notify,
    limit: AtomicU64,
    dropped: AtomicU64,
    is_gone: AtomicBool,
    is_dirty: AtomicBool,
    beat_ms: AtomicU64,
    counters: OnceLock<Counters>,
}

const KEEP_CAPACITY: usize = 64 * 1024;
/// What a message in the client's hands takes beside what its queue counts: measured.
const PER_UNACKED: usize = 256;
const KEEP_MARKS: usize = 1024;
/// The broker's account is told of changes by this much: telling it of each frame would make all
/// connections wait for one counter. So much is also left to each when the account is full.
const BLOCK: usize = 64 * 1024;

impl Outbound {
    /// An empty way out that holds at most `limit` bytes, and less while `ledger` is full.
    #[must_use]
    pub fn new(connection: u64, limit: usize, ledger: Arc<Ledger>) -> Self {
        Self {
            connection,
            state: Mutex::new(State {
                account: Account::new(ledger),
                ..State::default()
            }),
            socket: OnceLock::new(),
            wake: Notify::new(),
            limit: AtomicU64::new(limit as u64),
            dropped: AtomicU64::new(0),
            is_gone: AtomicBool::new(false),
            is_dirty: AtomicBool::new(false),
            beat_ms: AtomicU64::new(0),
            counters: OnceLock::new(),
        }
    }

    /// Tells where topic messages are counted.
    pub fn count_in(&self, counters: Counters) {
        // As with the socket: once, before anybody knows the connection.
        let _ = self.counters.set(counters);
    }

    /// Lets publishers write to a plain socket themselves.
    pub fn attach_socket(&self, socket: &Arc<TcpStream>) {
        // A second attach cannot happen: a connection attaches once, before anybody knows it.
        let _ = self.socket.set(Arc::downgrade(socket));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a frame that must not be dropped (replies, receipts, queue messages in ack modes).
    pub fn push(&self, parts: &[&[u8]]) -> Append {
        let mut state = self.lock();
        if state.takes_nothing() {
            return Append::Closed;
        }
        append(&mut state, parts, false);
        state.count();
        Append::Queued
    }

    /// Appends the answer to the end of a session, if there is one. Messages that come later stay in
    /// their queues: a client does not read behind the RECEIPT of its DISCONNECT.
    pub fn push_last(&self, words: &[u8]) {
        let mut state = self.lock();
        if state.is_closed {
            return;
        }
        if !words.is_empty() {
            append(&mut state, &[words], false);
            state.count();
        }
        state.has_last_words = true;
    }

    /// Bytes that may wait now.
    fn room(&self, state: &State, size: usize) -> usize {
        let limit = usize::try_from(self.limit.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
        if limit > BLOCK && state.account.ledger().is_full_for(size) {
            BLOCK
        } else {
            limit
        }
    }

    /// Appends a topic message; when the limit is reached the oldest droppable frames go first.
    pub fn push_droppable(&self, parts: &[&[u8]]) -> Append {
        let mut state = self.lock();
        if state.takes_nothing() {
            return Append::Closed;
        }
        let size: usize = parts.iter().map(|part| part.len()).sum();
        let limit = self.room(&state, size);
        let mut outcome = Append::Queued;
        if state.pending.len() + size > limit && !state.pending.is_empty() {
            let dropped = drop_oldest(&mut state, limit - limit / 4);
            self.dropped.fetch_add(dropped, Ordering::Relaxed);
            if let Some(counters) = self.counters.get() {
                counters.dropped.inc_by(dropped);
            }
            outcome = Append::Dropped;
        }
        append(&mut state, parts, true);
        state.count();
        outcome
    }

    /// Appends a message that the client has to acknowledge; `encode` is given the token to name.
    pub fn push_acked(
        &self,
        delivered: Delivered,
        encode: impl FnOnce(u64, &mut Vec<u8>),
    ) -> Append {
        let mut state = self.lock();
        if state.takes_nothing() {
            return Append::Closed;
        }
        let token = state.unacked.add(delivered);
        let before = state.pending.len();
        encode(token, &mut state.pending);
        finish_append(&mut state, before, false);
        state.count();
        Append::Queued
    }

    /// Appends a queue message of a consumer in ack mode `auto`: it counts as acknowledged when its
    /// last byte was written.
    pub fn push_auto(
        &self,
        parts: &[&[u8]],
        queue: Arc<QueueCell>,
        consumer: u64,
        seq: u64,
    ) -> Append {
        let mut state = self.lock();
        if state.takes_nothing() {
            return Append::Closed;
        }
        append(&mut state, parts, false);
        state.count();
        let end = state.appended_total;
        state.auto_acks.push_back(AutoAck {
            end,
            queue,
            consumer,
            seq,
        });
        Append::Queued
    }

    /// Works on what the client has not acknowledged.
    pub fn with_unacked<R>(&self, work: impl FnOnce(&mut Unacked) -> R) -> R {
        let mut state = self.lock();
        let result = work(&mut state.unacked);
        if !state.is_closed {
            state.count();
        }
        result
    }

    /// Bytes that wait.
    #[must_use]
    pub fn pending_bytes(&self) -> usize {
        let state = self.lock();
        state.pending.len() + state.writing.len() - state.written
    }

    /// Counts messages that were dropped before they came here.
    pub fn count_dropped(&self, messages: u64) {
        self.dropped.fetch_add(messages, Ordering::Relaxed);
    }

    /// Frames dropped because the client read too slowly.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Changes the limit from the next append on.
    pub fn set_limit(&self, limit: usize) {
        self.limit.store(limit as u64, Ordering::Relaxed);
    }

    /// When bytes were last taken by the socket; 0 when nothing waits.
    #[must_use]
    pub fn waiting_since_ns(&self) -> u64 {
        let state = self.lock();
        if state.pending.is_empty() && state.written == state.writing.len() {
            0
        } else {
            state.last_progress_ns
        }
    }

    /// How often something has to be sent, in milliseconds; 0 = never.
    #[must_use]
    pub fn beat_ms(&self) -> u64 {
        self.beat_ms.load(Ordering::Relaxed)
    }

    /// Sets how often something has to be sent.
    pub fn set_beat_ms(&self, beat_ms: u64) {
        self.beat_ms.store(beat_ms, Ordering::Relaxed);
    }

    /// Wakes the connection's own writer.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Waits until somebody wakes the writer.
    pub async fn woken(&self) {
        self.wake.notified().await;
    }

    /// True once the connection is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.is_gone.load(Ordering::Acquire)
    }

    /// Closes: nothing more is taken. Returns the messages whose frames were not written whole, so
    /// that they go back to their queues.
    pub fn close(&self) -> Vec<AutoAck> {
        self.is_gone.store(true, Ordering::Release);
        let mut state = self.lock();
        state.is_closed = true;
        state.pending = Vec::new();
        state.account.set(0);
        let lost = count_messages(&std::mem::take(&mut state.marks), 0).1;
        if let Some(counters) = self.counters.get() {
            counters.lost.inc_by(lost);
        }
        if !state.is_flushing {
            self.end_writing(&mut state);
        }
        self.wake.notify_one();
        state.auto_acks.drain(..).collect()
    }

    /// Claims the duty to flush; false when somebody has it. Whoever has it calls `flush_or_wake`,
    /// which sees everything appended before it began.
    pub fn mark_dirty(&self) -> bool {
        !self.is_dirty.swap(true, Ordering::AcqRel)
    }

    /// Flushes from a publisher's task if that can be done at once, else wakes the own writer.
    pub fn flush_or_wake(&self, done: &mut Vec<AutoAck>, now_ns: u64) {
        self.is_dirty.store(false, Ordering::Release);
        match self.socket.get().and_then(Weak::upgrade) {
            Some(socket) => {
                if self.flush(&socket, done, now_ns) == Flush::WouldBlock {
                    self.wake();
                }
            }
            None => self.wake(),
        }
    }

    /// Writes what waits until the socket is full. Messages of mode `auto` that are written whole
    /// are put into `done`.
    pub fn flush(&self, socket: &TcpStream, done: &mut Vec<AutoAck>, now_ns: u64) -> Flush {
        loop {
            let Some((chunk, from)) = (match self.take_chunk(now_ns) {
                Ok(chunk) => chunk,
                Err(flush) => return flush,
            }) else {
                return Flush::Done;
            };
            let result = socket.try_write(&chunk[from..]);
            match self.give_back(chunk, from, &result, done, now_ns) {
                Flush::Done => {}
                other => return other,
            }
        }
    }

    /// The next bytes to write, for a writer that has the stream to itself.
    ///
    /// # Errors
    /// Another task is writing, or the connection is closed.
    pub fn take_chunk(&self, now_ns: u64) -> Result<Option<(Vec<u8>, usize)>, Flush> {
        let mut state = self.lock();
        if state.is_flushing {
            return Err(Flush::Busy);
        }
        if state.written == state.writing.len() {
            state.writing.clear();
            state.written = 0;
            if state.pending.is_empty() {
                return Ok(None);
            }
            let State {
                pending,
                writing,
                marks,
                writing_marks,
                ..
            } = &mut *state;
            std::mem::swap(pending, writing);
            std::mem::swap(marks, writing_marks);
            state.last_progress_ns = now_ns;
        }
        state.is_flushing = true;
        state.in_hand = state.writing.len();
        Ok(Some((std::mem::take(&mut state.writing), state.written)))
    }

    /// Nothing more is written of the chunk: all of it is, or the connection is closed.
    fn end_writing(&self, state: &mut State) {
        let (written, lost) = count_messages(&state.writing_marks, state.written);
        if let Some(counters) = self.counters.get() {
            counters.written.inc_by(written);
            counters.lost.inc_by(lost);
        }
        state.writing_marks.clear();
        if state.writing_marks.capacity() > KEEP_MARKS {
            state.writing_marks = Marks::new();
        }
    }

    /// Returns a chunk after a write from its offset `from`.
    pub fn give_back(
        &self,
        mut chunk: Vec<u8>,
        from: usize,
        result: &std::io::Result<usize>,
        done: &mut Vec<AutoAck>,
        now_ns: u64,
    ) -> Flush {
        let mut state = self.lock();
        state.is_flushing = false;
        let outcome = match result {
            Ok(0) => Flush::Broken,
            Ok(count) => {
                state.written = from + count;
                state.flushed_total += *count as u64;
                state.last_progress_ns = now_ns;
                Flush::Done
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Flush::WouldBlock,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Flush::Done,
            Err(_) => Flush::Broken,
        };
        if state.written == chunk.len() || state.is_closed {
            self.end_writing(&mut state);
        }
        if state.written == chunk.len() && chunk.capacity() > KEEP_CAPACITY {
            // An idle connection owns no large buffer.
            chunk = Vec::new();
            state.written = 0;
        }
        if state.written == chunk.len() {
            chunk.clear();
            state.written = 0;
        }
        state.in_hand = 0;
        state.writing = chunk;
        if !state.is_closed {
            state.count();
        }
        let flushed = state.flushed_total;
        while state
            .auto_acks
            .front()
            .is_some_and(|auto| auto.end <= flushed)
        {
            done.extend(state.auto_acks.pop_front());
        }
        outcome
    }
}

impl Drop for Outbound {
    /// A writer that was cut off has not said how far it came.
    fn drop(&mut self) {
        let mut state = std::mem::take(&mut *self.lock());
        self.end_writing(&mut state);
    }
}

#[cfg(test)]
mod tests;
