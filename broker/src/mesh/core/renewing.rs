//! A link that is up goes on over a newer connection, without a gap (R25).
//!
//! The dialler of the older connection dials the newer one; the other end asks it to, in its PINGs.
//! When both have compared what they store, each direction changes over by itself: nothing more is
//! sent over the older connection, and the newer one is used as soon as all that was sent has been
//! acknowledged. BYE `superseded` says so to the peer, and when both have said it, the older one is
//! closed. A newer connection that does not come about changes nothing.

use std::time::Duration;

use super::ending::After;
use super::{Mesh, dialling, send};
use crate::mesh::event::{Action, Actions, Counter};
use crate::mesh::frame::FrameType;
use crate::mesh::ids::{ConnId, LinkId, Now};
use crate::mesh::messages::{Bye, Reason};
use crate::mesh::session::link::{Dial, Link};
use crate::mesh::session::renewal::{DRAIN, MOST_SPREAD, Offer, Renewal, Retiring, SPREAD};
use crate::mesh::session::{Credential, Session, Stage};

/// A renewal that finds its link busy comes again after this.
const BUSY: Duration = Duration::from_secs(1);

impl Mesh {
    /// What this end can show on a connection of a link that was opened under those certificates.
    pub(super) fn offer(&self, link: &Link, tls: u64) -> Offer {
        let auth = self.config.auth;
        let secret = link.config.secrets.current.clone();
        Offer {
            auth,
            tls: if auth.takes_certificates() { tls } else { 0 },
            secret: secret.filter(|_| auth.takes_passwords()),
        }
    }

    /// A configuration came: what is not opened as it says is renewed soon.
    pub(super) fn plan_renewals(&mut self, now: Now) {
        let outdated: Vec<LinkId> = self
            .numbered()
            .filter(|(_, link)| self.is_outdated(link))
            .map(|(id, _)| id)
            .collect();
        let count = u32::try_from(self.links.len()).unwrap_or(u32::MAX);
        let spread = SPREAD.saturating_mul(count).min(MOST_SPREAD);
        for id in outdated {
            let at = now.plus(self.random.up_to(spread));
            if let Some(link) = self.link_mut(id) {
                link.renewal.forgive();
                link.renewal.want(at);
            }
        }
    }

    /// A link has a new connection: when that is renewed in turn.
    pub(super) fn begin_renewals(&mut self, id: LinkId, now: Now) {
        let renew_after = self.config.timing.renew_after;
        let Self {
            links,
            sessions,
            random,
            ..
        } = self;
        let Some(Some(link)) = links.get_mut(id.index()) else {
            return;
        };
        let session = link.up.and_then(|conn| sessions.get(&conn));
        let Some(session) = session.filter(|session| session.is_dialler) else {
            link.renewal = Renewal::default();
            return;
        };
        link.renewal.begin(renew_after, ends(session), random, now);
        // Another configuration may have come while the connection was opened.
        if self.link_of(id).is_some_and(|link| self.is_outdated(link)) {
            let at = now.plus(self.random.up_to(SPREAD));
            if let Some(link) = self.link_mut(id) {
                link.renewal.want(at);
            }
        }
    }

    /// The peer asks for a newer connection.
    pub(super) fn asked_to_renew(&mut self, conn: ConnId, now: Now) {
        let Some(session) = self.sessions.get_mut(&conn) else {
            return;
        };
        let is_first = !std::mem::replace(&mut session.is_asked, true);
        let Some(id) = session.link.filter(|_| session.is_dialler) else {
            return;
        };
        if let Some(link) = self.link_mut(id).filter(|link| link.up == Some(conn)) {
            if is_first {
                link.renewal.forgive();
            }
            link.renewal.want(now);
        }
    }

