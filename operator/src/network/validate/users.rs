//! Users: where they are known, what they may, how they prove who they are.

use std::collections::{BTreeMap, BTreeSet};

use causeway_broker::config::file::{Effect, Operation, Permission, UserCertificate};
use causeway_broker::security::password;

use super::{Check, MissingSecrets};
use crate::api::condition::Reason;
use crate::api::user::{self, BrokerUserSpec, CredentialKind, PasswordRef, UserSites, UserState};
use crate::documents::Severity;
use crate::documents::schema_walk::nearest;
use crate::finding::{Finding, Subject};
use crate::model::{Credential, SecretText, ValidSite, ValidUser};
use crate::names::{self, SiteName};
use crate::network::plan;
use crate::rule::Rule;

impl Check<'_> {
    pub(super) fn users(
        &mut self,
        sites: &BTreeMap<SiteName, ValidSite>,
    ) -> BTreeMap<String, ValidUser> {
        let mut users = BTreeMap::new();
        let declared = self.declared;
        let owners = owners(&declared.users);
        for (name, spec) in &declared.users {
            let subject = Subject::User(name.clone());
            let username = spec.username.as_deref().unwrap_or(name);
            let first = owners.get(username).copied().unwrap_or(name);
            if first != name {
                let reason = format!("{username} is the username of BrokerUser {first} too");
                self.findings.push(
                    Finding::error(subject, "spec.username", reason)
                        .because(Reason::DuplicateUsername),
                );
                continue;
            }
            let known = spec
                .sites
                .as_ref()
                .map(|wanted| self.known_at(&subject, wanted, sites));
            // What no site here knows is nothing that this cluster has to have the Secret of (P12).
            if let (Some(known), Some(_)) = (&known, &declared.local_sites)
                && !known.iter().any(|site| declared.is_local(site.as_str()))
            {
                continue;
            }
            let given = self.credential(name, &subject, spec);
            let in_force = || self.kept(username).map(Credential::Hashes);
            let Some(credential) = given.or_else(in_force) else {
                continue;
            };
            let user = ValidUser {
                is_active: spec.state.unwrap_or_default() == UserState::Active,
                sites: known,
                groups: spec.groups.iter().flatten().cloned().collect(),
                permissions: permissions(spec),
                credential,
                max_connections: spec
                    .limits
                    .and_then(|limits| limits.max_connections)
                    .and_then(|count| u32::try_from(count).ok()),
            };
            users.insert(username.to_owned(), user);
        }
        users
    }

    fn known_at(
        &mut self,
        subject: &Subject,
        wanted: &UserSites,
        sites: &BTreeMap<SiteName, ValidSite>,
    ) -> BTreeSet<SiteName> {
        if let Some(labels) = &wanted.match_labels {
            let has_all = |site: &ValidSite| {
                labels
                    .iter()
                    .all(|(key, value)| site.labels.get(key) == Some(value))
            };
            let matching = sites.iter().filter(|(_, site)| has_all(site));
            return matching.map(|(name, _)| name.clone()).collect();
        }
        let mut known = BTreeSet::new();
        let first = self.findings.len();
        for (index, name) in wanted.names.iter().flatten().enumerate() {
            if sites.contains_key(name.as_str()) {
                known.insert(SiteName::new(name));
                continue;
            }
            let path = format!("spec.sites.names[{index}]");
            let mut finding = Finding::warning(
                subject.clone(),
                path,
                format!("the network has no site {name}"),
            );
            finding.help = nearest(name, sites.keys().map(SiteName::as_str))
                .map(|near| format!("did you mean {near}?"));
            self.findings.push(finding.called(Rule::UnknownReference));
        }
        let declared = self.declared;
        let is_here = |site: &SiteName| declared.is_local(site.as_str());
        // Whom no site here knows may have been meant for one.
        if declared.local_sites.is_some() && !known.iter().any(is_here) {
            for finding in self.findings.iter_mut().skip(first) {
                finding.severity = Severity::Error;
                finding.cause = Reason::UnknownSite;
            }
        }
        known
    }

    fn credential(
        &mut self,
        user: &str,
        subject: &Subject,
        spec: &BrokerUserSpec,
    ) -> Option<Credential> {
        let credentials = &spec.credentials;
        if let Some(certificate) = &credentials.certificate {
            self.needs_client_roots(subject);
            return Some(Credential::Certificate(UserCertificate {
                uri: certificate.uri.clone(),
                common_name: certificate.common_name.clone(),
            }));
        }
        let generated = credentials.kind == CredentialKind::Generated;
        let made = generated.then(|| PasswordRef {
            name: names::generated_secret(user),
            key: None,
            previous_key: None,
        });
        let reference = made.as_ref().or(credentials.secret_ref.as_ref())?;
        let is_clear = generated || credentials.kind == CredentialKind::Password;
        let (key, previous) = match is_clear {
            true => ("password", "previousPassword"),
            false => ("passwordHash", "previousPasswordHash"),
        };
        let key = reference.key.as_deref().unwrap_or(key);
        let previous = reference.previous_key.as_deref().unwrap_or(previous);
        let path = match generated {
            true => "spec.credentials.generated",
            false => "spec.credentials.secretRef",
        };
        if generated && !self.is_made(subject, &reference.name, path) {
            return None;
        }
        let found = self.findings.len();
        let current = self.required(subject.clone(), &reference.name, key, path)?;
        // Nobody has to give what is made where the network runs.
        if generated && self.missing == MissingSecrets::Mark {
            for finding in self.findings.drain(found..).collect::<Vec<_>>() {
                let reason = "the password is made where the network runs";
                let note = Finding::note(finding.subject, finding.path, reason);
                self.findings.push(note);
            }
        }
        let is_marked = self.value(&reference.name, key).is_none();
        let secrets = [
            (key, Some(current)),
            (previous, self.value(&reference.name, previous)),
        ];
        let given = secrets
            .into_iter()
            .filter_map(|(key, secret)| secret.map(|secret| (key, secret)));
        if is_clear && !is_marked {
            let given: Vec<_> = given.collect();
            let whole = given.into_iter().filter(|(key, password)| {
                self.is_one_line(subject, (&reference.name, key), path, password)
            });
            let passwords: Vec<SecretText> = whole.map(|(_, password)| password).collect();
            return (!passwords.is_empty()).then_some(Credential::Passwords(passwords));
        }
        let mut hashes = Vec::new();
        for (key, secret) in given {
            let hash = secret.expose().trim().to_owned();
            match password::check_hash(&hash) {
                Err(error) if !is_marked => {
                    let reason = format!("the key {key} of Secret {}: {error}", reference.name);
                    self.findings.push(
                        Finding::error(subject.clone(), path, reason)
                            .because(Reason::SecretMalformed),
                    );
                }
                _ => hashes.push(hash),
            }
        }
        (!hashes.is_empty()).then_some(Credential::Hashes(hashes))
    }

    /// Whether the Secret of a generated password is there. In a cluster the operator makes it, where nobody else has done
    /// so: it is a matter of a moment, and no mistake of anybody.
    fn is_made(&mut self, subject: &Subject, secret: &str, path: &str) -> bool {
        let declared = self.declared;
        if let Some(whose) = declared.foreign.get(secret) {
            let reason = format!("Secret {secret} is there and belongs to {whose}");
            let finding = Finding::error(subject.clone(), path, reason)
                .because(Reason::SecretNotOwned)
                .with_help("its name is needed here: remove it, and keep what it holds under another name; then the password is made");
            self.findings.push(finding);
        }
        if declared.secrets.contains_key(secret) {
            return true;
        }
        let is_foreign = declared.foreign.contains_key(secret);
        let is_awaited = self.missing == MissingSecrets::Refuse && declared.local_sites.is_some();
        if is_awaited && !is_foreign {
            let reason = match plan::is_paused(&declared.network) {
                true => format!("Secret {secret} is not made while the network is paused"),
                false => format!("Secret {secret} is made in a moment"),
            };
            let note = Finding::note(subject.clone(), path, reason);
            self.findings.push(note.because(Reason::SecretNotFound));
        }
        !is_awaited && !is_foreign
    }

    /// A certificate of a user is good for nothing where no broker asks for one.
    fn needs_client_roots(&mut self, subject: &Subject) {
        let tls = self.declared.network.spec.tls.as_ref();
        if tls.is_none_or(|tls| tls.client_trust_bundle_ref.is_none()) {
            let path = "spec.credentials.certificate";
            let reason = "no broker asks for the certificates of clients";
            let finding = Finding::warning(subject.clone(), path, reason)
                .with_help("name their roots in spec.tls.clientTrustBundleRef of the network");
            self.findings.push(finding);
        }
    }
}

