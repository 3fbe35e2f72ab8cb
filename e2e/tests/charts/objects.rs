//! The operator's objects, from the chart and from the plain manifests.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use causeway_e2e::kubernetes::{Helm, kubectl};
use causeway_e2e::process::run;
use causeway_e2e::wait::PATIENCE;
use serde_json::{Value, json};

use super::rendering::{Chart, ie, of_kind, only};
use super::{documents, source, title};

/// Everything that can be switched on.
fn everything() -> Value {
    let on = json!({"enabled": true});
    json!({
        "sites": ["ie", "uk"], "replicas": 2, "podDisruptionBudget": on, "validatingAdmissionPolicy": on,
        "certManager": on, "commonLabels": {"team": "messaging"},
        "metrics": {
            "serviceMonitor": on, "podMonitor": on, "prometheusRule": on, "dashboards": on,
            "kubeStateMetrics": on,
        },
        "tests": {"url": "stomp://mcollective--ie-stomp:61613", "user": "amq", "userSecret": "user-amq"},
    })
}

const MONITORING: [&str; 2] = ["--api-versions", "monitoring.coreos.com/v1"];

#[test]
fn kustomize_and_the_chart_make_the_same_objects() -> Result<()> {
    let all = json!({"sites": ["ie"], "rbac": {"scope": "cluster"}, "watchNamespaces": ["*"]});
    for (overlay, values) in [("namespaced", ie()), ("cluster", all)] {
        let mut build = Command::new(kubectl()?);
        build
            .arg("kustomize")
            .arg(source("deploy/overlays").join(overlay));
        let plain = run(&mut build, PATIENCE)?.success("kubectl kustomize")?;
        let plain = comparable(documents(&plain.stdout)?)?;
        let chart = comparable(Chart::new(Helm::Four, "causeway")?.render(&values)?)?;
        let names = |objects: &BTreeMap<String, Value>| objects.keys().cloned().collect::<Vec<_>>();
        ensure!(
            names(&plain) == names(&chart),
            "{overlay}: {:?}, the chart {:?}",
            names(&plain),
            names(&chart)
        );
        for (name, object) in &plain {
            let other = &chart[name];
            ensure!(object == other, "{overlay}: {object}\nthe chart: {other}");
        }
    }
    Ok(())
}

/// By kind and name, without what only Helm says, only Helm makes, or only an overlay has.
fn comparable(objects: Vec<Value>) -> Result<BTreeMap<String, Value>> {
    let mut found = BTreeMap::new();
    for mut object in objects {
        let kind = object["kind"].as_str().context("a kind")?.to_owned();
        if kind == "Namespace" || object["metadata"]["annotations"]["helm.sh/hook"].is_string() {
            continue;
        }
        if kind == "CustomResourceDefinition" {
            object["metadata"] = json!({"name": object["metadata"]["name"]});
        }
        for pointer in ["/metadata/labels", "/spec/template/metadata/labels"] {
            if let Some(labels) = object.pointer_mut(pointer).and_then(Value::as_object_mut) {
                labels.remove("helm.sh/chart");
                labels.remove("app.kubernetes.io/managed-by");
            }
        }
        found.insert(title(&object), object);
    }
    Ok(found)
}

#[test]
fn definitions_outlive_the_release_unless_told_otherwise() -> Result<()> {
    let chart = Chart::new(Helm::Four, "causeway")?;
    for (crds, kept) in [(json!({}), Some("keep")), (json!({"keep": false}), None)] {
        let mut values = ie();
        values["crds"] = crds;
        let objects = chart.render(&values)?;
        let definitions = of_kind(&objects, "CustomResourceDefinition");
        ensure!(definitions.len() == 2);
        for definition in definitions {
            let policy = &definition["metadata"]["annotations"]["helm.sh/resource-policy"];
            ensure!(policy.as_str() == kept, "{policy} instead of {kept:?}");
        }
    }
    let mut without = ie();
    without["crds"] = json!({"install": false});
    let objects = chart.render(&without)?;
    ensure!(of_kind(&objects, "CustomResourceDefinition").is_empty());
    Ok(())
}

#[test]
fn every_object_has_the_recommended_labels_and_the_users() -> Result<()> {
    let chart = Chart::new(Helm::Four, "causeway")?;
    for object in chart.render_with(&everything(), &MONITORING)? {
        let labels = &object["metadata"]["labels"];
        for label in [
            "app.kubernetes.io/name",
            "app.kubernetes.io/instance",
            "app.kubernetes.io/version",
            "app.kubernetes.io/component",
            "app.kubernetes.io/part-of",
            "app.kubernetes.io/managed-by",
            "helm.sh/chart",
        ] {
            ensure!(
                labels[label].is_string(),
                "{} has no {label}",
                title(&object)
            );
        }
        ensure!(labels["team"] == "messaging", "{}", title(&object));
    }
    Ok(())
}

