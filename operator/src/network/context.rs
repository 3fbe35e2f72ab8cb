//! What every reconcile shares.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kube::Client;
use kube::runtime::events::Recorder;

use super::again::Attempts;
use super::credentials::HashCache;
use super::probe::Probes;
use crate::kube_io::definitions::Definitions;
use crate::kube_io::denials::Denials;
use crate::kube_io::secrets::SecretCache;
use crate::kube_io::watch::{References, Stores};
use crate::metrics::Metrics;
use crate::settings::Settings;
use crate::user::decided::Decisions;

/// What every reconcile shares.
pub struct Context {
    /// The client.
    pub client: Client,
    /// What the operator was told.
    pub settings: Settings,
    /// What is watched.
    pub stores: Stores,
    /// Which networks name a Secret.
    pub references: Arc<References>,
    /// What is in Secrets.
    pub secrets: SecretCache,
    /// Rights that the watches lack.
    pub denials: Arc<Denials>,
    /// Questions to brokers.
    pub probes: Arc<Probes>,
    /// What was decided about users.
    pub decisions: Decisions,
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// Who tells of transitions.
    pub recorder: Recorder,
    /// What the definitions in the cluster lack.
    pub definitions: Arc<Definitions>,
    /// What was hashed, by the namespace and name of the network: each has salts of its own.
    pub hashes: Mutex<BTreeMap<(String, String), HashCache>>,
    /// What the last reconcile of each object worked on, and until when that is good.
    pub memory: Memory,
}

impl Context {
    /// A network is gone, and its passwords with it.
    pub fn forget_hashes(&self, namespace: &str, network: &str) {
        let mut hashes = self.hashes.lock().unwrap_or_else(PoisonError::into_inner);
        hashes.remove(&(namespace.to_owned(), network.to_owned()));
    }
}

/// What is remembered between two reconciles of an object. It may be lost: it saves work and decides nothing.
#[derive(Debug, Default)]
pub struct Memory {
    /// How often each object failed in a row.
    pub attempts: Attempts,
    last: Mutex<BTreeMap<String, (u64, Instant)>>,
    nudges: Mutex<BTreeMap<String, (String, Instant)>>,
    refreshes: Mutex<BTreeMap<String, Instant>>,
    told: Mutex<BTreeMap<String, Instant>>,
    lasting: Mutex<BTreeMap<String, (String, Instant)>>,
}

impl Memory {
    /// How long there is still nothing to do after a reconcile with this input came to its end; nothing where there is.
    #[must_use]
    pub fn idle(&self, uid: &str, fingerprint: u64, now: Instant) -> Option<Duration> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, until) = last.get(uid)?;
        let left = until.saturating_duration_since(now);
        (*known == fingerprint && !left.is_zero()).then_some(left)
    }

    /// A reconcile came to its end.
    pub fn done(&self, uid: &str, fingerprint: u64, until: Instant) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.insert(uid.to_owned(), (fingerprint, until));
    }

    /// The next reconcile works whatever its input.
    pub fn undo(&self, uid: &str) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.remove(uid);
    }

    /// Since when a pod is told what it is; the first question starts the time.
    #[must_use]
    pub fn nudged(&self, pod: &str, told: &str, now: Instant) -> Instant {
        let mut nudges = self.nudges.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = nudges
            .entry(pod.to_owned())
            .or_insert((told.to_owned(), now));
        if entry.0 != told {
            *entry = (told.to_owned(), now);
        }
        entry.1
    }

    /// Whether the status of an object was written so long ago; the first question starts the time.
    #[must_use]
    pub fn is_refresh_due(&self, uid: &str, now: Instant, after: Duration) -> bool {
        let mut refreshes = self
            .refreshes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let last = *refreshes.entry(uid.to_owned()).or_insert(now);
        now.duration_since(last) >= after
    }

    /// The status of an object was written.
    pub fn refreshed(&self, uid: &str, now: Instant) {
        let mut refreshes = self
            .refreshes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        refreshes.insert(uid.to_owned(), now);
    }

    /// Whether something may be told again, at most once in a time.
    #[must_use]
    pub fn may_tell(&self, what: &str, now: Instant, every: Duration) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|_, last| now.duration_since(*last) < every);
        let is_new = !told.contains_key(what);
        if is_new {
            told.insert(what.to_owned(), now);
        }
        is_new
    }

    /// How long something has still to last before it is worth telling; nothing once it has. The first question starts the
    /// time, and so does one about something else.
    #[must_use]
    pub fn left(&self, uid: &str, what: &str, age: Duration, now: Instant) -> Option<Duration> {
        let mut lasting = self.lasting.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = lasting
            .entry(uid.to_owned())
            .or_insert_with(|| (what.to_owned(), now));
        if entry.0 != what {
            *entry = (what.to_owned(), now);
        }
        let left = age.saturating_sub(now.duration_since(entry.1));
        (!left.is_zero()).then_some(left)
    }

    /// There is nothing to tell about an object any more.
    pub fn settled(&self, uid: &str) {
        let mut lasting = self.lasting.lock().unwrap_or_else(PoisonError::into_inner);
        lasting.remove(uid);
    }

    /// Forgets pods that are gone.
    pub fn keep_pods(&self, is_there: impl Fn(&str) -> bool) {
        let mut nudges = self.nudges.lock().unwrap_or_else(PoisonError::into_inner);
        nudges.retain(|pod, _| is_there(pod));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_finds_nothing_to_do_leaves_what_is_due_where_it_was() {
        let (memory, now) = (Memory::default(), Instant::now());
        let second = Duration::from_secs(1);
        memory.done("uid", 7, now + 5 * second);
        assert_eq!(memory.idle("uid", 7, now + second), Some(4 * second));
        assert_eq!(memory.idle("uid", 7, now + 5 * second), None);
        assert_eq!(memory.idle("uid", 8, now), None);
        assert_eq!(memory.idle("other", 7, now), None);
    }

    #[test]
    fn the_time_of_a_pod_begins_anew_with_what_it_is_told() {
        let (memory, now) = (Memory::default(), Instant::now());
        let later = now + Duration::from_secs(5);
        assert_eq!(memory.nudged("pod", "a", now), now);
        assert_eq!(memory.nudged("pod", "a", later), now);
        assert_eq!(memory.nudged("pod", "a.2", later), later);
        memory.keep_pods(|pod| pod != "pod");
        assert_eq!(memory.nudged("pod", "a.2", now), now);
    }
}
