//! One LSA, judged and decoded, with what this broker knows about its claim.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;

use crate::mesh::ids::{Bid, ClaimId, ConnId, Epoch, Instance, Now, Sid};
use crate::mesh::messages::Lsa;

/// An LSA is no longer than a control frame.
const MAX_LSA: usize = 64 * 1024;
/// A later release may have more links than this one makes.
const MAX_LINKS: usize = 1024;

/// Why a record is neither stored nor flooded. The neighbour only relayed it, so its link stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Longer than it may be.
    #[error("record of {0} bytes")]
    TooLong(usize),
    /// It is no such message.
    #[error("record does not decode")]
    Undecodable,
    /// An id of another length than 16 bytes.
    #[error("id with another length than 16 bytes")]
    IdLength,
    /// The broker id is not the one of network and site.
    #[error("broker id of another site")]
    ForeignId,
    /// Short id 0, or above 65,535.
    #[error("short id {0}")]
    Sid(u32),
    /// A link without cost.
    #[error("link of cost 0")]
    ZeroCost,
    /// More links than any broker has.
    #[error("{0} links")]
    TooManyLinks(usize),
}

/// One end of a link, as its broker advertises it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HalfLink {
    /// The claim at the other end.
    pub peer: ClaimId,
    /// Hash of the link's name.
    pub link: u32,
    /// At least 1.
    pub cost: u32,
    /// Classes that may not use it.
    pub deny: Vec<u32>,
}

/// The newest LSA of one claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The claim.
    pub id: ClaimId,
    /// The whole claim id.
    pub instance: Instance,
    /// Its process.
    pub epoch: Epoch,
    /// Version within the epoch.
    pub seq: u64,
    /// Its short id.
    pub sid: Sid,
    /// Its site.
    pub site: Arc<str>,
    /// First epoch of the claim.
    pub since: Epoch,
    /// Its ends of links, in order of (peer, link).
    pub links: Vec<HalfLink>,
    /// It is reached, but not passed through.
    pub is_leaving: bool,
    /// Classes that do not pass through.
    pub no_transit: Vec<u32>,
    /// Version of its entries when it was issued.
    pub iseq: u64,
    /// Their hash.
    pub ihash: u128,
    /// The bytes as they came.
    pub bytes: Bytes,
    /// The connection that brought it.
    pub from: Option<ConnId>,
    /// When it came.
    pub arrived: Now,
    /// `None` while this broker reaches the claim, rivals included.
    pub lost: Option<Lost>,
    /// The claim is a destination: reached, no rival, owner of its short id.
    pub is_destination: bool,
    /// Since when the entries known are behind `iseq`.
    pub lags_since: Option<Now>,
}

/// Since when a claim is not reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// Counted here since then.
    pub at: Now,
    /// Counted elsewhere before.
    pub before: Duration,
}

impl Record {
    /// Order within a claim.
    #[must_use]
    pub const fn version(&self) -> (Epoch, u64) {
        (self.epoch, self.seq)
    }

    /// How long the claim has not been reached, as it is told to neighbours: 0 only while it is.
    #[must_use]
    pub fn unreachable_ms(&self, now: Now) -> u32 {
        let whole = self.unreached_for(now).as_millis();
        self.lost
            .map_or(0, |_| u32::try_from(whole).unwrap_or(u32::MAX).max(1))
    }

    /// How long the claim has not been reached here.
    #[must_use]
    pub fn lost_for(&self, now: Now) -> Duration {
        self.lost.map_or(Duration::ZERO, |lost| now.since(lost.at))
    }

    /// How long nobody is known to have reached the claim.
    #[must_use]
    pub fn unreached_for(&self, now: Now) -> Duration {
        self.lost.map_or(Duration::ZERO, |lost| {
            lost.before.saturating_add(now.since(lost.at))
        })
    }

    /// Counts an unreached claim as gone for at least that long: it was asked and said nothing.
    pub fn forgive(&mut self, time: Duration) {
        if let Some(lost) = &mut self.lost {
            lost.before = lost.before.max(time);
        }
    }

