//! The one door for statuses: they are written to exactly the object that was read. An apply would not do: the API server
//! takes no notice of the uid in one to a subresource, and a status would reach another object of the name.

use std::fmt::Debug;

use http::Request;
use http::header::CONTENT_TYPE;
use kube::api::Api;
use kube::{Resource, ResourceExt as _};
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::json;

use crate::labels;
use crate::metrics::Metrics;

/// Where an object says which one it is.
const UID: &str = "/metadata/uid";

/// The status as a whole, for the object of this uid alone.
fn patch(uid: String, status: &impl Serialize) -> Result<Vec<u8>, kube::Error> {
    let operations = json!([
        {"op": "test", "path": UID, "value": uid},
        {"op": "add", "path": "/status", "value": status},
    ]);
    serde_json::to_vec(&operations).map_err(kube::Error::SerdeError)
}

/// A test that fails is a conflict, in other words of the API server.
fn precondition(error: kube::Error) -> kube::Error {
    match error {
        kube::Error::Api(mut status) if status.code == 422 && status.message.contains(UID) => {
            status.code = 409;
            kube::Error::Api(status)
        }
        other => other,
    }
}

/// Writes a status whole: what is not in it any more is removed.
///
/// # Errors
/// The object is gone or another by now, or the request failed.
pub async fn write<K, S>(
    api: &Api<K>,
    object: &K,
    status: &S,
    metrics: &Metrics,
) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
    S: Serialize,
{
    let url = format!(
        "{}/{}/status?fieldManager={}",
        api.resource_url(),
        object.name_any(),
        labels::FIELD_MANAGER
    );
    let request = Request::patch(url)
        .header(CONTENT_TYPE, "application/json-patch+json")
        .body(patch(object.uid().unwrap_or_default(), status)?);
    let client = api.clone().into_client();
    let request = request.map_err(kube::Error::HttpError)?;
    let written = client.request::<IgnoredAny>(request).await;
    written.map_err(precondition)?;
    metrics.wrote(&K::kind(&()), "status");
    Ok(())
}
