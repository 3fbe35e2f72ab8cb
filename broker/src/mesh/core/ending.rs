//! How connections end: refused, closed, silent, said goodbye to. What follows for the link is in
//! one place ([`Mesh::finish`]).

use std::time::Duration;

use bytes::Bytes;

use super::{Mesh, encoded};
use crate::mesh::event::{Action, Actions, CloseCause, Counter, MeshLog};
use crate::mesh::frame::{FrameError, FrameType};
use crate::mesh::ids::{ConnId, Epoch, LinkId, Now};
use crate::mesh::messages::{Bye, Reason, Refuse};
use crate::mesh::session::hello::Refusal;
use crate::mesh::session::link::{Attempt, Dial, Pause};
use crate::mesh::session::{Credential, Limit, LinkState, Session, Stage};

/// Longest text of a REFUSE or BYE.
const MAX_DETAIL: usize = 256;
/// One log line per link and reason in this time.
const LOG_GAP: Duration = Duration::from_secs(60);
/// Refusals that are remembered so that they are logged once.
const MAX_LOGGED: usize = 1024;

/// What a link shows after a connection, and when it is dialled again.
#[derive(Debug, Clone, Copy)]
pub(super) struct After {
    pub(super) state: LinkState,
    pub(super) reason: &'static str,
    pub(super) pause: Pause,
}

impl After {
    pub(super) const fn down(reason: &'static str) -> Self {
        Self {
            state: LinkState::Down,
            reason,
            pause: Pause::Network,
        }
    }

    const fn refused(reason: &'static str) -> Self {
        Self {
            state: LinkState::Refused,
            reason,
            pause: Pause::Refused,
        }
    }
}

impl Mesh {
    /// Refuses a connection. Rule: 3.3.
    pub(super) fn refuse(
        &mut self,
        conn: ConnId,
        link: &str,
        refusal: Refusal,
        now: Now,
        out: &mut Actions,
    ) {
        let frame = Refuse {
            reason: refusal.reason.into(),
            detail: cut(&refusal.detail),
            retry_after_ms: 0,
            epoch_seen: refusal.epoch_seen.0,
        };
        Self::count(Counter::Refusals(refusal.reason), out);
        self.log_refusal(link, &refusal, now, out);
        if refusal.reason == Reason::DuplicateSite
            && let Some(id) = self.sessions.get(&conn).and_then(|session| session.link)
            && let Some(link) = self.link_mut(id)
        {
            link.rival = Some(now);
        }
        let after = after(refusal.reason, 0);
        self.close(
            conn,
            Some(encoded(FrameType::Refuse, &frame)),
            after,
            now,
            out,
        );
    }

    /// Gives up a dialled connection whose peer is not the right one.
    pub(super) fn give_up(
        &mut self,
        conn: ConnId,
        reason: Reason,
        detail: &str,
        now: Now,
        out: &mut Actions,
    ) {
        let link = self
            .sessions
            .get(&conn)
            .and_then(|session| self.link_of(session.link?));
        let name = link.map_or(String::new(), |link| link.config.name.clone());
        self.refuse(conn, &name, Refusal::new(reason, detail), now, out);
    }

    /// The peer refused.
    pub(super) fn refused(&mut self, conn: ConnId, frame: &Refuse, now: Now, out: &mut Actions) {
        let Some(session) = self.sessions.get(&conn) else {
            return;
        };
        let reason = Reason::try_from(frame.reason).unwrap_or(Reason::None);
        let (id, is_dialler) = (session.link, session.is_dialler);
        let (credential, renews) = (session.credential, session.renews);
        let takes_passwords = self.config.auth.takes_passwords();
        Self::count(Counter::Refusals(reason), out);
        let mut after = after(reason, frame.retry_after_ms);
        if reason == Reason::StaleEpoch && Self::is_credible(Epoch(frame.epoch_seen)) {
            self.raise_epoch(Epoch(frame.epoch_seen), now, out);
        }
        if let Some(link) = id.and_then(|id| self.link_mut(id)) {
            link.last_error = cut(&format!("{}: {}", word(reason), frame.detail));
            if reason == Reason::AuthFailed && is_dialler && !renews {
                let secrets = &link.config.secrets;
                link.attempt = match credential {
                    Credential::Certificate if takes_passwords && secrets.current.is_some() => {
                        Attempt::Password
                    }
                    Credential::Current if secrets.previous.is_some() => Attempt::Previous,
                    _ => Attempt::Best,
                };
                if link.attempt != Attempt::Best {
                    after.pause = Pause::Polite(1);
                }
            }
        }
        self.close(conn, None, after, now, out);
    }

