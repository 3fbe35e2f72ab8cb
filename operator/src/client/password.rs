//! Where a client's password comes from: never from an argument, which every process can read.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::api::user::CredentialKind;
use crate::documents::{self, Documents, Source};

/// The variable that may hold a password.
pub const VARIABLE: &str = "CAUSEWAY_PASSWORD";

/// Why there is no password.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// A file cannot be read.
    #[error("{}: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What happened.
        cause: io::Error,
    },
    /// The documents hold no such user.
    #[error("{} holds no BrokerUser {user}", path.display())]
    NoUser {
        /// The file.
        path: PathBuf,
        /// The user.
        user: String,
    },
    /// The user has no password that could be read.
    #[error("{} holds no password in clear for user {user}: {what}", path.display())]
    NoPassword {
        /// The file.
        path: PathBuf,
        /// The user.
        user: String,
        /// Why.
        what: String,
    },
    /// Nobody can be asked.
    #[error(
        "no password for user {0}: give --from FILE or --password-file FILE, or set {VARIABLE}; standard input is no terminal"
    )]
    NoPrompt(String),
    /// The terminal cannot be read.
    #[error("reading the password: {0}")]
    Prompt(io::Error),
}

impl PasswordError {
    /// Whether the caller named the wrong thing, or nothing; else the terminal failed.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        !matches!(self, Self::Prompt(_))
    }
}

/// The password of a user: from documents, a file, the environment or a prompt, the first that is given.
///
/// # Errors
/// The one that is given does not hold it, or none is given and nobody can be asked.
pub fn find(
    user: &str,
    documents: Option<&Path>,
    file: Option<&Path>,
) -> Result<String, PasswordError> {
    if let Some(path) = documents {
        return from_documents(user, path);
    }
    if let Some(path) = file {
        return Ok(read(path)?.trim_end_matches(['\r', '\n']).to_owned());
    }
    match std::env::var(VARIABLE) {
        Ok(password) => Ok(password),
        Err(_) if io::stdin().is_terminal() => prompt(user).map_err(PasswordError::Prompt),
        Err(_) => Err(PasswordError::NoPrompt(user.to_owned())),
    }
}

fn read(path: &Path) -> Result<String, PasswordError> {
    std::fs::read_to_string(path).map_err(|cause| PasswordError::Io {
        path: path.to_owned(),
        cause,
    })
}

fn from_documents(user: &str, path: &Path) -> Result<String, PasswordError> {
    let source = Source::new(path.display().to_string(), read(path)?);
    let documents = documents::read(&[source]);
    pick(user, &documents).map_err(|what| match what {
        None => PasswordError::NoUser {
            path: path.to_owned(),
            user: user.to_owned(),
        },
        Some(what) => PasswordError::NoPassword {
            path: path.to_owned(),
            user: user.to_owned(),
            what,
        },
    })
}

/// The current password of a user; the error says what is missing, or is nothing where the user is.
fn pick(user: &str, documents: &Documents) -> Result<String, Option<String>> {
    let (_, found) = documents
        .users
        .iter()
        .find(|(name, object)| object.value.spec.username.as_ref().unwrap_or(name) == user)
        .ok_or(None)?;
    let credentials = &found.value.spec.credentials;
    let reference = match (credentials.kind, &credentials.secret_ref) {
        (CredentialKind::Password, Some(reference)) => reference,
        (CredentialKind::PasswordHash, _) => return Err(Some("only its hash is there".to_owned())),
        (CredentialKind::Generated, _) => {
            let place = "it is generated where the network runs; `causeway up` tells the file for --password-file";
            return Err(Some(place.to_owned()));
        }
        _ => return Err(Some("it logs in with a certificate".to_owned())),
    };
    let key = reference.key.as_deref().unwrap_or("password");
    let missing = || {
        Some(format!(
            "Secret {} with key {key} is missing",
            reference.name
        ))
    };
    let secret = documents.secrets.get(&reference.name).ok_or_else(missing)?;
    let bytes = secret.value.get(key).ok_or_else(missing)?;
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

/// Asks on the terminal, which shows nothing meanwhile.
fn prompt(user: &str) -> io::Result<String> {
    let mut terminal = io::stderr();
    write!(terminal, "Password of {user}: ").and_then(|()| terminal.flush())?;
    let is_hidden = echo("-echo");
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line);
    if is_hidden {
        echo("echo");
        writeln!(terminal)?;
    }
    read?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn echo(setting: &str) -> bool {
    let mut command = Command::new("stty");
    let status = command.arg(setting).stdin(Stdio::inherit()).status();
    status.is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = "\
apiVersion: causeway.dev/v1alpha1
kind: BrokerUser
metadata: {name: reader}
spec:
  networkRef: {name: n}
  username: joe
  credentials: {type: Password, secretRef: {name: s, key: p}}
---
apiVersion: v1
kind: Secret
metadata: {name: s}
stringData: {p: geheim}
";

    #[test]
    fn the_password_is_found_by_login_name_and_key() {
        let documents = documents::read(&[Source::new("u.yaml", USERS)]);
        assert_eq!(pick("joe", &documents), Ok("geheim".to_owned()));
        assert_eq!(pick("reader", &documents), Err(None));
    }

    #[test]
    fn a_missing_key_is_named() {
        let text = USERS.replace("{p: geheim}", "{q: geheim}");
        let documents = documents::read(&[Source::new("u.yaml", text)]);
        let error = pick("joe", &documents).expect_err("no such key");
        assert!(error.is_some_and(|what| what.contains("key p")));
    }
}
