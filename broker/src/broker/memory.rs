//! How `memory.limit` is divided among what a broker keeps.
//!
//! A quarter belongs to the control of the mesh. Links have an eighth, or what they really hold when
//! that is more; frames that have not arrived whole have their own part, before the login and after
//! it; subscriptions take what they are. The rest is for what clients make the broker keep: queues,
//! backlogs, what waits for sockets, open transactions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Semaphore;

use super::ledger::Ledger;
use crate::config::limits::Limits;

/// The accounts of one broker.
#[derive(Debug)]
pub struct Memory {
    /// What clients make the broker keep.
    pub clients: Arc<Ledger>,
    /// Frames of clients that have not arrived whole.
    pub arriving: Arc<Ledger>,
    /// The same of connections that are not logged in.
    pub before_login: Arc<Ledger>,
    /// Subscriptions with their selectors.
    pub subscriptions: Arc<Ledger>,
    /// What clients make the broker keep was full when it was last looked at.
    was_full: AtomicBool,
    /// Whose frame may go on while `arriving` is full: one connection's at a time.
    pub turn: Arc<Semaphore>,
}

impl Memory {
    /// All of it is free.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        let memory = Self {
            clients: Arc::default(),
            arriving: Arc::default(),
            before_login: Arc::default(),
            subscriptions: Arc::default(),
            was_full: AtomicBool::new(false),
            turn: Arc::new(Semaphore::new(1)),
        };
        memory.share(limits, 0);
        memory
    }

    /// Tells in the log that producers have to wait from now on, or no longer.
    pub fn tell(&self) {
        let (kept, limit) = (self.clients.used(), self.clients.limit());
        let was_full = self.was_full.load(Ordering::Relaxed);
        // Producers that wait take each free byte at once: it is over when much is free.
        let is_full = self.clients.is_full_for(0) || (was_full && self.clients.is_tight());
        if is_full == was_full {
            return;
        }
        self.was_full.store(is_full, Ordering::Relaxed);
        if is_full {
            tracing::warn!(
                kept,
                limit,
                "memory for what clients make the broker keep is full: producers to queues wait (memory.limit)"
            );
        } else {
            tracing::info!(kept, limit, "there is memory for producers again");
        }
    }

    /// Divides it anew: links hold `links` bytes now.
    pub fn share(&self, limits: &Limits, links: usize) {
        let whole = usize::try_from(limits.memory).unwrap_or(usize::MAX);
        self.arriving.set_limit(limits.arriving_memory);
        self.before_login.set_limit(limits.pre_auth_memory);
        self.subscriptions.set_limit(limits.subscription_memory);
        let taken = [
            whole / 4,
            links.max(whole / 8),
            limits.arriving_memory,
            limits.pre_auth_memory,
            self.subscriptions.used(),
        ];
        let rest = taken
            .iter()
            .fold(whole, |rest, part| rest.saturating_sub(*part));
        self.clients.set_limit(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::Memory;
    use crate::broker::ledger::Account;
    use crate::config::test_support;

    const MIB: usize = 1 << 20;

    #[test]
    fn links_and_subscriptions_take_from_clients_what_they_hold_and_frames_have_their_own() {
        let mut limits = test_support::config(&test_support::files()).limits;
        limits.memory = 64 << 20;
        limits.arriving_memory = 4 * MIB;
        limits.pre_auth_memory = 2 * MIB;
        limits.subscription_memory = 8 * MIB;
        let memory = Memory::new(&limits);
        assert_eq!(memory.clients.limit(), 34 * MIB);
        assert_eq!(memory.arriving.limit(), 4 * MIB);
        assert_eq!(memory.before_login.limit(), 2 * MIB);
        memory.share(&limits, 28 * MIB);
        assert_eq!(memory.clients.limit(), 14 * MIB);
        let mut subscriptions = Account::new(memory.subscriptions.clone());
        subscriptions.set(3 * MIB);
        memory.share(&limits, 28 * MIB);
        assert_eq!(memory.clients.limit(), 11 * MIB);
        memory.share(&limits, 100 * MIB);
        assert_eq!(memory.clients.limit(), 0);
    }
}
