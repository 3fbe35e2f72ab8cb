//! The state machines of the mesh at work: told what happens, and obeyed.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::conn::{Conn, LinkData};
use super::interest::{LocalConsumers, RemoteInterest};
use super::tls::{LinkTls, Verifier};
use crate::broker::Broker;
use crate::clock;
use crate::config::Config;
use crate::mesh::config::{Claim, MeshConfig};
use crate::mesh::core::Mesh;
use crate::mesh::custody::{self, Custody, CustodyConfig};
use crate::mesh::event::{Action, Actions, Event};
use crate::mesh::ids::{Bid, ConnId, Epoch, LinkId, Now};
use crate::mesh::limbo::Limbo;
use crate::mesh::replies::{LostSites, Replies};
use crate::mesh::routes::Routes;
use crate::mesh::window::Windows;
use crate::queue::Look;

/// This broker in the mesh.
#[derive(Debug)]
pub struct Node {
    /// The broker.
    pub broker: Arc<Broker>,
    /// The id of this broker.
    pub bid: Bid,
    own: Weak<Self>,
    /// Guards the control plane; taken for microseconds.
    core: Mutex<Mesh>,
    /// Guards the open connections.
    conns: Mutex<HashMap<ConnId, Arc<Conn>>>,
    /// The links by index; a removed one leaves a gap.
    pub(super) links: ArcSwap<Vec<Option<Arc<LinkData>>>>,
    /// The routes in force.
    pub(super) routes: ArcSwap<Routes>,
    /// Guards the duplicate windows.
    windows: Mutex<Windows>,
    /// Guards what waits for a route.
    limbo: Mutex<Limbo>,
    /// Guards the learned reply routes.
    replies: Mutex<Replies>,
    /// Guards since when sites are lost.
    pub(super) lost: Mutex<LostSites>,
    /// Guards custody.
    custody: Mutex<Custody>,
    /// Guards what others want.
    interest: RwLock<RemoteInterest>,
    /// Guards what consumers here amount to.
    local: Mutex<LocalConsumers>,
    /// Guards the refusals given lately, for `/status`.
    pub(super) refusals: Mutex<VecDeque<serde_json::Value>>,
    pub(super) learned: AtomicU64,
    pub(super) next_seq: AtomicU64,
    pub(super) overflow_room: usize,
    has_pending_interest: AtomicBool,
    /// It shuts down.
    pub(super) is_leaving: AtomicBool,
    next_conn: AtomicU64,
    /// What `/status` shows of the control plane, as a number.
    pub(super) revision: AtomicU64,
    pub(super) tick: Notify,
    /// TLS of links.
    pub(super) tls: ArcSwap<LinkTls>,
    /// Checks chains.
    pub(super) verifier: ArcSwap<Verifier>,
    /// Where the broker listens for links.
    pub listening: OnceLock<String>,
    /// Ends everything.
    pub cancel: CancellationToken,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn now() -> Now {
    Now(clock::monotonic_ns())
}

impl Node {
    /// A node whose links are those of the configuration.
    ///
    /// # Errors
    /// Certificates cannot be used.
    pub fn new(
        broker: Arc<Broker>,
        config: &Config,
        mesh: &MeshConfig,
        claim: Claim,
        seed: u64,
        cancel: CancellationToken,
    ) -> anyhow::Result<Arc<Self>> {
        let epoch = Epoch(broker.epoch);
        let core = Mesh::new(mesh, claim, epoch, seed);
        let slowest = mesh.links.iter().map(|link| link.heartbeat).max();
        let limits = &config.limits;
        let doubt = limits.doubt_timeout.duration();
        let custody = CustodyConfig {
            own: mesh.bid(),
            epoch,
            doubt_persistent: (!doubt.is_zero()).then_some(doubt),
            doubt_brief: slowest.unwrap_or(Duration::from_secs(1)) * 3,
            reorder_bytes: usize::try_from(limits.memory / 32).unwrap_or(usize::MAX),
        };
        let routes = core.routes();
        let (tls, verifier) = (LinkTls::new(config)?, Verifier::new(config)?);
        let node = Arc::new_cyclic(|own| Self {
            broker,
            bid: mesh.bid(),
            own: own.clone(),
            core: Mutex::new(core),
            conns: Mutex::default(),
            links: ArcSwap::default(),
            routes: ArcSwap::new(routes),
            windows: Mutex::new(Windows::new(limits.window_time.duration(), limits.windows)),
            limbo: Mutex::new(Limbo::new(limits.limbo, limits.limbo_time.duration())),
            replies: Mutex::new(Replies::new(
                limits.reply_routes,
                limits.reply_ttl.duration(),
            )),
            lost: Mutex::default(),
            custody: Mutex::new(Custody::new(custody, now())),
            interest: RwLock::default(),
            local: Mutex::default(),
            refusals: Mutex::default(),
            learned: AtomicU64::new(0),
            next_seq: AtomicU64::new(0),
            overflow_room: limits.overflow / mesh.links.len().max(1),
            has_pending_interest: AtomicBool::new(false),
            is_leaving: AtomicBool::new(false),
            next_conn: AtomicU64::new(0),
            revision: AtomicU64::new(0),
            tick: Notify::new(),
            tls: ArcSwap::from_pointee(tls),
            verifier: ArcSwap::from_pointee(verifier),
            listening: OnceLock::new(),
            cancel,
        });
        node.set_links(mesh, config);
        Ok(node)
    }

