//! What is wrong with a directory, all of it at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::file::{
    Authorization, BrokerFile, Entry, FORMAT, LinkAuthMode, LinkListener, Permission, SecretsFile,
    StatusAccess, Transport, UsersFile,
};
use crate::security::password;

/// Links of one broker.
pub const MAX_LINKS: usize = 128;

/// One mistake: where it is and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: &'static str,
    /// Its line, where that is known; the first is 1.
    pub line: Option<usize>,
    /// The key.
    pub path: String,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.file)?;
        if let Some(line) = self.line {
            write!(formatter, ":{line}")?;
        }
        if !self.path.is_empty() {
            write!(formatter, ": {}", self.path)?;
        }
        write!(formatter, ": {}", self.reason)
    }
}

/// Collects mistakes.
#[derive(Debug, Default)]
pub(super) struct Problems(pub(super) Vec<Problem>);

impl Problems {
    pub(super) fn add(
        &mut self,
        file: &'static str,
        path: impl Into<String>,
        reason: impl Into<String>,
    ) {
        self.0.push(Problem {
            file,
            line: None,
            path: path.into(),
            reason: reason.into(),
        });
    }
}

/// Finds the line where a value of a problem stands: the first line that holds the last named part.
pub(super) fn find_lines(problems: &mut [Problem], texts: &BTreeMap<&'static str, &str>) {
    for problem in problems.iter_mut().filter(|problem| problem.line.is_none()) {
        let Some(text) = texts.get(problem.file) else {
            continue;
        };
        let Some(needle) = problem
            .path
            .rsplit(['.', '[', ']'])
            .find(|part| !part.is_empty())
        else {
            continue;
        };
        problem.line = text
            .lines()
            .position(|line| line.contains(needle))
            .map(|index| index + 1);
    }
}

const BROKER: &str = "broker.yaml";
const USERS: &str = "users.yaml";
const SECRETS: &str = "secrets.yaml";

pub(super) fn broker(
    file: &BrokerFile,
    files: &BTreeMap<String, Vec<u8>>,
    problems: &mut Problems,
) {
    if file.format != FORMAT {
        problems.add(
            BROKER,
            "format",
            format!("{} is not known; this release reads {FORMAT}", file.format),
        );
    }
    sites(file, problems);
    listeners(file, problems);
    links(file, problems);
    authorization(&file.authorization, problems);
    if let Some(tls) = &file.tls {
        let named = [
            Some(&tls.certificate),
            Some(&tls.key),
            tls.trust_bundle.as_ref(),
            tls.client_trust_bundle.as_ref(),
        ];
        for path in named.into_iter().flatten() {
            if !files.contains_key(path) {
                problems.add(
                    BROKER,
                    format!("tls.{path}"),
                    format!("the file {path} is not in the directory"),
                );
            }
        }
    }
    for policy in file.queue.policies.iter().flatten() {
        pattern(BROKER, "queue.policies[].match", &policy.pattern, problems);
    }
    for text in file.mesh.reply_patterns.iter().flatten() {
        pattern(BROKER, "mesh.reply_patterns", text, problems);
    }
    if file.memory.limit.is_some_and(|limit| limit.0 < 16 << 20) {
        problems.add(BROKER, "memory.limit", "must be at least 16Mi");
    }
}

