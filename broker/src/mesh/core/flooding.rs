//! Link-state advertisements: the own one is issued (R3), those of others are stored and sent on
//! with the very bytes that arrived.

use std::time::Duration;

use bytes::Bytes;
use prost::Message;

use super::{Mesh, encoded};
use crate::mesh::event::{Action, Actions, Counter, Lane};
use crate::mesh::frame::FrameType;
use crate::mesh::ids::{ClaimId, ConnId, Epoch, Now};
use crate::mesh::lsdb::{Offer, Record, parse};
use crate::mesh::messages::{HalfLink, Lsa, LsaFrame, REQ_ENTRIES};
use crate::mesh::session::hello::CAPS;

/// While changes continue, the own LSA is issued at these intervals.
const LSA_INTERVALS: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_millis(800),
    Duration::from_millis(3200),
    Duration::from_secs(5),
];
/// After so long without a change the next one is issued at once.
const QUIET: Duration = Duration::from_secs(10);

/// When the own LSA is issued. Rule: R3.
#[derive(Debug, Default)]
pub(super) struct Issuer {
    pub(super) seq: u64,
    pub(super) due: Option<Now>,
    pub(super) refresh_at: Option<Now>,
    issued: Option<Now>,
    changed: Option<Now>,
    step: usize,
}

impl Issuer {
    /// The first one is due.
    pub(super) const fn start(&mut self) {
        self.due = Some(Now(0));
    }

    /// Something in it is other than before.
    pub(super) fn changed(&mut self, now: Now) {
        self.note(now);
        if self.due.is_some() {
            return;
        }
        let earliest = self
            .issued
            .map_or(now, |issued| issued.plus(LSA_INTERVALS[self.step]));
        self.due = Some(earliest.max(now));
        self.step = (self.step + 1).min(LSA_INTERVALS.len() - 1);
    }

    fn note(&mut self, now: Now) {
        let is_quiet = |changed| now.since(changed) >= QUIET;
        if self.changed.is_none_or(is_quiet) {
            self.step = 0;
        }
        self.changed = Some(now);
    }

    /// An advertised link is gone, or the configuration is another one: told at once, whatever was
    /// told lately. While others do not know, frames bounce between them and this broker. A flapping
    /// link is held back when it comes up again (R1), so the number of these is bounded, and they do
    /// not make the return of a link wait longer: who dies twice in a row is back twice as fast.
    pub(super) fn at_once(&mut self, now: Now) {
        self.note(now);
        self.due = Some(now);
    }
}

impl Mesh {
    /// An LSA arrived. Rule: R3.
    pub(super) fn lsa(&mut self, conn: ConnId, frame: LsaFrame, now: Now, out: &mut Actions) {
        let Ok(record) = parse(&self.config.network, frame.lsa) else {
            return Self::count(Counter::NotCredible, out);
        };
        let id = record.id;
        if id == self.id {
            return self.own_lsa(conn, &record, frame.unreachable_ms, now, out);
        }
        let is_known = self.lsdb.record(&id).is_some();
        if !Self::is_credible(record.epoch) {
            return Self::count(Counter::NotCredible, out);
        }
        if !is_known && !self.has_room(record.bytes.len()) {
            return Self::count(Counter::OverLimit, out);
        }
        let most = self.config.caps.brokers;
        match self
            .lsdb
            .offer(record, frame.unreachable_ms, Some(conn), most, now)
        {
            Offer::Newer {
                is_new_process,
                is_map_changed,
            } => {
                if is_new_process {
                    self.new_process(conn, id, out);
                }
                if is_map_changed {
                    self.need_map(now);
                    self.run_map(now, out);
                }
                self.compare_entries(conn, id, now, out);
                self.flood_lsa(&id, Some(conn), now, out);
                self.show_one(&id, now, out);
            }
            Offer::Older(_) => {
                if let Some(record) = self.lsdb.record(&id) {
                    send_lsa(conn, record, now, out);
                }
            }
            Offer::OverLimit => Self::count(Counter::OverLimit, out),
            Offer::Same | Offer::Buried => {}
        }
    }

