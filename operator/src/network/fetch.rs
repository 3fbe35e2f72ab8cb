//! Everything that is referenced or observed; judges nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use serde_json::json;

use super::context::Context;
use super::error::Error;
use super::named::{self, Named};
use super::references;
use crate::api::{BrokerNetwork, BrokerUserSpec};
use crate::client::view::StatusView;
use crate::kube_io::objects;
use crate::kube_io::secrets::Contents;
use crate::labels;
use crate::model::Declared;
use crate::model::observed::{ChildKey, ChildKind, Live, Observed, Owner, PodState};
use crate::names::{self, Part};
use crate::user::ownership::{self, Holder};
use crate::user::password;

/// What one reconcile works on.
pub struct Fetched {
    /// What was written.
    pub declared: Declared,
    /// What is there.
    pub observed: Observed,
    /// Secrets that were read, with their versions.
    pub contents: BTreeMap<String, Contents>,
    /// Uid and generation of each user, by the name of its object.
    pub users: BTreeMap<String, (String, i64)>,
    /// Equal for equal input: nothing has to be done again.
    pub fingerprint: u64,
}

/// Reads everything.
///
/// # Errors
/// A read failed.
pub async fn fetch(object: &BrokerNetwork, context: &Context) -> Result<Fetched, Error> {
    let name = object.name_any();
    let namespace = object.namespace().unwrap_or_default();
    let local: BTreeSet<String> = object
        .spec
        .sites
        .iter()
        .map(|site| site.name.clone())
        .filter(|site| context.settings.claims.holds(site))
        .collect();
    let Users {
        specs: users,
        known,
        annotations,
    } = users(context, &namespace, &name);
    let references = references::references(&name, &object.spec, &users, &local);
    refer(context, &namespace, &name, &references.secrets);
    let Named {
        secrets: mut contents,
        config_maps,
        unread,
    } = named::read(context, &namespace, &references).await?;
    let foreign = disown(&users, &known, &mut contents);
    let mut observed = Observed {
        children: children(object, context, &namespace, &name)?,
        pods: pods(context, &namespace, &name),
        brokers: BTreeMap::new(),
        missing_fields: context.definitions.missing(),
    };
    disown_files(&name, &local, &observed.children, &mut contents);
    add_contents(&mut observed, &contents)?;
    observed.brokers = context.probes.of(&namespace, &name);
    let declared = Declared {
        network: object.clone(),
        users,
        local_sites: Some(local),
        secrets: contents
            .iter()
            .map(|(name, contents)| (name.clone(), contents.data.clone()))
            .collect(),
        unreadable: BTreeSet::new(),
        unread,
        annotations,
        foreign,
        config_maps,
    };
    let fingerprint = fingerprint(object, &known, &declared, &observed, &contents);
    Ok(Fetched {
        declared,
        observed,
        contents,
        users: known,
        fingerprint,
    })
}

/// Says which Secrets a network names. What nobody names any more is forgotten.
pub fn refer(context: &Context, namespace: &str, network: &str, secrets: &BTreeSet<String>) {
    if context.references.set(namespace, network, secrets) {
        let is_named = |name: &str| context.references.is_named(namespace, name);
        context.secrets.keep(namespace, is_named);
    }
}

/// The users of a network, by the names of their objects.
#[derive(Default)]
struct Users {
    specs: BTreeMap<String, BrokerUserSpec>,
    /// Uid and generation.
    known: BTreeMap<String, (String, i64)>,
    /// Annotations of ours.
    annotations: BTreeMap<String, BTreeMap<String, String>>,
}

fn users(context: &Context, namespace: &str, network: &str) -> Users {
    let all = context.stores.users.state();
    let own = all.iter().filter(|user| {
        user.spec.network_ref.name == network
            && user.namespace().as_deref() == Some(namespace)
            && user.metadata.deletion_timestamp.is_none()
    });
    let mut users = Users::default();
    for user in own {
        let (name, uid) = (user.name_any(), user.uid().unwrap_or_default());
        let generation = user.metadata.generation.unwrap_or_default();
        let annotations = labels::annotations(&**user);
        if !annotations.is_empty() {
            users.annotations.insert(name.clone(), annotations);
        }
        users.known.insert(name.clone(), (uid, generation));
        users.specs.insert(name, user.spec.clone());
    }
    users
}

