//! A network as an operator sees it: documents that were checked, the sites that are local, and what the steps make of
//! them.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::{BTreeMap, BTreeSet};

use causeway_operator::api::BrokerNetwork;
use causeway_operator::api::cluster::PullPolicy;
use causeway_operator::api::status::OperatorStatus;
use causeway_operator::documents::{self, Source};
use causeway_operator::finding::Finding;
use causeway_operator::model::cluster::ValidImage;
use causeway_operator::model::observed::{ChildKey, ChildKind, Live, Observed, Owner};
use causeway_operator::model::{Declared, ValidNetwork};
use causeway_operator::names::SiteName;
use causeway_operator::network::assemble;
use causeway_operator::network::build::{self, Desired};
use causeway_operator::network::credentials::{self, HashCache};
use causeway_operator::network::keys::Keys;
use causeway_operator::network::plan::{self, Planned};
use causeway_operator::network::validate::{self, MissingSecrets};
use causeway_operator::settings::{BrokerDefaults, Claims, Settings, TEMPLATE_REVISION};
use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

pub const COUNTRIES: &str = include_str!("../../../deploy/examples/countries.yaml");
pub const NAMESPACE: &str = "messaging";
pub const UID: &str = "2f6f4f0a-1111-4222-8333-444455556666";

/// One cluster that runs some sites of one network.
pub struct Cluster {
    pub object: BrokerNetwork,
    pub declared: Declared,
    pub settings: Settings,
    pub observed: Observed,
}

/// What the operator was told.
pub fn settings(sites: &[&str]) -> Settings {
    Settings {
        claims: Claims::parse(sites.iter().copied()).unwrap_or(Claims::Sites(BTreeSet::new())),
        defaults: BrokerDefaults {
            image: ValidImage {
                reference: "causeway/causeway-broker:0.1.0".to_owned(),
                pull_policy: PullPolicy::IfNotPresent,
                pull_secrets: Vec::new(),
            },
            resources: ResourceRequirements::default(),
            fs_group: Some(65532),
            revision: TEMPLATE_REVISION,
        },
        operator: OperatorStatus {
            namespace: "causeway".to_owned(),
            name: "causeway-operator".to_owned(),
            version: "0.1.0".to_owned(),
        },
        has_cert_manager: false,
    }
}

impl Cluster {
    /// The network of some documents, with these sites here.
    pub fn new(text: &str, sites: &[&str]) -> Self {
        let documents = documents::read(&[Source::new("test.yaml", text)]);
        assert!(documents.problems.is_empty(), "{:#?}", documents.problems);
        let network = documents.networks.values().next().expect("a network");
        let mut object = network.value.clone();
        object.metadata.namespace = Some(NAMESPACE.to_owned());
        object.metadata.uid = Some(UID.to_owned());
        object.metadata.generation = Some(1);
        let local = object.spec.sites.iter().map(|site| site.name.clone());
        let settings = settings(sites);
        let local = local.filter(|site| settings.claims.holds(site)).collect();
        let users = documents.users.iter();
        let declared = Declared {
            network: object.clone(),
            users: users
                .clone()
                .map(|(name, user)| (name.clone(), user.value.spec.clone()))
                .collect(),
            local_sites: Some(local),
            secrets: documents
                .secrets
                .iter()
                .map(|(name, secret)| (name.clone(), secret.value.clone()))
                .collect(),
            unreadable: BTreeSet::new(),
            unread: BTreeMap::new(),
            annotations: users
                .clone()
                .filter_map(|(name, user)| {
                    Some((name.clone(), user.value.metadata.annotations.clone()?))
                })
                .collect(),
            foreign: BTreeMap::new(),
            config_maps: documents
                .config_maps
                .iter()
                .map(|(name, map)| (name.clone(), map.value.clone()))
                .collect(),
        };
        Self {
            object,
            declared,
            settings,
            observed: Observed::default(),
        }
    }

    pub fn local(&self) -> BTreeSet<SiteName> {
        let local = self.declared.local_sites.iter().flatten();
        local.map(|site| SiteName::new(site)).collect()
    }

    pub fn validate(&self) -> Result<(ValidNetwork, Vec<Finding>), Vec<Finding>> {
        validate::run(&self.declared, MissingSecrets::Refuse)
    }

    pub fn valid(&self) -> ValidNetwork {
        match self.validate() {
            Ok((network, _)) => network,
            Err(findings) => panic!("{findings:#?}"),
        }
    }

    pub fn plan(&self) -> Planned {
        let network = self.valid();
        plan::plan(&plan::Inputs {
            object: &self.object,
            network: &network,
            declared: &self.declared,
            local: &self.local(),
            observed: &self.observed,
            settings: &self.settings,
            now: Timestamp::UNIX_EPOCH,
        })
    }

    /// The objects that are wanted; passwords are not really hashed.
    pub fn build(&self) -> Desired {
        let network = self.valid();
        let local = self.local();
        let jobs = credentials::missing(&network, &HashCache::new());
        let hash = causeway_broker::security::password::DUMMY;
        let hashes: HashCache = jobs.into_iter().map(|job| (job, hash.to_owned())).collect();
        let keys = Keys {
            salt_key: [0; 32],
            tokens: local
                .iter()
                .map(|site| {
                    (
                        site.to_string(),
                        format!("token-of-{site}-{}", "x".repeat(32)),
                    )
                })
                .collect(),
        };
        let inputs = assemble::Inputs {
            network: &network,
            local: &local,
            uid: UID,
            keys: &keys,
            hashes: &hashes,
            cache: b"{}",
        };
        let (sites, refused) = assemble::assemble(&inputs).expect("it renders");
        assert!(refused.is_empty(), "{refused:#?}");
        let planned = self.plan();
        let sites = assemble::with_templates(sites, planned.templates, b"{}");
        build::build(&build::Inputs {
            object: &self.object,
            network: &network,
            plan: &planned.plan,
            sites: &sites,
            settings: &self.settings,
        })
        .expect("it builds")
    }

    /// The cluster after everything was written and every pod became ready.
    pub fn settle(&mut self) {
        let desired = self.build();
        self.observed.children = desired
            .objects
            .into_iter()
            .map(|(key, value)| (key.clone(), live(&key, value)))
            .collect();
    }
}

/// An object of ours as a cluster holds it.
pub fn live(key: &ChildKey, mut value: Value) -> Live {
    if key.kind == ChildKind::Deployment {
        value["metadata"]["generation"] = 1.into();
        value["status"] = serde_json::json!({
            "observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1,
        });
    }
    Live {
        uid: format!("uid of {key}"),
        resource_version: "1".to_owned(),
        owner: Owner::Ours,
        is_deleting: false,
        value,
    }
}

/// An object by kind and name.
pub fn object<'a>(desired: &'a Desired, kind: ChildKind, name: &str) -> &'a Value {
    let key = ChildKey {
        kind,
        name: name.to_owned(),
    };
    desired
        .objects
        .get(&key)
        .unwrap_or_else(|| panic!("no {key}"))
}

/// Names of all objects, sorted.
pub fn names(desired: &Desired) -> Vec<String> {
    desired.objects.keys().map(ToString::to_string).collect()
}

/// Objects by name, whatever their kind.
pub type Objects = BTreeMap<String, Value>;
