//! One connection with a neighbour, from its first frame to its last (section 3), and one link with
//! what it remembers between connections.
//!
//! Decides nothing that needs the map; the core asks `tie` and `hello` and acts.

pub mod auth;
pub(super) mod hello;
pub(super) mod link;
pub(super) mod renewal;
pub(super) mod sync;
#[cfg(test)]
mod tests;
pub(super) mod tie;

use std::time::Duration;

use super::config::Secret;
use super::event::Transport;
use super::frame::{PRE_AUTH_LIMIT, Phase};
use super::ids::{ClaimId, ConnId, Epoch, LinkId, Now, Sid};

/// A link is dead after this many of the peer's announced intervals. Rule: R11.
pub const DEAD_FACTOR: u32 = 3;
/// A connection that synchronises is dead after this long without a byte.
const SYNC_SILENCE: Duration = Duration::from_secs(10);
/// Intervals beyond this are a mistake of the peer.
const MAX_INTERVAL: Duration = Duration::from_secs(60);

/// State of a link; the words are the same everywhere, and reports carry the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum LinkState {
    /// None of the others.
    Down = 0,
    /// Dialling, or in TLS, authentication, HELLO, synchronisation.
    Connecting = 1,
    /// Synchronised, advertised, moving.
    Up = 2,
    /// Up, and its ring has been above three quarters for a second.
    Throttled = 3,
    /// Messages wait and nothing is acknowledged.
    Blocked = 4,
    /// The last attempt failed at authentication.
    AuthFailed = 5,
    /// The last attempt was refused.
    Refused = 6,
}

impl LinkState {
    /// The word of 3.5.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Connecting => "connecting",
            Self::Up => "up",
            Self::Throttled => "throttled",
            Self::Blocked => "blocked",
            Self::AuthFailed => "auth_failed",
            Self::Refused => "refused",
        }
    }

    /// True while the link carries data.
    #[must_use]
    pub const fn carries_data(self) -> bool {
        matches!(self, Self::Up | Self::Throttled | Self::Blocked)
    }
}

/// What a connection was opened with; reports carry the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Credential {
    /// Not proved yet.
    None = 0,
    /// The current password.
    Current = 1,
    /// The previous password.
    Previous = 2,
    /// A certificate.
    Certificate = 3,
}

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// The peer is not proved.
    Auth,
    /// Proved, not accepted both ways.
    Hello,
    /// Accepted both ways.
    Sync,
    /// SYNCED sent and received.
    Up,
}

/// Who is at the other end, by its HELLO.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) id: ClaimId,
    pub(super) epoch: Epoch,
    pub(super) sid: Sid,
    pub(super) spec_hash: String,
    pub(super) live_conn: u64,
    /// It wants the connection to follow the one that is up (R25).
    pub(super) renews: bool,
    pub(super) max_frame: u32,
    pub(super) caps: u64,
}

/// Why an answer to a HELLO is held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// Another connection of the link goes first (3.4).
    Tie,
    /// The other claim of the peer's site has to show that it lives (R26).
    Proof {
        /// The connection to it.
        held: ConnId,
        /// When it was asked.
        asked: Now,
    },
}

/// One connection.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) conn: ConnId,
    pub(super) link: Option<LinkId>,
    pub(super) is_dialler: bool,
    pub(super) transport: Transport,
    pub(super) stage: Stage,
    pub(super) started: Now,
    pub(super) synchronises_since: Now,
    pub(super) heard: Now,
    /// The dialler's random number.
    pub(super) number: u64,
    pub(super) credential: Credential,
    pub(super) secret: Option<Secret>,
    /// What this end had to show.
    pub(super) offer: Option<renewal::Offer>,
    /// It is to follow the connection that is up (R25).
    pub(super) renews: bool,
    /// Whoever dialled it is asked to renew it.
    pub(super) asks_renewal: bool,
    /// The peer has asked for that.
    pub(super) is_asked: bool,
    /// What it was opened with counts no longer, and it is closed then.
    pub(super) withdrawn: Option<Now>,
    /// The peer has nothing under way on it any more: it is renewed.
    pub(super) is_peer_drained: bool,
    pub(super) auth: auth::Exchange,
    pub(super) hello_sent: bool,
    pub(super) accept_sent: bool,
    pub(super) accept_received: bool,
    pub(super) peer: Option<Peer>,
    pub(super) waits: Option<(Wait, Now)>,
    pub(super) sync: sync::Sync,
    pub(super) ping_at: Option<Now>,
    pub(super) rtt: Option<Duration>,
    peer_interval: Option<Duration>,
    early_bytes: usize,
}

impl Session {
    pub(super) fn new(conn: ConnId, link: Option<LinkId>, transport: Transport, now: Now) -> Self {
        Self {
            conn,
            link,
            is_dialler: link.is_some(),
            transport,
            stage: Stage::Auth,
            started: now,
            synchronises_since: now,
            heard: now,
            number: 0,
            credential: Credential::None,
            secret: None,
            offer: None,
            renews: false,
            asks_renewal: false,
            is_asked: false,
            withdrawn: None,
            is_peer_drained: false,
            auth: auth::Exchange::default(),
            hello_sent: false,
            accept_sent: false,
            accept_received: false,
            peer: None,
            waits: None,
            sync: sync::Sync::default(),
            ping_at: None,
            rtt: None,
            peer_interval: None,
            early_bytes: 0,
        }
    }

    /// What the reader of the connection may take now.
    pub(super) const fn phase(&self) -> Phase {
        match self.stage {
            Stage::Auth => Phase::PreAuth,
            Stage::Hello => Phase::Hello,
            Stage::Sync if !self.sync.has_received => Phase::Sync,
            Stage::Sync | Stage::Up => Phase::Up,
        }
    }

    /// Counts what comes before authentication; false when it is too much.
    pub(super) const fn takes_early(&mut self, bytes: usize) -> bool {
        self.early_bytes += bytes;
        self.early_bytes <= PRE_AUTH_LIMIT
    }

    /// True when control is flooded over the connection.
    pub(super) fn is_flooded(&self) -> bool {
        self.stage >= Stage::Sync
    }

    /// The peer promised to send something this often.
    pub(super) fn announced(&mut self, interval_ms: u32) {
        let interval = Duration::from_millis(interval_ms.into());
        self.peer_interval = Some(interval.clamp(Duration::from_millis(1), MAX_INTERVAL));
    }

    /// Smooths a measured round trip.
    pub(super) fn measured(&mut self, trip: Duration) {
        self.rtt = Some(self.rtt.map_or(trip, |known| (known * 7 + trip) / 8));
    }

    /// When the connection is given up unless something comes, and why. Rule: R11.
    pub(super) fn gives_up(
        &self,
        handshake: Duration,
        sync: Duration,
        own: Duration,
    ) -> (Now, Limit) {
        match self.stage {
            Stage::Auth | Stage::Hello => (self.started.plus(handshake), Limit::Handshake),
            Stage::Sync => {
                let whole = self.synchronises_since.plus(sync);
                (whole.min(self.heard.plus(SYNC_SILENCE)), Limit::Sync)
            }
            Stage::Up => {
                let interval = self.peer_interval.unwrap_or(own);
                (self.heard.plus(interval * DEAD_FACTOR), Limit::Silence)
            }
        }
    }
}

/// Which limit of time ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    Handshake,
    Sync,
    Silence,
}