/// Takes out what is not of the user that it bears the name of, and says whose that is. A password that somebody else
/// wrote is none that was generated.
fn disown(
    users: &BTreeMap<String, BrokerUserSpec>,
    known: &BTreeMap<String, (String, i64)>,
    contents: &mut BTreeMap<String, Contents>,
) -> BTreeMap<String, String> {
    let mut foreign = BTreeMap::new();
    for (user, _) in users
        .iter()
        .filter(|(_, spec)| password::rotation(spec).is_some())
    {
        let secret = names::generated_secret(user);
        let (Some(held), Some((uid, _))) = (contents.get(&secret), known.get(user)) else {
            continue;
        };
        let whose = match ownership::holder(&held.owners, uid, user) {
            Holder::Ours => continue,
            Holder::Shared(others) => {
                foreign.insert(secret, format!("{others} too"));
                continue;
            }
            Holder::Former => None,
            Holder::Foreign(owner) => Some(owner.unwrap_or_else(|| "nobody".to_owned())),
        };
        contents.remove(&secret);
        foreign.extend(whose.map(|whose| (secret, whose)));
    }
    foreign
}

/// Takes out what somebody else put in the place of a site's files: whom they name was let in by nobody here.
fn disown_files(
    network: &str,
    local: &BTreeSet<String>,
    children: &BTreeMap<ChildKey, Live>,
    contents: &mut BTreeMap<String, Contents>,
) {
    for site in local {
        let key = ChildKey {
            kind: ChildKind::Secret,
            name: names::site_part(network, site, Part::Config),
        };
        let live = children.get(&key);
        if live.is_none_or(|live| live.owner != Owner::Ours) {
            contents.remove(&key.name);
        }
    }
}

fn children(
    object: &BrokerNetwork,
    context: &Context,
    namespace: &str,
    network: &str,
) -> Result<BTreeMap<ChildKey, Live>, Error> {
    let uid = object.uid().unwrap_or_default();
    let mut found = BTreeMap::new();
    for (kind, store) in context.stores.children.iter() {
        for child in store.state() {
            if child.namespace().as_deref() != Some(namespace)
                || child.labels().get(labels::NETWORK).map(String::as_str) != Some(network)
            {
                continue;
            }
            let key = ChildKey {
                kind: *kind,
                name: child.name_any(),
            };
            found.insert(key, objects::live(&child, *kind, &uid, network)?);
        }
    }
    for secret in context.stores.secrets.state() {
        if secret.namespace().as_deref() != Some(namespace)
            || secret.labels().get(labels::NETWORK).map(String::as_str) != Some(network)
            || secret.labels().contains_key(labels::USER)
        {
            continue;
        }
        let value = json!({"metadata": serde_json::to_value(&secret.metadata)?});
        let key = ChildKey {
            kind: ChildKind::Secret,
            name: secret.name_any(),
        };
        let live = Live {
            uid: secret.uid().unwrap_or_default(),
            resource_version: secret.resource_version().unwrap_or_default(),
            owner: objects::owner(&value, &uid, network),
            is_deleting: secret.metadata.deletion_timestamp.is_some(),
            value,
        };
        found.insert(key, live);
    }
    Ok(found)
}

/// Puts what was read of the operator's own Secrets to what is known of them.
fn add_contents(
    observed: &mut Observed,
    contents: &BTreeMap<String, Contents>,
) -> Result<(), Error> {
    for (key, live) in &mut observed.children {
        if key.kind != ChildKind::Secret {
            continue;
        }
        if let Some(contents) = contents.get(&key.name)
            && contents.uid == live.uid
        {
            let data: BTreeMap<&String, k8s_openapi::ByteString> = contents
                .data
                .iter()
                .map(|(key, bytes)| (key, k8s_openapi::ByteString(bytes.clone())))
                .collect();
            live.value["data"] = serde_json::to_value(data)?;
            live.value["type"] = "Opaque".into();
            live.value["kind"] = "Secret".into();
            live.value["apiVersion"] = "v1".into();
        }
    }
    Ok(())
}

