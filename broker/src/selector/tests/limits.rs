//! Every limit at its edge.

use super::super::eval::{Budget, OutOfSteps};
use super::super::{MAX_DEPTH, MAX_LENGTH, MAX_NODES, MAX_STEPS, Selector, SelectorError};
use super::{Conversion, Message, Random, Truth, parsed};

fn refusal(text: &str) -> Option<SelectorError> {
    Selector::parse(text, Conversion::Strict).err()
}

fn is_too_deep(text: &str) -> bool {
    matches!(refusal(text), Some(SelectorError::TooDeep { .. }))
}

#[test]
fn text_of_the_longest_length_is_accepted_and_one_more_is_not() {
    let text = format!("x = '{}'", "a".repeat(MAX_LENGTH - 6));
    assert_eq!(text.len(), MAX_LENGTH);
    assert_eq!(refusal(&text), None);
    assert_eq!(refusal(&format!("convert_string_expressions:{text}")), None);
    let expected = SelectorError::TooLong {
        limit: MAX_LENGTH,
        seen: MAX_LENGTH + 1,
    };
    assert_eq!(refusal(&format!("{text} ")), Some(expected));
    assert!(matches!(
        refusal(&" ".repeat(10 << 20)),
        Some(SelectorError::TooLong { .. })
    ));
}

#[test]
fn longest_text_without_blanks_is_accepted_again_in_its_normal_form() {
    let literal = "a".repeat(MAX_LENGTH - 12);
    for text in [
        format!("x='{literal}'AND y"),
        format!("x='{literal}'OR-y<1"),
    ] {
        let selector = parsed(&text, Conversion::Strict);
        assert!(selector.text().len() <= MAX_LENGTH);
        assert_eq!(parsed(selector.text(), Conversion::Strict), selector);
    }
}

#[test]
fn each_kind_of_nesting_ends_at_the_limit() {
    let nestings: [fn(usize) -> String; 7] = [
        |depth| format!("{}a{}", "(".repeat(depth), ")".repeat(depth)),
        |depth| format!("{}a", "NOT ".repeat(depth)),
        |depth| format!("{}a = 1", "- ".repeat(depth)),
        |depth| format!("{}a = 1", "+ ".repeat(depth)),
        |depth| format!("a = {}1{}", "(1 + ".repeat(depth), ")".repeat(depth)),
        |depth| format!("a = 1{}", " = a".repeat(depth)),
        |depth| format!("a IS NULL{}", " IS NULL".repeat(depth)),
    ];
    for nesting in nestings {
        let deepest = nesting(MAX_DEPTH);
        assert_eq!(refusal(&deepest), None, "{deepest}");
        let _ = parsed(&deepest, Conversion::Strict).evaluate(&Message::default());
        let deeper = nesting(MAX_DEPTH + 1);
        assert!(is_too_deep(&deeper), "{deeper}");
    }
}

#[test]
fn mixed_nesting_counts_together() {
    let half = MAX_DEPTH / 2;
    let text = |chain: usize| {
        let open = "(".repeat(half);
        format!("{open}a = 1{}{}", " = a".repeat(chain), ")".repeat(half))
    };
    assert_eq!(refusal(&text(half)), None);
    assert!(is_too_deep(&text(half + 1)));
}

#[test]
fn deepest_trees_fit_on_a_small_stack() {
    let nest = |open: &str, inner: &str, close: &str| {
        let (opens, closes) = (open.repeat(MAX_DEPTH), close.repeat(MAX_DEPTH));
        format!("{opens}{inner}{closes}")
    };
    let texts = [
        nest("(a OR a AND a = ", "a", ")"),
        nest("(a = -", "a", ")").replace("= -(", "= ("),
        format!("a = {}", nest("(1 + 2 * ", "3", ")")),
        format!("a OR b AND c = d = {}", nest("- ", "e * f + 1", "")),
        nest("NOT ", "a BETWEEN b * c + 1 AND 2", ""),
        nest("a BETWEEN (", "a", ""),
        nest("a BETWEEN 1 AND (a < (", "a", ""),
    ];
    let evaluate_all = move || {
        for text in texts {
            if let Ok(selector) = Selector::parse(&text, Conversion::Strict) {
                let _ = selector.evaluate(&Message::default());
            }
        }
    };
    let thread = std::thread::Builder::new().stack_size(1 << 20);
    thread.spawn(evaluate_all).unwrap().join().unwrap();
}

