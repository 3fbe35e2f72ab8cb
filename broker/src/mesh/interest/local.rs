//! The interest of this broker: changes are gathered for a moment, then issued (R5). Adverts may
//! be too wide, never too narrow.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;

use super::merge::Merged;
use super::{Demand, LocalChange, Summary, Values};
use crate::mesh::ids::Now;
use crate::mesh::messages::{
    ENTRY_MERGED, Entry, EqDelta, Kind, SELECTOR_EQUALITY, SELECTOR_NONE, SELECTOR_OPAQUE,
};
use crate::mesh::replies::ReplyPatterns;

/// Changes are gathered for this long.
pub const INTEREST_BATCH: Duration = Duration::from_millis(5);
/// Hints alone cause a message at most this often.
pub const INTEREST_COUNTS: Duration = Duration::from_secs(1);
/// A reply subscription does not count while it is younger. Rule: R12 c.
pub const REPLY_YOUNG: Duration = Duration::from_secs(1);
/// Equality values of one broker before further summaries are opaque.
pub const MAX_VALUES: usize = 262_144;
/// Room for values in one change, so that it fits a control frame.
const VALUES_PER_CHANGE: usize = 4096;

type Key = (Kind, Arc<str>);

/// One step of a change, as it travels.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// An encoded entry.
    Put(Bytes),
    /// An entry is gone.
    Delete(u64),
    /// Equality values came and went.
    Values(EqDelta),
}

/// What was issued under a key.
#[derive(Debug)]
struct Advert {
    entry: Entry,
    values: Values,
}

/// Limits and patterns.
#[derive(Debug, Clone)]
pub struct LocalConfig {
    /// Topic entries before they are merged.
    pub topics: usize,
    /// Queue entries before they are merged.
    pub queues: usize,
    /// Standing credit.
    pub open_credit: u32,
    /// Names of reply destinations.
    pub replies: ReplyPatterns,
}

/// Local consumers, and what was issued about them.
#[derive(Debug)]
pub struct Local {
    config: LocalConfig,
    wanted: BTreeMap<Key, Demand>,
    young: BTreeMap<Key, Now>,
    /// The young ones, oldest first, with some that are gone meanwhile.
    aging: VecDeque<(Now, Key)>,
    adverts: BTreeMap<Key, Advert>,
    merged: [Merged; 2],
    dirty: BTreeSet<Key>,
    wider: BTreeSet<Key>,
    hints: BTreeSet<Key>,
    due: Option<Now>,
    hints_at: Now,
    values: usize,
    next_id: u64,
}

impl Local {
    /// Nobody consumes yet.
    #[must_use]
    pub fn new(config: LocalConfig) -> Self {
        Self {
            config,
            wanted: BTreeMap::new(),
            young: BTreeMap::new(),
            aging: VecDeque::new(),
            adverts: BTreeMap::new(),
            merged: [Merged::default(), Merged::default()],
            dirty: BTreeSet::new(),
            wider: BTreeSet::new(),
            hints: BTreeSet::new(),
            due: None,
            hints_at: Now(0),
            values: 0,
            next_id: 1,
        }
    }

    /// Other limits and patterns, from the next change on.
    pub fn configure(&mut self, config: LocalConfig) {
        self.config = config;
    }

    /// Local consumers changed.
    pub fn change(&mut self, change: LocalChange, now: Now) {
        let key = (change.kind, change.filter);
        let Some(demand) = change.demand else {
            self.young.remove(&key);
            if let Some(known) = self.wanted.remove(&key) {
                self.merged[slot(key.0)].forget(&key.1, &known);
                self.touch(key, now);
            }
            return;
        };
        let known = self.wanted.insert(key.clone(), demand.clone());
        self.merged[slot(key.0)].note(&key.1, known.as_ref(), &demand);
        if known.is_none() && self.config.replies.matches(&key.1) {
            let of_age = now.plus(REPLY_YOUNG);
            self.aging.push_back((of_age, key.clone()));
            self.young.insert(key, of_age);
        } else if !self.young.contains_key(&key) {
            self.compare(key, known.as_ref(), &demand, now);
        }
    }

    /// True when something was gathered that has to be issued before any data. Rule: R6.
    #[must_use]
    pub fn has_pending(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// When [`Self::flush`] is wanted.
    #[must_use]
    pub fn deadline(&self) -> Option<Now> {
        let hints = (!self.hints.is_empty()).then(|| self.hints_at.plus(INTEREST_COUNTS));
        let of_age = self.aging.front().map(|(at, _)| *at);
        [self.due, hints, of_age].into_iter().flatten().min()
    }

    /// Local filters with consumers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.wanted.len()
    }

