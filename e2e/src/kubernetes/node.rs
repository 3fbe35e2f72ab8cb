//! The node of a cluster: containerd, kubelet and kube-proxy.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::address::Addresses;
use super::identities::Identities;
use super::{remains, settings};
use crate::process::{need, run};

/// Name of the only node.
pub(super) const NAME: &str = "node";

/// What a node needs beside the programs of Kubernetes, and the package it comes from.
const NEEDED: [(&str, &str); 7] = [
    ("containerd", "containerd"),
    ("runc", "runc"),
    ("nft", "nftables"),
    ("iptables", "iptables"),
    ("conntrack", "conntrack"),
    ("ip", "iproute2"),
    ("buildah", "buildah"),
];

/// One call of `ctr`.
const PATIENCE: Duration = Duration::from_secs(30);

/// Fails with the command that installs what is missing.
pub(super) fn check_prerequisites() -> Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "a node needs root (namespaces, mounts, containers); run the tests as root, or leave these out: \
         cargo test -- --skip full_node"
    );
    let mut missing: Vec<&str> = NEEDED
        .iter()
        .filter(|(program, _)| need(program, "").is_err())
        .map(|(_, package)| *package)
        .collect();
    if !Path::new(settings::PLUGINS).join("bridge").exists() {
        missing.push("containernetworking-plugins");
    }
    ensure!(
        missing.is_empty(),
        "a node needs more programs; install them with: apt-get install {}",
        missing.join(" ")
    );
    Ok(())
}

/// Writes every configuration file and makes the control group that all pods live in.
pub(super) fn prepare(folder: &Path, addresses: &Addresses, identities: &Identities) -> Result<()> {
    let group = remains::name(folder);
    for hierarchy in remains::hierarchies() {
        let path = hierarchy.join(&group);
        std::fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
    }
    for name in ["cni", "kubelet", "pod-logs", "volume-plugins"] {
        std::fs::create_dir_all(folder.join(name))?;
    }
    let kubelet = settings::kubelet(folder, addresses, identities, &format!("/{group}"));
    let proxy = settings::proxy(addresses, identities, NAME);
    let network = settings::pod_network(folder, addresses);
    for (name, text) in [
        ("containerd.toml", settings::containerd(folder)),
        ("cni/10-pods.conflist", network.to_string()),
        ("kubelet.json", kubelet.to_string()),
        ("proxy.json", proxy.to_string()),
        ("resolv.conf", String::new()),
    ] {
        std::fs::write(folder.join(name), text).with_context(|| name.to_owned())?;
    }
    Ok(())
}

/// containerd, where files that it makes can be read by the users of the containers.
pub(super) fn containerd(folder: &Path) -> Result<Command> {
    let program = need("containerd", "apt-get install containerd")?;
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", "umask 022; exec \"$0\" --config \"$1\""])
        .arg(program)
        .arg(folder.join("containerd.toml"));
    Ok(command)
}

/// Arguments of the kubelet.
pub(super) fn kubelet(
    folder: &Path,
    addresses: &Addresses,
    identities: &Identities,
) -> Vec<String> {
    let root = folder.join("kubelet");
    vec![
        format!("--config={}", folder.join("kubelet.json").display()),
        format!("--kubeconfig={}", identities.path("node.kubeconfig")),
        format!("--root-dir={}", root.display()),
        format!("--cert-dir={}", root.join("pki").display()),
        format!("--hostname-override={NAME}"),
        format!("--node-ip={}", addresses.node),
    ]
}

/// Arguments of kube-proxy.
pub(super) fn proxy(folder: &Path) -> Vec<String> {
    vec![format!("--config={}", folder.join("proxy.json").display())]
}

/// Runs containerd's client.
pub(super) fn ctr(folder: &Path, arguments: &[&str]) -> Result<String> {
    let program = need("ctr", "apt-get install containerd")?;
    let mut command = Command::new(program);
    command
        .arg("--address")
        .arg(socket(folder))
        .args(["--namespace", "k8s.io"])
        .args(arguments);
    let finished = run(&mut command, PATIENCE)?.success(&format!("ctr {}", arguments.join(" ")))?;
    Ok(finished.stdout)
}

/// Where containerd listens.
pub(super) fn socket(folder: &Path) -> PathBuf {
    folder.join(settings::SOCKET)
}
