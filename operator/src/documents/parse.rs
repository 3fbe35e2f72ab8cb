//! YAML text to trees.
//!
//! Scalars are typed as kubectl types them (YAML 1.1): an unquoted `no` is a boolean. Size, depth and the
//! number of nodes, those of aliases included, are bounded.

use std::collections::BTreeMap;

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Span, StrInput};

use super::tree::{Mark, Node, Pair, Value};

/// Bytes of one file.
pub const MAX_BYTES: usize = 16 << 20;
/// Nodes of one file, copies made by aliases included.
pub const MAX_NODES: usize = 1_000_000;
/// Depth of a tree.
pub const MAX_DEPTH: usize = 64;

/// What is wrong with a text as YAML, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    /// The parser's own words.
    #[error("not YAML: {0}")]
    Syntax(String),
    /// A key that is there already.
    #[error("the key {key} is given twice; the first is on line {first}")]
    DuplicateKey {
        /// The key.
        key: String,
        /// Line of the first.
        first: usize,
    },
    /// A list or mapping as a key.
    #[error("a key must be text")]
    KeyNotText,
    /// `<<` with something else than mappings.
    #[error("`<<` takes a mapping or a list of mappings")]
    MergeNotMapping,
    /// More than [`MAX_BYTES`].
    #[error("larger than 16 MiB")]
    TooLarge,
    /// More than [`MAX_NODES`].
    #[error("more than a million values, aliases included")]
    TooMany,
    /// Deeper than [`MAX_DEPTH`].
    #[error("nested deeper than 64 levels")]
    TooDeep,
}

/// What a text holds: the documents before the first syntax error, and every error.
#[derive(Debug, Default)]
pub struct Parsed {
    /// Roots of the documents that are not empty.
    pub documents: Vec<Node>,
    /// Errors with their places.
    pub errors: Vec<(SyntaxError, Mark)>,
}

/// Reads a text; an error that is not a duplicate key ends it.
#[must_use]
pub fn parse(text: &str) -> Parsed {
    let mut parsed = Parsed::default();
    if text.len() > MAX_BYTES {
        parsed.errors.push((SyntaxError::TooLarge, Mark::default()));
        return parsed;
    }
    let mut builder = Builder {
        parser: Parser::new_from_str(text),
        text,
        anchors: BTreeMap::new(),
        nodes: 0,
        errors: Vec::new(),
    };
    loop {
        match builder.document() {
            Ok(Some(root)) if is_empty(&root) => {}
            Ok(Some(root)) => parsed.documents.push(root),
            Ok(None) => break,
            Err(Stop(error, at)) => {
                builder.errors.push((error, at));
                break;
            }
        }
    }
    parsed.errors = builder.errors;
    parsed
}

fn is_empty(node: &Node) -> bool {
    matches!(&node.value, Value::Scalar { json, .. } if json.is_null())
}

struct Stop(SyntaxError, Mark);

struct Builder<'text> {
    parser: Parser<'text, StrInput<'text>>,
    text: &'text str,
    /// Finished anchored nodes with their depth.
    anchors: BTreeMap<usize, (Node, usize)>,
    nodes: usize,
    errors: Vec<(SyntaxError, Mark)>,
}

impl<'text> Builder<'text> {
    fn event(&mut self) -> Result<Option<(Event<'text>, Mark)>, Stop> {
        loop {
            match self.parser.next() {
                None => return Ok(None),
                Some(Ok((Event::Anchor(..) | Event::Comment(..), _))) => {}
                Some(Ok((event, span))) => return Ok(Some((event, self.mark(&span)))),
                Some(Err(error)) => {
                    let at = error.marker();
                    let place = Mark {
                        line: at.line(),
                        column: at.col() + 1,
                        offset: at
                            .byte_offset()
                            .unwrap_or(self.text.len())
                            .min(self.text.len()),
                        length: 0,
                    };
                    return Err(Stop(SyntaxError::Syntax(error.info()), place));
                }
            }
        }
    }

    fn mark(&self, span: &Span) -> Mark {
        let range = span.byte_range().unwrap_or_default();
        let slice = self.text.get(range.clone()).unwrap_or_default();
        let first_line = slice.lines().next().unwrap_or_default().trim_end();
        Mark {
            line: span.start.line(),
            column: span.start.col() + 1,
            offset: range.start,
            length: first_line.len(),
        }
    }

