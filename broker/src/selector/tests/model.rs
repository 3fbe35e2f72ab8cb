//! Random trees, evaluated by the selector of their text and by a slow evaluator that knows
//! neither precedence nor chains, steps nor shortcuts.

use std::fmt;

use super::super::Truth;
use super::{Conversion, Message, Property, Random, parsed, truth};

/// A tree; its text has parentheses around every part.
#[derive(Debug, Clone)]
pub(super) enum Tree {
    Name(&'static str),
    Literal(Property),
    Not(Box<Tree>),
    Binary(Box<Tree>, &'static str, Box<Tree>),
    Null(Box<Tree>, bool),
    Between(Box<[Tree; 3]>, bool),
    In(&'static str, Vec<&'static str>, bool),
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let not = |negated: bool| if negated { "NOT " } else { "" };
        match self {
            Self::Name(name) => write!(f, "{name}"),
            Self::Literal(Property::Text(text)) => write!(f, "'{text}'"),
            Self::Literal(Property::Bool(value)) => write!(f, "{value}"),
            Self::Literal(Property::Int(value)) => write!(f, "{value}"),
            Self::Literal(Property::Long(value)) => write!(f, "{value}"),
            Self::Literal(Property::Double(value)) => write!(f, "{value:?}"),
            Self::Not(tree) => write!(f, "(NOT {tree})"),
            Self::Binary(left, operator, right) => write!(f, "({left} {operator} {right})"),
            Self::Null(tree, negated) => write!(f, "({tree} IS {}NULL)", not(*negated)),
            Self::Between(trees, negated) => {
                let [operand, low, high] = &**trees;
                write!(f, "({operand} {}BETWEEN {low} AND {high})", not(*negated))
            }
            Self::In(name, texts, negated) => {
                write!(f, "({name} {}IN ('{}'))", not(*negated), texts.join("', '"))
            }
        }
    }
}

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "x"];
const TEXTS: [&str; 8] = ["x", "y", "true", "FALSE", "1", "07", "2.5", "-3"];

pub(super) fn property(random: &mut Random) -> Property {
    match random.below(7) {
        0 => Property::Bool(random.chance(2)),
        1 => Property::Int(random.pick(&[-3, 0, 1, 7])),
        2 => Property::Long(random.pick(&[5_000_000_000, 1, 7])),
        3 => Property::Double(random.pick(&[2.5, 1.0, -0.0])),
        _ => Property::Text(random.pick(&TEXTS).to_owned()),
    }
}

pub(super) fn message(random: &mut Random) -> Message {
    let mut message = Message::default();
    for name in NAMES {
        if !random.chance(4) {
            message = message.with(name, property(random));
        }
    }
    message
}

fn ordered(random: &mut Random, depth: usize) -> Tree {
    match random.below(if depth == 0 { 3 } else { 4 }) {
        0 | 1 => Tree::Name(random.pick(&NAMES)),
        2 => match property(random) {
            Property::Bool(_) | Property::Text(_) => Tree::Literal(Property::Int(1)),
            number => Tree::Literal(number),
        },
        _ => {
            let operator = random.pick(&["+", "-", "*", "/", "%"]);
            let (left, right) = (ordered(random, depth - 1), ordered(random, depth - 1));
            Tree::Binary(left.into(), operator, right.into())
        }
    }
}

pub(super) fn condition(random: &mut Random, depth: usize) -> Tree {
    let kinds = if depth == 0 { 6 } else { 10 };
    match random.below(kinds) {
        0 => Tree::Name(random.pick(&NAMES)),
        1 | 2 => {
            let (name, literal) = (Tree::Name(random.pick(&NAMES)), property(random));
            let operator = random.pick(&["=", "=", "=", "<>"]);
            Tree::Binary(name.into(), operator, Tree::Literal(literal).into())
        }
        3 => {
            let operator = random.pick(&["<", "<=", ">", ">=", "=", "<>"]);
            let (left, right) = (ordered(random, depth), ordered(random, depth));
            Tree::Binary(left.into(), operator, right.into())
        }
        4 => Tree::In(
            random.pick(&NAMES),
            vec!["y", "true", "1"],
            random.chance(2),
        ),
        5 if random.chance(2) => Tree::Null(ordered(random, depth).into(), random.chance(2)),
        5 => {
            let operands = [0; 3].map(|_| ordered(random, depth));
            Tree::Between(operands.into(), random.chance(2))
        }
        6 => Tree::Not(condition(random, depth - 1).into()),
        kind => {
            let operator = ["AND", "OR", random.pick(&["AND", "=", "<>"])][kind - 7];
            let (left, right) = (condition(random, depth - 1), condition(random, depth - 1));
            Tree::Binary(left.into(), operator, right.into())
        }
    }
}

/// The slow evaluator.
struct Slow<'m> {
    message: &'m Message,
    converts: bool,
}