fn pods(context: &Context, namespace: &str, network: &str) -> Vec<PodState> {
    let mut pods: Vec<PodState> = context
        .stores
        .pods
        .state()
        .iter()
        .filter(|pod| {
            pod.namespace().as_deref() == Some(namespace)
                && pod.labels().get(labels::NETWORK).map(String::as_str) == Some(network)
        })
        .map(|pod| pod_state(pod))
        .collect();
    pods.sort_by(|one, other| one.name.cmp(&other.name));
    pods
}

fn pod_state(pod: &Pod) -> PodState {
    let status = pod.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_deref());
    let containers = status.and_then(|status| status.container_statuses.as_deref());
    let container = containers.and_then(<[_]>::first);
    let waiting =
        container.and_then(|container| container.state.as_ref()?.waiting.as_ref()?.reason.clone());
    PodState {
        name: pod.name_any(),
        uid: pod.uid().unwrap_or_default(),
        site: pod.labels().get(labels::SITE).cloned().unwrap_or_default(),
        ip: status.and_then(|status| status.pod_ip.clone()),
        phase: status
            .and_then(|status| status.phase.clone())
            .unwrap_or_default(),
        is_ready: conditions
            .into_iter()
            .flatten()
            .any(|condition| condition.type_ == "Ready" && condition.status == "True"),
        is_deleting: pod.metadata.deletion_timestamp.is_some(),
        config_hash: pod.annotations().get(labels::CONFIG_HASH).cloned(),
        waiting,
        restarts: container.map_or(0, |container| container.restart_count),
    }
}

/// A number that is the same as long as nothing that counts is another. The status is the operator's own and does not.
fn fingerprint(
    object: &BrokerNetwork,
    users: &BTreeMap<String, (String, i64)>,
    declared: &Declared,
    observed: &Observed,
    contents: &BTreeMap<String, Contents>,
) -> u64 {
    let mut hasher = DefaultHasher::new();
    object.metadata.uid.hash(&mut hasher);
    object.metadata.generation.hash(&mut hasher);
    object.metadata.annotations.hash(&mut hasher);
    object
        .metadata
        .deletion_timestamp
        .is_some()
        .hash(&mut hasher);
    for (name, user) in &declared.users {
        name.hash(&mut hasher);
        serde_json::to_string(user)
            .unwrap_or_default()
            .hash(&mut hasher);
    }
    (users, &declared.annotations).hash(&mut hasher);
    (&declared.foreign, &declared.unread).hash(&mut hasher);
    for (name, secret) in contents {
        (name, &secret.resource_version, &secret.uid).hash(&mut hasher);
    }
    declared.config_maps.hash(&mut hasher);
    observed.missing_fields.hash(&mut hasher);
    for (key, live) in &observed.children {
        (key, &live.uid, &live.resource_version).hash(&mut hasher);
    }
    for pod in &observed.pods {
        format!("{pod:?}").hash(&mut hasher);
    }
    for (site, broker) in &observed.brokers {
        let moment = broker.view.as_ref().map(StatusView::moment);
        (site.as_str(), moment, broker.failures.min(10)).hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(name: &str) -> (String, Contents) {
        let contents = Contents {
            resource_version: "1".to_owned(),
            uid: String::new(),
            data: BTreeMap::new(),
            owners: Vec::new(),
            rotation: None,
        };
        (name.to_owned(), contents)
    }

    fn child(name: &str, owner: Owner) -> (ChildKey, Live) {
        let key = ChildKey {
            kind: ChildKind::Secret,
            name: name.to_owned(),
        };
        let live = Live {
            uid: String::new(),
            resource_version: "1".to_owned(),
            owner,
            is_deleting: false,
            value: json!({}),
        };
        (key, live)
    }

    #[test]
    fn files_of_somebody_else_are_not_those_of_a_site() {
        let local = ["ie", "uk", "us"].map(str::to_owned).into();
        let children = BTreeMap::from([
            child("n--ie-config", Owner::Ours),
            child("n--uk-config", Owner::Foreign(None)),
        ]);
        // That of us does not even bear our labels.
        let mut read = BTreeMap::from(
            ["n--ie-config", "n--uk-config", "n--us-config", "user-amq"].map(contents),
        );
        disown_files("n", &local, &children, &mut read);
        assert!(
            read.keys().eq(["n--ie-config", "user-amq"]),
            "{:?}",
            read.keys()
        );
    }
}
