//! The objects of a cluster, as the user of a kubeconfig may read them. Nothing is written.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::api::{Api, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config, Resource, ResourceExt as _};
use serde::de::DeserializeOwned;

use crate::api::{BrokerNetwork, BrokerUser};
use crate::documents::schema_walk::nearest;

/// An API server that is silent for so long does not answer. It is longer than what an API server waits for a node.
const PATIENCE: Duration = Duration::from_secs(35);
/// Time to a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// Which cluster, and where in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// The kubeconfig; absent: that of `KUBECONFIG`, else `~/.kube/config`, else the account of the pod.
    pub kubeconfig: Option<PathBuf>,
    /// One of its contexts; absent: the current one.
    pub context: Option<String>,
    /// The namespace; absent: that of the context.
    pub namespace: Option<String>,
}

/// Why a cluster does not tell.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// There is no way to a cluster.
    #[error(
        "there is no cluster to ask: no kubeconfig was found ($KUBECONFIG, ~/.kube/config), and this is no pod with an account; name one with --kubeconfig FILE"
    )]
    NoConfig,
    /// The file is none.
    #[error("{} is no kubeconfig: it holds a document of kind {kind}", path.display())]
    NoKubeconfig {
        /// The file.
        path: PathBuf,
        /// What it holds.
        kind: String,
    },
    /// The kubeconfig cannot be used.
    #[error("{}: {cause}{}", name(path.as_deref()), contexts(known))]
    Config {
        /// The file, where one was named.
        path: Option<PathBuf>,
        /// What is wrong with it.
        cause: Box<KubeconfigError>,
        /// The contexts that it has.
        known: Vec<String>,
    },
    /// The API server forbids it.
    #[error("the API server forbids it: {message}; ask for the right to {verb} {what}")]
    Forbidden {
        /// The verb.
        verb: &'static str,
        /// What is read.
        what: String,
        /// The API server's words.
        message: String,
    },
    /// The API server does not know who asks.
    #[error("the API server does not accept the credentials of the kubeconfig: {0}")]
    Unauthorized(String),
    /// There are no definitions of ours.
    #[error(
        "the cluster does not know {0}: install the definitions first (causeway crds | kubectl apply --server-side -f -)"
    )]
    NoKind(String),
    /// There is no such network.
    #[error("there is no BrokerNetwork {name} in namespace {namespace}{hint}")]
    NoNetwork {
        /// Its name.
        name: String,
        /// Where it was looked for.
        namespace: String,
        /// What is there instead.
        hint: String,
    },
    /// There is none at all.
    #[error(
        "there is no BrokerNetwork in {0}; look elsewhere with -n NAMESPACE, or everywhere with -A"
    )]
    NoNetworks(String),
    /// The request failed.
    #[error("reading {what} from the API server{}: {}", at(server.as_deref()), words(cause))]
    Api {
        /// What is read.
        what: String,
        /// Where it is, where that is known.
        server: Option<String>,
        /// Why not.
        cause: Box<kube::Error>,
    },
}

impl ClusterError {
    /// Whether what was asked for is wrong; else the cluster does not answer.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::NoConfig
                | Self::NoKubeconfig { .. }
                | Self::Config { .. }
                | Self::NoNetwork { .. }
                | Self::NoNetworks(_)
        )
    }

    /// What an answer of the API server means.
    #[must_use]
    pub fn of(verb: &'static str, what: &str, cause: kube::Error) -> Self {
        let what = what.to_owned();
        match &cause {
            kube::Error::Api(status) => match status.code {
                401 => Self::Unauthorized(status.message.clone()),
                403 => Self::Forbidden {
                    verb,
                    what,
                    message: status.message.clone(),
                },
                // An object that is not there is no error; a kind that is not there is.
                404 => Self::NoKind(what),
                _ => Self::Api {
                    what,
                    server: None,
                    cause: Box::new(cause),
                },
            },
            _ => Self::Api {
                what,
                server: None,
                cause: Box::new(cause),
            },
        }
    }

    /// The same with the address of the API server, which the words of a connection that fails do not have.
    #[must_use]
    pub fn with_server(mut self, address: &str) -> Self {
        if let Self::Api { server, .. } = &mut self {
            *server = Some(address.to_owned());
        }
        self
    }
}

fn at(server: Option<&str>) -> String {
    server.map_or_else(String::new, |server| format!(" {server}"))
}

fn name(path: Option<&Path>) -> String {
    path.map_or("the kubeconfig".to_owned(), |path| {
        path.display().to_string()
    })
}

