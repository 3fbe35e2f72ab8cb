//! What the control plane is told and what it asks for.
//!
//! The driver owns sockets and timers. It keeps three promises: the frames of a connection arrive
//! in order, one at a time; a connection that ends without [`Action::Close`] is reported by
//! [`Event::Closed`]; after an [`Action::AskRoom`] there is an [`Event::Room`], after an
//! [`Action::Drain`] an [`Event::Drained`], unless the link ends before it.

use std::sync::Arc;

use bytes::Bytes;

use super::config::{Address, MeshConfig};
use super::frame::{FrameError, FrameType};
use super::ids::{Bid, ClaimId, ConnId, Epoch, LinkId};
use super::interest::{EntryChange, LocalChange};
use super::messages::{Body, Reason};
use super::routes::Routes;
use super::session::LinkState;

/// A control frame that arrived. FWD, CONT and LACK never come this way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlFrame {
    /// What it is.
    pub kind: FrameType,
    /// Everything after the header.
    pub body: Bytes,
}

/// What is known of a fresh connection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transport {
    /// The name in the peer's certificate, when its chain was verified.
    pub verified: Option<String>,
    /// Start of the fingerprint of the root that the chain ended at; display data.
    pub root: Option<String>,
    /// This end showed a certificate.
    pub has_certificate: bool,
    /// The number of certificate and roots that it was opened under ([`MeshConfig::tls`]).
    pub tls: u64,
    /// When the first certificate of both chains ends, in ms of the wall clock; 0 = never.
    pub ends_ms: i64,
    /// TLS exporter value of 3.2; `None` on plain TCP.
    pub binding: Option<[u8; 32]>,
    /// 32 fresh random bytes.
    pub nonce: [u8; 32],
    /// Wall clock in ms, only for a warning about skew; 0 = unknown.
    pub wall_ms: i64,
}

/// Why a dial did not become a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DialFailure {
    /// The name does not resolve, or nobody answers.
    Unreachable,
    /// TLS failed because of a certificate.
    Certificate,
    /// TLS failed otherwise.
    Tls,
}

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CloseCause {
    /// The peer closed it.
    Closed,
    /// It was reset.
    Reset,
}

/// How full the ring of a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RingLevel {
    /// Below half.
    Free,
    /// Above three quarters.
    High,
    /// Full.
    Full,
    /// Messages wait and nothing was acknowledged for 10 s.
    Blocked,
    /// The same for 30 s.
    Stalled,
    /// Acknowledgements come again.
    Moving,
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// A dial succeeded, TLS included.
    Dialled {
        /// The link it was for.
        link: LinkId,
        /// Its new connection.
        conn: ConnId,
        /// What is known of it.
        transport: Transport,
    },
    /// A dial failed.
    DialFailed {
        /// The link it was for.
        link: LinkId,
        /// Why.
        why: DialFailure,
    },
    /// The link listener has a connection, TLS included.
    Accepted {
        /// Its number.
        conn: ConnId,
        /// What is known of it.
        transport: Transport,
    },
    /// A control frame arrived.
    Frame {
        /// On which connection.
        conn: ConnId,
        /// The frame.
        frame: ControlFrame,
    },
    /// What arrived breaks the protocol.
    Broken {
        /// On which connection.
        conn: ConnId,
        /// How.
        error: FrameError,
    },
    /// Less than 256 KiB of control wait on the connection; answer to [`Action::AskRoom`].
    Room {
        /// Which.
        conn: ConnId,
    },
    /// Data arrived: a sign of life. Told at most a few times per heartbeat.
    Alive {
        /// On which connection.
        conn: ConnId,
    },
    /// The ring of a link changed its level.
    Ring {
        /// Which link.
        link: LinkId,
        /// What it is now.
        level: RingLevel,
    },
    /// Messages in the rings; display data.
    Pending(Vec<(LinkId, u64)>),
    /// A connection ended.
    Closed {
        /// Which.
        conn: ConnId,
        /// Why.
        why: CloseCause,
    },
    /// Everything that a link had sent over a connection that is renewed is acknowledged; answer to
    /// [`Action::Drain`].
    Drained {
        /// Which link.
        link: LinkId,
        /// Its newer connection.
        conn: ConnId,
    },
    /// The peer's chain of a connection leads to no root that is still in force.
    Distrusted {
        /// Which.
        conn: ConnId,
    },
    /// The peer's certificate of a connection is over.
    Expired {
        /// Which.
        conn: ConnId,
    },
    /// Local consumers changed.
    Interest(Vec<LocalChange>),
    /// Routed control that is not custody's.
    Routed {
        /// Who said it.
        from: Bid,
        /// What.
        body: Body,
    },
    /// The configuration changed.
    Config(Box<MeshConfig>),
    /// The deadline passed.
    Tick,
    /// The broker begins to shut down (R24).
    Leave,
    /// The rings are empty, or time is up: say BYE.
    Stop,
}

