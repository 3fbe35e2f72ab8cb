//! `settings.extra`: further live keys of the broker's file, as `section.key: value`.

use std::collections::BTreeMap;

use causeway_broker::config::file::BrokerFile;
use causeway_broker::config::{Config, Files};
use serde_json::Value as Json;
use serde_yaml::{Mapping, Value};

use crate::documents::schema_walk::nearest;

/// Sections whose keys may be set; everything else is made from the rest of the object.
pub const SECTIONS: [&str; 10] = [
    "admin", "limits", "log", "memory", "mesh", "queue", "security", "shutdown", "stomp", "topic",
];
/// What else the broker's file holds: it follows from the rest of the object.
const MADE: [&str; 16] = [
    "authorization",
    "denied_sites",
    "format",
    "handover",
    "id",
    "instance",
    "link_auth",
    "links",
    "listeners",
    "network",
    "site",
    "sites",
    "spec_hash",
    "state_dir",
    "tls",
    "users_hash",
];
/// Keys of those sections that say where a site runs.
const PLACED: [&str; 1] = ["shutdown.drain"];

/// Why a key is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExtraError {
    /// It names no key of a section.
    #[error("is not of the form section.key, with a section of {}", SECTIONS.join(", "))]
    NotAKey,
    /// Its section is none.
    #[error("unknown section {0}: there are {known}", known = SECTIONS.join(", "))]
    NoSection(String),
    /// The broker knows no such key.
    #[error("unknown field {name}")]
    Unknown {
        /// The part of the key that is not known, or a field of its value.
        name: String,
        /// What is known in its place.
        known: Vec<String>,
    },
    /// It belongs to something else in the object.
    #[error("cannot be set here: it follows from the rest of the object")]
    NotFree,
    /// The broker's parser refuses it.
    #[error("the broker refuses it: {0}")]
    Refused(String),
}

impl ExtraError {
    /// What the parser of the broker says.
    fn told(text: String) -> Self {
        let Some((_, rest)) = text.split_once("unknown field `") else {
            return Self::Refused(text);
        };
        // unknown field `x`, expected one of `a`, `b`
        let mut names = rest.split('`').step_by(2).map(str::to_owned);
        let name = names.next().unwrap_or_default();
        Self::Unknown {
            name,
            known: names.collect(),
        }
    }

    /// What may have been meant with this key.
    #[must_use]
    pub fn help(&self, key: &str, value: &Json) -> Option<String> {
        let (section, rest) = key.split_once('.')?;
        let meant = match self {
            Self::NoSection(_) => {
                let near = nearest(section, SECTIONS.into_iter())?;
                format!("{near}.{rest}")
            }
            Self::Unknown { name, known } => elsewhere(key, value).or_else(|| {
                let near = nearest(name, known.iter().map(String::as_str))?;
                Some(replaced(key, name, near))
            })?,
            _ => return None,
        };
        Some(format!("did you mean {meant}?"))
    }
}

/// The same key in another section, where the broker takes that.
fn elsewhere(key: &str, value: &Json) -> Option<String> {
    let (_, rest) = key.split_once('.')?;
    let mut keys = SECTIONS
        .into_iter()
        .map(|section| format!("{section}.{rest}"));
    keys.find(|other| check(other, value).is_ok())
}

/// The key with another name for one of its parts; the name alone where it stands in the value.
fn replaced(key: &str, name: &str, near: &str) -> String {
    let parts: Vec<&str> = key.split('.').collect();
    match parts.contains(&name) {
        false => near.to_owned(),
        true => {
            let parts = parts
                .iter()
                .map(|part| if *part == name { near } else { part });
            parts.collect::<Vec<_>>().join(".")
        }
    }
}

/// Whether the broker would take one key.
///
/// # Errors
/// It would not.
pub fn check(key: &str, value: &Json) -> Result<(), ExtraError> {
    let mut file = bare();
    set(&mut file, key, value)?;
    serde_yaml::from_value::<BrokerFile>(file)
        .map(drop)
        .map_err(|error| ExtraError::told(error.to_string()))
}

/// A file with the keys that a file must have.
fn bare() -> Value {
    let mut file = Value::Mapping(Mapping::new());
    for (key, value) in [
        ("format", "1"),
        ("network", "n"),
        ("site", "s"),
        ("instance", "i"),
        ("state_dir", "/"),
    ] {
        put(&mut file, &[key], value.into());
    }
    put(&mut file, &["format"], 1.into());
    put(&mut file, &["listeners"], Value::Mapping(Mapping::new()));
    put(&mut file, &["sites"], Value::Sequence(Vec::new()));
    file
}

/// Keys whose values the broker's check refuses, with its reasons, for keys that its parser takes one by one.
#[must_use]
pub fn refusals(keys: &BTreeMap<&str, &Json>) -> Vec<(String, ExtraError)> {
    let mut file = bare();
    let is_set = |(key, value): (&&str, &&Json)| set(&mut file, key, value).is_ok();
    if !keys.iter().all(is_set) {
        return Vec::new();
    }
    let problems = Config::from_files(&Files {
        broker: serde_yaml::to_string(&file)
            .unwrap_or_default()
            .into_bytes(),
        users: b"format: 1\nusers: []\n".to_vec(),
        secrets: b"format: 1\n".to_vec(),
        ..Files::default()
    });
    let problems = problems.err().unwrap_or_default();
    let told = problems.into_iter().filter_map(|problem| {
        let key = keys.keys().find(|key| is_about(&problem.path, key))?;
        let reason = reason_at(&problem.path, &problem.reason, key);
        Some(((*key).to_owned(), ExtraError::Refused(reason)))
    });
    told.collect()
}

