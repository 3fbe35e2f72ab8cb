//! Who acts: the one process that holds a Lease, and only for as long as it knows that it does.
//!
//! A change of the Lease names the version that was read: of several who want it at once one gets it. No two clocks are
//! compared: who waits counts the time since it saw the Lease change last, who leads the time since it asked.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::rand;
use k8s_openapi::api::coordination::v1;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, Patch, PatchParams, PostParams};
use kube::{Client, Error, ResourceExt as _};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::term::Term;
use crate::labels;

/// After an error it is tried again so soon: a few times before the lease is over.
const RETRY: Duration = Duration::from_secs(1);
/// Who ends gives the lease back, but does not wait long for it.
const GOOD_BYE: Duration = Duration::from_secs(2);

/// How long a leader leads.
#[derive(Debug, Clone)]
pub struct Terms {
    /// How long a leader that is not heard of stays leader.
    pub duration: Duration,
    /// How long before that it is renewed.
    pub grace: Duration,
}

/// The Lease, for one process that wants it.
pub struct Lease {
    api: Api<v1::Lease>,
    name: String,
    identity: String,
    terms: Terms,
    term: Arc<Term>,
    /// The version that was seen last, and since when.
    seen: Mutex<Option<(String, Instant)>>,
}

/// What a Lease that was read means for a process.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    /// It holds the lease.
    Ours,
    /// Whoever is first gets it.
    Free,
    /// Somebody else holds it for this time, if it is not heard of.
    Taken(Duration),
}

