//! A network that this version cannot read, such as one with a value that a newer definition allows. It says so, its brokers
//! go on as they are, and it keeps nobody else from being reconciled.

use kube::ResourceExt as _;
use kube::api::{Api, DynamicObject, ListParams};
use kube::core::error_boundary::InvalidObject;
use kube::discovery::ApiResource;
use kube::runtime::controller::Action;
use serde_json::json;

use super::context::Context;
use super::controller::RESYNC;
use super::error::Error;
use super::report;
use crate::api::BrokerNetwork;
use crate::api::status::BrokerNetworkStatus;
use crate::model::observed::Outcome;

/// Says so in the status.
///
/// # Errors
/// The status cannot be read or written.
pub async fn tell(invalid: &InvalidObject, context: &Context) -> Result<Action, Error> {
    if invalid.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let mut object = BrokerNetwork {
        metadata: invalid.metadata.clone(),
        spec: serde_json::from_value(json!({"sites": []}))?,
        status: None,
    };
    object.status = stored(&object, context).await?;
    let outcome = Outcome {
        unreadable: Some(invalid.error.clone()),
        ..Outcome::default()
    };
    report::unread(&object, context, &outcome).await?;
    Ok(Action::requeue(RESYNC))
}

/// The status that is there, if it can be read. It is listed, which needs no right beside those of a watch.
async fn stored(
    object: &BrokerNetwork,
    context: &Context,
) -> Result<Option<BrokerNetworkStatus>, Error> {
    let name = object.name_any();
    let namespace = object.namespace().unwrap_or_default();
    let resource = ApiResource::erase::<BrokerNetwork>(&());
    let api: Api<DynamicObject> =
        Api::namespaced_with(context.client.clone(), &namespace, &resource);
    let only = ListParams::default().fields(&format!("metadata.name={name}"));
    let found = api.list(&only).await.map_err(|cause| Error::Read {
        what: format!("BrokerNetwork {name}"),
        cause,
    })?;
    let found = found.items.into_iter().next();
    let status = found.and_then(|mut found| Some(found.data.get_mut("status")?.take()));
    Ok(status.and_then(|status| serde_json::from_value(status).ok()))
}
