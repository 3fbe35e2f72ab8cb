//! An operator that is newer than the definitions in the cluster says which fields they lack, and goes on.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use causeway_e2e::kubernetes::{Cluster, Level, Operator};
use causeway_e2e::wait::{self, PATIENCE};
use serde_json::Value;

use super::countries;
use super::operator::Place;

/// Where a field of the specification is in the definition.
const FIELD: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/readiness";

#[test]
fn definitions_that_are_older_than_the_operator_are_a_condition_that_names_their_gaps() -> Result<()>
{
    // The definitions are those of all tests of a cluster: this one needs its own.
    let cluster = Arc::new(Cluster::start(Level::ControlPlane, 0)?);
    let place = Place::on(cluster, "definitions")?;
    let remove = format!(r#"[{{"op":"remove","path":"{FIELD}"}}]"#);
    let patch = [
        "patch",
        "crd",
        "brokernetworks.causeway.dev",
        "--type=json",
        "--patch",
        &remove,
    ];
    place.kubectl(&patch)?;
    wait::until(
        "the API server to tell of the older definition",
        PATIENCE,
        || {
            // A group that is new is in the index a moment later.
            let path = "/openapi/v3/apis/causeway.dev/v1alpha1";
            let document = place.cluster.try_kubectl(&["get", "--raw", path])?;
            let Ok(document) = serde_json::from_str::<Value>(&document.stdout) else {
                return Ok(None);
            };
            let schema = &document["components"]["schemas"]["dev.causeway.v1alpha1.BrokerNetwork"];
            let fields = &schema["properties"]["spec"]["properties"];
            Ok((fields.is_object() && fields["readiness"].is_null()).then_some(()))
        },
    )?;
    place.apply(&countries()?)?;
    let operator = Operator::start(&place.cluster, "ie", "definitions")?;
    let message = wait::until("the condition", PATIENCE, || {
        let network = place.json(&["get", "brokernetwork", "mcollective"])?;
        let conditions = network["status"]["conditions"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let degraded = conditions.iter().find(|one| one["type"] == "Degraded");
        let message = degraded
            .and_then(|one| one["message"].as_str())
            .unwrap_or_default();
        Ok(message
            .contains("the definitions in the cluster lack")
            .then(|| message.to_owned()))
    })
    .with_context(|| operator.log())?;
    ensure!(
        message.contains("lack BrokerNetwork spec.readiness"),
        "{message}"
    );
    // It works all the same.
    operator.wait_settled()?;
    ensure!(
        place
            .names()?
            .contains(&"Deployment mcollective--ie".to_owned())
    );
    let event = wait::until("the event", PATIENCE, || {
        let events = place.json(&["get", "events.events.k8s.io"])?;
        let events = events["items"].as_array().cloned().unwrap_or_default();
        Ok(events
            .into_iter()
            .find(|event| event["reason"] == "CRDOutdated"))
    })?;
    println!("{message}\n{}", event["note"]);
    operator.stop()
}
