//! What a BrokerUser says of itself: old status and what was decided become the new status.
//!
//! `Applied` is True when every local broker that is meant to run tells that it has the user exactly as declared, and never
//! otherwise. Until a broker has been asked what is stored of it stands (P16). A state that ends by itself in a moment is
//! not worth a write: it is written once it has lasted for [`Computed::patience`].

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

use super::decided::Seen;
use super::password;
use super::view::{Ack, UserView};
use crate::api::condition::{ConditionType, Reason, Truth};
use crate::api::shared::NameRef;
use crate::api::status::{BrokerUserStatus, UserSiteStatus};
use crate::api::user::{BrokerUser, UserState};
use crate::names;
use crate::network::status::clock::{Clock, whole};
use crate::network::status::conditions::{Verdict, list, stamped};
use crate::network::status::stalled;

/// A broker mostly takes what is new within this time.
const MOMENT: Duration = Duration::from_secs(1);
/// What is applied together comes within this time, in whatever order: a network after its users, a Secret after both.
const TOGETHER: Duration = Duration::from_secs(10);

/// A status.
#[derive(Debug, Clone, PartialEq)]
pub struct Computed {
    /// The new status; absent: what is stored stands.
    pub status: Option<BrokerUserStatus>,
    /// The status is worth a write once the same has been so for this time.
    pub patience: Duration,
    /// After this time an age passes that changes the status, if nothing else happens.
    pub next: Option<Duration>,
}

/// Computes the status of a user; `trouble` is why the Secret of a generated password cannot be written.
#[must_use]
pub fn compute(now: Timestamp, user: &BrokerUser, seen: &Seen, trouble: Option<&str>) -> Computed {
    let old = user.status.clone().unwrap_or_default();
    let facts = Facts {
        user,
        old: &old,
        trouble,
        clock: Clock::new(now),
    };
    let found = match seen {
        Seen::Unknown => None,
        Seen::NoNetwork => Some((facts.without_network(), TOGETHER)),
        Seen::NotYet => Some((facts.behind(), TOGETHER)),
        Seen::View(view) if !is_about(user, view) => Some((facts.behind(), TOGETHER)),
        Seen::View(view) => facts.decided(view),
    };
    let (status, patience) = match found {
        Some((status, patience)) => (Some(status), patience),
        None => (None, Duration::ZERO),
    };
    Computed {
        status,
        patience,
        next: facts.clock.next(),
    }
}

/// Whether a decision is about the object as it is now.
#[must_use]
pub fn is_about(user: &BrokerUser, view: &UserView) -> bool {
    let uid = user.metadata.uid.as_deref().unwrap_or_default();
    view.uid == uid && Some(view.generation) == user.metadata.generation
}

/// What a status says in short: while this is the same, it lasts.
#[must_use]
pub fn summary(status: &BrokerUserStatus) -> String {
    let conditions = status.conditions.iter().flatten();
    let words = conditions.map(|one| format!("{}={} {}", one.type_, one.status, one.reason));
    let generation = status.observed_generation.unwrap_or_default();
    format!("{generation} {}", words.collect::<Vec<_>>().join(", "))
}

pub(super) fn stored(status: &BrokerUserStatus, kind: ConditionType) -> Option<&Condition> {
    let mut conditions = status.conditions.iter().flatten();
    conditions.find(|condition| condition.type_ == kind.as_str())
}

/// The conditions of a user.
struct Conditions {
    ready: Verdict,
    applied: Verdict,
    reconciling: Option<Verdict>,
    stalled: Option<Verdict>,
}

impl Conditions {
    fn waiting(ready: Verdict, applied: Verdict, reason: Reason, message: &str) -> Self {
        Self {
            ready,
            applied,
            reconciling: Some(Verdict::yes(reason, message)),
            stalled: None,
        }
    }

    fn stalled(applied: Verdict, reason: Reason, message: &str) -> Self {
        Self {
            ready: Verdict::no(Reason::Stalled, message),
            applied,
            reconciling: None,
            stalled: Some(Verdict::yes(reason, message)),
        }
    }

