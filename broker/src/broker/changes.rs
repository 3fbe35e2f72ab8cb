//! What `/status` shows has a revision: it rises with every change but those of figures, and who waits for it wakes up.

use std::time::Duration;

use tokio::sync::watch;

/// The revision of what `/status` shows.
#[derive(Debug)]
pub struct Changes {
    revision: watch::Sender<u64>,
}

impl Default for Changes {
    fn default() -> Self {
        Self {
            revision: watch::Sender::new(1),
        }
    }
}

impl Changes {
    /// Something is other than before.
    pub fn note(&self) {
        self.revision.send_modify(|revision| *revision += 1);
    }

    /// The revision now. It is read before what it stands for, so that no change falls between them.
    #[must_use]
    pub fn revision(&self) -> u64 {
        *self.revision.borrow()
    }

    /// Waits until the revision is another one than `known`, at the longest for `patience`.
    pub async fn wait(&self, known: u64, patience: Duration) {
        let mut revision = self.revision.subscribe();
        let changed = revision.wait_for(|revision| *revision != known);
        // When the time is over the old state is the answer.
        let _ = tokio::time::timeout(patience, changed).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn who_waits_is_told_of_the_next_change_and_of_one_that_was() {
        let changes = std::sync::Arc::new(Changes::default());
        let known = changes.revision();
        let waiting = tokio::spawn({
            let changes = changes.clone();
            async move { changes.wait(known, LONG).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        changes.note();
        waiting.await.expect("told");
        // What the asker knows is old already.
        changes.wait(known, LONG).await;
        assert_eq!(changes.revision(), known + 1);
    }

    #[tokio::test]
    async fn without_a_change_the_time_ends_it() {
        let changes = Changes::default();
        let (began, patience) = (std::time::Instant::now(), Duration::from_millis(20));
        changes.wait(changes.revision(), patience).await;
        assert!(began.elapsed() >= patience, "{:?}", began.elapsed());
    }
}
