//! Networks from text, for questions that need no cluster.
#![allow(dead_code, reason = "each test file uses its part")]

pub mod edits;

use causeway_operator::documents::{Problem, Source};
use causeway_operator::lint;
use causeway_operator::model::ValidNetwork;
use causeway_operator::network::load::{Generated, Loaded, Wanted, examine, load};
use causeway_operator::network::validate::MissingSecrets;

pub const COUNTRIES: &str = include_str!("../../../deploy/examples/countries.yaml");

/// The example with one part replaced.
pub fn edited(from: &str, to: &str) -> String {
    assert!(COUNTRIES.contains(from), "{from:?} is not in the example");
    COUNTRIES.replacen(from, to, 1)
}

/// A network of documents that are right.
pub fn loaded(text: &str) -> Loaded {
    load(&[Source::new("n.yaml", text)], None, MissingSecrets::Mark).unwrap_or_else(|problems| {
        let lines = problems.iter().map(|problem| format!("{problem}\n"));
        panic!("{}", lines.collect::<String>())
    })
}

/// The same without what was written.
pub fn valid(text: &str) -> ValidNetwork {
    loaded(text).network
}

/// Every finding about some documents, seen from some sites.
pub fn lint_at(text: &str, sites: &[&str]) -> Vec<Problem> {
    let local = (!sites.is_empty()).then(|| sites.iter().map(|site| (*site).to_owned()).collect());
    let wanted = Wanted {
        network: None,
        missing: MissingSecrets::Mark,
        generated: Generated::Nothing,
        local,
        further: &lint::run,
    };
    examine(&[Source::new("n.yaml", text)], wanted).problems
}