    /// Begins the renewals that are due, and ends those that take too long.
    pub(super) fn renew_due(&mut self, now: Now, out: &mut Actions) {
        let over: Vec<ConnId> = self
            .numbered()
            .filter_map(|(_, link)| link.retiring.filter(|one| one.until <= now))
            .map(|one| one.conn)
            .collect();
        for conn in over {
            self.say_bye(conn, Reason::Superseded, "renewed", RENEWED, now, out);
        }
        let due: Vec<LinkId> = self
            .numbered()
            .filter(|(_, link)| !self.is_leaving && link.renewal.at.is_some_and(|at| at <= now))
            .map(|(id, _)| id)
            .collect();
        for id in due {
            self.renew(id, now, out);
        }
    }

    fn renew(&mut self, id: LinkId, now: Now, out: &mut Actions) {
        let is_busy = self
            .sessions
            .values()
            .any(|session| session.link == Some(id) && session.renews && session.stage < Stage::Up);
        let is_outdated = self.link_of(id).is_some_and(|link| self.is_outdated(link));
        let Self {
            links, sessions, ..
        } = self;
        let Some(Some(link)) = links.get_mut(id.index()) else {
            return;
        };
        link.renewal.at = None;
        let Some(session) = link.up.and_then(|conn| sessions.get_mut(&conn)) else {
            return;
        };
        if !session.is_dialler {
            session.asks_renewal = is_outdated;
            let conn = session.conn;
            return self.ping_now(conn, now, out);
        }
        if is_busy || link.retiring.is_some() || link.dial != Dial::Idle {
            link.renewal.want(now.plus(BUSY));
        } else if link.dials() {
            link.renewal.is_dialling = true;
            dialling::dial(id, link, 0, now, out);
        }
    }

    /// A newer connection was not to be had.
    pub(super) fn renewal_failed(&mut self, id: LinkId, now: Now, out: &mut Actions) {
        let Self {
            links,
            random,
            sessions,
            ..
        } = self;
        if let Some(Some(link)) = links.get_mut(id.index()) {
            link.renewal.failed(random, now);
            let session = link.up.and_then(|conn| sessions.get(&conn));
            if session.is_some_and(|session| session.withdrawn.is_some()) {
                // It ends soon, and what refused it may come to know better in time.
                link.renewal.forgive();
                link.renewal.want(now.plus(BUSY));
            }
            Self::count(Counter::RenewalFailures(id), out);
        }
    }

    /// A connection is ready to follow the one that is up. False when that is gone.
    pub(super) fn follow(&mut self, id: LinkId, conn: ConnId, now: Now, out: &mut Actions) -> bool {
        let Some(old) = self.link_of(id).and_then(|link| link.up) else {
            return false;
        };
        if let Some(retiring) = self.link_of(id).and_then(|link| link.retiring) {
            let before = retiring.conn;
            self.say_bye(before, Reason::Superseded, "renewed", RENEWED, now, out);
        }
        let rtt = self.sessions.get(&old).and_then(|session| session.rtt);
        let (Some(link), Some(session)) = (
            self.links.get_mut(id.index()).and_then(Option::as_mut),
            self.sessions.get_mut(&conn),
        ) else {
            return false;
        };
        session.rtt = session.rtt.or(rtt);
        session.renews = false;
        link.up = Some(conn);
        link.last_error.clear();
        link.retiring = Some(Retiring {
            conn: old,
            until: now.plus(DRAIN),
            is_drained: false,
        });
        self.begin_renewals(id, now);
        self.reports.state_changed(now);
        Self::count(Counter::Renewals(id), out);
        out.push(Action::Drain { link: id, conn });
        true
    }

    /// Nothing of this end is under way on the older connection.
    pub(super) fn drained(&mut self, id: LinkId, newer: ConnId, now: Now, out: &mut Actions) {
        let Some(link) = self.link_mut(id).filter(|link| link.up == Some(newer)) else {
            return;
        };
        let Some(retiring) = link.retiring.as_mut().filter(|one| !one.is_drained) else {
            return;
        };
        retiring.is_drained = true;
        let conn = retiring.conn;
        out.push(Action::TakeOver { link: id });
        let bye = Bye {
            reason: Reason::Superseded.into(),
            detail: "renewed".to_owned(),
            retry_after_ms: 0,
        };
        send(conn, FrameType::Bye, &bye, out);
        self.retire_if_done(conn, now, out);
    }

