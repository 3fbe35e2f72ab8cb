//! Since when sites are out of reach: for a moment they may still come back for their replies.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::mesh::ids::{Bid, Now};

/// The listed brokers that are not reachable.
#[derive(Debug, Default)]
pub struct LostSites(BTreeMap<Bid, Now>);

impl LostSites {
    /// Takes in which of all listed brokers are reachable. One that is listed no more does not come
    /// back.
    pub fn update(&mut self, sites: impl Iterator<Item = (Bid, bool)>, now: Now) {
        let lost = sites.filter(|(_, is_reachable)| !is_reachable);
        self.0 = lost
            .map(|(bid, _)| (bid, self.0.get(&bid).copied().unwrap_or(now)))
            .collect();
    }

    /// True when the broker was lost less than that long ago.
    #[must_use]
    pub fn is_recent(&self, bid: Bid, within: Duration, now: Now) -> bool {
        self.0
            .get(&bid)
            .is_some_and(|lost| now.since(*lost) < within)
    }
}
