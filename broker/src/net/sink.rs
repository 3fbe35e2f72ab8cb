//! A session's requests, carried out on the broker.

mod subscribing;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::outbound::{AutoAck, Counters, Outbound};
use super::subscriber::{AckMode, Subscriber};
use super::unacked::{Delivered, Named};
use crate::broker::Broker;
use crate::broker::connections::Connection;
use crate::broker::ledger::Account;
use crate::broker::publish::{PublishError, Publisher};
use crate::model::{Destination, Kind, Message, MessageView};
use crate::queue::state::ConsumerId;
use crate::queue::{QueueCell, Work};
use crate::security::Verb;
use crate::wire::stomp::session::{AckName, Answer, Login, Subscribe};
use crate::wire::stomp::{Refusal, Sink};

/// Messages a browser is shown.
const BROWSE_LIMIT: usize = 10_000;

/// Label of messages of topics and temporary queues that end with the client they were for.
const SUBSCRIBER_GONE: &str = "subscriber_gone";

/// What a message that waits for its queue takes beside its bytes.
const PER_HELD: usize = 128;

/// An answer that a transaction holds back.
#[derive(Debug)]
struct HeldAnswer {
    token: u64,
    delivered: Delivered,
    is_nack: bool,
}

/// What one connection does to the broker.
#[derive(Debug)]
pub struct ConnectionSink {
    /// The broker.
    pub broker: Arc<Broker>,
    /// The way out.
    pub outbound: Arc<Outbound>,
    /// What is left to finish at the end of a read batch.
    pub work: Work,
    /// A login to look at.
    pub pending_login: Option<Login>,
    /// Set once the client is in.
    pub connection: Option<Arc<Connection>>,
    /// Set once the client is in.
    pub publisher: Option<Publisher>,
    /// Messages whose queue is full; nothing is read until they are taken.
    pub held: Vec<(Arc<QueueCell>, Message)>,
    held_account: Account,
    /// The client is to be closed when everything is written.
    pub is_closing: bool,
    replies: Vec<u8>,
    subscribers: HashMap<u32, Vec<Arc<Subscriber>>>,
    /// What a client that is leaving was not given.
    unwritten: Option<Vec<AutoAck>>,
    transactions: HashMap<String, Vec<HeldAnswer>>,
    own_names: Box<str>,
    /// Temporary destinations that it has made; they stay until it leaves.
    temporaries: usize,
}

impl ConnectionSink {
    /// Before the first frame. Names of the connection's temporary destinations begin with
    /// `own_names`.
    #[must_use]
    pub fn new(broker: Arc<Broker>, outbound: Arc<Outbound>, own_names: Box<str>) -> Self {
        let held_account = Account::new(broker.memory.clients.clone());
        let dropped = &broker.metrics.messages_dropped;
        outbound.count_in(Counters {
            written: broker.metrics.messages_out.clone(),
            dropped: dropped.with_label_values(&["topic_pending"]),
            lost: dropped.with_label_values(&[SUBSCRIBER_GONE]),
        });
        Self {
            broker,
            outbound,
            work: Work::default(),
            pending_login: None,
            connection: None,
            publisher: None,
            held: Vec::new(),
            held_account,
            is_closing: false,
            replies: Vec::new(),
            subscribers: HashMap::new(),
            unwritten: None,
            transactions: HashMap::new(),
            own_names,
            temporaries: 0,
        }
    }

    /// Takes the rights that are in force now: they may have changed since the last batch.
    pub fn refresh_identity(&mut self) {
        if let (Some(publisher), Some(connection)) = (&mut self.publisher, &self.connection) {
            publisher.identity = connection.identity();
        }
    }

    /// Ends a read batch: what was published goes out first, the client's own replies last.
    pub fn finish_batch(&mut self) {
        self.count_held();
        if self.held.is_empty() && (self.is_closing || !self.replies.is_empty()) {
            match self.is_closing {
                true => self.outbound.push_last(&self.replies),
                false => drop(self.outbound.push(&[&self.replies])),
            }
            self.replies.clear();
            self.work.touch(&self.outbound);
        }
        let broker = self.broker.clone();
        broker.settle(&mut self.work);
    }

    /// Tries the messages again whose queue was full. True when none is left.
    pub fn retry_held(&mut self) -> bool {
        // What is taken counts in its queue, and must not stand in its own way.
        self.held_account.set(0);
        for (cell, message) in std::mem::take(&mut self.held) {
            let now_ns = crate::clock::monotonic_ns();
            let outcome = cell.enqueue(message.len(), || message.clone(), now_ns, &mut self.work);
            match outcome {
                crate::queue::Enqueued::Accepted { .. } => self.broker.metrics.messages_in.inc(),
                crate::queue::Enqueued::Full => self.held.push((cell, message)),
                // The client that it was meant for is gone.
                crate::queue::Enqueued::Gone if cell.destination.kind.is_temporary() => {}
                crate::queue::Enqueued::Gone => {
                    self.broker
                        .enqueue_kept(&cell.destination, &message, &mut self.work);
                }
            }
        }
        self.count_held();
        self.held.is_empty()
    }