    /// The peer says goodbye.
    pub(super) fn bye(&mut self, conn: ConnId, frame: &Bye, now: Now, out: &mut Actions) {
        let reason = Reason::try_from(frame.reason).unwrap_or(Reason::None);
        if reason == Reason::Superseded && self.peer_drained(conn, now, out) {
            return;
        }
        if let Some(id) = self.sessions.get(&conn).and_then(|session| session.link)
            && let Some(link) = self.link_mut(id)
        {
            link.last_error = cut(&format!("{}: {}", word(reason), frame.detail));
        }
        Self::count(Counter::Disconnects(disconnect(reason)), out);
        self.close(conn, None, after(reason, frame.retry_after_ms), now, out);
    }

    /// What arrived breaks the protocol.
    pub(super) fn broken(&mut self, conn: ConnId, error: FrameError, now: Now, out: &mut Actions) {
        self.protocol_error(conn, error.reason(), &error.to_string(), now, out);
    }

    pub(super) fn protocol_error(
        &mut self,
        conn: ConnId,
        reason: Reason,
        detail: &str,
        now: Now,
        out: &mut Actions,
    ) {
        Self::count(Counter::Disconnects("protocol"), out);
        if let Some(id) = self.sessions.get(&conn).and_then(|session| session.link)
            && let Some(link) = self.link_mut(id)
        {
            link.last_error = cut(detail);
        }
        self.say_bye(conn, reason, detail, After::down("protocol"), now, out);
    }

    /// The connection is gone.
    pub(super) fn closed(&mut self, conn: ConnId, why: CloseCause, now: Now, out: &mut Actions) {
        if let Some(session) = self.sessions.remove(&conn) {
            let reason = match why {
                CloseCause::Closed => "closed",
                CloseCause::Reset => "reset",
            };
            Self::count(Counter::Disconnects(reason), out);
            self.finish(&session, After::down(reason), now, out);
        }
    }

    /// Nothing came for too long. Rule: R11.
    pub(super) fn silent(&mut self, conn: ConnId, now: Now, out: &mut Actions) {
        Self::count(Counter::Disconnects("silent"), out);
        self.close(conn, None, After::down("silent"), now, out);
    }

    /// A limit of time passed.
    pub(super) fn timed_out(&mut self, conn: ConnId, limit: Limit, now: Now, out: &mut Actions) {
        match limit {
            Limit::Silence => self.silent(conn, now, out),
            Limit::Handshake | Limit::Sync => {
                Self::count(Counter::Disconnects("silent"), out);
                self.say_bye(
                    conn,
                    Reason::Stalled,
                    "too slow",
                    After::down("silent"),
                    now,
                    out,
                );
            }
        }
    }

    /// Sends BYE and closes.
    pub(super) fn say_bye(
        &mut self,
        conn: ConnId,
        reason: Reason,
        detail: &str,
        after: After,
        now: Now,
        out: &mut Actions,
    ) {
        let bye = Bye {
            reason: reason.into(),
            detail: cut(detail),
            retry_after_ms: 0,
        };
        self.close(conn, Some(encoded(FrameType::Bye, &bye)), after, now, out);
    }

    /// Closes every other connection of a link that was heard of: a newer one takes its place.
    pub(super) fn bury_others(&mut self, conn: ConnId, id: LinkId, now: Now, out: &mut Actions) {
        self.bury(conn, id, |session| session.peer.is_some(), now, out);
    }

    pub(super) fn bury(
        &mut self,
        conn: ConnId,
        id: LinkId,
        which: impl Fn(&Session) -> bool,
        now: Now,
        out: &mut Actions,
    ) {
        let others: Vec<ConnId> = self
            .sessions
            .values()
            .filter(|session| session.link == Some(id) && session.conn != conn && which(session))
            .map(|session| session.conn)
            .collect();
        for other in others {
            self.say_bye(
                other,
                Reason::Superseded,
                "a newer connection",
                After::down("closed"),
                now,
                out,
            );
        }
    }

    /// The broker shuts down: others route around it. Rule: R24.
    pub(super) fn leave(&mut self, now: Now) {
        self.is_leaving = true;
        self.issuer.changed(now);
        self.need_map(now);
    }

    /// The last word on every connection. Rule: R24.
    pub(super) fn stop(&mut self, now: Now, out: &mut Actions) {
        self.is_leaving = true;
        let conns: Vec<ConnId> = self.sessions.keys().copied().collect();
        for conn in conns {
            self.say_bye(
                conn,
                Reason::Leaving,
                "shutting down",
                After::down("leaving"),
                now,
                out,
            );
        }
    }

    pub(super) fn close(
        &mut self,
        conn: ConnId,
        last: Option<Bytes>,
        after: After,
        now: Now,
        out: &mut Actions,
    ) {
        if let Some(session) = self.sessions.remove(&conn) {
            out.push(Action::Close { conn, last });
            self.finish(&session, after, now, out);
        }
    }

