//! What `up` runs: a valid network placed on this machine, with the files of every site.

use std::collections::BTreeMap;
use std::net::TcpListener;

use causeway_broker::config::file::Transport;
use causeway_broker::config::units::Span;
use causeway_broker::security::password::HashError;
use uuid::Uuid;

use super::ca::{Authority, AuthorityError};
use super::layout::Files;
use super::slots::{OutOfPorts, Ports, Slots};
use super::state::{StateError, StateFolder};
use crate::api::shared::Address;
use crate::model::{ListenerKind, Placement, ValidLink, ValidNetwork, ValidTls};
use crate::names::SiteName;
use crate::network::credentials::{self, HashCache};
use crate::render::{self, RenderError};

/// Where everything listens.
pub const LOOPBACK: &str = "127.0.0.1";

/// Seconds that a broker has to stop.
pub const DRAIN_SECONDS: u64 = 5;

/// Why a valid network cannot run here.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// There are not enough ports.
    #[error(transparent)]
    Ports(#[from] OutOfPorts),
    /// The state folder cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// There are no certificates.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// A password cannot be hashed.
    #[error("hashing a password")]
    Hash(#[from] HashError),
    /// A file cannot be generated.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// The broker would not take what was generated.
    #[error("the broker of {site} would refuse its files: {problems}")]
    Refused {
        /// The site.
        site: String,
        /// What it would say.
        problems: String,
    },
    /// A port cannot be used.
    #[error(
        "port {port} of {LOOPBACK}, for the listener {listener} of site {site}, cannot be used ({cause}): stop what holds it, or choose other ports with --base-port"
    )]
    PortTaken {
        /// The port.
        port: u16,
        /// The listener.
        listener: &'static str,
        /// The site.
        site: String,
        /// What the system says.
        cause: std::io::Error,
    },
}

/// A network on this machine.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its name.
    pub network: String,
    /// Hash of what it is meant to be.
    pub spec_hash: String,
    /// Sites in the order of the file.
    pub sites: Vec<SitePlan>,
    /// Names and ends of the enabled links between sites that run.
    pub links: BTreeMap<String, [String; 2]>,
    /// Active users with their groups.
    pub users: BTreeMap<String, Vec<String>>,
    /// Who has which ports.
    pub slots: Slots,
}

/// One site on this machine.
#[derive(Debug, Clone)]
pub struct SitePlan {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Whether its broker runs.
    pub is_running: bool,
    /// Ports of its open listeners.
    pub ports: BTreeMap<ListenerKind, u16>,
    /// Its configuration directory.
    pub files: Files,
    /// The hash that its broker shows when these files are in force.
    pub hash: String,
}

/// What differs between two state folders and not between two plans of one.
pub struct Planner<'a> {
    folder: &'a StateFolder,
    base_port: Option<u16>,
    claimant: Uuid,
    salt_key: [u8; 32],
    hashes: HashCache,
}

