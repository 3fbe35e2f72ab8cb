//! Events: what the difference of two statuses is worth telling, so that loops and restarts repeat nothing.

use k8s_openapi::api::core::v1::ObjectReference;

use super::conditions::{Verdict, list};
use super::links::{is_up, was_up};
use super::reconciling::HELD_MARK;
use crate::api::condition::{ConditionType, EventKind, Reason, Truth};
use crate::api::status::{BrokerNetworkStatus, LinkState, LinkStatus, SiteStatus};
use crate::model::observed::{Applied, ChildKey, Outcome};

/// An Event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Its kind.
    pub kind: EventKind,
    /// Somebody should look.
    pub is_warning: bool,
    /// What happened.
    pub message: String,
    /// Which part of the object it is about.
    pub about: About,
}

/// Which part of an object an Event is about: those of one kind about the same part are counted as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// All of it.
    Whole,
    /// A site.
    Site(String),
    /// A link: of one at most one Event is sent in a minute.
    Link(String),
    /// An object that was made for it.
    Child(ChildKey),
}

impl Note {
    /// Something that happened.
    pub(crate) fn news(kind: EventKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            is_warning: false,
            message: message.into(),
            about: About::Whole,
        }
    }

    /// Something that somebody should look at.
    pub(crate) fn warning(kind: EventKind, message: impl Into<String>) -> Self {
        Self {
            is_warning: true,
            ..Self::news(kind, message)
        }
    }

    /// An object that means nothing to this version.
    #[must_use]
    pub fn unreadable(error: &str) -> Self {
        let reason = Reason::SpecInvalid;
        let message = format!(
            "{reason}: this version of the operator cannot read it, so what was changed in it is not in force: {error}"
        );
        Self::warning(EventKind::Stalled, message)
    }

    fn of(self, about: About) -> Self {
        Self { about, ..self }
    }

    fn of_site(self, site: &str) -> Self {
        self.of(About::Site(site.to_owned()))
    }

    /// That part as an Event names it beside the `object`; nothing where it is about all of it.
    #[must_use]
    pub fn related(&self, object: &ObjectReference) -> Option<ObjectReference> {
        let part = |path| ObjectReference {
            field_path: Some(path),
            ..object.clone()
        };
        Some(match &self.about {
            About::Whole => return None,
            About::Site(site) => part(format!("spec.sites{{{site}}}")),
            About::Link(link) => part(format!("spec.links{{{link}}}")),
            About::Child(key) => ObjectReference {
                api_version: Some(key.kind.api_version().to_owned()),
                kind: Some(key.kind.as_str().to_owned()),
                name: Some(key.name.clone()),
                namespace: object.namespace.clone(),
                ..ObjectReference::default()
            },
        })
    }
}

/// What is to be told of objects that were put back.
pub fn restored(outcome: &Outcome) -> impl Iterator<Item = Note> {
    let objects = outcome.objects.iter();
    let restored = objects.filter(|(_, applied)| **applied == Applied::Restored);
    restored.map(|(key, _)| {
        let message = format!("{key} was changed by somebody else and is as declared again");
        Note::news(EventKind::Restored, message).of(About::Child(key.clone()))
    })
}

/// What is to be told of a change.
pub fn between(old: &BrokerNetworkStatus, new: &BrokerNetworkStatus) -> Vec<Note> {
    let mut notes = claims(old, new);
    for row in new.sites.iter().flatten() {
        let mut before = old.sites.iter().flatten();
        let before = before.find(|before| before.name == row.name);
        notes.extend(config(before, row));
    }
    for row in new.links.iter().flatten() {
        let mut before = old.links.iter().flatten();
        let before = before.find(|before| before.name == row.name);
        notes.extend(before.into_iter().flat_map(|before| link(before, row)));
        notes.extend(before.is_none().then(|| first(row)).flatten());
    }
    notes.extend(conditions(old, new));
    notes
}

