//! Numbers as selectors know them: 32-bit and 64-bit integers and doubles.

use std::cmp::Ordering;

/// A number of one of the three kinds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Int(i32),
    Long(i64),
    Double(f64),
}

/// An operator of arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Number {
    /// The narrowest integer that holds `value`.
    pub(super) fn integer(value: i64) -> Self {
        i32::try_from(value).map_or(Self::Long(value), Self::Int)
    }

    /// Reads the decimal text of an integer or a float: no blanks, no suffix, no infinity.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Ok(value) = text.parse::<i64>() {
            return Some(Self::integer(value));
        }
        let is_decimal = |byte: u8| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
        if !text.bytes().all(is_decimal) {
            return None;
        }
        let value = text.parse::<f64>().ok()?;
        value.is_finite().then_some(Self::Double(value))
    }

    /// The number as a double; longs beyond 2^53 are rounded.
    pub(super) fn as_double(self) -> f64 {
        match self {
            Self::Int(value) => f64::from(value),
            Self::Long(value) => value as f64,
            Self::Double(value) => value,
        }
    }

    const fn as_long(self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(value as i64),
            Self::Long(value) => Some(value),
            Self::Double(_) => None,
        }
    }

    /// Compares after promotion to the wider kind; nothing compares with a NaN.
    pub(super) fn compare(self, other: Self) -> Option<Ordering> {
        match (self.as_long(), other.as_long()) {
            (Some(left), Some(right)) => Some(left.cmp(&right)),
            _ => self.as_double().partial_cmp(&other.as_double()),
        }
    }

    /// The number with its sign changed; the smallest integer of a kind stays.
    pub(super) const fn negate(self) -> Self {
        match self {
            Self::Int(value) => Self::Int(value.wrapping_neg()),
            Self::Long(value) => Self::Long(value.wrapping_neg()),
            Self::Double(value) => Self::Double(-value),
        }
    }

    /// Applies `operator` in the wider kind of both sides; integers wrap, division is of doubles.
    pub(super) fn apply(self, operator: Arithmetic, other: Self) -> Self {
        if matches!(operator, Arithmetic::Divide | Arithmetic::Remainder) {
            return Self::Double(on_doubles(self.as_double(), operator, other.as_double()));
        }
        if let (Self::Int(left), Self::Int(right)) = (self, other) {
            return Self::Int(match operator {
                Arithmetic::Add => left.wrapping_add(right),
                Arithmetic::Subtract => left.wrapping_sub(right),
                _ => left.wrapping_mul(right),
            });
        }
        match (self.as_long(), other.as_long()) {
            (Some(left), Some(right)) => Self::Long(match operator {
                Arithmetic::Add => left.wrapping_add(right),
                Arithmetic::Subtract => left.wrapping_sub(right),
                _ => left.wrapping_mul(right),
            }),
            _ => Self::Double(on_doubles(self.as_double(), operator, other.as_double())),
        }
    }
}

fn on_doubles(left: f64, operator: Arithmetic, right: f64) -> f64 {
    match operator {
        Arithmetic::Add => left + right,
        Arithmetic::Subtract => left - right,
        Arithmetic::Multiply => left * right,
        Arithmetic::Divide => left / right,
        Arithmetic::Remainder => left % right,
    }
}
