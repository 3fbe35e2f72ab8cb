//! What follows from all LSAs together: which links exist (R2), who is reached, who is a rival
//! (R26), who holds a short id, and the way to everybody (R4).

use std::collections::{BTreeMap, BTreeSet};

use super::{HalfLink, Lsdb, Record};
use crate::mesh::ids::{Bid, ClaimId, LinkId, Sid};
use crate::mesh::policy;
use crate::mesh::spf::{Graph, Tree, shortest_paths};

/// One of the own links that is up. It counts by its real state, not by the LSA that may still
/// wait for its interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveLink {
    /// The link.
    pub link: LinkId,
    /// The claim at the other end.
    pub peer: ClaimId,
    /// Hash of its name.
    pub hash: u32,
    /// Its cost here.
    pub cost: u32,
}

/// What the computation is about.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The own claim.
    pub own: ClaimId,
    /// The own links that are up.
    pub live: &'a [LiveLink],
    /// Sites that are left out.
    pub denied: &'a BTreeSet<Bid>,
    /// How many labels are in use, from 0.
    pub labels: u8,
}

/// The way to one destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Its claim.
    pub id: ClaimId,
    /// Sum of the costs.
    pub distance: u64,
    /// Edges on the way.
    pub hops: u16,
    /// The own link to take, by label.
    pub links: Vec<LinkId>,
}

/// The result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Map {
    /// Claims with a way to them, rivals included.
    pub reached: BTreeSet<ClaimId>,
    /// Claims of a site that an older claim holds.
    pub rivals: BTreeSet<ClaimId>,
    /// Claims whose short id a lower broker id holds: (who keeps it, who loses).
    pub sid_conflicts: BTreeSet<(ClaimId, ClaimId)>,
    /// The ways, in order of claims.
    pub destinations: Vec<Destination>,
    /// Longest way in hops.
    pub eccentricity: u16,
}

/// Computes the map from the view of one broker. Rules: R2, R4, R26.
#[must_use]
pub fn compute(lsdb: &Lsdb, view: View<'_>) -> Map {
    let all: Vec<ClaimId> = lsdb
        .records()
        .map(|record| record.id)
        .filter(|id| *id == view.own || !view.denied.contains(&id.bid))
        .collect();
    let everybody = build(lsdb, view, all);
    let Some(tree) = everybody.tree(view.own, 0) else {
        return Map::default();
    };
    let reached: BTreeSet<ClaimId> = everybody
        .ids
        .iter()
        .enumerate()
        .filter(|(at, _)| tree.reached(*at).is_some())
        .map(|(_, id)| *id)
        .collect();
    let rivals = rivals(lsdb, &reached);
    let sid_conflicts = sid_conflicts(lsdb, &reached, &rivals);
    let is_left_out =
        |id: &ClaimId| rivals.contains(id) || sid_conflicts.iter().any(|(_, loses)| loses == id);
    let is_kept = |id: &ClaimId| *id == view.own || !is_left_out(id);
    let kept: Vec<ClaimId> = everybody.ids.iter().copied().filter(is_kept).collect();
    let claims = if kept.len() == everybody.ids.len() {
        everybody
    } else {
        build(lsdb, view, kept)
    };
    let mut map = Map {
        reached,
        rivals,
        sid_conflicts,
        ..Map::default()
    };
    claims.destinations(view, &mut map);
    map
}

/// A graph whose vertices are claims, in their order.
struct Claims {
    ids: Vec<ClaimId>,
    graph: Graph,
}

impl Claims {
    fn tree(&self, root: ClaimId, label: u8) -> Option<Tree> {
        Some(shortest_paths(
            &self.graph,
            self.ids.binary_search(&root).ok()?,
            label,
        ))
    }

    fn destinations(&self, view: View<'_>, map: &mut Map) {
        let Ok(root) = self.ids.binary_search(&view.own) else {
            return;
        };
        let trees: Vec<Tree> = (0..view.labels)
            .filter_map(|label| self.tree(view.own, label))
            .collect();
        let Some(first) = trees.first() else { return };
        for (at, id) in self.ids.iter().enumerate().filter(|(at, _)| *at != root) {
            let Some(reached) = first.reached(at) else {
                continue;
            };
            let links = trees
                .iter()
                .filter_map(|tree| self.link(view, root, tree, at))
                .collect();
            let (distance, hops) = (reached.distance, reached.hops);
            map.destinations.push(Destination {
                id: *id,
                distance,
                hops,
                links,
            });
        }
        map.eccentricity = first.eccentricity();
    }

