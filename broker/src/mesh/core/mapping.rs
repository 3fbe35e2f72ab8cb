//! From the map to routes: when it is computed, what is published, what else follows (R4, R26).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::Mesh;
use super::ending::After;
use crate::mesh::event::{Action, Actions, Counter, MeshLog};
use crate::mesh::ids::{Bid, ClaimId, ConnId, LinkId, Now, Sid};
use crate::mesh::lsdb::map::{self, LiveLink, Map, View};
use crate::mesh::lsdb::{Lost, Record};
use crate::mesh::messages::Reason;
use crate::mesh::routes::{Content, Routes, SiteRoute, Way};
use crate::mesh::session::LinkState;
use crate::mesh::session::link::Pause;

/// Computations are at least this far apart, but for the loss of an own link.
const SPF_GAP: Duration = Duration::from_millis(10);
/// Labels in use when destinations are spread over equally short paths.
const LABELS: u8 = 4;

impl Mesh {
    /// The map is other than before: the first change is computed at once.
    pub(super) fn need_map(&mut self, now: Now) {
        let earliest = self.map_ran.map_or(now, |ran| ran.plus(SPF_GAP).max(now));
        self.map_due.get_or_insert(earliest);
    }

    /// Computes the map if that is due.
    pub(super) fn run_map(&mut self, now: Now, out: &mut Actions) {
        if self.map_due.is_some_and(|due| due <= now) {
            self.compute_map(now, out);
        }
    }

    /// Computes the map and publishes what follows. Rule: R4.
    pub(super) fn compute_map(&mut self, now: Now, out: &mut Actions) {
        self.map_due = None;
        self.map_ran = Some(now);
        Self::count(Counter::SpfRuns, out);
        let live = self.live_links();
        let labels = if self.config.spread { LABELS } else { 1 };
        let view = View {
            own: self.id,
            live: &live,
            denied: &self.denied,
            labels,
        };
        let map = map::compute(&self.lsdb, view);
        let before = std::mem::replace(&mut self.map, map);
        self.mark(now);
        self.warn(&before, out);
        self.publish(out);
        self.refresh_shown(now, out);
        self.greet_returned(&before, now);
        if self.map.rivals.contains(&self.id) {
            self.step_back(now, out);
        }
    }

    /// Publishes routes unless they are what they were.
    pub(super) fn publish(&mut self, out: &mut Actions) {
        let content = self.content();
        if self.generation > 0 && content == *self.routes.content() {
            return;
        }
        self.generation += 1;
        self.routes = Arc::new(Routes::new(self.generation, content));
        out.push(Action::Publish(self.routes.clone()));
    }

    /// The own links that are up and advertised.
    pub(super) fn live_links(&self) -> Vec<LiveLink> {
        let live = self
            .numbered()
            .filter(|(_, link)| link.is_advertised)
            .filter_map(|(id, link)| {
                let peer = self.sessions.get(&link.up?)?.peer.as_ref()?;
                Some(LiveLink {
                    link: id,
                    peer: peer.id,
                    hash: link.hash,
                    cost: link.config.cost,
                })
            });
        live.collect()
    }

    /// Somebody else holds this site: serve local clients, leave the network. Rule: R26.
    pub(super) fn step_back(&mut self, now: Now, out: &mut Actions) {
        let conns: Vec<ConnId> = self.sessions.keys().copied().collect();
        if conns.is_empty() {
            return;
        }
        Self::log(
            MeshLog::Rival {
                site: self.config.site.clone(),
            },
            out,
        );
        Self::count(Counter::Rivals, out);
        let after = After {
            state: LinkState::Refused,
            reason: "duplicate_site",
            pause: Pause::Refused,
        };
        for conn in conns {
            self.say_bye(
                conn,
                Reason::DuplicateSite,
                "somebody else runs this site",
                after,
                now,
                out,
            );
        }
    }

    /// Notes in every record whether its claim is reached.
    fn mark(&mut self, now: Now) {
        let destinations: BTreeSet<ClaimId> = self
            .map
            .destinations
            .iter()
            .map(|destination| destination.id)
            .collect();
        for record in self.lsdb.records_mut() {
            record.is_destination = destinations.contains(&record.id);
            let is_reached = self.map.reached.contains(&record.id) || record.id == self.id;
            if is_reached {
                record.lost = None;
            } else {
                record.lost.get_or_insert(Lost {
                    at: now,
                    before: Duration::ZERO,
                });
            }
        }
    }

