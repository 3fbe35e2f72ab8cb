//! Some cores and the wires between them, in one thread and with one clock. Frames really are
//! encoded and decoded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::sites::{claim, config, link};
use crate::mesh::config::{Claim, MeshConfig};
use crate::mesh::core::Mesh;
use crate::mesh::event::{
    Action, CloseCause, ControlFrame, DialFailure, Event, MeshLog, Transport,
};
use crate::mesh::frame::{FrameType, HEADER_LEN, Header};
use crate::mesh::ids::{Bid, ConnId, Epoch, LinkId, Now};
use crate::mesh::interest::{EntryChange, RemoteEntry};
use crate::mesh::session::LinkState;

const LATENCY: Duration = Duration::from_millis(1);

/// One end of a connection.
#[derive(Debug, Clone, Copy)]
struct End {
    node: usize,
    conn: ConnId,
}

pub(super) struct Node {
    pub(super) mesh: Mesh,
    pub(super) config: MeshConfig,
    pub(super) is_running: bool,
    pub(super) entries: BTreeMap<(Bid, u64), Arc<RemoteEntry>>,
    pub(super) log: Vec<MeshLog>,
    pub(super) resplit: Vec<LinkId>,
    pub(super) epochs: Vec<Epoch>,
}

pub(super) struct Pump {
    pub(super) nodes: Vec<Node>,
    pub(super) now: Now,
    /// Pairs of nodes whose wires are cut: nothing arrives, nobody is told.
    pub(super) cut: BTreeSet<(usize, usize)>,
    /// Everything that was sent, for tests of traffic.
    pub(super) frames: Vec<(usize, FrameType, Vec<u8>)>,
    /// Links that went on over another connection.
    pub(super) renewed: Vec<(usize, LinkId)>,
    /// What connections look like; may be changed for one test.
    pub(super) transport: fn(&Node, &Node, [u8; 32]) -> Transport,
    /// Pairs of nodes between which frames were lost.
    damaged: BTreeSet<(usize, usize)>,
    peers: BTreeMap<ConnId, End>,
    events: BTreeMap<(Now, u64), (usize, Event)>,
    next: u64,
}

fn password(own: &Node, _: &Node, binding: [u8; 32]) -> Transport {
    Transport {
        tls: own.config.tls,
        binding: Some(binding),
        ..Transport::default()
    }
}

impl Pump {
    pub(super) fn new() -> Self {
        Self {
            nodes: Vec::new(),
            now: Now(1_000_000_000),
            cut: BTreeSet::new(),
            frames: Vec::new(),
            renewed: Vec::new(),
            transport: password,
            damaged: BTreeSet::new(),
            peers: BTreeMap::new(),
            events: BTreeMap::new(),
            next: 1,
        }
    }

    /// Sites and the edges between them; the first site of an edge dials.
    pub(super) fn of(sites: &[&str], edges: &[(&str, &str)]) -> Self {
        let mut pump = Self::new();
        for site in sites {
            let links = edges
                .iter()
                .filter(|(one, other)| one == site || other == site)
                .map(|(one, other)| {
                    let peer = if one == site { other } else { one };
                    link(&format!("{one}-{other}"), peer, one == site)
                })
                .collect();
            let byte = u8::try_from(pump.nodes.len() + 1).unwrap();
            pump.add(config(site, sites, links), claim(byte, 1), 1);
        }
        pump
    }

    pub(super) fn add(&mut self, config: MeshConfig, claim: Claim, epoch: u64) -> usize {
        let at = self.nodes.len();
        let mesh = Mesh::new(&config, claim, Epoch(epoch), u64::try_from(at).unwrap() + 7);
        self.nodes.push(Node {
            mesh,
            config,
            is_running: true,
            entries: BTreeMap::new(),
            log: Vec::new(),
            resplit: Vec::new(),
            epochs: Vec::new(),
        });
        at
    }

