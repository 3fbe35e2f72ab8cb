//! What would be, were some sites and links lost: the brokers' own shortest ways on what is left.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::graph::{Route, SiteGraph};
use crate::model::{ListenerKind, ValidNetwork};
use crate::names::{LinkName, SiteName};

/// Something that is lost.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    /// A site, with every link of it.
    Site(SiteName),
    /// A link.
    Link(LinkName),
}

/// Why a text names no loss.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("what is lost is site:NAME or link:NAME")]
pub struct LossError;

impl FromStr for Loss {
    type Err = LossError;

    fn from_str(text: &str) -> Result<Self, LossError> {
        match text.split_once(':') {
            Some(("site", name)) if !name.is_empty() => Ok(Self::Site(SiteName::new(name))),
            Some(("link", name)) if !name.is_empty() => Ok(Self::Link(LinkName::new(name))),
            _ => Err(LossError),
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Site(name) => write!(formatter, "site:{name}"),
            Self::Link(name) => write!(formatter, "link:{name}"),
        }
    }
}

impl Serialize for Loss {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Two sites that talk by another way than before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// One site.
    pub from: SiteName,
    /// The other.
    pub to: SiteName,
    /// The way before.
    pub before: Route,
    /// The way now.
    pub after: Route,
}

/// What a loss comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// What is lost.
    pub lost: Vec<Loss>,
    /// Pairs of sites that talk now and no longer could.
    pub cut: Vec<(SiteName, SiteName)>,
    /// Pairs that talk by another way.
    pub moved: Vec<Moved>,
    /// Sites that stay and have no link left.
    pub isolated: Vec<SiteName>,
    /// Active users that no site is left for: they are known at lost sites alone.
    pub shut_out: Vec<String>,
    /// Sites whose queues nobody reaches: what waits there is lost with it, or waits for it.
    pub queues_at: Vec<SiteName>,
}

impl Outcome {
    /// How much longer the way of a pair becomes at most.
    #[must_use]
    pub fn detour(&self) -> u64 {
        let longer = self.moved.iter();
        longer
            .map(|pair| pair.after.cost.saturating_sub(pair.before.cost))
            .max()
            .unwrap_or(0)
    }
}

/// Why a loss cannot be looked at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WhatIfError {
    /// There is no such site.
    #[error("there is no site {name}; the network has {known}")]
    NoSite {
        /// The name.
        name: SiteName,
        /// What there is.
        known: String,
    },
    /// There is no such link.
    #[error("there is no link {name}; the network has {known}")]
    NoLink {
        /// The name.
        name: LinkName,
        /// What there is.
        known: String,
    },
}

/// The graph that is left.
///
/// # Errors
/// A loss names nothing of the network.
pub fn remaining(network: &ValidNetwork, lost: &[Loss]) -> Result<SiteGraph, WhatIfError> {
    let (mut sites, mut links) = (BTreeSet::new(), BTreeSet::new());
    for loss in lost {
        match loss {
            Loss::Site(name) => {
                if !network.sites.contains_key(name) {
                    let known = list(network.sites.keys().map(SiteName::as_str));
                    let name = name.clone();
                    return Err(WhatIfError::NoSite { name, known });
                }
                sites.insert(name.clone());
            }
            Loss::Link(name) => {
                if !network.links.contains_key(name) {
                    let known = list(network.links.keys().map(LinkName::as_str));
                    let name = name.clone();
                    return Err(WhatIfError::NoLink { name, known });
                }
                links.insert(name.clone());
            }
        }
    }
    Ok(SiteGraph::of(network).without(&sites, &links))
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    match names.is_empty() {
        true => "none".to_owned(),
        false => names.join(", "),
    }
}

/// What losing all of this at once comes to.
///
/// # Errors
/// A loss names nothing of the network.
pub fn lose(network: &ValidNetwork, lost: &[Loss]) -> Result<Outcome, WhatIfError> {
    let before = SiteGraph::of(network);
    let after = remaining(network, lost)?;
    let (cut, moved) = pairs(&before, &after);
    let isolated = after.sites().iter().enumerate().filter(|(index, site)| {
        let had = before.index(site.as_str());
        let had = had.is_some_and(|site| before.links_at(site).next().is_some());
        had && after.links_at(*index).next().is_none()
    });
    let gone = before.sites().iter();
    let gone = gone.filter(|site| after.index(site.as_str()).is_none());
    Ok(Outcome {
        lost: lost.to_vec(),
        cut,
        moved,
        isolated: isolated.map(|(_, site)| site.clone()).collect(),
        shut_out: shut_out(network, &before, &after),
        queues_at: gone.cloned().collect(),
    })
}

/// Each single site and link lost, in the order of names: sites first.
#[must_use]
pub fn lose_each(network: &ValidNetwork) -> Vec<Outcome> {
    let graph = SiteGraph::of(network);
    let sites = graph.sites().iter().cloned().map(Loss::Site);
    let links = graph.links().iter();
    let links = links.map(|link| Loss::Link(link.name.clone()));
    let losses = sites.chain(links);
    losses
        .filter_map(|loss| lose(network, &[loss]).ok())
        .collect()
}

type Pairs = (Vec<(SiteName, SiteName)>, Vec<Moved>);

/// The pairs of sites that stay and do not talk as before. Ways are those of the site that is first by name.
fn pairs(before: &SiteGraph, after: &SiteGraph) -> Pairs {
    let (old, new) = (before.trees(), after.trees());
    let (mut cut, mut moved) = (Vec::new(), Vec::new());
    for (own, from) in after.sites().iter().enumerate() {
        for (peer, to) in after.sites().iter().enumerate().skip(own + 1) {
            let was = before.index(from.as_str()).zip(before.index(to.as_str()));
            let was = was.and_then(|(from, to)| before.route(old.get(from)?, to));
            let Some(was) = was else { continue };
            match after.route(&new[own], peer) {
                None => cut.push((from.clone(), to.clone())),
                Some(route) if route == was => {}
                Some(route) => moved.push(Moved {
                    from: from.clone(),
                    to: to.clone(),
                    before: was,
                    after: route,
                }),
            }
        }
    }
    (cut, moved)
}

/// Users that could log in before and cannot now.
fn shut_out(network: &ValidNetwork, before: &SiteGraph, after: &SiteGraph) -> Vec<String> {
    let serves = |graph: &SiteGraph, name: &str| {
        let sites = graph.sites().iter();
        let known = sites.filter_map(|site| Some((site, network.sites.get(site)?)));
        let mut open = known.filter(|(_, site)| {
            let kinds = [ListenerKind::Stomp, ListenerKind::StompTls];
            kinds.iter().any(|kind| site.listeners.contains_key(kind))
        });
        open.any(|(site, _)| network.users_of(site).any(|(user, _)| user == name))
    };
    let users = network.users.iter();
    let active = users
        .filter(|(_, user)| user.is_active)
        .map(|(name, _)| name);
    active
        .filter(|name| serves(before, name) && !serves(after, name))
        .cloned()
        .collect()
}