/// Whether a mistake at a path of the broker's file is one of a key that was set.
#[must_use]
pub fn is_about(path: &str, key: &str) -> bool {
    let is_below = |path: &str, above: &str| {
        path.strip_prefix(above)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    // A whole section is about many keys.
    is_below(path, key) || (path.contains('.') && is_below(key, path))
}

/// The reason of a mistake for whoever sees the key: with the path where that leads further.
#[must_use]
pub fn reason_at(path: &str, reason: &str, key: &str) -> String {
    match path.strip_prefix(key).filter(|rest| !rest.is_empty()) {
        Some(_) => format!("{path} {reason}"),
        None => reason.to_owned(),
    }
}

/// Sets one key in a file.
///
/// # Errors
/// The key is not one that may be set.
pub fn set(file: &mut Value, key: &str, value: &Json) -> Result<(), ExtraError> {
    let parts: Vec<&str> = key.split('.').collect();
    if parts.len() < 2 || parts.iter().any(|part| part.is_empty()) {
        return Err(ExtraError::NotAKey);
    }
    if MADE.contains(&parts[0]) || PLACED.contains(&key) {
        return Err(ExtraError::NotFree);
    }
    if !SECTIONS.contains(&parts[0]) {
        return Err(ExtraError::NoSection(parts[0].to_owned()));
    }
    let value =
        serde_yaml::to_value(value).map_err(|error| ExtraError::Refused(error.to_string()))?;
    put(file, &parts, value);
    Ok(())
}

fn put(into: &mut Value, parts: &[&str], value: Value) {
    let Some((first, rest)) = parts.split_first() else {
        *into = value;
        return;
    };
    if !into.is_mapping() {
        *into = Value::Mapping(Mapping::new());
    }
    if let Value::Mapping(mapping) = into {
        put(
            mapping.entry((*first).into()).or_insert(Value::Null),
            rest,
            value,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_tried_on_the_parser_of_the_broker() {
        let refused = |key: &str, value: Json| check(key, &value).err();
        assert_eq!(refused("queue.max_messages", 5.into()), None);
        assert_eq!(refused("limits.pre_auth_deadline", "7s".into()), None);
        assert!(matches!(
            refused("limits.nonsense", 5.into()),
            Some(ExtraError::Unknown { .. })
        ));
        assert!(matches!(
            refused("queue.max_messages", "many".into()),
            Some(ExtraError::Refused(_))
        ));
        assert_eq!(
            refused("listeners.stomp", 5.into()),
            Some(ExtraError::NotFree)
        );
        assert_eq!(
            refused("shutdown.drain", "5s".into()),
            Some(ExtraError::NotFree)
        );
        assert_eq!(refused("limits", 5.into()), Some(ExtraError::NotAKey));
    }

    #[test]
    fn values_that_the_broker_refuses_are_told_at_their_keys() {
        let policies = serde_json::json!([{"match": "a.>.b"}]);
        let keys: [(&str, Json); 5] = [
            ("memory.limit", "1Ki".into()),
            ("mesh.redial_max", "50ms".into()),
            ("mesh.redial_min", "10ms".into()),
            ("queue.policies", policies),
            ("queue.prefetch", 0.into()),
        ];
        let keys = keys.iter().map(|(key, value)| (*key, value)).collect();
        let mut told: Vec<String> = refusals(&keys)
            .into_iter()
            .map(|(key, error)| format!("{key} {error}"))
            .collect();
        told.sort();
        let limit = "memory.limit the broker refuses it: must be at least 16Mi";
        assert!(told.iter().any(|line| line == limit), "{told:#?}");
        let policy = "queue.policies the broker refuses it: queue.policies[0].match \"a.>.b\" is";
        assert!(
            told.iter().any(|line| line.starts_with(policy)),
            "{told:#?}"
        );
        let prefetch = "queue.prefetch the broker refuses it: must be 1 to 32767";
        assert!(told.iter().any(|line| line == prefetch), "{told:#?}");
        assert!(
            !told.iter().any(|line| line.contains("redial")),
            "{told:#?}"
        );
    }

    #[test]
    fn a_key_that_is_nearly_known_or_known_elsewhere_is_told() {
        let told = |key: &str, value: Json| {
            let error = check(key, &value).expect_err("unknown");
            (error.to_string(), error.help(key, &value))
        };
        let meant = |key: &str| Some(format!("did you mean {key}?"));
        let (reason, help) = told("limits.subscriptons", 5.into());
        assert_eq!(reason, "unknown field subscriptons");
        assert_eq!(help, meant("limits.subscriptions"));
        let (_, help) = told("limits.max_messages", 5.into());
        assert_eq!(help, meant("queue.max_messages"));
        let (reason, help) = told("queu.max_messages", 5.into());
        assert!(reason.starts_with("unknown section queu: "), "{reason}");
        assert_eq!(help, meant("queue.max_messages"));
        assert_eq!(told("limits.colour", "red".into()).1, None);
        assert_eq!(told("listeners.stomp", 5.into()).1, None);
    }

    #[test]
    fn every_key_of_the_file_is_a_section_or_made() {
        let unknown = Value::Mapping(Mapping::from_iter([("nonsense".into(), 1.into())]));
        let error = serde_yaml::from_value::<BrokerFile>(unknown).expect_err("unknown");
        let ExtraError::Unknown { mut known, .. } = ExtraError::told(error.to_string()) else {
            panic!("another error: {error}");
        };
        known.sort();
        let mut ours = [MADE.as_slice(), SECTIONS.as_slice()].concat();
        ours.sort_unstable();
        assert_eq!(known, ours);
    }
}
