//! Deadlines and polling.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long anything may take that has no stated figure of its own.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How long a network may take to start: five times what the slowest shape of the tests needs.
pub const START: Duration = Duration::from_secs(60);

/// Time between two looks at something that does not announce its changes.
const INTERVAL: Duration = Duration::from_millis(20);

/// Looks again and again until `look` finds something; says what was waited for when the time is
/// over.
///
/// # Errors
/// The time is over, or `look` failed.
pub fn until<T>(
    what: &str,
    patience: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let end = Instant::now() + patience;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if Instant::now() >= end {
            bail!("waited {patience:?} in vain for {what}");
        }
        std::thread::sleep(INTERVAL);
    }
}
