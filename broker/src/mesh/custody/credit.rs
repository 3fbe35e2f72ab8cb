//! Credit (R16): what other brokers let this one send, and what this one lets others send.

use std::collections::BTreeMap;
use std::time::Duration;

use super::event::{CreditWanted, QueueName, SelectorKey};
use crate::mesh::ids::{Bid, Now};
use crate::mesh::messages::{Body, CreditGrant, CreditRequest, TransferRelease};

/// A grant is valid for so long.
pub const GRANT_TTL: Duration = Duration::from_secs(5);
/// Silence for so long counts as nothing granted.
pub const CREQ_WAIT: Duration = Duration::from_secs(1);
/// Who had no credit is asked again after this time,
const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// which doubles up to this one.
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// An ask that was not used for so long is forgotten.
const FORGET: Duration = Duration::from_secs(30);
/// The most that one request asks for, and one grant gives.
const MAX_WANT: u32 = 1024;

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
    /// It had none; not yet again.
    BackedOff,
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
        if ask.left > 0 && now < ask.until {
            ask.left -= 1;
            return Allowance::Grant(ask.grant);
        }
        if ask.pending.is_some() {
            Allowance::Pending
        } else if now < ask.not_before {
            Allowance::BackedOff
        } else if ask.delay > Duration::ZERO {
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
        if answer.granted == 0 {
            ask.back_off(now);
        } else {
            let ttl = Duration::from_millis(u64::from(answer.ttl_ms)).min(GRANT_TTL);
            (ask.grant, ask.left, ask.until) = (answer.grant, answer.granted, now.plus(ttl));
            ask.delay = Duration::ZERO;
        }
        Some(key.queue)
    }

    /// The broker had no room for a message of that kind.
    pub(super) fn refused(&mut self, key: &AskKey, now: Now) {
        if let Some(ask) = self.asks.get_mut(key) {
            ask.back_off(now);
        }
    }

    /// The broker takes a grant back.
    pub(super) fn withdrawn(&mut self, from: Bid, grant: u64) {
        let asks = self.asks.iter_mut().filter(|(key, _)| key.bid == from);
        for (_, ask) in asks {
            if ask.grant == grant {
                ask.left = 0;
            }
        }
    }

    /// Gives back what is left of the grants for a queue.
    pub(super) fn give_back(
        &mut self,
        queue: &QueueName,
        now: Now,
        mut send: impl FnMut(Bid, Body),
    ) {
        for (key, ask) in self.asks.iter_mut().filter(|(key, _)| key.queue == *queue) {
            let unused = std::mem::take(&mut ask.left);
            if unused > 0 && now < ask.until {
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
    fn back_off(&mut self, now: Now) {
        self.left = 0;
        if now < self.not_before {
            // Refusals of one batch are one refusal.
            return;
        }
        self.delay = (self.delay * 2).clamp(BACKOFF_MIN, BACKOFF_MAX);
        self.not_before = now.plus(self.delay);
        self.is_resting = true;
    }
}

#[derive(Debug)]
struct Given {
    to: Bid,
    queue: QueueName,
    left: u32,
    until: Now,
}

/// The receiver's side: grants given and not used up.
#[derive(Debug, Default)]
pub(super) struct Grants {
    given: BTreeMap<u64, Given>,
    last: u64,
}

impl Grants {
    /// Answers a request: at most what is free and not promised to others. The lowest bit of a
    /// grant's number says whether the granting broker has the lower bid, so that numbers of both
    /// sides differ and a release can be told from a withdrawal.
    pub(super) fn grant(&mut self, own: Bid, request: &CreditWanted, free: u32, now: Now) -> Body {
        self.drop_old(now);
        let granted = free
            .saturating_sub(self.promised(&request.queue, now))
            .min(request.want)
            .min(MAX_WANT);
        let mut grant = 0;
        if granted > 0 {
            self.last += 1;
            grant = self.last << 1 | u64::from(own < request.from);
            let (to, queue, until) = (request.from, request.queue.clone(), now.plus(GRANT_TTL));
            self.given.insert(
                grant,
                Given {
                    to,
                    queue,
                    left: granted,
                    until,
                },
            );
        }
        let (property, value) = wire_key(&request.key);
        let ttl_ms = u32::try_from(GRANT_TTL.as_millis()).unwrap_or(u32::MAX);
        let queue = request.queue.to_string();
        Body::Cgrant(CreditGrant {
            queue,
            property,
            value,
            granted,
            grant,
            ttl_ms,
        })
    }

    /// What is granted of a queue and not used yet.
    pub(super) fn promised(&self, queue: &str, now: Now) -> u32 {
        let given = self.given.values();
        given
            .filter(|given| *given.queue == *queue && now < given.until)
            .map(|given| given.left)
            .fold(0, u32::saturating_add)
    }

    /// A transfer names a grant; false when that is over, and standing credit counts.
    pub(super) fn use_one(&mut self, owner: Bid, grant: u64, now: Now) -> bool {
        self.take(owner, grant, 1, now)
    }

    /// The owner gives some back.
    pub(super) fn released(&mut self, from: Bid, release: TransferRelease, now: Now) {
        self.take(from, release.grant, release.unused, now);
    }

    fn take(&mut self, owner: Bid, grant: u64, count: u32, now: Now) -> bool {
        let Some(given) = self.given.get_mut(&grant) else {
            return false;
        };
        if given.to != owner || now >= given.until {
            return false;
        }
        given.left = given.left.saturating_sub(count);
        if given.left == 0 {
            self.given.remove(&grant);
        }
        true
    }

    /// Withdraws what was given for a queue.
    pub(super) fn withdraw(&mut self, queue: &QueueName, mut send: impl FnMut(Bid, Body)) {
        self.given.retain(|grant, given| {
            let is_kept = given.queue != *queue;
            if !is_kept {
                let release = TransferRelease {
                    grant: *grant,
                    unused: given.left,
                };
                send(given.to, Body::Xrel(release));
            }
            is_kept
        });
    }

    pub(super) fn drop_old(&mut self, now: Now) {
        self.given.retain(|_, given| now < given.until);
    }
}

/// True when `granter` made that grant for `other`.
pub(super) fn is_granted_by(granter: Bid, other: Bid, grant: u64) -> bool {
    (grant & 1 == 1) == (granter < other)
}

pub(super) fn own_key(property: &str, value: u64) -> SelectorKey {
    (!property.is_empty()).then(|| (property.into(), value))
}

fn wire_key(key: &SelectorKey) -> (String, u64) {
    key.as_ref()
        .map_or_else(Default::default, |(property, value)| {
            (property.to_string(), *value)
        })
}
