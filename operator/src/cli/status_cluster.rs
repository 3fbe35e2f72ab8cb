//! `causeway status` from a cluster: what the status of the objects says.

use std::convert::Infallible;
use std::fmt::Debug;
use std::io::IsTerminal as _;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use k8s_openapi::jiff::Timestamp;
use kube::api::Api;
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use tokio::time;

use super::cluster_args::runtime;
use super::status::{Args, print};
use super::{Exit, Output};
use crate::api::{BrokerNetwork, BrokerUser};
use crate::client::cluster::{Cluster, ClusterError};
use crate::client::declared::is_of;
use crate::client::describe::{self, Shown};
use crate::client::operators::Operators;

/// Ages are counted anew after this time, for those who look at a screen.
const TICK: Duration = Duration::from_secs(5);
/// Changes that come together are shown together.
const TOGETHER: Duration = Duration::from_millis(100);

/// Prints one network, or a line for each of several; with `--watch` again and again, to the end of the process.
///
/// # Errors
/// There is none, or the API server does not answer or forbids it.
pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    runtime()?.block_on(async {
        let cluster = Cluster::connect(&args.place.target()).await?;
        let found = Found::read(args, &cluster).await?;
        print(&found.text(args)?, args.watch)?;
        if args.watch {
            match follow(args, &cluster, found).await? {}
        }
        Ok(match found.is_good() {
            true => Exit::Good,
            false => Exit::Negative,
        })
    })
}

/// What is shown.
struct Found {
    networks: Vec<BrokerNetwork>,
    users: Vec<BrokerUser>,
    operators: Operators,
}

impl Found {
    async fn read(args: &Args, cluster: &Cluster) -> Result<Self, ClusterError> {
        let networks = match &args.name {
            Some(name) if !args.all_namespaces => vec![cluster.network(name).await?],
            _ => {
                let mut all = cluster.networks(args.all_namespaces).await?;
                all.retain(|network| is_named(args, network));
                all
            }
        };
        if networks.is_empty() {
            let place = match args.all_namespaces {
                true => "any namespace".to_owned(),
                false => format!("namespace {}", cluster.namespace),
            };
            return Err(ClusterError::NoNetworks(place));
        }
        // Users are read only where they are shown.
        let users = match networks.len() == 1 || args.output == Output::Json {
            true => cluster.users(args.all_namespaces).await?,
            false => Vec::new(),
        };
        let operators = Operators::read(cluster, &networks).await;
        Ok(Self {
            networks,
            users,
            operators,
        })
    }

    /// Whether everything that is shown is as it is declared now, and somebody sees to it.
    fn is_good(&self) -> bool {
        let is_shown = |user: &&BrokerUser| {
            let mut networks = self.networks.iter();
            networks.any(|network| is_of(user, network))
        };
        let mut users = self.users.iter().filter(is_shown);
        self.networks.iter().all(describe::is_ready)
            && users.all(describe::is_user_observed)
            && !self.operators.is_silent()
    }

    fn text(&self, args: &Args) -> Result<String, serde_json::Error> {
        if args.output == Output::Json {
            let value = describe::json(&self.networks, &self.users, &self.operators);
            return Ok(format!("{}\n", serde_json::to_string_pretty(&value)?));
        }
        let now = Timestamp::now();
        let shown = Shown { tls: args.tls, now };
        let one = |network: &BrokerNetwork| describe::network(network, &self.users, shown);
        let text = match self.networks.as_slice() {
            [network] => one(network),
            several if args.tls => several.iter().map(one).collect::<Vec<_>>().join("\n"),
            [] => "the network is gone\n".to_owned(),
            several => describe::overview(several, now),
        };
        Ok(format!("{}{text}", self.operators.lines()))
    }
}

fn is_named(args: &Args, network: &BrokerNetwork) -> bool {
    args.name
        .as_ref()
        .is_none_or(|name| *name == network.name_any())
}

/// Prints what is new, as the API server tells it.
async fn follow(args: &Args, cluster: &Cluster, mut found: Found) -> anyhow::Result<Infallible> {
    let mut networks = Followed::<BrokerNetwork>::start(args, cluster);
    let mut users = Followed::<BrokerUser>::start(args, cluster);
    let is_screen = std::io::stdout().is_terminal();
    let mut tick = time::interval(TICK);
    let mut shown = found.text(args)?;
    loop {
        tokio::select! {
            () = networks.step() => {}
            () = users.step() => {}
            _ = tick.tick(), if is_screen => {
                found.operators = Operators::read(cluster, &found.networks).await;
            }
        }
        // Changes that come together are shown together.
        let more = async {
            while tokio::select! { () = networks.step() => true, () = users.step() => true } {}
        };
        time::timeout(TOGETHER, more).await.ok();
        // Until all has been told, what was read first stands.
        if networks.is_filled && users.is_filled {
            found = Found {
                networks: networks.all(|network| is_named(args, network)),
                users: users.all(|_| true),
                operators: found.operators,
            };
        }
        let mut text = found.text(args)?;
        if let Some(trouble) = networks.trouble.as_ref().or(users.trouble.as_ref()) {
            text.push_str(&format!("\nno changes are told, trying again: {trouble}\n"));
        }
        if text != shown {
            print(&text, true)?;
            shown = text;
        }
    }
}

/// Objects of a kind that are followed.
struct Followed<K: Resource<DynamicType = ()> + 'static> {
    store: Store<K>,
    events: BoxStream<'static, watcher::Result<watcher::Event<K>>>,
    /// Every object has been told once.
    is_filled: bool,
    /// Why nothing is told.
    trouble: Option<String>,
}

impl<K> Followed<K>
where
    K: Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
    K: Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    fn start(args: &Args, cluster: &Cluster) -> Self {
        let client = cluster.client.clone();
        let api: Api<K> = match args.all_namespaces {
            true => Api::all(client),
            false => Api::namespaced(client, &cluster.namespace),
        };
        let (store, writer) = reflector::store();
        let events = watcher(api, watcher::Config::default())
            .default_backoff()
            .reflect(writer);
        Self {
            store,
            events: events.boxed(),
            is_filled: false,
            trouble: None,
        }
    }

    /// Takes one event; a watch never ends.
    async fn step(&mut self) {
        match self.events.next().await {
            Some(Ok(event)) => {
                self.is_filled |= matches!(event, watcher::Event::InitDone);
                self.trouble = None;
            }
            Some(Err(error)) => self.trouble = Some(error.to_string()),
            None => futures::future::pending().await,
        }
    }

    /// What is known, by namespace and name.
    fn all(&self, is_wanted: impl Fn(&K) -> bool) -> Vec<K> {
        let known = self.store.state();
        let mut all: Vec<K> = known
            .iter()
            .map(|one| (**one).clone())
            .filter(is_wanted)
            .collect();
        all.sort_by_key(|one| (one.namespace(), one.name_any()));
        all
    }
}
