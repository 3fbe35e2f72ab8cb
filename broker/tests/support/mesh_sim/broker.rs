//! One broker as the driver of links runs it: the same calls in the same order as `link::node` and
//! `link::data`, with the clock of the simulator. Queues of bytes and rings are the driver's own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use causeway_broker::link::conn::Conn;
use causeway_broker::link::interest::RemoteInterest;
use causeway_broker::link::lasting::LinkData;
use causeway_broker::mesh::config::MeshConfig;
use causeway_broker::mesh::core::Mesh;
use causeway_broker::mesh::custody;
use causeway_broker::mesh::event::{Action, Actions, Counter, Event, Lane};
use causeway_broker::mesh::forward::Routes as _;
use causeway_broker::mesh::frame::{FrameType, Header};
use causeway_broker::mesh::ids::{ConnId, LinkId, Now};
use causeway_broker::mesh::interest::{Demand, LocalChange};
use causeway_broker::mesh::limbo::{Limbo, Over};
use causeway_broker::mesh::messages::Kind;
use causeway_broker::mesh::routes::Routes;
use causeway_broker::mesh::window::Windows;
use causeway_broker::metrics::Metrics;
use prometheus::IntCounter;

use super::flow::Sizes;
use super::oracle::Note;
use super::queues::Keeping;
use super::streams::Serving;
use super::world::{Sabotage, Task, World};

/// How long a frame stays in limbo.
pub const LIMBO_TIME: Duration = Duration::from_secs(2);

/// A frame's place behind control: connection, and map and interest frames queued before it.
type Barrier = (ConnId, u64);
/// What a frame is called: origin, epoch, number.
pub type FrameKey = (u16, u64, u64);

/// A link of a broker.
#[derive(Debug)]
pub struct LinkSide {
    /// The driver's own part.
    pub data: Arc<LinkData>,
    /// The broker at the other end.
    pub peer: usize,
    /// What was queued before each waiting frame (I9).
    pub barriers: BTreeMap<FrameKey, Barrier>,
    /// The link is not configured any more.
    pub is_gone: bool,
    /// Frames of clients that its ring took since it is full.
    pub beyond: usize,
    /// Frames that its ring dropped because their time was over.
    pub expired: IntCounter,
}

/// One process of a broker.
#[derive(Debug)]
pub struct Broker {
    /// Which process of the site this is.
    pub life: u32,
    /// Its control plane.
    pub mesh: Mesh,
    /// Its links by index.
    pub links: Vec<LinkSide>,
    /// Open connections, as control sees them.
    pub conns: BTreeMap<ConnId, Arc<Conn>>,
    /// Streams that are read and written.
    pub serving: BTreeMap<ConnId, Serving>,
    /// The routes in force.
    pub routes: Arc<Routes>,
    /// What others want.
    pub interest: RemoteInterest,
    /// When the timer is set to.
    pub timer: Option<Now>,
    /// What waits for a route.
    pub limbo: Limbo,
    /// The duplicate windows.
    pub windows: Windows,
    /// Number of the last frame of its own.
    pub next_seq: u64,
    /// What it may keep.
    pub sizes: Sizes,
    /// It shuts down: its clients are gone.
    pub is_leaving: bool,
    /// What its links count.
    pub metrics: Metrics,
    next_sweep: Now,
    /// A client's frame went into a ring that is three quarters full.
    pub slows: bool,
    /// Queues and custody, in runs that have queues.
    pub keeping: Option<Keeping>,
    has_pending_interest: bool,
    local: BTreeMap<&'static str, u32>,
}

impl Drop for Broker {
    /// A process that ends leaves nothing: a link and the connection that carries it hold each other.
    fn drop(&mut self) {
        for side in &self.links {
            let _ = side.data.die(Now(0));
        }
    }
}

impl Broker {
    /// A process that starts.
    pub fn new(
        mesh: Mesh,
        config: &MeshConfig,
        peers: &[usize],
        life: u32,
        sizes: Sizes,
        now: Now,
    ) -> Self {
        let mut broker = Self {
            life,
            links: Vec::new(),
            routes: mesh.routes(),
            mesh,
            conns: BTreeMap::new(),
            serving: BTreeMap::new(),
            interest: RemoteInterest::default(),
            timer: None,
            limbo: Limbo::new(sizes.limbo, LIMBO_TIME),
            windows: Windows::new(Duration::from_secs(60), sizes.windows),
            next_seq: 0,
            sizes,
            is_leaving: false,
            metrics: Metrics::new(),
            next_sweep: now,
            slows: false,
            keeping: None,
            has_pending_interest: false,
            local: BTreeMap::new(),
        };
        broker.set_links(config, peers, now);
        broker
    }

