//! A run: a network comes up, works in peace, suffers, heals, and works in peace again.

use std::fmt;
use std::time::Duration;

use super::faults::Fault;
use super::queue_oracle::FIRST;
use super::queue_runs::QUEUE_SCENARIOS;
use super::shrink::Most;
use super::topology::{Shape, below, distances};
use super::world::{Sabotage, Task, World};

/// Destinations of a run.
pub const TOPICS: [&str; 6] = ["a.x", "a.y", "a.b.x", "b.x", "c", "d.e.f.g"];
/// What subscribers ask for.
const FILTERS: [&str; 8] = ["a.x", "a.*", "a.>", "b.>", "*.x", "c", "d.e.*.g", ">"];
/// Published in each time of peace.
const IN_PEACE: usize = 70;
/// Published while faults are on.
pub const IN_TROUBLE: usize = 120;
/// Faults at least.
pub const FAULTS: usize = 3;

/// What goes wrong in a run, and what is owed meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Anything at any time: nothing doubled meanwhile, everything right afterwards.
    Any,
    /// One link after the other in a network that stays connected: nothing lost, nothing doubled.
    OneLink,
    /// The two halves are apart: each serves its own subscribers.
    Halves,
    /// Anything at any time, under queue messages.
    Queues,
    /// The same, with many requests and their answers.
    Replies,
    /// The same, with monitors of all answers.
    Monitors,
    /// Rings are full: producers wait, links stay up, nothing reliable is lost.
    Full,
    /// An only path goes and comes again within a moment: nothing lost.
    OnlyPath,
    /// One broker after the other leaves as planned: nothing lost.
    Leave,
    /// Links and sites come, go and change their costs.
    Change,
    /// Connections of links that are up are renewed.
    Renew,
    /// Processes claim sites that live, or come back with an old clock.
    Claims,
}

/// A kind of run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scenario {
    /// Its name in `CAUSEWAY_SIM`.
    pub name: &'static str,
    /// Its topology.
    pub shape: Shape,
    /// Its faults.
    pub trouble: Trouble,
}

/// A kind of run.
pub const fn scenario(name: &'static str, shape: Shape, trouble: Trouble) -> Scenario {
    Scenario {
        name,
        shape,
        trouble,
    }
}

/// All kinds of runs.
pub const SCENARIOS: [Scenario; 30] = [
    scenario("chain", Shape::Chain, Trouble::Any),
    scenario("ring", Shape::Ring, Trouble::Any),
    scenario("star", Shape::Star, Trouble::Any),
    scenario("mesh", Shape::Mesh, Trouble::Any),
    scenario("countries", Shape::Countries, Trouble::Any),
    scenario("regular", Shape::Regular, Trouble::Any),
    scenario("one-ring", Shape::Ring, Trouble::OneLink),
    scenario("one-mesh", Shape::Mesh, Trouble::OneLink),
    scenario("one-countries", Shape::Countries, Trouble::OneLink),
    scenario("one-regular", Shape::Regular, Trouble::OneLink),
    scenario("halves", Shape::Countries, Trouble::Halves),
    scenario("tree", Shape::Tree, Trouble::Any),
    scenario("grid", Shape::Grid, Trouble::Any),
    scenario("barbell", Shape::Barbell, Trouble::Any),
    scenario("parallel", Shape::Parallel, Trouble::Any),
    scenario("full-ring", Shape::Ring, Trouble::Full),
    scenario("full-tree", Shape::Tree, Trouble::Full),
    scenario("full-countries", Shape::Countries, Trouble::Full),
    scenario("only-chain", Shape::Chain, Trouble::OnlyPath),
    scenario("only-tree", Shape::Tree, Trouble::OnlyPath),
    scenario("only-barbell", Shape::Barbell, Trouble::OnlyPath),
    scenario("leave-ring", Shape::Ring, Trouble::Leave),
    scenario("leave-mesh", Shape::Mesh, Trouble::Leave),
    scenario("leave-regular", Shape::Regular, Trouble::Leave),
    scenario("change-regular", Shape::Regular, Trouble::Change),
    scenario("change-grid", Shape::Grid, Trouble::Change),
    scenario("claims-regular", Shape::Regular, Trouble::Claims),
    scenario("renew-ring", Shape::Ring, Trouble::Renew),
    scenario("renew-mesh", Shape::Mesh, Trouble::Renew),
    scenario("renew-regular", Shape::Regular, Trouble::Renew),
];

