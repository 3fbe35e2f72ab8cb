//! The directory of queues: found by name, made at first use, removed when idle.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use super::ledger::Ledger;
use crate::model::{Destination, Kind, destination};
use crate::net::subscriber::Subscriber;
use crate::queue::state::{ConsumerOptions, QueueLimits};
use crate::queue::{QueueCell, Work};

const SHARDS: usize = 16;

type Shard = HashMap<Destination, Arc<QueueCell>>;

/// A subscription to a pattern of queues: a consumer of each queue that matches.
#[derive(Debug, Clone)]
pub struct WildcardConsumer {
    /// The subscription.
    pub subscriber: Arc<Subscriber>,
    /// What it asks of each queue.
    pub options: ConsumerOptions,
}

/// All queues of this broker.
#[derive(Debug)]
pub struct QueueDirectory {
    /// Each guards the queues whose names hash to it.
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
    /// Guards the pattern subscriptions; read when a queue is made.
    wildcards: RwLock<Vec<WildcardConsumer>>,
    ledger: Arc<Ledger>,
}

impl QueueDirectory {
    /// Without queues; what they will hold counts in `ledger`.
    #[must_use]
    pub fn new(ledger: Arc<Ledger>) -> Self {
        Self {
            ledger,
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            wildcards: RwLock::default(),
        }
    }

    fn shard(&self, destination: &Destination) -> MutexGuard<'_, Shard> {
        let hash = self.hasher.hash_one(destination);
        let index = usize::try_from(hash % SHARDS as u64).unwrap_or(0);
        self.shards[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The queue, if it is here.
    #[must_use]
    pub fn find(&self, destination: &Destination) -> Option<Arc<QueueCell>> {
        self.shard(destination).get(destination).cloned()
    }

    /// The queue, made if need be. A new one is judged (R12 d), then served to the pattern
    /// subscriptions that `may_read` lets have it.
    pub fn find_or_make(
        &self,
        destination: &Destination,
        limits: QueueLimits,
        now_ns: u64,
        may_read: impl Fn(&Subscriber) -> bool,
        judge: impl Fn(&Arc<QueueCell>, &mut Work),
        work: &mut Work,
    ) -> Arc<QueueCell> {
        let (cell, is_new) = {
            let mut shard = self.shard(destination);
            match shard.get(destination) {
                Some(cell) => (cell.clone(), false),
                None => {
                    let ledger = self.ledger.clone();
                    let cell = QueueCell::new(destination.clone(), limits, now_ns, ledger);
                    let cell = Arc::new(cell);
                    // Before anybody else finds it: what is learned from now on tells it itself.
                    judge(&cell, work);
                    shard.insert(destination.clone(), cell.clone());
                    (cell, true)
                }
            }
        };
        if is_new && destination.kind == Kind::Queue {
            let wildcards = self
                .wildcards
                .read()
                .unwrap_or_else(PoisonError::into_inner);
            for wildcard in wildcards.iter() {
                let filter = &wildcard.subscriber.filter.name;
                if destination::matches(filter, &destination.name) && may_read(&wildcard.subscriber)
                {
                    attach(&cell, wildcard, now_ns, work);
                }
            }
        }
        cell
    }

    /// Adds a pattern subscription and serves it the queues that are here.
    pub fn add_wildcard(
        &self,
        wildcard: WildcardConsumer,
        now_ns: u64,
        may_read: impl Fn(&str) -> bool,
        judge: impl Fn(&Arc<QueueCell>, &mut Work),
        work: &mut Work,
    ) {
        // Announced first: a queue made meanwhile attaches it itself, and attaching twice is
        // harmless, since a consumer's key is unique in a queue.
        self.wildcards
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(wildcard.clone());
        for cell in self.all() {
            let name = &cell.destination.name;
            if cell.destination.kind == Kind::Queue
                && destination::matches(&wildcard.subscriber.filter.name, name)
                && may_read(name)
            {
                judge(&cell, work);
                attach(&cell, &wildcard, now_ns, work);
            }
        }
    }

    /// Removes a pattern subscription from everywhere.
    pub fn remove_wildcard(
        &self,
        subscriber: &Arc<Subscriber>,
        returns: impl Fn(&Arc<QueueCell>, u64) -> bool,
        now_ns: u64,
        work: &mut Work,
    ) {
        self.wildcards
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .retain(|wildcard| !Arc::ptr_eq(&wildcard.subscriber, subscriber));
        for cell in self.all() {
            if destination::matches(&subscriber.filter.name, &cell.destination.name) {
                cell.unsubscribe(subscriber.key, |seq| returns(&cell, seq), now_ns, work);
            }
        }
    }

    /// True while there is a pattern subscription.
    #[must_use]
    pub fn has_wildcards(&self) -> bool {
        let wildcards = self.wildcards.read();
        !wildcards.unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Every queue.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<QueueCell>> {
        let mut cells = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            cells.extend(shard.values().cloned());
        }
        cells
    }

    /// Removes one queue if it has been idle since before that moment.
    pub fn remove_if_idle(&self, cell: &QueueCell, before_ns: u64) -> bool {
        let mut shard = self.shard(&cell.destination);
        if cell.remove_if_idle(before_ns) {
            shard.remove(&cell.destination);
            return true;
        }
        false
    }

    /// Takes a queue out with all it holds: a temporary one whose connection is gone.
    pub fn remove(&self, destination: &Destination) -> Option<Arc<QueueCell>> {
        self.shard(destination).remove(destination)
    }

    /// How many queues there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).len())
            .sum()
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn attach(cell: &Arc<QueueCell>, wildcard: &WildcardConsumer, now_ns: u64, work: &mut Work) {
    let WildcardConsumer {
        subscriber,
        options,
    } = wildcard;
    cell.subscribe(
        subscriber.key,
        options.clone(),
        subscriber.clone(),
        now_ns,
        work,
    );
}