    /// What the end of a connection means for its link.
    fn finish(&mut self, session: &Session, after: After, now: Now, out: &mut Actions) {
        self.idb.lost(session.conn);
        let Some(id) = session.link else { return };
        if self.renewal_ends(id, session, now, out) {
            return self.decide_waiting(now, out);
        }
        let timing = self.config.timing.clone();
        let was_up = self.link_of(id).and_then(|link| link.up) == Some(session.conn);
        if was_up {
            self.drop_retiring(id, out);
            let Some(link) = self.link_mut(id) else {
                return;
            };
            let was_advertised = link.is_advertised;
            link.went_down(&timing, now);
            if was_advertised {
                self.issuer.at_once(now);
            }
            self.compute_map(now, out);
            out.push(Action::Resplit(id));
        }
        self.redial(id, session, after, now);
        let is_news = was_up || session.is_dialler || session.stage >= Stage::Sync;
        if is_news && !self.has_accepted(id, None) && after.reason != "superseded" {
            self.show(id, after.state, after.reason, now, out);
        }
        let is_next = |other: &Session| other.link == Some(id) && other.renews;
        if was_up
            && self
                .sessions
                .values()
                .any(|other| is_next(other) && other.is_flooded())
        {
            // It was to be renewed, and its successor is not ready.
            self.show(id, LinkState::Connecting, "sync", now, out);
        }
        self.decide_waiting(now, out);
    }

    fn redial(&mut self, id: LinkId, session: &Session, after: After, now: Now) {
        // Whoever is not proved yet keeps nothing from being dialled.
        let has_other = self
            .sessions
            .values()
            .any(|other| other.link == Some(id) && other.peer.is_some());
        let Some(link) = self.link_of(id) else { return };
        // A dial that is under way or due goes on; a refused one waits as the refusal says.
        if link.dial == Dial::Idle
            && (session.is_dialler || !has_other)
            && !self.has_accepted(id, None)
        {
            self.pause(id, after.pause, now);
        }
    }

    fn log_refusal(&mut self, link: &str, refusal: &Refusal, now: Now, out: &mut Actions) {
        let key = (
            link.get(..MAX_DETAIL).unwrap_or(link).to_owned(),
            refusal.reason,
        );
        self.logged.retain(|_, at| now.since(*at) < LOG_GAP);
        if self.logged.contains_key(&key) || self.logged.len() >= MAX_LOGGED {
            return;
        }
        let (link, reason) = key.clone();
        self.logged.insert(key, now);
        Self::log(
            MeshLog::Refused {
                link,
                reason,
                detail: refusal.detail.clone(),
            },
            out,
        );
    }
}

/// The table of 3.3.
fn after(reason: Reason, retry_after_ms: u32) -> After {
    let polite = Pause::Polite(retry_after_ms);
    match reason {
        Reason::AuthFailed => After {
            state: LinkState::AuthFailed,
            reason: "password",
            pause: Pause::Refused,
        },
        Reason::CredentialWithdrawn => After {
            state: LinkState::AuthFailed,
            reason: "password",
            pause: Pause::AtOnce,
        },
        Reason::Leaving | Reason::Handover => After {
            pause: polite,
            ..After::down("leaving")
        },
        Reason::Busy => After {
            pause: polite,
            ..After::down("closed")
        },
        Reason::StaleEpoch => After {
            state: LinkState::Connecting,
            reason: "hello",
            pause: Pause::AtOnce,
        },
        Reason::Superseded => After {
            reason: "superseded",
            ..After::down("closed")
        },
        Reason::Stalled => After::down("stalled"),
        Reason::Protocol | Reason::TooLarge => After::down("protocol"),
        Reason::None => After::down("closed"),
        _ => After::refused(word(reason)),
    }
}

/// The word of a reason, as metrics, logs and `/status` show it; stable.
#[must_use]
pub const fn word(reason: Reason) -> &'static str {
    match reason {
        Reason::None => "none",
        Reason::UnknownPeer => "unknown_peer",
        Reason::DeniedSite => "denied_site",
        Reason::DuplicateSite => "duplicate_site",
        Reason::NetworkMismatch => "network_mismatch",
        Reason::VersionMismatch => "version_mismatch",
        Reason::AuthFailed => "auth_failed",
        Reason::LinkNotConfigured => "link_not_configured",
        Reason::Superseded => "superseded",
        Reason::StaleEpoch => "stale_epoch",
        Reason::Busy => "busy",
        Reason::Leaving => "leaving",
        Reason::Handover => "handover",
        Reason::Protocol => "protocol",
        Reason::TooLarge => "too_large",
        Reason::Stalled => "stalled",
        Reason::CredentialWithdrawn => "credential_withdrawn",
        Reason::LinkRemoved => "link_removed",
    }
}

const fn disconnect(reason: Reason) -> &'static str {
    match reason {
        Reason::Leaving | Reason::Handover => "leaving",
        Reason::LinkRemoved => "removed",
        Reason::Stalled => "stalled",
        Reason::Protocol | Reason::TooLarge => "protocol",
        Reason::CredentialWithdrawn | Reason::AuthFailed | Reason::DeniedSite => "auth",
        _ => "closed",
    }
}

/// Text that fits, cut between characters.
fn cut(text: &str) -> String {
    let mut end = text.len().min(MAX_DETAIL);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}
