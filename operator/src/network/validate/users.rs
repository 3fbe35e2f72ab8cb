//! Users: where they are known, what they may, how they prove who they are.

use std::collections::{BTreeMap, BTreeSet};

use causeway_broker::config::file::{Effect, Operation, Permission, UserCertificate};
use causeway_broker::security::password;

use super::Check;
use crate::api::user::{self, BrokerUserSpec, CredentialKind, UserSites, UserState};
use crate::documents::schema_walk::nearest;
use crate::finding::{Finding, Subject};
use crate::model::{Credential, ValidSite, ValidUser};
use crate::names::SiteName;

impl Check<'_> {
    pub(super) fn users(
        &mut self,
        sites: &BTreeMap<SiteName, ValidSite>,
    ) -> BTreeMap<String, ValidUser> {
        let mut users = BTreeMap::new();
        let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
        let declared = self.declared;
        for (name, spec) in &declared.users {
            let subject = Subject::User(name.clone());
            let username = spec.username.as_deref().unwrap_or(name);
            if let Some(first) = owners.insert(username, name) {
                let reason = format!("{username} is the username of BrokerUser {first} too");
                self.findings
                    .push(Finding::error(subject, "spec.username", reason));
                continue;
            }
            let known = spec
                .sites
                .as_ref()
                .map(|wanted| self.known_at(&subject, wanted, sites));
            let Some(credential) = self.credential(&subject, spec) else {
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
            self.findings.push(finding);
        }
        known
    }

    fn credential(&mut self, subject: &Subject, spec: &BrokerUserSpec) -> Option<Credential> {
        let credentials = &spec.credentials;
        if let Some(certificate) = &credentials.certificate {
            self.needs_client_roots(subject);
            return Some(Credential::Certificate(UserCertificate {
                uri: certificate.uri.clone(),
                common_name: certificate.common_name.clone(),
            }));
        }
        let reference = credentials.secret_ref.as_ref()?;
        let is_clear = credentials.kind == CredentialKind::Password;
        let (key, previous) = match is_clear {
            true => ("password", "previousPassword"),
            false => ("passwordHash", "previousPasswordHash"),
        };
        let key = reference.key.as_deref().unwrap_or(key);
        let previous = reference.previous_key.as_deref().unwrap_or(previous);
        let path = "spec.credentials.secretRef";
        let current = self.required(subject.clone(), &reference.name, key, path)?;
        let is_marked = self.value(&reference.name, key).is_none();
        let secrets = [
            (key, Some(current)),
            (previous, self.value(&reference.name, previous)),
        ];
        let given = secrets
            .into_iter()
            .filter_map(|(key, secret)| secret.map(|secret| (key, secret)));
        if is_clear && !is_marked {
            return Some(Credential::Passwords(
                given.map(|(_, secret)| secret).collect(),
            ));
        }
        let mut hashes = Vec::new();
        for (key, secret) in given {
            let hash = secret.expose().trim().to_owned();
            match password::check_hash(&hash) {
                Err(error) if !is_marked => {
                    let reason = format!("the key {key} of Secret {}: {error}", reference.name);
                    self.findings
                        .push(Finding::error(subject.clone(), path, reason));
                }
                _ => hashes.push(hash),
            }
        }
        Some(Credential::Hashes(hashes))
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
