//! Everything a site acts on, as paths and values: two sites that act alike have equal facts.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;

use super::{Class, restart, users};
use crate::model::cluster::{ClusterNetwork, ClusterSite, ValidService};
use crate::model::valid::{ValidLink, ValidSettings, ValidSite, ValidTls};
use crate::model::{ListenerKind, SecretText, ValidNetwork};
use crate::names::SiteName;
use crate::network::placement;

/// A value, shown or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// Text for people.
    Shown(String),
    /// Secrets.
    Hidden(Vec<SecretText>),
}

/// One thing that a site acts on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fact {
    pub(super) value: Value,
    pub(super) class: Class,
    pub(super) reason: &'static str,
}

/// Facts by path.
pub(super) struct Facts(BTreeMap<String, Fact>);

pub(super) const FILES: &str = "the broker reads its files again";
const ID: &str =
    "the broker reads its files again; once applied, it can neither be changed nor taken away";
pub(super) const OBJECTS: &str = "objects are changed in place";
const OPERATOR: &str = "only the operator acts on it";
const LABELS: &str = "only the matchLabels of users and reports read it";
const DIALLED: &str = "other sites dial it";

impl Facts {
    /// Adds a fact.
    pub(super) fn put(&mut self, path: &str, value: String, class: Class, reason: &'static str) {
        let value = Value::Shown(value);
        let fact = Fact {
            value,
            class,
            reason,
        };
        self.0.insert(path.to_owned(), fact);
    }

    /// What the broker reads again.
    pub(super) fn live(&mut self, path: &str, value: impl ToString) {
        self.put(path, value.to_string(), Class::Live, FILES);
    }

    /// The same where a value is written.
    pub(super) fn maybe(&mut self, path: &str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.live(path, value);
        }
    }

    /// Secrets that the broker reads again.
    pub(super) fn hidden(&mut self, path: &str, secrets: Vec<SecretText>) {
        let fact = Fact {
            value: Value::Hidden(secrets),
            class: Class::Live,
            reason: FILES,
        };
        self.0.insert(path.to_owned(), fact);
    }
}

/// A value as one line of JSON.
pub(super) fn text<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Names in one line.
pub(super) fn list<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> String {
    let names: Vec<String> = names
        .into_iter()
        .map(|name| name.as_ref().to_owned())
        .collect();
    names.join(", ")
}

/// The facts of a site.
pub(super) fn of(
    network: &ValidNetwork,
    name: &SiteName,
    site: &ValidSite,
) -> BTreeMap<String, Fact> {
    let mut facts = Facts(BTreeMap::new());
    own(&mut facts, site);
    restart::add(&mut facts, &site.cluster.restart);
    objects(&mut facts, site);
    of_network(&mut facts, &network.cluster);
    for (other, known) in network.sites.iter().filter(|(other, _)| *other != name) {
        let id = known
            .id
            .map_or("derived id".to_owned(), |id| format!("id {id}"));
        facts.live(&format!("sites[{other}]"), id);
    }
    links(&mut facts, network, name);
    shared(&mut facts, network);
    users::add(&mut facts, network, name);
    facts.0
}

fn own(facts: &mut Facts, site: &ValidSite) {
    if let Some(id) = site.id {
        facts.put("id", id.to_string(), Class::Live, ID);
    }
    for (key, value) in &site.labels {
        let path = format!("labels.{key}");
        facts.put(&path, value.clone(), Class::None, LABELS);
    }
    if let Some(endpoint) = &site.endpoint {
        let address = format!("{}:{}", endpoint.host, endpoint.port);
        facts.put("endpoint", address, Class::None, DIALLED);
    }
    // The probes of the pod name the port of the admin listener, and it is always open: its place is there.
    let listeners = site.listeners.iter();
    for (kind, port) in listeners.filter(|(kind, _)| **kind != ListenerKind::Admin) {
        facts.live(
            &format!("listeners.{}", kind.field()),
            format!("port {port}"),
        );
    }
}

/// What is written to objects of the cluster and needs no broker.
fn objects(facts: &mut Facts, site: &ValidSite) {
    // What restarts is told elsewhere; a field that comes later has to be told somewhere.
    let ClusterSite {
        restart: _,
        services,
        strategy,
        has_external_dns,
        overrides,
    } = &site.cluster;
    let mut put = |path: &str, value: String| facts.put(path, value, Class::Live, OBJECTS);
    for (kind, service) in services {
        put(
            &format!("listeners.{}.service", kind.field()),
            shown(service),
        );
    }
    put("strategy", format!("{strategy:?}"));
    if *has_external_dns {
        put("endpoint.dns", "ExternalDNS".to_owned());
    }
    for (number, one) in overrides.iter().enumerate() {
        let mut patch = one.patch.clone();
        if let Some(spec) = patch
            .pointer_mut("/spec")
            .and_then(|spec| spec.as_object_mut())
        {
            // The part of the pod has its own place among what restarts.
            spec.remove("template");
        }
        let part = one.part.as_deref().unwrap_or_default();
        let value = format!("{:?} {part} {}", one.kind, text(&patch));
        put(&format!("overrides[{number}]"), value);
    }
}

