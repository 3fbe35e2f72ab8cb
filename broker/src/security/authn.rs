//! Logins: the password is verified on a blocking pool, a few at a time; what was verified is
//! remembered for a while under a keyed hash.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::hmac;
use tokio::sync::Semaphore;

use super::password;
use super::throttle::Throttle;
use crate::clock;
use crate::config::file::{FailureDelay, User};

/// Entries of the credential cache.
const CACHE_ENTRIES: usize = 4096;
/// Longest user name.
const MAX_USER: usize = 256;
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
    permits: Semaphore,
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
            permits: Semaphore::new(permits),
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
        for verifier in &verifiers {
            if self.is_remembered(&self.tag(login, verifier, passcode)) {
                return Ok(fingerprint(verifier));
            }
        }
        let permit = tokio::time::timeout(VERIFY_TIMEOUT, self.permits.acquire()).await;
        let Ok(Ok(_permit)) = permit else {
            return Err(LoginError::Busy);
        };
        // An unknown user costs what a known one does.
        let tried = if verifiers.is_empty() {
            vec![password::DUMMY.to_owned()]
        } else {
            verifiers.clone()
        };
        let secret = passcode.to_owned();
        let found = tokio::task::spawn_blocking(move || {
            tried
                .into_iter()
                .find(|verifier| password::verify(&secret, verifier))
        });
        match found.await {
            Ok(Some(verifier)) if verifiers.contains(&verifier) => {
                self.remember(self.tag(login, &verifier, passcode), ttl);
                Ok(fingerprint(&verifier))
            }
            _ => Err(LoginError::Invalid),
        }
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
        cache.insert(tag, now_ns + u64::try_from(ttl.as_nanos()).unwrap_or(0));
    }
}

/// A number that tells verifiers apart and gives nothing away.
#[must_use]
pub fn fingerprint(verifier: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(verifier.as_bytes())
}
