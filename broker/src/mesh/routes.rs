//! What control publishes for the data plane: immutable, with a generation (R4).
//!
//! One tree per label, rooted here. By the lemma of 5.3 the next hop of this tree is the one that
//! the origin's tree has, so that no table per origin is needed.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::forward;
use super::ids::{Bid, ClaimId, Epoch, LinkId, Sid};

/// Hops above 2·ecc + 16 are no way but a wandering.
const HOP_SLACK: u16 = 16;
/// Entries of one page of the table.
const PAGE: usize = 256;

/// One site of the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteRoute {
    /// Its short id.
    pub sid: Sid,
    /// Its claim.
    pub id: ClaimId,
    /// Its process.
    pub epoch: Epoch,
    /// Its name.
    pub site: Arc<str>,
    /// The way to it; `None` while it is not reached.
    pub way: Option<Way>,
}

/// The way to a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// The own link to take, for label 0.
    pub link: LinkId,
    /// Sum of the costs.
    pub distance: u64,
    /// Links to cross.
    pub hops: u16,
}

/// Everything routing depends on; equal content is not published twice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// This broker's short id.
    pub own: Sid,
    /// This broker.
    pub bid: Bid,
    /// Its epoch.
    pub epoch: Epoch,
    /// All other sites that are known, in order of broker ids.
    pub sites: Vec<SiteRoute>,
    /// By label: short id and own link, for what is reached.
    pub next: Vec<Vec<(Sid, LinkId)>>,
    /// Short ids of denied sites.
    pub denied: BTreeSet<Sid>,
    /// Longest way in hops.
    pub eccentricity: u16,
}

/// One generation of routes.
#[derive(Debug, Clone, Default)]
pub struct Routes {
    generation: u64,
    content: Content,
    tables: Vec<Table>,
    by_sid: Table,
}

impl Routes {
    /// Makes the tables for what was computed.
    #[must_use]
    pub fn new(generation: u64, content: Content) -> Self {
        let tables = content
            .next
            .iter()
            .map(|next| Table::new(next.iter().map(|(sid, link)| (*sid, link.0))))
            .collect();
        // A destination keeps its short id from others that are not reached.
        let in_order = |wants_reached: bool| {
            let is_wanted = move |site: &SiteRoute| site.way.is_some() == wants_reached;
            (0u32..)
                .zip(&content.sites)
                .filter(move |(_, site)| is_wanted(site))
        };
        let by_sid = Table::new(
            in_order(false)
                .chain(in_order(true))
                .map(|(at, site)| (site.sid, at)),
        );
        Self {
            generation,
            content,
            tables,
            by_sid,
        }
    }

    /// What the tables were made of.
    #[must_use]
    pub const fn content(&self) -> &Content {
        &self.content
    }

    /// This broker.
    #[must_use]
    pub const fn bid(&self) -> Bid {
        self.content.bid
    }

    /// Epoch that frames of this broker carry.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.content.epoch
    }

    /// All other known sites, in order of broker ids.
    #[must_use]
    pub fn sites(&self) -> &[SiteRoute] {
        &self.content.sites
    }

    /// The site of a broker.
    #[must_use]
    pub fn site(&self, bid: Bid) -> Option<&SiteRoute> {
        let sites = self.sites();
        sites
            .binary_search_by_key(&bid, |site| site.id.bid)
            .ok()
            .map(|at| &sites[at])
    }

    /// The site with a short id.
    #[must_use]
    pub fn site_of(&self, sid: Sid) -> Option<&SiteRoute> {
        self.sites()
            .get(usize::try_from(self.by_sid.find(sid)?).ok()?)
    }

    /// True when there is a way to a broker.
    #[must_use]
    pub fn is_reachable(&self, bid: Bid) -> bool {
        self.site(bid).is_some_and(|site| site.way.is_some())
    }
}

impl forward::Routes for Routes {
    fn own(&self) -> Sid {
        self.content.own
    }

    fn generation(&self) -> u64 {
        self.generation
    }

    fn hop_bound(&self) -> u16 {
        self.content
            .eccentricity
            .saturating_mul(2)
            .saturating_add(HOP_SLACK)
    }

    fn next_hop(&self, _origin: Sid, label: u8, _class: u16, dest: Sid) -> Option<LinkId> {
        // Without `mesh.spread`, which is equal at all sites, label 0 is the only one in use.
        let table = self
            .tables
            .get(usize::from(label) % self.tables.len().max(1))?;
        table.find(dest).map(LinkId)
    }

    fn is_denied(&self, origin: Sid) -> bool {
        self.content.denied.contains(&origin)
    }
}

/// A number for each short id, in pages, as ids are spread over 16 bits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Table {
    pages: Vec<u16>,
    values: Vec<[u32; PAGE]>,
}

impl Table {
    const NONE: u32 = u32::MAX;

    fn new(values: impl Iterator<Item = (Sid, u32)>) -> Self {
        let mut table = Self {
            pages: vec![u16::MAX; PAGE],
            values: Vec::new(),
        };
        for (sid, value) in values {
            let [high, low] = sid.0.to_be_bytes().map(usize::from);
            let at = usize::from(table.pages[high]);
            let at = if at < table.values.len() {
                at
            } else {
                table.pages[high] = u16::try_from(table.values.len()).unwrap_or(u16::MAX);
                table.values.push([Self::NONE; PAGE]);
                table.values.len() - 1
            };
            table.values[at][low] = value;
        }
        table
    }

    fn find(&self, sid: Sid) -> Option<u32> {
        let [high, low] = sid.0.to_be_bytes().map(usize::from);
        let page = self.values.get(usize::from(*self.pages.get(high)?))?;
        Some(page[low]).filter(|value| *value != Self::NONE)
    }
}
