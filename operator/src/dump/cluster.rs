//! The bundle of a network in a cluster.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Event, Secret};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use serde::Serialize;
use serde_json::{Value, json};

use super::bundle::{Bundle, BundleError};
use super::redact;
use crate::api::{BrokerNetwork, BrokerUser};
use crate::client::cluster::{Cluster, words};
use crate::client::{declared, describe};
use crate::kube_io::definitions;
use crate::labels;
use crate::lint;
use crate::names::{self, Part};
use crate::network::keys::ADMIN_TOKEN;
use crate::network::load::{Generated, Wanted, examine};
use crate::network::references;
use crate::network::validate::MissingSecrets;

/// Kinds of objects that a network has beside its own and Secrets: API version, kind, name in requests.
const KINDS: [[&str; 3]; 9] = [
    ["apps/v1", "Deployment", "deployments"],
    ["apps/v1", "ReplicaSet", "replicasets"],
    ["v1", "Pod", "pods"],
    ["v1", "Service", "services"],
    ["discovery.k8s.io/v1", "EndpointSlice", "endpointslices"],
    ["networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"],
    ["policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"],
    ["v1", "ServiceAccount", "serviceaccounts"],
    ["cert-manager.io/v1", "Certificate", "certificates"],
];

/// Reads everything about a network into a bundle.
///
/// # Errors
/// The bundle cannot be written.
pub async fn collect(
    cluster: &Cluster,
    network: &BrokerNetwork,
    bundle: &mut Bundle,
) -> Result<(), BundleError> {
    let users = cluster.users(false).await;
    let users = users.unwrap_or_else(|error| {
        bundle.note("objects/brokerusers", error);
        Vec::new()
    });
    let users: Vec<BrokerUser> = users
        .into_iter()
        .filter(|user| declared::is_of(user, network))
        .collect();
    let mut collector = Collector {
        cluster,
        network,
        name: network.name_any(),
        bundle,
        tokens: BTreeMap::new(),
    };
    // First of all: nothing is added before it is known what must not be in it.
    let secrets = collector.secrets(&users).await;
    for (name, secret) in secrets {
        collector.yaml(&format!("objects/secrets/{name}.yaml"), &secret)?;
    }
    collector.declared(&users)?;
    collector.objects().await?;
    collector.events(&users).await?;
    collector.brokers().await?;
    collector.operators().await?;
    collector.versions().await
}

/// What is read from, and where it goes.
pub(super) struct Collector<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) network: &'a BrokerNetwork,
    pub(super) name: String,
    pub(super) bundle: &'a mut Bundle,
    /// Tokens of `/status` by site; they are kept in memory alone.
    pub(super) tokens: BTreeMap<String, String>,
}

