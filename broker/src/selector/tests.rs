//! Tests of the language and of the index; the tables are in files of their own.

mod converting;
mod index;
mod like;
mod limits;
mod model;
mod refused;
mod selector;
mod strict;

use std::collections::BTreeMap;

use super::{Conversion, Properties, Selector, Truth, Value};

/// A message whose properties are a map.
#[derive(Debug, Default)]
struct Message(BTreeMap<String, Property>);

#[derive(Debug, Clone, PartialEq)]
enum Property {
    Bool(bool),
    Int(i32),
    Long(i64),
    Double(f64),
    Text(String),
}

impl From<&str> for Property {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl Message {
    fn with(mut self, name: &str, property: impl Into<Property>) -> Self {
        self.0.insert(name.to_owned(), property.into());
        self
    }
}

impl Properties for Message {
    fn value(&self, name: &str) -> Value<'_> {
        match self.0.get(name) {
            None => Value::Null,
            Some(Property::Bool(value)) => Value::Bool(*value),
            Some(Property::Int(value)) => Value::Int(*value),
            Some(Property::Long(value)) => Value::Long(*value),
            Some(Property::Double(value)) => Value::Double(*value),
            Some(Property::Text(value)) => Value::Str(value),
        }
    }
}

/// Numbers without a clock or an entropy source; the seed is in the failure.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    fn chance(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

fn parsed(text: &str, conversion: Conversion) -> Selector {
    Selector::parse(text, conversion).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn truth(text: &str, conversion: Conversion, message: &Message) -> Truth {
    let evaluation = parsed(text, conversion).evaluate(message);
    assert!(!evaluation.out_of_steps, "{text}");
    evaluation.truth
}

/// Checks rows `selector => true | false | unknown`. Returns their number.
fn check_table(table: &str, conversion: Conversion, message: &Message) -> usize {
    let rows = rows(table);
    for (text, expected) in &rows {
        let actual = match truth(text, conversion, message) {
            Truth::True => "true",
            Truth::False => "false",
            Truth::Unknown => "unknown",
        };
        assert_eq!(actual, *expected, "{text} ({conversion:?})");
        let again = parsed(parsed(text, conversion).text(), conversion);
        assert_eq!(again, parsed(text, conversion), "normal form of {text}");
    }
    rows.len()
}

fn rows(table: &str) -> Vec<(&str, &str)> {
    let lines = table.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| line.rsplit_once("=>").unwrap_or_else(|| panic!("{line}")))
        .map(|(text, expected)| (text.trim(), expected.trim()))
        .collect()
}
