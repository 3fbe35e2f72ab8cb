//! Whether the cluster's definitions know every field of ours. Helm does not upgrade definitions by itself, so an operator
//! may be newer than they are; then fields are dropped by the API server, and the status says which.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Request;
use kube::Client;
use serde_json::Value;
use tokio::time;

use crate::api::{API_VERSION, fields};

/// Definitions change with an upgrade: it is enough to notice that within this time.
const EVERY: Duration = Duration::from_secs(600);
/// An answer that takes longer is none; the start waits for the first one.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the definitions in the cluster lack, as far as they have been read.
#[derive(Debug, Default)]
pub struct Definitions {
    missing: Mutex<Vec<String>>,
}

impl Definitions {
    /// Paths of fields that are missing; none before the first answer.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        let missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        missing.clone()
    }

    /// Reads the definitions. What was known stands where they cannot be read.
    pub async fn look(&self, client: &Client) {
        let found = match time::timeout(PATIENCE, missing(client)).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the definitions cannot be read");
                return;
            }
            Err(_) => {
                tracing::warn!("the definitions cannot be read: no answer in time");
                return;
            }
        };
        let mut known = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        if *known != found {
            if found.is_empty() {
                tracing::info!("the definitions in the cluster are complete again");
            } else {
                tracing::warn!(
                    missing = found.join(", "),
                    "the definitions in the cluster are older than this operator"
                );
            }
            *known = found;
        }
    }

    /// Reads them again and again.
    pub async fn follow(self: Arc<Self>, client: Client) {
        loop {
            time::sleep(EVERY).await;
            self.look(&client).await;
        }
    }
}

/// Paths of fields that the definitions in a cluster lack, as [`fields::missing`] names them.
///
/// Any account that is logged in may read what is read here.
///
/// # Errors
/// The API server does not answer, or knows nothing of our group.
pub async fn missing(client: &Client) -> Result<Vec<String>, kube::Error> {
    let request = Request::get(format!("/openapi/v3/apis/{API_VERSION}"))
        .body(Vec::new())
        .map_err(kube::Error::HttpError)?;
    let document: Value = client.request(request).await?;
    Ok(fields::missing(&document))
}
