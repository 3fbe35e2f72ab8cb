//! Reading the directory, and noticing when it changes.

use std::collections::BTreeMap;
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
    valid(&read(directory)?)
}

fn valid(files: &Files) -> anyhow::Result<Config> {
    Config::from_files(files).map_err(|problems| anyhow::anyhow!(text(&problems)))
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
    /// Certificates, keys and bundles in force.
    others: BTreeMap<String, Vec<u8>>,
}

impl Watch {
    /// Reads a directory, and watches it from that very state on: what changes while the process starts is a change.
    ///
    /// # Errors
    /// It cannot be read, or has mistakes: all of them, one a line.
    pub fn begin(directory: &Path) -> anyhow::Result<(Self, Config)> {
        let files = read(directory)?;
        let config = valid(&files)?;
        let watch = Self {
            directory: directory.to_path_buf(),
            others: files.others.clone(),
            last: Some(files),
        };
        Ok((watch, config))
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
        let read =
            Config::from_files(&files).or_else(|problems| self.with_lost(&files).ok_or(problems));
        let seen = match read {
            Ok(config) => {
                self.others.clone_from(&config.others);
                Seen::New(Arc::new(config))
            }
            Err(problems) => Seen::Broken(files.hash(), text(&problems)),
        };
        self.last = Some(files);
        seen
    }

    /// Certificates that are gone are no reason to keep anybody in who was taken out: those in force stay, and the rest is
    /// taken as it is.
    fn with_lost(&self, files: &Files) -> Option<Config> {
        let mut whole = files.clone();
        let mut lost = Vec::new();
        for (path, bytes) in &self.others {
            if !whole.others.contains_key(path) {
                whole.others.insert(path.clone(), bytes.clone());
                lost.push(path.as_str());
            }
        }
        let config = Config::from_files(&whole)
            .ok()
            .filter(|_| !lost.is_empty())?;
        tracing::warn!(
            files = lost.join(", "),
            "certificates are gone; those in force stay"
        );
        Some(config)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::config::test_support::{self, config, files};

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

    fn write(folder: &Path, files: &Files) {
        fs::create_dir_all(folder.join("tls")).expect("a folder");
        let own = [
            ("broker.yaml", &files.broker),
            ("users.yaml", &files.users),
            ("secrets.yaml", &files.secrets),
        ];
        let others = files.others.iter();
        let others = others.map(|(path, bytes)| (path.as_str(), bytes));
        for (path, bytes) in own.into_iter().chain(others) {
            fs::write(folder.join(path), bytes).expect("written");
        }
    }

    #[test]
    fn what_changes_while_a_process_starts_is_a_change() {
        let folder = std::env::temp_dir().join(format!("causeway-early-{}", std::process::id()));
        write(&folder, &files());
        let (mut watch, before) = Watch::begin(&folder).expect("in order");
        fs::write(folder.join("users.yaml"), "format: 1\nusers: []\n").expect("written");
        let Seen::New(config) = watch.look() else {
            panic!("it is not taken");
        };
        assert!(!before.users.users.is_empty() && config.users.users.is_empty());
        assert!(matches!(watch.look(), Seen::Unchanged));
        fs::remove_dir_all(&folder).ok();
    }

    #[test]
    fn who_is_taken_out_is_out_though_a_certificate_is_gone_at_the_same_time() {
        let folder = std::env::temp_dir().join(format!("causeway-lost-{}", std::process::id()));
        let mut certified = files();
        let tls = "tls: {certificate: tls/tls.crt, key: tls/tls.key}\nsites:";
        let text = String::from_utf8_lossy(&certified.broker).replacen("sites:", tls, 1);
        certified.broker = text.into_bytes();
        let (certificate, key) = test_support::certified();
        certified.others = BTreeMap::from([
            ("tls/tls.crt".to_owned(), certificate.into_bytes()),
            ("tls/tls.key".to_owned(), key.into_bytes()),
        ]);
        write(&folder, &certified);
        let (mut watch, _) = Watch::begin(&folder).expect("in order");
        fs::remove_file(folder.join("tls/tls.key")).expect("removed");
        fs::write(folder.join("users.yaml"), "format: 1\nusers: []\n").expect("written");
        let Seen::New(config) = watch.look() else {
            panic!("it is not taken");
        };
        assert!(config.users.users.is_empty());
        assert_eq!(config.others, certified.others);
        // A broker that starts has none in force.
        assert!(load(&folder).is_err());
        fs::remove_dir_all(&folder).ok();
    }
}
