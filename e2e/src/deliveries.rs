//! Who got what, how often: the check behind "exactly once".

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use crate::client::Client;

/// Deliveries of one subscriber: how often each body came.
#[derive(Debug, Default, Clone)]
pub struct Deliveries(BTreeMap<String, u32>);

impl Deliveries {
    /// Notes one delivery.
    pub fn note(&mut self, body: String) {
        *self.0.entry(body).or_default() += 1;
    }

    /// How many different bodies came.
    #[must_use]
    pub fn different(&self) -> usize {
        self.0.len()
    }

    /// Bodies that came more than once.
    #[must_use]
    pub fn duplicates(&self) -> Vec<&str> {
        let twice = self.0.iter().filter(|(_, count)| **count > 1);
        twice.map(|(body, _)| body.as_str()).collect()
    }

    /// Expected bodies that never came.
    #[must_use]
    pub fn missing<'a>(&self, expected: &'a BTreeSet<String>) -> Vec<&'a str> {
        let absent = expected.iter().filter(|body| !self.0.contains_key(*body));
        absent.map(String::as_str).collect()
    }

    /// Fails unless every expected body came once and nothing else did.
    ///
    /// # Errors
    /// With the numbers and the first few bodies.
    pub fn exactly_once(&self, who: &str, expected: &BTreeSet<String>) -> Result<()> {
        let (missing, duplicates) = (self.missing(expected), self.duplicates());
        let foreign: Vec<_> = self
            .0
            .keys()
            .filter(|body| !expected.contains(*body))
            .collect();
        ensure!(
            missing.is_empty() && duplicates.is_empty() && foreign.is_empty(),
            "{who}: {} of {} missing {:?}, {} twice {:?}, {} unexpected {:?}",
            missing.len(),
            expected.len(),
            &missing[..missing.len().min(5)],
            duplicates.len(),
            &duplicates[..duplicates.len().min(5)],
            foreign.len(),
            &foreign[..foreign.len().min(5)],
        );
        Ok(())
    }
}

/// Receives until so many different bodies came and then nothing for `quiet`, or until the patience
/// ends.
///
/// # Errors
/// The connection broke, or brought something else than messages.
pub fn collect(
    client: &mut Client,
    expected: usize,
    quiet: Duration,
    patience: Duration,
) -> Result<Deliveries> {
    let mut deliveries = Deliveries::default();
    let end = Instant::now() + patience;
    loop {
        let is_complete = deliveries.different() >= expected;
        let left = end.saturating_duration_since(Instant::now());
        let wait = if is_complete { quiet } else { left };
        match client.receive(wait)? {
            Some(frame) if frame.command == "MESSAGE" => deliveries.note(frame.text()),
            Some(frame) => bail!("unexpected {frame:?}"),
            None => return Ok(deliveries),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected() -> BTreeSet<String> {
        BTreeSet::from(["a".to_owned(), "b".to_owned()])
    }

    #[test]
    fn missing_double_and_foreign_bodies_are_each_found() {
        for bodies in [&["a"][..], &["a", "b", "b"], &["a", "b", "c"]] {
            let mut deliveries = Deliveries::default();
            bodies
                .iter()
                .for_each(|body| deliveries.note((*body).to_owned()));
            assert!(
                deliveries.exactly_once("x", &expected()).is_err(),
                "{bodies:?}"
            );
        }
    }

    #[test]
    fn each_body_once_is_accepted() -> Result<()> {
        let mut deliveries = Deliveries::default();
        deliveries.note("b".to_owned());
        deliveries.note("a".to_owned());
        deliveries.exactly_once("x", &expected())
    }
}
