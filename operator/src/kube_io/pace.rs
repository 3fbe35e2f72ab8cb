//! Changes of one object that come again and again: the controller waits until none has come for a while, which may be never.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::time::{Duration, Instant};

use futures::{Stream, stream};
use tokio::sync::mpsc::UnboundedReceiver;

/// Lets the first trigger for a key through at once, and what comes within a gap after it as one, when the gap is over.
/// Rule: O6.
#[derive(Debug)]
pub struct Pace<K> {
    gap: Duration,
    passed: HashMap<K, Passed>,
}

#[derive(Debug, Clone, Copy)]
struct Passed {
    at: Instant,
    /// Another one has come since.
    is_again: bool,
}

impl<K: Hash + Eq + Clone> Pace<K> {
    /// Two triggers for one key are so far apart at least.
    #[must_use]
    pub fn new(gap: Duration) -> Self {
        Self {
            gap,
            passed: HashMap::new(),
        }
    }

    /// Whether a trigger that has come passes at once.
    pub fn passes(&mut self, key: &K, now: Instant) -> bool {
        match self.passed.entry(key.clone()) {
            Entry::Occupied(mut known) => {
                known.get_mut().is_again = true;
                false
            }
            Entry::Vacant(free) => {
                let is_again = false;
                free.insert(Passed { at: now, is_again });
                true
            }
        }
    }

    /// When the next gap is over.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        let over = self.passed.values().map(|passed| passed.at + self.gap);
        over.min()
    }

    /// What passes now, since its gap is over.
    pub fn take(&mut self, now: Instant) -> Vec<K> {
        let mut taken = Vec::new();
        self.passed.retain(|key, passed| {
            if passed.at + self.gap > now {
                return true;
            }
            if passed.is_again {
                taken.push(key.clone());
                let is_again = false;
                *passed = Passed { at: now, is_again };
                return true;
            }
            false
        });
        taken
    }
}

/// Triggers at that pace.
pub fn paced<K: Hash + Eq + Clone>(
    triggers: UnboundedReceiver<K>,
    gap: Duration,
) -> impl Stream<Item = K> {
    let begin = (triggers, Pace::new(gap), Vec::new());
    stream::unfold(begin, |(mut triggers, mut pace, mut ready)| async move {
        loop {
            if let Some(key) = ready.pop() {
                return Some((key, (triggers, pace, ready)));
            }
            let due = pace.due();
            let gap = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                key = triggers.recv() => {
                    let key = key?;
                    if pace.passes(&key, Instant::now()) {
                        ready.push(key);
                    }
                }
                () = gap => ready = pace.take(Instant::now()),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: Duration = Duration::from_millis(150);

    fn at(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn the_first_trigger_passes_at_once_and_those_after_it_as_one() {
        let (mut pace, start) = (Pace::new(GAP), Instant::now());
        assert!(pace.passes(&"a", start));
        assert!(
            pace.passes(&"b", at(start, 10)),
            "another key has its own gap"
        );
        assert!(!pace.passes(&"a", at(start, 20)));
        assert!(!pace.passes(&"a", at(start, 140)));
        assert_eq!(pace.due(), Some(at(start, 150)));
        assert_eq!(pace.take(at(start, 149)), [""; 0]);
        assert_eq!(pace.take(at(start, 150)), ["a"]);
        assert_eq!(
            pace.take(at(start, 160)),
            [""; 0],
            "nothing came again for b"
        );
    }

    #[test]
    fn whatever_comes_all_the_time_passes_in_every_gap() {
        let (mut pace, start) = (Pace::new(GAP), Instant::now());
        let mut passed = 0;
        for ms in 0..1_500 {
            passed += usize::from(pace.passes(&(), at(start, ms)));
            passed += pace.take(at(start, ms)).len();
        }
        assert_eq!(passed, 10);
    }

    #[test]
    fn a_key_that_is_quiet_is_forgotten() {
        let (mut pace, start) = (Pace::new(GAP), Instant::now());
        assert!(pace.passes(&"a", start));
        assert_eq!(pace.take(at(start, 150)), [""; 0]);
        assert_eq!(pace.due(), None);
        assert!(pace.passes(&"a", at(start, 151)));
    }
}
