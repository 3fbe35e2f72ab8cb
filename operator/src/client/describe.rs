//! `causeway status` from a cluster: what the status of networks and users says, as tables.

mod sites;
mod tls;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::declared::is_of;
use super::operators::Operators;
use crate::api::condition::{ConditionType, Truth};
use crate::api::status::LinkStatus;
use crate::api::{BrokerNetwork, BrokerUser};
use crate::local::table;

/// What is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shown {
    /// Certificates and credentials instead of everything else.
    pub tls: bool,
    /// The time that ages are counted to.
    pub now: Timestamp,
}

/// All of one network.
#[must_use]
pub fn network(network: &BrokerNetwork, users: &[BrokerUser], shown: Shown) -> String {
    let mut parts = vec![head(network)];
    match shown.tls {
        true => parts.extend(tls::parts(network, shown.now)),
        false => parts.extend([
            conditions(network, shown.now),
            sites::table(network, shown.now),
            links(network, shown.now),
            self::users(network, users),
        ]),
    }
    parts.retain(|part| !part.is_empty());
    parts.join("\n")
}

/// A line for each of several networks.
#[must_use]
pub fn overview(networks: &[BrokerNetwork], now: Timestamp) -> String {
    let row = |network: &BrokerNetwork| {
        let meta = &network.metadata;
        let summary = network
            .status
            .as_ref()
            .and_then(|status| status.summary.as_ref());
        let count = |of: fn(&crate::api::status::Summary) -> &String| {
            summary.map_or("-".to_owned(), |summary| of(summary).clone())
        };
        let (truth, reason) = ready(network);
        vec![
            meta.namespace.clone().unwrap_or_default(),
            meta.name.clone().unwrap_or_default(),
            truth,
            reason,
            count(|summary| &summary.sites),
            count(|summary| &summary.links),
            count(|summary| &summary.users),
            age(meta.creation_timestamp.as_ref(), now),
        ]
    };
    let head = [
        "NAMESPACE",
        "NAME",
        "READY",
        "REASON",
        "SITES",
        "LINKS",
        "USERS",
        "AGE",
    ];
    let rows: Vec<Vec<String>> = networks.iter().map(row).collect();
    let text = table::render(&head, &rows);
    format!("{text}\nall of one: causeway status NAME -n NAMESPACE\n")
}

/// The same for programs: one object with every network, its operator and its users.
#[must_use]
pub fn json(networks: &[BrokerNetwork], users: &[BrokerUser], operators: &Operators) -> Value {
    let one = |network: &BrokerNetwork| {
        let own = users.iter().filter(|user| is_of(user, network));
        json!({
            "namespace": network.metadata.namespace, "name": network.metadata.name,
            "generation": network.metadata.generation, "ready": is_ready(network),
            "operator": operators.json(network), "status": network.status,
            "users": own.map(user_json).collect::<Vec<_>>(),
        })
    };
    json!({"networks": networks.iter().map(one).collect::<Vec<_>>()})
}

fn user_json(user: &BrokerUser) -> Value {
    json!({
        "name": user.metadata.name, "generation": user.metadata.generation,
        "observed": is_user_observed(user), "status": user.status,
    })
}

/// Whether what is said of a user is about the object as it is now.
#[must_use]
pub fn is_user_observed(user: &BrokerUser) -> bool {
    let observed = user
        .status
        .as_ref()
        .and_then(|status| status.observed_generation);
    observed.is_some() && observed == user.metadata.generation
}

/// Whether a network is Ready as it is declared now.
#[must_use]
pub fn is_ready(network: &BrokerNetwork) -> bool {
    is_observed(network) && ready(network).0 == Truth::True.as_str()
}

/// Whether the status is about the object as it is now.
fn is_observed(network: &BrokerNetwork) -> bool {
    let observed = network
        .status
        .as_ref()
        .and_then(|status| status.observed_generation);
    observed.is_some() && observed == network.metadata.generation
}

/// Truth and reason of the condition Ready.
fn ready(network: &BrokerNetwork) -> (String, String) {
    let ready = condition(all(network), ConditionType::Ready);
    match ready {
        Some(ready) => (ready.status.clone(), ready.reason.clone()),
        None => ("Unknown".to_owned(), "NotObserved".to_owned()),
    }
}

fn all(network: &BrokerNetwork) -> &[Condition] {
    let status = network.status.as_ref();
    status
        .and_then(|status| status.conditions.as_deref())
        .unwrap_or_default()
}

fn condition(conditions: &[Condition], kind: ConditionType) -> Option<&Condition> {
    conditions.iter().find(|one| one.type_ == kind.as_str())
}

fn head(network: &BrokerNetwork) -> String {
    let meta = &network.metadata;
    let name = meta.name.as_deref().unwrap_or_default();
    let namespace = meta.namespace.as_deref().unwrap_or_default();
    let generation = meta.generation.unwrap_or_default();
    let status = network.status.clone().unwrap_or_default();
    let mut text = format!("network {name} in {namespace}, generation {generation}");
    if let Some(operator) = &status.operator {
        let (place, name, version) = (&operator.namespace, &operator.name, &operator.version);
        text.push_str(&format!(", seen by {place}/{name} {version}"));
    }
    text.push('\n');
    if !is_observed(network) {
        text.push_str(&match status.observed_generation {
            Some(observed) if observed >= 0 => {
                format!("what follows is about generation {observed}: the operator has not looked at this one yet\n")
            }
            _ => "no operator has looked at it yet: is one installed that watches this namespace?\n".to_owned(),
        });
    }
    if let Some(summary) = &status.summary {
        let (sites, links, users) = (&summary.sites, &summary.links, &summary.users);
        text.push_str(&format!("sites {sites}, links {links}, users {users}\n"));
    }
    text
}

