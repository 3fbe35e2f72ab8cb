//! What is wrong with files that parse, all of it at once.

use std::collections::{BTreeMap, BTreeSet};

use super::certificates::{self, PairError};
use super::file::{
    Authorization, BrokerFile, Entry, FORMAT, Listener, Permission, SecretsFile, StatusAccess, Tls,
    User, UsersFile,
};
use super::limits::Limits;
use super::problem::Problems;
use crate::security::password;

mod links;
mod numbers;

const BROKER: &str = "broker.yaml";
const USERS: &str = "users.yaml";
const SECRETS: &str = "secrets.yaml";

pub(super) fn broker(
    file: &BrokerFile,
    files: &BTreeMap<String, Vec<u8>>,
    problems: &mut Problems,
) {
    format(BROKER, file.format, problems);
    sites(file, problems);
    listeners(file, problems);
    links::check(file, problems);
    let older = file.handover.as_ref();
    if older.is_some_and(|at| at.host.is_empty() || at.port == 0) {
        problems.add(
            BROKER,
            "handover",
            "needs a host and a port from 1 to 65535",
        );
    }
    authorization(&file.authorization, problems);
    if let Some(tls) = &file.tls {
        tls_files(tls, files, problems);
    }
    for (index, policy) in file.queue.policies.iter().flatten().enumerate() {
        let path = format!("queue.policies[{index}].match");
        pattern(BROKER, &path, &policy.pattern, problems);
    }
    for text in file.mesh.reply_patterns.iter().flatten() {
        pattern(BROKER, "mesh.reply_patterns", text, problems);
    }
    numbers::check(file, &Limits::of(file), problems);
}

fn format(file: &'static str, format: u32, problems: &mut Problems) {
    if format != FORMAT {
        problems.add(
            file,
            "format",
            format!("{format} is not known; this release reads {FORMAT}"),
        );
    }
}

fn tls_files(tls: &Tls, files: &BTreeMap<String, Vec<u8>>, problems: &mut Problems) {
    let mut add = |key: &str, reason| problems.add(BROKER, format!("tls.{key}"), reason);
    let mut file = |key: &str, path: &str| {
        let found = files.get(path);
        if found.is_none() {
            add(key, format!("the file {path} is not in the directory"));
        }
        found
    };
    let pair = (file("certificate", &tls.certificate), file("key", &tls.key));
    let bundles = [
        ("trust_bundle", tls.trust_bundle.as_ref()),
        ("client_trust_bundle", tls.client_trust_bundle.as_ref()),
    ];
    let bundles =
        bundles.map(|(key, path)| path.and_then(|path| Some((key, path, file(key, path)?))));
    if let (Some(chain), Some(key)) = pair {
        for error in certificates::check_pair(chain, key) {
            match error {
                PairError::Certificate(error) => {
                    add("certificate", format!("{} {error}", tls.certificate));
                }
                PairError::Key(error) => add("key", format!("{} {error}", tls.key)),
            }
        }
    }
    for (key, path, bundle) in bundles.into_iter().flatten() {
        if let Err(error) = certificates::check_roots(bundle) {
            add(key, format!("{path} {error}"));
        }
    }
}

fn sites(file: &BrokerFile, problems: &mut Problems) {
    let mut names = BTreeSet::new();
    let mut ids: BTreeMap<u16, &str> = BTreeMap::new();
    for site in &file.sites {
        let path = format!("sites.{}", site.name);
        if site.name.is_empty() || site.name.len() > 253 {
            problems.add(BROKER, "sites", "a name has 1 to 253 bytes");
        }
        if !names.insert(site.name.as_str()) {
            problems.add(BROKER, path, "is listed twice");
            continue;
        }
        let id = site.id.unwrap_or_else(|| short_id(&site.name));
        if id == 0 {
            problems.add(BROKER, path, "id must be 1 to 65535");
        } else if let Some(other) = ids.insert(id, &site.name) {
            let reason = format!("has the id {id}, as {other} has: give one of them another");
            problems.add(BROKER, path, reason);
        }
        if site.name == file.site && file.id.is_some_and(|own| own != id) {
            problems.add(BROKER, "id", format!("differs from that in sites, {id}"));
        }
    }
    if !names.contains(file.site.as_str()) {
        problems.add(BROKER, "site", format!("{} is not one of sites", file.site));
    }
    if file.network.is_empty() {
        problems.add(BROKER, "network", "must not be empty");
    }
    if !is_uuid(&file.instance) {
        problems.add(BROKER, "instance", "must be a UUID");
    }
}

/// The id of a site that names none.
fn short_id(site: &str) -> u16 {
    let hash = xxhash_rust::xxh3::xxh3_64(site.as_bytes()).to_be_bytes();
    u16::from_be_bytes([hash[6], hash[7]]).max(1)
}