    fn count_held(&mut self) {
        let sizes = self.held.iter().map(|(_, message)| message.len());
        self.held_account
            .set(sizes.map(|size| PER_HELD + size).sum());
    }

    /// Gives up the messages whose queue is full; returns how many.
    pub fn refuse_held(&mut self) -> usize {
        let count = self.held.drain(..).count();
        self.count_held();
        count
    }

    /// The client is gone: everything it had goes back. Ends so many of its subscriptions; true when
    /// nothing is left to do.
    pub fn leave_some(&mut self, most: usize) -> bool {
        let unwritten = match self.unwritten.take() {
            Some(unwritten) => unwritten,
            None => self.close_outbound(),
        };
        let numbers: Vec<u32> = self.subscribers.keys().copied().take(most).collect();
        let ended = numbers
            .iter()
            .filter_map(|number| self.subscribers.remove(number));
        for subscriber in ended.flatten().collect::<Vec<_>>() {
            self.count_lost(&subscriber, true);
            self.broker
                .unsubscribe(&subscriber, &unwritten, &mut self.work);
        }
        let is_done = self.subscribers.is_empty();
        if is_done {
            self.leave_broker();
        } else {
            self.unwritten = Some(unwritten);
        }
        let broker = self.broker.clone();
        broker.settle(&mut self.work);
        is_done
    }

    fn close_outbound(&mut self) -> Vec<AutoAck> {
        for held in self.transactions.drain().flat_map(|(_, held)| held) {
            self.outbound
                .with_unacked(|unacked| unacked.put_back(held.token, held.delivered));
        }
        self.outbound.close()
    }

    fn leave_broker(&mut self) {
        let id = self.outbound.connection;
        for (kind, name) in self.broker.temporaries.remove_owner(id) {
            if kind == Kind::TempQueue
                && let Some(cell) = self.broker.queues.remove(&Destination::new(kind, &name))
            {
                self.count_gone(cell.numbers().depth);
                // Routes that others have cached keep the cell, but not its messages.
                cell.discard();
            }
            self.broker.bump_generation();
        }
        if self.connection.take().is_some() {
            self.broker.connections.remove(id);
        }
    }

    /// Counts what waits for a topic subscription and ends with it. In mode `auto` what is in flight
    /// is still written, unless the client is gone.
    fn count_lost(&self, subscriber: &Subscriber, is_leaving: bool) {
        if let Some(backlog) = &subscriber.backlog {
            let numbers = backlog.numbers();
            let is_written = subscriber.mode == AckMode::Auto && !is_leaving;
            self.count_gone(if is_written {
                numbers.ready
            } else {
                numbers.depth
            });
        }
    }

    fn count_gone(&self, messages: usize) {
        let dropped = &self.broker.metrics.messages_dropped;
        let counter = dropped.with_label_values(&[SUBSCRIBER_GONE]);
        counter.inc_by(u64::try_from(messages).unwrap_or(0));
    }

    fn user(&self) -> String {
        self.publisher
            .as_ref()
            .map(|one| one.identity.user.to_string())
            .unwrap_or_default()
    }

    fn not_authorized(&self, verb: Verb, kind: Kind, name: &str) -> Refusal {
        Refusal::NotAuthorized {
            user: self.user(),
            verb: verb.phrase(),
            destination: format!("{}{name}", kind.scheme()),
        }
    }

    fn flush_replies(&mut self, receipt: &[u8]) {
        if !self.replies.is_empty() || !receipt.is_empty() {
            self.outbound.push(&[&self.replies, receipt]);
            self.replies.clear();
            self.work.touch(&self.outbound);
        }
    }

    fn consume(&mut self, delivered: Delivered, is_nack: bool) {
        let Delivered {
            queue,
            consumer,
            seq,
            ..
        } = delivered;
        // A refusal by one of many subscribers to a topic says nothing about the message.
        let is_refused = is_nack && queue.destination.kind != Kind::TempTopic;
        queue.apply(&mut self.work, |queue, effects| {
            if is_refused {
                queue.reject(ConsumerId(consumer), seq, effects)
            } else {
                queue.ack(ConsumerId(consumer), seq, effects)
            }
        });
        if !is_refused {
            self.broker.metrics.messages_out.inc();
        }
    }

    fn mode_of(&self, number: u32) -> Option<AckMode> {
        self.subscribers
            .get(&number)?
            .first()
            .map(|subscriber| subscriber.mode)
    }
}

impl Sink for ConnectionSink {
    fn login(&mut self, login: Login) {
        self.pending_login = Some(login);
    }

