//! Delay of answers after failed logins, per user and address.

use std::collections::HashMap;

use crate::config::file::FailureDelay;

/// Entries kept; beyond them the oldest are forgotten.
const MAX_ENTRIES: usize = 16_384;

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    first_ns: u64,
}

/// Counts failures.
#[derive(Debug, Default)]
pub struct Throttle {
    failures: HashMap<(String, String), Failures>,
}

impl Throttle {
    /// Notes a failure; returns how long its answer is to be held back, in nanoseconds.
    pub fn failed(
        &mut self,
        user: &str,
        address: &str,
        now_ns: u64,
        settings: &FailureDelay,
    ) -> u64 {
        let window = settings.window.nanoseconds();
        if self.failures.len() >= MAX_ENTRIES {
            self.failures
                .retain(|_, known| now_ns.saturating_sub(known.first_ns) < window);
            if self.failures.len() >= MAX_ENTRIES {
                self.forget_older_half();
            }
        }
        let entry = self
            .failures
            .entry((user.to_owned(), address.to_owned()))
            .or_insert(Failures {
                count: 0,
                first_ns: now_ns,
            });
        if now_ns.saturating_sub(entry.first_ns) >= window {
            *entry = Failures {
                count: 0,
                first_ns: now_ns,
            };
        }
        entry.count = entry.count.saturating_add(1);
        if entry.count < settings.after {
            return 0;
        }
        let doublings = (entry.count - settings.after).min(30);
        let factor = 1_u64 << doublings;
        let delay = settings.min.nanoseconds().saturating_mul(factor);
        delay.min(settings.max.nanoseconds())
    }

    /// Half at once, so that somebody who tries many names does not make each try slow.
    fn forget_older_half(&mut self) {
        let mut starts: Vec<u64> = self.failures.values().map(|known| known.first_ns).collect();
        let middle = starts.len() / 2;
        let (_, median, _) = starts.select_nth_unstable(middle);
        let median = *median;
        self.failures.retain(|_, known| known.first_ns > median);
    }

    /// A success clears the count.
    pub fn succeeded(&mut self, user: &str, address: &str) {
        self.failures.remove(&(user.to_owned(), address.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_ENTRIES, Throttle};
    use crate::config::file::FailureDelay;
    use crate::config::units::Span;

    #[test]
    fn the_fifth_failure_within_the_window_is_held_back_and_then_twice_as_long() {
        let settings = FailureDelay {
            after: 5,
            window: Span::seconds(60),
            min: Span::seconds(1),
            max: Span::seconds(3),
        };
        let mut throttle = Throttle::default();
        let second = 1_000_000_000;
        let delays: Vec<u64> = (0..8)
            .map(|round| throttle.failed("u", "a", round * second, &settings) / second)
            .collect();
        assert_eq!(delays, [0, 0, 0, 0, 1, 2, 3, 3]);
        assert_eq!(throttle.failed("u", "b", 0, &settings), 0);
        assert_eq!(throttle.failed("u", "a", 61 * second, &settings), 0);
    }
    #[test]
    fn when_there_are_too_many_the_recent_ones_are_kept() {
        let settings = FailureDelay {
            after: 2,
            window: Span::seconds(60),
            min: Span::seconds(1),
            max: Span::seconds(1),
        };
        let mut throttle = Throttle::default();
        for round in 0..=MAX_ENTRIES {
            let user = format!("u{round}");
            assert_eq!(throttle.failed(&user, "a", round as u64, &settings), 0);
        }
        assert!(throttle.failures.len() <= MAX_ENTRIES);
        let last = format!("u{MAX_ENTRIES}");
        assert!(throttle.failed(&last, "a", 0, &settings) > 0);
        assert_eq!(throttle.failed("u0", "a", 0, &settings), 0);
    }
}
