//! How long a process knows that it may act.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Until when this process may act.
#[derive(Debug, Default)]
pub struct Term {
    until: Mutex<Option<Instant>>,
}

impl Term {
    /// Whether it may act at this moment.
    #[must_use]
    pub fn holds(&self, now: Instant) -> bool {
        self.lock().is_some_and(|until| now < until)
    }

    pub(super) fn set(&self, until: Option<Instant>) {
        *self.lock() = until;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_term_is_over_by_itself_and_none_holds_before_the_first() {
        let (term, now) = (Term::default(), Instant::now());
        let lasts = Duration::from_secs(15);
        assert!(!term.holds(now));
        term.set(Some(now + lasts));
        assert!(term.holds(now + lasts - Duration::from_millis(1)));
        assert!(!term.holds(now + lasts));
        term.set(None);
        assert!(!term.holds(now));
    }
}
