//! `causeway operator`: client, leadership, watches, controllers, pages, end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use kube::api::{Api, ListParams};
use kube::runtime::controller::{self, Controller};
use kube::runtime::events::{Recorder, Reporter};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use kube::{Client, Config, ResourceExt as _};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::api::BrokerNetwork;
use crate::http::{self, Pages};
use crate::kube_io::definitions::Definitions;
use crate::kube_io::denials::Denials;
use crate::kube_io::gate;
use crate::kube_io::lease::{Lease, Terms};
use crate::kube_io::pace;
use crate::kube_io::readable::Unreadable;
use crate::kube_io::secrets::SecretCache;
use crate::kube_io::term::Term;
use crate::kube_io::watch::{References, Scope, Stores, Trigger, Watches};
use crate::metrics::Metrics;
use crate::network::context::{Context, Memory};
use crate::network::controller::{Guarded, error_policy, reconcile};
use crate::network::error::Error as ReconcileError;
use crate::network::fetch;
use crate::network::probe::Probes;
use crate::network::report;
use crate::network::status::Note;
use crate::settings::{Claims, Settings};
use crate::user;
use crate::user::decided::{Decisions, UserTrigger};

/// Whom changes are about, for each controller.
struct Triggers {
    networks: mpsc::UnboundedReceiver<Trigger>,
    users: mpsc::UnboundedReceiver<UserTrigger>,
}

/// So many networks are reconciled at a time.
const AT_A_TIME: u16 = 8;
/// Changes that come together are looked at together.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// A network is looked at this often though changes come all the time: each of them would put off the next look by
/// [`DEBOUNCE`].
const GAP: Duration = Duration::from_millis(150);

/// What the process is run with.
#[derive(Debug, Clone)]
pub struct Options {
    /// What it acts by.
    pub settings: Settings,
    /// Where it looks.
    pub scopes: Vec<Scope>,
    /// Address of its pages.
    pub http: SocketAddr,
    /// Absent: it acts at once.
    pub leadership: Option<Terms>,
}

