//! YAML as trees whose nodes and keys know where they stand, and the paths that lead to them.

/// Where something stands: line and column start at 1, offset and length are bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mark {
    /// Line.
    pub line: usize,
    /// Column, in characters.
    pub column: usize,
    /// First byte.
    pub offset: usize,
    /// Bytes.
    pub length: usize,
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it stands.
    pub at: Mark,
    /// What it is.
    pub value: Value,
}

/// A YAML value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Anything that is neither list nor mapping.
    Scalar {
        /// As JSON: null, boolean, number or string.
        json: serde_json::Value,
        /// As written, for a value that was meant as a string.
        raw: String,
    },
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the text; keys are unique.
    Map(Vec<Pair>),
}

/// One pair of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub key_at: Mark,
    /// The value.
    pub value: Node,
}

impl Node {
    /// The value under a key of a mapping.
    #[must_use]
    pub fn field(&self, key: &str) -> Option<&Node> {
        self.pair(key).map(|pair| &pair.value)
    }

    /// The pair with a key of a mapping.
    #[must_use]
    pub fn pair(&self, key: &str) -> Option<&Pair> {
        match &self.value {
            Value::Map(pairs) => pairs.iter().find(|pair| pair.key == key),
            _ => None,
        }
    }

    /// The text of a string.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { json, .. } => json.as_str(),
            _ => None,
        }
    }

    /// What is written where text is expected, whatever type it turns out to have.
    #[must_use]
    pub fn raw(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { raw, .. } => Some(raw),
            _ => None,
        }
    }

    /// The same without positions.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Scalar { json, .. } => json.clone(),
            Value::List(items) => items.iter().map(Node::to_json).collect(),
            Value::Map(pairs) => pairs
                .iter()
                .map(|pair| (pair.key.clone(), pair.value.to_json()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }

    /// Where the last existing part of a path such as `spec.sites[1].name` stands: the key of a field, the
    /// item of a list.
    #[must_use]
    pub fn locate(&self, path: &str) -> Mark {
        let mut node = self;
        let mut at = self.at;
        for step in steps(path) {
            match (&node.value, step) {
                (Value::Map(_), Step::Field(name)) => {
                    let Some(pair) = node.pair(&name) else { break };
                    (node, at) = (&pair.value, pair.key_at);
                }
                (Value::List(items), Step::Item(index)) => {
                    let Some(item) = items.get(index) else { break };
                    (node, at) = (item, item.at);
                }
                _ => break,
            }
        }
        match node.value {
            Value::Scalar { .. } => node.at,
            _ => at,
        }
    }
}

/// Puts a text at a path of a decoded document, or takes the field away.
pub(super) fn mend(value: &mut serde_json::Value, path: &str, text: Option<String>) {
    let steps = steps(path);
    let Some((last, parents)) = steps.split_last() else {
        return;
    };
    let mut place = value;
    for step in parents {
        let below = match step {
            Step::Field(name) => place.get_mut(name.as_str()),
            Step::Item(index) => place.get_mut(*index),
        };
        let Some(below) = below else { return };
        place = below;
    }
    match (last, text) {
        (Step::Field(name), Some(text)) => place[name.as_str()] = text.into(),
        (Step::Field(name), None) => {
            place.as_object_mut().and_then(|fields| fields.remove(name));
        }
        (Step::Item(index), Some(text)) => {
            if let Some(item) = place.get_mut(*index) {
                *item = text.into();
            }
        }
        // Without the item every later one would have another place.
        (Step::Item(_), None) => {}
    }
}

enum Step {
    Field(String),
    Item(usize),
}

/// Splits `spec.sites[1].labels["a.b"]` into its steps.
fn steps(path: &str) -> Vec<Step> {
    let mut found = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        rest = rest.strip_prefix('.').unwrap_or(rest);
        if let Some(inside) = rest.strip_prefix("[\"") {
            let (name, after) = inside.split_once("\"]").unwrap_or((inside, ""));
            found.push(Step::Field(name.to_owned()));
            rest = after;
        } else if let Some(inside) = rest.strip_prefix('[') {
            let (index, after) = inside.split_once(']').unwrap_or((inside, ""));
            found.push(match index.parse() {
                Ok(index) => Step::Item(index),
                Err(_) => Step::Field(index.to_owned()),
            });
            rest = after;
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            if end == 0 {
                break;
            }
            found.push(Step::Field(rest[..end].to_owned()));
            rest = &rest[end..];
        }
    }
    found
}

/// Appends a field to a path, quoted where it holds more than letters, digits, `-` and `_`.
#[must_use]
pub fn field_path(path: &str, key: &str) -> String {
    let is_plain = !key.is_empty()
        && key
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "-_".contains(letter));
    match (is_plain, path.is_empty()) {
        (true, true) => key.to_owned(),
        (true, false) => format!("{path}.{key}"),
        (false, _) => format!("{path}[\"{key}\"]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_of_an_unusual_key_leads_back_to_it() {
        let path = field_path("a.b[2]", "x.y");
        assert_eq!(path, "a.b[2][\"x.y\"]");
        let mut value = serde_json::json!({"a": {"b": [0, 1, {"x.y": true}]}});
        mend(&mut value, &path, Some("yes".to_owned()));
        assert_eq!(
            value,
            serde_json::json!({"a": {"b": [0, 1, {"x.y": "yes"}]}})
        );
        mend(&mut value, &path, None);
        assert_eq!(value, serde_json::json!({"a": {"b": [0, 1, {}]}}));
    }
}
