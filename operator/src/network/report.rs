//! Writes the status where it says something new, and tells of transitions.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::jiff::Timestamp;
use kube::api::Api;
use kube::runtime::events::{Event, EventType};
use kube::{Resource as _, ResourceExt as _};

use super::context::Context;
use super::controller::Verdict;
use super::error::Error;
use super::fetch::Fetched;
use super::status::{self, About, Computed, Note, Users};
use crate::api::condition::Reason;
use crate::api::user::UserState;
use crate::api::{BrokerNetwork, BrokerUserSpec};
use crate::documents::Severity;
use crate::finding::Subject;
use crate::kube_io;
use crate::model::observed::{Observed, Outcome};
use crate::names::SiteName;

/// What differs in times and figures alone is written so seldom.
const REFRESH: Duration = Duration::from_secs(300);
/// Of one link, or of one object that is put back, so little is told.
const QUIET: Duration = Duration::from_secs(60);

/// Writes and tells; returns when an age passes that changes the status.
///
/// # Errors
/// The status cannot be written.
pub async fn report(
    object: &BrokerNetwork,
    context: &Context,
    fetched: &Fetched,
    verdict: &Verdict,
) -> Result<Option<Duration>, Error> {
    let local = fetched.declared.local_sites.iter().flatten();
    let local = local.map(|site| SiteName::new(site)).collect();
    let users = users(fetched, verdict);
    let computed = status::compute(&status::Inputs {
        now: Timestamp::now(),
        network: object,
        local: &local,
        operator: &context.settings.operator,
        valid: verdict.network.as_ref(),
        findings: &verdict.findings,
        users: &users,
        plan: verdict.plan.as_ref(),
        config_hashes: &verdict.config_hashes,
        observed: &fetched.observed,
        outcome: &verdict.outcome,
    });
    write(object, context, &computed).await?;
    for note in status::restored(&verdict.outcome) {
        let what = format!("{}/{}", object.uid().unwrap_or_default(), note.message);
        if context.memory.may_tell(&what, Instant::now(), QUIET) {
            tell(context, &object.object_ref(&()), &note).await;
        }
    }
    Ok(computed.next)
}

/// Says that rights are missing, in the API server's words; everything else stays as it was.
///
/// # Errors
/// The status cannot be written.
pub async fn denied(
    object: &BrokerNetwork,
    context: &Context,
    denied: Vec<String>,
) -> Result<(), Error> {
    let outcome = Outcome {
        denied,
        ..Outcome::default()
    };
    unread(object, context, &outcome).await
}

/// Says why what is there is not known; everything else stays as it was.
///
/// # Errors
/// The status cannot be written.
pub async fn unread(
    object: &BrokerNetwork,
    context: &Context,
    outcome: &Outcome,
) -> Result<(), Error> {
    let computed = status::compute(&status::Inputs {
        now: Timestamp::now(),
        network: object,
        local: &BTreeSet::new(),
        operator: &context.settings.operator,
        valid: None,
        findings: &[],
        users: &Users::default(),
        plan: None,
        config_hashes: &BTreeMap::new(),
        observed: &Observed::default(),
        outcome,
    });
    write(object, context, &computed).await
}

async fn write(
    object: &BrokerNetwork,
    context: &Context,
    computed: &Computed,
) -> Result<(), Error> {
    let uid = object.uid().unwrap_or_default();
    let now = Instant::now();
    let is_other = object.status.as_ref() != Some(&computed.status);
    let is_due = is_other && context.memory.is_refresh_due(&uid, now, REFRESH);
    if computed.is_urgent || is_due {
        let namespace = object.namespace().unwrap_or_default();
        let api: Api<BrokerNetwork> = Api::namespaced(context.client.clone(), &namespace);
        let written = kube_io::status::write(&api, object, &computed.status, &context.metrics);
        written.await.map_err(Error::Status)?;
        context.memory.refreshed(&uid, now);
        for note in &computed.events {
            let is_quiet = match &note.about {
                About::Link(link) => {
                    let key = format!("{uid}/{link}");
                    !context.memory.may_tell(&key, now, QUIET)
                }
                _ => false,
            };
            if !is_quiet {
                tell(context, &object.object_ref(&()), note).await;
            }
        }
    }
    Ok(())
}

/// The users that concern this cluster: those of other clusters' sites alone are none of it.
fn users(fetched: &Fetched, verdict: &Verdict) -> Users {
    let findings = verdict.findings.iter();
    let errors = findings.filter(|finding| finding.severity == Severity::Error);
    let wrong: BTreeMap<&str, Reason> = errors
        .filter_map(|finding| match &finding.subject {
            Subject::User(name) => Some((name.as_str(), finding.cause)),
            _ => None,
        })
        .collect();
    let network = verdict.network.as_ref();
    let is_served = |name: &str, spec: &BrokerUserSpec| {
        let username = spec.username.as_deref().unwrap_or(name);
        // Who has the login name of another is not whom that lets in.
        network.is_some_and(|network| network.users.contains_key(username))
            && wrong.get(name) != Some(&Reason::DuplicateUsername)
    };
    let declared = fetched.declared.users.iter();
    let served: BTreeSet<&str> = declared
        .filter(|(name, spec)| is_served(name, spec))
        .map(|(name, _)| name.as_str())
        .collect();
    let names = wrong.keys().map(|name| (*name).to_owned());
    let (mut kept, left_out): (BTreeSet<String>, BTreeSet<String>) =
        names.partition(|name| served.contains(name.as_str()));
    let specs = &fetched.declared.users;
    kept.retain(|name| specs.get(name).and_then(|spec| spec.state) != Some(UserState::Suspended));
    Users {
        served: served.len(),
        declared: served.len() + left_out.len(),
        kept,
        left_out,
    }
}

/// An Event that cannot be sent is a line in the log: the status has all of it.
pub async fn tell(context: &Context, about: &ObjectReference, note: &Note) {
    let event = Event {
        type_: match note.is_warning {
            true => EventType::Warning,
            false => EventType::Normal,
        },
        reason: note.kind.as_str().to_owned(),
        note: Some(note.message.clone()),
        action: "Reconcile".to_owned(),
        // What has the same reason and is about the same is counted as one Event, with the words of the first.
        secondary: note.related(about),
    };
    if let Err(error) = context.recorder.publish(&event, about).await {
        tracing::warn!(%error, reason = note.kind.as_str(), "an Event was not sent");
    }
}
