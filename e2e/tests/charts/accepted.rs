//! A real API server takes what the chart makes, and the chart's policy refuses what it should.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use causeway_e2e::kubernetes::{Cluster, Helm, Level};
use causeway_e2e::wait::until;
use serde_json::{Value, json};

use super::rendering::{Chart, of_kind};

/// Policies are in force within seconds after they were made.
const IN_FORCE: Duration = Duration::from_secs(60);

/// Everything that a cluster without the Prometheus operator and cert-manager knows.
fn values() -> Value {
    let on = json!({"enabled": true});
    json!({
        "sites": ["ie"], "podDisruptionBudget": on, "validatingAdmissionPolicy": on,
        "metrics": {"dashboards": on, "kubeStateMetrics": on},
        "networkPolicy": {"egress": [{"ports": [{"port": 6443}]}]},
        "tests": {"url": "stomp://mcollective--ie-stomp:61613", "user": "amq", "userSecret": "user-amq"},
    })
}

fn text(objects: &[&Value]) -> String {
    let texts: Vec<String> = objects.iter().map(|object| object.to_string()).collect();
    texts.join("\n---\n")
}

#[test]
fn the_api_server_takes_every_object_without_a_warning_and_refuses_forbidden_fields() -> Result<()>
{
    let cluster = Cluster::shared(Level::ControlPlane)?;
    let namespace = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {
            "name": "causeway",
            "labels": {"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"},
        },
    });
    cluster.apply(&namespace.to_string(), &[])?;
    let objects = Chart::new(Helm::Four, "causeway")?.render(&values())?;
    // Others of these tests have made the definitions, under another name of who applies.
    let taken = cluster.try_apply(
        &text(&objects.iter().collect::<Vec<_>>()),
        &["--force-conflicts", "--validate=strict"],
    )?;
    let taken = taken.success("kubectl apply")?;
    ensure!(!taken.stderr.contains("Warning"), "{}", taken.stderr);
    let result = policy_holds(&cluster);
    // Only this test's namespace was meant, but the policy is the cluster's.
    let policies = [
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    ];
    let policies: Vec<&Value> = policies
        .into_iter()
        .flat_map(|kind| of_kind(&objects, kind))
        .collect();
    ensure!(policies.len() == 2);
    for policy in policies {
        let name = super::title(policy).replace(' ', "/");
        cluster.kubectl(&["delete", &name])?;
    }
    cluster.kubectl(&["delete", "namespace", "causeway", "--wait=false"])?;
    result
}

fn policy_holds(cluster: &Cluster) -> Result<()> {
    let network = |name: &str, change: Value| {
        let mut spec = json!({"sites": [{"name": "ie"}]});
        for (key, value) in change.as_object().into_iter().flatten() {
            spec[key] = value.clone();
        }
        json!({
            "apiVersion": "causeway.dev/v1alpha1", "kind": "BrokerNetwork",
            "metadata": {"name": name, "namespace": "causeway"}, "spec": spec,
        })
        .to_string()
    };
    let dry = ["--dry-run=server"];
    let digest = format!("sha256:{}", "0".repeat(64));
    let extra = json!({"settings": {"extra": {"limits.destinations": 5}}});
    until("the policy to be in force", IN_FORCE, || {
        let tried = cluster.try_apply(&network("extra", extra.clone()), &dry)?;
        Ok((tried.code != Some(0)).then_some(()))
    })?;
    let patch = json!([{"kind": "Deployment", "patch": {}}]);
    let tag = json!({"repository": "r.example.com/broker", "tag": "1"});
    let rows = [
        (extra, "settings.extra is not allowed"),
        (
            json!({"siteDefaults": {"overrides": patch}}),
            "siteDefaults.overrides is not allowed",
        ),
        (
            json!({"sites": [{"name": "ie", "overrides": patch}]}),
            "sites[].overrides is not allowed",
        ),
        (json!({"image": tag}), "spec.image needs a digest"),
        (
            json!({"siteDefaults": {"image": tag}}),
            "siteDefaults.image needs a digest",
        ),
        (
            json!({"sites": [{"name": "ie", "image": tag}]}),
            "sites[].image needs a digest",
        ),
    ];
    for (change, reason) in rows {
        let tried = cluster.try_apply(&network("refused", change.clone()), &dry)?;
        ensure!(
            tried.stderr.contains(reason),
            "to {change}: {}",
            tried.output()
        );
    }
    let pinned = json!({"repository": "r.example.com/broker", "digest": digest});
    for change in [
        json!({}),
        json!({"image": pinned}),
        json!({"settings": {"maxConnections": 5}}),
    ] {
        let name = "taken";
        cluster
            .apply(&network(name, change.clone()), &dry)
            .with_context(|| format!("{change} was refused"))?;
    }
    Ok(())
}
