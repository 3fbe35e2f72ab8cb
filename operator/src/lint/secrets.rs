//! L09, L14: passwords that can be guessed, and ways of proving oneself that are for a while only.

use std::collections::BTreeSet;

use super::Context;
use crate::api::network::{LinkAuthMode, TlsSource};
use crate::api::user::CredentialKind;
use crate::finding::{Finding, Subject};
use crate::names;
use crate::rule::Rule;

/// Letters of a link's password: it is proved to whoever answers, and nobody has to remember it.
const LINK_LETTERS: usize = 16;
/// Letters of a user's password.
const USER_LETTERS: usize = 8;

/// L09: passwords that are short.
pub(super) fn weak(context: &Context<'_>) -> Vec<Finding> {
    let of_links = links(context)
        .into_iter()
        .map(|key| (key, LINK_LETTERS, "link"));
    let of_users = users(context)
        .into_iter()
        .map(|key| (key, USER_LETTERS, "user"));
    let mut findings = Vec::new();
    for ((secret, key), least, whose) in of_links.chain(of_users) {
        let data = context.declared.secrets.get(&secret);
        let Some(bytes) = data.and_then(|data| data.get(&key)) else {
            continue;
        };
        let letters = String::from_utf8_lossy(bytes).chars().count();
        // One that is empty is missing, and that is said.
        if letters > 0 && letters < least {
            let reason = format!(
                "the password of a {whose} has {letters} letters; at least {least} are hard to guess"
            );
            let finding = Finding::warning(Subject::Secret(secret), key, reason);
            findings.push(finding.called(Rule::WeakCredential));
        }
    }
    findings
}

type Keys = BTreeSet<(String, String)>;

fn links(context: &Context<'_>) -> Keys {
    let spec = &context.declared.network.spec;
    if spec.link_auth.unwrap_or_default().mode == LinkAuthMode::Mtls {
        return Keys::new();
    }
    let secrets = context.links.iter().map(|link| {
        let written = context.written(link);
        let named = written.and_then(|link| link.credentials.as_ref());
        match named {
            Some(credentials) => credentials.secret_ref.name.clone(),
            None => names::link_secret(context.declared.name(), &link.name),
        }
    });
    secrets
        .flat_map(|secret| ["current", "previous"].map(|key| (secret.clone(), key.to_owned())))
        .collect()
}

fn users(context: &Context<'_>) -> Keys {
    let users = context.declared.users.values();
    let clear = users.filter(|user| user.credentials.kind == CredentialKind::Password);
    let references = clear.filter_map(|user| user.credentials.secret_ref.as_ref());
    references
        .flat_map(|reference| {
            let key = |written: &Option<String>, default: &str| {
                let key = written.clone().unwrap_or_else(|| default.to_owned());
                (reference.name.clone(), key)
            };
            [
                key(&reference.key, "password"),
                key(&reference.previous_key, "previousPassword"),
            ]
        })
        .collect()
}

/// L14: what is right while trying things out, or while moving, and not for ever.
pub(super) fn left_on(context: &Context<'_>) -> Vec<Finding> {
    let spec = &context.declared.network.spec;
    let mut findings = Vec::new();
    let source = spec.tls.as_ref().map(|tls| tls.source);
    if source == Some(TlsSource::Development) {
        let reason = "certificates of the development authority are for trying things out";
        let help = "take them from cert-manager (source: CertManager) or from Secrets (source: Secret); an operator that does not run every site refuses Development";
        let finding = Finding::warning(Subject::Network, "spec.tls.source", reason);
        findings.push(finding.with_help(help).called(Rule::DevelopmentCa));
    }
    if spec.link_auth.unwrap_or_default().mode == LinkAuthMode::PasswordAndMtls {
        let reason =
            "links accept passwords beside certificates, which is for moving from one to the other";
        let help = "say MTLS once every end of every link proves itself by certificate";
        let finding = Finding::warning(Subject::Network, "spec.linkAuth.mode", reason);
        findings.push(finding.with_help(help).called(Rule::PasswordAndMtls));
    }
    findings
}
