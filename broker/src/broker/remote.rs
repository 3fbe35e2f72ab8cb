//! The door to other brokers: what the local broker asks of the mesh.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::Broker;
use super::matching::TopicRoute;
use super::publish::PublishError;
use crate::model::{Destination, Kind, MessageView};
use crate::queue::monitors::ReplyFacts;
use crate::queue::{Forwarded, QueueCell, Work};
use crate::selector::Selector;

/// A change of what consumers here want.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// What a subscription asks for.
    pub filter: Destination,
    /// Of that, only what matches.
    pub selector: Option<Selector>,
    /// True when it is new, false when it is gone.
    pub is_new: bool,
}

/// How fast the producer of a message that went to other brokers may go on (R10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As fast as it likes.
    Free,
    /// The ring of a link on the way is three quarters full.
    Slow,
}

/// What the mesh does for the broker. Called from any task; none of it waits.
pub trait Remote: Send + Sync + std::fmt::Debug {
    /// The id of this broker.
    fn bid(&self) -> [u8; 16];
    /// A subscription came or went.
    fn interest(&self, change: Wanted);
    /// Adds the brokers that want a topic.
    fn topic_interest(&self, name: &str, route: &mut TopicRoute);
    /// True when another broker has consumers of that very queue, or a route to it was learned.
    fn knows_queue(&self, name: &str) -> bool;
    /// What other brokers make of a queue's name: what was learned of it, and who wants it.
    fn reply_facts(&self, name: &str) -> ReplyFacts;
    /// True while any reply route is known: names have to be looked up.
    fn has_reply_routes(&self) -> bool;
    /// Adds the brokers that await replies under that topic name.
    fn reply_sids(&self, name: &str, sids: &mut Vec<u16>);
    /// Notes that replies to that name are awaited here.
    fn teach_own(&self, kind: Kind, name: &str);
    /// Sends a topic message to other brokers.
    fn forward_topic(&self, view: &MessageView<'_>, sids: &[u16]) -> Pace;
    /// Sends a message to a temporary destination of another broker; `None` when that broker cannot
    /// be reached.
    fn send_to_home(&self, home: [u8; 16], view: &MessageView<'_>) -> Option<Pace>;
    /// Bytes that wait for links or for a route.
    fn held_bytes(&self) -> usize;
    /// True while the ring of a link is full: producers of what goes to other brokers wait (R10).
    fn is_full(&self) -> bool;
    /// A queue has messages that no consumer here can take now.
    fn queue_waits(&self, cell: &Arc<QueueCell>);
    /// Consumers here have room that other brokers wait for.
    fn queue_has_room(&self, cell: &Arc<QueueCell>);
}

impl Work {
    /// A message went to other brokers: its producer is slowed or held by the rings (R10).
    fn note_forwarded(&mut self, view: &MessageView<'_>, pace: Pace) {
        let kind = if view.persistent {
            Forwarded::Reliable
        } else {
            Forwarded::Droppable
        };
        self.forwarded = self.forwarded.max(kind);
        self.is_tight |= pace == Pace::Slow;
    }
}

impl Broker {
    /// True while the ring of a link is full.
    #[must_use]
    pub fn is_link_full(&self) -> bool {
        self.remote().is_some_and(|remote| remote.is_full())
    }

    pub(super) fn bid(&self) -> [u8; 16] {
        self.presentation.home
    }

    pub(super) fn remote(&self) -> Option<&Arc<dyn Remote>> {
        self.remote.get()
    }

    /// Tells other brokers that somebody here wants something, or wants it no longer.
    pub(super) fn announce(&self, filter: &Destination, selector: Option<&Selector>, is_new: bool) {
        if let Some(remote) = self.remote()
            && !filter.kind.is_temporary()
        {
            remote.interest(Wanted {
                filter: filter.clone(),
                selector: selector.cloned(),
                is_new,
            });
        }
    }

    pub(super) fn remote_topic_interest(&self, name: &str, route: &mut TopicRoute) {
        if let Some(remote) = self.remote() {
            remote.topic_interest(name, route);
        }
    }

    pub(super) fn is_known_elsewhere(&self, name: &str) -> bool {
        self.remote().is_some_and(|remote| remote.knows_queue(name))
    }

    pub(super) fn has_reply_routes(&self) -> bool {
        self.remote()
            .is_some_and(|remote| remote.has_reply_routes())
    }

    pub(super) fn add_reply_route_sids(&self, name: &str, sids: &mut Vec<u16>) {
        if let Some(remote) = self.remote() {
            remote.reply_sids(name, sids);
        }
    }

    pub(super) fn forward_topic(&self, view: &MessageView<'_>, sids: &[u16], work: &mut Work) {
        if let Some(remote) = self.remote() {
            work.note_forwarded(view, remote.forward_topic(view, sids));
        }
    }

    pub(super) fn send_to_home(
        &self,
        home: [u8; 16],
        view: &MessageView<'_>,
        work: &mut Work,
    ) -> Result<(), PublishError> {
        let remote = self.remote().ok_or(PublishError::NoSuchTemporary)?;
        let pace = remote.send_to_home(home, view);
        let pace = pace.ok_or(PublishError::NoSuchTemporary)?;
        if view.kind == Kind::TempTopic {
            work.note_forwarded(view, pace);
        }
        Ok(())
    }

    /// True when the reply-to of a message has a consumer here: by its literal name or of the same
    /// connection, or a temporary destination of this broker (R12 a).
    pub(super) fn awaits_reply(&self, connection: u64, kind: Kind, name: &str) -> bool {
        let is_awaited = match kind {
            Kind::TempQueue | Kind::TempTopic => self.temporaries.owner(kind, name).is_some(),
            Kind::Queue => self
                .queues
                .find(&Destination::new(kind, name))
                .is_some_and(|cell| cell.awaits_replies_of(connection)),
            Kind::Topic => self.has_literal_topic_subscriber(name),
        };
        if is_awaited && let Some(remote) = self.remote() {
            remote.teach_own(kind, name);
        }
        is_awaited
    }
}
