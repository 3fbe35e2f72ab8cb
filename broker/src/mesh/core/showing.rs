//! Which claims count for routing: an unreachable one for a moment longer, then it is hidden; it is
//! shown again when it is reached and its entries are confirmed (R14).

use std::time::Duration;

use super::Mesh;
use crate::mesh::event::{Action, Actions};
use crate::mesh::ids::{ClaimId, ConnId, Now};
use crate::mesh::interest::EntryChange;
use crate::mesh::lsdb::Record;

/// Entries that stay behind the issuer's word for so long are asked for. Rule: R7.
pub(super) const INTEREST_LAG: Duration = Duration::from_secs(2);

impl Mesh {
    /// Hides and shows whatever changed; what is hidden goes first, so that a broker whose claim
    /// changed hands is not cleared after it was shown.
    pub(super) fn refresh_shown(&mut self, now: Now, out: &mut Actions) {
        let ids: Vec<ClaimId> = self
            .lsdb
            .records()
            .map(|record| record.id)
            .filter(|id| *id != self.id)
            .collect();
        let (stay, gone): (Vec<&ClaimId>, Vec<&ClaimId>) =
            ids.iter().partition(|id| self.may_be_shown(id, now));
        gone.into_iter().for_each(|id| self.hide(id, out));
        stay.into_iter().for_each(|id| self.show_one(id, now, out));
        self.claims_due = self.next_claim_change();
    }

    /// Shows a claim once its entries are confirmed.
    pub(super) fn show_one(&mut self, id: &ClaimId, now: Now, out: &mut Actions) {
        let Some(record) = self.lsdb.record(id) else {
            return;
        };
        let is_due = record.is_destination && self.may_be_shown(id, now);
        let version = (record.epoch, record.iseq, record.ihash);
        let Some(claim) = self.idb.claim_mut(id) else {
            return;
        };
        // Entries that are newer than the issuer's last word about them are confirmed too.
        let is_confirmed = claim.epoch == version.0
            && (claim.iseq > version.1 || (claim.iseq, claim.ihash) == (version.1, version.2));
        if is_due && is_confirmed && !claim.is_shown {
            claim.is_shown = true;
            let entries = claim.all();
            if !entries.is_empty() {
                out.push(Action::Entries(entries));
            }
        }
        self.schedule(id);
    }

    /// A claim does not count any more, or not for now.
    pub(super) fn hide(&mut self, id: &ClaimId, out: &mut Actions) {
        if let Some(claim) = self.idb.claim_mut(id)
            && std::mem::replace(&mut claim.is_shown, false)
            && !claim.is_empty()
        {
            out.push(Action::Entries(vec![EntryChange::Clear(id.bid)]));
        }
    }

    /// Hides, forgets and asks for what is due. Rules: R7, R14.
    pub(super) fn claims_due(&mut self, now: Now, out: &mut Actions) {
        if self.claims_due.is_none_or(|due| due > now) {
            return;
        }
        let dead: Vec<ClaimId> = self
            .lsdb
            .records()
            .filter(|record| record.id != self.id)
            .filter(|record| record.purge_at().is_some_and(|at| at <= now))
            .map(|record| record.id)
            .collect();
        for id in dead {
            self.hide(&id, out);
            self.lsdb.remove(&id);
            self.idb.remove(&id);
            self.reports.remove(&id);
            if self.lsdb.claims_of(id.bid).next().is_none() {
                out.push(Action::Purged(id.bid));
            }
            self.publish(out);
        }
        self.ask_lagging(now, out);
        self.refresh_shown(now, out);
    }

    /// Notes when something is due for one record that is other than before.
    pub(super) fn schedule(&mut self, id: &ClaimId) {
        let Some(record) = self.lsdb.record(id) else {
            return;
        };
        let changes = self.changes_of(record);
        self.claims_due = self
            .claims_due
            .into_iter()
            .chain(changes.into_iter().flatten())
            .min();
    }

    fn may_be_shown(&self, id: &ClaimId, now: Now) -> bool {
        let Some(record) = self.lsdb.record(id) else {
            return false;
        };
        let is_other = self.map.rivals.contains(id)
            || self.map.sid_conflicts.iter().any(|(_, loses)| loses == id)
            || self.denied.contains(&id.bid);
        let has_successor = record.lost.is_some()
            && self
                .lsdb
                .claims_of(id.bid)
                .any(|other| other.is_destination);
        !is_other && !has_successor && record.lost_for(now) < self.config.timing.limbo
    }

    fn next_claim_change(&self) -> Option<Now> {
        let others = self.lsdb.records().filter(|record| record.id != self.id);
        others
            .flat_map(|record| self.changes_of(record))
            .flatten()
            .min()
    }

    fn changes_of(&self, record: &Record) -> [Option<Now>; 3] {
        let is_shown = self
            .idb
            .claim(&record.id)
            .is_some_and(|claim| claim.is_shown);
        let hide = record.lost.filter(|_| is_shown);
        [
            hide.map(|lost| lost.at.plus(self.config.timing.limbo)),
            record.purge_at(),
            record.lags_since.map(|since| since.plus(INTEREST_LAG)),
        ]
    }

    fn ask_lagging(&mut self, now: Now, out: &mut Actions) {
        let lagging: Vec<(ClaimId, Option<ConnId>)> = self
            .lsdb
            .records()
            .filter(|record| {
                record
                    .lags_since
                    .is_some_and(|at| now.since(at) >= INTEREST_LAG)
            })
            .map(|record| (record.id, record.from))
            .collect();
        for (id, from) in lagging {
            if let Some(record) = self.lsdb.record_mut(&id) {
                record.lags_since = Some(now);
            }
            let is_there = |conn: &ConnId| {
                self.sessions
                    .get(conn)
                    .is_some_and(|session| session.is_flooded())
            };
            let any = self.sessions.values().find(|session| session.is_flooded());
            let conn = from.filter(is_there).or(any.map(|session| session.conn));
            if let Some(conn) = conn {
                self.ask_entries(conn, &id, now, out);
            }
        }
    }
}
