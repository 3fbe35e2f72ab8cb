//! Monitors of queues: told what is known of a queue's name as `link::monitors` and the sweep tell
//! them, and judged by who is there in truth (R12 d).

use std::time::Duration;

use causeway_broker::mesh::custody::QueueName;
use causeway_broker::mesh::ids::Now;
use causeway_broker::mesh::replies::{MONITOR_HOLD, ReplyPatterns};
use causeway_broker::mesh::routes::Routes;
use causeway_broker::model::{Kind, destination};
use causeway_broker::queue::monitors::ReplyFacts;

use super::broker::{Broker, LIMBO_TIME};
use super::world::World;

/// What the queues are called where answers are wanted, by pattern.
const REPLY_NAMES: &str = "app.reply.";
/// The queues that monitors look at: where answers are wanted, called so or not.
pub const MONITORED: &str = "app.>";
/// A broker looks every second whether monitors are to be kept away any longer.
const LOOKS: Duration = Duration::from_secs(1);

fn facts_of(broker: &Broker, name: &str, now: Now) -> ReplyFacts {
    let learned = broker.keeping.as_ref().and_then(|keeping| {
        let (kind, own) = (Kind::Queue.code(), broker.routes.bid());
        keeping.replies.may_leave(kind, name, own, now, |bid| {
            broker.routes.is_reachable(bid) || keeping.lost.is_recent(bid, LIMBO_TIME, now)
        })
    });
    ReplyFacts {
        is_reply_queue: learned.is_some() || ReplyPatterns::new(["*.reply.>"]).matches(name),
        is_wanted_elsewhere: broker.interest.has_literal_queue(name),
        has_way_out: learned == Some(true),
    }
}

impl World {
    /// Tells a queue what is known of its name now.
    pub fn judge(&mut self, at: usize, name: &QueueName) {
        let now = self.clock.now();
        let Some(broker) = self.brokers[at].as_ref() else {
            return;
        };
        let facts = facts_of(broker, name, now);
        self.apply(at, name, |queue, effects| {
            queue.judge_monitors(facts, now, effects);
        });
    }

    /// The same for all queues that are meant.
    pub fn judge_all(&mut self, at: usize, is_meant: impl Fn(&str) -> bool) {
        let Some(keeping) = self.keeping(at) else {
            return;
        };
        let names = keeping.queues.keys().filter(|name| is_meant(name));
        let names: Vec<QueueName> = names.cloned().collect();
        names.iter().for_each(|name| self.judge(at, name));
    }

    /// Notes which sites are out of reach, and what that means for what was learned.
    pub fn note_lost(&mut self, at: usize, routes: &Routes) {
        let now = self.clock.now();
        let Some(keeping) = self.keeping(at) else {
            return;
        };
        let sites = routes.sites().iter();
        let sites = sites.map(|site| (site.id.bid, site.way.is_some()));
        keeping.lost.update(sites, now);
        if !keeping.replies.is_empty() {
            self.judge_all(at, |_| true);
            self.settle_queues(at);
        }
    }

    /// I29: a monitor got a message. Nobody who asked for the queue by its name is there, or was a
    /// moment ago, and no learned route may take the message still.
    pub fn judge_monitor(&mut self, at: usize, name: &QueueName, message: u64, consumer: usize) {
        if !self.queues.consumers[consumer].is_monitor() || !name.starts_with("app.") {
            return;
        }
        self.watch.saw("monitor served");
        if let Some(what) = self.kept_away(at, name, message) {
            self.oracle.fail("I29", Some(message), what);
        }
    }

    fn kept_away(&self, at: usize, name: &QueueName, message: u64) -> Option<String> {
        let (now, broker) = (self.clock.now(), self.brokers[at].as_ref()?);
        let facts = facts_of(broker, name, now);
        let mut literal = self.queues.consumers.iter().filter(|one| {
            let is_known = one.since_life == broker.life && one.at == at;
            is_known && *one.asks.filter == **name
        });
        let is_near = |one: &super::consumers::Consumer| match one.left {
            None => true,
            Some(left) => now.since(left) < MONITOR_HOLD,
        };
        let is_reply = name.starts_with(REPLY_NAMES) || facts.is_reply_queue;
        if is_reply && literal.any(is_near) {
            return Some(format!("a monitor has it at {at}, where somebody waits"));
        }
        if is_reply && facts.is_wanted_elsewhere {
            return Some(format!(
                "a monitor has it at {at}, and {at} knows who waits"
            ));
        }
        let was_used = self.queues.oracle.was_learned(message, at);
        (facts.has_way_out && !was_used)
            .then(|| format!("a monitor has it at {at}, and a route leads to who waits"))
    }

    /// True for a monitor at a broker from where a learned route leads to who waits, or waited: there
    /// the message would take that route. The message waits at `owner`; a copy that came to the
    /// monitor's broker before and used the route up says nothing of the one that is elsewhere.
    pub fn is_kept_for_route(
        &self,
        consumer: usize,
        name: &str,
        message: u64,
        owner: usize,
    ) -> bool {
        let one = &self.queues.consumers[consumer];
        let broker = self.brokers[one.at].as_ref().filter(|_| one.is_monitor());
        broker.is_some_and(|broker| {
            let facts = facts_of(broker, name, self.clock.now());
            let is_used_up = owner == one.at && self.queues.oracle.was_learned(message, owner);
            facts.has_way_out && !is_used_up
        })
    }

    /// From when on a message may be with a monitor: nothing while somebody anywhere waits for the
    /// queue by its name.
    pub fn free_for_monitors(&self, name: &str) -> Option<Now> {
        let literal = self.queues.consumers.iter();
        let literal = literal.filter(|one| *one.asks.filter == *name);
        let left: Option<Vec<Now>> = literal.map(|one| one.left).collect();
        let last = left?.into_iter().max().unwrap_or_default();
        Some(last.plus(MONITOR_HOLD + LOOKS))
    }
}

impl super::consumers::Consumer {
    /// It asked for a pattern of queues.
    pub fn is_monitor(&self) -> bool {
        destination::is_pattern(&self.asks.filter)
    }
}
