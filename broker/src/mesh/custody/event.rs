//! What custody is told and what it asks for.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::refusals::Refusals;
use crate::mesh::frame::TransferHead;
use crate::mesh::ids::{Bid, Epoch, Now};
use crate::mesh::messages::Body;

/// Name of a queue, shared.
pub type QueueName = Arc<str>;
/// The conjunct `property = 'literal'` by which a summary took a message: property and value hash.
pub type SelectorKey = Option<(Arc<str>, u64)>;

/// What holds for one broker.
#[derive(Debug, Clone)]
pub struct CustodyConfig {
    /// This broker.
    pub own: Bid,
    /// Epoch of this process: that of the streams it opens, and of what others send it.
    pub epoch: Epoch,
    /// How long persistent messages stay in doubt; `None` = until the destination is back.
    pub doubt_persistent: Option<Duration>,
    /// How long the others do: three heartbeats of the slowest link.
    pub doubt_brief: Duration,
    /// Bytes of all reorder buffers.
    pub reorder_bytes: usize,
}

/// A queue message that no local consumer can take now.
#[derive(Debug, Clone)]
pub struct Offer {
    /// Its queue.
    pub queue: QueueName,
    /// The queue's name for it; comes back in effects.
    pub token: u64,
    /// The message.
    pub envelope: Bytes,
    /// When its lifetime is over.
    pub expires: Option<Now>,
    /// A persistent message.
    pub is_persistent: bool,
    /// A consumer may have seen it.
    pub is_redelivered: bool,
    /// Accepted transfers so far.
    pub moves: u16,
    /// Since when this broker owns it or its last local consumer is gone.
    pub idle_since: Now,
    /// The newest reachable broker that a request named for replies, while that was not tried.
    pub learned: Option<Learned>,
    /// Who refused it.
    pub refusals: Refusals,
    /// How many like it wait, for the size of a credit request.
    pub waiting: u32,
}

/// A learned route of a queue (R12 b).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Learned {
    /// The broker of the requester.
    pub bid: Bid,
    /// The ring toward it is below 75 %, or below 50 % since it was above.
    pub is_ring_open: bool,
}

/// An entry of another broker that covers the queue and does not exclude the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The broker.
    pub bid: Bid,
    /// Its epoch.
    pub epoch: Epoch,
    /// The entry.
    pub entry: u64,
    /// Its revision.
    pub rev: u32,
    /// Distance to the broker.
    pub distance: u32,
    /// Weight.
    pub consumers_log2: u32,
    /// Standing credit.
    pub open: u32,
    /// Credit hint: 0 none, 1 some, 2 plenty.
    pub hint: u32,
    /// How the summary took the message.
    pub key: SelectorKey,
    /// The ring toward the broker takes queue messages.
    pub is_ring_open: bool,
}

/// What became of an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// On its way; an effect will tell the outcome.
    Sent(Bid),
    /// It stays in its queue.
    Stays(Stay),
}

/// Why a message stays. The queue is looked at again after [`Effect::Look`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stay {
    /// It moves too often and rests until then (R18).
    Held(Now),
    /// Nobody reachable wants it, or all of them refused it.
    NoCandidate,
    /// No credit at the moment.
    NoCredit,
    /// The rings toward all candidates are too full.
    RingFull,
}

/// Why a transfer is refused; the numbers travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Refusal {
    /// Consumers match, none is free.
    NoCredit,
    /// No consumer matches.
    NoConsumer,
    /// No room.
    Full,
    /// The sender may not write there.
    NotAllowed,
    /// An old term.
    StaleTerm,
}

impl Refusal {
    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> u32 {
        match self {
            Self::NoCredit => 1,
            Self::NoConsumer => 2,
            Self::Full => 3,
            Self::NotAllowed => 4,
            Self::StaleTerm => 5,
        }
    }

    /// What the number stands for. A later version's reason is taken for `not allowed`: do not
    /// offer it there again.
    #[must_use]
    pub const fn from_code(code: u32) -> Self {
        match code {
            1 => Self::NoCredit,
            2 => Self::NoConsumer,
            3 => Self::Full,
            5 => Self::StaleTerm,
            _ => Self::NotAllowed,
        }
    }
}

/// Names one transfer at its receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransferId {
    /// The owner.
    pub owner: Bid,
    /// Epoch of the stream.
    pub stream_epoch: u64,
    /// Number of the stream.
    pub stream: u32,
    /// Number in the stream.
    pub seq: u64,
}

/// A queue's answer to an arrived transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Which transfer.
    pub id: TransferId,
    /// `None`: this broker is the owner now.
    pub refused: Option<Refusal>,
}

/// By which credit a transfer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Credit {
    /// Standing credit: accept only if a consumer is free.
    Standing,
    /// A grant.
    Granted,
    /// A learned route: accept without a consumer; from here only entries count for it.
    Learned,
}

