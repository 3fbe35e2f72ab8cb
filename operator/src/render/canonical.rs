//! Canonical JSON (RFC 8785) for the hashes that all sites compare. Our keys are ASCII and our numbers
//! integers, for which sorted keys and plain printing are exactly it.

use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest, Sha256};

/// The canonical text of a value.
#[must_use]
pub fn text(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let sorted: BTreeMap<&String, &Value> = fields.iter().collect();
            let pairs = sorted
                .into_iter()
                .map(|(key, value)| format!("{}:{}", quoted(key), text(value)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(text).collect::<Vec<_>>().join(","))
        }
        Value::String(content) => quoted(content),
        other => other.to_string(),
    }
}

fn quoted(content: &str) -> String {
    Value::from(content).to_string()
}

/// `1:` and the first 16 bytes of the SHA-256 of the canonical text, in hexadecimal.
#[must_use]
pub fn hash(value: &Value) -> String {
    let digest = Sha256::digest(text(value).as_bytes());
    let hex: String = digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("1:{hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sorted_and_control_characters_escaped_as_the_rfc_says() {
        let value = serde_json::json!({
            "string": "\u{20ac}$\u{f}\nA'B\"\\\\\"/",
            "literals": [null, true, false],
            "numbers": [3, 0],
        });
        let expected =
            r#"{"literals":[null,true,false],"numbers":[3,0],"string":"€$\u000f\nA'B\"\\\\\"/"}"#;
        assert_eq!(text(&value), expected);
    }

    #[test]
    fn hashes_carry_their_algorithm() {
        assert_eq!(
            hash(&serde_json::json!({})),
            "1:44136fa355b3678a1146ad16f7e8649e"
        );
    }
}
