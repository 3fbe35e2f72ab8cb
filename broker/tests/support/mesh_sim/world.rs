//! All brokers, all streams and the one loop that runs them.

use std::collections::BTreeMap;
use std::time::Duration;

use causeway_broker::mesh::config::{Address, Claim, LinkConfig, MeshConfig, Secret, Secrets};
use causeway_broker::mesh::core::Mesh;
use causeway_broker::mesh::event::CloseCause;
use causeway_broker::mesh::ids::{ConnId, Epoch, Instance, LinkId, Now, Sid};
use causeway_broker::mesh::random::Random;

use super::broker::Broker;
use super::changes::Step;
use super::clock::Clock;
use super::consumers::QueueTask;
use super::faults::Fault;
use super::flow::Flow;
use super::lies::Lies;
use super::network::{Pipe, Segment};
use super::oracle::{Note, Oracle, Subscriber};
use super::queue_oracle::QueueWorld;
use super::queues::Keeping;
use super::shrink::Most;
use super::topology::{Edge, Shape, edges};
use super::watch::Watch;

/// What is scheduled.
#[derive(Debug)]
pub enum Task {
    /// A broker's timer rings.
    Timer { at: usize, life: u32 },
    /// A dial ends.
    Connect {
        from: usize,
        to: usize,
        life: u32,
        link: LinkId,
        is_dark: bool,
    },
    /// A segment arrives.
    Arrive {
        pipe: usize,
        side: usize,
        segment: Segment,
    },
    /// A writer runs.
    Write { at: usize, conn: ConnId },
    /// A connection ends after its last word.
    Over { at: usize, conn: ConnId },
    /// One end learns of a reset.
    Reset { at: usize, conn: ConnId },
    /// A client publishes.
    Publish {
        at: usize,
        topic: &'static str,
        len: usize,
        is_owed: bool,
        ttl: Duration,
    },
    /// A subscriber comes and stays, or stays for so long.
    Come {
        at: usize,
        filter: &'static str,
        stay: Option<Duration>,
    },
    /// A subscriber goes.
    Go { subscriber: usize },
    /// A fault of the script begins or ends.
    Fault { number: usize, begins: bool },
    /// One reset of a link that flaps.
    Flap { a: usize, b: usize },
    /// Something of queues.
    Queue(QueueTask),
    /// A change that somebody makes, or a step of one.
    Step(Step),
}

/// A rule that the driver leaves out on purpose, to see that its loss is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// The duplicate window is asked, and its answer ignored.
    Window,
    /// Frames of a dead link are not marked when they are sent again.
    Mark,
    /// Frames of a dead link are not sent again.
    Resplit,
    /// R12: what was learned of reply queues is not used.
    Learned,
    /// R12 d: monitors are consumers like others.
    Monitors,
    /// R12 d: monitors at other brokers are offered what a route was learned for.
    Patterns,
    /// R12: what was learned of a topic counts only where nobody else wants it.
    Addition,
    /// R16: who refused a message is forgotten.
    Refusals,
    /// R16: what was granted stands when the consumers it was granted for are gone.
    Promises,
    /// R16: who waits for room is not told of it.
    Room,
    /// R17: a receiver takes what it has already once more.
    Repeats,
    /// R18: who took a message and has no consumer for it any more keeps it.
    Gone,
    /// R19: nobody looks at queues from time to time, neither custody nor the expiry of messages.
    Sweep,
    /// An edge counts that one end alone lists (R2).
    TwoWay,
    /// Interest that is gathered is not issued before data is queued (R6).
    Barrier,
    /// Frames above the bound of hops go on (R9), while maps differ for long because R2 is left out
    /// as well: otherwise nothing goes round for so long.
    Hops,
    /// The reader of a link waits while a ring of its broker is full (R10).
    ReaderWaits,
    /// Producers do not wait for a full ring (R10).
    Producers,
    /// Frames are forgotten when they are written, not when they are acknowledged (R10).
    Forget,
    /// Bytes of a message that a wire takes are no progress of its link (3.5).
    Took,
    /// A part of a frame is no sign of life (R11).
    Sign,
    /// What has no route is dropped at once (R14).
    Limbo,
    /// A broker that leaves does not wait for its rings (R24).
    Hurry,
    /// Frames of a link that is not configured any more are not sent again.
    Removed,
    /// A newer connection is used before all that was sent over the older one is acknowledged (R25).
    Overtake,
    /// What was not acknowledged over the older connection of a link is forgotten (R25).
    Renewed,
}

