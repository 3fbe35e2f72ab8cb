//! Makes and rotates the Secret of a generated password, and writes no other.

use std::time::Duration;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kube::ResourceExt as _;

use super::password::{self, Held, PASSWORD, Step};
use super::view::UserView;
use crate::api::BrokerUser;
use crate::api::condition::Reason;
use crate::kube_io::apply::{Door, refused};
use crate::kube_io::secrets::Contents;
use crate::model::SecretText;
use crate::model::observed::{Applied, ChildKey, ChildKind, Live, Owner, Refusal};
use crate::names;
use crate::network::context::Context;
use crate::network::error::Error;

/// What an earlier user of the name owned, or somebody wrote at the same time, is looked at again after this time.
const AGAIN: Duration = Duration::from_secs(1);

/// What became of the Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// Nothing was to be done.
    Unchanged,
    /// It was written.
    Written,
    /// It is looked at again after this time.
    Later(Duration),
    /// The API server refuses it.
    Refused(String),
}

/// 32 characters from the operating system's generator: 192 bits.
///
/// # Errors
/// It gives none.
pub fn random() -> Result<SecretText, Unspecified> {
    let mut bytes = [0; 24];
    rand::fill(&mut bytes)?;
    Ok(SecretText::new(URL_SAFE_NO_PAD.encode(bytes)))
}

/// Sees to the Secret of a user whose password is generated, where a site of this cluster knows the user.
///
/// # Errors
/// It cannot be read or written.
pub async fn keep(user: &BrokerUser, view: &UserView, context: &Context) -> Result<Kept, Error> {
    let Some(rotation) = password::rotation(&user.spec) else {
        return Ok(Kept::Unchanged);
    };
    let is_second = matches!(view.problem, Some((Reason::DuplicateUsername, _)));
    if view.local_sites.is_empty() || view.is_paused || is_second {
        return Ok(Kept::Unchanged);
    }
    let (name, uid) = (user.name_any(), user.uid().unwrap_or_default());
    let namespace = user.namespace().unwrap_or_default();
    let secret = names::generated_secret(&name);
    let store = &context.stores.secrets;
    let read = context
        .secrets
        .get(&context.client, store, &namespace, &secret);
    let contents = read.await.map_err(|cause| Error::Read {
        what: format!("Secret {secret}"),
        cause,
    })?;
    let held = contents.as_ref().map(held);
    let door = Door {
        client: &context.client,
        metrics: &context.metrics,
        namespace: &namespace,
        uid: &uid,
        name: &name,
    };
    let key = ChildKey {
        kind: ChildKind::Secret,
        name: secret,
    };
    let fresh = || random().map_err(|_| Error::Hash("no random numbers".to_owned()));
    let written = match (
        password::step(held.as_ref(), &uid, &name, rotation),
        &contents,
    ) {
        (Step::Make, _) => {
            let made = serde_json::to_value(password::made(user, &fresh()?, rotation))?;
            door.create(&key, &made).await
        }
        (Step::Rotate, Some(contents)) => {
            let old = contents.data.get(PASSWORD).map(Vec::as_slice);
            let patch = password::rotated(user, old.unwrap_or_default(), &fresh()?, rotation);
            door.amend(&key, &live(contents), patch).await
        }
        (Step::Wait, _) => return Ok(Kept::Later(AGAIN)),
        (Step::Leave | Step::Rotate, _) => return Ok(Kept::Unchanged),
    };
    outcome(written, key.name)
}

fn held(contents: &Contents) -> Held<'_> {
    Held {
        owners: &contents.owners,
        rotation: contents.rotation.as_deref(),
        password: contents.data.get(PASSWORD).map(Vec::as_slice),
    }
}

/// The version that was read, which is what a rotation changes and no other.
fn live(contents: &Contents) -> Live {
    Live {
        uid: contents.uid.clone(),
        resource_version: contents.resource_version.clone(),
        owner: Owner::Ours,
        is_deleting: false,
        value: serde_json::Value::Null,
    }
}

fn outcome(written: Result<(), kube::Error>, name: String) -> Result<Kept, Error> {
    match written {
        Ok(()) => Ok(Kept::Written),
        // Somebody was faster: what is there now is looked at.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(Kept::Later(AGAIN)),
        Err(error @ kube::Error::Api(_)) => match refused("create", error) {
            Applied::Refused(Refusal::Forbidden { message, .. } | Refusal::Invalid(message)) => Ok(
                Kept::Refused(format!("Secret {name} cannot be written: {message}")),
            ),
            _ => Ok(Kept::Later(AGAIN)),
        },
        Err(cause) => Err(Error::Create { name, cause }),
    }
}
