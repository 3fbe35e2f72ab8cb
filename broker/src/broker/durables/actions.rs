//! What the broker does with durable subscriptions: make, feed, silence and end them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::{Claimed, Durable, DurableError, DurableKey, DurableLimits, DurableWish};
use crate::broker::Broker;
use crate::clock;
use crate::config::Config;
use crate::model::{Kind, Message, MessageView};
use crate::queue::Work;
use crate::routing::properties::MessageProperties;
use crate::security::Verb;

/// Durable subscriptions shown in `/status`, the fullest first.
const MAX_SHOWN: usize = 1000;

impl Broker {
    /// Gives a durable subscription to a connection whose rights were checked. Made anew, it is
    /// known to other brokers from here on, and stays so while its client is away.
    ///
    /// # Errors
    /// Somebody consumes from it, or there are too many.
    pub fn claim_durable(
        &self,
        key: DurableKey,
        wish: DurableWish,
        connection: u64,
    ) -> Result<Arc<Durable>, DurableError> {
        let config = self.config();
        let limits = DurableLimits {
            all: config.limits.durable_subscriptions,
            per_user: config.limits.durable_subscriptions_per_user,
            backlog: self.policies().durable,
        };
        self.claim_durable_within(limits, key, wish, connection)
    }

    /// One that was admitted once, before this process: no limit refuses it now. Nobody consumes from it yet.
    pub(in crate::broker) fn restore_durable(
        &self,
        key: DurableKey,
        wish: DurableWish,
    ) -> Result<Arc<Durable>, DurableError> {
        let limits = DurableLimits {
            all: usize::MAX,
            per_user: 0,
            backlog: self.policies().durable,
        };
        self.claim_durable_within(limits, key, wish, 0)
    }

    fn claim_durable_within(
        &self,
        limits: DurableLimits,
        key: DurableKey,
        wish: DurableWish,
        connection: u64,
    ) -> Result<Arc<Durable>, DurableError> {
        let now_ns = clock::monotonic_ns();
        let Claimed {
            durable,
            is_new,
            replaced,
        } = self.durables.claim(key, wish, connection, limits, now_ns)?;
        if is_new {
            // Announced before the old one is withdrawn: what both want does not flap.
            self.announce_durable(&durable, true);
            self.bump_generation();
        }
        if let Some(replaced) = replaced {
            self.end_durable(&replaced);
        }
        Ok(durable)
    }

    /// Deletes a durable subscription with what it kept.
    ///
    /// # Errors
    /// There is none, or somebody consumes from it.
    pub fn delete_durable(&self, key: &DurableKey) -> Result<(), DurableError> {
        let removed = self.durables.remove(key)?;
        self.end_durable(&removed);
        self.bump_generation();
        Ok(())
    }

    /// Routes that are cached elsewhere may hold it for long, so it is emptied and takes no more.
    fn end_durable(&self, durable: &Durable) {
        let was_announced = durable.end();
        durable.cell.discard();
        if was_announced {
            self.announce_durable(durable, false);
        }
    }

    fn announce_durable(&self, durable: &Durable, is_new: bool) {
        for filter in &durable.wish.filters {
            self.announce(filter, durable.wish.selector.as_ref(), is_new);
        }
    }

    /// Copies a topic message into the durable subscriptions that want it.
    pub(in crate::broker) fn feed_durables(
        &self,
        publisher: Option<u64>,
        durables: &[Arc<Durable>],
        view: &MessageView<'_>,
        kept: &mut Option<Message>,
        work: &mut Work,
    ) {
        let properties = MessageProperties::new(view);
        for durable in durables {
            if !durable.wants(publisher, &properties) {
                continue;
            }
            let message = kept.get_or_insert_with(|| Message::from_view(view));
            let dropped = durable.cell.enqueue_dropping(message, work);
            if dropped > 0 {
                durable.dropped.fetch_add(dropped, Ordering::Relaxed);
                self.metrics
                    .messages_dropped
                    .with_label_values(&["durable_full"])
                    .inc_by(dropped);
            }
        }
    }

