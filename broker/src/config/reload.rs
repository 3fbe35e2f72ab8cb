//! Reading the directory, and noticing when it changes.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;

use super::file::SecretsFile;
use super::parse::Document as _;
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

/// What everybody on this machine may read and should not, with its mode: `secrets.yaml` and keys. No mistake, since a
/// directory above them may keep others out, and mounts in a cluster have modes of their own.
#[must_use]
pub fn exposed(directory: &Path, config: &Config) -> Vec<String> {
    let key = config.broker.tls.as_ref().map(|tls| tls.key.as_str());
    let files = [Some(SecretsFile::NAME), key].into_iter().flatten();
    let exposed = files.filter_map(|name| {
        let mode = std::fs::metadata(directory.join(name)).ok()?.mode();
        (mode & 0o004 != 0).then(|| {
            let mode = mode & 0o777;
            format!("{name} can be read by everybody who gets to it (mode {mode:04o}): chmod 600")
        })
    });
    exposed.collect()
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

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::config::test_support::{config, files};

    #[test]
    fn secrets_that_everybody_may_read_are_told_and_those_of_a_group_are_not() {
        let folder = std::env::temp_dir().join(format!("causeway-exposed-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let secrets = folder.join("secrets.yaml");
        fs::write(&secrets, "").expect("written");
        let told = |mode| {
            fs::set_permissions(&secrets, Permissions::from_mode(mode)).expect("a mode");
            exposed(&folder, &config(&files()))
        };
        assert!(told(0o600).is_empty() && told(0o640).is_empty());
        let text = "secrets.yaml can be read by everybody who gets to it (mode 0644): chmod 600";
        assert_eq!(told(0o644), [text]);
        fs::remove_dir_all(&folder).ok();
    }
}
