//! Credit (R16), the owner's side: what other brokers let this one send. `grants` has the other one.

use std::collections::BTreeMap;
use std::time::Duration;

use super::event::{QueueName, Refusal, SelectorKey};
use crate::mesh::ids::{Bid, Now};
use crate::mesh::messages::{Body, CreditGrant, CreditRequest, TransferRelease};

/// A grant is valid for so long.
pub const GRANT_TTL: Duration = Duration::from_secs(5);
/// Silence for so long counts as nothing granted, and a promise without a grant as none.
pub const CREQ_WAIT: Duration = Duration::from_secs(1);
/// Who had no credit is asked again after this time,
const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// which doubles up to this one.
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// An ask that was not used for so long is forgotten.
const FORGET: Duration = Duration::from_secs(30);
/// The most that one request asks for, and one grant gives.
pub(super) const MAX_WANT: u32 = 1024;

/// What one asks for: messages of one queue and one selector value, at one broker.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AskKey {
    pub(super) bid: Bid,
    pub(super) queue: QueueName,
    pub(super) key: SelectorKey,
}

/// How things stand with one broker about one kind of message.
#[derive(Debug, Default)]
struct Ask {
    pending: Option<Now>,
    grant: u64,
    left: u32,
    until: Now,
    /// The broker said that more is granted as soon as it has room; believed until then.
    promised: Option<Now>,
    /// Standing credit was refused, and something still waits for others.
    asks_first: bool,
    delay: Duration,
    not_before: Now,
    /// Nobody was told yet that the wait is over.
    is_resting: bool,
    hint: u32,
    used: Now,
}

/// What an ask allows at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowance {
    /// Use that grant; it was counted.
    Grant(u64),
    /// Standing credit may be used.
    Standing,
    /// Standing credit was refused a moment ago: ask first.
    AskFirst,
    /// An answer is on its way.
    Pending,
    /// It had none; not yet again, or it will say so itself.
    Wait,
}

/// The owner's side.
#[derive(Debug, Default)]
pub(super) struct Asked {
    asks: BTreeMap<AskKey, Ask>,
}

impl Asked {
    /// What may be sent now. `hint` is the entry's credit hint: a rise ends the back-off.
    pub(super) fn allowance(&mut self, key: &AskKey, hint: u32, now: Now) -> Allowance {
        let ask = match self.asks.get_mut(key) {
            Some(ask) => ask,
            None => self.asks.entry(key.clone()).or_default(),
        };
        ask.used = now;
        if hint > std::mem::replace(&mut ask.hint, hint) {
            ask.not_before = now;
        }
        if now < ask.not_before {
            Allowance::Wait
        } else if ask.left > 0 && now < ask.until {
            ask.left -= 1;
            Allowance::Grant(ask.grant)
        } else if ask.pending.is_some() {
            Allowance::Pending
        } else if ask.promised.is_some_and(|until| now < until) {
            Allowance::Wait
        } else if ask.asks_first {
            Allowance::AskFirst
        } else {
            Allowance::Standing
        }
    }

    /// The request to send; its answer is awaited from now on.
    pub(super) fn ask(&mut self, key: &AskKey, waiting: u32, now: Now) -> Body {
        if let Some(ask) = self.asks.get_mut(key) {
            ask.pending = Some(now);
        }
        let (property, value) = wire_key(&key.key);
        let want = waiting.clamp(1, MAX_WANT);
        Body::Creq(CreditRequest {
            queue: key.queue.to_string(),
            property,
            value,
            want,
        })
    }

    /// An answer arrived.
    pub(super) fn granted(
        &mut self,
        from: Bid,
        answer: &CreditGrant,
        now: Now,
    ) -> Option<QueueName> {
        let queue = QueueName::from(answer.queue.as_str());
        let key = AskKey {
            bid: from,
            queue,
            key: own_key(&answer.property, answer.value),
        };
        let ask = self.asks.get_mut(&key)?;
        ask.pending = None;
        ask.promised = answer.more.then(|| now.plus(CREQ_WAIT));
        if answer.granted > 0 {
            ask.take_grant(answer, now);
        } else {
            ask.asks_first = true;
            if !answer.more {
                ask.back_off(now);
            }
        }
        Some(key.queue)
    }

    /// The broker had no room for a message of that kind. Who has no free consumer is asked at once,
    /// and says when it has one again.
    pub(super) fn refused(&mut self, key: &AskKey, why: Refusal, is_standing: bool, now: Now) {
        let Some(ask) = self.asks.get_mut(key) else {
            return;
        };
        ask.asks_first = true;
        if !is_standing {
            // The grant was over when it was used.
            ask.left = 0;
        }
        if why == Refusal::Full {
            ask.back_off(now);
        }
    }

