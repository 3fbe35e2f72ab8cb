//! What losses come to: the brokers' own shortest ways on what is left, and what a network hangs on.

mod offline;

use std::collections::BTreeSet;

use causeway_broker::mesh::ids::{Bid, link_hash};
use causeway_broker::mesh::random::Random;
use causeway_broker::mesh::spf::{self, Graph};
use causeway_operator::names::{LinkName, SiteName};
use causeway_operator::topology::graph::SiteGraph;
use causeway_operator::topology::what_if::{self, Loss};
use offline::{COUNTRIES, edited, valid};

const SEEDS: u64 = 120;

fn below(random: &mut Random, limit: usize) -> usize {
    usize::try_from(random.name() % u64::try_from(limit).expect("small")).expect("small")
}

/// Sites, and links by name with the numbers of their ends and a cost.
struct Sketch {
    sites: Vec<String>,
    links: Vec<(String, [usize; 2], u16)>,
}

/// Up to 9 sites in up to two parts, with loops and now and then two links between a pair.
fn sketch(seed: u64) -> Sketch {
    let mut random = Random::new(seed);
    let count = 2 + below(&mut random, 8);
    let wanted = below(&mut random, 2 * count);
    let mut links = Vec::new();
    for index in 0..wanted {
        let ends = [below(&mut random, count), below(&mut random, count)];
        let cost = u16::try_from(1 + below(&mut random, 4)).expect("small");
        if ends[0] != ends[1] {
            links.push((format!("l{index:02}"), ends, cost));
        }
    }
    Sketch {
        sites: (0..count).map(|index| format!("s{index}")).collect(),
        links,
    }
}

impl Sketch {
    fn graph(&self) -> SiteGraph {
        let links = self.links.iter().map(|(name, [one, other], cost)| {
            let ends = [self.sites[*one].as_str(), self.sites[*other].as_str()];
            (name.as_str(), ends, *cost)
        });
        SiteGraph::new(
            "net",
            self.sites.iter().map(|site| SiteName::new(site)),
            links,
        )
    }

    /// The same as a document.
    fn document(&self) -> String {
        let sites = self
            .sites
            .iter()
            .map(|site| format!("    - {{name: {site}}}\n"));
        let links = self.links.iter().map(|(name, [one, other], cost)| {
            let (one, other) = (&self.sites[*one], &self.sites[*other]);
            // Two links between a pair need addresses of their own.
            format!(
                "    - {{name: {name}, between: [{one}, {other}], cost: {cost}, \
                 addresses: [{{host: {name}.example.com, port: 1}}]}}\n"
            )
        });
        let links: String = links.collect();
        let links = match links.is_empty() {
            true => "  links: []\n".to_owned(),
            false => format!("  links:\n{links}"),
        };
        format!(
            "apiVersion: causeway.dev/v1alpha1\nkind: BrokerNetwork\nmetadata: {{name: net}}\nspec:\n  \
             tls: {{source: Development}}\n  linkAuth: {{mode: MTLS}}\n  sites:\n{}{links}",
            sites.collect::<String>()
        )
    }

    /// What brokers would compute, built here from nothing but the sketch.
    fn distance(&self, lost: &[Loss], from: usize, to: usize) -> Option<(u64, Vec<usize>)> {
        let is_lost = |loss: Loss| lost.contains(&loss);
        let has_site = |index: usize| !is_lost(Loss::Site(SiteName::new(&self.sites[index])));
        let mut graph = Graph::default();
        for site in &self.sites {
            graph.add_vertex(Bid::derive("net", site), true);
        }
        for (name, [one, other], cost) in &self.links {
            let is_there = !is_lost(Loss::Link(LinkName::new(name)));
            if is_there && has_site(*one) && has_site(*other) {
                graph.add_edge(*one, *other, u32::from(*cost), link_hash(name));
            }
        }
        let tree = spf::shortest_paths(&graph, from, 0);
        Some((tree.reached(to)?.distance, tree.path(to)?))
    }
}

