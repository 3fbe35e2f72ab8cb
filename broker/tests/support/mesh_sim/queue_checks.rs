//! What must be true of all queues: one owner (I12), no idling (I13), few moves (I14), bounded
//! buffers (I17), answers that arrive (I10, I28), order (I11).

use std::collections::BTreeMap;
use std::time::Duration;

use causeway_broker::mesh::custody::{QueueName, SWEEP, hold};
use causeway_broker::mesh::frame::FwdFrame;
use causeway_broker::mesh::ids::Now;

use super::broker::Broker;
use super::consumers::{QueueTask, id_of};
use super::queue_oracle::FIRST;
use super::queues::{REORDER, ROUTES, number_of};
use super::world::World;

/// After `no credit` a broker is asked again at most so much later.
const BACK_OFF: Duration = Duration::from_secs(5);
/// One round of credit, interest under way included.
const ROUND: Duration = Duration::from_millis(2_500);
/// So long after a change of the map no frame is under way that took another path.
const CALM: Duration = Duration::from_secs(4);

/// The messages of a queue that are in service at a broker: ready, or with a consumer.
fn in_service(broker: &Broker, name: &str, found: &mut Vec<u64>) {
    let queue = broker.keeping.iter().filter_map(|one| one.queues.get(name));
    for own in queue {
        let queue = &own.queue;
        let flying = own.consumers.keys().flat_map(|id| queue.in_flight(*id));
        let seqs = queue.ready_after(0, usize::MAX).into_iter().chain(flying);
        found.extend(seqs.filter_map(|seq| number_of(queue.peek(seq)?)));
    }
}

impl World {
    /// What holds always.
    pub fn check_queues(&mut self) {
        self.after(Duration::from_millis(500), QueueTask::Check);
        self.check_owners();
        self.check_moves();
        self.check_idle();
        self.check_bounds();
        self.check_promises();
    }

    fn owners(&self) -> BTreeMap<u64, Vec<usize>> {
        let mut owners: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (at, broker) in self.brokers.iter().enumerate() {
            let Some(broker) = broker else { continue };
            let mut found = Vec::new();
            let names = broker.keeping.iter().flat_map(|one| one.queues.keys());
            names.for_each(|name| in_service(broker, name, &mut found));
            for number in found {
                owners.entry(number).or_default().push(at);
            }
        }
        owners
    }

    /// I12: a message is in service once.
    fn check_owners(&mut self) {
        for (number, owners) in self.owners() {
            if owners.len() > 1 && !self.queues.oracle.record(number).may_be_double {
                let what = format!("{owners:?} own it");
                self.oracle.fail("I12", Some(number), what);
            }
        }
    }

    /// I14: a message moves once, and once more for each consumer that leaves.
    fn check_moves(&mut self) {
        for (at, record) in self.queues.oracle.records.iter().enumerate() {
            if record.accepted > 1 + record.reasons && !record.may_be_double {
                let what = format!(
                    "accepted {} times, reasons to move on {}",
                    record.accepted, record.reasons
                );
                let number = FIRST + u64::try_from(at).unwrap();
                return self.oracle.fail("I14", Some(number), what);
            }
        }
    }

    /// R16: nothing is promised where nobody consumes.
    pub fn check_promises(&mut self) {
        let now = self.clock.now();
        let mut what = None;
        for (at, broker) in self.brokers.iter().enumerate() {
            for one in broker.iter().filter_map(|one| one.keeping.as_ref()) {
                let left = one
                    .queues
                    .iter()
                    .filter(|(_, own)| own.consumers.is_empty());
                let promised = left.map(|(name, _)| (name, one.custody.promised(name, now)));
                for (name, promised) in promised.filter(|(_, promised)| *promised > 0) {
                    what = Some(format!("{promised} of {name} at {at}, without a consumer"));
                }
            }
        }
        if let Some(what) = what {
            self.oracle.fail("R16", None, what);
        }
    }

    /// I17.
    fn check_bounds(&mut self) {
        let mut what = None;
        for (at, broker) in self.brokers.iter().enumerate() {
            for one in broker.iter().filter_map(|one| one.keeping.as_ref()) {
                let (bytes, routes) = (one.custody.reorder_bytes(), one.replies.len());
                if bytes > REORDER || routes > ROUTES {
                    what = Some(format!("{bytes} bytes and {routes} routes at {at}"));
                }
            }
        }
        if let Some(what) = what {
            self.oracle.fail("I17", None, what);
        }
    }

    /// I13.
    fn check_idle(&mut self) {
        let now = self.clock.now();
        let mut idle = BTreeMap::new();
        let mut stuck = None;
        for (at, broker) in self.brokers.iter().enumerate() {
            let Some(broker) = broker else { continue };
            for (name, own) in broker.keeping.iter().flat_map(|one| &one.queues) {
                for seq in own.queue.ready_after(0, usize::MAX) {
                    let Some(number) = own.queue.peek(seq).and_then(number_of) else {
                        continue;
                    };
                    let since = self.queues.oracle.idle.get(&(at, number)).copied();
                    let since = since.unwrap_or(now);
                    idle.insert((at, number), since);
                    let taker = self.idle_taker(broker, at, name, number, since);
                    stuck = stuck.or(taker.map(|taker| (at, number, taker)));
                }
            }
        }
        self.queues.oracle.idle = idle;
        if let Some((at, number, taker)) = stuck {
            let what = format!("idle at {at} although consumer {taker} has room");
            self.oracle.fail("I13", Some(number), what);
        }
    }