    /// The way to a broker is gone, and with it what it promised.
    pub(super) fn distrust(&mut self, bid: Bid) {
        let asks = self.asks.iter_mut().filter(|(key, _)| key.bid == bid);
        asks.for_each(|(_, ask)| ask.promised = None);
    }

    /// The broker takes a grant back.
    pub(super) fn withdrawn(&mut self, from: Bid, grant: u64) {
        let asks = self.asks.iter_mut().filter(|(key, _)| key.bid == from);
        for (_, ask) in asks {
            if ask.grant == grant {
                (ask.left, ask.promised) = (0, None);
            }
        }
    }

    /// Gives back what is left of the grants for a queue. When it is empty, standing credit is tried
    /// again for what comes next.
    pub(super) fn give_back(
        &mut self,
        queue: &QueueName,
        is_empty: bool,
        now: Now,
        mut send: impl FnMut(Bid, Body),
    ) {
        for (key, ask) in self.asks.iter_mut().filter(|(key, _)| key.queue == *queue) {
            ask.asks_first &= !is_empty;
            let unused = std::mem::take(&mut ask.left);
            if unused > 0 && now < ask.until {
                ask.promised = None;
                send(
                    key.bid,
                    Body::Xrel(TransferRelease {
                        grant: ask.grant,
                        unused,
                    }),
                );
            }
        }
    }

    /// What is granted for a queue and not used yet.
    pub(super) fn unused(&self, queue: &str, now: Now) -> u32 {
        let asks = self.asks.iter();
        asks.filter(|(key, ask)| *key.queue == *queue && now < ask.until)
            .map(|(_, ask)| ask.left)
            .fold(0, u32::saturating_add)
    }

    /// Counts silence as nothing granted; names the queues that may ask again.
    pub(super) fn tick(&mut self, now: Now, mut look: impl FnMut(&QueueName)) {
        for (key, ask) in &mut self.asks {
            if ask.is_resting && ask.not_before <= now {
                ask.is_resting = false;
                look(&key.queue);
            }
            if ask
                .pending
                .is_some_and(|since| now.since(since) >= CREQ_WAIT)
            {
                ask.pending = None;
                ask.back_off(now);
                look(&key.queue);
            }
        }
        self.asks
            .retain(|_, ask| ask.pending.is_some() || now.since(ask.used) < FORGET);
    }

    /// Forgets everything about a broker.
    pub(super) fn forget(&mut self, bid: Bid) {
        self.asks.retain(|key, _| key.bid != bid);
    }

    pub(super) fn deadline(&self) -> Option<Now> {
        let due = |ask: &Ask| {
            let silent = ask.pending.map(|since| since.plus(CREQ_WAIT));
            silent
                .into_iter()
                .chain(ask.is_resting.then_some(ask.not_before))
                .min()
        };
        self.asks.values().filter_map(due).min()
    }
}

impl Ask {
    /// Adds to what is left of a grant, or begins a new one.
    fn take_grant(&mut self, answer: &CreditGrant, now: Now) {
        let is_same = self.grant == answer.grant && now < self.until;
        let left = if is_same { self.left } else { 0 };
        let ttl = Duration::from_millis(u64::from(answer.ttl_ms)).min(GRANT_TTL);
        (self.grant, self.until) = (answer.grant, now.plus(ttl));
        self.left = left.saturating_add(answer.granted);
        (self.delay, self.not_before, self.is_resting) = (Duration::ZERO, now, false);
    }

    fn back_off(&mut self, now: Now) {
        self.asks_first = true;
        if now < self.not_before {
            // Refusals of one batch are one refusal.
            return;
        }
        self.delay = (self.delay * 2).clamp(BACKOFF_MIN, BACKOFF_MAX);
        self.not_before = now.plus(self.delay);
        self.is_resting = true;
    }
}

/// True when `granter` made that grant for `other`.
pub(super) fn is_granted_by(granter: Bid, other: Bid, grant: u64) -> bool {
    (grant & 1 == 1) == (granter < other)
}

pub(super) fn own_key(property: &str, value: u64) -> SelectorKey {
    (!property.is_empty()).then(|| (property.into(), value))
}

pub(super) fn wire_key(key: &SelectorKey) -> (String, u64) {
    key.as_ref()
        .map_or_else(Default::default, |(property, value)| {
            (property.to_string(), *value)
        })
}