    /// Issues the own LSA when it is due, or due for a refresh.
    pub(super) fn issue_due(&mut self, now: Now, out: &mut Actions) {
        let is_due = |at: Option<Now>| at.is_some_and(|at| at <= now);
        if is_due(self.issuer.due) || is_due(self.issuer.refresh_at) {
            self.issue_lsa(now, out);
        }
    }

    /// Another process of this claim ran with a larger epoch: go on above it. Rule: R3.
    pub(super) fn raise_epoch(&mut self, seen: Epoch, now: Now, out: &mut Actions) {
        if seen < self.epoch {
            return;
        }
        self.epoch = Epoch(seen.0 + 1);
        if let Some(own) = self.idb.claim_mut(&self.id) {
            own.epoch = self.epoch;
        }
        out.push(Action::Epoch(self.epoch));
        self.issue_lsa(now, out);
        self.need_map(now);
        self.publish(out);
    }

    pub(super) fn flood(
        &self,
        frame: &Bytes,
        but: Option<ConnId>,
        replaces: Option<(FrameType, ClaimId)>,
        out: &mut Actions,
    ) {
        for session in self.sessions.values() {
            if session.is_flooded() && Some(session.conn) != but {
                let (conn, frame) = (session.conn, frame.clone());
                out.push(Action::Send {
                    conn,
                    frame,
                    lane: Lane::Ordered,
                    replaces,
                });
            }
        }
    }

    /// What somebody says about this very claim.
    fn own_lsa(
        &mut self,
        conn: ConnId,
        record: &Record,
        unreachable_ms: u32,
        now: Now,
        out: &mut Actions,
    ) {
        let Some(own) = self.lsdb.record(&self.id) else {
            return;
        };
        if record.epoch > self.epoch {
            if !Self::is_credible(record.epoch) {
                return Self::count(Counter::NotCredible, out);
            }
            if unreachable_ms > 0 {
                return self.raise_epoch(record.epoch, now, out);
            }
            return self.step_back(now, out);
        }
        if record.bytes == own.bytes {
            return;
        }
        if record.version() >= own.version() {
            self.issuer.seq = record.seq;
            self.issue_lsa(now, out);
        } else {
            send_lsa(conn, own, now, out);
        }
    }

    fn issue_lsa(&mut self, now: Now, out: &mut Actions) {
        self.issuer.seq += 1;
        self.issuer.due = None;
        self.issuer.issued = Some(now);
        self.issuer.refresh_at = Some(now.plus(self.random.about(self.config.timing.lsa_refresh)));
        let bytes: Bytes = self.own_record().encode_to_vec().into();
        let Ok(record) = parse(&self.config.network, bytes) else {
            return;
        };
        self.lsdb.offer(record, 0, None, usize::MAX, now);
        if let Some(own) = self.lsdb.record_mut(&self.id) {
            own.lost = None;
        }
        self.flood_lsa(&self.id, None, now, out);
    }

    fn own_record(&self) -> Lsa {
        let entries = self.idb.claim(&self.id);
        let links = self.live_links().into_iter().map(|live| HalfLink {
            peer: live.peer.bid.0.to_vec(),
            peer_instance8: live.peer.instance8,
            link: live.hash,
            cost: live.cost,
            deny: Vec::new(),
        });
        Lsa {
            bid: self.id.bid.0.to_vec(),
            instance: self.claim.instance.0.to_vec(),
            epoch: self.epoch.0,
            seq: self.issuer.seq,
            sid: self.config.sid.0.into(),
            site: self.config.site.clone(),
            since: self.claim.since.0,
            links: links.collect(),
            leaving: self.is_leaving,
            no_transit: Vec::new(),
            iseq: entries.map_or(0, |claim| claim.iseq),
            ihash: entries
                .map_or(0, |claim| claim.ihash)
                .to_be_bytes()
                .to_vec(),
            caps: CAPS,
            traffic_hash: 0,
            signature: Vec::new(),
        }
    }

