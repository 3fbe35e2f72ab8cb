//! An account of bytes that are kept: what many hold together has one limit, so that many small
//! piles do not become one that kills the broker.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The account. Counting is approximate while many do it at once, and exact when nobody does.
#[derive(Debug)]
pub struct Ledger {
    used: AtomicUsize,
    limit: AtomicUsize,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            used: AtomicUsize::new(0),
            limit: AtomicUsize::new(usize::MAX),
        }
    }
}

impl Ledger {
    /// Sets how many bytes may be kept.
    pub fn set_limit(&self, bytes: usize) {
        self.limit.store(bytes, Ordering::Relaxed);
    }

    fn change(&self, old: usize, new: usize) {
        if new > old {
            self.used.fetch_add(new - old, Ordering::Relaxed);
        } else if old > new {
            self.used.fetch_sub(old - new, Ordering::Relaxed);
        }
    }

    /// Bytes that are kept.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Bytes that may be kept.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// So many bytes more would be too many.
    #[must_use]
    pub fn is_full_for(&self, size: usize) -> bool {
        self.used().saturating_add(size) > self.limit()
    }

    /// An eighth more than the limit is used: what is let in beyond the limit ends here.
    #[must_use]
    pub fn is_overdrawn(&self) -> bool {
        self.used() > self.limit().saturating_add(self.limit() / 8)
    }

    /// Three quarters are used: producers are slowed down.
    #[must_use]
    pub fn is_tight(&self) -> bool {
        self.used() >= self.limit() / 4 * 3
    }
}

/// What one holder has in the ledger; out of it when the holder is gone.
#[derive(Debug, Default)]
pub struct Account {
    ledger: Arc<Ledger>,
    bytes: usize,
}

impl Account {
    /// Of a holder that has nothing.
    #[must_use]
    pub const fn new(ledger: Arc<Ledger>) -> Self {
        Self { ledger, bytes: 0 }
    }

    /// What the holder has now.
    pub fn set(&mut self, bytes: usize) {
        if bytes != self.bytes {
            self.ledger.change(self.bytes, bytes);
            self.bytes = bytes;
        }
    }

    /// What was said last.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The account of all.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Account, Ledger};

    const MIB: usize = 1 << 20;

    #[test]
    fn the_account_is_full_exactly_beyond_its_limit_and_tight_at_three_quarters() {
        let ledger = Arc::new(Ledger::default());
        ledger.set_limit(40 * MIB);
        let mut one = Account::new(ledger.clone());
        let mut other = Account::new(ledger.clone());
        one.set(20 * MIB);
        other.set(10 * MIB - 1);
        assert!(!ledger.is_tight());
        other.set(10 * MIB);
        assert!(ledger.is_tight());
        assert!(!ledger.is_full_for(10 * MIB));
        assert!(ledger.is_full_for(10 * MIB + 1));
        other.set(25 * MIB);
        assert!(!ledger.is_overdrawn());
        other.set(25 * MIB + 1);
        assert!(ledger.is_overdrawn());
        other.set(10 * MIB);
        drop(one);
        assert_eq!(ledger.used(), 10 * MIB);
    }
}