    fn document(&mut self) -> Result<Option<Node>, Stop> {
        self.anchors.clear();
        while let Some((event, at)) = self.event()? {
            match event {
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                Event::StreamEnd => return Ok(None),
                other => return self.node(other, at, 0).map(|(node, _)| Some(node)),
            }
        }
        Ok(None)
    }

    /// Builds the node that starts with `event`; returns it with its own depth.
    fn node(&mut self, event: Event<'text>, at: Mark, level: usize) -> Result<(Node, usize), Stop> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(Stop(SyntaxError::TooMany, at));
        }
        if level > MAX_DEPTH {
            return Err(Stop(SyntaxError::TooDeep, at));
        }
        let (anchor, built) = match event {
            Event::Alias(id) => return self.alias(id, at, level),
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = style != ScalarStyle::Plain
                    || tag.as_ref().is_some_and(|tag| tag.suffix() == "str");
                let json = if is_text {
                    text.clone().into_owned().into()
                } else {
                    plain(&text)
                };
                let value = Value::Scalar {
                    json,
                    raw: text.into_owned(),
                };
                (anchor, (Node { at, value }, 0))
            }
            Event::SequenceStart(_, anchor, _) => (anchor, self.list(at, level)?),
            Event::MappingStart(_, anchor, _) => (anchor, self.map(at, level)?),
            _ => {
                return Err(Stop(
                    SyntaxError::Syntax("a value is missing".to_owned()),
                    at,
                ));
            }
        };
        if anchor != 0 {
            self.anchors.insert(anchor, built.clone());
        }
        Ok(built)
    }

    fn alias(&mut self, id: usize, at: Mark, level: usize) -> Result<(Node, usize), Stop> {
        let Some((node, depth)) = self.anchors.get(&id).cloned() else {
            return Err(Stop(
                SyntaxError::Syntax("an alias inside its own anchor".to_owned()),
                at,
            ));
        };
        if level + depth > MAX_DEPTH {
            return Err(Stop(SyntaxError::TooDeep, at));
        }
        self.nodes += count(&node);
        if self.nodes > MAX_NODES {
            return Err(Stop(SyntaxError::TooMany, at));
        }
        Ok((node, depth))
    }

    fn list(&mut self, at: Mark, level: usize) -> Result<(Node, usize), Stop> {
        let (mut items, mut depth) = (Vec::new(), 0);
        while let Some((event, place)) = self.event()? {
            if event == Event::SequenceEnd {
                break;
            }
            let (item, below) = self.node(event, place, level + 1)?;
            depth = depth.max(below + 1);
            items.push(item);
        }
        Ok((
            Node {
                at,
                value: Value::List(items),
            },
            depth,
        ))
    }

    fn map(&mut self, at: Mark, level: usize) -> Result<(Node, usize), Stop> {
        let (mut pairs, mut merged, mut depth) = (Vec::new(), Vec::new(), 0);
        let mut lines: BTreeMap<String, usize> = BTreeMap::new();
        while let Some((event, key_at)) = self.event()? {
            if event == Event::MappingEnd {
                break;
            }
            let is_merge =
                matches!(&event, Event::Scalar(text, ScalarStyle::Plain, ..) if text == "<<");
            let (key, _) = self.node(event, key_at, level + 1)?;
            let Value::Scalar { raw: key, .. } = key.value else {
                return Err(Stop(SyntaxError::KeyNotText, key_at));
            };
            let Some((event, place)) = self.event()? else {
                break;
            };
            let (value, below) = self.node(event, place, level + 1)?;
            depth = depth.max(below + 1);
            if is_merge {
                merge(value, &mut merged)?;
            } else if let Some(&first) = lines.get(&key) {
                self.errors
                    .push((SyntaxError::DuplicateKey { key, first }, key_at));
            } else {
                lines.insert(key.clone(), key_at.line);
                pairs.push(Pair { key, key_at, value });
            }
        }
        for pair in merged {
            if lines.insert(pair.key.clone(), pair.key_at.line).is_none() {
                pairs.push(pair);
            }
        }
        Ok((
            Node {
                at,
                value: Value::Map(pairs),
            },
            depth,
        ))
    }
}

