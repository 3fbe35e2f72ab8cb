//! What a planned stop took with it, kept in the state folder for whoever started the broker: a log may be filtered,
//! and its words are for people.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

const FILE: &str = "lost.json";

/// Messages that were in the queues of a broker when it ended, and are in no other.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Lost {
    /// All of them.
    pub messages: u64,
    /// By the name of their queue; none is empty.
    pub queues: BTreeMap<String, u64>,
}

impl Lost {
    /// Counts queues by their names and depths.
    #[must_use]
    pub fn count(queues: impl IntoIterator<Item = (String, u64)>) -> Self {
        let mut lost = Self::default();
        for (name, depth) in queues.into_iter().filter(|(_, depth)| *depth > 0) {
            lost.messages += depth;
            *lost.queues.entry(name).or_default() += depth;
        }
        lost
    }

    /// Keeps it in a state folder, if it is anything.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep(&self, state: &Path) -> io::Result<()> {
        if self.messages == 0 {
            return Ok(());
        }
        let fresh = state.join("lost.json.new");
        std::fs::write(&fresh, serde_json::to_vec(self)?)?;
        std::fs::rename(fresh, path(state))
    }

    /// What a state folder tells of the last stop; it tells it once.
    #[must_use]
    pub fn take(state: &Path) -> Option<Self> {
        let path = path(state);
        let bytes = std::fs::read(&path).ok()?;
        // Whatever it holds, it is about a stop that is over.
        let _ = std::fs::remove_file(&path);
        serde_json::from_slice(&bytes).ok()
    }
}

fn path(state: &Path) -> PathBuf {
    state.join(FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_lost_is_told_once_and_nothing_is_not_told() {
        let folder = std::env::temp_dir().join(format!("causeway-lost-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let depths = [("b", 2), ("empty", 0), ("a", 1)];
        let lost = Lost::count(depths.map(|(name, depth)| (name.to_owned(), depth)));
        assert_eq!(lost.messages, 3);
        assert_eq!(lost.queues.len(), 2, "an empty queue loses nothing");
        lost.keep(&folder).expect("written");
        assert_eq!(Lost::take(&folder), Some(lost));
        assert_eq!(Lost::take(&folder), None);
        Lost::count([]).keep(&folder).expect("nothing to do");
        assert_eq!(Lost::take(&folder), None);
        std::fs::remove_dir_all(&folder).ok();
    }
}
