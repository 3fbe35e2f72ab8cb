//! Reading the files a command was given, and printing what is wrong with them.

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Output;
use crate::documents::{Problem, Source};

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

fn text(path: &Path) -> std::io::Result<String> {
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text)?;
        return Ok(text);
    }
    std::fs::read_to_string(path)
}

/// Prints problems on standard error for people, or one object a line on standard output.
pub fn print(problems: &[Problem], output: Output) {
    match output {
        Output::Json => problems
            .iter()
            .for_each(|problem| println!("{}", problem.to_json())),
        Output::Text => {
            let colours = std::io::stderr().is_terminal();
            problems
                .iter()
                .for_each(|problem| eprint!("{}", problem.to_text(colours)));
        }
    }
}
