//! Every number of `broker.yaml` with its default filled in. What is a share of memory follows
//! `memory.limit`.

use super::file::{
    BrokerFile, FailureDelay, HeartBeatOffer, Link, LogFormat, LogLevel, MeshSection,
};
use super::units::{Size, Span};

/// Every number with its default filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes for messages; everything below follows it.
    pub memory: u64,
    /// Client connections.
    pub connections: u32,
    /// Of one user; 0 = off.
    pub connections_per_user: u32,
    /// From accept to login.
    pub pre_auth_deadline: Span,
    /// Connections before login.
    pub pre_auth_connections: u32,
    /// Bytes of frames that have not arrived whole, before the login.
    pub pre_auth_memory: usize,
    /// Bytes of frames that have not arrived whole, after it.
    pub arriving_memory: usize,
    /// Bytes of a frame.
    pub frame: usize,
    /// Subscriptions of one connection.
    pub subscriptions: usize,
    /// Bytes of all subscriptions and their selectors.
    pub subscription_memory: usize,
    /// Bytes of a destination.
    pub destination_length: usize,
    /// Bytes of an id.
    pub id_length: usize,
    /// Queues.
    pub destinations: usize,
    /// Temporary destinations of one connection.
    pub temporary_destinations: usize,
    /// Durable subscriptions.
    pub durable_subscriptions: usize,
    /// Durable subscriptions of one user; 0 = off.
    pub durable_subscriptions_per_user: usize,
    /// Messages of one durable subscription; 0 = no limit.
    pub durable_messages: usize,
    /// Bytes of one durable subscription.
    pub durable_bytes: usize,
    /// Frames in a transaction.
    pub transaction_frames: usize,
    /// Bytes of open transactions.
    pub transaction_bytes: usize,
    /// Bytes that wait for one client.
    pub outbound: usize,
    /// No byte taken for so long: closed.
    pub write_deadline: Span,
    /// Bytes of a header line.
    pub max_line: usize,
    /// Bytes of all header lines.
    pub max_header_block: usize,
    /// Headers of a frame.
    pub max_headers: usize,
    /// Our offer of heart-beats.
    pub heart_beat: HeartBeatOffer,
    /// Password verifications at once.
    pub verify_permits: usize,
    /// Delay after failed logins.
    pub failure_delay: FailureDelay,
    /// How long a verified password is remembered.
    pub cache_ttl: Span,
    /// Bytes of one queue.
    pub queue_bytes: usize,
    /// Bytes of all rings.
    pub rings: usize,
    /// What the rings may hold beyond their windows, together.
    pub overflow: usize,
    /// Bytes that wait for a route.
    pub limbo: usize,
    /// Bytes of map, interest and reports.
    pub databases: usize,
    /// Bytes of the windows that find duplicates.
    pub windows: usize,
    /// How long a window remembers.
    pub window_time: Span,
    /// Reply destinations whose way is remembered.
    pub reply_routes: usize,
    /// How long it is remembered.
    pub reply_ttl: Span,
    /// Standing credit of an entry of interest.
    pub open_credit: u32,
    /// Times of links.
    pub mesh_times: MeshTimes,
    /// How long a message waits for a route.
    pub limbo_time: Span,
    /// How long a persistent message stays in doubt.
    pub doubt_timeout: Span,
    /// Reply destinations.
    pub reply_patterns: Vec<String>,
    /// Admin connections.
    pub admin_connections: usize,
    /// Clients closed per second at the end.
    pub drain_rate: u32,
    /// Time for the end.
    pub drain: Span,
    /// How much is logged.
    pub log_level: LogLevel,
    /// In which form.
    pub log_format: LogFormat,
}

/// Times of links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeshTimes {
    /// From the connection to both ACCEPTs.
    pub handshake: Span,
    /// From ACCEPT to SYNCED.
    pub sync: Span,
    /// For each address that is dialled.
    pub connect: Span,
    /// First wait after a network failure.
    pub redial_min: Span,
    /// Longest wait after network failures.
    pub redial_max: Span,
    /// First wait after a refusal.
    pub refused_min: Span,
    /// Longest wait after refusals.
    pub refused_max: Span,
    /// The own record in the map is issued again after about this time.
    pub lsa_refresh: Span,
    /// The own report is issued again after this time.
    pub report_refresh: Span,
    /// Probes go out this often; 0s = none.
    pub probe_interval: Span,
    /// A link's connection is renewed when it is that old; 0s = never.
    pub renew_after: Span,
}

impl MeshTimes {
    fn of(mesh: &MeshSection) -> Self {
        let time = |given: Option<Span>, milliseconds| given.unwrap_or(Span(milliseconds));
        Self {
            handshake: time(mesh.handshake_timeout, 5000),
            sync: time(mesh.sync_timeout, 60_000),
            connect: time(mesh.connect_timeout, 5000),
            redial_min: time(mesh.redial_min, 100),
            redial_max: time(mesh.redial_max, 5000),
            refused_min: time(mesh.refused_min, 1000),
            refused_max: time(mesh.refused_max, 30_000),
            lsa_refresh: time(mesh.lsa_refresh, 120_000),
            report_refresh: time(mesh.report_refresh, 60_000),
            probe_interval: time(mesh.probe_interval, 15_000),
            renew_after: time(mesh.renew_after, 86_400_000),
        }
    }
}

