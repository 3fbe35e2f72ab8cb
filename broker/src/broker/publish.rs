//! A message on its way: from a publisher, or from a link, to everyone here and to other brokers.

use std::cell::RefCell;
use std::sync::Arc;

use super::Broker;
use super::matching::{MatchCache, Route, TopicRoute};
use crate::clock;
use crate::model::{Destination, Kind, Message, MessageView, ReplyTo, temporary};
use crate::net::outbound::Append;
use crate::net::subscriber::Subscriber;
use crate::queue::state::DeadReason;
use crate::queue::{Enqueued, QueueCell, Work};
use crate::security::{Identity, Verb};
use crate::wire::stomp::encode::{self, Escaping, Presentation};

/// Who publishes.
#[derive(Debug)]
pub struct Publisher {
    /// Connection number, for subscriptions that leave out their own messages.
    pub connection: u64,
    /// The user.
    pub identity: Arc<Identity>,
    /// What it published to lately.
    pub cache: MatchCache,
}

/// Why a message was not taken.
#[derive(Debug, Clone)]
pub enum PublishError {
    /// The user may not write there.
    Denied(Verb),
    /// The queue is full; its policy is to let the producer wait.
    Full(Arc<QueueCell>),
    /// The queue is full; its policy is to refuse.
    Refused,
    /// There are as many destinations as are allowed.
    TooManyDestinations,
    /// The temporary destination is gone, or its broker cannot be reached.
    NoSuchTemporary,
}

/// Tails of one message, each encoded when the first subscriber needs it.
#[derive(Debug, Default)]
struct Tails {
    by_escaping: [Option<Vec<u8>>; 3],
    free: Vec<Vec<u8>>,
    all_equal: bool,
}

impl Tails {
    fn start(&mut self, view: &MessageView<'_>) {
        for slot in &mut self.by_escaping {
            self.free.extend(slot.take());
        }
        self.all_equal = !encode::differs_by_version(view);
    }

    fn tail(&mut self, view: &MessageView<'_>, escaping: Escaping, reader: &Presentation) -> &[u8] {
        let index = if self.all_equal { 0 } else { escaping.index() };
        let Self {
            by_escaping, free, ..
        } = self;
        by_escaping[index].get_or_insert_with(|| {
            let mut out = free.pop().unwrap_or_default();
            out.clear();
            encode::tail(view, escaping, reader, &mut out);
            out
        })
    }

    fn shrink(&mut self) {
        for slot in &mut self.by_escaping {
            if slot
                .as_ref()
                .is_some_and(|tail| tail.capacity() > 256 * 1024)
            {
                *slot = None;
            }
        }
    }
}

thread_local! {
    static TAILS: RefCell<Tails> = RefCell::default();
    static SIDS: RefCell<Vec<u16>> = const { RefCell::new(Vec::new()) };
}

impl Broker {
    /// Takes one message for one destination from a client of this broker.
    ///
    /// # Errors
    /// The message was not taken; nothing of it was delivered.
    pub fn publish(
        &self,
        publisher: &mut Publisher,
        view: &MessageView<'_>,
        work: &mut Work,
    ) -> Result<(), PublishError> {
        let route = self.route_for(publisher, view.kind, view.name, work)?;
        let is_over = view.expires_ms != 0 && view.expires_ms <= clock::wall_ms();
        if is_over && !matches!(*route, Route::Denied) {
            self.end_expired(&route, view, work);
            return Ok(());
        }
        let mut stamped = *view;
        stamped.reply_home = self.teach_own_reply(publisher.connection, view);
        match &*route {
            Route::Denied => {
                self.metrics.denied.with_label_values(&["write"]).inc();
                return Err(PublishError::Denied(Verb::Write));
            }
            Route::Topic(topic) => self.publish_topic(publisher.connection, topic, &stamped, work),
            Route::Queue(cell) => {
                let result = self.publish_queue(cell, &stamped, work);
                if matches!(result, Ok(Enqueued::Gone)) {
                    publisher.cache.forget(view.kind, view.name);
                    return self.publish(publisher, view, work);
                }
                result?;
            }
            Route::RemoteTemporary(home) => self.send_to_home(*home, &stamped, work)?,
        }
        self.metrics.messages_in.inc();
        Ok(())
    }

    /// Takes a message whose time was over before it came: of a queue it is a dead letter, as it
    /// would be had it expired while it waited; of anything else it is dropped.
    fn end_expired(&self, route: &Route, view: &MessageView<'_>, work: &mut Work) {
        self.metrics.messages_in.inc();
        if let Route::Queue(cell) = route {
            let (from, message) = (cell.destination.clone(), Message::from_view(view));
            work.dead.push((from, message, DeadReason::Expired));
        } else {
            self.count_dropped("expired", 1);
        }
    }

