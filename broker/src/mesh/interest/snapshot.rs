//! All entries of one claim in parts that fit a control frame: cut here, put together there.

use bytes::Bytes;
use prost::Message;

use super::remote::Interest;
use crate::mesh::ids::{ClaimId, ConnId};
use crate::mesh::lsdb::hash_of;
use crate::mesh::messages::{EqDelta, IntSnap};

/// Bytes of records and values in one part; what is around them is small.
const PART: usize = 48 * 1024;
/// Values of one step.
const VALUES: usize = 4096;
/// Changes kept while a snapshot comes in.
const LATER: usize = 64 * 1024;
/// A snapshot is no longer than what a broker may have, values included.
const WHOLE: usize = 8 << 20;

/// A snapshot that comes in.
#[derive(Debug)]
pub(super) struct Assembly {
    pub(super) conn: ConnId,
    pub(super) iseq: u64,
    pub(super) ihash: u128,
    pub(super) parts: Vec<IntSnap>,
    pub(super) bodies: Vec<Bytes>,
    pub(super) later: Vec<Bytes>,
    expected: u32,
    bytes: usize,
    later_bytes: usize,
}

impl Assembly {
    pub(super) fn new(conn: ConnId, first: &IntSnap) -> Self {
        Self {
            conn,
            iseq: first.iseq,
            ihash: hash_of(&first.ihash),
            parts: Vec::new(),
            bodies: Vec::new(),
            later: Vec::new(),
            expected: first.parts,
            bytes: 0,
            later_bytes: 0,
        }
    }

    pub(super) fn is_of(&self, conn: ConnId, iseq: u64) -> bool {
        self.conn == conn && self.iseq == iseq
    }

    /// Adds a part: `Some(true)` when it was the last one, `None` when the snapshot is no good.
    pub(super) fn add(&mut self, snap: IntSnap, body: Bytes) -> Option<bool> {
        self.bytes += body.len();
        let at = u32::try_from(self.parts.len()).ok()?;
        let is_due = snap.part == at && snap.parts == self.expected && at < self.expected;
        if !is_due || hash_of(&snap.ihash) != self.ihash || self.bytes > WHOLE {
            return None;
        }
        self.parts.push(snap);
        self.bodies.push(body);
        Some(at + 1 == self.expected)
    }

    /// Keeps a change for later; false when there is no room.
    pub(super) fn keep(&mut self, body: &Bytes) -> bool {
        self.later_bytes += body.len();
        if self.later_bytes > LATER {
            return false;
        }
        self.later.push(body.clone());
        true
    }
}

impl Interest {
    /// The bodies of all parts of a snapshot. Records are shared with the database.
    #[must_use]
    pub fn snapshot(&self, id: ClaimId) -> Vec<Bytes> {
        let mut parts = vec![IntSnap::default()];
        let mut used = 0;
        for (entry, bytes, values) in self.contents() {
            part(&mut parts, &mut used, bytes.len() + 8)
                .put
                .push(bytes.clone());
            for (property, hashes) in values {
                for add in hashes.chunks(VALUES) {
                    let size = 8 * add.len() + property.len() + 24;
                    let property = property.to_string();
                    let delta = EqDelta {
                        entry,
                        property,
                        add: add.to_vec(),
                        del: Vec::new(),
                    };
                    part(&mut parts, &mut used, size).eq.push(delta);
                }
            }
        }
        let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        (0..)
            .zip(parts)
            .map(|(part, snap)| self.body(id, snap, part, count))
            .collect()
    }

    fn body(&self, id: ClaimId, snap: IntSnap, part: u32, parts: u32) -> Bytes {
        let whole = IntSnap {
            bid: id.bid.0.to_vec(),
            instance8: id.instance8,
            epoch: self.epoch.0,
            iseq: self.iseq,
            part,
            parts,
            ihash: self.ihash.to_be_bytes().to_vec(),
            ..snap
        };
        whole.encode_to_vec().into()
    }
}

fn part<'p>(parts: &'p mut Vec<IntSnap>, used: &mut usize, size: usize) -> &'p mut IntSnap {
    if *used + size > PART && *used > 0 {
        parts.push(IntSnap::default());
        *used = 0;
    }
    *used += size;
    let last = parts.len() - 1;
    &mut parts[last]
}