/// Bytes that a remembered reply destination takes.
const REPLY_ROUTE: usize = 128;
/// The largest window that a link has by itself.
const LINK_WINDOW: usize = 8 << 20;
/// The smallest one.
pub(super) const MIN_LINK_WINDOW: usize = 64 << 10;

/// The default of `memory.limit`.
const DEFAULT_MEMORY: u64 = 512 << 20;

impl Limits {
    pub(super) fn of(file: &BrokerFile) -> Self {
        let memory = file.memory.limit.map_or(DEFAULT_MEMORY, |limit| limit.0);
        let size = |given: Option<Size>, default: u64| {
            usize::try_from(given.map_or(default, |size| size.0)).unwrap_or(usize::MAX)
        };
        let count = |given: Option<u32>, default: u32| given.unwrap_or(default) as usize;
        let (limits, stomp, security) = (&file.limits, &file.stomp, &file.security);
        let mesh = &file.mesh;
        let cores = 2;
        Self {
            memory,
            connections: limits.connections.unwrap_or(16_384),
            connections_per_user: limits.connections_per_user.unwrap_or(0),
            pre_auth_deadline: limits.pre_auth_deadline.unwrap_or(Span::seconds(5)),
            pre_auth_connections: limits.pre_auth_connections.unwrap_or(4096),
            pre_auth_memory: size(limits.pre_auth_memory, (memory / 16).min(16 << 20)),
            arriving_memory: size(limits.arriving_memory, memory / 16),
            frame: size(limits.frame, 10 << 20),
            subscriptions: count(limits.subscriptions, 4096),
            subscription_memory: size(limits.subscription_memory, memory / 8),
            destination_length: count(limits.destination_length, 1024),
            id_length: count(limits.id_length, 1024),
            destinations: count(limits.destinations, 100_000),
            temporary_destinations: count(limits.temporary_destinations, 1024),
            durable_subscriptions: count(limits.durable_subscriptions, 1000),
            durable_subscriptions_per_user: count(limits.durable_subscriptions_per_user, 0),
            durable_messages: count(file.topic.durable_max_messages, 0),
            durable_bytes: size(file.topic.durable_max_bytes, (memory / 32).min(16 << 20)),
            transaction_frames: count(limits.transaction_frames, 10_000),
            transaction_bytes: size(limits.transaction_bytes, (memory / 16).min(32 << 20)),
            outbound: size(limits.outbound, (memory / 32).min(16 << 20)),
            write_deadline: limits.write_deadline.unwrap_or(Span::seconds(10)),
            max_line: size(stomp.max_line, 8 << 10),
            max_header_block: size(stomp.max_header_block, 64 << 10),
            max_headers: count(stomp.max_headers, 128),
            heart_beat: stomp.heart_beat.unwrap_or(HeartBeatOffer {
                send: Span::seconds(1),
                want: Span::seconds(10),
            }),
            verify_permits: count(security.verify_permits, cores).max(1),
            failure_delay: security.failure_delay.unwrap_or(FailureDelay {
                after: 5,
                window: Span::seconds(60),
                min: Span::seconds(1),
                max: Span::seconds(30),
            }),
            cache_ttl: security.cache_ttl.unwrap_or(Span::seconds(60)),
            queue_bytes: size(file.queue.max_bytes, memory / 4),
            rings: size(mesh.rings, memory / 4),
            overflow: size(mesh.overflow, memory / 8),
            limbo: size(mesh.limbo, memory / 8),
            databases: size(mesh.databases, memory / 8),
            windows: size(mesh.windows, memory / 32),
            window_time: mesh.window_time.unwrap_or(Span::seconds(60)),
            reply_routes: mesh.reply_routes.map_or_else(
                || (size(None, memory / 32) / REPLY_ROUTE).min(100_000),
                |routes| routes as usize,
            ),
            reply_ttl: mesh.reply_ttl.unwrap_or(Span::seconds(600)),
            open_credit: mesh.open_credit.unwrap_or(16),
            mesh_times: MeshTimes::of(mesh),
            limbo_time: mesh.limbo_time.unwrap_or(Span::seconds(2)),
            doubt_timeout: mesh.doubt_timeout.unwrap_or(Span::seconds(60)),
            reply_patterns: file
                .mesh
                .reply_patterns
                .clone()
                .unwrap_or_else(|| vec!["*.reply.>".to_owned()]),
            admin_connections: count(file.admin.max_connections, 16),
            drain_rate: file.shutdown.drain_rate.unwrap_or(200).max(1),
            drain: file.shutdown.drain.unwrap_or(Span::seconds(55)),
            log_level: file.log.level.unwrap_or(LogLevel::Info),
            log_format: file.log.format.unwrap_or(LogFormat::Json),
        }
    }

    /// The window of a link: its own, or the smaller of 8 MiB and its part of all rings.
    #[must_use]
    pub fn link_window(&self, link: &Link, links: usize) -> usize {
        link.window.map_or_else(
            || {
                let part = self.rings / links.max(1);
                part.clamp(MIN_LINK_WINDOW, LINK_WINDOW)
            },
            |window| usize::try_from(window.0).unwrap_or(usize::MAX),
        )
    }
}
