//! The sections of `broker.yaml` that have defaults.

use serde::{Deserialize, Serialize};

use crate::config::units::{Size, Span};

macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $($(#[$field_doc])* #[serde(skip_serializing_if = "Option::is_none")] pub $field: Option<$type>,)*
        }
    };
}

section! {
    /// Values for every queue; `policies` change them by name.
    QueueSection {
        /// Messages in flight per consumer.
        prefetch: u32,
        /// What happens at the limit.
        full: QueueFull,
        /// Bytes of one queue.
        max_bytes: Size,
        /// Messages of one queue; 0 = no limit.
        max_messages: u64,
        /// Empty and unused for so long: removed.
        idle_after: Span,
        /// Returns before a message is dead; 0 = only clients count.
        max_redeliveries: u16,
        /// The shared dead letter queue; empty = dropped.
        dead_letter: String,
        /// Prefix of dead letter queues of their own.
        dead_letter_prefix: String,
        /// Keep non-persistent ones too.
        dead_letter_non_persistent: bool,
        /// Keep expired ones.
        dead_letter_expired: bool,
        /// By name; the first match wins.
        policies: Vec<QueuePolicy>,
    }
}

/// What differs for queues of one pattern.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueuePolicy {
    /// The pattern.
    #[serde(rename = "match")]
    pub pattern: String,
    /// See [`QueueSection`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefetch: Option<u32>,
    /// See [`QueueSection`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full: Option<QueueFull>,
    /// See [`QueueSection`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<Size>,
    /// See [`QueueSection`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_messages: Option<u64>,
    /// See [`QueueSection`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_after: Option<Span>,
    /// See [`QueueSection`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_redeliveries: Option<u16>,
    /// See [`QueueSection`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<String>,
    /// See [`QueueSection`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letter_prefix: Option<String>,
    /// See [`QueueSection`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letter_non_persistent: Option<bool>,
    /// See [`QueueSection`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letter_expired: Option<bool>,
}

/// What a producer meets at a full queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QueueFull {
    /// It waits.
    #[default]
    Block,
    /// An ERROR.
    Refuse,
}

section! {
    /// Values for topics.
    TopicSection {
        /// Messages in flight per consumer that acknowledges.
        prefetch: u32,
        /// Messages in flight at the consumer of a durable subscription.
        durable_prefetch: u32,
        /// Messages of one durable subscription; 0 = no limit.
        durable_max_messages: u32,
        /// Bytes of one durable subscription.
        durable_max_bytes: Size,
    }
}

section! {
    /// Limits; each is tested at its edge.
    LimitsSection {
        /// Client connections.
        connections: u32,
        /// Client connections of one user; 0 = off.
        connections_per_user: u32,
        /// From accept to a complete CONNECT.
        pre_auth_deadline: Span,
        /// Connections before login.
        pre_auth_connections: u32,
        /// Bytes of frames that have not arrived whole, of all connections before login.
        pre_auth_memory: Size,
        /// Bytes of frames that have not arrived whole, of all connections after login.
        arriving_memory: Size,
        /// Bytes of a frame.
        frame: Size,
        /// Subscriptions of one connection.
        subscriptions: u32,
        /// Bytes of all subscriptions with their selectors.
        subscription_memory: Size,
        /// Bytes of a destination.
        destination_length: u32,
        /// Bytes of an id.
        id_length: u32,
        /// Queues.
        destinations: u32,
        /// Temporary destinations of one connection.
        temporary_destinations: u32,
        /// Durable subscriptions.
        durable_subscriptions: u32,
        /// Durable subscriptions of one user; 0 = off.
        durable_subscriptions_per_user: u32,
        /// Frames in a transaction.
        transaction_frames: u32,
        /// Bytes of a connection's open transactions.
        transaction_bytes: Size,
        /// Bytes that wait for one client.
        outbound: Size,
        /// No byte taken for so long: closed.
        write_deadline: Span,
    }
}

section! {
    /// Memory; all shares follow it.
    MemorySection {
        /// Bytes for messages.
        limit: Size,
    }
}

section! {
    /// STOMP.
    StompSection {
        /// Our offer.
        heart_beat: HeartBeatOffer,
        /// Bytes of a header line.
        max_line: Size,
        /// Bytes of all header lines.
        max_header_block: Size,
        /// Headers of a frame.
        max_headers: u32,
    }
}

/// Our offer of heart-beats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeartBeatOffer {
    /// So often we can send.
    pub send: Span,
    /// So often we want to hear.
    pub want: Span,
}

section! {
    /// Logins.
    SecuritySection {
        /// Password verifications at once.
        verify_permits: u32,
        /// Delay of answers after failures.
        failure_delay: FailureDelay,
        /// How long a verified password is remembered.
        cache_ttl: Span,
    }
}

/// Delay of answers after failed logins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailureDelay {
    /// From this failure on.
    pub after: u32,
    /// Within this time.
    pub window: Span,
    /// The first delay; doubled each time.
    pub min: Span,
    /// The largest delay.
    pub max: Span,
}

section! {
    /// The admin listener.
    AdminSection {
        /// Connections at once.
        max_connections: u32,
    }
}

section! {
    /// Links and routing.
    MeshSection {
        /// Destinations whose young subscriptions need no interest.
        reply_patterns: Vec<String>,
        /// How long a message waits for a route.
        limbo_time: Span,
        /// How long a persistent message stays in doubt.
        doubt_timeout: Span,
        /// Bytes of all rings.
        rings: Size,
        /// Bytes beyond the windows of all rings.
        overflow: Size,
        /// Bytes that wait for a route.
        limbo: Size,
        /// Bytes of map, interest and reports.
        databases: Size,
        /// Bytes of the windows that find duplicates.
        windows: Size,
        /// How long such a window remembers.
        window_time: Span,
        /// Reply destinations whose way is remembered.
        reply_routes: u32,
        /// How long it is remembered.
        reply_ttl: Span,
        /// Standing credit of an entry of interest.
        open_credit: u32,
        /// From the connection to both ACCEPTs.
        handshake_timeout: Span,
        /// From ACCEPT to SYNCED.
        sync_timeout: Span,
        /// For each address that is dialled.
        connect_timeout: Span,
        /// First wait after a network failure.
        redial_min: Span,
        /// Longest wait after network failures.
        redial_max: Span,
        /// First wait after a refusal.
        refused_min: Span,
        /// Longest wait after refusals.
        refused_max: Span,
        /// The own record in the map is issued again after about this time.
        lsa_refresh: Span,
        /// The own report is issued again after this time.
        report_refresh: Span,
        /// Probes go out this often; 0s = none.
        probe_interval: Span,
        /// The connection of a link is replaced by a new one when it is that old; 0s = never.
        renew_after: Span,
    }
}

section! {
    /// How the broker stops.
    ShutdownSection {
        /// Clients closed per second.
        drain_rate: u32,
        /// Time for all of it.
        drain: Span,
    }
}

section! {
    /// Logs.
    LogSection {
        /// How much.
        level: LogLevel,
        /// In which form.
        format: LogFormat,
    }
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Errors.
    Error,
    /// And warnings.
    Warn,
    /// And life-cycle events.
    Info,
    /// And each command.
    Debug,
}

impl LogLevel {
    /// The word.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

/// The form of logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One object a line.
    Json,
    /// For people.
    Text,
}
