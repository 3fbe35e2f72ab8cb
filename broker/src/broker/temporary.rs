//! Temporary destinations: who owns which.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::Kind;
use crate::net::subscriber::Subscriber;

type Table = HashMap<Box<str>, Temporary>;

/// Where the table of topics is; that of queues is behind it.
const TOPICS: usize = 0;

#[derive(Debug)]
struct Temporary {
    owner: u64,
    subscribers: Vec<Arc<Subscriber>>,
}

/// The temporary destinations of this broker's connections.
#[derive(Debug, Default)]
pub struct Temporaries {
    /// Guards the topics and the queues, by local name; a queue and a topic may have the same.
    tables: Mutex<[Table; 2]>,
}

impl Temporaries {
    fn lock(&self) -> MutexGuard<'_, [Table; 2]> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a destination that a connection made. A known name is left alone.
    pub fn add(&self, kind: Kind, name: &str, owner: u64) {
        let temporary = Temporary {
            owner,
            subscribers: Vec::new(),
        };
        let table = &mut self.lock()[usize::from(kind.is_queue())];
        table.entry(Box::from(name)).or_insert(temporary);
    }

    /// The connection that owns it.
    #[must_use]
    pub fn owner(&self, kind: Kind, name: &str) -> Option<u64> {
        let table = &self.lock()[usize::from(kind.is_queue())];
        Some(table.get(name).filter(|_| kind.is_temporary())?.owner)
    }

    /// Adds a consumer of a temporary topic.
    pub fn subscribe(&self, name: &str, subscriber: &Arc<Subscriber>) {
        if let Some(known) = self.lock()[TOPICS].get_mut(name) {
            known.subscribers.push(subscriber.clone());
        }
    }

    /// Removes a consumer of a temporary topic.
    pub fn unsubscribe(&self, name: &str, subscriber: &Arc<Subscriber>) {
        if let Some(known) = self.lock()[TOPICS].get_mut(name) {
            known
                .subscribers
                .retain(|other| !Arc::ptr_eq(other, subscriber));
        }
    }

    /// The consumers of a temporary topic.
    #[must_use]
    pub fn subscribers(&self, name: &str) -> Vec<Arc<Subscriber>> {
        self.lock()[TOPICS]
            .get(name)
            .map(|known| known.subscribers.clone())
            .unwrap_or_default()
    }

    /// Forgets everything a connection made; returns kinds and names.
    pub fn remove_owner(&self, owner: u64) -> Vec<(Kind, Box<str>)> {
        let mut removed = Vec::new();
        let kinds = [Kind::TempTopic, Kind::TempQueue];
        for (table, kind) in self.lock().iter_mut().zip(kinds) {
            let of_owner = table.extract_if(|_, known| known.owner == owner);
            removed.extend(of_owner.map(|(name, _)| (kind, name)));
        }
        removed
    }
}
