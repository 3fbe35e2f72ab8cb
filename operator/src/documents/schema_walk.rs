//! A document's tree against the schema that `causeway crds` prints, every problem at once.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::tree::{Mark, Node, Pair, Value, field_path};
use crate::api::patterns;

/// One thing the schema forbids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Where it stands.
    pub at: Mark,
    /// Path of the field.
    pub path: String,
    /// What is wrong.
    pub reason: String,
    /// What to do.
    pub help: Option<String>,
    /// What lets the rest of the document be decoded all the same.
    pub repair: Repair,
}

/// How a document can be decoded in spite of a violation, to find what else is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repair {
    /// It can be decoded as it is.
    None,
    /// The value was meant as this text.
    Text(String),
    /// The field has to be left out.
    Drop,
}

/// Walks `node` along `schema` and returns what is wrong, in the order of the text.
#[must_use]
pub fn walk(node: &Node, schema: &Json, path: &str) -> Vec<Violation> {
    let mut walk = Walk { found: Vec::new() };
    walk.node(node, node.at, schema, path);
    walk.found
}

struct Walk {
    found: Vec<Violation>,
}

impl Walk {
    fn add(&mut self, at: Mark, path: &str, reason: impl Into<String>, help: Option<String>) {
        self.add_with(at, path, reason, help, Repair::None);
    }

    fn add_with(
        &mut self,
        at: Mark,
        path: &str,
        reason: impl Into<String>,
        help: Option<String>,
        repair: Repair,
    ) {
        self.found.push(Violation {
            at,
            path: path.to_owned(),
            reason: reason.into(),
            help,
            repair,
        });
    }

    /// `at` is what to mark when the node itself has no place, as an empty value has none.
    fn node(&mut self, node: &Node, at: Mark, schema: &Json, path: &str) {
        let Some(wanted) = schema["type"].as_str() else {
            return;
        };
        match (&node.value, wanted) {
            (Value::Map(pairs), "object") => self.object(node, at, pairs, schema, path),
            (Value::List(items), "array") => self.list(at, items, schema, path),
            (Value::Scalar { json, .. }, _) if json.is_null() => {
                if schema["nullable"] != Json::Bool(true) {
                    let reason = format!("is empty; expected {}", article(wanted));
                    self.add_with(at, path, reason, None, Repair::Drop);
                }
            }
            (
                Value::Scalar {
                    json: Json::String(text),
                    ..
                },
                "string",
            ) => {
                self.text(node.at, text, schema, path);
            }
            (
                Value::Scalar {
                    json: Json::Bool(_),
                    ..
                },
                "boolean",
            ) => {}
            (
                Value::Scalar {
                    json: Json::Number(number),
                    ..
                },
                "integer" | "number",
            ) if wanted == "number" || number.is_i64() || number.is_u64() => {
                self.number(node.at, number, schema, path);
            }
            (value, _) => self.wrong_type(node.at, value, wanted, path),
        }
    }

    fn wrong_type(&mut self, at: Mark, value: &Value, wanted: &str, path: &str) {
        let (found, raw) = match value {
            Value::Map(_) => ("a mapping".to_owned(), None),
            Value::List(_) => ("a list".to_owned(), None),
            Value::Scalar {
                json: Json::Bool(truth),
                raw,
            } => (format!("the boolean {truth}"), Some(raw)),
            Value::Scalar {
                json: Json::Number(_),
                raw,
            } => (format!("the number {raw}"), Some(raw)),
            Value::Scalar { .. } => ("text".to_owned(), None),
        };
        let (help, repair) = match (wanted, raw) {
            ("string", Some(raw)) => (
                Some(format!("an unquoted {raw} is not text; write \"{raw}\"")),
                Repair::Text(raw.clone()),
            ),
            _ => (None, Repair::Drop),
        };
        self.add_with(
            at,
            path,
            format!("expected {}, found {found}", article(wanted)),
            help,
            repair,
        );
    }

