//! Logins: the password is verified on a blocking pool, a few at a time; what was verified is
//! remembered for a while under a keyed hash.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::hmac;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zeroize::Zeroizing;

use super::password;
use super::throttle::Throttle;
use crate::clock;
use crate::config::file::{FailureDelay, User};

/// Entries of the credential cache.
const CACHE_ENTRIES: usize = 4096;
/// Longest user name.
const MAX_USER: usize = 256;
/// Verifications that wait for their turn, at most.
const MAX_WAITING: usize = 1024;
/// How long a verification may wait for its turn.
const VERIFY_TIMEOUT: Duration = Duration::from_secs(30);

/// Why nobody came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// Unknown user, wrong password, suspended user: not told apart.
    #[error("user name or password is invalid")]
    Invalid,
    /// Too many verifications wait.
    #[error("the broker is busy verifying logins: try again")]
    Busy,
}

/// Verifies logins.
#[derive(Debug)]
pub struct Authenticator {
    key: hmac::Key,
    /// Turns to compute a hash.
    permits: Arc<Semaphore>,
    /// Places to wait for a turn.
    places: Semaphore,
    /// Guards what was verified: keyed hash to the time it is forgotten.
    cache: Mutex<HashMap<[u8; 32], u64>>,
    /// Guards the counts of failures.
    throttle: Mutex<Throttle>,
}

impl Authenticator {
    /// At most `permits` verifications at once.
    ///
    /// # Errors
    /// The system gives no randomness.
    pub fn new(permits: usize) -> anyhow::Result<Self> {
        let random = aws_lc_rs::rand::SystemRandom::new();
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &random)
            .map_err(|_| anyhow::anyhow!("the system gives no random bytes"))?;
        Ok(Self {
            key,
            permits: Arc::new(Semaphore::new(permits)),
            places: Semaphore::new(MAX_WAITING),
            cache: Mutex::default(),
            throttle: Mutex::default(),
        })
    }

    /// Verifies a password against the user's hashes. The fingerprint of the hash that fitted is
    /// returned, so that its withdrawal can end the session.
    ///
    /// # Errors
    /// Nobody comes in.
    pub async fn verify(
        &self,
        user: Option<&User>,
        login: &str,
        passcode: &str,
        address: &str,
        settings: (&FailureDelay, Duration),
    ) -> Result<u64, LoginError> {
        let (delay, ttl) = settings;
        let outcome = self.verify_now(user, login, passcode, ttl).await;
        if outcome == Err(LoginError::Invalid) {
            let hold_ns = {
                let mut throttle = self.throttle.lock().unwrap_or_else(PoisonError::into_inner);
                throttle.failed(login, address, clock::monotonic_ns(), delay)
            };
            if hold_ns > 0 {
                tokio::time::sleep(Duration::from_nanos(hold_ns)).await;
            }
        } else if outcome.is_ok() {
            let mut throttle = self.throttle.lock().unwrap_or_else(PoisonError::into_inner);
            throttle.succeeded(login, address);
        }
        outcome
    }

    async fn verify_now(
        &self,
        user: Option<&User>,
        login: &str,
        passcode: &str,
        ttl: Duration,
    ) -> Result<u64, LoginError> {
        if login.len() > MAX_USER || passcode.is_empty() || passcode.len() > password::MAX_SECRET {
            return Err(LoginError::Invalid);
        }
        let verifiers = user.map(|user| user.verifiers.clone()).unwrap_or_default();
        if let Some(known) = self.recall(login, &verifiers, passcode) {
            return Ok(known);
        }
        let permit = self.turn().await.ok_or(LoginError::Busy)?;
        // Thousands of nodes that share an account wait here together after a restart: whoever
        // comes second finds what the first one computed.
        if let Some(known) = self.recall(login, &verifiers, passcode) {
            return Ok(known);
        }
        match compute(permit, verifiers, passcode).await {
            Some(verifier) => {
                self.remember(self.tag(login, &verifier, passcode), ttl);
                Ok(fingerprint(&verifier))
            }
            None => Err(LoginError::Invalid),
        }
    }

    /// Waits for a turn; `None` when too many wait, or for too long.
    async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        let _place = self.places.try_acquire().ok()?;
        let turn = self.permits.clone().acquire_owned();
        tokio::time::timeout(VERIFY_TIMEOUT, turn).await.ok()?.ok()
    }

    /// The fingerprint of the verifier that is known to fit.
    fn recall(&self, login: &str, verifiers: &[String], passcode: &str) -> Option<u64> {
        verifiers
            .iter()
            .find(|verifier| self.is_remembered(&self.tag(login, verifier, passcode)))
            .map(|verifier| fingerprint(verifier))
    }

    fn tag(&self, login: &str, verifier: &str, passcode: &str) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.key);
        for part in [login, verifier, passcode] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.sign().as_ref());
        bytes
    }

    fn is_remembered(&self, tag: &[u8; 32]) -> bool {
        let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache
            .get(tag)
            .is_some_and(|until| *until > clock::monotonic_ns())
    }

    fn remember(&self, tag: [u8; 32], ttl: Duration) {
        let now_ns = clock::monotonic_ns();
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= CACHE_ENTRIES {
            cache.retain(|_, until| *until > now_ns);
            if cache.len() >= CACHE_ENTRIES {
                cache.clear();
            }
        }
        cache.insert(
            tag,
            now_ns.saturating_add(u64::try_from(ttl.as_nanos()).unwrap_or(0)),
        );
    }
}

