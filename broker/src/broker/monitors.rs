//! Where replies are awaited, consumers of patterns of queues stand back (R12 d).

use std::sync::Arc;

use super::Broker;
use crate::clock;
use crate::mesh::ids::Now;
use crate::model::Kind;
use crate::queue::monitors::ReplyFacts;
use crate::queue::{QueueCell, Work};

impl Broker {
    fn reply_facts(&self, name: &str) -> ReplyFacts {
        let mut facts = match self.remote() {
            Some(remote) => remote.reply_facts(name),
            None => ReplyFacts::default(),
        };
        facts.is_reply_queue |= self.policies().replies.matches(name);
        facts
    }

    /// Tells a queue what is known of its name: when that changes, and every second.
    pub fn judge_monitors(&self, cell: &Arc<QueueCell>, work: &mut Work) {
        if cell.destination.kind != Kind::Queue {
            return;
        }
        // Asked for under the queue's lock, so that an older answer never comes after a newer one.
        cell.apply(work, |queue, effects| {
            let facts = self.reply_facts(&cell.destination.name);
            queue.judge_monitors(facts, Now(clock::monotonic_ns()), effects);
        });
    }
}