    /// Judges durable subscriptions by new rules: silent without their right, and gone with their
    /// user.
    pub(in crate::broker) fn judge_durables(&self, new: &Config, work: &mut Work) {
        if self.durables.is_empty() {
            return;
        }
        let is_known = |name: &str| new.users.users.iter().any(|user| user.name == name);
        for durable in self.durables.remove_of_strangers(is_known) {
            tracing::info!(user = %durable.key.user, name = %durable.key.name, "durable subscription ended: its user was removed");
            self.end_durable(&durable);
        }
        for durable in self.durables.all() {
            self.judge_durable(&durable, work);
        }
    }

    fn judge_durable(&self, durable: &Durable, work: &mut Work) {
        let rules = self.rules();
        let is_allowed = rules.identity(&durable.key.user).is_some_and(|identity| {
            let mut filters = durable.wish.filters.iter();
            filters.all(|filter| rules.may(identity, Verb::Read, filter.kind, &filter.name))
        });
        if durable.allow(is_allowed) {
            tracing::info!(
                user = %durable.key.user,
                name = %durable.key.name,
                allowed = is_allowed,
                "right of a durable subscription changed"
            );
            self.announce_durable(durable, is_allowed);
        }
        let has_pattern = durable
            .wish
            .filters
            .iter()
            .any(|filter| filter.is_pattern());
        if is_allowed && has_pattern {
            // A part of the pattern may be denied now: what was collected of it is not shown.
            let dropped = durable.cell.apply(work, |queue, _| {
                queue.retain_ready(|message| {
                    message.view().is_some_and(|view| {
                        self.may_user_read(&durable.key.user, Kind::Topic, view.name)
                    })
                })
            });
            self.metrics
                .messages_dropped
                .with_label_values(&["denied"])
                .inc_by(dropped as u64);
        }
    }

    /// Expires what durable subscriptions keep, and counts it.
    pub(in crate::broker) fn sweep_durables(&self, wall_ms: i64, work: &mut Work) {
        let (mut messages, mut bytes, mut active, mut all) = (0, 0, 0, 0);
        for durable in self.durables.all() {
            durable
                .cell
                .apply(work, |queue, effects| queue.expire(wall_ms, effects));
            let numbers = durable.cell.numbers();
            messages += numbers.depth;
            bytes += numbers.bytes;
            all += 1;
            active += i64::from(durable.active().is_some());
        }
        let metrics = &self.metrics;
        let subscriptions = &metrics.durable_subscriptions;
        subscriptions.with_label_values(&["active"]).set(active);
        subscriptions
            .with_label_values(&["offline"])
            .set(all - active);
        metrics
            .durable_messages
            .set(i64::try_from(messages).unwrap_or(i64::MAX));
        metrics
            .durable_bytes
            .set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// The durable subscriptions, for `/status`.
    pub(in crate::broker) fn durable_status(&self) -> Vec<Value> {
        let durables = self.durables.all().into_iter();
        let mut shown: Vec<_> = durables.map(|one| (one.cell.numbers(), one)).collect();
        // Stable: equals stay in the order of their keys.
        shown.sort_by_key(|(numbers, _)| std::cmp::Reverse(numbers.depth));
        shown.truncate(MAX_SHOWN);
        let show = |(numbers, durable): (crate::queue::cell::QueueNumbers, Arc<Durable>)| {
            let filters = durable.wish.filters.iter();
            json!({
                "name": &*durable.key.name,
                "clientId": &*durable.key.client_id,
                "user": &*durable.key.user,
                "topics": filters.map(|filter| &*filter.name).collect::<Vec<_>>(),
                "connection": durable.active(),
                "allowed": durable.allowed(),
                "pending": numbers.depth,
                "bytes": numbers.bytes,
                "enqueued": numbers.counters.enqueued,
                "dequeued": numbers.counters.dequeued,
                "dropped": durable.dropped(),
            })
        };
        shown.into_iter().map(show).collect()
    }
}