fn contexts(known: &[String]) -> String {
    match known.is_empty() {
        true => String::new(),
        false => format!(" (it has the contexts {})", known.join(", ")),
    }
}

/// The words of an error and of what caused it: those of the client alone do not say who does not answer.
#[must_use]
pub fn words(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error {
        return format!("{} ({})", status.message, status.code);
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    text
}

/// Whether there is a cluster that could be asked without naming one.
#[must_use]
pub fn is_there() -> bool {
    let is_file = |path: PathBuf| path.is_file();
    match std::env::var_os("KUBECONFIG").filter(|paths| !paths.is_empty()) {
        Some(paths) => std::env::split_paths(&paths).any(is_file),
        None => {
            let home = std::env::var_os("HOME").map(PathBuf::from);
            let is_pod = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
            is_pod || home.is_some_and(|home| is_file(home.join(".kube/config")))
        }
    }
}

/// A cluster, and where in it to look.
#[derive(Clone)]
pub struct Cluster {
    /// Its client.
    pub client: Client,
    /// The namespace that was named, or that of the context.
    pub namespace: String,
    /// Where its API server is.
    pub server: String,
}

impl Cluster {
    /// Reads the kubeconfig; nobody is asked yet.
    ///
    /// # Errors
    /// There is none, or it cannot be used.
    pub async fn connect(target: &Target) -> Result<Self, ClusterError> {
        let mut config = config(target).await?;
        config.connect_timeout = Some(CONNECT);
        config.read_timeout = Some(PATIENCE);
        let namespace = target.namespace.clone();
        let namespace = namespace.unwrap_or_else(|| config.default_namespace.clone());
        let server = config.cluster_url.to_string();
        let client = Client::try_from(config);
        let client = client.map_err(|cause| ClusterError::Api {
            what: "the kubeconfig".to_owned(),
            server: None,
            cause: Box::new(cause),
        })?;
        Ok(Self {
            client,
            namespace,
            server,
        })
    }

    /// One network; what is there instead is told where it is not.
    ///
    /// # Errors
    /// There is none of that name, or it cannot be read.
    pub async fn network(&self, name: &str) -> Result<BrokerNetwork, ClusterError> {
        let api: Api<BrokerNetwork> = Api::namespaced(self.client.clone(), &self.namespace);
        let found = api.get_opt(name).await;
        let failed = |error| ClusterError::of("get", NETWORKS, error).with_server(&self.server);
        if let Some(network) = found.map_err(failed)? {
            return Ok(network);
        }
        // Which names there are is help; why they cannot be read is no matter.
        let others = match self.networks(false).await {
            Err(error @ ClusterError::NoKind(_)) => return Err(error),
            others => others.unwrap_or_default(),
        };
        let names: Vec<String> = others.iter().map(|one| one.name_any()).collect();
        Err(ClusterError::NoNetwork {
            name: name.to_owned(),
            namespace: self.namespace.clone(),
            hint: hint(name, &names),
        })
    }

    /// All networks of the namespace, or of all of them, by namespace and name.
    ///
    /// # Errors
    /// They cannot be read.
    pub async fn networks(&self, everywhere: bool) -> Result<Vec<BrokerNetwork>, ClusterError> {
        self.list(everywhere, NETWORKS).await
    }

    /// All users, likewise.
    ///
    /// # Errors
    /// They cannot be read.
    pub async fn users(&self, everywhere: bool) -> Result<Vec<BrokerUser>, ClusterError> {
        self.list(everywhere, USERS).await
    }

    async fn list<K>(&self, everywhere: bool, what: &str) -> Result<Vec<K>, ClusterError>
    where
        K: Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
        K: Clone + DeserializeOwned + std::fmt::Debug,
    {
        let api: Api<K> = match everywhere {
            true => Api::all(self.client.clone()),
            false => Api::namespaced(self.client.clone(), &self.namespace),
        };
        let list = api.list(&ListParams::default()).await;
        let mut items = list
            .map_err(|error| ClusterError::of("list", what, error).with_server(&self.server))?
            .items;
        items.sort_by_key(|item| (item.namespace(), item.name_any()));
        Ok(items)
    }
}

const NETWORKS: &str = "brokernetworks.causeway.dev";
const USERS: &str = "brokerusers.causeway.dev";

fn hint(name: &str, known: &[String]) -> String {
    if known.is_empty() {
        return ": there is none at all; look elsewhere with -n NAMESPACE".to_owned();
    }
    let near = nearest(name, known.iter().map(String::as_str));
    let near = near.map_or(String::new(), |near| format!("; did you mean {near}?"));
    format!(": there is {}{near}", known.join(", "))
}

async fn config(target: &Target) -> Result<Config, ClusterError> {
    let options = KubeConfigOptions {
        context: target.context.clone(),
        ..KubeConfigOptions::default()
    };
    let path = target.kubeconfig.clone();
    let file = match &path {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    let wrong = |cause, known| ClusterError::Config {
        path: path.clone(),
        cause: Box::new(cause),
        known,
    };
    let file = match file {
        Ok(file) => file,
        Err(error) if target.kubeconfig.is_some() || target.context.is_some() || is_there() => {
            return match Config::incluster() {
                Ok(config) if target.kubeconfig.is_none() && target.context.is_none() => Ok(config),
                _ => Err(wrong(error, Vec::new())),
            };
        }
        Err(_) => return Err(ClusterError::NoConfig),
    };
    if let (Some(path), Some(kind)) = (&path, &file.kind)
        && kind != "Config"
    {
        return Err(ClusterError::NoKubeconfig {
            path: path.clone(),
            kind: kind.clone(),
        });
    }
    let known = file
        .contexts
        .iter()
        .map(|context| context.name.clone())
        .collect();
    let config = Config::from_custom_kubeconfig(file, &options).await;
    config.map_err(|cause| wrong(cause, known))
}

#[cfg(test)]
mod tests {
    use kube::core::response::Status;

    use super::*;

    fn answer(code: u16, message: &str) -> kube::Error {
        kube::Error::Api(Box::new(Status {
            code,
            message: message.to_owned(),
            ..Status::default()
        }))
    }

    #[test]
    fn an_answer_of_the_api_server_says_what_to_do() {
        let rows = [
            (
                403,
                "brokernetworks is forbidden",
                "ask for the right to list x",
            ),
            (404, "not found", "causeway crds | kubectl apply"),
            (401, "Unauthorized", "credentials of the kubeconfig"),
            (
                500,
                "etcd is gone",
                "reading x from the API server: etcd is gone (500)",
            ),
        ];
        for (code, message, expected) in rows {
            let error = ClusterError::of("list", "x", answer(code, message));
            assert!(!error.is_usage(), "{error}");
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    #[test]
    fn a_failure_names_the_api_server_and_a_file_of_another_kind_is_no_kubeconfig() {
        let server = "https://api.example.com:6443/";
        let error = ClusterError::of("list", "x", answer(500, "etcd is gone")).with_server(server);
        let expected = "reading x from the API server https://api.example.com:6443/: etcd";
        assert!(error.to_string().starts_with(expected), "{error}");
        let name = format!("causeway-no-kubeconfig-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let text = "apiVersion: causeway.dev/v1alpha1\nkind: BrokerNetwork\nmetadata: {name: x}\n";
        std::fs::write(&path, text).expect("written");
        let target = Target {
            kubeconfig: Some(path.clone()),
            ..Target::default()
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let error = runtime.block_on(Cluster::connect(&target)).err();
        std::fs::remove_file(&path).ok();
        let error = error.expect("no kubeconfig");
        let words = "is no kubeconfig: it holds a document of kind BrokerNetwork";
        assert!(
            error.is_usage() && error.to_string().ends_with(words),
            "{error}"
        );
    }

    #[test]
    fn a_network_that_is_not_there_lists_those_that_are() {
        let known = ["mcollective".to_owned(), "other".to_owned()];
        let expected = ": there is mcollective, other; did you mean mcollective?";
        assert_eq!(hint("mcolective", &known), expected);
        assert!(hint("x", &[]).contains("-n NAMESPACE"));
    }

    #[test]
    fn a_kubeconfig_without_the_context_lists_those_it_has() {
        let path = std::env::temp_dir().join(format!("causeway-kubeconfig-{}", std::process::id()));
        let text = "apiVersion: v1\nkind: Config\ncontexts:\n- name: ie\n  context: {cluster: ie, user: me}\n";
        std::fs::write(&path, text).expect("written");
        let target = Target {
            kubeconfig: Some(path.clone()),
            context: Some("uk".to_owned()),
            namespace: None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        let error = runtime
            .block_on(Cluster::connect(&target))
            .err()
            .expect("no context");
        let text = error.to_string();
        assert!(
            error.is_usage() && text.contains("(it has the contexts ie)"),
            "{text}"
        );
        std::fs::remove_file(path).ok();
    }
}
