//! Patterns of LIKE: compiled once, matched without backtracking over `%`.
//!
//! A pattern is cut at its `%` into segments. The first and the last are anchored, those between
//! are searched from left to right, each from where the one before ended. A segment without `_`
//! is found in linear time; one with `_` is tried at each character, which the budget bounds.

use super::eval::{Budget, OutOfSteps};

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    first: Segment,
    /// What follows each `%`; empty if the pattern has none.
    others: Vec<Segment>,
}

/// A part of a pattern without `%`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    /// `None` is `_`.
    Wild(Vec<Option<char>>),
}

/// The rest of the text behind what matched, if it did.
type Rest<'t> = Result<Option<&'t str>, OutOfSteps>;

impl Pattern {
    /// Compiles `text`. `escape` makes a following `%`, `_` or itself literal; before anything
    /// else it stands for itself.
    pub(super) fn new(text: &str, escape: Option<char>) -> Self {
        let mut segments = Vec::new();
        let mut current = Vec::new();
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            if escape == Some(character) {
                let escaped =
                    characters.next_if(|&next| matches!(next, '%' | '_') || next == character);
                current.push(Some(escaped.unwrap_or(character)));
            } else if character == '%' {
                segments.push(Segment::new(std::mem::take(&mut current)));
            } else {
                current.push((character != '_').then_some(character));
            }
        }
        segments.push(Segment::new(current));
        let others = segments.split_off(1);
        let first = segments.pop().unwrap_or_else(|| Segment::new(Vec::new()));
        Self { first, others }
    }

    /// About how many bytes it takes beside itself.
    pub(super) fn size(&self) -> usize {
        let segments = self
            .others
            .iter()
            .map(|other| size_of_val(other) + other.size());
        self.first.size() + segments.sum::<usize>()
    }

    /// Whether the whole of `text` fits.
    pub(super) fn matches(&self, text: &str, budget: &mut Budget) -> Result<bool, OutOfSteps> {
        let Some(rest) = self.first.strip_start(text, budget)? else {
            return Ok(false);
        };
        let Some((last, middle)) = self.others.split_last() else {
            return Ok(rest.is_empty());
        };
        let Some(mut rest) = last.strip_end(rest, budget)? else {
            return Ok(false);
        };
        for segment in middle {
            match segment.find(rest, budget)? {
                Some(behind) => rest = behind,
                None => return Ok(false),
            }
        }
        Ok(true)
    }
}

impl Segment {
    fn size(&self) -> usize {
        match self {
            Self::Literal(text) => text.len(),
            Self::Wild(characters) => size_of_val(&**characters),
        }
    }

    fn new(characters: Vec<Option<char>>) -> Self {
        match characters.iter().copied().collect() {
            Some(text) => Self::Literal(text),
            None => Self::Wild(characters),
        }
    }

    fn strip_start<'t>(&self, text: &'t str, budget: &mut Budget) -> Rest<'t> {
        match self {
            Self::Literal(literal) => {
                budget.characters(literal.len().min(text.len()))?;
                Ok(text.strip_prefix(literal.as_str()))
            }
            Self::Wild(wanted) => {
                let mut characters = text.chars();
                let fits = fits(wanted.iter(), &mut characters, budget)?;
                Ok(fits.then_some(characters.as_str()))
            }
        }
    }

    fn strip_end<'t>(&self, text: &'t str, budget: &mut Budget) -> Rest<'t> {
        match self {
            Self::Literal(literal) => {
                budget.characters(literal.len().min(text.len()))?;
                Ok(text.strip_suffix(literal.as_str()))
            }
            Self::Wild(wanted) => {
                let mut characters = text.chars();
                let fits = fits(wanted.iter().rev(), &mut characters.by_ref().rev(), budget)?;
                Ok(fits.then_some(characters.as_str()))
            }
        }
    }

    fn find<'t>(&self, text: &'t str, budget: &mut Budget) -> Rest<'t> {
        match self {
            Self::Literal(literal) => {
                budget.characters(literal.len().min(text.len()))?;
                let Some(start) = text.find(literal.as_str()) else {
                    budget.characters(text.len())?;
                    return Ok(None);
                };
                budget.characters(start)?;
                Ok(text.get(start + literal.len()..))
            }
            Self::Wild(wanted) => {
                let mut starts = text.chars();
                loop {
                    let mut characters = starts.clone();
                    if fits(wanted.iter(), &mut characters, budget)? {
                        return Ok(Some(characters.as_str()));
                    }
                    if starts.next().is_none() {
                        return Ok(None);
                    }
                }
            }
        }
    }
}

/// Whether the next characters are the wanted ones; consumes what was compared.
fn fits<'p>(
    wanted: impl Iterator<Item = &'p Option<char>>,
    characters: &mut impl Iterator<Item = char>,
    budget: &mut Budget,
) -> Result<bool, OutOfSteps> {
    for expected in wanted {
        budget.characters(1)?;
        match characters.next() {
            None => return Ok(false),
            Some(character) if expected.is_some_and(|expected| expected != character) => {
                return Ok(false);
            }
            Some(_) => {}
        }
    }
    Ok(true)
}
