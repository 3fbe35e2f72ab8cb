//! `broker.yaml`.

use causeway_broker::config::file::{
    Address, AdminListener, Authorization, BrokerFile, Entry, FORMAT, LimitsSection, Link,
    Listener, Listeners, LogLevel, LogSection, MeshSection, QueueSection, ShutdownSection, Site,
    StatusAccess, Tls,
};
use serde_yaml::Value;

use super::{CERTIFICATE, CLIENT_TRUST_BUNDLE, KEY, RenderError, TRUST_BUNDLE, extra};
use crate::api::{network, shared};
use crate::model::valid::ValidSettings;
use crate::model::{ListenerKind, Placement, ValidEntry, ValidNetwork, ValidTls};
use crate::names::{self, SiteName};

/// The text of the file.
pub(super) fn file(
    network: &ValidNetwork,
    site: &SiteName,
    placement: &Placement,
) -> Result<String, RenderError> {
    let own = network
        .sites
        .get(site)
        .ok_or_else(|| RenderError::NoSuchSite(site.clone()))?;
    let settings = &network.settings;
    let mut denied: Vec<String> = network.denied_sites.iter().cloned().collect();
    denied.sort();
    let file = BrokerFile {
        format: FORMAT,
        network: network.name.to_string(),
        site: site.to_string(),
        id: own.id,
        instance: names::instance(placement.claimant, site.as_str()).to_string(),
        spec_hash: Some(network.spec_hash.clone()),
        users_hash: Some(network.users_hash.clone()),
        state_dir: placement.state_dir.clone(),
        listeners: listeners(placement),
        tls: network.tls.as_ref().map(tls),
        sites: network
            .sites
            .iter()
            .map(|(name, site)| Site {
                name: name.to_string(),
                id: site.id,
            })
            .collect(),
        denied_sites: denied,
        link_auth: network.link_auth,
        links: links(network, site, placement),
        authorization: authorization(network),
        queue: QueueSection {
            idle_after: settings.inactive_queue_after,
            ..QueueSection::default()
        },
        topic: Default::default(),
        limits: LimitsSection {
            connections: settings.max_connections,
            frame: settings.max_frame_size,
            ..LimitsSection::default()
        },
        memory: Default::default(),
        stomp: Default::default(),
        security: Default::default(),
        admin: Default::default(),
        mesh: MeshSection {
            reply_patterns: settings.reply_patterns.clone(),
            ..MeshSection::default()
        },
        shutdown: ShutdownSection {
            drain: Some(placement.drain),
            drain_rate: network.cluster.drain_rate,
        },
        handover: placement.handover.as_ref().and_then(address),
        log: LogSection {
            level: settings.log_level.map(log_level),
            ..LogSection::default()
        },
    };
    text(&file, settings)
}

/// What groups may do.
pub(super) fn authorization(network: &ValidNetwork) -> Authorization {
    Authorization {
        entries: network.entries.iter().map(entry).collect(),
        temporary: network.temporary.clone(),
    }
}

/// Applies `settings.extra` and leaves out sections that say nothing: a new key appears only when the
/// object uses it.
fn text(file: &BrokerFile, settings: &ValidSettings) -> Result<String, RenderError> {
    let mut value = serde_yaml::to_value(file)?;
    for (key, setting) in &settings.extra {
        extra::set(&mut value, key, setting).map_err(|error| RenderError::Extra {
            key: key.clone(),
            error,
        })?;
    }
    let file: BrokerFile = serde_yaml::from_value(value)?;
    let mut value = serde_yaml::to_value(&file)?;
    if let Value::Mapping(mapping) = &mut value {
        mapping.retain(|_, section| {
            !section
                .as_mapping()
                .is_some_and(serde_yaml::Mapping::is_empty)
        });
    }
    Ok(serde_yaml::to_string(&value)?)
}

fn listeners(placement: &Placement) -> Listeners {
    let bind = || placement.bind.clone();
    let port = |kind| placement.ports.get(&kind).copied();
    let listener = |kind| port(kind).map(|port| Listener { bind: bind(), port });
    Listeners {
        stomp: listener(ListenerKind::Stomp),
        stomp_tls: listener(ListenerKind::StompTls),
        link: listener(ListenerKind::Link),
        admin: port(ListenerKind::Admin).map(|port| AdminListener {
            bind: bind(),
            port,
            status: if placement.is_loopback {
                StatusAccess::Open
            } else {
                StatusAccess::Token
            },
        }),
    }
}

fn tls(tls: &ValidTls) -> Tls {
    Tls {
        certificate: CERTIFICATE.to_owned(),
        key: KEY.to_owned(),
        trust_bundle: tls.has_roots.then(|| TRUST_BUNDLE.to_owned()),
        client_trust_bundle: tls.accepts_clients.then(|| CLIENT_TRUST_BUNDLE.to_owned()),
        trust_domain: tls.trust_domain.clone(),
    }
}

/// Nothing for a port that is none, which no valid network has.
fn address(declared: &shared::Address) -> Option<Address> {
    let port = u16::try_from(declared.port).ok()?;
    let host = declared.host.clone();
    Some(Address { host, port })
}

fn links(network: &ValidNetwork, site: &SiteName, placement: &Placement) -> Vec<Link> {
    network
        .links_of(site)
        .filter(|(_, link, _)| network.is_delivered(link))
        .map(|(name, link, peer)| Link {
            name: name.to_string(),
            peer: peer.to_string(),
            cost: link.cost,
            addresses: placement
                .addresses
                .get(name)
                .into_iter()
                .flatten()
                .filter_map(address)
                .collect(),
            heartbeat: link.heartbeat,
            window: link.window,
        })
        .collect()
}

fn entry(entry: &ValidEntry) -> Entry {
    let pattern = |is_wanted: bool| is_wanted.then(|| entry.pattern.clone());
    Entry {
        queue: pattern(entry.is_queue),
        topic: pattern(!entry.is_queue),
        read: entry.read.clone(),
        write: entry.write.clone(),
        admin: entry.admin.clone(),
    }
}

const fn log_level(level: network::LogLevel) -> LogLevel {
    match level {
        network::LogLevel::Error => LogLevel::Error,
        network::LogLevel::Warn => LogLevel::Warn,
        network::LogLevel::Info => LogLevel::Info,
        network::LogLevel::Debug => LogLevel::Debug,
    }
}