    fn link(&self, view: View<'_>, root: usize, tree: &Tree, to: usize) -> Option<LinkId> {
        let neighbour = tree.reached(to)?.first;
        let edge = self.graph.edge(root, neighbour)?;
        let is_it = |live: &&LiveLink| live.peer == self.ids[neighbour] && live.hash == edge.link;
        Some(view.live.iter().find(is_it)?.link)
    }
}

/// An edge counts only if both claims list it. Rule: R2.
fn build(lsdb: &Lsdb, view: View<'_>, ids: Vec<ClaimId>) -> Claims {
    let records: Vec<&Record> = ids.iter().filter_map(|id| lsdb.record(id)).collect();
    let mut graph = Graph::default();
    for record in &records {
        let is_open = policy::is_open(&record.no_transit, policy::CLASS);
        graph.add_vertex(record.id.bid, !record.is_leaving && is_open);
    }
    let place = |id: &ClaimId| ids.binary_search(id).ok();
    for (at, record) in records
        .iter()
        .enumerate()
        .filter(|(_, record)| record.id != view.own)
    {
        for half in record.links.iter().filter(|half| half.peer > record.id) {
            let Some(other) = place(&half.peer).filter(|_| half.peer != view.own) else {
                continue;
            };
            if let Some(cost) = cost(half, half_toward(records[other], record.id, half.link)) {
                graph.add_edge(at, other, cost, half.link);
            }
        }
    }
    let Some(own) = place(&view.own) else {
        return Claims { ids, graph };
    };
    for live in view.live {
        let Some(other) = place(&live.peer) else {
            continue;
        };
        let far = half_toward(records[other], view.own, live.hash);
        if let Some(far) = far.filter(|far| policy::is_open(&far.deny, policy::CLASS)) {
            graph.add_edge(own, other, far.cost.max(live.cost), live.hash);
        }
    }
    Claims { ids, graph }
}

fn half_toward(record: &Record, peer: ClaimId, link: u32) -> Option<&HalfLink> {
    // The links are in order of (peer, link).
    let at = record
        .links
        .partition_point(|half| (half.peer, half.link) < (peer, link));
    record
        .links
        .get(at)
        .filter(|half| (half.peer, half.link) == (peer, link))
}

fn cost(one: &HalfLink, other: Option<&HalfLink>) -> Option<u32> {
    let other = other?;
    let is_open = |half: &HalfLink| policy::is_open(&half.deny, policy::CLASS);
    (is_open(one) && is_open(other)).then(|| one.cost.max(other.cost))
}

/// Of several reached claims of one broker the oldest counts. Rule: R26.
fn rivals(lsdb: &Lsdb, reached: &BTreeSet<ClaimId>) -> BTreeSet<ClaimId> {
    let mut oldest: BTreeMap<Bid, _> = BTreeMap::new();
    let rank = |id: &ClaimId| {
        lsdb.record(id)
            .map(|record| (record.since, record.instance))
    };
    for id in reached {
        let best = oldest.entry(id.bid).or_insert(*id);
        if rank(id) < rank(best) {
            *best = *id;
        }
    }
    reached
        .iter()
        .filter(|id| oldest.get(&id.bid) != Some(*id))
        .copied()
        .collect()
}

/// Of two reached brokers with one short id the lower broker id keeps it. Rule: R4.
fn sid_conflicts(
    lsdb: &Lsdb,
    reached: &BTreeSet<ClaimId>,
    rivals: &BTreeSet<ClaimId>,
) -> BTreeSet<(ClaimId, ClaimId)> {
    let mut holders: BTreeMap<Sid, ClaimId> = BTreeMap::new();
    let mut conflicts = BTreeSet::new();
    for id in reached.difference(rivals) {
        let Some(record) = lsdb.record(id) else {
            continue;
        };
        match holders.get(&record.sid) {
            Some(keeps) => {
                conflicts.insert((*keeps, *id));
            }
            None => {
                holders.insert(record.sid, *id);
            }
        }
    }
    conflicts
}
