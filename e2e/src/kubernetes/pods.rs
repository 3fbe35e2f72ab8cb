//! Pods that a test runs for a moment, and what policies know of pods.

use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::cluster::Cluster;
use super::images::OPERATOR_IMAGE;
use super::policies::{Pod, Policies};
use crate::process::Finished;
use crate::wait;

/// A pod starts within a second on a free machine, and a command may wait for its own deadline.
const PATIENCE: Duration = Duration::from_secs(60);

impl Cluster {
    /// Runs the `causeway` command of the operator's image in a restricted pod, to its end, and
    /// returns its exit code and what it wrote.
    ///
    /// # Errors
    /// The image is not there, or the pod does not end in time.
    pub fn run_command(
        &self,
        namespace: &str,
        name: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Finished> {
        self.import_images()?;
        let pod = command_pod(namespace, name, arguments, environment);
        self.apply(&pod.to_string(), &[])?;
        let mut last = Value::Null;
        let code = wait::until(&format!("the end of pod {name}"), PATIENCE, || {
            last = self.json(&["get", "pod", name, "--namespace", namespace])?;
            Ok(last["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"].as_i64())
        });
        let Ok(code) = code else {
            bail!("pod {name} does not end: {}", last["status"]);
        };
        let stdout = self.kubectl(&["logs", name, "--namespace", namespace])?;
        self.kubectl(&[
            "delete",
            "pod",
            name,
            "--namespace",
            namespace,
            "--wait=false",
        ])?;
        Ok(Finished {
            code: i32::try_from(code).ok(),
            stdout,
            stderr: String::new(),
        })
    }

    /// What policies know of a pod.
    ///
    /// # Errors
    /// There is no such pod.
    pub fn pod(&self, namespace: &str, name: &str) -> Result<Pod> {
        let pod = self.json(&["get", "pod", name, "--namespace", namespace])?;
        let namespace = self.json(&["get", "namespace", namespace])?;
        Ok(Pod::read(&pod, &namespace))
    }

    /// All NetworkPolicies.
    ///
    /// # Errors
    /// The API server does not answer.
    pub fn policies(&self) -> Result<Policies> {
        let mut all = self.json(&["get", "networkpolicies", "--all-namespaces"])?;
        let items = all["items"].as_array_mut().map(std::mem::take);
        Ok(Policies::new(items.unwrap_or_default()))
    }

    /// What `kubectl` prints as JSON.
    ///
    /// # Errors
    /// It fails.
    pub fn json(&self, arguments: &[&str]) -> Result<Value> {
        let mut all = arguments.to_vec();
        all.push("--output=json");
        Ok(serde_json::from_str(&self.kubectl(&all)?)?)
    }
}

fn command_pod(
    namespace: &str,
    name: &str,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Value {
    let environment = environment.iter();
    let environment: Vec<Value> = environment
        .map(|(name, value)| json!({"name": name, "value": value}))
        .collect();
    let container = json!({
        "name": "command",
        "image": OPERATOR_IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "args": arguments,
        "env": environment,
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]},
        },
    });
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {
            "automountServiceAccountToken": false,
            "restartPolicy": "Never",
            "securityContext": {
                "runAsNonRoot": true,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
        },
    })
}
