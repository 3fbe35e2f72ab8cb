//! Where the parts of a cluster listen.

use std::net::Ipv4Addr;

use anyhow::{Result, ensure};

use crate::ports::Block;

/// Addresses and ports of one cluster.
#[derive(Debug)]
pub(super) struct Addresses {
    /// Tells clusters apart that can be joined.
    pub(super) number: u8,
    /// Of the node, of the API server and of the cluster's DNS server.
    pub(super) node: Ipv4Addr,
    /// Of the pods, with its length.
    pub(super) pods: String,
    /// Of the Services, with its length.
    pub(super) services: String,
    /// The Service of the API server.
    pub(super) api_service: Ipv4Addr,
    /// First of the ports.
    base: u16,
    /// Keeps the ports free of others where the cluster has no namespace of its own.
    _block: Option<Block>,
}

impl Addresses {
    /// On the loopback of this machine, at ports that are free.
    pub(super) fn on_loopback() -> Result<Self> {
        let block = Block::take(1)?;
        let base = block.base();
        Ok(Self::new(Ipv4Addr::LOCALHOST, 0, base, Some(block)))
    }

    /// In a network namespace; clusters with different numbers can be joined.
    pub(super) fn in_namespace(number: u8) -> Result<Self> {
        ensure!(number < 8, "clusters have numbers below 8");
        let node = Ipv4Addr::new(10, 200 + number, 0, 1);
        Ok(Self::new(node, number, 6440, None))
    }

    fn new(node: Ipv4Addr, number: u8, base: u16, block: Option<Block>) -> Self {
        let (pods, services) = (210 + number, 220 + number);
        Self {
            number,
            node,
            pods: format!("10.{pods}.0.0/24"),
            services: format!("10.{services}.0.0/16"),
            api_service: Ipv4Addr::new(10, services, 0, 1),
            base,
            _block: block,
        }
    }

    /// What other clusters may reach here: the node, its pods, its load balancers.
    pub(super) fn reachable(&self) -> Vec<String> {
        let balancers = format!("{}/24", self.load_balancer(0));
        vec![format!("{}/32", self.node), self.pods.clone(), balancers]
    }

    /// An address that a Service of type LoadBalancer can have.
    pub(super) fn load_balancer(&self, last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 230 + self.number, 0, last)
    }

    /// Whether that is the node, or its end of the pods' network.
    pub(super) fn is_node(&self, address: Ipv4Addr) -> bool {
        address == self.node || address == Ipv4Addr::new(10, 210 + self.number, 0, 1)
    }

    /// Whether only pods have such an address.
    pub(super) fn is_pod(&self, address: Ipv4Addr) -> bool {
        let [first, second, third, _] = address.octets();
        [first, second, third] == [10, 210 + self.number, 0] && !self.is_node(address)
    }

    /// The API server.
    pub(super) fn api(&self) -> u16 {
        self.base
    }

    /// Clients of etcd.
    pub(super) fn etcd(&self) -> u16 {
        self.base + 1
    }

    /// Other members of etcd, of which there are none.
    pub(super) fn etcd_peers(&self) -> u16 {
        self.base + 2
    }

    /// The controller-manager.
    pub(super) fn controllers(&self) -> u16 {
        self.base + 3
    }

    /// The scheduler.
    pub(super) fn scheduler(&self) -> u16 {
        self.base + 4
    }
}
