//! Where a site runs in a cluster; also what `causeway render` shows.

use causeway_broker::config::units::Span;

use crate::api::shared::Address;
use crate::model::{Placement, ValidLink, ValidNetwork};
use crate::names::{self, SiteName};

/// The state folder of a broker in a pod.
pub const STATE_DIR: &str = "/var/lib/causeway";
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
        state_dir: STATE_DIR.to_owned(),
        drain: DRAIN,
        claimant: names::offline_claimant(network.name.as_str()),
        // Base64 of 32 zero bytes: only what a cluster or a state folder makes is secret.
        admin_token: "A".repeat(43),
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