/// The object that each login name belongs to: the one of that name, else the first in the order of names. When they
/// were made does not count: that differs between clusters.
fn owners(users: &BTreeMap<String, BrokerUserSpec>) -> BTreeMap<&str, &str> {
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, spec) in users {
        let username = spec.username.as_deref().unwrap_or(name);
        if username == name {
            owners.insert(username, name);
        } else {
            owners.entry(username).or_insert(name);
        }
    }
    owners
}

fn permissions(spec: &BrokerUserSpec) -> Vec<Permission> {
    let mut permissions: Vec<_> = spec.permissions.iter().flatten().collect();
    permissions.sort_by_key(|permission| {
        (
            permission.queue.is_none(),
            &permission.queue,
            &permission.topic,
            permission.effect,
            &permission.operations,
        )
    });
    permissions.into_iter().map(permission).collect()
}

fn permission(written: &user::Permission) -> Permission {
    let mut operations: Vec<Operation> = written
        .operations
        .iter()
        .map(|operation| match operation {
            user::Operation::Read => Operation::Read,
            user::Operation::Write => Operation::Write,
            user::Operation::Admin => Operation::Admin,
        })
        .collect();
    operations.sort();
    operations.dedup();
    Permission {
        queue: written.queue.clone(),
        topic: written.topic.clone(),
        operations,
        effect: match written.effect.unwrap_or_default() {
            user::Effect::Allow => Effect::Allow,
            user::Effect::Deny => Effect::Deny,
        },
    }
}
