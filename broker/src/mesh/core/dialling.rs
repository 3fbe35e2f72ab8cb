//! Links and their connections before HELLO: dial, accept (3.4), and what a link shows.

use super::{Mesh, send};
use crate::mesh::config::LinkConfig;
use crate::mesh::event::{Action, Actions, DialFailure, MeshLog, Transport};
use crate::mesh::frame::FrameType;
use crate::mesh::ids::{Bid, ConnId, LinkId, Now};
use crate::mesh::messages::{Auth, Reason};
use crate::mesh::session::link::{Attempt, Dial, Link, Pause};
use crate::mesh::session::{Credential, LinkState, Session, Stage};

impl Mesh {
    pub(super) fn add_link(&mut self, config: LinkConfig, now: Now) -> LinkId {
        let peer = Bid::derive(&self.config.network, &config.peer);
        let id = LinkId(u32::try_from(self.links.len()).unwrap_or(u32::MAX));
        self.links
            .push(Some(Link::new(config, peer, &self.config.timing, now)));
        id
    }

    /// Begins the dialling rounds that are due.
    pub(super) fn dial_due(&mut self, now: Now, out: &mut Actions) {
        if self.is_leaving {
            return;
        }
        let due: Vec<LinkId> = self
            .numbered()
            .filter(|(_, link)| matches!(link.dial, Dial::At(at) if at <= now))
            .map(|(id, _)| id)
            .collect();
        for id in due {
            let is_taken = self.has_accepted(id, None);
            match self.link_mut(id) {
                Some(link) if is_taken => link.dial = Dial::Idle,
                Some(link) => dial(id, link, 0, now, out),
                None => {}
            }
        }
    }

    pub(super) fn dialled(
        &mut self,
        id: LinkId,
        conn: ConnId,
        transport: Transport,
        now: Now,
        out: &mut Actions,
    ) {
        let is_taken = self.has_accepted(id, None);
        let is_leaving = self.is_leaving;
        let Some(link) = self.link_mut(id).filter(|_| !is_leaving) else {
            return out.push(Action::Close { conn, last: None });
        };
        link.dial = Dial::Idle;
        let renews = std::mem::take(&mut link.renewal.is_dialling) && link.up.is_some();
        if is_taken && !renews {
            return out.push(Action::Close { conn, last: None });
        }
        let mut session = Session::new(conn, Some(id), transport, now);
        session.number = self.random.name();
        session.renews = renews;
        self.sessions.insert(conn, session);
        self.begin(conn, id, now, out);
    }

    pub(super) fn dial_failed(
        &mut self,
        id: LinkId,
        why: DialFailure,
        now: Now,
        out: &mut Actions,
    ) {
        let Some(link) = self.link_mut(id) else {
            return;
        };
        let Dial::Trying(at) = link.dial else { return };
        if why == DialFailure::Unreachable && at + 1 < link.config.addresses.len() {
            return dial(id, link, at + 1, now, out);
        }
        if link.up.is_some() && link.renewal.is_dialling {
            link.dial = Dial::Idle;
            return self.renewal_failed(id, now, out);
        }
        let (state, reason, pause) = match why {
            DialFailure::Unreachable => (LinkState::Down, "unreachable", Pause::Network),
            DialFailure::Tls => (LinkState::Down, "closed", Pause::Network),
            DialFailure::Certificate => (LinkState::AuthFailed, "certificate", Pause::Refused),
        };
        self.pause(id, pause, now);
        if !self.has_accepted(id, None) {
            self.show(id, state, reason, now, out);
        }
    }

    pub(super) fn accepted(&mut self, conn: ConnId, transport: Transport, now: Now) {
        self.sessions
            .insert(conn, Session::new(conn, None, transport, now));
    }

