//! From ACCEPT to `up` (R1), and signs of life (R11).

use super::{Mesh, encoded, send};
use crate::mesh::event::{Action, Actions, Counter, Lane};
use crate::mesh::frame::{FrameType, Phase, encode_synced};
use crate::mesh::ids::{Bid, ClaimId, ConnId, LinkId, Now};
use crate::mesh::lsdb::hash_of;
use crate::mesh::messages::{
    Digest, Have, Ping, Pong, REQ_END, REQ_ENTRIES, REQ_LSA, REQ_REPORT, Req,
};
use crate::mesh::session::sync::Answer;
use crate::mesh::session::{LinkState, Session, Stage};

/// Claims in one part of a DIGEST; each takes less than 100 bytes.
const PER_DIGEST: usize = 512;

impl Mesh {
    /// Both sides accepted: compare what is stored. Rule: R1.
    pub(super) fn synchronise(&mut self, conn: ConnId, now: Now, out: &mut Actions) {
        let Some(session) = self.sessions.get_mut(&conn) else {
            return;
        };
        session.stage = Stage::Sync;
        session.synchronises_since = now;
        session.heard = now;
        session.ping_at = Some(now);
        session.sync.owe(Answer::Digest(None));
        let Some(link) = session.link else { return };
        // The peer accepts one connection at a time: of those accepted, the last one counts, beside
        // the one that it renews.
        let renews = session.renews;
        let kept = self.link_of(link).filter(|_| renews);
        let kept = kept.map(|link| [link.up, link.retiring.map(|one| one.conn)]);
        let is_kept = |other: ConnId| kept.is_some_and(|kept| kept.contains(&Some(other)));
        let is_other = |other: &Session| other.stage >= Stage::Sync && !is_kept(other.conn);
        self.bury(conn, link, is_other, now, out);
        if self
            .link_of(link)
            .is_some_and(|link| !link.state.carries_data())
        {
            self.show(link, LinkState::Connecting, "sync", now, out);
        }
        self.answer(conn, now, out);
        self.decide_waiting(now, out);
    }

    /// What the peer stores.
    pub(super) fn digest(&mut self, conn: ConnId, digest: &Digest, out: &mut Actions) {
        for have in &digest.have {
            let Some(bid) = Bid::from_slice(&have.bid) else {
                continue;
            };
            let id = ClaimId {
                bid,
                instance8: have.instance8,
            };
            for what in self.lacks(&id, have) {
                self.ask(conn, &id, what, out);
            }
        }
        if digest.last
            && let Some(session) = self.sessions.get_mut(&conn)
            && !std::mem::replace(&mut session.sync.has_asked, true)
        {
            send(
                conn,
                FrameType::Req,
                &Req {
                    what: REQ_END,
                    ..Req::default()
                },
                out,
            );
        }
    }

    /// The peer asks for a record.
    pub(super) fn request(&mut self, conn: ConnId, req: &Req, now: Now, out: &mut Actions) {
        let Some(session) = self.sessions.get_mut(&conn) else {
            return;
        };
        let id = Bid::from_slice(&req.bid).map(|bid| ClaimId {
            bid,
            instance8: req.instance8,
        });
        match (req.what, id) {
            (REQ_END, _) if !session.sync.has_sent => session.sync.owe(Answer::Synced),
            (REQ_LSA, Some(id)) => session.sync.owe(Answer::Lsa(id)),
            (REQ_ENTRIES, Some(id)) => session.sync.owe(Answer::Entries(id)),
            (REQ_REPORT, Some(id)) => session.sync.owe(Answer::Report(id)),
            _ => {}
        }
        self.answer(conn, now, out);
    }

    /// Everything asked for has been received.
    pub(super) fn synced(&mut self, conn: ConnId, now: Now, out: &mut Actions) {
        if let Some(session) = self.sessions.get_mut(&conn) {
            session.sync.has_received = true;
        }
        self.up_if_synced(conn, now, out);
    }

