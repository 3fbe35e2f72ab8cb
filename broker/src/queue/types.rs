//! What goes into a queue and comes out of it.

use crate::model::Message;
use crate::selector::Selector;

/// A consumer of one queue; unique within the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConsumerId(pub u64);

/// What a consumer asks for.
#[derive(Debug, Clone)]
pub struct ConsumerOptions {
    /// Only messages that match; `None` = all.
    pub selector: Option<Selector>,
    /// Messages in flight at once; 0 = nothing for now.
    pub capacity: u32,
    /// Higher first, −128…127.
    pub priority: i8,
    /// While one such consumer is there, nobody else is served.
    pub is_exclusive: bool,
    /// It asked for a pattern of queues, not for this one by its name (R12 d).
    pub is_monitor: bool,
}

/// When a queue counts as full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimits {
    /// Bytes of kept messages.
    pub max_bytes: usize,
    /// Kept messages; 0 = no limit.
    pub max_messages: usize,
    /// The return after so many goes to the dead letters; 0 = only clients count.
    pub max_redeliveries: u16,
}

/// Why a message left the queue for the dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadReason {
    /// A consumer refused it.
    Poison,
    /// Its time was over.
    Expired,
    /// It came back more often than the queue allows.
    Redeliveries,
}

/// What the caller has to do.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Hand the message to that consumer; it stays in flight until acknowledged or released.
    Deliver {
        /// Who gets it.
        consumer: ConsumerId,
        /// Its number in this queue.
        seq: u64,
        /// The message.
        message: Message,
    },
    /// Keep it as a dead letter, or drop it, as the policy says.
    Dead {
        /// The message, no longer in this queue.
        message: Message,
        /// Why.
        reason: DeadReason,
    },
}

/// The answer to an enqueue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It is in the queue or in flight.
    Accepted,
    /// The queue is full; nothing happened.
    Full,
}

/// Counters since the queue was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueCounters {
    /// Messages accepted.
    pub enqueued: u64,
    /// Messages acknowledged, moved away or dead.
    pub dequeued: u64,
}
