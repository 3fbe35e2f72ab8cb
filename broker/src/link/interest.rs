//! Interest on both sides: what consumers here amount to, and who elsewhere wants what.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::broker::matching::{RemoteSelected, TopicRoute};
use crate::broker::remote::Wanted;
use crate::mesh::custody::{Candidate, SelectorKey};
use crate::mesh::ids::Bid;
use crate::mesh::interest::{Demand, EntryChange, LocalChange, RemoteEntry, Summary, value_hash};
use crate::mesh::messages::{ENTRY_MERGED, Kind as EntryKind};
use crate::mesh::routes::Routes;
use crate::model::destination::is_pattern;
use crate::model::{Kind, MessageView};
use crate::routing::FilterTree;
use crate::selector::{Selector, Value};

/// Hash of a selector's literal as summaries carry it; numbers and booleans have several texts, so
/// they have none.
#[must_use]
pub fn hash_of(literal: &Value<'_>) -> Option<u64> {
    match literal {
        Value::Str(text) => Some(value_hash(text)),
        _ => None,
    }
}

/// False only when it is certain that a consumer with that selector takes no message that matches
/// the conjunct a credit is asked for. Rule: R16.
#[must_use]
pub fn may_take(selector: Option<&Selector>, key: &SelectorKey) -> bool {
    let (Some(selector), Some((property, value))) = (selector, key) else {
        return true;
    };
    match selector.equality_key() {
        Some(own) if *own.name == **property => hash_of(&own.literal) == Some(*value),
        _ => true,
    }
}

#[derive(Debug, Default)]
struct Consumers {
    all: u32,
    /// Without a selector.
    plain: u32,
    /// With a selector that is no equality of a string.
    opaque: u32,
    values: BTreeMap<Arc<str>, BTreeMap<u64, u32>>,
}

impl Consumers {
    fn demand(&self, is_wider: bool) -> Option<Demand> {
        if self.all == 0 {
            return None;
        }
        let summary = if self.plain > 0 {
            Summary::None
        } else if self.opaque > 0 {
            Summary::Opaque
        } else {
            let values = self
                .values
                .iter()
                .map(|(property, hashes)| (property.clone(), hashes.keys().copied().collect()));
            Summary::Equality(values.collect())
        };
        Some(Demand {
            consumers: self.all,
            summary,
            credit: 2,
            is_wider,
        })
    }
}

fn entry_kind(kind: Kind) -> EntryKind {
    if kind.is_queue() {
        EntryKind::Queue
    } else {
        EntryKind::Topic
    }
}

/// Local consumers by kind and filter.
#[derive(Debug, Default)]
pub struct LocalConsumers {
    by_filter: HashMap<(bool, Arc<str>), Consumers>,
}

impl LocalConsumers {
    /// A consumer came or went: what the filter amounts to now.
    pub fn change(&mut self, wanted: &Wanted) -> LocalChange {
        let is_new = wanted.is_new;
        let filter = wanted.filter.name.clone();
        let key = (wanted.filter.kind.is_queue(), filter.clone());
        let consumers = self.by_filter.entry(key.clone()).or_default();
        let step = |count: &mut u32| {
            *count = if is_new {
                *count + 1
            } else {
                count.saturating_sub(1)
            };
        };
        step(&mut consumers.all);
        let equality = wanted.selector.as_ref().map(|selector| {
            let key = selector.equality_key();
            key.and_then(|key| Some((Arc::<str>::from(key.name), hash_of(&key.literal)?)))
        });
        let mut is_wider = is_new && wanted.selector.is_some();
        match equality {
            None => step(&mut consumers.plain),
            Some(None) => step(&mut consumers.opaque),
            Some(Some((property, hash))) => {
                let hashes = consumers.values.entry(property.clone()).or_default();
                let count = hashes.entry(hash).or_default();
                is_wider = is_new && *count == 0;
                step(count);
                if *count == 0 {
                    hashes.remove(&hash);
                    if hashes.is_empty() {
                        consumers.values.remove(&property);
                    }
                }
            }
        }
        let demand = consumers.demand(is_wider);
        if demand.is_none() {
            self.by_filter.remove(&key);
        }
        LocalChange {
            kind: entry_kind(wanted.filter.kind),
            filter,
            demand,
        }
    }
}

fn is_monitor(entry: &RemoteEntry) -> bool {
    entry.flags & ENTRY_MERGED == 0 && is_pattern(&entry.filter)
}

#[derive(Debug, Default)]
struct Side {
    literal: HashMap<Arc<str>, Vec<Arc<RemoteEntry>>>,
    patterns: FilterTree<Arc<RemoteEntry>>,
}

impl Side {
    fn insert(&mut self, entry: Arc<RemoteEntry>) {
        if is_pattern(&entry.filter) {
            self.patterns.insert(&entry.filter.clone(), entry);
        } else {
            self.literal
                .entry(entry.filter.clone())
                .or_default()
                .push(entry);
        }
    }

    fn remove(&mut self, entry: &RemoteEntry) {
        let is_it = |other: &Arc<RemoteEntry>| other.bid == entry.bid && other.id == entry.id;
        if is_pattern(&entry.filter) {
            self.patterns.remove(&entry.filter, is_it);
        } else if let Some(list) = self.literal.get_mut(&entry.filter) {
            list.retain(|other| !is_it(other));
            if list.is_empty() {
                self.literal.remove(&entry.filter);
            }
        }
    }

