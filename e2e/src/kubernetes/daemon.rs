//! One program that runs until the cluster ends, its output in a file.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use super::namespace::Namespace;
use crate::process::end;

/// Lines of the log that a failure shows.
const TAIL: usize = 40;

/// A running program.
pub(super) struct Daemon {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts it, in a namespace where one is given.
    pub(super) fn start(
        name: &'static str,
        command: &mut Command,
        folder: &Path,
        namespace: Option<&Namespace>,
    ) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log)?;
        command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .current_dir(folder);
        let child = match namespace {
            Some(namespace) => namespace.inside(|| Ok(command.spawn()?)),
            None => command.spawn().map_err(Into::into),
        };
        let child = child.with_context(|| format!("starting {name}"))?;
        Ok(Self { name, child, log })
    }

    /// Fails with the end of its log when it has ended by itself.
    pub(super) fn still_runs(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended with {status}:\n{}", self.name, self.tail()),
        }
    }

    /// The end of its log.
    pub(super) fn tail(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }

    /// Ends it at once: nothing that it knows is needed any more.
    pub(super) fn end(&mut self) {
        end(&mut self.child);
    }
}
