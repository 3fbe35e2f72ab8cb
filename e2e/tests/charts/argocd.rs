//! Argo CD's health checks, run by Lua as Argo CD does, for every state that an object can be in.

use std::process::Command;

use anyhow::{Result, ensure};
use causeway_e2e::process::{Folder, need, run};
use causeway_e2e::wait::PATIENCE;
use serde_json::{Value, json};

use super::source;

/// A JSON value as Lua writes it.
fn lua(value: &Value) -> String {
    match value {
        Value::Null => "nil".to_owned(),
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(key, value)| format!("[{key:?}] = {}", lua(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(lua).collect();
            format!("{{{}}}", items.join(", "))
        }
        other => other.to_string(),
    }
}

/// `STATUS: MESSAGE` of an object.
fn health(kind: &str, object: &Value) -> Result<String> {
    let folder = Folder::new()?;
    let script = folder.path().join("health.lua");
    let check = source("deploy/argocd").join(format!("health-{kind}.lua"));
    let text = format!(
        "obj = {}\nlocal health = dofile({:?})\nprint(health.status .. \": \" .. health.message)\n",
        lua(object),
        check.display().to_string()
    );
    std::fs::write(&script, text)?;
    let mut command = Command::new(need("lua5.4", "apt-get install lua5.4")?);
    Ok(run(command.arg(script), PATIENCE)?
        .success("lua")?
        .stdout
        .trim()
        .to_owned())
}

fn object(observed: i64, conditions: &[(&str, &str)]) -> Value {
    let conditions: Vec<Value> = conditions
        .iter()
        .map(|(kind, status)| json!({"type": kind, "status": status, "reason": "Why", "message": kind}))
        .collect();
    json!({
        "metadata": {"generation": 2},
        "status": {"observedGeneration": observed, "conditions": conditions},
    })
}

/// The observed generation, the conditions with their states, and what is shown.
type Row = (i64, &'static [(&'static str, &'static str)], &'static str);

#[test]
fn argo_cd_sees_each_state_as_documented() -> Result<()> {
    let rows: [Row; 9] = [
        (1, &[("Ready", "True")], "Progressing"),
        (-1, &[], "Progressing"),
        (2, &[("Ready", "True")], "Healthy: Why: Ready"),
        (2, &[("Ready", "False")], "Progressing: Why: Ready"),
        (2, &[("Ready", "Unknown")], "Progressing: Why: Ready"),
        (
            2,
            &[("Ready", "False"), ("Stalled", "True")],
            "Degraded: Why: Stalled",
        ),
        (
            2,
            &[("Ready", "True"), ("Reconciling", "True")],
            "Progressing: Why: Reconciling",
        ),
        // An outage elsewhere must not stop this cluster.
        (
            2,
            &[
                ("Degraded", "True"),
                ("LinksUp", "False"),
                ("Ready", "True"),
            ],
            "Healthy",
        ),
        (2, &[("PeersInSync", "False"), ("Ready", "True")], "Healthy"),
    ];
    for kind in ["BrokerNetwork", "BrokerUser"] {
        for (observed, conditions, expected) in rows {
            let seen = health(kind, &object(observed, conditions))?;
            ensure!(seen.starts_with(expected), "{kind} {conditions:?}: {seen}");
        }
        let fresh = health(kind, &json!({"metadata": {"generation": 1}}))?;
        ensure!(
            fresh.starts_with("Progressing: the operator has not seen"),
            "{fresh}"
        );
    }
    let paused = object(2, &[("Ready", "True"), ("Paused", "True")]);
    let seen = health("BrokerNetwork", &paused)?;
    ensure!(seen == "Suspended: Why: Paused", "{seen}");
    Ok(())
}
