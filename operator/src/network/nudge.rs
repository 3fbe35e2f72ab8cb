//! Which pods are told to look at their files: the kubelet reads a changed Secret at once when the pod changes too, and
//! within a minute otherwise.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::context::Context;
use super::controller::Verdict;
use super::fetch::Fetched;
use crate::model::observed::{Applied, ChildKey, ChildKind, Outcome, PodState};
use crate::names::{self, Part};
use crate::render;

/// A broker that has not taken its files after this time is told once more, and then after twice the time again,
const AGAIN: Duration = Duration::from_secs(5);
/// up to this.
const RARELY: Duration = Duration::from_secs(300);

/// A pod that is to look at its files at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nudge {
    /// Name of the pod.
    pub pod: String,
    /// Its uid.
    pub uid: String,
    /// What its annotation becomes.
    pub value: String,
}

/// Who is told now, and when somebody is to be told next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Nudges {
    /// Now.
    pub now: Vec<Nudge>,
    /// The shortest time until somebody has been waited for long enough; nothing where all have what they should.
    pub next: Option<Duration>,
}

/// The pods whose broker runs other files or certificates than its Secrets hold.
#[must_use]
pub fn nudges(
    context: &Context,
    fetched: &Fetched,
    verdict: &Verdict,
    outcome: &Outcome,
) -> Nudges {
    let mut nudges = Nudges::default();
    let now = Instant::now();
    for (site, hash) in &verdict.config_hashes {
        let secret = ChildKey {
            kind: ChildKind::Secret,
            name: names::site_part(fetched.declared.name(), site.as_str(), Part::Config),
        };
        if let Some(Applied::Refused(_)) = outcome.objects.get(&secret) {
            continue;
        }
        let Some(view) = fetched
            .observed
            .brokers
            .get(site)
            .and_then(|broker| broker.view.as_ref())
        else {
            continue;
        };
        let config = &view.config;
        // Of certificates that are not all there nobody is told.
        let certificates = verdict.certificates.get(site);
        let certificates = certificates.unwrap_or(&config.certificates);
        let wanted = render::whole_hash(hash, certificates);
        let whole = |hash: &String| render::whole_hash(hash, &config.certificates);
        let has_it = |known: &Option<String>| known.as_ref().map(whole).as_ref() == Some(&wanted);
        if has_it(&config.applied) || has_it(&config.seen) {
            continue;
        }
        for pod in fetched.observed.pods_of(site.as_str()) {
            let told = pod.config_hash.as_deref().unwrap_or_default();
            let since = context.memory.nudged(&pod.uid, told, now);
            nudges.add(pod, &wanted, now.duration_since(since));
        }
    }
    if !nudges.now.is_empty() {
        let pods = context.stores.pods.state();
        let there: BTreeSet<&str> = pods
            .iter()
            .filter_map(|pod| pod.metadata.uid.as_deref())
            .collect();
        context.memory.keep_pods(|pod| there.contains(pod));
    }
    nudges
}

impl Nudges {
    /// A pod whose broker lacks files of a hash, and whose annotation is what it is for so long.
    fn add(&mut self, pod: &PodState, wanted: &str, waited: Duration) {
        let told = pod.config_hash.as_deref();
        let times = told.map_or(0, |told| times(told, wanted));
        let patience = patience(times);
        if waited < patience {
            return self.look_in(patience - waited);
        }
        self.now.push(Nudge {
            pod: pod.name.clone(),
            uid: pod.uid.clone(),
            value: match times {
                0 => wanted.to_owned(),
                _ => format!("{wanted}.{}", times + 1),
            },
        });
        self.look_in(self::patience(times + 1));
    }

    fn look_in(&mut self, time: Duration) {
        self.next = Some(self.next.map_or(time, |known| known.min(time)));
    }
}

/// How often an annotation says that files of a hash are there. Once may be too early: the kubelet's own watch has the Secret
/// a moment later than whoever wrote it.
fn times(told: &str, wanted: &str) -> u32 {
    match told.strip_prefix(wanted) {
        None => 0,
        Some("") => 1,
        Some(rest) => rest
            .strip_prefix('.')
            .and_then(|times| times.parse().ok())
            .unwrap_or(0),
    }
}

/// How long a broker that was told so often has for it.
fn patience(times: u32) -> Duration {
    match times.checked_sub(1) {
        None => Duration::ZERO,
        Some(before) => AGAIN.saturating_mul(1 << before.min(16)).min(RARELY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(told: Option<&str>) -> PodState {
        PodState {
            name: "n--a-1".to_owned(),
            uid: "1".to_owned(),
            config_hash: told.map(str::to_owned),
            ..PodState::default()
        }
    }

    fn after(told: Option<&str>, seconds: u64) -> (Option<String>, Option<u64>) {
        let mut nudges = Nudges::default();
        nudges.add(&pod(told), "new", Duration::from_secs(seconds));
        let value = nudges.now.pop().map(|nudge| nudge.value);
        (value, nudges.next.map(|next| next.as_secs()))
    }

    #[test]
    fn a_broker_that_does_not_take_its_files_is_told_again_and_again_and_ever_more_rarely() {
        let told = |value: &str, next| (Some(value.to_owned()), Some(next));
        for other in [
            None,
            Some("old"),
            Some("old.2"),
            Some("newer"),
            Some("new.x"),
        ] {
            assert_eq!(after(other, 0), told("new", 5), "{other:?}");
        }
        for (annotation, patience, next) in [
            ("new", 5, ("new.2", 10)),
            ("new.2", 10, ("new.3", 20)),
            ("new.6", 160, ("new.7", 300)),
            ("new.40", 300, ("new.41", 300)),
        ] {
            assert_eq!(after(Some(annotation), patience), told(next.0, next.1));
            // Whoever looks meanwhile says when to look again: nobody else may come by then.
            let early = after(Some(annotation), patience - 1);
            assert_eq!(early, (None, Some(1)), "{annotation}");
        }
    }

    #[test]
    fn the_first_to_be_told_again_says_when() {
        let mut nudges = Nudges::default();
        for (told, waited) in [("new.3", 1), ("new", 2), ("new.2", 3)] {
            nudges.add(&pod(Some(told)), "new", Duration::from_secs(waited));
        }
        assert_eq!(nudges.next, Some(Duration::from_secs(3)));
    }
}
