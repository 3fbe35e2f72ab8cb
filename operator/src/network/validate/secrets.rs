//! What Secrets hold, and what is missing in them.

use super::{Check, MissingSecrets};
use crate::api::network::{Link, LinkAuthMode};
use crate::finding::{Finding, Subject};
use crate::model::SecretText;
use crate::model::valid::LinkSecret;
use crate::names;

impl Check<'_> {
    /// The password of a link; nothing where certificates alone count.
    pub(super) fn link_secret(
        &mut self,
        name: &str,
        link: Option<&Link>,
        path: &str,
    ) -> Option<LinkSecret> {
        let spec = &self.declared.network.spec;
        if spec.link_auth.unwrap_or_default().mode == LinkAuthMode::Mtls {
            return None;
        }
        let reference = link.and_then(|link| link.credentials.as_ref());
        let (secret, path) = match reference {
            Some(credentials) => (
                credentials.secret_ref.name.clone(),
                format!("{path}.credentials.secretRef.name"),
            ),
            None => {
                let path = if link.is_some() {
                    format!("{path}.name")
                } else {
                    path.to_owned()
                };
                (names::link_secret(self.declared.name(), name), path)
            }
        };
        let user = self.value(&secret, "username");
        Some(LinkSecret {
            user: user.map(|user| user.expose().to_owned()),
            current: self.required(Subject::Network, &secret, "current", &path)?,
            previous: self.value(&secret, "previous"),
        })
    }

    /// The text of a key, where it is there and not empty.
    pub(super) fn value(&self, secret: &str, key: &str) -> Option<SecretText> {
        let bytes = self.declared.secrets.get(secret)?.get(key)?;
        let text = std::str::from_utf8(bytes).ok()?;
        (!text.is_empty()).then(|| SecretText::new(text))
    }

    /// The text of a key that must be there.
    pub(super) fn required(
        &mut self,
        subject: Subject,
        secret: &str,
        key: &str,
        path: &str,
    ) -> Option<SecretText> {
        if let Some(value) = self.value(secret, key) {
            return Some(value);
        }
        if self.declared.unreadable.contains(secret) {
            return None;
        }
        let (reason, help) = match self.declared.secrets.get(secret) {
            None => (
                format!("Secret {secret} is missing; its key {key} is needed"),
                "add a document of kind Secret with that name".to_owned(),
            ),
            Some(data) if data.contains_key(key) => (
                format!("the key {key} of Secret {secret} is empty or not text"),
                "it must be UTF-8 text".to_owned(),
            ),
            Some(data) => {
                let keys: Vec<&str> = data.keys().map(String::as_str).collect();
                let keys = if keys.is_empty() {
                    "nothing".to_owned()
                } else {
                    keys.join(", ")
                };
                (
                    format!("Secret {secret} has no key {key}"),
                    format!("it has {keys}"),
                )
            }
        };
        let mut finding = Finding::error(subject, path, reason).with_help(help);
        let marked = (self.missing == MissingSecrets::Mark).then(|| {
            finding.severity = crate::documents::Severity::Warning;
            SecretText::new(format!("<missing: {secret}/{key}>"))
        });
        self.findings.push(finding);
        marked
    }
}