    /// Dials as soon as allowed: something changed for the better.
    pub(super) fn dial_soon(&mut self, id: LinkId, now: Now) {
        let is_connected = self.sessions.values().any(|session| {
            session.link == Some(id) && (session.is_dialler || session.peer.is_some())
        });
        let waits = self
            .link_of(id)
            .is_some_and(|link| matches!(link.dial, Dial::At(_) | Dial::Idle));
        if waits && !is_connected {
            self.pause(id, Pause::AtOnce, now);
        }
    }

    pub(super) fn pause(&mut self, id: LinkId, pause: Pause, now: Now) {
        let timing = self.config.timing.clone();
        let Self { links, random, .. } = self;
        if let Some(Some(link)) = links.get_mut(id.index()) {
            link.pause(pause, &timing, random, now);
        }
    }

    /// Shows another state of a link: one log line and one report.
    pub(super) fn show(
        &mut self,
        id: LinkId,
        state: LinkState,
        reason: &'static str,
        now: Now,
        out: &mut Actions,
    ) {
        let Some(link) = self.link_mut(id) else {
            return;
        };
        if (link.state, link.reason) == (state, reason) {
            return;
        }
        let old = std::mem::replace(&mut link.state, state);
        link.reason = reason;
        link.since = now;
        let (name, peer) = (link.config.name.clone(), link.config.peer.clone());
        Self::log(
            MeshLog::Link {
                link: name,
                peer,
                old,
                new: state,
                reason,
            },
            out,
        );
        self.reports.state_changed(now);
    }

    /// True when another connection of the link was accepted both ways.
    pub(super) fn has_accepted(&self, id: LinkId, but: Option<ConnId>) -> bool {
        self.sessions.values().any(|session| {
            session.link == Some(id) && Some(session.conn) != but && session.is_flooded()
        })
    }

    fn begin(&mut self, conn: ConnId, id: LinkId, now: Now, out: &mut Actions) {
        let auth = self.config.auth;
        let tls = self.sessions.get(&conn).map_or(0, |one| one.transport.tls);
        let Some(offer) = self.link_of(id).map(|link| self.offer(link, tls)) else {
            return;
        };
        let Some(session) = self.sessions.get_mut(&conn) else {
            return;
        };
        let Some(Some(link)) = self.links.get(id.index()) else {
            return;
        };
        session.offer = Some(offer);
        let has_certificates =
            session.transport.has_certificate && session.transport.verified.is_some();
        let attempt = if session.renews {
            Attempt::Best
        } else {
            link.attempt
        };
        if has_certificates && auth.takes_certificates() && attempt == Attempt::Best {
            session.credential = Credential::Certificate;
            session.stage = Stage::Hello;
            return self.say_hello(conn, out);
        }
        let secrets = &link.config.secrets;
        let (secret, credential) = if attempt == Attempt::Previous {
            (secrets.previous.clone(), Credential::Previous)
        } else {
            (secrets.current.clone(), Credential::Current)
        };
        let Some(secret) = secret.filter(|_| auth.takes_passwords()) else {
            return self.give_up(
                conn,
                Reason::AuthFailed,
                "no credential for this peer",
                now,
                out,
            );
        };
        session.secret = Some(secret);
        session.credential = credential;
        let first = Auth {
            step: 1,
            network: self.config.network.clone(),
            link: link.config.name.clone(),
            site: self.config.site.clone(),
            user: link.config.user.clone(),
            nonce: session.transport.nonce.to_vec(),
            proof: Vec::new(),
        };
        session.auth.first = prost::Message::encode_to_vec(&first);
        send(conn, FrameType::Auth, &first, out);
    }
}

/// Begins to dial the addresses of a link, from that one on.
pub(super) fn dial(id: LinkId, link: &mut Link, at: usize, now: Now, out: &mut Actions) {
    let Some(address) = link.config.addresses.get(at).cloned() else {
        link.dial = Dial::Idle;
        return;
    };
    link.dialling(at, now);
    out.push(Action::Dial { link: id, address });
}
