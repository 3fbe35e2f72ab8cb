//! Stands in front of an API server: records each request, and lets go wrong what a test wants.
//!
//! One request for each connection, and no upgrades: `kubectl exec`, `port-forward` and `logs
//! --follow` need the API server itself.

mod answers;
mod faults;
mod relay;
mod request;

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::net::Shutdown;
use serde_json::json;

use self::faults::Faults;
use self::relay::Ends;
use super::access::Access;
use super::cluster::Cluster;
use crate::process::Folder;

pub use self::faults::Moment;
pub use self::request::Request;

/// What the threads of a proxy share.
#[derive(Debug, Default)]
struct Shared {
    is_over: AtomicBool,
    is_away: AtomicBool,
    faults: Mutex<Faults>,
    requests: Mutex<Vec<Request>>,
    /// When connections came that were closed at once.
    turned_away: Mutex<Vec<Instant>>,
    /// Requests that are under way, by their number in the record.
    open: Mutex<BTreeMap<usize, Ends>>,
}

impl Shared {
    fn begin(&self, request: Request, ends: Ends) -> usize {
        let mut requests = lock(&self.requests);
        let number = requests.len();
        requests.push(request);
        lock(&self.open).insert(number, ends);
        number
    }

    fn reached(&self, number: usize, socket: TcpStream) {
        if let Some(ends) = lock(&self.open).get_mut(&number) {
            ends.add(socket);
        }
    }

    fn answered(&self, number: usize, status: u16) {
        if let Some(request) = lock(&self.requests).get_mut(number) {
            request.status = Some(status);
        }
    }

    fn end(&self, number: usize) {
        if let Some(ends) = lock(&self.open).remove(&number) {
            ends.cut();
        }
    }

    fn end_all(&self) {
        self.is_away.store(true, Ordering::SeqCst);
        self.cut(|_| true);
    }

    fn cut(&self, is_meant: impl Fn(&Ends) -> bool) {
        let open = lock(&self.open);
        open.values()
            .filter(|ends| is_meant(ends))
            .for_each(Ends::cut);
    }
}

/// A proxy in front of a cluster's API server, until it is dropped.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    listener: Arc<TcpListener>,
    thread: Option<JoinHandle<()>>,
    kubeconfig: PathBuf,
    _folder: Folder,
}

impl Proxy {
    /// Starts one for whoever uses [`Self::kubeconfig`]: with a token as the token's account, else as
    /// the cluster's administrator. It can be reached where the API server can.
    ///
    /// # Errors
    /// The cluster does not say how to reach it, or there is no address to listen at.
    pub fn start(cluster: &Cluster, token: Option<&str>) -> Result<Self> {
        let access = cluster.access(token)?;
        let listener = cluster.inside(|| Ok(TcpListener::bind((cluster.local_address(), 0))?))?;
        let listener = Arc::new(listener);
        let folder = Folder::new()?;
        let kubeconfig = folder.path().join("proxy.kubeconfig");
        std::fs::write(&kubeconfig, kubeconfig_of(listener.local_addr()?))?;
        let shared = Arc::new(Shared::default());
        let (all, own) = (Arc::clone(&shared), Arc::clone(&listener));
        // Its threads reach what the thread that starts them reaches.
        let thread =
            cluster.inside(|| Ok(std::thread::spawn(move || accept(&all, &own, &access))))?;
        Ok(Self {
            shared,
            listener,
            thread: Some(thread),
            kubeconfig,
            _folder: folder,
        })
    }

    /// The file for a client that is to come through here.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// All requests since the start, or since [`Self::recorded`] was this long.
    #[must_use]
    pub fn requests_since(&self, length: usize) -> Vec<Request> {
        let requests = lock(&self.shared.requests);
        requests.get(length..).unwrap_or_default().to_vec()
    }

    /// How many requests have come.
    #[must_use]
    pub fn recorded(&self) -> usize {
        lock(&self.shared.requests).len()
    }

