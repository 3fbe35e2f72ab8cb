//! Interest and reports on their way: issued, applied, sent on (R5, R7, section 10).

use bytes::Bytes;

use super::{Mesh, encoded};
use crate::mesh::event::{Action, Actions, Counter, Lane};
use crate::mesh::frame::{FrameType, HEADER_LEN, Header, decode_control};
use crate::mesh::ids::{Bid, ClaimId, ConnId, Epoch, Now};
use crate::mesh::interest::local::Step;
use crate::mesh::interest::{EntryChange, Outcome, PartOutcome};
use crate::mesh::messages::{Body, Int, IntSnap, Probe, REQ_ENTRIES, REQ_LSA, ReportFrame};
use crate::mesh::report::Stored;

/// Bytes of one INT.
const INT_BYTES: usize = 48 * 1024;

impl Mesh {
    /// Tells everybody what changed here. Rule: R5.
    pub(super) fn issue_interest(&mut self, now: Now, out: &mut Actions) {
        let mut steps = self.local.flush(now).into_iter().peekable();
        while steps.peek().is_some() {
            let Some(own) = self.idb.claim(&self.id) else {
                return;
            };
            let mut int = Int {
                bid: self.id.bid.0.to_vec(),
                instance8: self.id.instance8,
                epoch: self.epoch.0,
                iseq: own.iseq + 1,
                ..Int::default()
            };
            let mut bytes = 0;
            // What goes is applied before what comes, so an id may not be in both.
            while let Some(step) =
                steps.next_if(|step| bytes == 0 || bytes + size(step) <= INT_BYTES)
            {
                bytes += size(&step);
                match step {
                    Step::Put(entry) => int.put.push(entry),
                    Step::Delete(entry) => int.del.push(entry),
                    Step::Values(delta) => int.eq.push(delta),
                }
            }
            let frame = encoded(FrameType::Int, &int);
            self.idb.change(self.id, &int, &frame.slice(HEADER_LEN..));
            self.flood(&frame, None, None, out);
            self.reports.changed(now);
        }
    }

    /// A change of interest arrived. Rule: R7.
    pub(super) fn int(
        &mut self,
        conn: ConnId,
        int: &Int,
        body: &Bytes,
        now: Now,
        out: &mut Actions,
    ) {
        let Some(id) = claim_of(&int.bid, int.instance8) else {
            return Self::count(Counter::NotCredible, out);
        };
        if id == self.id {
            return;
        }
        if !self.knows(&id, Epoch(int.epoch)) {
            self.ask(conn, &id, REQ_LSA, out);
            self.ask(conn, &id, REQ_ENTRIES, out);
            return;
        }
        let size = int.put.iter().map(Bytes::len).sum();
        if !self.has_room(size) {
            return Self::count(Counter::OverLimit, out);
        }
        match self.idb.change(id, int, body) {
            Outcome::Applied(changes) => {
                send_on(self, FrameType::Int, body, conn, out);
                self.applied(&id, changes, now, out);
            }
            Outcome::Gap => self.ask_entries(conn, &id, now, out),
            Outcome::Kept | Outcome::Stale => {}
        }
    }

    /// A part of all entries of one broker arrived. Rule: R7.
    pub(super) fn snapshot_part(
        &mut self,
        conn: ConnId,
        snap: IntSnap,
        body: &Bytes,
        now: Now,
        out: &mut Actions,
    ) {
        let Some(id) = claim_of(&snap.bid, snap.instance8).filter(|id| *id != self.id) else {
            return;
        };
        if !self.knows(&id, Epoch(snap.epoch)) {
            // Sent on by a neighbour that does not know yet what is known here.
            if snap.part == 0 {
                self.ask(conn, &id, REQ_LSA, out);
                self.ask(conn, &id, REQ_ENTRIES, out);
            }
            return;
        }
        if !self.has_room(body.len()) {
            return Self::count(Counter::OverLimit, out);
        }
        match self.idb.part(conn, id, snap, body.clone()) {
            PartOutcome::Complete(completed) => {
                for part in &completed.parts {
                    send_on(self, FrameType::IntSnap, part, conn, out);
                }
                if let Some(claim) = self.idb.claim(&id).filter(|claim| claim.is_shown) {
                    let mut changes = vec![EntryChange::Clear(id.bid)];
                    changes.extend(claim.all());
                    out.push(Action::Entries(changes));
                }
                self.applied(&id, Vec::new(), now, out);
                for later in completed.later {
                    if let Ok(int) = decode_control::<Int>(FrameType::Int, &later) {
                        self.int(conn, &int, &later, now, out);
                    }
                }
            }
            PartOutcome::Wrong => self.ask_entries(conn, &id, now, out),
            PartOutcome::Ignored | PartOutcome::Waiting => {}
        }
    }