    fn count_dropped(&self, reason: &str, messages: u64) {
        self.metrics
            .messages_dropped
            .with_label_values(&[reason])
            .inc_by(messages);
    }

    fn route_for(
        &self,
        publisher: &mut Publisher,
        kind: Kind,
        name: &str,
        work: &mut Work,
    ) -> Result<Arc<Route>, PublishError> {
        let generation = self.generation();
        if let Some(route) = publisher.cache.find(generation, kind, name) {
            return Ok(route);
        }
        let route = Arc::new(self.compute_route(&publisher.identity, kind, name, work)?);
        publisher.cache.keep(generation, kind, name, route.clone());
        Ok(route)
    }

    fn compute_route(
        &self,
        identity: &Identity,
        kind: Kind,
        name: &str,
        work: &mut Work,
    ) -> Result<Route, PublishError> {
        match self.check_publish(identity, kind, name) {
            Ok(()) => {}
            Err(Verb::Admin) => {
                self.metrics.denied.with_label_values(&["admin"]).inc();
                return Err(PublishError::Denied(Verb::Admin));
            }
            Err(_) => return Ok(Route::Denied),
        }
        if kind.is_temporary() {
            return self.temporary_route(kind, name);
        }
        if kind == Kind::Topic {
            return Ok(Route::Topic(self.topic_route(name)));
        }
        self.queue(&Destination::new(kind, name), work)
            .map(Route::Queue)
            .ok_or(PublishError::TooManyDestinations)
    }

    /// May that user write there, and make the queue if there is none?
    ///
    /// # Errors
    /// The right that is missing.
    pub fn check_publish(&self, identity: &Identity, kind: Kind, name: &str) -> Result<(), Verb> {
        if !self.may(identity, Verb::Write, kind, name) {
            return Err(Verb::Write);
        }
        let makes_queue = kind == Kind::Queue
            && self.queues.find(&Destination::new(kind, name)).is_none()
            && !self.is_known_elsewhere(name);
        if makes_queue && !self.may(identity, Verb::Admin, kind, name) {
            return Err(Verb::Admin);
        }
        Ok(())
    }

    fn temporary_route(&self, kind: Kind, name: &str) -> Result<Route, PublishError> {
        if let Some((_, home)) = temporary::split_home(name)
            && home != self.bid()
        {
            return Ok(Route::RemoteTemporary(home));
        }
        let local = temporary::local_name(name);
        if self.temporaries.owner(kind, local).is_none() {
            return Err(PublishError::NoSuchTemporary);
        }
        if kind == Kind::TempTopic {
            return Ok(Route::Topic(TopicRoute::new(
                self.temporaries.subscribers(local),
            )));
        }
        self.queues
            .find(&Destination::new(kind, local))
            .map(Route::Queue)
            .ok_or(PublishError::NoSuchTemporary)
    }

    /// Everyone here who wants messages of that topic, for what comes over links.
    #[must_use]
    pub fn local_topic_route(&self, kind: Kind, name: &str) -> TopicRoute {
        if kind == Kind::TempTopic {
            return TopicRoute::new(self.temporaries.subscribers(name));
        }
        let mut subscribers = self.topic_subscribers(name);
        subscribers.retain(|subscriber| self.may_read_now(subscriber, Kind::Topic, name));
        let mut route = TopicRoute::new(subscribers);
        route.durables = self.durables.matching(name);
        route
            .durables
            .retain(|durable| self.may_user_read(&durable.key.user, Kind::Topic, name));
        route
    }

    /// Everyone who wants messages of that topic, here and elsewhere.
    pub(super) fn topic_route(&self, name: &str) -> TopicRoute {
        let mut route = self.local_topic_route(Kind::Topic, name);
        self.remote_topic_interest(name, &mut route);
        route
    }

    fn publish_topic(
        &self,
        connection: u64,
        route: &TopicRoute,
        view: &MessageView<'_>,
        work: &mut Work,
    ) {
        self.fan_out(Some(connection), route, view, work);
        if route.remote.is_empty() && route.remote_selected.is_empty() && !self.has_reply_routes() {
            return;
        }
        SIDS.with_borrow_mut(|sids| {
            sids.clear();
            route.remote_into(view, sids);
            self.add_reply_route_sids(view.name, sids);
            if !sids.is_empty() {
                self.forward_topic(view, sids, work);
            }
        });
    }

    /// Delivers to every local subscriber that wants the message.
    pub fn fan_out(
        &self,
        publisher: Option<u64>,
        route: &TopicRoute,
        view: &MessageView<'_>,
        work: &mut Work,
    ) {
        let mut kept = None;
        if !route.durables.is_empty() {
            self.feed_durables(publisher, &route.durables, view, &mut kept, work);
        }
        if route.plain.is_empty() && route.selected.is_empty() {
            return;
        }
        TAILS.with_borrow_mut(|tails| {
            tails.start(view);
            route.for_each(view, |subscriber| {
                let is_own = publisher == Some(subscriber.outbound.connection);
                if !subscriber.allowed() || (is_own && subscriber.no_local) {
                    return;
                }
                if let Some(backlog) = &subscriber.backlog {
                    self.feed_backlog(backlog, subscriber, view, &mut kept, work);
                } else {
                    deliver_topic(subscriber, view, tails, &self.presentation, work);
                }
            });
            tails.shrink();
        });
    }

