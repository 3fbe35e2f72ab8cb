//! What the controller of networks decided about users, for the controller of users. It is lost with the process: until a
//! network has been decided anew, what is stored of its users stands (P16).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use kube::runtime::reflector::ObjectRef;
use tokio::sync::mpsc::UnboundedSender;

use super::view::UserView;
use crate::api::BrokerUser;

/// Whom news are about.
pub type UserTrigger = ObjectRef<BrokerUser>;

/// What is known of a user's network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// Nothing yet.
    Unknown,
    /// There is none of the name.
    NoNetwork,
    /// It has been decided, and the user was not there then.
    NotYet,
    /// What was decided.
    View(Arc<UserView>),
}

enum Known {
    Absent,
    Decided(BTreeMap<String, Arc<UserView>>),
}

/// Decisions about the users of all networks. The mutex guards the map alone and is never held across a wait.
pub struct Decisions {
    known: Mutex<BTreeMap<(String, String), Known>>,
    changes: UnboundedSender<UserTrigger>,
}

impl Decisions {
    /// Knows nothing yet; whoever listens at `changes` hears of users about whom something else was decided.
    #[must_use]
    pub fn new(changes: UnboundedSender<UserTrigger>) -> Self {
        Self {
            known: Mutex::default(),
            changes,
        }
    }

    /// A network was decided: only those users are told of for whom it makes a difference.
    pub fn publish(&self, namespace: &str, network: &str, views: BTreeMap<String, UserView>) {
        let key = (namespace.to_owned(), network.to_owned());
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before = match known.remove(&key) {
            Some(Known::Decided(before)) => before,
            Some(Known::Absent) | None => BTreeMap::new(),
        };
        let mut changed = Vec::new();
        let mut now = BTreeMap::new();
        for (user, view) in views {
            let view = match before.remove(&user) {
                Some(before) if *before == view => before,
                _ => {
                    changed.push(user.clone());
                    Arc::new(view)
                }
            };
            now.insert(user, view);
        }
        known.insert(key, Known::Decided(now));
        drop(known);
        self.tell(namespace, changed);
    }

    /// There is no such network; `users` name it.
    pub fn absent(&self, namespace: &str, network: &str, users: Vec<String>) {
        let key = (namespace.to_owned(), network.to_owned());
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match users.is_empty() {
            true => known.remove(&key),
            false => known.insert(key, Known::Absent),
        };
        drop(known);
        self.tell(namespace, users);
    }

    /// What is known of a user's network.
    #[must_use]
    pub fn of(&self, namespace: &str, network: &str, user: &str) -> Seen {
        let key = (namespace.to_owned(), network.to_owned());
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get(&key) {
            None => Seen::Unknown,
            Some(Known::Absent) => Seen::NoNetwork,
            Some(Known::Decided(views)) => match views.get(user) {
                Some(view) => Seen::View(Arc::clone(view)),
                None => Seen::NotYet,
            },
        }
    }

    fn tell(&self, namespace: &str, users: Vec<String>) {
        for user in users {
            // Nobody listens any more when the operator ends.
            let _ = self.changes.send(ObjectRef::new(&user).within(namespace));
        }
    }
}
