//! The node's clock: deadlines of the state machines, and what is shown from time to time.

use std::sync::Arc;
use std::time::Duration;

use super::lasting::LinkData;
use super::node::{Node, now};
use crate::clock;
use crate::mesh::core::Mesh;
use crate::mesh::custody;
use crate::mesh::event::Event;
use crate::mesh::forward::Routes as _;
use crate::mesh::ids::Now;
use crate::mesh::limbo::Over;

impl Node {
    /// Runs timers until the end.
    pub async fn run(self: Arc<Self>) {
        let mut next_sweep = now();
        loop {
            let core_deadline = self.with_core(Mesh::deadline);
            let custody_deadline = self.custody_lock().deadline();
            let limbo_deadline = self.limbo().deadline();
            let deadline = [
                core_deadline,
                Some(custody_deadline),
                limbo_deadline,
                Some(next_sweep),
            ]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(next_sweep);
            let wait = deadline.since(now()).max(Duration::from_micros(200));
            tokio::select! {
                () = self.cancel.cancelled() => return,
                () = self.tick.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
            let present = now();
            if core_deadline.is_some_and(|deadline| deadline <= present) {
                self.control(Event::Tick);
            }
            if custody_deadline <= present {
                self.custody(custody::Event::Tick);
            }
            self.expire_limbo(present);
            if next_sweep <= present {
                next_sweep = present.plus(Duration::from_millis(500));
                self.windows().sweep(present);
                self.links
                    .load()
                    .iter()
                    .flatten()
                    .for_each(|link| link.show());
                self.tell_levels(present);
                self.check_ends();
                self.show_states();
            }
        }
    }

    /// Ends connections whose peer's certificate is over.
    fn check_ends(&self) {
        let wall = clock::wall_ms();
        for conn in self.shown(|shown| shown.ends_ms <= wall) {
            self.control(Event::Expired { conn });
        }
    }

    fn tell_levels(&self, present: Now) {
        let pending = |link: &Arc<LinkData>| (link.id, link.ring().len() as u64);
        let pending = self.links.load().iter().flatten().map(pending).collect();
        self.control(Event::Pending(pending));
        for link in self.links.load().iter().flatten() {
            if let Some(level) = link.news(present) {
                self.control(Event::Ring {
                    link: link.id,
                    level,
                });
            }
        }
    }

    fn expire_limbo(&self, present: Now) {
        let routes = self.routes.load();
        let (mut dropped, mut again) = (0, Vec::new());
        let mut limbo = self.limbo();
        limbo.expire(present, routes.hop_bound(), |over| match over {
            Over::Dropped(_) => dropped += 1,
            Over::Again(frame) => again.push(frame),
        });
        let waiting = limbo.len();
        drop(limbo);
        if dropped > 0 {
            self.broker
                .metrics
                .mesh_dropped
                .with_label_values(&["no_route"])
                .inc_by(dropped);
        }
        self.broker
            .metrics
            .mesh_limbo_messages
            .set(i64::try_from(waiting).unwrap_or(i64::MAX));
        for frame in again {
            self.place(&routes, frame, self.transit());
        }
    }
}