fn merge(value: Node, into: &mut Vec<Pair>) -> Result<(), Stop> {
    match value.value {
        Value::Map(pairs) => into.extend(pairs),
        Value::List(items) => {
            for item in items {
                let Value::Map(pairs) = item.value else {
                    return Err(Stop(SyntaxError::MergeNotMapping, item.at));
                };
                into.extend(pairs);
            }
        }
        Value::Scalar { .. } => return Err(Stop(SyntaxError::MergeNotMapping, value.at)),
    }
    Ok(())
}

fn count(node: &Node) -> usize {
    1 + match &node.value {
        Value::Scalar { .. } => 0,
        Value::List(items) => items.iter().map(count).sum(),
        Value::Map(pairs) => pairs.iter().map(|pair| 1 + count(&pair.value)).sum(),
    }
}

/// The type of an unquoted scalar in YAML 1.1, as far as JSON has it.
fn plain(text: &str) -> serde_json::Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return serde_json::Value::Null,
        "true" | "True" | "TRUE" | "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => {
            return true.into();
        }
        "false" | "False" | "FALSE" | "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
            return false.into();
        }
        _ => {}
    }
    if let Some(number) = integer(text) {
        return number.into();
    }
    let is_number = text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first))
        && text.contains(|letter: char| letter.is_ascii_digit())
        && text
            .chars()
            .all(|letter| letter.is_ascii_digit() || "+-.eE".contains(letter));
    match text.parse::<f64>() {
        Ok(number) if is_number => number.into(),
        _ => text.into(),
    }
}

fn integer(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix(['-', '+']) {
        Some(rest) if text.starts_with('-') => ("-", rest),
        Some(rest) => ("", rest),
        None => ("", text),
    };
    if !digits.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let digits = digits.replace('_', "");
    let (radix, digits) = if let Some(rest) = digits.strip_prefix("0x") {
        (16, rest)
    } else if let Some(rest) = digits.strip_prefix("0b") {
        (2, rest)
    } else if let Some(rest) = digits.strip_prefix("0o") {
        (8, rest)
    } else if digits.len() > 1 && digits.starts_with('0') {
        (8, &digits[1..])
    } else {
        (10, digits.as_str())
    };
    i64::from_str_radix(&format!("{sign}{digits}"), radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "a: 1\nlist:\n  - {name: é, x.y: [no, 'no']}\n---\nb: &b {c: 0x10}\nd: {<<: *b, e: ~}\n";

    #[test]
    fn nodes_and_keys_know_where_they_stand() {
        let parsed = parse(TEXT);
        assert_eq!(parsed.errors, []);
        let at = |path: &str| {
            let mark = parsed.documents[0].locate(path);
            (
                mark.line,
                mark.column,
                &TEXT[mark.offset..mark.offset + mark.length],
            )
        };
        assert_eq!(at("a"), (1, 4, "1"));
        assert_eq!(at("list"), (2, 1, "list"));
        assert_eq!(at("list[0].name"), (3, 12, "é"));
        assert_eq!(at("list[0][\"x.y\"]"), (3, 15, "x.y"));
        assert_eq!(at("list[0][\"x.y\"][1]"), (3, 25, "'no'"));
        assert_eq!(at("list[0].missing"), at("list[0]"));
    }

    #[test]
    fn scalars_have_the_types_kubectl_gives_them() {
        let parsed = parse(TEXT);
        let expected = serde_json::json!({"a": 1, "list": [{"name": "é", "x.y": [false, "no"]}]});
        assert_eq!(parsed.documents[0].to_json(), expected);
        let expected = serde_json::json!({"b": {"c": 16}, "d": {"e": null, "c": 16}});
        assert_eq!(parsed.documents[1].to_json(), expected);
        for (text, expected) in [
            ("010", serde_json::json!(8)),
            ("-7", serde_json::json!(-7)),
            ("1.5", serde_json::json!(1.5)),
            ("1.5.2", serde_json::json!("1.5.2")),
            ("10.0.0.1", serde_json::json!("10.0.0.1")),
            ("-", serde_json::json!("-")),
            ("Yes", serde_json::json!(true)),
            ("yEs", serde_json::json!("yEs")),
            ("1e3", serde_json::json!(1000.0)),
            ("61613s", serde_json::json!("61613s")),
        ] {
            assert_eq!(plain(text), expected, "{text}");
        }
    }
}
