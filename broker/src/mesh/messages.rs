//! The control messages of the links as protobuf, written by hand so that no compiler for the
//! schema is needed. `docs/mesh.proto` is the published form; a test compares both.
//!
//! Unknown fields are lost by decoding. What is flooded is therefore kept as the bytes that arrived
//! (`Lsa`, `Entry` and report bodies travel as byte strings for that reason).

mod interest;
#[cfg(test)]
mod tests;
mod unicast;

pub use interest::{
    ENTRY_MERGED, Entry, EqDelta, Int, IntSnap, SELECTOR_EQUALITY, SELECTOR_NONE, SELECTOR_OPAQUE,
};
pub use unicast::{
    Attach, AttachReply, Body, CreditGrant, CreditRequest, Drain, Homes, HomesRequest, Probe,
    Refused, TransferAck, TransferRelease, Unicast,
};

/// Proof of a link's password, before HELLO.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Auth {
    /// Which of the four steps, 1 to 4.
    #[prost(uint32, tag = "1")]
    pub step: u32,
    /// Name of the network.
    #[prost(string, tag = "2")]
    pub network: String,
    /// Name of the link.
    #[prost(string, tag = "3")]
    pub link: String,
    /// Site of the dialler.
    #[prost(string, tag = "4")]
    pub site: String,
    /// User name configured for the link; informational.
    #[prost(string, tag = "5")]
    pub user: String,
    /// 32 random bytes.
    #[prost(bytes = "vec", tag = "6")]
    pub nonce: Vec<u8>,
    /// HMAC over the first two steps.
    #[prost(bytes = "vec", tag = "7")]
    pub proof: Vec<u8>,
}

/// Who is speaking, once in each direction.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Hello {
    /// Lowest protocol version spoken.
    #[prost(uint32, tag = "1")]
    pub proto_min: u32,
    /// Highest protocol version spoken.
    #[prost(uint32, tag = "2")]
    pub proto_max: u32,
    /// Capability bits.
    #[prost(fixed64, tag = "3")]
    pub caps: u64,
    /// Name of the network.
    #[prost(string, tag = "4")]
    pub network: String,
    /// Name of the site.
    #[prost(string, tag = "5")]
    pub site: String,
    /// Broker id.
    #[prost(bytes = "vec", tag = "6")]
    pub bid: Vec<u8>,
    /// Claim id of whoever runs the site.
    #[prost(bytes = "vec", tag = "7")]
    pub instance: Vec<u8>,
    /// Epoch of the process.
    #[prost(fixed64, tag = "8")]
    pub epoch: u64,
    /// Short id of the site.
    #[prost(uint32, tag = "9")]
    pub sid: u32,
    /// Name of the link.
    #[prost(string, tag = "10")]
    pub link: String,
    /// Hash of the resources the site was rendered from; shown, never compared for acceptance.
    #[prost(string, tag = "11")]
    pub spec_hash: String,
    /// Software version.
    #[prost(string, tag = "12")]
    pub software: String,
    /// The dialler's random number of this connection.
    #[prost(fixed64, tag = "13")]
    pub conn: u64,
    /// Number of the link's connection that the sender believes to be up, else 0.
    #[prost(fixed64, tag = "14")]
    pub live_conn: u64,
    /// The connection replaces one that is up.
    #[prost(bool, tag = "15")]
    pub renew: bool,
    /// The connection takes over the site itself.
    #[prost(bool, tag = "16")]
    pub handover: bool,
    /// Longest FWD taken, continuations included.
    #[prost(uint32, tag = "17")]
    pub max_frame: u32,
    /// Wall clock in ms; only for a warning about skew.
    #[prost(int64, tag = "18")]
    pub wall_ms: i64,
}

/// The HELLO was accepted.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Accept {
    /// Protocol version chosen.
    #[prost(uint32, tag = "1")]
    pub proto: u32,
    /// Capabilities chosen.
    #[prost(fixed64, tag = "2")]
    pub caps: u64,
    /// Number of this connection.
    #[prost(fixed64, tag = "3")]
    pub conn: u64,
}

