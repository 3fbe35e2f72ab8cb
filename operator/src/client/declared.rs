//! What a cluster has been told, as the documents that would tell it: what the API server and the operator added is taken
//! away, so that `plan --cluster` and `dump` read it as they read files.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use crate::api::{BrokerNetwork, BrokerUser};
use crate::documents::Source;

/// Metadata that somebody wrote, beside the name.
const WRITTEN: [&str; 3] = ["namespace", "labels", "annotations"];
/// What `kubectl apply` keeps for itself: all of the object once more.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The documents of a network and of its users; users of other networks are passed over.
///
/// # Errors
/// An object does not become text.
pub fn source(
    network: &BrokerNetwork,
    users: &[BrokerUser],
) -> Result<Arc<Source>, serde_json::Error> {
    let name = network.metadata.name.as_deref().unwrap_or_default();
    let namespace = network.metadata.namespace.as_deref().unwrap_or_default();
    let own = users.iter().filter(|user| is_of(user, network));
    let mut documents = vec![document(network)?];
    for user in own {
        documents.push(document(user)?);
    }
    let place = format!("cluster:{namespace}/{name}");
    Ok(Source::new(place, documents.join("---\n")))
}

/// Whether a user is one of a network's.
#[must_use]
pub fn is_of(user: &BrokerUser, network: &BrokerNetwork) -> bool {
    user.metadata.namespace == network.metadata.namespace
        && Some(&user.spec.network_ref.name) == network.metadata.name.as_ref()
}

fn document<T: Serialize>(object: &T) -> Result<String, serde_json::Error> {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    let mut metadata = json!({"name": value["metadata"]["name"].take()});
    for key in WRITTEN {
        let field = value["metadata"].get_mut(key).map(Value::take);
        if let Some(field) = field.filter(|field| !field.is_null()) {
            metadata[key] = field;
        }
    }
    if let Some(Value::Object(annotations)) = metadata.get_mut("annotations") {
        annotations.remove(LAST_APPLIED);
    }
    let written = json!({
        "apiVersion": value["apiVersion"].take(), "kind": value["kind"].take(),
        "metadata": metadata, "spec": without_nulls(value["spec"].take()),
    });
    // JSON is YAML whose text is always quoted: names such as `no` stay names.
    serde_json::to_string_pretty(&written).map(|text| text + "\n")
}

/// A field that is null was never written.
fn without_nulls(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            fields.retain(|_, field| !field.is_null());
            for field in fields.values_mut() {
                *field = without_nulls(field.take());
            }
        }
        Value::Array(items) => {
            for item in items {
                *item = without_nulls(item.take());
            }
        }
        _ => {}
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::load::load;
    use crate::network::validate::MissingSecrets;

    #[test]
    fn what_a_cluster_has_is_read_as_the_documents_were() {
        let network = json!({
            "apiVersion": "causeway.dev/v1alpha1", "kind": "BrokerNetwork",
            "metadata": {
                "name": "n", "namespace": "here", "generation": 3, "uid": "u", "resourceVersion": "7",
                "creationTimestamp": "2026-01-01T00:00:00Z",
                "annotations": {LAST_APPLIED: "{}", "causeway.dev/reconcile": "paused"},
                "managedFields": [{"manager": "kubectl"}],
            },
            "spec": {"sites": [{"name": "ie"}, {"name": "uk"}], "links": [{"name": "l", "between": ["ie", "uk"]}]},
            "status": {"observedGeneration": 3},
        });
        let user = |name: &str, network: &str, namespace: &str| {
            let user = json!({
                "apiVersion": "causeway.dev/v1alpha1", "kind": "BrokerUser",
                "metadata": {"name": name, "namespace": namespace},
                "spec": {
                    "networkRef": {"name": network},
                    "credentials": {"type": "Password", "secretRef": {"name": "s"}},
                },
            });
            serde_json::from_value::<BrokerUser>(user).expect("a user")
        };
        let users = [
            user("amq", "n", "here"),
            user("other", "m", "here"),
            user("far", "n", "there"),
        ];
        let network = serde_json::from_value(network).expect("a network");
        let source = source(&network, &users).expect("documents");
        assert_eq!(source.name, "cluster:here/n");
        for word in [
            "status",
            "managedFields",
            "last-applied",
            "resourceVersion",
            "null",
        ] {
            assert!(!source.text.contains(word), "{word} in\n{}", source.text);
        }
        let loaded = load(&[source], None, MissingSecrets::Mark).expect("a valid network");
        assert_eq!(loaded.network.sites.len(), 2);
        let users: Vec<&String> = loaded.declared.users.keys().collect();
        assert_eq!(users, ["amq"]);
    }
}