fn sites(file: &BrokerFile, problems: &mut Problems) {
    let mut names = BTreeSet::new();
    for site in &file.sites {
        if !names.insert(site.name.as_str()) {
            problems.add(BROKER, format!("sites.{}", site.name), "is listed twice");
        }
    }
    if !names.contains(file.site.as_str()) {
        problems.add(BROKER, "site", format!("{} is not one of sites", file.site));
    }
    if !is_uuid(&file.instance) {
        problems.add(BROKER, "instance", "must be a UUID");
    }
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
    if let Some(LinkListener { bind, port, .. }) = &listeners.link {
        note("link", bind, *port, problems);
    }
    if let Some(admin) = &listeners.admin {
        note("admin", &admin.bind, admin.port, problems);
        let is_loopback = admin
            .bind
            .parse::<std::net::IpAddr>()
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

fn links(file: &BrokerFile, problems: &mut Problems) {
    if file.links.len() > MAX_LINKS {
        problems.add(BROKER, "links", format!("more than {MAX_LINKS}"));
    }
    let mut names = BTreeSet::new();
    for link in &file.links {
        let path = format!("links.{}", link.name);
        if !names.insert(link.name.as_str()) {
            problems.add(BROKER, path.clone(), "is listed twice");
        }
        if link.peer == file.site {
            problems.add(BROKER, path.clone(), "leads to this site itself");
        } else if !file.sites.iter().any(|site| site.name == link.peer) {
            problems.add(
                BROKER,
                path.clone(),
                format!("peer {} is not one of sites", link.peer),
            );
        }
        if link.cost == 0 {
            problems.add(BROKER, path.clone(), "cost must be 1 to 65535");
        }
        if !(100..=60_000).contains(&link.heartbeat.0) {
            problems.add(BROKER, path.clone(), "heartbeat must be 100ms to 60s");
        }
        let listener = file
            .listeners
            .link
            .as_ref()
            .map(|listener| listener.transport);
        if listener.is_some_and(|transport| transport != link.transport) {
            problems.add(
                BROKER,
                path,
                "transport differs from that of listeners.link",
            );
        }
    }
    let is_plain = file
        .links
        .iter()
        .any(|link| link.transport == Transport::Plain);
    if file.link_auth != LinkAuthMode::Password && is_plain {
        problems.add(BROKER, "link_auth", "certificates need transport tls");
    }
    let has_roots = file
        .tls
        .as_ref()
        .is_some_and(|tls| tls.trust_bundle.is_some());
    if file.link_auth != LinkAuthMode::Password && !has_roots {
        problems.add(BROKER, "link_auth", "certificates need tls.trust_bundle");
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
    if !crate::security::authz::is_valid_pattern(text) {
        problems.add(
            file,
            path,
            format!("{text:?} is not a pattern: segments are names, * or, at the end, >"),
        );
    }
}

pub(super) fn users(file: &UsersFile, problems: &mut Problems) {
    if file.format != FORMAT {
        problems.add(
            USERS,
            "format",
            format!("{} is not known; this release reads {FORMAT}", file.format),
        );
    }
    let mut names = BTreeSet::new();
    for user in &file.users {
        let path = format!("users.{}", user.name);
        if !names.insert(user.name.as_str()) {
            problems.add(USERS, path.clone(), "is listed twice");
        }
        if user.name.is_empty() || user.name.len() > 256 {
            problems.add(USERS, path.clone(), "a name has 1 to 256 bytes");
        }
        if user.verifiers.is_empty() && user.certificate.is_none() {
            problems.add(USERS, path.clone(), "needs a verifier or a certificate");
        }
        if user.verifiers.len() > 2 {
            problems.add(USERS, path.clone(), "more than two verifiers");
        }
        for verifier in &user.verifiers {
            if let Err(error) = password::check_hash(verifier) {
                problems.add(USERS, path.clone(), error.to_string());
            }
        }
        if user
            .certificate
            .as_ref()
            .is_some_and(|one| one.uri.is_some() == one.common_name.is_some())
        {
            problems.add(
                USERS,
                path.clone(),
                "certificate needs exactly one of uri and common_name",
            );
        }
        for (index, permission) in user.permissions.iter().enumerate() {
            let Permission { queue, topic, .. } = permission;
            either(
                USERS,
                &format!("{path}.permissions[{index}]"),
                queue,
                topic,
                problems,
            );
        }
    }
}

pub(super) fn secrets(broker: &BrokerFile, file: &SecretsFile, problems: &mut Problems) {
    if file.format != FORMAT {
        problems.add(
            SECRETS,
            "format",
            format!("{} is not known; this release reads {FORMAT}", file.format),
        );
    }
    if broker.link_auth != LinkAuthMode::Mtls {
        for link in broker
            .links
            .iter()
            .filter(|link| !file.links.contains_key(&link.name))
        {
            problems.add(
                SECRETS,
                format!("links.{}", link.name),
                "the link has no secret here",
            );
        }
    }
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
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let is_hex = |group: &&str| group.bytes().all(|byte| byte.is_ascii_hexdigit());
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12]) && groups.iter().all(is_hex)
}
