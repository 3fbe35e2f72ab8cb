//! What each stage of a start took, said at once: the long ones take minutes.

use std::io::Write as _;
use std::time::{Duration, Instant};

/// A clock that is read at the end of every stage.
#[derive(Debug)]
pub(super) struct Stages {
    started: Instant,
    last: Instant,
}

impl Stages {
    pub(super) fn begin() -> Self {
        let now = Instant::now();
        Self {
            started: now,
            last: now,
        }
    }

    /// Says what has been reached.
    pub(super) fn reached(&mut self, what: &str) {
        let now = Instant::now();
        say(&format!(
            "{what}: {} s (+{} s)",
            seconds(now - self.started),
            seconds(now - self.last)
        ));
        self.last = now;
    }
}

/// Writes a line past the test runner, which keeps what tests print until they have failed.
pub(super) fn say(line: &str) {
    // A test is no worse for a line that nobody could read.
    let _ = writeln!(std::io::stderr(), "kubernetes: {line}");
}

/// Seconds with one decimal.
pub(super) fn seconds(duration: Duration) -> String {
    format!("{:.1}", duration.as_secs_f64())
}