/// A Service with what is written of it.
fn shown(service: &ValidService) -> String {
    let ValidService {
        kind,
        node_port,
        annotations,
        load_balancer_class,
        load_balancer_source_ranges,
        external_traffic_policy,
    } = service;
    let fields = json!({
        "type": kind,
        "nodePort": node_port,
        "annotations": annotations,
        "loadBalancerClass": load_balancer_class,
        "loadBalancerSourceRanges": load_balancer_source_ranges,
        "externalTrafficPolicy": external_traffic_policy,
    });
    let is_written =
        |value: &serde_json::Value| !value.is_null() && *value != json!({}) && *value != json!([]);
    let fields = fields.as_object().into_iter().flatten();
    let written: BTreeMap<_, _> = fields.filter(|(_, value)| is_written(value)).collect();
    text(&written)
}

/// What a cluster acts on, of the whole network.
fn of_network(facts: &mut Facts, cluster: &ClusterNetwork) {
    let ClusterNetwork {
        readiness,
        update,
        drain_rate,
        network_policy,
        issuer,
    } = cluster;
    facts.maybe("update.drainConnectionsPerSecond", *drain_rate);
    let mut put = |path: &str, value: String| facts.put(path, value, Class::Live, OBJECTS);
    if let Some(peers) = network_policy {
        put("networkPolicy", "Generate".to_owned());
        put("networkPolicy.clients", text(&peers.clients));
        put("networkPolicy.monitoring", text(&peers.monitoring));
    }
    if let Some(issuer) = issuer {
        put("tls.issuerRef", text(issuer));
    }
    let mut operator = |path: &str, value: String| facts.put(path, value, Class::None, OPERATOR);
    operator("readiness", format!("{readiness:?}"));
    operator("update.policy", format!("{update:?}"));
}

fn links(facts: &mut Facts, network: &ValidNetwork, name: &SiteName) {
    let placement = placement::in_cluster(network, name);
    let dialled = placement.map(|placement| placement.addresses);
    for (link_name, link, peer) in network.links_of(name) {
        let path = format!("links[{link_name}]");
        facts.live(&path, format!("to {peer}"));
        link_fields(facts, &path, link);
        let addresses = dialled.as_ref().and_then(|dialled| dialled.get(link_name));
        let addresses = addresses.into_iter().flatten();
        let addresses = list(addresses.map(|address| format!("{}:{}", address.host, address.port)));
        let addresses = match addresses.is_empty() {
            true => "none: only accepted".to_owned(),
            false => addresses,
        };
        facts.live(&format!("{path}.addresses"), addresses);
    }
}

fn link_fields(facts: &mut Facts, path: &str, link: &ValidLink) {
    // Ends, dialler and addresses are in whom this site dials, and where.
    let ValidLink {
        ends: _,
        cost,
        dialer: _,
        addresses: _,
        heartbeat,
        window,
        secret,
    } = link;
    facts.live(&format!("{path}.cost"), cost);
    facts.live(&format!("{path}.tuning.heartbeat"), heartbeat);
    facts.maybe(&format!("{path}.tuning.window"), *window);
    let Some(secret) = secret else { return };
    let user = secret.user.iter().map(SecretText::new);
    let secrets = [&secret.current].into_iter().chain(&secret.previous);
    let secrets = secrets.cloned().chain(user).collect();
    facts.hidden(&format!("{path}.credentials"), secrets);
}

/// What every site is told.
fn shared(facts: &mut Facts, network: &ValidNetwork) {
    facts.live("linkAuth.mode", format!("{:?}", network.link_auth));
    if let Some(tls) = &network.tls {
        certificates(facts, tls);
    }
    if !network.denied_sites.is_empty() {
        facts.live("deniedSites", list(&network.denied_sites));
    }
    for entry in &network.entries {
        let kind = if entry.is_queue { "queue" } else { "topic" };
        let groups = |groups: &[String]| format!("[{}]", list(groups));
        let value = format!(
            "read {} write {} admin {}",
            groups(&entry.read),
            groups(&entry.write),
            groups(&entry.admin)
        );
        // Entries have no names: of two for one pattern each is told by what it gives.
        let path = format!("authorization.entries[{kind} {}: {value}]", entry.pattern);
        facts.live(&path, "");
    }
    facts.live("authorization.temporary", text(&network.temporary));
    settings(facts, &network.settings);
}

fn settings(facts: &mut Facts, settings: &ValidSettings) {
    let ValidSettings {
        max_connections,
        max_frame_size,
        reply_patterns,
        inactive_queue_after,
        log_level,
        extra,
    } = settings;
    facts.maybe("settings.maxConnections", *max_connections);
    facts.maybe("settings.maxFrameSize", *max_frame_size);
    facts.maybe("settings.replyPatterns", reply_patterns.as_ref().map(list));
    facts.maybe("settings.inactiveQueueAfter", *inactive_queue_after);
    let level = log_level.map(|level| format!("{level:?}"));
    facts.maybe("settings.logLevel", level);
    for (key, value) in extra {
        facts.live(&format!("settings.extra[{key}]"), value);
    }
}

/// What brokers make of certificates; which Secrets are mounted is a matter of the pod.
fn certificates(facts: &mut Facts, tls: &ValidTls) {
    facts.live("tls.trustDomain", &tls.trust_domain);
    facts.live("tls.clientCertificates", tls.accepts_clients);
    facts.live("tls.roots", tls.has_roots);
    let Some(material) = &tls.material else {
        return;
    };
    let bundle = |bytes: &Vec<u8>| SecretText::new(String::from_utf8_lossy(bytes));
    let roots = material.trust_bundle.iter().chain(&tls.client_trust_bundle);
    facts.hidden("tls.bundles", roots.map(bundle).collect());
}