/// Why the operator ends otherwise than asked.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// There is no way to the API server.
    #[error("there is no way to an API server: {0}")]
    Config(#[from] kube::config::InferConfigError),
    /// The client cannot be made.
    #[error("the client of the API server cannot be made: {0}")]
    Client(#[from] kube::Error),
    /// The pages cannot be served.
    #[error("{address}: {cause}")]
    Http {
        /// The address.
        address: SocketAddr,
        /// Why.
        cause: std::io::Error,
    },
    /// The metrics cannot be registered.
    #[error("{0}")]
    Metrics(#[from] prometheus::Error),
    /// Another process acts now; this one must not go on.
    #[error("leadership is lost")]
    LeadershipLost,
}

/// Runs the operator until `stop` resolves.
///
/// # Errors
/// It cannot begin, or may not go on.
pub async fn run(
    options: Options,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), AppError> {
    let mut config = Config::infer().await?;
    // A watch is silent for minutes; a request that is silent so long is lost.
    config.read_timeout = Some(Duration::from_secs(310));
    // Who failed looks again before it tries again. Below that nothing waits: it could wait longer than the API server
    // is away, and be sent when another process leads.
    config.default_retry = false;
    let metrics = Arc::new(Metrics::new()?);
    if let Claims::Sites(names) = &options.settings.claims {
        metrics.set_sites(names.iter().map(String::as_str));
    }
    tracing::info!(sites = %options.settings.claims, "acting as");
    let is_ready = Arc::new(AtomicBool::new(false));
    let pages = Pages {
        metrics: Arc::clone(&metrics),
        is_ready: Arc::clone(&is_ready),
    };
    let address = options.http;
    let pages = async move {
        let served = http::serve(address, pages).await;
        served.map_err(|cause| AppError::Http { address, cause })
    };
    let (client, lease) = connect(config, &options)?;
    let acting = act(client, metrics, &options, &is_ready, lease.as_ref());
    let result = tokio::select! {
        served = pages => served,
        acted = acting => acted,
        () = stop => Ok(()),
    };
    if let Some(lease) = &lease {
        lease.release().await;
    }
    result
}

/// A client, and what it may change something by where others may act as well.
fn connect(config: Config, options: &Options) -> Result<(Client, Option<Lease>), AppError> {
    let Some(terms) = &options.leadership else {
        return Ok((gate::client(config, None)?, None));
    };
    let term = Arc::new(Term::default());
    let operator = &options.settings.operator;
    let lease = Lease::new(
        Client::try_from(config.clone())?,
        &operator.namespace,
        &operator.name,
        terms.clone(),
        Arc::clone(&term),
    );
    Ok((gate::client(config, Some(term))?, Some(lease)))
}

/// Waits for leadership, and acts while it lasts.
async fn act(
    client: Client,
    metrics: Arc<Metrics>,
    options: &Options,
    is_ready: &Arc<AtomicBool>,
    lease: Option<&Lease>,
) -> Result<(), AppError> {
    if let Some(lease) = lease {
        // Who waits for its turn is as ready as it can be.
        is_ready.store(true, Ordering::Relaxed);
        lease.acquire().await;
        is_ready.store(false, Ordering::Relaxed);
    }
    metrics.set_leader(true);
    tracing::info!("leading");
    let lost = async {
        match lease {
            Some(lease) => lease.keep().await,
            None => futures::future::pending().await,
        }
    };
    tokio::select! {
        () = control(client, metrics, options, is_ready) => Ok(()),
        () = lost => Err(AppError::LeadershipLost),
    }
}

/// Runs the controllers of every scope.
async fn control(
    client: Client,
    metrics: Arc<Metrics>,
    options: &Options,
    is_ready: &Arc<AtomicBool>,
) {
    let mut tasks = JoinSet::new();
    let definitions = Arc::new(Definitions::default());
    definitions.look(&client).await;
    tasks.spawn(Arc::clone(&definitions).follow(client.clone()));
    let unfilled = Arc::new(AtomicUsize::new(options.scopes.len()));
    for scope in &options.scopes {
        let (stores, context, triggers) =
            prepare(&client, &metrics, options, &definitions, scope, &mut tasks);
        let (client, scope) = (client.clone(), scope.clone());
        let (unfilled, is_ready) = (Arc::clone(&unfilled), Arc::clone(is_ready));
        tasks.spawn(async move {
            // Nothing is decided from half of what there is (P16). One task waits: a store wakes no second one.
            tokio::select! {
                () = stores.filled() => {}
                never = tell_denials(&client, &scope, &context) => match never {},
            }
            if unfilled.fetch_sub(1, Ordering::AcqRel) == 1 {
                is_ready.store(true, Ordering::Relaxed);
            }
            control_scope(client, scope, context, triggers).await;
        });
    }
    while tasks.join_next().await.is_some() {}
}

fn prepare(
    client: &Client,
    metrics: &Arc<Metrics>,
    options: &Options,
    definitions: &Arc<Definitions>,
    scope: &Scope,
    tasks: &mut JoinSet<()>,
) -> (Stores, Arc<Context>, Triggers) {
    let (changes, networks) = mpsc::unbounded_channel();
    let (user_changes, users) = mpsc::unbounded_channel();
    let (strangers, unreadable) = mpsc::unbounded_channel();
    let references = Arc::new(References::default());
    let denials = Arc::new(Denials::default());
    let watches = Watches {
        client,
        scope,
        changes: changes.clone(),
        users: user_changes.clone(),
        strangers,
        references: Arc::clone(&references),
        metrics: Arc::clone(metrics),
        denials: Arc::clone(&denials),
        has_certificates: options.settings.has_cert_manager,
    };
    let stores = watches.start(tasks);
    let reporter = Reporter {
        controller: "causeway-operator".into(),
        instance: Some(options.settings.operator.name.clone()),
    };
    let context = Context {
        client: client.clone(),
        settings: options.settings.clone(),
        stores: stores.clone(),
        references,
        secrets: SecretCache::default(),
        denials,
        probes: Arc::new(Probes::new(changes, Arc::clone(metrics))),
        decisions: Decisions::new(user_changes),
        metrics: Arc::clone(metrics),
        recorder: Recorder::new(client.clone(), reporter),
        definitions: Arc::clone(definitions),
        hashes: Default::default(),
        memory: Memory::default(),
    };
    let context = Arc::new(context);
    tasks.spawn(tell_unreadable(unreadable, Arc::clone(&context)));
    (stores, context, Triggers { networks, users })
}

/// Says so in an Event of each user that this version cannot read: its status is nothing to be written by who does not
/// understand the rest.
async fn tell_unreadable(
    mut strangers: mpsc::UnboundedReceiver<Unreadable>,
    context: Arc<Context>,
) {
    while let Some(Unreadable { object, error }) = strangers.recv().await {
        report::tell(&context, &object, &Note::unreadable(&error)).await;
    }
}

/// Says in every network which right is missing, as long as that keeps the stores from being filled: no network is
/// reconciled before.
async fn tell_denials(client: &Client, scope: &Scope, context: &Context) -> Infallible {
    let api: Api<Guarded> = scope.api(client);
    loop {
        context.denials.changed().await;
        // Refusals of several kinds come together.
        tokio::time::sleep(DEBOUNCE).await;
        let networks = match api.list(&ListParams::default()).await {
            Ok(networks) => networks,
            Err(error) => {
                tracing::warn!(%error, "networks cannot be told that a right is missing");
                continue;
            }
        };
        for network in networks.into_iter().filter_map(|network| network.0.ok()) {
            let denied = context.denials.current(Instant::now());
            if let Err(error) = report::denied(&network, context, denied).await {
                tracing::warn!(network = %network.name_any(), %error, "not told that a right is missing");
            }
        }
    }
}

async fn control_scope(client: Client, scope: Scope, context: Arc<Context>, triggers: Triggers) {
    let users = control_users(Arc::clone(&context), triggers.users);
    let networks = control_networks(client, scope, context, triggers.networks);
    futures::join!(networks, users);
}

async fn control_networks(
    client: Client,
    scope: Scope,
    context: Arc<Context>,
    triggers: mpsc::UnboundedReceiver<Trigger>,
) {
    let api: Api<Guarded> = scope.api(&client);
    let triggers = pace::paced(triggers, GAP).map(|network| {
        let namespace = network.namespace.unwrap_or_default();
        ObjectRef::new(&network.name).within(&namespace)
    });
    Controller::new(api, watcher::Config::default())
        .with_config(config())
        .reconcile_on(triggers)
        .run(reconcile, error_policy, Arc::clone(&context))
        .for_each(|result| {
            if let Err(error) = result {
                note(&context, &error);
            }
            futures::future::ready(())
        })
        .await;
}

/// Users come from the store that the controller of networks reads as well, and are looked at when something was decided.
async fn control_users(context: Arc<Context>, triggers: mpsc::UnboundedReceiver<UserTrigger>) {
    let store = context.stores.users.clone();
    Controller::for_stream(futures::stream::pending(), store)
        .with_config(config())
        .reconcile_on(stream(triggers))
        .run(
            user::controller::reconcile,
            user::controller::error_policy,
            Arc::clone(&context),
        )
        .for_each(|result| {
            if let Err(controller::Error::QueueError(error)) = result {
                tracing::warn!(%error, "the controller of users");
            }
            futures::future::ready(())
        })
        .await;
}

fn config() -> controller::Config {
    controller::Config::default()
        .concurrency(AT_A_TIME)
        .debounce(DEBOUNCE)
}

fn stream<T>(triggers: mpsc::UnboundedReceiver<T>) -> impl futures::Stream<Item = T> {
    futures::stream::unfold(triggers, |mut triggers| async move {
        triggers.recv().await.map(|trigger| (trigger, triggers))
    })
}

/// What the controller itself reports: a network that is gone, or a watch that failed.
fn note(context: &Context, error: &controller::Error<ReconcileError, watcher::Error>) {
    match error {
        controller::Error::ObjectNotFound(gone) => {
            let namespace = gone.namespace.clone().unwrap_or_default();
            forget(context, &namespace, &gone.name);
        }
        controller::Error::ReconcilerFailed(..) => {}
        controller::Error::QueueError(error) => {
            context.metrics.watch_restarted("BrokerNetwork");
            context
                .denials
                .failed("BrokerNetwork", error, Instant::now());
            tracing::warn!(%error, "a watch is started again");
        }
        other => tracing::warn!(error = %other, "the controller"),
    }
}

fn forget(context: &Context, namespace: &str, name: &str) {
    context.probes.set(namespace, name, Default::default());
    let users = context.stores.users.state();
    let users = users.iter().filter(|user| {
        user.spec.network_ref.name == name && user.namespace().as_deref() == Some(namespace)
    });
    let users = users.map(|user| user.name_any()).collect();
    context.decisions.absent(namespace, name, users);
    fetch::refer(context, namespace, name, &Default::default());
    context.forget_hashes(namespace, name);
    context
        .metrics
        .forget(crate::network::controller::CONTROLLER, namespace, name);
    let gone: ObjectRef<BrokerNetwork> = ObjectRef::new(name).within(namespace);
    tracing::info!(network = %gone, "gone");
}