    /// Gives answers while there is room for them. Rule: R1.
    pub(super) fn answer(&mut self, conn: ConnId, now: Now, out: &mut Actions) {
        loop {
            let Some(session) = self.sessions.get_mut(&conn) else {
                return;
            };
            let Some(answer) = session.sync.next() else {
                break;
            };
            let before = out.len();
            let rest = self.give(conn, answer, now, out);
            let sent = out[before..].iter().map(|action| match action {
                Action::Send { frame, .. } => frame.len(),
                _ => 0,
            });
            let sent = sent.sum();
            let Some(session) = self.sessions.get_mut(&conn) else {
                return;
            };
            session.sync.sent(sent);
            if let Some(rest) = rest {
                session.sync.rest(rest);
            }
        }
        if self
            .sessions
            .get_mut(&conn)
            .is_some_and(|session| session.sync.asks_room())
        {
            out.push(Action::AskRoom(conn));
        }
        self.up_if_synced(conn, now, out);
    }

    pub(super) fn ask(&mut self, conn: ConnId, id: &ClaimId, what: u32, out: &mut Actions) {
        let req = Req {
            bid: id.bid.0.to_vec(),
            instance8: id.instance8,
            what,
            have: 0,
        };
        send(conn, FrameType::Req, &req, out);
    }

    /// Signs of life overtake what is queued, but not before the connection is up: the ACCEPT ahead
    /// of them must arrive first.
    fn life_lane(&self, conn: ConnId) -> Lane {
        if self.phase(conn) == Some(Phase::Up) {
            Lane::Urgent
        } else {
            Lane::Ordered
        }
    }

    pub(super) fn ping(&mut self, conn: ConnId, ping: Ping, now: Now, out: &mut Actions) {
        if ping.renew {
            self.asked_to_renew(conn, now);
        }
        let lane = self.life_lane(conn);
        if let Some(session) = self.sessions.get_mut(&conn) {
            session.announced(ping.interval_ms);
            let frame = encoded(FrameType::Pong, &Pong { id: ping.id });
            out.push(Action::Send {
                conn,
                frame,
                lane,
                replaces: None,
            });
        }
    }

    /// The id of a PING is the time it was sent at.
    pub(super) fn pong(&mut self, conn: ConnId, pong: Pong, now: Now, out: &mut Actions) {
        let Some(session) = self.sessions.get_mut(&conn) else {
            return;
        };
        if pong.id == 0 || pong.id > now.0 || Now(pong.id) < session.started {
            return;
        }
        let trip = now.since(Now(pong.id));
        session.measured(trip);
        if let Some(link) = session.link {
            let micros = u64::try_from(trip.as_micros()).unwrap_or(u64::MAX);
            out.push(Action::Count(Counter::RoundTripMicros(link), micros));
        }
    }

    pub(super) fn ping_now(&mut self, conn: ConnId, now: Now, out: &mut Actions) {
        let link = self.sessions.get(&conn).and_then(|session| session.link);
        let interval = self.heartbeat(link);
        let lane = self.life_lane(conn);
        let Some(session) = self.sessions.get_mut(&conn) else {
            return;
        };
        session.ping_at = Some(now.plus(interval));
        let interval_ms = u32::try_from(interval.as_millis()).unwrap_or(u32::MAX);
        let frame = encoded(
            FrameType::Ping,
            &Ping {
                id: now.0,
                interval_ms,
                renew: session.asks_renewal,
            },
        );
        out.push(Action::Send {
            conn,
            frame,
            lane,
            replaces: None,
        });
    }

    /// A sign of life.
    pub(super) fn heard(&mut self, conn: ConnId, now: Now, _out: &mut Actions) {
        if let Some(session) = self.sessions.get_mut(&conn) {
            session.heard = now;
        }
    }

    /// Advertises links whose time to be held back is over. Rule: R1.
    pub(super) fn advertise_due(&mut self, now: Now, out: &mut Actions) {
        let due: Vec<LinkId> = self
            .numbered()
            .filter(|(_, link)| link.hold.is_some_and(|hold| hold <= now))
            .map(|(id, _)| id)
            .collect();
        for id in due {
            if let Some(link) = self.link_mut(id) {
                link.hold = None;
                link.is_advertised = true;
            }
            Self::count(Counter::Connects(id), out);
            self.show(id, LinkState::Up, "", now, out);
            self.issuer.changed(now);
            self.need_map(now);
        }
    }

