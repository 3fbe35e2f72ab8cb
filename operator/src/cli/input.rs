//! Reading the files a command was given, and printing what is wrong with them.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::out::OutError;
use super::{Exit, Output, failure, out};
use crate::documents::parse::MAX_BYTES;
use crate::documents::{Problem, Severity, Source};
use crate::network::load::{Loaded, load};
use crate::network::validate::MissingSecrets;

/// A file that was named cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {what}", path.display())]
pub struct FileError {
    path: PathBuf,
    what: String,
}

impl FileError {
    /// What is wrong with the file at a path, from whatever error says it.
    pub fn at<E: std::fmt::Display>(path: &Path) -> impl Fn(E) -> Self {
        move |what| Self {
            path: path.to_owned(),
            what: what.to_string(),
        }
    }
}

/// Reads files; `-` is standard input.
///
/// # Errors
/// A message for each file that cannot be read.
pub fn read(paths: &[PathBuf]) -> Result<Vec<Arc<Source>>, Vec<String>> {
    let (mut sources, mut errors) = (Vec::new(), Vec::new());
    for path in paths {
        let name = path.display().to_string();
        match text(path) {
            Ok(text) => sources.push(Source::new(name, text)),
            Err(error) => errors.push(format!("{name}: {error}")),
        }
    }
    if errors.is_empty() {
        Ok(sources)
    } else {
        Err(errors)
    }
}

/// Reads files; which of them cannot be read is said.
///
/// # Errors
/// One of them cannot.
pub fn sources(paths: &[PathBuf]) -> Result<Vec<Arc<Source>>, Exit> {
    read(paths).map_err(|errors| {
        let errors = errors.iter();
        errors.for_each(|error| out::complain(format_args!("error: {error}")));
        Exit::BadInput
    })
}

/// A network from files, for a question about it: what a Secret would hold is not needed, and warnings are not said.
///
/// # Errors
/// The files cannot be read, or hold no valid network; all that is wrong is printed.
pub fn network(paths: &[PathBuf], name: Option<&str>, output: Output) -> Result<Loaded, Exit> {
    load(&sources(paths)?, name, MissingSecrets::Mark).map_err(|mut problems| {
        problems.retain(|problem| problem.severity == Severity::Error);
        refuse(&problems, output)
    })
}

/// Why a file is no text with documents.
#[derive(Debug, thiserror::Error)]
enum TextError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("is a folder: name the files in it")]
    Folder,
    #[error("is larger than {} MiB, and no set of documents is: was another file meant?", MAX_BYTES >> 20)]
    TooLarge,
    #[error("is no text (line {line} holds a NUL byte): documents are YAML in UTF-8")]
    Binary { line: usize },
    #[error("line {line} is not UTF-8 (byte {byte:#04x}): save the file as UTF-8")]
    NotUtf8 { line: usize, byte: u8 },
}

fn text(path: &Path) -> Result<String, TextError> {
    let mut bytes = Vec::new();
    // One byte more tells a file that is too large from one that just fits.
    let limit = MAX_BYTES as u64 + 1;
    match path == Path::new("-") {
        true => io::stdin().lock().take(limit).read_to_end(&mut bytes)?,
        false if path.is_dir() => return Err(TextError::Folder),
        false => File::open(path)?.take(limit).read_to_end(&mut bytes)?,
    };
    decode(bytes)
}

fn decode(bytes: Vec<u8>) -> Result<String, TextError> {
    if bytes.len() > MAX_BYTES {
        return Err(TextError::TooLarge);
    }
    let line = |at: usize| 1 + bytes[..at].iter().filter(|byte| **byte == b'\n').count();
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        return Err(TextError::Binary { line: line(at) });
    }
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(error) => Err(TextError::NotUtf8 {
            line: line(error.valid_up_to()),
            byte: bytes[error.valid_up_to()],
        }),
    }
}

/// Prints problems on standard error for people, or one object a line on standard output.
///
/// # Errors
/// Standard output cannot be written. That nobody reads it is none: what is wrong counts.
pub fn print(problems: &[Problem], output: Output) -> Result<(), OutError> {
    if output == Output::Text {
        complain(problems);
        return Ok(());
    }
    for problem in problems {
        match out::print(problem.to_json() + "\n") {
            Err(OutError::Gone) => return Ok(()),
            result => result?,
        }
    }
    Ok(())
}

/// Prints problems on standard error for people.
pub fn complain(problems: &[Problem]) {
    let colours = std::io::stderr().is_terminal();
    for problem in problems {
        out::complain(problem.to_text(colours).trim_end_matches('\n'));
    }
}

/// Prints what keeps a command from its work; gives what it ends with.
pub fn refuse(problems: &[Problem], output: Output) -> Exit {
    match print(problems, output) {
        Ok(()) => Exit::BadInput,
        Err(error) => failure::tell(&error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_told_with_its_line() {
        let error = |bytes: &[u8]| decode(bytes.to_vec()).expect_err("no text").to_string();
        assert_eq!(
            decode("a: caf\u{e9}\n".into()).ok().as_deref(),
            Some("a: caf\u{e9}\n")
        );
        let expected = "line 2 is not UTF-8 (byte 0xe9): save the file as UTF-8";
        assert_eq!(error(b"a: 1\nb: caf\xe9\n"), expected);
        let expected = "is no text (line 3 holds a NUL byte): documents are YAML in UTF-8";
        assert_eq!(error(b"\x7fELF\n\xff\n\0"), expected);
        let expected = "is larger than 16 MiB, and no set of documents is: was another file meant?";
        assert_eq!(error(&vec![b'x'; MAX_BYTES + 1]), expected);
    }

    #[test]
    fn a_folder_and_a_file_without_an_end_are_refused() {
        let text = |path: &str| text(Path::new(path)).expect_err("no text").to_string();
        assert_eq!(text("/"), "is a folder: name the files in it");
        assert!(text("/dev/zero").starts_with("is larger than 16 MiB"));
    }
}