    /// Makes the links those of the configuration; gives those that went.
    pub fn set_links(&mut self, config: &MeshConfig, peers: &[usize], now: Now) -> Vec<LinkId> {
        let mut kept = Vec::new();
        for (link, peer) in config.links.iter().zip(peers) {
            let Some(id) = self.mesh.link(&link.name) else {
                continue;
            };
            kept.push(id);
            if id.index() < self.links.len() {
                continue;
            }
            let (ring, metrics) = (self.sizes.ring, &self.metrics);
            let labels = [link.name.as_str(), link.peer.as_str(), "expired"];
            let expired = metrics.links.dropped.with_label_values(&labels);
            self.links.push(LinkSide {
                data: Arc::new(LinkData::new(
                    id, &link.name, &link.peer, ring, metrics, now,
                )),
                peer: *peer,
                barriers: BTreeMap::new(),
                is_gone: false,
                beyond: 0,
                expired,
            });
        }
        let sides = self.links.iter_mut();
        let went = sides.filter(|side| !side.is_gone && !kept.contains(&side.data.id));
        let went = went.map(|side| {
            side.is_gone = true;
            side.data.id
        });
        went.collect()
    }

    /// When something is due.
    pub fn deadline(&self) -> Now {
        let keeping = self.keeping.as_ref().map(Keeping::deadline);
        [self.mesh.deadline(), self.limbo.deadline(), keeping]
            .into_iter()
            .flatten()
            .fold(self.next_sweep, Now::min)
    }

    /// The link whose data a connection carries.
    pub fn link_over(&self, conn: ConnId) -> Option<LinkId> {
        Some(self.conns.get(&conn)?.link()?.id)
    }
}

fn is_map_or_interest(frame: &[u8]) -> bool {
    Header::decode(frame)
        .and_then(|header| FrameType::from_code(header.code))
        .is_some_and(|kind| matches!(kind, FrameType::Lsa | FrameType::Int | FrameType::IntSnap))
}

impl World {
    /// Tells the control plane of a broker, and does what it asks for.
    pub fn control(&mut self, at: usize, event: Event) {
        let now = self.clock.now();
        let Some(broker) = self.brokers[at].as_mut() else {
            return;
        };
        let mut actions = Actions::new();
        broker.mesh.handle(event, now, &mut actions);
        broker.has_pending_interest = broker.mesh.has_pending_interest();
        let late = self.carry_out(at, actions);
        self.carry_out_late(at, late);
        self.set_timer(at);
    }

    /// Issues interest that is gathered but not said yet.
    pub fn issue_interest(&mut self, at: usize) {
        let now = self.clock.now();
        let Some(broker) = self.brokers[at].as_mut() else {
            return;
        };
        let is_left_out = self.sabotage == Some(Sabotage::Barrier);
        if is_left_out || !std::mem::take(&mut broker.has_pending_interest) {
            return;
        }
        let mut actions = Actions::new();
        broker.mesh.flush_interest(now, &mut actions);
        let late = self.carry_out(at, actions);
        self.carry_out_late(at, late);
    }

