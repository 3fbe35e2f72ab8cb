//! The map as it was advertised: the newest LSA of every claim (R3), how long each has not been
//! reached (R14), and what follows from all of them ([`map`]: R2, R4, R26).
//!
//! Keeps the bytes that arrived: re-encoding would cut what a newer broker put in.

pub mod map;
mod record;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use super::ids::{ClaimId, ConnId, Epoch, Now};

pub use record::{HalfLink, Lost, Record, RecordError, hash_of, parse};

/// Records of a claim that nobody reached for so long are forgotten. Rule: R14.
pub const PURGE_AFTER: Duration = Duration::from_secs(3600);

/// How an arrived LSA compares with what is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Offer {
    /// It was stored.
    Newer {
        /// The first of its claim, or of a new process.
        is_new_process: bool,
        /// Something but the version of its entries changed: routes have to be computed.
        is_map_changed: bool,
    },
    /// Known.
    Same,
    /// The stored one is newer and goes back.
    Older(Bytes),
    /// Nobody has reached the claim for too long.
    Buried,
    /// Above the limits.
    OverLimit,
}

/// The newest LSA of every claim, the own one included.
#[derive(Debug, Default)]
pub struct Lsdb {
    records: BTreeMap<ClaimId, Record>,
    bytes: usize,
}

impl Lsdb {
    /// Compares an LSA with what is stored, and stores it when it is newer. `unreachable_ms` is the
    /// sender's word. Rule: R3.
    pub fn offer(
        &mut self,
        record: Record,
        unreachable_ms: u32,
        from: Option<ConnId>,
        most: usize,
        now: Now,
    ) -> Offer {
        if Duration::from_millis(unreachable_ms.into()) >= PURGE_AFTER {
            return Offer::Buried;
        }
        let Some(known) = self.records.get_mut(&record.id) else {
            if self.records.len() >= most {
                return Offer::OverLimit;
            }
            self.bytes += record.bytes.len();
            let id = record.id;
            self.records
                .insert(id, record.arrived(unreachable_ms, from, now));
            return Offer::Newer {
                is_new_process: true,
                is_map_changed: true,
            };
        };
        match record.version().cmp(&known.version()) {
            std::cmp::Ordering::Equal => Offer::Same,
            std::cmp::Ordering::Less => Offer::Older(known.bytes.clone()),
            std::cmp::Ordering::Greater => {
                let is_new_process = record.epoch > known.epoch;
                let is_map_changed = is_new_process || !record.is_same_map(known);
                self.bytes = self.bytes - known.bytes.len() + record.bytes.len();
                known.replace(record, unreachable_ms, from, now);
                Offer::Newer {
                    is_new_process,
                    is_map_changed,
                }
            }
        }
    }

    /// The record of a claim.
    #[must_use]
    pub fn record(&self, id: &ClaimId) -> Option<&Record> {
        self.records.get(id)
    }

    /// The record of a claim.
    pub fn record_mut(&mut self, id: &ClaimId) -> Option<&mut Record> {
        self.records.get_mut(id)
    }

    /// All records in order of their claims.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.values()
    }

    /// All records in order of their claims.
    pub fn records_mut(&mut self) -> impl Iterator<Item = &mut Record> {
        self.records.values_mut()
    }

    /// The records of one broker: its claim and those of rivals.
    pub fn claims_of(&self, bid: super::ids::Bid) -> impl Iterator<Item = &Record> {
        let first = ClaimId { bid, instance8: 0 };
        self.records
            .range(first..)
            .map(|(_, record)| record)
            .take_while(move |record| record.id.bid == bid)
    }

    /// Forgets a claim.
    pub fn remove(&mut self, id: &ClaimId) {
        if let Some(record) = self.records.remove(id) {
            self.bytes -= record.bytes.len();
        }
    }

    /// Bytes stored.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Claims stored.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// True when nothing is stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// True when a process of the claim that is newer than the given one was heard of.
    #[must_use]
    pub fn newest_epoch(&self, id: &ClaimId) -> Option<Epoch> {
        self.record(id).map(|record| record.epoch)
    }
}
