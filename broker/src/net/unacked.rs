//! Messages that one client has and has not acknowledged, in the order they were handed over.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::Message;
use crate::queue::QueueCell;

/// One message in a client's hands, and the queue that waits for the answer.
#[derive(Debug, Clone)]
pub struct Delivered {
    /// The subscription, by its number in the session.
    pub subscription: u32,
    /// The queue: for a topic, the backlog of the subscription.
    pub queue: Arc<QueueCell>,
    /// The consumer in it.
    pub consumer: u64,
    /// The number of the message in it.
    pub seq: u64,
    /// The message, for its id.
    pub message: Message,
}

impl Delivered {
    fn has_id(&self, id: &str) -> bool {
        self.message.view().is_some_and(|view| view.id == id)
    }
}

/// How an ACK or NACK names its message.
#[derive(Debug, Clone, Copy)]
pub enum Named<'a> {
    /// STOMP 1.2: the token of the MESSAGE's `ack` header.
    Token(u64),
    /// Earlier versions: the message id, in 1.1 with its subscription.
    Id(&'a str, Option<u32>),
}

/// The table of one connection.
#[derive(Debug, Default)]
pub struct Unacked {
    entries: BTreeMap<u64, Delivered>,
    next: u64,
}

impl Unacked {
    /// Notes a message; the token names it from now on.
    pub fn add(&mut self, delivered: Delivered) -> u64 {
        self.next += 1;
        self.entries.insert(self.next, delivered);
        self.next
    }

    /// Messages in the client's hands.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when everything was answered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The token and subscription of the message that a client names.
    #[must_use]
    pub fn find(&self, named: Named<'_>) -> Option<(u64, u32)> {
        let (token, delivered) = match named {
            Named::Token(token) => (token, self.entries.get(&token)?),
            Named::Id(id, subscription) => self
                .entries
                .iter()
                .find(|(_, delivered)| {
                    subscription.is_none_or(|wanted| wanted == delivered.subscription)
                        && delivered.has_id(id)
                })
                .map(|(token, delivered)| (*token, delivered))?,
        };
        Some((token, delivered.subscription))
    }

    /// Takes one message out.
    pub fn take(&mut self, token: u64) -> Option<Delivered> {
        self.entries.remove(&token)
    }

    /// Takes out that message and all earlier ones of its subscription, oldest first.
    pub fn take_up_to(&mut self, token: u64, subscription: u32) -> Vec<(u64, Delivered)> {
        let tokens: Vec<u64> = self
            .entries
            .range(..=token)
            .filter(|(_, delivered)| delivered.subscription == subscription)
            .map(|(token, _)| *token)
            .collect();
        tokens
            .into_iter()
            .filter_map(|token| {
                self.entries
                    .remove(&token)
                    .map(|delivered| (token, delivered))
            })
            .collect()
    }

    /// Puts back what an aborted transaction had taken.
    pub fn put_back(&mut self, token: u64, delivered: Delivered) {
        self.entries.insert(token, delivered);
    }

    /// Takes out all of one subscription.
    pub fn take_subscription(&mut self, subscription: u32) -> Vec<(u64, Delivered)> {
        self.take_up_to(u64::MAX, subscription)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Delivered, Named, Unacked};
    use crate::model::{Destination, Kind, Message, MessageView};
    use crate::queue::QueueCell;
    use crate::queue::state::QueueLimits;

    fn delivered(subscription: u32, id: &str) -> Delivered {
        let limits = QueueLimits {
            max_bytes: 1,
            max_messages: 0,
            max_redeliveries: 0,
        };
        let destination = Destination::new(Kind::Queue, "q");
        Delivered {
            subscription,
            queue: Arc::new(QueueCell::new(destination, limits, 0, Arc::default())),
            consumer: 1,
            seq: 1,
            message: Message::from_view(&MessageView::new(Kind::Queue, "q", id, b"")),
        }
    }

    #[test]
    fn a_cumulative_answer_takes_the_earlier_ones_of_its_subscription_only() {
        let mut unacked = Unacked::default();
        let first = unacked.add(delivered(1, "a"));
        unacked.add(delivered(2, "b"));
        let third = unacked.add(delivered(1, "c"));
        unacked.add(delivered(1, "d"));
        assert_eq!(unacked.find(Named::Id("c", Some(1))), Some((third, 1)));
        assert_eq!(unacked.find(Named::Id("c", Some(2))), None);
        let taken: Vec<u64> = unacked
            .take_up_to(third, 1)
            .into_iter()
            .map(|(token, _)| token)
            .collect();
        assert_eq!(taken, [first, third]);
        assert_eq!(unacked.len(), 2);
        assert_eq!(unacked.find(Named::Token(third)), None);
    }
}
