//! The three files as they are written. The generator serialises exactly these types; a key that
//! is not here is an error.

mod sections;
mod users;

pub use sections::*;
pub use users::*;

use serde::{Deserialize, Serialize};

use super::units::{Size, Span};

/// The format number written today.
pub const FORMAT: u32 = 1;

/// `broker.yaml`: nothing secret in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerFile {
    /// Format number.
    pub format: u32,
    /// Name of the network.
    pub network: String,
    /// Name of this site.
    pub site: String,
    /// Short id of this site; from its name when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u16>,
    /// Claim id: a UUID that tells two claims of one site apart.
    pub instance: String,
    /// Hash of the network's specification; announced and shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spec_hash: Option<String>,
    /// Hash of the users; shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users_hash: Option<String>,
    /// Where the epoch is kept.
    #[serde(default = "default_state_dir")]
    pub state_dir: String,
    /// What is listened on; a listener that is not listed is closed.
    pub listeners: Listeners,
    /// Certificate and trust.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// All sites of the network.
    pub sites: Vec<Site>,
    /// Sites nothing is accepted from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub denied_sites: Vec<String>,
    /// How links prove who is there.
    #[serde(default)]
    pub link_auth: LinkAuthMode,
    /// The links of this site.
    #[serde(default)]
    pub links: Vec<Link>,
    /// Who may do what, by group.
    #[serde(default)]
    pub authorization: Authorization,
    /// Values for queues.
    #[serde(default)]
    pub queue: QueueSection,
    /// Values for topics.
    #[serde(default)]
    pub topic: TopicSection,
    /// Limits.
    #[serde(default)]
    pub limits: LimitsSection,
    /// Memory.
    #[serde(default)]
    pub memory: MemorySection,
    /// STOMP.
    #[serde(default)]
    pub stomp: StompSection,
    /// Logins.
    #[serde(default)]
    pub security: SecuritySection,
    /// The admin listener.
    #[serde(default)]
    pub admin: AdminSection,
    /// Links and routing.
    #[serde(default)]
    pub mesh: MeshSection,
    /// How the broker stops.
    #[serde(default)]
    pub shutdown: ShutdownSection,
    /// The link port of this site, where a process that starts finds the one before it and takes over
    /// what that one keeps. Read at start only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handover: Option<Address>,
    /// Logs.
    #[serde(default)]
    pub log: LogSection,
}

fn default_state_dir() -> String {
    "/var/lib/causeway".to_owned()
}

/// Which listeners are open.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listeners {
    /// STOMP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stomp: Option<Listener>,
    /// STOMP over TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stomp_tls: Option<Listener>,
    /// Links from other brokers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<Listener>,
    /// Metrics, health and status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin: Option<AdminListener>,
}

/// Where clients, or other brokers, connect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// Address; `::` is both families.
    pub bind: String,
    /// TCP port.
    pub port: u16,
}

/// Where the admin page is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminListener {
    /// Address; `::` is both families.
    pub bind: String,
    /// TCP port.
    pub port: u16,
    /// Who may read `/status`.
    #[serde(default)]
    pub status: StatusAccess,
}

/// Who may read `/status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StatusAccess {
    /// Whoever has the token.
    #[default]
    Token,
    /// Everybody; only on a loopback address.
    Open,
}

/// Certificates. Paths are relative to the directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// PEM chain.
    pub certificate: String,
    /// PEM key.
    pub key: String,
    /// Roots of the other sites.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust_bundle: Option<String>,
    /// Roots of client certificates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_trust_bundle: Option<String>,
    /// First part of the ids in certificates.
    #[serde(default = "default_trust_domain")]
    pub trust_domain: String,
}

fn default_trust_domain() -> String {
    "causeway".to_owned()
}

/// A site of the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// Its name.
    pub name: String,
    /// Its short id, where it is not from the name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u16>,
}

/// How links prove who is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkAuthMode {
    /// A password of the link, proved over TLS.
    #[default]
    Password,
    /// Certificates of both sites.
    Mtls,
    /// Either, while a network moves from one to the other.
    PasswordAndMtls,
}

/// A link of this site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// Its name, equal at both ends.
    pub name: String,
    /// The site at the other end.
    pub peer: String,
    /// What a message over it costs, 1 to 65,535.
    #[serde(default = "default_cost")]
    pub cost: u16,
    /// Where to dial, in order; empty: this end only accepts.
    #[serde(default)]
    pub addresses: Vec<Address>,
    /// Sign of life.
    #[serde(default = "default_heartbeat")]
    pub heartbeat: Span,
    /// Unacknowledged bytes; a share of memory when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<Size>,
}

const fn default_cost() -> u16 {
    10
}

const fn default_heartbeat() -> Span {
    Span(1000)
}

/// Host and port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// Who may do what.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authorization {
    /// What groups may do; the union of all that match.
    #[serde(default)]
    pub entries: Vec<Entry>,
    /// Temporary destinations.
    #[serde(default)]
    pub temporary: Temporary,
}

/// The rights of groups on one pattern: exactly one of queue and topic.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Pattern of queues.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// Pattern of topics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Groups that may subscribe.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub read: Vec<String>,
    /// Groups that may send.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub write: Vec<String>,
    /// Groups that may make queues.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub admin: Vec<String>,
}

/// Rights on temporary destinations; `*` is any user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Temporary {
    /// Groups that may consume from their own.
    pub read: Vec<String>,
    /// Groups that may send.
    pub write: Vec<String>,
    /// Groups that may make some.
    pub admin: Vec<String>,
}

impl Default for Temporary {
    fn default() -> Self {
        let any = || vec!["*".to_owned()];
        Self {
            read: any(),
            write: any(),
            admin: any(),
        }
    }
}
