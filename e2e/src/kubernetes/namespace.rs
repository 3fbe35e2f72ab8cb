//! A network namespace: the machine that a cluster believes to be on.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::address::Addresses;
use crate::process::{need, run};

const PATIENCE: Duration = Duration::from_secs(10);

/// Exists until it is dropped.
#[derive(Debug)]
pub(super) struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes one with the node's address and no way out.
    pub(super) fn make(name: &str, addresses: &Addresses) -> Result<Self> {
        ip(&["netns", "add", name])?;
        let namespace = Self {
            name: name.to_owned(),
        };
        let node = format!("{}/32", addresses.node);
        // Addresses of Services need some route before kube-proxy can redirect what goes there; the
        // bridge has no ports, so nothing leaves the machine.
        for step in [
            "link set lo up",
            "link add node0 type bridge",
            &format!("address add {node} dev node0"),
            "link set node0 up",
            "route add default dev node0",
        ] {
            let mut arguments = vec!["-n", name];
            arguments.extend(step.split(' '));
            ip(&arguments)?;
        }
        namespace.inside(|| {
            std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").context("forwarding packets")
        })?;
        Ok(namespace)
    }

    /// What `ip netns` calls it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Runs something in the namespace; what it starts stays there.
    pub(super) fn inside<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let path = file(&self.name);
        // Only a thread moves, and it ends with the work.
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let file = File::open(&path).with_context(|| path.display().to_string())?;
                move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
                    .context("entering the network namespace")?;
                work()
            });
            thread
                .join()
                .map_err(|_| anyhow!("the work in {} panicked", self.name))?
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// Removes a namespace, where there is one.
pub(super) fn remove(name: &str) {
    if file(name).exists() {
        // The next start tries again.
        let _ = ip(&["netns", "delete", name]);
    }
}

fn file(name: &str) -> PathBuf {
    PathBuf::from("/run/netns").join(name)
}

/// Runs `ip`.
pub(super) fn ip(arguments: &[&str]) -> Result<()> {
    let program = need("ip", "apt-get install iproute2")?;
    let mut command = Command::new(program);
    run(command.args(arguments), PATIENCE)?.success(&format!("ip {}", arguments.join(" ")))?;
    Ok(())
}
