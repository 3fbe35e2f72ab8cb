//! Values: what the charts take, and what they refuse.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use causeway_e2e::kubernetes::Helm;
use causeway_e2e::process::Folder;
use serde_json::{Value, json};

use super::rendering::{Chart, ie, noted, of_kind, only, umbrella};
use super::{documents, read};

#[test]
fn both_charts_lint_and_render_with_both_helms_to_the_same_objects() -> Result<()> {
    let network = json!({"name": "n", "network": {"sites": [{"name": "ie"}]}});
    for (name, values) in [("causeway", ie()), ("causeway-network", network)] {
        let mut rendered = Vec::new();
        for version in Helm::ALL {
            let chart = Chart::new(version, name)?;
            let linted = chart.call(&["lint", "--strict"], &values, &[])?;
            linted.success("helm lint")?;
            let mut objects = chart.render(&values)?;
            objects.sort_by_key(super::title);
            rendered.push(objects);
        }
        let [three, four] = rendered.as_slice() else {
            anyhow::bail!("not two");
        };
        ensure!(three == four, "{name}: the two Helms differ");
    }
    Ok(())
}

#[test]
fn every_command_of_the_notes_names_the_namespace() -> Result<()> {
    let rows = [
        (ie(), ["--namespace causeway", "--namespace causeway"]),
        (
            json!({"sites": ["ie"], "watchNamespaces": ["amq"]}),
            ["--namespace amq", "--namespace amq"],
        ),
        (
            json!({"sites": ["ie"], "watchNamespaces": ["*"], "rbac": {"scope": "cluster"}}),
            ["--namespace causeway", "--all-namespaces"],
        ),
    ];
    for (values, [applied, looked]) in rows {
        let folder = Folder::new()?;
        let chart = Chart::at(Helm::ALL[0], noted(folder.path(), "causeway")?)?;
        let objects = chart.render(&values)?;
        let notes = only(&objects, "Notes")?["text"]
            .as_str()
            .unwrap_or_default();
        for line in [
            format!("  kubectl apply --server-side {applied} -f network.yaml\n"),
            format!("  kubectl get brokernetworks,brokerusers {looked}\n"),
            format!("  kubectl causeway status {looked}\n"),
        ] {
            ensure!(notes.contains(&line), "{line:?} is not in\n{notes}");
        }
    }
    Ok(())
}

#[test]
fn misspelt_values_and_values_of_another_type_are_refused_by_their_path() -> Result<()> {
    let rows = [
        (json!({"site": ["ie"]}), "site"),
        (json!({"image": {"tagg": "x"}}), "tagg"),
        (
            json!({"metrics": {"podMonitor": {"enable": true}}}),
            "enable",
        ),
        (json!({"rbac": {"scope": "namespaced"}}), "scope"),
        (json!({"replicas": "1"}), "replicas"),
        (json!({"image": {"digest": "latest"}}), "digest"),
        (json!({"logLevel": "verbose"}), "logLevel"),
        (json!({"sites": "ie"}), "sites"),
        (json!({"sites": ["IE"]}), "sites"),
        (json!({"sites": ["ie", "ie"]}), "sites"),
    ];
    for version in Helm::ALL {
        let chart = Chart::new(version, "causeway")?;
        for (change, word) in &rows {
            let said = chart.refusal(&with(ie(), change), &[])?;
            ensure!(
                said.contains(word) && said.contains("schema"),
                "{version:?} says to {change}: {said}"
            );
        }
    }
    Ok(())
}

#[test]
fn a_network_is_refused_without_a_name_and_with_users_of_another_one() -> Result<()> {
    let network = json!({"name": "n", "network": {"sites": [{"name": "ie"}]}});
    let rows = [
        (json!({"name": ""}), "name"),
        (json!({"name": "a-name-of-more-than-24-letters"}), "name"),
        (json!({"netwrok": {}}), "netwrok"),
        (
            json!({"users": {"amq": {"networkRef": {"name": "o"}}}}),
            "amq",
        ),
        (json!({"network": {"sites": []}}), "network.sites"),
    ];
    for version in Helm::ALL {
        let chart = Chart::new(version, "causeway-network")?;
        for (change, word) in &rows {
            let said = chart.refusal(&with(network.clone(), change), &[])?;
            ensure!(said.contains(word), "{version:?} says to {change}: {said}");
        }
    }
    Ok(())
}

