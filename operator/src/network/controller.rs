//! One reconcile, from what is there to what is wanted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use kube::core::DeserializeGuard;
use kube::runtime::controller::Action;

use super::apply;
use super::assemble;
use super::build::{self, Desired};
use super::context::Context;
use super::error::{Error, PASSING};
use super::fetch::{self, Fetched};
use super::issue::{self, Issued};
use super::keys::{self, Keys};
use super::nudge;
use super::plan::{self, Planned};
use super::probe::Target;
use super::validate::{self, MissingSecrets};
use super::{hashing, report, unreadable};
use crate::api::BrokerNetwork;
use crate::api::condition::Reason;
use crate::api::network::{ADMIN_PORT, TlsSource};
use crate::finding::{Finding, Subject};
use crate::kube_io::apply::Door;
use crate::labels;
use crate::model::ValidNetwork;
use crate::model::observed::{Applied, ChildKey, ChildKind, Live, Outcome};
use crate::model::plan::Plan;
use crate::names::{self, Part, SiteName};
use crate::render;
use crate::user::view;

/// Name of the controller in metrics.
pub const CONTROLLER: &str = "network";
/// A network is looked at again after this time though nothing changed.
pub const RESYNC: Duration = Duration::from_secs(60);

/// What one run came to, for the status.
pub struct Verdict {
    /// The network, where it is valid.
    pub network: Option<ValidNetwork>,
    /// Everything that was found.
    pub findings: Vec<Finding>,
    /// The plan, where there is one.
    pub plan: Option<Plan>,
    /// Fingerprint of each user in the files, by login name.
    pub fingerprints: BTreeMap<String, String>,
    /// What each local site should run.
    pub config_hashes: BTreeMap<SiteName, String>,
    /// Hash of the certificates that each local site's pod mounts, where all of them are there.
    pub certificates: BTreeMap<SiteName, String>,
    /// What became of the objects.
    pub outcome: Outcome,
    /// When something is due at the latest.
    pub next: Duration,
}

impl Verdict {
    fn nothing(findings: Vec<Finding>) -> Self {
        Self {
            network: None,
            findings,
            plan: None,
            fingerprints: BTreeMap::new(),
            config_hashes: BTreeMap::new(),
            certificates: BTreeMap::new(),
            outcome: Outcome::default(),
            next: RESYNC,
        }
    }
}

/// A network as the API server has it, which need not be one that this version can read: one of these must not keep the
/// others from being listed.
pub type Guarded = DeserializeGuard<BrokerNetwork>;

/// Reconciles a network and counts it.
///
/// # Errors
/// Something could not be read or made; it is tried again.
pub async fn reconcile(object: Arc<Guarded>, context: Arc<Context>) -> Result<Action, Error> {
    match &object.0 {
        Ok(object) => counted(object, &context).await,
        Err(invalid) => {
            let name = object.name_any();
            tracing::warn!(network = %name, error = %invalid, "not one that can be read");
            unreadable::tell(invalid, &context).await
        }
    }
}

async fn counted(object: &BrokerNetwork, context: &Arc<Context>) -> Result<Action, Error> {
    let namespace = object.namespace().unwrap_or_default();
    let name = object.name_any();
    let begin = Instant::now();
    context
        .metrics
        .began(CONTROLLER, &namespace, &name, Timestamp::now().as_second());
    let result = run(object, context).await;
    if let Some(denied) = result.as_ref().err().and_then(Error::denied)
        && let Err(error) = report::denied(object, context, denied).await
    {
        tracing::warn!(network = %name, %namespace, %error, "not told that a right is missing");
    }
    let word = match &result {
        Ok((_, word)) => word,
        Err(_) => "error",
    };
    let seconds = begin.elapsed().as_secs_f64();
    context
        .metrics
        .ended(CONTROLLER, (&namespace, &name), word, seconds);
    tracing::debug!(network = %name, %namespace, result = word, seconds, "reconciled");
    result.map(|(action, _)| action)
}

