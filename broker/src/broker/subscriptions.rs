//! Subscriptions come and go, lose their right and get it back.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Broker;
use super::queues::WildcardConsumer;
use crate::clock;
use crate::model::{Destination, Kind, Message, destination};
use crate::net::outbound::AutoAck;
use crate::net::subscriber::{AckMode, Subscriber};
use crate::queue::state::ConsumerOptions;
use crate::queue::{QueueCell, Work};
use crate::security::{Identity, Verb};
use crate::selector::Selector;

/// Why a subscription was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscribeError {
    /// The user lacks that right.
    Denied(Verb),
    /// There are as many destinations as are allowed.
    TooManyDestinations,
    /// A temporary destination of somebody else, or none.
    NotOwner,
}

impl Broker {
    /// Checks the rights for one destination or pattern of a SUBSCRIBE.
    ///
    /// # Errors
    /// The user may not read it, or may not make the queue.
    pub fn check_subscribe(
        &self,
        connection: u64,
        identity: &Identity,
        filter: &Destination,
    ) -> Result<(), SubscribeError> {
        if filter.kind.is_temporary() {
            return self.check_temporary(connection, identity, filter);
        }
        if !self.may(identity, Verb::Read, filter.kind, &filter.name) {
            self.metrics.denied.with_label_values(&["read"]).inc();
            return Err(SubscribeError::Denied(Verb::Read));
        }
        let makes_queue = filter.kind == Kind::Queue
            && !filter.is_pattern()
            && self.queues.find(filter).is_none()
            && !self.is_known_elsewhere(&filter.name);
        if makes_queue && !self.may(identity, Verb::Admin, filter.kind, &filter.name) {
            self.metrics.denied.with_label_values(&["admin"]).inc();
            return Err(SubscribeError::Denied(Verb::Admin));
        }
        Ok(())
    }

    /// Temporary destinations are their owner's, who needs the right to make them and to read from them.
    fn check_temporary(
        &self,
        connection: u64,
        identity: &Identity,
        filter: &Destination,
    ) -> Result<(), SubscribeError> {
        let may = |verb| self.may(identity, verb, filter.kind, &filter.name);
        let owner = self.temporaries.owner(filter.kind, &filter.name);
        let denied = match owner {
            // It would have been made when it was first named.
            None if !may(Verb::Admin) => Some(("admin", Verb::Admin)),
            Some(owner) if owner == connection => {
                (!may(Verb::Read)).then_some(("read", Verb::Read))
            }
            None | Some(_) => return Err(SubscribeError::NotOwner),
        };
        let Some((label, verb)) = denied else {
            return Ok(());
        };
        self.metrics.denied.with_label_values(&[label]).inc();
        Err(SubscribeError::Denied(verb))
    }

    /// Makes a subscription active. Its rights were checked.
    ///
    /// # Errors
    /// There is no room for another destination.
    pub fn subscribe(
        &self,
        subscriber: &Arc<Subscriber>,
        options: &ConsumerOptions,
        work: &mut Work,
    ) -> Result<(), SubscribeError> {
        let filter = &subscriber.filter;
        let now_ns = clock::monotonic_ns();
        if let Some(durable) = &subscriber.durable {
            durable.cell.subscribe(
                subscriber.key,
                options.clone(),
                subscriber.clone(),
                now_ns,
                work,
            );
            self.metrics.subscriptions.inc();
            return Ok(());
        }
        if let Some(backlog) = &subscriber.backlog {
            let (key, options) = (subscriber.key, options.clone());
            backlog.subscribe(key, options, subscriber.clone(), now_ns, work);
        }
        match filter.kind {
            Kind::Topic => self.add_topic_subscriber(subscriber),
            Kind::TempTopic => {
                self.temporaries.subscribe(&filter.name, subscriber);
                self.bump_generation();
            }
            Kind::Queue if filter.is_pattern() => {
                let wildcard = WildcardConsumer {
                    subscriber: subscriber.clone(),
                    options: options.clone(),
                };
                let may_read = |name: &str| self.may_read_now(subscriber, Kind::Queue, name);
                let judge =
                    |cell: &Arc<QueueCell>, work: &mut Work| self.judge_monitors(cell, work);
                self.queues
                    .add_wildcard(wildcard, now_ns, may_read, judge, work);
            }
            Kind::Queue | Kind::TempQueue => {
                while !self
                    .queue(filter, work)
                    .ok_or(SubscribeError::TooManyDestinations)?
                    .subscribe(
                        subscriber.key,
                        options.clone(),
                        subscriber.clone(),
                        now_ns,
                        work,
                    )
                {}
            }
        }
        self.announce_subscriber(subscriber, true);
        self.metrics.subscriptions.inc();
        Ok(())
    }

