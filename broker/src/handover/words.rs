//! What both processes say, as protobuf behind a length of four bytes.

use bytes::Bytes;

/// The newer process: who it is and what it is asked to prove.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Claim {
    /// Name of the network.
    #[prost(string, tag = "1")]
    pub network: String,
    /// Name of the site.
    #[prost(string, tag = "2")]
    pub site: String,
    /// Claim id: the same for all processes of one Deployment.
    #[prost(string, tag = "3")]
    pub instance: String,
    /// 32 random bytes.
    #[prost(bytes = "vec", tag = "4")]
    pub nonce: Vec<u8>,
}

/// The older process: its answer to a claim.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Holder {
    /// Its epoch: that of the newer one has to be larger.
    #[prost(uint64, tag = "1")]
    pub epoch: u64,
    /// 32 random bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub nonce: Vec<u8>,
    /// Where it is reached itself, when the name that was dialled leads to it no more.
    #[prost(string, tag = "3")]
    pub address: String,
    /// Its proof over the claim and this answer without it.
    #[prost(bytes = "vec", tag = "4")]
    pub proof: Vec<u8>,
}

/// A queue, whose messages follow.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct QueueHead {
    /// Name space, as in envelopes.
    #[prost(uint32, tag = "1")]
    pub kind: u32,
    /// Its name.
    #[prost(string, tag = "2")]
    pub name: String,
}

/// A durable subscription, whose messages follow.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct DurableHead {
    /// Its user.
    #[prost(string, tag = "1")]
    pub user: String,
    /// `client-id` of its connection.
    #[prost(string, tag = "2")]
    pub client_id: String,
    /// Its name.
    #[prost(string, tag = "3")]
    pub name: String,
    /// Topics and patterns.
    #[prost(string, repeated, tag = "4")]
    pub filters: Vec<String>,
    /// Only messages that match.
    #[prost(string, optional, tag = "5")]
    pub selector: Option<String>,
    /// The selector takes strings for numbers where they are some.
    #[prost(bool, tag = "6")]
    pub converts_strings: bool,
    /// Leaves out what its own connection publishes.
    #[prost(bool, tag = "7")]
    pub no_local: bool,
}

/// A message of the queue or durable subscription that was named last.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Parcel {
    /// Its canonical bytes.
    #[prost(bytes = "bytes", tag = "1")]
    pub envelope: Bytes,
    /// Milliseconds until it expires; 0 = never. Clocks of two nodes may differ.
    #[prost(uint64, tag = "2")]
    pub lives_ms: u64,
    /// Was handed to a consumer before.
    #[prost(bool, tag = "3")]
    pub redelivered: bool,
    /// How often it came back from a consumer.
    #[prost(uint32, tag = "4")]
    pub redeliveries: u32,
    /// Accepted transfers between brokers so far.
    #[prost(uint32, tag = "5")]
    pub moves: u32,
    /// It came over a learned route.
    #[prost(bool, tag = "6")]
    pub was_learned: bool,
}

/// Nothing but a sign of life.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct Patience {}

/// One word of either side.
#[derive(Clone, PartialEq, Eq, prost::Oneof)]
pub enum Word {
    /// First word of the newer process.
    #[prost(message, tag = "1")]
    Claim(Claim),
    /// The answer.
    #[prost(message, tag = "2")]
    Holder(Holder),
    /// Proof of the newer process.
    #[prost(bytes = "vec", tag = "3")]
    Proof(Vec<u8>),
    /// Whoever says it has nothing to do with the other, and why.
    #[prost(string, tag = "4")]
    Refused(String),
    /// It is about to give.
    #[prost(message, tag = "5")]
    Patience(Patience),
    /// It begins a queue.
    #[prost(message, tag = "6")]
    Queue(QueueHead),
    /// It begins a durable subscription.
    #[prost(message, tag = "7")]
    Durable(DurableHead),
    /// It gives a message.
    #[prost(message, tag = "8")]
    Message(Parcel),
    /// That was all: so many messages.
    #[prost(uint64, tag = "9")]
    Done(u64),
    /// The newer process has so many, and answers for them from now on.
    #[prost(uint64, tag = "10")]
    Taken(u64),
    /// The older process has nothing of these any more.
    #[prost(uint64, tag = "11")]
    Cleared(u64),
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
struct Frame {
    #[prost(oneof = "Word", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11")]
    word: Option<Word>,
}

/// What the messages of a section belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Head {
    /// A queue.
    Queue(QueueHead),
    /// A durable subscription.
    Durable(DurableHead),
}

/// A queue or durable subscription with all it keeps, in the order of service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// What it is.
    pub head: Head,
    /// What it keeps.
    pub parcels: Vec<Parcel>,
}

impl Word {
    /// The bytes behind the length.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        prost::Message::encode_to_vec(&Frame { word: Some(self) })
    }

    /// Reads them; `None` for what is no word. A word of a later version is none.
    #[must_use]
    pub fn from_bytes(body: Bytes) -> Option<Self> {
        let frame: Frame = prost::Message::decode(body).ok()?;
        frame.word
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_read_as_it_was_said() {
        let parcel = Parcel {
            envelope: Bytes::from_static(b"envelope"),
            lives_ms: 5,
            redelivered: true,
            redeliveries: 2,
            moves: 1,
            was_learned: true,
        };
        for word in [
            Word::Message(parcel),
            Word::Patience(Patience {}),
            Word::Done(0),
            Word::Refused("busy".to_owned()),
        ] {
            let bytes = Bytes::from(word.clone().into_bytes());
            assert_eq!(Word::from_bytes(bytes), Some(word));
        }
    }

    #[test]
    fn what_is_no_word_is_none() {
        assert_eq!(Word::from_bytes(Bytes::from_static(b"\xff\xff")), None);
        assert_eq!(Word::from_bytes(Bytes::new()), None);
    }
}
