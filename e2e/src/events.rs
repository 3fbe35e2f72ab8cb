//! The events that `causeway up -o json` prints, one a line.

use std::io::BufRead;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::Value;

/// One event.
#[derive(Debug, Clone)]
pub struct Event {
    /// When the line was read.
    pub at: Instant,
    /// The object of the line.
    pub value: Value,
}

impl Event {
    /// `site`, `link`, `ready`, `applied`, `exit`, `lost`, `error`.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.text("event")
    }

    /// A field that holds text; empty when it is missing.
    #[must_use]
    pub fn text(&self, field: &str) -> &str {
        self.value.get(field).and_then(Value::as_str).unwrap_or("")
    }

    /// True if it is that event about that site.
    #[must_use]
    pub fn is_about(&self, kind: &str, site: &str) -> bool {
        self.kind() == kind && self.text("site") == site
    }
}

#[derive(Debug, Default)]
struct Shared {
    seen: Mutex<(Vec<Event>, bool)>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, (Vec<Event>, bool)> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything read so far; a thread of its own goes on reading.
#[derive(Debug, Clone, Default)]
pub struct Events {
    shared: Arc<Shared>,
}

impl Events {
    /// Starts to read.
    pub fn follow(reader: impl BufRead + Send + 'static) -> Self {
        let events = Self::default();
        let shared = Arc::clone(&events.shared);
        std::thread::spawn(move || {
            for line in reader.lines().map_while(Result::ok) {
                // Anything else on standard output would break programs that read it: it is kept as
                // an error.
                let value = serde_json::from_str(&line)
                    .unwrap_or_else(|_| serde_json::json!({"event": "not json", "message": line}));
                let event = Event {
                    at: Instant::now(),
                    value,
                };
                shared.lock().0.push(event);
                shared.changed.notify_all();
            }
            shared.lock().1 = true;
            shared.changed.notify_all();
        });
        events
    }

    /// How many events there are; a place to go on from.
    #[must_use]
    pub fn mark(&self) -> usize {
        self.shared.lock().0.len()
    }

    /// All events since a mark.
    #[must_use]
    pub fn since(&self, mark: usize) -> Vec<Event> {
        self.shared
            .lock()
            .0
            .get(mark..)
            .unwrap_or_default()
            .to_vec()
    }

    /// The first event since a mark that is wanted.
    ///
    /// # Errors
    /// It did not come in time, or nothing can come any more.
    pub fn wait(
        &self,
        mark: usize,
        what: &str,
        patience: Duration,
        wanted: impl Fn(&Event) -> bool,
    ) -> Result<Event> {
        let end = Instant::now() + patience;
        let mut guard = self.shared.lock();
        loop {
            let (seen, is_over) = &*guard;
            let found = seen.get(mark..).unwrap_or_default().iter();
            if let Some(event) = found.clone().find(|event| wanted(event)) {
                return Ok(event.clone());
            }
            let left = end.saturating_duration_since(Instant::now());
            if *is_over || left.is_zero() {
                let lines: Vec<String> = found.map(|event| event.value.to_string()).collect();
                let why = if *is_over { "it ended" } else { "time is over" };
                bail!("no event {what} ({why}); seen:\n{}", lines.join("\n"));
            }
            let waited = self.shared.changed.wait_timeout(guard, left);
            guard = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_after_the_mark_is_found_and_the_end_is_noticed() -> Result<()> {
        let text = "{\"event\":\"site\",\"site\":\"ie\"}\n{\"event\":\"ready\"}\n";
        let events = Events::follow(std::io::Cursor::new(text));
        let patience = Duration::from_secs(5);
        let ready = events.wait(0, "ready", patience, |event| event.kind() == "ready")?;
        assert_eq!(ready.kind(), "ready");
        let again = events.wait(2, "ready", patience, |event| event.kind() == "ready");
        assert!(again.is_err_and(|error| error.to_string().contains("it ended")));
        Ok(())
    }
}