    /// The peer has nothing under way on a connection that is renewed: true when it is one.
    pub(super) fn peer_drained(&mut self, conn: ConnId, now: Now, out: &mut Actions) -> bool {
        let Some(session) = self.sessions.get(&conn) else {
            return false;
        };
        let is_followed = self
            .sessions
            .values()
            .any(|other| other.link == session.link && other.conn != conn && other.renews);
        let link = session.link.and_then(|id| self.link_of(id));
        let is_known = link.is_some_and(|link| {
            link.retiring.is_some_and(|one| one.conn == conn)
                || (link.up == Some(conn) && is_followed)
        });
        if !is_known {
            return false;
        }
        if let Some(session) = self.sessions.get_mut(&conn) {
            session.is_peer_drained = true;
        }
        self.retire_if_done(conn, now, out);
        true
    }

    fn retire_if_done(&mut self, conn: ConnId, now: Now, out: &mut Actions) {
        let Some(session) = self.sessions.get(&conn).filter(|one| one.is_peer_drained) else {
            return;
        };
        let link = session.link.and_then(|id| self.link_of(id));
        let retiring = link.and_then(|link| link.retiring);
        if retiring.is_some_and(|one| one.conn == conn && one.is_drained) {
            self.close(conn, None, RENEWED, now, out);
        }
    }

    /// What the end of a connection means for a renewal; true when it means nothing else.
    pub(super) fn renewal_ends(
        &mut self,
        id: LinkId,
        session: &Session,
        now: Now,
        out: &mut Actions,
    ) -> bool {
        let Some(link) = self.link_mut(id) else {
            return true;
        };
        if let Some(retiring) = link.retiring.take_if(|one| one.conn == session.conn) {
            if !retiring.is_drained {
                out.push(Action::TakeOver { link: id });
            }
            return true;
        }
        let is_left = link.up.is_some_and(|up| up != session.conn);
        if is_left && session.renews && session.is_dialler {
            self.renewal_failed(id, now, out);
        }
        false
    }

    /// The connection of a link went while its older one still had something under way.
    pub(super) fn drop_retiring(&mut self, id: LinkId, out: &mut Actions) {
        let retiring = self.link_mut(id).and_then(|link| link.retiring.take());
        if let Some(retiring) = retiring {
            self.sessions.remove(&retiring.conn);
            self.idb.lost(retiring.conn);
            let (conn, last) = (retiring.conn, None);
            out.push(Action::Close { conn, last });
        }
    }

    /// True when the link's connection was opened with something else than a newer one would be.
    fn is_outdated(&self, link: &Link) -> bool {
        let Some(session) = link.up.and_then(|conn| self.sessions.get(&conn)) else {
            return false;
        };
        let now = self.offer(link, self.config.tls);
        let by_certificate = session.credential == Credential::Certificate;
        let offer = session.offer.as_ref();
        offer.is_some_and(|offer| offer.is_outdated(&now, by_certificate))
            || session.withdrawn.is_some()
            || (session.is_dialler && session.credential == Credential::Previous)
    }
}

/// Nothing is to be shown or dialled.
const RENEWED: After = After::down("superseded");

/// When the first certificate of both chains ends, by the monotonic clock.
fn ends(session: &Session) -> Option<Now> {
    let transport = &session.transport;
    let left = transport.ends_ms.checked_sub(transport.wall_ms)?;
    let is_known = transport.ends_ms != 0 && transport.wall_ms != 0;
    let left = u64::try_from(left.max(0)).ok().filter(|_| is_known)?;
    Some(session.started.plus(Duration::from_millis(left)))
}
