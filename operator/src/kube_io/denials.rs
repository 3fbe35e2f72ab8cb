//! Rights that a watch lacks: who may not list or watch a kind knows only half of what there is.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kube::runtime::watcher;
use tokio::sync::Notify;

/// A refusal counts for this time: twice the longest wait before a watch is tried again. That a watch was let through is
/// told by its first event alone, which may never come.
const LASTS: Duration = Duration::from_secs(60);

/// What the API server said, by kind and verb, and until when that counts.
type Known = BTreeMap<(&'static str, Verb), (String, Instant)>;

/// The refusals of one set of watches.
#[derive(Debug, Default)]
pub struct Denials {
    known: Mutex<Known>,
    changed: Notify,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verb {
    List,
    Watch,
}

impl Denials {
    /// Takes note of an error of a watch, if it is about a missing right.
    pub fn failed(&self, kind: &'static str, error: &watcher::Error, now: Instant) {
        let (verb, cause) = match error {
            watcher::Error::InitialListFailed(cause) => (Verb::List, cause),
            watcher::Error::WatchStartFailed(cause) => (Verb::Watch, cause),
            _ => return,
        };
        let kube::Error::Api(status) = cause else {
            return;
        };
        if status.code != 403 {
            return;
        }
        let known = (status.message.clone(), now + LASTS);
        self.lock().insert((kind, verb), known);
        self.changed.notify_one();
    }

    /// A kind was listed to its end.
    pub fn listed(&self, kind: &'static str) {
        self.lock().remove(&(kind, Verb::List));
    }

    /// What is refused now, in the API server's words.
    #[must_use]
    pub fn current(&self, now: Instant) -> Vec<String> {
        let mut known = self.lock();
        known.retain(|_, (_, until)| now < *until);
        known.values().map(|(message, _)| message.clone()).collect()
    }

    /// Resolves when something was refused since it resolved last.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn refusal(code: u16) -> kube::Error {
        let status = Status::failure("pods is forbidden", "Forbidden").with_code(code);
        kube::Error::Api(Box::new(status))
    }

    #[test]
    fn a_refused_list_counts_until_one_succeeds_and_a_refused_watch_for_a_minute() {
        let denials = Denials::default();
        let now = Instant::now();
        let list = watcher::Error::InitialListFailed(refusal(403));
        let watch = watcher::Error::WatchStartFailed(refusal(403));
        denials.failed("Pod", &list, now);
        denials.failed("Pod", &watch, now);
        assert_eq!(denials.current(now).len(), 2);
        denials.listed("Pod");
        assert_eq!(denials.current(now), ["pods is forbidden"]);
        assert!(denials.current(now + LASTS).is_empty());
    }

    #[test]
    fn other_errors_are_no_refusals() {
        let denials = Denials::default();
        let now = Instant::now();
        let gone = watcher::Error::InitialListFailed(refusal(500));
        denials.failed("Pod", &gone, now);
        denials.failed("Pod", &watcher::Error::NoResourceVersion, now);
        assert!(denials.current(now).is_empty());
    }
}