/// What is done after an error.
pub fn error_policy(object: Arc<Guarded>, error: &Error, context: Arc<Context>) -> Action {
    context.metrics.failed(CONTROLLER, error.reason());
    tracing::warn!(network = %object.name_any(), %error, "not reconciled");
    let uid = object.uid().unwrap_or_default();
    context.memory.undo(&uid);
    Action::requeue(match error.is_passing() {
        true => context.memory.attempts.failed(&uid, error.retry()),
        false => error.retry(),
    })
}

async fn run(
    object: &BrokerNetwork,
    context: &Arc<Context>,
) -> Result<(Action, &'static str), Error> {
    if object.metadata.deletion_timestamp.is_some() {
        return Ok((Action::await_change(), "unchanged"));
    }
    let denied = context.denials.current(Instant::now());
    if !denied.is_empty() {
        return Err(Error::Denied(denied));
    }
    let fetched = fetch::fetch(object, context).await?;
    let uid = object.uid().unwrap_or_default();
    // An event takes the place of what was due later, so that has to be asked for again.
    let idle = context
        .memory
        .idle(&uid, fetched.fingerprint, Instant::now());
    if let Some(left) = idle {
        return Ok((Action::requeue(left), "unchanged"));
    }
    let local: BTreeSet<SiteName> = fetched
        .declared
        .local_sites
        .iter()
        .flatten()
        .map(|site| SiteName::new(site))
        .collect();
    let namespace = object.namespace().unwrap_or_default();
    let name = object.name_any();
    let door = Door {
        client: &context.client,
        metrics: &context.metrics,
        namespace: &namespace,
        uid: &uid,
        name: &name,
    };
    let own = fetched.declared.local_sites.clone().unwrap_or_default();
    let keys = match keys::read(&name, &own, &fetched.contents) {
        Ok(keys) => keys,
        Err(Error::Keys(secret)) => {
            let reason = format!("Secret {secret} is not one that was made here; remove it");
            let finding = Finding::error(Subject::Network, "", reason);
            let verdict = Verdict::nothing(vec![finding.because(Reason::SecretNotOwned)]);
            publish(object, context, &fetched, &verdict);
            report::report(object, context, &fetched, &verdict).await?;
            return Ok((Action::requeue(RESYNC), "waiting"));
        }
        Err(error) => return Err(error),
    };
    if keys.is_none() && !own.is_empty() && !plan::is_paused(object) {
        keys::create(&door, object, &own, &fetched.contents).await?;
        return Ok((Action::requeue(Duration::from_secs(1)), "waiting"));
    }
    let keys = keys.unwrap_or(Keys {
        salt_key: [0; 32],
        tokens: BTreeMap::new(),
    });
    ask(context, &fetched, &keys, &namespace, &name);
    let verdict = decide(object, context, &fetched, &local, &keys, &door).await?;
    publish(object, context, &fetched, &verdict);
    let due = report::report(object, context, &fetched, &verdict).await?;
    let mut next = verdict.next.min(due.unwrap_or(RESYNC)).min(RESYNC);
    let attempts = &context.memory.attempts;
    match verdict.outcome.has_failed() {
        true => next = next.min(attempts.failed(&uid, PASSING)),
        false => attempts.succeeded(&uid),
    }
    let is_settled = verdict
        .outcome
        .objects
        .values()
        .all(|done| *done == Applied::Unchanged);
    if is_settled {
        context
            .memory
            .done(&uid, fetched.fingerprint, Instant::now() + next);
        return Ok((Action::requeue(next), "unchanged"));
    }
    Ok((Action::requeue(next), "changed"))
}

