//! The flows that pods really have, with what is known of both ends: what NetworkPolicies are compared with.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use anyhow::{Context, Result};

use super::cluster::Cluster;
use super::connections::Connection;
use super::policies::{Flow, Peer, Pod};

/// Flows of one cluster, gathered look by look. A look finds what is open, and what ended within the last minute.
#[derive(Debug)]
pub struct Seen {
    /// Ports where the node asks pods whether they are well.
    probed: Vec<u16>,
    /// Every pod that ever had an address: a connection outlives the object of the pod that had it.
    pods: BTreeMap<Ipv4Addr, Pod>,
    flows: Vec<Flow>,
}

/// Who is behind an address.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Whose {
    /// A pod, or somebody outside.
    Known(Peer),
    /// The node, which may always reach its pods: it asks them whether they are well.
    Node(Ipv4Addr),
    /// A pod that came and went between two looks.
    Gone,
}

impl Seen {
    /// Nothing yet; the node asks pods at these ports.
    #[must_use]
    pub fn new(probed: &[u16]) -> Self {
        Self {
            probed: probed.to_vec(),
            pods: BTreeMap::new(),
            flows: Vec::new(),
        }
    }

    /// Adds what the pods of namespaces have now.
    ///
    /// # Errors
    /// The cluster has no node of ours, or does not answer.
    pub fn look(&mut self, cluster: &Cluster, namespaces: &[&str]) -> Result<()> {
        self.remember(cluster)?;
        for namespace in namespaces {
            for connection in cluster.connections(namespace)? {
                let own = self.pods.values();
                let mut own =
                    own.filter(|pod| pod.namespace == *namespace && pod.name == connection.pod);
                let Some(own) = own.next().cloned() else {
                    continue;
                };
                let whose = self.whose(cluster, connection.other)?;
                let flow = flow(own, whose, &connection, &self.probed);
                self.flows.extend(flow);
            }
        }
        let mut known = Vec::new();
        self.flows.retain(|flow| {
            let is_new = !known.contains(flow);
            known.push(flow.clone());
            is_new
        });
        Ok(())
    }

    /// All of them.
    #[must_use]
    pub fn flows(&self) -> &[Flow] {
        &self.flows
    }

    fn remember(&mut self, cluster: &Cluster) -> Result<()> {
        let namespaces = cluster.json(&["get", "namespaces"])?;
        let namespaces = namespaces["items"].as_array().context("no namespaces")?;
        let pods = cluster.json(&["get", "pods", "--all-namespaces"])?;
        for pod in pods["items"].as_array().into_iter().flatten() {
            let home = &pod["metadata"]["namespace"];
            let home = namespaces
                .iter()
                .find(|one| one["metadata"]["name"] == *home);
            let address = pod["status"]["podIP"].as_str();
            if let (Some(home), Some(address)) = (home, address) {
                self.pods.insert(address.parse()?, Pod::read(pod, home));
            }
        }
        Ok(())
    }

    fn whose(&self, cluster: &Cluster, address: Ipv4Addr) -> Result<Whose> {
        let addresses = cluster.addresses.as_ref().context("no network of ours")?;
        Ok(if let Some(pod) = self.pods.get(&address) {
            Whose::Known(Peer::Pod(pod.clone()))
        } else if addresses.is_node(address) {
            Whose::Node(address)
        } else if addresses.is_pod(address) {
            Whose::Gone
        } else {
            Whose::Known(Peer::Outside(address))
        })
    }
}

/// What policies are asked about a connection; nothing where nobody may refuse it, or one end is unknown.
fn flow(own: Pod, other: Whose, connection: &Connection, probed: &[u16]) -> Option<Flow> {
    let is_probed = connection.is_accepted && probed.contains(&connection.port);
    let other = match other {
        Whose::Gone => return None,
        // Connections through Services have the node's address too, wherever they come from. They count as from outside,
        // but for the port where the node itself asks.
        Whose::Node(_) if is_probed => return None,
        Whose::Node(address) => Peer::Outside(address),
        Whose::Known(peer) => peer,
    };
    let own = Peer::Pod(own);
    Some(match connection.is_accepted {
        true => Flow::tcp(other, own, connection.port),
        false => Flow::tcp(own, other, connection.port),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROBED: [u16; 1] = [8161];
    const NODE: Ipv4Addr = Ipv4Addr::new(10, 212, 0, 1);

    fn pod() -> Pod {
        Pod {
            name: "broker".to_owned(),
            ..Pod::default()
        }
    }

    fn connection(is_accepted: bool, port: u16) -> Connection {
        Connection {
            pod: "broker".to_owned(),
            is_accepted,
            other: NODE,
            port,
        }
    }

    #[test]
    fn a_connection_is_a_flow_from_who_opened_it() {
        let (own, outside) = (Peer::Pod(pod()), Peer::Outside(NODE));
        let accepted = flow(
            pod(),
            Whose::Known(outside.clone()),
            &connection(true, 61613),
            &PROBED,
        );
        assert_eq!(
            accepted,
            Some(Flow::tcp(outside.clone(), own.clone(), 61613))
        );
        let opened = flow(
            pod(),
            Whose::Known(outside.clone()),
            &connection(false, 61618),
            &PROBED,
        );
        assert_eq!(opened, Some(Flow::tcp(own, outside, 61618)));
    }

    #[test]
    fn the_node_may_ask_its_pods_and_who_is_gone_is_not_judged() {
        let node = || Whose::Node(NODE);
        let flow = |whose, connection| flow(pod(), whose, &connection, &PROBED);
        assert_eq!(flow(node(), connection(true, 8161)), None);
        assert!(flow(node(), connection(true, 61618)).is_some());
        assert!(flow(node(), connection(false, 8161)).is_some());
        assert_eq!(flow(Whose::Gone, connection(true, 61618)), None);
    }
}
