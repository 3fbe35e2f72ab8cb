//! The open client connections: who, since when, and how to end them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::net::outbound::Outbound;
use crate::net::subscriber::Subscriber;
use crate::security::Identity;

/// One logged-in connection.
#[derive(Debug)]
pub struct Connection {
    /// Unique within the broker's life.
    pub id: u64,
    /// The peer's address and port.
    pub address: String,
    /// STOMP version.
    pub protocol: &'static str,
    /// Client id, if it gave one.
    pub client_id: Option<String>,
    /// The way out.
    pub outbound: Arc<Outbound>,
    /// Ends the connection.
    pub cancel: CancellationToken,
    /// Who it is; replaced when the user's groups or permissions change.
    pub identity: Mutex<Arc<Identity>>,
    /// Fingerprint of the credential it logged in with, to end it when that is withdrawn.
    pub verifier: Option<u64>,
    /// Which of the listeners since the start has accepted it.
    pub listener: u64,
    /// It has said its last word: its client id is free in a moment.
    pub is_leaving: AtomicBool,
    /// Its subscriptions with their prefetch, for new rules and reports.
    pub subscriptions: Mutex<Vec<(Arc<Subscriber>, u32)>>,
}

impl Connection {
    /// Who it is now.
    #[must_use]
    pub fn identity(&self) -> Arc<Identity> {
        self.identity
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The live subscriptions.
    #[must_use]
    pub fn subscriptions(&self) -> Vec<(Arc<Subscriber>, u32)> {
        self.subscriptions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Notes a subscription.
    pub fn add_subscription(&self, subscriber: Arc<Subscriber>, capacity: u32) {
        let mut list = self
            .subscriptions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        list.push((subscriber, capacity));
    }

    /// Forgets a subscription.
    pub fn remove_subscription(&self, key: u64) {
        let mut list = self
            .subscriptions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        list.retain(|(subscriber, _)| subscriber.key != key);
    }
}

/// All logged-in connections, and the count of those that are not yet.
#[derive(Debug, Default)]
pub struct Connections {
    /// Guards the table.
    table: Mutex<HashMap<u64, Arc<Connection>>>,
    next: AtomicU64,
    open: AtomicU32,
    before_login: AtomicU32,
}

impl Connections {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Connection>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number no connection had before.
    pub fn next_id(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Counts an accepted socket until the guard is dropped.
    #[must_use]
    pub fn open(self: &Arc<Self>) -> OpenGuard {
        self.open.fetch_add(1, Ordering::AcqRel);
        self.before_login.fetch_add(1, Ordering::AcqRel);
        OpenGuard {
            connections: self.clone(),
            is_logged_in: false,
        }
    }

    /// Open sockets, and how many of them have not logged in.
    #[must_use]
    pub fn counts(&self) -> (u32, u32) {
        (
            self.open.load(Ordering::Acquire),
            self.before_login.load(Ordering::Acquire),
        )
    }

    /// Adds a logged-in connection; false when another one has its client id.
    #[must_use]
    pub fn add(&self, connection: Arc<Connection>) -> bool {
        let mut table = self.lock();
        let is_taken = connection.client_id.is_some()
            && table
                .values()
                .any(|other| other.client_id == connection.client_id);
        if !is_taken {
            table.insert(connection.id, connection);
        }
        !is_taken
    }

    /// Removes one.
    pub fn remove(&self, id: u64) {
        self.lock().remove(&id);
    }

    /// How many a user has.
    #[must_use]
    pub fn count_of(&self, user: &str) -> usize {
        self.lock()
            .values()
            .filter(|connection| *connection.identity().user == *user)
            .count()
    }

    /// True while a connection with that client id has said its last word and is not gone yet.
    #[must_use]
    pub fn is_leaving(&self, client_id: &str) -> bool {
        self.lock().values().any(|connection| {
            connection.client_id.as_deref() == Some(client_id)
                && connection.is_leaving.load(Ordering::Acquire)
        })
    }

    /// All, by number.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Connection>> {
        let mut list: Vec<_> = self.lock().values().cloned().collect();
        list.sort_by_key(|connection| connection.id);
        list
    }
}

/// Undoes the count of a socket when its task ends, however it ends.
#[derive(Debug)]
pub struct OpenGuard {
    connections: Arc<Connections>,
    is_logged_in: bool,
}

impl OpenGuard {
    /// The login succeeded.
    pub fn logged_in(&mut self) {
        if !std::mem::replace(&mut self.is_logged_in, true) {
            self.connections.before_login.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Drop for OpenGuard {
    fn drop(&mut self) {
        self.logged_in();
        self.connections.open.fetch_sub(1, Ordering::AcqRel);
    }
}
