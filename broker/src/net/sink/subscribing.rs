//! Subscriptions of a connection: plain ones, durable ones and browsers.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::{BROWSE_LIMIT, ConnectionSink};
use crate::broker::durables::{DurableError, DurableKey, DurableWish};
use crate::broker::ledger::Account;
use crate::broker::subscriptions::SubscribeError;
use crate::model::{Destination, Kind};
use crate::net::subscriber::{AckMode, Subscriber};
use crate::queue::QueueCell;
use crate::queue::state::{ConsumerOptions, QueueLimits};
use crate::selector::{Conversion, Selector};
use crate::wire::stomp::encode::{self, Escaping, Presentation};
use crate::wire::stomp::session::{self, Subscribe};
use crate::wire::stomp::{Refusal, Sink};

/// What any subscription takes: measured, 160,000 of topics of their own in a process.
const SUBSCRIPTION: usize = 1536;

impl ConnectionSink {
    pub(super) fn make_subscription(
        &mut self,
        subscribe: &Subscribe<'_>,
        receipt: &[u8],
    ) -> Result<(), Refusal> {
        let Some(identity) = self
            .publisher
            .as_ref()
            .map(|publisher| publisher.identity.clone())
        else {
            return Ok(());
        };
        let selector = match subscribe.selector {
            None => None,
            Some(text) => Some(
                Selector::parse(text, Conversion::ConvertStrings)
                    .map_err(|error| Refusal::BadSelector(error.to_string()))?,
            ),
        };
        let size: usize = subscribe
            .parts
            .iter()
            .map(|(_, name)| size_of_one(subscribe, name, selector.as_ref()))
            .sum();
        if self.broker.memory.subscriptions.is_full_for(size) {
            return Err(Refusal::NoMemoryForSubscription);
        }
        let id = self.outbound.connection;
        for (kind, name) in subscribe.parts {
            let filter = Destination::new(*kind, name);
            if let Err(error) = self.broker.check_subscribe(id, &identity, &filter) {
                return Err(self.subscribe_error(error, *kind, name));
            }
        }
        if let Some(name) = subscribe.durable_name {
            return self.subscribe_durable(subscribe, name, selector, receipt);
        }
        self.flush_replies(receipt);
        if subscribe.is_browser {
            self.browse(subscribe, selector);
            return Ok(());
        }
        for (kind, name) in subscribe.parts {
            let capacity = self.capacity(subscribe, *kind, name);
            let mut subscriber = self.subscriber(subscribe, *kind, name, selector.clone());
            subscriber.backlog = self.backlog(subscribe, *kind, capacity);
            if let Err(error) = self.add_consumer(subscribe, subscriber, capacity) {
                // The parts before it are a subscription that the client does not have.
                Sink::unsubscribe(self, subscribe.number);
                return Err(self.subscribe_error(error, *kind, name));
            }
        }
        Ok(())
    }

    /// One consumer of the durable subscription, whatever its destination is made of.
    fn subscribe_durable(
        &mut self,
        subscribe: &Subscribe<'_>,
        name: &str,
        selector: Option<Selector>,
        receipt: &[u8],
    ) -> Result<(), Refusal> {
        let (Some((kind, first)), Some(client_id)) = (subscribe.parts.first(), self.client_id())
        else {
            return Err(Refusal::InvalidSubscription(
                "a durable subscription needs a client-id",
            ));
        };
        let key = self.durable_key(&client_id, name);
        let filters = subscribe.parts.iter();
        let wish = DurableWish {
            filters: filters
                .map(|(kind, name)| Destination::new(*kind, name))
                .collect(),
            selector,
            no_local: subscribe.no_local,
        };
        let durable = self
            .broker
            .claim_durable(key, wish, self.outbound.connection)
            .map_err(|error| durable_error(error, &client_id, name))?;
        self.flush_replies(receipt);
        let default = self.broker.policies().durable_prefetch;
        let capacity = clamp_prefetch(subscribe.prefetch.unwrap_or(default));
        let mut subscriber = self.subscriber(subscribe, *kind, first, None);
        subscriber.is_allowed = AtomicBool::new(durable.allowed());
        subscriber.durable = Some(durable);
        self.add_consumer(subscribe, subscriber, capacity)
            .map_err(|error| self.subscribe_error(error, *kind, first))
    }

    /// Where a topic subscription has a window, what does not fit into it waits here: so many
    /// messages as the client asks for, and `limits.outbound` bytes with what is in its hands.
    fn backlog(
        &self,
        subscribe: &Subscribe<'_>,
        kind: Kind,
        capacity: u32,
    ) -> Option<Arc<QueueCell>> {
        let is_bounded = subscribe.mode != session::AckMode::Auto;
        if kind.is_queue() || !(is_bounded || subscribe.pending_limit.is_some()) {
            return None;
        }
        let max_messages = subscribe
            .pending_limit
            .map_or(0, |limit| limit.saturating_add(capacity));
        let limits = QueueLimits {
            max_bytes: self.broker.config().limits.outbound,
            max_messages: max_messages as usize,
            max_redeliveries: 0,
        };
        // As a temporary topic it belongs to its connection.
        let destination = Destination::new(Kind::TempTopic, "");
        let ledger = self.broker.memory.clients.clone();
        Some(Arc::new(QueueCell::new(destination, limits, 0, ledger)))
    }

    pub(super) fn end_durable(&mut self, client_id: &str, name: &str) -> Result<(), Refusal> {
        let key = self.durable_key(client_id, name);
        self.broker
            .delete_durable(&key)
            .map_err(|error| durable_error(error, client_id, name))
    }

