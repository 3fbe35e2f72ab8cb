//! What the control plane is told, and what it asks for is carried out.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use super::node::{Node, lock, now};
use crate::mesh::custody;
use crate::mesh::event::{Action, Actions, Event};
use crate::mesh::ids::{ConnId, LinkId};
use crate::mesh::interest::EntryChange;
use crate::mesh::ring::Queued;
use crate::mesh::routes::Routes;
use crate::queue::Look;

/// What is done when the control plane is not held any more: it reaches into queues, or back.
#[derive(Debug)]
pub(super) enum Late {
    Act(Action),
    /// The connection of a link is gone, and its frames take other ways.
    Split(Vec<Queued>),
    /// Nothing is under way on the older connection of a link.
    Drained {
        link: LinkId,
        conn: ConnId,
    },
}

impl Node {
    /// Tells the control plane, and does what it asks for.
    pub fn control(&self, event: Event) {
        let mut actions = Actions::new();
        let mut core = lock(&self.core);
        core.handle(event, now(), &mut actions);
        self.has_pending_interest
            .store(core.has_pending_interest(), Ordering::Release);
        // Carried out under the lock: actions of two events must not be mixed. Nothing in it waits,
        // and the lock order is core, then custody, then links.
        let late = self.carry_out(actions);
        let revision = core.revision();
        drop(core);
        self.carry_out_late(late);
        self.tick.notify_one();
        self.show(revision);
    }

    /// Issues interest that is gathered but not said yet, so that it leaves before data (R6).
    pub(super) fn issue_interest(&self) {
        if !self.has_pending_interest.swap(false, Ordering::AcqRel) {
            return;
        }
        let mut actions = Actions::new();
        let mut core = lock(&self.core);
        core.flush_interest(now(), &mut actions);
        let late = self.carry_out(actions);
        drop(core);
        self.carry_out_late(late);
    }

    /// Carries out what concerns connections and routes; returns what reaches into queues.
    pub(super) fn carry_out(&self, actions: Actions) -> Vec<Late> {
        let mut late = Vec::new();
        for action in actions {
            match action {
                Action::Dial { link, address } => {
                    if let Some(node) = self.arc() {
                        tokio::spawn(super::io::dial(node, link, address));
                    }
                }
                Action::Send {
                    conn,
                    frame,
                    lane,
                    replaces,
                } => {
                    if let Some(conn) = self.conn(conn) {
                        conn.send(frame, lane, replaces);
                    }
                }
                Action::Close { conn, last } => {
                    if let Some(conn) = self.conn(conn) {
                        conn.close(last);
                    }
                    self.drop_conn(conn);
                }
                Action::AskRoom(conn) => {
                    if let Some(conn) = self.conn(conn) {
                        conn.ask_room();
                    }
                }
                Action::LinkUp { link, conn, .. } => {
                    if let (Some(link), Some(conn)) = (self.link(link), self.conn(conn)) {
                        link.set_conn(conn);
                    }
                }
                Action::Drain { link, conn } => {
                    if let (Some(data), Some(open)) = (self.link(link), self.conn(conn))
                        && data.drain(open)
                    {
                        late.push(Late::Drained { link, conn });
                    }
                }
                Action::TakeOver { link } => {
                    if let Some(link) = self.link(link) {
                        let again = u64::try_from(link.take_over(now())).unwrap_or(u64::MAX);
                        link.counters.resent.inc_by(again);
                    }
                }
                Action::Resplit(link) => {
                    if let Some(link) = self.link(link) {
                        late.push(Late::Split(self.take_frames(&link)));
                    }
                }
                Action::Publish(routes) => {
                    self.routes.store(routes);
                    late.push(Late::Act(Action::Publish(self.routes.load_full())));
                }
                Action::Log(log) => self.note(&log),
                Action::Count(counter, by) => self.count(counter, by),
                other => late.push(Late::Act(other)),
            }
        }
        late
    }

    pub(super) fn carry_out_late(&self, late: Vec<Late>) {
        for one in late {
            let action = match one {
                Late::Act(action) => action,
                Late::Split(frames) => {
                    self.split_anew(frames);
                    continue;
                }
                Late::Drained { link, conn } => {
                    self.control(Event::Drained { link, conn });
                    continue;
                }
            };
            match action {
                Action::Publish(routes) => {
                    self.broker.bump_generation();
                    self.show_sites(&routes);
                    self.note_lost(&routes);
                    self.retry_limbo(&routes);
                    self.tell_custody(&routes);
                }
                Action::Entries(changes) => self.take_entries(changes),
                Action::Purged(bid) => self.custody(custody::Event::Purged(bid)),
                Action::Epoch(epoch) => {
                    tracing::warn!(
                        epoch = epoch.0,
                        "others know a later process of this site: its clock was ahead, or it runs now and the two take each other's links"
                    );
                    self.custody(custody::Event::Epoch(epoch));
                }
                Action::Route { to, body } => {
                    self.send_control(to, body);
                }
                _ => {}
            }
        }
    }

    fn tell_custody(&self, routes: &Routes) {
        for site in routes.sites() {
            self.custody(custody::Event::Peer {
                bid: site.id.bid,
                epoch: site.epoch,
                is_reachable: site.way.is_some(),
            });
        }
        self.custody(custody::Event::Generation);
        for cell in self.broker.queues.all() {
            if cell.numbers().ready > 0 {
                self.look_at(&cell, Look::All);
            }
        }
    }

    fn take_entries(&self, changes: Vec<EntryChange>) {
        let touched = {
            let mut interest = self
                .interest
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            let touched = interest.apply(changes);
            let count = i64::try_from(interest.len()).unwrap_or(i64::MAX);
            self.broker
                .metrics
                .mesh_interest
                .with_label_values(&["remote"])
                .set(count);
            touched
        };
        if touched.topics {
            self.broker.bump_generation();
        }
        if touched.queues.is_empty() {
            return;
        }
        for cell in self.broker.queues.all() {
            let name = &cell.destination.name;
            let is_touched = touched
                .queues
                .iter()
                .any(|filter| crate::model::destination::matches(filter, name));
            if is_touched {
                self.judge(&cell);
            }
            if is_touched && cell.numbers().ready > 0 {
                self.look_at(&cell, Look::All);
            }
        }
    }

    pub(super) fn ring_is_free(&self) {
        self.custody(custody::Event::RingFree);
    }
}
