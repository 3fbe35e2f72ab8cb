//! The state folder of a network that runs on this machine: what must be the same at the next start.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::rand;
use uuid::Uuid;

use super::layout::{self, LayoutError};
use super::slots::Slots;

/// Where state folders are kept where nothing else is said.
pub const HOME: &str = ".causeway";

/// Why a state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another `up` holds it.
    #[error(
        "the state folder {} is in use by another `causeway up`, process {pid}: stop that one, or choose another folder with --state",
        folder.display()
    )]
    Locked {
        /// The folder.
        folder: PathBuf,
        /// Who holds it.
        pid: String,
    },
    /// A file is where the folder should be.
    #[error(
        "the state folder cannot be made: {} is a file (--state names a folder, which is made where it is missing)",
        path.display()
    )]
    NotAFolder {
        /// The file.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("{}: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What happened.
        cause: io::Error,
    },
    /// A file cannot be written.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A file holds something else.
    #[error("{} is damaged ({what}): remove it, and what it holds is made anew", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The operating system gives no random bytes.
    #[error("the operating system gives no random bytes")]
    Random,
}

impl StateError {
    /// Whether what was named can be no state folder.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        matches!(self, Self::NotAFolder { .. })
    }
}

/// A state folder that belongs to this process.
#[derive(Debug)]
pub struct StateFolder {
    path: PathBuf,
    _lock: File,
    /// What was made with it, the folder first, then those above it; nothing where the folder was there before.
    made: Vec<PathBuf>,
}

impl StateFolder {
    /// Makes the folder if it is not there, and takes it.
    ///
    /// # Errors
    /// Somebody else has it, or it cannot be written.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let missing = missing(path);
        layout::make_folder(path).map_err(|error| match error.is_no_folder() {
            true => StateError::NotAFolder {
                path: file_at(path),
            },
            false => StateError::Layout(error),
        })?;
        // Brokers are started with paths in it; they must not depend on a working directory.
        let path = fs::canonicalize(path).map_err(at(path))?;
        let lock = take_lock(&path)?;
        Ok(Self {
            path,
            _lock: lock,
            made: missing,
        })
    }

    /// Takes back what [`Self::open`] made, for a start that came to nothing. A folder that was there before stays as it is.
    pub fn undo(&self) {
        if let Some((own, above)) = self.made.split_first() {
            // What cannot be removed does no harm.
            let _ = fs::remove_dir_all(own);
            for folder in above {
                let _ = fs::remove_dir(folder);
            }
        }
    }

    /// The configuration directory of a site.
    #[must_use]
    pub fn config(&self, site: &str) -> PathBuf {
        self.site(site).join("config")
    }

    /// The data of a site's broker.
    #[must_use]
    pub fn data(&self, site: &str) -> PathBuf {
        self.site(site).join("data")
    }

    /// What a site's broker logs.
    #[must_use]
    pub fn log(&self, site: &str) -> PathBuf {
        self.site(site).join("broker.log")
    }

    /// The development authority and its certificates.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.path.join("ca")
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The slots of earlier runs.
    ///
    /// # Errors
    /// The file is damaged or cannot be read.
    pub fn slots(&self) -> Result<Slots, StateError> {
        read_slots(&self.path).map(Option::unwrap_or_default)
    }

    /// Keeps the slots.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn keep_slots(&self, slots: &Slots) -> Result<(), StateError> {
        let path = self.path.join(SLOTS);
        let text = serde_json::to_vec_pretty(slots).map_err(|error| damaged(&path, &error))?;
        Ok(layout::write_private(&path, &text)?)
    }

    /// Who claims the sites: made at the first start.
    ///
    /// # Errors
    /// It cannot be read or made.
    pub fn uid(&self) -> Result<Uuid, StateError> {
        let bytes: [u8; 16] = self.random("uid")?;
        Ok(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }

    /// The key of the salts of password hashes: made at the first start.
    ///
    /// # Errors
    /// It cannot be read or made.
    pub fn salt_key(&self) -> Result<[u8; 32], StateError> {
        self.random("salt-key")
    }

    /// A file of the folder, if it is there.
    ///
    /// # Errors
    /// It is there and cannot be read.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StateError> {
        read_if_there(&self.path.join(name))
    }

    /// Writes a file of the folder that only its owner may read.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StateError> {
        Ok(layout::write_private(&self.path.join(name), bytes)?)
    }

    fn site(&self, site: &str) -> PathBuf {
        self.path.join("sites").join(site)
    }

    /// Bytes that were random once and are the same ever after.
    fn random<const N: usize>(&self, name: &str) -> Result<[u8; N], StateError> {
        let path = self.path.join(name);
        if let Some(bytes) = read_if_there(&path)? {
            let length = bytes.len();
            return <[u8; N]>::try_from(bytes)
                .map_err(|_| damaged(&path, &format!("{length} bytes instead of {N}")));
        }
        let mut bytes = [0; N];
        rand::fill(&mut bytes).map_err(|_| StateError::Random)?;
        layout::write_private(&path, &bytes)?;
        Ok(bytes)
    }
}

