//! Sites: effective listeners, ids.

use std::collections::BTreeMap;

use causeway_broker::mesh::ids::Sid;

use super::{Check, address, port};
use crate::api::condition::Reason;
use crate::api::network::{
    ADMIN_PORT, LINK_PORT, Listener, ListenerState, Listeners, STOMP_PORT, STOMP_TLS_PORT, Site,
    SiteDefaults, SiteMode,
};
use crate::finding::{Finding, Subject};
use crate::model::{ListenerKind, ValidSite};
use crate::names::SiteName;
use crate::rule::Rule;

impl Check<'_> {
    pub(super) fn sites(&mut self) -> BTreeMap<SiteName, ValidSite> {
        let spec = &self.declared.network.spec;
        let defaults = spec.site_defaults.clone().unwrap_or_default();
        self.id_collisions();
        let mut sites = BTreeMap::new();
        for (index, site) in spec.sites.iter().enumerate() {
            let listeners = effective(site, &defaults);
            self.port_collisions(index, &listeners);
            let link_port = listeners
                .get(&ListenerKind::Link)
                .copied()
                .unwrap_or(LINK_PORT);
            let endpoint = site.endpoint.as_ref();
            let cluster = self.cluster_site(index, site, &defaults, &listeners);
            let valid = ValidSite {
                id: site.id.and_then(|id| u16::try_from(id).ok()),
                labels: site.labels.clone().unwrap_or_default(),
                is_running: site.mode.unwrap_or_default() == SiteMode::Running,
                endpoint: endpoint.map(|end| address(&end.host, end.port, link_port)),
                listeners,
                cluster,
            };
            sites.insert(SiteName::new(&site.name), valid);
        }
        sites
    }

    /// L07. No probing for a free id: regions at different revisions would disagree.
    fn id_collisions(&mut self) {
        let mut taken: BTreeMap<u16, &str> = BTreeMap::new();
        for (index, site) in self.declared.network.spec.sites.iter().enumerate() {
            let derived = Sid::from_name(&site.name).0;
            let id = site
                .id
                .and_then(|id| u16::try_from(id).ok())
                .unwrap_or(derived);
            let Some(first) = taken.insert(id, &site.name) else {
                continue;
            };
            if first == site.name {
                continue;
            }
            let reason = format!(
                "sites {first} and {} have the same short id {id}",
                site.name
            );
            let finding = Finding::error(Subject::Network, format!("spec.sites[{index}]"), reason)
                .because(Reason::SiteIdCollision)
                .called(Rule::SiteIdCollision);
            self.findings
                .push(finding.with_help("set id on the newer of the two"));
        }
    }

    fn port_collisions(&mut self, index: usize, listeners: &BTreeMap<ListenerKind, u16>) {
        let mut taken: BTreeMap<u16, ListenerKind> = BTreeMap::new();
        for (kind, port) in listeners {
            if let Some(first) = taken.insert(*port, *kind) {
                let reason = format!(
                    "{} and {} both listen on port {port}",
                    first.field(),
                    kind.field()
                );
                self.add(format!("spec.sites[{index}].listeners"), reason);
            }
        }
    }
}

/// The open listeners of a site: its own fields, else those of `siteDefaults`, else the constants.
fn effective(site: &Site, defaults: &SiteDefaults) -> BTreeMap<ListenerKind, u16> {
    ListenerKind::ALL
        .into_iter()
        .filter_map(|kind| {
            let own = listener(site.listeners.as_ref(), kind);
            let common = listener(defaults.listeners.as_ref(), kind);
            let (default_port, default_state) = constants(kind);
            let state = own.state.or(common.state).unwrap_or(default_state);
            let port = port(own.port.or(common.port), default_port);
            (state == ListenerState::Open).then_some((kind, port))
        })
        .collect()
}

/// What is written about one listener.
pub(super) fn listener(listeners: Option<&Listeners>, kind: ListenerKind) -> Listener {
    let Some(listeners) = listeners else {
        return Listener::default();
    };
    match kind {
        ListenerKind::Stomp => &listeners.stomp,
        ListenerKind::StompTls => &listeners.stomp_tls,
        ListenerKind::Link => &listeners.link,
        ListenerKind::Admin => &listeners.admin,
    }
    .clone()
    .unwrap_or_default()
}

const fn constants(kind: ListenerKind) -> (u16, ListenerState) {
    match kind {
        ListenerKind::Stomp => (STOMP_PORT, ListenerState::Open),
        ListenerKind::StompTls => (STOMP_TLS_PORT, ListenerState::Closed),
        ListenerKind::Link => (LINK_PORT, ListenerState::Open),
        ListenerKind::Admin => (ADMIN_PORT, ListenerState::Open),
    }
}
