//! Whether two statuses differ in more than times and figures.

use crate::api::status::{BrokerNetworkStatus, LinkState, LinkStatus};

/// Whether the new one is to be written at once.
pub fn is_urgent(old: &BrokerNetworkStatus, new: &BrokerNetworkStatus) -> bool {
    lasting(old.clone()) != lasting(new.clone())
}

/// What is left without times, figures, the words of the last error, and the version of who wrote it.
fn lasting(mut status: BrokerNetworkStatus) -> BrokerNetworkStatus {
    if let Some(operator) = &mut status.operator {
        operator.version.clear();
    }
    for site in status.sites.iter_mut().flatten() {
        (site.last_seen, site.differs_since) = (None, None);
        if let Some(config) = &mut site.config {
            (config.since, config.pending_since) = (None, None);
        }
    }
    for link in status.links.iter_mut().flatten() {
        lasting_link(link);
    }
    for condition in status.conditions.iter_mut().flatten() {
        condition.last_transition_time =
            super::clock::whole(k8s_openapi::jiff::Timestamp::UNIX_EPOCH);
    }
    status
}

/// An attempt to connect to a site that is away is no news.
fn lasting_link(link: &mut LinkStatus) {
    for end in link.ends.iter_mut().flatten() {
        (end.since, end.last_seen) = (None, None);
        (end.rtt, end.pending, end.last_error) = (None, None, None);
        if end.state == LinkState::Connecting {
            end.state = LinkState::Down;
            link.state = link.state.max(LinkState::Down);
        }
    }
}
