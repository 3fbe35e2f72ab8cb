//! What `network::validate` finds: about which object, which field, and what to do.

use crate::api::condition::Reason;
use crate::documents::{Documents, Problem, Severity};
use crate::rule::Rule;

/// The object a finding is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// The network.
    Network,
    /// A user, by the name of its object.
    User(String),
    /// A link of the network, by its name; the path is one of the network.
    Link(String),
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
    /// The reason in conditions.
    pub cause: Reason,
    /// What to do.
    pub help: Option<String>,
    /// What `causeway lint` calls it; absent: it is no matter of taste.
    pub rule: Option<Rule>,
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
            cause: Reason::SpecInvalid,
            help: None,
            rule: None,
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

    /// Something worth knowing.
    #[must_use]
    pub fn note(subject: Subject, path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            severity: Severity::Note,
            ..Self::error(subject, path, reason)
        }
    }

    /// The same with its name in `causeway lint`.
    #[must_use]
    pub const fn called(mut self, rule: Rule) -> Self {
        self.rule = Some(rule);
        self
    }

    /// The same with another reason in conditions.
    #[must_use]
    pub fn because(mut self, cause: Reason) -> Self {
        self.cause = cause;
        self
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
        let rule = self.rule;
        let problem = self.place(documents, network)?;
        Some(Problem { rule, ..problem })
    }

    fn place(self, documents: &Documents, network: &str) -> Option<Problem> {
        let Self {
            severity,
            subject,
            path,
            reason,
            help,
            ..
        } = self;
        match subject {
            Subject::Network | Subject::Link(_) => {
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
