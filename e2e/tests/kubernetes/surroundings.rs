//! What the harness puts around a cluster does what the tests of the operator rely on.

use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::{Result, ensure};
use causeway_e2e::kubernetes::policies::{Flow, Flows, Peer};
use causeway_e2e::kubernetes::{Cluster, Level};
use serde_json::{Value, json};

/// A cluster with a namespace for one test.
fn cluster(namespace: &str) -> Result<Arc<Cluster>> {
    let cluster = Cluster::shared(Level::ControlPlane)?;
    cluster.kubectl(&["create", "namespace", namespace])?;
    Ok(cluster)
}

#[test]
fn every_service_of_type_load_balancer_gets_an_address_of_its_own() -> Result<()> {
    let cluster = cluster("balanced")?;
    cluster.provide_load_balancers(1..=99)?;
    for name in ["one", "two"] {
        let port = "--tcp=61613";
        cluster.kubectl(&[
            "create",
            "service",
            "loadbalancer",
            name,
            port,
            "-nbalanced",
        ])?;
    }
    let one = cluster.balanced_address("balanced", "one")?;
    let two = cluster.balanced_address("balanced", "two")?;
    ensure!(one != two, "both have {one}");
    cluster.kubectl(&["delete", "service", "one", "-nbalanced"])?;
    let kept = cluster.balanced_address("balanced", "two")?;
    ensure!(kept == two, "{two} became {kept}");
    Ok(())
}

#[test]
fn an_account_may_do_what_its_role_says_and_nothing_else() -> Result<()> {
    let cluster = cluster("accounts")?;
    cluster.kubectl(&["create", "serviceaccount", "reader", "-naccounts"])?;
    cluster.kubectl(&[
        "create",
        "rolebinding",
        "reader",
        "--clusterrole=view",
        "--serviceaccount=accounts:reader",
        "-naccounts",
    ])?;
    let kubeconfig = cluster.account_kubeconfig("accounts", "reader")?;
    let kubeconfig = format!("--kubeconfig={}", kubeconfig.display());
    // Its own namespace needs no flag.
    cluster.kubectl(&["get", "configmaps", &kubeconfig])?;
    let refused = cluster.try_kubectl(&["create", "configmap", "mine", &kubeconfig])?;
    let name = "system:serviceaccount:accounts:reader";
    ensure!(
        refused.code != Some(0) && refused.stderr.contains(name),
        "{refused:?}"
    );
    Ok(())
}

fn pod(name: &str) -> Value {
    let ports = json!([{"name": "stomp", "containerPort": 61613}]);
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "policies", "labels": {"app": name}},
        "spec": {"containers": [{"name": "only", "image": "none", "ports": ports}]},
    })
}

#[test]
fn policies_of_a_cluster_are_compared_with_the_flows_of_a_test() -> Result<()> {
    let cluster = cluster("policies")?;
    let policy = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": "broker", "namespace": "policies"},
        "spec": {
            "podSelector": {"matchLabels": {"app": "broker"}},
            "policyTypes": ["Ingress"],
            "ingress": [{
                "from": [{"podSelector": {"matchLabels": {"app": "client"}}}],
                "ports": [{"port": "stomp"}],
            }],
        },
    });
    let documents = [policy, pod("broker"), pod("client")].map(|one| one.to_string());
    cluster.apply(&documents.join("\n---\n"), &[])?;
    let to = Peer::Pod(cluster.pod("policies", "broker")?);
    let client = Peer::Pod(cluster.pod("policies", "client")?);
    let flow = |from, port| Flow::tcp(from, to.clone(), port);
    let mut flows = Flows::default();
    flows.needs(flow(client.clone(), 61613));
    flows.forbids(flow(client, 8161));
    flows.forbids(flow(Peer::Outside(Ipv4Addr::new(192, 0, 2, 1)), 61613));
    flows.check(&cluster.policies()?)
}
