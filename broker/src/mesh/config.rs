//! What the control plane is told about its site, links and limits. Made from the broker's files
//! by whoever reads them; nothing here is checked against them again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::ids::{Bid, ClaimId, Epoch, Instance, Sid};

/// Who runs the site: stable over restarts, different for everybody who claims the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Claim id.
    pub instance: Instance,
    /// First epoch of the claim that is still known; decides between rivals (R26).
    pub since: Epoch,
}

impl Claim {
    /// What records of this claim are kept by.
    #[must_use]
    pub fn id(&self, bid: Bid) -> ClaimId {
        ClaimId {
            bid,
            instance8: self.instance.instance8(),
        }
    }
}

/// A password of a link. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<Zeroizing<Vec<u8>>>);

impl Secret {
    /// Keeps the bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(Arc::new(Zeroizing::new(bytes.to_vec())))
    }

    /// The bytes, for the proof.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// The passwords of a link that are valid now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Secrets {
    /// The one to use.
    pub current: Option<Secret>,
    /// The one before it, while both ends change.
    pub previous: Option<Secret>,
}

impl Secrets {
    /// True when a connection opened with that password may stay.
    #[must_use]
    pub fn contains(&self, secret: &Secret) -> bool {
        self.current.as_ref() == Some(secret) || self.previous.as_ref() == Some(secret)
    }
}

/// What a link may be opened with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LinkAuth {
    /// Passwords only.
    #[default]
    Password,
    /// Certificates only.
    Mtls,
    /// Either, while a network moves from one to the other.
    Both,
}

impl LinkAuth {
    /// A proved password opens a link.
    #[must_use]
    pub const fn takes_passwords(self) -> bool {
        matches!(self, Self::Password | Self::Both)
    }

    /// A verified certificate opens a link.
    #[must_use]
    pub const fn takes_certificates(self) -> bool {
        matches!(self, Self::Mtls | Self::Both)
    }
}

/// Host and port to dial.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// One link of this site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkConfig {
    /// Its name, equal at both ends.
    pub name: String,
    /// The site at the other end.
    pub peer: String,
    /// At least 1.
    pub cost: u32,
    /// Tried in order; without any this end only accepts.
    pub addresses: Vec<Address>,
    /// H.
    pub heartbeat: Duration,
    /// User name sent along; informational.
    pub user: String,
    /// Its passwords.
    pub secrets: Secrets,
}

/// What the site says about itself besides routing; display data.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SiteFacts {
    /// Software version.
    pub software: String,
    /// Hash of the network's specification.
    pub spec_hash: String,
    /// Hash of the users.
    pub users_hash: String,
    /// Hash of the configuration in force.
    pub config_hash: String,
    /// Listeners that are open.
    pub listeners: Vec<String>,
    /// End of the own certificate in Unix seconds; 0 without one.
    pub certificate_ends: i64,
}

/// Times that can be configured; section 8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// From the connection to both ACCEPTs.
    pub handshake: Duration,
    /// From ACCEPT to SYNCED.
    pub sync: Duration,
    /// First wait after a network failure.
    pub redial_min: Duration,
    /// Longest wait after network failures.
    pub redial_max: Duration,
    /// First wait after a refusal.
    pub refused_min: Duration,
    /// Longest wait after refusals.
    pub refused_max: Duration,
    /// The own LSA is issued again after about this time.
    pub lsa_refresh: Duration,
    /// An unreachable broker stays a destination for this long.
    pub limbo: Duration,
    /// The own report is issued again after this time.
    pub report_refresh: Duration,
    /// Probes go out this often; none when zero.
    pub probe: Duration,
    /// A connection is renewed when it is that old; never when zero.
    pub renew_after: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(5),
            sync: Duration::from_secs(60),
            redial_min: Duration::from_millis(100),
            redial_max: Duration::from_secs(5),
            refused_min: Duration::from_secs(1),
            refused_max: Duration::from_secs(30),
            lsa_refresh: Duration::from_secs(120),
            limbo: Duration::from_secs(2),
            report_refresh: Duration::from_secs(60),
            probe: Duration::from_secs(15),
            renew_after: Duration::from_secs(24 * 3600),
        }
    }
}

