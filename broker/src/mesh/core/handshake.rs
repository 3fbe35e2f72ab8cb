//! HELLO and ACCEPT (3.3, 3.4): who may open a link, and which of several connections stays.

use std::time::Duration;

use super::{Mesh, send};
use crate::mesh::event::{Actions, MeshLog};
use crate::mesh::frame::FrameType;
use crate::mesh::ids::{ClaimId, ConnId, Epoch, LinkId, Now};
use crate::mesh::messages::{Accept, Hello, Reason};
use crate::mesh::session::hello::{CAPS, PROTOCOL, Proved, Refusal, judge};
use crate::mesh::session::tie::{TIE_WAIT, Tie, UpConn, View, decide};
use crate::mesh::session::{Credential, DEAD_FACTOR, Peer, Session, Stage, Wait};

/// Clocks that differ by more are worth a warning.
const SKEW_MS: i64 = 30_000;

impl Mesh {
    pub(super) fn say_hello(&mut self, conn: ConnId, out: &mut Actions) {
        let link = self.sessions.get(&conn).and_then(|session| session.link);
        let link = link.and_then(|link| self.link_of(link));
        let up = link.and_then(|link| self.sessions.get(&link.up?));
        let live_conn = up.map_or(0, |session| session.number);
        let name = link.map_or(String::new(), |link| link.config.name.clone());
        let Some(session) = self.sessions.get(&conn) else {
            return;
        };
        let hello = Hello {
            proto_min: PROTOCOL,
            proto_max: PROTOCOL,
            caps: CAPS,
            network: self.config.network.clone(),
            site: self.config.site.clone(),
            bid: self.id.bid.0.to_vec(),
            instance: self.claim.instance.0.to_vec(),
            epoch: self.epoch.0,
            sid: self.config.sid.0.into(),
            link: name,
            spec_hash: self.config.facts.spec_hash.clone(),
            software: self.config.facts.software.clone(),
            conn: session.number,
            live_conn,
            renew: session.renews,
            handover: false,
            max_frame: self.config.caps.frame,
            wall_ms: session.transport.wall_ms,
        };
        if let Some(session) = self.sessions.get_mut(&conn) {
            session.hello_sent = true;
        }
        send(conn, FrameType::Hello, &hello, out);
    }

    /// Judges the peer's HELLO in the order of 3.3.
    pub(super) fn hello(&mut self, conn: ConnId, hello: &Hello, now: Now, out: &mut Actions) {
        let Some(session) = self.sessions.get(&conn) else {
            return;
        };
        if session.peer.is_some() {
            return self.protocol_error(conn, Reason::Protocol, "second HELLO", now, out);
        }
        match self.judge(conn, hello) {
            Ok((peer, link)) => {
                self.warn_about_skew(conn, hello, out);
                let tls = self.sessions.get(&conn).map_or(0, |one| one.transport.tls);
                let offer = self.link_of(link).map(|link| self.offer(link, tls));
                let Some(session) = self.sessions.get_mut(&conn) else {
                    return;
                };
                session.peer = Some(peer);
                session.link = Some(link);
                session.stage = Stage::Hello;
                if !session.is_dialler {
                    session.number = hello.conn;
                    session.offer = offer;
                }
                if !session.hello_sent {
                    session.credential = Credential::Certificate;
                    self.say_hello(conn, out);
                }
                self.decide(conn, now, out);
            }
            Err(refusal) => self.refuse(conn, &hello.link, refusal, now, out),
        }
    }

    pub(super) fn accept(&mut self, conn: ConnId, _accept: &Accept, now: Now, out: &mut Actions) {
        let Some(session) = self.sessions.get_mut(&conn) else {
            return;
        };
        if session.peer.is_none() || session.accept_received {
            return self.protocol_error(conn, Reason::Protocol, "ACCEPT out of turn", now, out);
        }
        session.accept_received = true;
        if session.accept_sent {
            self.synchronise(conn, now, out);
        }
    }

    /// Decides again about every HELLO that waits.
    pub(super) fn decide_waiting(&mut self, now: Now, out: &mut Actions) {
        let waiting: Vec<ConnId> = self
            .sessions
            .values()
            .filter(|session| session.waits.is_some())
            .map(|session| session.conn)
            .collect();
        waiting
            .into_iter()
            .for_each(|conn| self.decide(conn, now, out));
    }