    fn flood_lsa(&self, id: &ClaimId, but: Option<ConnId>, now: Now, out: &mut Actions) {
        if let Some(record) = self.lsdb.record(id) {
            let frame = encoded(FrameType::Lsa, &frame_of(record, now));
            self.flood(&frame, but, Some((FrameType::Lsa, *id)), out);
        }
    }

    /// What an earlier process wanted does not count any more. Rule: R13.
    fn new_process(&mut self, conn: ConnId, id: ClaimId, out: &mut Actions) {
        let Some(record) = self.lsdb.record(&id) else {
            return;
        };
        let (epoch, has_entries) = (record.epoch, record.iseq > 0);
        self.hide(&id, out);
        self.idb.reset(id, epoch);
        // What the peer has of claims in its DIGEST was asked for together with the LSA.
        let is_past_digest = self
            .sessions
            .get(&conn)
            .is_some_and(|session| session.sync.has_received);
        if has_entries && is_past_digest {
            self.ask_entries(conn, &id, self.last, out);
        }
    }

    /// The issuer's own word about its entries. Rule: R7.
    fn compare_entries(&mut self, conn: ConnId, id: ClaimId, now: Now, out: &mut Actions) {
        let Some(record) = self.lsdb.record_mut(&id) else {
            return;
        };
        let Some(entries) = self.idb.claim(&id) else {
            return;
        };
        if entries.iseq == record.iseq && entries.ihash != record.ihash {
            self.ask_entries(conn, &id, now, out);
        } else if entries.iseq < record.iseq {
            record.lags_since.get_or_insert(now);
        } else {
            record.lags_since = None;
        }
    }

    pub(super) fn ask_entries(&mut self, conn: ConnId, id: &ClaimId, now: Now, out: &mut Actions) {
        let Some(entries) = self.idb.claim_mut(id) else {
            return;
        };
        let is_asked = entries
            .asked
            .is_some_and(|(_, at)| now.since(at) < crate::mesh::core::showing::INTEREST_LAG);
        if !is_asked {
            entries.asked = Some((conn, now));
            self.ask(conn, id, REQ_ENTRIES, out);
        }
    }
}

fn frame_of(record: &Record, now: Now) -> LsaFrame {
    LsaFrame {
        unreachable_ms: record.unreachable_ms(now),
        lsa: record.bytes.clone(),
    }
}

pub(super) fn send_lsa(conn: ConnId, record: &Record, now: Now, out: &mut Actions) {
    let frame = encoded(FrameType::Lsa, &frame_of(record, now));
    let replaces = Some((FrameType::Lsa, record.id));
    out.push(Action::Send {
        conn,
        frame,
        lane: Lane::Ordered,
        replaces,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Issues what is due.
    fn issue(issuer: &mut Issuer) -> Option<Now> {
        let due = issuer.due.take();
        issuer.issued = due.or(issuer.issued);
        due
    }

    const fn at(millis: u64) -> Now {
        Now(millis * 1_000_000)
    }

    #[test]
    fn changes_that_continue_are_told_at_growing_intervals_and_after_quiet_at_once() {
        let mut issuer = Issuer::default();
        let mut told = |millis| {
            issuer.changed(at(millis));
            issue(&mut issuer)
        };
        assert_eq!(told(0), Some(at(0)));
        assert_eq!(told(10), Some(at(50)));
        assert_eq!(told(60), Some(at(250)));
        assert_eq!(told(300), Some(at(1_050)));
        assert_eq!(told(1_100), Some(at(4_250)));
        assert_eq!(told(20_000), Some(at(20_000)));
    }

    #[test]
    fn losses_are_told_at_once_and_make_no_return_wait_longer() {
        let mut issuer = Issuer::default();
        issuer.at_once(at(0));
        assert_eq!(issue(&mut issuer), Some(at(0)));
        issuer.changed(at(500));
        assert_eq!(issue(&mut issuer), Some(at(500)));
        issuer.at_once(at(510));
        assert_eq!(issue(&mut issuer), Some(at(510)));
        issuer.changed(at(1_000));
        assert_eq!(issue(&mut issuer), Some(at(1_000)));
    }
}
