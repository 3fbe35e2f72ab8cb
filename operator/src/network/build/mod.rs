//! A valid network and a plan to the objects of this cluster: the same bytes for the same input.

mod deployment;
mod overrides;
pub mod pod_template;
mod secret;
mod service;
mod site;

pub use secret::{CACHE, MAX_SECRET, listener_part};

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use serde_json::Value;

use crate::api::{API_VERSION, BrokerNetwork};
use crate::labels;
use crate::model::cluster::RestartClass;
use crate::model::observed::ChildKey;
use crate::model::plan::Plan;
use crate::model::{ListenerKind, Placement, ValidNetwork};
use crate::names::SiteName;
use crate::render::SiteFiles;
use crate::settings::{BrokerDefaults, Settings};
use serde::{Deserialize, Serialize};

/// What a pod template was built from; a Deployment keeps it beside the template, so that the very same template can be
/// built again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TemplateInputs {
    /// What the network said.
    pub restart: RestartClass,
    /// What counted where it said nothing.
    pub defaults: BrokerDefaults,
}

/// One local site, with all that its objects are built from.
#[derive(Debug, Clone)]
pub struct SiteInputs {
    /// The broker's files.
    pub files: SiteFiles,
    /// Their hash.
    pub config_hash: String,
    /// Where the site runs.
    pub placement: Placement,
    /// What its pod template is built from: as the plan decided, what is wanted or what is there.
    pub template: TemplateInputs,
    /// Sources of its password hashes, kept beside the files.
    pub cache: Vec<u8>,
}

/// Everything the objects are built from.
pub struct Inputs<'a> {
    /// The object, for references to it.
    pub object: &'a BrokerNetwork,
    /// The network.
    pub network: &'a ValidNetwork,
    /// What happens to each site.
    pub plan: &'a Plan,
    /// The local sites.
    pub sites: &'a BTreeMap<SiteName, SiteInputs>,
    /// The operator's settings.
    pub settings: &'a Settings,
}

/// The objects that are wanted.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Desired {
    /// By kind in the order of writing, and by name.
    pub objects: BTreeMap<ChildKey, Value>,
}

/// Builds every object.
///
/// # Errors
/// A built type does not become JSON, which no input brings about.
pub fn build(inputs: &Inputs<'_>) -> Result<Desired, serde_json::Error> {
    let mut desired = Desired::default();
    for (name, site) in inputs.sites {
        let Some(valid) = inputs.network.sites.get(name) else {
            continue;
        };
        let context = SiteContext {
            inputs,
            name,
            site,
            valid,
        };
        for (key, mut object) in context.objects()? {
            overrides::apply(&valid.cluster.overrides, &key, &context, &mut object);
            desired.objects.insert(key, object);
        }
    }
    Ok(desired)
}

/// One site while its objects are built.
struct SiteContext<'a> {
    inputs: &'a Inputs<'a>,
    name: &'a SiteName,
    site: &'a SiteInputs,
    valid: &'a crate::model::ValidSite,
}

impl SiteContext<'_> {
    fn network(&self) -> &str {
        self.inputs.network.name.as_str()
    }

    fn own_name(&self) -> String {
        crate::names::site_object(self.network(), self.name.as_str())
    }

    /// Metadata of an object of this site.
    fn meta(&self, name: String) -> ObjectMeta {
        ObjectMeta {
            name: Some(name),
            namespace: self.inputs.object.metadata.namespace.clone(),
            labels: Some(labels::of_site(self.network(), self.name.as_str())),
            owner_references: Some(vec![owner(self.inputs.object)]),
            ..ObjectMeta::default()
        }
    }

    fn selector(&self) -> BTreeMap<String, String> {
        labels::selector(self.network(), self.name.as_str())
    }

    fn port(&self, kind: ListenerKind) -> Option<u16> {
        self.site.placement.ports.get(&kind).copied()
    }
}

/// The reference of everything that is made to its BrokerNetwork. `blockOwnerDeletion` is not set, so that no right on
/// finalizers is needed.
#[must_use]
pub fn owner(object: &BrokerNetwork) -> OwnerReference {
    OwnerReference {
        api_version: API_VERSION.to_owned(),
        kind: "BrokerNetwork".to_owned(),
        name: object.metadata.name.clone().unwrap_or_default(),
        uid: object.metadata.uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: None,
    }
}