    fn warn(&self, before: &Map, out: &mut Actions) {
        let site = |id: &ClaimId| {
            self.lsdb
                .record(id)
                .map_or(String::new(), |record| record.site.to_string())
        };
        for (keeps, loses) in self.map.sid_conflicts.difference(&before.sid_conflicts) {
            Self::count(Counter::SidConflict, out);
            Self::log(
                MeshLog::SidConflict {
                    keeps: site(keeps),
                    loses: site(loses),
                },
                out,
            );
        }
        for rival in self
            .map
            .rivals
            .difference(&before.rivals)
            .filter(|id| **id != self.id)
        {
            Self::count(Counter::Rivals, out);
            Self::log(MeshLog::Rival { site: site(rival) }, out);
        }
    }

    /// A peer that appears over another path is dialled at once. Rule: 3.4.
    fn greet_returned(&mut self, before: &Map, now: Now) {
        let was_there = |bid: Bid| before.reached.iter().any(|id| id.bid == bid);
        let returned: Vec<LinkId> = self
            .numbered()
            .filter(|(_, link)| link.up.is_none() && !was_there(link.peer))
            .filter(|(_, link)| self.map.reached.iter().any(|id| id.bid == link.peer))
            .map(|(id, _)| id)
            .collect();
        for id in returned {
            self.dial_soon(id, now);
        }
    }

    fn content(&self) -> Content {
        let mut content = Content {
            own: self.config.sid,
            bid: self.id.bid,
            epoch: self.epoch,
            denied: self.denied_sids(),
            eccentricity: self.map.eccentricity,
            ..Content::default()
        };
        let labels = self
            .map
            .destinations
            .first()
            .map_or(1, |first| first.links.len());
        content.next = vec![Vec::new(); labels];
        for destination in &self.map.destinations {
            let Some(record) = self.lsdb.record(&destination.id) else {
                continue;
            };
            for (next, link) in content.next.iter_mut().zip(&destination.links) {
                next.push((record.sid, *link));
            }
        }
        content.sites = self.site_routes();
        content
    }

    /// One row per broker: the claim that counts, or the oldest one known.
    fn site_routes(&self) -> Vec<SiteRoute> {
        let mut sites: Vec<(&Record, SiteRoute)> = Vec::new();
        for record in self
            .lsdb
            .records()
            .filter(|record| record.id.bid != self.id.bid)
        {
            if self.denied.contains(&record.id.bid) {
                continue;
            }
            let row = SiteRoute {
                sid: record.sid,
                id: record.id,
                epoch: record.epoch,
                site: record.site.clone(),
                way: self.way(record),
            };
            match sites
                .last_mut()
                .filter(|(_, last)| last.id.bid == record.id.bid)
            {
                Some(last) => {
                    let rank =
                        |record: &Record| (!record.is_destination, record.since, record.instance);
                    if rank(record) < rank(last.0) {
                        *last = (record, row);
                    }
                }
                None => sites.push((record, row)),
            }
        }
        sites.into_iter().map(|(_, row)| row).collect()
    }

    fn way(&self, record: &Record) -> Option<Way> {
        let destinations = &self.map.destinations;
        let at = destinations
            .binary_search_by_key(&record.id, |one| one.id)
            .ok()?;
        let one = &destinations[at];
        Some(Way {
            link: *one.links.first()?,
            distance: one.distance,
            hops: one.hops,
        })
    }

    pub(super) fn set_denied(&mut self) {
        let network = &self.config.network;
        self.denied = self
            .config
            .denied_sites
            .iter()
            .map(|site| Bid::derive(network, site))
            .collect();
    }

    fn denied_sids(&self) -> BTreeSet<Sid> {
        let configured = self.config.denied_sites.iter().map(|site| {
            self.config
                .sites
                .get(site)
                .copied()
                .unwrap_or_else(|| Sid::from_name(site))
        });
        let heard = self
            .lsdb
            .records()
            .filter(|record| self.denied.contains(&record.id.bid));
        configured.chain(heard.map(|record| record.sid)).collect()
    }
}
