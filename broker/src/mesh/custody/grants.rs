//! Credit (R16), the receiver's side: what this broker lets others send. Who asks for more than there
//! is room for is remembered, and told when there is room.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::credit::{AskKey, GRANT_TTL, MAX_WANT, wire_key};
use super::event::{Cause, CreditWanted, QueueName, Room, SelectorKey};
use crate::mesh::ids::{Bid, Now};
use crate::mesh::messages::{Body, CreditGrant, TransferRelease};

/// Those that wait for room at most, all queues together.
const MAX_WAITERS: usize = 4096;
/// Little room is told of after this time, so that what becomes free meanwhile is told with it.
const GATHER: Duration = Duration::from_millis(5);
/// What is over is forgotten once in this time.
const CLEANING: Duration = Duration::from_secs(1);
/// The part of all places that is not little.
const SHARE: u32 = 4;

#[derive(Debug)]
struct Given {
    to: AskKey,
    left: u32,
    until: Now,
}

/// One that asked for more than it got.
#[derive(Debug)]
struct Waiter {
    bid: Bid,
    key: SelectorKey,
    want: u32,
    until: Now,
}

/// What comes of a request, or of room for one that waits.
#[derive(Debug)]
pub(super) enum Granted {
    /// Say this.
    Say(Body),
    /// Little room: it is told of when [`Grants::deadline`] is over, which is sooner than before.
    Soon,
    /// Nothing.
    Nothing,
}

/// Grants given and not used up, and who waits for one.
#[derive(Debug, Default)]
pub(super) struct Grants {
    given: BTreeMap<u64, Given>,
    last: u64,
    /// The longest unserved first.
    waiters: BTreeMap<QueueName, VecDeque<Waiter>>,
    /// When little room is told of.
    due: BTreeMap<QueueName, Now>,
    /// When what is over was forgotten.
    dropped_at: Now,
}

impl Grants {
    /// Answers a request, or serves one that waits: at most what is free and not promised to others.
    pub(super) fn grant(
        &mut self,
        own: Bid,
        request: &CreditWanted,
        room: Room,
        now: Now,
    ) -> Granted {
        self.drop_old(now);
        let (from, queue) = (request.from, &request.queue);
        let want = match request.cause {
            Cause::Asked => request.want.min(MAX_WANT),
            Cause::Room | Cause::Due => match self.wanted(request, now) {
                Some(want) => want,
                None => return Granted::Nothing,
            },
        };
        let free = room.free.saturating_sub(self.promised(queue, now));
        let granted = free.min(want);
        if request.cause != Cause::Asked && granted == 0 {
            return Granted::Nothing;
        }
        let is_little = granted < want && granted < room.all.div_ceil(SHARE);
        if request.cause == Cause::Room && is_little {
            return self.put_off(queue, now);
        }
        self.drop_waiter(from, queue, &request.key);
        let more = room.all > 0 && granted < want && self.waiters_count() < MAX_WAITERS;
        if more {
            let waiter = Waiter {
                bid: from,
                key: request.key.clone(),
                want: want - granted,
                until: now.plus(GRANT_TTL),
            };
            self.waiters
                .entry(queue.clone())
                .or_default()
                .push_back(waiter);
        }
        let grant = match granted {
            0 => 0,
            granted => self.give(own, request, granted, now),
        };
        Granted::Say(answer(queue, &request.key, (grant, granted), more))
    }

    /// Adds to the grant that the other one has, or makes one. The lowest bit of its number says
    /// whether the granting broker has the lower bid, so that numbers of both sides differ and a
    /// release can be told from a withdrawal.
    fn give(&mut self, own: Bid, request: &CreditWanted, count: u32, now: Now) -> u64 {
        let to = AskKey {
            bid: request.from,
            queue: request.queue.clone(),
            key: request.key.clone(),
        };
        let until = now.plus(GRANT_TTL);
        if let Some((grant, given)) = self.valid_grant(&to, now) {
            (given.left, given.until) = (given.left.saturating_add(count), until);
            return *grant;
        }
        self.last += 1;
        let grant = self.last << 1 | u64::from(own < request.from);
        let left = count;
        self.given.insert(grant, Given { to, left, until });
        grant
    }

    fn valid_grant(&mut self, to: &AskKey, now: Now) -> Option<(&u64, &mut Given)> {
        let mut given = self.given.iter_mut();
        given.find(|(_, given)| given.to == *to && now < given.until)
    }

    fn wanted(&self, request: &CreditWanted, now: Now) -> Option<u32> {
        let mut waiters = self.waiters.get(&request.queue)?.iter();
        waiters
            .find(|waiter| {
                let is_it = waiter.bid == request.from && waiter.key == request.key;
                is_it && now < waiter.until
            })
            .map(|waiter| waiter.want)
    }

    fn put_off(&mut self, queue: &QueueName, now: Now) -> Granted {
        if self.due.contains_key(queue) {
            return Granted::Nothing;
        }
        self.due.insert(queue.clone(), now.plus(GATHER));
        Granted::Soon
    }

