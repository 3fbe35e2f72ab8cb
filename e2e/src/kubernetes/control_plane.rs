//! Arguments of etcd, the API server, the controllers and the scheduler.

use std::path::Path;

use super::address::Addresses;
use super::identities::Identities;

/// etcd, which here need not survive a power failure.
pub(super) fn etcd(folder: &Path, addresses: &Addresses) -> Vec<String> {
    let clients = etcd_url(addresses);
    let peers = format!("http://127.0.0.1:{}", addresses.etcd_peers());
    vec![
        "--name=test".to_owned(),
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
        format!("--data-dir={}", folder.join("etcd").display()),
        format!("--listen-client-urls={clients}"),
        format!("--advertise-client-urls={clients}"),
        format!("--listen-peer-urls={peers}"),
        format!("--initial-advertise-peer-urls={peers}"),
        format!("--initial-cluster=test={peers}"),
    ]
}

/// The API server.
pub(super) fn api_server(addresses: &Addresses, identities: &Identities) -> Vec<String> {
    let file = |name| identities.path(name);
    let mut arguments = vec![
        "--allow-privileged=true".to_owned(),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--enable-admission-plugins=NodeRestriction".to_owned(),
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
        "--requestheader-allowed-names=front-proxy-client".to_owned(),
        "--requestheader-extra-headers-prefix=X-Remote-Extra-".to_owned(),
        "--requestheader-group-headers=X-Remote-Group".to_owned(),
        "--requestheader-username-headers=X-Remote-User".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--etcd-servers={}", etcd_url(addresses)),
        format!("--bind-address={}", addresses.node),
        format!("--advertise-address={}", addresses.node),
        format!("--secure-port={}", addresses.api()),
        format!("--service-cluster-ip-range={}", addresses.services),
        format!("--client-ca-file={}", file("ca.crt")),
        format!("--tls-cert-file={}", file("api.crt")),
        format!("--tls-private-key-file={}", file("api.key")),
        format!("--service-account-key-file={}", file("accounts.pub")),
        format!(
            "--service-account-signing-key-file={}",
            file("accounts.key")
        ),
        format!("--kubelet-certificate-authority={}", file("ca.crt")),
        format!("--kubelet-client-certificate={}", file("admin.crt")),
        format!("--kubelet-client-key={}", file("admin.key")),
        format!("--requestheader-client-ca-file={}", file("front-ca.crt")),
        format!("--proxy-client-cert-file={}", file("front-client.crt")),
        format!("--proxy-client-key-file={}", file("front-client.key")),
    ];
    if addresses.node.is_loopback() {
        // A Service must not point to a loopback address.
        arguments.push("--endpoint-reconciler-type=none".to_owned());
    }
    arguments
}

/// The controllers. With an account for each, the first account of a namespace would take seconds.
pub(super) fn controllers(
    folder: &Path,
    addresses: &Addresses,
    identities: &Identities,
) -> Vec<String> {
    let plugins = folder.join("volume-plugins");
    vec![
        format!("--flex-volume-plugin-dir={}", plugins.display()),
        "--use-service-account-credentials=false".to_owned(),
        "--leader-elect=false".to_owned(),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={}", addresses.controllers()),
        format!("--kubeconfig={}", identities.path("admin.kubeconfig")),
        format!("--root-ca-file={}", identities.path("ca.crt")),
        format!(
            "--service-account-private-key-file={}",
            identities.path("accounts.key")
        ),
    ]
}

/// The scheduler.
pub(super) fn scheduler(addresses: &Addresses, identities: &Identities) -> Vec<String> {
    vec![
        "--leader-elect=false".to_owned(),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={}", addresses.scheduler()),
        format!("--kubeconfig={}", identities.path("scheduler.kubeconfig")),
    ]
}

fn etcd_url(addresses: &Addresses) -> String {
    format!("http://127.0.0.1:{}", addresses.etcd())
}
