//! A shape and the written links to all links, each with its name.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::network::{BrokerNetworkSpec, Link, Shape, Topology};
use crate::api::shared::{MAX_LINKS, MAX_SITE_LINKS};
use crate::names;

/// Two sites, the lower name first.
pub type Pair = (String, String);

/// A link of the expanded network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expanded {
    /// Its name.
    pub name: String,
    /// Its ends.
    pub pair: Pair,
    /// Where it is written, as an index of `links`; absent: it follows from the shape.
    pub written: Option<usize>,
}

/// Why the links do not make a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopologyError {
    /// Two links without different addresses.
    #[error("{first} and {second} join the same sites; a second link needs addresses of its own")]
    DuplicatePair {
        /// The one that was first.
        first: String,
        /// The other.
        second: String,
        /// Index of the other in `links`.
        index: usize,
    },
    /// A written name is that of a link of the shape.
    #[error(
        "{name} is also the name of the link that the topology makes between {one} and {other}"
    )]
    DuplicateName {
        /// The name.
        name: String,
        /// One end of the generated link.
        one: String,
        /// The other end.
        other: String,
        /// Index of the written link in `links`.
        index: usize,
    },
    /// Too many in the network.
    #[error("the network has {count} links after expansion; at most {MAX_LINKS} are allowed")]
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// Too many at one site.
    #[error("site {site} has {count} links after expansion; at most {MAX_SITE_LINKS} are allowed")]
    TooManyAt {
        /// The site.
        site: String,
        /// How many it has.
        count: usize,
    },
}

/// All links of a network, sorted by name, and what is wrong with them.
#[must_use]
pub fn links(spec: &BrokerNetworkSpec) -> (Vec<Expanded>, Vec<TopologyError>) {
    let written = spec.links.as_deref().unwrap_or_default();
    let mut errors = duplicate_pairs(written);
    let mut all: Vec<Expanded> = written
        .iter()
        .enumerate()
        .map(|(index, link)| Expanded {
            name: link.name.clone(),
            pair: pair_of(link),
            written: Some(index),
        })
        .collect();
    let taken: BTreeSet<Pair> = all.iter().map(|link| link.pair.clone()).collect();
    for pair in shape(spec) {
        if taken.contains(&pair) {
            continue;
        }
        let name = names::generated_link(&pair.0, &pair.1);
        if let Some(index) = written.iter().position(|link| link.name == name) {
            let (one, other) = pair.clone();
            errors.push(TopologyError::DuplicateName {
                name: name.clone(),
                one,
                other,
                index,
            });
        }
        all.push(Expanded {
            name,
            pair,
            written: None,
        });
    }
    all.sort_by(|one, other| one.name.cmp(&other.name));
    errors.extend(too_many(&all));
    (all, errors)
}

fn pair_of(link: &Link) -> Pair {
    let mut ends = link.between.clone();
    ends.sort();
    let mut ends = ends.into_iter();
    (
        ends.next().unwrap_or_default(),
        ends.next().unwrap_or_default(),
    )
}

/// The pairs of the shape, sorted.
fn shape(spec: &BrokerNetworkSpec) -> BTreeSet<Pair> {
    let Some(Topology { shape, hub, order }) = &spec.topology else {
        return BTreeSet::new();
    };
    let sites: Vec<&str> = spec.sites.iter().map(|site| site.name.as_str()).collect();
    let order: Vec<&str> = order.iter().flatten().map(String::as_str).collect();
    let neighbours = order.windows(2).map(|pair| (pair[0], pair[1]));
    let pairs: Vec<(&str, &str)> = match shape {
        Shape::Custom => Vec::new(),
        Shape::Mesh => sites
            .iter()
            .flat_map(|one| sites.iter().map(move |other| (*one, *other)))
            .collect(),
        Shape::Star => {
            let hub = hub.as_deref().unwrap_or_default();
            sites.iter().map(|site| (hub, *site)).collect()
        }
        Shape::Chain => neighbours.collect(),
        Shape::Ring => neighbours
            .chain(order.last().copied().zip(order.first().copied()))
            .collect(),
    };
    pairs
        .into_iter()
        .filter(|(one, other)| one != other)
        .map(|(one, other)| (one.min(other).to_owned(), one.max(other).to_owned()))
        .collect()
}

/// L03: two links that join the same sites need different addresses.
fn duplicate_pairs(written: &[Link]) -> Vec<TopologyError> {
    let mut errors = Vec::new();
    for (index, second) in written.iter().enumerate() {
        let own = second.addresses.as_deref().unwrap_or_default();
        let clash = written[..index].iter().find(|first| {
            let other = first.addresses.as_deref().unwrap_or_default();
            pair_of(first) == pair_of(second)
                && (own.is_empty()
                    || other.is_empty()
                    || own.iter().any(|address| other.contains(address)))
        });
        if let Some(first) = clash {
            let (first, second) = (first.name.clone(), second.name.clone());
            errors.push(TopologyError::DuplicatePair {
                first,
                second,
                index,
            });
        }
    }
    errors
}

fn too_many(all: &[Expanded]) -> Vec<TopologyError> {
    let mut errors = Vec::new();
    if all.len() > MAX_LINKS {
        errors.push(TopologyError::TooMany { count: all.len() });
    }
    let mut degrees: BTreeMap<&str, usize> = BTreeMap::new();
    for link in all {
        *degrees.entry(&link.pair.0).or_default() += 1;
        *degrees.entry(&link.pair.1).or_default() += 1;
    }
    let crowded = degrees
        .into_iter()
        .filter(|(_, count)| *count > MAX_SITE_LINKS);
    errors.extend(crowded.map(|(site, count)| TopologyError::TooManyAt {
        site: site.to_owned(),
        count,
    }));
    errors
}
