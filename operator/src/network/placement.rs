//! Where a site runs in a cluster; also what `causeway render` shows.

use std::collections::BTreeSet;

use causeway_broker::config::units::Span;
use uuid::Uuid;

use crate::api::cluster::Strategy;
use crate::api::shared::Address;
use crate::model::valid::ValidSite;
use crate::model::{ListenerKind, Placement, ValidLink, ValidNetwork};
use crate::names::{self, Part, SiteName};

/// The state folder of a broker in a pod.
pub const STATE_DIR: &str = "/var/lib/causeway";
/// Seconds of a pod's time to stop that are kept for the end itself.
const STOP_MARGIN: i64 = 5;
/// A pod's default time to stop, less the time to be ended.
pub const DRAIN: Span = Span::seconds(55);

/// The placement of a site of its own cluster; nothing for a name that is no site.
#[must_use]
pub fn in_cluster(network: &ValidNetwork, name: &SiteName) -> Option<Placement> {
    let site = network.sites.get(name)?;
    let addresses = network
        .links_of(name)
        .filter(|(_, link, _)| link.may_dial(name))
        .map(|(link_name, link, peer)| (link_name.clone(), addresses(network, link, peer)))
        .collect();
    Some(Placement {
        bind: "::".to_owned(),
        is_loopback: false,
        ports: site.listeners.clone(),
        addresses,
        handover: handover(network, name, site),
        state_dir: STATE_DIR.to_owned(),
        drain: DRAIN,
        claimant: names::offline_claimant(network.name.as_str()),
        // Base64 of 32 zero bytes: only what a cluster or a state folder makes is secret.
        admin_token: "A".repeat(43),
    })
}

fn handover(network: &ValidNetwork, name: &SiteName, site: &ValidSite) -> Option<Address> {
    let port = site.listeners.get(&ListenerKind::Link)?;
    (site.cluster.strategy == Strategy::Handover).then(|| Address {
        host: names::site_part(network.name.as_str(), name.as_str(), Part::Handover),
        port: i32::from(*port),
    })
}

/// P6: the link's own addresses, else the peer's endpoint.
fn addresses(network: &ValidNetwork, link: &ValidLink, peer: &SiteName) -> Vec<Address> {
    if !link.addresses.is_empty() {
        return link.addresses.clone();
    }
    network
        .sites
        .get(peer)
        .and_then(|site| site.endpoint.clone())
        .into_iter()
        .collect()
}

/// What an operator knows of the cluster a site runs in.
#[derive(Debug, Clone, Copy)]
pub struct Ground<'a> {
    /// Uid of the BrokerNetwork: who claims the site.
    pub claimant: Uuid,
    /// Token of the site's `/status`.
    pub admin_token: &'a str,
    /// The sites that run beside it.
    pub local: &'a BTreeSet<SiteName>,
}

/// The placement of a site that an operator runs: as [`in_cluster`], with what only the cluster knows.
#[must_use]
pub fn operated(network: &ValidNetwork, name: &SiteName, ground: Ground<'_>) -> Option<Placement> {
    let site = network.sites.get(name)?;
    let mut placement = in_cluster(network, name)?;
    placement.claimant = ground.claimant;
    ground.admin_token.clone_into(&mut placement.admin_token);
    let grace = site.cluster.restart.placement.grace_period;
    placement.drain = Span::seconds(u64::try_from(grace - STOP_MARGIN).unwrap_or(1).max(1));
    // The probes of the pod, and the operator, ask there: it cannot be closed.
    placement
        .ports
        .entry(ListenerKind::Admin)
        .or_insert(site.cluster.restart.placement.admin_port);
    for (link_name, link, peer) in network.links_of(name) {
        let is_near = ground.local.contains(peer) && link.addresses.is_empty();
        if is_near
            && link.may_dial(name)
            && let Some(address) = service_of(network, peer)
        {
            placement.addresses.insert(link_name.clone(), vec![address]);
        }
    }
    Some(placement)
}

/// Where a site of the same namespace is dialled: its Service, not its public address (P6).
fn service_of(network: &ValidNetwork, peer: &SiteName) -> Option<Address> {
    let site = network.sites.get(peer)?;
    let port = site.listeners.get(&ListenerKind::Link)?;
    let has_service = site.cluster.services.contains_key(&ListenerKind::Link);
    has_service.then(|| Address {
        host: names::site_part(network.name.as_str(), peer.as_str(), Part::Link),
        port: i32::from(*port),
    })
}
