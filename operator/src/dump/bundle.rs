//! Where the parts go: a packed file or a folder, with an index of what is there and what is not.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use k8s_openapi::jiff::Timestamp;
use serde::Serialize;

use super::redact::Scrubber;

/// Why a bundle cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// Something is there already.
    #[error("{} is there already: name another one with -o, or remove it", .0.display())]
    There(PathBuf),
    /// A file cannot be written.
    #[error("{}: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: io::Error,
    },
    /// A text cannot be made of a part.
    #[error("the index: {0}")]
    Index(#[from] serde_json::Error),
}

/// Where a bundle goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A packed file.
    Archive(PathBuf),
    /// A folder, which must not be there.
    Folder(PathBuf),
}

impl Place {
    /// A path that ends in `.tar.gz` or `.tgz` is a packed file, any other a folder.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        let name = path.to_string_lossy();
        match name.ends_with(".tar.gz") || name.ends_with(".tgz") {
            true => Self::Archive(path.to_owned()),
            false => Self::Folder(path.to_owned()),
        }
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Archive(path) | Self::Folder(path) => path,
        }
    }
}

enum Sink {
    Archive(Box<tar::Builder<GzEncoder<File>>>),
    Folder,
}

/// A part that is there.
#[derive(Debug, Clone, Serialize)]
struct Part {
    path: String,
    bytes: usize,
}

/// A part that is not.
#[derive(Debug, Clone, Serialize)]
struct Missing {
    what: String,
    reason: String,
}

/// What a bundle holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Where it is.
    pub path: PathBuf,
    /// Parts in it.
    pub parts: usize,
    /// What could not be had, with the reason.
    pub missing: Vec<String>,
}

/// A bundle that is being written.
pub struct Bundle {
    place: Place,
    sink: Sink,
    root: String,
    made: Timestamp,
    scrubber: Scrubber,
    parts: Vec<Part>,
    missing: Vec<Missing>,
    has_progress: bool,
}

impl Bundle {
    /// Begins one; `root` is the folder that everything in a packed file is in.
    ///
    /// # Errors
    /// There is something of the name, or it cannot be written.
    pub fn begin(place: Place, root: &str, made: Timestamp) -> Result<Self, BundleError> {
        let path = place.path();
        if path.exists() {
            return Err(BundleError::There(path.to_owned()));
        }
        let sink = match &place {
            Place::Folder(path) => {
                make_folder(path)?;
                Sink::Folder
            }
            Place::Archive(path) => {
                let path = beside(path);
                let mut options = OpenOptions::new();
                options.write(true).create(true).truncate(true).mode(0o600);
                let file = options.open(&path).map_err(at(&path))?;
                let packed = GzEncoder::new(file, Compression::default());
                Sink::Archive(Box::new(tar::Builder::new(packed)))
            }
        };
        Ok(Self {
            place,
            sink,
            root: root.to_owned(),
            made,
            scrubber: Scrubber::default(),
            parts: Vec::new(),
            missing: Vec::new(),
            has_progress: io::stderr().is_terminal(),
        })
    }

    /// What must not be in it; known before the first part is added.
    pub fn scrubber(&mut self) -> &mut Scrubber {
        &mut self.scrubber
    }

    /// Says on a terminal what is being read.
    pub fn reads(&self, what: &str) {
        if self.has_progress {
            // Nobody has to see it.
            let _ = write!(io::stderr().lock(), "\r\x1b[Kreading {what}");
        }
    }