    /// Nothing comes by itself while the network is paused.
    fn paused(applied: Verdict, message: &str) -> Self {
        Self::settled(Verdict::no(Reason::PausedByAnnotation, message), applied)
    }

    fn settled(ready: Verdict, applied: Verdict) -> Self {
        Self {
            ready,
            applied,
            reconciling: None,
            stalled: None,
        }
    }
}

struct Facts<'a> {
    user: &'a BrokerUser,
    old: &'a BrokerUserStatus,
    trouble: Option<&'a str>,
    clock: Clock,
}

impl Facts<'_> {
    fn generation(&self) -> Option<i64> {
        self.user.metadata.generation
    }

    /// Whether what is stored is about the object, and the credential, of now.
    fn is_stored(&self, view: &UserView) -> bool {
        self.old.observed_generation == self.generation()
            && self.old.credential_version == view.credential
    }

    fn without_network(&self) -> BrokerUserStatus {
        let network = &self.user.spec.network_ref.name;
        let message = format!("there is no BrokerNetwork {network} in this namespace");
        let applied = Verdict::unknown(Reason::NotObserved, &message);
        let conditions = Conditions::stalled(applied, Reason::NetworkNotFound, &message);
        self.status(None, &[], conditions)
    }

    /// The network has not been looked at since the user was made or changed.
    fn behind(&self) -> BrokerUserStatus {
        let network = &self.user.spec.network_ref.name;
        let message = format!("BrokerNetwork {network} has not been looked at with this user yet");
        let unseen = || Verdict::unknown(Reason::NotObserved, &message);
        let conditions = Conditions::waiting(unseen(), unseen(), Reason::NewGeneration, &message);
        self.status(None, &[], conditions)
    }

    fn decided(&self, view: &UserView) -> Option<(BrokerUserStatus, Duration)> {
        let rows = self.rows(view);
        if let Some((reason, message)) = &view.problem {
            let doubts = view.doubts.iter().map(|doubts| format!("; {doubts}"));
            let message = format!("{message}{}", doubts.collect::<String>());
            return Some(self.wrong(view, &rows, *reason, &message));
        }
        if let Some(message) = &view.blocked
            && !view.sites.is_empty()
        {
            if self.is_stored(view) {
                return None;
            }
            let status = self.status(Some(view), &rows, self.blocked(view, message));
            return Some((status, MOMENT));
        }
        let conditions = self.settle(view, &rows);
        let patience = match conditions.reconciling {
            Some(_) => MOMENT,
            None => Duration::ZERO,
        };
        Some((self.status(Some(view), &rows, conditions), patience))
    }

    /// Each site that is meant to run, with what its broker says, or said before the operator started.
    fn rows(&self, view: &UserView) -> Vec<(UserSiteStatus, Ack)> {
        let is_rotated = match password::rotation(&self.user.spec) {
            Some(wanted) => view.credential.as_deref() == Some(wanted),
            None => true,
        };
        let before = |name: &str| {
            let mut rows = self.old.sites.iter().flatten();
            let row = rows.find(|row| row.name == name && self.is_stored(view))?;
            Some(row.applied.clone())
        };
        let sites = view.sites.iter();
        sites
            .map(|(site, ack)| {
                let ack = match ack {
                    Ack::Same if !is_rotated => Ack::Other,
                    other => *other,
                };
                let unknown = || Truth::Unknown.as_str().to_owned();
                let applied = match ack {
                    Ack::Same => Truth::True.as_str().to_owned(),
                    Ack::Other => Truth::False.as_str().to_owned(),
                    Ack::Lost => unknown(),
                    Ack::NotAsked => before(site.as_str()).unwrap_or_else(unknown),
                };
                let name = site.to_string();
                (UserSiteStatus { name, applied }, ack)
            })
            .collect()
    }

    fn wrong(
        &self,
        view: &UserView,
        rows: &[(UserSiteStatus, Ack)],
        reason: Reason,
        message: &str,
    ) -> (BrokerUserStatus, Duration) {
        let applied = match view.is_served {
            true => self.applied(view, rows),
            false => Verdict::no(Reason::Pending, "left out of what the brokers get"),
        };
        let is_suspended = self.user.spec.state == Some(UserState::Suspended);
        let message = &match view.is_served && !is_suspended {
            true => format!("{message}; the user is still let in with what was in force"),
            false => message.to_owned(),
        };
        if reason != Reason::SecretNotFound {
            let conditions = Conditions::stalled(applied, reason, message);
            return (self.status(Some(view), rows, conditions), Duration::ZERO);
        }
        let before = stored(self.old, ConditionType::Reconciling).and_then(Verdict::of);
        let since = before.and_then(|before| stalled::date(&before, Reason::WaitingForSecret));
        let since = since.map_or_else(|| self.clock.now(), Time);
        let was_given_up = stored(self.old, ConditionType::Stalled)
            .is_some_and(|before| before.reason == reason.as_str());
        let is_given_up = was_given_up || self.clock.has_passed(since.0, stalled::PATIENCE);
        if is_given_up {
            let conditions = Conditions::stalled(applied, reason, message);
            return (self.status(Some(view), rows, conditions), Duration::ZERO);
        }
        if view.is_paused {
            let conditions = Conditions::paused(applied, &self.while_paused(message));
            return (self.status(Some(view), rows, conditions), Duration::ZERO);
        }
        let patience = match self.trouble {
            Some(_) => Duration::ZERO,
            None => MOMENT,
        };
        let message = stalled::dated(self.trouble.unwrap_or(message), &whole(since.0));
        let ready = Verdict::no(Reason::Progressing, &message);
        let waiting = Conditions::waiting(ready, applied, Reason::WaitingForSecret, &message);
        (self.status(Some(view), rows, waiting), patience)
    }

    fn while_paused(&self, message: &str) -> String {
        let network = &self.user.spec.network_ref.name;
        format!("{message}; BrokerNetwork {network} is paused, so that nothing is written")
    }

    fn blocked(&self, view: &UserView, message: &str) -> Conditions {
        let network = &self.user.spec.network_ref.name;
        let message = format!("BrokerNetwork {network} cannot be applied: {message}");
        let pending = Verdict::no(Reason::Pending, &message);
        if view.is_paused {
            return Conditions::paused(pending, &self.while_paused(&message));
        }
        Conditions::waiting(
            Verdict::no(Reason::Progressing, &message),
            pending,
            Reason::WaitingForBroker,
            &message,
        )
    }

    fn settle(&self, view: &UserView, rows: &[(UserSiteStatus, Ack)]) -> Conditions {
        let applied = self.applied(view, rows);
        let message = match &view.doubts {
            Some(doubts) => format!("{}; {doubts}", applied.message),
            None => applied.message.clone(),
        };
        let is_suspended = self.user.spec.state == Some(UserState::Suspended);
        let ready = match (applied.truth, applied.reason) {
            (Truth::True, _) if is_suspended => Verdict::yes(Reason::Suspended, &message),
            (Truth::True, _) => Verdict::yes(Reason::Applied, &message),
            (_, Reason::NoLocalSite) => Verdict::yes(Reason::NoLocalSite, &message),
            (Truth::False, _) if view.is_paused => {
                return Conditions::paused(applied, &self.while_paused(&message));
            }
            (Truth::False, _) => Verdict::no(Reason::Progressing, &message),
            (Truth::Unknown, _) => Verdict::unknown(Reason::NotObserved, &message),
        };
        match ready.truth {
            Truth::True => Conditions::settled(ready, applied),
            Truth::False | Truth::Unknown => {
                Conditions::waiting(ready, applied, Reason::WaitingForBroker, &message)
            }
        }
    }

    /// `Applied`, of a user that the files hold.
    fn applied(&self, view: &UserView, rows: &[(UserSiteStatus, Ack)]) -> Verdict {
        if view.local_sites.is_empty() {
            let message = "no site of this cluster knows the user";
            return Verdict::unknown(Reason::NoLocalSite, message);
        }
        if rows.is_empty() {
            let message = "every site of this cluster that knows the user is stopped";
            return Verdict::unknown(Reason::NoLocalSite, message);
        }
        let of = |truth: Truth| {
            let rows = rows
                .iter()
                .filter(move |(row, _)| row.applied == truth.as_str());
            list(rows.map(|(row, _)| row.name.as_str()))
        };
        if let Some(sites) = of(Truth::False) {
            let yet = if view.is_paused { "" } else { "yet " };
            return Verdict::no(Reason::Pending, format!("not {yet}in force at {sites}"));
        }
        if let Some(sites) = of(Truth::Unknown) {
            let is_lost = rows.iter().any(|(_, ack)| *ack == Ack::Lost);
            return match is_lost {
                true => {
                    let message = format!("no answer from {sites}");
                    Verdict::unknown(Reason::BrokerUnreachable, message)
                }
                false => self.unasked(view, &sites),
            };
        }
        let sites = of(Truth::True).unwrap_or_default();
        Verdict::yes(Reason::Applied, format!("in force at {sites}"))
    }

    /// What is stored of a broker that has not been asked since the operator started stands.
    fn unasked(&self, view: &UserView, sites: &str) -> Verdict {
        let before = stored(self.old, ConditionType::Applied).and_then(Verdict::of);
        let before = before.filter(|before| {
            before.truth == Truth::Unknown
                && self.is_stored(view)
                && before.reason != Reason::NoLocalSite
        });
        let message = format!("no answer yet from {sites}");
        before.unwrap_or_else(|| Verdict::unknown(Reason::NotObserved, message))
    }

    fn status(
        &self,
        view: Option<&UserView>,
        rows: &[(UserSiteStatus, Ack)],
        conditions: Conditions,
    ) -> BrokerUserStatus {
        let name = self.user.metadata.name.as_deref().unwrap_or_default();
        let spec = &self.user.spec;
        let local = view.map(|view| &view.local_sites).into_iter().flatten();
        let count = rows
            .iter()
            .filter(|(row, _)| row.applied == Truth::True.as_str())
            .count();
        let is_in_force = !rows.is_empty() && count == rows.len();
        let credential = view.filter(|_| is_in_force).map(|view| &view.credential);
        let is_made = view.is_some_and(|view| view.is_served);
        let is_generated = password::rotation(spec).is_some();
        BrokerUserStatus {
            observed_generation: self.generation(),
            username: Some(spec.username.as_deref().unwrap_or(name).to_owned()),
            local_sites: Some(local.map(ToString::to_string).collect()),
            summary: Some(format!("{count}/{}", rows.len())),
            sites: Some(rows.iter().map(|(row, _)| row.clone()).collect()),
            credential_version: match credential {
                Some(credential) => credential.clone(),
                None => self.old.credential_version.clone(),
            },
            secret_ref: (is_generated && is_made).then(|| NameRef {
                name: names::generated_secret(name),
            }),
            conditions: Some(self.conditions(conditions)),
        }
    }

    fn conditions(&self, conditions: Conditions) -> Vec<Condition> {
        let verdicts = [
            (ConditionType::Ready, Some(conditions.ready)),
            (ConditionType::Applied, Some(conditions.applied)),
            (ConditionType::Reconciling, conditions.reconciling),
            (ConditionType::Stalled, conditions.stalled),
        ];
        let stamp = |(kind, verdict): (ConditionType, Option<Verdict>)| {
            let before = stored(self.old, kind);
            Some(stamped(
                kind,
                verdict?,
                before,
                self.generation(),
                &self.clock,
            ))
        };
        verdicts.into_iter().filter_map(stamp).collect()
    }
}