impl Slow<'_> {
    fn truth(&self, tree: &Tree) -> Option<bool> {
        match self.value(tree) {
            None => None,
            Some(Property::Bool(value)) => Some(value),
            Some(_) => Some(false),
        }
    }

    fn value(&self, tree: &Tree) -> Option<Property> {
        match tree {
            Tree::Name(name) => self.message.0.get(*name).cloned(),
            Tree::Literal(literal) => Some(literal.clone()),
            Tree::Not(tree) => Some(Property::Bool(!self.truth(tree)?)),
            Tree::Null(tree, negated) => {
                Some(Property::Bool(self.value(tree).is_none() != *negated))
            }
            Tree::In(name, texts, negated) => match self.message.0.get(*name)? {
                Property::Text(text) => {
                    Some(Property::Bool(texts.contains(&text.as_str()) != *negated))
                }
                _ => None,
            },
            Tree::Between(trees, negated) => {
                let [operand, low, high] = &**trees;
                let (lower, join, upper) = if *negated {
                    ("<", "OR", ">")
                } else {
                    (">=", "AND", "<=")
                };
                let part = |operator, limit: &Tree| {
                    Tree::Binary(operand.clone().into(), operator, limit.clone().into())
                };
                let (lower, upper) = (part(lower, low), part(upper, high));
                self.value(&Tree::Binary(lower.into(), join, upper.into()))
            }
            Tree::Binary(left, "AND", right) => {
                let (left, right) = (self.truth(left), self.truth(right));
                if left == Some(false) || right == Some(false) {
                    return Some(Property::Bool(false));
                }
                left.and(right).map(Property::Bool)
            }
            Tree::Binary(left, "OR", right) => {
                let (left, right) = (self.truth(left), self.truth(right));
                if left == Some(true) || right == Some(true) {
                    return Some(Property::Bool(true));
                }
                left.and(right).map(Property::Bool)
            }
            Tree::Binary(left, operator @ ("+" | "-" | "*" | "/" | "%"), right) => {
                self.arithmetic(&self.value(left)?, operator, &self.value(right)?)
            }
            Tree::Binary(left, operator, right) => {
                self.compare(left, operator, right).map(Property::Bool)
            }
        }
    }

    fn compare(&self, left: &Tree, operator: &str, right: &Tree) -> Option<bool> {
        let (left, right) = (self.value(left)?, self.value(right)?);
        if operator == "<>" {
            return Some(!self.holds(&left, "=", &right));
        }
        Some(self.holds(&left, operator, &right))
    }

    fn holds(&self, left: &Property, operator: &str, right: &Property) -> bool {
        use Property::{Bool, Text};
        if let (Text(left), Text(right)) = (left, right) {
            return decide(operator, left, right);
        }
        match (left, right) {
            (Bool(left), Bool(right)) => operator == "=" && left == right,
            (Text(text), Bool(value)) | (Bool(value), Text(text)) => {
                self.converts && operator == "=" && text.eq_ignore_ascii_case("true") == *value
            }
            _ => match (self.number(left), self.number(right)) {
                (Some(left), Some(right)) => decide(operator, &left.1, &right.1),
                _ => false,
            },
        }
    }

    /// Width and value; the values of these tests are exact in a double.
    fn number(&self, property: &Property) -> Option<(u8, f64)> {
        match property {
            Property::Bool(_) => None,
            Property::Int(value) => Some((1, f64::from(*value))),
            Property::Long(value) => Some((2, *value as f64)),
            Property::Double(value) => Some((3, *value)),
            Property::Text(text) if self.converts => {
                let value = text.parse().ok()?;
                Some((if text.contains('.') { 3 } else { 1 }, value))
            }
            Property::Text(_) => None,
        }
    }

    fn arithmetic(&self, left: &Property, operator: &str, right: &Property) -> Option<Property> {
        if let (Property::Text(text), "+") = (left, operator) {
            return Some(Property::Text(match right {
                Property::Text(right) => format!("{text}{right}"),
                other => format!("{text}{}", Tree::Literal(other.clone())),
            }));
        }
        let (left, right) = (self.number(left)?, self.number(right)?);
        let width = left.0.max(right.0);
        let exact = match operator {
            "/" => return Some(Property::Double(left.1 / right.1)),
            "%" => return Some(Property::Double(left.1 % right.1)),
            _ if width == 3 => {
                return Some(Property::Double(match operator {
                    "+" => left.1 + right.1,
                    "-" => left.1 - right.1,
                    _ => left.1 * right.1,
                }));
            }
            "+" => left.1 as i128 + right.1 as i128,
            "-" => left.1 as i128 - right.1 as i128,
            _ => left.1 as i128 * right.1 as i128,
        };
        Some(if width == 1 {
            Property::Int(exact as i32)
        } else {
            Property::Long(exact as i64)
        })
    }
}

fn decide<T: PartialOrd + ?Sized>(operator: &str, left: &T, right: &T) -> bool {
    match operator {
        "=" => left == right,
        "<" => left < right,
        "<=" => left <= right,
        ">" => left > right,
        _ => left >= right,
    }
}

#[test]
fn selectors_agree_with_a_slow_evaluator() {
    let mut random = Random(42);
    let mut seen = [0; 3];
    for round in 0..30_000 {
        let tree = condition(&mut random, 3);
        let message = message(&mut random);
        for conversion in [Conversion::Strict, Conversion::ConvertStrings] {
            let slow = Slow {
                message: &message,
                converts: conversion == Conversion::ConvertStrings,
            };
            let expected = match slow.truth(&tree) {
                Some(true) => Truth::True,
                Some(false) => Truth::False,
                None => Truth::Unknown,
            };
            let actual = truth(&tree.to_string(), conversion, &message);
            assert_eq!(
                actual, expected,
                "round {round}: {tree} ({conversion:?}) {message:?}"
            );
            seen[expected as usize] += 1;
        }
    }
    assert!(seen.iter().all(|count| *count > 3000), "{seen:?}");
}

#[test]
fn normal_form_of_a_random_selector_is_the_same_selector() {
    let mut random = Random(43);
    for _ in 0..5000 {
        let text = condition(&mut random, 4).to_string();
        let selector = parsed(&text, Conversion::Strict);
        assert_eq!(
            selector,
            parsed(selector.text(), Conversion::Strict),
            "{text}"
        );
    }
}
