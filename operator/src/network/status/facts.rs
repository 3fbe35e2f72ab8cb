//! What is known of each local site: its objects, its pods, and what its broker told.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::Inputs;
use super::clock::Clock;
use crate::api::network::SiteMode;
use crate::api::status::{BrokerNetworkStatus, SiteStatus};
use crate::client::view::StatusView;
use crate::model::observed::{Applied, BrokerState, ChildKey, ChildKind, Live, PodState};
use crate::model::plan::SiteAction;
use crate::model::{ListenerKind, ValidSite};
use crate::names::{self, Part, SiteName};
use crate::network::plan;

/// Failures one after another that make a broker unreachable.
const FAILURES: u32 = 10;
/// A broker that failed and has not answered for this time is not waited for any longer.
pub const SILENCE: SignedDuration = SignedDuration::from_mins(2);

/// Names of the objects of a site.
enum Object {
    Own,
    Service(ListenerKind),
}

/// The one place that names objects.
fn object_name(network: &str, site: &str, object: &Object) -> String {
    let part = match object {
        Object::Own => return names::site_object(network, site),
        Object::Service(ListenerKind::Stomp) => Part::Stomp,
        Object::Service(ListenerKind::StompTls) => Part::StompTls,
        Object::Service(ListenerKind::Link) => Part::Link,
        Object::Service(ListenerKind::Admin) => Part::Admin,
    };
    names::site_part(network, site, part)
}

/// Everything that conditions follow from.
pub struct Facts<'a> {
    /// What was given.
    pub inputs: &'a Inputs<'a>,
    /// The clock.
    pub clock: Clock,
    /// The status before.
    pub old: &'a BrokerNetworkStatus,
    /// The local sites of the spec, in the order of their names.
    pub local: Vec<LocalSite<'a>>,
}

/// What is known of a local site.
pub struct LocalSite<'a> {
    /// Its name.
    pub name: &'a SiteName,
    /// What it is meant to be; absent while the network is not valid.
    pub valid: Option<&'a ValidSite>,
    /// Its row before.
    pub old: Option<&'a SiteStatus>,
    /// Whether its broker is meant to run.
    pub is_running: bool,
    /// What its broker told.
    pub broker: Broker<'a>,
    /// Its Deployment.
    pub workload: Workload,
    /// Its pods, those that end included.
    pub pods: Vec<&'a PodState>,
    /// What happens to it now.
    pub action: Option<&'a SiteAction>,
}

/// What a broker told this operator.
#[derive(Clone, Copy)]
pub enum Broker<'a> {
    /// Nothing yet: what is stored stands (P16).
    NotAsked,
    /// It answers.
    Answers(&'a StatusView, Timestamp),
    /// It no longer does; what it told last, and when.
    Lost(Option<&'a StatusView>, Option<Timestamp>),
}

/// A Deployment.
#[derive(Default)]
pub struct Workload {
    /// It is there.
    pub exists: bool,
    /// A pod of it is available, and it is about what was written last.
    pub is_available: bool,
    /// Its only pod is of the newest template.
    pub is_settled: bool,
    /// Why no pod can be made.
    pub refusal: Option<String>,
}

impl<'a> Facts<'a> {
    /// Gathers them.
    pub fn new(inputs: &'a Inputs<'a>, old: &'a BrokerNetworkStatus) -> Self {
        let clock = Clock::new(inputs.now);
        let local = inputs.local.iter();
        let local = local.map(|name| local_site(inputs, old, &clock, name));
        Self {
            inputs,
            local: local.collect(),
            clock,
            old,
        }
    }

    /// The local sites whose brokers are meant to run.
    pub fn running(&self) -> impl Iterator<Item = &LocalSite<'a>> {
        self.local.iter().filter(|site| site.is_running)
    }

    /// Whether nothing but the status is written.
    pub fn is_paused(&self) -> bool {
        plan::is_paused(self.inputs.network)
    }

    /// A local site.
    pub fn local_site(&self, name: &str) -> Option<&LocalSite<'a>> {
        self.local.iter().find(|site| site.name.as_str() == name)
    }

    /// What the local brokers that answer tell, and when they did.
    pub fn answers(&self) -> impl Iterator<Item = (&'a StatusView, Timestamp)> {
        self.local.iter().filter_map(|site| match site.broker {
            Broker::Answers(view, at) => Some((view, at)),
            Broker::NotAsked | Broker::Lost(..) => None,
        })
    }

    /// Whether rows about others stand as they are: a broker that could tell of them has not been asked yet.
    pub fn is_early(&self) -> bool {
        let mut sites = self.running();
        self.answers().next().is_none() && sites.any(|site| matches!(site.broker, Broker::NotAsked))
    }

    /// Whether a site is stopped, as declared.
    pub fn is_stopped(&self, name: &str) -> bool {
        let mut sites = self.inputs.network.spec.sites.iter();
        let site = sites.find(|site| site.name == name);
        site.is_some_and(|site| site.mode == Some(SiteMode::Stopped))
    }

    /// The load balancer of a listener of a local site: nothing where there is none, else its address once it has one.
    pub fn balancer(&self, site: &LocalSite<'_>, kind: ListenerKind) -> Option<(String, i32)> {
        let network = self.inputs.network.metadata.name.as_deref()?;
        let name = object_name(network, site.name.as_str(), &Object::Service(kind));
        let live = self.inputs.observed.child(ChildKind::Service, &name)?;
        let ingress = live.value.pointer("/status/loadBalancer/ingress/0")?;
        let host = ingress.get("hostname").or_else(|| ingress.get("ip"))?;
        let port = live.value.pointer("/spec/ports/0/port")?.as_i64()?;
        Some((host.as_str()?.to_owned(), i32::try_from(port).ok()?))
    }
}