fn listeners(file: &BrokerFile, problems: &mut Problems) {
    let listeners = &file.listeners;
    let mut used: BTreeMap<(String, u16), &str> = BTreeMap::new();
    let mut note = |name: &'static str, bind: &str, port: u16, problems: &mut Problems| {
        if port == 0 {
            problems.add(
                BROKER,
                format!("listeners.{name}.port"),
                "must be 1 to 65535",
            );
        } else if let Some(other) = used.insert((bind.to_owned(), port), name) {
            problems.add(
                BROKER,
                format!("listeners.{name}.port"),
                format!("{port} is the port of {other} too"),
            );
        }
    };
    for (name, listener) in [
        ("stomp", &listeners.stomp),
        ("stomp_tls", &listeners.stomp_tls),
    ] {
        if let Some(listener) = listener {
            note(name, &listener.bind, listener.port, problems);
        }
    }
    if let Some(Listener { bind, port }) = &listeners.link {
        note("link", bind, *port, problems);
    }
    if let Some(admin) = &listeners.admin {
        note("admin", &admin.bind, admin.port, problems);
        let is_loopback = admin
            .bind
            .parse::<core::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback());
        if admin.status == StatusAccess::Open && !is_loopback {
            problems.add(
                BROKER,
                "listeners.admin.status",
                "open is for a loopback address only",
            );
        }
    }
    if listeners.stomp_tls.is_some() && file.tls.is_none() {
        problems.add(
            BROKER,
            "listeners.stomp_tls",
            "needs tls, with a certificate and a key",
        );
    }
}

fn authorization(authorization: &Authorization, problems: &mut Problems) {
    for (index, entry) in authorization.entries.iter().enumerate() {
        let Entry { queue, topic, .. } = entry;
        either(
            BROKER,
            &format!("authorization.entries[{index}]"),
            queue,
            topic,
            problems,
        );
    }
}

fn either(
    file: &'static str,
    path: &str,
    queue: &Option<String>,
    topic: &Option<String>,
    problems: &mut Problems,
) {
    match (queue, topic) {
        (Some(text), None) | (None, Some(text)) => pattern(file, path, text, problems),
        _ => problems.add(file, path, "needs exactly one of queue and topic"),
    }
}

fn pattern(file: &'static str, path: &str, text: &str, problems: &mut Problems) {
    if !crate::security::pattern::is_valid_pattern(text) {
        problems.add(
            file,
            path,
            format!("{text:?} is not a pattern: segments are names, * or, at the end, >"),
        );
    }
}

pub(super) fn users(file: &UsersFile, problems: &mut Problems) {
    format(USERS, file.format, problems);
    let mut names = BTreeSet::new();
    let mut certificates = BTreeSet::new();
    for user in &file.users {
        let shown = user.certificate.as_ref();
        let is_new = shown.is_none_or(|one| certificates.insert((&one.uri, &one.common_name)));
        let path = format!("users.{}", user.name);
        if !names.insert(user.name.as_str()) {
            problems.add(USERS, path.clone(), "is listed twice");
        }
        if !is_new {
            let reason = "its certificate is that of another user too";
            problems.add(USERS, path.clone(), reason);
        }
        if user.name.is_empty() || user.name.len() > 256 {
            problems.add(USERS, path.clone(), "a name has 1 to 256 bytes");
        }
        credentials(user, &path, problems);
        for (index, permission) in user.permissions.iter().enumerate() {
            let Permission { queue, topic, .. } = permission;
            let path = format!("{path}.permissions[{index}]");
            either(USERS, &path, queue, topic, problems);
        }
    }
}

fn credentials(user: &User, path: &str, problems: &mut Problems) {
    if user.verifiers.is_empty() && user.certificate.is_none() {
        problems.add(USERS, path, "needs a verifier or a certificate");
    }
    if user.verifiers.len() > 2 {
        problems.add(USERS, path, "more than two verifiers");
    }
    for verifier in &user.verifiers {
        if let Err(error) = password::check_hash(verifier) {
            problems.add(USERS, path, error.to_string());
        }
    }
    let needs_one = user
        .certificate
        .as_ref()
        .is_some_and(|one| one.uri.is_some() == one.common_name.is_some());
    if needs_one {
        let reason = "certificate needs exactly one of uri and common_name";
        problems.add(USERS, path, reason);
    }
}

pub(super) fn secrets(broker: &BrokerFile, file: &SecretsFile, problems: &mut Problems) {
    format(SECRETS, file.format, problems);
    links::secrets(broker, file, problems);
    let needs_token = broker
        .listeners
        .admin
        .as_ref()
        .is_some_and(|admin| admin.status == StatusAccess::Token);
    if needs_token && file.admin_token.as_ref().is_none_or(String::is_empty) {
        problems.add(
            SECRETS,
            "admin_token",
            "is needed while listeners.admin.status is token",
        );
    }
    // It is what both processes prove to each other.
    if broker.handover.is_some() && file.admin_token.as_ref().is_none_or(String::is_empty) {
        problems.add(SECRETS, "admin_token", "is needed for handover");
    }
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let is_hex = |group: &&str| group.bytes().all(|byte| byte.is_ascii_hexdigit());
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12]) && groups.iter().all(is_hex)
}

#[cfg(test)]
mod tests;
