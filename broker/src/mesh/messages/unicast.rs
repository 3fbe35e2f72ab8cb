//! Routed control: what one broker says to another over any number of hops (FWD kind 2).

/// The payload of a FWD of kind 2.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Unicast {
    /// Broker id of the receiver.
    #[prost(bytes = "vec", tag = "1")]
    pub to: Vec<u8>,
    /// Broker id of the sender.
    #[prost(bytes = "vec", tag = "2")]
    pub from: Vec<u8>,
    /// What is said; absent when it is from a later version.
    #[prost(oneof = "Body", tags = "3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14")]
    pub body: Option<Body>,
}

/// What a [`Unicast`] says.
#[derive(Clone, PartialEq, Eq, prost::Oneof)]
pub enum Body {
    /// Asks for credit.
    #[prost(message, tag = "3")]
    Creq(CreditRequest),
    /// Grants credit.
    #[prost(message, tag = "4")]
    Cgrant(CreditGrant),
    /// Acknowledges transfers.
    #[prost(message, tag = "5")]
    Xack(TransferAck),
    /// Gives credit back.
    #[prost(message, tag = "6")]
    Xrel(TransferRelease),
    /// Asks who the homes of a queue are.
    #[prost(message, tag = "7")]
    Homesreq(HomesRequest),
    /// The homes of a queue.
    #[prost(message, tag = "8")]
    Homes(Homes),
    /// Stop serving what moves away.
    #[prost(message, tag = "9")]
    Drain(Drain),
    /// Serving has stopped.
    #[prost(message, tag = "10")]
    Drained(Drain),
    /// A durable subscriber appeared elsewhere.
    #[prost(message, tag = "11")]
    Attach(Attach),
    /// Answer to that.
    #[prost(message, tag = "12")]
    Attached(AttachReply),
    /// Measures a path.
    #[prost(message, tag = "13")]
    Probe(Probe),
    /// Answer to a probe.
    #[prost(message, tag = "14")]
    Probed(Probe),
}

/// Asks how many messages of a queue the receiver's consumers would take.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct CreditRequest {
    /// Name of the queue.
    #[prost(string, tag = "1")]
    pub queue: String,
    /// Property of the messages; empty = any message.
    #[prost(string, tag = "2")]
    pub property: String,
    /// Hash of its value.
    #[prost(fixed64, tag = "3")]
    pub value: u64,
    /// How many wait.
    #[prost(uint32, tag = "4")]
    pub want: u32,
}

/// Answer to a request, also with nothing granted.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct CreditGrant {
    /// Name of the queue.
    #[prost(string, tag = "1")]
    pub queue: String,
    /// That of the request.
    #[prost(string, tag = "2")]
    pub property: String,
    /// That of the request.
    #[prost(fixed64, tag = "3")]
    pub value: u64,
    /// How many may come.
    #[prost(uint32, tag = "4")]
    pub granted: u32,
    /// Number of the grant, for the transfers that use it.
    #[prost(fixed64, tag = "5")]
    pub grant: u64,
    /// How long it is valid.
    #[prost(uint32, tag = "6")]
    pub ttl_ms: u32,
    /// The rest of what was asked for is granted without another request, as soon as there is room.
    #[prost(bool, tag = "7")]
    pub more: bool,
}

/// Cumulative answer to the transfers of one stream.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct TransferAck {
    /// Owner's epoch when the stream was opened.
    #[prost(fixed64, tag = "1")]
    pub stream_epoch: u64,
    /// Number of the stream.
    #[prost(uint32, tag = "2")]
    pub stream: u32,
    /// All transfers up to this one have an outcome.
    #[prost(uint64, tag = "3")]
    pub upto: u64,
    /// Those of them that were refused and that the owner may not know of yet.
    #[prost(message, repeated, tag = "4")]
    pub refused: Vec<Refused>,
    /// Nothing is known of the stream beyond `upto`.
    #[prost(bool, tag = "5")]
    pub unknown: bool,
    /// Epoch of the process that answers.
    #[prost(fixed64, tag = "6")]
    pub epoch: u64,
}

/// One refused transfer.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Refused {
    /// Its number in the stream.
    #[prost(uint64, tag = "1")]
    pub seq: u64,
    /// 1 no credit, 2 no consumer, 3 full, 4 not allowed, 5 stale term.
    #[prost(uint32, tag = "2")]
    pub why: u32,
}

/// Gives a grant back.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct TransferRelease {
    /// Number of the grant.
    #[prost(fixed64, tag = "1")]
    pub grant: u64,
    /// How much of it was not used.
    #[prost(uint32, tag = "2")]
    pub unused: u32,
}

/// Homes of a queue's groups.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Homes {
    /// Name of the queue.
    #[prost(string, tag = "1")]
    pub queue: String,
    /// Term of the arbiter.
    #[prost(fixed64, tag = "2")]
    pub term: u64,
    /// Broker ids.
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub members: Vec<Vec<u8>>,
    /// How long this holds.
    #[prost(uint32, tag = "4")]
    pub lease_ms: u32,
}

/// Asks for the homes.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct HomesRequest {
    /// Name of the queue.
    #[prost(string, tag = "1")]
    pub queue: String,
}

/// A member loses groups, or has stopped serving them.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Drain {
    /// Name of the queue.
    #[prost(string, tag = "1")]
    pub queue: String,
    /// Term of the arbiter.
    #[prost(fixed64, tag = "2")]
    pub term: u64,
}

/// A durable subscriber connects, or leaves.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct Attach {
    /// Key of the subscription.
    #[prost(string, tag = "1")]
    pub home_key: String,
    /// Name of its user.
    #[prost(string, tag = "2")]
    pub user: String,
    /// Number of the client's connection.
    #[prost(fixed64, tag = "3")]
    pub conn: u64,
    /// It leaves.
    #[prost(bool, tag = "4")]
    pub detach: bool,
}

/// Answer of the home.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct AttachReply {
    /// Key of the subscription.
    #[prost(string, tag = "1")]
    pub home_key: String,
    /// The subscription may move.
    #[prost(bool, tag = "2")]
    pub granted: bool,
    /// Term.
    #[prost(fixed64, tag = "3")]
    pub term: u64,
    /// The old home has handed everything over.
    #[prost(bool, tag = "4")]
    pub drained: bool,
}

/// Measures the path that data takes.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Probe {
    /// Repeated by the answer.
    #[prost(fixed64, tag = "1")]
    pub id: u64,
}
