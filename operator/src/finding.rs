//! What `network::validate` finds: about which object, which field, and what to do.

use crate::documents::{Documents, Problem, Severity};

/// The object a finding is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// The network.
    Network,
    /// A user, by the name of its object.
    User(String),
    /// A Secret by its name; the path is one of its keys.
    Secret(String),
    /// A ConfigMap by its name; the path is one of its keys.
    ConfigMap(String),
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The object.
    pub subject: Subject,
    /// Path of the field.
    pub path: String,
    /// What is wrong.
    pub reason: String,
    /// What to do.
    pub help: Option<String>,
}

impl Finding {
    /// Something that forbids going on.
    #[must_use]
    pub fn error(subject: Subject, path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            subject,
            path: path.into(),
            reason: reason.into(),
            help: None,
        }
    }

    /// Something that is probably not meant.
    #[must_use]
    pub fn warning(subject: Subject, path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(subject, path, reason)
        }
    }

    /// The same with advice.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same with its place in the files.
    #[must_use]
    pub fn locate(self, documents: &Documents, network: &str) -> Option<Problem> {
        let Self {
            severity,
            subject,
            path,
            reason,
            help,
        } = self;
        match subject {
            Subject::Network => {
                let object = documents.networks.get(network)?;
                Some(object.problem(severity, &path, reason, help))
            }
            Subject::User(name) => {
                let object = documents.users.get(&name)?;
                Some(object.problem(severity, &path, reason, help))
            }
            Subject::Secret(name) => {
                let object = documents.secrets.get(&name)?;
                let path = object.key_path(["stringData", "data"], &path);
                Some(object.problem(severity, &path, reason, help))
            }
            Subject::ConfigMap(name) => {
                let object = documents.config_maps.get(&name)?;
                let path = object.key_path(["data", "binaryData"], &path);
                Some(object.problem(severity, &path, reason, help))
            }
        }
    }
}
