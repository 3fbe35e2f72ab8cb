//! The state folder of this process: nobody else's while it runs.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::clock;

/// The folder, held until this is dropped.
#[derive(Debug)]
pub(super) struct StateFolder {
    path: PathBuf,
    _lock: File,
}

impl StateFolder {
    /// Makes the folder where it is not there, and holds it.
    ///
    /// # Errors
    /// It cannot be made or written to, or another running process holds it.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(path).with_context(|| format!("{} cannot be made", path.display()))?;
        let lock = File::create(path.join("lock"))
            .with_context(|| format!("{} cannot be written to", path.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!(
                "{} is in use by another broker that runs: each needs a state_dir of its own",
                path.display()
            ),
            // Not every file system knows locks, and none is needed where things are as documented.
            Err(TryLockError::Error(error)) => {
                tracing::debug!(%error, path = %path.display(), "the state folder cannot be locked");
            }
        }
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The epoch of this start: larger than every earlier one of the same state folder, even when the
    /// clock went back, and than that of the process before this one.
    pub(super) fn next_epoch(&self, before: u64) -> anyhow::Result<u64> {
        let path = self.path.join("epoch");
        let last = fs::read_to_string(&path)
            .ok()
            .and_then(|text| text.trim().parse::<u64>().ok());
        let now = u64::try_from(clock::wall_ms()).unwrap_or(1);
        let last = last.unwrap_or(0).max(before);
        let epoch = now.max(last.saturating_add(1));
        let fresh = self.path.join("epoch.new");
        fs::write(&fresh, format!("{epoch}\n"))
            .with_context(|| format!("{} cannot be written", fresh.display()))?;
        fs::rename(&fresh, &path)
            .with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_one_process_s_and_its_epochs_rise() {
        let path = std::env::temp_dir().join(format!("causeway-state-{}", std::process::id()));
        let folder = StateFolder::open(&path).expect("a folder");
        let refused = StateFolder::open(&path).expect_err("it is held");
        assert!(
            refused.to_string().contains("state_dir of its own"),
            "{refused}"
        );
        let first = folder.next_epoch(u64::MAX / 2).expect("written");
        assert_eq!(first, u64::MAX / 2 + 1);
        drop(folder);
        let folder = StateFolder::open(&path).expect("it is free again");
        assert_eq!(folder.next_epoch(0).expect("written"), first + 1);
        fs::remove_dir_all(&path).ok();
    }
}
