//! The interest database: the entries of every claim, the own one included, under a version and a
//! hash that does not depend on their order (R7).

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use prost::Message;

use super::snapshot::Assembly;
use super::{EntryChange, RemoteEntry, Summary, Values, entry_hash, eq_hash};
use crate::mesh::ids::{ClaimId, ConnId, Epoch, Now};
use crate::mesh::lsdb::hash_of;
use crate::mesh::messages::{Entry, EqDelta, Int, IntSnap, Kind, SELECTOR_EQUALITY, SELECTOR_NONE};

/// Longest record of an entry.
const MAX_ENTRY: usize = 4096;
/// Entries of one broker.
pub const MAX_ENTRIES: usize = 65_536;
/// Bytes of the entries of one broker.
pub const MAX_ENTRY_BYTES: usize = 4 << 20;
/// Equality values of one broker.
const MAX_VALUES: usize = 262_144;

/// What became of a change that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Applied: it is flooded; the changes count if the claim is shown.
    Applied(Vec<EntryChange>),
    /// Kept until the snapshot is complete.
    Kept,
    /// Known.
    Stale,
    /// Something is missing: ask for a snapshot.
    Gap,
}

/// What became of a part of a snapshot.
#[derive(Debug, PartialEq, Eq)]
pub enum PartOutcome {
    /// Known, or parts of another one come in.
    Ignored,
    /// More parts are to come.
    Waiting,
    /// All parts are there and the hash agrees.
    Complete(Box<Completed>),
    /// All parts are there and the hash differs, or the parts are in disorder.
    Wrong,
}

/// A snapshot that was applied.
#[derive(Debug, PartialEq, Eq)]
pub struct Completed {
    /// The bodies of its parts, to be sent on.
    pub parts: Vec<Bytes>,
    /// Changes that were kept meanwhile: to be handled now.
    pub later: Vec<Bytes>,
}

#[derive(Debug, Clone)]
struct Stored {
    bytes: Bytes,
    /// `None` for a kind that this release does not know.
    entry: Option<Arc<RemoteEntry>>,
    values: Values,
}

/// The entries of one claim.
#[derive(Debug, Default)]
pub struct Interest {
    /// Their process.
    pub epoch: Epoch,
    /// Their version.
    pub iseq: u64,
    /// Their hash.
    pub ihash: u128,
    /// They count for routing.
    pub is_shown: bool,
    /// Who was asked for a snapshot, and when.
    pub asked: Option<(ConnId, Now)>,
    entries: BTreeMap<u64, Stored>,
    bytes: usize,
    values: usize,
    refused: u64,
    assembly: Option<Assembly>,
}

/// The entries of all claims.
#[derive(Debug, Default)]
pub struct Idb {
    claims: BTreeMap<ClaimId, Interest>,
    bytes: usize,
}

impl Idb {
    /// Forgets what a claim wanted and begins with a new process of it.
    pub fn reset(&mut self, id: ClaimId, epoch: Epoch) {
        self.remove(&id);
        self.claims.insert(
            id,
            Interest {
                epoch,
                ..Interest::default()
            },
        );
    }

    /// Forgets a claim.
    pub fn remove(&mut self, id: &ClaimId) {
        if let Some(claim) = self.claims.remove(id) {
            self.bytes -= claim.weight();
        }
    }

    /// What is known of a claim.
    #[must_use]
    pub fn claim(&self, id: &ClaimId) -> Option<&Interest> {
        self.claims.get(id)
    }

    /// What is known of a claim.
    pub fn claim_mut(&mut self, id: &ClaimId) -> Option<&mut Interest> {
        self.claims.get_mut(id)
    }

    /// Bytes of all entries and values.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Entries of all claims but one.
    #[must_use]
    pub fn remote_entries(&self, own: &ClaimId) -> usize {
        let others = self.claims.iter().filter(|(id, _)| *id != own);
        others.map(|(_, claim)| claim.entries.len()).sum()
    }

    /// Handles a change of one broker's interest. Rule: R7.
    pub fn change(&mut self, id: ClaimId, int: &Int, body: &Bytes) -> Outcome {
        let Some(claim) = self.claims.get_mut(&id) else {
            return Outcome::Gap;
        };
        let epoch = Epoch(int.epoch);
        if epoch != claim.epoch {
            return if epoch > claim.epoch {
                Outcome::Gap
            } else {
                Outcome::Stale
            };
        }
        if int.iseq <= claim.iseq {
            return Outcome::Stale;
        }
        if let Some(assembly) = &mut claim.assembly {
            return if assembly.keep(body) {
                Outcome::Kept
            } else {
                Outcome::Gap
            };
        }
        if int.iseq != claim.iseq + 1 {
            return Outcome::Gap;
        }
        claim.iseq = int.iseq;
        let before = claim.weight();
        let changes = claim.apply(id, int);
        self.bytes = self.bytes - before + claim.weight();
        Outcome::Applied(changes)
    }

