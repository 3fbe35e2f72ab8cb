//! When what failed is tried again: later each time, and never everything at the same time. An API server that comes back
//! is not met by all at once.

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Half the time after which a network is looked at anyway.
const LONGEST: Duration = Duration::from_secs(30);
/// What did not fail for so long is tried no more: it is gone.
const FORGOTTEN: Duration = Duration::from_secs(10 * 60);

/// How often in a row something failed, by the uid of the object.
#[derive(Debug, Default)]
pub struct Attempts {
    failed: Mutex<BTreeMap<String, Failed>>,
}

#[derive(Debug)]
struct Failed {
    times: u32,
    last: Instant,
}

impl Attempts {
    /// Another attempt failed; the next one is due after this time. The first wait is `first` at most.
    #[must_use]
    pub fn failed(&self, uid: &str, first: Duration) -> Duration {
        self.failed_at(uid, first, Instant::now())
    }

    fn failed_at(&self, uid: &str, first: Duration, now: Instant) -> Duration {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.retain(|_, one| now.saturating_duration_since(one.last) < FORGOTTEN);
        let one = failed.entry(uid.to_owned());
        let one = one.or_insert(Failed {
            times: 0,
            last: now,
        });
        let delay = delay(first, one.times, RandomState::new().hash_one(uid));
        one.times = one.times.saturating_add(1);
        one.last = now;
        delay
    }

    /// An attempt came to its end.
    pub fn succeeded(&self, uid: &str) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.remove(uid);
    }
}

/// Twice as long each time, and by chance up to half of that less.
fn delay(first: Duration, before: u32, chance: u64) -> Duration {
    let whole = first.saturating_mul(1 << before.min(16)).min(LONGEST);
    let less = f64::from(u32::try_from(chance >> 32).unwrap_or(0)) / f64::from(u32::MAX);
    whole - whole.mul_f64(less / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_secs(2);

    #[test]
    fn each_wait_is_longer_up_to_the_longest_and_chance_takes_half_at_most() {
        let whole: Vec<u64> = (0..6).map(|n| delay(FIRST, n, 0).as_secs()).collect();
        assert_eq!(whole, [2, 4, 8, 16, 30, 30]);
        assert_eq!(delay(FIRST, 2, u64::MAX), Duration::from_secs(4));
        assert_eq!(delay(FIRST, u32::MAX, 0), LONGEST);
    }

    #[test]
    fn what_has_not_failed_for_long_is_forgotten() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let known = || attempts.failed.lock().map_or(0, |failed| failed.len());
        let _ = attempts.failed_at("gone", FIRST, now);
        let _ = attempts.failed_at("a", FIRST, now + FORGOTTEN - FIRST);
        assert_eq!(known(), 2);
        let _ = attempts.failed_at("a", FIRST, now + FORGOTTEN);
        assert_eq!(known(), 1);
    }

    #[test]
    fn what_succeeds_once_begins_anew_and_two_objects_do_not_wait_alike() {
        let attempts = Attempts::default();
        let waits: Vec<Duration> = (0..8).map(|_| attempts.failed("a", FIRST)).collect();
        assert!(waits[7] >= LONGEST / 2, "{waits:?}");
        attempts.succeeded("a");
        assert!(attempts.failed("a", FIRST) <= FIRST);
        let others: Vec<Duration> = (0..8)
            .map(|n| attempts.failed(&format!("b{n}"), FIRST))
            .collect();
        assert!(others.iter().any(|wait| *wait != others[0]), "{others:?}");
    }
}
