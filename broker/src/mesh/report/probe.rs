//! Probes: small routed messages that measure the path data takes.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::mesh::ids::{Bid, Now};
use crate::mesh::random::Random;

/// A probe that is not back by then has failed.
const PATIENCE: Duration = Duration::from_secs(5);
/// Sites of one round; more are taken in rotation.
const PER_ROUND: usize = 64;

/// What the last probe to a site showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProbeResult {
    /// Its round trip; nothing before the first one came back.
    pub trip: Option<Duration>,
    /// It did not come back.
    pub has_failed: bool,
}

/// Probes under way and what they showed.
#[derive(Debug, Default)]
pub struct Probes {
    waiting: BTreeMap<Bid, (u64, Now)>,
    results: BTreeMap<Bid, ProbeResult>,
    round: Option<Now>,
    last: Option<Bid>,
}

impl Probes {
    /// The sites to be probed now, with the number of each probe.
    pub fn due(
        &mut self,
        reached: impl Iterator<Item = Bid>,
        interval: Duration,
        random: &mut Random,
        now: Now,
    ) -> Vec<(Bid, u64)> {
        if interval.is_zero() || self.round.is_some_and(|round| now.since(round) < interval) {
            return Vec::new();
        }
        self.round = Some(now);
        let mut sites: Vec<Bid> = reached.collect();
        sites.sort_unstable();
        self.results
            .retain(|bid, _| sites.binary_search(bid).is_ok());
        let start = self
            .last
            .map_or(0, |last| sites.partition_point(|bid| *bid <= last));
        if sites.len() > PER_ROUND {
            sites.rotate_left(start);
            sites.truncate(PER_ROUND);
            self.last = sites.last().copied();
        }
        let probes: Vec<(Bid, u64)> = sites.into_iter().map(|bid| (bid, random.name())).collect();
        self.waiting
            .extend(probes.iter().map(|(bid, id)| (*bid, (*id, now))));
        probes
    }

    /// A probe came back; its round trip if it is the one that was waited for.
    pub fn returned(&mut self, from: Bid, id: u64, now: Now) -> Option<Duration> {
        let (_, sent) = self
            .waiting
            .get(&from)
            .copied()
            .filter(|(sent, _)| *sent == id)?;
        self.waiting.remove(&from);
        let trip = now.since(sent);
        self.results.insert(
            from,
            ProbeResult {
                trip: Some(trip),
                has_failed: false,
            },
        );
        Some(trip)
    }

    /// The sites whose probe did not come back.
    pub fn expired(&mut self, now: Now) -> Vec<Bid> {
        let is_late = |(_, sent): &(u64, Now)| now.since(*sent) >= PATIENCE;
        let late: Vec<Bid> = self
            .waiting
            .iter()
            .filter(|(_, probe)| is_late(probe))
            .map(|(bid, _)| *bid)
            .collect();
        for bid in &late {
            self.waiting.remove(bid);
            self.results.entry(*bid).or_default().has_failed = true;
        }
        late
    }

    /// What the last probe to a site showed.
    #[must_use]
    pub fn result(&self, bid: Bid) -> ProbeResult {
        self.results.get(&bid).copied().unwrap_or_default()
    }

    /// When something is due next.
    #[must_use]
    pub fn deadline(&self, interval: Duration) -> Option<Now> {
        let late = self
            .waiting
            .values()
            .map(|(_, sent)| sent.plus(PATIENCE))
            .min();
        let round = self.round.map_or(Now(0), |round| round.plus(interval));
        let round = (!interval.is_zero()).then_some(round);
        [late, round].into_iter().flatten().min()
    }
}
