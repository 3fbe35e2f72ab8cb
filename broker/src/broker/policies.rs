//! What the configuration says about queues, by name.

use crate::config::Config;
use crate::config::file::{QueueFull, QueuePolicy as Written};
use crate::mesh::replies::ReplyPatterns;
use crate::model::destination;
use crate::queue::state::QueueLimits;

/// What holds for one queue.
#[derive(Debug, Clone)]
pub struct QueuePolicy {
    /// When it counts as full, and how often a message may come back.
    pub limits: QueueLimits,
    /// A producer is refused, not held, while it is full.
    pub refuses_when_full: bool,
    /// Empty and unused for so long: removed. Nanoseconds.
    pub idle_after_ns: u64,
    /// Messages in flight per consumer unless it asks otherwise.
    pub prefetch: u32,
    /// The shared dead letter queue; empty = none.
    pub dead_letter: String,
    /// Prefix of dead letter queues of their own; empty = the shared one.
    pub dead_letter_prefix: String,
    /// Non-persistent messages are kept too.
    pub dead_letter_non_persistent: bool,
    /// Expired messages are kept too.
    pub dead_letter_expired: bool,
}

impl QueuePolicy {
    /// The name of the queue that keeps the dead letters of `queue`.
    #[must_use]
    pub fn dead_letter_for(&self, queue: &str) -> Option<String> {
        if !self.dead_letter_prefix.is_empty() {
            return Some(format!("{}{queue}", self.dead_letter_prefix));
        }
        (!self.dead_letter.is_empty()).then(|| self.dead_letter.clone())
    }

    fn changed_by(&self, written: &Written) -> Self {
        let mut policy = self.clone();
        let limits = &mut policy.limits;
        if let Some(bytes) = written.max_bytes {
            limits.max_bytes = usize::try_from(bytes.0).unwrap_or(usize::MAX);
        }
        if let Some(count) = written.max_messages {
            limits.max_messages = usize::try_from(count).unwrap_or(usize::MAX);
        }
        limits.max_redeliveries = written.max_redeliveries.unwrap_or(limits.max_redeliveries);
        if let Some(full) = written.full {
            policy.refuses_when_full = full == QueueFull::Refuse;
        }
        if let Some(idle_after) = written.idle_after {
            policy.idle_after_ns = idle_after.nanoseconds();
        }
        policy.prefetch = written.prefetch.unwrap_or(policy.prefetch);
        if let Some(name) = &written.dead_letter {
            policy.dead_letter.clone_from(name);
        }
        if let Some(prefix) = &written.dead_letter_prefix {
            policy.dead_letter_prefix.clone_from(prefix);
        }
        policy.dead_letter_non_persistent = written
            .dead_letter_non_persistent
            .unwrap_or(policy.dead_letter_non_persistent);
        policy.dead_letter_expired = written
            .dead_letter_expired
            .unwrap_or(policy.dead_letter_expired);
        policy
    }
}

/// The largest window of a consumer.
pub const MAX_PREFETCH: u32 = 32_767;

/// Policies in order; the first whose pattern matches wins.
#[derive(Debug, Clone)]
pub struct Policies {
    queues: Vec<(String, QueuePolicy)>,
    default_queue: QueuePolicy,
    /// Names of reply destinations.
    pub replies: ReplyPatterns,
    /// Messages in flight per topic consumer that acknowledges.
    pub topic_prefetch: u32,
    /// Messages in flight at the consumer of a durable subscription.
    pub durable_prefetch: u32,
    /// When the backlog of a durable subscription is full.
    pub durable: QueueLimits,
}

impl Policies {
    /// The policies of a configuration.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let queue = &config.broker.queue;
        let base = QueuePolicy {
            limits: QueueLimits {
                max_bytes: config.limits.queue_bytes,
                max_messages: usize::try_from(queue.max_messages.unwrap_or(0))
                    .unwrap_or(usize::MAX),
                max_redeliveries: queue.max_redeliveries.unwrap_or(0),
            },
            refuses_when_full: queue.full == Some(QueueFull::Refuse),
            idle_after_ns: queue
                .idle_after
                .map_or(300_000_000_000, |after| after.nanoseconds()),
            prefetch: queue.prefetch.unwrap_or(1000).clamp(1, MAX_PREFETCH),
            dead_letter: queue
                .dead_letter
                .clone()
                .unwrap_or_else(|| "ActiveMQ.DLQ".to_owned()),
            dead_letter_prefix: queue.dead_letter_prefix.clone().unwrap_or_default(),
            dead_letter_non_persistent: queue.dead_letter_non_persistent.unwrap_or(false),
            dead_letter_expired: queue.dead_letter_expired.unwrap_or(true),
        };
        let queues = queue
            .policies
            .iter()
            .flatten()
            .map(|written| (written.pattern.clone(), base.changed_by(written)))
            .collect();
        let topic_prefetch = config
            .broker
            .topic
            .prefetch
            .unwrap_or(MAX_PREFETCH)
            .clamp(1, MAX_PREFETCH);
        let durable_prefetch = config.broker.topic.durable_prefetch.unwrap_or(100);
        let durable = QueueLimits {
            max_bytes: config.limits.durable_bytes,
            max_messages: config.limits.durable_messages,
            max_redeliveries: base.limits.max_redeliveries,
        };
        Self {
            queues,
            default_queue: base,
            replies: ReplyPatterns::new(config.limits.reply_patterns.iter().map(String::as_str)),
            topic_prefetch,
            durable_prefetch: durable_prefetch.clamp(1, MAX_PREFETCH),
            durable,
        }
    }

    /// What holds for the queue of that name.
    #[must_use]
    pub fn queue(&self, name: &str) -> &QueuePolicy {
        self.queues
            .iter()
            .find(|(pattern, _)| destination::matches(pattern, name))
            .map_or(&self.default_queue, |(_, policy)| policy)
    }
}