    /// Handles a part of a snapshot. Rule: R7.
    pub fn part(&mut self, conn: ConnId, id: ClaimId, snap: IntSnap, body: Bytes) -> PartOutcome {
        let Some(claim) = self.claims.get_mut(&id) else {
            return PartOutcome::Ignored;
        };
        if Epoch(snap.epoch) != claim.epoch || snap.iseq < claim.iseq {
            return PartOutcome::Ignored;
        }
        let is_same = snap.iseq == claim.iseq && hash_of(&snap.ihash) == claim.ihash;
        if is_same {
            claim.drop_assembly_of(conn);
            return PartOutcome::Ignored;
        }
        let mut assembly = match claim.assembly.take() {
            Some(assembly) if assembly.is_of(conn, snap.iseq) || snap.part != 0 => assembly,
            _ => Assembly::new(conn, &snap),
        };
        if !assembly.is_of(conn, snap.iseq) {
            claim.assembly = Some(assembly);
            return PartOutcome::Ignored;
        }
        match assembly.add(snap, body) {
            Some(false) => {
                claim.assembly = Some(assembly);
                PartOutcome::Waiting
            }
            Some(true) => {
                let before = claim.weight();
                let outcome = claim.finish(id, assembly);
                self.bytes = self.bytes - before + claim.weight();
                outcome
            }
            None => {
                claim.asked = None;
                PartOutcome::Wrong
            }
        }
    }

    /// A connection ended: what it was sending will not become complete.
    pub fn lost(&mut self, conn: ConnId) {
        for claim in self.claims.values_mut() {
            claim.drop_assembly_of(conn);
            claim.asked = claim.asked.filter(|(asked, _)| *asked != conn);
        }
    }
}

impl Interest {
    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True without entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Steps refused since the last call: the broker is above its limits.
    pub const fn take_refused(&mut self) -> u64 {
        std::mem::replace(&mut self.refused, 0)
    }

    /// All entries, to be shown at once.
    #[must_use]
    pub fn all(&self) -> Vec<EntryChange> {
        self.entries
            .values()
            .filter_map(|stored| stored.entry.clone())
            .map(EntryChange::Put)
            .collect()
    }

    /// Records and values in order of ids, for a snapshot.
    pub(super) fn contents(&self) -> impl Iterator<Item = (u64, &Bytes, &Values)> {
        self.entries
            .iter()
            .map(|(id, stored)| (*id, &stored.bytes, &stored.values))
    }

    const fn weight(&self) -> usize {
        self.bytes + 8 * self.values
    }

    fn drop_assembly_of(&mut self, conn: ConnId) {
        if self
            .assembly
            .as_ref()
            .is_some_and(|assembly| assembly.conn == conn)
        {
            self.assembly = None;
        }
    }

    fn finish(&mut self, id: ClaimId, assembly: Assembly) -> PartOutcome {
        let (epoch, is_shown) = (self.epoch, self.is_shown);
        let mut fresh = Self {
            epoch,
            is_shown,
            iseq: assembly.iseq,
            ..Self::default()
        };
        for snap in &assembly.parts {
            snap.put
                .iter()
                .for_each(|bytes| fresh.put(id, bytes, &mut Vec::new()));
            snap.eq
                .iter()
                .for_each(|delta| fresh.values(delta, &mut Vec::new()));
        }
        // What was refused for its size is missing in the hash too.
        if fresh.ihash != assembly.ihash && fresh.refused == 0 {
            self.asked = None;
            return PartOutcome::Wrong;
        }
        fresh.ihash = assembly.ihash;
        *self = fresh;
        let Assembly { bodies, later, .. } = assembly;
        PartOutcome::Complete(Box::new(Completed {
            parts: bodies,
            later,
        }))
    }

    /// First what goes, then records, then values, whatever order they were made in.
    fn apply(&mut self, id: ClaimId, int: &Int) -> Vec<EntryChange> {
        let mut changes = Vec::new();
        for entry in &int.del {
            self.delete(id, *entry, &mut changes);
        }
        int.put
            .iter()
            .for_each(|bytes| self.put(id, bytes, &mut changes));
        int.eq
            .iter()
            .for_each(|delta| self.values(delta, &mut changes));
        changes
    }

