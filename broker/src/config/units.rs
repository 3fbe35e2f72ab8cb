//! Durations (`250ms 5s 10m 1h 7d`) and sizes (bytes, or `Ki Mi Gi`) as they are written.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text is not a duration or a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Not a duration.
    #[error("a duration is a number and one of ms, s, m, h, d")]
    Duration,
    /// Not a size.
    #[error("a size is a number of bytes, or a number and one of Ki, Mi, Gi")]
    Size,
}

/// A length of time, in whole milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub u64);

impl Span {
    /// So many seconds.
    #[must_use]
    pub const fn seconds(seconds: u64) -> Self {
        Self(seconds * 1000)
    }

    /// As a `Duration`.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }

    /// In nanoseconds.
    #[must_use]
    pub const fn nanoseconds(self) -> u64 {
        self.0.saturating_mul(1_000_000)
    }
}

const DURATIONS: [(&str, u64); 5] = [
    ("ms", 1),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
];

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let (suffix, factor) = DURATIONS
            .iter()
            .find(|(suffix, _)| text.ends_with(suffix))
            .ok_or(UnitError::Duration)?;
        let number = text.strip_suffix(suffix).unwrap_or(text);
        whole(number)
            .and_then(|number| number.checked_mul(*factor))
            .map(Self)
            .ok_or(UnitError::Duration)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |factor: u64| self.0 != 0 && self.0.is_multiple_of(factor);
        match self.0 {
            value if fits(3_600_000) => write!(formatter, "{}h", value / 3_600_000),
            value if fits(1000) => write!(formatter, "{}s", value / 1000),
            value => write!(formatter, "{value}ms"),
        }
    }
}

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

const SIZES: [(&str, u64); 3] = [("Ki", 1 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30)];

impl FromStr for Size {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        for (suffix, factor) in SIZES {
            if let Some(number) = text.strip_suffix(suffix) {
                let bytes = whole(number).and_then(|number| number.checked_mul(factor));
                return bytes.map(Self).ok_or(UnitError::Size);
            }
        }
        whole(text).map(Self).ok_or(UnitError::Size)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (suffix, factor) in SIZES.iter().rev() {
            if self.0 != 0 && self.0.is_multiple_of(*factor) {
                return write!(formatter, "{}{suffix}", self.0 / factor);
            }
        }
        write!(formatter, "{}", self.0)
    }
}

fn whole(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

macro_rules! as_text {
    ($type:ident, $what:literal, $from_number:expr) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl Visitor<'_> for Text {
                    type Value = $type;

                    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                        formatter.write_str($what)
                    }

                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$type, E> {
                        text.parse().map_err(E::custom)
                    }

                    fn visit_u64<E: de::Error>(self, number: u64) -> Result<$type, E> {
                        let from_number: fn(u64) -> Option<$type> = $from_number;
                        from_number(number).ok_or_else(|| E::custom(concat!("expected ", $what)))
                    }
                }
                deserializer.deserialize_any(Text)
            }
        }
    };
}

as_text!(Span, "a duration such as 250ms, 5s or 10m", |number| {
    (number == 0).then_some(Span(0))
});
as_text!(Size, "a size such as 65536, 64Ki or 10Mi", |number| Some(
    Size(number)
));

#[cfg(test)]
mod tests {
    use super::{Size, Span, UnitError};

    #[test]
    fn durations_and_sizes_read_and_print() {
        for (text, value, printed) in [
            ("250ms", 250, "250ms"),
            ("10m", 600_000, "600s"),
            ("7d", 604_800_000, "168h"),
            ("0s", 0, "0ms"),
        ] {
            assert_eq!(text.parse(), Ok(Span(value)));
            assert_eq!(Span(value).to_string(), printed);
        }
        for (text, value) in [
            ("65536", 65_536),
            ("64Ki", 65_536),
            ("10Mi", 10 << 20),
            ("1Gi", 1 << 30),
        ] {
            assert_eq!(text.parse(), Ok(Size(value)));
        }
        for text in ["", "5", "s", "-5s", "5 s", "99999999999999999d"] {
            assert_eq!(text.parse::<Span>(), Err(UnitError::Duration), "{text}");
        }
        for text in ["", "5K", "Mi", "-1", "1.5Mi"] {
            assert_eq!(text.parse::<Size>(), Err(UnitError::Size), "{text}");
        }
    }
}