/// The HELLO was refused; the connection ends.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Refuse {
    /// Why.
    #[prost(enumeration = "Reason", tag = "1")]
    pub reason: i32,
    /// Text for the log, at most 256 bytes.
    #[prost(string, tag = "2")]
    pub detail: String,
    /// When to come again; 0 = the usual back-off.
    #[prost(uint32, tag = "3")]
    pub retry_after_ms: u32,
    /// With `STALE_EPOCH`: the largest epoch known of the claim.
    #[prost(fixed64, tag = "4")]
    pub epoch_seen: u64,
}

/// The connection ends.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Bye {
    /// Why.
    #[prost(enumeration = "Reason", tag = "1")]
    pub reason: i32,
    /// Text for the log.
    #[prost(string, tag = "2")]
    pub detail: String,
    /// When to come again; 0 = the usual back-off.
    #[prost(uint32, tag = "3")]
    pub retry_after_ms: u32,
}

/// Sign of life and measure of the round trip.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Ping {
    /// Repeated by the answer.
    #[prost(fixed64, tag = "1")]
    pub id: u64,
    /// The sender will send something at least this often.
    #[prost(uint32, tag = "2")]
    pub interval_ms: u32,
    /// Whoever dialled the connection is asked to renew it (R25).
    #[prost(bool, tag = "3")]
    pub renew: bool,
}

/// Answer to a PING.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Pong {
    /// That of the PING.
    #[prost(fixed64, tag = "1")]
    pub id: u64,
}

/// What the sender stores, one record per claim.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Digest {
    /// The claims of this part.
    #[prost(message, repeated, tag = "1")]
    pub have: Vec<Have>,
    /// No further part follows.
    #[prost(bool, tag = "2")]
    pub last: bool,
}

/// Versions stored of one claim.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Have {
    /// Broker id.
    #[prost(bytes = "vec", tag = "1")]
    pub bid: Vec<u8>,
    /// First 8 bytes of the instance.
    #[prost(fixed64, tag = "2")]
    pub instance8: u64,
    /// Epoch.
    #[prost(fixed64, tag = "3")]
    pub epoch: u64,
    /// Version of the LSA.
    #[prost(uint64, tag = "4")]
    pub seq: u64,
    /// Version of the entries.
    #[prost(uint64, tag = "5")]
    pub iseq: u64,
    /// Hash of the entries.
    #[prost(bytes = "vec", tag = "6")]
    pub ihash: Vec<u8>,
    /// Version of the report.
    #[prost(uint64, tag = "7")]
    pub rseq: u64,
}

/// Asks for a record.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Req {
    /// Broker id.
    #[prost(bytes = "vec", tag = "1")]
    pub bid: Vec<u8>,
    /// First 8 bytes of the instance.
    #[prost(fixed64, tag = "2")]
    pub instance8: u64,
    /// One of the `REQ_…` numbers.
    #[prost(uint32, tag = "3")]
    pub what: u32,
    /// Version the sender has.
    #[prost(uint64, tag = "4")]
    pub have: u64,
}

/// `Req::what`: everything was asked for; answered by SYNCED.
pub const REQ_END: u32 = 0;
/// `Req::what`: the LSA.
pub const REQ_LSA: u32 = 1;
/// `Req::what`: all entries.
pub const REQ_ENTRIES: u32 = 2;
/// `Req::what`: the report.
pub const REQ_REPORT: u32 = 4;

/// An LSA on its way.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct LsaFrame {
    /// How long the sender has not reached the claim; 0 = it does. Rewritten at each hop.
    #[prost(uint32, tag = "1")]
    pub unreachable_ms: u32,
    /// Encoded `Lsa`, flooded as received.
    #[prost(bytes = "bytes", tag = "2")]
    pub lsa: prost::bytes::Bytes,
}