fn local_site<'a>(
    inputs: &'a Inputs<'a>,
    old: &'a BrokerNetworkStatus,
    clock: &Clock,
    name: &'a SiteName,
) -> LocalSite<'a> {
    let text = name.as_str();
    let rows = old.sites.as_deref().unwrap_or_default();
    let spec = &inputs.network.spec;
    let mut sites = spec.sites.iter();
    let written = sites.find(|site| site.name == text);
    let old = rows.iter().find(|row| row.name == text && row.local);
    let seen = old.and_then(|row| row.last_seen.as_ref());
    LocalSite {
        name,
        valid: inputs.valid.and_then(|valid| valid.sites.get(name)),
        old,
        is_running: written.is_some_and(|site| site.mode != Some(SiteMode::Stopped)),
        broker: broker(clock, inputs.observed.brokers.get(name), seen),
        workload: workload(inputs, text),
        pods: inputs
            .observed
            .pods
            .iter()
            .filter(|pod| pod.site == text)
            .collect(),
        action: inputs.plan.and_then(|plan| plan.sites.get(name)),
    }
}

fn broker<'a>(clock: &Clock, state: Option<&'a BrokerState>, stored: Option<&Time>) -> Broker<'a> {
    let Some(state) = state else {
        return Broker::NotAsked;
    };
    match (&state.view, state.answered) {
        (view, at) if is_lost(clock, state) => {
            Broker::Lost(view.as_ref(), at.or_else(|| stored.map(|time| time.0)))
        }
        (Some(view), Some(at)) => Broker::Answers(view, at),
        _ => Broker::NotAsked,
    }
}

/// Whether a broker no longer answers: too often, or for too long.
pub fn is_lost(clock: &Clock, state: &BrokerState) -> bool {
    let is_silent = |at| state.failures > 0 && clock.has_passed(at, SILENCE);
    let answered = state.answered.filter(|_| state.view.is_some());
    state.failures >= FAILURES || answered.is_some_and(is_silent)
}

fn workload(inputs: &Inputs<'_>, site: &str) -> Workload {
    let network = inputs.network.metadata.name.as_deref().unwrap_or_default();
    let key = ChildKey {
        kind: ChildKind::Deployment,
        name: object_name(network, site, &Object::Own),
    };
    let Some(live) = inputs.observed.children.get(&key) else {
        return Workload::default();
    };
    let number = |path: &str| live.value.pointer(path).and_then(Value::as_i64);
    let is_about = number("/status/observedGeneration") >= number("/metadata/generation");
    // What was written a moment ago is not yet in what was read.
    let is_read = !matches!(
        inputs.outcome.objects.get(&key),
        Some(Applied::Created | Applied::Changed | Applied::Restored)
    );
    let has_one = |path: &str| number(path) == Some(1);
    Workload {
        exists: true,
        is_available: is_about && condition(live, "Available").is_some(),
        is_settled: is_about
            && is_read
            && has_one("/status/updatedReplicas")
            && has_one("/status/replicas"),
        refusal: condition(live, "ReplicaFailure"),
    }
}

/// The message of a condition that is True.
fn condition(live: &Live, kind: &str) -> Option<String> {
    let conditions = live.value.pointer("/status/conditions")?.as_array()?;
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let mut conditions = conditions.iter();
    let found = conditions.find(|one| {
        text(one, "type").as_deref() == Some(kind) && text(one, "status").as_deref() == Some("True")
    })?;
    Some(text(found, "message").unwrap_or_default())
}

impl<'a> LocalSite<'a> {
    /// What its broker told last.
    pub fn view(&self) -> Option<(&'a StatusView, Timestamp)> {
        match self.broker {
            Broker::Answers(view, at) | Broker::Lost(Some(view), Some(at)) => Some((view, at)),
            Broker::NotAsked | Broker::Lost(..) => None,
        }
    }

    /// When its broker was last heard of.
    pub fn seen(&self) -> Option<Timestamp> {
        let stored = || self.old?.last_seen.as_ref().map(|time| time.0);
        self.view().map(|(_, at)| at).or_else(stored)
    }

    /// Whether its broker does not answer.
    pub const fn is_lost(&self) -> bool {
        matches!(self.broker, Broker::Lost(..))
    }

    /// Whether nothing was ever heard of its broker.
    pub fn is_unheard(&self) -> bool {
        self.seen().is_none()
    }

    /// Its pod, where one is not ending: of two the one that serves.
    pub fn pod(&self) -> Option<&'a PodState> {
        let pods = self.pods.iter().filter(|pod| !pod.is_deleting);
        pods.min_by_key(|pod| !pod.is_ready).copied()
    }

    /// The pod that is to take over from the one that serves (R26). Of those, the one that tells why it does not start.
    pub fn next_pod(&self) -> Option<&'a PodState> {
        let is_next = |pod: &&&'a PodState| !pod.is_ready && !pod.is_deleting;
        let pods = self.pods.iter().filter(is_next);
        pods.min_by_key(|pod| pod.waiting.is_none()).copied()
    }

    /// Whether its pod serves.
    pub fn is_up(&self) -> bool {
        self.workload.is_available && self.pods.iter().any(|pod| pod.is_ready && !pod.is_deleting)
    }
}
