//! What an error means for the exit code: a mistake of the caller, a refusal, or a failure of the network or the machine.

use std::error::Error;

use super::Exit;
use super::input::FileError;
use super::out::{self, OutError};
use crate::client::StompError;
use crate::client::cluster::ClusterError;
use crate::client::http::HttpError;
use crate::client::locate::FindError;
use crate::client::password::PasswordError;
use crate::client::target::OwnHeader;
use crate::dump::BundleError;
use crate::local::state::StateError;

/// Arguments that do not go together, in words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// Says what went wrong, and what that is as an exit code. That nobody reads on is nothing wrong, and nothing is said.
#[must_use]
pub fn tell(error: &anyhow::Error) -> Exit {
    if matches!(error.downcast_ref(), Some(OutError::Gone)) {
        return Exit::Good;
    }
    out::complain(format_args!("error: {error:#}"));
    exit(error)
}

/// The exit code of an error.
#[must_use]
pub fn exit(error: &anyhow::Error) -> Exit {
    let known = error.chain().find_map(known);
    known.unwrap_or(Exit::Failure)
}

/// What this error by itself says, where it says anything.
fn known(error: &(dyn Error + 'static)) -> Option<Exit> {
    let is_usage = |is_usage: bool| is_usage.then_some(Exit::BadInput);
    if error.is::<FileError>() || error.is::<UsageError>() || error.is::<OwnHeader>() {
        return Some(Exit::BadInput);
    }
    if let Some(error) = error.downcast_ref::<PasswordError>() {
        return is_usage(error.is_usage());
    }
    if let Some(error) = error.downcast_ref::<FindError>() {
        return is_usage(error.is_usage());
    }
    if let Some(error) = error.downcast_ref::<StateError>() {
        return is_usage(error.is_usage());
    }
    if let Some(error) = error.downcast_ref::<ClusterError>() {
        return is_usage(error.is_usage());
    }
    if let Some(error) = error.downcast_ref::<BundleError>() {
        return is_usage(matches!(error, BundleError::There(_)));
    }
    if let Some(error) = error.downcast_ref::<HttpError>() {
        return match error {
            HttpError::Url(_) => Some(Exit::BadInput),
            HttpError::Status {
                status: 401 | 403, ..
            } => Some(Exit::Negative),
            HttpError::Status { .. } | HttpError::Io { .. } | HttpError::Strange { .. } => None,
        };
    }
    let error = error.downcast_ref::<StompError>()?;
    match error.is_negative() {
        true => Some(Exit::Negative),
        false => is_usage(error.is_usage()),
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn a_mistake_of_the_caller_a_refusal_and_a_failure_have_codes_of_their_own() {
        let user = || "u".to_owned();
        let path = PathBuf::new;
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let mistakes: [anyhow::Error; 6] = [
            PasswordError::NoPrompt(user()).into(),
            PasswordError::NoUser {
                path: path(),
                user: user(),
            }
            .into(),
            FindError::Nothing(path()).into(),
            StompError::NoRoots.into(),
            HttpError::Url(String::new()).into(),
            StateError::NotAFolder { path: path() }.into(),
        ];
        for error in mistakes {
            let error = error.context("while something was tried");
            assert_eq!(exit(&error), Exit::BadInput, "{error:#}");
        }
        let status = |status| HttpError::Status {
            address: user(),
            path: user(),
            status,
        };
        assert_eq!(exit(&status(401).into()), Exit::Negative);
        assert_eq!(exit(&status(404).into()), Exit::Failure);
        let failures: [anyhow::Error; 4] = [
            StompError::Io {
                target: user(),
                cause: refused(),
            }
            .into(),
            StompError::Closed.into(),
            HttpError::Io {
                address: user(),
                cause: refused(),
            }
            .into(),
            StateError::Locked {
                folder: path(),
                pid: user(),
            }
            .into(),
        ];
        for error in failures {
            assert_eq!(exit(&error), Exit::Failure, "{error:#}");
        }
    }
}