    pub(super) fn node(&self, site: &str) -> &Node {
        &self.nodes[self.index(site)]
    }

    pub(super) fn index(&self, site: &str) -> usize {
        self.nodes
            .iter()
            .position(|node| node.config.site == site && node.is_running)
            .unwrap()
    }

    /// State and reason of a link as one end shows them.
    pub(super) fn state(&self, site: &str, link: &str) -> (LinkState, &'static str) {
        let status = self.node(site).mesh.status(self.now);
        let link = status
            .links
            .into_iter()
            .find(|one| one.name == link)
            .unwrap();
        (link.state, link.reason)
    }

    /// Sites that a site reaches, without itself.
    pub(super) fn reached(&self, site: &str) -> Vec<String> {
        let routes = self.node(site).mesh.routes();
        let mut reached: Vec<String> = routes
            .sites()
            .iter()
            .filter(|row| row.way.is_some())
            .map(|row| row.site.to_string())
            .collect();
        reached.sort();
        reached
    }

    /// Gives an event to a node at once.
    pub(super) fn tell(&mut self, node: usize, event: Event) {
        let mut actions = Vec::new();
        self.nodes[node].mesh.handle(event, self.now, &mut actions);
        for action in actions {
            self.act(node, action);
        }
    }

    /// Puts a changed configuration of a site in force.
    pub(super) fn configure(&mut self, site: &str, change: impl FnOnce(&mut MeshConfig)) {
        let at = self.index(site);
        change(&mut self.nodes[at].config);
        let config = Box::new(self.nodes[at].config.clone());
        self.tell(at, Event::Config(config));
    }

    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now.plus(time);
        for _ in 0..200_000 {
            let event = self.events.first_key_value().map(|((at, _), _)| *at);
            let tick = (0..self.nodes.len())
                .filter(|node| self.nodes[*node].is_running)
                .filter_map(|node| Some((self.nodes[node].mesh.deadline()?, node)))
                .min();
            let next = event.into_iter().chain(tick.map(|(at, _)| at)).min();
            let Some(next) = next.filter(|next| *next <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            match (event, tick) {
                (Some(at), _) if at == next => {
                    let (_, (node, event)) = self.events.pop_first().unwrap();
                    if self.nodes[node].is_running {
                        self.tell(node, event);
                    }
                }
                (_, Some((_, node))) => self.tell(node, Event::Tick),
                _ => return,
            }
        }
        panic!("no end in sight at {:?}", self.now);
    }

    pub(super) fn seconds(&mut self, seconds: u64) {
        self.run(Duration::from_secs(seconds));
    }

    /// Cuts the wires between two sites; with a reset both ends are told.
    pub(super) fn cut(&mut self, one: &str, other: &str, is_reset: bool) {
        let pair = (self.index(one), self.index(other));
        self.cut.insert(pair);
        self.cut.insert((pair.1, pair.0));
        if is_reset {
            self.reset(|this, that| (this, that) == pair || (that, this) == pair);
        }
    }

    pub(super) fn heal(&mut self, one: &str, other: &str) {
        let pair = (self.index(one), self.index(other));
        self.cut.remove(&pair);
        self.cut.remove(&(pair.1, pair.0));
    }

    /// Heals, and resets connections that lost something: a real stream has no gaps.
    pub(super) fn repair(&mut self, one: &str, other: &str) {
        self.heal(one, other);
        let pair = (self.index(one), self.index(other));
        let damaged = std::mem::take(&mut self.damaged);
        self.reset(|this, that| {
            let is_pair = (this, that) == pair || (that, this) == pair;
            is_pair && (damaged.contains(&(this, that)) || damaged.contains(&(that, this)))
        });
        let is_other = |hit: &(usize, usize)| *hit != pair && (hit.1, hit.0) != pair;
        self.damaged = damaged.into_iter().filter(is_other).collect();
    }