#[test]
fn without_sites_nothing_is_rendered_and_the_template_says_what_is_missing() -> Result<()> {
    for version in Helm::ALL {
        let chart = Chart::new(version, "causeway")?;
        let said = chart.refusal(&json!({}), &[])?;
        ensure!(said.contains("sites"), "{version:?}: {said}");
        let said = chart.refusal(&json!({}), &["--skip-schema-validation"])?;
        let help =
            "sites is required: the names from BrokerNetwork.spec.sites that this cluster runs";
        ensure!(said.contains(help), "{version:?}: {said}");
    }
    Ok(())
}

#[test]
fn values_that_contradict_each_other_are_refused_with_the_reason() -> Result<()> {
    let rows = [
        (json!({"sites": ["*", "ie"]}), "stands alone"),
        (
            json!({"watchNamespaces": ["*"]}),
            "needs rbac.scope cluster",
        ),
        (
            json!({"watchNamespaces": ["*", "a"], "rbac": {"scope": "cluster"}}),
            "stands alone",
        ),
        (
            json!({"replicas": 2, "leaderElection": {"enabled": false}}),
            "needs leaderElection.enabled",
        ),
    ];
    let chart = Chart::new(Helm::Four, "causeway")?;
    for (change, reason) in &rows {
        let said = chart.refusal(&with(ie(), change), &[])?;
        ensure!(said.contains(reason), "to {change}: {said}");
    }
    Ok(())
}

#[test]
fn as_subcharts_they_take_global_and_enabled() -> Result<()> {
    let network = json!({"name": "n", "network": {"sites": [{"name": "ie"}]}});
    for version in Helm::ALL {
        for (name, own, kind) in [
            ("causeway", ie(), "Deployment"),
            ("causeway-network", network.clone(), "BrokerNetwork"),
        ] {
            let folder = Folder::new()?;
            let parent = Chart::at(version, umbrella(folder.path(), name)?)?;
            let values = |is_enabled: bool| {
                let own = with(own.clone(), &json!({"enabled": is_enabled}));
                json!({"global": {"imageRegistry": "r.example.com"}, name: own})
            };
            let objects = parent.render(&values(true))?;
            ensure!(of_kind(&objects, kind).len() == 1, "{version:?} {name}");
            ensure!(parent.render(&values(false))?.is_empty(), "{name} is off");
            // Switched off, what is required is not.
            let off = json!({name: {"enabled": false}});
            ensure!(parent.render(&off)?.is_empty(), "{name} without values");
        }
    }
    Ok(())
}

#[test]
fn every_value_has_a_default_and_a_place_in_the_schema() -> Result<()> {
    for name in ["causeway", "causeway-network"] {
        let schema: Value =
            serde_json::from_str(&read(&format!("charts/{name}/values.schema.json"))?)?;
        let values = documents(&read(&format!("charts/{name}/values.yaml"))?)?;
        let values = values.first().context("one document")?;
        compare(name, values, &schema)?;
    }
    Ok(())
}

/// Objects that the schema closes have the same keys as the defaults.
fn compare(path: &str, values: &Value, schema: &Value) -> Result<()> {
    if schema["additionalProperties"] != Value::Bool(false) {
        return Ok(());
    }
    let keys = |value: &Value| -> BTreeSet<String> {
        value
            .as_object()
            .map(|object| object.keys().cloned().collect())
            .unwrap_or_default()
    };
    let mut known = keys(&schema["properties"]);
    // For parent charts; a default would show it to everybody.
    known.remove("enabled");
    let mut given = keys(values);
    if !path.contains('.') {
        given.remove("enabled");
    } else if schema["properties"]["enabled"].is_object() {
        known.insert("enabled".to_owned());
    }
    ensure!(given == known, "{path}: values {given:?}, schema {known:?}");
    for key in given {
        let part = &schema["properties"][&key];
        compare(&format!("{path}.{key}"), &values[&key], part)?;
    }
    Ok(())
}

/// Values with some replaced.
fn with(mut values: Value, changes: &Value) -> Value {
    for (key, value) in changes.as_object().into_iter().flatten() {
        values[key] = value.clone();
    }
    values
}
