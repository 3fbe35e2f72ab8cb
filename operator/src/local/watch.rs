//! Following the file: read every quarter second, taken once two readings are equal, so that a half-written file is
//! not taken for a broken one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::cli::input;
use crate::documents::Source;

/// Time between two readings.
pub const PERIOD: Duration = Duration::from_millis(250);

/// What a reading found.
pub type Reading = Result<Vec<Arc<Source>>, Vec<String>>;

/// The files as they were taken last, and as they were read last.
#[derive(Debug)]
pub struct Watch {
    files: Vec<PathBuf>,
    taken: Reading,
    read: Reading,
}

impl Watch {
    /// Follows files that have been read once.
    #[must_use]
    pub fn new(files: Vec<PathBuf>, first: Vec<Arc<Source>>) -> Self {
        Self {
            files,
            taken: Ok(first.clone()),
            read: Ok(first),
        }
    }

    /// Whether there is anything to follow: standard input cannot be read twice.
    #[must_use]
    pub fn is_useful(&self) -> bool {
        !self.files.iter().any(|file| file.as_os_str() == "-")
    }

    /// What has changed since the last time, once it is stable.
    pub fn look(&mut self) -> Option<Reading> {
        let now = input::read(&self.files);
        self.take(now)
    }

    fn take(&mut self, now: Reading) -> Option<Reading> {
        let is_stable = now == self.read;
        self.read = now;
        if !is_stable || self.read == self.taken {
            return None;
        }
        self.taken = self.read.clone();
        Some(self.taken.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(text: &str) -> Reading {
        Ok(vec![Source::new("n.yaml", text)])
    }

    fn watch() -> Watch {
        let first = vec![Source::new("n.yaml", "a")];
        Watch::new(vec![PathBuf::from("n.yaml")], first)
    }

    #[test]
    fn a_change_is_taken_once_it_is_stable_and_only_once() {
        let mut watch = watch();
        assert_eq!(watch.take(reading("a")), None);
        assert_eq!(watch.take(reading("half")), None);
        assert_eq!(watch.take(reading("whole")), None);
        assert_eq!(watch.take(reading("whole")), Some(reading("whole")));
        assert_eq!(watch.take(reading("whole")), None);
    }

    #[test]
    fn a_file_that_is_away_for_a_moment_is_no_change() {
        let mut watch = watch();
        assert_eq!(watch.take(Err(vec!["gone".to_owned()])), None);
        assert_eq!(watch.take(reading("a")), None);
        assert_eq!(watch.take(reading("a")), None);
    }
}
