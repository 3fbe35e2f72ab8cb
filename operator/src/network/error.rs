//! Why a reconcile came to nothing, and when it is tried again.

use std::time::Duration;

/// What may be over soon is tried again after this time at most; if it is not over, later each time.
pub const PASSING: Duration = Duration::from_secs(2);

/// Why a reconcile came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A read failed: nothing is decided from half of what there is (P16).
    #[error("{what} cannot be read: {cause}")]
    Read {
        /// What was read.
        what: String,
        /// What the API server, or the way to it, says.
        cause: kube::Error,
    },
    /// A watch lacks a right, so what it holds may be old.
    #[error("a right is missing: {}", .0.join("; "))]
    Denied(Vec<String>),
    /// A key that was made once is unreadable.
    #[error("Secret {0} is not as it was made; remove it, and another is made")]
    Keys(String),
    /// A Secret that is made once cannot be made.
    #[error("Secret {name} cannot be made: {cause}")]
    Create {
        /// Its name.
        name: String,
        /// What the API server says.
        cause: kube::Error,
    },
    /// A password cannot be hashed.
    #[error("a password cannot be hashed: {0}")]
    Hash(String),
    /// A certificate cannot be made.
    #[error("a certificate cannot be made: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The files cannot be written as they should.
    #[error("site {site} cannot be rendered: {cause}")]
    Render {
        /// The site.
        site: String,
        /// Why.
        cause: String,
    },
    /// An object does not become JSON.
    #[error("an object cannot be built: {0}")]
    Build(#[from] serde_json::Error),
    /// The status cannot be written.
    #[error("the status cannot be written: {0}")]
    Status(kube::Error),
}

impl Error {
    /// The label in metrics.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Read { .. } => "Read",
            Self::Denied(_) => "Denied",
            Self::Keys(_) => "Keys",
            Self::Create { .. } => "Create",
            Self::Hash(_) => "Hash",
            Self::Certificate(_) => "Certificate",
            Self::Render { .. } => "Render",
            Self::Build(_) => "Build",
            Self::Status(_) => "Status",
        }
    }

    /// The rights that are missing, in words; nothing where it failed for another reason.
    #[must_use]
    pub fn denied(&self) -> Option<Vec<String>> {
        let (what, cause) = match self {
            Self::Denied(all) => return Some(all.clone()),
            Self::Read { what, cause } => (what.clone(), cause),
            Self::Create { name, cause } => (format!("Secret {name}"), cause),
            _ => return None,
        };
        match cause {
            kube::Error::Api(status) if status.code == 403 => {
                Some(vec![format!("{what}: {}", status.message)])
            }
            _ => None,
        }
    }

    /// Whether the API server, or the way to it, may have got over it the next time.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Read { .. } | Self::Create { .. } | Self::Status(_)
        )
    }

    /// When it is tried again without a change: what the API server may get over soon, what is a mistake of ours late.
    #[must_use]
    pub const fn retry(&self) -> Duration {
        match self {
            Self::Read { .. } | Self::Create { .. } | Self::Status(_) => PASSING,
            Self::Denied(_) => Duration::from_secs(5),
            Self::Keys(_) | Self::Hash(_) | Self::Certificate(_) => Duration::from_secs(30),
            Self::Render { .. } | Self::Build(_) => Duration::from_secs(300),
        }
    }
}
