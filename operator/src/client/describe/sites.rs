//! Sites: what they run, where they are reached, and what waits for a restart.

use k8s_openapi::jiff::Timestamp;

use super::{age, line, or_dash, short};
use crate::api::BrokerNetwork;
use crate::api::status::{ListenerAddress, SiteStatus};
use crate::local::table;

/// A line for each site; empty where the status has none.
pub(super) fn table(network: &BrokerNetwork, now: Timestamp) -> String {
    let status = network.status.as_ref();
    let sites = status
        .and_then(|status| status.sites.as_deref())
        .unwrap_or_default();
    if sites.is_empty() {
        return String::new();
    }
    let row = |site: &SiteStatus| {
        vec![
            site.name.clone(),
            if site.local { "here" } else { "elsewhere" }.to_owned(),
            format!("{:?}", site.state),
            site.in_sync.clone(),
            config(site, now),
            or_dash(restarts(site)),
            or_dash(way(site)),
            or_dash(addresses(site)),
            age(site.last_seen.as_ref(), now),
        ]
    };
    let head = [
        "SITE",
        "RUNS",
        "STATE",
        "IN SYNC",
        "CONFIG",
        "RESTART PENDING",
        "WAY",
        "ADDRESSES",
        "SEEN",
    ];
    table::render(&head, &sites.iter().map(row).collect::<Vec<_>>())
}

/// Whether a local site runs its files, as far as it told.
pub(super) fn config(site: &SiteStatus, now: Timestamp) -> String {
    let Some(config) = &site.config else {
        return "-".to_owned();
    };
    if let Some(error) = config.error.as_deref().filter(|error| !error.is_empty()) {
        return format!("refused: {}", line(error));
    }
    match &config.applied {
        Some(applied) if *applied == config.desired => format!("applied {}", short(applied)),
        Some(applied) => {
            let since = age(config.pending_since.as_ref(), now);
            format!(
                "{}, {} pending for {since}",
                short(applied),
                short(&config.desired)
            )
        }
        None => format!("{} pending", short(&config.desired)),
    }
}

fn restarts(site: &SiteStatus) -> String {
    let pending = site.restart_pending.iter().flatten();
    pending
        .map(|reason| format!("{reason:?}"))
        .collect::<Vec<_>>()
        .join(",")
}

fn way(site: &SiteStatus) -> String {
    match (site.reachable.as_deref(), &site.via, site.hops) {
        (Some("True"), Some(via), Some(hops)) if *via != site.name => {
            format!("over {via}, {hops} links")
        }
        (Some("True"), ..) => "direct".to_owned(),
        (Some("False"), ..) => "none".to_owned(),
        (Some(other), ..) => other.to_owned(),
        (None, ..) => String::new(),
    }
}

fn addresses(site: &SiteStatus) -> String {
    let addresses = site.addresses.iter().flatten();
    let one = |address: &ListenerAddress| {
        let host = match address.host.contains(':') {
            true => format!("[{}]", address.host),
            false => address.host.clone(),
        };
        format!("{} {host}:{}", address.listener, address.port)
    };
    addresses.map(one).collect::<Vec<_>>().join(", ")
}
