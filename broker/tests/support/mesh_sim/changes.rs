//! What people do to a network that runs: links and sites come, go and change their costs; brokers
//! leave as planned (R24); a second process claims a site (I19).

use std::collections::BTreeSet;
use std::time::Duration;

use causeway_broker::mesh::config::{Claim, MeshConfig};
use causeway_broker::mesh::event::{Actions, Event};
use causeway_broker::mesh::ids::{Bid, ConnId, Epoch, Instance, LinkId, Now};
use causeway_broker::mesh::session::LinkState;

use super::scenario::TOPICS;
use super::topology::{Edge, distances};
use super::world::{Sabotage, Task, World, link};

/// How often a broker that leaves looks at its rings.
const LOOK: Duration = Duration::from_millis(20);
/// How long it waits for them.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between its last word and its end.
const LAST: Duration = Duration::from_millis(100);

/// A step of something that is done to the network.
#[derive(Debug, Clone)]
pub enum Step {
    /// A producer publishes its next message.
    Produce { number: usize },
    /// A reader that was held looks again.
    Reread { at: usize, conn: ConnId },
    /// A link appears at one of its ends.
    Add { at: usize, edge: Edge },
    /// A link disappears at one of its ends.
    Remove { at: usize, edge: Edge },
    /// The cost of a link changes at one of its ends.
    Cost { at: usize, edge: Edge },
    /// A site denies another one, or no longer does.
    Deny {
        at: usize,
        site: usize,
        is_denied: bool,
    },
    /// A broker begins to leave.
    Leave { at: usize },
    /// It leaves when its rings are empty, or patience ends.
    Leaving { at: usize, until: Now },
    /// It is gone.
    Gone { at: usize },
    /// A site has another certificate.
    Certificate { at: usize },
    /// An end of a link has another password, and still knows the one before.
    Password { at: usize, edge: Edge, number: u32 },
    /// A stream is reset.
    Strike { pipe: usize, is_void: bool },
}

impl World {
    /// Does a step.
    pub fn step(&mut self, step: Step) {
        match step {
            Step::Produce { number } => self.produce(number),
            Step::Reread { at, conn } => self.read(at, conn, &[]),
            Step::Add { at, edge } => {
                let end = link(&edge, at, &self.names);
                self.configure(at, |config| config.links.push(end));
            }
            Step::Remove { at, edge } => {
                let name = edge.name(&self.names);
                self.last_words(at);
                self.configure(at, |config| config.links.retain(|link| link.name != name));
            }
            Step::Cost { at, edge } => {
                let name = edge.name(&self.names);
                self.configure(at, |config| {
                    let link = config.links.iter_mut().find(|link| link.name == name);
                    link.into_iter().for_each(|link| link.cost = edge.cost);
                });
            }
            Step::Deny {
                at,
                site,
                is_denied,
            } => {
                let site = self.names[site].clone();
                self.configure(at, |config| {
                    if is_denied {
                        config.denied_sites.insert(site);
                    } else {
                        config.denied_sites.remove(&site);
                    }
                });
            }
            Step::Leave { at } => self.leave(at),
            Step::Leaving { at, until } => self.leaving(at, until),
            Step::Gone { at } => self.crash(at, false),
            Step::Certificate { at } => self.configure(at, |config| config.tls += 1),
            Step::Password { at, edge, number } => self.change_password(at, &edge, number),
            Step::Strike { pipe, is_void } => self.reset(pipe, is_void),
        }
    }

    /// Plans the same step for some sites, each at its own time within `spread`.
    pub fn plan_steps(&mut self, spread: Duration, steps: impl IntoIterator<Item = Step>) {
        for step in steps {
            let when = self.fault_random.up_to(spread);
            self.clock.after(when, Task::Step(step));
        }
    }

    /// Puts a changed configuration of a site in force, as the driver does.
    pub fn configure(&mut self, at: usize, change: impl FnOnce(&mut MeshConfig)) {
        let now = self.clock.now();
        let is_left_out = self.sabotage == Some(Sabotage::Removed);
        change(&mut self.configs[at]);
        let config = self.configs[at].clone();
        let peers: Vec<usize> = config.links.iter().map(|link| self.peer(link)).collect();
        let Some(broker) = self.brokers[at].as_mut() else {
            return;
        };
        let mut actions = Actions::new();
        let event = Event::Config(Box::new(config.clone()));
        broker.mesh.handle(event, now, &mut actions);
        let gone = broker.set_links(&config, &peers, now);
        let late = self.carry_out(at, actions);
        self.carry_out_late(at, late);
        for link in gone {
            if is_left_out {
                self.forget_ring(at, link);
            } else {
                self.resplit(at, link);
            }
        }
        self.set_timer(at);
    }

