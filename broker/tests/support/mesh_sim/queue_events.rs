//! What happens to all queues of a broker at once: the map, interest of others and time change.

use std::time::Duration;

use causeway_broker::mesh::custody::{Event, QueueName};
use causeway_broker::mesh::interest::EntryChange;
use causeway_broker::mesh::routes::Routes;
use causeway_broker::model::destination;
use causeway_broker::queue::Look;

use super::queues::present;
use super::world::{Sabotage, World};

impl World {
    /// Nobody looks: a rule left out.
    fn forget_waiting(&mut self, at: usize) {
        if let Some(keeping) = self.keeping(at) {
            keeping.waiting.clear();
        }
    }

    /// The map changed: what custody has to know.
    pub fn tell_custody(&mut self, at: usize, routes: &Routes) {
        if self.keeping(at).is_none() {
            return;
        }
        for site in routes.sites() {
            let event = Event::Peer {
                bid: site.id.bid,
                epoch: site.epoch,
                is_reachable: site.way.is_some(),
            };
            self.custody(at, event);
        }
        self.custody(at, Event::Generation);
        self.look_at_all(at, |_| true);
    }

    fn look_at_all(&mut self, at: usize, is_meant: impl Fn(&str) -> bool) {
        let Some(keeping) = self.keeping(at) else {
            return;
        };
        let names: Vec<QueueName> = keeping
            .queues
            .iter()
            .filter(|(name, own)| is_meant(name) && own.queue.ready() > 0)
            .map(|(name, _)| name.clone())
            .collect();
        for name in names {
            self.look_at(at, &name, Look::All);
        }
    }

    /// Interest of others changed.
    pub fn take_entries(&mut self, at: usize, changes: Vec<EntryChange>) {
        let Some(broker) = self.brokers[at].as_mut() else {
            return;
        };
        let touched = broker.interest.apply(changes);
        if !touched.queues.is_empty() {
            let is_touched = |name: &str| {
                let mut filters = touched.queues.iter();
                filters.any(|filter| destination::matches(filter, name))
            };
            self.judge_all(at, is_touched);
            self.settle_queues(at);
            self.look_at_all(at, is_touched);
        }
    }

    /// The timer of a broker rang: what is due of custody and expiry.
    pub fn queue_timer(&mut self, at: usize) {
        let now = self.clock.now();
        let Some(keeping) = self.keeping(at) else {
            return;
        };
        if keeping.custody.deadline() <= now {
            self.custody(at, Event::Tick);
        }
        let Some(keeping) = self.keeping(at).filter(|one| one.next_expiry <= now) else {
            return;
        };
        keeping.next_expiry = now.plus(Duration::from_secs(1));
        let names: Vec<QueueName> = keeping.queues.keys().cloned().collect();
        for name in names {
            let wall_ms = present(now).wall_ms;
            self.apply(at, &name, |queue, effects| queue.expire(wall_ms, effects));
            self.judge(at, &name);
        }
        // The expiry of messages looks at all queues that keep some, as the sweep does.
        if self.sabotage == Some(Sabotage::Sweep) {
            self.forget_waiting(at);
        }
        self.settle_queues(at);
    }
}
