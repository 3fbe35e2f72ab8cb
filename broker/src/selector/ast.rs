//! The tree of a selector: what the parser builds and the evaluator walks.
//!
//! Chains of AND, OR and arithmetic are one node each, so the height of a tree follows its
//! nesting and not its length.

use super::Value;
use super::like::Pattern;
use super::number::{Arithmetic, Number};

/// A literal.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Literal {
    Null,
    Bool(bool),
    Number(Number),
    Text(Box<str>),
}

impl Literal {
    pub(super) fn value(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Number(Number::Int(value)) => Value::Int(*value),
            Self::Number(Number::Long(value)) => Value::Long(*value),
            Self::Number(Number::Double(value)) => Value::Double(*value),
            Self::Text(value) => Value::Str(value),
        }
    }
}

/// A comparison of two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

/// A node with all that is below it.
#[derive(Debug)]
pub(super) enum Expression {
    Literal(Literal),
    Property(Box<str>),
    Negate(Box<Expression>),
    /// Applied from left to right.
    Arithmetic {
        first: Box<Expression>,
        rest: Vec<(Arithmetic, Expression)>,
    },
    Not(Box<Expression>),
    And(Vec<Expression>),
    Or(Vec<Expression>),
    Compare {
        comparison: Comparison,
        sides: Box<(Expression, Expression)>,
    },
    IsNull {
        operand: Box<Expression>,
        negated: bool,
    },
    /// Operand, lowest and highest value.
    Between {
        operands: Box<(Expression, Expression, Expression)>,
        negated: bool,
    },
    Like {
        operand: Box<Expression>,
        pattern: Pattern,
        negated: bool,
    },
    /// The texts are sorted.
    In {
        name: Box<str>,
        texts: Vec<Box<str>>,
        negated: bool,
    },
}

impl Expression {
    /// Whether the result is true, false or unknown, whatever the message.
    pub(super) const fn is_condition(&self) -> bool {
        match self {
            Self::Literal(literal) => matches!(literal, Literal::Bool(_) | Literal::Null),
            Self::Property(_) | Self::Negate(_) | Self::Arithmetic { .. } => false,
            _ => true,
        }
    }

    /// Property and literal of `name = literal`, whichever side the name is on.
    pub(super) fn as_equality(&self) -> Option<(&str, &Literal)> {
        let Self::Compare {
            comparison: Comparison::Equal,
            sides,
        } = self
        else {
            return None;
        };
        match &**sides {
            (Self::Property(name), Self::Literal(literal))
            | (Self::Literal(literal), Self::Property(name)) => Some((name, literal)),
            _ => None,
        }
    }

    /// The first `name = literal` without which the whole cannot be true.
    pub(super) fn first_equality(&self) -> Option<(&str, &Literal)> {
        match self {
            Self::And(parts) => parts.iter().find_map(Self::first_equality),
            _ => self.as_equality(),
        }
    }

    /// Adds the names of all properties below this node, in the order of the text.
    pub(super) fn collect_names<'e>(&'e self, names: &mut Vec<&'e str>) {
        match self {
            Self::Literal(_) => {}
            Self::Property(name) | Self::In { name, .. } => names.push(name),
            Self::Negate(operand)
            | Self::Not(operand)
            | Self::IsNull { operand, .. }
            | Self::Like { operand, .. } => operand.collect_names(names),
            Self::Arithmetic { first, rest } => {
                first.collect_names(names);
                rest.iter().for_each(|(_, part)| part.collect_names(names));
            }
            Self::And(parts) | Self::Or(parts) => {
                parts.iter().for_each(|part| part.collect_names(names));
            }
            Self::Compare { sides, .. } => {
                sides.0.collect_names(names);
                sides.1.collect_names(names);
            }
            Self::Between { operands, .. } => {
                operands.0.collect_names(names);
                operands.1.collect_names(names);
                operands.2.collect_names(names);
            }
        }
    }
}
