//! When a network is one again: maps, interest, reports and routes, from every broker's view (I4 to
//! I7, I18).

use std::collections::BTreeMap;
use std::time::Duration;

use causeway_broker::broker::matching::TopicRoute;
use causeway_broker::mesh::forward::Routes as _;
use causeway_broker::mesh::ids::{Bid, Epoch, Sid};
use causeway_broker::mesh::session::LinkState;

use super::scenario::TOPICS;
use super::topology::distances;
use super::world::World;

/// A network is itself again at most so long after the last fault.
const HEALED: Duration = Duration::from_secs(90);
/// Equal maps are equal routes so much later: computations are 10 ms apart (R4).
const COMPUTED: Duration = Duration::from_millis(50);

impl World {
    /// Runs until the network is one again: I7, I18, then I4 to I6.
    pub fn settle(&mut self) {
        let end = self.clock.now().plus(HEALED);
        let mut complaint = String::new();
        while self.oracle.failure.is_none() && self.clock.now() < end {
            self.run(Duration::from_millis(500));
            match self.agreement() {
                Ok(()) => {
                    self.run(COMPUTED);
                    if self.agreement().is_err() {
                        continue;
                    }
                    let subscribers = self.oracle.subscribers.iter_mut();
                    subscribers.for_each(|one| one.is_known = one.is_there);
                    return self.check_routes();
                }
                Err(why) => complaint = why,
            }
        }
        self.oracle.fail("I7", None, complaint);
    }

    /// The same maps, interest and reports everywhere, everybody reached, nothing on its way.
    fn agreement(&mut self) -> Result<(), String> {
        type Databases = (Vec<(String, Epoch, u64, u128, usize)>, Vec<(Bid, u64, u64)>);
        let mut first: Option<Databases> = None;
        let now = self.clock.now();
        for (at, broker) in self.brokers[..self.size].iter().enumerate() {
            let broker = broker.as_ref().ok_or(format!("{at} does not run"))?;
            let status = broker.mesh.status(now);
            if let Some(link) = status.links.iter().find(|one| one.state != LinkState::Up) {
                return Err(format!("{} is {:?} at {at}", link.name, link.state));
            }
            let reached = broker.routes.sites().iter().filter(|s| s.way.is_some());
            let reached = reached.count() + 1;
            if reached != self.size {
                return Err(format!("{at} reaches {reached} brokers"));
            }
            let rings: usize = broker.links.iter().map(|one| one.data.ring().len()).sum();
            if rings + broker.limbo.len() > 0 {
                return Err(format!(
                    "I6: {rings} in rings, {} in limbo at {at}",
                    broker.limbo.len()
                ));
            }
            for site in &status.sites {
                let links = self.edges.iter().filter(|edge| {
                    self.names[edge.a] == site.site || self.names[edge.b] == site.site
                });
                if links.count() != site.advertised.len() {
                    return Err(format!("{at} misses a link of {}", site.site));
                }
            }
            let sites = status
                .sites
                .into_iter()
                .map(|one| (one.site, one.epoch, one.iseq, one.ihash, one.entries));
            let reports = status.reports.iter();
            let reports = reports.map(|one| (one.bid, one.report.epoch, one.report.rseq));
            let own = (sites.collect(), reports.collect());
            if first.as_ref().is_some_and(|first| *first != own) {
                return Err(format!("0 and {at} differ: {first:?} {own:?}"));
            }
            first.get_or_insert(own);
        }
        self.interest_is_right()
    }

    /// Every broker knows exactly who wants what.
    fn interest_is_right(&self) -> Result<(), String> {
        for topic in TOPICS {
            let wanting = (0..self.oracle.subscribers.len())
                .filter(|one| self.oracle.wants(*one, topic))
                .map(|one| self.oracle.subscribers[one].at);
            let wanting: std::collections::BTreeSet<usize> = wanting.collect();
            for (at, broker) in self.brokers[..self.size].iter().enumerate() {
                let Some(broker) = broker else { continue };
                let mut route = TopicRoute::default();
                broker
                    .interest
                    .topic_into(topic, &broker.routes, &mut route);
                let mut sids: Vec<u16> = wanting
                    .iter()
                    .filter(|one| **one != at)
                    .map(|one| Sid::from_name(&self.names[*one]).0)
                    .collect();
                sids.sort_unstable();
                if route.remote != sids {
                    return Err(format!(
                        "{at} sends {topic} to {:?} instead of {sids:?}",
                        route.remote
                    ));
                }
            }
        }
        Ok(())
    }

    /// I4, I5: following next hops from anywhere to anywhere, the distance falls by each link's
    /// cost and ends at the destination; all distances are the shortest ones.
    fn check_routes(&mut self) {
        let (reference, costs) = (distances(self.size, &self.edges), self.costs());
        for from in 0..self.size {
            for to in (0..self.size).filter(|to| *to != from) {
                let (sid, mut at, mut left) =
                    (Sid::from_name(&self.names[to]), from, reference[from][to]);
                while at != to && self.oracle.failure.is_none() {
                    let next = self.brokers[at].as_ref().and_then(|broker| {
                        let origin = Sid::from_name(&self.names[from]);
                        let link = broker.routes.next_hop(origin, 0, 0, sid)?;
                        Some(broker.links[link.index()].peer)
                    });
                    let cost = next.and_then(|next| costs.get(&(at, next)).copied());
                    match (next, cost.and_then(|cost| left.checked_sub(cost))) {
                        (Some(next), Some(rest)) if rest == reference[next][to] => {
                            (at, left) = (next, rest);
                        }
                        _ => {
                            let what = format!("the way from {from} to {to} errs at {at}");
                            self.oracle.fail("I5", None, what);
                        }
                    }
                }
            }
        }
    }

    /// Cost of each edge in each direction.
    pub fn costs(&self) -> BTreeMap<(usize, usize), u64> {
        let both = |edge: &super::topology::Edge| {
            let cost = u64::from(edge.cost);
            [((edge.a, edge.b), cost), ((edge.b, edge.a), cost)]
        };
        let mut costs = BTreeMap::new();
        for (pair, cost) in self.edges.iter().flat_map(both) {
            let known = costs.entry(pair).or_insert(cost);
            *known = cost.min(*known);
        }
        costs
    }
}
