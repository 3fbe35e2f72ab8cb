//! Users that this version cannot read, such as one with a value that a newer definition allows, keep nobody else from being
//! listed. What was known of one of them stands as long as the process; a new one is left out.

use std::collections::BTreeMap;

use futures::{Stream, StreamExt as _};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::core::DeserializeGuard;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::watcher::{Error, Event};
use serde_json::json;
use tokio::sync::mpsc::UnboundedSender;

use crate::api::{API_VERSION, BrokerUser};

type Guarded = DeserializeGuard<BrokerUser>;

/// A user that cannot be read, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Unreadable {
    /// The object.
    pub object: ObjectReference,
    /// Why, in words.
    pub error: String,
}

/// The events of a watch about what can be read; of what cannot be, `strangers` hear once for each generation.
pub fn users(
    events: impl Stream<Item = Result<Event<Guarded>, Error>> + Send + 'static,
    strangers: UnboundedSender<Unreadable>,
) -> impl Stream<Item = Result<Event<BrokerUser>, Error>> + Send + 'static {
    let mut sieve = Sieve {
        strangers,
        told: BTreeMap::new(),
    };
    events.filter_map(move |event| {
        futures::future::ready(match event {
            Ok(event) => sieve.readable(event).map(Ok),
            Err(error) => Some(Err(error)),
        })
    })
}

struct Sieve {
    strangers: UnboundedSender<Unreadable>,
    /// The generation that was told of, by uid.
    told: BTreeMap<String, Option<i64>>,
}

impl Sieve {
    fn readable(&mut self, event: Event<Guarded>) -> Option<Event<BrokerUser>> {
        Some(match event {
            Event::Apply(user) => Event::Apply(self.read(user)?),
            Event::InitApply(user) => Event::InitApply(self.read(user)?),
            Event::Delete(user) => Event::Delete(read_or_named(user)?),
            Event::Init => Event::Init,
            Event::InitDone => Event::InitDone,
        })
    }

    fn read(&mut self, user: Guarded) -> Option<BrokerUser> {
        match user.0 {
            Ok(user) => {
                self.told
                    .remove(user.metadata.uid.as_deref().unwrap_or_default());
                Some(user)
            }
            Err(invalid) => {
                self.tell(&invalid);
                None
            }
        }
    }

    fn tell(&mut self, invalid: &InvalidObject) {
        let meta = &invalid.metadata;
        let name = meta.name.as_deref().unwrap_or_default();
        tracing::warn!(user = name, error = %invalid, "not one that can be read, and left out");
        let uid = meta.uid.clone().unwrap_or_default();
        if self.told.insert(uid, meta.generation) == Some(meta.generation) {
            return;
        }
        let object = ObjectReference {
            api_version: Some(API_VERSION.to_owned()),
            kind: Some("BrokerUser".to_owned()),
            name: meta.name.clone(),
            namespace: meta.namespace.clone(),
            uid: meta.uid.clone(),
            ..ObjectReference::default()
        };
        let error = invalid.error.clone();
        // Nobody listens any more when the operator ends.
        let _ = self.strangers.send(Unreadable { object, error });
    }
}

/// Who is gone is gone, readable or not: nothing but the name counts.
fn read_or_named(user: Guarded) -> Option<BrokerUser> {
    match user.0 {
        Ok(user) => Some(user),
        Err(invalid) => {
            let spec = json!({"networkRef": {"name": ""}, "credentials": {"type": "Password"}});
            let spec = serde_json::from_value(spec).ok()?;
            let mut gone = BrokerUser::new("", spec);
            gone.metadata = invalid.metadata;
            Some(gone)
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::ResourceExt as _;
    use serde_json::Value;
    use tokio::sync::mpsc::{self, UnboundedReceiver};

    use super::*;

    fn user(generation: i64, credentials: Value) -> Guarded {
        let object = json!({
            "apiVersion": "causeway.dev/v1alpha1", "kind": "BrokerUser",
            "metadata": {"name": "amq", "namespace": "a", "uid": "1", "generation": generation},
            "spec": {"networkRef": {"name": "n"}, "credentials": credentials},
        });
        serde_json::from_value(object).unwrap()
    }

    fn good() -> Guarded {
        user(1, json!({"type": "Password", "secretRef": {"name": "s"}}))
    }

    fn newer(generation: i64) -> Guarded {
        user(generation, json!({"type": "Hologram"}))
    }

    fn sieve() -> (Sieve, UnboundedReceiver<Unreadable>) {
        let (strangers, told) = mpsc::unbounded_channel();
        let sieve = Sieve {
            strangers,
            told: BTreeMap::new(),
        };
        (sieve, told)
    }

    #[test]
    fn who_cannot_be_read_is_left_out_and_yet_gone_when_removed() {
        let (mut sieve, _told) = sieve();
        assert!(sieve.readable(Event::Apply(good())).is_some());
        assert!(sieve.readable(Event::Apply(newer(1))).is_none());
        assert!(sieve.readable(Event::InitApply(newer(1))).is_none());
        let gone = sieve.readable(Event::Delete(newer(1)));
        let Some(Event::Delete(gone)) = gone else {
            panic!("{gone:?}");
        };
        assert_eq!(gone.name_any(), "amq");
        assert_eq!(gone.namespace().as_deref(), Some("a"));
    }

    #[test]
    fn who_cannot_be_read_is_told_of_once_for_each_change() {
        let (mut sieve, mut told) = sieve();
        for event in [
            Event::InitApply(newer(1)),
            Event::Apply(newer(1)),
            Event::Apply(newer(2)),
            Event::Apply(good()),
            Event::Apply(newer(2)),
        ] {
            let _ = sieve.readable(event);
        }
        let told: Vec<Unreadable> = std::iter::from_fn(|| told.try_recv().ok()).collect();
        assert_eq!(told.len(), 3, "{told:#?}");
        assert_eq!(told[0].object.name.as_deref(), Some("amq"));
        assert!(told[0].error.contains("Hologram"), "{told:#?}");
    }
}