#[test]
fn a_loss_comes_to_what_brokers_compute_on_the_graph_that_is_left() {
    let (mut cuts, mut moves) = (0, 0);
    for seed in 0..SEEDS {
        let sketch = sketch(seed);
        let network = valid(&sketch.document());
        for outcome in what_if::lose_each(&network) {
            let lost = &outcome.lost;
            for (from, one) in sketch.sites.iter().enumerate() {
                for (to, other) in sketch.sites.iter().enumerate().skip(from + 1) {
                    let (one, other) = (SiteName::new(one), SiteName::new(other));
                    let pair = (one.clone(), other.clone());
                    let moved = outcome
                        .moved
                        .iter()
                        .find(|moved| (&moved.from, &moved.to) == (&one, &other));
                    let is_left = |site: &SiteName| !lost.contains(&Loss::Site(site.clone()));
                    if !is_left(&one) || !is_left(&other) {
                        assert!(
                            moved.is_none() && !outcome.cut.contains(&pair),
                            "seed {seed}"
                        );
                        continue;
                    }
                    let before = sketch.distance(&[], from, to);
                    let after = sketch.distance(lost, from, to);
                    let is_cut = before.is_some() && after.is_none();
                    assert_eq!(
                        outcome.cut.contains(&pair),
                        is_cut,
                        "seed {seed} {lost:?} {pair:?}"
                    );
                    cuts += usize::from(is_cut);
                    let Some(moved) = moved else { continue };
                    let (cost, path) = after.expect("it moved somewhere");
                    assert_eq!(moved.after.cost, cost, "seed {seed} {lost:?} {pair:?}");
                    let hops = moved.after.hops.iter().map(|hop| hop.to.to_string());
                    let sites = path[1..].iter().map(|site| sketch.sites[*site].clone());
                    assert!(hops.eq(sites), "seed {seed} {lost:?} {pair:?}");
                    let sum: u64 = moved.after.hops.iter().map(|hop| u64::from(hop.cost)).sum();
                    assert_eq!(sum, cost);
                    assert_eq!(Some(moved.before.cost), before.map(|(cost, _)| cost));
                    moves += 1;
                }
            }
            let unmoved = |from: usize, to: usize| {
                sketch.distance(&[], from, to) == sketch.distance(lost, from, to)
            };
            for moved in &outcome.moved {
                let index = |name: &SiteName| {
                    let mut sites = sketch.sites.iter();
                    sites
                        .position(|site| site == name.as_str())
                        .expect("a site")
                };
                let links: Vec<_> = moved.before.hops.iter().map(|hop| &hop.link).collect();
                let others: Vec<_> = moved.after.hops.iter().map(|hop| &hop.link).collect();
                let is_parallel = unmoved(index(&moved.from), index(&moved.to)) && links != others;
                assert!(links != others || is_parallel, "nothing moved: seed {seed}");
            }
        }
    }
    assert!(cuts > 50 && moves > 50, "{cuts} cuts, {moves} moves");
}

/// The number of parts of a graph without one thing.
fn parts_without(graph: &SiteGraph, sites: &[SiteName], links: &[LinkName]) -> usize {
    let sites: BTreeSet<SiteName> = sites.iter().cloned().collect();
    let links: BTreeSet<LinkName> = links.iter().cloned().collect();
    graph.without(&sites, &links).parts().len()
}

#[test]
fn articulations_and_bridges_are_those_that_trying_each_one_finds() {
    let (mut sites, mut links) = (0, 0);
    for seed in 0..4 * SEEDS {
        let graph = sketch(seed).graph();
        let whole = graph.parts().len();
        // A site that is alone takes its part with it.
        let cuts = |site: &&SiteName| parts_without(&graph, &[(*site).clone()], &[]) > whole;
        let expected: Vec<SiteName> = graph.sites().iter().filter(cuts).cloned().collect();
        let found: Vec<SiteName> = graph
            .articulations()
            .into_iter()
            .map(|found| found.site)
            .collect();
        assert_eq!(found, expected, "seed {seed}");
        sites += found.len();
        let is_bridge =
            |name: &LinkName| parts_without(&graph, &[], std::slice::from_ref(name)) > whole;
        let names = graph.links().iter().map(|link| link.name.clone());
        let expected: Vec<LinkName> = names.filter(is_bridge).collect();
        let found: Vec<LinkName> = graph
            .bridges()
            .into_iter()
            .map(|found| found.link)
            .collect();
        assert_eq!(found, expected, "seed {seed}");
        links += found.len();
    }
    assert!(sites > 50 && links > 50, "{sites} sites, {links} links");
}

