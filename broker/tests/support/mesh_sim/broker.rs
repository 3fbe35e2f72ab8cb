//! One broker as the driver of links runs it: the same calls in the same order as `link::node` and
//! `link::data`, with the clock of the simulator. Queues of bytes and rings are the driver's own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use causeway_broker::broker::matching::TopicRoute;
use causeway_broker::link::conn::{Conn, LinkData};
use causeway_broker::link::interest::RemoteInterest;
use causeway_broker::mesh::config::{Claim, MeshConfig};
use causeway_broker::mesh::core::Mesh;
use causeway_broker::mesh::event::{Action, Actions, Counter, Event, Lane};
use causeway_broker::mesh::forward::{self, DSet, Local, Onward, Received, Routes as _, Split};
use causeway_broker::mesh::frame::{
    FrameType, FwdFrame, Header, PayloadKind, TF_PERSISTENT, TF_RELIABLE, TailHead,
};
use causeway_broker::mesh::ids::{Bid, ConnId, Epoch, LinkId, Now, Sid};
use causeway_broker::mesh::interest::{Demand, LocalChange};
use causeway_broker::mesh::limbo::{Limbo, Parked};
use causeway_broker::mesh::messages::{Body, Kind, Unicast};
use causeway_broker::mesh::ring::{Append, Queued, Source};
use causeway_broker::mesh::routes::Routes;
use causeway_broker::mesh::window::Windows;
use causeway_broker::metrics::Metrics;
use prost::Message as _;

use super::oracle::Note;
use super::streams::Serving;
use super::world::{Task, World};

/// Bytes of one ring.
const RING: usize = 4 << 20;
/// Overflow area of a broker.
const OVERFLOW: usize = 4 << 20;
/// How long a frame stays in limbo.
const LIMBO_TIME: Duration = Duration::from_secs(2);

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
    windows: Windows,
    next_seq: u64,
    next_sweep: Now,
    has_pending_interest: bool,
    local: BTreeMap<&'static str, u32>,
}

impl Broker {
    /// A process that starts.
    pub fn new(
        config: &MeshConfig,
        peers: &[usize],
        claim: Claim,
        life: u32,
        seed: u64,
        now: Now,
    ) -> Self {
        let mesh = Mesh::new(config, claim, Epoch(100 + u64::from(life)), seed);
        let metrics = Metrics::new();
        let links = config.links.iter().zip(peers).map(|(link, peer)| {
            let id = mesh.link(&link.name).unwrap_or_default();
            LinkSide {
                data: Arc::new(LinkData::new(id, &link.name, &link.peer, RING, &metrics, now)),
                peer: *peer,
                barriers: BTreeMap::new(),
            }
        });
        Self {
            life,
            links: links.collect(),
            routes: mesh.routes(),
            mesh,
            conns: BTreeMap::new(),
            serving: BTreeMap::new(),
            interest: RemoteInterest::default(),
            timer: None,
            limbo: Limbo::new(8 << 20, LIMBO_TIME),
            windows: Windows::new(Duration::from_secs(60), 16 << 20),
            next_seq: 0,
            next_sweep: now,
            has_pending_interest: false,
            local: BTreeMap::new(),
        }
    }

    /// When something is due.
    pub fn deadline(&self) -> Now {
        [self.mesh.deadline(), self.limbo.deadline()]
            .into_iter()
            .flatten()
            .fold(self.next_sweep, Now::min)
    }

    /// The link whose data a connection carries.
    pub fn link_over(&self, conn: ConnId) -> Option<LinkId> {
        let link = self
            .links
            .iter()
            .find(|link| link.data.conn().is_some_and(|own| own.id == conn))?;
        Some(link.data.id)
    }
}

/// The number in a message's payload.
pub fn number_of(frame: &FwdFrame) -> Option<u64> {
    let payload = frame.payload();
    if frame.tail_head.kind != PayloadKind::Topic {
        return None;
    }
    Some(u64::from_be_bytes(payload.get(..8)?.try_into().ok()?))
}

