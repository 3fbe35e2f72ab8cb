//! What is probably not meant, beyond what `network::validate` has to refuse: topology, secrets, exposure, rights.
//!
//! Each group of findings is a file. All of them work on what was written, so that they can name its fields; what needs
//! the whole of a valid network is left out where there is none.

mod exposure;
mod rights;
mod secrets;
mod topology;

use crate::api::network::{Link, LinkState, SiteMode};
use crate::finding::Finding;
use crate::model::{Declared, ValidNetwork};
use crate::names::SiteName;
use crate::topology::expand::{self, Expanded};
use crate::topology::graph::SiteGraph;

/// Every finding, by the order of their numbers.
#[must_use]
pub fn run(declared: &Declared, valid: Option<&ValidNetwork>) -> Vec<Finding> {
    let context = Context::new(declared, valid);
    let mut findings = Vec::new();
    findings.extend(topology::parts(&context));
    findings.extend(topology::single_points(&context));
    findings.extend(topology::not_dialable(&context));
    findings.extend(secrets::weak(&context));
    findings.extend(exposure::plaintext(&context));
    findings.extend(rights::unused(&context));
    findings.extend(rights::advisories(&context));
    findings.extend(rights::without_admin(&context));
    findings.extend(secrets::left_on(&context));
    findings.extend(topology::diameter(&context));
    findings
}

/// What the findings are made from.
struct Context<'a> {
    declared: &'a Declared,
    valid: Option<&'a ValidNetwork>,
    /// All links after expansion that are used.
    links: Vec<Expanded>,
    graph: SiteGraph,
}

impl<'a> Context<'a> {
    fn new(declared: &'a Declared, valid: Option<&'a ValidNetwork>) -> Self {
        let spec = &declared.network.spec;
        // What is wrong with them `validate` has found.
        let (mut links, _) = expand::links(spec);
        let of = |link: &Expanded| spec.links.as_ref()?.get(link.written?);
        links.retain(|link| of(link).and_then(|link| link.state) != Some(LinkState::Disabled));
        let denied: Vec<&String> = spec.denied_sites.iter().flatten().collect();
        let sites = spec.sites.iter().filter(|site| {
            site.mode.unwrap_or_default() == SiteMode::Running && !denied.contains(&&site.name)
        });
        let cost = |link: &Expanded| {
            let written = of(link).and_then(|link| link.cost);
            let cost = written.and_then(|cost| u16::try_from(cost).ok());
            cost.unwrap_or(crate::api::network::LINK_COST)
        };
        let edges = links.iter().map(|link| {
            let ends = [link.pair.0.as_str(), link.pair.1.as_str()];
            (link.name.as_str(), ends, cost(link))
        });
        let graph = SiteGraph::new(
            declared.name(),
            sites.map(|site| SiteName::new(&site.name)),
            edges,
        );
        Self {
            declared,
            valid,
            links,
            graph,
        }
    }

    /// What is written about a link; nothing where it follows from the shape.
    fn written(&self, link: &Expanded) -> Option<&'a Link> {
        let links = self.declared.network.spec.links.as_ref()?;
        links.get(link.written?)
    }

    /// Where a link is written.
    fn link_path(&self, link: &Expanded) -> String {
        match link.written {
            Some(index) => format!("spec.links[{index}]"),
            None => "spec.topology".to_owned(),
        }
    }

    /// Where a site is written.
    fn site_path(&self, name: &str) -> String {
        let sites = &self.declared.network.spec.sites;
        match sites.iter().position(|site| site.name == name) {
            Some(index) => format!("spec.sites[{index}]"),
            None => "spec.sites".to_owned(),
        }
    }
}
