//! Selector classes by the value that one property must have.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use super::index::ClassId;
use super::number::Number;
use super::{Conversion, Value};

/// What a property's value says about a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hit {
    /// The equality holds.
    Certain(ClassId),
    /// The equality may hold.
    Possible(ClassId),
}

impl Hit {
    pub(super) const fn id(self) -> ClassId {
        match self {
            Self::Certain(id) | Self::Possible(id) => id,
        }
    }
}

/// The classes whose selector has the equality `name = literal` for one name.
///
/// A class is kept under its literal in every map in which a value that equals the literal is
/// looked up; a value is looked up in maps that have no class in common.
#[derive(Debug, Clone, Default)]
pub(super) struct ValueIndex {
    /// String literals.
    texts: Buckets<Box<str>>,
    /// Number literals of strict selectors.
    numbers: Buckets<u64>,
    /// Number literals of converting selectors: strings are looked up here as well.
    converting_numbers: Buckets<u64>,
    /// String literals of converting selectors that read as a number.
    numeric_texts: Buckets<u64>,
    /// String literals of converting selectors, for boolean values.
    converting_texts: BTreeSet<ClassId>,
    /// Boolean literals.
    booleans: BTreeSet<ClassId>,
}

impl ValueIndex {
    pub(super) fn add(&mut self, literal: Value<'_>, conversion: Conversion, id: ClassId) {
        let converts = conversion == Conversion::ConvertStrings;
        match literal {
            Value::Str(text) => {
                self.texts.add(text.into(), id);
                if converts {
                    self.converting_texts.insert(id);
                    if let Some(number) = Number::parse(text) {
                        self.numeric_texts.add(key(number), id);
                    }
                }
            }
            other => match number(other) {
                Some(number) if converts => self.converting_numbers.add(key(number), id),
                Some(number) => self.numbers.add(key(number), id),
                None => {
                    self.booleans.insert(id);
                }
            },
        }
    }

    pub(super) fn remove(&mut self, literal: Value<'_>, conversion: Conversion, id: ClassId) {
        let converts = conversion == Conversion::ConvertStrings;
        match literal {
            Value::Str(text) => {
                self.texts.remove(text, id);
                self.converting_texts.remove(&id);
                if let Some(number) = Number::parse(text) {
                    self.numeric_texts.remove(&key(number), id);
                }
            }
            other => match number(other) {
                Some(number) if converts => self.converting_numbers.remove(&key(number), id),
                Some(number) => self.numbers.remove(&key(number), id),
                None => {
                    self.booleans.remove(&id);
                }
            },
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.texts.is_empty()
            && self.numbers.is_empty()
            && self.converting_numbers.is_empty()
            && self.booleans.is_empty()
    }

    /// Reports the classes whose equality holds or may hold for `value`, each once. Returns the
    /// number of map lookups.
    pub(super) fn hits(&self, value: Value<'_>, mut report: impl FnMut(Hit)) -> u32 {
        let mut possible = |id: &ClassId| report(Hit::Possible(*id));
        match value {
            Value::Null => 0,
            Value::Bool(_) => {
                self.booleans.iter().for_each(&mut possible);
                self.converting_texts.iter().for_each(&mut possible);
                0
            }
            Value::Str(text) => {
                self.booleans.iter().for_each(&mut possible);
                let mut lookups = 0;
                if !self.converting_numbers.is_empty()
                    && let Some(number) = Number::parse(text)
                {
                    lookups += self.converting_numbers.hits(&key(number), &mut possible);
                }
                lookups + self.texts.hits(text, |id| report(Hit::Certain(*id)))
            }
            other => number(other).map(key).map_or(0, |key| {
                self.numbers.hits(&key, &mut possible)
                    + self.converting_numbers.hits(&key, &mut possible)
                    + self.numeric_texts.hits(&key, &mut possible)
            }),
        }
    }
}

/// The number that a value is.
fn number(value: Value<'_>) -> Option<Number> {
    match value {
        Value::Int(value) => Some(Number::Int(value)),
        Value::Long(value) => Some(Number::Long(value)),
        Value::Double(value) => Some(Number::Double(value)),
        Value::Null | Value::Bool(_) | Value::Str(_) => None,
    }
}

/// Equal for equal numbers of any kind; also for different longs that round to one double.
fn key(number: Number) -> u64 {
    let double = number.as_double();
    // Both zeros are one number.
    if double == 0.0 { 0 } else { double.to_bits() }
}

#[derive(Debug, Clone)]
struct Buckets<K>(HashMap<K, Vec<ClassId>>);

impl<K> Default for Buckets<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash> Buckets<K> {
    fn add(&mut self, key: K, id: ClassId) {
        self.0.entry(key).or_default().push(id);
    }

    fn remove<Q>(&mut self, key: &Q, id: ClassId)
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        if let Some(ids) = self.0.get_mut(key) {
            ids.retain(|&other| other != id);
            if ids.is_empty() {
                self.0.remove(key);
            }
        }
    }

    /// Reports the classes under `key`. Returns the number of map lookups.
    fn hits<Q>(&self, key: &Q, report: impl FnMut(&ClassId)) -> u32
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        if self.0.is_empty() {
            return 0;
        }
        self.0.get(key).into_iter().flatten().for_each(report);
        1
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
