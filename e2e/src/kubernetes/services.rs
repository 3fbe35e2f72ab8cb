//! What the world around a cluster gives it: load balancers and names.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::sync::PoisonError;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::balancers::Balancers;
use super::cluster::Cluster;
use crate::wait;

impl Cluster {
    /// From now on every Service of type LoadBalancer gets an address, as in a cloud: one that ends
    /// with a number of this range. Other clusters that are joined to this one reach it there. A
    /// Service with a `loadBalancerClass` is left alone.
    ///
    /// # Errors
    /// The cluster has no network of ours, or was given another range before.
    pub fn provide_load_balancers(&self, range: RangeInclusive<u8>) -> Result<()> {
        let range = range.map(|last| self.load_balancer(last));
        let range = range.collect::<Result<Vec<_>>>()?;
        let balancers = self.balancers.lock();
        let mut balancers = balancers.unwrap_or_else(PoisonError::into_inner);
        match &*balancers {
            Some(running) => ensure!(running.range() == range, "another range is in use"),
            None => {
                let access = self.access(None)?;
                let started = self.inside(|| Ok(Balancers::start(access, range)))?;
                *balancers = Some(started);
            }
        }
        Ok(())
    }

    /// Gives one Service of type LoadBalancer its address.
    ///
    /// # Errors
    /// There is no such Service, or no network of ours.
    pub fn balance(&self, namespace: &str, service: &str, last: u8) -> Result<Ipv4Addr> {
        let address = self.load_balancer(last)?;
        let patch = json!({"status": {"loadBalancer": {"ingress": [{"ip": address}]}}});
        self.kubectl(&[
            "patch",
            "service",
            service,
            &format!("--namespace={namespace}"),
            "--subresource=status",
            "--type=merge",
            &format!("--patch={patch}"),
        ])?;
        Ok(address)
    }

    /// The address that [`Self::balance`] will give.
    ///
    /// # Errors
    /// The cluster has no network of ours.
    pub fn load_balancer(&self, last: u8) -> Result<Ipv4Addr> {
        let addresses = self.addresses.as_ref().context("not a cluster of ours")?;
        Ok(addresses.load_balancer(last))
    }

    /// Gives a name of the outside world an address, for all pods.
    ///
    /// # Errors
    /// The cluster has no DNS of ours.
    pub fn resolve(&self, name: &str, address: Ipv4Addr) -> Result<()> {
        let names = self.names.as_ref().context("no DNS of ours")?;
        names.declare(name, address);
        Ok(())
    }

    /// The address of a Service inside the cluster; see [`Self::inside`].
    ///
    /// # Errors
    /// There is no such Service, or it is headless.
    pub fn service_address(&self, namespace: &str, service: &str) -> Result<Ipv4Addr> {
        let namespace = format!("--namespace={namespace}");
        let output = "--output=jsonpath={.spec.clusterIP}";
        let address = self.kubectl(&["get", "service", service, &namespace, output])?;
        let address = address.trim();
        address
            .parse()
            .with_context(|| format!("{service} has the address {address:?}"))
    }

    /// The address of a Service of type LoadBalancer, once it has one.
    ///
    /// # Errors
    /// It gets none.
    pub fn balanced_address(&self, namespace: &str, service: &str) -> Result<Ipv4Addr> {
        let arguments = ["get", "service", service, "--namespace", namespace];
        wait::until("an address of a load balancer", wait::PATIENCE, || {
            let service = self.json(&arguments)?;
            let address = service["status"]["loadBalancer"]["ingress"][0]["ip"].as_str();
            Ok(address.map(str::parse).transpose()?)
        })
    }

    /// The address of a pod; see [`Self::inside`].
    ///
    /// # Errors
    /// There is no such pod, or it has no address yet.
    pub fn pod_address(&self, namespace: &str, pod: &str) -> Result<Ipv4Addr> {
        let namespace = format!("--namespace={namespace}");
        let output = "--output=jsonpath={.status.podIP}";
        let address = self.kubectl(&["get", "pod", pod, &namespace, output])?;
        let address = address.trim();
        address
            .parse()
            .with_context(|| format!("{pod} has the address {address:?}"))
    }
}
