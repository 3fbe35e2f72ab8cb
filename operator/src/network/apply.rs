//! Writes what is wanted, in order, then removes what is wanted no longer. Decides nothing.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::build::Desired;
use super::issue::Issued;
use super::nudge::Nudge;
use crate::api::BrokerNetwork;
use crate::kube_io::apply::{Door, refused};
use crate::kube_io::prune;
use crate::labels;
use crate::model::observed::{Applied, ChildKey, ChildKind, Observed, Outcome, Owner};
use crate::names::{self, Part};

/// Whether a Deployment is left as it is, since a Secret made for its site is not what it should be: a pod would mount what
/// somebody else wrote. A broker that is to stop is stopped all the same.
#[must_use]
pub fn waits(key: &ChildKey, wanted: &Value, outcome: &Outcome, issued: &Issued) -> bool {
    if key.kind != ChildKind::Deployment || wanted["spec"]["replicas"] == 0 {
        return false;
    }
    let mut made = outcome.objects.iter().chain(issued);
    made.any(|(secret, applied)| {
        let parts = [Part::Config, Part::Tls];
        let is_mounted = || {
            let part = |part: Part| names::part_of(&key.name, part) == secret.name;
            secret.kind == ChildKind::Secret && parts.into_iter().any(part)
        };
        matches!(applied, Applied::Refused(_)) && is_mounted()
    })
}

/// Writes every object that is not as it is wanted; `issued` is what became of the Secrets with certificates.
pub async fn apply(
    door: &Door<'_>,
    desired: &Desired,
    observed: &Observed,
    issued: &Issued,
) -> Outcome {
    let mut outcome = Outcome::default();
    for (key, wanted) in &desired.objects {
        if waits(key, wanted, &outcome, issued) {
            tracing::info!(%key, "not written before what it mounts");
            continue;
        }
        let live = observed.children.get(key);
        let applied = door.apply(key, wanted, live).await;
        match &applied {
            Applied::Refused(refusal) => tracing::warn!(%key, ?refusal, "not written"),
            Applied::Unchanged => {}
            done => tracing::info!(%key, ?done, "written"),
        }
        outcome.objects.insert(key.clone(), applied);
    }
    outcome
}

/// What is ours and is neither wanted nor to be kept.
#[must_use]
pub fn doomed(observed: &Observed, keeps: impl Fn(&ChildKey) -> bool) -> BTreeSet<ChildKey> {
    let children = observed.children.iter();
    children
        .filter(|(key, live)| live.owner == Owner::Ours && !live.is_deleting && !keeps(key))
        .map(|(key, _)| key.clone())
        .collect()
}

/// Removes what is wanted no longer, if the network still says so: what is known of it may be older than what is there.
pub async fn prune(
    door: &Door<'_>,
    network: &BrokerNetwork,
    doomed: &BTreeSet<ChildKey>,
    outcome: &mut Outcome,
) {
    if doomed.is_empty() {
        return;
    }
    match is_current(door, network).await {
        Ok(true) => {}
        Ok(false) => {
            tracing::info!(network = door.name, "changed meanwhile, nothing is removed");
            return;
        }
        Err(error) => {
            let refused = refused("get", error);
            let all = doomed.iter().map(|key| (key.clone(), refused.clone()));
            outcome.objects.extend(all);
            return;
        }
    }
    // The Deployment goes first: nothing is taken from a pod that runs.
    for key in doomed.iter().rev() {
        if let Some(applied) = prune::remove(door, key).await {
            tracing::info!(%key, ?applied, "removed");
            outcome.objects.insert(key.clone(), applied);
        }
    }
}

/// Whether the network at this moment is the one that was read. The annotations count too: one of them lets a site go. It
/// is listed, which needs no right beside those of a watch.
async fn is_current(door: &Door<'_>, network: &BrokerNetwork) -> Result<bool, kube::Error> {
    let api: Api<BrokerNetwork> = Api::namespaced(door.client.clone(), door.namespace);
    let only = ListParams::default().fields(&format!("metadata.name={}", door.name));
    let found = api.list_metadata(&only).await?;
    let read = &network.metadata;
    Ok(found.items.into_iter().any(|live| {
        let live = live.metadata;
        live.uid == read.uid
            && live.generation == read.generation
            && live.deletion_timestamp.is_none()
            && live.annotations == read.annotations
    }))
}

/// Tells pods that their files are others: the change of the pod makes the kubelet look at once.
pub async fn nudge(door: &Door<'_>, nudges: &[Nudge], outcome: &mut Outcome) {
    let api: Api<Pod> = Api::namespaced(door.client.clone(), door.namespace);
    for nudge in nudges {
        let patch = json!({"metadata": {
            "uid": nudge.uid,
            "annotations": {labels::CONFIG_HASH: nudge.value},
        }});
        let params = PatchParams {
            field_manager: Some(labels::FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        match api
            .patch_metadata(&nudge.pod, &params, &Patch::Merge(&patch))
            .await
        {
            Ok(_) => door.metrics.wrote("Pod", "patch"),
            // Another pod of that name, or none: it reads its files when it starts.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
            Err(error) => {
                let key = ChildKey {
                    kind: ChildKind::Pod,
                    name: nudge.pod.clone(),
                };
                outcome.objects.insert(key, refused("patch", error));
            }
        }
    }
}
