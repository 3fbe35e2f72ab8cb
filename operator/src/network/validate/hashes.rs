//! specHash and usersHash (P14): what all sites share, and nothing that only one acts on.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::api::BrokerUserSpec;
use crate::model::ValidNetwork;
use crate::render::canonical;

/// Hash of the shared model. What is absent contributes nothing, so that a field that comes later changes
/// no hash before it is used.
pub(super) fn spec(network: &ValidNetwork) -> String {
    let mut shared = Map::new();
    let mut put = |key: &str, value: Value| {
        let is_absent = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
        if !is_absent {
            shared.insert(key.to_owned(), value);
        }
    };
    put("network", json!(network.name));
    put("sites", sites(network));
    put("links", links(network));
    put("linkAuth", json!(network.link_auth));
    put(
        "trustDomain",
        json!(network.tls.as_ref().map(|tls| &tls.trust_domain)),
    );
    put("deniedSites", json!(network.denied_sites));
    put("entries", entries(network));
    put("temporary", json!(network.temporary));
    put("replyPatterns", json!(network.settings.reply_patterns));
    canonical::hash(&Value::Object(shared))
}

fn sites(network: &ValidNetwork) -> Value {
    let sites = network.sites.iter().map(|(name, site)| {
        let mut value = json!({"name": name});
        if let Some(id) = site.id {
            value["id"] = json!(id);
        }
        if !site.labels.is_empty() {
            value["labels"] = json!(site.labels);
        }
        if let Some(endpoint) = &site.endpoint {
            value["endpoint"] = json!(endpoint);
        }
        value
    });
    sites.collect()
}

fn links(network: &ValidNetwork) -> Value {
    let links = network.links.iter().map(|(name, link)| {
        let mut value = json!({"name": name, "ends": link.ends, "cost": link.cost});
        value["heartbeat"] = json!(link.heartbeat.to_string());
        if let Some(dialer) = &link.dialer {
            value["dialer"] = json!(dialer);
        }
        if !link.addresses.is_empty() {
            value["addresses"] = json!(link.addresses);
        }
        value
    });
    links.collect()
}

fn entries(network: &ValidNetwork) -> Value {
    let entries = network.entries.iter().map(|entry| {
        let kind = if entry.is_queue { "queue" } else { "topic" };
        json!({kind: entry.pattern, "read": entry.read, "write": entry.write, "admin": entry.admin})
    });
    entries.collect()
}

/// Hash of all users' specs by login name, without what is in their Secrets. The order of no list of a
/// user means anything.
pub(super) fn users(users: &BTreeMap<String, BrokerUserSpec>) -> String {
    let by_name = users.iter().map(|(name, spec)| {
        let username = spec.username.clone().unwrap_or_else(|| name.clone());
        let mut value = json!(spec);
        sort_lists(&mut value);
        (username, value)
    });
    canonical::hash(&Value::Object(by_name.collect()))
}

fn sort_lists(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(sort_lists),
        Value::Array(items) => {
            items.iter_mut().for_each(sort_lists);
            items.sort_by_key(canonical::text);
        }
        _ => {}
    }
}
