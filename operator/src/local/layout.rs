//! A configuration directory as a pod sees it: real files in a generation of their own, `..data` pointing at it, and
//! a link per name. A swap of `..data` replaces everything at once, so that live reload takes the way it takes in a pod.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};

use super::plan::Files;
const DATA: &str = "..data";
const NEXT: &str = "..data_next";
const GENERATION: &str = "..generation-";

/// What cannot be done in a folder.
#[derive(Debug, thiserror::Error)]
#[error("{}: {cause}", path.display())]
pub struct LayoutError {
    path: PathBuf,
    cause: io::Error,
}

impl LayoutError {
    /// Whether a file is where a folder has to be.
    #[must_use]
    pub fn is_no_folder(&self) -> bool {
        matches!(
            self.cause.kind(),
            io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory
        )
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> LayoutError + '_ {
    move |cause| LayoutError {
        path: path.to_owned(),
        cause,
    }
}

/// Makes a directory show exactly these files; false if it did already.
///
/// # Errors
/// The directory cannot be written.
pub fn write(directory: &Path, files: &Files) -> Result<bool, LayoutError> {
    make_folder(directory)?;
    if read(directory).as_ref() == Some(files) {
        return Ok(false);
    }
    let generations = generations(directory)?;
    let number = generations.last().map_or(1, |last| last + 1);
    let name = format!("{GENERATION}{number}");
    let folder = directory.join(&name);
    make_folder(&folder)?;
    for (path, bytes) in files {
        let file = folder.join(path);
        if let Some(parent) = file.parent() {
            make_folder(parent)?;
        }
        write_private(&file, bytes)?;
    }
    let next = directory.join(NEXT);
    remove_if_there(&next)?;
    symlink(&name, &next).map_err(at(&next))?;
    let data = directory.join(DATA);
    fs::rename(&next, &data).map_err(at(&data))?;
    link_names(directory, files)?;
    // The one before stays for a reader that is in the middle of it.
    for old in generations.iter().rev().skip(1) {
        let old = directory.join(format!("{GENERATION}{old}"));
        fs::remove_dir_all(&old).map_err(at(&old))?;
    }
    Ok(true)
}

/// Writes a file that only its owner may read, replacing it at once.
///
/// # Errors
/// It cannot be written.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), LayoutError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&beside).map_err(at(&beside))?;
    file.write_all(bytes).map_err(at(&beside))?;
    fs::rename(&beside, path).map_err(at(path))
}

/// Makes a folder, and those above it, that only their owner may enter.
///
/// # Errors
/// It cannot be made.
pub fn make_folder(path: &Path) -> Result<(), LayoutError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(at(path))
}

/// What the directory shows; nothing if that cannot be read.
#[must_use]
pub fn read(directory: &Path) -> Option<Files> {
    let root = fs::canonicalize(directory.join(DATA)).ok()?;
    let mut files = Files::new();
    collect(&root, "", &mut files).ok()?;
    Some(files)
}

fn collect(folder: &Path, prefix: &str, files: &mut Files) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{name}/"), files)?;
        } else {
            files.insert(name, fs::read(entry.path())?);
        }
    }
    Ok(())
}

fn generations(directory: &Path) -> Result<BTreeSet<u64>, LayoutError> {
    let entries = fs::read_dir(directory).map_err(at(directory))?;
    let mut numbers = BTreeSet::new();
    for entry in entries {
        let name = entry.map_err(at(directory))?.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_prefix(GENERATION))
            .and_then(|number| number.parse::<u64>().ok());
        numbers.extend(number);
    }
    Ok(numbers)
}

/// One link per first part of a path; links of names that are gone go too.
fn link_names(directory: &Path, files: &Files) -> Result<(), LayoutError> {
    let wanted: BTreeSet<&str> = files
        .keys()
        .map(|path| {
            path.split_once('/')
                .map_or(path.as_str(), |(first, _)| first)
        })
        .collect();
    for name in &wanted {
        let link = directory.join(name);
        if fs::symlink_metadata(&link).is_err() {
            symlink(Path::new(DATA).join(name), &link).map_err(at(&link))?;
        }
    }
    for entry in fs::read_dir(directory).map_err(at(directory))? {
        let name = entry.map_err(at(directory))?.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with("..") && !wanted.contains(name.as_ref()) {
            remove_if_there(&directory.join(name.as_ref()))?;
        }
    }
    Ok(())
}

fn remove_if_there(path: &Path) -> Result<(), LayoutError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(path)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(pairs: &[(&str, &str)]) -> Files {
        let pairs = pairs.iter();
        pairs
            .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()))
            .collect()
    }

    /// A folder of its own for a test, removed at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path =
                std::env::temp_dir().join(format!("causeway-layout-{name}-{}", std::process::id()));
            fs::remove_dir_all(&path).ok();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).ok();
        }
    }

    #[test]
    fn a_swap_replaces_every_file_and_removes_what_is_gone() {
        let folder = Folder::new("swap");
        let first = files(&[("broker.yaml", "a"), ("tls/tls.crt", "c")]);
        assert!(write(&folder.0, &first).expect("written"));
        let resolved = fs::canonicalize(folder.0.join("broker.yaml")).expect("resolved");
        assert_eq!(fs::read(folder.0.join("tls/tls.crt")).expect("read"), b"c");
        assert!(write(&folder.0, &files(&[("broker.yaml", "b")])).expect("written"));
        assert_eq!(fs::read(folder.0.join("broker.yaml")).expect("read"), b"b");
        assert!(!folder.0.join("tls").exists());
        assert_eq!(
            fs::read(resolved).expect("the generation before is whole"),
            b"a"
        );
    }

    #[test]
    fn equal_files_are_not_a_change() {
        let folder = Folder::new("equal");
        let same = files(&[("broker.yaml", "a"), ("tls/tls.key", "k")]);
        assert!(write(&folder.0, &same).expect("written"));
        assert!(!write(&folder.0, &same).expect("compared"));
    }

    #[test]
    fn only_two_generations_stay() {
        let folder = Folder::new("generations");
        for text in ["1", "2", "3", "4"] {
            write(&folder.0, &files(&[("broker.yaml", text)])).expect("written");
        }
        let left = generations(&folder.0).expect("listed");
        assert_eq!(left, BTreeSet::from([3, 4]));
    }
}
