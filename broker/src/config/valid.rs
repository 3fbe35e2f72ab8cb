//! What a configuration directory means: checked as a whole, defaults filled in.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::check::{self, Problem, Problems};
use super::file::{
    BrokerFile, FORMAT, FailureDelay, HeartBeatOffer, LogFormat, LogLevel, SecretsFile, UsersFile,
};
use super::units::{Size, Span};

/// Bytes of one file.
pub const MAX_FILE: usize = 16 << 20;

/// The three files and whatever they name.
#[derive(Clone, Default)]
pub struct Files {
    /// `broker.yaml`.
    pub broker: Vec<u8>,
    /// `users.yaml`.
    pub users: Vec<u8>,
    /// `secrets.yaml`.
    pub secrets: Vec<u8>,
    /// Certificates, keys and bundles by their path in the directory.
    pub others: BTreeMap<String, Vec<u8>>,
}

impl std::fmt::Debug for Files {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Files")
            .field("hash", &self.hash())
            .finish_non_exhaustive()
    }
}

impl Files {
    /// Hex of the first 8 bytes of SHA-256 over the three files, each as name length, name, length,
    /// bytes (lengths are big-endian u64), in the order of their names.
    #[must_use]
    pub fn hash(&self) -> String {
        let mut hasher = Sha256::new();
        for (name, bytes) in [
            ("broker.yaml", &self.broker),
            ("secrets.yaml", &self.secrets),
            ("users.yaml", &self.users),
        ] {
            hasher.update((name.len() as u64).to_be_bytes());
            hasher.update(name.as_bytes());
            hasher.update((bytes.len() as u64).to_be_bytes());
            hasher.update(bytes);
        }
        hasher
            .finalize()
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

/// A configuration that is in order.
#[derive(Debug, Clone)]
pub struct Config {
    /// See [`Files::hash`].
    pub hash: String,
    /// `broker.yaml`, as written.
    pub broker: BrokerFile,
    /// `users.yaml`, as written.
    pub users: UsersFile,
    /// `secrets.yaml`, as written.
    pub secrets: SecretsFile,
    /// Certificates, keys and bundles by path.
    pub others: BTreeMap<String, Vec<u8>>,
    /// Limits with their defaults.
    pub limits: Limits,
}

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
    /// Bytes of a frame.
    pub frame: usize,
    /// Subscriptions of one connection.
    pub subscriptions: usize,
    /// Bytes of a destination.
    pub destination_length: usize,
    /// Bytes of an id.
    pub id_length: usize,
    /// Queues.
    pub destinations: usize,
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
    /// Bytes that wait for a route.
    pub limbo: usize,
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

impl Config {
    /// Reads and checks a directory as a whole.
    ///
    /// # Errors
    /// Every mistake there is.
    pub fn from_files(files: &Files) -> Result<Self, Vec<Problem>> {
        let mut problems = Problems::default();
        let broker = parse::<BrokerFile>("broker.yaml", &files.broker, &mut problems);
        let users = parse::<UsersFile>("users.yaml", &files.users, &mut problems);
        let secrets = parse::<SecretsFile>("secrets.yaml", &files.secrets, &mut problems);
        if let Some(broker) = &broker {
            check::broker(broker, &files.others, &mut problems);
            if let Some(secrets) = &secrets {
                check::secrets(broker, secrets, &mut problems);
            }
        }
        if let Some(users) = &users {
            check::users(users, &mut problems);
        }
        match (broker, users, secrets) {
            (Some(broker), Some(users), Some(secrets)) if problems.0.is_empty() => Ok(Self {
                hash: files.hash(),
                limits: Limits::of(&broker),
                broker,
                users,
                secrets,
                others: files.others.clone(),
            }),
            _ => {
                let text = |bytes| std::str::from_utf8(bytes).unwrap_or("");
                let texts = BTreeMap::from([
                    ("broker.yaml", text(&files.broker)),
                    ("users.yaml", text(&files.users)),
                    ("secrets.yaml", text(&files.secrets)),
                ]);
                check::find_lines(&mut problems.0, &texts);
                Err(problems.0)
            }
        }
    }
}

fn parse<T: serde::de::DeserializeOwned>(
    file: &'static str,
    bytes: &[u8],
    problems: &mut Problems,
) -> Option<T> {
    if bytes.len() > MAX_FILE {
        problems.add(file, "", "is larger than 16 MiB");
        return None;
    }
    match serde_yaml::from_slice(bytes) {
        Ok(value) => Some(value),
        Err(error) => {
            let line = error.location().map(|location| location.line());
            let reason = if file == "secrets.yaml" {
                redacted(&error)
            } else {
                error.to_string()
            };
            problems.0.push(Problem {
                file,
                line,
                path: String::new(),
                reason,
            });
            None
        }
    }
}

/// The parser's text may quote the value it could not use.
fn redacted(error: &serde_yaml::Error) -> String {
    let text = error.to_string();
    match text.split_once("unknown field") {
        Some(_) => "unknown field".to_owned(),
        None if text.contains("missing field") => text,
        None => "cannot be read (the value is not shown)".to_owned(),
    }
}

/// The default of `memory.limit`.
const DEFAULT_MEMORY: u64 = 512 << 20;

impl Limits {
    fn of(file: &BrokerFile) -> Self {
        let memory = file.memory.limit.map_or(DEFAULT_MEMORY, |limit| limit.0);
        let size = |given: Option<Size>, default: u64| {
            usize::try_from(given.map_or(default, |size| size.0)).unwrap_or(usize::MAX)
        };
        let count = |given: Option<u32>, default: u32| given.unwrap_or(default) as usize;
        let (limits, stomp, security) = (&file.limits, &file.stomp, &file.security);
        let cores = 2;
        Self {
            memory,
            connections: limits.connections.unwrap_or(16_384),
            connections_per_user: limits.connections_per_user.unwrap_or(0),
            pre_auth_deadline: limits.pre_auth_deadline.unwrap_or(Span::seconds(5)),
            pre_auth_connections: limits.pre_auth_connections.unwrap_or(4096),
            frame: size(limits.frame, 10 << 20),
            subscriptions: count(limits.subscriptions, 4096),
            destination_length: count(limits.destination_length, 1024),
            id_length: count(limits.id_length, 1024),
            destinations: count(limits.destinations, 100_000),
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
            rings: size(file.mesh.rings, memory / 4),
            limbo: size(file.mesh.limbo, memory / 8),
            limbo_time: file.mesh.limbo_time.unwrap_or(Span::seconds(2)),
            doubt_timeout: file.mesh.doubt_timeout.unwrap_or(Span::seconds(60)),
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
}

/// An empty users file, for a site without users.
#[must_use]
pub const fn no_users() -> UsersFile {
    UsersFile {
        format: FORMAT,
        users: Vec::new(),
    }
}
