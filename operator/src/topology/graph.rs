//! Sites and links as a graph: who reaches whom, by which way, and what everything hangs on.
//!
//! Shortest ways are those of the brokers themselves (`causeway_broker::mesh::spf`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use causeway_broker::mesh::ids::{Bid, link_hash};
use causeway_broker::mesh::spf::{self, Graph, Tree};
use serde::Serialize;

use crate::model::ValidNetwork;
use crate::names::{LinkName, SiteName};

/// The only flow label in use.
const LABEL: u8 = 0;

/// A link between two sites, by their index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphLink {
    /// Its name.
    pub name: LinkName,
    /// Its ends.
    pub ends: [usize; 2],
    /// Its cost.
    pub cost: u16,
}

impl GraphLink {
    /// The other end, seen from one.
    #[must_use]
    pub const fn across(&self, from: usize) -> usize {
        let [one, other] = self.ends;
        if one == from { other } else { one }
    }
}

/// The sites that run and the links between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteGraph {
    network: String,
    sites: Vec<SiteName>,
    links: Vec<GraphLink>,
    at: Vec<Vec<usize>>,
}

/// One link of a way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hop {
    /// The link.
    pub link: LinkName,
    /// Where it leads.
    pub to: SiteName,
    /// Its cost.
    pub cost: u16,
}

/// The way from one site to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Route {
    /// Sum of the costs.
    pub cost: u64,
    /// Link by link; none within one site.
    pub hops: Vec<Hop>,
}