/// One run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Its kind.
    pub scenario: Scenario,
    /// Brokers.
    pub brokers: usize,
    /// Decides everything else.
    pub seed: u64,
    /// How much of it is played.
    pub most: Most,
}

impl fmt::Display for Run {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}:{}:{:#x}",
            self.scenario.name, self.brokers, self.seed
        )?;
        if self.most == Most::default() {
            return Ok(());
        }
        write!(formatter, ":{}", self.most.text())
    }
}

impl Run {
    /// Reads `<scenario>:<brokers>:<seed>`, and how much of it is played when there is a fourth
    /// part: `faults=3,messages=100`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let name = parts.next()?;
        let scenario = *SCENARIOS
            .iter()
            .chain(&QUEUE_SCENARIOS)
            .find(|one| one.name == name)?;
        let brokers = parts.next()?.parse().ok()?;
        let seed = parts.next()?;
        let seed = match seed.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).ok()?,
            None => seed.parse().ok()?,
        };
        let most = parts.next().map_or(Some(Most::default()), Most::parse)?;
        Some(Self {
            scenario,
            brokers,
            seed,
            most,
        })
    }

    /// Runs it to its end, or to the first broken invariant.
    pub fn execute(&self) -> World {
        self.execute_without(None)
    }

    /// The same, with a rule left out.
    pub fn execute_without(&self, sabotage: Option<Sabotage>) -> World {
        let mut world = World::new(self.scenario.shape, self.brokers, self.seed);
        world.sabotage = sabotage;
        world.most = self.most;
        let trouble = self.scenario.trouble;
        if matches!(
            trouble,
            Trouble::Queues | Trouble::Replies | Trouble::Monitors
        ) {
            world.queue_run(trouble != Trouble::Queues, trouble == Trouble::Monitors);
            return world;
        }
        if trouble == Trouble::Renew {
            world.choose_credentials();
        }
        for at in 0..self.brokers {
            world.start(at);
            for filter in world.first_filters(at) {
                let time = world.work_random.up_to(Duration::from_millis(800));
                let stay = None;
                world.clock.after(time, Task::Come { at, filter, stay });
            }
        }
        world.run(Duration::from_secs(1));
        world.settle();
        world.peace();
        match self.scenario.trouble {
            Trouble::Any => world.trouble(),
            Trouble::OneLink => world.one_link(),
            Trouble::Halves => world.halves(),
            Trouble::Queues | Trouble::Replies | Trouble::Monitors => {}
            Trouble::Full => world.full(),
            Trouble::OnlyPath => world.only_path(),
            Trouble::Leave => world.leaves(),
            Trouble::Change => world.changes(),
            Trouble::Claims => world.claims(),
            Trouble::Renew => world.renewals(),
        }
        world.settle();
        world.peace();
        world
    }

    /// What a person needs to know about a broken invariant.
    pub fn report(&self, world: &World) -> Option<String> {
        let failure = world.oracle.failure.as_ref()?;
        let mut text = format!("{} is broken: {}\n", failure.invariant, failure.what);
        if let Some(number) = failure.message {
            text += &world.describe(number);
        }
        for (number, fault) in world.faults.iter().enumerate() {
            let what = match fault {
                Fault::Change { what } => what.clone(),
                fault => format!("{fault:?}"),
            };
            text += &format!("fault {number}: {what}\n");
        }
        for line in world.oracle.story(failure.message) {
            text += &line;
            text.push('\n');
        }
        text += &format!(
            "reproduce: CAUSEWAY_SIM={self} cargo test -p causeway-broker --test mesh_sim replay -- --nocapture"
        );
        Some(text)
    }
}

impl World {
    fn describe(&self, number: u64) -> String {
        if let Some(one) = number.checked_sub(FIRST) {
            let one = &self.queues.oracle.records[usize::try_from(one).unwrap()];
            return format!("message {number}: {:?}\n", one.plan);
        }
        let one = &self.oracle.messages[usize::try_from(number).unwrap()];
        format!("message {number} from {} for {}\n", one.at, one.topic)
    }