    fn delete(&mut self, id: ClaimId, entry: u64, changes: &mut Vec<EntryChange>) {
        let Some(stored) = self.entries.remove(&entry) else {
            return;
        };
        self.bytes -= stored.bytes.len();
        self.ihash = self.ihash.wrapping_sub(entry_hash(&stored.bytes));
        self.drop_values(entry, &stored.values);
        changes.push(EntryChange::Delete {
            bid: id.bid,
            id: entry,
        });
    }

    fn put(&mut self, id: ClaimId, bytes: &Bytes, changes: &mut Vec<EntryChange>) {
        let is_too_much =
            self.entries.len() >= MAX_ENTRIES || self.bytes + bytes.len() > MAX_ENTRY_BYTES;
        let Some(entry) = Entry::decode(bytes.clone())
            .ok()
            .filter(|_| bytes.len() <= MAX_ENTRY && !is_too_much)
        else {
            self.refused += 1;
            return;
        };
        let mut values = Values::new();
        if let Some(old) = self.entries.remove(&entry.id) {
            self.bytes -= old.bytes.len();
            self.ihash = self.ihash.wrapping_sub(entry_hash(&old.bytes));
            if entry.selector == SELECTOR_EQUALITY {
                values = old.values;
            } else {
                self.drop_values(entry.id, &old.values);
            }
        }
        self.bytes += bytes.len();
        self.ihash = self.ihash.wrapping_add(entry_hash(bytes));
        let decoded = decoded(id, self.epoch, &entry, &values);
        changes.extend(decoded.clone().map(EntryChange::Put));
        let stored = Stored {
            bytes: bytes.clone(),
            entry: decoded,
            values,
        };
        self.entries.insert(entry.id, stored);
    }

    fn values(&mut self, delta: &EqDelta, changes: &mut Vec<EntryChange>) {
        let Some(stored) = self.entries.get_mut(&delta.entry) else {
            return;
        };
        if self.values + delta.add.len() > MAX_VALUES {
            self.refused += 1;
            return;
        }
        let at = stored
            .values
            .binary_search_by(|(name, _)| (**name).cmp(&delta.property));
        let mut hashes: Vec<u64> = at.map_or(Vec::new(), |at| stored.values[at].1.to_vec());
        let before = hashes.len();
        for value in &delta.del {
            if let Ok(found) = hashes.binary_search(value) {
                hashes.remove(found);
                self.ihash = self
                    .ihash
                    .wrapping_sub(eq_hash(delta.entry, &delta.property, *value));
            }
        }
        for value in &delta.add {
            if let Err(place) = hashes.binary_search(value) {
                hashes.insert(place, *value);
                self.ihash = self
                    .ihash
                    .wrapping_add(eq_hash(delta.entry, &delta.property, *value));
            }
        }
        self.values = self.values - before + hashes.len();
        match at {
            Ok(at) if hashes.is_empty() => drop(stored.values.remove(at)),
            Ok(at) => stored.values[at].1 = hashes.into(),
            Err(_) if hashes.is_empty() => {}
            Err(at) => stored
                .values
                .insert(at, (Arc::from(delta.property.as_str()), hashes.into())),
        }
        if let Some(entry) = &mut stored.entry {
            let changed = Arc::make_mut(entry);
            changed.summary = summary(SELECTOR_EQUALITY, &stored.values);
            // One change of an entry is enough however many values it names.
            changes
                .retain(|other| !matches!(other, EntryChange::Put(put) if put.id == delta.entry));
            changes.push(EntryChange::Put(entry.clone()));
        }
    }

    fn drop_values(&mut self, entry: u64, values: &Values) {
        for (property, hashes) in values {
            self.values -= hashes.len();
            for value in hashes.iter() {
                self.ihash = self.ihash.wrapping_sub(eq_hash(entry, property, *value));
            }
        }
    }
}

fn decoded(id: ClaimId, epoch: Epoch, entry: &Entry, values: &Values) -> Option<Arc<RemoteEntry>> {
    Some(Arc::new(RemoteEntry {
        bid: id.bid,
        epoch,
        id: entry.id,
        kind: Kind::try_from(entry.kind).ok()?,
        filter: Arc::from(entry.filter.as_str()),
        summary: summary(entry.selector, values),
        consumers_log2: entry.consumers_log2,
        credit: entry.credit,
        open: entry.open,
        rev: entry.rev,
        flags: entry.flags,
    }))
}

fn summary(selector: u32, values: &Values) -> Summary {
    match selector {
        SELECTOR_NONE => Summary::None,
        SELECTOR_EQUALITY => Summary::Equality(values.clone()),
        _ => Summary::Opaque,
    }
}