/// A folder that is not there and those above it that are not, as absolute paths.
fn missing(path: &Path) -> Vec<PathBuf> {
    let Ok(path) = std::path::absolute(path) else {
        return Vec::new();
    };
    let missing = path.ancestors().take_while(|above| !above.exists());
    missing.map(Path::to_owned).collect()
}

/// The file on the way to a folder that cannot be made because of it.
fn file_at(path: &Path) -> PathBuf {
    let mut ways = path.ancestors();
    let file = ways.find(|way| way.exists() && !way.is_dir());
    file.unwrap_or(path).to_owned()
}

const SLOTS: &str = "slots.json";

/// The slots that are kept in a folder, whoever holds it.
///
/// # Errors
/// The file is damaged or cannot be read.
pub fn read_slots(folder: &Path) -> Result<Option<Slots>, StateError> {
    let path = folder.join(SLOTS);
    let Some(bytes) = read_if_there(&path)? else {
        return Ok(None);
    };
    match serde_json::from_slice(&bytes) {
        Ok(slots) => Ok(Some(slots)),
        Err(error) => Err(damaged(&path, &error)),
    }
}

/// Takes the folder's lock and writes our process id into it, for the next one's error.
fn take_lock(folder: &Path) -> Result<File, StateError> {
    let path = folder.join("lock");
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600);
    let mut file = options.open(&path).map_err(at(&path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            file.read_to_string(&mut pid).map_err(at(&path))?;
            return Err(StateError::Locked {
                folder: folder.to_owned(),
                pid: pid.trim().to_owned(),
            });
        }
        Err(TryLockError::Error(cause)) => return Err(at(&path)(cause)),
    }
    file.set_len(0).map_err(at(&path))?;
    writeln!(file, "{}", std::process::id()).map_err(at(&path))?;
    Ok(file)
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, StateError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(cause) => Err(at(path)(cause)),
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> StateError + '_ {
    move |cause| StateError::Io {
        path: path.to_owned(),
        cause,
    }
}

fn damaged(path: &Path, what: &dyn std::fmt::Display) -> StateError {
    StateError::Damaged {
        path: path.to_owned(),
        what: what.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_told_the_folder_and_the_process() {
        let path = std::env::temp_dir().join(format!("causeway-state-{}", std::process::id()));
        fs::remove_dir_all(&path).ok();
        let first = StateFolder::open(&path).expect("the folder is free");
        let uid = first.uid().expect("made");
        let error = StateFolder::open(&path).expect_err("held").to_string();
        assert!(error.contains(&std::process::id().to_string()), "{error}");
        assert!(error.contains("causeway-state-"), "{error}");
        drop(first);
        let again = StateFolder::open(&path).expect("free again");
        assert_eq!(again.uid().expect("read"), uid);
        fs::remove_dir_all(&path).ok();
    }

    #[test]
    fn a_start_that_comes_to_nothing_removes_what_it_made_and_nothing_else() {
        let home = std::env::temp_dir().join(format!("causeway-undo-{}", std::process::id()));
        fs::create_dir_all(&home).expect("a folder");
        let path = home.join("above/state");
        let first = StateFolder::open(&path).expect("made");
        first.uid().expect("made");
        first.undo();
        assert!(home.exists() && !home.join("above").exists());
        fs::create_dir_all(&path).expect("a folder");
        StateFolder::open(&path).expect("taken").undo();
        assert!(path.exists());
        fs::remove_dir_all(&home).ok();
    }
}
