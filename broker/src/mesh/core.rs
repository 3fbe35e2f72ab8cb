//! The control plane of one broker: [`Mesh::handle`] takes what happened and says what is to be
//! done. No clock, socket or chance of its own; equal inputs give equal actions.
//!
//! This file only dispatches. Connections: `dialling`, `proof`, `handshake`, `syncing`,
//! `renewing`, `withdrawing`, `ending`.
//! Records: `flooding`, `entries`, `showing`. Routes: `mapping`, `rings`. Time: `timers`.

mod configuring;
mod dialling;
mod ending;
mod entries;
mod flooding;
mod handshake;
mod mapping;
mod proof;
mod renewing;
mod rings;
mod showing;
mod syncing;
#[cfg(test)]
mod tests;
mod timers;
mod withdrawing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::config::{Claim, MeshConfig};
use super::event::{Action, Actions, ControlFrame, Counter, Event, Lane, MeshLog};
use super::frame::{FrameError, FrameType, Phase, decode_control, encode_control};
use super::ids::{Bid, ClaimId, ConnId, Epoch, LinkId, Now};
use super::interest::local::LocalConfig;
use super::interest::{Idb, Local};
use super::lsdb::Lsdb;
use super::lsdb::map::Map;
use super::messages::Reason;
use super::random::Random;
use super::replies::ReplyPatterns;
use super::report::{Probes, Reports};
use super::routes::Routes;
use super::session::link::Link;
use super::session::{Session, Stage};

pub use ending::word;
use flooding::Issuer;

/// The control plane.
#[derive(Debug)]
pub struct Mesh {
    pub(super) config: MeshConfig,
    pub(super) claim: Claim,
    pub(super) id: ClaimId,
    pub(super) epoch: Epoch,
    random: Random,
    /// A removed link leaves a gap, so that numbers keep their meaning.
    links: Vec<Option<Link>>,
    pub(super) sessions: BTreeMap<ConnId, Session>,
    pub(super) lsdb: Lsdb,
    pub(super) idb: Idb,
    pub(super) local: Local,
    pub(super) reports: Reports,
    pub(super) probes: Probes,
    issuer: Issuer,
    pub(super) map: Map,
    denied: BTreeSet<Bid>,
    pub(super) routes: Arc<Routes>,
    pub(super) generation: u64,
    map_due: Option<Now>,
    map_ran: Option<Now>,
    /// When a claim has to be hidden or forgotten.
    claims_due: Option<Now>,
    pub(super) is_leaving: bool,
    last: Now,
    pub(super) started: Option<Now>,
    pub(super) spec_since: Now,
    logged: BTreeMap<(String, Reason), Now>,
}

impl Mesh {
    /// A broker that knows nobody yet. Dials are asked for by the first [`Event::Tick`].
    #[must_use]
    pub fn new(config: &MeshConfig, claim: Claim, epoch: Epoch, seed: u64) -> Self {
        let bid = config.bid();
        let id = claim.id(bid);
        let mut mesh = Self {
            claim,
            id,
            epoch,
            random: Random::new(seed),
            links: Vec::new(),
            sessions: BTreeMap::new(),
            lsdb: Lsdb::default(),
            idb: Idb::default(),
            local: Local::new(local_config(config)),
            reports: Reports::default(),
            probes: Probes::default(),
            issuer: Issuer::default(),
            map: Map::default(),
            denied: BTreeSet::new(),
            routes: Arc::default(),
            generation: 0,
            map_due: Some(Now(0)),
            map_ran: None,
            claims_due: None,
            is_leaving: false,
            last: Now(0),
            started: None,
            spec_since: Now(0),
            logged: BTreeMap::new(),
            config: config.clone(),
        };
        mesh.idb.reset(id, epoch);
        mesh.issuer.start();
        mesh.set_denied();
        for link in &config.links {
            mesh.add_link(link.clone(), Now(0));
        }
        mesh
    }

    /// Takes one event and adds what is to be done.
    pub fn handle(&mut self, event: Event, now: Now, out: &mut Actions) {
        if self.started.is_none() {
            (self.started, self.spec_since, self.last) = (Some(now), now, now);
        }
        self.wake(now, out);
        match event {
            Event::Dialled {
                link,
                conn,
                transport,
            } => {
                self.dialled(link, conn, transport, now, out);
            }
            Event::DialFailed { link, why } => self.dial_failed(link, why, now, out),
            Event::Accepted { conn, transport } => self.accepted(conn, transport, now),
            Event::Frame { conn, frame } => self.frame(conn, frame, now, out),
            Event::Broken { conn, error } => self.broken(conn, error, now, out),
            Event::Room { conn } => {
                if let Some(session) = self.sessions.get_mut(&conn) {
                    session.sync.room();
                }
                self.answer(conn, now, out);
            }
            Event::Alive { conn } => self.heard(conn, now, out),
            Event::Ring { link, level } => self.ring(link, level, now, out),
            Event::Pending(pending) => self.set_pending(&pending),
            Event::Closed { conn, why } => self.closed(conn, why, now, out),
            Event::Drained { link, conn } => self.drained(link, conn, now, out),
            Event::Distrusted { conn } => self.distrust(conn, now, out),
            Event::Expired { conn } => self.expire(conn, now, out),
            Event::Interest(changes) => {
                changes
                    .into_iter()
                    .for_each(|change| self.local.change(change, now));
            }
            Event::Routed { from, body } => self.routed(from, body, now, out),
            Event::Config(config) => self.configure(*config, now, out),
            Event::Tick => {}
            Event::Leave => self.leave(now),
            Event::Stop => self.stop(now, out),
        }
        self.run_due(now, out);
        self.last = now;
    }

