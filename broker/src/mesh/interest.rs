//! Interest: what the consumers of each broker want, replicated to all (R5, R7, R12 c).
//!
//! [`local`] turns the changes of this broker's consumers into few, never too narrow, entries.
//! [`remote`] keeps the entries of every claim, the own one included, under a version and an
//! order-independent hash. Only local consumers are advertised, never learned interest.

pub mod local;
mod merge;
pub mod remote;
mod snapshot;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::ids::{Bid, Epoch};
use super::messages::Kind;

pub use local::Local;
pub use remote::{Idb, Outcome, PartOutcome};

/// Hashes of the literals of one property, ascending.
pub type Values = Vec<(Arc<str>, Arc<[u64]>)>;

/// What is known about the selectors of an entry's consumers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Summary {
    /// Some consumer takes everything.
    #[default]
    None,
    /// Every consumer asks for `property = 'literal'`; the literals by property, ascending.
    Equality(Values),
    /// Nothing can be said.
    Opaque,
}

impl Summary {
    /// False only when it is proved that no consumer takes a message with these properties.
    /// `value` gives the hash of a property's text ([`value_hash`]).
    #[must_use]
    pub fn may_match(&self, value: impl Fn(&str) -> Option<u64>) -> bool {
        let Self::Equality(values) = self else {
            return true;
        };
        values.iter().any(|(property, hashes)| {
            value(property).is_some_and(|hash| hashes.binary_search(&hash).is_ok())
        })
    }

    /// The conjunct by which a message with these properties may be taken.
    #[must_use]
    pub fn key(&self, value: impl Fn(&str) -> Option<u64>) -> Option<(Arc<str>, u64)> {
        let Self::Equality(values) = self else {
            return None;
        };
        values.iter().find_map(|(property, hashes)| {
            let hash = value(property)?;
            hashes
                .binary_search(&hash)
                .ok()
                .map(|_| (property.clone(), hash))
        })
    }
}

/// Hash of a selector literal, and of the text form of a message's property.
#[must_use]
pub fn value_hash(text: &str) -> u64 {
    xxh3_64(text.as_bytes())
}

/// What the local consumers of one filter amount to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// How many there are.
    pub consumers: u32,
    /// Their selectors.
    pub summary: Summary,
    /// A hint: 0 no free prefetch, 1 some, 2 plenty.
    pub credit: u32,
    /// A consumer with a selector that none had before came: refusals are to be forgotten.
    pub is_wider: bool,
}

impl Demand {
    /// That many consumers without selectors.
    #[must_use]
    pub const fn of(consumers: u32) -> Self {
        Self {
            consumers,
            summary: Summary::None,
            credit: 1,
            is_wider: false,
        }
    }
}

/// The local consumers of a filter are others than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalChange {
    /// Topic or queue.
    pub kind: Kind,
    /// Destination name, with wildcards or without.
    pub filter: Arc<str>,
    /// What they amount to now; `None` when none is left.
    pub demand: Option<Demand>,
}

/// One entry of another broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteEntry {
    /// The broker.
    pub bid: Bid,
    /// Its process.
    pub epoch: Epoch,
    /// Unique within the claim.
    pub id: u64,
    /// Topic or queue.
    pub kind: Kind,
    /// Destination name, with wildcards or without.
    pub filter: Arc<str>,
    /// Selectors of its consumers.
    pub summary: Summary,
    /// Base-2 logarithm of the number of consumers.
    pub consumers_log2: u32,
    /// Credit hint.
    pub credit: u32,
    /// Standing credit.
    pub open: u32,
    /// Rises when it comes to cover more.
    pub rev: u32,
    /// `ENTRY_…` bits.
    pub flags: u32,
}

/// A change for the match tree and custody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryChange {
    /// New, or instead of the one with the same id.
    Put(Arc<RemoteEntry>),
    /// Gone.
    Delete {
        /// The broker.
        bid: Bid,
        /// The entry.
        id: u64,
    },
    /// Nothing of a broker counts any more, or not for now.
    Clear(Bid),
}

fn entry_hash(bytes: &[u8]) -> u128 {
    xxh3_128(bytes)
}

fn eq_hash(entry: u64, property: &str, value: u64) -> u128 {
    let mut bytes = Vec::with_capacity(17 + property.len());
    bytes.extend_from_slice(&entry.to_be_bytes());
    bytes.extend_from_slice(property.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(&value.to_be_bytes());
    xxh3_128(&bytes)
}
