//! Logs and pages of pods.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt as _;
use kube::api::{Api, ListParams, LogParams};

use super::bundle::BundleError;
use super::cluster::Collector;
use super::{page, redact};
use crate::client::cluster::words;
use crate::labels;
use crate::names::{self, Part};

/// Lines of a log that are kept, the newest.
const LOG_LINES: i64 = 20_000;
/// Bytes of a log that are kept.
const LOG_BYTES: i64 = 16 << 20;
/// What labels the pods of an operator carry, however it was installed.
const OPERATOR_PODS: &str =
    "app.kubernetes.io/part-of=causeway,app.kubernetes.io/component=operator";

impl Collector<'_> {
    /// Logs and pages of the broker pods.
    pub(super) async fn brokers(&mut self) -> Result<(), BundleError> {
        let api: Api<Pod> = self.api();
        let pods = match api.list(&self.of_network()).await {
            Ok(pods) => pods.items,
            Err(error) => {
                self.bundle.note("pods", words(&error));
                return Ok(());
            }
        };
        for pod in pods {
            let folder = format!("pods/{}", pod.name_any());
            self.pod(&api, &pod, &folder).await?;
            let site = pod.labels().get(labels::SITE).cloned().unwrap_or_default();
            let path = format!("{folder}/status.json");
            match self.tokens.get(&site) {
                Some(token) => {
                    let page = page::get(&api, &pod, "/status", Some(token)).await;
                    self.bundle.add_or_note(&path, page)?;
                }
                None => {
                    let keys = names::site_part(&self.name, &site, Part::Keys);
                    let reason = format!("the token is in the Secret {keys}, which was not read");
                    self.bundle.note(&path, reason);
                }
            }
        }
        Ok(())
    }

    /// Logs and metrics of the operator, where the status says that it is.
    pub(super) async fn operators(&mut self) -> Result<(), BundleError> {
        let status = self.network.status.as_ref();
        let Some(operator) = status.and_then(|status| status.operator.as_ref()) else {
            self.bundle
                .note("operator", "no operator has written a status");
            return Ok(());
        };
        let api: Api<Pod> = Api::namespaced(self.cluster.client.clone(), &operator.namespace);
        let pods = match api.list(&ListParams::default().labels(OPERATOR_PODS)).await {
            Ok(pods) => pods.items,
            Err(error) => {
                self.bundle.note("operator", words(&error));
                return Ok(());
            }
        };
        if pods.is_empty() {
            let reason = format!(
                "no pod in {} has the labels {OPERATOR_PODS}",
                operator.namespace
            );
            self.bundle.note("operator", reason);
        }
        for pod in pods {
            let folder = format!("operator/{}", pod.name_any());
            let value = redact::object(serde_json::to_value(&pod)?);
            self.yaml(&format!("{folder}/pod.yaml"), &value)?;
            self.pod(&api, &pod, &folder).await?;
        }
        Ok(())
    }

    /// Logs of a pod's containers, also of those that ended before, and its metrics.
    async fn pod(&mut self, api: &Api<Pod>, pod: &Pod, folder: &str) -> Result<(), BundleError> {
        let name = pod.name_any();
        self.bundle.reads(&format!("pod {name}"));
        let status = pod.status.as_ref();
        let containers = status.and_then(|status| status.container_statuses.as_deref());
        if containers.is_none_or(<[_]>::is_empty) {
            self.bundle.note(
                &format!("{folder}/logs"),
                "no container of the pod has been started",
            );
        }
        for container in containers.unwrap_or_default() {
            let times = if container.restart_count > 0 {
                &[false, true][..]
            } else {
                &[false]
            };
            for previous in times {
                let end = if *previous { ".previous" } else { "" };
                let params = LogParams {
                    container: Some(container.name.clone()),
                    previous: *previous,
                    tail_lines: Some(LOG_LINES),
                    limit_bytes: Some(LOG_BYTES),
                    timestamps: true,
                    ..LogParams::default()
                };
                let log = api.logs(&name, &params).await;
                let path = format!("{folder}/{}{end}.log", container.name);
                self.bundle
                    .add_or_note(&path, log.map_err(|error| words(&error)))?;
            }
        }
        let metrics = page::get(api, pod, "/metrics", None).await;
        self.bundle
            .add_or_note(&format!("{folder}/metrics.txt"), metrics)
    }
}