    fn object(&mut self, node: &Node, at: Mark, pairs: &[Pair], schema: &Json, path: &str) {
        let none = serde_json::Map::new();
        let known = schema["properties"].as_object().unwrap_or(&none);
        let others = schema
            .get("additionalProperties")
            .filter(|others| others.is_object());
        let keeps_unknown = schema["x-kubernetes-preserve-unknown-fields"] == Json::Bool(true);
        for pair in pairs {
            let below = field_path(path, &pair.key);
            let at = place_of(pair);
            match known.get(&pair.key).or(others) {
                Some(schema) => self.node(&pair.value, at, schema, &below),
                None if keeps_unknown => {}
                None => {
                    let names = known.keys().map(String::as_str);
                    let help =
                        nearest(&pair.key, names).map(|name| format!("did you mean {name}?"));
                    self.add(
                        pair.key_at,
                        &below,
                        format!("unknown field {}", pair.key),
                        help,
                    );
                }
            }
        }
        for name in schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Json::as_str)
        {
            if node.field(name).is_none() {
                self.add_with(
                    at,
                    path,
                    format!("the field {name} is missing"),
                    None,
                    Repair::Drop,
                );
            }
        }
        if let Some(most) = schema["maxProperties"].as_u64()
            && pairs.len() as u64 > most
        {
            self.add(
                at,
                path,
                format!("has {} entries; at most {most} are allowed", pairs.len()),
                None,
            );
        }
    }

    fn list(&mut self, at: Mark, items: &[Node], schema: &Json, path: &str) {
        let count = items.len() as u64;
        let (least, most) = (schema["minItems"].as_u64(), schema["maxItems"].as_u64());
        match (least, most) {
            (Some(least), Some(most)) if least == most && count != least => {
                self.add(
                    at,
                    path,
                    format!("has {count} entries; exactly {least} are needed"),
                    None,
                );
            }
            (Some(least), _) if count < least => {
                self.add(
                    at,
                    path,
                    format!("has {count} entries; at least {least} is needed"),
                    None,
                );
            }
            (_, Some(most)) if count > most => {
                self.add(
                    at,
                    path,
                    format!("has {count} entries; at most {most} are allowed"),
                    None,
                );
            }
            _ => {}
        }
        for (index, item) in items.iter().enumerate() {
            self.node(item, item.at, &schema["items"], &format!("{path}[{index}]"));
        }
        match schema["x-kubernetes-list-type"].as_str() {
            Some("map") => self.keys(items, schema, path),
            Some("set") => self.set(items, path),
            _ => {}
        }
    }

    fn keys(&mut self, items: &[Node], schema: &Json, path: &str) {
        for key in schema["x-kubernetes-list-map-keys"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let Some(key) = key.as_str() else { continue };
            let mut seen = BTreeMap::new();
            for (index, item) in items.iter().enumerate() {
                let Some(value) = item.field(key) else {
                    continue;
                };
                let Some(text) = value.text() else { continue };
                if let Some(first) = seen.insert(text, value.at.line) {
                    let reason =
                        format!("{text} is the {key} of an earlier entry too, on line {first}");
                    self.add(value.at, &format!("{path}[{index}].{key}"), reason, None);
                }
            }
        }
    }

    fn set(&mut self, items: &[Node], path: &str) {
        let mut seen = BTreeMap::new();
        for (index, item) in items.iter().enumerate() {
            let Some(text) = item.text() else { continue };
            if let Some(first) = seen.insert(text, item.at.line) {
                let reason = format!("{text} is listed twice; the first is on line {first}");
                self.add(item.at, &format!("{path}[{index}]"), reason, None);
            }
        }
    }

    fn text(&mut self, at: Mark, text: &str, schema: &Json, path: &str) {
        let length = text.chars().count() as u64;
        if let Some(values) = schema["enum"].as_array()
            && !values.iter().any(|value| value.as_str() == Some(text))
        {
            let names: Vec<_> = values.iter().filter_map(Json::as_str).collect();
            let help =
                nearest(text, names.iter().copied()).map(|name| format!("did you mean {name}?"));
            let reason = format!("{text} is not one of {}", names.join(", "));
            self.add_with(at, path, reason, help, Repair::Drop);
        }
        if schema["minLength"]
            .as_u64()
            .is_some_and(|least| length < least)
        {
            self.add(at, path, "must not be empty", None);
            return;
        }
        if let Some(most) = schema["maxLength"].as_u64()
            && length > most
        {
            self.add(
                at,
                path,
                format!("has {length} characters; at most {most} are allowed"),
                None,
            );
        }
        let pattern = schema["pattern"].as_str().and_then(patterns::find);
        if let Some(known) = pattern.filter(|known| !(known.matches)(text)) {
            self.add(at, path, format!("{text:?} must be {}", known.words), None);
        }
    }

    fn number(&mut self, at: Mark, number: &serde_json::Number, schema: &Json, path: &str) {
        let value = number.as_f64().unwrap_or(f64::NAN);
        let (least, most) = (schema["minimum"].as_f64(), schema["maximum"].as_f64());
        let is_inside =
            least.is_none_or(|least| value >= least) && most.is_none_or(|most| value <= most);
        if !is_inside {
            let bounds = match (least, most) {
                (Some(least), Some(most)) => format!("{least} to {most}"),
                (Some(least), None) => format!("at least {least}"),
                (None, most) => format!("at most {}", most.unwrap_or_default()),
            };
            self.add(
                at,
                path,
                format!("{number} is out of range: {bounds}"),
                None,
            );
        }
    }
}

fn place_of(pair: &Pair) -> Mark {
    match pair.value.value {
        Value::Scalar { .. } if pair.value.at.length > 0 => pair.value.at,
        _ => pair.key_at,
    }
}

fn article(kind: &str) -> &'static str {
    match kind {
        "object" => "a mapping",
        "array" => "a list",
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        _ => "something else",
    }
}

/// The known name nearest to what was written, unless everything is far from it.
pub fn nearest<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = written.to_lowercase();
    known
        .map(|name| (distance(&lower, &name.to_lowercase()), name))
        .min()
        .filter(|(steps, name)| *steps <= 1.max(written.len().max(name.len()) / 3))
        .map(|(_, name)| name)
}

/// Letters to insert, remove, replace or swap with their neighbour.
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (
        from.chars().take(64).collect(),
        to.chars().take(64).collect(),
    );
    let mut rows = vec![(0..=to.len()).collect::<Vec<_>>()];
    for (row, letter) in from.iter().enumerate() {
        let mut next = vec![row + 1];
        for (column, other) in to.iter().enumerate() {
            let replaced = rows[row][column] + usize::from(letter != other);
            let mut best = replaced
                .min(rows[row][column + 1] + 1)
                .min(next[column] + 1);
            if row > 0 && column > 0 && from[row - 1] == *other && to[column - 1] == *letter {
                best = best.min(rows[row - 1][column - 1] + 1);
            }
            next.push(best);
        }
        rows.push(next);
    }
    rows.last()
        .and_then(|row| row.last())
        .copied()
        .unwrap_or_default()
}