/// Tells the controller of users what was decided about each.
fn publish(object: &BrokerNetwork, context: &Context, fetched: &Fetched, verdict: &Verdict) {
    let views = view::views(&view::Inputs {
        now: Timestamp::now(),
        declared: &fetched.declared,
        known: &fetched.users,
        contents: &fetched.contents,
        findings: &verdict.findings,
        fingerprints: verdict.network.as_ref().map(|_| &verdict.fingerprints),
        config_hashes: &verdict.config_hashes,
        brokers: &fetched.observed.brokers,
        is_paused: plan::is_paused(object),
    });
    let namespace = object.namespace().unwrap_or_default();
    context
        .decisions
        .publish(&namespace, &object.name_any(), views);
}

/// Asks the brokers of the pods that are there.
fn ask(context: &Arc<Context>, fetched: &Fetched, keys: &Keys, namespace: &str, network: &str) {
    let mut targets = BTreeMap::new();
    for (site, token) in &keys.tokens {
        let mut pods: Vec<_> = fetched
            .observed
            .pods_of(site)
            .filter(|pod| pod.phase == "Running" && pod.ip.is_some())
            .collect();
        pods.sort_by_key(|pod| !pod.is_ready);
        let Some((pod, ip)) = pods.first().and_then(|pod| Some((pod, pod.ip.as_ref()?))) else {
            continue;
        };
        let port = admin_port(fetched, site);
        let address = match ip.contains(':') {
            true => format!("[{ip}]:{port}"),
            false => format!("{ip}:{port}"),
        };
        let target = Target {
            pod: pod.uid.clone(),
            address,
            token: token.clone(),
        };
        targets.insert(SiteName::new(site), target);
    }
    context.probes.set(namespace, network, targets);
}

/// The port of a site's admin page, as its pod has it: what the network says now is in force after a restart only.
fn admin_port(fetched: &Fetched, site: &str) -> u16 {
    let name = names::site_object(fetched.declared.name(), site);
    let stored = fetched
        .observed
        .child(ChildKind::Deployment, &name)
        .and_then(|live| live.annotation(labels::TEMPLATE))
        .and_then(|text| serde_json::from_str::<build::TemplateInputs>(text).ok());
    stored.map_or(ADMIN_PORT, |inputs| inputs.restart.placement.admin_port)
}

async fn decide(
    object: &BrokerNetwork,
    context: &Arc<Context>,
    fetched: &Fetched,
    local: &BTreeSet<SiteName>,
    keys: &Keys,
    door: &Door<'_>,
) -> Result<Verdict, Error> {
    let (network, mut findings) = match validate::run(&fetched.declared, MissingSecrets::Refuse) {
        Ok(valid) => valid,
        Err(findings) => return Ok(Verdict::nothing(findings)),
    };
    findings.extend(unasked(&network, context));
    let now = Timestamp::now();
    let is_paused = plan::is_paused(object);
    let mut issued = Issued::new();
    if !is_paused {
        let network = &network;
        let inputs = issue::Inputs {
            door,
            object,
            network,
            fetched,
            now,
        };
        issued = issue::issue(&inputs).await?;
    }
    let hashes = hashing::hashes(context, &network, fetched, keys.salt_key).await?;
    let fingerprints = render::fingerprints(&network, &hashes).map_err(|cause| Error::Render {
        site: "*".to_owned(),
        cause: cause.to_string(),
    })?;
    let cache = hashing::cache(&network, fetched, &hashes);
    let (sites, refused) = assemble::assemble(&assemble::Inputs {
        network: &network,
        local,
        uid: door.uid,
        keys,
        hashes: &hashes,
        cache: &cache,
    })?;
    if !refused.is_empty() {
        findings.extend(refused);
        return Ok(Verdict::nothing(findings));
    }
    let config_hashes: BTreeMap<SiteName, String> = sites
        .iter()
        .map(|(name, site)| (name.clone(), site.config_hash.clone()))
        .collect();
    let Planned { plan, templates } = plan::plan(&plan::Inputs {
        object,
        network: &network,
        declared: &fetched.declared,
        local,
        observed: &fetched.observed,
        settings: &context.settings,
        now,
    });
    let sites = assemble::with_templates(sites, templates, &cache);
    let certificates = assemble::all_certificates(&sites, &fetched.declared);
    let desired = build::build(&build::Inputs {
        object,
        network: &network,
        plan: &plan,
        sites: &sites,
        settings: &context.settings,
    })?;
    let mut verdict = Verdict {
        network: Some(network),
        findings,
        plan: Some(plan),
        fingerprints,
        config_hashes,
        certificates,
        outcome: Outcome::default(),
        next: RESYNC,
    };
    if !is_paused {
        let wanted = Wanted {
            desired: &desired,
            issued: &issued,
        };
        write(door, context, fetched, local, &wanted, &mut verdict).await;
    }
    verdict.outcome.objects.extend(issued);
    Ok(verdict)
}