    /// Adds a part.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn add(&mut self, path: &str, bytes: &[u8]) -> Result<(), BundleError> {
        let bytes = self.scrubber.scrub(bytes);
        match &mut self.sink {
            Sink::Folder => {
                let path = self.place.path().join(path);
                if let Some(parent) = path.parent() {
                    make_folder(parent)?;
                }
                write_private(&path, &bytes)?;
            }
            Sink::Archive(archive) => {
                let mut header = tar::Header::new_gnu();
                header.set_size(bytes.len() as u64);
                header.set_mode(0o600);
                header.set_mtime(u64::try_from(self.made.as_second()).unwrap_or_default());
                let name = format!("{}/{path}", self.root);
                archive
                    .append_data(&mut header, name, bytes.as_slice())
                    .map_err(at(self.place.path()))?;
            }
        }
        self.parts.push(Part {
            path: path.to_owned(),
            bytes: bytes.len(),
        });
        Ok(())
    }

    /// Adds a part, or notes why there is none.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn add_or_note<T: AsRef<[u8]>, E: std::fmt::Display>(
        &mut self,
        path: &str,
        part: Result<T, E>,
    ) -> Result<(), BundleError> {
        match part {
            Ok(bytes) => self.add(path, bytes.as_ref()),
            Err(reason) => {
                self.note(path, reason);
                Ok(())
            }
        }
    }

    /// Notes that something could not be had.
    pub fn note(&mut self, what: &str, reason: impl std::fmt::Display) {
        let reason = self.scrubber.scrub(reason.to_string().as_bytes());
        let reason = String::from_utf8_lossy(&reason);
        self.missing.push(Missing {
            what: what.to_owned(),
            reason: reason.split_whitespace().collect::<Vec<_>>().join(" "),
        });
    }

    /// Adds the index and ends it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(mut self, about: &str) -> Result<Summary, BundleError> {
        let index = serde_json::json!({"about": about, "made": self.made, "parts": self.parts, "missing": self.missing});
        let index = serde_json::to_vec_pretty(&index)?;
        let readme = self.readme(about);
        self.add("README.txt", readme.as_bytes())?;
        self.add("index.json", &index)?;
        if self.has_progress {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
        let path = self.place.path().to_owned();
        if let Sink::Archive(archive) = self.sink {
            let packed = archive.into_inner().map_err(at(&path))?;
            packed.finish().map_err(at(&path))?;
            fs::rename(beside(&path), &path).map_err(at(&path))?;
        }
        let missing = self.missing.iter();
        Ok(Summary {
            path,
            parts: self.parts.len(),
            missing: missing
                .map(|one| format!("{}: {}", one.what, one.reason))
                .collect(),
        })
    }

    fn readme(&self, about: &str) -> String {
        let mut text = format!(
            "{about}\nmade at {} by causeway {}\n\n\
             No value of a Secret is in it: of Secrets only names and sizes of keys are kept, values of environment\n\
             variables are left out, and what was known to be secret is replaced wherever it turned up. Read it before\n\
             you give it away all the same: it names hosts, users and destinations.\n",
            self.made,
            env!("CARGO_PKG_VERSION"),
        );
        text.push_str("\nWhat is here:\n");
        for part in &self.parts {
            text.push_str(&format!("  {} ({} bytes)\n", part.path, part.bytes));
        }
        match self.missing.is_empty() {
            true => text.push_str("\nEverything could be had.\n"),
            false => text.push_str("\nWhat could not be had:\n"),
        }
        for one in &self.missing {
            text.push_str(&format!("  {}: {}\n", one.what, one.reason));
        }
        text
    }
}

/// Where a packed file is written before it is whole.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

fn make_folder(path: &Path) -> Result<(), BundleError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(path).map_err(at(path))
}

fn write_private(path: &Path, bytes: &[u8]) -> Result<(), BundleError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(path).map_err(at(path))?;
    file.write_all(bytes).map_err(at(path))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> BundleError + use<> {
    let path = path.to_owned();
    move |cause| BundleError::Io { path, cause }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read as _;

    use super::*;

    fn place(name: &str) -> PathBuf {
        let path =
            std::env::temp_dir().join(format!("causeway-bundle-{}-{name}", std::process::id()));
        fs::remove_dir_all(&path).ok();
        fs::remove_file(&path).ok();
        path
    }

    fn filled(place: Place) -> Summary {
        let mut bundle = Bundle::begin(place, "root", Timestamp::UNIX_EPOCH).expect("begun");
        let data = BTreeMap::from([("password".to_owned(), b"wanderlust".to_vec())]);
        bundle.scrubber().learn("user-a", &data);
        bundle
            .add("pods/ie/log.txt", b"it is wanderlust\n")
            .expect("added");
        bundle.note("pods/uk", "no way with wanderlust");
        bundle.finish("support bundle of n").expect("finished")
    }

    #[test]
    fn a_packed_bundle_holds_its_parts_an_index_and_no_secret() {
        let path = place("a.tar.gz");
        let summary = filled(Place::of(&path));
        assert_eq!((summary.parts, summary.missing.len()), (3, 1));
        let packed = File::open(&path).expect("written");
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(packed));
        let mut texts = BTreeMap::new();
        for entry in archive.entries().expect("entries") {
            let mut entry = entry.expect("an entry");
            let name = entry.path().expect("a path").display().to_string();
            let mut text = String::new();
            entry.read_to_string(&mut text).expect("text");
            assert!(!text.contains("wanderlust"), "{name}: {text}");
            texts.insert(name, text);
        }
        let names: Vec<&String> = texts.keys().collect();
        assert_eq!(
            names,
            ["root/README.txt", "root/index.json", "root/pods/ie/log.txt"]
        );
        assert!(
            texts["root/README.txt"].contains("pods/uk: no way with <redacted: user-a/password>")
        );
        let again = Bundle::begin(Place::of(&path), "root", Timestamp::UNIX_EPOCH);
        assert!(matches!(again, Err(BundleError::There(_))));
        fs::remove_file(path).ok();
    }

    #[test]
    fn a_folder_holds_the_same_as_files_that_others_cannot_read() {
        use std::os::unix::fs::PermissionsExt as _;
        let path = place("folder");
        filled(Place::of(&path));
        let log = path.join("pods/ie/log.txt");
        assert_eq!(
            fs::read_to_string(&log).expect("there"),
            "it is <redacted: user-a/password>\n"
        );
        assert_eq!(
            fs::metadata(&log).expect("there").permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(
            fs::metadata(&path).expect("there").permissions().mode() & 0o777,
            0o700
        );
        fs::remove_dir_all(path).ok();
    }
}