#[test]
fn bombs_of_parentheses_and_signs_are_refused() {
    for bomb in [
        "(".repeat(MAX_LENGTH),
        "NOT(".repeat(MAX_LENGTH / 4),
        "-(".repeat(4096),
        "+".repeat(MAX_LENGTH),
        "- ".repeat(4096),
    ] {
        assert!(is_too_deep(&bomb));
    }
}

#[test]
fn nodes_end_at_the_limit() {
    let sum = |operands: usize| format!("NOT a = 1{}", "+1".repeat(operands - 1));
    let fits = (MAX_NODES - 2) / 2;
    assert_eq!(refusal(&sum(fits)), None);
    let seen = refusal(&sum(fits + 1));
    assert!(matches!(
        seen,
        Some(SelectorError::TooManyNodes {
            limit: MAX_NODES,
            ..
        })
    ));
}

#[test]
fn strings_of_a_list_are_nodes() {
    let list = |texts: usize| format!("a IN ('x'{})", ",'y'".repeat(texts - 1));
    assert_eq!(refusal(&list(MAX_NODES - 2)), None);
    let seen = refusal(&list(MAX_NODES - 1));
    assert!(matches!(seen, Some(SelectorError::TooManyNodes { .. })));
}

#[test]
fn long_chain_of_conditions_is_no_nesting() {
    let text = "a = 1".to_owned() + &" OR a = 1".repeat(MAX_NODES / 4 - 1);
    let message = Message::default();
    assert_eq!(
        parsed(&text, Conversion::Strict).evaluate(&message).truth,
        Truth::Unknown
    );
}

#[test]
fn steps_end_at_the_limit() {
    let mut budget = Budget::full();
    for _ in 0..MAX_STEPS {
        assert_eq!(budget.step(), Ok(()));
    }
    assert_eq!(budget.step(), Err(OutOfSteps));
    assert_eq!(Budget::full().characters(MAX_STEPS as usize * 32), Ok(()));
    assert_eq!(
        Budget::full().characters(MAX_STEPS as usize * 32 + 1),
        Err(OutOfSteps)
    );
    assert_eq!(Budget::full().characters(usize::MAX), Err(OutOfSteps));
}

#[test]
fn joining_long_strings_runs_out_of_steps() {
    let long = "a".repeat(60_000);
    let message = Message::default().with("x", long.as_str());
    let text = format!("x{} = 'y'", " + x".repeat(500));
    assert!(
        parsed(&text, Conversion::Strict)
            .evaluate(&message)
            .out_of_steps
    );
}

#[test]
fn comparing_long_strings_over_and_over_runs_out_of_steps() {
    let long = "a".repeat(60_000);
    let message = Message::default().with("x", long.as_str());
    for comparison in ["x = x", "x <= x"] {
        let text = comparison.to_owned() + &format!(" AND {comparison}").repeat(200);
        assert!(
            parsed(&text, Conversion::Strict)
                .evaluate(&message)
                .out_of_steps
        );
    }
}

#[test]
fn arbitrary_text_is_accepted_or_refused_and_never_panics() {
    const PARTS: [&str; 45] = [
        "a", "b", "AND", "OR", "NOT", "IN", "IS", "NULL", "LIKE", "ESCAPE", "BETWEEN", "TRUE",
        "FALSE", "XPATH", "'x'", "''", "'", "1", "0x1F", "017", "5.", ".5", "5E10", "5E", "(", ")",
        "(", ")", ",", "+", "-", "*", "/", "%", "=", "<>", "<", "<=", ">", ">=", "--", "/*", "*/",
        "ä", "\u{0}",
    ];
    let mut random = Random(11);
    let message = Message::default().with("a", "1");
    let mut accepted = 0;
    for _ in 0..100_000 {
        let mut text = String::new();
        for _ in 0..random.below(12) {
            text.push_str(random.pick(&PARTS));
            if !random.chance(4) {
                text.push(' ');
            }
        }
        let Ok(selector) = Selector::parse(&text, Conversion::ConvertStrings) else {
            continue;
        };
        accepted += 1;
        let _ = selector.evaluate(&message);
        let again = parsed(selector.text(), Conversion::ConvertStrings);
        assert_eq!(again, selector, "{text}");
        assert_eq!(
            again.evaluate(&message),
            selector.evaluate(&message),
            "{text}"
        );
    }
    assert!(accepted > 500, "{accepted}");
}
