//! Parts of a tree under construction: which operand an operator accepts and what they make.

use super::MAX_DEPTH;
use super::ast::{Comparison, Expression, Literal};
use super::error::SelectorError;
use super::number::{Arithmetic, Number};

type Result<T> = std::result::Result<T, SelectorError>;

/// A part of the tree and what its surroundings need to know.
pub(super) struct Parsed {
    pub(super) expression: Expression,
    pub(super) position: usize,
    /// Levels of parentheses, prefix operators and chained equalities inside.
    nesting: usize,
    /// Whether it is an equality test without parentheses around it.
    is_equality: bool,
}

impl Parsed {
    /// A part with nothing inside.
    pub(super) const fn leaf(expression: Expression, position: usize) -> Self {
        Self {
            expression,
            position,
            nesting: 0,
            is_equality: false,
        }
    }

    /// The part as one level of its surroundings that start at `position`.
    pub(super) fn nested(self, position: usize) -> Result<Self> {
        Ok(Self {
            nesting: deeper(self.nesting, position)?,
            position,
            is_equality: false,
            ..self
        })
    }

    /// The part as left side of an equality test: `a = b = c` is one level for each but the last.
    fn chained(self) -> Result<Self> {
        let position = self.position;
        if self.is_equality {
            return self.nested(position);
        }
        Ok(self)
    }

    /// What `wrap` makes of the part alone.
    pub(super) fn map(self, wrap: impl FnOnce(Expression) -> Expression) -> Self {
        Self {
            expression: wrap(self.expression),
            is_equality: false,
            ..self
        }
    }

    /// What `join` makes of the part and of one to its right.
    pub(super) fn join(
        self,
        right: Self,
        join: impl FnOnce(Expression, Expression) -> Expression,
    ) -> Self {
        Self {
            expression: join(self.expression, right.expression),
            position: self.position,
            nesting: self.nesting.max(right.nesting),
            is_equality: false,
        }
    }

    /// Accepts what can be true: conditions, and properties, whose value may be a boolean.
    pub(super) fn condition(self) -> Result<Self> {
        let position = self.position;
        match self.expression {
            Expression::Property(_) => Ok(self),
            _ if self.expression.is_condition() => Ok(self),
            _ => Err(SelectorError::NotACondition { position }),
        }
    }

    /// Accepts what can be a number or a string.
    pub(super) fn arithmetic_operand(self) -> Result<Self> {
        let position = self.position;
        if self.expression.is_condition() {
            return Err(SelectorError::NotArithmetic { position });
        }
        Ok(self)
    }

    /// Accepts what has an order: no condition and no string literal.
    pub(super) fn ordered_operand(self) -> Result<Self> {
        let position = self.position;
        match self.expression {
            Expression::Literal(Literal::Text(_)) => Err(SelectorError::NotComparable { position }),
            _ => self.like_operand(),
        }
    }

    /// Accepts what can be a string or a number.
    pub(super) fn like_operand(self) -> Result<Self> {
        let position = self.position;
        if self.expression.is_condition() {
            return Err(SelectorError::NotComparable { position });
        }
        Ok(self)
    }

    /// Accepts anything but NULL.
    pub(super) fn equality_operand(self) -> Result<Self> {
        let position = self.position;
        match self.expression {
            Expression::Literal(Literal::Null) => Err(SelectorError::ComparedWithNull { position }),
            _ => Ok(self),
        }
    }

    /// `NOT self`, with the NOT at `position`.
    pub(super) fn negated_condition(self, position: usize) -> Result<Self> {
        let inner = self.condition()?.nested(position)?;
        Ok(inner.map(|operand| Expression::Not(Box::new(operand))))
    }

    /// `-self`, with the minus at `position`.
    pub(super) fn negated_number(self, position: usize) -> Result<Self> {
        let inner = self.arithmetic_operand()?.nested(position)?;
        Ok(inner.map(|operand| Expression::Negate(Box::new(operand))))
    }

    /// `self AND right`, one node for a chain.
    pub(super) fn and(self, right: Self) -> Self {
        self.join(right, |left, right| {
            let mut parts = match left {
                Expression::And(parts) => parts,
                other => vec![other],
            };
            parts.push(right);
            Expression::And(parts)
        })
    }

    /// `self OR right`, one node for a chain.
    pub(super) fn or(self, right: Self) -> Self {
        self.join(right, |left, right| {
            let mut parts = match left {
                Expression::Or(parts) => parts,
                other => vec![other],
            };
            parts.push(right);
            Expression::Or(parts)
        })
    }

    /// `self operator right`, one node for a chain.
    pub(super) fn arithmetic(self, operator: Arithmetic, right: Self) -> Self {
        self.join(right, |left, right| {
            let (first, mut rest) = match left {
                Expression::Arithmetic { first, rest } => (first, rest),
                other => (Box::new(other), Vec::new()),
            };
            rest.push((operator, right));
            Expression::Arithmetic { first, rest }
        })
    }

    /// `self < right` and the like.
    pub(super) fn compare(self, comparison: Comparison, right: Self) -> Self {
        self.join(right, |left, right| Expression::Compare {
            comparison,
            sides: Box::new((left, right)),
        })
    }

    /// `self = right` and `self <> right`.
    pub(super) fn equality(self, comparison: Comparison, right: Self) -> Result<Self> {
        let parsed = self.chained()?.compare(comparison, right);
        Ok(Self {
            is_equality: true,
            ..parsed
        })
    }

    /// `self IS NULL` and `self IS NOT NULL`.
    pub(super) fn null_test(self, negated: bool) -> Result<Self> {
        let parsed = self.chained()?.map(|operand| Expression::IsNull {
            operand: Box::new(operand),
            negated,
        });
        Ok(Self {
            is_equality: true,
            ..parsed
        })
    }

    /// `self BETWEEN low AND high`.
    pub(super) fn between(self, low: Self, high: Self, negated: bool) -> Self {
        let nesting = self.nesting.max(low.nesting).max(high.nesting);
        let operands = Box::new((self.expression, low.expression, high.expression));
        Self {
            nesting,
            ..Self::leaf(Expression::Between { operands, negated }, self.position)
        }
    }
}

/// One level below `depth`, if that is allowed.
pub(super) const fn deeper(depth: usize, position: usize) -> Result<usize> {
    if depth >= MAX_DEPTH {
        let limit = MAX_DEPTH;
        return Err(SelectorError::TooDeep { limit, position });
    }
    Ok(depth + 1)
}

/// An integer literal with its sign; positive ones end one before 2^63.
pub(super) fn integer(magnitude: u64, negative: bool, position: usize) -> Result<Expression> {
    let value = if negative {
        0_i64.checked_sub_unsigned(magnitude)
    } else {
        i64::try_from(magnitude).ok()
    };
    value
        .map(|value| number(Number::integer(value)))
        .ok_or(SelectorError::NumberOutOfRange { position })
}

/// A number literal.
pub(super) const fn number(value: Number) -> Expression {
    Expression::Literal(Literal::Number(value))
}