    fn client_id(&self) -> Option<String> {
        self.connection.as_ref()?.client_id.clone()
    }

    fn durable_key(&self, client_id: &str, name: &str) -> DurableKey {
        DurableKey {
            user: Arc::from(self.user()),
            client_id: Box::from(client_id),
            name: Box::from(name),
        }
    }

    fn add_consumer(
        &mut self,
        subscribe: &Subscribe<'_>,
        subscriber: Subscriber,
        capacity: u32,
    ) -> Result<(), SubscribeError> {
        // What reaches the backlog of a topic subscription has matched already.
        let is_of_topic = !subscriber.filter.kind.is_queue();
        let selector = subscriber.selector.clone().filter(|_| !is_of_topic);
        let options = ConsumerOptions {
            selector,
            capacity,
            priority: subscribe.priority,
            is_exclusive: subscribe.is_exclusive,
            is_monitor: !is_of_topic && subscriber.filter.is_pattern(),
        };
        let subscriber = Arc::new(subscriber);
        if let Some(connection) = &self.connection {
            connection.add_subscription(subscriber.clone(), capacity);
        }
        let key = subscriber.key;
        let made = self.broker.subscribe(&subscriber, &options, &mut self.work);
        if made.is_err() {
            if let Some(connection) = &self.connection {
                connection.remove_subscription(key);
            }
            return made;
        }
        let subscribers = self.subscribers.entry(subscribe.number).or_default();
        subscribers.push(subscriber);
        made
    }

    fn subscriber(
        &self,
        subscribe: &Subscribe<'_>,
        kind: Kind,
        name: &str,
        selector: Option<Selector>,
    ) -> Subscriber {
        let mode = match subscribe.mode {
            session::AckMode::Auto => AckMode::Auto,
            session::AckMode::Client => AckMode::Client,
            session::AckMode::Individual => AckMode::Individual,
        };
        let escaping = Escaping::from(subscribe.version);
        let mut prefix = Vec::new();
        encode::prefix(subscribe.id, None, escaping, &mut prefix);
        let mut account = Account::new(self.broker.memory.subscriptions.clone());
        account.set(size_of_one(subscribe, name, selector.as_ref()));
        Subscriber {
            key: self.broker.next_subscriber(),
            outbound: self.outbound.clone(),
            session_id: subscribe.number,
            mode,
            filter: Destination::new(kind, name),
            durable: None,
            backlog: None,
            selector,
            no_local: subscribe.no_local,
            user: self
                .publisher
                .as_ref()
                .map_or_else(|| Arc::from(""), |one| one.identity.user.clone()),
            subscription_id: subscribe.id.map(Box::from),
            escaping,
            names_acks: subscribe.version == crate::wire::stomp::Version::V12,
            prefix: prefix.into_boxed_slice(),
            presentation: Presentation {
                own_names: self.own_names.clone(),
                home: self.broker.presentation.home,
            },
            account,
            is_allowed: AtomicBool::new(true),
        }
    }

    fn capacity(&self, subscribe: &Subscribe<'_>, kind: Kind, name: &str) -> u32 {
        let policies = self.broker.policies();
        let default = if kind.is_queue() {
            policies.queue(name).prefetch
        } else {
            policies.topic_prefetch
        };
        clamp_prefetch(subscribe.prefetch.unwrap_or(default))
    }

    fn browse(&mut self, subscribe: &Subscribe<'_>, selector: Option<Selector>) {
        let escaping = Escaping::from(subscribe.version);
        for (kind, name) in subscribe.parts {
            let filter = Destination::new(*kind, name);
            let reader = Presentation {
                own_names: self.own_names.clone(),
                home: self.broker.presentation.home,
            };
            for message in self.broker.browse(&filter, selector.as_ref(), BROWSE_LIMIT) {
                let Some(view) = message.view() else { continue };
                let mut frame = Vec::new();
                encode::prefix(subscribe.id, None, escaping, &mut frame);
                encode::tail(&view, escaping, &reader, &mut frame);
                self.outbound.push(&[&frame]);
            }
        }
        let mut end = Vec::new();
        encode::browser_end(subscribe.destination, subscribe.id, escaping, &mut end);
        self.outbound.push(&[&end]);
        self.work.touch(&self.outbound);
    }

    fn subscribe_error(&self, error: SubscribeError, kind: Kind, name: &str) -> Refusal {
        match error {
            SubscribeError::Denied(verb) => self.not_authorized(verb, kind, name),
            SubscribeError::TooManyDestinations => Refusal::TooManyDestinations,
            SubscribeError::NotOwner => {
                Refusal::NoSuchTemporary(format!("{}{name}", kind.scheme()))
            }
        }
    }
}

/// What a subscription to one destination takes, its entry in the interest of this broker included.
fn size_of_one(subscribe: &Subscribe<'_>, name: &str, selector: Option<&Selector>) -> usize {
    let texts = subscribe.id.map_or(0, str::len) * 2 + name.len() * 4;
    SUBSCRIPTION + texts + selector.map_or(0, Selector::size)
}

fn clamp_prefetch(prefetch: u32) -> u32 {
    prefetch.clamp(1, crate::broker::policies::MAX_PREFETCH)
}

fn durable_error(error: DurableError, client_id: &str, name: &str) -> Refusal {
    match error {
        DurableError::InUse => Refusal::DurableInUse {
            client_id: client_id.to_owned(),
            name: name.to_owned(),
        },
        DurableError::TooMany => Refusal::TooManyDurables,
        DurableError::Unknown => Refusal::NoSubscription,
    }
}
