//! One subscription of one client, as routing and queues know it.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::outbound::{Append, Outbound};
use super::unacked::Delivered;
use crate::broker::durables::Durable;
use crate::broker::ledger::Account;
use crate::model::{Destination, Message, MessageView};
use crate::queue::QueueCell;
use crate::selector::Selector;
use crate::wire::stomp::encode::{self, Escaping, Presentation};

/// When a message counts as consumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckMode {
    /// When it was written to the client.
    Auto,
    /// When the client acknowledges it or a later one of the subscription.
    Client,
    /// When the client acknowledges this one.
    Individual,
}

/// A live subscription. Shared by the connection, the topic table and the queues.
#[derive(Debug)]
pub struct Subscriber {
    /// Unique within the broker's life; also the consumer's id in queues.
    pub key: u64,
    /// Where its messages go.
    pub outbound: Arc<Outbound>,
    /// The subscription's number in its session.
    pub session_id: u32,
    /// When messages count as consumed.
    pub mode: AckMode,
    /// What it asked for: a destination or a pattern; the first one of a durable subscription.
    pub filter: Destination,
    /// The durable subscription that it consumes from.
    pub durable: Option<Arc<Durable>>,
    /// Of a topic whose messages it acknowledges, or of which it wants so many held and no more:
    /// what waits for room in its window. It is its one consumer.
    pub backlog: Option<Arc<QueueCell>>,
    /// Only messages that match.
    pub selector: Option<Selector>,
    /// Leaves out what its own connection publishes.
    pub no_local: bool,
    /// Name of the user, for rights and reports.
    pub user: Arc<str>,
    /// The `id` that the client chose; `None` for a 1.0 subscription without one.
    pub subscription_id: Option<Box<str>>,
    /// Escaping rules of the connection's version.
    pub escaping: Escaping,
    /// True where MESSAGE frames carry an `ack` header (1.2).
    pub names_acks: bool,
    /// Head of each MESSAGE of mode `auto` or of a topic without acks.
    pub prefix: Box<[u8]>,
    /// How temporary destinations of its own connection are shown to it.
    pub presentation: Presentation,
    /// What it takes.
    pub account: Account,
    /// False while its user lacks the right to read (R21).
    pub is_allowed: AtomicBool,
}

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Subscriber {
    /// True while the user may read what it asked for.
    #[must_use]
    pub fn allowed(&self) -> bool {
        self.is_allowed.load(Ordering::Acquire)
    }

    /// True when MESSAGE frames may be shared between subscribers with equal escaping.
    #[must_use]
    pub fn takes_shared_tail(&self, view: &MessageView<'_>) -> bool {
        self.backlog.is_none() && !self.presentation.changes(view)
    }

    /// Hands over a topic message whose tail was encoded before.
    pub fn deliver_tail(&self, tail: &[u8]) -> Append {
        self.outbound.push_droppable(&[&self.prefix, tail])
    }

    /// Hands over a topic message that is encoded for this subscriber alone.
    pub fn deliver_topic(&self, view: &MessageView<'_>) -> Append {
        with_scratch(|scratch| {
            encode::tail(view, self.escaping, &self.presentation, scratch);
            self.outbound.push_droppable(&[&self.prefix, scratch])
        })
    }

    /// Hands over a message that the queue counts as in flight at this consumer.
    pub fn deliver_queue(&self, message: &Message, queue: &Arc<QueueCell>, seq: u64) -> Append {
        let Some(view) = message.view() else {
            return Append::Closed;
        };
        if self.mode == AckMode::Auto {
            return with_scratch(|scratch| {
                encode::tail(&view, self.escaping, &self.presentation, scratch);
                self.outbound
                    .push_auto(&[&self.prefix, scratch], queue.clone(), self.key, seq)
            });
        }
        let delivered = Delivered {
            subscription: self.session_id,
            queue: queue.clone(),
            consumer: self.key,
            seq,
            message: message.clone(),
        };
        self.outbound
            .push_acked(delivered, |token, out| self.encode_acked(&view, token, out))
    }

    fn encode_acked(&self, view: &MessageView<'_>, token: u64, out: &mut Vec<u8>) {
        let token = self.names_acks.then_some(token);
        encode::prefix(self.subscription_id.as_deref(), token, self.escaping, out);
        encode::tail(view, self.escaping, &self.presentation, out);
    }
}

fn with_scratch<R>(work: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.clear();
        let result = work(scratch);
        if scratch.capacity() > 1024 * 1024 {
            *scratch = Vec::new();
        }
        result
    })
}
