//! Interest: what the consumers of one broker want, and how it changes.

/// A change of one broker's interest.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Int {
    /// Broker id.
    #[prost(bytes = "vec", tag = "1")]
    pub bid: Vec<u8>,
    /// First 8 bytes of the instance.
    #[prost(fixed64, tag = "2")]
    pub instance8: u64,
    /// Epoch.
    #[prost(fixed64, tag = "3")]
    pub epoch: u64,
    /// Version after the change.
    #[prost(uint64, tag = "4")]
    pub iseq: u64,
    /// Encoded `Entry` records, new or replaced.
    #[prost(bytes = "bytes", repeated, tag = "5")]
    pub put: Vec<prost::bytes::Bytes>,
    /// Ids of entries that are gone.
    #[prost(fixed64, repeated, tag = "6")]
    pub del: Vec<u64>,
    /// Changes of equality values.
    #[prost(message, repeated, tag = "7")]
    pub eq: Vec<EqDelta>,
}

/// A part of all entries of one broker.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct IntSnap {
    /// Broker id.
    #[prost(bytes = "vec", tag = "1")]
    pub bid: Vec<u8>,
    /// First 8 bytes of the instance.
    #[prost(fixed64, tag = "2")]
    pub instance8: u64,
    /// Epoch.
    #[prost(fixed64, tag = "3")]
    pub epoch: u64,
    /// Version.
    #[prost(uint64, tag = "4")]
    pub iseq: u64,
    /// Number of this part, from 0.
    #[prost(uint32, tag = "5")]
    pub part: u32,
    /// How many parts there are.
    #[prost(uint32, tag = "6")]
    pub parts: u32,
    /// Encoded `Entry` records.
    #[prost(bytes = "bytes", repeated, tag = "7")]
    pub put: Vec<prost::bytes::Bytes>,
    /// Equality values.
    #[prost(message, repeated, tag = "8")]
    pub eq: Vec<EqDelta>,
    /// Hash over everything.
    #[prost(bytes = "vec", tag = "9")]
    pub ihash: Vec<u8>,
}

/// One piece of interest.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Entry {
    /// Unique within the claim.
    #[prost(fixed64, tag = "1")]
    pub id: u64,
    /// Topic or queue.
    #[prost(enumeration = "super::Kind", tag = "2")]
    pub kind: i32,
    /// Destination name, with wildcards or without.
    #[prost(string, tag = "3")]
    pub filter: String,
    /// Base-2 logarithm of the number of consumers; a hint.
    #[prost(uint32, tag = "4")]
    pub consumers_log2: u32,
    /// 0 none, 1 some, 2 plenty; a hint.
    #[prost(uint32, tag = "5")]
    pub credit: u32,
    /// Standing credit.
    #[prost(uint32, tag = "6")]
    pub open: u32,
    /// One of the `SELECTOR_…` numbers.
    #[prost(uint32, tag = "7")]
    pub selector: u32,
    /// Key of a durable subscription.
    #[prost(string, tag = "8")]
    pub home_key: String,
    /// Term of the durable subscription or of the arbiter.
    #[prost(fixed64, tag = "9")]
    pub term: u64,
    /// `ENTRY_…` bits.
    #[prost(uint32, tag = "10")]
    pub flags: u32,
    /// Id of the island the demand comes from.
    #[prost(string, tag = "11")]
    pub island: String,
    /// Broker path of the demand.
    #[prost(string, repeated, tag = "12")]
    pub path: Vec<String>,
    /// Rises when the entry comes to cover more.
    #[prost(uint32, tag = "13")]
    pub rev: u32,
}

/// `Entry::selector`: some consumer takes everything.
pub const SELECTOR_NONE: u32 = 0;
/// `Entry::selector`: only messages with one of the equality values.
pub const SELECTOR_EQUALITY: u32 = 1;
/// `Entry::selector`: nothing can be said.
pub const SELECTOR_OPAQUE: u32 = 2;
/// `Entry::flags`: stands for literal names under its prefix.
pub const ENTRY_MERGED: u32 = 16;

/// A change of an entry's equality values.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct EqDelta {
    /// Id of the entry.
    #[prost(fixed64, tag = "1")]
    pub entry: u64,
    /// Name of the property.
    #[prost(string, tag = "2")]
    pub property: String,
    /// Hashes of values that came.
    #[prost(fixed64, repeated, tag = "3")]
    pub add: Vec<u64>,
    /// Hashes of values that went.
    #[prost(fixed64, repeated, tag = "4")]
    pub del: Vec<u64>,
}