/// What a broker says about itself and its links.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Lsa {
    /// Broker id.
    #[prost(bytes = "vec", tag = "1")]
    pub bid: Vec<u8>,
    /// Claim id.
    #[prost(bytes = "vec", tag = "2")]
    pub instance: Vec<u8>,
    /// Epoch.
    #[prost(fixed64, tag = "3")]
    pub epoch: u64,
    /// Version within the epoch.
    #[prost(uint64, tag = "4")]
    pub seq: u64,
    /// Short id.
    #[prost(uint32, tag = "5")]
    pub sid: u32,
    /// Name of the site.
    #[prost(string, tag = "6")]
    pub site: String,
    /// Epoch at which the claim began.
    #[prost(fixed64, tag = "7")]
    pub since: u64,
    /// The broker's ends of its links.
    #[prost(message, repeated, tag = "8")]
    pub links: Vec<HalfLink>,
    /// Reached, but not passed through.
    #[prost(bool, tag = "9")]
    pub leaving: bool,
    /// Classes that may not pass through.
    #[prost(uint32, repeated, tag = "10")]
    pub no_transit: Vec<u32>,
    /// Version of the entries.
    #[prost(uint64, tag = "11")]
    pub iseq: u64,
    /// Hash of the entries.
    #[prost(bytes = "vec", tag = "12")]
    pub ihash: Vec<u8>,
    /// Capability bits.
    #[prost(fixed64, tag = "13")]
    pub caps: u64,
    /// Hash of the traffic rules; 0 = none.
    #[prost(fixed64, tag = "14")]
    pub traffic_hash: u64,
    /// Reserved.
    #[prost(bytes = "vec", tag = "15")]
    pub signature: Vec<u8>,
}

/// One end of a link.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct HalfLink {
    /// Broker id of the other end.
    #[prost(bytes = "vec", tag = "1")]
    pub peer: Vec<u8>,
    /// First 8 bytes of the other end's instance.
    #[prost(fixed64, tag = "2")]
    pub peer_instance8: u64,
    /// Hash of the link's name.
    #[prost(fixed32, tag = "3")]
    pub link: u32,
    /// Cost, at least 1.
    #[prost(uint32, tag = "4")]
    pub cost: u32,
    /// Classes that may not use it.
    #[prost(uint32, repeated, tag = "5")]
    pub deny: Vec<u32>,
}

/// Congestion toward a set of sites, to one neighbour.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Cong {
    /// Form of the set as in FWD.
    #[prost(uint32, tag = "1")]
    pub dkind: u32,
    /// First word of a bitmap.
    #[prost(uint32, tag = "2")]
    pub dbase: u32,
    /// Members as in FWD.
    #[prost(bytes = "vec", tag = "3")]
    pub members: Vec<u8>,
    /// 1 congested, 0 not any more.
    #[prost(uint32, tag = "4")]
    pub level: u32,
    /// The hint lapses after this time.
    #[prost(uint32, tag = "5")]
    pub ttl_ms: u32,
}

/// A report on its way.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct ReportFrame {
    /// Broker id.
    #[prost(bytes = "vec", tag = "1")]
    pub bid: Vec<u8>,
    /// First 8 bytes of the instance.
    #[prost(fixed64, tag = "2")]
    pub instance8: u64,
    /// Epoch.
    #[prost(fixed64, tag = "3")]
    pub epoch: u64,
    /// Version of the report.
    #[prost(uint64, tag = "4")]
    pub rseq: u64,
    /// Encoded report, flooded as received.
    #[prost(bytes = "bytes", tag = "5")]
    pub body: prost::bytes::Bytes,
}

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Kind {
    /// A topic filter.
    Topic = 0,
    /// A queue filter.
    Queue = 1,
}

/// Why a connection was refused or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum Reason {
    /// Nothing said.
    None = 0,
    /// Not a site that is known here, or not the one that was dialled.
    UnknownPeer = 1,
    /// The site is on the deny list.
    DeniedSite = 2,
    /// Another claim of the same site is reachable.
    DuplicateSite = 3,
    /// Another network.
    NetworkMismatch = 4,
    /// No common protocol version.
    VersionMismatch = 5,
    /// Certificate or password not accepted.
    AuthFailed = 6,
    /// No such link here, or its short id is taken.
    LinkNotConfigured = 7,
    /// Another connection of the link stands.
    Superseded = 8,
    /// A larger epoch of the claim is known.
    StaleEpoch = 9,
    /// Too many connections.
    Busy = 10,
    /// The broker is shutting down.
    Leaving = 11,
    /// The site's own next process takes over.
    Handover = 12,
    /// The peer broke the protocol.
    Protocol = 13,
    /// A frame above the limit.
    TooLarge = 14,
    /// Nothing moved for too long.
    Stalled = 15,
    /// The credential the connection was opened with is not valid any more.
    CredentialWithdrawn = 16,
    /// The link is not configured any more.
    LinkRemoved = 17,
}
