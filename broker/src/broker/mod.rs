//! The broker: destinations, subscriptions and rights behind one handle that connections and links
//! use. Owns no socket.

pub mod changes;
pub mod connections;
pub mod durables;
pub mod ledger;
pub mod matching;
pub mod memory;
mod monitors;
pub mod policies;
pub mod publish;
pub mod queues;
pub mod remote;
pub mod status;
pub mod stock;
pub mod subscriptions;
pub mod temporary;
mod upkeep;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use arc_swap::ArcSwap;

use self::changes::Changes;
use self::connections::Connections;
use self::durables::Durables;
use self::memory::Memory;
use self::policies::Policies;
use self::queues::QueueDirectory;
use self::remote::Remote;
use self::temporary::Temporaries;
use crate::clock;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::model::{Destination, Kind};
use crate::net::outbound::AutoAck;
use crate::net::subscriber::Subscriber;
use crate::queue::state::ConsumerId;
use crate::queue::{QueueCell, Work};
use crate::routing::TopicTable;
use crate::security::{Identity, Rules, Verb};
use crate::wire::stomp::encode::Presentation;

/// Everything that connections share.
#[derive(Debug)]
pub struct Broker {
    config: ArcSwap<Config>,
    rules: ArcSwap<Rules>,
    policies: ArcSwap<Policies>,
    /// Guards the local topic subscriptions; read when a route is computed.
    topics: RwLock<TopicTable<Subscriber>>,
    /// Rises with whatever may change a route.
    generation: AtomicU64,
    /// The accounts of what is kept.
    pub memory: Memory,
    /// The queues.
    pub queues: QueueDirectory,
    /// The durable subscriptions.
    pub durables: Durables,
    /// The temporary destinations.
    pub temporaries: Temporaries,
    /// The open connections.
    pub connections: Arc<Connections>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// How names of temporary destinations are shown to readers that own none.
    pub presentation: Presentation,
    remote: OnceLock<Arc<dyn Remote>>,
    next_subscriber: AtomicU64,
    /// Start of this process, as the epoch in ids.
    pub epoch: u64,
    /// When it started, milliseconds since 1970.
    pub started_ms: i64,
    /// The revision of what `/status` shows.
    pub changes: Changes,
    /// What the last reload came to.
    pub reloads: status::Reloads,
    /// Rates of queues, for reports.
    pub rates: status::Rates,
}

impl Broker {
    /// A broker without connections.
    #[must_use]
    pub fn new(config: Arc<Config>, epoch: u64, bid: [u8; 16]) -> Self {
        let metrics = Arc::new(Metrics::new());
        let memory = Memory::new(&config.limits);
        metrics.show_config(&config, None);
        Self {
            rules: ArcSwap::from_pointee(Rules::new(
                &config.broker.authorization,
                &config.users.users,
            )),
            policies: ArcSwap::from_pointee(Policies::new(&config)),
            changes: Changes::default(),
            reloads: status::Reloads::new(&config.hash),
            config: ArcSwap::new(config),
            topics: RwLock::default(),
            generation: AtomicU64::new(1),
            queues: QueueDirectory::new(memory.clients.clone()),
            durables: Durables::new(memory.clients.clone()),
            memory,
            temporaries: Temporaries::default(),
            connections: Arc::default(),
            metrics,
            presentation: Presentation {
                own_names: Box::from(""),
                home: bid,
            },
            remote: OnceLock::new(),
            next_subscriber: AtomicU64::new(1),
            epoch,
            started_ms: clock::wall_ms(),
            rates: status::Rates::default(),
        }
    }

    /// Connects the broker to the mesh; once, before the first client.
    pub fn attach_remote(&self, remote: Arc<dyn Remote>) {
        // A second attach cannot happen: the composition root does it once.
        let _ = self.remote.set(remote);
    }

    /// The configuration in force.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }

    /// The policies in force.
    #[must_use]
    pub fn policies(&self) -> arc_swap::Guard<Arc<Policies>> {
        self.policies.load()
    }

    /// The rights in force.
    #[must_use]
    pub fn rules(&self) -> arc_swap::Guard<Arc<Rules>> {
        self.rules.load()
    }