/// What custody is told.
#[derive(Debug)]
pub enum Event<'a> {
    /// A transfer arrived and was new to the duplicate window.
    Transfer {
        /// Its head.
        head: TransferHead,
        /// The message.
        envelope: Bytes,
        /// When its lifetime is over.
        expires: Option<Now>,
    },
    /// Queues answered. Persistent messages are safe before this is said.
    Outcomes(&'a [Outcome]),
    /// Routed control of another broker: credit, acknowledgements.
    Routed {
        /// Who.
        from: Bid,
        /// What.
        body: Body,
    },
    /// A queue answers a credit request.
    Grant {
        /// What [`Effect::CreditWanted`] said.
        request: CreditWanted,
        /// Prefetch of matching consumers, at most the free room of the remote lane.
        room: Room,
    },
    /// Consumers of a queue that [`super::Custody::is_awaited`] have room: who waits for it is told.
    Room(QueueName),
    /// The map or the epoch of a broker changed.
    Peer {
        /// Which.
        bid: Bid,
        /// Its epoch.
        epoch: Epoch,
        /// A route exists.
        is_reachable: bool,
    },
    /// The routes have a new generation.
    Generation,
    /// A ring is below 50 % again.
    RingFree,
    /// A queue that was looked at has nothing left that may go: its unused credit is given back.
    QueueServed {
        /// Which.
        queue: QueueName,
        /// Nothing waits in it, for whomever.
        is_empty: bool,
    },
    /// The last consumer of a queue is gone: credit given is withdrawn.
    ConsumersGone(QueueName),
    /// The records of a broker were purged.
    Purged(Bid),
    /// The epoch of this process was raised (R3).
    Epoch(Epoch),
    /// Time passed.
    Tick,
}

/// A credit request that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreditWanted {
    /// Who asks.
    pub from: Bid,
    /// For which queue.
    pub queue: QueueName,
    /// For which messages.
    pub key: SelectorKey,
    /// How many wait there.
    pub want: u32,
    /// Why it is looked at.
    pub cause: Cause,
}

/// Why a credit request is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// It arrived, and is answered whatever the room.
    Asked,
    /// It waits, and there is room.
    Room,
    /// It waits, and there was little room a moment ago.
    Due,
}

/// Prefetch of the consumers that would take a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Room {
    /// What is free of it.
    pub free: u32,
    /// All of it.
    pub all: u32,
}

/// A message comes back to its queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Returned {
    /// Its queue.
    pub queue: QueueName,
    /// The queue's name for it.
    pub token: u64,
    /// Why.
    pub why: ReturnReason,
    /// A consumer may have seen it.
    pub is_redelivered: bool,
    /// The learned route was tried: only entries count from now on.
    pub was_learned: bool,
    /// Who refused it so far.
    pub refusals: Refusals,
}

/// Why a message comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReturnReason {
    /// The receiver refused it.
    Refused(Refusal),
    /// The receiver knows nothing of the stream.
    Unknown,
    /// The destination was unreachable for too long.
    InDoubt,
    /// Its lifetime ended before it was accepted.
    Expired,
}

/// What custody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Send a FWD of kind 1 with a new number of this broker.
    Forward {
        /// The head; `to` is the only destination.
        head: TransferHead,
        /// The message.
        envelope: Bytes,
        /// Lifetime left; 0 = for ever.
        ttl_ms: u32,
    },
    /// Send a FWD of kind 2.
    Route {
        /// To whom.
        to: Bid,
        /// What.
        body: Body,
    },
    /// Put a transfer into the remote lane of its queue; the queue answers with an outcome, at
    /// once with [`Refusal::Full`] when the lane is full.
    Arrived {
        /// Which.
        id: TransferId,
        /// The message.
        envelope: Bytes,
        /// When its lifetime is over.
        expires: Option<Now>,
        /// Accepted transfers, this one included.
        moves: u16,
        /// A consumer may have seen it.
        is_redelivered: bool,
        /// A persistent message.
        is_persistent: bool,
        /// By which credit.
        credit: Credit,
    },
    /// Put a credit request into the remote lane of its queue, or drop it when that is full. When
    /// somebody waits for the queue afterwards, [`Event::Room`] is wanted as soon as there is room.
    CreditWanted(CreditWanted),
    /// Another broker owns the message now: forget it.
    Gone {
        /// Its queue.
        queue: QueueName,
        /// The queue's name for it.
        token: u64,
    },
    /// The message is this broker's again.
    Returned(Returned),
    /// A message that came back in doubt was accepted after all: drop it if it is undelivered,
    /// else a duplicate exists.
    Recall {
        /// Its queue.
        queue: QueueName,
        /// The queue's name for it.
        token: u64,
    },
    /// The next deadline is sooner than it was.
    Wake,
    /// Look at the queue again: something changed for what stays there.
    Look(QueueName),
    /// Drop the frames of that stream from this broker's limbo.
    DropParked {
        /// Their destination.
        to: Bid,
        /// The stream.
        stream: u32,
    },
}

/// Where effects go.
pub type Effects = Vec<Effect>;