    /// True when nobody consumes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.wanted.is_empty()
    }

    /// Counts reply subscriptions that have come of age.
    pub fn grow_up(&mut self, now: Now) {
        while self.aging.front().is_some_and(|(at, _)| *at <= now)
            && let Some((at, key)) = self.aging.pop_front()
        {
            if self.young.get(&key) == Some(&at) {
                self.young.remove(&key);
                self.touch(key, now);
            }
        }
    }

    /// The steps that bring everybody up to date. Hints join when something is issued anyway, or
    /// when their time has come.
    pub fn flush(&mut self, now: Now) -> Vec<Step> {
        let is_hint_time = now >= self.hints_at.plus(INTEREST_COUNTS);
        if self.dirty.is_empty() && (!is_hint_time || self.hints.is_empty()) {
            return Vec::new();
        }
        self.merge();
        let mut keys = std::mem::take(&mut self.dirty);
        if is_hint_time {
            keys.append(&mut self.hints);
            self.hints_at = now;
        }
        self.due = None;
        let mut steps = Vec::new();
        for key in keys {
            let is_wider = self.wider.remove(&key);
            match self.wish(&key, is_wider) {
                Some(wish) => self.issue(key, wish, &mut steps),
                None => self.withdraw(&key, &mut steps),
            }
        }
        steps
    }

    fn compare(&mut self, key: Key, known: Option<&Demand>, demand: &Demand, now: Now) {
        let is_more_of_unknown = demand.summary == Summary::Opaque
            && known.is_some_and(|known| demand.consumers > known.consumers);
        if demand.is_wider || is_more_of_unknown {
            let advert = self.advert_key(&key);
            self.wider.insert(advert);
            self.touch(key, now);
        } else if known.is_none_or(|known| known.summary != demand.summary) {
            self.touch(key, now);
        } else if known.is_some_and(|known| hint(known) != hint(demand)) {
            let advert = self.advert_key(&key);
            self.hints.insert(advert);
        }
    }

    fn touch(&mut self, key: Key, now: Now) {
        let advert = self.advert_key(&key);
        if advert != key && self.wanted.contains_key(&key) {
            self.wider.insert(advert.clone());
        }
        self.dirty.insert(advert);
        self.due.get_or_insert(now.plus(INTEREST_BATCH));
    }

    /// The key under which a filter is advertised: its own, or that of what it was merged into.
    fn advert_key(&self, key: &Key) -> Key {
        let Some(prefix) = self.merged[slot(key.0)].of(&key.1) else {
            return key.clone();
        };
        (key.0, Arc::from(format!("{prefix}.>")))
    }

    /// Merges what has become too much, or takes everything apart again. Called for each change:
    /// what it costs must not depend on how many filters there are.
    fn merge(&mut self) {
        for (kind, cap) in [
            (Kind::Topic, self.config.topics),
            (Kind::Queue, self.config.queues),
        ] {
            if !self.merged[slot(kind)].is_due(cap) {
                continue;
            }
            let of_kind = self.wanted.iter().filter(|(key, _)| key.0 == kind);
            let filters: Vec<(&str, &Demand)> =
                of_kind.map(|(key, demand)| (&*key.1, demand)).collect();
            if !self.merged[slot(kind)].update(&filters, cap) {
                continue;
            }
            let of_kind = self.wanted.keys().filter(|key| key.0 == kind);
            let changed: Vec<Key> = of_kind.map(|key| self.advert_key(key)).collect();
            self.dirty.extend(changed);
            self.dirty
                .extend(self.adverts.keys().filter(|key| key.0 == kind).cloned());
        }
    }

    /// What is to be advertised under a key; `None` when nothing is.
    fn wish(&self, key: &Key, is_wider: bool) -> Option<Advert> {
        let prefixes = &self.merged[slot(key.0)];
        let merged = key
            .1
            .strip_suffix(".>")
            .filter(|name| prefixes.of(&format!("{name}.>")) == Some(*name));
        let demand = match merged {
            Some(prefix) => prefixes.sum(prefix)?,
            None if prefixes.of(&key.1).is_some() || self.young.contains_key(key) => return None,
            None => self.wanted.get(key)?.clone(),
        };
        let known = self.adverts.get(key);
        let room = MAX_VALUES
            - (self.values - known.map_or(0, |known| count(&known.values))).min(MAX_VALUES);
        let (selector, values) = match demand.summary {
            Summary::None => (SELECTOR_NONE, Values::new()),
            Summary::Equality(values) if count(&values) <= room => (SELECTOR_EQUALITY, values),
            Summary::Equality(_) | Summary::Opaque => (SELECTOR_OPAQUE, Values::new()),
        };
        let flags = if merged.is_some() { ENTRY_MERGED } else { 0 };
        let covers_more = is_wider || known.is_some_and(|known| is_more(known, selector, &values));
        let entry = Entry {
            id: known.map_or(self.next_id, |known| known.entry.id),
            kind: key.0.into(),
            filter: key.1.to_string(),
            consumers_log2: demand.consumers.max(1).ilog2(),
            credit: demand.credit,
            open: self.config.open_credit,
            selector,
            flags,
            rev: known.map_or(1, |known| {
                known.entry.rev.saturating_add(covers_more.into())
            }),
            ..Entry::default()
        };
        Some(Advert { entry, values })
    }

    fn issue(&mut self, key: Key, wish: Advert, steps: &mut Vec<Step>) {
        let known = self.adverts.remove(&key);
        if known.is_none() {
            self.next_id += 1;
        }
        let id = wish.entry.id;
        if known.as_ref().is_none_or(|known| known.entry != wish.entry) {
            steps.push(Step::Put(wish.entry.encode_to_vec().into()));
        }
        // A record without equality takes its values along when it is replaced.
        let before = known.map(|known| known.values).unwrap_or_default();
        self.values = self.values - count(&before) + count(&wish.values);
        if wish.entry.selector == SELECTOR_EQUALITY {
            deltas(id, &before, &wish.values, steps);
        }
        self.adverts.insert(key, wish);
    }

    fn withdraw(&mut self, key: &Key, steps: &mut Vec<Step>) {
        if let Some(known) = self.adverts.remove(key) {
            self.values -= count(&known.values);
            steps.push(Step::Delete(known.entry.id));
        }
    }
}

