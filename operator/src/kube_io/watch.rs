//! Watched stores, and who has to be reconciled when something in them changes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::api::{Api, DynamicObject, PartialObjectMeta};
use kube::core::DeserializeGuard;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Client, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;

use super::denials::Denials;
use super::readable::{self, Unreadable};
use super::{objects, resource};
use crate::api::{BrokerNetwork, BrokerUser};
use crate::labels;
use crate::metrics::Metrics;
use crate::model::observed::ChildKind;
use crate::names;
use crate::user::decided::UserTrigger;

/// The namespaces of one set of stores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All of them.
    Cluster,
    /// One.
    Namespace(String),
}

impl Scope {
    /// The requests of a kind in the scope.
    #[must_use]
    pub fn api<K>(&self, client: &Client) -> Api<K>
    where
        K: Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
    {
        match self {
            Self::Cluster => Api::all(client.clone()),
            Self::Namespace(namespace) => Api::namespaced(client.clone(), namespace),
        }
    }

    fn children(&self, client: &Client, kind: ChildKind) -> Api<DynamicObject> {
        match self {
            Self::Cluster => Api::all_with(client.clone(), &resource(kind)),
            Self::Namespace(namespace) => {
                Api::namespaced_with(client.clone(), namespace, &resource(kind))
            }
        }
    }
}

/// Whom a change in a store is about.
pub type Trigger = ObjectRef<BrokerNetwork>;

/// Names of whom a change in a store is about.
#[derive(Debug, Default)]
struct About {
    networks: Vec<String>,
    users: Vec<String>,
}

impl About {
    fn networks(networks: impl IntoIterator<Item = String>) -> Self {
        Self {
            networks: networks.into_iter().collect(),
            users: Vec::new(),
        }
    }
}

/// Which networks name a Secret.
#[derive(Debug, Default)]
pub struct References {
    /// By namespace and name.
    secrets: Mutex<BTreeMap<(String, String), BTreeSet<String>>>,
}

impl References {
    /// A network names these Secrets and no others. Tells whether nobody names some Secret any more.
    pub fn set(&self, namespace: &str, network: &str, secrets: &BTreeSet<String>) -> bool {
        let mut known = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        let before = known.len();
        known.retain(|(place, name), networks| {
            if place == namespace && !secrets.contains(name) {
                networks.remove(network);
            }
            !networks.is_empty()
        });
        let is_less = known.len() < before;
        for name in secrets {
            let key = (namespace.to_owned(), name.clone());
            known.entry(key).or_default().insert(network.to_owned());
        }
        is_less
    }

    /// Whether a network names a Secret.
    #[must_use]
    pub fn is_named(&self, namespace: &str, name: &str) -> bool {
        let known = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        known.contains_key(&(namespace.to_owned(), name.to_owned()))
    }

    fn of(&self, namespace: &str, name: &str) -> Vec<String> {
        let known = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (namespace.to_owned(), name.to_owned());
        known.get(&key).into_iter().flatten().cloned().collect()
    }
}

/// Everything that is watched.
#[derive(Clone)]
pub struct Stores {
    /// Users.
    pub users: Store<BrokerUser>,
    /// Secrets, without what is in them.
    pub secrets: Store<PartialObjectMeta<Secret>>,
    /// Pods of brokers.
    pub pods: Store<Pod>,
    /// What was made, by kind.
    pub children: Arc<BTreeMap<ChildKind, Store<DynamicObject>>>,
}

impl Stores {
    /// Resolves when every store holds what there was when it began.
    pub async fn filled(&self) {
        // A store whose watch has ended is never filled: the process is ending then.
        let _ = self.users.wait_until_ready().await;
        let _ = self.secrets.wait_until_ready().await;
        let _ = self.pods.wait_until_ready().await;
        for store in self.children.values() {
            let _ = store.wait_until_ready().await;
        }
    }
}

/// Starts watching; every change is sent on as the networks it is about.
pub struct Watches<'a> {
    /// The client.
    pub client: &'a Client,
    /// Where to look.
    pub scope: &'a Scope,
    /// Who hears of changes.
    pub changes: UnboundedSender<Trigger>,
    /// Who hears of what concerns users.
    pub users: UnboundedSender<UserTrigger>,
    /// Who hears of users that cannot be read.
    pub strangers: UnboundedSender<Unreadable>,
    /// Which networks name a Secret.
    pub references: Arc<References>,
    /// Counts watches that were started again.
    pub metrics: Arc<Metrics>,
    /// Takes note of rights that are missing.
    pub denials: Arc<Denials>,
    /// Whether cert-manager's kinds are there.
    pub has_certificates: bool,
}

