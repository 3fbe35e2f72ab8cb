//! The state machines of the mesh at work: told what happens, and obeyed.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::conn::Conn;
use super::interest::{LocalConsumers, RemoteInterest};
use super::lasting::LinkData;
use super::succession::Claimants;
use super::tls::{LinkTls, Verifier};
use crate::broker::Broker;
use crate::clock;
use crate::config::Config;
use crate::mesh::config::{Claim, MeshConfig};
use crate::mesh::core::Mesh;
use crate::mesh::custody::{Custody, CustodyConfig};
use crate::mesh::ids::{Bid, ConnId, Epoch, LinkId, Now};
use crate::mesh::limbo::Limbo;
use crate::mesh::replies::{LostSites, Replies};
use crate::mesh::routes::Routes;
use crate::mesh::window::Windows;

/// This broker in the mesh.
#[derive(Debug)]
pub struct Node {
    /// The broker.
    pub broker: Arc<Broker>,
    /// The id of this broker.
    pub bid: Bid,
    own: Weak<Self>,
    /// Guards the control plane; taken for microseconds.
    pub(super) core: Mutex<Mesh>,
    /// Guards the open connections.
    pub(super) conns: Mutex<HashMap<ConnId, Arc<Conn>>>,
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
    pub(super) interest: RwLock<RemoteInterest>,
    /// Guards what consumers here amount to.
    local: Mutex<LocalConsumers>,
    /// Guards the refusals given lately, for `/status`.
    pub(super) refusals: Mutex<VecDeque<serde_json::Value>>,
    pub(super) learned: AtomicU64,
    pub(super) next_seq: AtomicU64,
    pub(super) overflow_room: usize,
    pub(super) has_pending_interest: AtomicBool,
    /// It shuts down.
    pub(super) is_leaving: AtomicBool,
    /// The next process of this site takes everything over.
    pub(super) is_succeeded: AtomicBool,
    /// Who takes this process down hears of newer ones here.
    pub(super) claimants: OnceLock<Claimants>,
    next_conn: AtomicU64,
    /// What `/status` shows of the control plane, as a number.
    pub(super) revision: AtomicU64,
    pub(super) tick: Notify,
    /// TLS of links.
    pub(super) tls: ArcSwap<LinkTls>,
    /// Checks chains.
    pub(super) verifier: ArcSwap<Verifier>,
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
            is_succeeded: AtomicBool::new(false),
            claimants: OnceLock::new(),
            next_conn: AtomicU64::new(0),
            revision: AtomicU64::new(0),
            tick: Notify::new(),
            tls: ArcSwap::from_pointee(tls),
            verifier: ArcSwap::from_pointee(verifier),
            cancel,
        });
        node.set_links(mesh, config);
        Ok(node)
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

    pub(super) fn conn(&self, id: ConnId) -> Option<Arc<Conn>> {
        lock(&self.conns).get(&id).cloned()
    }

    /// The link with that index.
    #[must_use]
    pub fn link(&self, id: LinkId) -> Option<Arc<LinkData>> {
        self.links.load().get(id.index()).cloned().flatten()
    }
}
