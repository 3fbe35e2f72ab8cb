//! Reading the directory, and noticing when it changes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;

use super::problem::Problem;
use super::valid::{Config, Files, MAX_FILE};

/// Reads the three files and every certificate beside them, through the directory as it is now: a
/// swap of the directory's links meanwhile cannot mix two generations.
///
/// # Errors
/// The directory or one of the three files cannot be read.
pub fn read(directory: &Path) -> anyhow::Result<Files> {
    let data = directory.join("..data");
    let root = if data.exists() {
        data
    } else {
        directory.to_path_buf()
    };
    let root = root
        .canonicalize()
        .with_context(|| format!("{} cannot be read", directory.display()))?;
    let mut files = Files {
        broker: read_file(&root.join("broker.yaml"))?,
        users: read_file(&root.join("users.yaml"))?,
        secrets: read_file(&root.join("secrets.yaml"))?,
        ..Files::default()
    };
    for folder in ["tls", "ca", "clients"] {
        let Ok(entries) = std::fs::read_dir(root.join(folder)) else {
            continue;
        };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.path().is_file() {
                files
                    .others
                    .insert(format!("{folder}/{name}"), read_file(&entry.path())?);
            }
        }
    }
    Ok(files)
}

fn read_file(path: &Path) -> anyhow::Result<Vec<u8>> {
    let context = || format!("{} cannot be read", path.display());
    let size = std::fs::metadata(path).with_context(context)?.len();
    anyhow::ensure!(
        size <= MAX_FILE as u64,
        "{} is larger than 16 MiB",
        path.display()
    );
    std::fs::read(path).with_context(context)
}

/// Reads and checks a directory.
///
/// # Errors
/// It cannot be read, or has mistakes: all of them, one a line.
pub fn load(directory: &Path) -> anyhow::Result<Config> {
    Config::from_files(&read(directory)?).map_err(|problems| anyhow::anyhow!(text(&problems)))
}

/// All mistakes, one a line.
#[must_use]
pub fn text(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// What a look at the directory found.
#[derive(Debug)]
pub enum Seen {
    /// The same as before.
    Unchanged,
    /// A new configuration that is in order.
    New(Arc<Config>),
    /// A new one with mistakes: its hash and what is wrong.
    Broken(String, String),
}

/// Looks at a directory again and again.
#[derive(Debug)]
pub struct Watch {
    directory: PathBuf,
    last: Option<Files>,
}

impl Watch {
    /// Watches a directory whose present state is known.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_path_buf(),
            last: read(directory).ok(),
        }
    }

    /// Looks once. Equal content is not a change, whatever its time stamps say.
    pub fn look(&mut self) -> Seen {
        let files = match read(&self.directory) {
            Ok(files) => files,
            Err(error) => {
                let was_readable = self.last.take().is_some();
                return if was_readable {
                    Seen::Broken(String::new(), format!("{error:#}"))
                } else {
                    Seen::Unchanged
                };
            }
        };
        let is_same = self
            .last
            .as_ref()
            .is_some_and(|last| last.hash() == files.hash() && last.others == files.others);
        if is_same {
            return Seen::Unchanged;
        }
        let seen = match Config::from_files(&files) {
            Ok(config) => Seen::New(Arc::new(config)),
            Err(problems) => Seen::Broken(files.hash(), text(&problems)),
        };
        self.last = Some(files);
        seen
    }
}