fn claims(old: &BrokerNetworkStatus, new: &BrokerNetworkStatus) -> Vec<Note> {
    let of = |status: &BrokerNetworkStatus| status.local_sites.clone().unwrap_or_default();
    let (before, now) = (of(old), of(new));
    if before == now {
        return Vec::new();
    }
    let acting = match list(now.iter()) {
        Some(sites) => format!("this cluster runs {sites}"),
        None => "this cluster runs no site".to_owned(),
    };
    let mut notes = vec![Note::news(EventKind::ActingAs, acting)];
    let added = now.iter().filter(|site| !before.contains(site));
    notes.extend(added.map(|site| {
        let message = format!("site {site} is made in this cluster");
        Note::news(EventKind::SiteCreated, message).of_site(site)
    }));
    let stalled = Verdict::stored(new, ConditionType::Stalled);
    let is_held = stalled.is_some_and(|stalled| stalled.reason == Reason::SiteRemovalHeld);
    let removed = before.iter().filter(|site| !now.contains(site) && !is_held);
    notes.extend(removed.map(|site| {
        let message = format!("site {site} is no longer of this cluster");
        Note::news(EventKind::SiteRemoved, message).of_site(site)
    }));
    notes
}

fn config(old: Option<&SiteStatus>, new: &SiteStatus) -> Option<Note> {
    let now = new.config.as_ref()?;
    let before = old.and_then(|row| row.config.as_ref());
    if let Some(error) = &now.error {
        let is_new = before.and_then(|before| before.error.as_ref()) != Some(error);
        let message = format!("{} refuses its configuration: {error}", new.name);
        let note = Note::warning(EventKind::ConfigRejected, message);
        return is_new.then(|| note.of_site(&new.name));
    }
    let is_applied = |desired: &str, applied: &Option<String>| applied.as_deref() == Some(desired);
    let was_applied = before.is_some_and(|before| is_applied(&now.desired, &before.applied));
    // Without the hash: the next one would be counted under the words of this.
    let message = format!("{} runs what is declared", new.name);
    (is_applied(&now.desired, &now.applied) && !was_applied)
        .then(|| Note::news(EventKind::ConfigApplied, message).of_site(&new.name))
}

const fn is_refused(state: LinkState) -> bool {
    matches!(state, LinkState::Refused | LinkState::AuthFailed)
}

/// A link that was not there before.
fn first(row: &LinkStatus) -> Option<Note> {
    let nothing = LinkStatus {
        name: row.name.clone(),
        ..LinkStatus::default()
    };
    link(&nothing, row).into_iter().next()
}

fn link(old: &LinkStatus, new: &LinkStatus) -> Vec<Note> {
    let name = &new.name;
    let error = new.ends.iter().flatten().find_map(|end| {
        let error = end.last_error.as_ref()?;
        Some(format!(": {}: {error}", end.site))
    });
    let error = error.unwrap_or_default();
    let mut notes = Vec::new();
    let is_down = matches!(
        new.state,
        LinkState::Down | LinkState::Blocked | LinkState::Connecting
    );
    let was_there = is_up(old.state) || (old.state == LinkState::Unknown && was_up(old));
    if is_up(new.state) && !is_up(old.state) {
        notes.push(Note::news(EventKind::LinkUp, format!("link {name} is up")));
    } else if is_refused(new.state) && !is_refused(old.state) {
        let message = format!("link {name} is {:?}{error}", new.state);
        notes.push(Note::warning(EventKind::LinkRefused, message));
    } else if is_down && was_there {
        let message = format!("link {name} is {:?}{error}", new.state);
        notes.push(Note::warning(EventKind::LinkDown, message));
    }
    notes.extend(rotated(old, new));
    let about = || About::Link(name.clone());
    notes.into_iter().map(|note| note.of(about())).collect()
}

fn rotated(old: &LinkStatus, new: &LinkStatus) -> Option<Note> {
    let mut ends = new.ends.iter().flatten();
    let (site, word) = ends.find_map(|end| {
        let mut before = old.ends.iter().flatten();
        let before = before.find(|before| before.site == end.site)?;
        let (was, is) = (before.credential.as_ref()?, end.credential.as_ref()?);
        // A password that has become the previous one is the first half of a rotation, not its end.
        (was != is && is != "Previous").then(|| (&end.site, is.to_lowercase()))
    })?;
    let message = format!(
        "link {} runs with the {word} credential at {site}",
        new.name
    );
    Some(Note::news(EventKind::CredentialRotated, message))
}

