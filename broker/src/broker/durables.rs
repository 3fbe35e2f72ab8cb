//! Durable topic subscriptions: what they are, and the table of all of them.
//!
//! A durable subscription is a queue of its own that the topics it asks for are copied into, whether
//! its client is there or not. It lives in memory and ends with its broker. The table is guarded by
//! one lock that is read when a route is computed, never for each message.

mod actions;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::ledger::Ledger;
use crate::model::Destination;
use crate::queue::QueueCell;
use crate::queue::state::QueueLimits;
use crate::routing::TopicTable;
use crate::routing::properties::MessageProperties;
use crate::selector::Selector;

/// Whose subscription it is. The user is part of it: nobody takes over what another user left
/// behind by choosing that one's client id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DurableKey {
    /// The user that made it.
    pub user: Arc<str>,
    /// `client-id` of its connection.
    pub client_id: Box<str>,
    /// Its name.
    pub name: Box<str>,
}

/// What a SUBSCRIBE asks a durable subscription for. A change of it is another subscription.
#[derive(Debug, Clone, PartialEq)]
pub struct DurableWish {
    /// Topics and patterns.
    pub filters: Vec<Destination>,
    /// Only messages that match.
    pub selector: Option<Selector>,
    /// Leaves out what its own connection publishes.
    pub no_local: bool,
}

/// It collects, and is announced to other brokers.
const ALLOWED: u8 = 0;
/// Its user lacks the right.
const SILENT: u8 = 1;
/// It was deleted or replaced.
const ENDED: u8 = 2;

/// One durable subscription.
#[derive(Debug)]
pub struct Durable {
    /// Whose it is.
    pub key: DurableKey,
    /// What it asks for.
    pub wish: DurableWish,
    /// What it has collected.
    pub cell: Arc<QueueCell>,
    /// The connection that consumes now; 0 = none.
    active: AtomicU64,
    /// `ALLOWED`, `SILENT` or `ENDED`.
    state: AtomicU8,
    dropped: AtomicU64,
}

impl Durable {
    fn new(
        key: DurableKey,
        wish: DurableWish,
        limits: QueueLimits,
        now_ns: u64,
        ledger: Arc<Ledger>,
    ) -> Self {
        let name = format!("{}/{}", key.client_id, key.name);
        let destination = Destination::new(crate::model::Kind::Topic, &name);
        Self {
            key,
            wish,
            cell: Arc::new(QueueCell::new(destination, limits, now_ns, ledger)),
            active: AtomicU64::new(0),
            state: AtomicU8::new(ALLOWED),
            dropped: AtomicU64::new(0),
        }
    }

    /// The connection that consumes now.
    #[must_use]
    pub fn active(&self) -> Option<u64> {
        Some(self.active.load(Ordering::Acquire)).filter(|id| *id != 0)
    }

    /// The consumer is gone; another one may come.
    pub fn release(&self) {
        self.active.store(0, Ordering::Release);
    }

    /// True while its user may read everything it asks for.
    #[must_use]
    pub fn allowed(&self) -> bool {
        self.state.load(Ordering::Acquire) == ALLOWED
    }

    /// Notes whether its user may read it; true when that is new, and it still exists.
    fn allow(&self, is_allowed: bool) -> bool {
        let (old, new) = if is_allowed {
            (SILENT, ALLOWED)
        } else {
            (ALLOWED, SILENT)
        };
        self.state
            .compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// It is over; true when it was announced until now.
    fn end(&self) -> bool {
        self.state.swap(ENDED, Ordering::AcqRel) == ALLOWED
    }

    /// Messages that were dropped because it was full.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn wants(&self, publisher: Option<u64>, properties: &MessageProperties<'_>) -> bool {
        let is_own = self.wish.no_local && publisher.is_some() && publisher == self.active();
        let matches = |selector: &Selector| selector.matches(properties);
        self.allowed() && !is_own && self.wish.selector.as_ref().is_none_or(matches)
    }
}

/// How many there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DurableLimits {
    /// At this broker.
    pub all: usize,
    /// Of one user; 0 = off.
    pub per_user: usize,
    /// Of each.
    pub backlog: QueueLimits,
}

/// Why a durable subscription cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DurableError {
    /// It has a consumer.
    InUse,
    /// There are as many as are allowed.
    TooMany,
    /// There is none of that name.
    Unknown,
}

