//! What Secrets hold, and what is missing in them.

use super::kept::KeptLink;
use super::{Check, MissingSecrets};
use crate::api::condition::Reason;
use crate::api::network::{Link, LinkAuthMode};
use crate::documents::schema_walk::nearest;
use crate::finding::{Finding, Subject};
use crate::model::SecretText;
use crate::model::valid::LinkSecret;
use crate::names;
use crate::network::references::references;
use crate::rule::Rule;

impl Check<'_> {
    /// The password of a link; nothing where certificates alone count.
    pub(super) fn link_secret(
        &mut self,
        name: &str,
        ends: [&str; 2],
        link: Option<&Link>,
        path: &str,
    ) -> Option<LinkSecret> {
        let spec = &self.declared.network.spec;
        if spec.link_auth.unwrap_or_default().mode == LinkAuthMode::Mtls {
            return None;
        }
        // The two ends of other regions prove it to each other: the Secret need not be here.
        if !ends.iter().any(|site| self.declared.is_local(site)) {
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
        let subject = Subject::Link(name.to_owned());
        let Some(current) = self.required(subject.clone(), &secret, "current", &path) else {
            return self.kept_link(name, ends);
        };
        let previous = self.value(&secret, "previous");
        let passwords = [("current", Some(&current)), ("previous", previous.as_ref())];
        for (key, password) in passwords {
            let is_whole = password
                .is_none_or(|password| self.is_one_line(&subject, (&secret, key), &path, password));
            if !is_whole {
                return self.kept_link(name, ends);
            }
        }
        let user = self.value(&secret, "username");
        Some(LinkSecret {
            user: user.map(|user| user.expose().to_owned()),
            current,
            previous,
        })
    }

    /// In a cluster a link whose Secret is lost or spoilt goes on with what is in force, and the last finding says so. One
    /// that has never been in force is left out.
    fn kept_link(&mut self, name: &str, ends: [&str; 2]) -> Option<LinkSecret> {
        self.declared.local_sites.as_ref()?;
        let has_certificates = self.declared.network.spec.tls.is_some();
        let (secret, help) = match self.in_force().link(name, ends) {
            Some(KeptLink::Password(secret)) => {
                (Some(secret), "goes on with the password in force")
            }
            Some(KeptLink::Certificates) if has_certificates => {
                self.keeps_certificates = true;
                (None, "goes on with certificates alone")
            }
            Some(KeptLink::Certificates) | None => (None, "is left out until then"),
        };
        if let Some(finding) = self.findings.last_mut() {
            finding.help = Some(format!("link {name} {help}"));
        }
        secret
    }

    /// Whether a password can be said as it is; else what is wrong with it is told. No client can send one that ends with a
    /// line break: the headers of CONNECT have no way of writing it.
    pub(super) fn is_one_line(
        &mut self,
        subject: &Subject,
        (secret, key): (&str, &str),
        path: &str,
        password: &SecretText,
    ) -> bool {
        if !password.expose().ends_with(['\n', '\r']) {
            return true;
        }
        let reason = format!(
            "the password in the key {key} of Secret {secret} ends with a line break, which is part of it: make it with `printf %s` instead of `echo`, or with `kubectl create secret generic --from-literal`"
        );
        let finding = Finding::error(subject.clone(), path, reason);
        self.findings.push(finding.because(Reason::SecretMalformed));
        false
    }

    /// The text of a key, where it is there and not empty.
    pub(super) fn value(&self, secret: &str, key: &str) -> Option<SecretText> {
        let bytes = self.declared.secrets.get(secret)?.get(key)?;
        let text = std::str::from_utf8(bytes).ok()?;
        (!text.is_empty()).then(|| SecretText::new(text))
    }

    /// The Secret of the files that is nearly called so, where nothing else names that one.
    fn meant(&self, secret: &str) -> Option<&str> {
        let declared = self.declared;
        if declared.local_sites.is_some() {
            return None;
        }
        let named = self.named.get_or_init(|| {
            let spec = &declared.network.spec;
            let sites = spec.sites.iter().map(|site| site.name.clone()).collect();
            references(declared.name(), spec, &declared.users, &sites).secrets
        });
        let known = declared.secrets.keys();
        let free = known.filter(|name| !named.contains(*name));
        nearest(secret, free.map(String::as_str))
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
        let unread = self.declared.unread.get(&format!("Secret {secret}"));
        let cause = match self.declared.secrets.get(secret) {
            None if unread.is_some() => Reason::Forbidden,
            None => Reason::SecretNotFound,
            Some(_) => Reason::SecretMalformed,
        };
        let (reason, help) = match self.declared.secrets.get(secret) {
            None if unread.is_some() => {
                let words = unread.cloned().unwrap_or_default();
                let help = "the operator has to be able to read it";
                (
                    format!("Secret {secret} cannot be read: {words}"),
                    help.to_owned(),
                )
            }
            None => (
                format!("Secret {secret} is missing; its key {key} is needed"),
                match self.meant(secret) {
                    Some(near) => format!("did you mean {near}?"),
                    None => "add a document of kind Secret with that name".to_owned(),
                },
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
        let mut finding = Finding::error(subject, path, reason)
            .because(cause)
            .called(Rule::UnknownReference)
            .with_help(help);
        let marked = (self.missing == MissingSecrets::Mark).then(|| {
            finding.severity = crate::documents::Severity::Warning;
            SecretText::new(format!("<missing: {secret}/{key}>"))
        });
        self.findings.push(finding);
        marked
    }
}