fn number_in(queued: &Queued) -> Option<u64> {
    if queued.tail_head.kind != PayloadKind::Topic {
        return None;
    }
    let bytes = queued.tail.get(32..40)?.try_into().ok()?;
    Some(u64::from_be_bytes(bytes))
}

fn key_of(queued: &Queued) -> FrameKey {
    let head = &queued.tail_head;
    (head.origin.0, head.epoch.0, head.seq)
}

fn is_map_or_interest(frame: &[u8]) -> bool {
    Header::decode(frame)
        .and_then(|header| FrameType::from_code(header.code))
        .is_some_and(|kind| {
            matches!(kind, FrameType::Lsa | FrameType::Int | FrameType::IntSnap)
        })
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

    fn issue_interest(&mut self, at: usize) {
        let now = self.clock.now();
        let Some(broker) = self.brokers[at].as_mut() else {
            return;
        };
        if !std::mem::take(&mut broker.has_pending_interest) {
            return;
        }
        let mut actions = Actions::new();
        broker.mesh.flush_interest(now, &mut actions);
        let late = self.carry_out(at, actions);
        self.carry_out_late(at, late);
    }

    fn carry_out(&mut self, at: usize, actions: Actions) -> Actions {
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
                            serving.queued += 1;
                            if replaces.is_some() {
                                self.oracle.fail("I9", None, "a record replaced".to_owned());
                            }
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
                        open.carry(&side.data);
                        side.data.set_conn(Some(open));
                        self.oracle.note(now, Note::LinkUp { at, link: link.0 });
                        self.wake(at, conn);
                    }
                }
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
                Action::Log(_) | Action::Count(..) | Action::Epoch(_) => {}
                other => late.push(other),
            }
        }
        late
    }

    fn carry_out_late(&mut self, at: usize, actions: Actions) {
        for action in actions {
            match action {
                Action::Publish(routes) => self.retry_limbo(at, &routes),
                Action::Resplit(link) => self.resplit(at, link),
                Action::Entries(changes) => {
                    if let Some(broker) = self.brokers[at].as_mut() {
                        broker.interest.apply(changes);
                    }
                }
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
        let mut dropped = Vec::new();
        broker.limbo.expire(now, |frame| dropped.push(frame));
        if broker.next_sweep <= now {
            broker.next_sweep = now.plus(Duration::from_millis(500));
            broker.windows.sweep(now);
        }
        for frame in dropped {
            self.lost(at, &frame);
        }
        self.set_timer(at);
    }

    fn set_timer(&mut self, at: usize) {
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

    fn tail_head(&mut self, at: usize, kind: PayloadKind, flags: u16) -> Option<TailHead> {
        let broker = self.brokers[at].as_mut()?;
        broker.next_seq += 1;
        Some(TailHead {
            origin: broker.routes.own(),
            class: 0,
            kind,
            label: 0,
            flags,
            epoch: broker.routes.epoch(),
            seq: broker.next_seq,
            ttl_ms: 0,
            payload_len: 0,
        })
    }

    /// A client publishes a message: its local subscribers first, then other brokers.
    pub fn publish(&mut self, at: usize, topic: &'static str, len: usize, is_owed: bool) {
        let now = self.clock.now();
        if self.brokers[at].is_none() {
            return;
        }
        let number = self.oracle.publish(at, topic, is_owed, now);
        self.oracle.deliver(number, at, now);
        let Some(broker) = self.brokers[at].as_ref() else {
            return;
        };
        let mut route = TopicRoute::default();
        broker.interest.topic_into(topic, &broker.routes, &mut route);
        self.issue_interest(at);
        let Some(broker) = self.brokers[at].as_ref() else {
            return;
        };
        let routes = broker.routes.clone();
        let mut dset = DSet::new();
        for sid in route.remote.iter().filter(|sid| **sid != routes.own().0) {
            dset.insert(Sid(*sid));
        }
        if dset.is_empty() {
            return;
        }
        let flags = [0, TF_PERSISTENT | TF_RELIABLE][usize::from(number % 2 == 0)];
        let Some(head) = self.tail_head(at, PayloadKind::Topic, flags) else {
            return;
        };
        let mut payload = BytesMut::with_capacity(8 + len);
        payload.put_u64(number);
        payload.put_bytes(0x5a, len);
        let tail = head.with_payload(&[&payload]);
        self.place(at, &routes, Queued::own(dset, head, tail, now), Source::Client);
    }

    fn send_control(&mut self, at: usize, to: Bid, body: Body) {
        let now = self.clock.now();
        let Some(broker) = self.brokers[at].as_ref() else {
            return;
        };
        let routes = broker.routes.clone();
        let Some(site) = routes.site(to).filter(|site| site.way.is_some()) else {
            return;
        };
        let unicast = Unicast {
            to: to.0.to_vec(),
            from: routes.bid().0.to_vec(),
            body: Some(body),
        };
        let Some(head) = self.tail_head(at, PayloadKind::Control, 0) else {
            return;
        };
        let tail = head.with_payload(&[&unicast.encode_to_vec()]);
        let frame = Queued::own(DSet::of(site.sid), head, tail, now);
        self.place(at, &routes, frame, Source::Control);
    }

    fn place(&mut self, at: usize, routes: &Routes, frame: Queued, source: Source) {
        let now = self.clock.now();
        let mut split = Split::default();
        forward::split(routes, &frame.tail_head, &frame.dset, &mut split);
        self.check_split(at, &frame, &split);
        for (link, dset) in split.parts() {
            self.append(at, *link, frame.with_dset(dset.clone()), source);
        }
        if !split.rest().is_empty() {
            self.park(at, frame.with_dset(split.rest().clone()), now);
        }
    }

    /// I4: the parts are disjoint and together what was split.
    fn check_split(&mut self, at: usize, frame: &Queued, split: &Split) {
        let mut seen = BTreeSet::new();
        let parts = split.parts().iter().map(|(_, dset)| dset);
        for sid in parts.chain([split.rest()]).flat_map(DSet::iter) {
            if !seen.insert(sid) || !frame.dset.contains(sid) {
                let what = format!("site {sid:?} twice or too much in a split at {at}");
                self.oracle.fail("I4", number_in(frame), what);
            }
        }
        if seen.len() != frame.dset.len() {
            let what = format!("a split at {at} forgets sites");
            self.oracle.fail("I4", number_in(frame), what);
        }
    }

    fn append(&mut self, at: usize, link: LinkId, frame: Queued, source: Source) {
        let now = self.clock.now();
        let Some(broker) = self.brokers[at].as_mut() else {
            return;
        };
        let Some(side) = broker.links.get_mut(link.index()) else {
            return self.park(at, frame, now);
        };
        let conn = side.data.conn().map(|conn| conn.id);
        let queued = conn.and_then(|conn| Some((conn, broker.serving.get(&conn)?.queued)));
        match queued {
            Some(barrier) => drop(side.barriers.insert(key_of(&frame), barrier)),
            None => drop(side.barriers.remove(&key_of(&frame))),
        }
        if side.data.append(frame.clone(), source, now) != Append::Placed {
            self.lost(at, &frame);
        } else if let Some(conn) = conn {
            self.wake(at, conn);
        }
    }

    fn lost(&mut self, at: usize, frame: &Queued) {
        if let Some(message) = number_in(frame) {
            self.oracle
                .note(self.clock.now(), Note::Lost { message, at });
        }
    }

    fn park(&mut self, at: usize, frame: Queued, now: Now) {
        if let Some(message) = number_in(&frame) {
            self.oracle.note(now, Note::Parked { message, at });
        }
        let Some(broker) = self.brokers[at].as_mut() else {
            return;
        };
        if !broker.limbo.park(frame.clone(), now) {
            self.lost(at, &frame);
        }
        self.set_timer(at);
    }

    fn retry_limbo(&mut self, at: usize, routes: &Routes) {
        let Some(broker) = self.brokers[at].as_mut() else {
            return;
        };
        for waiting in broker.limbo.take(routes.generation()) {
            let Parked { frame, since } = waiting;
            let mut split = Split::default();
            forward::split(routes, &frame.tail_head, &frame.dset, &mut split);
            self.check_split(at, &frame, &split);
            for (link, dset) in split.parts() {
                self.append(at, *link, frame.with_dset(dset.clone()), TRANSIT);
            }
            if !split.rest().is_empty() {
                let frame = frame.with_dset(split.rest().clone());
                let again = Parked {
                    frame: frame.clone(),
                    since,
                };
                let is_kept = self.brokers[at]
                    .as_mut()
                    .is_some_and(|broker| broker.limbo.park_again(again));
                if !is_kept {
                    self.lost(at, &frame);
                }
            }
        }
    }

    fn resplit(&mut self, at: usize, link: LinkId) {
        let now = self.clock.now();
        let Some(broker) = self.brokers[at].as_mut() else {
            return;
        };
        let routes = broker.routes.clone();
        let Some(side) = broker.links.get_mut(link.index()) else {
            return;
        };
        side.data.set_conn(None);
        side.barriers.clear();
        let frames: Vec<Queued> = side.data.ring().die(now).collect();
        self.oracle.note(now, Note::LinkDown { at, link: link.0 });
        for frame in frames {
            if let Some(message) = number_in(&frame) {
                self.oracle.message(message).is_marked |= frame.is_marked;
                self.oracle.note(now, Note::Resplit { message, at });
            }
            if frame.is_over(now).is_some() {
                self.lost(at, &frame);
            } else {
                self.place(at, &routes, frame, TRANSIT);
            }
        }
    }

    /// A frame arrived over a link.
    pub fn on_fwd(&mut self, at: usize, link: LinkId, mut frame: FwdFrame) {
        let now = self.clock.now();
        let Some(broker) = self.brokers[at].as_mut() else {
            return;
        };
        let routes = broker.routes.clone();
        let Some(side) = broker.links.get(link.index()) else {
            return;
        };
        let (before, rtt) = (frame.dset.clone(), side.data.rtt());
        let received = forward::receive(&*routes, &mut broker.windows, &mut frame, rtt, now);
        if let Some(message) = number_of(&frame) {
            self.oracle.note(now, Note::Received { message, at });
            if before.contains(routes.own()) {
                self.oracle.arrived(message, at, frame.head.is_marked);
            }
        }
        let Received::Handle { local, onward } = received else {
            return self.lost(at, &Queued::part(&frame, before, now));
        };
        match local {
            Local::Deliver => self.deliver(at, &frame),
            Local::Duplicate => {
                if let Some(message) = number_of(&frame) {
                    self.oracle.note(now, Note::Duplicate { message, at });
                }
            }
            Local::No => {}
        }
        match onward {
            Onward::Done => {}
            Onward::Split => {
                let part = Queued::part(&frame, frame.dset.clone(), now);
                if part.hops > routes.hop_bound() {
                    let what = format!("{} hops at {at}", part.hops);
                    self.oracle.fail("I6", number_of(&frame), what);
                }
                self.issue_interest(at);
                self.place(at, &routes, part, TRANSIT);
            }
            Onward::Park => self.park(at, Queued::part(&frame, frame.dset.clone(), now), now),
        }
    }

    fn deliver(&mut self, at: usize, frame: &FwdFrame) {
        if let Some(number) = number_of(frame) {
            return self.oracle.deliver(number, at, self.clock.now());
        }
        let Ok(unicast) = Unicast::decode(&frame.payload()[..]) else {
            let what = "routed control does not decode".to_owned();
            return self.oracle.fail("control", None, what);
        };
        if let (Some(from), Some(body)) = (Bid::from_slice(&unicast.from), unicast.body) {
            self.control(at, Event::Routed { from, body });
        }
    }
}

/// Frames of other brokers.
const TRANSIT: Source = Source::Transit {
    overflow_room: OVERFLOW,
};
