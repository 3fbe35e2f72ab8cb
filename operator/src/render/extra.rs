//! `settings.extra`: further live keys of the broker's file, as `section.key: value`.

use causeway_broker::config::file::BrokerFile;
use serde_json::Value as Json;
use serde_yaml::{Mapping, Value};

/// Sections whose keys may be set; everything else is made from the rest of the object.
pub const SECTIONS: [&str; 10] = [
    "admin", "limits", "log", "memory", "mesh", "queue", "security", "shutdown", "stomp", "topic",
];
/// Keys of those sections that say where a site runs.
const PLACED: [&str; 1] = ["shutdown.drain"];

/// Why a key is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExtraError {
    /// It names no key of a section.
    #[error("is not of the form section.key, with a section of {}", SECTIONS.join(", "))]
    NotAKey,
    /// It belongs to something else in the object.
    #[error("cannot be set here: it follows from the rest of the object")]
    NotFree,
    /// The broker's parser refuses it.
    #[error("the broker refuses it: {0}")]
    Refused(String),
}

/// Whether the broker would take one key.
///
/// # Errors
/// It would not.
pub fn check(key: &str, value: &Json) -> Result<(), ExtraError> {
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
    set(&mut file, key, value)?;
    serde_yaml::from_value::<BrokerFile>(file)
        .map(drop)
        .map_err(|error| ExtraError::Refused(error.to_string()))
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
    if !SECTIONS.contains(&parts[0]) || PLACED.contains(&key) {
        return Err(ExtraError::NotFree);
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
            Some(ExtraError::Refused(_))
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
}
