//! Pure modules decide; they reach neither sockets nor files nor clocks, share nothing behind a
//! lock, and know no cluster. `docs/architecture.md` lists them; this test reads their sources.

use std::fmt;
use std::path::{Path, PathBuf};

/// Modules that only decide: files, or folders with all that is in them.
const PURE: [&str; 30] = [
    "model",
    "selector",
    "routing",
    "mesh",
    "wire",
    "queue/state.rs",
    "queue/dispatch.rs",
    "queue/groups.rs",
    "queue/monitors.rs",
    "queue/remote.rs",
    "queue/types.rs",
    "handover/greeting.rs",
    "handover/words.rs",
    "config/certificates.rs",
    "config/file.rs",
    "config/file",
    "config/valid.rs",
    "config/diff.rs",
    "config/units.rs",
    "config/check.rs",
    "config/check",
    "config/limits.rs",
    "config/parse.rs",
    "config/problem.rs",
    "config/hash.rs",
    "security/authz.rs",
    "security/certificate.rs",
    "security/identity.rs",
    "security/pattern.rs",
    "security/throttle.rs",
];

/// What they must not name, and why.
const RULES: [(&str, &[&str]); 10] = [
    ("no runtime", &["tokio"]),
    ("no sockets", &["std", "net"]),
    ("no files", &["std", "fs"]),
    ("no clocks", &["std", "time", "Instant"]),
    ("no clocks", &["std", "time", "SystemTime"]),
    ("no locks", &["std", "sync", "Mutex"]),
    ("no locks", &["std", "sync", "RwLock"]),
    ("no cluster", &["kube"]),
    ("no cluster", &["k8s_openapi"]),
    ("no clock of ours", &["crate", "clock"]),
];

#[derive(Debug, PartialEq, Eq)]
struct Breach {
    rule: &'static str,
    path: String,
    line: usize,
}

impl fmt::Display for Breach {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {} ({})", self.line, self.path, self.rule)
    }
}

/// A word, `::`, or one of `{ } , ;`, with its line. Comments and text in quotes are left out.
fn tokens(source: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (index, line) in source.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        let mut word = String::new();
        let mut is_quoted = false;
        for character in code.chars().chain([' ']) {
            let is_in_word = character.is_alphanumeric() || character == '_' || character == ':';
            if is_in_word && !is_quoted {
                word.push(character);
                continue;
            }
            if !word.is_empty() {
                found.push((index + 1, std::mem::take(&mut word)));
            }
            is_quoted ^= character == '"';
            if !is_quoted && "{},;".contains(character) {
                found.push((index + 1, character.to_string()));
            }
        }
    }
    found
}

/// Every path in the source with its line; `use` trees are spelled out.
fn paths(source: &str) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    let mut is_use = false;
    // Prefixes of the braces that are open in a `use`.
    let mut prefixes: Vec<Vec<String>> = Vec::new();
    let mut pending: Vec<String> = Vec::new();
    for (line, token) in tokens(source) {
        match token.as_str() {
            "use" => {
                is_use = true;
                prefixes.clear();
                pending.clear();
            }
            ";" => is_use = false,
            "{" if is_use => prefixes.push(std::mem::take(&mut pending)),
            "}" if is_use => {
                prefixes.pop();
            }
            "," => pending.clear(),
            word => {
                let parts = word.split("::").filter(|part| !part.is_empty());
                let mut path: Vec<String> = if is_use {
                    prefixes.concat()
                } else {
                    Vec::new()
                };
                path.extend(parts.map(|part| part.trim_matches(':').to_owned()));
                if is_use {
                    let known = prefixes.concat().len();
                    pending = path[known..].to_vec();
                }
                found.push((line, path));
            }
        }
    }
    found
}

fn breaches(source: &str) -> Vec<Breach> {
    let mut found = Vec::new();
    for (line, path) in paths(source) {
        for (rule, forbidden) in RULES {
            // A name that was brought in by a glob counts by its last part.
            let last = forbidden[forbidden.len() - 1];
            let is_whole = path.len() >= forbidden.len()
                && path
                    .iter()
                    .zip(forbidden)
                    .all(|(part, wanted)| part == wanted);
            let is_type =
                last.starts_with(char::is_uppercase) && path.iter().any(|one| one == last);
            if is_whole || is_type {
                let path = path.join("::");
                found.push(Breach { rule, path, line });
            }
        }
    }
    found
}

fn sources(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in path.read_dir().expect("the folder can be read") {
            sources(&entry.expect("the entry can be read").path(), found);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        found.push(path.to_owned());
    }
}

#[test]
fn pure_modules_name_nothing_that_acts() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut told = Vec::new();
    for module in PURE {
        let mut files = Vec::new();
        sources(&root.join(module), &mut files);
        assert!(!files.is_empty(), "{module} has no sources");
        for file in files {
            let text = std::fs::read_to_string(&file).expect("the file can be read");
            let of_file = breaches(&text);
            told.extend(
                of_file
                    .iter()
                    .map(|one| format!("{}:{one}", file.display())),
            );
        }
    }
    told.sort();
    told.dedup();
    assert!(
        told.is_empty(),
        "pure modules only decide:\n{}",
        told.join("\n")
    );
}

#[test]
fn whatever_acts_is_found_however_it_is_imported() {
    let rows = [
        ("use tokio::sync::Notify;", "no runtime"),
        ("use std::{fmt, net::IpAddr};", "no sockets"),
        ("let text = std::fs::read(path);", "no files"),
        ("use std::{\n    fs,\n    fmt,\n};", "no files"),
        ("use std::time::{Duration, Instant};", "no clocks"),
        ("let now = std::time::SystemTime::now();", "no clocks"),
        ("use std::sync::{Arc, Mutex};", "no locks"),
        ("state: RwLock<u8>,", "no locks"),
        ("use kube::Client;", "no cluster"),
        ("let now = crate::clock::wall_ms();", "no clock of ours"),
    ];
    for (source, rule) in rows {
        let found = breaches(source);
        assert!(
            found.iter().any(|one| one.rule == rule),
            "{source}: {found:?}"
        );
    }
}

#[test]
fn what_only_sounds_like_it_is_let_through() {
    let rows = [
        "// std::fs is for others.",
        "use std::{fmt, sync::Arc, time::Duration};",
        "fn net(fs: u8) -> u8 { fs }",
        "let text = \"tokio\";",
        "use crate::model::{Kind, Message};",
    ];
    for source in rows {
        assert_eq!(breaches(source), [], "{source}");
    }
}

#[test]
fn the_line_is_told() {
    let found = breaches("//! Text.\n\nuse std::{\n    fmt,\n    fs::File,\n};\n");
    let told: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["5: std::fs::File (no files)"]);
}
