//! What a network goes through besides broken links: full rings, an only path that flaps, brokers
//! that leave, changed configurations, rival claims.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use causeway_broker::mesh::config::Claim;
use causeway_broker::mesh::ids::{Epoch, Instance, Now};

use super::changes::Step;
use super::faults::Fault;
use super::flow::Sizes;
use super::oracle::Note;
use super::scenario::{FAULTS, IN_TROUBLE, TOPICS};
use super::topology::below;
use super::world::{Task, World};

/// Messages of one producer.
const BURST: usize = 40;
/// The stay in limbo.
const LIMBO_TIME: Duration = Duration::from_secs(2);

impl World {
    /// I22: slow wires, full rings, waiting producers. Links stay up, and whatever may not be
    /// dropped arrives.
    pub fn full(&mut self) {
        let (first, mark) = (self.oracle.messages.len(), self.oracle.trace.len());
        self.resize(Sizes::SMALL);
        for _ in 0..FAULTS {
            let edge = self.edges[below(&mut self.fault_random, self.edges.len())];
            let rate = 40_000 + below(&mut self.fault_random, 200_000);
            let (a, b) = (edge.a, edge.b);
            let stay = Duration::from_secs(3) + self.fault_random.up_to(Duration::from_secs(5));
            self.plan(Fault::Slow { a, b, rate }, Duration::ZERO, stay);
        }
        for at in 0..self.size {
            let plan: VecDeque<(&'static str, usize)> = (0..BURST)
                .map(|number| {
                    let topic = TOPICS[below(&mut self.work_random, TOPICS.len())];
                    let len = match (at, number) {
                        // In pieces that a slow wire carries for longer than silence may last.
                        (1, 5) => 300_000,
                        _ => 500 + below(&mut self.work_random, 10_000),
                    };
                    (topic, len)
                })
                .filter(|_| self.most.takes_message())
                .collect();
            self.add_producer(at, plan);
        }
        self.visitors(Duration::from_secs(5), 3);
        self.run(Duration::from_secs(12));
        self.settle();
        self.check_up(mark);
        if self.flow.producers.iter().any(|one| !one.plan.is_empty()) {
            let what = "a producer waits for ever".to_owned();
            self.oracle.fail("I22", None, what);
        }
        if self.oracle.failure.is_none() {
            self.oracle.check_owed("I22", first);
        }
        self.resize(Sizes::default());
    }

    /// I22: a message that its wire carries for longer than a link may stand still.
    pub fn long_message(&mut self) {
        let (a, b) = (self.edges[0].a, self.edges[0].b);
        let (first, mark) = (self.oracle.messages.len(), self.oracle.trace.len());
        let stay = None;
        self.come(b, "long", stay);
        self.run(Duration::from_secs(2));
        self.flow.slow(a, b, Some(8_000));
        self.publish(a, "long", 290_000, true, Duration::ZERO);
        self.run(Duration::from_secs(60));
        self.check_up(mark);
        if self.oracle.failure.is_none() {
            self.oracle.check_owed("I22", first);
        }
    }

    fn check_up(&mut self, mark: usize) {
        let is_down = |(_, note): &&(Now, Note)| matches!(note, Note::LinkDown { .. });
        if let Some((_, note)) = self.oracle.trace[mark..].iter().find(is_down) {
            let what = format!("a link whose peer reads ended: {note}");
            self.oracle.fail("I22", None, what);
        }
    }

    /// I30: a path without another one beside it is back within the time of limbo.
    pub fn only_path(&mut self) {
        for _ in 0..FAULTS {
            let (from, mark) = (self.oracle.messages.len(), self.oracle.trace.len());
            let edge = self.edges[below(&mut self.fault_random, self.edges.len())];
            let (a, b) = (edge.a, edge.b);
            let is_void = below(&mut self.fault_random, 2) == 0;
            let start = self.fault_random.up_to(Duration::from_secs(1));
            self.plan(Fault::Reset { a, b, is_void }, start, Duration::ZERO);
            self.publish_over(Duration::from_secs(3), IN_TROUBLE / FAULTS, true);
            self.run(Duration::from_secs(6));
            if self.outage(mark).is_none_or(|outage| outage >= LIMBO_TIME) {
                let messages = &mut self.oracle.messages[from..];
                messages.iter_mut().for_each(|one| one.owed.clear());
            } else {
                self.watch.saw("only path judged");
            }
            self.settle();
            if self.oracle.failure.is_none() {
                self.oracle.check_owed("I30", from);
            }
            // The next one comes when this one is forgotten.
            self.run(Duration::from_secs(12));
            if self.oracle.failure.is_some() {
                return;
            }
        }
    }

    /// From the first link that went down since then to the last broker that reached everybody
    /// again; nothing if some broker does not.
    fn outage(&self, mark: usize) -> Option<Duration> {
        let (mut down, mut whole) = (None, None);
        let mut missing: BTreeSet<usize> = BTreeSet::new();
        for (time, note) in &self.oracle.trace[mark..] {
            match note {
                Note::LinkDown { .. } => drop(down.get_or_insert(*time)),
                Note::Routes { at, reached } if reached + 1 < self.size => {
                    missing.insert(*at);
                }
                Note::Routes { at, .. } => {
                    missing.remove(at);
                    whole = Some(*time);
                }
                _ => {}
            }
        }
        let (down, whole) = (down?, whole?);
        missing.is_empty().then(|| whole.since(down))
    }

    /// I24: a broker that leaves where the others stay connected loses nothing.
    pub fn leaves(&mut self) {
        for _ in 0..FAULTS {
            let from = self.oracle.messages.len();
            let at = below(&mut self.fault_random, self.size);
            let start = self.fault_random.up_to(Duration::from_secs(2));
            self.publish_over(Duration::from_secs(4), IN_TROUBLE / FAULTS, true);
            self.visitors(Duration::from_secs(4), 2);
            let is_possible = self.is_connected_without(Some(at), None);
            if !is_possible || !self.may_change(format!("{at} leaves")) {
                continue;
            }
            self.watch.saw("leave");
            self.clock.after(start, Task::Step(Step::Leave { at }));
            self.run(Duration::from_secs(10));
            let rest = (0..self.size).filter(|one| *one != at).collect();
            self.check_reach(&[rest]);
            if self.oracle.failure.is_none() {
                self.oracle.check_owed("I24", from);
            }
            self.restart(at);
            self.run(Duration::from_secs(1));
            self.settle();
            if self.oracle.failure.is_some() {
                return;
            }
        }
    }

    /// Links come, go and change their costs; a site is denied and taken back.
    pub fn changes(&mut self) {
        self.recost_one();
        for _ in 0..FAULTS {
            let from = self.oracle.messages.len();
            self.publish_over(Duration::from_secs(3), IN_TROUBLE / FAULTS, true);
            match below(&mut self.fault_random, 5) {
                0 => self.recost(Duration::from_secs(1)),
                1 | 2 => self.recost_often(),
                3 => self.remove_link(),
                _ => self.add_link(),
            }
            self.run(Duration::from_secs(6));
            self.settle();
            if self.oracle.failure.is_some() {
                return;
            }
            // Nothing failed: whoever was reached before is reached all the time.
            self.oracle.check_owed("I16", from);
        }
        self.deny();
    }

    /// I21: what one change of a cost takes in advertisements.
    fn recost_one(&mut self) {
        self.run(Duration::from_secs(11));
        let (before, _) = self.watch.lsas();
        let links = self.edges.len();
        self.recost(Duration::ZERO);
        self.run(Duration::from_secs(3));
        let (after, longest) = self.watch.lsas();
        let (bytes, most) = (after - before, 4 * links * longest);
        let is_changed = !self.faults.is_empty();
        if bytes > most || (bytes == 0 && is_changed) {
            let what = format!("{bytes} bytes of LSAs, at most {most} are expected");
            self.oracle.fail("I21", None, what);
        }
    }

    fn recost(&mut self, spread: Duration) {
        let number = below(&mut self.fault_random, self.edges.len());
        let more = u32::try_from(1 + below(&mut self.fault_random, 40)).unwrap_or(1);
        if !self.may_change(format!("{:?} costs {more} more", self.edges[number])) {
            return;
        }
        self.edges[number].cost += more;
        let edge = self.edges[number];
        let ends = [edge.a, edge.b];
        self.plan_steps(spread, ends.map(|at| Step::Cost { at, edge }));
    }

    /// Somebody tries costs: each change is told later than the one before (R3).
    fn recost_often(&mut self) {
        let number = below(&mut self.fault_random, self.edges.len());
        if !self.may_change(format!("costs of {:?} are tried", self.edges[number])) {
            return;
        }
        self.watch.saw("costs tried");
        let mut time = Duration::ZERO;
        for round in 0..6 {
            let more = u32::try_from(below(&mut self.fault_random, 100)).unwrap_or(0);
            self.edges[number].cost = if round % 2 == 0 { 1 + more } else { 1 };
            let edge = self.edges[number];
            for at in [edge.a, edge.b] {
                let step = Task::Step(Step::Cost { at, edge });
                let lag = self.fault_random.up_to(Duration::from_millis(100));
                self.clock.after(time + lag, step);
            }
            time += Duration::from_millis(100) + self.fault_random.up_to(Duration::from_secs(1));
        }
    }

    fn remove_link(&mut self) {
        let number = below(&mut self.fault_random, self.edges.len());
        let edge = self.edges[number];
        if !self.is_connected_without(None, Some(&edge)) {
            return self.recost(Duration::from_secs(1));
        }
        if !self.may_change(format!("{edge:?} is removed")) {
            return;
        }
        self.watch.saw("link removed");
        self.edges.remove(number);
        let ends = [edge.a, edge.b];
        let steps = ends.map(|at| Step::Remove { at, edge });
        self.plan_steps(Duration::from_millis(500), steps);
    }

    fn add_link(&mut self) {
        let a = below(&mut self.fault_random, self.size - 1);
        let b = a + 1 + below(&mut self.fault_random, self.size - a - 1);
        let same = self.edges.iter().filter(|edge| edge.is_between(a, b));
        let number = same.map(|edge| edge.number + 1).max().unwrap_or(0);
        let mut edge = self.edges[0];
        edge = super::topology::Edge {
            a,
            b,
            number,
            ..edge
        };
        if !self.may_change(format!("{edge:?} is added")) {
            return;
        }
        self.watch.saw("link added");
        self.edges.push(edge);
        let steps = [a, b].map(|at| Step::Add { at, edge });
        self.plan_steps(Duration::from_millis(500), steps);
    }

    /// R21: a site that everybody else denies is nobody's neighbour, destination or origin.
    fn deny(&mut self) {
        let site = below(&mut self.fault_random, self.size);
        let is_possible = self.is_connected_without(Some(site), None);
        if !is_possible || !self.may_change(format!("{site} is denied")) {
            return;
        }
        self.watch.saw("deny");
        let others: Vec<usize> = (0..self.size).filter(|at| *at != site).collect();
        for is_denied in [true, false] {
            let deny = |at: &usize| Step::Deny {
                at: *at,
                site,
                is_denied,
            };
            let steps: Vec<Step> = others.iter().map(deny).collect();
            self.plan_steps(Duration::from_secs(1), steps);
            self.publish_over(Duration::from_secs(6), IN_TROUBLE / FAULTS, false);
            self.run(Duration::from_secs(8));
            if is_denied {
                self.check_reach(&[others.iter().copied().collect(), BTreeSet::from([site])]);
            }
        }
    }

    /// I19: a process that claims a site that lives is refused; one whose clock went back, with its
    /// disk lost, is taken.
    pub fn claims(&mut self) {
        let site = below(&mut self.fault_random, self.size);
        self.publish_over(Duration::from_secs(10), IN_TROUBLE, false);
        if !self.may_change(format!("somebody else claims {site}")) {
            return;
        }
        let second = self.second_claim(site);
        for _ in 0..5 {
            self.run(Duration::from_secs(2));
            self.check_claims(site, second);
        }
        self.crash(second, false);
        for _ in 1..FAULTS {
            let at = below(&mut self.fault_random, self.size);
            if !self.may_change(format!("{at} starts again with an old clock")) {
                return;
            }
            let is_silent = below(&mut self.fault_random, 2) == 0;
            self.crash(at, is_silent);
            let pause = self.fault_random.up_to(Duration::from_secs(8));
            self.run(pause);
            let claim = Claim {
                instance: Instance([u8::try_from(at + 1).unwrap_or(255); 16]),
                since: Epoch(101),
            };
            self.watch.saw("old clock");
            self.start_as(at, claim, Epoch(50));
            self.clients_return(at);
            self.publish_over(Duration::from_secs(4), IN_TROUBLE / FAULTS, false);
            self.run(Duration::from_secs(4));
        }
    }
}