#[test]
fn selectors_hold_nothing_that_changes_with_a_version() -> Result<()> {
    let objects = Chart::new(Helm::Four, "causeway")?.render(&everything())?;
    let selector = json!({
        "app.kubernetes.io/name": "causeway", "app.kubernetes.io/instance": "causeway",
    });
    let pods = only(&objects, "Deployment")?;
    ensure!(pods["spec"]["selector"]["matchLabels"] == selector);
    ensure!(only(&objects, "Service")?["spec"]["selector"] == selector);
    // The pod of `helm test` is none of them.
    let test = &only(&objects, "Pod")?["metadata"]["labels"];
    ensure!(test["app.kubernetes.io/name"] != "causeway");
    Ok(())
}

#[test]
fn monitors_and_rules_are_made_only_where_the_cluster_knows_them() -> Result<()> {
    let chart = Chart::new(Helm::Four, "causeway")?;
    let kinds = ["ServiceMonitor", "PodMonitor", "PrometheusRule"];
    let without = chart.render(&everything())?;
    let with = chart.render_with(&everything(), &MONITORING)?;
    for kind in kinds {
        ensure!(of_kind(&without, kind).is_empty(), "{kind}");
        only(&with, kind)?;
    }
    let endpoint = &only(&with, "PodMonitor")?["spec"]["podMetricsEndpoints"][0];
    ensure!(endpoint["port"].is_null(), "a broker's pod declares none");
    let rules = endpoint["relabelings"].as_array().context("relabelings")?;
    for label in ["__address__", "network", "site"] {
        let is_set = rules.iter().any(|rule| rule["targetLabel"] == label);
        ensure!(is_set, "{label} is not set: {endpoint}");
    }
    Ok(())
}

#[test]
fn every_pod_keeps_to_the_restricted_profile() -> Result<()> {
    let objects = Chart::new(Helm::Four, "causeway")?.render(&everything())?;
    let deployment = &only(&objects, "Deployment")?["spec"]["template"]["spec"];
    for pod in [deployment, &only(&objects, "Pod")?["spec"]] {
        ensure!(pod["securityContext"]["runAsNonRoot"] == true);
        ensure!(pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault");
        ensure!(pod["securityContext"]["runAsUser"].is_null());
        for container in pod["containers"].as_array().context("containers")? {
            let context = &container["securityContext"];
            ensure!(context["allowPrivilegeEscalation"] == false, "{container}");
            ensure!(context["readOnlyRootFilesystem"] == true, "{container}");
            ensure!(
                context["capabilities"]["drop"] == json!(["ALL"]),
                "{container}"
            );
        }
    }
    Ok(())
}

#[test]
fn the_operator_is_told_what_the_values_say() -> Result<()> {
    let chart = Chart::new(Helm::Four, "causeway")?;
    let values = json!({
        "sites": ["ie", "uk"], "watchNamespaces": ["a", "b"], "certManager": {"enabled": true},
        "image": {"registry": "r.example.com", "pullPolicy": "Always"}, "broker": {"fsGroup": null, "image": {"tag": "9"}},
        "leaderElection": {"enabled": false}, "logLevel": "debug", "logFormat": "text",
        "imagePullSecrets": [{"name": "one"}, {"name": "two"}], "extraArgs": ["--more"], "extraEnv": [{"name": "A", "value": "b"}],
    });
    let objects = chart.render(&values)?;
    let container = &only(&objects, "Deployment")?["spec"]["template"]["spec"]["containers"][0];
    ensure!(
        container["image"]
            == format!(
                "r.example.com/causeway/causeway:{}",
                env!("CARGO_PKG_VERSION")
            )
    );
    ensure!(container["env"][0] == json!({"name": "CAUSEWAY_SITES", "value": "ie,uk"}));
    ensure!(container["env"][4] == json!({"name": "A", "value": "b"}));
    let resources = r#"--broker-resources={"limits":{"memory":"512Mi"},"requests":{"cpu":"100m","memory":"64Mi"}}"#;
    let expected = json!([
        "operator",
        "--namespaces=a,b",
        "--broker-image=r.example.com/causeway/causeway-broker:9",
        "--broker-pull-policy=Always",
        "--broker-pull-secrets=one,two",
        "--broker-fs-group=none",
        resources,
        "--leader-elect=false",
        "--http=0.0.0.0:8080",
        "--log-format=text",
        "--log-level=debug",
        "--cert-manager",
        "--more",
    ]);
    ensure!(container["args"] == expected, "{}", container["args"]);
    Ok(())
}

#[test]
fn egress_is_open_until_rules_are_given() -> Result<()> {
    let chart = Chart::new(Helm::Four, "causeway")?;
    let objects = chart.render(&ie())?;
    let spec = &only(&objects, "NetworkPolicy")?["spec"];
    ensure!(spec["policyTypes"] == json!(["Ingress"]), "{spec}");
    let rule = json!({"ports": [{"port": 6443}]});
    let objects = chart.render(&json!({"sites": ["ie"], "networkPolicy": {"egress": [rule]}}))?;
    let spec = &only(&objects, "NetworkPolicy")?["spec"];
    ensure!(
        spec["policyTypes"] == json!(["Ingress", "Egress"]),
        "{spec}"
    );
    ensure!(spec["egress"] == json!([rule]), "{spec}");
    Ok(())
}
