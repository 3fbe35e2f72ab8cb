//! Whether the operators that networks were seen by are still there: what their Leases say.

use std::collections::BTreeMap;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::jiff::Timestamp;
use kube::api::Api;
use serde_json::{Value, json};

use super::cluster::Cluster;
use crate::api::BrokerNetwork;

/// An operator that has not renewed its Lease for so many times its duration is gone: another one would act by now.
const PATIENCE: i64 = 3;
/// The duration of a Lease that does not say it.
const DURATION: i32 = 15;

/// What was heard of an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// It renews its Lease.
    Lately,
    /// It does not, since then; absent: nobody ever held it.
    NotSince(Option<Timestamp>),
    /// There is no Lease, as with `--leader-elect=false`, it may not be read, or the API server does not tell.
    Unknown,
}

/// What was heard of each operator that networks name, by its namespace and name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Operators(BTreeMap<(String, String), Heard>);

/// What a Lease tells at a time; absent: there is none.
#[must_use]
pub fn heard(lease: Option<&Lease>, now: Timestamp) -> Heard {
    let Some(lease) = lease else {
        return Heard::Unknown;
    };
    let spec = lease.spec.as_ref();
    let Some(renewed) = spec.and_then(|spec| spec.renew_time.as_ref()) else {
        return Heard::NotSince(None);
    };
    let lasts = spec.and_then(|spec| spec.lease_duration_seconds);
    let patience = i64::from(lasts.unwrap_or(DURATION)).saturating_mul(PATIENCE);
    match now.duration_since(renewed.0).as_secs() > patience {
        true => Heard::NotSince(Some(renewed.0)),
        false => Heard::Lately,
    }
}

impl Operators {
    /// What was heard of some operators.
    #[must_use]
    pub fn new(heard: impl IntoIterator<Item = ((String, String), Heard)>) -> Self {
        Self(heard.into_iter().collect())
    }

    /// Reads the Lease of each operator that the networks say they were seen by. A Lease that may not be read is no reason
    /// to tell nothing of the networks.
    pub async fn read(cluster: &Cluster, networks: &[BrokerNetwork]) -> Self {
        let mut found = BTreeMap::new();
        for key in networks.iter().filter_map(key) {
            if found.contains_key(&key) {
                continue;
            }
            let api: Api<Lease> = Api::namespaced(cluster.client.clone(), &key.0);
            let heard = match api.get_opt(&key.1).await {
                Ok(lease) => heard(lease.as_ref(), Timestamp::now()),
                Err(_) => Heard::Unknown,
            };
            found.insert(key, heard);
        }
        Self(found)
    }

    /// Whether one of them is not there.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        let mut all = self.0.values();
        all.any(|heard| matches!(heard, Heard::NotSince(_)))
    }

    /// A line for each that is not there.
    #[must_use]
    pub fn lines(&self) -> String {
        let line = |((namespace, name), heard): (&(String, String), &Heard)| {
            let since = match heard {
                Heard::NotSince(Some(since)) => format!(" since {since:.0}: it does not renew"),
                Heard::NotSince(None) => ": nobody holds".to_owned(),
                Heard::Lately | Heard::Unknown => return None,
            };
            Some(format!(
                "no operator has been heard of{since} the Lease {namespace}/{name}; what follows may be old, and no change be acted on\n"
            ))
        };
        self.0.iter().filter_map(line).collect()
    }

    /// The same for programs, of the operator of one network; null: nobody knows.
    #[must_use]
    pub fn json(&self, network: &BrokerNetwork) -> Value {
        let heard = key(network).and_then(|key| self.0.get(&key));
        match heard {
            Some(Heard::Lately) => json!({"heard": true}),
            Some(Heard::NotSince(since)) => {
                let since = since.map(|since| format!("{since:.0}"));
                json!({"heard": false, "since": since})
            }
            Some(Heard::Unknown) | None => Value::Null,
        }
    }
}

/// Namespace and name of the operator that a network was seen by, which are those of its Lease.
fn key(network: &BrokerNetwork) -> Option<(String, String)> {
    let operator = network.status.as_ref()?.operator.as_ref()?;
    Some((operator.namespace.clone(), operator.name.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-11-22T20:10:00Z";

    fn at(renewed: Value) -> Heard {
        let lease = json!({"spec": {"renewTime": renewed, "leaseDurationSeconds": 15}});
        let lease: Lease = serde_json::from_value(lease).expect("a Lease");
        heard(Some(&lease), NOW.parse().expect("a time"))
    }

    #[test]
    fn an_operator_is_gone_when_its_lease_was_not_renewed_for_three_times_its_duration() {
        assert_eq!(at(json!("2026-11-22T20:09:15.000000Z")), Heard::Lately);
        let since = "2026-11-22T20:09:14Z".parse().ok();
        let gone = at(json!("2026-11-22T20:09:14.000000Z"));
        assert_eq!(gone, Heard::NotSince(since));
        // Another clock is ahead.
        assert_eq!(at(json!("2026-11-22T20:11:00.000000Z")), Heard::Lately);
        assert_eq!(at(Value::Null), Heard::NotSince(None));
        let now = NOW.parse().expect("a time");
        // Nobody can tell one that needs no Lease from one that is gone.
        assert_eq!(heard(None, now), Heard::Unknown);
    }

    #[test]
    fn each_operator_that_is_gone_is_told_in_a_line() {
        let key = |name: &str| ("causeway".to_owned(), name.to_owned());
        let since = "2026-11-22T20:09:14Z".parse().ok();
        let of = |heard| Operators::new([(key("causeway"), heard)]);
        let gone = of(Heard::NotSince(since));
        assert!(gone.is_silent());
        let expected = "no operator has been heard of since 2026-11-22T20:09:14Z: it does not renew the Lease causeway/causeway;";
        assert!(gone.lines().starts_with(expected), "{}", gone.lines());
        for quiet in [Heard::Lately, Heard::Unknown] {
            let quiet = of(quiet);
            assert!(!quiet.is_silent() && quiet.lines().is_empty());
        }
    }
}