#[test]
fn ways_that_share_no_link_are_as_many_as_links_have_to_be_cut() {
    for seed in 0..SEEDS {
        let sketch = sketch(seed);
        let graph = sketch.graph();
        let names: Vec<LinkName> = graph.links().iter().map(|link| link.name.clone()).collect();
        if names.len() > 9 {
            continue;
        }
        let last = graph.sites().len() - 1;
        let joined = |without: u32| {
            let lost = names.iter().enumerate();
            let lost = lost.filter(|(index, _)| without & (1 << index) != 0);
            let lost: BTreeSet<LinkName> = lost.map(|(_, name)| name.clone()).collect();
            let left = graph.without(&BTreeSet::new(), &lost);
            left.tree(0).reached(last).is_some()
        };
        let cuts = (0..1u32 << names.len()).filter(|without| !joined(*without));
        let fewest = cuts
            .map(u32::count_ones)
            .min()
            .expect("all links can be cut");
        let found = graph.disjoint(0, last);
        assert_eq!(u32::try_from(found).expect("small"), fewest, "seed {seed}");
    }
}

fn losses(text: &str) -> Vec<Loss> {
    text.split(' ')
        .map(|loss| loss.parse().expect("a loss"))
        .collect()
}

#[test]
fn the_example_keeps_talking_over_its_resilient_route_when_a_link_is_lost() {
    let network = valid(COUNTRIES);
    let outcome = what_if::lose(&network, &losses("link:uk-us")).expect("it is there");
    assert_eq!(outcome.cut, []);
    let moved: Vec<String> = outcome
        .moved
        .iter()
        .map(|pair| format!("{}-{} {}", pair.from, pair.to, pair.after.cost))
        .collect();
    assert_eq!(moved, ["ie-us 50", "uk-us 60"]);
    assert_eq!(outcome.detour(), 50);
    let outcome =
        what_if::lose(&network, &losses("link:uk-us link:ie-us")).expect("they are there");
    assert_eq!(outcome.cut.len(), 2);
    assert_eq!(outcome.isolated, [SiteName::new("us")]);
}

#[test]
fn a_lost_site_takes_its_queues_and_the_users_of_it_alone() {
    let text = edited(
        "  groups: [admins,",
        "  sites: {names: [uk]}\n  groups: [admins,",
    );
    let outcome = what_if::lose(&valid(&text), &losses("site:uk")).expect("it is there");
    assert_eq!(outcome.queues_at, [SiteName::new("uk")]);
    assert_eq!(outcome.shut_out, ["amq"]);
    assert_eq!(outcome.isolated, []);
    assert_eq!(outcome.moved.len(), 1, "ie and us talk over ie-us");
}

#[test]
fn a_stopped_site_is_lost_already() {
    let text = edited("{name: uk,", "{name: uk, mode: Stopped,");
    let network = valid(&text);
    let outcome = what_if::lose(&network, &losses("link:ie-us")).expect("it is there");
    assert_eq!(outcome.cut, [(SiteName::new("ie"), SiteName::new("us"))]);
}

#[test]
fn a_loss_that_names_nothing_of_the_network_is_refused_with_what_there_is() {
    let network = valid(COUNTRIES);
    let error = |text| what_if::lose(&network, &losses(text)).expect_err("it is not there");
    let expected = "there is no site de; the network has ie, uk, us";
    assert_eq!(error("site:de").to_string(), expected);
    let expected = "there is no link ie; the network has ie-uk, ie-us, uk-us";
    assert_eq!(error("link:ie").to_string(), expected);
    for bad in ["uk", "site:", "sites:uk", ""] {
        assert!(bad.parse::<Loss>().is_err(), "{bad}");
    }
}
