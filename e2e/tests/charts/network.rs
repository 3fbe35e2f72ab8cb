//! `causeway-network`: the README's documents as values.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use causeway_e2e::kubernetes::Helm;
use serde_json::{Value, json};

use super::rendering::{Chart, of_kind, only};
use super::{documents, read};

#[test]
fn values_become_the_documents_that_they_stand_for() -> Result<()> {
    let written = documents(&read("deploy/examples/countries.yaml")?)?;
    let network = only(&written, "BrokerNetwork")?;
    let mut users = json!({});
    for user in of_kind(&written, "BrokerUser") {
        let mut spec = user["spec"].clone();
        let fields = spec.as_object_mut().context("a spec")?;
        fields.remove("networkRef");
        users[user["metadata"]["name"].as_str().context("a name")?] = spec;
    }
    let values = json!({
        "name": network["metadata"]["name"], "network": network["spec"], "users": users,
        "labels": {"team": "messaging"}, "annotations": {"note": "n"},
    });
    let specs = |objects: &[Value]| -> BTreeMap<String, Value> {
        let ours = objects
            .iter()
            .filter(|object| object["apiVersion"] == "causeway.dev/v1alpha1");
        ours.map(|object| (super::title(object), object["spec"].clone()))
            .collect()
    };
    for version in Helm::ALL {
        let rendered = Chart::new(version, "causeway-network")?.render(&values)?;
        ensure!(
            specs(&rendered) == specs(&written),
            "{version:?}: {rendered:#?}"
        );
        ensure!(
            rendered.len() == specs(&rendered).len(),
            "no Secret is made"
        );
        for object in &rendered {
            ensure!(object["metadata"]["labels"]["team"] == "messaging");
            ensure!(object["metadata"]["annotations"]["note"] == "n");
        }
    }
    Ok(())
}

#[test]
fn large_numbers_stay_whole() -> Result<()> {
    let values = json!({
        "name": "n", "network": {"sites": [{"name": "ie"}]},
        "users": {"amq": {"limits": {"maxConnections": 10_000_000}}},
    });
    for version in Helm::ALL {
        let rendered = Chart::new(version, "causeway-network")?.render(&values)?;
        let limit = &only(&rendered, "BrokerUser")?["spec"]["limits"]["maxConnections"];
        ensure!(limit.as_u64() == Some(10_000_000), "{version:?}: {limit}");
    }
    Ok(())
}
