//! What this broker can tell about itself.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::Broker;
use crate::clock;
use crate::model::Destination;
use crate::queue::state::QueueCounters;

/// What the last read of the configuration came to.
#[derive(Debug)]
pub struct Reloads {
    /// Guards the outcome.
    state: Mutex<ReloadState>,
}

#[derive(Debug, Clone)]
struct ReloadState {
    applied: String,
    seen: String,
    error: Option<String>,
    since_ms: i64,
}

impl Reloads {
    /// The configuration of the start.
    #[must_use]
    pub fn new(hash: &str) -> Self {
        let state = ReloadState {
            applied: hash.to_owned(),
            seen: hash.to_owned(),
            error: None,
            since_ms: clock::wall_ms(),
        };
        Self {
            state: Mutex::new(state),
        }
    }

    /// Every part of that configuration runs.
    pub fn applied(&self, hash: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        hash.clone_into(&mut state.applied);
        hash.clone_into(&mut state.seen);
        state.error = None;
        state.since_ms = clock::wall_ms();
    }

    /// That configuration was refused.
    pub fn refused(&self, hash: &str, error: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        hash.clone_into(&mut state.seen);
        state.error = Some(error.to_owned());
    }

    fn snapshot(&self) -> ReloadState {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    at_ns: u64,
    counters: QueueCounters,
    in_rate: f64,
    out_rate: f64,
}

/// Messages per second of each queue, from one sweep to the next.
#[derive(Debug, Default)]
pub struct Rates {
    /// Guards the samples.
    samples: Mutex<HashMap<Destination, Sample>>,
}

impl Rates {
    /// Takes a sample.
    pub fn note(&self, queue: &Destination, counters: QueueCounters, now_ns: u64) {
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let sample = samples.entry(queue.clone()).or_insert(Sample {
            at_ns: now_ns,
            counters: QueueCounters::default(),
            in_rate: 0.0,
            out_rate: 0.0,
        });
        let seconds = now_ns.saturating_sub(sample.at_ns) as f64 / 1e9;
        if seconds > 0.0 {
            sample.in_rate = (counters.enqueued - sample.counters.enqueued) as f64 / seconds;
            sample.out_rate = (counters.dequeued - sample.counters.dequeued) as f64 / seconds;
        }
        sample.at_ns = now_ns;
        sample.counters = counters;
    }

    /// The queue is gone.
    pub fn forget(&self, queue: &Destination) {
        self.samples
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(queue);
    }

    fn of(&self, queue: &Destination) -> (f64, f64) {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples
            .get(queue)
            .map_or((0.0, 0.0), |sample| (sample.in_rate, sample.out_rate))
    }
}

/// Queues shown, the deepest first.
const MAX_QUEUES: usize = 1000;

impl Broker {
    /// The parts of `/status` that need no mesh. No secret is in them.
    #[must_use]
    pub fn status(&self) -> Value {
        let revision = self.changes.revision();
        let config = self.config();
        let reload = self.reloads.snapshot();
        let denied = |verb: &str| self.metrics.denied.with_label_values(&[verb]).get();
        json!({
            "revision": revision,
            "network": config.broker.network,
            "site": config.broker.site,
            "instance": config.broker.instance,
            "epoch": self.epoch,
            "version": env!("CARGO_PKG_VERSION"),
            "startedAt": clock::rfc3339(self.started_ms),
            "config": {
                "applied": reload.applied,
                "seen": reload.seen,
                "certificates": config.certificates,
                "since": clock::rfc3339(reload.since_ms),
                "specHash": config.broker.spec_hash,
                "usersHash": config.broker.users_hash,
                "error": reload.error,
            },
            "users": config.fingerprints,
            "queues": self.queue_status(),
            "durableSubscriptions": self.durable_status(),
            "connections": self.connection_status(),
            "denied": {
                "read": denied("read"), "write": denied("write"), "admin": denied("admin"),
                "delivery": denied("delivery"),
            },
            "store": {"state": "memory"},
            "memory": {
                "kept": self.memory.clients.used(),
                "keptLimit": self.memory.clients.limit(),
                "arriving": self.memory.arriving.used() + self.memory.before_login.used(),
                "subscriptions": self.memory.subscriptions.used(),
            },
        })
    }

    fn queue_status(&self) -> Vec<Value> {
        let mut cells: Vec<_> = self
            .queues
            .all()
            .into_iter()
            .map(|cell| (cell.numbers(), cell))
            .collect();
        cells.sort_by(|(a, first), (b, second)| {
            b.depth
                .cmp(&a.depth)
                .then_with(|| first.destination.cmp(&second.destination))
        });
        cells.truncate(MAX_QUEUES);
        cells
            .into_iter()
            .map(|(numbers, cell)| {
                let (in_rate, out_rate) = self.rates.of(&cell.destination);
                json!({
                    "name": &*cell.destination.name,
                    "temporary": cell.destination.kind.is_temporary(),
                    "depth": numbers.depth,
                    "ready": numbers.ready,
                    "bytes": numbers.bytes,
                    "consumers": numbers.consumers,
                    "enqueued": numbers.counters.enqueued,
                    "dequeued": numbers.counters.dequeued,
                    "inRate": in_rate,
                    "outRate": out_rate,
                })
            })
            .collect()
    }

    fn connection_status(&self) -> Vec<Value> {
        self.connections
            .all()
            .into_iter()
            .map(|connection| {
                json!({
                    "id": connection.id,
                    "user": &*connection.identity().user,
                    "address": connection.address,
                    "protocol": connection.protocol,
                    "clientId": connection.client_id,
                    "subscriptions": connection.subscriptions().len(),
                    "pendingBytes": connection.outbound.pending_bytes(),
                    "unacknowledged": connection.outbound.with_unacked(|unacked| unacked.len()),
                    "dropped": connection.outbound.dropped(),
                })
            })
            .collect()
    }
}