/// A line for each condition, in the order in which they answer questions.
fn conditions(network: &BrokerNetwork, now: Timestamp) -> String {
    let all = all(network);
    if all.is_empty() {
        return String::new();
    }
    let rank = |one: &&Condition| {
        ConditionType::ALL
            .iter()
            .position(|kind| kind.as_str() == one.type_)
    };
    let mut all: Vec<&Condition> = all.iter().collect();
    all.sort_by_key(|one| rank(one).unwrap_or(usize::MAX));
    let row = |one: &&Condition| {
        vec![
            one.type_.clone(),
            one.status.clone(),
            one.reason.clone(),
            age(Some(&one.last_transition_time), now),
            line(&one.message),
        ]
    };
    let rows: Vec<Vec<String>> = all.iter().map(row).collect();
    table::render(
        &["CONDITION", "STATUS", "REASON", "SINCE", "MESSAGE"],
        &rows,
    )
}

/// Both ends of each link below each other.
fn links(network: &BrokerNetwork, now: Timestamp) -> String {
    let status = network.status.as_ref();
    let links = status
        .and_then(|status| status.links.as_deref())
        .unwrap_or_default();
    if links.is_empty() {
        return String::new();
    }
    let rows = |link: &LinkStatus| {
        let ends = link.ends.as_deref().unwrap_or_default();
        let mut rows: Vec<Vec<String>> = ends
            .iter()
            .map(|end| {
                vec![
                    String::new(),
                    String::new(),
                    end.site.clone(),
                    or_dash(end.role.clone().unwrap_or_default()),
                    format!("{:?}", end.state),
                    age(end.since.as_ref(), now),
                    or_dash(end.rtt.clone().unwrap_or_default()),
                    or_dash(end.pending.map_or(String::new(), |count| count.to_string())),
                    or_dash(line(end.last_error.as_deref().unwrap_or_default())),
                ]
            })
            .collect();
        if rows.is_empty() {
            rows.push(vec![String::new(); 3]);
        }
        rows[0][0].clone_from(&link.name);
        rows[0][1] = format!("{:?}", link.state);
        rows
    };
    let head = [
        "LINK",
        "STATE",
        "SEEN FROM",
        "ROLE",
        "STATE",
        "SINCE",
        "RTT",
        "PENDING",
        "ERROR",
    ];
    table::render(&head, &links.iter().flat_map(rows).collect::<Vec<_>>())
}

/// Users that are not in force, with the reason; how many nobody has looked at is said in one line.
fn users(network: &BrokerNetwork, users: &[BrokerUser]) -> String {
    let (mut rows, mut unseen) = (Vec::new(), 0);
    for user in users.iter().filter(|user| is_of(user, network)) {
        let status = user.status.clone().unwrap_or_default();
        let conditions = status.conditions.unwrap_or_default();
        match condition(&conditions, ConditionType::Ready) {
            None => unseen += 1,
            Some(_) if !is_user_observed(user) => rows.push(behind(user)),
            Some(ready) if ready.status == Truth::True.as_str() => {}
            Some(ready) => {
                // What somebody has to change says more than that it is not ready.
                let cause = condition(&conditions, ConditionType::Stalled).unwrap_or(ready);
                let name = user.metadata.name.clone().unwrap_or_default();
                let login = status.username.or_else(|| user.spec.username.clone());
                rows.push(vec![
                    name.clone(),
                    login.unwrap_or(name),
                    or_dash(status.summary.unwrap_or_default()),
                    cause.reason.clone(),
                    line(&cause.message),
                ]);
            }
        }
    }
    let mut text = match rows.is_empty() {
        true => String::new(),
        false => table::render(
            &["USER NOT IN FORCE", "LOGIN", "SITES", "REASON", "MESSAGE"],
            &rows,
        ),
    };
    if unseen > 0 {
        let end = if unseen == 1 { " has" } else { "s have" };
        text.push_str(&format!("{unseen} user{end} no status\n"));
    }
    text
}

/// The row of a user that was changed since an operator looked at it.
fn behind(user: &BrokerUser) -> Vec<String> {
    let status = user.status.clone().unwrap_or_default();
    let name = user.metadata.name.clone().unwrap_or_default();
    let generation = user.metadata.generation.unwrap_or_default();
    let observed = status.observed_generation.unwrap_or_default();
    vec![
        name.clone(),
        user.spec.username.clone().unwrap_or(name),
        or_dash(status.summary.unwrap_or_default()),
        "NotObserved".to_owned(),
        format!(
            "no operator has looked at generation {generation} yet; its status is about {observed}"
        ),
    ]
}

/// A hash as far as it has to be compared by eye.
fn short(hash: &str) -> String {
    hash.chars().take(10).collect()
}

fn or_dash(text: String) -> String {
    match text.is_empty() {
        true => "-".to_owned(),
        false => text,
    }
}

/// A text in one line.
fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// How long ago that was, in the unit that says most.
fn age(time: Option<&Time>, now: Timestamp) -> String {
    let Some(Time(time)) = time else {
        return "-".to_owned();
    };
    let seconds = now.duration_since(*time).as_secs().max(0);
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7_199 => format!("{}m", seconds / 60),
        7_200..=172_799 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests;