/// The network.
#[derive(Debug)]
pub struct World {
    /// The rule left out, if any.
    pub sabotage: Option<Sabotage>,
    /// Time.
    pub clock: Clock<Task>,
    /// Names of sites.
    pub names: Vec<String>,
    /// The links.
    pub edges: Vec<Edge>,
    /// Sites of the network; places after them are none of it.
    pub size: usize,
    /// The processes that run.
    pub brokers: Vec<Option<Broker>>,
    /// All streams there ever were.
    pub pipes: Vec<Pipe>,
    /// Directions in which nothing moves, and how many faults say so.
    pub dark: BTreeMap<(usize, usize), u32>,
    /// The script of faults.
    pub faults: Vec<Fault>,
    /// What was seen.
    pub oracle: Oracle,
    /// Producers, and wires that are slow.
    pub flow: Flow,
    /// Versions of records, and bytes of LSAs.
    pub watch: Watch,
    /// What brokers are told instead of the truth when R2 is left out.
    pub lies: Lies,
    /// How much of the script is played.
    pub most: Most,
    /// The configuration of each site.
    pub configs: Vec<MeshConfig>,
    /// Chance of the network.
    pub net_random: Random,
    /// Chance of faults.
    pub fault_random: Random,
    /// Chance of clients.
    pub work_random: Random,
    /// So many connections more are reset in the middle of a renewal.
    pub strikes: u32,
    /// Messages are sent while connections are opened.
    pub is_renewing: bool,
    /// Clients of queues and their history.
    pub queues: QueueWorld,
    lives: Vec<u32>,
    seed: u64,
    next_conn: u64,
}

/// One end of a link, as its site configures it.
pub fn link(edge: &Edge, own: usize, names: &[String]) -> LinkConfig {
    let peer = if own == edge.a { edge.b } else { edge.a };
    let address = Address {
        host: names[peer].clone(),
        port: 1,
    };
    let dials = own == edge.a || edge.both_dial;
    LinkConfig {
        name: edge.name(names),
        peer: names[peer].clone(),
        cost: edge.cost,
        addresses: dials.then_some(address).into_iter().collect(),
        heartbeat: Duration::from_secs(1),
        user: "link".to_owned(),
        secrets: Secrets {
            current: Some(Secret::new(b"a long shared secret")),
            previous: None,
        },
    }
}

impl World {
    /// A network of that shape in which no process runs yet.
    pub fn new(shape: Shape, brokers: usize, seed: u64) -> Self {
        let edges = edges(shape, brokers, &mut Random::new(seed ^ 1));
        let names: Vec<String> = (0..brokers).map(|at| format!("s{at}")).collect();
        let configs = (0..brokers).map(|at| {
            let mut config = MeshConfig::new("sim", &names[at]);
            config.sites = names
                .iter()
                .map(|name| (name.clone(), Sid::from_name(name)))
                .collect();
            let own = edges.iter().filter(|edge| edge.a == at || edge.b == at);
            config.links = own.map(|edge| link(edge, at, &names)).collect();
            config
        });
        Self {
            sabotage: None,
            clock: Clock::new(),
            configs: configs.collect(),
            names,
            edges,
            size: brokers,
            brokers: (0..brokers).map(|_| None).collect(),
            pipes: Vec::new(),
            dark: BTreeMap::new(),
            faults: Vec::new(),
            oracle: Oracle::default(),
            flow: Flow::default(),
            watch: Watch::default(),
            lies: Lies::default(),
            most: Most::default(),
            net_random: Random::new(seed ^ 2),
            fault_random: Random::new(seed ^ 3),
            work_random: Random::new(seed ^ 4),
            strikes: 0,
            is_renewing: false,
            queues: QueueWorld::new(seed),
            lives: vec![0; brokers],
            seed,
            next_conn: 0,
        }
    }

    /// Starts a process of a site.
    pub fn start(&mut self, at: usize) {
        let instance = Instance([u8::try_from(at + 1).unwrap_or(255); 16]);
        let since = Epoch(101);
        let epoch = Epoch(101 + u64::from(self.lives[at]));
        self.start_as(at, Claim { instance, since }, epoch);
    }

    /// Starts a process of a site with that claim and epoch.
    pub fn start_as(&mut self, at: usize, claim: Claim, epoch: Epoch) {
        self.lives[at] += 1;
        let life = self.lives[at];
        let seed = self.seed ^ (u64::try_from(at).unwrap() << 32) ^ (u64::from(life) << 48);
        let config = &self.configs[at];
        let peers: Vec<usize> = config.links.iter().map(|link| self.peer(link)).collect();
        let mesh = Mesh::new(config, claim, epoch, seed);
        let sizes = self.flow.sizes;
        let mut broker = Broker::new(mesh, config, &peers, life, sizes, self.clock.now());
        if self.queues.is_on {
            let now = self.clock.now();
            broker.keeping = Some(Keeping::new(config.bid(), broker.mesh.epoch(), now));
        }
        self.brokers[at] = Some(broker);
        self.clock
            .after(Duration::from_micros(10), Task::Timer { at, life });
    }

