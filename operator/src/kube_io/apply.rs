//! The one door for writes: server-side apply under one field manager, nothing that is not ours, no request where
//! nothing differs.

use kube::api::{
    Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions,
    ValidationDirective,
};
use kube::{Client, Error};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{compare, objects, resource};
use crate::labels;
use crate::metrics::Metrics;
use crate::model::observed::{Applied, ChildKey, ChildKind, Live, Owner, Refusal};
use crate::render::canonical;

/// So often a write that met another is tried again within one run.
const CONFLICTS: usize = 5;

/// Writes the objects of one BrokerNetwork.
pub struct Door<'a> {
    /// The client.
    pub client: &'a Client,
    /// Counts what is written.
    pub metrics: &'a Metrics,
    /// Namespace of everything.
    pub namespace: &'a str,
    /// Uid of the BrokerNetwork.
    pub uid: &'a str,
    /// Its name.
    pub name: &'a str,
}

impl Door<'_> {
    fn api(&self, kind: ChildKind) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), self.namespace, &resource(kind))
    }

    /// An object as it is at this moment.
    ///
    /// # Errors
    /// The API server does not answer as it should.
    pub async fn read(&self, key: &ChildKey) -> Result<Option<Live>, Error> {
        let found = self.api(key.kind).get_opt(&key.name).await?;
        let Some(mut found) = found else {
            return Ok(None);
        };
        objects::prune_metadata(&mut found);
        objects::live(&found, key.kind, self.uid, self.name)
            .map(Some)
            .map_err(Error::SerdeError)
    }

    /// Makes an object what is wanted; `live` is what the caches hold of it.
    pub async fn apply(&self, key: &ChildKey, wanted: &Value, live: Option<&Live>) -> Applied {
        let wanted = stamped(wanted);
        let mut live = live.cloned();
        for _ in 0..=CONFLICTS {
            // What no cache has may be there all the same, without our label.
            if live.is_none() {
                match self.read(key).await {
                    Ok(found) => live = found,
                    Err(error) => return refused("get", error),
                }
            }
            if let Some(outcome) = untouched(&wanted, live.as_ref()) {
                return outcome;
            }
            match self.write(key, &wanted, live.as_ref()).await {
                Ok(outcome) => return outcome,
                Err(Error::Api(status)) if status.code == 409 => live = None,
                Err(Error::Api(status)) if status.code == 422 && may_be_made_anew(key.kind) => {
                    let Some(old) = live.take() else {
                        return Applied::Refused(Refusal::Invalid(status.message));
                    };
                    if let Err(error) = self.delete(key, &old).await {
                        return refused("delete", error);
                    }
                }
                Err(error) => return refused("patch", error),
            }
        }
        Applied::Refused(Refusal::Failed(format!(
            "{key} is changed by somebody else all the time"
        )))
    }

    async fn write(
        &self,
        key: &ChildKey,
        wanted: &Value,
        live: Option<&Live>,
    ) -> Result<Applied, Error> {
        let mut params = PatchParams::apply(labels::FIELD_MANAGER);
        params.field_validation = Some(ValidationDirective::Strict);
        let mut wanted = wanted.clone();
        if let Some(live) = live {
            // A uid in an apply is a precondition: another object of the name is a conflict.
            wanted["metadata"]["uid"] = live.uid.clone().into();
            params.force = true;
        }
        let api = self.api(key.kind);
        api.patch(&key.name, &params, &Patch::Apply(&wanted))
            .await?;
        self.metrics.wrote(key.kind.as_str(), "apply");
        Ok(match live {
            Some(live) if live.annotation(labels::APPLIED) == mark(&wanted) => Applied::Restored,
            Some(_) => Applied::Changed,
            None => Applied::Created,
        })
    }

    /// Makes an object that must not be there yet.
    ///
    /// # Errors
    /// It is there (409), or the request failed.
    pub async fn create(&self, key: &ChildKey, value: &Value) -> Result<(), Error> {
        let object: DynamicObject =
            serde_json::from_value(value.clone()).map_err(Error::SerdeError)?;
        let params = PostParams {
            field_manager: Some(labels::FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        self.api(key.kind).create(&params, &object).await?;
        self.metrics.wrote(key.kind.as_str(), "create");
        Ok(())
    }

    /// Changes an object of ours that was made once, in the very version that was read.
    ///
    /// # Errors
    /// It is another by now (409), or the request failed.
    pub async fn amend(&self, key: &ChildKey, live: &Live, patch: Value) -> Result<(), Error> {
        let mut patch = patch;
        patch["metadata"]["resourceVersion"] = live.resource_version.clone().into();
        patch["metadata"]["uid"] = live.uid.clone().into();
        let params = PatchParams {
            field_manager: Some(labels::FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let api = self.api(key.kind);
        api.patch(&key.name, &params, &Patch::Merge(&patch)).await?;
        self.metrics.wrote(key.kind.as_str(), "patch");
        Ok(())
    }

    /// Removes exactly the object that was read; one that is gone already is no error.
    ///
    /// # Errors
    /// It is another by now (409), or the request failed.
    pub async fn delete(&self, key: &ChildKey, live: &Live) -> Result<(), Error> {
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(live.uid.clone()),
                resource_version: Some(live.resource_version.clone()),
            }),
            ..DeleteParams::background()
        };
        match self.api(key.kind).delete(&key.name, &params).await {
            Ok(_) => self.metrics.wrote(key.kind.as_str(), "delete"),
            Err(Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// What needs no write: what is as wanted, and what is not ours to write.
fn untouched(wanted: &Value, live: Option<&Live>) -> Option<Applied> {
    let live = live?;
    match &live.owner {
        Owner::Foreign(owner) => Some(Applied::Refused(Refusal::NotOwned {
            owner: owner.clone(),
        })),
        Owner::Former => Some(Applied::Refused(Refusal::Former)),
        Owner::Ours if live.is_deleting => Some(Applied::Refused(Refusal::Former)),
        Owner::Ours => {
            let is_same = live.annotation(labels::APPLIED) == mark(wanted)
                && compare::holds(wanted, &live.value);
            is_same.then_some(Applied::Unchanged)
        }
    }
}

/// The mark of all fields of what is wanted: an object that bears it and differs was changed by somebody else.
fn mark(wanted: &Value) -> Option<&str> {
    wanted["metadata"]["annotations"][labels::APPLIED].as_str()
}

/// The same with a mark of all its fields, so that one that is wanted no longer is noticed.
fn stamped(wanted: &Value) -> Value {
    let digest = Sha256::digest(canonical::text(wanted).as_bytes());
    let mark: String = digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let mut wanted = wanted.clone();
    if !wanted["metadata"]["annotations"].is_object() {
        wanted["metadata"]["annotations"] = json!({});
    }
    wanted["metadata"]["annotations"][labels::APPLIED] = mark.into();
    wanted
}

/// Kinds in which a field that cannot be changed is changed by making the object anew; never what holds data.
const fn may_be_made_anew(kind: ChildKind) -> bool {
    matches!(
        kind,
        ChildKind::Service
            | ChildKind::NetworkPolicy
            | ChildKind::PodDisruptionBudget
            | ChildKind::Deployment
    )
}

/// What a failed request means.
#[must_use]
pub fn refused(verb: &'static str, error: Error) -> Applied {
    Applied::Refused(match error {
        Error::Api(status) if status.code == 403 => Refusal::Forbidden {
            verb,
            message: status.message,
        },
        Error::Api(status) if matches!(status.code, 400 | 422) => Refusal::Invalid(status.message),
        other => Refusal::Failed(other.to_string()),
    })
}
