//! What of an object may leave: pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::client::declared::LAST_APPLIED;
use crate::render;
use crate::render::redact::REDACTED;

/// Shorter texts are words that stand in many places, and no secrets that anybody should rely on.
const SHORTEST: usize = 6;
/// Keys of Secrets whose values everybody may know: names, certificates, and whole files that repeat other Secrets.
const PUBLIC_KEYS: [&str; 4] = ["username", "tls.crt", "ca.crt", "broker.yaml"];

/// An object without what nobody reads and without values of environment variables.
#[must_use]
pub fn object(mut value: Value) -> Value {
    if let Some(metadata) = value["metadata"].as_object_mut() {
        metadata.remove("managedFields");
        if let Some(Value::Object(annotations)) = metadata.get_mut("annotations") {
            annotations.remove(LAST_APPLIED);
            annotations.values_mut().for_each(nested);
        }
    }
    hide_environment(&mut value);
    value
}

/// Annotations may hold objects as text.
fn nested(annotation: &mut Value) {
    let Some(text) = annotation
        .as_str()
        .filter(|text| text.starts_with(['{', '[']))
    else {
        return;
    };
    if let Ok(mut value) = serde_json::from_str::<Value>(text) {
        hide_environment(&mut value);
        *annotation = value.to_string().into();
    }
}

/// Passwords stand in environment variables, now and then, whatever they are called.
fn hide_environment(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if let ("env", Value::Array(variables)) = (name.as_str(), &mut *field) {
                    let values = variables.iter_mut().filter_map(|one| one.get_mut("value"));
                    values.for_each(|value| *value = REDACTED.into());
                }
                hide_environment(field);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(hide_environment),
        _ => {}
    }
}

/// What may be known of a Secret: its metadata, and name and size of each key.
#[must_use]
pub fn secret(metadata: Value, kind: Option<&str>, data: &BTreeMap<String, Vec<u8>>) -> Value {
    let sizes: BTreeMap<&String, Value> = data
        .iter()
        .map(|(key, bytes)| (key, json!({"bytes": bytes.len()})))
        .collect();
    let value = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": kind, "keys": sizes,
    });
    object(value)
}

/// Replaces what is known to be secret, wherever it turns up.
#[derive(Default)]
pub struct Scrubber {
    /// Secret texts with what stands for them, the longest first.
    known: Vec<(Vec<u8>, Vec<u8>)>,
}

impl std::fmt::Debug for Scrubber {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Scrubber").finish_non_exhaustive()
    }
}

impl Scrubber {
    /// Takes the values of a Secret for secret, whole and line by line, as they are and in base64.
    pub fn learn(&mut self, name: &str, data: &BTreeMap<String, Vec<u8>>) {
        use base64::Engine as _;
        // A broker's files are secret in parts.
        let inner = render::redact::secrets(data).unwrap_or_default();
        for text in inner {
            self.add(text.as_bytes(), format!("<redacted: {name}>").as_bytes());
        }
        for (key, bytes) in data
            .iter()
            .filter(|(key, _)| !PUBLIC_KEYS.contains(&key.as_str()))
        {
            let slash = if key.is_empty() { "" } else { "/" };
            let instead = format!("<redacted: {name}{slash}{key}>").into_bytes();
            let encoded = base64::engine::general_purpose::STANDARD.encode(bytes);
            self.add(encoded.as_bytes(), &instead);
            self.add(bytes, &instead);
            let is_line = |line: &&[u8]| is_telling(line);
            let lines = bytes.split(|byte| *byte == b'\n');
            lines
                .filter(is_line)
                .for_each(|line| self.add(line, &instead));
        }
        self.known
            .sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        self.known.dedup_by(|one, other| one.0 == other.0);
    }

    /// Takes a text for secret.
    pub fn learn_text(&mut self, name: &str, text: &str) {
        let data = BTreeMap::from([(String::new(), text.as_bytes().to_owned())]);
        self.learn(name, &data);
    }

    fn add(&mut self, text: &[u8], instead: &[u8]) {
        let text = text.trim_ascii();
        if text.len() >= SHORTEST {
            self.known.push((text.to_owned(), instead.to_owned()));
        }
    }

    /// A text without any of them.
    #[must_use]
    pub fn scrub(&self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_owned();
        for (text, instead) in &self.known {
            bytes = replace(bytes, text, instead);
        }
        bytes
    }
}

/// Whether a line of a value says anything by itself: those of files and of PEM frames do not.
fn is_telling(line: &&[u8]) -> bool {
    // A line of a key in PEM has 64 letters, the last one fewer.
    line.len() >= 16 && !line.contains(&b' ') && !line.contains(&b':')
}

fn replace(bytes: Vec<u8>, text: &[u8], instead: &[u8]) -> Vec<u8> {
    let mut rest = bytes.as_slice();
    let mut replaced = Vec::new();
    while let Some(at) = find(rest, text) {
        replaced.extend_from_slice(&rest[..at]);
        replaced.extend_from_slice(instead);
        rest = &rest[at + text.len()..];
    }
    if replaced.is_empty() && rest.len() == bytes.len() {
        return bytes;
    }
    replaced.extend_from_slice(rest);
    replaced
}

fn find(bytes: &[u8], text: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(pairs: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
        let pairs = pairs.iter();
        pairs
            .map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_owned()))
            .collect()
    }

    #[test]
    fn of_a_secret_names_and_sizes_are_left() {
        let metadata = json!({"name": "s", "managedFields": [], "annotations": {LAST_APPLIED: "hunter2hunter2"}});
        let shown = secret(
            metadata,
            Some("Opaque"),
            &data(&[("password", "hunter2hunter2")]),
        );
        let expected = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {"name": "s", "annotations": {}}, "keys": {"password": {"bytes": 14}},
        });
        assert_eq!(shown, expected);
    }

    #[test]
    fn values_of_environment_variables_go_also_from_annotations_and_overrides() {
        let env =
            json!([{"name": "A", "value": "canary"}, {"name": "B", "valueFrom": {"fieldRef": {}}}]);
        let deployment = json!({
            "metadata": {"annotations": {
                "causeway.dev/template": json!({"patches": [{"env": env}]}).to_string(),
                "text": "{not json",
            }},
            "spec": {"template": {"spec": {"containers": [{"env": env}]}}},
        });
        let text = object(deployment).to_string();
        assert!(!text.contains("canary"), "{text}");
        assert!(
            text.contains("fieldRef") && text.contains("{not json"),
            "{text}"
        );
    }

    #[test]
    fn what_is_secret_is_replaced_wherever_it_is() {
        let mut scrubber = Scrubber::default();
        let key = "-----BEGIN KEY-----\nMC4CAQAwBQYDK2VwBCIEI\n-----END KEY-----\n";
        let values = [
            ("password", "wanderlust\n"),
            ("username", "mcollective"),
            ("short", "amq"),
            ("tls.key", key),
        ];
        scrubber.learn("user-a", &data(&values));
        let scrub = |text: &str| String::from_utf8(scrubber.scrub(text.as_bytes())).expect("text");
        let log =
            "mcollective amq said wanderlust, wanderlust; d2FuZGVybHVzdAo= MC4CAQAwBQYDK2VwBCIEI";
        let shown = "mcollective amq said <redacted: user-a/password>, <redacted: user-a/password>; \
            <redacted: user-a/password> <redacted: user-a/tls.key>";
        assert_eq!(scrub(log), shown);
        assert_eq!(scrub("nothing"), "nothing");
    }
}
