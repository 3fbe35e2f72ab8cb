//! The names that brokers, links and connections have inside the mesh, and how they are derived.
//!
//! Hashes and seeds are part of the protocol.

use std::fmt;
use std::time::Duration;

use sha2::{Digest, Sha256};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Starts what is hashed into a broker id, so that no other use of SHA-256 gives the same bytes.
const BID_DOMAIN: &[u8] = b"causeway-bid-1";

/// Broker id: what a site is called inside the mesh. Ordered as big-endian bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bid(pub [u8; 16]);

impl Bid {
    /// The id of a site: needs no disk and survives everything.
    #[must_use]
    pub fn derive(network: &str, site: &str) -> Self {
        let hash = Sha256::new()
            .chain_update(BID_DOMAIN)
            .chain_update([0])
            .chain_update(network)
            .chain_update([0])
            .chain_update(site)
            .finalize();
        let mut bid = [0; 16];
        bid.copy_from_slice(&hash[..16]);
        Self(bid)
    }

    /// Reads an id that travelled; `None` when it has another length than 16 bytes.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Rank among equally good parents (5.3): the id itself for label 0, a hash of it otherwise.
    #[must_use]
    pub fn tie_key(self, label: u8) -> u64 {
        if label == 0 {
            0
        } else {
            xxh3_64_with_seed(&self.0, u64::from(label))
        }
    }
}

impl fmt::Debug for Bid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl fmt::Display for Bid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// Claim id of whoever runs a site.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instance(pub [u8; 16]);

impl Instance {
    /// The first 8 bytes, as they travel.
    #[must_use]
    pub fn instance8(self) -> u64 {
        let mut first = [0; 8];
        first.copy_from_slice(&self.0[..8]);
        u64::from_be_bytes(first)
    }

    /// Reads an id that travelled; `None` when it has another length than 16 bytes.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// The pair of broker and holder that records are kept by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ClaimId {
    /// The broker.
    pub bid: Bid,
    /// First 8 bytes of its instance.
    pub instance8: u64,
}

/// Number of a broker's process; rises at each start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch(pub u64);

/// Short id of a site, 1 to 65,535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Sid(pub u16);

impl Sid {
    /// The short id of a site that has none in the configuration.
    #[must_use]
    pub fn from_name(site: &str) -> Self {
        let hash = xxh3_64(site.as_bytes()).to_be_bytes();
        Self(u16::from_be_bytes([hash[6], hash[7]]).max(1))
    }
}

/// A connection of this process, dialled or accepted. Given by whoever owns the sockets, never
/// used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ConnId(pub u64);

/// Index into the table of this broker's links. Stays with a link while it is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LinkId(pub u32);

impl LinkId {
    /// The index.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Hash by which both ends of a link name it in their advertisements.
#[must_use]
pub fn link_hash(name: &str) -> u32 {
    let hash = xxh3_64(name.as_bytes()).to_be_bytes();
    u32::from_be_bytes([hash[4], hash[5], hash[6], hash[7]])
}

/// A point in time: nanoseconds of a clock that never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Now(pub u64);

impl Now {
    /// The point that much later.
    #[must_use]
    pub fn plus(self, time: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)),
        )
    }

    /// Time since an earlier point; nothing when it is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

#[cfg(test)]
mod tests {
    use super::{Bid, Instance, Now, Sid, link_hash};
    use std::time::Duration;

    #[test]
    fn broker_ids_are_the_first_half_of_the_hash_of_network_and_site() {
        let bid = Bid::derive("prod", "berlin");
        assert_eq!(bid.to_string(), "b10aa08cceca3eab359e25694bcbd4de");
        assert_ne!(bid, Bid::derive("prodb", "erlin"));
        assert_ne!(bid, Bid::derive("test", "berlin"));
    }

    #[test]
    fn short_ids_and_link_hashes_come_from_names() {
        assert_ne!(Sid::from_name("berlin"), Sid::from_name("tokyo"));
        assert_ne!(Sid::from_name("").0, 0);
        assert_ne!(link_hash("a-b"), link_hash("b-a"));
    }

    #[test]
    fn half_an_instance_is_its_first_eight_bytes() {
        let instance = Instance([0, 0, 0, 0, 0, 0, 1, 2, 9, 9, 9, 9, 9, 9, 9, 9]);
        assert_eq!(instance.instance8(), 0x102);
    }

    #[test]
    fn times_do_not_wrap() {
        assert_eq!(Now(5).since(Now(7)), Duration::ZERO);
        assert_eq!(Now(u64::MAX).plus(Duration::from_secs(1)), Now(u64::MAX));
    }
}
