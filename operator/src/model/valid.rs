//! The wall: a network that was checked. Only `network::validate` makes one, and behind it nobody reads
//! what was written again.

use std::collections::{BTreeMap, BTreeSet};

use causeway_broker::config::file::{LinkAuthMode, Permission, Temporary, UserCertificate};
use causeway_broker::config::units::{Size, Span};

use super::cluster::{ClusterNetwork, ClusterSite};
use super::placement::ListenerKind;
use super::secret::SecretText;
use crate::api::network::{LogLevel, TlsSource};
use crate::api::shared::Address;
use crate::names::{LinkName, NetworkName, SiteName};

/// A group of users.
pub type Group = String;

/// A network that was checked.
#[derive(Debug, Clone, PartialEq)]
pub struct ValidNetwork {
    /// Its name.
    pub name: NetworkName,
    /// Its sites.
    pub sites: BTreeMap<SiteName, ValidSite>,
    /// The sites in the order of the document, for those who number them.
    pub site_order: Vec<SiteName>,
    /// Its enabled links, those of the shape included.
    pub links: BTreeMap<LinkName, ValidLink>,
    /// How links are authenticated.
    pub link_auth: LinkAuthMode,
    /// Where certificates come from; absent: no listener of clients uses TLS.
    pub tls: Option<ValidTls>,
    /// Sites that every broker refuses.
    pub denied_sites: BTreeSet<String>,
    /// What groups may do, sorted and without doubles.
    pub entries: Vec<ValidEntry>,
    /// Rights on temporary destinations.
    pub temporary: Temporary,
    /// Settings.
    pub settings: ValidSettings,
    /// What only a cluster acts on.
    pub cluster: ClusterNetwork,
    /// Users by login name.
    pub users: BTreeMap<String, ValidUser>,
    /// Hash of what all sites share (P14).
    pub spec_hash: String,
    /// Hash of the users (P14).
    pub users_hash: String,
}

impl ValidNetwork {
    /// The users that a site knows (P12).
    pub fn users_of(&self, site: &SiteName) -> impl Iterator<Item = (&String, &ValidUser)> {
        let is_known =
            move |user: &ValidUser| user.sites.as_ref().is_none_or(|sites| sites.contains(site));
        self.users.iter().filter(move |(_, user)| is_known(user))
    }

    /// Whether a link is among the files of its ends. One whose password is missing and was never there is left out, so that
    /// it holds nothing else up.
    #[must_use]
    pub fn is_delivered(&self, link: &ValidLink) -> bool {
        self.link_auth == LinkAuthMode::Mtls || link.secret.is_some()
    }

    /// The links of a site with the site at their other end.
    pub fn links_of(
        &self,
        site: &SiteName,
    ) -> impl Iterator<Item = (&LinkName, &ValidLink, &SiteName)> {
        self.links
            .iter()
            .filter_map(move |(name, link)| link.peer_of(site).map(|peer| (name, link, peer)))
    }
}

/// One site.
#[derive(Debug, Clone, PartialEq)]
pub struct ValidSite {
    /// Short id, where one is written.
    pub id: Option<u16>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Whether its broker runs.
    pub is_running: bool,
    /// Where it is dialled from outside.
    pub endpoint: Option<Address>,
    /// Its open listeners with their ports in a cluster.
    pub listeners: BTreeMap<ListenerKind, u16>,
    /// What only a cluster acts on.
    pub cluster: ClusterSite,
}

/// One enabled link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidLink {
    /// Its ends, in the order of their names.
    pub ends: [SiteName; 2],
    /// Its cost.
    pub cost: u16,
    /// The end that dials; absent: either.
    pub dialer: Option<SiteName>,
    /// What is dialled instead of an endpoint.
    pub addresses: Vec<Address>,
    /// Its heart-beat.
    pub heartbeat: Span,
    /// Its unacknowledged bytes, where they are written.
    pub window: Option<Size>,
    /// Its password; absent where certificates alone count, of links of other clusters, and where it is missing.
    pub secret: Option<LinkSecret>,
}

impl ValidLink {
    /// The other end, seen from a site that is one of the ends.
    #[must_use]
    pub fn peer_of(&self, site: &SiteName) -> Option<&SiteName> {
        match &self.ends {
            [one, other] if one == site => Some(other),
            [one, other] if other == site => Some(one),
            _ => None,
        }
    }

    /// Whether a site may dial this link.
    #[must_use]
    pub fn may_dial(&self, site: &SiteName) -> bool {
        self.dialer.as_ref().is_none_or(|dialer| dialer == site)
    }
}

/// The password of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkSecret {
    /// A name shown beside it.
    pub user: Option<String>,
    /// The password.
    pub current: SecretText,
    /// The one before, during a rotation.
    pub previous: Option<SecretText>,
}

/// Where certificates come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidTls {
    /// First part of the identity in certificates.
    pub trust_domain: String,
    /// Where they come from.
    pub source: TlsSource,
    /// Whether there are roots of the other sites.
    pub has_roots: bool,
    /// Whether client certificates are accepted.
    pub accepts_clients: bool,
    /// Roots of client certificates that the input holds; absent where they are accepted: as with `material`.
    pub client_trust_bundle: Option<Vec<u8>>,
    /// The certificates that the input holds; absent: they have to be made, or come from elsewhere.
    pub material: Option<Material>,
}

/// Certificates, keys and roots as PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Material {
    /// Chain and key of each site.
    pub sites: BTreeMap<SiteName, (Vec<u8>, SecretText)>,
    /// Roots of the other sites.
    pub trust_bundle: Option<Vec<u8>>,
}

/// What groups may do with destinations of one pattern; all lists are sorted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ValidEntry {
    /// Whether the pattern is one of queues, else of topics.
    pub is_queue: bool,
    /// The pattern.
    pub pattern: String,
    /// Groups that may receive.
    pub read: Vec<Group>,
    /// Groups that may send.
    pub write: Vec<Group>,
    /// Groups that may create and remove queues.
    pub admin: Vec<Group>,
    /// The collective it was expanded from.
    pub collective: Option<String>,
}

/// Settings of the brokers that are written.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ValidSettings {
    /// Client connections.
    pub max_connections: Option<u32>,
    /// Largest frame.
    pub max_frame_size: Option<Size>,
    /// Queues whose messages are replies, sorted.
    pub reply_patterns: Option<Vec<String>>,
    /// An empty, unused queue is removed after this time.
    pub inactive_queue_after: Option<Span>,
    /// How much is logged.
    pub log_level: Option<LogLevel>,
    /// Further keys of the broker's file.
    pub extra: BTreeMap<String, serde_json::Value>,
}

/// One user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidUser {
    /// Whether it may log in.
    pub is_active: bool,
    /// The sites that know it; absent: all.
    pub sites: Option<BTreeSet<SiteName>>,
    /// Its groups.
    pub groups: BTreeSet<Group>,
    /// Its own rights, sorted.
    pub permissions: Vec<Permission>,
    /// How it proves who it is.
    pub credential: Credential,
    /// Its connections at one site; absent: no limit of its own.
    pub max_connections: Option<u32>,
}

/// How a user proves who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// Passwords in clear: the current one, then the previous one.
    Passwords(Vec<SecretText>),
    /// Argon2id hashes: the current one, then the previous one.
    Hashes(Vec<String>),
    /// A client certificate.
    Certificate(UserCertificate),
}
