//! Free blocks of ports, so that tests can run beside each other.
//!
//! A block belongs to one test as long as its lock files are held, in whatever process that test
//! runs. The range lies below Linux's ephemeral ports: no outgoing connection takes a port between
//! the look and the use.

use std::fs::{File, OpenOptions};
use std::net::TcpListener;

use anyhow::{Context, Result, bail};

const FIRST: u16 = 20_000;
const LAST: u16 = 32_000;

/// Ports of one site.
pub const PER_SITE: u16 = 10;

/// A run of ports that nobody else uses; free again when dropped.
#[derive(Debug)]
pub struct Block {
    base: u16,
    _locks: Vec<File>,
}

impl Block {
    /// Takes a free block for so many sites.
    ///
    /// # Errors
    /// Every block is taken, or the lock folder cannot be written.
    pub fn take(sites: u16) -> Result<Self> {
        let slots = (LAST - FIRST) / PER_SITE;
        // Processes begin at different places, so that they seldom look at the same slot.
        let start = u16::try_from(std::process::id() % u32::from(slots))?;
        let mut slot = start;
        for _ in 0..slots {
            if slot + sites <= slots
                && let Some(block) = Self::try_at(FIRST + slot * PER_SITE, sites)?
            {
                return Ok(block);
            }
            slot = (slot + sites.max(1)) % slots;
        }
        bail!("no {sites} free blocks of {PER_SITE} ports between {FIRST} and {LAST}")
    }

    /// The first port of the block, for `--base-port`.
    #[must_use]
    pub fn base(&self) -> u16 {
        self.base
    }

    fn try_at(base: u16, sites: u16) -> Result<Option<Self>> {
        let mut locks = Vec::new();
        for site in 0..sites {
            let Some(lock) = lock(base + site * PER_SITE)? else {
                return Ok(None);
            };
            locks.push(lock);
        }
        let free = (base..base + sites * PER_SITE)
            .all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok());
        Ok(free.then_some(Self {
            base,
            _locks: locks,
        }))
    }
}

/// Waits until no other network is under test: several at once would spoil each other's times.
///
/// # Errors
/// The lock folder cannot be written.
pub fn whole_machine() -> Result<File> {
    let file = lock_file("machine")?;
    file.lock().context("waiting for other tests")?;
    Ok(file)
}

fn lock(port: u16) -> Result<Option<File>> {
    let file = lock_file(&port.to_string())?;
    Ok(file.try_lock().is_ok().then_some(file))
}

fn lock_file(name: &str) -> Result<File> {
    let folder = std::env::temp_dir().join("causeway-e2e-ports");
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let path = folder.join(name);
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_blocks_taken_at_once_do_not_overlap() -> Result<()> {
        let (one, other) = (Block::take(3)?, Block::take(3)?);
        assert!(one.base().abs_diff(other.base()) >= 3 * PER_SITE);
        Ok(())
    }
}
