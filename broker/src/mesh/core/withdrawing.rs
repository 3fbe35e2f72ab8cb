//! What opened a connection counts no longer: a password in neither key, a way of proving that is not
//! taken any more, a chain that leads to no root.
//!
//! The link is renewed at once (R25), and whoever has something better by then loses nothing. What is
//! not renewed within [`GRACE`] is closed.

use std::time::Duration;

use super::Mesh;
use super::ending::After;
use crate::mesh::event::{Actions, Counter};
use crate::mesh::ids::{ConnId, Now};
use crate::mesh::messages::Reason;
use crate::mesh::session::link::Pause;
use crate::mesh::session::{Credential, LinkState, Session};

/// A link has so long to go on with something that counts. Five seconds are promised (network
/// document, 3.2).
const GRACE: Duration = Duration::from_secs(4);

/// After a certificate that does not count.
const CERTIFICATE: After = After {
    state: LinkState::AuthFailed,
    reason: "certificate",
    pause: Pause::Refused,
};

/// After a password that does not count: the next one may.
const PASSWORD: After = After {
    state: LinkState::AuthFailed,
    reason: "password",
    pause: Pause::AtOnce,
};

impl Mesh {
    /// Judges every connection by the configuration that has just come.
    pub(super) fn judge_credentials(&mut self, now: Now, out: &mut Actions) {
        let auth = self.config.auth;
        let by_password = |session: &Session| session.secret.is_some();
        let by_certificate = |session: &Session| session.credential == Credential::Certificate;
        let mut over =
            self.conns_of(|session| !auth.takes_certificates() && by_certificate(session));
        for conn in self.conns_of(by_password) {
            if !self.counts(conn) {
                over.push(conn);
            } else if let Some(session) = self.sessions.get_mut(&conn) {
                // It may have been put back.
                session.withdrawn = None;
            }
        }
        // What is only being opened ends first: it would count as a renewal that failed.
        over.sort_by_key(|conn| self.is_up(*conn));
        for conn in over {
            self.renew_or_close(conn, now, out);
        }
    }

    fn is_up(&self, conn: ConnId) -> bool {
        self.numbered().any(|(_, link)| link.up == Some(conn))
    }

    /// True when a connection's password is one of its link's.
    fn counts(&self, conn: ConnId) -> bool {
        let Some(session) = self.sessions.get(&conn) else {
            return false;
        };
        let link = session.link.and_then(|id| self.link_of(id));
        let is_known = link
            .zip(session.secret.as_ref())
            .is_some_and(|(link, secret)| link.config.secrets.contains(secret));
        is_known && self.config.auth.takes_passwords()
    }

    /// The peer's chain leads to no root any more, which matters where that opened the connection.
    pub(super) fn distrust(&mut self, conn: ConnId, now: Now, out: &mut Actions) {
        if self.is_by_certificate(conn) {
            self.renew_or_close(conn, now, out);
        }
    }

    /// The peer's certificate is over: its end was known long before.
    pub(super) fn expire(&mut self, conn: ConnId, now: Now, out: &mut Actions) {
        if self.is_by_certificate(conn) {
            self.close_withdrawn(conn, now, out);
        }
    }

    fn is_by_certificate(&self, conn: ConnId) -> bool {
        let session = self.sessions.get(&conn);
        session.is_some_and(|session| session.credential == Credential::Certificate)
    }

    fn renew_or_close(&mut self, conn: ConnId, now: Now, out: &mut Actions) {
        let Some(session) = self.sessions.get_mut(&conn) else {
            return;
        };
        if session.withdrawn.is_some() {
            return;
        }
        let link = session.link.and_then(|id| self.links.get_mut(id.index()));
        let Some(link) = link.and_then(Option::as_mut) else {
            return self.close_withdrawn(conn, now, out);
        };
        if link.up == Some(conn) {
            link.renewal.forgive();
            link.renewal.want(now);
        } else if link.retiring.is_none_or(|one| one.conn != conn) {
            return self.close_withdrawn(conn, now, out);
        }
        session.withdrawn = Some(now.plus(GRACE));
    }

    /// Closes what was not renewed in time.
    pub(super) fn withdrawn_due(&mut self, now: Now, out: &mut Actions) {
        let is_due = |session: &Session| session.withdrawn.is_some_and(|until| until <= now);
        for conn in self.conns_of(is_due) {
            self.close_withdrawn(conn, now, out);
        }
    }

    fn close_withdrawn(&mut self, conn: ConnId, now: Now, out: &mut Actions) {
        let (detail, after) = if self.is_by_certificate(conn) {
            ("certificate", CERTIFICATE)
        } else {
            ("password", PASSWORD)
        };
        Self::count(Counter::Disconnects("auth"), out);
        self.say_bye(conn, Reason::CredentialWithdrawn, detail, after, now, out);
    }

    pub(super) fn conns_of(&self, which: impl Fn(&Session) -> bool) -> Vec<ConnId> {
        let sessions = self.sessions.values().filter(|session| which(session));
        sessions.map(|session| session.conn).collect()
    }
}
