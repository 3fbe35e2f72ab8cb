//! The value of a tree for one message, in three-valued logic.
//!
//! Cannot fail and does not depend on anything but the message; ends after
//! [`MAX_STEPS`] steps. Allocates only where `+` joins strings.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt::Write;

use super::ast::{Comparison, Expression};
use super::like::Pattern;
use super::number::{Arithmetic, Number};
use super::{Conversion, MAX_STEPS, Properties, Truth, Value};

/// How many characters are compared, searched or joined in one step.
const CHARACTERS_PER_STEP: u32 = 32;

/// The evaluation has used up its steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OutOfSteps;

/// The steps an evaluation may still take.
pub(super) struct Budget {
    characters: u32,
}

impl Budget {
    /// What one evaluation gets.
    pub(super) const fn full() -> Self {
        Self {
            characters: MAX_STEPS * CHARACTERS_PER_STEP,
        }
    }

    /// Takes one step.
    pub(super) fn step(&mut self) -> Result<(), OutOfSteps> {
        self.take(CHARACTERS_PER_STEP)
    }

    /// Takes the part of a step that work on `count` characters amounts to.
    pub(super) fn characters(&mut self, count: usize) -> Result<(), OutOfSteps> {
        self.take(u32::try_from(count).unwrap_or(u32::MAX))
    }

    fn take(&mut self, characters: u32) -> Result<(), OutOfSteps> {
        self.characters = self.characters.checked_sub(characters).ok_or(OutOfSteps)?;
        Ok(())
    }
}

/// A value on the way through the tree.
enum Operand<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'a, str>),
}

impl<'a> From<Value<'a>> for Operand<'a> {
    fn from(value: Value<'a>) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(value),
            Value::Int(value) => Self::Number(Number::Int(value)),
            Value::Long(value) => Self::Number(Number::Long(value)),
            Value::Double(value) => Self::Number(Number::Double(value)),
            Value::Str(value) => Self::Text(Cow::Borrowed(value)),
        }
    }
}

impl From<Truth> for Operand<'_> {
    fn from(truth: Truth) -> Self {
        match truth {
            Truth::True => Self::Bool(true),
            Truth::False => Self::Bool(false),
            Truth::Unknown => Self::Null,
        }
    }
}

/// Evaluates trees against one message.
pub(super) struct Evaluator<'a> {
    pub(super) properties: &'a dyn Properties,
    pub(super) conversion: Conversion,
    pub(super) budget: Budget,
}

impl<'a> Evaluator<'a> {
    /// The truth of a condition; a property is true only if its value is the boolean.
    pub(super) fn truth(&mut self, expression: &'a Expression) -> Result<Truth, OutOfSteps> {
        match expression {
            Expression::Literal(_)
            | Expression::Property(_)
            | Expression::Negate(_)
            | Expression::Arithmetic { .. } => Ok(match self.operand(expression)? {
                Operand::Null => Truth::Unknown,
                Operand::Bool(true) => Truth::True,
                _ => Truth::False,
            }),
            _ => {
                self.budget.step()?;
                self.condition(expression)
            }
        }
    }

    fn condition(&mut self, expression: &'a Expression) -> Result<Truth, OutOfSteps> {
        match expression {
            Expression::Not(operand) => Ok(self.truth(operand)?.not()),
            Expression::And(parts) => self.all(parts, Truth::False),
            Expression::Or(parts) => self.all(parts, Truth::True),
            Expression::Compare { comparison, sides } => {
                let left = self.operand(&sides.0)?;
                let right = self.operand(&sides.1)?;
                self.compare(&left, *comparison, &right)
            }
            Expression::IsNull { operand, negated } => {
                let is_null = matches!(self.operand(operand)?, Operand::Null);
                Ok(Truth::from(is_null != *negated))
            }
            Expression::Between { operands, negated } => self.between(operands, *negated),
            Expression::Like {
                operand,
                pattern,
                negated,
            } => self.like(operand, pattern, *negated),
            Expression::In {
                name,
                texts,
                negated,
            } => Ok(self.one_of(name, texts, *negated)),
            _ => Ok(Truth::Unknown),
        }
    }

    /// False of anything but strings, and so true if negated.
    fn like(
        &mut self,
        operand: &'a Expression,
        pattern: &Pattern,
        negated: bool,
    ) -> Result<Truth, OutOfSteps> {
        let matches = match self.operand(operand)? {
            Operand::Null => return Ok(Truth::Unknown),
            Operand::Text(text) => pattern.matches(&text, &mut self.budget)?,
            _ => false,
        };
        Ok(Truth::from(matches != negated))
    }

    /// Unknown of anything but strings.
    fn one_of(&self, name: &str, texts: &[Box<str>], negated: bool) -> Truth {
        let Value::Str(text) = self.properties.value(name) else {
            return Truth::Unknown;
        };
        let found = texts.binary_search_by(|entry| (**entry).cmp(text));
        Truth::from(found.is_ok() != negated)
    }

    /// AND if `decisive` is false, OR if it is true: the first decisive part decides.
    fn all(&mut self, parts: &'a [Expression], decisive: Truth) -> Result<Truth, OutOfSteps> {
        let mut result = decisive.not();
        for part in parts {
            let truth = self.truth(part)?;
            if truth == decisive {
                return Ok(decisive);
            }
            if truth == Truth::Unknown {
                result = Truth::Unknown;
            }
        }
        Ok(result)
    }

