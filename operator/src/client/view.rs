//! `/status` as a broker tells it. What is missing or new does not matter: the page only ever grows.

use std::collections::BTreeMap;

use serde::Deserialize;

/// One broker's view of the whole network, and of itself.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StatusView {
    /// Grows with every change.
    pub revision: u64,
    /// Name of the network.
    pub network: String,
    /// The broker's site.
    pub site: String,
    /// Version of the broker.
    pub version: String,
    /// When the process started, as RFC 3339 writes it.
    pub started_at: Option<String>,
    /// The configuration in force.
    pub config: ConfigView,
    /// The broker's own links.
    pub links: Vec<LinkView>,
    /// Every other site, as far as it is known.
    pub sites: Vec<SiteView>,
    /// The broker's queues.
    pub queues: Vec<QueueView>,
    /// The broker's listeners.
    pub listeners: Vec<ListenerView>,
    /// The broker's client connections.
    pub connections: Vec<serde_json::Value>,
    /// Fingerprint of every user by login name; absent: the broker is too old to tell.
    pub users: Option<BTreeMap<String, String>>,
    /// The broker's certificates; absent: it is too old to tell.
    pub certs: Option<Vec<CertificateView>>,
}

/// A file with certificates of the broker.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CertificateView {
    /// The file, as the broker's file names it.
    pub file: String,
    /// Subject of its first certificate.
    pub subject: Option<String>,
    /// Alternative names of its first certificate.
    pub sans: Vec<String>,
    /// When the first of its certificates that is needed ends, as RFC 3339 writes it.
    pub not_after: Option<String>,
    /// What is wrong with it, as a word.
    pub problem: Option<String>,
    /// What is wrong with it.
    pub error: Option<String>,
}

/// Which configuration is in force, and what is wrong with the last one that was read.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConfigView {
    /// Hash of the files in force.
    pub applied: Option<String>,
    /// Hash of the files read last.
    pub seen: Option<String>,
    /// Hash of the certificates in force.
    pub certificates: String,
    /// Since when those files are in force, as RFC 3339 writes it.
    pub since: Option<String>,
    /// Hash of what the network is meant to be.
    pub spec_hash: Option<String>,
    /// Hash of the users.
    pub users_hash: Option<String>,
    /// Why the files read last are not in force.
    pub error: Option<String>,
}

/// One end of a link.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LinkView {
    /// Name of the link.
    pub link: String,
    /// The site that says this.
    pub from: String,
    /// The site at the other end.
    pub peer: String,
    /// State.
    pub state: String,
    /// Why it is in that state.
    pub reason: String,
    /// Round-trip time.
    pub rtt_ms: Option<f64>,
    /// Age of the state.
    pub since_ms: Option<u64>,
    /// Messages that wait for the link.
    pub pending: Option<u64>,
    /// `dialer` or `acceptor`.
    pub role: Option<String>,
    /// What the session was opened with: `current`, `previous`, `certificate` or `none`.
    pub credential: Option<String>,
    /// Start of the fingerprint of the root that the peer's certificate ended at.
    pub root: Option<String>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// Cost.
    pub cost: u32,
    /// How old this is, where another site told it.
    pub age_ms: Option<u64>,
    /// How long ago another claim of the peer's site was refused here.
    pub rival_ms: Option<u64>,
}

/// Another site.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SiteView {
    /// Its name.
    pub site: String,
    /// Whether there is a way to it.
    pub reachable: bool,
    /// Whether an older claim holds the site.
    pub rival: bool,
    /// The link to take.
    pub via: Option<String>,
    /// Links to cross.
    pub hops: u16,
    /// Version of its broker.
    pub version: Option<String>,
    /// What it does: `starting`, `running` or `draining`.
    pub state: Option<String>,
    /// Hash of its files.
    pub config_hash: Option<String>,
    /// Hash of what it takes the network to be.
    pub spec_hash: Option<String>,
    /// Hash of its users.
    pub users_hash: Option<String>,
    /// When its certificate ends, as RFC 3339 writes it.
    pub cert_not_after: Option<String>,
    /// How old what it told last is.
    pub report_age_ms: Option<u64>,
    /// Its links.
    pub links: Vec<LinkView>,
}

/// A queue.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct QueueView {
    /// Its name.
    pub name: String,
    /// Messages in it.
    pub depth: u64,
    /// Who consumes from it.
    pub consumers: u64,
    /// Messages in per second.
    pub in_rate: f64,
    /// Messages out per second.
    pub out_rate: f64,
}

/// A listener.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ListenerView {
    /// Its name in the broker's file.
    pub name: String,
    /// Address and port.
    pub address: String,
    /// `open`, or what else it is.
    pub state: String,
}

impl LinkView {
    /// Whether it carries messages.
    #[must_use]
    pub fn carries(&self) -> bool {
        matches!(self.state.as_str(), "up" | "throttled" | "blocked")
    }
}

impl StatusView {
    /// Reads a page.
    ///
    /// # Errors
    /// It is not JSON of this shape.
    pub fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// What no two different pages have in common: each process counts its own revisions.
    #[must_use]
    pub fn moment(&self) -> (Option<&str>, u64) {
        (self.started_at.as_deref(), self.revision)
    }

    /// Every end of every link that is known: the broker's own first, then what other sites tell.
    pub fn all_links(&self) -> impl Iterator<Item = &LinkView> {
        self.links.iter().chain(
            self.sites
                .iter()
                .filter(|site| site.site != self.site)
                .flat_map(|site| &site.links),
        )
    }
}