    fn for_each<'t>(&'t self, name: &str, found: &mut dyn FnMut(&'t Arc<RemoteEntry>)) {
        if let Some(list) = self.literal.get(name) {
            list.iter().for_each(&mut *found);
        }
        if !self.patterns.is_empty() {
            self.patterns.matching(name, found);
        }
    }
}

/// What other brokers want.
#[derive(Debug, Default)]
pub struct RemoteInterest {
    entries: BTreeMap<(Bid, u64), Arc<RemoteEntry>>,
    topics: Side,
    queues: Side,
}

/// What a set of changes touched.
#[derive(Debug, Default)]
pub struct Touched {
    /// Some topic entry.
    pub topics: bool,
    /// Filters of queues that somebody wants now.
    pub queues: Vec<Arc<str>>,
}

impl RemoteInterest {
    /// Takes changes in.
    pub fn apply(&mut self, changes: Vec<EntryChange>) -> Touched {
        let mut touched = Touched::default();
        for change in changes {
            match change {
                EntryChange::Put(entry) => {
                    self.remove((entry.bid, entry.id), &mut touched);
                    match entry.kind {
                        EntryKind::Topic => {
                            touched.topics = true;
                            self.topics.insert(entry.clone());
                        }
                        EntryKind::Queue => {
                            touched.queues.push(entry.filter.clone());
                            self.queues.insert(entry.clone());
                        }
                    }
                    self.entries.insert((entry.bid, entry.id), entry);
                }
                EntryChange::Delete { bid, id } => self.remove((bid, id), &mut touched),
                EntryChange::Clear(bid) => {
                    let ids: Vec<(Bid, u64)> = self
                        .entries
                        .range((bid, 0)..=(bid, u64::MAX))
                        .map(|(key, _)| *key)
                        .collect();
                    for key in ids {
                        self.remove(key, &mut touched);
                    }
                }
            }
        }
        touched
    }

    fn remove(&mut self, key: (Bid, u64), touched: &mut Touched) {
        let Some(entry) = self.entries.remove(&key) else {
            return;
        };
        match entry.kind {
            EntryKind::Topic => {
                touched.topics = true;
                self.topics.remove(&entry);
            }
            EntryKind::Queue => self.queues.remove(&entry),
        }
    }

    /// Entries in all.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when nobody elsewhere wants anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds the brokers that want a topic. Rule: R8.
    pub fn topic_into(&self, name: &str, routes: &Routes, route: &mut TopicRoute) {
        let mut plain = BTreeSet::new();
        let mut selected: Vec<RemoteSelected> = Vec::new();
        self.topics.for_each(name, &mut |entry| {
            let Some(site) = routes.site(entry.bid) else {
                return;
            };
            match &entry.summary {
                Summary::Equality(values) => {
                    for (property, hashes) in values {
                        selected.push(RemoteSelected {
                            sid: site.sid.0,
                            property: property.clone(),
                            values: Arc::new(hashes.iter().copied().collect()),
                        });
                    }
                }
                Summary::None | Summary::Opaque => {
                    plain.insert(site.sid.0);
                }
            }
        });
        selected.retain(|one| !plain.contains(&one.sid));
        route.remote = plain.into_iter().collect();
        route.remote_selected = selected;
    }

    /// True when some broker has consumers for that queue, by whatever filter.
    #[must_use]
    pub fn has_queue(&self, name: &str) -> bool {
        let mut is_wanted = false;
        self.queues.for_each(name, &mut |_| is_wanted = true);
        is_wanted
    }

    /// True when some broker has an entry of that literal name.
    #[must_use]
    pub fn has_literal_queue(&self, name: &str) -> bool {
        self.queues.literal.contains_key(name)
    }

    /// True when some broker consumes from a pattern of queues.
    #[must_use]
    pub fn has_queue_patterns(&self) -> bool {
        !self.queues.patterns.is_empty()
    }

    /// The entries that may take a queue message. True when those of every other message of the queue
    /// are the same. Those of patterns are left out where monitors are spared; a merged entry may stand
    /// for the literal name. Rules: R12 d, R16.
    pub fn queue_candidates(
        &self,
        view: &MessageView<'_>,
        routes: &Routes,
        spares_monitors: bool,
        candidates: &mut Vec<Candidate>,
    ) -> bool {
        let mut is_uniform = true;
        let value = |property: &str| view.headers.get(property).map(value_hash);
        self.queues.for_each(view.name, &mut |entry| {
            if spares_monitors && is_monitor(entry) {
                return;
            }
            let Some(site) = routes.site(entry.bid) else {
                return;
            };
            let Some(way) = site.way else { return };
            is_uniform &= !matches!(entry.summary, Summary::Equality(_));
            if !entry.summary.may_match(value) {
                return;
            }
            candidates.push(Candidate {
                bid: entry.bid,
                epoch: entry.epoch,
                entry: entry.id,
                rev: entry.rev,
                distance: u32::try_from(way.distance).unwrap_or(u32::MAX),
                consumers_log2: entry.consumers_log2,
                open: entry.open,
                hint: entry.credit,
                key: entry.summary.key(value),
                is_ring_open: true,
            });
        });
        is_uniform
    }
}