    /// Those of [`Self::requests_since`] that were to change something.
    #[must_use]
    pub fn writes_since(&self, length: usize) -> Vec<Request> {
        let mut requests = self.requests_since(length);
        requests.retain(Request::is_write);
        requests
    }

    /// Ends the connection of the nth request from now on that has this part in its line, such as
    /// `PATCH ` or `PATCH /api/v1/namespaces/a/secrets`.
    pub fn cut(&self, pattern: &str, nth: usize, moment: Moment) {
        lock(&self.shared.faults).cut(pattern, nth, moment);
    }

    /// Lets every request with this part in its line wait before it is passed on.
    pub fn delay(&self, pattern: &str, delay: Duration) {
        lock(&self.shared.faults).delay(pattern, delay);
    }

    /// Answers so many requests with this part in their line with an error; a watch, as an API server does, with an event
    /// that says so where its version is too old (410).
    pub fn refuse(&self, pattern: &str, status: u16, times: usize) {
        lock(&self.shared.faults).refuse(pattern, status, times);
    }

    /// Repeats the next answer to a request with this part in its line for all that follow, as an
    /// API server does whose cache is behind.
    pub fn freeze(&self, pattern: &str) {
        lock(&self.shared.faults).freeze(pattern);
    }

    /// Loses the events of watches with this part in their line whose object has this part in its
    /// `NAMESPACE/NAME`; of running watches, too.
    pub fn lose_events(&self, pattern: &str, object: &str) {
        lock(&self.shared.faults).lose_events(pattern, object);
    }

    /// Loses every nth event of the watches with this part in their line, whatever it is about.
    pub fn lose_every(&self, pattern: &str, nth: usize) {
        lock(&self.shared.faults).lose_every(pattern, nth);
    }

    /// Ends so many watches with this part in their line as soon as they have begun, without an event and without an error.
    pub fn end_at_once(&self, pattern: &str, times: usize) {
        lock(&self.shared.faults).end_at_once(pattern, times);
    }

    /// Ends every watch.
    pub fn close_watches(&self) {
        self.shared.cut(Ends::is_watch);
    }

    /// Ends every connection, and each new one at once.
    pub fn go_away(&self) {
        self.shared.end_all();
    }

    /// Goes away as soon as the nth write from now on is carried out, which nobody is told: for its client the API
    /// server is gone, and whoever looks finds exactly n writes.
    pub fn go_away_after_write(&self, nth: usize) {
        lock(&self.shared.faults).end_after_write(nth);
    }

    /// When connections came while it was away.
    #[must_use]
    pub fn turned_away(&self) -> Vec<Instant> {
        lock(&self.shared.turned_away).clone()
    }

    /// Whether it went away.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.shared.is_away.load(Ordering::SeqCst)
    }

    /// Takes connections again.
    pub fn come_back(&self) {
        self.shared.is_away.store(false, Ordering::SeqCst);
    }

    /// Lets nothing go wrong any more.
    pub fn heal(&self) {
        *lock(&self.shared.faults) = Faults::default();
        self.come_back();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for connections.
        let woken = rustix::net::shutdown(&*self.listener, Shutdown::Both);
        self.shared.cut(|_| true);
        if woken.is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

fn accept(shared: &Arc<Shared>, listener: &TcpListener, access: &Access) {
    loop {
        let accepted = listener.accept();
        if shared.is_over.load(Ordering::SeqCst) {
            return;
        }
        let Ok((client, _)) = accepted else {
            continue;
        };
        if shared.is_away.load(Ordering::SeqCst) {
            lock(&shared.turned_away).push(Instant::now());
            continue;
        }
        let (shared, access) = (Arc::clone(shared), access.clone());
        // A client or API server that leaves ends its own request only.
        std::thread::spawn(move || relay::serve(&shared, &access, client).is_ok());
    }
}

fn kubeconfig_of(address: SocketAddr) -> String {
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "proxy",
        "clusters": [{"name": "proxy", "cluster": {"server": format!("http://{address}")}}],
        "users": [{"name": "proxy", "user": {}}],
        "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
    });
    config.to_string()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