impl<'a> Planner<'a> {
    /// A planner for a state folder; `base_port` moves the blocks, else they stay where they were.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn new(folder: &'a StateFolder, base_port: Option<u16>) -> Result<Self, StateError> {
        Ok(Self {
            folder,
            base_port,
            claimant: folder.uid()?,
            salt_key: folder.salt_key()?,
            hashes: HashCache::new(),
        })
    }

    /// Places a network on this machine and generates every file; slow where passwords have to be hashed.
    ///
    /// # Errors
    /// It cannot run here.
    pub fn plan(&mut self, network: &ValidNetwork) -> Result<Plan, PlanError> {
        credentials::fill(network, &self.salt_key, &mut self.hashes)?;
        let kept = self.folder.slots()?;
        let names = network.site_order.iter().map(SiteName::as_str);
        let slots = kept.assign(self.base_port.unwrap_or(kept.base_port), names);
        let authority = match &network.tls {
            Some(tls) if tls.material.is_none() => {
                let folder = self.folder.authority();
                Some(Authority::open(&folder, network.name.as_str())?)
            }
            _ => None,
        };
        let mut sites = Vec::new();
        for name in &network.site_order {
            sites.push(self.site(network, name, &slots, authority.as_ref())?);
        }
        Ok(Plan {
            network: network.name.to_string(),
            spec_hash: network.spec_hash.clone(),
            links: links(network),
            users: users(network),
            sites,
            slots,
        })
    }

    fn site(
        &self,
        network: &ValidNetwork,
        name: &SiteName,
        slots: &Slots,
        authority: Option<&Authority>,
    ) -> Result<SitePlan, PlanError> {
        let site = network
            .sites
            .get(name)
            .ok_or_else(|| RenderError::NoSuchSite(name.clone()))?;
        let placement = self.placement(network, name, slots)?;
        let mut certificates = render::certificates(network, name);
        if let (Some(authority), Some(tls)) = (authority, &network.tls) {
            certificates.extend(development(network, name, tls, authority)?);
        }
        let rendered = render::render(network, name, &placement, &self.hashes)?;
        let config = render::check(&rendered, &certificates).map_err(|problems| {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            PlanError::Refused {
                site: name.to_string(),
                problems: problems.join("; "),
            }
        })?;
        let mut files = certificates;
        files.extend(
            rendered
                .into_iter()
                .map(|(path, bytes)| (path.to_owned(), bytes)),
        );
        Ok(SitePlan {
            name: name.to_string(),
            labels: site.labels.clone(),
            is_running: site.is_running,
            ports: placement.ports,
            files,
            hash: super::progress::whole_hash(&config.hash, &config.certificates),
        })
    }

    fn placement(
        &self,
        network: &ValidNetwork,
        name: &SiteName,
        slots: &Slots,
    ) -> Result<Placement, OutOfPorts> {
        let mut addresses = BTreeMap::new();
        for (link, valid, peer) in network.links_of(name) {
            let is_open = open_listeners(network, peer).any(|kind| kind == ListenerKind::Link);
            if valid.may_dial(name) && is_open {
                let port = i32::from(slots.ports(peer.as_str())?.link());
                let host = LOOPBACK.to_owned();
                addresses.insert(link.clone(), vec![Address { host, port }]);
            }
        }
        let block = slots.ports(name.as_str())?;
        Ok(Placement {
            bind: LOOPBACK.to_owned(),
            is_loopback: true,
            ports: open_listeners(network, name)
                .map(|kind| (kind, port_of(kind, block)))
                .collect(),
            addresses,
            transport: Transport::Tls,
            state_dir: self.folder.data(name.as_str()).display().to_string(),
            drain: Span::seconds(DRAIN_SECONDS),
            claimant: self.claimant,
            admin_token: String::new(),
        })
    }
}

/// Checks that the ports of a site's listeners are free.
///
/// # Errors
/// One is not, and which.
pub fn check_ports(site: &SitePlan) -> Result<(), PlanError> {
    for (kind, port) in &site.ports {
        TcpListener::bind((LOOPBACK, *port)).map_err(|cause| PlanError::PortTaken {
            port: *port,
            listener: kind.field(),
            site: site.name.clone(),
            cause,
        })?;
    }
    Ok(())
}

/// The admin page is always open: it is how a broker is followed here, and only this machine reaches it.
fn open_listeners<'a>(
    network: &'a ValidNetwork,
    site: &SiteName,
) -> impl Iterator<Item = ListenerKind> + 'a {
    let open = network.sites.get(site).map(|site| &site.listeners);
    ListenerKind::ALL.into_iter().filter(move |kind| {
        *kind == ListenerKind::Admin || open.is_some_and(|open| open.contains_key(kind))
    })
}

const fn port_of(kind: ListenerKind, block: Ports) -> u16 {
    match kind {
        ListenerKind::Stomp => block.stomp(),
        ListenerKind::StompTls => block.stomp_tls(),
        ListenerKind::Link => block.link(),
        ListenerKind::Admin => block.admin(),
    }
}

fn development(
    network: &ValidNetwork,
    site: &SiteName,
    tls: &ValidTls,
    authority: &Authority,
) -> Result<BTreeMap<String, Vec<u8>>, AuthorityError> {
    let pair = authority.site(&tls.trust_domain, network.name.as_str(), site.as_str())?;
    let mut files = BTreeMap::from([
        (render::CERTIFICATE.to_owned(), pair.certificate),
        (render::KEY.to_owned(), pair.key),
        (render::TRUST_BUNDLE.to_owned(), authority.root()),
    ]);
    if tls.accepts_clients {
        files.insert(render::CLIENT_TRUST_BUNDLE.to_owned(), authority.root());
    }
    Ok(files)
}

fn links(network: &ValidNetwork) -> BTreeMap<String, [String; 2]> {
    let runs = |site: &SiteName| network.sites.get(site).is_some_and(|site| site.is_running);
    let is_used = |link: &ValidLink| link.ends.iter().all(runs);
    let used = network.links.iter().filter(|(_, link)| is_used(link));
    used.map(|(name, link)| {
        let [one, other] = &link.ends;
        (name.to_string(), [one.to_string(), other.to_string()])
    })
    .collect()
}

fn users(network: &ValidNetwork) -> BTreeMap<String, Vec<String>> {
    let active = network.users.iter().filter(|(_, user)| user.is_active);
    active
        .map(|(name, user)| (name.clone(), user.groups.iter().cloned().collect()))
        .collect()
}