/// The verifier that fits. Holds the turn until the hash is computed, even when nobody waits for it
/// any more: a client that gives up does not make room for a second computation.
async fn compute(
    permit: OwnedSemaphorePermit,
    verifiers: Vec<String>,
    passcode: &str,
) -> Option<String> {
    let secret = Zeroizing::new(passcode.to_owned());
    let work = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        if verifiers.is_empty() {
            // An unknown user costs what a known one does.
            std::hint::black_box(password::verify(&secret, password::DUMMY));
            return None;
        }
        verifiers
            .into_iter()
            .find(|verifier| password::verify(&secret, verifier))
    });
    work.await.ok().flatten()
}

/// A number that tells verifiers apart and gives nothing away.
#[must_use]
pub fn fingerprint(verifier: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(verifier.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Authenticator, LoginError, fingerprint};
    use crate::config::file::{FailureDelay, User};
    use crate::config::units::Span;
    use crate::security::password;

    const DELAY: FailureDelay = FailureDelay {
        after: 100,
        window: Span::seconds(60),
        min: Span(0),
        max: Span(0),
    };
    const TTL: Duration = Duration::from_secs(60);

    fn user(verifiers: &[&str]) -> User {
        let text = format!("{{name: u, verifiers: {verifiers:?}}}");
        serde_yaml::from_str(&text).expect("the user of a test parses")
    }

    async fn login(
        authenticator: &Authenticator,
        user: Option<&User>,
        passcode: &str,
    ) -> Result<u64, LoginError> {
        authenticator
            .verify(user, "u", passcode, "::1", (&DELAY, TTL))
            .await
    }

    #[tokio::test]
    async fn both_passwords_of_a_rotation_let_in_and_no_other() {
        let old = password::hash("old", &[1; 16]).expect("a hash");
        let new = password::hash("new", &[2; 16]).expect("a hash");
        let user = user(&[&new, &old]);
        let authenticator = Authenticator::new(1).expect("randomness");
        for _ in 0..2 {
            let found = login(&authenticator, Some(&user), "old").await;
            assert_eq!(found, Ok(fingerprint(&old)));
        }
        let found = login(&authenticator, Some(&user), "new").await;
        assert_eq!(found, Ok(fingerprint(&new)));
        for passcode in ["other", "", &"x".repeat(1025)] {
            let found = login(&authenticator, Some(&user), passcode).await;
            assert_eq!(found, Err(LoginError::Invalid));
        }
    }

    #[tokio::test]
    async fn a_remembered_password_is_void_once_its_hash_is_gone() {
        let old = password::hash("old", &[1; 16]).expect("a hash");
        let new = password::hash("new", &[2; 16]).expect("a hash");
        let authenticator = Authenticator::new(1).expect("randomness");
        assert!(
            login(&authenticator, Some(&user(&[&old])), "old")
                .await
                .is_ok()
        );
        let found = login(&authenticator, Some(&user(&[&new])), "old").await;
        assert_eq!(found, Err(LoginError::Invalid));
    }

    #[tokio::test]
    async fn unknown_users_and_wrong_passwords_get_one_answer() {
        let hash = password::hash("secret", &[1; 16]).expect("a hash");
        let authenticator = Authenticator::new(1).expect("randomness");
        let wrong = login(&authenticator, Some(&user(&[&hash])), "wrong").await;
        let unknown = login(&authenticator, None, "secret").await;
        assert_eq!(wrong, unknown);
        assert_eq!(wrong, Err(LoginError::Invalid));
    }

    #[tokio::test]
    async fn who_finds_no_place_to_wait_is_told_so() {
        let authenticator = Authenticator::new(1).expect("randomness");
        authenticator.places.close();
        let found = login(&authenticator, None, "x").await;
        assert_eq!(found, Err(LoginError::Busy));
    }
}
