//! One reconcile of a user: what was decided → the Secret of a generated password → status.

use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use kube::api::Api;
use kube::runtime::controller::Action;
use kube::{Resource as _, ResourceExt as _};

use super::decided::Seen;
use super::events;
use super::keeper::{self, Kept};
use super::status::{self, Computed};
use crate::api::BrokerUser;
use crate::kube_io;
use crate::network::context::Context;
use crate::network::error::Error;
use crate::network::report;

/// Name of the controller in metrics.
pub const CONTROLLER: &str = "user";
/// A Secret that the API server refuses is tried again after this time.
const REFUSED: Duration = Duration::from_secs(30);

/// Reconciles a user and counts it.
///
/// # Errors
/// Something could not be read or written; it is tried again.
pub async fn reconcile(user: Arc<BrokerUser>, context: Arc<Context>) -> Result<Action, Error> {
    let begin = Instant::now();
    let result = run(&user, &context).await;
    let word = match &result {
        Ok((_, word)) => word,
        Err(_) => "error",
    };
    let seconds = begin.elapsed().as_secs_f64();
    context.metrics.finished(CONTROLLER, word, seconds);
    result.map(|(action, _)| action)
}

/// What is done after an error.
pub fn error_policy(user: Arc<BrokerUser>, error: &Error, context: Arc<Context>) -> Action {
    context.metrics.failed(CONTROLLER, error.reason());
    tracing::warn!(user = %user.name_any(), %error, "not reconciled");
    Action::requeue(match error.is_passing() {
        true => {
            let uid = user.uid().unwrap_or_default();
            context.memory.attempts.failed(&uid, error.retry())
        }
        false => error.retry(),
    })
}

async fn run(user: &BrokerUser, context: &Context) -> Result<(Action, &'static str), Error> {
    if user.metadata.deletion_timestamp.is_some() {
        return Ok((Action::await_change(), "unchanged"));
    }
    let namespace = user.namespace().unwrap_or_default();
    let network = &user.spec.network_ref.name;
    let seen = context.decisions.of(&namespace, network, &user.name_any());
    let kept = match &seen {
        Seen::View(view) if status::is_about(user, view) => {
            keeper::keep(user, view, context).await?
        }
        _ => Kept::Unchanged,
    };
    let trouble = match &kept {
        Kept::Refused(message) => Some(message.as_str()),
        Kept::Unchanged | Kept::Written | Kept::Later(_) => None,
    };
    let computed = status::compute(Timestamp::now(), user, &seen, trouble);
    let (word, wait) = report(user, context, &computed).await?;
    let uid = user.uid().unwrap_or_default();
    context.memory.attempts.succeeded(&uid);
    let again = match kept {
        Kept::Later(again) => Some(again),
        Kept::Refused(_) => Some(REFUSED),
        Kept::Unchanged | Kept::Written => None,
    };
    let next = [computed.next, again, wait].into_iter().flatten().min();
    let action = next.map_or_else(Action::await_change, Action::requeue);
    let word = if kept == Kept::Written {
        "changed"
    } else {
        word
    };
    Ok((action, word))
}

/// Writes the status where it says something new that lasts; else returns when it will have lasted.
async fn report(
    user: &BrokerUser,
    context: &Context,
    computed: &Computed,
) -> Result<(&'static str, Option<Duration>), Error> {
    let uid = user.uid().unwrap_or_default();
    let new = computed.status.as_ref();
    let Some(new) = new.filter(|new| user.status.as_ref() != Some(new)) else {
        context.memory.settled(&uid);
        return Ok(("unchanged", None));
    };
    let now = Instant::now();
    let left = match computed.patience {
        Duration::ZERO => None,
        patience => context
            .memory
            .left(&uid, &status::summary(new), patience, now),
    };
    if let Some(left) = left {
        return Ok(("waiting", Some(left)));
    }
    let namespace = user.namespace().unwrap_or_default();
    let api: Api<BrokerUser> = Api::namespaced(context.client.clone(), &namespace);
    match kube_io::status::write(&api, user, new, &context.metrics).await {
        Ok(()) => {}
        // It is gone, or another by now: there is nothing to tell of it.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {
            return Ok(("waiting", None));
        }
        Err(cause) => return Err(Error::Status(cause)),
    }
    context.memory.settled(&uid);
    let old = user.status.clone().unwrap_or_default();
    for note in events::notes(&old, new) {
        report::tell(context, &user.object_ref(&()), &note).await;
    }
    Ok(("changed", None))
}
