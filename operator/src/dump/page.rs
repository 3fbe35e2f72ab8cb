//! Pages of pods, through the API server: a port is forwarded, as `kubectl port-forward` does it. Unlike the pod proxy it
//! needs no way from the API server to the pod's network, and leaves a token to the pod.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt as _;
use kube::api::Api;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time;

use crate::client::cluster::words;
use crate::client::http::{self, HttpError};

/// A page that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(15);
/// Bytes of a page; one of 64 sites and 100,000 queues is well below.
const MAX_ANSWER: usize = 64 << 20;

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// The pod does not run.
    #[error("the pod is {0}")]
    Phase(String),
    /// The pod has no page that anybody looks at.
    #[error("the pod names no port for its probes")]
    NoPort,
    /// There is no way to the pod; who asks needs the right to forward ports.
    #[error("{} (what is needed: create pods/portforward)", words(.0))]
    Forward(Box<kube::Error>),
    /// The connection failed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// Another answer than expected.
    #[error("{0}")]
    Http(#[from] HttpError),
    /// None in time.
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Late,
}

/// The page at a path of the port that a pod's probes ask.
///
/// # Errors
/// There is no way to it, or it is refused.
pub async fn get(
    pods: &Api<Pod>,
    pod: &Pod,
    path: &str,
    token: Option<&str>,
) -> Result<Vec<u8>, PageError> {
    let port = port(pod)?;
    let fetched = time::timeout(PATIENCE, fetch(pods, pod, port, path, token));
    fetched.await.map_err(|_| PageError::Late)?
}

async fn fetch(
    pods: &Api<Pod>,
    pod: &Pod,
    port: u16,
    path: &str,
    token: Option<&str>,
) -> Result<Vec<u8>, PageError> {
    let name = pod.name_any();
    let forward = pods.portforward(&name, &[port]).await;
    let mut forward = forward.map_err(|error| PageError::Forward(Box::new(error)))?;
    let mut stream = forward.take_stream(port).ok_or(PageError::NoPort)?;
    let address = format!("{name}:{port}");
    stream
        .write_all(http::request(&address, path, token).as_bytes())
        .await?;
    let (mut answer, mut whole) = (Vec::new(), None);
    // Not every API server tells that the pod has closed: the length says when all is there.
    while whole.is_none_or(|whole| answer.len() < whole) && answer.len() < MAX_ANSWER {
        if stream.read_buf(&mut answer).await? == 0 {
            break;
        }
        whole = whole.or_else(|| http::whole(&answer));
    }
    forward.abort();
    Ok(http::body(&address, path, &answer)?)
}

/// The port of the page, of a pod that runs.
fn port(pod: &Pod) -> Result<u16, PageError> {
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    match phase {
        Some("Running") => {}
        other => return Err(PageError::Phase(other.unwrap_or("Unknown").to_owned())),
    }
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let mut ports = containers.filter_map(probed);
    let port = ports.next().ok_or(PageError::NoPort)?;
    u16::try_from(port).map_err(|_| PageError::NoPort)
}

/// The port that a container's probes ask, by its number.
fn probed(container: &Container) -> Option<i32> {
    let probes = [&container.readiness_probe, &container.liveness_probe];
    let mut asked = probes
        .into_iter()
        .flatten()
        .filter_map(|probe| probe.http_get.as_ref());
    match &asked.next()?.port {
        IntOrString::Int(port) => Some(*port),
        IntOrString::String(name) => {
            let mut ports = container.ports.iter().flatten();
            let named = ports.find(|port| port.name.as_ref() == Some(name));
            named.map(|port| port.container_port)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(phase: &str, container: Value) -> Pod {
        let pod = json!({
            "metadata": {"name": "p"}, "spec": {"containers": [container]}, "status": {"phase": phase},
        });
        serde_json::from_value(pod).expect("a pod")
    }

    #[test]
    fn the_page_is_where_the_probes_ask_by_number_or_by_name() {
        let probe = |port: Value| {
            json!({"name": "c", "readinessProbe": {"httpGet": {"path": "/", "port": port}},
            "ports": [{"name": "http", "containerPort": 8080}]})
        };
        assert_eq!(port(&pod("Running", probe(json!(8161)))).ok(), Some(8161));
        assert_eq!(port(&pod("Running", probe(json!("http")))).ok(), Some(8080));
        let none = port(&pod("Running", json!({"name": "c"})));
        assert!(matches!(none, Err(PageError::NoPort)));
        let pending = port(&pod("Pending", probe(json!(8161)))).expect_err("it does not run");
        assert_eq!(pending.to_string(), "the pod is Pending");
    }
}
