//! What a destination means for one publisher: computed once, kept while nothing changes.

use std::collections::HashMap;
use std::sync::Arc;

use super::durables::Durable;
use crate::model::{Kind, MessageView};
use crate::net::subscriber::Subscriber;
use crate::queue::QueueCell;
use crate::routing::properties::MessageProperties;
use crate::selector::Selector;

/// Entries per connection (`L1_ENTRIES`); when full, the cache starts anew.
pub const L1_ENTRIES: usize = 512;

/// Where messages to one destination go.
#[derive(Debug)]
pub enum Route {
    /// The publisher may not write there.
    Denied,
    /// To everyone who subscribes.
    Topic(TopicRoute),
    /// Into one queue.
    Queue(Arc<QueueCell>),
    /// To a temporary destination of another broker, named by its 16-byte id.
    RemoteTemporary([u8; 16]),
}

/// The subscribers of one topic, and the brokers that have some.
#[derive(Debug, Default)]
pub struct TopicRoute {
    /// Those who want every message.
    pub plain: Vec<Arc<Subscriber>>,
    /// Those who want what matches; each distinct selector once.
    pub selected: Vec<(Selector, Vec<Arc<Subscriber>>)>,
    /// The durable subscriptions, with selectors and without.
    pub durables: Vec<Arc<Durable>>,
    /// Brokers that want every message, by sid, ascending.
    pub remote: Vec<u16>,
    /// Brokers that want only messages with certain values of a property.
    pub remote_selected: Vec<RemoteSelected>,
}

/// A broker all of whose consumers ask for `property = value`.
#[derive(Debug, Clone)]
pub struct RemoteSelected {
    /// Its sid.
    pub sid: u16,
    /// The property.
    pub property: Arc<str>,
    /// Hashes of the values that somebody there wants.
    pub values: Arc<std::collections::BTreeSet<u64>>,
}

impl TopicRoute {
    /// Sorts subscribers by selector.
    #[must_use]
    pub fn new(subscribers: Vec<Arc<Subscriber>>) -> Self {
        let mut route = Self::default();
        let mut known: HashMap<Selector, usize> = HashMap::new();
        for subscriber in subscribers {
            let Some(selector) = subscriber.selector.clone() else {
                route.plain.push(subscriber);
                continue;
            };
            let at = *known.entry(selector.clone()).or_insert_with(|| {
                route.selected.push((selector, Vec::new()));
                route.selected.len() - 1
            });
            route.selected[at].1.push(subscriber);
        }
        route
    }

    /// Calls `found` for each subscriber that wants this message.
    pub fn for_each(&self, view: &MessageView<'_>, mut found: impl FnMut(&Arc<Subscriber>)) {
        self.plain.iter().for_each(&mut found);
        if self.selected.is_empty() {
            return;
        }
        let properties = MessageProperties::new(view);
        for (selector, subscribers) in &self.selected {
            if selector.matches(&properties) {
                subscribers.iter().for_each(&mut found);
            }
        }
    }

    /// Appends the sids of brokers that want this message, ascending.
    pub fn remote_into(&self, view: &MessageView<'_>, sids: &mut Vec<u16>) {
        sids.extend_from_slice(&self.remote);
        for selected in &self.remote_selected {
            let is_wanted = view.headers.get(&selected.property).is_some_and(|value| {
                selected
                    .values
                    .contains(&xxhash_rust::xxh3::xxh3_64(value.as_bytes()))
            });
            if is_wanted && !sids.contains(&selected.sid) {
                sids.push(selected.sid);
            }
        }
        if !self.remote_selected.is_empty() {
            sids.sort_unstable();
        }
    }
}

/// What one connection knows about the destinations it publishes to.
#[derive(Debug, Default)]
pub struct MatchCache {
    generation: u64,
    routes: HashMap<(Kind, Box<str>), Arc<Route>>,
    last: Option<(Kind, Box<str>, Arc<Route>)>,
}

impl MatchCache {
    /// The route of that name, if it was computed in this generation.
    pub fn find(&mut self, generation: u64, kind: Kind, name: &str) -> Option<Arc<Route>> {
        if self.generation != generation {
            self.generation = generation;
            self.routes.clear();
            self.last = None;
            return None;
        }
        if let Some((last_kind, last_name, route)) = &self.last
            && *last_kind == kind
            && **last_name == *name
        {
            return Some(route.clone());
        }
        let route = self.routes.get(&(kind, Box::from(name)))?.clone();
        self.last = Some((kind, Box::from(name), route.clone()));
        Some(route)
    }

    /// Keeps a route for the rest of its generation.
    pub fn keep(&mut self, generation: u64, kind: Kind, name: &str, route: Arc<Route>) {
        if self.generation != generation || self.routes.len() >= L1_ENTRIES {
            self.routes.clear();
            self.generation = generation;
        }
        self.routes.insert((kind, Box::from(name)), route.clone());
        self.last = Some((kind, Box::from(name), route));
    }

    /// Forgets one destination: its queue was removed.
    pub fn forget(&mut self, kind: Kind, name: &str) {
        self.routes.remove(&(kind, Box::from(name)));
        self.last = None;
    }
}