    /// The link whose data a connection carries.
    pub(super) fn link_over(&self, conn: ConnId) -> Option<Arc<LinkData>> {
        let links = self.links.load();
        links
            .iter()
            .flatten()
            .find(|link| link.conn().is_some_and(|own| own.id == conn))
            .cloned()
    }

    /// A counted reference to itself, for tasks.
    pub(super) fn arc(&self) -> Option<Arc<Self>> {
        self.own.upgrade()
    }

    /// The duplicate windows.
    pub(super) fn windows(&self) -> MutexGuard<'_, Windows> {
        lock(&self.windows)
    }

    /// What waits for a route.
    pub(super) fn limbo(&self) -> MutexGuard<'_, Limbo> {
        lock(&self.limbo)
    }

    /// The learned reply routes.
    pub(super) fn replies(&self) -> MutexGuard<'_, Replies> {
        lock(&self.replies)
    }

    pub(super) fn custody_lock(&self) -> MutexGuard<'_, Custody> {
        lock(&self.custody)
    }

    pub(super) fn local_consumers(&self) -> MutexGuard<'_, LocalConsumers> {
        lock(&self.local)
    }

    /// What others want.
    pub(super) fn interest(&self) -> RwLockReadGuard<'_, RemoteInterest> {
        self.interest.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn learned_count(&self) -> u64 {
        self.learned.load(Ordering::Relaxed)
    }

    /// Looks at the control plane, for reports.
    pub fn with_core<R>(&self, look: impl FnOnce(&Mesh) -> R) -> R {
        look(&lock(&self.core))
    }

    /// A number for a connection.
    pub(super) fn open_conn(&self) -> Arc<Conn> {
        let id = ConnId(self.next_conn.fetch_add(1, Ordering::Relaxed) + 1);
        let conn = Arc::new(Conn::new(id, self.cancel.child_token()));
        lock(&self.conns).insert(id, conn.clone());
        conn
    }

    pub(super) fn drop_conn(&self, id: ConnId) {
        lock(&self.conns).remove(&id);
    }

    fn conn(&self, id: ConnId) -> Option<Arc<Conn>> {
        lock(&self.conns).get(&id).cloned()
    }

    /// The link with that index.
    #[must_use]
    pub fn link(&self, id: LinkId) -> Option<Arc<LinkData>> {
        self.links.load().get(id.index()).cloned().flatten()
    }

    /// Tells the control plane, and does what it asks for.
    pub fn control(&self, event: Event) {
        let mut actions = Actions::new();
        let mut core = lock(&self.core);
        core.handle(event, now(), &mut actions);
        self.has_pending_interest
            .store(core.has_pending_interest(), Ordering::Release);
        // Carried out under the lock: actions of two events must not be mixed. Nothing in it waits,
        // and the lock order is core, then custody, then links.
        let late = self.carry_out(actions);
        let revision = core.revision();
        drop(core);
        self.carry_out_late(late);
        self.tick.notify_one();
        self.show(revision);
    }

    /// Issues interest that is gathered but not said yet, so that it leaves before data (R6).
    pub(super) fn issue_interest(&self) {
        if !self.has_pending_interest.swap(false, Ordering::AcqRel) {
            return;
        }
        let mut actions = Actions::new();
        let mut core = lock(&self.core);
        core.flush_interest(now(), &mut actions);
        let late = self.carry_out(actions);
        drop(core);
        self.carry_out_late(late);
    }

    /// Carries out what concerns connections and routes; returns what reaches into queues.
    fn carry_out(&self, actions: Actions) -> Actions {
        let mut late = Actions::new();
        for action in actions {
            match action {
                Action::Dial { link, address } => {
                    if let Some(node) = self.arc() {
                        tokio::spawn(super::io::dial(node, link, address));
                    }
                }
                Action::Send {
                    conn,
                    frame,
                    lane,
                    replaces,
                } => {
                    if let Some(conn) = self.conn(conn) {
                        conn.send(frame, lane, replaces);
                    }
                }
                Action::Close { conn, last } => {
                    if let Some(conn) = self.conn(conn) {
                        conn.close(last);
                    }
                    self.drop_conn(conn);
                }
                Action::AskRoom(conn) => {
                    if let Some(conn) = self.conn(conn) {
                        conn.ask_room();
                    }
                }
                Action::LinkUp { link, conn, .. } => {
                    if let (Some(link), Some(conn)) = (self.link(link), self.conn(conn)) {
                        conn.carry(&link);
                        link.set_conn(Some(conn));
                    }
                }
                Action::Publish(routes) => {
                    self.routes.store(routes);
                    late.push(Action::Publish(self.routes.load_full()));
                }
                Action::Log(log) => self.note(&log),
                Action::Count(counter, by) => self.count(counter, by),
                Action::Epoch(epoch) => tracing::warn!(epoch = epoch.0, "epoch raised"),
                other => late.push(other),
            }
        }
        late
    }

    fn carry_out_late(&self, actions: Actions) {
        for action in actions {
            match action {
                Action::Publish(routes) => {
                    self.broker.bump_generation();
                    self.show_sites(&routes);
                    self.note_lost(&routes);
                    self.retry_limbo(&routes);
                    self.tell_custody(&routes);
                }
                Action::Resplit(link) => {
                    if let Some(link) = self.link(link) {
                        self.resplit(&link);
                    }
                }
                Action::Entries(changes) => self.take_entries(changes),
                Action::Purged(bid) => self.custody(custody::Event::Purged(bid)),
                Action::Route { to, body } => {
                    self.send_control(to, body);
                }
                _ => {}
            }
        }
    }

    fn tell_custody(&self, routes: &Routes) {
        for site in routes.sites() {
            self.custody(custody::Event::Peer {
                bid: site.id.bid,
                epoch: site.epoch,
                is_reachable: site.way.is_some(),
            });
        }
        self.custody(custody::Event::Generation);
        for cell in self.broker.queues.all() {
            if cell.numbers().ready > 0 {
                self.look_at(&cell, Look::All);
            }
        }
    }

    fn take_entries(&self, changes: Vec<crate::mesh::interest::EntryChange>) {
        let touched = {
            let mut interest = self
                .interest
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            let touched = interest.apply(changes);
            let count = i64::try_from(interest.len()).unwrap_or(i64::MAX);
            self.broker
                .metrics
                .mesh_interest
                .with_label_values(&["remote"])
                .set(count);
            touched
        };
        if touched.topics {
            self.broker.bump_generation();
        }
        if touched.queues.is_empty() {
            return;
        }
        for cell in self.broker.queues.all() {
            let name = &cell.destination.name;
            let is_touched = touched
                .queues
                .iter()
                .any(|filter| crate::model::destination::matches(filter, name));
            if is_touched {
                self.judge(&cell);
            }
            if is_touched && cell.numbers().ready > 0 {
                self.look_at(&cell, Look::All);
            }
        }
    }

    /// Makes the links those of the configuration, and gives those that went. Indexes stay with the
    /// names.
    pub(super) fn set_links(&self, mesh: &MeshConfig, config: &Config) -> Vec<Arc<LinkData>> {
        let old = self.links.load_full();
        let written = &config.broker.links;
        let mut links: Vec<Option<Arc<LinkData>>> = Vec::new();
        for (one, config_of) in mesh.links.iter().zip(written) {
            let name = &one.name;
            let cap = config.limits.link_window(config_of, written.len());
            let Some(id) = self.with_core(|core| core.link(name)) else {
                continue;
            };
            if links.len() <= id.index() {
                links.resize(id.index() + 1, None);
            }
            let known = old
                .iter()
                .flatten()
                .find(|link| link.name == *name && link.id == id)
                .cloned();
            let link = known.unwrap_or_else(|| {
                let metrics = &self.broker.metrics;
                Arc::new(LinkData::new(id, name, &one.peer, cap, metrics, now()))
            });
            link.ring().set_cap(cap, now());
            links[id.index()] = Some(link);
        }
        for link in old.iter().flatten() {
            if !links.iter().flatten().any(|kept| kept.name == link.name) {
                self.broker
                    .metrics
                    .links
                    .remove_link(&link.name, &link.peer);
            }
        }
        let is_kept =
            |link: &Arc<LinkData>| links.get(link.id.index()).is_some_and(Option::is_some);
        let gone = old.iter().flatten().filter(|link| !is_kept(link));
        let gone = gone.cloned().collect();
        self.links.store(Arc::new(links));
        gone
    }

    pub(super) fn is_tight(&self, link: &LinkData) -> bool {
        link.ring().level() != crate::mesh::ring::Level::Free
    }

    pub(super) fn ring_is_free(&self) {
        self.custody(custody::Event::RingFree);
    }

    /// Puts a new configuration in force.
    ///
    /// # Errors
    /// Certificates cannot be used; nothing changed.
    pub fn apply(&self, config: &Config, mesh: &MeshConfig) -> anyhow::Result<()> {
        let (tls, verifier) = (LinkTls::new(config)?, Verifier::new(config)?);
        self.tls.store(Arc::new(tls));
        self.verifier.store(Arc::new(verifier));
        let mut actions = Actions::new();
        let mut core = lock(&self.core);
        core.handle(Event::Config(Box::new(mesh.clone())), now(), &mut actions);
        drop(core);
        let gone = self.set_links(mesh, config);
        let late = self.carry_out(actions);
        self.carry_out_late(late);
        // A link that is not configured any more is found by nobody, and its frames take other ways.
        gone.iter().for_each(|link| self.resplit(link));
        self.tick.notify_one();
        Ok(())
    }

    fn are_rings_empty(&self) -> bool {
        let links = self.links.load();
        links.iter().flatten().all(|link| link.ring().is_empty())
    }

    /// Leaves the mesh: others route around and take what waits in queues (R24), then every link says
    /// good-bye.
    pub async fn leave(&self, patience: Duration) {
        self.is_leaving.store(true, Ordering::Release);
        self.control(Event::Leave);
        let deadline = now().plus(patience);
        while now() < deadline && !(self.hand_over() && self.are_rings_empty()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.control(Event::Stop);
        tokio::time::sleep(Duration::from_millis(100)).await;
        self.cancel.cancel();
    }
}