    /// Clients of a broker publish something in the very moment in which it changes.
    fn last_words(&mut self, at: usize) {
        for topic in TOPICS {
            if !self.most.takes_message() {
                return;
            }
            self.publish(at, topic, 100, true, Duration::ZERO);
        }
    }

    fn forget_ring(&mut self, at: usize, link: LinkId) {
        let now = self.clock.now();
        let Some(broker) = self.brokers[at].as_ref() else {
            return;
        };
        let data = &broker.links[link.index()].data;
        let frames = data.die(now);
        frames.iter().for_each(|frame| self.lost(at, frame));
    }

    /// A broker shuts down: its clients say their last words and go first.
    fn leave(&mut self, at: usize) {
        self.last_words(at);
        let clients = self.oracle.subscribers.iter().enumerate();
        let clients: Vec<usize> = clients
            .filter(|(_, one)| one.at == at && one.is_there)
            .map(|(number, _)| number)
            .collect();
        clients.into_iter().for_each(|number| self.go(number));
        let Some(broker) = self.brokers[at].as_mut() else {
            return;
        };
        broker.is_leaving = true;
        self.control(at, Event::Leave);
        self.leaving(at, self.clock.now().plus(PATIENCE));
    }

    fn leaving(&mut self, at: usize, until: Now) {
        let Some(broker) = self.brokers[at].as_ref() else {
            return;
        };
        let mut rings = broker.links.iter().filter(|side| !side.is_gone);
        let is_left_out = self.sabotage == Some(Sabotage::Hurry);
        if is_left_out {
            return self.crash(at, false);
        }
        let is_busy = rings.any(|side| !side.data.ring().is_empty());
        if is_busy && self.clock.now() < until {
            return self
                .clock
                .after(LOOK, Task::Step(Step::Leaving { at, until }));
        }
        self.control(at, Event::Stop);
        self.clock.after(LAST, Task::Step(Step::Gone { at }));
    }

    /// True when the others stay connected without a site or a link.
    pub fn is_connected_without(&self, site: Option<usize>, edge: Option<&Edge>) -> bool {
        let is_left = |one: &&Edge| {
            let is_it = edge
                .is_some_and(|edge| (edge.a, edge.b, edge.number) == (one.a, one.b, one.number));
            !is_it && site.is_none_or(|site| one.a != site && one.b != site)
        };
        let edges: Vec<Edge> = self.edges.iter().filter(is_left).copied().collect();
        let table = distances(self.size, &edges);
        let all: Vec<usize> = (0..self.size).filter(|at| Some(*at) != site).collect();
        let far = u64::MAX / 4;
        all.iter()
            .all(|at| all.iter().all(|to| table[*at][*to] < far))
    }

    /// A second process of a live site comes up beside it; gives its place.
    pub fn second_claim(&mut self, site: usize) -> usize {
        let config = self.configs[site].clone();
        let at = self.add_place(format!("second {}", self.names[site]), config);
        let claim = Claim {
            instance: Instance([200; 16]),
            since: Epoch(150),
        };
        self.start_as(at, claim, Epoch(150));
        at
    }

    /// I19: a second claim of a live site is refused, and the first one stays.
    pub fn check_claims(&mut self, site: usize, second: usize) {
        let now = self.clock.now();
        let bid = Bid::derive("sim", &self.names[site]);
        let first = Instance([u8::try_from(site + 1).unwrap_or(255); 16]).instance8();
        let mut wrong = BTreeSet::new();
        for (at, broker) in self.brokers[..self.size].iter().enumerate() {
            let Some(broker) = broker.as_ref().filter(|_| at != site) else {
                continue;
            };
            let row = broker.routes.site(bid);
            if row.is_none_or(|row| row.id.instance8 != first || row.way.is_none()) {
                wrong.insert(at);
            }
        }
        let place = self.brokers[second].as_ref();
        let links = place.map(|broker| broker.mesh.status(now).links);
        let links = links.unwrap_or_default();
        let is_in = links.iter().any(|one| one.state == LinkState::Up);
        if links.iter().any(|one| one.reason == "duplicate_site") {
            self.watch.saw("claim refused");
        }
        if is_in || !wrong.is_empty() {
            let what =
                format!("the second claim of {site} is in: {is_in}; not the first: {wrong:?}");
            self.oracle.fail("I19", None, what);
        }
    }
}