    /// The newest routes.
    #[must_use]
    pub fn routes(&self) -> Arc<Routes> {
        self.routes.clone()
    }

    /// What the reader of a connection may take now; `None` when the connection is not known (any
    /// more).
    #[must_use]
    pub fn phase(&self, conn: ConnId) -> Option<Phase> {
        self.sessions.get(&conn).map(Session::phase)
    }

    /// True when interest has to be issued before data is put on any link. Rule: R6.
    #[must_use]
    pub fn has_pending_interest(&self) -> bool {
        self.local.has_pending()
    }

    /// Issues pending interest now. Rule: R6.
    pub fn flush_interest(&mut self, now: Now, out: &mut Actions) {
        self.issue_interest(now, out);
    }

    /// Number of a link by its name.
    #[must_use]
    pub fn link(&self, name: &str) -> Option<LinkId> {
        self.numbered()
            .find(|(_, link)| link.config.name == name)
            .map(|(id, _)| id)
    }

    /// The connection that a link sends its data over, or will as soon as the older one has nothing
    /// under way.
    #[must_use]
    pub fn conn(&self, link: LinkId) -> Option<ConnId> {
        self.link_of(link)?.up
    }

    /// The own epoch; it rises when a later process of this claim turns out to have run before.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn frame(&mut self, conn: ConnId, frame: ControlFrame, now: Now, out: &mut Actions) {
        self.heard(conn, now, out);
        let Some(session) = self.sessions.get_mut(&conn) else {
            return;
        };
        if session.stage == Stage::Auth && !session.takes_early(frame.body.len()) {
            return self.protocol_error(conn, Reason::TooLarge, "too much before login", now, out);
        }
        let phase = session.phase();
        if !frame.kind.is_allowed(phase) || frame.kind.is_data() {
            let error = FrameError::WrongPhase {
                kind: frame.kind,
                phase,
            };
            return self.broken(conn, error, now, out);
        }
        if let Err(error) = self.take(conn, &frame, now, out) {
            self.broken(conn, error, now, out);
        }
    }

    fn take(
        &mut self,
        conn: ConnId,
        frame: &ControlFrame,
        now: Now,
        out: &mut Actions,
    ) -> Result<(), FrameError> {
        let (kind, body) = (frame.kind, &frame.body);
        match kind {
            FrameType::Auth => self.auth(conn, &decode_control(kind, body)?, body, now, out),
            FrameType::Hello => self.hello(conn, &decode_control(kind, body)?, now, out),
            FrameType::Accept => self.accept(conn, &decode_control(kind, body)?, now, out),
            FrameType::Refuse => self.refused(conn, &decode_control(kind, body)?, now, out),
            FrameType::Bye => self.bye(conn, &decode_control(kind, body)?, now, out),
            FrameType::Ping => self.ping(conn, decode_control(kind, body)?, now, out),
            FrameType::Pong => self.pong(conn, decode_control(kind, body)?, now, out),
            FrameType::Digest => self.digest(conn, &decode_control(kind, body)?, out),
            FrameType::Req => self.request(conn, &decode_control(kind, body)?, now, out),
            FrameType::Synced => self.synced(conn, now, out),
            FrameType::Lsa => self.lsa(conn, decode_control(kind, body)?, now, out),
            FrameType::Int => self.int(conn, &decode_control(kind, body)?, body, now, out),
            FrameType::IntSnap => {
                self.snapshot_part(conn, decode_control(kind, body)?, body, now, out);
            }
            FrameType::Report => self.report(conn, decode_control(kind, body)?, now, out),
            // Hints of congestion lapse by themselves; whoever ignores them loses nothing.
            FrameType::Cong | FrameType::Fwd | FrameType::Cont | FrameType::Lack => {}
        }
        Ok(())
    }

    pub(super) fn numbered(&self) -> impl Iterator<Item = (LinkId, &Link)> {
        (0..)
            .zip(&self.links)
            .filter_map(|(at, link)| Some((LinkId(at), link.as_ref()?)))
    }

    pub(super) fn link_of(&self, id: LinkId) -> Option<&Link> {
        self.links.get(id.index())?.as_ref()
    }

    fn link_mut(&mut self, id: LinkId) -> Option<&mut Link> {
        self.links.get_mut(id.index())?.as_mut()
    }

    fn heartbeat(&self, link: Option<LinkId>) -> Duration {
        link.and_then(|link| self.link_of(link))
            .map_or(Duration::from_secs(1), |link| link.config.heartbeat)
    }

    /// True when a record fits beside what is stored.
    fn has_room(&self, bytes: usize) -> bool {
        let stored = self.lsdb.bytes() + self.idb.bytes() + self.reports.bytes();
        stored + bytes <= self.config.caps.databases
    }

    fn count(counter: Counter, out: &mut Actions) {
        out.push(Action::Count(counter, 1));
    }

    fn log(log: MeshLog, out: &mut Actions) {
        out.push(Action::Log(log));
    }
}

/// Encodes a control frame.
fn encoded(kind: FrameType, message: &impl prost::Message) -> Bytes {
    let mut bytes = Vec::new();
    encode_control(kind, message, &mut bytes);
    bytes.into()
}

/// Queues a control frame behind the others.
fn send(conn: ConnId, kind: FrameType, message: &impl prost::Message, out: &mut Actions) {
    let frame = encoded(kind, message);
    out.push(Action::Send {
        conn,
        frame,
        lane: Lane::Ordered,
        replaces: None,
    });
}

fn local_config(config: &MeshConfig) -> LocalConfig {
    LocalConfig {
        topics: config.caps.topics,
        queues: config.caps.queues,
        open_credit: config.caps.open_credit,
        replies: ReplyPatterns::new(config.reply_patterns.iter().map(String::as_str)),
    }
}
