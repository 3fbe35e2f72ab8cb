//! Temporary destinations: who owns which.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::Kind;
use crate::net::subscriber::Subscriber;

#[derive(Debug)]
struct Temporary {
    kind: Kind,
    owner: u64,
    subscribers: Vec<Arc<Subscriber>>,
}

/// The temporary destinations of this broker's connections.
#[derive(Debug, Default)]
pub struct Temporaries {
    /// Guards the table by local name.
    table: Mutex<HashMap<Box<str>, Temporary>>,
}

impl Temporaries {
    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Temporary>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a destination that a connection made. A known name is left alone.
    pub fn add(&self, kind: Kind, name: &str, owner: u64) {
        self.lock().entry(Box::from(name)).or_insert(Temporary {
            kind,
            owner,
            subscribers: Vec::new(),
        });
    }

    /// The connection that owns it.
    #[must_use]
    pub fn owner(&self, kind: Kind, name: &str) -> Option<u64> {
        self.lock()
            .get(name)
            .filter(|known| known.kind == kind)
            .map(|known| known.owner)
    }

    /// Adds a consumer of a temporary topic.
    pub fn subscribe(&self, name: &str, subscriber: &Arc<Subscriber>) {
        if let Some(known) = self.lock().get_mut(name) {
            known.subscribers.push(subscriber.clone());
        }
    }

    /// Removes a consumer of a temporary topic.
    pub fn unsubscribe(&self, name: &str, subscriber: &Arc<Subscriber>) {
        if let Some(known) = self.lock().get_mut(name) {
            known
                .subscribers
                .retain(|other| !Arc::ptr_eq(other, subscriber));
        }
    }

    /// The consumers of a temporary topic.
    #[must_use]
    pub fn subscribers(&self, name: &str) -> Vec<Arc<Subscriber>> {
        self.lock()
            .get(name)
            .map(|known| known.subscribers.clone())
            .unwrap_or_default()
    }

    /// Forgets everything a connection made; returns kinds and names.
    pub fn remove_owner(&self, owner: u64) -> Vec<(Kind, Box<str>)> {
        let mut table = self.lock();
        let names: Vec<Box<str>> = table
            .iter()
            .filter(|(_, known)| known.owner == owner)
            .map(|(name, _)| name.clone())
            .collect();
        names
            .into_iter()
            .filter_map(|name| table.remove(&name).map(|known| (known.kind, name)))
            .collect()
    }
}