/// A durable subscription that a connection has got.
#[derive(Debug)]
pub struct Claimed {
    /// The subscription.
    pub durable: Arc<Durable>,
    /// True when it was made just now.
    pub is_new: bool,
    /// The one of the same name that asked for something else and is gone now.
    pub replaced: Option<Arc<Durable>>,
}

#[derive(Debug, Default)]
struct Table {
    by_key: BTreeMap<DurableKey, Arc<Durable>>,
    topics: TopicTable<Durable>,
}

impl Table {
    fn remove(&mut self, key: &DurableKey) -> Option<Arc<Durable>> {
        let durable = self.by_key.remove(key)?;
        for filter in &durable.wish.filters {
            self.topics.remove(&filter.name, &durable);
        }
        Some(durable)
    }

    fn insert(&mut self, durable: &Arc<Durable>) {
        self.by_key.insert(durable.key.clone(), durable.clone());
        for filter in &durable.wish.filters {
            self.topics.insert(&filter.name, durable.clone());
        }
    }

    fn has_room(&self, user: &str, limits: DurableLimits) -> bool {
        let of_user = || self.by_key.keys().filter(|key| *key.user == *user).count();
        self.by_key.len() < limits.all && (limits.per_user == 0 || of_user() < limits.per_user)
    }
}

/// All durable subscriptions of this broker.
#[derive(Debug, Default)]
pub struct Durables {
    /// Guards the table, and who consumes.
    table: RwLock<Table>,
    len: AtomicUsize,
    ledger: Arc<Ledger>,
}

impl Durables {
    /// None yet; what they will collect counts in `ledger`.
    #[must_use]
    pub fn new(ledger: Arc<Ledger>) -> Self {
        Self {
            ledger,
            ..Self::default()
        }
    }

    /// Gives the subscription to a connection; it is made when there is none that asks for the same.
    ///
    /// # Errors
    /// Somebody consumes from it, or there are too many.
    pub fn claim(
        &self,
        key: DurableKey,
        wish: DurableWish,
        connection: u64,
        limits: DurableLimits,
        now_ns: u64,
    ) -> Result<Claimed, DurableError> {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let known = table.by_key.get(&key);
        if known.is_some_and(|known| known.active().is_some()) {
            return Err(DurableError::InUse);
        }
        if let Some(known) = known.filter(|known| known.wish == wish) {
            known.active.store(connection, Ordering::Release);
            return Ok(Claimed {
                durable: known.clone(),
                is_new: false,
                replaced: None,
            });
        }
        if known.is_none() && !table.has_room(&key.user, limits) {
            return Err(DurableError::TooMany);
        }
        let replaced = table.remove(&key);
        let durable = Arc::new(Durable::new(
            key,
            wish,
            limits.backlog,
            now_ns,
            self.ledger.clone(),
        ));
        durable.active.store(connection, Ordering::Release);
        table.insert(&durable);
        self.len.store(table.by_key.len(), Ordering::Release);
        Ok(Claimed {
            durable,
            is_new: true,
            replaced,
        })
    }

    /// Takes a subscription out.
    ///
    /// # Errors
    /// There is none, or somebody consumes from it.
    pub fn remove(&self, key: &DurableKey) -> Result<Arc<Durable>, DurableError> {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let known = table.by_key.get(key).ok_or(DurableError::Unknown)?;
        if known.active().is_some() {
            return Err(DurableError::InUse);
        }
        let removed = table.remove(key).ok_or(DurableError::Unknown)?;
        self.len.store(table.by_key.len(), Ordering::Release);
        Ok(removed)
    }

    /// Takes out all subscriptions of users for whom `is_known` is false, whoever consumes.
    fn remove_of_strangers(&self, is_known: impl Fn(&str) -> bool) -> Vec<Arc<Durable>> {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let keys = table.by_key.keys().filter(|key| !is_known(&key.user));
        let keys: Vec<DurableKey> = keys.cloned().collect();
        let removed = keys.iter().filter_map(|key| table.remove(key)).collect();
        self.len.store(table.by_key.len(), Ordering::Release);
        removed
    }

    /// Every subscription that asks for a topic, once each.
    #[must_use]
    pub fn matching(&self, name: &str) -> Vec<Arc<Durable>> {
        if self.is_empty() {
            return Vec::new();
        }
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let mut found: Vec<Arc<Durable>> = Vec::new();
        for durable in table.topics.matching(name) {
            if !found.iter().any(|other| Arc::ptr_eq(other, &durable)) {
                found.push(durable);
            }
        }
        found
    }

    /// All, by user, client id and name.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Durable>> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table.by_key.values().cloned().collect()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
