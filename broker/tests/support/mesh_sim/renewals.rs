//! Connections of links that are up are renewed (R25): because credentials change at one end or
//! both, while messages flow, and with connections that fail in the middle of it.

use std::collections::BTreeMap;
use std::time::Duration;

use causeway_broker::mesh::config::{LinkAuth, Secret, Secrets};
use causeway_broker::mesh::ids::{ConnId, LinkId, Now};

use super::changes::Step;
use super::oracle::Note;
use super::scenario::{FAULTS, IN_TROUBLE};
use super::topology::{Edge, below};
use super::world::{Sabotage, Task, World};

/// Everybody has renewed what changed so long after the first change: all that is due is spread over
/// 5 s for each link of a site, and a refused renewal comes again when the other end has changed.
const RENEWED: Duration = Duration::from_secs(75);
/// Changes of one round come within this time.
const SPREAD: Duration = Duration::from_secs(8);
/// A connection that is struck in the middle of a renewal is so within this time.
const STRIKE: Duration = Duration::from_millis(15);

/// While a newer connection is opened so many messages are sent, within this time.
const IN_OPENING: usize = 12;
const OPENING: Duration = Duration::from_millis(150);

/// The connection of each link at each of its ends.
type Conns = BTreeMap<(usize, LinkId), Option<ConnId>>;

impl World {
    /// Links of this run are opened by certificates, or by passwords.
    pub fn choose_credentials(&mut self) {
        if below(&mut self.fault_random, 2) == 0 {
            let auth = LinkAuth::Mtls;
            self.configs
                .iter_mut()
                .for_each(|config| config.auth = auth);
        }
    }

    /// I27: nobody notices that connections are renewed. I16: nothing is lost or doubled when one of
    /// them fails meanwhile.
    pub fn renewals(&mut self) {
        for round in 0..FAULTS {
            let (from, mark) = (self.oracle.messages.len(), self.oracle.trace.len());
            let is_struck = round > 0 && below(&mut self.fault_random, 2) == 0;
            self.publish_over(SPREAD + Duration::from_secs(7), IN_TROUBLE, true);
            self.visitors(SPREAD, 2);
            let before = self.conns();
            let changed = self.change_credentials(u32::try_from(round + 1).unwrap_or(1));
            self.strikes = if is_struck { 3 } else { 0 };
            self.is_renewing = true;
            self.run(RENEWED);
            self.is_renewing = false;
            let was_struck = is_struck && self.strikes < 3;
            self.strikes = 0;
            self.settle();
            if self.oracle.failure.is_some() {
                return;
            }
            if was_struck {
                self.watch.saw("renewal struck");
                self.oracle.check_owed("I16", from);
            } else {
                self.check_unnoticed(mark);
                self.oracle.check_owed("I27", from);
            }
            self.check_renewed(&before, &changed);
        }
    }

    /// Gives the links that are to be renewed.
    fn change_credentials(&mut self, number: u32) -> Vec<Edge> {
        let edges = self.edges.clone();
        if self.configs[0].auth == LinkAuth::Mtls {
            let chosen = |_: &usize| below(&mut self.fault_random, 3) == 0;
            let mut sites: Vec<usize> = (0..self.size).filter(chosen).collect();
            if sites.is_empty() {
                sites.push(below(&mut self.fault_random, self.size));
            }
            if !self.may_change(format!("{sites:?} have new certificates")) {
                return Vec::new();
            }
            self.plan_steps(SPREAD, sites.iter().map(|at| Step::Certificate { at: *at }));
            let is_touched = |edge: &&Edge| sites.contains(&edge.a) || sites.contains(&edge.b);
            return edges.iter().filter(is_touched).copied().collect();
        }
        let chosen = |_: &Edge| below(&mut self.fault_random, 2) == 0;
        let edges: Vec<Edge> = edges.into_iter().filter(chosen).collect();
        if !self.may_change(format!("{edges:?} have new passwords")) {
            return Vec::new();
        }
        let ends = edges
            .iter()
            .flat_map(|edge| [(edge.a, *edge), (edge.b, *edge)]);
        let steps: Vec<Step> = ends
            .map(|(at, edge)| Step::Password { at, edge, number })
            .collect();
        self.plan_steps(SPREAD, steps);
        edges
    }

    /// The new password of an end of a link; the one before stays valid.
    pub fn change_password(&mut self, at: usize, edge: &Edge, number: u32) {
        let name = edge.name(&self.names);
        self.configure(at, |config| {
            let link = config.links.iter_mut().find(|link| link.name == name);
            if let Some(link) = link {
                link.secrets = Secrets {
                    previous: link.secrets.current.take(),
                    current: Some(Secret::new(format!("password {number}").as_bytes())),
                };
            }
        });
    }