    fn temporary(&mut self, kind: Kind, private: &str) -> Result<String, Refusal> {
        let name = format!("{}{private}", self.own_names);
        if self.broker.temporaries.owner(kind, &name).is_some() {
            return Ok(name);
        }
        let may_make = self.publisher.as_ref().is_some_and(|publisher| {
            self.broker
                .may(&publisher.identity, Verb::Admin, kind, &name)
        });
        if !may_make {
            self.broker
                .metrics
                .denied
                .with_label_values(&["admin"])
                .inc();
            return Err(self.not_authorized(Verb::Admin, kind, &name));
        }
        if self.temporaries >= self.broker.config().limits.temporary_destinations {
            return Err(Refusal::TooManyTemporaries);
        }
        if kind == Kind::TempQueue {
            self.broker
                .queue(&Destination::new(kind, &name), &mut self.work)
                .ok_or(Refusal::TooManyDestinations)?;
        }
        self.broker
            .temporaries
            .add(kind, &name, self.outbound.connection);
        self.temporaries += 1;
        Ok(name)
    }

    fn check_publish(&mut self, kind: Kind, name: &str) -> Result<(), Refusal> {
        let Some(publisher) = &self.publisher else {
            return Err(self.not_authorized(Verb::Write, kind, name));
        };
        let checked = self.broker.check_publish(&publisher.identity, kind, name);
        checked.map_err(|verb| {
            let label = if verb == Verb::Admin {
                "admin"
            } else {
                "write"
            };
            self.broker.metrics.denied.with_label_values(&[label]).inc();
            self.not_authorized(verb, kind, name)
        })
    }

    fn publish(&mut self, view: &MessageView<'_>) -> Result<(), Refusal> {
        let Some(publisher) = &mut self.publisher else {
            return Ok(());
        };
        let user = publisher.identity.user.clone();
        let stamped = MessageView {
            user: Some(&user),
            ..*view
        };
        match self.broker.publish(publisher, &stamped, &mut self.work) {
            Ok(()) => Ok(()),
            Err(PublishError::Full(cell)) => {
                self.held.push((cell, Message::from_view(&stamped)));
                Ok(())
            }
            Err(PublishError::Denied(verb)) => Err(self.not_authorized(verb, view.kind, view.name)),
            Err(PublishError::Refused) => Err(Refusal::Full {
                destination: format!("{}{}", view.kind.scheme(), view.name),
            }),
            Err(PublishError::TooManyDestinations) => Err(Refusal::TooManyDestinations),
            Err(PublishError::NoSuchTemporary) => Err(Refusal::NoSuchTemporary(format!(
                "{}{}",
                view.kind.scheme(),
                view.name
            ))),
        }
    }

    fn subscribe(&mut self, subscribe: &Subscribe<'_>, receipt: &[u8]) -> Result<(), Refusal> {
        self.make_subscription(subscribe, receipt)
    }

    fn delete_durable(&mut self, client_id: &str, name: &str) -> Result<(), Refusal> {
        self.end_durable(client_id, name)
    }

    fn unsubscribe(&mut self, number: u32) {
        self.outbound
            .with_unacked(|unacked| unacked.take_subscription(number));
        for subscriber in self.subscribers.remove(&number).unwrap_or_default() {
            if let Some(connection) = &self.connection {
                connection.remove_subscription(subscriber.key);
            }
            self.count_lost(&subscriber, false);
            self.broker.unsubscribe(&subscriber, &[], &mut self.work);
        }
    }

    fn answer(&mut self, answer: &Answer, transaction: Option<&str>) -> Result<(), Refusal> {
        let named = match &answer.name {
            AckName::Token(token) => Named::Token(*token),
            AckName::MessageId(id, subscription) => Named::Id(id, *subscription),
        };
        let found = self.outbound.with_unacked(|unacked| unacked.find(named));
        let Some((token, subscription)) = found else {
            let command = if answer.is_nack { "NACK" } else { "ACK" };
            return Err(Refusal::UnexpectedAck {
                command,
                id: answer.shown.clone(),
            });
        };
        let is_cumulative = !answer.is_nack && self.mode_of(subscription) == Some(AckMode::Client);
        let taken = self.outbound.with_unacked(|unacked| {
            if is_cumulative {
                unacked.take_up_to(token, subscription)
            } else {
                unacked
                    .take(token)
                    .map(|delivered| (token, delivered))
                    .into_iter()
                    .collect()
            }
        });
        for (token, delivered) in taken {
            match transaction {
                None => self.consume(delivered, answer.is_nack),
                Some(id) => self
                    .transactions
                    .entry(id.to_owned())
                    .or_default()
                    .push(HeldAnswer {
                        token,
                        delivered,
                        is_nack: answer.is_nack,
                    }),
            }
        }
        Ok(())
    }

    fn end_transaction(&mut self, transaction: &str, is_commit: bool) {
        for held in self.transactions.remove(transaction).unwrap_or_default() {
            if is_commit {
                self.consume(held.delivered, held.is_nack);
            } else {
                self.outbound
                    .with_unacked(|unacked| unacked.put_back(held.token, held.delivered));
            }
        }
    }

    fn reply(&mut self, bytes: &[u8]) {
        self.replies.extend_from_slice(bytes);
    }

    fn close(&mut self) {
        self.is_closing = true;
        if let Some(connection) = &self.connection {
            connection.is_leaving.store(true, Ordering::Release);
        }
    }
}