    fn up_if_synced(&mut self, conn: ConnId, now: Now, out: &mut Actions) {
        let Some(session) = self.sessions.get_mut(&conn) else {
            return;
        };
        let is_synced = session.sync.has_sent && session.sync.has_received;
        if session.stage != Stage::Sync || !is_synced {
            return;
        }
        session.stage = Stage::Up;
        let Some(link) = session.link else { return };
        if session.renews && self.follow(link, conn, now, out) {
            return;
        }
        let Some(session) = self.sessions.get(&conn) else {
            return;
        };
        let (max_frame, caps) = session
            .peer
            .as_ref()
            .map_or((0, 0), |peer| (peer.max_frame, peer.caps));
        if let Some(link) = self.link_mut(link) {
            link.came_up(conn, now);
        }
        self.begin_renewals(link, now);
        out.push(Action::LinkUp {
            link,
            conn,
            max_frame,
            caps,
        });
        self.publish(out);
        self.advertise_due(now, out);
    }

    /// What the peer has newer than this broker.
    fn lacks(&self, id: &ClaimId, have: &Have) -> Vec<u32> {
        let mut lacks = Vec::new();
        let record = self.lsdb.record(id);
        let known = record.map(|record| (record.epoch.0, record.seq));
        if Some((have.epoch, have.seq)) > known {
            lacks.push(REQ_LSA);
        }
        let entries = self.idb.claim(id);
        let version = entries.map_or((0, 0), |claim| (claim.epoch.0, claim.iseq));
        let is_other = entries.is_some_and(|claim| {
            // Where the issuer's word is known, whoever agrees with it has the right entries.
            let is_proved = record
                .is_some_and(|record| record.iseq == claim.iseq && record.ihash == claim.ihash);
            !is_proved && hash_of(&have.ihash) != claim.ihash
        });
        let is_newer = (have.epoch, have.iseq) > version && have.iseq > 0;
        if *id != self.id && (is_newer || ((have.epoch, have.iseq) == version && is_other)) {
            lacks.push(REQ_ENTRIES);
        }
        if *id != self.id && (have.epoch, have.rseq) > self.reports.version(id) && have.rseq > 0 {
            lacks.push(REQ_REPORT);
        }
        lacks
    }

    /// Gives one part of an answer and what is left of it.
    fn give(
        &mut self,
        conn: ConnId,
        answer: Answer,
        now: Now,
        out: &mut Actions,
    ) -> Option<Answer> {
        match answer {
            Answer::Digest(after) => return self.give_digest(conn, after, out),
            Answer::Lsa(id) => {
                if let Some(record) = self.lsdb.record(&id) {
                    super::flooding::send_lsa(conn, record, now, out);
                }
            }
            Answer::Entries(id) => {
                let parts = self.idb.claim(&id).map(|claim| claim.snapshot(id))?;
                return Some(Answer::Parts(id, parts.into()));
            }
            Answer::Parts(id, mut parts) => {
                let body = parts.pop_front()?;
                super::entries::send_body(conn, FrameType::IntSnap, &body, out);
                return (!parts.is_empty()).then_some(Answer::Parts(id, parts));
            }
            Answer::Report(id) => {
                if let Some(frame) = self.reports.frame(&id) {
                    send(conn, FrameType::Report, &frame, out);
                }
            }
            Answer::Synced => {
                let mut frame = Vec::new();
                encode_synced(&mut frame);
                let frame = frame.into();
                out.push(Action::Send {
                    conn,
                    frame,
                    lane: Lane::Ordered,
                    replaces: None,
                });
                self.sessions.get_mut(&conn)?.sync.has_sent = true;
            }
        }
        None
    }

    fn give_digest(
        &self,
        conn: ConnId,
        after: Option<ClaimId>,
        out: &mut Actions,
    ) -> Option<Answer> {
        let rest = self.lsdb.records().filter(|record| Some(record.id) > after);
        let records: Vec<_> = rest.take(PER_DIGEST + 1).collect();
        let is_last = records.len() <= PER_DIGEST;
        let part = &records[..records.len().min(PER_DIGEST)];
        let have = part.iter().map(|record| {
            let entries = self.idb.claim(&record.id);
            Have {
                bid: record.id.bid.0.to_vec(),
                instance8: record.id.instance8,
                epoch: record.epoch.0,
                seq: record.seq,
                iseq: entries.map_or(0, |claim| claim.iseq),
                ihash: entries
                    .map_or(0, |claim| claim.ihash)
                    .to_be_bytes()
                    .to_vec(),
                rseq: self.reports.version_of(&record.id, record.epoch),
            }
        });
        send(
            conn,
            FrameType::Digest,
            &Digest {
                have: have.collect(),
                last: is_last,
            },
            out,
        );
        (!is_last).then(|| Answer::Digest(part.last().map(|record| record.id)))
    }
}