    fn judge(&self, conn: ConnId, hello: &Hello) -> Result<(Peer, LinkId), Refusal> {
        let session = self.sessions.get(&conn);
        let session = session.ok_or_else(|| Refusal::new(Reason::Protocol, "no connection"))?;
        let proved = match (
            session.stage,
            session.credential,
            &session.transport.verified,
        ) {
            (Stage::Hello, Credential::Current | Credential::Previous, _) => {
                let link = session.link.and_then(|id| self.link_of(id));
                Proved::Site(link.map_or(String::new(), |link| link.config.peer.clone()))
            }
            (_, _, Some(name)) if self.config.auth.takes_certificates() => {
                Proved::Certificate(name.clone())
            }
            _ => return Err(Refusal::new(Reason::AuthFailed, "no verified certificate")),
        };
        let link = session.link.and_then(|id| self.link_of(id));
        let dialled = link
            .filter(|_| session.is_dialler)
            .map(|link| link.config.peer.as_str());
        let peer = judge(hello, &self.config, &proved, dialled)?;
        let found = self.link(&hello.link).filter(|id| {
            let is_same = session.link.is_none_or(|link| link == *id);
            is_same
                && self
                    .link_of(*id)
                    .is_some_and(|link| link.peer == peer.id.bid)
        });
        let found = found.ok_or_else(|| {
            let detail = format!("no link {} with site {}", hello.link, hello.site);
            Refusal::new(Reason::LinkNotConfigured, detail)
        })?;
        self.judge_place(&peer, found)?;
        Ok((peer, found))
    }

    /// Checks 7 to 9: the short id, room, the epoch.
    fn judge_place(&self, peer: &Peer, link: LinkId) -> Result<(), Refusal> {
        if let Some(holder) = self.holder_of(peer) {
            let detail = format!("short id {} belongs to site {holder}", peer.sid.0);
            return Err(Refusal::new(Reason::LinkNotConfigured, detail));
        }
        if self.is_leaving {
            return Err(Refusal::new(Reason::Leaving, "shutting down"));
        }
        let others = self
            .sessions
            .values()
            .filter(|session| session.is_flooded() && session.link != Some(link))
            .count();
        if others >= self.config.caps.links {
            return Err(Refusal::new(Reason::Busy, "too many links"));
        }
        let known = self.lsdb.record(&peer.id);
        let live = self
            .sessions
            .values()
            .filter(|session| session.is_flooded());
        let connected = live
            .filter_map(|session| session.peer.as_ref())
            .filter(|other| other.id == peer.id);
        let newest = connected.map(|other| other.epoch).max();
        let is_reached = self.map.reached.contains(&peer.id) || newest > Some(peer.epoch);
        let seen = known
            .map(|record| record.epoch)
            .max(newest)
            .unwrap_or(peer.epoch);
        if seen <= peer.epoch {
            return Ok(());
        }
        if is_reached {
            return Err(Refusal::new(
                Reason::DuplicateSite,
                "a later process of the site runs",
            ));
        }
        let detail = format!("epoch {} is known", seen.0);
        Err(Refusal {
            epoch_seen: seen,
            ..Refusal::new(Reason::StaleEpoch, detail)
        })
    }

    fn holder_of(&self, peer: &Peer) -> Option<&str> {
        if self.config.sid == peer.sid {
            return Some(&self.config.site);
        }
        let mut others = self
            .lsdb
            .records()
            .filter(|record| record.id.bid != peer.id.bid);
        let holder = others.find(|record| record.is_destination && record.sid == peer.sid)?;
        Some(&holder.site)
    }

    /// Checks 10 and 11; the peer's HELLO passed all others.
    fn decide(&mut self, conn: ConnId, now: Now, out: &mut Actions) {
        let Some(session) = self.sessions.get_mut(&conn) else {
            return;
        };
        let (Some(peer), Some(link)) = (session.peer.clone(), session.link) else {
            return;
        };
        let waits = session.waits.take();
        if let Some(other) = self.other_claim(peer.id, now) {
            return self.prove(conn, other, waits, now, out);
        }
        let name = self
            .link_of(link)
            .map_or(String::new(), |link| link.config.name.clone());
        let tie = decide(self.tie(conn, &peer, link));
        if let Some(session) = self.sessions.get_mut(&conn) {
            session.renews = tie == Tie::Renew;
        }
        match tie {
            Tie::Wait => {
                let until = waits.map_or(now.plus(TIE_WAIT), |(_, until)| until);
                if now < until && !self.has_accepted(link, Some(conn)) {
                    return self.wait(conn, Wait::Tie, until);
                }
                if self.has_accepted(link, Some(conn)) {
                    let refusal = Refusal::new(Reason::Superseded, "another connection stands");
                    return self.refuse(conn, &name, refusal, now, out);
                }
                self.bury_others(conn, link, now, out);
            }
            Tie::Refuse => {
                let refusal = Refusal::new(Reason::Superseded, "another connection stands");
                return self.refuse(conn, &name, refusal, now, out);
            }
            Tie::Replace => self.bury_others(conn, link, now, out),
            Tie::Accept | Tie::Renew => {}
        }
        self.say_accept(conn, now, out);
    }

