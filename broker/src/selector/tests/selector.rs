//! What a selector tells about itself.

use std::collections::HashSet;

use super::super::{EqualityKey, Selector};
use super::{Conversion, Message, Property, Value, parsed};

fn strict(text: &str) -> Selector {
    parsed(text, Conversion::Strict)
}

#[test]
fn text_is_normalised() {
    let rows = [
        ("a=1", "a = 1"),
        (" a  =\t1\n", "a = 1"),
        ("a=1 and not b or c is null", "a = 1 AND NOT b OR c IS NULL"),
        ("a in('x' ,'Y')", "a IN ('x', 'Y')"),
        ("( a = - 1 )", "(a = -1)"),
        ("a - 1 = -b", "a - 1 = -b"),
        ("a = - - 1", "a = - -1"),
        ("a - -1 = 0", "a - -1 = 0"),
        ("(a) -1 = +b", "(a) - 1 = +b"),
        ("a=0xff/* note */and b=1e5--end", "a = 0XFF AND b = 1E5"),
        ("a like 'And  or' escape '!'", "a LIKE 'And  or' ESCAPE '!'"),
        ("a = 'it''s'", "a = 'it''s'"),
        ("A=true", "A = TRUE"),
        ("a between -1 and+2", "a BETWEEN -1 AND +2"),
    ];
    for (text, expected) in rows {
        assert_eq!(strict(text).text(), expected);
        assert_eq!(strict(expected).text(), expected);
    }
}

#[test]
fn selectors_are_equal_by_normalised_text_and_conversion() {
    let selector = strict("a = 1 and b");
    assert_eq!(selector, strict("a=1 AND b"));
    assert_ne!(selector, strict("a = 1 AND B"));
    assert_ne!(selector, parsed("a = 1 AND b", Conversion::ConvertStrings));
    let classes: HashSet<Selector> = [
        selector.clone(),
        strict("a=1 AND b"),
        parsed("a=1 AND b", Conversion::ConvertStrings),
        strict("convert_string_expressions:a=1 AND b"),
    ]
    .into();
    assert_eq!(classes.len(), 2);
}

#[test]
fn conversion_prefix_is_stripped_and_sets_the_conversion() {
    let selector = strict("convert_string_expressions:n = 10");
    assert_eq!(selector.conversion(), Conversion::ConvertStrings);
    assert_eq!(selector.text(), "n = 10");
    let message = Message::default().with("n", "10");
    assert!(selector.matches(&message));
    assert!(!strict("n = 10").matches(&message));
}

#[test]
fn property_names_are_listed_once() {
    let text = "b = 1 AND a LIKE 'x' OR NOT c IN ('y') AND d BETWEEN a AND -e * f + 1 OR g IS NULL";
    assert_eq!(
        strict(text).property_names(),
        ["a", "b", "c", "d", "e", "f", "g"]
    );
    assert!(strict("TRUE").property_names().is_empty());
}

#[test]
fn equality_key_is_the_first_conjunct_of_name_and_literal() {
    let key = |name, literal| Some(EqualityKey { name, literal });
    let rows = [
        ("a = 'x'", key("a", Value::Str("x"))),
        ("'x' = a", key("a", Value::Str("x"))),
        ("(a = 'it''s')", key("a", Value::Str("it's"))),
        ("a = 1", key("a", Value::Int(1))),
        ("a = -1", key("a", Value::Int(-1))),
        ("a = 5000000000", key("a", Value::Long(5_000_000_000))),
        ("a = -2147483648", key("a", Value::Int(i32::MIN))),
        ("a = 1.5", key("a", Value::Double(1.5))),
        ("a = TRUE", key("a", Value::Bool(true))),
        ("b > 1 AND a = 'x'", key("a", Value::Str("x"))),
        ("a = 'x' AND b = 'y'", key("a", Value::Str("x"))),
        ("b > 1 AND (c AND a = 'x')", key("a", Value::Str("x"))),
        ("(a = 'x' OR b) AND c = 2", key("c", Value::Int(2))),
        ("a <> 'x'", None),
        ("a = 'x' OR b = 'y'", None),
        ("NOT a = 'x'", None),
        ("a = b", None),
        ("'x' = 'x'", None),
        ("a = 1 + 1", None),
        ("a = 'x' = TRUE", None),
        ("a IN ('x')", None),
        ("a LIKE 'x'", None),
    ];
    for (text, expected) in rows {
        assert_eq!(strict(text).equality_key(), expected, "{text}");
    }
}

#[test]
fn selectors_can_be_shared_between_threads() {
    const fn shared<T: Send + Sync>() {}
    shared::<Selector>();
    shared::<super::super::ClassIndex<u64>>();
}

#[test]
fn mcollective_selectors_find_their_node() {
    let text = "mc_identity = 'node7.example.net'";
    let selector = parsed(text, Conversion::ConvertStrings);
    let to = |identity: &str| Message::default().with("mc_identity", identity);
    assert!(selector.matches(&to("node7.example.net")));
    assert!(!selector.matches(&to("node8.example.net")));
    assert!(!selector.matches(&Message::default().with("mc_identity", Property::Int(7))));
}

#[test]
fn comments_and_line_ends_are_blanks() {
    let message = Message::default().with("a", Property::Int(1));
    let texts = [
        "a = 1 -- to the end",
        "a = -- note\n 1",
        "a = -- note\r\n 1",
        "/**/a/* * ** / */=/* ' */1/***/",
        "\x0ca\t=\r\n1 ",
        "a -- 1 = 2\n= 1",
    ];
    for text in texts {
        assert!(strict(text).matches(&message), "{text}");
        assert_eq!(strict(text).text(), "a = 1");
    }
}
