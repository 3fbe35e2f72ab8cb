//! The project's images in pods, with containerd, kubelet and kube-proxy.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use causeway_e2e::client::Client;
use causeway_e2e::document::MCOLLECTIVE;
use causeway_e2e::kubernetes::{BROKER_IMAGE, Cluster, Level};
use serde_json::{Value, json};

use super::{COUNTRIES, print};

/// Where the pod runs: nothing there may have more rights than the strictest profile allows.
const NAMESPACE: &str = "brokers";

/// The password of the README's documents.
const PASSWORD: &str = "pI1jweRV";

/// A namespace that takes only pods of the restricted Pod Security profile.
fn restricted() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {
            "name": NAMESPACE,
            "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
        },
    })
}

/// The configuration directory of a site as a Secret.
fn configuration(site: &str) -> Result<Value> {
    let rendered = print(&[
        "render",
        COUNTRIES,
        "--site",
        site,
        "--show-secrets",
        "--output=json",
    ])?;
    let rendered: Value = serde_json::from_str(&rendered)?;
    Ok(json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "broker", "namespace": NAMESPACE},
        "stringData": rendered[site],
    }))
}

/// One broker that may do nothing but run.
fn deployment() -> Value {
    let container = json!({
        "name": "broker",
        "image": BROKER_IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": "stomp", "containerPort": 61613}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": 8161}, "periodSeconds": 1},
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "configuration", "mountPath": "/etc/causeway", "readOnly": true},
            {"name": "state", "mountPath": "/var/lib/causeway"},
        ],
    });
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "broker", "namespace": NAMESPACE},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "broker"}},
            "template": {
                "metadata": {"labels": {"app": "broker"}},
                "spec": {
                    "automountServiceAccountToken": false,
                    "securityContext": {
                        "runAsNonRoot": true,
                        "fsGroup": 65532,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [container],
                    "volumes": [
                        {
                            "name": "configuration",
                            "secret": {"secretName": "broker", "defaultMode": 0o440},
                        },
                        {"name": "state", "emptyDir": {}},
                    ],
                },
            },
        },
    })
}

fn service() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "broker", "namespace": NAMESPACE},
        "spec": {
            "selector": {"app": "broker"},
            "ports": [{"name": "stomp", "port": 61613, "targetPort": "stomp"}],
        },
    })
}

/// What the cluster knows about a pod that is not ready.
fn explain(cluster: &Cluster) -> String {
    let space = format!("--namespace={NAMESPACE}");
    let pods = cluster.try_kubectl(&["describe", "pods", &space]);
    let logs = cluster.try_kubectl(&["logs", "deployment/broker", &space]);
    [pods, logs]
        .into_iter()
        .flatten()
        .map(|finished| finished.output())
        .collect()
}

#[test]
fn a_client_reaches_the_restricted_pod_of_a_broker_through_its_service() -> Result<()> {
    let cluster = Cluster::shared(Level::FullNode)?;
    cluster.import_images()?;
    let documents = [restricted(), configuration("ie")?, deployment(), service()];
    let documents = documents.map(|document| document.to_string());
    let started = std::time::Instant::now();
    cluster.apply(&documents.join("\n---\n"), &[])?;
    let space = format!("--namespace={NAMESPACE}");
    let rollout = [
        "rollout",
        "status",
        "deployment/broker",
        "--timeout=60s",
        &space,
    ];
    let finished = cluster.try_kubectl(&rollout)?;
    ensure!(
        finished.code == Some(0),
        "{}\n{}",
        finished.output(),
        explain(&cluster)
    );
    println!("rolled out in {:?}", started.elapsed());
    let address = [
        "get",
        "service",
        "broker",
        &space,
        "--output=jsonpath={.spec.clusterIP}",
    ];
    let address = cluster.kubectl(&address)?;
    let address = SocketAddr::new(address.trim().parse()?, 61613);
    cluster.inside(|| {
        let mut client = Client::connect_to(address, MCOLLECTIVE, PASSWORD)?;
        println!("logged in at {address} after {:?}", started.elapsed());
        client.subscribe("1", "/topic/mcollective.hello", &[])?;
        client.send_with_receipt("/topic/mcollective.hello", &[], "from outside the pod")?;
        let message = client.message()?;
        ensure!(message.text() == "from outside the pod", "{message:?}");
        client.disconnect()
    })
}