    fn conns(&self) -> Conns {
        let mut conns = Conns::new();
        for (at, broker) in self.brokers.iter().enumerate() {
            for side in broker.iter().flat_map(|broker| &broker.links) {
                let conn = side.data.conn().map(|conn| conn.id);
                conns.insert((at, side.data.id), conn);
            }
        }
        conns
    }

    /// I27: the state of every link, the routes and the frames are as if nothing had happened.
    fn check_unnoticed(&mut self, mark: usize) {
        let is_noticed = |(_, note): &&(Now, Note)| match note {
            Note::LinkDown { .. } | Note::LinkUp { .. } | Note::Routes { .. } => true,
            Note::Resplit { .. } | Note::Duplicate { .. } => true,
            Note::Renewed { again, .. } => *again > 0,
            Note::Sent { is_marked, .. } => *is_marked,
            _ => false,
        };
        if let Some((_, note)) = self.oracle.trace[mark..].iter().find(is_noticed) {
            let what = format!("a renewal is noticed: {note}");
            self.oracle.fail("I27", None, what);
        }
    }

    /// R25: what has changed is in use, and nothing else was renewed. One connection is left.
    fn check_renewed(&mut self, before: &Conns, changed: &[Edge]) {
        let after = self.conns();
        for (at, broker) in self.brokers.iter().enumerate() {
            for side in broker.iter().flat_map(|broker| &broker.links) {
                let key = (at, side.data.id);
                let is_due = changed
                    .iter()
                    .any(|edge| edge.name(&self.names) == side.data.name);
                if is_due && after.get(&key) == before.get(&key) {
                    let what = format!("{} at {at} is not renewed", side.data.name);
                    return self.oracle.fail("I27", None, what);
                }
            }
        }
        let counts = self
            .brokers
            .iter()
            .flatten()
            .map(|one| (one.conns.len(), one.links.len()));
        if let Some((conns, links)) = counts.into_iter().find(|(conns, links)| conns != links) {
            let what = format!("{conns} connections of {links} links are left");
            self.oracle.fail("I27", None, what);
        }
        self.watch.saw("renewed");
    }

    /// A newer connection of a link is ready; true when it can take over at once.
    pub fn begin_renewal(&mut self, at: usize, link: LinkId, conn: ConnId) -> bool {
        let sabotage = self.sabotage;
        let Some(broker) = self.brokers[at].as_mut() else {
            return false;
        };
        let (Some(side), Some(open)) = (
            broker.links.get(link.index()),
            broker.conns.get(&conn).cloned(),
        ) else {
            return false;
        };
        let older = side.data.conn().map(|conn| conn.id);
        let mut is_done = side.data.drain(open);
        if sabotage == Some(Sabotage::Overtake) && !is_done {
            let mut ring = side.data.ring();
            let last = ring.last_sent();
            is_done = ring.lack(last, self.clock.now(), |_| {}).is_ok();
        }
        let pipes: Vec<usize> = [older, Some(conn)]
            .into_iter()
            .flatten()
            .filter_map(|conn| Some(broker.serving.get(&conn)?.pipe))
            .collect();
        if self.strikes > 0 && !pipes.is_empty() {
            let pipe = pipes[below(&mut self.fault_random, pipes.len())];
            self.strike(pipe);
        }
        is_done
    }

    /// A newer connection is used from now on.
    pub fn take_over(&mut self, at: usize, link: LinkId) {
        let now = self.clock.now();
        let is_left_out = self.sabotage == Some(Sabotage::Renewed);
        let Some(broker) = self.brokers[at].as_mut() else {
            return;
        };
        let Some(side) = broker.links.get_mut(link.index()) else {
            return;
        };
        let Some(next) = side.data.next_conn() else {
            return;
        };
        if is_left_out {
            let mut ring = side.data.ring();
            let last = ring.last_sent();
            let _ = ring.lack(last, now, |_| {});
        }
        let again = side.data.take_over(now);
        // What was known when a frame was queued has been compared, or stands before it here too.
        let queued = broker.serving.get(&next.id).map_or(0, |one| one.queued);
        let barriers = side.barriers.values_mut();
        let older = barriers.filter(|(over, _)| *over != next.id);
        older.for_each(|barrier| *barrier = (next.id, queued));
        let link = link.0;
        self.oracle.note(now, Note::Renewed { at, link, again });
        self.wake(at, next.id);
    }

    /// The newer connection of two brokers is opened: messages are under way when it takes over, and it
    /// is reset before, if one is to be.
    pub fn strike_newer(&mut self, pipe: usize) {
        if self.is_renewing {
            self.publish_over(OPENING, IN_OPENING, true);
        }
        if self.strikes > 0 && below(&mut self.fault_random, 4) == 0 {
            self.strike(pipe);
        }
    }

    fn strike(&mut self, pipe: usize) {
        self.strikes -= 1;
        let is_void = below(&mut self.fault_random, 2) == 0;
        let when = self.fault_random.up_to(STRIKE);
        self.clock
            .after(when, Task::Step(Step::Strike { pipe, is_void }));
    }
}
