//! Whether messages pass, seen from both ends of every enabled link.

use super::conditions::{Verdict, list};
use super::facts::Facts;
use super::links::was_up;
use crate::api::condition::Reason;
use crate::api::status::{BrokerNetworkStatus, LinkState, LinkStatus};

/// Why a link counts as not up; the worst comes first.
fn reason(row: &LinkStatus) -> Option<Reason> {
    let mut ends = row.ends.iter().flatten();
    let is_dialling = ends.any(|end| end.state == LinkState::Connecting);
    let state = match row.state {
        // It is not up, whatever the other end says.
        LinkState::Unknown if is_dialling => LinkState::Connecting,
        state => state,
    };
    match state {
        LinkState::Refused => Some(Reason::LinkRefused),
        LinkState::AuthFailed => Some(Reason::AuthFailed),
        LinkState::Down | LinkState::Connecting if was_up(row) => Some(Reason::LinkDown),
        LinkState::Down | LinkState::Connecting => Some(Reason::NeverConnected),
        LinkState::Blocked => Some(Reason::LinkBlocked),
        LinkState::Up | LinkState::Throttled | LinkState::Unknown | LinkState::Disabled => None,
    }
}

/// `LinksUp`.
pub fn condition(facts: &Facts<'_>, status: &BrokerNetworkStatus) -> Verdict {
    if facts.local.is_empty() {
        let message = "no site of this network is this cluster's";
        return Verdict::unknown(Reason::NoLocalSite, message);
    }
    let rows = status.links.as_deref().unwrap_or_default();
    let enabled = || {
        rows.iter()
            .filter(|row| row.state != LinkState::Disabled)
            .collect::<Vec<_>>()
    };
    let count = enabled().len();
    if count == 0 {
        return Verdict::yes(Reason::NoLinks, "no link is enabled");
    }
    let bad: Vec<(Reason, &LinkStatus)> = rows
        .iter()
        .filter_map(|row| Some((reason(row)?, row)))
        .collect();
    let order = [
        Reason::LinkRefused,
        Reason::AuthFailed,
        Reason::LinkDown,
        Reason::LinkBlocked,
        Reason::NeverConnected,
    ];
    let worst = order
        .into_iter()
        .find(|reason| bad.iter().any(|(found, _)| found == reason));
    if let Some(worst) = worst {
        let told = bad.iter().map(|(_, row)| describe(row));
        return Verdict::no(worst, list(told).unwrap_or_default());
    }
    let unknown = enabled()
        .into_iter()
        .filter(|row| row.state == LinkState::Unknown);
    let unknown = list(unknown.map(|row| row.name.as_str()));
    let lost = facts.running().filter(|site| site.is_lost());
    if let Some(sites) = list(lost.map(|site| site.name.as_str())) {
        let message = format!("no answer from {sites}");
        return Verdict::unknown(Reason::BrokerUnreachable, message);
    }
    match unknown {
        Some(links) => Verdict::unknown(
            Reason::NotObserved,
            format!("no fresh report from both ends of {links}"),
        ),
        None => Verdict::yes(Reason::AllUp, format!("{count} of {count} links are up")),
    }
}

/// What changes with every attempt, such as why a dial failed, stands in the row alone.
fn describe(row: &LinkStatus) -> String {
    let is_refused = matches!(row.state, LinkState::Refused | LinkState::AuthFailed);
    let mut ends = row.ends.iter().flatten().filter(|_| is_refused);
    let error = ends.find_map(|end| Some((&end.site, end.last_error.as_ref()?)));
    let error = error.map(|(site, error)| format!(" ({site}: {error})"));
    // Every attempt to connect is one more change between these; the row shows it.
    let state = match row.state {
        LinkState::Connecting | LinkState::Unknown => LinkState::Down,
        state => state,
    };
    format!("{} {state:?}{}", row.name, error.unwrap_or_default())
}
