//! Everything that happens because time passed.

use super::Mesh;
use super::rings::THROTTLED_AFTER;
use crate::mesh::event::Actions;
use crate::mesh::ids::{ConnId, Now};
use crate::mesh::session::link::Dial;
use crate::mesh::session::{DEAD_FACTOR, Limit, LinkState};

impl Mesh {
    /// When [`super::Event::Tick`] is wanted next.
    #[must_use]
    pub fn deadline(&self) -> Option<Now> {
        let timing = &self.config.timing;
        let links = self.numbered().flat_map(|(_, link)| {
            let dial = match link.dial {
                Dial::At(at) if !self.is_leaving => Some(at),
                _ => None,
            };
            let throttle = link.high_since.filter(|_| link.state == LinkState::Up);
            [
                dial,
                link.hold,
                link.renewal.at.filter(|_| !self.is_leaving),
                link.retiring.map(|one| one.until),
                throttle.map(|since| since.plus(THROTTLED_AFTER)),
            ]
        });
        let sessions = self.sessions.values().flat_map(|session| {
            let own = self.heartbeat(session.link);
            let (limit, _) = session.gives_up(timing.handshake, timing.sync, own);
            [
                Some(limit),
                session.ping_at,
                session.withdrawn,
                session.waits.map(|(_, until)| until),
            ]
        });
        let own = [
            self.map_due,
            self.claims_due,
            self.issuer.due,
            self.issuer.refresh_at,
            self.local.deadline(),
            self.reports
                .deadline(self.lsdb.len(), timing.report_refresh),
            self.probes.deadline(timing.probe),
        ];
        links.chain(sessions).chain(own).flatten().min()
    }

    /// After a gap in the own clock nobody is judged before it was asked. Rule: R11.
    pub(super) fn wake(&mut self, now: Now, out: &mut Actions) {
        let gap = now.since(self.last);
        let asleep: Vec<ConnId> = self
            .sessions
            .values()
            .filter(|session| session.is_flooded())
            .filter(|session| gap > self.heartbeat(session.link) * DEAD_FACTOR)
            .map(|session| session.conn)
            .collect();
        for conn in asleep {
            if let Some(session) = self.sessions.get_mut(&conn) {
                session.heard = now;
                session.synchronises_since = session.synchronises_since.max(self.last).plus(gap);
            }
            self.ping_now(conn, now, out);
        }
    }

    /// Does what is due, in an order in which one thing can lead to the next.
    pub(super) fn run_due(&mut self, now: Now, out: &mut Actions) {
        self.sessions_due(now, out);
        self.withdrawn_due(now, out);
        self.renew_due(now, out);
        self.advertise_due(now, out);
        self.throttle_due(now, out);
        self.local.grow_up(now);
        if self.local.deadline().is_some_and(|at| at <= now) {
            self.issue_interest(now, out);
        }
        self.issue_due(now, out);
        self.run_map(now, out);
        self.claims_due(now, out);
        self.dial_due(now, out);
        self.probe_due(now, out);
        self.report_due(now, out);
    }

    fn sessions_due(&mut self, now: Now, out: &mut Actions) {
        let timing = self.config.timing.clone();
        let mut over: Vec<(ConnId, Limit)> = Vec::new();
        let mut pings: Vec<ConnId> = Vec::new();
        for session in self.sessions.values() {
            let own = self.heartbeat(session.link);
            let (at, limit) = session.gives_up(timing.handshake, timing.sync, own);
            if at <= now {
                over.push((session.conn, limit));
            } else if session.ping_at.is_some_and(|at| at <= now) {
                pings.push(session.conn);
            }
        }
        pings
            .into_iter()
            .for_each(|conn| self.ping_now(conn, now, out));
        over.into_iter()
            .for_each(|(conn, limit)| self.timed_out(conn, limit, now, out));
        self.decide_waiting(now, out);
    }
}
