//! One broker in a pod that may do nothing but run, as a user would deploy it by hand.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, ensure};
use causeway_e2e::client::Client;
use causeway_e2e::document::MCOLLECTIVE;
use causeway_e2e::kubernetes::{BROKER_IMAGE, Cluster};
use serde_json::{Value, json};

use super::print;

/// The password of the README's documents.
pub const PASSWORD: &str = "pI1jweRV";

/// A site that runs in a cluster, in a namespace that takes only pods of the restricted profile.
pub struct Site<'a> {
    pub cluster: &'a Cluster,
    pub namespace: &'static str,
    pub name: &'static str,
    /// Type of the Service.
    pub service: &'static str,
}

impl Site<'_> {
    /// Starts the broker with what `causeway render` makes of a file, and waits until it is ready.
    pub fn deploy(&self, file: &Path) -> Result<()> {
        self.cluster.import_images()?;
        let started = Instant::now();
        let documents = [
            self.restricted(),
            self.configuration(file)?,
            self.deployment(),
            self.service(),
        ];
        let documents = documents.map(|document| document.to_string());
        self.cluster.apply(&documents.join("\n---\n"), &[])?;
        let rollout = ["rollout", "status", "deployment/broker", "--timeout=60s"];
        let finished = self.cluster.try_kubectl(&self.here(&rollout))?;
        let is_ready = finished.code == Some(0);
        ensure!(is_ready, "{}\n{}", finished.output(), self.explain());
        println!("{}: rolled out in {:?}", self.name, started.elapsed());
        Ok(())
    }

    /// Logs in through the Service.
    pub fn connect(&self) -> Result<Client> {
        let address = self.cluster.service_address(self.namespace, "broker")?;
        let connect = || Client::connect_to((address, 61613).into(), MCOLLECTIVE, PASSWORD);
        self.cluster.inside(connect)
    }

    /// What the cluster and the broker say about the pod.
    pub fn explain(&self) -> String {
        let pods = self.cluster.try_kubectl(&self.here(&["describe", "pods"]));
        let logs = self
            .cluster
            .try_kubectl(&self.here(&["logs", "deployment/broker"]));
        let both = [pods, logs].into_iter().flatten();
        both.map(|finished| finished.output()).collect()
    }

    /// Arguments of `kubectl` that concern the namespace.
    fn here<'b>(&self, arguments: &[&'b str]) -> Vec<&'b str> {
        let mut all = vec!["--namespace", self.namespace];
        all.extend_from_slice(arguments);
        all
    }

    fn restricted(&self) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {
                "name": self.namespace,
                "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
            },
        })
    }

    /// The configuration directory as a Secret.
    fn configuration(&self, file: &Path) -> Result<Value> {
        let file = file.display().to_string();
        let rendered = print(&[
            "render",
            &file,
            "--site",
            self.name,
            "--show-secrets",
            "--output=json",
        ])?;
        let rendered: Value = serde_json::from_str(&rendered)?;
        Ok(json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "broker", "namespace": self.namespace},
            "stringData": rendered[self.name],
        }))
    }

    fn deployment(&self) -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "broker", "namespace": self.namespace},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": {"app": "broker"}},
                "template": {"metadata": {"labels": {"app": "broker"}}, "spec": pod()},
            },
        })
    }

    fn service(&self) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "broker", "namespace": self.namespace},
            "spec": {
                "type": self.service,
                "selector": {"app": "broker"},
                "ports": [
                    {"name": "stomp", "port": 61613},
                    {"name": "link", "port": 61618},
                ],
            },
        })
    }
}

fn pod() -> Value {
    let container = json!({
        "name": "broker",
        "image": BROKER_IMAGE,
        "imagePullPolicy": "IfNotPresent",
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
    let configuration = json!({"secretName": "broker", "defaultMode": 0o440});
    json!({
        "automountServiceAccountToken": false,
        "securityContext": {
            "runAsNonRoot": true,
            "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [
            {"name": "configuration", "secret": configuration},
            {"name": "state", "emptyDir": {}},
        ],
    })
}
