//! Runs with queues: peace, trouble, peace again, with producers and consumers everywhere.

use std::sync::Arc;
use std::time::Duration;

use super::consumers::{Asks, Pick, QueueTask, Role};
use super::monitors::MONITORED;
use super::queue_oracle::Plan;
use super::scenario::{FAULTS, Scenario, Trouble, scenario};
use super::topology::{Shape, below};
use super::world::{Sabotage, Task, World};

/// Sent in each time of peace.
const IN_PEACE: usize = 60;
/// Sent while faults are on.
const IN_TROUBLE: usize = 120;
/// The queue of runs with one queue.
const JOBS: &str = "jobs";
/// All is consumed so long after the network is one again.
const DRAINED: Duration = Duration::from_secs(60);

/// Kinds of runs with queues.
pub const QUEUE_SCENARIOS: [Scenario; 11] = [
    scenario("queue-chain", Shape::Chain, Trouble::Queues),
    scenario("queue-ring", Shape::Ring, Trouble::Queues),
    scenario("queue-star", Shape::Star, Trouble::Queues),
    scenario("queue-mesh", Shape::Mesh, Trouble::Queues),
    scenario("queue-countries", Shape::Countries, Trouble::Queues),
    scenario("reply-chain", Shape::Chain, Trouble::Replies),
    scenario("reply-ring", Shape::Ring, Trouble::Replies),
    scenario("reply-mesh", Shape::Mesh, Trouble::Replies),
    scenario("monitor-chain", Shape::Chain, Trouble::Monitors),
    scenario("monitor-ring", Shape::Ring, Trouble::Monitors),
    scenario("monitor-mesh", Shape::Mesh, Trouble::Monitors),
];

fn asks(filter: &str, pick: Pick, prefetch: u32, work: u64, role: Role) -> Asks {
    Asks {
        filter: Arc::from(filter),
        pick,
        prefetch,
        work: Duration::from_millis(work),
        role,
    }
}

/// The consumers that are there from the beginning, and come again with their broker.
fn lasting() -> Vec<Asks> {
    let plain = |filter, prefetch, work| asks(filter, Pick::All, prefetch, work, Role::Plain);
    let picks = |pick, prefetch| asks("work.select", pick, prefetch, 60, Role::Plain);
    let works = |filter, work| asks(filter, Pick::All, 1000, work, Role::Worker);
    vec![
        plain("work.plain", 5, 40),
        plain("work.plain", 20, 10),
        plain("work.slow", 1, 250),
        plain("work.slow", 2, 400),
        picks(Pick::Is("a"), 4),
        picks(Pick::LargeIs("b"), 3),
        picks(Pick::Begins("b"), 4),
        picks(Pick::Begins("c"), 1),
        plain("work.p.>", 3, 50),
        works("work.ask", 20),
        works("work.ask", 40),
        works("work.late", 1000),
    ]
}

impl World {
    /// Where the lasting consumers are.
    fn home_of(&self, lasting: usize) -> usize {
        (lasting * 5 + self.queues.shift) % self.brokers.len()
    }

    /// The lasting consumers of a broker come.
    pub fn queue_clients(&mut self, at: usize) {
        if !self.queues.is_on {
            return;
        }
        for (number, asks) in lasting().into_iter().enumerate() {
            if self.home_of(number) == at {
                let stay = None;
                let time = self.queues.random.up_to(Duration::from_millis(300));
                self.after(time, QueueTask::Come { at, asks, stay });
            }
        }
    }

    fn some_plan(&mut self, may_expire: bool) -> Plan {
        let random = &mut self.queues.random;
        let (queue, key) = match below(random, 20) {
            0..=5 => ("work.plain", None),
            6..=8 => ("work.slow", None),
            9..=11 => (["work.p.1", "work.p.2", "work.p.3"][below(random, 3)], None),
            _ => (
                "work.select",
                Some(["a", "b", "b", "c1", "x"][below(random, 5)]),
            ),
        };
        let ttl = Duration::from_millis(200) + random.up_to(Duration::from_secs(8));
        Plan {
            key,
            is_large: below(random, 2) == 0,
            len: below(random, 600),
            ttl: (may_expire && below(random, 6) == 0).then_some(ttl),
            is_persistent: below(random, 2) == 0,
            ..Plan::to(Arc::from(queue))
        }
    }

    fn produce_over(&mut self, time: Duration, count: usize, may_expire: bool) {
        for _ in 0..count {
            let at = below(&mut self.queues.random, self.brokers.len());
            let plan = self.some_plan(may_expire);
            let when = self.queues.random.up_to(time);
            self.after(when, QueueTask::Produce { at, plan });
        }
    }