    /// `>= AND <=`, or `< OR >`: both are false of what has no order with the limits.
    fn between(
        &mut self,
        (operand, low, high): &'a (Expression, Expression, Expression),
        negated: bool,
    ) -> Result<Truth, OutOfSteps> {
        let (lower, upper) = if negated {
            (Comparison::Less, Comparison::Greater)
        } else {
            (Comparison::GreaterEqual, Comparison::LessEqual)
        };
        let operand = self.operand(operand)?;
        let low = self.operand(low)?;
        let high = self.operand(high)?;
        let lower = self.compare(&operand, lower, &low)?;
        let upper = self.compare(&operand, upper, &high)?;
        Ok(if negated {
            lower.or(upper)
        } else {
            lower.and(upper)
        })
    }

    fn compare(
        &mut self,
        left: &Operand<'_>,
        comparison: Comparison,
        right: &Operand<'_>,
    ) -> Result<Truth, OutOfSteps> {
        if matches!(left, Operand::Null) || matches!(right, Operand::Null) {
            return Ok(Truth::Unknown);
        }
        Ok(Truth::from(match comparison {
            Comparison::Equal => self.equal(left, right)?,
            Comparison::NotEqual => !self.equal(left, right)?,
            Comparison::Less => self.order(left, right)?.is_some_and(Ordering::is_lt),
            Comparison::LessEqual => self.order(left, right)?.is_some_and(Ordering::is_le),
            Comparison::Greater => self.order(left, right)?.is_some_and(Ordering::is_gt),
            Comparison::GreaterEqual => self.order(left, right)?.is_some_and(Ordering::is_ge),
        }))
    }

    fn equal(&mut self, left: &Operand<'_>, right: &Operand<'_>) -> Result<bool, OutOfSteps> {
        Ok(match (left, right) {
            (Operand::Text(left), Operand::Text(right)) => {
                if left.len() == right.len() {
                    self.budget.characters(left.len())?;
                }
                left == right
            }
            (Operand::Bool(left), Operand::Bool(right)) => left == right,
            (Operand::Text(text), Operand::Bool(value))
            | (Operand::Bool(value), Operand::Text(text)) => {
                self.conversion == Conversion::ConvertStrings && read_bool(text) == *value
            }
            _ => self.order(left, right)?.is_some_and(Ordering::is_eq),
        })
    }

    /// The order of two numbers or two strings; of a string and a number when converting.
    fn order(
        &mut self,
        left: &Operand<'_>,
        right: &Operand<'_>,
    ) -> Result<Option<Ordering>, OutOfSteps> {
        if let (Operand::Text(left), Operand::Text(right)) = (left, right) {
            self.budget.characters(left.len().min(right.len()))?;
            return Ok(Some(left.encode_utf16().cmp(right.encode_utf16())));
        }
        let (left, right) = (self.number(left), self.number(right));
        Ok(left
            .zip(right)
            .and_then(|(left, right)| left.compare(right)))
    }

    /// The number an operand is, or reads as when converting.
    fn number(&self, operand: &Operand<'_>) -> Option<Number> {
        match operand {
            Operand::Number(number) => Some(*number),
            Operand::Text(text) if self.conversion == Conversion::ConvertStrings => {
                Number::parse(text)
            }
            _ => None,
        }
    }

    fn operand(&mut self, expression: &'a Expression) -> Result<Operand<'a>, OutOfSteps> {
        match expression {
            Expression::Literal(literal) => {
                self.budget.step()?;
                Ok(literal.value().into())
            }
            Expression::Property(name) => {
                self.budget.step()?;
                Ok(self.properties.value(name).into())
            }
            Expression::Negate(operand) => {
                self.budget.step()?;
                let operand = self.operand(operand)?;
                let number = self.number(&operand).map(Number::negate);
                Ok(number.map_or(Operand::Null, Operand::Number))
            }
            Expression::Arithmetic { first, rest } => {
                let mut result = self.operand(first)?;
                for (operator, part) in rest {
                    self.budget.step()?;
                    let right = self.operand(part)?;
                    result = self.arithmetic(result, *operator, &right)?;
                }
                Ok(result)
            }
            _ => Ok(self.truth(expression)?.into()),
        }
    }

    /// A string on the left of `+` is joined with anything known; the rest is for numbers.
    fn arithmetic(
        &mut self,
        left: Operand<'a>,
        operator: Arithmetic,
        right: &Operand<'_>,
    ) -> Result<Operand<'a>, OutOfSteps> {
        if operator == Arithmetic::Add
            && let Operand::Text(text) = left
        {
            return self.concatenate(text, right);
        }
        let (left, right) = (self.number(&left), self.number(right));
        Ok(match left.zip(right) {
            Some((left, right)) => Operand::Number(left.apply(operator, right)),
            None => Operand::Null,
        })
    }

    fn concatenate(
        &mut self,
        left: Cow<'a, str>,
        right: &Operand<'_>,
    ) -> Result<Operand<'a>, OutOfSteps> {
        let mut text = left.into_owned();
        self.budget.characters(text.len())?;
        // Writing to a string does not fail.
        let _ = match right {
            Operand::Null => return Ok(Operand::Null),
            Operand::Bool(value) => write!(text, "{value}"),
            Operand::Number(Number::Int(value)) => write!(text, "{value}"),
            Operand::Number(Number::Long(value)) => write!(text, "{value}"),
            Operand::Number(Number::Double(value)) => write!(text, "{value:?}"),
            Operand::Text(right) => {
                self.budget.characters(right.len())?;
                text.push_str(right);
                Ok(())
            }
        };
        Ok(Operand::Text(Cow::Owned(text)))
    }
}

/// What a string reads as against a boolean: everything but `true` is false.
fn read_bool(text: &str) -> bool {
    text.eq_ignore_ascii_case("true")
}
