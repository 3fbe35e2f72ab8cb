//! Standard output and standard error of a command that may be the first of a pipe: when nobody reads on, it ends
//! quietly.

use std::fmt::Display;
use std::io::{self, Write as _};

/// The output could not be written.
#[derive(Debug, thiserror::Error)]
pub enum OutError {
    /// The reader has seen enough.
    #[error("nobody reads the output")]
    Gone,
    /// The disk is full, for one.
    #[error("standard output: {0}")]
    Io(io::Error),
}

impl From<io::Error> for OutError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Gone,
            _ => Self::Io(error),
        }
    }
}

/// Writes to standard output at once.
///
/// # Errors
/// Nobody reads it, or it cannot be written.
pub fn print(text: impl AsRef<[u8]>) -> Result<(), OutError> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_ref())?;
    Ok(out.flush()?)
}

/// Writes a line to standard error. That nobody reads it is no reason to stop.
pub fn complain(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
