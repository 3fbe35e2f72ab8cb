//! Events of a user: what the difference of two statuses is worth telling.

use super::status::stored;
use crate::api::condition::{ConditionType, EventKind, Reason};
use crate::api::status::BrokerUserStatus;
use crate::network::status::Note;
use crate::network::status::conditions::Verdict;

/// What is to be told of a change.
#[must_use]
pub fn notes(old: &BrokerUserStatus, new: &BrokerUserStatus) -> Vec<Note> {
    let stalled = |status| stored(status, ConditionType::Stalled).and_then(Verdict::of);
    let mut notes = Vec::new();
    match (stalled(old), stalled(new)) {
        (before, Some(now)) if before.as_ref().map(|one| one.reason) != Some(now.reason) => {
            let kind = match now.reason {
                Reason::SecretNotOwned => EventKind::SecretNotOwned,
                _ => EventKind::Stalled,
            };
            notes.push(Note::warning(
                kind,
                format!("{}: {}", now.reason, now.message),
            ));
        }
        (Some(before), None) => {
            let message = format!("{} is over", before.reason);
            notes.push(Note::news(EventKind::Recovered, message));
        }
        _ => {}
    }
    notes.extend(ignored(old, new));
    let is_generated = old.secret_ref.is_some() && new.secret_ref == old.secret_ref;
    if let (Some(before), Some(now)) = (&old.credential_version, &new.credential_version)
        && is_generated
        && before != now
    {
        let message = format!("the password of rotation {now} is in force");
        notes.push(Note::news(EventKind::CredentialRotated, message));
    }
    notes
}

/// Annotations that are misspelt, as the message of Ready names them.
fn ignored(old: &BrokerUserStatus, new: &BrokerUserStatus) -> Vec<Note> {
    let told = |status: &BrokerUserStatus| -> Vec<String> {
        let ready = stored(status, ConditionType::Ready);
        let parts = ready
            .into_iter()
            .flat_map(|ready| ready.message.split("; "));
        let parts = parts.filter(|part| part.starts_with("metadata.annotations"));
        parts.map(str::to_owned).collect()
    };
    let before = told(old);
    let news = told(new).into_iter().filter(|part| !before.contains(part));
    news.map(|part| Note::warning(EventKind::AnnotationIgnored, part))
        .collect()
}
