//! Logs: to standard error, as text or as one JSON object a line.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tracing_subscriber::EnvFilter;

/// Starts logging. A second call does nothing.
pub fn init(level: &str, as_json: bool) {
    let filter = EnvFilter::try_from_env("CAUSEWAY_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // That a line cannot be logged would be printed, and printing to a pipe that nobody reads ends the thread.
        .log_internal_errors(false)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    // An error means that somebody (a test) has set a subscriber already.
    let _ = if as_json {
        builder.json().try_init()
    } else {
        builder.with_target(false).try_init()
    };
}

/// Lets one of many equal lines through in a time: whoever causes them from outside would fill the log.
#[derive(Debug)]
pub struct Seldom {
    gap_ns: u64,
    /// When the next line may come.
    next_ns: AtomicU64,
}

impl Seldom {
    /// The first line comes at once, another one not before `gap` is over.
    #[must_use]
    pub fn new(gap: Duration) -> Self {
        Self {
            gap_ns: u64::try_from(gap.as_nanos()).unwrap_or(u64::MAX),
            next_ns: AtomicU64::new(0),
        }
    }

    /// Whether a line is told at a time of the monotonic clock.
    pub fn tells(&self, now_ns: u64) -> bool {
        let next = |due: u64| (due <= now_ns).then(|| now_ns.saturating_add(self.gap_ns));
        let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
        self.next_ns.fetch_update(set, fetch, next).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_told_at_once_and_then_once_in_a_time() {
        let seldom = Seldom::new(Duration::from_nanos(10));
        let told: Vec<u64> = (5..30).filter(|now| seldom.tells(*now)).collect();
        assert_eq!(told, [5, 15, 25]);
    }
}
