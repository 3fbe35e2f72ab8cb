//! Patterns: against a slow matcher, and against texts made to take long.

use super::super::eval::Budget;
use super::super::like::Pattern;
use super::{Conversion, Message, Random, Truth, parsed};

fn matches(pattern: &str, escape: Option<char>, text: &str) -> bool {
    let pattern = Pattern::new(pattern, escape);
    pattern.matches(text, &mut Budget::full()).unwrap()
}

/// The definition of LIKE without an escape character.
fn slow_matches(pattern: &[char], text: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some(('%', rest)) => (0..=text.len()).any(|start| slow_matches(rest, &text[start..])),
        Some((first, rest)) => text.split_first().is_some_and(|(character, behind)| {
            (*first == '_' || first == character) && slow_matches(rest, behind)
        }),
    }
}

#[test]
fn pattern_agrees_with_its_definition() {
    let mut random = Random(7);
    let mut hits = 0;
    for round in 0..20_000 {
        let pattern: Vec<char> = (0..random.below(8))
            .map(|_| random.pick(&['a', 'b', 'ä', '%', '%', '_']))
            .collect();
        let text: Vec<char> = (0..random.below(10))
            .map(|_| random.pick(&['a', 'a', 'b', 'ä', '\n']))
            .collect();
        let expected = slow_matches(&pattern, &text);
        let pattern: String = pattern.into_iter().collect();
        let text: String = text.into_iter().collect();
        let actual = matches(&pattern, None, &text);
        assert_eq!(actual, expected, "round {round}: {text:?} LIKE {pattern:?}");
        hits += usize::from(expected);
    }
    assert!(hits > 1000, "{hits}");
}

#[test]
fn escape_takes_effect_before_wildcards_and_itself_only() {
    let rows = [
        ("!%", '!', "%", true),
        ("!%", '!', "x", false),
        ("!_", '!', "_", true),
        ("!_", '!', "x", false),
        ("!!", '!', "!", true),
        ("!!%", '!', "!x", true),
        ("!a", '!', "!a", true),
        ("!a", '!', "a", false),
        ("a!", '!', "a!", true),
        ("!!!%", '!', "!%", true),
        ("%%", '%', "%", true),
        ("%%", '%', "x", false),
        ("%_", '%', "_", true),
        ("_%", '_', "%", true),
        ("__", '_', "_", true),
        ("ä%", 'ä', "%", true),
        ("ää%", 'ä', "äb", true),
        ("\\_%", '\\', "_rest", true),
        ("'%", '\'', "%", true),
        ("%!%%", '!', "100% sure", true),
        ("%!%%", '!', "100 sure", false),
    ];
    for (pattern, escape, text, expected) in rows {
        let actual = matches(pattern, Some(escape), text);
        assert_eq!(
            actual, expected,
            "{text:?} LIKE {pattern:?} ESCAPE {escape:?}"
        );
    }
}

#[test]
fn pattern_of_many_wildcards_is_decided_within_the_steps() {
    let text = "a".repeat(20_000);
    let message = Message::default().with("x", text.as_str());
    for pattern in [
        "%a".repeat(500) + "%b",
        "%a%".repeat(1000) + "b%",
        "%".repeat(4000) + "b",
    ] {
        let selector = parsed(&format!("x LIKE '{pattern}'"), Conversion::Strict);
        let evaluation = selector.evaluate(&message);
        assert_eq!(evaluation.truth, Truth::False);
        assert!(!evaluation.out_of_steps);
    }
    let selector = parsed(
        &format!("x LIKE '{}'", "%a".repeat(2000)),
        Conversion::Strict,
    );
    assert!(selector.matches(&message));
}

#[test]
fn pattern_that_would_take_quadratic_time_runs_out_of_steps() {
    let text = "a".repeat(60_000);
    let message = Message::default().with("x", text.as_str());
    let pattern = format!("%_{}b%", "a".repeat(4000));
    let selector = parsed(&format!("NOT x LIKE '{pattern}'"), Conversion::Strict);
    let evaluation = selector.evaluate(&message);
    assert!(evaluation.out_of_steps);
    assert_eq!(evaluation.truth, Truth::Unknown);
    assert!(!selector.matches(&message));
}