/// Certificates of cert-manager are asked for only where the operator was told that it is there.
fn unasked(network: &ValidNetwork, context: &Context) -> Option<Finding> {
    let is_issued = network.cluster.issuer.is_some();
    (is_issued && !context.settings.has_cert_manager).then(|| {
        let reason = "the operator was not told that cert-manager is there (--cert-manager), so no certificate is asked for";
        Finding::warning(Subject::Network, "spec.tls.source", reason)
            .because(Reason::WaitingForCertificate)
    })
}

/// What is to be there, and what has become of a part of it.
struct Wanted<'a> {
    desired: &'a Desired,
    issued: &'a Issued,
}

/// Writes what is wanted, tells pods, and removes what is wanted no longer.
async fn write(
    door: &Door<'_>,
    context: &Context,
    fetched: &Fetched,
    local: &BTreeSet<SiteName>,
    wanted: &Wanted<'_>,
    verdict: &mut Verdict,
) {
    let desired = wanted.desired;
    let mut outcome = apply::apply(door, desired, &fetched.observed, wanted.issued).await;
    let nudges = nudge::nudges(context, fetched, verdict, &outcome);
    if let Some(next) = nudges.next {
        verdict.next = verdict.next.min(next + Duration::from_millis(100));
    }
    apply::nudge(door, &nudges.now, &mut outcome).await;
    let network = verdict.network.as_ref();
    let source = network.and_then(|network| network.tls.as_ref());
    let is_issuing = source.is_some_and(|tls| tls.source == TlsSource::Development);
    let kept = kept(door.name, local, is_issuing);
    let held = verdict
        .plan
        .as_ref()
        .map(|plan| plan.held.clone())
        .unwrap_or_default();
    let keeps = |key: &ChildKey| {
        let live = fetched.observed.children.get(key);
        let is_held = live
            .and_then(|live| live.label(labels::SITE))
            .is_some_and(|site| held.contains(site));
        let is_shared = key.kind == ChildKind::Secret
            && !held.is_empty()
            && live.is_some_and(|live: &Live| live.label(labels::SITE).is_none());
        is_held || is_shared || desired.objects.contains_key(key) || kept.contains(key)
    };
    let doomed = apply::doomed(&fetched.observed, keeps);
    apply::prune(door, &fetched.declared.network, &doomed, &mut outcome).await;
    verdict.outcome = outcome;
}

/// Secrets that are made once for the sites that run here. The key of an authority that signs nothing any more goes; a
/// certificate may still be mounted, or may have become somebody else's.
fn kept(network: &str, local: &BTreeSet<SiteName>, is_issuing: bool) -> BTreeSet<ChildKey> {
    let key = |name: String| ChildKey {
        kind: ChildKind::Secret,
        name,
    };
    let mut kept = BTreeSet::new();
    for site in local {
        for part in [Part::Keys, Part::Config, Part::Tls] {
            kept.insert(key(names::site_part(network, site.as_str(), part)));
        }
        kept.insert(key(names::network_keys(network)));
    }
    if is_issuing {
        kept.insert(key(names::development_authority(network)));
    }
    kept
}