    /// Carries out what concerns connections and routes; gives what reaches into rings.
    pub fn carry_out(&mut self, at: usize, actions: Actions) -> Actions {
        let now = self.clock.now();
        let mut late = Actions::new();
        for action in actions {
            let Some(broker) = self.brokers[at].as_mut() else {
                break;
            };
            match action {
                Action::Dial { link, address } => self.dial(at, link, &address.host),
                Action::Send {
                    conn,
                    frame,
                    lane,
                    replaces,
                } => {
                    if let Some(open) = broker.conns.get(&conn) {
                        let counts = lane == Lane::Ordered && is_map_or_interest(&frame);
                        if let Some(serving) = broker.serving.get_mut(&conn)
                            && counts
                        {
                            serving.queue(replaces);
                        }
                        open.send(frame, lane, replaces);
                        self.wake(at, conn);
                    }
                }
                Action::Close { conn, last } => {
                    if let Some(open) = broker.conns.remove(&conn) {
                        open.close(last);
                        self.wake(at, conn);
                    }
                }
                Action::AskRoom(conn) => {
                    if let Some(open) = broker.conns.get(&conn) {
                        open.ask_room();
                        self.wake(at, conn);
                    }
                }
                Action::LinkUp { link, conn, .. } => {
                    if let (Some(side), Some(open)) = (
                        broker.links.get(link.index()),
                        broker.conns.get(&conn).cloned(),
                    ) {
                        side.data.set_conn(open);
                        self.oracle.note(now, Note::LinkUp { at, link: link.0 });
                        self.wake(at, conn);
                    }
                }
                Action::Drain { link, conn } => {
                    if self.begin_renewal(at, link, conn) {
                        late.push(Action::Drain { link, conn });
                    }
                }
                Action::TakeOver { link } => self.take_over(at, link),
                Action::Publish(routes) => {
                    broker.routes = routes.clone();
                    let reached = routes.sites().iter().filter(|s| s.way.is_some()).count();
                    self.oracle.note(now, Note::Routes { at, reached });
                    late.push(Action::Publish(routes));
                }
                Action::Count(Counter::RoundTripMicros(link), by) => {
                    if let Some(side) = broker.links.get(link.index()) {
                        side.data.note_rtt(by);
                    }
                }
                Action::Log(_) | Action::Count(..) => {}
                other => late.push(other),
            }
        }
        late
    }

    /// Carries out the rest.
    pub fn carry_out_late(&mut self, at: usize, actions: Actions) {
        for action in actions {
            match action {
                Action::Publish(routes) => {
                    self.note_lost(at, &routes);
                    self.retry_limbo(at, &routes);
                    self.tell_custody(at, &routes);
                }
                Action::Drain { link, conn } => self.control(at, Event::Drained { link, conn }),
                Action::Resplit(link) if self.has_link(at, link) => self.resplit(at, link),
                Action::Entries(changes) => self.take_entries(at, changes),
                Action::Purged(bid) => self.custody(at, custody::Event::Purged(bid)),
                Action::Epoch(epoch) => self.custody(at, custody::Event::Epoch(epoch)),
                Action::Route { to, body } => self.send_control(at, to, body),
                _ => {}
            }
        }
    }

    /// The timer of a broker rang.
    pub fn timer(&mut self, at: usize) {
        let now = self.clock.now();
        let Some(broker) = self.brokers[at].as_mut() else {
            return;
        };
        broker.timer = None;
        if broker.mesh.deadline().is_some_and(|due| due <= now) {
            self.control(at, Event::Tick);
        }
        let Some(broker) = self.brokers[at].as_mut() else {
            return;
        };
        let (mut dropped, mut again) = (Vec::new(), Vec::new());
        let routes = broker.routes.clone();
        broker
            .limbo
            .expire(now, routes.hop_bound(), |over| match over {
                Over::Dropped(frame) => dropped.push(frame),
                Over::Again(frame) => again.push(frame),
            });
        let is_sweep = broker.next_sweep <= now;
        if is_sweep {
            broker.next_sweep = now.plus(Duration::from_millis(500));
            broker.windows.sweep(now);
        }
        for frame in dropped {
            self.lost(at, &frame);
        }
        for frame in again {
            let source = self.transit(at);
            self.place(at, &routes, frame, source);
        }
        if is_sweep {
            self.tell_levels(at);
            self.watch_versions(at);
        }
        self.queue_timer(at);
        self.set_timer(at);
    }

    /// Sets the timer of a broker to what is due first.
    pub fn set_timer(&mut self, at: usize) {
        let now = self.clock.now();
        let Some(broker) = self.brokers[at].as_mut() else {
            return;
        };
        let due = broker.deadline().max(now.plus(Duration::from_micros(200)));
        if broker.timer.is_none_or(|timer| due < timer) {
            broker.timer = Some(due);
            let life = broker.life;
            self.clock.at(due, Task::Timer { at, life });
        }
    }

    /// A local consumer came or went.
    pub fn local_interest(&mut self, at: usize, filter: &'static str, comes: bool) {
        let Some(broker) = self.brokers[at].as_mut() else {
            return;
        };
        let count = broker.local.entry(filter).or_default();
        *count = if comes { *count + 1 } else { *count - 1 };
        let change = LocalChange {
            kind: Kind::Topic,
            filter: Arc::from(filter),
            demand: (*count > 0).then(|| Demand::of(*count)),
        };
        self.control(at, Event::Interest(vec![change]));
    }
}
