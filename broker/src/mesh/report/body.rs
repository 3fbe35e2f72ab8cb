//! What a report says. No user names, client addresses, destinations or secrets; times are ages, so
//! that clocks do not matter.

use crate::mesh::session::{Credential, LinkState};

/// How one site is.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Report {
    /// Name of the network.
    #[prost(string, tag = "1")]
    pub network: String,
    /// Name of the site.
    #[prost(string, tag = "2")]
    pub site: String,
    /// Claim id.
    #[prost(bytes = "vec", tag = "3")]
    pub instance: Vec<u8>,
    /// Epoch of the process.
    #[prost(fixed64, tag = "4")]
    pub epoch: u64,
    /// Number of the report.
    #[prost(uint64, tag = "5")]
    pub rseq: u64,
    /// Software version.
    #[prost(string, tag = "6")]
    pub software: String,
    /// Hash of the network's specification.
    #[prost(string, tag = "7")]
    pub spec_hash: String,
    /// Hash of the users.
    #[prost(string, tag = "8")]
    pub users_hash: String,
    /// Hash of the configuration in force.
    #[prost(string, tag = "9")]
    pub config_hash: String,
    /// Since when that specification is in force: age at issue.
    #[prost(uint64, tag = "10")]
    pub spec_ms: u64,
    /// Age of the process at issue.
    #[prost(uint64, tag = "11")]
    pub started_ms: u64,
    /// What the site is doing.
    #[prost(enumeration = "SiteState", tag = "12")]
    pub state: i32,
    /// Version of its entries.
    #[prost(uint64, tag = "13")]
    pub iseq: u64,
    /// How many entries it has.
    #[prost(uint32, tag = "14")]
    pub entries: u32,
    /// Its links.
    #[prost(message, repeated, tag = "15")]
    pub links: Vec<LinkReport>,
    /// Listeners that are open.
    #[prost(string, repeated, tag = "16")]
    pub listeners_open: Vec<String>,
    /// End of its certificate in Unix seconds; 0 without one.
    #[prost(int64, tag = "17")]
    pub cert_not_after: i64,
    /// Its bridges.
    #[prost(message, repeated, tag = "18")]
    pub bridges: Vec<BridgeReport>,
}

/// How one end of a link is.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct LinkReport {
    /// Name of the link.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The other site.
    #[prost(string, tag = "2")]
    pub peer: String,
    /// Who dialled.
    #[prost(enumeration = "Role", tag = "3")]
    pub role: i32,
    /// State.
    #[prost(enumeration = "LinkState", tag = "4")]
    pub state: i32,
    /// Why.
    #[prost(string, tag = "5")]
    pub reason: String,
    /// Age of the state at issue.
    #[prost(uint64, tag = "6")]
    pub state_ms: u64,
    /// Smoothed round trip, two significant digits.
    #[prost(uint32, tag = "7")]
    pub rtt_us: u32,
    /// Messages in the ring.
    #[prost(uint64, tag = "8")]
    pub pending: u64,
    /// What it was opened with.
    #[prost(enumeration = "Credential", tag = "9")]
    pub credential: i32,
    /// Prefix of the fingerprint of the root.
    #[prost(string, tag = "10")]
    pub root: String,
    /// What went wrong last.
    #[prost(string, tag = "11")]
    pub last_error: String,
    /// Last probe to this peer; 0 = none yet.
    #[prost(uint32, tag = "12")]
    pub probe_us: u32,
    /// The last probe did not come back.
    #[prost(bool, tag = "13")]
    pub probe_failed: bool,
}

/// How one bridge is; comes with `OpenWire`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct BridgeReport {
    /// Name of the bridge.
    #[prost(string, tag = "1")]
    pub name: String,
    /// State.
    #[prost(string, tag = "2")]
    pub state: String,
    /// It is the one of its island that forwards.
    #[prost(bool, tag = "3")]
    pub designated: bool,
    /// The broker at the other end.
    #[prost(string, tag = "4")]
    pub remote: String,
}

/// What a site is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum SiteState {
    /// Not ready yet.
    Starting = 0,
    /// Serving.
    Running = 1,
    /// Shutting down.
    Draining = 2,
}

/// Who dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Role {
    /// The other end.
    Acceptor = 0,
    /// This end.
    Dialer = 1,
}
