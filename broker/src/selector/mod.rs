//! Selectors: conditions on the properties of a message, in the language of JMS.
//!
//! Owns the language: [`Selector::parse`] refuses whatever can be refused without a message, so
//! that evaluation cannot fail, and evaluation ends after a bounded number of steps.
//! [`ClassIndex`] finds the selectors that match a message without trying each. Pure: what a
//! property name means for a message is up to the caller's [`Properties`].

mod ast;
mod error;
mod eval;
mod index;
mod lexer;
mod like;
mod number;
mod parsed;
mod parser;
mod size;
mod values;

#[cfg(test)]
mod tests;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

pub use self::error::SelectorError;
pub use self::index::{ClassId, ClassIndex, MatchCost};

use self::ast::Expression;
use self::eval::{Budget, Evaluator};

/// The longest selector text in bytes, without a conversion prefix.
pub const MAX_LENGTH: usize = 8192;

/// How deep parentheses, prefix operators and chained equality tests may nest.
pub const MAX_DEPTH: usize = 64;

/// How many operands and operators a selector may have; each string of an `IN` list is one.
pub const MAX_NODES: usize = 1024;

/// How many steps an evaluation may take. An operand or operator is a step, and so are 32
/// characters compared, searched or joined.
pub const MAX_STEPS: u32 = 10_000;

/// The prefix with which a client asks for [`Conversion::ConvertStrings`].
const CONVERSION_PREFIX: &str = "convert_string_expressions:";

/// How strings compare with numbers and booleans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Conversion {
    /// A string never equals a number or a boolean and has no order with one.
    Strict,
    /// A string is read as what it is compared with or computed with.
    ConvertStrings,
}

/// The value of a property.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// The message has no such property.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer of up to 32 bits.
    Int(i32),
    /// A 64-bit integer.
    Long(i64),
    /// A floating-point number.
    Double(f64),
    /// A string.
    Str(&'a str),
}

/// What a selector reads of a message.
pub trait Properties {
    /// The value of the property `name`, or of the header field that `name` stands for.
    fn value(&self, name: &str) -> Value<'_>;
}

/// The outcome of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Truth {
    /// The condition holds.
    True,
    /// The condition does not hold.
    False,
    /// The condition depends on something the message does not have.
    Unknown,
}

impl Truth {
    const fn not(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::Unknown => Self::Unknown,
        }
    }

    const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::False, _) | (_, Self::False) => Self::False,
            (Self::True, Self::True) => Self::True,
            _ => Self::Unknown,
        }
    }

    const fn or(self, other: Self) -> Self {
        self.not().and(other.not()).not()
    }
}

impl From<bool> for Truth {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

/// What evaluating a selector came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evaluation {
    /// The outcome; unknown if the evaluation ran out of steps.
    pub truth: Truth,
    /// Whether the evaluation was stopped after [`MAX_STEPS`].
    pub out_of_steps: bool,
}

/// A condition `name = literal` that holds whenever its selector does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EqualityKey<'a> {
    /// The property.
    pub name: &'a str,
    /// What it must equal, never null; strings convert as the selector's [`Conversion`] says.
    pub literal: Value<'a>,
}

/// A parsed selector, cheap to clone.
///
/// Two selectors are equal if their normalised texts and conversions are; selectors that mean the
/// same but are written differently may be unequal.
#[derive(Debug, Clone)]
pub struct Selector(Arc<Parsed>);

#[derive(Debug)]
struct Parsed {
    text: Box<str>,
    conversion: Conversion,
    expression: Expression,
}

impl Selector {
    /// Parses `text`. A leading `convert_string_expressions:` is stripped and overrides
    /// `conversion`.
    ///
    /// # Errors
    ///
    /// If the text is not a selector or exceeds a limit.
    pub fn parse(text: &str, conversion: Conversion) -> Result<Self, SelectorError> {
        let (text, conversion) = match text.strip_prefix(CONVERSION_PREFIX) {
            Some(rest) => (rest, Conversion::ConvertStrings),
            None => (text, conversion),
        };
        if text.len() > MAX_LENGTH {
            return Err(SelectorError::TooLong {
                limit: MAX_LENGTH,
                seen: text.len(),
            });
        }
        let tokens = lexer::tokens(text)?;
        let expression = parser::parse(&tokens)?;
        Ok(Self(Arc::new(Parsed {
            text: lexer::normalise(&tokens).into(),
            conversion,
            expression,
        })))
    }

    /// The normalised text, without a conversion prefix. Parsing it again gives an equal selector.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// How strings compare with numbers and booleans.
    #[must_use]
    pub fn conversion(&self) -> Conversion {
        self.0.conversion
    }

    /// Evaluates the selector for one message.
    #[must_use]
    pub fn evaluate(&self, properties: &dyn Properties) -> Evaluation {
        let mut evaluator = Evaluator {
            properties,
            conversion: self.0.conversion,
            budget: Budget::full(),
        };
        let truth = evaluator.truth(&self.0.expression);
        Evaluation {
            truth: truth.unwrap_or(Truth::Unknown),
            out_of_steps: truth.is_err(),
        }
    }

    /// Whether the message is selected: only if the selector is true, not if it is unknown.
    #[must_use]
    pub fn matches(&self, properties: &dyn Properties) -> bool {
        self.evaluate(properties).truth == Truth::True
    }

    /// The property names the selector reads, sorted, each once.
    #[must_use]
    pub fn property_names(&self) -> Vec<&str> {
        let mut names = Vec::new();
        self.0.expression.collect_names(&mut names);
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The first condition `name = literal` of the selector: the whole of it or a part joined by
    /// AND.
    #[must_use]
    pub fn equality_key(&self) -> Option<EqualityKey<'_>> {
        let (name, literal) = self.0.expression.first_equality()?;
        let literal = literal.value();
        Some(EqualityKey { name, literal })
    }

    /// Whether the equality key is the whole of the selector.
    fn is_equality(&self) -> bool {
        self.0.expression.as_equality().is_some()
    }
}

impl PartialEq for Selector {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || (self.0.conversion == other.0.conversion && self.0.text == other.0.text)
    }
}

impl Eq for Selector {}

impl Hash for Selector {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.text.hash(state);
        self.0.conversion.hash(state);
    }
}
