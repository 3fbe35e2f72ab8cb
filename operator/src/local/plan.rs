//! What `up` runs: a valid network placed on this machine, with the files of every site. Pure: what it takes from the
//! machine is in its [`Ground`].

use std::collections::BTreeMap;

use causeway_broker::config::units::Span;
use uuid::Uuid;

use super::slots::{OutOfPorts, Ports, Slots};
use crate::api::shared::Address;
use crate::model::{ListenerKind, Placement, ValidLink, ValidNetwork};
use crate::names::SiteName;
use crate::network::credentials::HashCache;
use crate::render::{self, RenderError};

/// Where everything listens.
pub const LOOPBACK: &str = "127.0.0.1";

/// Seconds that a broker has to stop.
pub const DRAIN_SECONDS: u64 = 4;

/// Files by their path in a configuration directory, such as `tls/tls.crt`.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Why a valid network cannot run here.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// There are not enough ports.
    #[error(transparent)]
    Ports(#[from] OutOfPorts),
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

/// What a plan takes from the machine.
#[derive(Debug)]
pub struct Ground<'a> {
    /// The slots of earlier runs.
    pub kept: Slots,
    /// First port of slot 0.
    pub base_port: u16,
    /// Who claims the sites.
    pub claimant: Uuid,
    /// The hash of every password.
    pub hashes: &'a HashCache,
    /// What belongs to each site.
    pub sites: BTreeMap<SiteName, SiteGround>,
}

/// What a plan takes from the machine for one site.
#[derive(Debug, Clone, Default)]
pub struct SiteGround {
    /// Where its broker keeps what it keeps.
    pub state_dir: String,
    /// Its certificate, its key, and the roots it trusts.
    pub certificates: Files,
}

/// Places a network and generates every file.
///
/// # Errors
/// It does not fit.
pub fn plan(network: &ValidNetwork, ground: &Ground<'_>) -> Result<Plan, PlanError> {
    let names = network.site_order.iter().map(SiteName::as_str);
    let slots = ground.kept.assign(ground.base_port, names);
    let mut sites = Vec::new();
    for name in &network.site_order {
        sites.push(ground.site(network, name, &slots)?);
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

impl Ground<'_> {
    fn site(
        &self,
        network: &ValidNetwork,
        name: &SiteName,
        slots: &Slots,
    ) -> Result<SitePlan, PlanError> {
        let site = network
            .sites
            .get(name)
            .ok_or_else(|| RenderError::NoSuchSite(name.clone()))?;
        let own = self.sites.get(name).cloned().unwrap_or_default();
        let placement = self.placement(network, name, slots, own.state_dir)?;
        let rendered = render::render(network, name, &placement, self.hashes)?;
        let config = render::check(&rendered, &own.certificates).map_err(|problems| {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            PlanError::Refused {
                site: name.to_string(),
                problems: problems.join("; "),
            }
        })?;
        let mut files = own.certificates;
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
            hash: render::whole_hash(&config.hash, &config.certificates),
        })
    }

    fn placement(
        &self,
        network: &ValidNetwork,
        name: &SiteName,
        slots: &Slots,
        state_dir: String,
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
            // Two processes cannot have the same ports of one machine.
            handover: None,
            bind: LOOPBACK.to_owned(),
            is_loopback: true,
            ports: open_listeners(network, name)
                .map(|kind| (kind, port_of(kind, block)))
                .collect(),
            addresses,
            state_dir,
            drain: Span::seconds(DRAIN_SECONDS),
            claimant: self.claimant,
            admin_token: String::new(),
        })
    }
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