    /// The wires of a host stay cut when its process is another one.
    pub(super) fn move_cuts(&mut self, from: usize, to: usize) {
        let renamed = |node: usize| if node == from { to } else { node };
        self.cut = self
            .cut
            .iter()
            .map(|(one, other)| (renamed(*one), renamed(*other)))
            .collect();
    }

    /// A process dies: its neighbours see their connections reset.
    pub(super) fn kill(&mut self, site: &str) {
        let dead = self.index(site);
        self.nodes[dead].is_running = false;
        self.reset(|this, that| this == dead || that == dead);
    }

    /// The other end of a connection learns of its end.
    pub(super) fn lose(&mut self, conn: ConnId) {
        if let Some(far) = self.peers.remove(&conn) {
            self.peers.remove(&far.conn);
            let (conn, why) = (far.conn, CloseCause::Reset);
            self.later(far.node, Event::Closed { conn, why });
        }
    }

    fn reset(&mut self, is_hit: impl Fn(usize, usize) -> bool) {
        let ends: Vec<(ConnId, End)> = self.peers.iter().map(|(conn, end)| (*conn, *end)).collect();
        for (conn, far) in ends {
            let near = self.peers.get(&far.conn).copied();
            if near.is_some_and(|near| is_hit(near.node, far.node)) {
                self.peers.remove(&conn);
                self.peers.remove(&far.conn);
                for end in [
                    far,
                    End {
                        node: near.unwrap().node,
                        conn,
                    },
                ] {
                    let why = CloseCause::Reset;
                    self.later(
                        end.node,
                        Event::Closed {
                            conn: end.conn,
                            why,
                        },
                    );
                }
            }
        }
    }

    fn later(&mut self, node: usize, event: Event) {
        self.next += 1;
        self.events
            .insert((self.now.plus(LATENCY), self.next), (node, event));
    }

    fn act(&mut self, node: usize, action: Action) {
        match action {
            Action::Dial { link, address } => self.dial(node, link, &address.host),
            Action::Send { conn, frame, .. } => self.deliver(node, conn, &frame),
            Action::Close { conn, last } => {
                if let Some(last) = last {
                    self.deliver(node, conn, &last);
                }
                if let Some(far) = self.peers.remove(&conn) {
                    self.peers.remove(&far.conn);
                    if !self.cut.contains(&(node, far.node)) {
                        let why = CloseCause::Closed;
                        self.later(
                            far.node,
                            Event::Closed {
                                conn: far.conn,
                                why,
                            },
                        );
                    }
                }
            }
            Action::AskRoom(conn) => self.later(node, Event::Room { conn }),
            Action::Resplit(link) => self.nodes[node].resplit.push(link),
            Action::Entries(changes) => {
                for change in changes {
                    self.change(node, change);
                }
            }
            Action::Route { to, body } => {
                let from = self.nodes[node].config.bid();
                let far = self
                    .nodes
                    .iter()
                    .position(|far| far.is_running && far.config.bid() == to);
                if let Some(far) = far {
                    self.later(far, Event::Routed { from, body });
                }
            }
            Action::Epoch(epoch) => self.nodes[node].epochs.push(epoch),
            Action::Log(log) => self.nodes[node].log.push(log),
            Action::Drain { link, conn } => self.later(node, Event::Drained { link, conn }),
            Action::TakeOver { link } => self.renewed.push((node, link)),
            Action::Publish(_) | Action::LinkUp { .. } | Action::Purged(_) | Action::Count(..) => {}
        }
    }