    fn tie(&self, conn: ConnId, peer: &Peer, link: LinkId) -> View {
        let others = || {
            let of_link = |session: &&Session| {
                session.link == Some(link) && session.conn != conn && session.peer.is_some()
            };
            self.sessions.values().filter(of_link)
        };
        let up = self.link_of(link).and_then(|link| link.up);
        let up = up
            .filter(|up| *up != conn)
            .and_then(|up| self.sessions.get(&up));
        let up = up.and_then(|session| {
            Some(UpConn {
                number: session.number,
                epoch: session.peer.as_ref()?.epoch,
            })
        });
        let handshake = others().find(|session| session.stage != Stage::Up);
        let own = self.sessions.get(&conn);
        View {
            decides_here: self.id.bid < peer.id.bid,
            is_dialled_here: own.is_some_and(|session| session.is_dialler),
            renews: peer.renews || own.is_some_and(|session| session.renews),
            epoch: peer.epoch,
            live_conn: peer.live_conn,
            up,
            handshake: handshake.map(|session| session.is_dialler),
        }
    }

    fn say_accept(&mut self, conn: ConnId, now: Now, out: &mut Actions) {
        let Some(session) = self.sessions.get_mut(&conn) else {
            return;
        };
        session.accept_sent = true;
        let accept = Accept {
            proto: PROTOCOL,
            caps: CAPS,
            conn: session.number,
        };
        let is_both_ways = session.accept_received;
        send(conn, FrameType::Accept, &accept, out);
        if is_both_ways {
            self.synchronise(conn, now, out);
        }
    }

    fn wait(&mut self, conn: ConnId, why: Wait, until: Now) {
        if let Some(session) = self.sessions.get_mut(&conn) {
            session.waits = Some((why, until));
        }
    }

    /// Another claim of the peer's site that is there, or was until a moment ago. Rule: R26.
    fn other_claim(&self, id: ClaimId, now: Now) -> Option<ClaimId> {
        let grace = self.grace();
        let mut others = self.lsdb.claims_of(id.bid).filter(|record| record.id != id);
        others
            .find(|record| record.unreached_for(now) < grace)
            .map(|record| record.id)
    }

    /// A neighbour that holds a link to the other claim first proves it alive. Rule: R26.
    fn prove(
        &mut self,
        conn: ConnId,
        other: ClaimId,
        waits: Option<(Wait, Now)>,
        now: Now,
        out: &mut Actions,
    ) {
        let holds_other = |session: &&Session| {
            session.is_flooded() && session.peer.as_ref().is_some_and(|peer| peer.id == other)
        };
        let Some(direct) = self.sessions.values().find(holds_other) else {
            return self.refuse_rival(conn, now, out);
        };
        let (held, link, heard) = (direct.conn, direct.link, direct.heard);
        match waits {
            Some((Wait::Proof { held: same, asked }, until)) if same == held => {
                if heard > asked {
                    self.refuse_rival(conn, now, out);
                } else if now >= until {
                    self.silent(held, now, out);
                    let grace = self.grace();
                    if let Some(record) = self.lsdb.record_mut(&other) {
                        record.forgive(grace);
                    }
                    self.decide(conn, now, out);
                } else {
                    self.wait(conn, Wait::Proof { held, asked }, until);
                }
            }
            _ => {
                let patience = self.heartbeat(link).min(Duration::from_secs(1));
                self.ping_now(held, now, out);
                self.wait(conn, Wait::Proof { held, asked: now }, now.plus(patience));
            }
        }
    }

    fn grace(&self) -> Duration {
        self.heartbeat(None) * DEAD_FACTOR
    }

    fn refuse_rival(&mut self, conn: ConnId, now: Now, out: &mut Actions) {
        let session = self.sessions.get(&conn);
        let link = session.and_then(|session| self.link_of(session.link?));
        let name = link.map_or(String::new(), |link| link.config.name.clone());
        let refusal = Refusal::new(Reason::DuplicateSite, "somebody else runs this site");
        self.refuse(conn, &name, refusal, now, out);
    }

    fn warn_about_skew(&self, conn: ConnId, hello: &Hello, out: &mut Actions) {
        let own = self
            .sessions
            .get(&conn)
            .map_or(0, |session| session.transport.wall_ms);
        let skew_ms = hello.wall_ms.saturating_sub(own);
        if own != 0 && hello.wall_ms != 0 && skew_ms.saturating_abs() > SKEW_MS {
            Self::log(
                MeshLog::ClockSkew {
                    peer: hello.site.clone(),
                    skew_ms,
                },
                out,
            );
        }
    }

    /// The largest epoch worth believing: far beyond any clock, far below the end of the numbers.
    pub(super) const fn is_credible(epoch: Epoch) -> bool {
        epoch.0 < 1 << 60
    }
}