    /// Consumers that come, change their broker and go.
    fn wander(&mut self, time: Duration, count: usize) {
        let all = lasting();
        for _ in 0..count {
            let asks = all[below(&mut self.queues.random, 9)].clone();
            let mut when = self.queues.random.up_to(time / 2);
            let at = below(&mut self.queues.random, self.brokers.len());
            let number = self.queues.visits;
            self.queues.visits += 1;
            self.after(
                when,
                QueueTask::Visit {
                    number,
                    at: Some(at),
                    asks: asks.clone(),
                },
            );
            while when < time {
                when += Duration::from_millis(200) + self.queues.random.up_to(time / 4);
                let at = (when < time).then(|| below(&mut self.queues.random, self.brokers.len()));
                let asks = asks.clone();
                self.after(when, QueueTask::Visit { number, at, asks });
            }
        }
    }

    /// Requests. Those that are owed an answer either wait for so short a time that nobody hears of
    /// their queue (I10, I28), or go on at another broker (I28).
    fn requests(&mut self, time: Duration, count: usize, is_owed: bool) {
        for number in 0..count {
            let at = below(&mut self.queues.random, self.brokers.len());
            let when = self.queues.random.up_to(time);
            let moves = number % 4 == 3;
            let to = below(&mut self.queues.random, self.brokers.len());
            let after = self.queues.random.up_to(Duration::from_millis(800));
            let queue = if moves { "work.late" } else { "work.ask" };
            let task = QueueTask::Ask {
                at,
                plan: Plan::to(Arc::from(queue)),
                patience: (!moves).then_some(Duration::from_millis(900)),
                moves: moves.then_some((to, after)),
                owed: is_owed.then_some(if moves { "I28" } else { "I10" }),
            };
            self.after(when, task);
        }
    }

    /// Requests whose answers go to topics.
    fn topic_requests(&mut self, time: Duration, count: usize) {
        for _ in 0..count {
            let at = below(&mut self.queues.random, self.brokers.len());
            let when = self.queues.random.up_to(time);
            let task = QueueTask::AskForTopic {
                at,
                plan: Plan::to(Arc::from("work.ask")),
                patience: Duration::from_millis(900),
            };
            self.after(when, task);
        }
    }

    fn queue_peace(&mut self, (requests, topics): (usize, usize)) {
        if self.oracle.failure.is_some() {
            return;
        }
        let from = self.queues.requests.len();
        self.produce_over(Duration::from_secs(2), IN_PEACE, false);
        self.requests(Duration::from_secs(2), requests, true);
        self.wander(Duration::from_secs(3), 3);
        self.topic_requests(Duration::from_secs(2), topics);
        self.run(Duration::from_secs(8));
        self.drain();
        if self.oracle.failure.is_none() {
            self.check_requests(from);
        }
        for request in from..self.queues.requests.len() {
            let request = &self.queues.requests[request];
            let (consumer, is_queue) = (request.consumer, request.topic.is_none());
            if is_queue {
                self.consumer_goes(consumer);
            }
        }
    }

    /// Runs until everything is consumed that somebody wants.
    fn drain(&mut self) {
        let end = self.clock.now().plus(DRAINED);
        while self.oracle.failure.is_none() {
            match self.queues_at_rest() {
                Ok(()) => return,
                Err((invariant, message, what)) if self.clock.now() >= end => {
                    return self.oracle.fail(invariant, message, what);
                }
                Err(_) => self.run(Duration::from_millis(500)),
            }
        }
    }

    /// A run with queues.
    pub fn queue_run(&mut self, has_replies: bool, has_monitors: bool) {
        let asked = if has_replies { (24, 8) } else { (4, 0) };
        self.queues.is_on = true;
        self.queues.shift = below(&mut self.queues.random, self.brokers.len());
        for at in 0..self.brokers.len() {
            self.start(at);
            self.queue_clients(at);
        }
        self.after(Duration::from_millis(500), QueueTask::Check);
        if has_replies {
            let (at, filter, stay) = (self.queues.shift, ">", None);
            let monitor = Task::Come { at, filter, stay };
            self.clock.after(Duration::from_millis(500), monitor);
        }
        if has_monitors {
            self.queue_monitors();
        }
        self.run(Duration::from_secs(1));
        self.settle();
        self.queue_peace(asked);
        let time = Duration::from_secs(10);
        for _ in 0..FAULTS + below(&mut self.fault_random, 4) {
            let fault = self.any_fault();
            let start = self.fault_random.up_to(time);
            let stay = Duration::from_millis(100) + self.fault_random.up_to(time);
            self.plan(fault, start, stay);
        }
        self.produce_over(time, IN_TROUBLE, true);
        self.requests(time, asked.0, false);
        self.wander(time, 8);
        self.run(time * 2 + Duration::from_secs(1));
        self.settle();
        self.drain();
        self.queue_peace(asked);
        self.quiet();
    }

