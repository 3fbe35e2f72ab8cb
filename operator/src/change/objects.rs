//! The objects of a cluster that an edit makes and removes: those the operator builds, before and after.

use std::collections::{BTreeMap, BTreeSet};

use causeway_broker::security::password;
use serde::Serialize;

use crate::api::BrokerNetwork;
use crate::api::cluster::PullPolicy;
use crate::api::status::OperatorStatus;
use crate::model::cluster::ValidImage;
use crate::model::observed::{ChildKey, ChildKind};
use crate::model::plan::Plan;
use crate::model::{Declared, ValidNetwork};
use crate::names::{self, Part, SiteName};
use crate::network::assemble;
use crate::network::build::{self, TemplateInputs};
use crate::network::credentials::{self, HashCache};
use crate::network::keys::Keys;
use crate::settings::{BrokerDefaults, Claims, Settings, TEMPLATE_REVISION};

/// Objects that come and go, as `Kind name`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ObjectChanges {
    /// They are made.
    pub created: Vec<String>,
    /// They are removed.
    pub removed: Vec<String>,
}

/// Compares the objects of some sites; nothing before: all are made.
#[must_use]
pub fn objects(
    old: Option<(&Declared, &ValidNetwork)>,
    new: (&Declared, &ValidNetwork),
    wanted: impl Fn(&SiteName) -> bool,
) -> ObjectChanges {
    let before = old.map(|(declared, network)| all(&declared.network, network, &wanted));
    let before = before.unwrap_or_default();
    let after = all(&new.0.network, new.1, &wanted);
    let only = |one: &BTreeSet<ChildKey>, other: &BTreeSet<ChildKey>| {
        one.difference(other).map(ToString::to_string).collect()
    };
    ObjectChanges {
        created: only(&after, &before),
        removed: only(&before, &after),
    }
}

/// The objects of the wanted sites, each in a cluster of its own.
fn all(
    object: &BrokerNetwork,
    network: &ValidNetwork,
    wanted: &impl Fn(&SiteName) -> bool,
) -> BTreeSet<ChildKey> {
    let settings = settings(network.cluster.issuer.is_some());
    let mut found = BTreeSet::new();
    for site in network.sites.keys().filter(|site| wanted(site)) {
        found.extend(of_site(object, network, site, &settings));
        found.insert(ChildKey {
            kind: ChildKind::Secret,
            name: names::site_part(network.name.as_str(), site.as_str(), Part::Keys),
        });
    }
    if !found.is_empty() {
        found.insert(ChildKey {
            kind: ChildKind::Secret,
            name: names::network_keys(network.name.as_str()),
        });
    }
    found
}

fn of_site(
    object: &BrokerNetwork,
    network: &ValidNetwork,
    site: &SiteName,
    settings: &Settings,
) -> Vec<ChildKey> {
    let jobs = credentials::missing(network, &HashCache::new()).into_iter();
    let hashes = jobs.map(|job| (job, password::DUMMY.to_owned())).collect();
    let keys = Keys {
        salt_key: credentials::OFFLINE_SALT_KEY,
        tokens: BTreeMap::from([(site.to_string(), "A".repeat(43))]),
    };
    let local = BTreeSet::from([site.clone()]);
    let uid = names::offline_claimant(network.name.as_str()).to_string();
    let inputs = assemble::Inputs {
        network,
        local: &local,
        uid: &uid,
        keys: &keys,
        hashes: &hashes,
        cache: b"",
    };
    let Ok((assembled, _)) = assemble::assemble(&inputs) else {
        return Vec::new();
    };
    let restart = network.sites.get(site).map(|site| &site.cluster.restart);
    let template = restart.map(|restart| TemplateInputs {
        restart: restart.clone(),
        defaults: settings.defaults.clone(),
    });
    let templates = template
        .into_iter()
        .map(|template| (site.clone(), template));
    let sites = assemble::with_templates(assembled, templates.collect(), b"");
    let built = build::build(&build::Inputs {
        object,
        network,
        plan: &Plan::default(),
        sites: &sites,
        settings,
    });
    built.map_or_else(|_| Vec::new(), |built| built.objects.into_keys().collect())
}

/// An operator of which only the names of what it makes are asked.
fn settings(has_cert_manager: bool) -> Settings {
    Settings {
        claims: Claims::Every,
        defaults: BrokerDefaults {
            image: ValidImage {
                reference: "causeway-broker".to_owned(),
                pull_policy: PullPolicy::IfNotPresent,
                pull_secrets: Vec::new(),
            },
            resources: Default::default(),
            fs_group: None,
            revision: TEMPLATE_REVISION,
        },
        operator: OperatorStatus {
            namespace: "causeway".to_owned(),
            name: "causeway-operator".to_owned(),
            version: String::new(),
        },
        has_cert_manager,
    }
}