const fn slot(kind: Kind) -> usize {
    match kind {
        Kind::Topic => 0,
        Kind::Queue => 1,
    }
}

fn hint(demand: &Demand) -> (u32, u32) {
    (demand.consumers.max(1).ilog2(), demand.credit)
}

fn count(values: &Values) -> usize {
    values.iter().map(|(_, hashes)| hashes.len()).sum()
}

/// True when an advert takes something that the one before did not.
fn is_more(known: &Advert, selector: u32, values: &Values) -> bool {
    match (known.entry.selector, selector) {
        (SELECTOR_EQUALITY, SELECTOR_EQUALITY) => values.iter().any(|(property, hashes)| {
            let old = find(&known.values, property);
            hashes.iter().any(|hash| old.binary_search(hash).is_err())
        }),
        (SELECTOR_EQUALITY, _) | (SELECTOR_OPAQUE, SELECTOR_NONE | SELECTOR_EQUALITY) => true,
        _ => false,
    }
}

fn find<'v>(values: &'v Values, property: &str) -> &'v [u64] {
    values
        .iter()
        .find(|(name, _)| &**name == property)
        .map_or(&[], |(_, hashes)| &**hashes)
}

fn deltas(entry: u64, before: &Values, after: &Values, steps: &mut Vec<Step>) {
    let properties: BTreeSet<&str> = before
        .iter()
        .chain(after)
        .map(|(property, _)| &**property)
        .collect();
    for property in properties {
        let (old, new) = (find(before, property), find(after, property));
        let missing_in = |other: &[u64], hash: &&u64| other.binary_search(hash).is_err();
        let mut add: Vec<u64> = new
            .iter()
            .filter(|hash| missing_in(old, hash))
            .copied()
            .collect();
        let mut del: Vec<u64> = old
            .iter()
            .filter(|hash| missing_in(new, hash))
            .copied()
            .collect();
        while !add.is_empty() || !del.is_empty() {
            let add = add.split_off(add.len().saturating_sub(VALUES_PER_CHANGE));
            let del = del.split_off(del.len().saturating_sub(VALUES_PER_CHANGE - add.len()));
            let property = property.to_owned();
            steps.push(Step::Values(EqDelta {
                entry,
                property,
                add,
                del,
            }));
        }
    }
}