impl Collector<'_> {
    pub(super) fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.cluster.client.clone(), &self.cluster.namespace)
    }

    pub(super) fn of_network(&self) -> ListParams {
        ListParams::default().labels(&format!("{}={}", labels::NETWORK, self.name))
    }

    pub(super) fn yaml(&mut self, path: &str, value: &impl Serialize) -> Result<(), BundleError> {
        self.bundle.add_or_note(path, serde_yaml::to_string(value))
    }

    /// What may be told of the Secrets of the network and of those that it names; what is in them is learnt.
    async fn secrets(&mut self, users: &[BrokerUser]) -> BTreeMap<String, Value> {
        self.bundle.reads("Secrets");
        let api: Api<Secret> = self.api();
        let mut names = self.named(users);
        match api.list_metadata(&self.of_network()).await {
            Ok(list) => names.extend(list.items.iter().map(|one| one.name_any())),
            Err(error) => self
                .bundle
                .note("objects/secrets (by label)", words(&error)),
        }
        let mut found = BTreeMap::new();
        for name in names {
            match api.get_opt(&name).await {
                Ok(Some(secret)) => drop(found.insert(name.clone(), self.learn(&name, secret))),
                Ok(None) => {}
                Err(error) => {
                    let path = format!("objects/secrets/{name}.yaml");
                    self.bundle.note(&path, words(&error));
                }
            }
        }
        found
    }

    /// Names of the Secrets that the documents name.
    fn named(&self, users: &[BrokerUser]) -> BTreeSet<String> {
        let spec = &self.network.spec;
        let users = users
            .iter()
            .map(|user| (user.name_any(), user.spec.clone()))
            .collect();
        let all = spec.sites.iter().map(|site| site.name.clone()).collect();
        references::references(&self.name, spec, &users, &all).secrets
    }

    fn learn(&mut self, name: &str, secret: Secret) -> Value {
        let data = secret.data.unwrap_or_default().into_iter();
        let data: BTreeMap<String, Vec<u8>> = data.map(|(key, bytes)| (key, bytes.0)).collect();
        self.bundle.scrubber().learn(name, &data);
        for site in &self.network.spec.sites {
            let token = data
                .get(ADMIN_TOKEN)
                .cloned()
                .and_then(|token| String::from_utf8(token).ok());
            if let Some(token) =
                token.filter(|_| names::site_part(&self.name, &site.name, Part::Keys) == name)
            {
                self.tokens.insert(site.name.clone(), token);
            }
        }
        let metadata = serde_json::to_value(&secret.metadata).unwrap_or_default();
        redact::secret(metadata, secret.type_.as_deref(), &data)
    }

    /// The network and its users, what their status says as a table, and the findings of `lint`.
    fn declared(&mut self, users: &[BrokerUser]) -> Result<(), BundleError> {
        let network = serde_json::to_value(self.network)?;
        let path = format!("objects/brokernetworks/{}.yaml", self.name);
        self.yaml(&path, &redact::object(network))?;
        for user in users {
            let path = format!("objects/brokerusers/{}.yaml", user.name_any());
            let user = redact::object(serde_json::to_value(user)?);
            self.yaml(&path, &user)?;
        }
        let now = Timestamp::now();
        let [tables, tls] = [false, true]
            .map(|tls| describe::network(self.network, users, describe::Shown { tls, now }));
        self.bundle.add("status.txt", tables.as_bytes())?;
        self.bundle.add("tls.txt", tls.as_bytes())?;
        let findings = findings(self.network, users);
        self.bundle.add_or_note("findings.txt", findings)
    }

    /// Everything that carries the label of the network.
    async fn objects(&mut self) -> Result<(), BundleError> {
        for [version, kind, plural] in KINDS {
            self.bundle.reads(plural);
            let (group, version) = version.split_once('/').unwrap_or(("", version));
            let gvk = GroupVersionKind::gvk(group, version, kind);
            let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
            let client = self.cluster.client.clone();
            let api: Api<DynamicObject> =
                Api::namespaced_with(client, &self.cluster.namespace, &resource);
            match api.list(&self.of_network()).await {
                Ok(list) => {
                    for object in list {
                        let path = format!("objects/{plural}/{}.yaml", object.name_any());
                        let object = redact::object(serde_json::to_value(object)?);
                        self.yaml(&path, &object)?;
                    }
                }
                // A cluster without cert-manager has none, and lacks nothing.
                Err(kube::Error::Api(status)) if status.code == 404 && kind == "Certificate" => {}
                Err(error) => self
                    .bundle
                    .note(&format!("objects/{plural}"), words(&error)),
            }
        }
        Ok(())
    }

    /// Events about the network, its users, and what was made for it.
    async fn events(&mut self, users: &[BrokerUser]) -> Result<(), BundleError> {
        self.bundle.reads("events");
        let list = match self.api::<Event>().list(&ListParams::default()).await {
            Ok(list) => list,
            Err(error) => {
                self.bundle.note("events.yaml", words(&error));
                return Ok(());
            }
        };
        let children = format!("{}--", self.name);
        let is_own = |event: &Event| {
            let about = event.involved_object.name.as_deref().unwrap_or_default();
            let is_user = || users.iter().any(|user| user.name_any() == about);
            about == self.name || about.starts_with(&children) || is_user()
        };
        let mut own = Vec::new();
        for event in list.items.iter().filter(|event| is_own(event)) {
            own.push(redact::object(serde_json::to_value(event)?));
        }
        self.yaml("events.yaml", &own)
    }

    /// Who runs what, and what the definitions lack for this command.
    async fn versions(&mut self) -> Result<(), BundleError> {
        self.bundle.reads("versions");
        let client = &self.cluster.client;
        let server = client.apiserver_version().await;
        let server = server.map_or_else(|error| words(&error), |version| version.git_version);
        let missing = definitions::missing(client).await;
        let status = self.network.status.clone().unwrap_or_default();
        let sites = status.sites.unwrap_or_default().into_iter();
        let sites: BTreeMap<String, Option<String>> =
            sites.map(|site| (site.name, site.version)).collect();
        let versions = json!({
            "command": env!("CARGO_PKG_VERSION"),
            "apiServer": server,
            "operator": status.operator.map(|operator| operator.version),
            "brokers": sites,
            "fieldsThatTheDefinitionsLack": match &missing {
                Ok(missing) => json!(missing),
                Err(error) => json!(format!("unknown: {}", words(error))),
            },
        });
        self.yaml("versions.yaml", &versions)
    }
}

/// The findings of `lint`, without what Secrets would add.
fn findings(network: &BrokerNetwork, users: &[BrokerUser]) -> Result<String, serde_json::Error> {
    let source = declared::source(network, users)?;
    let examined = examine(
        &[source],
        Wanted {
            network: None,
            missing: MissingSecrets::Mark,
            generated: Generated::Nothing,
            local: None,
            further: &lint::run,
        },
    );
    let texts = examined
        .problems
        .iter()
        .map(|problem| problem.to_text(false));
    let text = texts.collect::<Vec<_>>().join("\n");
    Ok(match text.is_empty() {
        true => "nothing was found\n".to_owned(),
        false => text,
    })
}