    /// When it will be forgotten unless it is reached again.
    #[must_use]
    pub fn purge_at(&self) -> Option<Now> {
        let lost = self.lost?;
        Some(lost.at.plus(super::PURGE_AFTER.saturating_sub(lost.before)))
    }

    pub(super) fn arrived(mut self, unreachable_ms: u32, from: Option<ConnId>, now: Now) -> Self {
        let before = Duration::from_millis(unreachable_ms.into());
        self.lost = Some(Lost { at: now, before });
        self.from = from;
        self.arrived = now;
        self
    }

    /// Takes over a newer version. Whether the claim is reached is for the next computation.
    pub(super) fn replace(
        &mut self,
        newer: Self,
        unreachable_ms: u32,
        from: Option<ConnId>,
        now: Now,
    ) {
        let before = Duration::from_millis(unreachable_ms.into());
        let lost = self.lost.map(|_| Lost { at: now, before });
        let (is_destination, lags_since) = (self.is_destination, self.lags_since);
        *self = Self {
            lost,
            from,
            arrived: now,
            is_destination,
            lags_since,
            ..newer
        };
    }

    pub(super) fn is_same_map(&self, other: &Self) -> bool {
        self.sid == other.sid
            && self.since == other.since
            && self.links == other.links
            && self.is_leaving == other.is_leaving
            && self.no_transit == other.no_transit
    }
}

/// Decodes an LSA and judges whether it can be true. Rule: R3; section 4.5.
///
/// # Errors
/// It is refused and not flooded.
pub fn parse(network: &str, bytes: Bytes) -> Result<Record, RecordError> {
    if bytes.len() > MAX_LSA {
        return Err(RecordError::TooLong(bytes.len()));
    }
    let lsa = Lsa::decode(bytes.clone()).map_err(|_| RecordError::Undecodable)?;
    let bid = Bid::from_slice(&lsa.bid).ok_or(RecordError::IdLength)?;
    let instance = Instance::from_slice(&lsa.instance).ok_or(RecordError::IdLength)?;
    if bid != Bid::derive(network, &lsa.site) {
        return Err(RecordError::ForeignId);
    }
    let sid = u16::try_from(lsa.sid).ok().filter(|sid| *sid != 0);
    let sid = sid.ok_or(RecordError::Sid(lsa.sid))?;
    Ok(Record {
        id: ClaimId {
            bid,
            instance8: instance.instance8(),
        },
        instance,
        epoch: Epoch(lsa.epoch),
        seq: lsa.seq,
        sid: Sid(sid),
        site: Arc::from(lsa.site.as_str()),
        since: Epoch(lsa.since),
        links: parse_links(&lsa)?,
        is_leaving: lsa.leaving,
        no_transit: lsa.no_transit,
        iseq: lsa.iseq,
        ihash: hash_of(&lsa.ihash),
        bytes,
        from: None,
        arrived: Now(0),
        lost: None,
        is_destination: false,
        lags_since: None,
    })
}

fn parse_links(lsa: &Lsa) -> Result<Vec<HalfLink>, RecordError> {
    if lsa.links.len() > MAX_LINKS {
        return Err(RecordError::TooManyLinks(lsa.links.len()));
    }
    let mut links = BTreeSet::new();
    for half in &lsa.links {
        if half.cost == 0 {
            return Err(RecordError::ZeroCost);
        }
        let bid = Bid::from_slice(&half.peer).ok_or(RecordError::IdLength)?;
        let peer = ClaimId {
            bid,
            instance8: half.peer_instance8,
        };
        let deny = half.deny.clone();
        links.insert(HalfLink {
            peer,
            link: half.link,
            cost: half.cost,
            deny,
        });
    }
    Ok(links.into_iter().collect())
}

/// A hash that travelled; one of another length agrees with nothing but an empty set.
#[must_use]
pub fn hash_of(bytes: &[u8]) -> u128 {
    bytes.try_into().map(u128::from_be_bytes).unwrap_or(0)
}
