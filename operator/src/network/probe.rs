//! Asks each local broker what it runs and how its links are: one task for each pod, waiting at the broker until
//! something there changes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use k8s_openapi::jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::AbortHandle;
use tokio::time;

use crate::client::view::StatusView;
use crate::kube_io::watch::Trigger;
use crate::metrics::Metrics;
use crate::model::observed::BrokerState;
use crate::names::SiteName;

/// The broker answers after this time though nothing changed.
const WAIT: Duration = Duration::from_secs(25);
/// An answer that takes longer is none.
const TIMEOUT: Duration = Duration::from_secs(30);
/// First and longest pause after a failure.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// Bytes of an answer.
const MAX_ANSWER: usize = 16 << 20;
/// Failures after which a broker counts as silent; each further one is told as well.
const SILENT: u32 = 10;

/// The pod of a broker that is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Uid of the pod.
    pub pod: String,
    /// Address and port.
    pub address: String,
    /// Token of its `/status`.
    pub token: String,
}

type Key = (String, String, SiteName);

struct Probe {
    target: Target,
    task: AbortHandle,
}

/// All questions that are open.
pub struct Probes {
    client: Client<HttpConnector, Empty<Bytes>>,
    changes: UnboundedSender<Trigger>,
    metrics: Arc<Metrics>,
    probes: Mutex<BTreeMap<Key, Probe>>,
    states: Mutex<BTreeMap<Key, BrokerState>>,
}

impl Probes {
    /// Asks nobody yet; whoever listens at `changes` hears of other answers.
    #[must_use]
    pub fn new(changes: UnboundedSender<Trigger>, metrics: Arc<Metrics>) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(Duration::from_secs(3)));
        Self {
            client: Client::builder(TokioExecutor::new())
                .pool_idle_timeout(Duration::from_secs(60))
                .build(connector),
            changes,
            metrics,
            probes: Mutex::default(),
            states: Mutex::default(),
        }
    }

    /// Asks exactly these pods of a network from now on.
    pub fn set(
        self: &Arc<Self>,
        namespace: &str,
        network: &str,
        targets: BTreeMap<SiteName, Target>,
    ) {
        let mut probes = self.probes.lock().unwrap_or_else(PoisonError::into_inner);
        probes.retain(|(place, name, site), probe| {
            let is_other = place != namespace || name != network;
            let keeps = is_other || targets.get(site) == Some(&probe.target);
            if !keeps {
                probe.task.abort();
            }
            keeps
        });
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.retain(|(place, name, site), _| {
            place != namespace || name != network || targets.contains_key(site)
        });
        drop(states);
        for (site, target) in targets {
            let key = (namespace.to_owned(), network.to_owned(), site);
            if probes.contains_key(&key) {
                continue;
            }
            let task = tokio::spawn(Arc::clone(self).run(key.clone(), target.clone()));
            let task = task.abort_handle();
            probes.insert(key, Probe { target, task });
        }
    }

    /// What is known from the brokers of a network.
    #[must_use]
    pub fn of(&self, namespace: &str, network: &str) -> BTreeMap<SiteName, BrokerState> {
        let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let own = states
            .iter()
            .filter(|((place, name, _), _)| place == namespace && name == network);
        own.map(|((_, _, site), state)| (site.clone(), state.clone()))
            .collect()
    }

    async fn run(self: Arc<Self>, key: Key, target: Target) {
        let mut pause = BACKOFF.0;
        let mut since = None;
        loop {
            match self.ask(&target, since).await {
                Ok(view) => {
                    self.metrics.asked("answered");
                    pause = BACKOFF.0;
                    since = Some(view.revision);
                    self.answered(&key, view);
                }
                Err(error) => {
                    self.metrics.asked("failed");
                    self.failed(&key, error);
                    since = None;
                    time::sleep(pause).await;
                    pause = (pause * 2).min(BACKOFF.1);
                }
            }
        }
    }

    async fn ask(&self, target: &Target, since: Option<u64>) -> Result<StatusView, String> {
        let wait = since.map_or(String::new(), |since| {
            format!("?since={since}&wait={}s", WAIT.as_secs())
        });
        let request = axum::http::Request::get(format!("http://{}/status{wait}", target.address))
            .header("authorization", format!("Bearer {}", target.token))
            .body(Empty::<Bytes>::new())
            .map_err(|_| "the address of the pod is none".to_owned())?;
        let exchange = async {
            let answer = self.client.request(request).await.map_err(cause)?;
            if !answer.status().is_success() {
                return Err(format!("it answers {}", answer.status().as_u16()));
            }
            let body = Limited::new(answer.into_body(), MAX_ANSWER);
            let body = body.collect().await.map_err(|error| error.to_string())?;
            StatusView::parse(&body.to_bytes()).map_err(|error| error.to_string())
        };
        match time::timeout(TIMEOUT, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {} s", TIMEOUT.as_secs())),
        }
    }

    fn answered(&self, key: &Key, view: StatusView) {
        let is_other = self.change(key, |state| {
            let is_other = state.failures > 0
                || state
                    .view
                    .as_ref()
                    .is_none_or(|old| old.moment() != view.moment());
            state.view = Some(view);
            state.answered = Some(Timestamp::now());
            state.failures = 0;
            state.error.clear();
            is_other
        });
        if is_other {
            self.tell(key);
        }
    }

    fn failed(&self, key: &Key, error: String) {
        let is_silent = self.change(key, |state| {
            state.failures = state.failures.saturating_add(1);
            state.error = error;
            state.failures >= SILENT
        });
        if is_silent {
            self.tell(key);
        }
    }

    fn change<T>(&self, key: &Key, change: impl FnOnce(&mut BrokerState) -> T) -> T {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        change(states.entry(key.clone()).or_default())
    }

    fn tell(&self, (namespace, network, _): &Key) {
        // Nobody listens any more when the operator ends.
        let _ = self.changes.send(ObjectRef::new(network).within(namespace));
    }
}

/// The innermost reason: the outer ones only say that a request failed.
fn cause(error: hyper_util::client::legacy::Error) -> String {
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
