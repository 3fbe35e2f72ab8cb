//! What is compared over time: versions of records (I8), bytes of advertisements (I21), messages
//! whose time is over, and who is denied (R21).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use causeway_broker::mesh::frame::FwdFrame;
use causeway_broker::mesh::ids::{Bid, Epoch, Instance, Now, Sid};
use causeway_broker::mesh::ring::Queued;

use super::data::{number_in, number_of};
use super::oracle::Note;
use super::world::World;

/// Which record: the map's, the entries', the report's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Store {
    Map,
    Entries,
    Reports,
}

/// How often versions are compared.
const LOOK: Duration = Duration::from_secs(2);

type Versions = BTreeMap<(Store, Bid, Instance), (Epoch, u64)>;

/// What is compared over time.
#[derive(Debug, Default)]
pub struct Watch {
    versions: BTreeMap<usize, Versions>,
    looked: BTreeMap<usize, Now>,
    lsa_bytes: usize,
    longest_lsa: usize,
    expired: BTreeMap<(usize, u32, String), u64>,
    /// How often something happened that a kind of runs is there for.
    pub seen: BTreeMap<&'static str, u64>,
}

impl Watch {
    /// Something happened that a kind of runs is there for.
    pub fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// An LSA was written to a wire.
    pub fn lsa(&mut self, len: usize) {
        self.lsa_bytes += len;
        self.longest_lsa = self.longest_lsa.max(len);
    }

    /// Bytes of all LSAs written, and the longest of them.
    pub fn lsas(&self) -> (usize, usize) {
        (self.lsa_bytes, self.longest_lsa)
    }

    /// A process ended: what the next one knows begins anew.
    pub fn forget(&mut self, at: usize) {
        self.versions.remove(&at);
    }

    /// How many more frames a ring has dropped because their time was over.
    pub fn expired_in_rings(&mut self, at: usize, life: u32, link: &str, dropped: u64) -> u64 {
        let known = self.expired.entry((at, life, link.to_owned()));
        let known = known.or_default();
        dropped - std::mem::replace(known, dropped)
    }
}

impl World {
    /// I8: versions never fall in any store.
    pub fn watch_versions(&mut self, at: usize) {
        let now = self.clock.now();
        let is_due = self
            .watch
            .looked
            .get(&at)
            .is_none_or(|looked| now.since(*looked) >= LOOK);
        let Some(broker) = self.brokers[at].as_ref().filter(|_| is_due) else {
            return;
        };
        self.watch.looked.insert(at, now);
        let status = broker.mesh.status(now);
        let sites = status.sites.iter().flat_map(|one| {
            let key = |store| (store, one.bid, one.instance);
            [
                (key(Store::Map), (one.epoch, one.seq)),
                (key(Store::Entries), (one.epoch, one.iseq)),
            ]
        });
        let reports = status.reports.iter().map(|one| {
            let instance = one.report.instance.first_chunk().copied();
            let key = (
                Store::Reports,
                one.bid,
                Instance(instance.unwrap_or_default()),
            );
            (key, (Epoch(one.report.epoch), one.report.rseq))
        });
        let own = self.watch.versions.entry(at).or_default();
        let mut fallen = None;
        for (key, version) in sites.chain(reports) {
            match own.insert(key, version) {
                Some(before) if before > version => fallen = Some((key, before, version)),
                _ => {}
            }
        }
        if let Some(fallen) = fallen {
            self.oracle.fail("I8", None, format!("at {at}: {fallen:?}"));
        }
    }

    /// A copy was dropped because its time is over: is it?
    pub fn expired(&mut self, at: usize, frame: &Queued) {
        let now = self.clock.now();
        let Some(number) = number_in(frame) else {
            return;
        };
        // An age adds the mean of what a link took before, which may be more than it took now.
        let slack = self.longest_trip() / 2 * (u32::from(frame.hops) + 1);
        let message = self.oracle.message(number);
        let is_over = message.expires.is_some_and(|at| at <= now.plus(slack));
        message.has_expired = true;
        self.oracle.note(
            now,
            Note::Lost {
                message: number,
                at,
            },
        );
        if !is_over {
            let what = format!("{at} drops it before its time");
            self.oracle.fail("R9", Some(number), what);
        }
    }

    /// So many frames were dropped in rings: some message's time must be over.
    pub fn expired_unseen(&mut self, count: u64) {
        let latest = self.clock.now().plus(self.longest_trip() * 8);
        let is_over = |at: &Now| *at <= latest;
        let mut over = 0;
        for message in &mut self.oracle.messages {
            if message.expires.as_ref().is_some_and(is_over) {
                message.has_expired = true;
                over += 1;
            }
        }
        self.watch.saw("expired");
        if over == 0 {
            let what = format!("{count} frames are dropped before their time");
            self.oracle.fail("R9", None, what);
        }
    }

    fn longest_trip(&self) -> Duration {
        let running = self.brokers.iter().flatten();
        let trips = running.flat_map(|broker| broker.links.iter().map(|side| side.data.rtt()));
        trips.max().unwrap_or_default() + Duration::from_millis(2)
    }

    /// R21: nothing of a denied site is delivered or sent on.
    pub fn check_denied(&mut self, at: usize, frame: &FwdFrame) {
        let denied = &self.configs[at].denied_sites;
        let origin = frame.tail_head.origin;
        if denied.iter().any(|site| Sid::from_name(site) == origin) {
            let what = format!("{at} takes a frame of a site that it denies");
            self.oracle.fail("R21", number_of(frame), what);
        }
    }

    /// I4 with everybody's own links: whom a broker reaches, it reaches by links that work; and it
    /// reaches everybody it can.
    pub fn check_reach(&mut self, parts: &[BTreeSet<usize>]) {
        for part in parts {
            for at in part {
                let Some(broker) = self.brokers[*at].as_ref() else {
                    continue;
                };
                let sites = broker.routes.sites().iter();
                let reached = sites.filter(|site| site.way.is_some());
                let mut reached: Vec<usize> = reached
                    .filter_map(|site| self.names.iter().position(|name| **name == *site.site))
                    .chain([*at])
                    .collect();
                reached.sort_unstable();
                if !reached.iter().eq(part.iter()) {
                    let what = format!("{at} reaches {reached:?} instead of {part:?}");
                    return self.oracle.fail("I4", None, what);
                }
            }
        }
    }
}
