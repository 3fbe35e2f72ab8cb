//! Configuration files of containerd, the pods' network, kubelet and kube-proxy.

use std::path::Path;

use serde_json::{Value, json};

use super::address::Addresses;
use super::identities::Identities;
use super::images::PAUSE_IMAGE;

/// Where Debian keeps the network plugins.
pub(super) const PLUGINS: &str = "/usr/lib/cni";

/// containerd's socket, below the cluster's folder.
pub(super) const SOCKET: &str = "containerd.sock";

/// containerd, everything of it below the cluster's folder.
pub(super) fn containerd(folder: &Path) -> String {
    let at = |name: &str| folder.join(name).display().to_string();
    let cri = r#"plugins."io.containerd.grpc.v1.cri""#;
    format!(
        r#"version = 2
root = "{root}"
state = "{state}"
disabled_plugins = [
    "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
]
[grpc]
address = "{socket}"
[plugins."io.containerd.internal.v1.opt"]
path = "{opt}"
[{cri}]
sandbox_image = "{PAUSE_IMAGE}"
netns_mounts_under_state_dir = true
# Without CAP_SYS_RESOURCE runc could not lower a score.
restrict_oom_score_adj = true
[{cri}.cni]
bin_dir = "{PLUGINS}"
conf_dir = "{cni}"
[{cri}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[{cri}.containerd.runtimes.runc.options]
SystemdCgroup = false
Root = "{runc}"
"#,
        root = at("containerd/root"),
        state = at("containerd/state"),
        socket = at(SOCKET),
        opt = at("containerd/opt"),
        cni = at("cni"),
        runc = at("containerd/runc"),
    )
}

/// The pods' network: a bridge, addresses counted by files below the cluster's folder.
pub(super) fn pod_network(folder: &Path, addresses: &Addresses) -> Value {
    json!({
        "cniVersion": "1.0.0", "name": "pods",
        "plugins": [
            {
                "type": "bridge", "bridge": "pods0", "isGateway": true, "hairpinMode": true,
                "ipam": {
                    "type": "host-local",
                    "dataDir": folder.join("cni-addresses"),
                    "ranges": [[{"subnet": addresses.pods}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    })
}

/// The kubelet.
pub(super) fn kubelet(
    folder: &Path,
    addresses: &Addresses,
    identities: &Identities,
    cgroup: &str,
) -> Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
        "address": addresses.node,
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": identities.path("ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroup,
        "clusterDNS": [addresses.node],
        "clusterDomain": "cluster.local",
        "containerRuntimeEndpoint": format!("unix://{}", folder.join(SOCKET).display()),
        // A full disk of this machine is not what is tested.
        "evictionHard": {
            "imagefs.available": "0%", "imagefs.inodesFree": "0%",
            "nodefs.available": "0%", "nodefs.inodesFree": "0%",
        },
        "failCgroupV1": false,
        "failSwapOn": false,
        "imageGCHighThresholdPercent": 100,
        "podLogsDir": folder.join("pod-logs"),
        "resolvConf": folder.join("resolv.conf"),
        "tlsCertFile": identities.path("kubelet.crt"),
        "tlsPrivateKeyFile": identities.path("kubelet.key"),
        "volumePluginDir": folder.join("volume-plugins"),
    })
}

/// kube-proxy, which leaves the limits of the machine alone.
pub(super) fn proxy(addresses: &Addresses, identities: &Identities, node: &str) -> Value {
    json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": identities.path("proxy.kubeconfig")},
        "clusterCIDR": addresses.pods,
        "conntrack": {"maxPerCore": 0, "min": 0},
        "hostnameOverride": node,
        "mode": "nftables",
        "nftables": {"minSyncPeriod": "100ms"},
        "oomScoreAdj": 0,
    })
}