    /// A consumer that a message should have reached by now.
    fn idle_taker(
        &self,
        broker: &Broker,
        at: usize,
        name: &QueueName,
        number: u64,
        since: Now,
    ) -> Option<usize> {
        let record = &self.queues.oracle.records[usize::try_from(number - FIRST).unwrap()];
        let moves = u16::try_from(record.accepted).unwrap_or(u16::MAX);
        let bound = SWEEP + hold(moves) + BACK_OFF + ROUND;
        let calm = since.max(self.oracle.changed);
        if self.clock.now().since(calm) <= bound {
            return None;
        }
        self.queues.takers(number).find(|taker| {
            let one = &self.queues.consumers[*taker];
            let is_reached = one.at == at
                || self
                    .bid_of(one.at)
                    .is_some_and(|bid| broker.routes.is_reachable(bid));
            let full = one.full.get(name).copied().unwrap_or_default();
            let mut start = calm.max(one.since).max(full);
            if one.is_monitor() {
                if self.is_kept_for_route(*taker, name, number, at) {
                    return false;
                }
                let Some(free) = self.free_for_monitors(name) else {
                    return false;
                };
                start = start.max(free);
            }
            let far = self.brokers[one.at].as_ref();
            let queue = far.and_then(|far| far.keeping.as_ref()?.queues.get(name));
            let has_room =
                queue.is_none_or(|own| own.queue.room(|id| id == id_of(*taker)).free > 0);
            is_reached && has_room && self.clock.now().since(start) > bound
        })
    }

    /// Whether all is done: nothing on its way, everything consumed that somebody wants.
    pub fn queues_at_rest(&self) -> Result<(), (&'static str, Option<u64>, String)> {
        for (at, broker) in self.brokers.iter().enumerate() {
            let open = broker
                .as_ref()
                .and_then(|one| Some(one.keeping.as_ref()?.custody.open()));
            if open != Some(0) {
                return Err(("I12", None, format!("{open:?} transfers are open at {at}")));
            }
        }
        let owners = self.owners();
        for (at, record) in self.queues.oracle.records.iter().enumerate() {
            let number = FIRST + u64::try_from(at).unwrap();
            let count = owners.get(&number).map_or(0, Vec::len);
            let name = &record.plan.queue;
            let mut held = owners.get(&number).into_iter().flatten();
            let is_wanted = |owner| {
                let mut takers = self.queues.takers(number);
                takers.any(|taker| !self.is_kept_for_route(taker, name, number, owner))
            };
            if held.any(|owner| is_wanted(*owner)) {
                let what = format!("at {:?}, and somebody wants it", owners[&number]);
                return Err(("I13", Some(number), what));
            }
            let is_done = !record.acks.is_empty() || record.is_dead;
            if count == 0 && !is_done && !record.may_be_lost {
                return Err(("I12", Some(number), "nobody has it".to_owned()));
            }
            if count > 0 && is_done && !record.may_be_double {
                return Err(("I12", Some(number), "done, and still there".to_owned()));
            }
        }
        Ok(())
    }

    /// I10, I28: whoever asked has the answer.
    pub fn check_requests(&mut self, from: usize) {
        for at in from..self.queues.requests.len() {
            let one = &self.queues.requests[at];
            let (Some(invariant), false) = (one.owed, self.is_answered(one)) else {
                continue;
            };
            let reply = self.queues.oracle.records.iter().position(|record| {
                record.plan.queue == one.reply_to
                    || record.plan.reply_to.as_ref() == Some(&one.reply_to)
                    || record.plan.reply_topic == Some(&*one.reply_to)
            });
            let message = reply.map(|at| FIRST + u64::try_from(at).unwrap());
            let what = format!("request {at} has no answer, consumer {}", one.consumer);
            return self.oracle.fail(invariant, message, what);
        }
    }

    /// I11: while no path changes, what one broker sends to another arrives in its order.
    pub fn check_order(&mut self, at: usize, frame: &FwdFrame) {
        let (now, head) = (self.clock.now(), &frame.tail_head);
        let life = self.life(at).unwrap_or(0);
        let key = (at, life, head.origin.0, head.epoch.0, head.label);
        let last = self.queues.order.insert(key, head.seq).unwrap_or(0);
        let is_calm = now.since(self.oracle.changed) > CALM;
        if last > head.seq && is_calm && !frame.head.is_marked {
            let what = format!("{} of {:?} after {last} at {at}", head.seq, head.origin);
            self.oracle.fail("I11", super::data::number_of(frame), what);
        }
    }
}
