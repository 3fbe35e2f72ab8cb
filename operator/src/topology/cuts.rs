//! What a network hangs on: sites and links without which it falls into more parts.

use std::collections::BTreeSet;

use super::graph::SiteGraph;
use crate::names::{LinkName, SiteName};

/// A site that others reach each other through and in no other way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Articulation {
    /// The site.
    pub site: SiteName,
    /// The parts that its neighbourhood would fall into.
    pub parts: Vec<BTreeSet<SiteName>>,
}

/// A link that is the only way between two parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bridge {
    /// The link.
    pub link: LinkName,
    /// What is on its two sides, the smaller one last.
    pub sides: [BTreeSet<SiteName>; 2],
}

impl SiteGraph {
    /// Every site that something hangs on, in the order of names.
    #[must_use]
    pub fn articulations(&self) -> Vec<Articulation> {
        let before = self.parts();
        let found = self.search().articulations;
        let articulations = found.into_iter().map(|index| {
            let site = self.sites()[index].clone();
            let lost = BTreeSet::from([site.clone()]);
            let own = before.iter().find(|part| part.contains(&site));
            let left = self.without(&lost, &BTreeSet::new()).parts();
            let is_near = |part: &BTreeSet<SiteName>| {
                own.is_some_and(|own| part.iter().any(|site| own.contains(site)))
            };
            let parts = left.into_iter().filter(is_near).collect();
            Articulation { site, parts }
        });
        articulations.collect()
    }

    /// Every link that something hangs on, in the order of names.
    #[must_use]
    pub fn bridges(&self) -> Vec<Bridge> {
        let bridges = self.search().bridges.into_iter().filter_map(|index| {
            let link = &self.links()[index];
            let lost = BTreeSet::from([link.name.clone()]);
            let left = self.without(&BTreeSet::new(), &lost).parts();
            let side = |end: usize| {
                let site = &self.sites()[end];
                left.iter().find(|part| part.contains(site)).cloned()
            };
            let [one, other] = link.ends;
            let mut sides = [side(one)?, side(other)?];
            sides.sort_by_key(|side| std::cmp::Reverse(side.len()));
            Some(Bridge {
                link: link.name.clone(),
                sides,
            })
        });
        bridges.collect()
    }

    fn search(&self) -> Search<'_> {
        let count = self.sites().len();
        let mut search = Search {
            graph: self,
            order: vec![None; count],
            low: vec![0; count],
            next: 0,
            articulations: BTreeSet::new(),
            bridges: BTreeSet::new(),
        };
        for root in 0..count {
            if search.order[root].is_none() {
                search.visit(root, None);
            }
        }
        search
    }
}

/// Depth first, with the earliest site that each branch leads back to (Tarjan). A network has at most 64 sites.
struct Search<'a> {
    graph: &'a SiteGraph,
    order: Vec<Option<usize>>,
    low: Vec<usize>,
    next: usize,
    articulations: BTreeSet<usize>,
    bridges: BTreeSet<usize>,
}

impl Search<'_> {
    /// Visits a site over a link, or as a root.
    fn visit(&mut self, site: usize, over: Option<usize>) {
        let own = self.next;
        self.next += 1;
        self.order[site] = Some(own);
        self.low[site] = own;
        let mut branches = 0;
        for index in self.graph.indices_at(site) {
            // The same link back is no second way; another one beside it is.
            if Some(index) == over {
                continue;
            }
            let next = self.graph.links()[index].across(site);
            if let Some(seen) = self.order[next] {
                self.low[site] = self.low[site].min(seen);
                continue;
            }
            branches += 1;
            self.visit(next, Some(index));
            self.low[site] = self.low[site].min(self.low[next]);
            if self.low[next] > own {
                self.bridges.insert(index);
            }
            if over.is_some() && self.low[next] >= own {
                self.articulations.insert(site);
            }
        }
        if over.is_none() && branches > 1 {
            self.articulations.insert(site);
        }
    }
}