    /// Hands a topic message to a subscription with a window.
    fn feed_backlog(
        &self,
        backlog: &Arc<QueueCell>,
        subscriber: &Subscriber,
        view: &MessageView<'_>,
        kept: &mut Option<Message>,
        work: &mut Work,
    ) {
        let message = kept.get_or_insert_with(|| Message::from_view(view));
        let dropped = backlog.enqueue_dropping(message, work);
        if dropped > 0 {
            subscriber.outbound.count_dropped(dropped);
            self.count_dropped("topic_pending", dropped);
        }
    }

    fn publish_queue(
        &self,
        cell: &Arc<QueueCell>,
        view: &MessageView<'_>,
        work: &mut Work,
    ) -> Result<Enqueued, PublishError> {
        let size = crate::model::envelope::encoded_len(view);
        let now_ns = clock::monotonic_ns();
        match cell.enqueue(size, || Message::from_view(view), now_ns, work) {
            Enqueued::Full
                if self
                    .policies()
                    .queue(&cell.destination.name)
                    .refuses_when_full =>
            {
                Err(PublishError::Refused)
            }
            Enqueued::Full => Err(PublishError::Full(cell.clone())),
            other => Ok(other),
        }
    }

    /// Takes a message that is kept already: a dead letter, or one from another broker.
    pub fn enqueue_kept(
        &self,
        destination: &Destination,
        message: &Message,
        work: &mut Work,
    ) -> bool {
        for _ in 0..3 {
            let Some(cell) = self.queue(destination, work) else {
                return false;
            };
            let kept = || message.clone();
            match cell.enqueue(message.len(), kept, clock::monotonic_ns(), work) {
                Enqueued::Accepted { .. } => return true,
                Enqueued::Full => return false,
                Enqueued::Gone => {}
            }
        }
        false
    }

    /// Notes that answers to this message are awaited here, if they are (R12 a).
    fn teach_own_reply(&self, connection: u64, view: &MessageView<'_>) -> Option<[u8; 16]> {
        let Some(ReplyTo::Destination(kind, name)) = view.reply_to else {
            return None;
        };
        self.awaits_reply(connection, kind, name)
            .then(|| self.bid())
    }

    /// Keeps a message that its queue gave up, or drops it, as the queue's policy says.
    pub(super) fn bury(
        &self,
        from: &Destination,
        message: &Message,
        reason: DeadReason,
        work: &mut Work,
    ) {
        let label = match reason {
            DeadReason::Poison => "poison",
            DeadReason::Expired => "expired",
            DeadReason::Redeliveries => "redeliveries",
        };
        let policies = self.policies();
        let Some(view) = message.view() else { return };
        // What a durable subscription keeps was sent to a topic.
        let is_of_topic = from.kind == Kind::Topic;
        let name = if is_of_topic { view.name } else { &from.name };
        let policy = policies.queue(name);
        let wanted = (view.persistent || policy.dead_letter_non_persistent)
            && (reason != DeadReason::Expired || (policy.dead_letter_expired && !is_of_topic))
            && !from.kind.is_temporary();
        // What a reader of the dead letters refuses is no dead letter once more.
        let is_other = |to: &String| is_of_topic || *to != *name;
        let dead_letter = policy.dead_letter_for(name).filter(is_other);
        let Some(dead_letter) = dead_letter.filter(|_| wanted) else {
            return self.count_dropped(label, 1);
        };
        let original = format!("{}{name}", from.kind.scheme());
        let mut kept = Message::from_view(&MessageView {
            kind: Kind::Queue,
            name: &dead_letter,
            original_destination: Some(&original),
            ..view
        });
        // A dead letter stays until somebody looks at it.
        kept.expires_ms = 0;
        if self.enqueue_kept(&Destination::new(Kind::Queue, &dead_letter), &kept, work) {
            self.metrics.dead_letters.with_label_values(&[label]).inc();
        } else {
            self.count_dropped("dead_letters_full", 1);
        }
    }
}

fn deliver_topic(
    subscriber: &Arc<Subscriber>,
    view: &MessageView<'_>,
    tails: &mut Tails,
    reader: &Presentation,
    work: &mut Work,
) {
    let outcome = if subscriber.takes_shared_tail(view) {
        subscriber.deliver_tail(tails.tail(view, subscriber.escaping, reader))
    } else {
        subscriber.deliver_topic(view)
    };
    if outcome != Append::Closed {
        work.touch(&subscriber.outbound);
    }
}