impl SiteGraph {
    /// The graph of some sites and links; a link to a site that is not among them is left out.
    #[must_use]
    pub fn new<'a>(
        network: &str,
        sites: impl IntoIterator<Item = SiteName>,
        links: impl IntoIterator<Item = (&'a str, [&'a str; 2], u16)>,
    ) -> Self {
        let sites: BTreeSet<SiteName> = sites.into_iter().collect();
        let sites: Vec<SiteName> = sites.into_iter().collect();
        let index = |name: &str| sites.binary_search_by(|site| site.as_str().cmp(name)).ok();
        let known = links.into_iter().filter_map(|(name, [one, other], cost)| {
            let ends = [index(one)?, index(other)?];
            let name = LinkName::new(name);
            (ends[0] != ends[1]).then_some(GraphLink { name, ends, cost })
        });
        let mut links: Vec<GraphLink> = known.collect();
        links.sort_by(|one, other| one.name.cmp(&other.name));
        let mut at = vec![Vec::new(); sites.len()];
        for (index, link) in links.iter().enumerate() {
            link.ends.iter().for_each(|end| at[*end].push(index));
        }
        Self {
            network: network.to_owned(),
            sites,
            links,
            at,
        }
    }

    /// The graph of a network: sites that are stopped or denied are not in it.
    #[must_use]
    pub fn of(network: &ValidNetwork) -> Self {
        let is_there = |name: &SiteName| !network.denied_sites.contains(name.as_str());
        let sites = network.sites.iter();
        let sites = sites.filter(|(name, site)| site.is_running && is_there(name));
        let links = network.links.iter().map(|(name, link)| {
            let [one, other] = &link.ends;
            (name.as_str(), [one.as_str(), other.as_str()], link.cost)
        });
        Self::new(
            network.name.as_str(),
            sites.map(|(name, _)| name.clone()),
            links,
        )
    }

    /// The same without some sites and links.
    #[must_use]
    pub fn without(&self, sites: &BTreeSet<SiteName>, links: &BTreeSet<LinkName>) -> Self {
        let kept = self.links.iter().filter(|link| !links.contains(&link.name));
        let kept = kept.map(|link| {
            let [one, other] = link.ends.map(|end| self.sites[end].as_str());
            (link.name.as_str(), [one, other], link.cost)
        });
        let stay = self.sites.iter().filter(|site| !sites.contains(*site));
        Self::new(&self.network, stay.cloned(), kept)
    }

    /// Its sites, in the order of their names.
    #[must_use]
    pub fn sites(&self) -> &[SiteName] {
        &self.sites
    }

    /// Its links, in the order of their names.
    #[must_use]
    pub fn links(&self) -> &[GraphLink] {
        &self.links
    }

    /// Where a site stands.
    #[must_use]
    pub fn index(&self, site: &str) -> Option<usize> {
        self.sites
            .binary_search_by(|known| known.as_str().cmp(site))
            .ok()
    }

    /// The links of a site.
    pub fn links_at(&self, site: usize) -> impl Iterator<Item = &GraphLink> {
        let links = self.at.get(site).map_or(&[][..], Vec::as_slice);
        links.iter().map(|index| &self.links[*index])
    }

    /// The links of a site, by their place in [`SiteGraph::links`].
    pub(super) fn indices_at(&self, site: usize) -> Vec<usize> {
        self.at.get(site).cloned().unwrap_or_default()
    }

    /// The parts that no link joins, the first site of each in the order of names.
    #[must_use]
    pub fn parts(&self) -> Vec<BTreeSet<SiteName>> {
        let mut seen = vec![false; self.sites.len()];
        let mut parts = Vec::new();
        for start in 0..self.sites.len() {
            if seen[start] {
                continue;
            }
            seen[start] = true;
            let mut part = BTreeSet::new();
            let mut waiting = vec![start];
            while let Some(site) = waiting.pop() {
                part.insert(self.sites[site].clone());
                for link in self.links_at(site) {
                    let next = link.across(site);
                    if !std::mem::replace(&mut seen[next], true) {
                        waiting.push(next);
                    }
                }
            }
            parts.push(part);
        }
        parts
    }

    /// The shortest ways from a site, as its broker finds them.
    #[must_use]
    pub fn tree(&self, root: usize) -> Tree {
        spf::shortest_paths(&self.spf(), root, LABEL)
    }

    /// The shortest ways from every site, in their order.
    #[must_use]
    pub fn trees(&self) -> Vec<Tree> {
        let graph = self.spf();
        (0..self.sites.len())
            .map(|root| spf::shortest_paths(&graph, root, LABEL))
            .collect()
    }

    fn spf(&self) -> Graph {
        let mut graph = Graph::default();
        for site in &self.sites {
            graph.add_vertex(Bid::derive(&self.network, site.as_str()), true);
        }
        for link in &self.links {
            let [one, other] = link.ends;
            let hash = link_hash(link.name.as_str());
            graph.add_edge(one, other, u32::from(link.cost), hash);
        }
        graph
    }

    /// The way to a site in a tree of [`SiteGraph::tree`].
    #[must_use]
    pub fn route(&self, tree: &Tree, to: usize) -> Option<Route> {
        let path = tree.path(to)?;
        let hops: Vec<Hop> = path
            .windows(2)
            .filter_map(|pair| self.taken(pair[0], pair[1]))
            .collect();
        let cost = tree.reached(to)?.distance;
        Some(Route { cost, hops })
    }

    /// The link that brokers take between two neighbours: the cheapest, then the lower hash (R2).
    fn taken(&self, from: usize, to: usize) -> Option<Hop> {
        let between = self.links_at(from).filter(|link| link.across(from) == to);
        let link = between.min_by_key(|link| (link.cost, link_hash(link.name.as_str())))?;
        Some(Hop {
            link: link.name.clone(),
            to: self.sites[to].clone(),
            cost: link.cost,
        })
    }

    /// How many ways between two sites share no link.
    #[must_use]
    pub fn disjoint(&self, from: usize, to: usize) -> usize {
        // Of each link, the end that a way leaves it by.
        let mut used: BTreeMap<usize, usize> = BTreeMap::new();
        let mut count = 0;
        while from != to && self.augment(from, to, &mut used) {
            count += 1;
        }
        count
    }

    /// One more way, found in what the ways so far leave; a link that one of them uses may be given back.
    fn augment(&self, from: usize, to: usize, used: &mut BTreeMap<usize, usize>) -> bool {
        let mut came: BTreeMap<usize, usize> = BTreeMap::new();
        let mut waiting = VecDeque::from([from]);
        while let Some(site) = waiting.pop_front() {
            if site == to {
                break;
            }
            for index in &self.at[site] {
                let next = self.links[*index].across(site);
                let is_free = used.get(index).is_none_or(|leads| *leads == site);
                if is_free && next != from && !came.contains_key(&next) {
                    came.insert(next, *index);
                    waiting.push_back(next);
                }
            }
        }
        let mut site = to;
        while let Some(index) = came.get(&site).filter(|_| site != from) {
            match used.remove(index) {
                Some(_) => {}
                None => drop(used.insert(*index, site)),
            }
            site = self.links[*index].across(site);
        }
        site == from && came.contains_key(&to)
    }

    /// The two sites that are the most hops apart, with their number.
    #[must_use]
    pub fn widest(&self) -> Option<(SiteName, SiteName, u16)> {
        let mut widest: Option<(usize, usize, u16)> = None;
        for (from, tree) in self.trees().iter().enumerate() {
            for to in from + 1..self.sites.len() {
                let hops = tree.reached(to).map_or(0, |reached| reached.hops);
                if hops > widest.map_or(0, |(_, _, most)| most) {
                    widest = Some((from, to, hops));
                }
            }
        }
        widest.map(|(from, to, hops)| (self.sites[from].clone(), self.sites[to].clone(), hops))
    }
}