    /// A process ends without a word. Its host tells the other ends, or is gone as well.
    pub fn crash(&mut self, at: usize, is_silent: bool) {
        let Some(broker) = self.brokers[at].take() else {
            return;
        };
        self.queues_died(at, &broker);
        for (pipe, side) in self.ends_of(at, broker.life) {
            self.pipes[pipe].ends[side].is_open = false;
            if !is_silent {
                self.push_end(pipe, side, CloseCause::Reset);
            }
        }
        self.watch.forget(at);
        for subscriber in 0..self.oracle.subscribers.len() {
            if self.oracle.subscribers[subscriber].at == at {
                self.oracle.subscribers[subscriber].is_there = false;
            }
        }
    }

    fn ends_of(&self, at: usize, life: u32) -> Vec<(usize, usize)> {
        let all = (0..self.pipes.len()).flat_map(|pipe| [(pipe, 0), (pipe, 1)]);
        all.filter(|(pipe, side)| {
            let end = self.pipes[*pipe].ends[*side];
            end.at == at && end.life == life && end.is_open
        })
        .collect()
    }

    /// The broker that a link leads to.
    pub fn peer(&self, link: &LinkConfig) -> usize {
        let is_it = |name: &String| *name == link.peer;
        self.names.iter().position(is_it).unwrap_or(usize::MAX)
    }

    /// Adds a place where a process can run that is no part of the network.
    pub fn add_place(&mut self, name: String, config: MeshConfig) -> usize {
        self.names.push(name);
        self.configs.push(config);
        self.lives.push(0);
        self.brokers.push(None);
        self.brokers.len() - 1
    }

    /// The process that runs at a site.
    pub fn life(&self, at: usize) -> Option<u32> {
        self.brokers[at].as_ref().map(|broker| broker.life)
    }

    /// A number for a connection.
    pub fn new_conn(&mut self) -> ConnId {
        self.next_conn += 1;
        ConnId(self.next_conn)
    }

    /// True while nothing moves in that direction.
    pub fn is_dark(&self, from: usize, to: usize) -> bool {
        self.dark.contains_key(&(from, to))
    }

    /// One-way delay between two neighbours.
    pub fn delay(&self, a: usize, b: usize) -> Duration {
        let edge = self
            .edges
            .iter()
            .find(|edge| (edge.a, edge.b) == (a, b) || (edge.b, edge.a) == (a, b));
        edge.map_or(Duration::from_millis(1), |edge| edge.delay)
    }

    /// Runs until a time, or until an invariant is broken.
    pub fn run_until(&mut self, end: Now) {
        while self.oracle.failure.is_none() {
            let Some(task) = self.clock.pop(end) else {
                return;
            };
            self.perform(task);
        }
    }

    /// Runs for a time.
    pub fn run(&mut self, time: Duration) {
        self.run_until(self.clock.now().plus(time));
    }

    fn perform(&mut self, task: Task) {
        match task {
            Task::Timer { at, life } => {
                let is_set = self.brokers[at].as_ref().is_some_and(|broker| {
                    let is_due = broker.timer.is_none_or(|due| due <= self.clock.now());
                    broker.life == life && is_due
                });
                if is_set {
                    self.timer(at);
                }
            }
            Task::Connect {
                from,
                to,
                life,
                link,
                is_dark,
            } => {
                self.connect(from, to, life, link, is_dark);
            }
            Task::Arrive {
                pipe,
                side,
                segment,
            } => self.arrive(pipe, side, segment),
            Task::Write { at, conn } => self.write(at, conn),
            Task::Over { at, conn } => self.end(at, conn, CloseCause::Closed),
            Task::Reset { at, conn } => self.end(at, conn, CloseCause::Reset),
            Task::Publish {
                at,
                topic,
                len,
                is_owed,
                ttl,
            } => drop(self.publish(at, topic, len, is_owed, ttl)),
            Task::Come { at, filter, stay } => self.come(at, filter, stay),
            Task::Go { subscriber } => self.go(subscriber),
            Task::Fault { number, begins } => self.fault(number, begins),
            Task::Flap { a, b } => self.reset_link(a, b),
            Task::Queue(task) => self.queue_task(task),
            Task::Step(step) => self.step(step),
        }
    }

    /// A subscriber comes, and goes after a while.
    pub fn come(&mut self, at: usize, filter: &'static str, stay: Option<Duration>) {
        if self.brokers[at].is_none() {
            return;
        }
        let number = self.oracle.subscribers.len();
        self.oracle.subscribers.push(Subscriber {
            at,
            filter,
            is_there: true,
            is_known: false,
            got: std::collections::BTreeSet::new(),
        });
        let comes = true;
        self.oracle
            .note(self.clock.now(), Note::Subscriber { number, comes });
        self.local_interest(at, filter, true);
        if let Some(stay) = stay {
            self.clock.after(stay, Task::Go { subscriber: number });
        }
    }

    /// A subscriber goes.
    pub fn go(&mut self, number: usize) {
        let one = &mut self.oracle.subscribers[number];
        if !std::mem::take(&mut one.is_there) {
            return;
        }
        let (at, filter, comes) = (one.at, one.filter, false);
        self.oracle
            .note(self.clock.now(), Note::Subscriber { number, comes });
        self.local_interest(at, filter, false);
    }
}