impl Lease {
    /// Asks for nothing yet. The identity is of this process alone, whatever the name of its host.
    #[must_use]
    pub fn new(client: Client, namespace: &str, name: &str, terms: Terms, term: Arc<Term>) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            name: name.to_owned(),
            identity: identity(),
            terms,
            term,
            seen: Mutex::default(),
        }
    }

    /// Resolves when this process leads.
    pub async fn acquire(&self) {
        loop {
            match self.in_time(self.take()).await {
                Ok(Standing::Ours) => return,
                Ok(Standing::Taken(left)) => sleep(left.min(self.terms.grace)).await,
                // Somebody was faster, or the first to look at it: whoever it was is there now.
                Ok(Standing::Free) => {}
                Err(error) => {
                    tracing::warn!(error, "the lease cannot be asked for");
                    sleep(RETRY).await;
                }
            }
        }
    }

    /// Keeps it; resolves when it is somebody else's. While the API server does not answer nobody can take it, so that is no
    /// reason to end: the term is over, nothing is written, and it goes on if the lease is still there.
    pub async fn keep(&self) {
        let pause = self.terms.duration.saturating_sub(self.terms.grace);
        let mut wait = pause;
        loop {
            sleep(wait).await;
            wait = match self.in_time(self.renew()).await {
                Ok(Standing::Ours) => pause,
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(error, "the lease is not renewed");
                    RETRY
                }
            };
        }
        self.term.set(None);
    }

    /// Gives it back, so that nobody has to wait for its end.
    pub async fn release(&self) {
        self.term.set(None);
        let released = timeout(GOOD_BYE, async {
            let lease = self.api.get(&self.name).await?;
            match self.standing(&lease, Instant::now()) {
                Standing::Ours => self.patch(&lease, &spec_of_nobody()).await,
                Standing::Free | Standing::Taken(_) => Ok(()),
            }
        });
        match released.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the lease is not given back"),
            Err(_) => tracing::warn!("the lease is not given back: no answer in time"),
        }
    }

    /// An answer that takes too long is none.
    async fn in_time(
        &self,
        work: impl Future<Output = Result<Standing, Error>>,
    ) -> Result<Standing, String> {
        match timeout(self.terms.grace.max(RETRY), work).await {
            Ok(done) => done.map_err(|error| error.to_string()),
            Err(_) => Err("no answer in time".to_owned()),
        }
    }

    async fn take(&self) -> Result<Standing, Error> {
        let begin = Instant::now();
        let taken = match self.api.get_opt(&self.name).await? {
            None => self.create(begin).await,
            Some(lease) => match self.standing(&lease, begin) {
                Standing::Taken(left) => return Ok(Standing::Taken(left)),
                Standing::Ours | Standing::Free => self.write(&lease, begin).await,
            },
        };
        match taken {
            Err(Error::Api(status)) if status.code == 409 => Ok(Standing::Free),
            taken => taken,
        }
    }

    async fn renew(&self) -> Result<Standing, Error> {
        let begin = Instant::now();
        let Some(lease) = self.api.get_opt(&self.name).await? else {
            return self.create(begin).await;
        };
        match self.standing(&lease, begin) {
            Standing::Ours => self.write(&lease, begin).await,
            // Even a free one may have been somebody else's meanwhile.
            lost => Ok(lost),
        }
    }

    fn standing(&self, lease: &v1::Lease, now: Instant) -> Standing {
        let version = lease.resource_version().unwrap_or_default();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let since = match &*seen {
            Some((known, since)) if *known == version => *since,
            _ => now,
        };
        *seen = Some((version, since));
        let spec = lease.spec.clone().unwrap_or_default();
        let lasts = spec
            .lease_duration_seconds
            .and_then(|seconds| u64::try_from(seconds).ok());
        let lasts = lasts.map_or(self.terms.duration, Duration::from_secs);
        let holder = spec.holder_identity.unwrap_or_default();
        standing(&holder, &self.identity, lasts, now.duration_since(since))
    }

    async fn create(&self, begin: Instant) -> Result<Standing, Error> {
        let lease = v1::Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                ..ObjectMeta::default()
            },
            spec: serde_json::from_value(self.spec(0, true)).map_err(Error::SerdeError)?,
        };
        let params = PostParams {
            field_manager: Some(labels::FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        self.api.create(&params, &lease).await?;
        self.term.set(Some(begin + self.terms.duration));
        Ok(Standing::Ours)
    }

    async fn write(&self, lease: &v1::Lease, begin: Instant) -> Result<Standing, Error> {
        let spec = lease.spec.clone().unwrap_or_default();
        let is_new = spec.holder_identity.as_ref() != Some(&self.identity);
        let transitions = spec.lease_transitions.unwrap_or(0);
        let transitions = transitions.saturating_add(i32::from(is_new));
        self.patch(lease, &self.spec(transitions, is_new)).await?;
        self.term.set(Some(begin + self.terms.duration));
        Ok(Standing::Ours)
    }

    /// Changes the Lease in the very version that was read; another is a conflict.
    async fn patch(&self, lease: &v1::Lease, spec: &Value) -> Result<(), Error> {
        let patch = json!({
            "metadata": {"resourceVersion": lease.resource_version()},
            "spec": spec,
        });
        let params = PatchParams {
            field_manager: Some(labels::FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let patch = Patch::Merge(&patch);
        self.api.patch(&self.name, &params, &patch).await.map(drop)
    }

    fn spec(&self, transitions: i32, is_new: bool) -> Value {
        let now = MicroTime(Timestamp::now());
        let mut spec = json!({
            "holderIdentity": self.identity,
            "leaseDurationSeconds": self.terms.duration.as_secs().max(1),
            "renewTime": now,
            "leaseTransitions": transitions,
        });
        if is_new {
            spec["acquireTime"] = json!(now);
        }
        spec
    }
}

fn spec_of_nobody() -> Value {
    json!({"holderIdentity": null, "renewTime": null, "acquireTime": null, "leaseDurationSeconds": null})
}

/// The pod's name for people, and a number that no other process has.
fn identity() -> String {
    let mut bytes = [0; 8];
    // A generator that gives nothing leaves the process and the time to tell two of them apart.
    if rand::fill(&mut bytes).is_err() {
        let time = Timestamp::now().as_nanosecond() as u64;
        bytes = (time ^ u64::from(std::process::id()).rotate_left(48)).to_le_bytes();
    }
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "causeway".to_owned());
    format!("{host}_{:016x}", u64::from_le_bytes(bytes))
}

/// What a Lease means for a process that has seen it unchanged for a time.
fn standing(holder: &str, own: &str, lasts: Duration, unchanged: Duration) -> Standing {
    if holder == own {
        return Standing::Ours;
    }
    let left = lasts.saturating_sub(unchanged);
    match holder.is_empty() || left.is_zero() {
        true => Standing::Free,
        false => Standing::Taken(left),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LASTS: Duration = Duration::from_secs(15);

    #[test]
    fn who_waits_takes_a_lease_that_nobody_holds_or_that_has_not_changed_for_its_time() {
        let at = |seconds| standing("other", "own", LASTS, Duration::from_secs(seconds));
        assert_eq!(at(0), Standing::Taken(LASTS));
        assert_eq!(at(14), Standing::Taken(Duration::from_secs(1)));
        assert_eq!(at(15), Standing::Free);
        let free = standing("", "own", LASTS, Duration::ZERO);
        assert_eq!(free, Standing::Free);
        let own = standing("own", "own", LASTS, Duration::from_secs(900));
        assert_eq!(own, Standing::Ours);
    }

    #[test]
    fn two_processes_are_never_taken_for_one() {
        assert_ne!(identity(), identity());
    }
}