    fn dial(&mut self, node: usize, link: LinkId, host: &str) {
        let far = self
            .nodes
            .iter()
            .rposition(|far| far.config.site == host && far.is_running);
        let Some(far) = far.filter(|far| !self.cut.contains(&(node, *far))) else {
            return self.later(
                node,
                Event::DialFailed {
                    link,
                    why: DialFailure::Unreachable,
                },
            );
        };
        let [near_conn, far_conn] = [self.next + 1, self.next + 2].map(ConnId);
        self.next += 2;
        let mut binding = [0; 32];
        binding[..8].copy_from_slice(&near_conn.0.to_be_bytes());
        let make = self.transport;
        let mut near_side = make(&self.nodes[node], &self.nodes[far], binding);
        let mut far_side = make(&self.nodes[far], &self.nodes[node], binding);
        near_side.nonce = [u8::try_from(near_conn.0 % 251).unwrap(); 32];
        far_side.nonce = [u8::try_from(far_conn.0 % 251).unwrap(); 32];
        self.peers.insert(
            near_conn,
            End {
                node: far,
                conn: far_conn,
            },
        );
        self.peers.insert(
            far_conn,
            End {
                node,
                conn: near_conn,
            },
        );
        self.later(
            far,
            Event::Accepted {
                conn: far_conn,
                transport: far_side,
            },
        );
        self.later(
            node,
            Event::Dialled {
                link,
                conn: near_conn,
                transport: near_side,
            },
        );
    }

    fn deliver(&mut self, node: usize, conn: ConnId, frame: &[u8]) {
        let header = Header::decode(frame).unwrap();
        let kind = FrameType::from_code(header.code).unwrap();
        let body = frame[HEADER_LEN..].to_vec();
        assert_eq!(usize::try_from(header.len).unwrap(), body.len());
        assert!(body.len() <= 64 * 1024, "{kind:?} of {} bytes", body.len());
        self.frames.push((node, kind, body.clone()));
        let Some(far) = self.peers.get(&conn).copied() else {
            return;
        };
        if self.cut.contains(&(node, far.node)) {
            self.damaged.insert((node, far.node));
        } else {
            let frame = ControlFrame {
                kind,
                body: body.into(),
            };
            self.later(
                far.node,
                Event::Frame {
                    conn: far.conn,
                    frame,
                },
            );
        }
    }

    fn change(&mut self, node: usize, change: EntryChange) {
        let entries = &mut self.nodes[node].entries;
        match change {
            EntryChange::Put(entry) => drop(entries.insert((entry.bid, entry.id), entry)),
            EntryChange::Delete { bid, id } => drop(entries.remove(&(bid, id))),
            EntryChange::Clear(bid) => entries.retain(|(other, _), _| *other != bid),
        }
    }

    /// What of a map and interest every member of a connected network must agree on.
    pub(super) fn databases(&self, site: &str) -> Vec<(String, Epoch, u64, u128)> {
        let status = self.node(site).mesh.status(self.now);
        let rows = status.sites.into_iter();
        rows.map(|row| (row.site, row.epoch, row.iseq, row.ihash))
            .collect()
    }

    /// I7: all databases and report sets are equal, all hashes agree.
    pub(super) fn assert_agreed(&self) {
        let running: Vec<&Node> = self.nodes.iter().filter(|node| node.is_running).collect();
        let reports = |node: &Node| -> Vec<(Bid, u64, u64)> {
            let status = node.mesh.status(self.now);
            status
                .reports
                .iter()
                .map(|one| (one.bid, one.report.epoch, one.report.rseq))
                .collect()
        };
        self.assert_databases();
        for pair in running.windows(2) {
            let sites = (&pair[0].config.site, &pair[1].config.site);
            assert_eq!(reports(pair[0]), reports(pair[1]), "{sites:?}");
        }
    }

    /// I7 without the reports, which follow at their own pace.
    pub(super) fn assert_databases(&self) {
        let running: Vec<&Node> = self.nodes.iter().filter(|node| node.is_running).collect();
        for pair in running.windows(2) {
            let sites = (&pair[0].config.site, &pair[1].config.site);
            assert_eq!(
                self.databases(sites.0),
                self.databases(sites.1),
                "{sites:?}"
            );
        }
    }
}
