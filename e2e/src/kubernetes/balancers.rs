//! Plays a cloud's load balancers: every Service of type LoadBalancer gets an address.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::access::Access;
use super::follower::{Follower, Objects};

/// Gives addresses until it is dropped.
#[derive(Debug)]
pub(super) struct Balancers {
    range: Vec<Ipv4Addr>,
    _follower: Follower,
}

impl Balancers {
    /// Starts in the network namespace of the caller.
    pub(super) fn start(access: Access, range: Vec<Ipv4Addr>) -> Self {
        let free = range.clone();
        let mut given = BTreeMap::new();
        let writer = access.clone();
        let follower = Follower::start(access, "/api/v1/services", move |services| {
            for (key, address) in wanted(services, &free, &mut given)? {
                give(&writer, &key, address)?;
            }
            Ok(())
        });
        Self {
            range,
            _follower: follower,
        }
    }

    /// The addresses that it gives.
    pub(super) fn range(&self) -> &[Ipv4Addr] {
        &self.range
    }
}

/// Writes an address into the status of a Service.
fn give(access: &Access, key: &str, address: Ipv4Addr) -> Result<()> {
    let (namespace, name) = key.split_once('/').context("a Service has a namespace")?;
    let path = format!("/api/v1/namespaces/{namespace}/services/{name}/status");
    let status = json!({"status": {"loadBalancer": {"ingress": [{"ip": address}]}}});
    access.merge(&path, &status)?;
    Ok(())
}

/// Which Services need their address written, and which it is. One that asks for an address of the
/// range by `spec.loadBalancerIP` gets it; each keeps its own as long as it exists.
fn wanted(
    services: &Objects,
    range: &[Ipv4Addr],
    given: &mut BTreeMap<String, Ipv4Addr>,
) -> Result<Vec<(String, Ipv4Addr)>> {
    given.retain(|key, _| services.get(key).is_some_and(is_ours));
    let by_hand = services.values().filter_map(published);
    let mut taken: BTreeSet<Ipv4Addr> = by_hand.chain(given.values().copied()).collect();
    let mut missing = Vec::new();
    for (key, service) in services {
        if !is_ours(service) || published(service).is_some() {
            continue;
        }
        let address = match given.get(key) {
            Some(address) => *address,
            None => choose(service, range, &taken).context("no load balancer is free any more")?,
        };
        taken.insert(address);
        given.insert(key.clone(), address);
        missing.push((key.clone(), address));
    }
    Ok(missing)
}

fn choose(service: &Value, range: &[Ipv4Addr], taken: &BTreeSet<Ipv4Addr>) -> Option<Ipv4Addr> {
    let asked = service["spec"]["loadBalancerIP"].as_str();
    let asked: Option<Ipv4Addr> = asked.and_then(|text| text.parse().ok());
    let mut free = range.iter().filter(|address| !taken.contains(address));
    match asked {
        Some(asked) => free.find(|address| **address == asked).copied(),
        None => free.next().copied(),
    }
}

/// A Service with a class belongs to whoever provides that class.
fn is_ours(service: &Value) -> bool {
    let spec = &service["spec"];
    spec["type"] == "LoadBalancer" && spec["loadBalancerClass"].is_null()
}

fn published(service: &Value) -> Option<Ipv4Addr> {
    let ingress = &service["status"]["loadBalancer"]["ingress"][0];
    ingress["ip"].as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range() -> Vec<Ipv4Addr> {
        (1..4).map(|last| Ipv4Addr::new(10, 0, 0, last)).collect()
    }

    fn services(all: &[(&str, Value)]) -> Objects {
        let all = all.iter().cloned();
        all.map(|(key, service)| (key.to_owned(), service))
            .collect()
    }

    fn balanced(spec: Value) -> Value {
        let mut service = json!({"spec": {"type": "LoadBalancer"}});
        if let (Some(all), Value::Object(more)) = (service["spec"].as_object_mut(), spec) {
            all.extend(more);
        }
        service
    }

    #[test]
    fn each_service_gets_an_address_of_its_own_and_keeps_it() -> Result<()> {
        let mut given = BTreeMap::new();
        let mut by_hand = balanced(json!({}));
        by_hand["status"] = json!({"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}});
        let all = services(&[
            ("a/hand", by_hand),
            ("a/plain", json!({"spec": {"type": "ClusterIP"}})),
            ("a/x", balanced(json!({}))),
            ("a/y", balanced(json!({"loadBalancerIP": "10.0.0.3"}))),
            ("a/z", balanced(json!({"loadBalancerClass": "other"}))),
        ]);
        let [.., two, three] = range()[..] else {
            anyhow::bail!("a range of three");
        };
        let expected = vec![("a/x".to_owned(), two), ("a/y".to_owned(), three)];
        assert_eq!(wanted(&all, &range(), &mut given)?, expected);
        // Nothing was written yet, so the same is wanted again.
        assert_eq!(wanted(&all, &range(), &mut given)?, expected);
        Ok(())
    }

    #[test]
    fn the_address_of_a_removed_service_is_free_again_and_too_many_fail() -> Result<()> {
        let mut given = BTreeMap::new();
        let four = ["a/1", "a/2", "a/3", "a/4"].map(|key| (key, balanced(json!({}))));
        assert!(wanted(&services(&four), &range(), &mut given).is_err());
        let one = wanted(&services(&four[3..]), &range(), &mut given)?;
        assert_eq!(one, [("a/4".to_owned(), range()[0])]);
        Ok(())
    }
}