    fn drop_waiter(&mut self, bid: Bid, queue: &QueueName, key: &SelectorKey) {
        if let Some(waiters) = self.waiters.get_mut(queue) {
            waiters.retain(|waiter| waiter.bid != bid || waiter.key != *key);
            if waiters.is_empty() {
                self.waiters.remove(queue);
            }
        }
    }

    fn waiters_count(&self) -> usize {
        self.waiters.values().map(VecDeque::len).sum()
    }

    /// What is granted of a queue and not used yet.
    pub(super) fn promised(&self, queue: &str, now: Now) -> u32 {
        let given = self.given.values();
        given
            .filter(|given| *given.to.queue == *queue && now < given.until)
            .map(|given| given.left)
            .fold(0, u32::saturating_add)
    }

    /// True while somebody waits for room in the queue.
    pub(super) fn is_awaited(&self, queue: &str) -> bool {
        self.waiters.contains_key(queue)
    }

    /// Those that wait for room in the queue, as requests.
    pub(super) fn waiting(
        &self,
        queue: &QueueName,
        cause: Cause,
    ) -> impl Iterator<Item = CreditWanted> {
        let waiters = self.waiters.get(queue).into_iter().flatten();
        waiters.map(move |waiter| CreditWanted {
            from: waiter.bid,
            queue: queue.clone(),
            key: waiter.key.clone(),
            want: waiter.want,
            cause,
        })
    }

    /// When little room is told of next.
    pub(super) fn deadline(&self) -> Option<Now> {
        self.due.values().copied().min()
    }

    /// Those that are told of little room now.
    pub(super) fn tick(&mut self, now: Now) -> Vec<CreditWanted> {
        let due = self.due.iter().filter(|(_, due)| **due <= now);
        let told = due
            .flat_map(|(queue, _)| self.waiting(queue, Cause::Due))
            .collect();
        self.due.retain(|_, due| now < *due);
        told
    }

    /// Everybody that waits: some of them may have missed something.
    pub(super) fn sweep(&mut self, now: Now) -> Vec<CreditWanted> {
        self.drop_old(now);
        let queues = self.waiters.keys();
        queues
            .flat_map(|queue| self.waiting(queue, Cause::Due))
            .collect()
    }

    /// A transfer names a grant; false when that is over, and standing credit counts.
    pub(super) fn use_one(&mut self, owner: Bid, grant: u64, now: Now) -> bool {
        self.take(owner, grant, 1, now).is_some()
    }

    /// The owner gives some back, because nothing waits there. Gives the queue in which there is room
    /// for others now.
    pub(super) fn released(
        &mut self,
        from: Bid,
        release: TransferRelease,
        now: Now,
    ) -> Option<QueueName> {
        let AskKey { queue, key, .. } = self.take(from, release.grant, release.unused, now)?;
        self.drop_waiter(from, &queue, &key);
        Some(queue)
    }

    fn take(&mut self, owner: Bid, grant: u64, count: u32, now: Now) -> Option<AskKey> {
        let given = self.given.get_mut(&grant)?;
        if given.to.bid != owner || now >= given.until {
            return None;
        }
        given.left = given.left.saturating_sub(count);
        let (to, is_over) = (given.to.clone(), given.left == 0);
        if is_over {
            self.given.remove(&grant);
        }
        Some(to)
    }

    /// Withdraws what was given for a queue; nobody waits for it any more.
    pub(super) fn withdraw(&mut self, queue: &QueueName, mut send: impl FnMut(Bid, Body)) {
        self.given.retain(|grant, given| {
            let is_kept = given.to.queue != *queue;
            if !is_kept {
                let release = TransferRelease {
                    grant: *grant,
                    unused: given.left,
                };
                send(given.to.bid, Body::Xrel(release));
            }
            is_kept
        });
        for waiter in self.waiters.remove(queue).into_iter().flatten() {
            send(waiter.bid, answer(queue, &waiter.key, (0, 0), false));
        }
    }

    /// A broker waits no more: it is out of reach, or another process.
    pub(super) fn forget_waiting(&mut self, bid: Bid) {
        for waiters in self.waiters.values_mut() {
            waiters.retain(|waiter| waiter.bid != bid);
        }
        self.waiters.retain(|_, waiters| !waiters.is_empty());
    }

    /// Forgets what is over, which counts nowhere any more; not for each request, since it looks at all.
    fn drop_old(&mut self, now: Now) {
        if now < self.dropped_at.plus(CLEANING) {
            return;
        }
        self.dropped_at = now;
        self.given.retain(|_, given| now < given.until);
        for waiters in self.waiters.values_mut() {
            waiters.retain(|waiter| now < waiter.until);
        }
        self.waiters.retain(|_, waiters| !waiters.is_empty());
    }
}

fn answer(queue: &QueueName, key: &SelectorKey, (grant, granted): (u64, u32), more: bool) -> Body {
    let (property, value) = wire_key(key);
    Body::Cgrant(CreditGrant {
        queue: queue.to_string(),
        property,
        value,
        granted,
        grant,
        ttl_ms: u32::try_from(GRANT_TTL.as_millis()).unwrap_or(u32::MAX),
        more,
    })
}