    /// Consumers that look at all answers, at two brokers.
    fn queue_monitors(&mut self) {
        for number in 1..3 {
            let at = (self.queues.shift + number) % self.brokers.len();
            let asks = asks(MONITORED, Pick::All, 50, 5, Role::Plain);
            let stay = None;
            let time = Duration::from_millis(500);
            self.after(time, QueueTask::Come { at, asks, stay });
        }
    }

    /// Nothing happens but this: more is sent than consumers take at once, so that only the sweep
    /// finds them free again (R19); a consumer goes with what it has, and nobody comes (R18).
    fn quiet(&mut self) {
        let (all, brokers) = (lasting(), self.brokers.len());
        for number in 0..3 {
            let at = (self.queues.shift + number) % brokers;
            for _ in 0..5 {
                let plan = Plan::to(Arc::from("work.slow"));
                self.after(Duration::from_millis(10), QueueTask::Produce { at, plan });
            }
        }
        let at = below(&mut self.queues.random, brokers);
        let asks = Asks {
            prefetch: 20,
            work: Duration::from_secs(60),
            ..all[0].clone()
        };
        let stay = Some(Duration::from_secs(2));
        self.after(Duration::ZERO, QueueTask::Come { at, asks, stay });
        for _ in 0..8 {
            let plan = Plan::to(all[0].filter.clone());
            self.after(Duration::from_secs(1), QueueTask::Produce { at, plan });
        }
        self.run(Duration::from_secs(4));
        self.drain();
    }
}

/// Two brokers that know each other, with that delay between them.
fn pair(delay: Duration, sabotage: Option<Sabotage>) -> World {
    let mut world = World::new(Shape::Chain, 2, 1);
    world.sabotage = sabotage;
    world.queues.is_on = true;
    world.edges.iter_mut().for_each(|edge| edge.delay = delay);
    (0..2).for_each(|at| world.start(at));
    world.run(Duration::from_secs(1));
    world.settle();
    world
}

/// How long a consumer with that prefetch takes for so many messages of the other broker, which is
/// that far away, when it is done with each at once.
pub fn pace(prefetch: u32, count: u64, delay: Duration, sabotage: Option<Sabotage>) -> Duration {
    let mut world = pair(delay, sabotage);
    let wants = asks(JOBS, Pick::All, prefetch, 0, Role::Plain);
    world.consumer_comes(1, wants).expect("it runs");
    world.run(Duration::from_secs(1));
    let plan = Plan::to(Arc::from(JOBS));
    (0..count).for_each(|_| world.send_to_queue(0, plan.clone()));
    let begun = world.clock.now();
    let consumed = |world: &mut World| {
        let own = world.queue(1, JOBS);
        own.map_or(0, |own| own.queue.counters().dequeued)
    };
    while consumed(&mut world) < count {
        world.run(Duration::from_millis(1));
    }
    world.clock.now().since(begun)
}

/// Two brokers, more messages at one than standing credit moves, and a consumer at the other one, at
/// the moment when credit was granted; what that consumer is and wants.
fn at_grant(sabotage: Option<Sabotage>) -> (World, usize, Asks) {
    let mut world = pair(Duration::from_millis(1), sabotage);
    let wants = asks(JOBS, Pick::All, 100, 60_000, Role::Plain);
    let consumer = world.consumer_comes(1, wants.clone()).expect("it runs");
    world.run(Duration::from_secs(1));
    let plan = Plan::to(Arc::from(JOBS));
    (0..40).for_each(|_| world.send_to_queue(0, plan.clone()));
    let limit = world.clock.now().plus(Duration::from_secs(3));
    while promised(&mut world) == 0 && world.clock.now() < limit {
        world.run(Duration::from_micros(100));
    }
    assert!(promised(&mut world) > 0, "no credit is granted");
    (world, consumer, wants)
}

fn promised(world: &mut World) -> u32 {
    let now = world.clock.now();
    let one = world.keeping(1).expect("it runs");
    one.custody.promised(JOBS, now)
}

/// As soon as credit was granted the consumer goes, or one comes that takes everything where it is.
/// What is promised and unused three round trips later.
pub fn credit_after(is_served_at_home: bool) -> (u32, u32) {
    let (mut world, consumer, wants) = at_grant(None);
    if is_served_at_home {
        world.consumer_comes(0, wants);
    } else {
        world.consumer_goes(consumer);
    }
    world.run(world.delay(0, 1) * 6 + Duration::from_millis(50));
    let now = world.clock.now();
    let unused = world.keeping(0).expect("it runs");
    let unused = unused.custody.unused(JOBS, now);
    (promised(&mut world), unused)
}

/// What is promised at the moment when the consumer for which it was granted has gone.
pub fn promised_for_nobody(sabotage: Option<Sabotage>) -> u32 {
    let (mut world, consumer, _) = at_grant(sabotage);
    world.consumer_goes(consumer);
    promised(&mut world)
}