    /// May this user do that there?
    #[must_use]
    pub fn may(&self, identity: &Identity, verb: Verb, kind: Kind, name: &str) -> bool {
        self.rules.load().may(identity, verb, kind, name)
    }

    /// May the user of a subscription read a concrete name? Asked for patterns, whose grants may be
    /// cut by a deny.
    #[must_use]
    pub fn may_read_now(&self, subscriber: &Subscriber, kind: Kind, name: &str) -> bool {
        self.may_user_read(&subscriber.user, kind, name)
    }

    fn may_user_read(&self, user: &str, kind: Kind, name: &str) -> bool {
        let rules = self.rules.load();
        rules
            .identity(user)
            .is_some_and(|identity| rules.may(identity, Verb::Read, kind, name))
    }

    /// Rises with whatever may change a route.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Makes every cached route stale.
    pub fn bump_generation(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// A number for a subscription; also its consumer number in queues.
    #[must_use]
    pub fn next_subscriber(&self) -> u64 {
        self.next_subscriber.fetch_add(1, Ordering::Relaxed)
    }

    /// The queue, made if need be; `None` when there are too many.
    pub fn queue(&self, destination: &Destination, work: &mut Work) -> Option<Arc<QueueCell>> {
        if let Some(cell) = self.queues.find(destination) {
            return Some(cell);
        }
        if self.queues.len() >= self.config.load().limits.destinations {
            return None;
        }
        Some(self.find_or_make_queue(destination, work))
    }

    fn find_or_make_queue(&self, destination: &Destination, work: &mut Work) -> Arc<QueueCell> {
        let limits = self.policies.load().queue(&destination.name).limits;
        let may_read =
            |subscriber: &Subscriber| self.may_read_now(subscriber, Kind::Queue, &destination.name);
        let judge = |cell: &Arc<QueueCell>, work: &mut Work| self.judge_monitors(cell, work);
        let now_ns = clock::monotonic_ns();
        self.queues
            .find_or_make(destination, limits, now_ns, may_read, judge, work)
    }

    fn topic_subscribers(&self, name: &str) -> Vec<Arc<Subscriber>> {
        self.topics
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .matching(name)
    }

    fn has_literal_topic_subscriber(&self, name: &str) -> bool {
        self.topics
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .matching(name)
            .iter()
            .any(|subscriber| *subscriber.filter.name == *name)
    }

    fn add_topic_subscriber(&self, subscriber: &Arc<Subscriber>) {
        self.topics
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(&subscriber.filter.name, subscriber.clone());
        self.bump_generation();
    }

    fn remove_topic_subscriber(&self, subscriber: &Arc<Subscriber>) {
        self.topics
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&subscriber.filter.name, subscriber);
        self.bump_generation();
    }

    /// Finishes what queue operations and publishes have left: dead letters, messages for other
    /// brokers, and last the bytes for clients.
    pub fn settle(&self, work: &mut Work) {
        let now_ns = clock::monotonic_ns();
        for _ in 0..1000 {
            while let Some((from, message, reason)) = work.dead.pop() {
                self.bury(&from, &message, reason, work);
            }
            if let Some(remote) = self.remote() {
                for cell in std::mem::take(&mut work.waiting) {
                    remote.queue_waits(&cell);
                }
                for cell in std::mem::take(&mut work.roomy) {
                    remote.queue_has_room(&cell);
                }
            } else {
                work.waiting.clear();
                work.roomy.clear();
            }
            while let Some(outbound) = work.dirty.pop() {
                outbound.flush_or_wake(&mut work.written, now_ns);
            }
            self.acknowledge_written(work);
            if work.is_empty() {
                return;
            }
        }
    }

    /// Acknowledges messages of mode `auto` that were written.
    fn acknowledge_written(&self, work: &mut Work) {
        let mut written = std::mem::take(&mut work.written);
        self.metrics.messages_out.inc_by(written.len() as u64);
        for AutoAck {
            queue,
            consumer,
            seq,
            ..
        } in written.drain(..)
        {
            queue.apply(work, |queue, effects| {
                queue.ack(ConsumerId(consumer), seq, effects)
            });
        }
        if work.written.is_empty() {
            // The memory is kept for the next batch.
            work.written = written;
        }
    }
}
