//! What is there: objects of this cluster, pods, and what the brokers tell. `fetch` gathers it and judges nothing.

use std::collections::BTreeMap;

use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

use crate::client::view::StatusView;
use crate::names::SiteName;

/// Kinds of objects that are made for a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChildKind {
    /// `v1` ServiceAccount.
    ServiceAccount,
    /// `v1` Secret.
    Secret,
    /// `cert-manager.io/v1` Certificate.
    Certificate,
    /// `v1` Service.
    Service,
    /// `networking.k8s.io/v1` NetworkPolicy.
    NetworkPolicy,
    /// `policy/v1` PodDisruptionBudget.
    PodDisruptionBudget,
    /// `apps/v1` Deployment.
    Deployment,
    /// `v1` Pod: made by nobody here, and told of new files.
    Pod,
}

impl ChildKind {
    /// Every kind that is made, in the order in which objects are written: no pod starts before what it mounts.
    pub const ALL: [Self; 7] = [
        Self::ServiceAccount,
        Self::Secret,
        Self::Certificate,
        Self::Service,
        Self::NetworkPolicy,
        Self::PodDisruptionBudget,
        Self::Deployment,
    ];

    /// The kind's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ServiceAccount => "ServiceAccount",
            Self::Secret => "Secret",
            Self::Certificate => "Certificate",
            Self::Service => "Service",
            Self::NetworkPolicy => "NetworkPolicy",
            Self::PodDisruptionBudget => "PodDisruptionBudget",
            Self::Deployment => "Deployment",
            Self::Pod => "Pod",
        }
    }

    /// `apiVersion` of the kind.
    #[must_use]
    pub const fn api_version(self) -> &'static str {
        match self {
            Self::ServiceAccount | Self::Secret | Self::Service | Self::Pod => "v1",
            Self::Certificate => "cert-manager.io/v1",
            Self::NetworkPolicy => "networking.k8s.io/v1",
            Self::PodDisruptionBudget => "policy/v1",
            Self::Deployment => "apps/v1",
        }
    }
}

/// Which object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChildKey {
    /// Its kind.
    pub kind: ChildKind,
    /// Its name.
    pub name: String,
}

impl std::fmt::Display for ChildKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} {}", self.kind.as_str(), self.name)
    }
}

/// Whose an object is, as its controller reference says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// This object's.
    Ours,
    /// That of an earlier object of our name, which is being removed.
    Former,
    /// Somebody else's, or nobody's.
    Foreign(Option<String>),
}

/// An object that is there. Of a Secret the data is left out unless it is the operator's own.
#[derive(Debug, Clone, PartialEq)]
pub struct Live {
    /// Its uid.
    pub uid: String,
    /// Its version.
    pub resource_version: String,
    /// Whose it is.
    pub owner: Owner,
    /// It is being deleted.
    pub is_deleting: bool,
    /// All of it, without `managedFields`.
    pub value: Value,
}

impl Live {
    /// An annotation.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.value
            .get("metadata")?
            .get("annotations")?
            .get(key)?
            .as_str()
    }

    /// A label.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&str> {
        self.value
            .get("metadata")?
            .get("labels")?
            .get(key)?
            .as_str()
    }
}

/// A pod of a broker.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PodState {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Its site.
    pub site: String,
    /// Its address, once it has one.
    pub ip: Option<String>,
    /// `status.phase`.
    pub phase: String,
    /// Its condition Ready.
    pub is_ready: bool,
    /// It is being deleted.
    pub is_deleting: bool,
    /// Its annotation with the hash of the configuration it was told of last.
    pub config_hash: Option<String>,
    /// What keeps its container from running, such as ImagePullBackOff.
    pub waiting: Option<String>,
    /// How often its container was started anew.
    pub restarts: i32,
}

/// What is known from the broker of a local site.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BrokerState {
    /// Its last answer.
    pub view: Option<StatusView>,
    /// When that came.
    pub answered: Option<Timestamp>,
    /// Failures since then.
    pub failures: u32,
    /// The last failure, in words without secrets.
    pub error: String,
}

/// What is there of one network in this cluster.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Observed {
    /// The objects with the label of the network, and those of the names that are needed.
    pub children: BTreeMap<ChildKey, Live>,
    /// The pods of its brokers, by name.
    pub pods: Vec<PodState>,
    /// What its local brokers tell.
    pub brokers: BTreeMap<SiteName, BrokerState>,
    /// Field paths that the definitions in the cluster lack.
    pub missing_fields: Vec<String>,
}

impl Observed {
    /// An object of a kind and a name.
    #[must_use]
    pub fn child(&self, kind: ChildKind, name: &str) -> Option<&Live> {
        let key = ChildKey {
            kind,
            name: name.to_owned(),
        };
        self.children.get(&key)
    }

    /// The pods of a site that are not being deleted.
    pub fn pods_of(&self, site: &str) -> impl Iterator<Item = &PodState> {
        self.pods
            .iter()
            .filter(move |pod| pod.site == site && !pod.is_deleting)
    }
}

/// What became of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// It was as it should be; no request was sent.
    Unchanged,
    /// It was made.
    Created,
    /// It was changed.
    Changed,
    /// Somebody else had changed it, and it was put back.
    Restored,
    /// It was removed.
    Removed,
    /// It was not written.
    Refused(Refusal),
}

/// Why an object was not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// An object of the name is somebody else's.
    NotOwned {
        /// Whose, as "Kind/name".
        owner: Option<String>,
    },
    /// It belongs to an earlier object of our name and will be gone in a moment.
    Former,
    /// The API server forbids it.
    Forbidden {
        /// The verb.
        verb: &'static str,
        /// The API server's words.
        message: String,
    },
    /// The API server refuses the object.
    Invalid(String),
    /// The request failed for another reason; it is tried again.
    Failed(String),
}

/// What became of everything that was to be written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// By object.
    pub objects: BTreeMap<ChildKey, Applied>,
    /// Reads that failed, in words: nothing was removed then.
    pub failed_reads: Vec<String>,
    /// Reads that the API server forbids, in its words: likewise.
    pub denied: Vec<String>,
    /// Why the network itself means nothing to this version: nothing was done then.
    pub unreadable: Option<String>,
}

impl Outcome {
    /// Whether what is there is not known.
    #[must_use]
    pub fn is_blind(&self) -> bool {
        !self.failed_reads.is_empty() || !self.denied.is_empty() || self.unreadable.is_some()
    }

    /// Whether something failed that may be over the next time.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        let mut done = self.objects.values();
        done.any(|done| matches!(done, Applied::Refused(Refusal::Failed(_))))
    }
}