/// Sizes that are refused above; section 11.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caps {
    /// Claims in the map.
    pub brokers: usize,
    /// Bytes of map, interest and reports together.
    pub databases: usize,
    /// Topic entries of this broker before they are merged.
    pub topics: usize,
    /// Queue entries of this broker before they are merged.
    pub queues: usize,
    /// Links that may be up at a time.
    pub links: usize,
    /// Longest FWD this broker takes, announced to neighbours.
    pub frame: u32,
    /// Standing credit of an entry.
    pub open_credit: u32,
}

impl Default for Caps {
    fn default() -> Self {
        Self {
            brokers: 4096,
            databases: 64 << 20,
            topics: 10_000,
            queues: 32_768,
            links: 128,
            frame: 1 << 20,
            open_credit: 16,
        }
    }
}

/// Everything the control plane is configured with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeshConfig {
    /// Name of the network.
    pub network: String,
    /// Name of this site.
    pub site: String,
    /// Short id of this site.
    pub sid: Sid,
    /// All sites of the network, this one included.
    pub sites: BTreeMap<String, Sid>,
    /// Sites nothing is accepted from.
    pub denied_sites: BTreeSet<String>,
    /// First part of the ids in certificates.
    pub trust_domain: String,
    /// What links may be opened with.
    pub auth: LinkAuth,
    /// Stands for the certificate shown and the roots trusted: other ones have another number.
    pub tls: u64,
    /// The links of this site.
    pub links: Vec<LinkConfig>,
    /// Names of reply destinations (R12 c).
    pub reply_patterns: Vec<String>,
    /// Destinations are spread over equally short paths. Equal at all sites of a network.
    pub spread: bool,
    /// Times.
    pub timing: Timing,
    /// Limits.
    pub caps: Caps,
    /// Display data.
    pub facts: SiteFacts,
}

impl MeshConfig {
    /// A site without links, everything else at its default.
    #[must_use]
    pub fn new(network: &str, site: &str) -> Self {
        let sid = Sid::from_name(site);
        Self {
            network: network.to_owned(),
            site: site.to_owned(),
            sid,
            sites: BTreeMap::from([(site.to_owned(), sid)]),
            denied_sites: BTreeSet::new(),
            trust_domain: "causeway".to_owned(),
            auth: LinkAuth::default(),
            tls: 0,
            links: Vec::new(),
            reply_patterns: vec!["*.reply.>".to_owned()],
            spread: false,
            timing: Timing::default(),
            caps: Caps::default(),
            facts: SiteFacts::default(),
        }
    }

    /// Broker id of this site.
    #[must_use]
    pub fn bid(&self) -> Bid {
        Bid::derive(&self.network, &self.site)
    }

    /// The name that a site's certificate carries.
    #[must_use]
    pub fn identity(&self, site: &str) -> String {
        format!(
            "spiffe://{}/network/{}/site/{site}",
            self.trust_domain, self.network
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{MeshConfig, Secret, Secrets};

    #[test]
    fn passwords_are_never_printed() {
        assert!(!format!("{:?}", Secret::new(b"hunter2")).contains("hunter2"));
    }

    #[test]
    fn both_passwords_of_a_link_are_valid() {
        let [old, new, other] = [b"old", b"new", b"oth"].map(|bytes| Secret::new(bytes));
        let secrets = Secrets {
            current: Some(new.clone()),
            previous: Some(old.clone()),
        };
        assert!(secrets.contains(&old) && secrets.contains(&new));
        assert!(!secrets.contains(&other));
    }

    #[test]
    fn certificates_name_network_and_site() {
        let config = MeshConfig::new("prod", "berlin");
        assert_eq!(
            config.identity("tokyo"),
            "spiffe://causeway/network/prod/site/tokyo"
        );
    }
}