    /// What the subscribers ask for that are at a broker from its start.
    pub fn first_filters(&mut self, at: usize) -> Vec<&'static str> {
        let count = 1 + (at + 1) % 3;
        (0..count)
            .map(|_| FILTERS[below(&mut self.work_random, FILTERS.len())])
            .collect()
    }

    /// Plans messages over a time.
    pub fn publish_over(&mut self, time: Duration, count: usize, is_owed: bool) {
        for number in 0..count {
            let at = below(&mut self.work_random, self.size);
            let topic = TOPICS[below(&mut self.work_random, TOPICS.len())];
            let len = match (number % 40, below(&mut self.work_random, 4)) {
                (7, _) => 300_000,
                (_, 0) => below(&mut self.work_random, 20_000),
                _ => below(&mut self.work_random, 300),
            };
            let ttl = match number % 6 {
                5 => Duration::from_millis(1500) + self.work_random.up_to(Duration::from_secs(2)),
                _ => Duration::ZERO,
            };
            let task = Task::Publish {
                at,
                topic,
                len,
                is_owed,
                ttl,
            };
            let when = self.work_random.up_to(time);
            if self.most.takes_message() {
                self.clock.after(when, task);
            }
        }
    }

    /// Plans subscribers that come and go.
    pub fn visitors(&mut self, time: Duration, count: usize) {
        for _ in 0..count {
            let at = below(&mut self.work_random, self.size);
            let filter = FILTERS[below(&mut self.work_random, FILTERS.len())];
            let stay = Some(self.work_random.up_to(time / 2));
            let when = self.work_random.up_to(time);
            self.clock.after(when, Task::Come { at, filter, stay });
        }
    }

    /// Nothing goes wrong: I2 and I3.
    fn peace(&mut self) {
        if self.oracle.failure.is_some() {
            return;
        }
        let from = self.oracle.messages.len();
        self.publish_over(Duration::from_secs(1), IN_PEACE, true);
        self.run(Duration::from_secs(4));
        if self.oracle.failure.is_none() {
            let reference = distances(self.size, &self.edges);
            self.oracle.check_owed("I2", from);
            self.oracle.check_trees(from, &self.costs(), &reference);
        }
    }

    fn trouble(&mut self) {
        let time = Duration::from_secs(10);
        let faults = FAULTS + below(&mut self.fault_random, 4);
        for _ in 0..faults {
            let fault = self.any_fault();
            let start = self.fault_random.up_to(time);
            let stay = Duration::from_millis(100) + self.fault_random.up_to(time);
            self.plan(fault, start, stay);
        }
        self.publish_over(time, IN_TROUBLE, false);
        self.visitors(time, 6);
        self.run(time * 2 + Duration::from_secs(1));
    }

    /// I16. The next link fails when the network is whole again.
    fn one_link(&mut self) {
        let from = self.oracle.messages.len();
        for _ in 0..FAULTS {
            let fault = self.link_fault();
            let start = self.fault_random.up_to(Duration::from_millis(500));
            let stay = Duration::from_millis(100) + self.fault_random.up_to(Duration::from_secs(8));
            self.plan(fault, start, stay);
            self.publish_over(Duration::from_secs(4), IN_TROUBLE / FAULTS, true);
            self.visitors(Duration::from_secs(4), 2);
            self.run(Duration::from_secs(9));
            self.settle();
            if self.oracle.failure.is_some() {
                return;
            }
        }
        self.oracle.check_owed("I16", from);
    }

    /// I18: while the halves are apart, each serves its own.
    fn halves(&mut self) {
        let half = self.size / 2;
        let (apart, first) = (Duration::from_secs(14), self.oracle.messages.len());
        let fault = Fault::Partition {
            part: (0..half).collect(),
        };
        self.plan(fault, Duration::ZERO, apart);
        self.run(Duration::from_secs(6));
        self.watch.saw("parted");
        self.check_reach(&[(0..half).collect(), (half..self.size).collect()]);
        let from = self.oracle.messages.len();
        self.publish_over(Duration::from_secs(3), IN_TROUBLE, true);
        self.run(Duration::from_secs(7));
        for number in from..self.oracle.messages.len() {
            let side = self.oracle.messages[number].at < half;
            let subscribers = &self.oracle.subscribers;
            let owed = &mut self.oracle.messages[number].owed;
            owed.retain(|one| (subscribers[*one].at < half) == side);
        }
        if self.oracle.failure.is_none() {
            self.oracle.check_owed("I18", first);
        }
        for _ in 1..FAULTS {
            let fault = self.link_fault();
            let start = self.fault_random.up_to(Duration::from_secs(4));
            self.plan(fault, start, Duration::from_secs(1));
        }
        self.run(Duration::from_secs(7));
    }
}