    /// Ends a subscription; what it has unacknowledged goes back. In mode `auto` that is what could
    /// not be written, `unwritten`: of everything else the client has the bytes, or gets them.
    pub fn unsubscribe(
        &self,
        subscriber: &Arc<Subscriber>,
        unwritten: &[AutoAck],
        work: &mut Work,
    ) {
        let returns = |cell: &Arc<QueueCell>, seq: u64| {
            let is_it = |auto: &AutoAck| auto.seq == seq && Arc::ptr_eq(&auto.queue, cell);
            subscriber.mode != AckMode::Auto || unwritten.iter().any(is_it)
        };
        let filter = &subscriber.filter;
        let now_ns = clock::monotonic_ns();
        match filter.kind {
            Kind::Topic if let Some(durable) = &subscriber.durable => {
                let cell = &durable.cell;
                cell.unsubscribe(subscriber.key, |seq| returns(cell, seq), now_ns, work);
                durable.release();
            }
            Kind::Topic => self.remove_topic_subscriber(subscriber),
            Kind::TempTopic => {
                self.temporaries.unsubscribe(&filter.name, subscriber);
                self.bump_generation();
            }
            Kind::Queue if filter.is_pattern() => {
                self.queues
                    .remove_wildcard(subscriber, returns, now_ns, work);
            }
            Kind::Queue | Kind::TempQueue => {
                if let Some(cell) = self.queues.find(filter) {
                    cell.unsubscribe(subscriber.key, |seq| returns(&cell, seq), now_ns, work);
                }
            }
        }
        if let Some(backlog) = &subscriber.backlog {
            backlog.discard();
        }
        if subscriber.allowed() {
            self.announce_subscriber(subscriber, false);
        } else {
            self.metrics.subscriptions_withdrawn.dec();
        }
        self.metrics.subscriptions.dec();
    }

    /// A durable subscription is announced as long as it exists, whoever consumes.
    fn announce_subscriber(&self, subscriber: &Subscriber, is_new: bool) {
        if subscriber.durable.is_none() {
            self.announce(&subscriber.filter, subscriber.selector.as_ref(), is_new);
        }
    }

    /// Copies of what waits in the matching queues, for a browser.
    #[must_use]
    pub fn browse(
        &self,
        filter: &Destination,
        selector: Option<&Selector>,
        limit: usize,
    ) -> Vec<Message> {
        let mut found = Vec::new();
        for cell in self.queues.all() {
            let own = &cell.destination;
            if own.kind == filter.kind && destination::matches(&filter.name, &own.name) {
                found.extend(cell.browse(selector, limit.saturating_sub(found.len())));
            }
        }
        found
    }

    /// Judges a live subscription by new rules: silent without its right, served again with it.
    pub fn rejudge(
        &self,
        subscriber: &Arc<Subscriber>,
        identity: &Identity,
        capacity: u32,
        work: &mut Work,
    ) {
        let filter = &subscriber.filter;
        let is_allowed = match &subscriber.durable {
            Some(durable) => durable.allowed(),
            None => self.may(identity, Verb::Read, filter.kind, &filter.name),
        };
        if subscriber.is_allowed.swap(is_allowed, Ordering::AcqRel) == is_allowed {
            return;
        }
        tracing::info!(
            user = %subscriber.user,
            destination = %filter,
            allowed = is_allowed,
            "right of a live subscription changed"
        );
        if is_allowed {
            self.metrics.subscriptions_withdrawn.dec();
            self.announce_subscriber(subscriber, true);
        } else {
            self.metrics.subscriptions_withdrawn.inc();
            self.metrics.denied.with_label_values(&["delivery"]).inc();
            self.announce_subscriber(subscriber, false);
        }
        let capacity = if is_allowed { capacity } else { 0 };
        let own = subscriber.durable.as_ref().map(|durable| &durable.cell);
        let cells = if let Some(cell) = own.or(subscriber.backlog.as_ref()) {
            vec![cell.clone()]
        } else if filter.is_pattern() {
            self.queues.all()
        } else {
            self.queues.find(filter).into_iter().collect()
        };
        for cell in cells {
            cell.apply(work, |queue, effects| {
                queue.set_capacity(
                    crate::queue::state::ConsumerId(subscriber.key),
                    capacity,
                    effects,
                );
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::test_support;

    fn broker(temporary: &str) -> Broker {
        let mut files = test_support::files();
        let section = format!("authorization:\n  temporary: {temporary}\n");
        let text = String::from_utf8_lossy(&files.broker).replace("authorization:\n", &section);
        files.broker = text.into_bytes();
        Broker::new(Arc::new(test_support::config(&files)), 1, [0; 16])
    }

    fn ask(broker: &Broker, connection: u64) -> Result<(), SubscribeError> {
        let rules = broker.rules.load();
        let alice = rules.identity("alice").expect("she is active");
        let own = Destination::new(Kind::TempQueue, "own");
        broker.check_subscribe(connection, alice, &own)
    }

    #[test]
    fn a_temporary_destination_is_for_its_owner_who_may_read_it() {
        let broker = broker(r#"{read: [everyone], write: [], admin: [everyone]}"#);
        assert_eq!(ask(&broker, 1), Err(SubscribeError::NotOwner));
        broker.temporaries.add(Kind::TempQueue, "own", 1);
        assert_eq!(ask(&broker, 1), Ok(()));
        assert_eq!(ask(&broker, 2), Err(SubscribeError::NotOwner));
    }

    #[test]
    fn temporary_destinations_need_the_rights_to_make_and_to_read_them() {
        let no_admin = broker(r#"{read: ["*"], write: ["*"], admin: [nobody]}"#);
        assert_eq!(ask(&no_admin, 1), Err(SubscribeError::Denied(Verb::Admin)));
        let no_read = broker(r#"{read: [nobody], write: ["*"], admin: ["*"]}"#);
        no_read.temporaries.add(Kind::TempQueue, "own", 1);
        assert_eq!(ask(&no_read, 1), Err(SubscribeError::Denied(Verb::Read)));
        let denied = no_read.metrics.denied.with_label_values(&["read"]).get();
        assert_eq!(denied, 1);
    }
}
