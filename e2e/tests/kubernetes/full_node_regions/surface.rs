//! What the operator and the brokers touch, as the suite really saw it: connections against the NetworkPolicies, requests
//! against the Role.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use causeway_e2e::kubernetes::policies::{Flow, Flows, Peer, Pod};
use causeway_e2e::kubernetes::{Region, Seen};

use super::super::rights::{rights, rules};
use super::Place;
use super::observed::{REGIONS, pods};

/// The operator's ServiceAccount, and its Role.
const OPERATOR: &str = "causeway";
/// The operator's page and the brokers'.
const PROBED: [u16; 2] = [8080, ADMIN];
const ADMIN: u16 = 8161;
const STOMP: u16 = 61613;
const LINK: u16 = 61618;

/// What was seen in both regions.
pub struct Surface {
    seen: [Seen; 2],
}

impl Surface {
    pub fn new() -> Self {
        Self {
            seen: [Seen::new(&PROBED), Seen::new(&PROBED)],
        }
    }

    /// Adds what is open, or was within the last minute.
    pub fn look(&mut self, place: &Place) -> Result<()> {
        for (seen, region) in self.seen.iter_mut().zip(REGIONS) {
            seen.look(place.cluster(region), &[place.namespace])?;
        }
        Ok(())
    }

    /// Nothing that was seen is refused, and what nobody needs is.
    pub fn policies_fit(&self, place: &Place) -> Result<()> {
        let alive = pods(place)?;
        for (seen, region) in self.seen.iter().zip(REGIONS) {
            let cluster = place.cluster(region);
            let policies = cluster.policies()?;
            let mut flows = Flows::default();
            seen.flows()
                .iter()
                .cloned()
                .for_each(|flow| flows.needs(flow));
            let brokers = brokers(seen.flows()).into_iter();
            // A policy goes with its site.
            for broker in brokers.filter(|broker| alive.contains_key(&broker.name)) {
                ensure!(policies.isolate(&broker), "{} is open to all", broker.name);
                for stranger in strangers(&broker) {
                    let to = Peer::Pod(broker.clone());
                    flows.forbids(Flow::tcp(stranger, to, ADMIN));
                }
            }
            for (what, port) in [("a client", STOMP), ("a link", LINK), ("a question", ADMIN)] {
                // Either end of a link may have opened it.
                let is_one = |flow: &Flow| {
                    let ends = [&flow.to, &flow.from];
                    flow.port == port && ends.into_iter().any(is_broker)
                };
                ensure!(
                    seen.flows().iter().any(is_one),
                    "{region:?}: {what} was never seen"
                );
            }
            flows.check(&policies)?;
            println!(
                "{region:?}: {} flows, none of them refused",
                seen.flows().len()
            );
        }
        Ok(())
    }
}

fn is_broker(peer: &Peer) -> bool {
    matches!(peer, Peer::Pod(pod) if pod.labels.contains_key("causeway.dev/site"))
}

/// The brokers that accepted something.
fn brokers(flows: &[Flow]) -> Vec<Pod> {
    let mut found: Vec<Pod> = Vec::new();
    for flow in flows {
        if let Peer::Pod(pod) = &flow.to
            && is_broker(&flow.to)
            && !found.contains(pod)
        {
            found.push(pod.clone());
        }
    }
    found
}

/// A pod beside the broker, one that says it is the operator in another namespace, and somebody outside.
fn strangers(broker: &Pod) -> [Peer; 3] {
    let beside = Pod {
        name: "stranger".to_owned(),
        namespace: broker.namespace.clone(),
        namespace_labels: broker.namespace_labels.clone(),
        ..Pod::default()
    };
    let name = "kubernetes.io/metadata.name".to_owned();
    let elsewhere = Pod {
        name: "impostor".to_owned(),
        namespace: "elsewhere".to_owned(),
        labels: [("app.kubernetes.io/name".to_owned(), OPERATOR.to_owned())].into(),
        namespace_labels: [(name, "elsewhere".to_owned())].into(),
        ..Pod::default()
    };
    let outside = std::net::Ipv4Addr::new(192, 0, 2, 1);
    [
        Peer::Pod(beside),
        Peer::Pod(elsewhere),
        Peer::Outside(outside),
    ]
}

/// The account has the Role of the page and nothing else, was refused nothing, and took every right of it.
pub fn role_fits(place: &Place) -> Result<()> {
    let expected = rules()?;
    let mut used = BTreeSet::new();
    for region in REGIONS {
        let role = place.json(region, &["get", "role", OPERATOR])?;
        let has: BTreeSet<_> = rights(role["rules"].as_array().context("no rules")?)
            .into_iter()
            .collect();
        let wanted: BTreeSet<_> = rights(&expected).into_iter().collect();
        ensure!(
            has == wanted,
            "{region:?}: the Role of the chart is another one: {has:?}"
        );
        is_bound_once(place, region)?;
        for asked in place
            .cluster(region)
            .requests_of(place.namespace, OPERATOR)?
        {
            ensure!(!asked.is_denied(), "{region:?}: refused: {asked:?}");
            let is_home = asked.namespace == place.namespace;
            ensure!(is_home, "{region:?}: beside its namespace: {asked:?}");
            used.extend(asked.rights());
        }
    }
    let granted = rights(&expected).into_iter();
    let granted = granted.map(|right| (format!("{}/{}", right.group, right.resource), right.verb));
    let unused: Vec<(String, String)> = granted.filter(|right| !used.contains(right)).collect();
    ensure!(unused.is_empty(), "granted and never used: {unused:?}");
    println!("{} rights, each of them used, none missed", used.len());
    Ok(())
}

/// One RoleBinding, and no ClusterRoleBinding.
fn is_bound_once(place: &Place, region: Region) -> Result<()> {
    let mut bindings = Vec::new();
    for kind in ["rolebindings", "clusterrolebindings"] {
        let list = place.json(region, &["get", kind, "--all-namespaces"])?;
        for binding in list["items"].as_array().into_iter().flatten() {
            let subjects = binding["subjects"].as_array().into_iter().flatten();
            let mut own = subjects.filter(|one| {
                one["kind"] == "ServiceAccount"
                    && one["name"] == OPERATOR
                    && one["namespace"] == place.namespace
            });
            if own.next().is_some() {
                bindings.push(format!(
                    "{kind} {}/{}",
                    binding["roleRef"]["kind"], binding["roleRef"]["name"]
                ));
            }
        }
    }
    ensure!(
        bindings == [format!("rolebindings \"Role\"/\"{OPERATOR}\"")],
        "{region:?}: {bindings:?}"
    );
    Ok(())
}
