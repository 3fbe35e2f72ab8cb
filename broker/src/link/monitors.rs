//! What the mesh knows of a reply queue, so that monitors stand back there (R12 d).

use std::sync::Arc;

use super::node::{Node, lock, now};
use crate::mesh::routes::Routes;
use crate::model::{Destination, Kind};
use crate::queue::monitors::ReplyFacts;
use crate::queue::{QueueCell, Work};

impl Node {
    /// What was learned of a queue's name, and whether somebody elsewhere consumes by it.
    pub(super) fn facts_of(&self, name: &str) -> ReplyFacts {
        let is_wanted_elsewhere = self.interest().has_literal_queue(name);
        let learned = self.learned_way(name);
        ReplyFacts {
            is_reply_queue: learned.is_some(),
            is_wanted_elsewhere,
            has_way_out: learned == Some(true),
        }
    }

    fn learned_way(&self, name: &str) -> Option<bool> {
        if self.learned_count() == 0 {
            return None;
        }
        let (routes, now) = (self.routes.load(), now());
        let within = self.broker.config().limits.limbo_time.duration();
        let lost = lock(&self.lost);
        self.replies()
            .may_leave(Kind::Queue.code(), name, self.bid, now, |bid| {
                routes.is_reachable(bid) || lost.is_recent(bid, within, now)
            })
    }

    /// Tells a queue what is known of its name now, because that changed.
    pub(super) fn judge(&self, cell: &Arc<QueueCell>) {
        let mut work = Work::default();
        self.broker.judge_monitors(cell, &mut work);
        self.broker.settle(&mut work);
    }

    /// As [`Self::judge`], while there is a monitor anywhere; the others are told by the sweep.
    pub(super) fn judge_named(&self, name: &str) {
        if !self.broker.queues.has_wildcards() && !self.interest().has_queue_patterns() {
            return;
        }
        let destination = Destination::new(Kind::Queue, name);
        if let Some(cell) = self.broker.queues.find(&destination) {
            self.judge(&cell);
        }
    }

    /// Notes which sites are out of reach, and what that means for what was learned.
    pub(super) fn note_lost(&self, routes: &Routes) {
        let sites = routes.sites().iter();
        let sites = sites.map(|site| (site.id.bid, site.way.is_some()));
        lock(&self.lost).update(sites, now());
        if self.learned_count() > 0 {
            for cell in self.broker.queues.all() {
                self.judge(&cell);
            }
        }
    }
}