    /// A report arrived. It is flooded like an LSA; no rule of routing reads it.
    pub(super) fn report(&mut self, conn: ConnId, frame: ReportFrame, now: Now, out: &mut Actions) {
        let Some(id) = claim_of(&frame.bid, frame.instance8) else {
            return Self::count(Counter::NotCredible, out);
        };
        if id == self.id || self.lsdb.record(&id).is_none() {
            return;
        }
        if !self.has_room(frame.body.len()) {
            return Self::count(Counter::OverLimit, out);
        }
        match self.reports.offer(id, &frame, now) {
            Stored::Newer => {
                let bytes = encoded(FrameType::Report, &frame);
                self.flood(&bytes, Some(conn), Some((FrameType::Report, id)), out);
            }
            Stored::Refused => Self::count(Counter::NotCredible, out),
            Stored::Known => {}
        }
    }

    /// Tells everybody how this site is, when it is time for that.
    pub(super) fn report_due(&mut self, now: Now, out: &mut Actions) {
        let sites = self.lsdb.len();
        if !self
            .reports
            .is_due(sites, self.config.timing.report_refresh, now)
        {
            return;
        }
        let report = self.own_report(now);
        let frame = self.reports.issue(self.id, self.epoch, report, now);
        let bytes = encoded(FrameType::Report, &frame);
        self.flood(&bytes, None, Some((FrameType::Report, self.id)), out);
    }

    /// Routed control: probes.
    pub(super) fn routed(&mut self, from: Bid, body: Body, now: Now, out: &mut Actions) {
        match body {
            Body::Probe(probe) => out.push(Action::Route {
                to: from,
                body: Body::Probed(probe),
            }),
            Body::Probed(Probe { id }) => {
                if let Some(trip) = self.probes.returned(from, id, now) {
                    let micros = u64::try_from(trip.as_micros()).unwrap_or(u64::MAX);
                    out.push(Action::Count(Counter::ProbeMicros(from), micros));
                }
            }
            _ => {}
        }
    }

    /// Sends probes and gives up those that did not come back.
    pub(super) fn probe_due(&mut self, now: Now, out: &mut Actions) {
        for bid in self.probes.expired(now) {
            Self::count(Counter::ProbeFailures(bid), out);
        }
        let reached = self
            .map
            .destinations
            .iter()
            .map(|destination| destination.id.bid);
        for (to, id) in self
            .probes
            .due(reached, self.config.timing.probe, &mut self.random, now)
        {
            out.push(Action::Route {
                to,
                body: Body::Probe(Probe { id }),
            });
        }
    }

    fn knows(&self, id: &ClaimId, epoch: Epoch) -> bool {
        self.lsdb
            .record(id)
            .is_some_and(|record| record.epoch >= epoch)
    }

    fn applied(&mut self, id: &ClaimId, changes: Vec<EntryChange>, now: Now, out: &mut Actions) {
        let Some(claim) = self.idb.claim_mut(id) else {
            return;
        };
        let refused = claim.take_refused();
        if refused > 0 {
            out.push(Action::Count(Counter::OverLimit, refused));
        }
        claim.asked = None;
        if claim.is_shown && !changes.is_empty() {
            out.push(Action::Entries(changes));
        }
        let iseq = claim.iseq;
        if let Some(record) = self.lsdb.record_mut(id)
            && iseq >= record.iseq
        {
            record.lags_since = None;
        }
        self.show_one(id, now, out);
    }
}

fn size(step: &Step) -> usize {
    match step {
        Step::Put(entry) => entry.len() + 8,
        Step::Delete(_) => 12,
        Step::Values(delta) => 8 * (delta.add.len() + delta.del.len()) + delta.property.len() + 32,
    }
}

fn claim_of(bid: &[u8], instance8: u64) -> Option<ClaimId> {
    Some(ClaimId {
        bid: Bid::from_slice(bid)?,
        instance8,
    })
}

fn with_header(kind: FrameType, body: &Bytes) -> Bytes {
    let mut frame = Vec::with_capacity(HEADER_LEN + body.len());
    Header::new(kind, 0, body.len()).encode(&mut frame);
    frame.extend_from_slice(body);
    frame.into()
}

/// Floods the very bytes that arrived.
fn send_on(mesh: &Mesh, kind: FrameType, body: &Bytes, from: ConnId, out: &mut Actions) {
    mesh.flood(&with_header(kind, body), Some(from), None, out);
}

pub(super) fn send_body(conn: ConnId, kind: FrameType, body: &Bytes, out: &mut Actions) {
    let frame = with_header(kind, body);
    out.push(Action::Send {
        conn,
        frame,
        lane: Lane::Ordered,
        replaces: None,
    });
}
