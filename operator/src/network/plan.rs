//! What may happen now: which sites are made, changed live, restarted or kept waiting. One local site restarts at a time.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::assemble;
use super::build::TemplateInputs;
use crate::api::BrokerNetwork;
use crate::api::cluster::UpdatePolicy;
use crate::api::status::RestartReason;
use crate::client::view::LinkView;
use crate::labels;
use crate::model::Declared;
use crate::model::observed::{ChildKind, Live, Observed};
use crate::model::plan::{Plan, SiteAction};
use crate::model::valid::{ValidNetwork, ValidSite};
use crate::names::{self, Part, SiteName};
use crate::settings::Settings;

/// A site that restarted has to have its links back, but nobody waits longer than this for them.
const LINKS_BACK: SignedDuration = SignedDuration::from_mins(5);

/// What a plan is made from.
pub struct Inputs<'a> {
    /// The object, for its annotations.
    pub object: &'a BrokerNetwork,
    /// The network.
    pub network: &'a ValidNetwork,
    /// What was written, for what pods are to mount.
    pub declared: &'a Declared,
    /// The sites that run here.
    pub local: &'a BTreeSet<SiteName>,
    /// What is there.
    pub observed: &'a Observed,
    /// The operator's settings.
    pub settings: &'a Settings,
    /// Now.
    pub now: Timestamp,
}

/// A plan, and what the pod template of each site is built from.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// The plan.
    pub plan: Plan,
    /// By site: what is there, or what is wanted.
    pub templates: BTreeMap<SiteName, TemplateInputs>,
}

/// Makes a plan.
#[must_use]
pub fn plan(inputs: &Inputs<'_>) -> Planned {
    let mut planned = Planned {
        plan: Plan {
            held: held(inputs),
            is_paused: is_paused(inputs.object),
            ..Plan::default()
        },
        templates: BTreeMap::new(),
    };
    let mut busy: Vec<&SiteName> = inputs
        .local
        .iter()
        .filter(|site| is_busy(inputs, site))
        .collect();
    for name in inputs.local {
        let Some(site) = inputs.network.sites.get(name) else {
            continue;
        };
        let (mut action, template) = decide(inputs, name, site, &mut planned.plan);
        let mut kept = template;
        if let SiteAction::Roll(reasons) = &action {
            match busy.iter().find(|other| **other != name) {
                Some(behind) => {
                    action = SiteAction::Wait {
                        reasons: reasons.clone(),
                        behind: (*behind).clone(),
                    };
                    kept = stored(inputs, name).unwrap_or(kept);
                }
                None => busy.push(name),
            }
        }
        planned.plan.sites.insert(name.clone(), action);
        planned.templates.insert(name.clone(), kept);
    }
    planned
}

/// Whether an annotation stops every write but the status.
#[must_use]
pub fn is_paused(object: &BrokerNetwork) -> bool {
    annotation(object, labels::RECONCILE) == Some(labels::PAUSED)
}

/// The sites whose removal an annotation allows.
pub fn let_go(object: &BrokerNetwork) -> impl Iterator<Item = &str> {
    let value = annotation(object, labels::ALLOW_SITE_REMOVAL);
    labels::listed(value.unwrap_or_default())
}

fn annotation<'a>(object: &'a BrokerNetwork, key: &str) -> Option<&'a str> {
    let annotations = object.metadata.annotations.as_ref()?;
    annotations.get(key).map(String::as_str)
}

fn deployment<'a>(inputs: &Inputs<'a>, site: &SiteName) -> Option<&'a Live> {
    let name = names::site_object(inputs.network.name.as_str(), site.as_str());
    inputs.observed.child(ChildKind::Deployment, &name)
}

/// What the template in the cluster was built from.
fn stored(inputs: &Inputs<'_>, site: &SiteName) -> Option<TemplateInputs> {
    let text = deployment(inputs, site)?.annotation(labels::TEMPLATE)?;
    serde_json::from_str(text).ok()
}

fn decide(
    inputs: &Inputs<'_>,
    name: &SiteName,
    site: &ValidSite,
    plan: &mut Plan,
) -> (SiteAction, TemplateInputs) {
    let mut wanted = TemplateInputs {
        restart: site.cluster.restart.clone(),
        defaults: inputs.settings.defaults.clone(),
    };
    if deployment(inputs, name).is_none() {
        return (SiteAction::Create, wanted);
    }
    if !site.is_running {
        return (SiteAction::Stop, wanted);
    }
    let Some(there) = stored(inputs, name) else {
        return (SiteAction::Roll(vec![RestartReason::Placement]), wanted);
    };
    // A pod that mounts what is not there would not start: the one that runs goes on with what it has.
    let mounts = &mut wanted.restart.placement.mounts;
    let old = &there.restart.placement.mounts;
    if mounts != old && assemble::certificates(mounts, inputs.declared).is_none() {
        mounts.clone_from(old);
    }
    let mut compared = wanted.restart.clone();
    // An image that is no longer named is the one that is there, until something else restarts the broker.
    if compared.image.is_none() {
        compared.image.clone_from(&there.restart.image);
    }
    let mut reasons = compared.differences(&there.restart);
    let outdated = outdated(&wanted, &there);
    if inputs.network.cluster.update == UpdatePolicy::Automatic {
        reasons.extend(outdated.iter().copied());
        reasons.sort();
        reasons.dedup();
    }
    if reasons.is_empty() {
        if !outdated.is_empty() {
            plan.pending.insert(name.clone(), outdated);
        }
        return (SiteAction::Live, there);
    }
    (SiteAction::Roll(reasons), wanted)
}