fn conditions(old: &BrokerNetworkStatus, new: &BrokerNetworkStatus) -> Vec<Note> {
    let both = |kind| (Verdict::stored(old, kind), Verdict::stored(new, kind));
    let mut notes = Vec::new();
    let (before, now) = both(ConditionType::PeersInSync);
    notes.extend(peers(before.as_ref(), now.as_ref()));
    let (before, now) = both(ConditionType::Reconciling);
    notes.extend(rolls(before.as_ref(), now.as_ref()));
    let (before, now) = both(ConditionType::TLSValid);
    let kind = EventKind::CertificateExpiresSoon;
    notes.extend(became(
        before.as_ref(),
        now.as_ref(),
        Reason::ExpiresSoon,
        kind,
    ));
    let (before, now) = both(ConditionType::Ready);
    let kind = EventKind::PodCreationRefused;
    let refused = Reason::PodCreationRefused;
    notes.extend(became(before.as_ref(), now.as_ref(), refused, kind));
    let (before, now) = both(ConditionType::Degraded);
    notes.extend(outdated(before.as_ref(), now.as_ref()));
    notes.extend(ignored(before.as_ref(), now.as_ref()));
    let (before, now) = both(ConditionType::Stalled);
    notes.extend(stalled(before.as_ref(), now.as_ref()));
    notes
}

/// A condition that has got a reason.
fn became(
    old: Option<&Verdict>,
    new: Option<&Verdict>,
    reason: Reason,
    kind: EventKind,
) -> Option<Note> {
    let new = new.filter(|new| new.reason == reason)?;
    let is_new = old.is_none_or(|old| old.reason != reason);
    is_new.then(|| Note::warning(kind, &new.message))
}

fn peers(old: Option<&Verdict>, new: Option<&Verdict>) -> Option<Note> {
    let (was, is) = (old.map(|old| old.truth), new?);
    match (was, is.truth) {
        (was, Truth::False) if was != Some(Truth::False) => {
            Some(Note::warning(EventKind::PeerOutOfSync, &is.message))
        }
        (Some(Truth::False), Truth::True) => Some(Note::news(EventKind::PeerInSync, &is.message)),
        _ => None,
    }
}

fn rolls(old: Option<&Verdict>, new: Option<&Verdict>) -> Option<Note> {
    let is_rolling = |verdict: &&Verdict| verdict.reason == Reason::Rolling;
    let (was, is) = (old.filter(is_rolling), new.filter(is_rolling));
    let is_held = |verdict: &Verdict| verdict.message.starts_with(HELD_MARK);
    match (was, is) {
        (None, Some(is)) => Some(Note::news(EventKind::RollStarted, &is.message)),
        (Some(was), Some(is)) if is_held(is) && !is_held(was) => {
            Some(Note::warning(EventKind::RollHeld, &is.message))
        }
        (Some(_), None) => Some(Note::news(EventKind::RollFinished, "every broker is back")),
        _ => None,
    }
}

/// What `Degraded` says for one reason.
fn part(verdict: &Verdict, reason: Reason) -> Option<String> {
    let start = format!("{reason}: ");
    let mut parts = verdict.message.split("; ");
    parts.find_map(|part| part.strip_prefix(&start).map(str::to_owned))
}

fn outdated(old: Option<&Verdict>, new: Option<&Verdict>) -> Option<Note> {
    let told = part(new?, Reason::CRDOutdated)?;
    let is_new = old.and_then(|old| part(old, Reason::CRDOutdated)).is_none();
    is_new.then(|| Note::warning(EventKind::CRDOutdated, told))
}

/// Another annotation is another mistake.
fn ignored(old: Option<&Verdict>, new: Option<&Verdict>) -> Option<Note> {
    let told = part(new?, Reason::AnnotationIgnored)?;
    let before = old.and_then(|old| part(old, Reason::AnnotationIgnored));
    (before.as_ref() != Some(&told)).then(|| Note::warning(EventKind::AnnotationIgnored, told))
}

fn stalled(old: Option<&Verdict>, new: Option<&Verdict>) -> Option<Note> {
    match (old, new) {
        (Some(_), None) => Some(Note::news(EventKind::Recovered, "it goes on again")),
        (old, Some(new)) if old.is_none_or(|old| old.reason != new.reason) => {
            let kind = match new.reason {
                Reason::SecretNotOwned => EventKind::SecretNotOwned,
                _ => EventKind::Stalled,
            };
            let message = format!("{}: {}", new.reason, new.message);
            Some(Note::warning(kind, message))
        }
        _ => None,
    }
}
