//! Removes what was made for a BrokerNetwork and is wanted no longer.

use kube::Error;

use super::apply::{Door, refused};
use crate::model::observed::{Applied, ChildKey, Owner};

/// Removes one object, if it still is the one with our uid that it is taken for.
pub async fn remove(door: &Door<'_>, key: &ChildKey) -> Option<Applied> {
    let live = match door.read(key).await {
        Ok(live) => live?,
        Err(error) => return Some(refused("get", error)),
    };
    if live.owner != Owner::Ours || live.is_deleting {
        return None;
    }
    match door.delete(key, &live).await {
        Ok(()) => {
            door.metrics.pruned(key.kind.as_str());
            Some(Applied::Removed)
        }
        // Somebody changed it in between: the next run looks again.
        Err(Error::Api(status)) if status.code == 409 => None,
        Err(error) => Some(refused("delete", error)),
    }
}