/// What a newer operator, or a default that changed, would have done otherwise.
fn outdated(wanted: &TemplateInputs, there: &TemplateInputs) -> BTreeSet<RestartReason> {
    let mut found = BTreeSet::new();
    let image = |inputs: &TemplateInputs| {
        let own = inputs.restart.image.as_ref();
        own.unwrap_or(&inputs.defaults.image).clone()
    };
    let is_older = wanted.defaults.revision != there.defaults.revision;
    if image(wanted) != image(there) || is_older {
        found.insert(RestartReason::Image);
    }
    let has_own = wanted.restart.resources.is_some();
    if !has_own && wanted.defaults.resources != there.defaults.resources {
        found.insert(RestartReason::Resources);
    }
    found
}

/// Whether a site is restarting, or has not come back whole from it.
fn is_busy(inputs: &Inputs<'_>, name: &SiteName) -> bool {
    if !inputs
        .network
        .sites
        .get(name)
        .is_some_and(|site| site.is_running)
    {
        return false;
    }
    let Some(live) = deployment(inputs, name) else {
        return false;
    };
    let number = |path: &str| {
        live.value
            .pointer(path)
            .and_then(Value::as_i64)
            .unwrap_or(0)
    };
    let is_new = number("/status/observedGeneration") < number("/metadata/generation");
    let is_whole = number("/status/availableReplicas") >= 1
        && number("/status/updatedReplicas") >= 1
        && number("/status/replicas") == 1;
    if is_new || !is_whole {
        return true;
    }
    !is_acknowledged(inputs, name) || !has_links_back(inputs, name)
}

/// Whether the broker runs what its Secret holds.
fn is_acknowledged(inputs: &Inputs<'_>, name: &SiteName) -> bool {
    let secret = names::site_part(inputs.network.name.as_str(), name.as_str(), Part::Config);
    let wanted = inputs
        .observed
        .child(ChildKind::Secret, &secret)
        .and_then(|live| live.annotation(labels::CONFIG_HASH));
    let broker = inputs.observed.brokers.get(name);
    let runs = broker.and_then(|broker| broker.view.as_ref()?.config.applied.as_deref());
    // Files that the broker refuses are no reason to hold up the others for ever.
    let is_refused = broker
        .and_then(|broker| broker.view.as_ref()?.config.error.as_ref())
        .is_some();
    wanted.is_none() || runs == wanted || is_refused
}

fn has_links_back(inputs: &Inputs<'_>, name: &SiteName) -> bool {
    let Some(view) = inputs
        .observed
        .brokers
        .get(name)
        .and_then(|broker| broker.view.as_ref())
    else {
        return false;
    };
    // A link to a site that nobody reaches is that site's outage. Who has heard of no site yet is not back.
    let is_reached = |peer: &str| {
        let mut sites = view.sites.iter();
        sites.any(|site| site.site == peer && site.reachable)
    };
    let has_company = view.links.is_empty() || !view.sites.is_empty();
    let is_up = |link: &LinkView| link.carries() || !is_reached(&link.peer);
    if has_company && view.links.iter().all(is_up) {
        return true;
    }
    let started: Option<Timestamp> = view.started_at.as_deref().and_then(|at| at.parse().ok());
    started.is_some_and(|started| inputs.now.duration_since(started) > LINKS_BACK)
}

/// Sites of the network that have objects here and are no longer claimed: a slip in a value must not take a country
/// down (P17).
fn held(inputs: &Inputs<'_>) -> BTreeSet<String> {
    let allowed: BTreeSet<&str> = let_go(inputs.object).collect();
    let deployments = inputs
        .observed
        .children
        .iter()
        .filter(|(key, _)| key.kind == ChildKind::Deployment);
    deployments
        .filter_map(|(_, live)| live.label(labels::SITE))
        .filter(|site| inputs.network.sites.contains_key(*site))
        .filter(|site| !inputs.local.contains(*site) && !allowed.contains(site))
        .map(str::to_owned)
        .collect()
}