impl Watches<'_> {
    /// Starts every watch.
    pub fn start(&self, tasks: &mut JoinSet<()>) -> Stores {
        let users = self.watch(
            tasks,
            "BrokerUser",
            readable::users(
                watcher(
                    self.scope.api::<DeserializeGuard<BrokerUser>>(self.client),
                    watcher::Config::default(),
                ),
                self.strangers.clone(),
            ),
            (),
            user_changes(),
        );
        let references = Arc::clone(&self.references);
        let secrets = self.watch(
            tasks,
            "Secret",
            watcher(
                self.scope.api::<PartialObjectMeta<Secret>>(self.client),
                watcher::Config::default(),
            ),
            (),
            move |secret: &PartialObjectMeta<Secret>, _: &Store<_>| {
                let namespace = secret.namespace().unwrap_or_default();
                let mut networks = references.of(&namespace, &secret.name_any());
                networks.extend(network_of(secret));
                // The name tells, since what bears it may be somebody else's.
                let user = names::user_of_secret(&secret.name_any()).map(str::to_owned);
                About {
                    networks,
                    users: user.into_iter().collect(),
                }
            },
        );
        let pods = self.watch(
            tasks,
            "Pod",
            watcher(
                self.scope.api::<Pod>(self.client),
                watcher::Config::default().labels(&labels::broker_selector()),
            ),
            (),
            |pod: &Pod, _: &Store<Pod>| About::networks(network_of(pod)),
        );
        Stores {
            users,
            secrets,
            pods,
            children: Arc::new(self.children(tasks)),
        }
    }

    fn children(&self, tasks: &mut JoinSet<()>) -> BTreeMap<ChildKind, Store<DynamicObject>> {
        let config = watcher::Config::default().labels(&labels::managed_selector());
        let kinds = ChildKind::ALL.into_iter().filter(|kind| match kind {
            ChildKind::Secret => false,
            ChildKind::Certificate => self.has_certificates,
            _ => true,
        });
        kinds
            .map(|kind| {
                let api = self.scope.children(self.client, kind);
                let store = self.watch(
                    tasks,
                    kind.as_str(),
                    watcher(api, config.clone()),
                    resource(kind),
                    |object: &DynamicObject, _: &Store<_>| About::networks(network_of(object)),
                );
                (kind, store)
            })
            .collect()
    }

    fn watch<K, S>(
        &self,
        tasks: &mut JoinSet<()>,
        kind: &'static str,
        events: S,
        dyntype: K::DynamicType,
        about: impl Fn(&K, &Store<K>) -> About + Send + Sync + 'static,
    ) -> Store<K>
    where
        K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
        K::DynamicType: Eq + Hash + Clone + Send + Sync,
        S: futures::Stream<Item = Result<watcher::Event<K>, watcher::Error>> + Send + 'static,
    {
        let writer = reflector::store::Writer::<K>::new(dyntype);
        let store = writer.as_reader();
        let (changes, users) = (self.changes.clone(), self.users.clone());
        let known = store.clone();
        let metrics = Arc::clone(&self.metrics);
        let denials = Arc::clone(&self.denials);
        let stream = events
            .default_backoff()
            .inspect(move |event| match event {
                Ok(watcher::Event::InitDone) => denials.listed(kind),
                Err(error) => denials.failed(kind, error, Instant::now()),
                Ok(_) => {}
            })
            .modify(|object| objects::prune_metadata(object))
            .reflect(writer)
            .touched_objects();
        tasks.spawn(stream.for_each(move |object| {
            match object {
                Ok(object) => {
                    let namespace = object.namespace().unwrap_or_default();
                    let about = about(&object, &known);
                    // Nobody listens any more when the operator ends.
                    for network in about.networks {
                        let _ = changes.send(ObjectRef::new(&network).within(&namespace));
                    }
                    for user in about.users {
                        let _ = users.send(ObjectRef::new(&user).within(&namespace));
                    }
                }
                Err(error) => {
                    metrics.watch_restarted(kind);
                    tracing::warn!(kind, %error, "a watch is started again");
                }
            }
            futures::future::ready(())
        }));
        store
    }
}

/// Whom a change of a user is about. The status of a user, which is this operator's own, concerns no network: thousands
/// are written when a network is made. What was told is remembered by uid, generation and annotations of ours, and a user that
/// is gone is told of whatever that says.
fn user_changes() -> impl Fn(&BrokerUser, &Store<BrokerUser>) -> About + Send + Sync + 'static {
    let told = Mutex::new(BTreeMap::new());
    move |user, store| {
        let place = ObjectRef::from_obj(user);
        let name = user.name_any();
        let key = (user.namespace(), name.clone());
        let meta = &user.metadata;
        let now = (
            meta.uid.clone(),
            meta.generation,
            meta.deletion_timestamp.is_some(),
            labels::annotations(user),
        );
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = match store.get(&place) {
            Some(_) => told.insert(key, now.clone()) != Some(now),
            None => {
                told.remove(&key);
                true
            }
        };
        About {
            networks: match is_news {
                true => vec![user.spec.network_ref.name.clone()],
                false => Vec::new(),
            },
            users: vec![name],
        }
    }
}

/// The network that an object was made for.
fn network_of<K: Resource>(object: &K) -> Option<String> {
    object.labels().get(labels::NETWORK).cloned()
}
