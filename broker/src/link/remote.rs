//! What the local broker asks of the mesh, answered by the node.

use std::sync::Arc;

use super::node::{Node, now};
use crate::broker::matching::TopicRoute;
use crate::broker::remote::{Pace, Remote, Wanted};
use crate::mesh::event::Event;
use crate::mesh::ids::Bid;
use crate::mesh::ring::Level;
use crate::model::{Kind, MessageView};
use crate::queue::monitors::ReplyFacts;
use crate::queue::{Look, QueueCell};

impl Remote for Node {
    fn bid(&self) -> [u8; 16] {
        self.bid.0
    }

    fn interest(&self, change: Wanted) {
        let local = self.local_consumers().change(&change);
        self.control(Event::Interest(vec![local]));
        // After the interest, so that nobody offers by standing credit what was just withdrawn.
        if !change.is_new && change.filter.kind == Kind::Queue {
            self.consumer_left(&change.filter);
        }
    }

    fn topic_interest(&self, name: &str, route: &mut TopicRoute) {
        self.interest().topic_into(name, &self.routes.load(), route);
    }

    fn knows_queue(&self, name: &str) -> bool {
        if self.interest().has_literal_queue(name) {
            return true;
        }
        self.learned_count() > 0
            && self
                .replies()
                .newest(Kind::Queue.code(), name, now(), |_| true)
                .is_some()
    }

    fn reply_facts(&self, name: &str) -> ReplyFacts {
        self.facts_of(name)
    }

    fn has_reply_routes(&self) -> bool {
        self.learned_count() > 0
    }

    fn reply_sids(&self, name: &str, sids: &mut Vec<u16>) {
        let routes = self.routes.load();
        let before = sids.len();
        self.replies()
            .visit(Kind::Topic.code(), name, now(), |bid| {
                if let Some(site) = routes.site(bid)
                    && !sids.contains(&site.sid.0)
                {
                    sids.push(site.sid.0);
                }
                true
            });
        if sids.len() > before {
            sids.sort_unstable();
        }
    }

    fn teach_own(&self, kind: Kind, name: &str) {
        self.teach(kind, name, self.bid, None);
    }

    fn forward_topic(&self, view: &MessageView<'_>, sids: &[u16]) -> Pace {
        if self.send_topic(view, sids) {
            Pace::Slow
        } else {
            Pace::Free
        }
    }

    fn send_to_home(&self, home: [u8; 16], view: &MessageView<'_>) -> Option<Pace> {
        let routes = self.routes.load();
        let site = routes.site(Bid(home))?;
        if view.kind == Kind::TempTopic {
            return Some(self.forward_topic(view, &[site.sid.0]));
        }
        let is_taken = self.transfer_to_home(Bid(home), view);
        is_taken.then_some(Pace::Free)
    }

    fn held_bytes(&self) -> usize {
        let links = self.links.load();
        let rings = links.iter().flatten().map(|link| link.ring().bytes());
        rings.sum::<usize>() + self.limbo().bytes()
    }

    fn is_full(&self) -> bool {
        let links = self.links.load();
        links
            .iter()
            .flatten()
            .any(|link| link.ring().level() == Level::Full)
    }

    fn queue_waits(&self, cell: &Arc<QueueCell>) {
        self.look_at(cell, Look::New);
    }

    fn queue_has_room(&self, cell: &Arc<QueueCell>) {
        self.tell_room(cell);
    }
}