/// Which control frames may overtake others on their way out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Ahead of everything queued: PING and PONG.
    Urgent,
    /// Ahead of queued data, in order.
    Ordered,
}

/// What is to be done. Actions are carried out in order.
#[derive(Debug)]
pub enum Action {
    /// Dial an address; all its A and AAAA records.
    Dial {
        /// For which link.
        link: LinkId,
        /// Where.
        address: Address,
    },
    /// Queue an encoded control frame.
    Send {
        /// On which connection.
        conn: ConnId,
        /// Header and body.
        frame: Bytes,
        /// Where it is queued.
        lane: Lane,
        /// A queued frame of the same type about the same claim may be dropped for this one.
        replaces: Option<(FrameType, ClaimId)>,
    },
    /// Send the last frame, then close. The connection is forgotten here.
    Close {
        /// Which.
        conn: ConnId,
        /// REFUSE or BYE.
        last: Option<Bytes>,
    },
    /// Say [`Event::Room`] as soon as less than 256 KiB of control wait on the connection.
    AskRoom(ConnId),
    /// A link can carry data over a connection.
    LinkUp {
        /// Which link.
        link: LinkId,
        /// Over which connection.
        conn: ConnId,
        /// Longest FWD that the peer takes.
        max_frame: u32,
        /// Capabilities chosen.
        caps: u64,
    },
    /// The link has a newer connection. Its data arrives over both; nothing more is sent over the
    /// older one, and [`Event::Drained`] is said when all that was is acknowledged. Rule: R25.
    Drain {
        /// Which link.
        link: LinkId,
        /// The newer connection.
        conn: ConnId,
    },
    /// Data is sent over the newer connection from now on, first what was not acknowledged over the
    /// older one, marked. Rule: R25.
    TakeOver {
        /// Which link.
        link: LinkId,
    },
    /// New routes.
    Publish(Arc<Routes>),
    /// The link's connection is gone: split what its ring holds anew (R10).
    Resplit(LinkId),
    /// Changes of what other brokers want.
    Entries(Vec<EntryChange>),
    /// Nothing is known of a broker any more.
    Purged(Bid),
    /// Send routed control.
    Route {
        /// To which broker.
        to: Bid,
        /// What.
        body: Body,
    },
    /// The own epoch was raised: store it and put it into frames from now on.
    Epoch(Epoch),
    /// Write to the log.
    Log(MeshLog),
    /// Count something.
    Count(Counter, u64),
}

/// Where actions go.
pub type Actions = Vec<Action>;

/// What people should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MeshLog {
    /// A link has another state.
    Link {
        /// Its name.
        link: String,
        /// The other site.
        peer: String,
        /// State before.
        old: LinkState,
        /// State now.
        new: LinkState,
        /// Why.
        reason: &'static str,
    },
    /// A connection was refused here. At most one a minute per link and reason.
    Refused {
        /// Name of the link, as the peer said it.
        link: String,
        /// Why.
        reason: Reason,
        /// More about it.
        detail: String,
    },
    /// Two sites have one short id; the second one is no destination.
    SidConflict {
        /// The site that keeps the id.
        keeps: String,
        /// The site that loses.
        loses: String,
    },
    /// Somebody else holds this site.
    Rival {
        /// Name of the site.
        site: String,
    },
    /// The clocks of two sites differ.
    ClockSkew {
        /// The other site.
        peer: String,
        /// By how much.
        skew_ms: i64,
    },
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Counter {
    /// A link reached `up`.
    Connects(LinkId),
    /// A link that is up went on over a newer connection.
    Renewals(LinkId),
    /// A newer connection was not to be had; the older one stays.
    RenewalFailures(LinkId),
    /// A connection of a link ended, by the word of 3.5.
    Disconnects(&'static str),
    /// A refusal given or received.
    Refusals(Reason),
    /// A record that is not credible.
    NotCredible,
    /// A record above a limit.
    OverLimit,
    /// A second site with a short id.
    SidConflict,
    /// A second holder of a site.
    Rivals,
    /// Shortest paths were computed.
    SpfRuns,
    /// A probe came back after that many microseconds.
    ProbeMicros(Bid),
    /// A probe did not come back.
    ProbeFailures(Bid),
    /// A round trip over a link in microseconds.
    RoundTripMicros(LinkId),
}
