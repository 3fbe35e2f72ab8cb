//! Whether an object is as it is wanted: every field of ours, whatever else others or the API server added. Pure.

use serde_json::Value;

/// Whether `live` has everything that `wanted` says.
#[must_use]
pub fn holds(wanted: &Value, live: &Value) -> bool {
    subset(wanted, live, "")
}

fn subset(wanted: &Value, live: &Value, key: &str) -> bool {
    match (wanted, live) {
        (Value::Object(fields), Value::Object(others)) => fields.iter().all(|(name, field)| {
            let is_amount = matches!(key, "requests" | "limits") || name == "sizeLimit";
            match others.get(name) {
                Some(other) if is_amount => same_quantity(field, other),
                Some(other) => subset(field, other, name),
                // The API server drops what is empty.
                None => is_nothing(field),
            }
        }),
        (Value::Array(items), Value::Array(others)) => list(items, others, key),
        (Value::Object(_), Value::Null) | (Value::Array(_), Value::Null) => is_nothing(wanted),
        _ => wanted == live,
    }
}

/// Lists of named things are merged by name and others may have added to them; every other list is whole.
fn list(items: &[Value], others: &[Value], key: &str) -> bool {
    let is_named = !items.is_empty() && items.iter().all(|item| item["name"].is_string());
    if is_named {
        return items.iter().all(|item| {
            let same = others.iter().find(|other| other["name"] == item["name"]);
            same.is_some_and(|other| subset(item, other, key))
        });
    }
    items.len() == others.len()
        && items
            .iter()
            .zip(others)
            .all(|(item, other)| subset(item, other, key))
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.values().all(is_nothing),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// `1000m` and `1` are one amount; the API server writes the second.
fn same_quantity(one: &Value, other: &Value) -> bool {
    let amount = |value: &Value| match value {
        Value::String(text) => quantity(text),
        Value::Number(number) => quantity(&number.to_string()),
        _ => None,
    };
    match (amount(one), amount(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

/// A quantity in thousandths.
fn quantity(text: &str) -> Option<i128> {
    const UNITS: [(&str, i128); 13] = [
        ("Ki", 1 << 10),
        ("Mi", 1 << 20),
        ("Gi", 1 << 30),
        ("Ti", 1 << 40),
        ("Pi", 1 << 50),
        ("Ei", 1 << 60),
        ("k", 1_000),
        ("M", 1_000_000),
        ("G", 1_000_000_000),
        ("T", 1_000_000_000_000),
        ("P", 1_000_000_000_000_000),
        ("E", 1_000_000_000_000_000_000),
        ("", 1),
    ];
    let (number, thousandths) = match text.strip_suffix('m') {
        Some(number) => (number, 1),
        None => {
            let (unit, factor) = UNITS.iter().find(|(unit, _)| text.ends_with(unit))?;
            (text.strip_suffix(unit)?, factor * 1_000)
        }
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if part.len() > 9 || part.bytes().any(|byte| !byte.is_ascii_digit()) {
        return None;
    }
    let whole: i128 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let digits: i128 = if part.is_empty() {
        0
    } else {
        part.parse().ok()?
    };
    let scale = 10_i128.pow(u32::try_from(part.len()).ok()?);
    Some(whole.checked_mul(thousandths)? + digits.checked_mul(thousandths)? / scale)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_others_add_is_no_difference_and_what_they_change_is() {
        let wanted = json!({"spec": {"ports": [{"name": "stomp", "port": 61613}]}, "list": ["a"]});
        let live = json!({
            "spec": {"ports": [{"name": "other", "port": 1}, {"name": "stomp", "port": 61613, "nodePort": 3}], "more": 1},
            "list": ["a"], "status": {},
        });
        assert!(holds(&wanted, &live));
        let mut changed = live.clone();
        changed["spec"]["ports"][1]["port"] = 61614.into();
        assert!(!holds(&wanted, &changed));
        let mut longer = live;
        longer["list"] = json!(["a", "b"]);
        assert!(!holds(&wanted, &longer));
    }

    #[test]
    fn amounts_are_compared_as_amounts() {
        let of = |text: &str| json!({"resources": {"limits": {"memory": text}}});
        for (one, other) in [
            ("1024Mi", "1Gi"),
            ("1000m", "1"),
            ("0.5", "500m"),
            ("1.5Gi", "1536Mi"),
            ("2k", "2000"),
        ] {
            assert!(holds(&of(one), &of(other)), "{one} is {other}");
        }
        assert!(!holds(&of("1G"), &of("1Gi")));
        assert!(!holds(&of("64Mi"), &of("65Mi")));
    }

    #[test]
    fn an_empty_field_that_the_server_dropped_is_no_difference() {
        assert!(holds(
            &json!({"spec": {"resources": {}}}),
            &json!({"spec": {}})
        ));
        assert!(!holds(
            &json!({"spec": {"replicas": 0}}),
            &json!({"spec": {}})
        ));
    }
}
