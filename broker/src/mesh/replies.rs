//! Learned reply routes (R12 a, b, d): a request teaches every broker that delivers it where the
//! answer is wanted, so that a reply needs no interest of its destination anywhere.

mod lost;
mod patterns;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::Duration;

use super::ids::{Bid, Now};

pub use lost::LostSites;
pub use patterns::{MONITOR_HOLD, ReplyPatterns, spares_monitors};

/// Brokers per name: several requesters may share one.
pub const BIDS_PER_NAME: usize = 4;
/// Ends the list of use.
const NONE: usize = usize::MAX;

/// The name space of a reply-to; the number that an envelope uses.
pub type KindCode = u8;

/// One broker that wants the answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The broker.
    pub bid: Bid,
    /// Until when.
    pub until: Now,
}

#[derive(Debug)]
struct Slot {
    kind: KindCode,
    name: Box<str>,
    /// Newest first.
    routes: Vec<Route>,
    older: usize,
    newer: usize,
}

/// All learned routes, least recently used out.
#[derive(Debug)]
pub struct Replies {
    names: HashMap<Box<str>, Vec<usize>>,
    slots: Vec<Slot>,
    free: Vec<usize>,
    oldest: usize,
    newest: usize,
    count: usize,
    cap: usize,
    ttl: Duration,
}

impl Replies {
    /// At most `cap` names, each for at most `ttl`.
    #[must_use]
    pub fn new(cap: usize, ttl: Duration) -> Self {
        Self {
            names: HashMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            oldest: NONE,
            newest: NONE,
            count: 0,
            cap: cap.max(1),
            ttl,
        }
    }

    /// Applies new limits; what is above them goes.
    pub fn set_limits(&mut self, cap: usize, ttl: Duration) {
        self.cap = cap.max(1);
        self.ttl = ttl;
        while self.count > self.cap {
            self.drop_slot(self.oldest);
        }
    }

    /// Names with a route.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count
    }

    /// True when nothing was learned.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Learns that answers to the name are wanted at a broker, for as long as the message may
    /// live. Rule: R12 a.
    pub fn teach(
        &mut self,
        kind: KindCode,
        name: &str,
        bid: Bid,
        lifetime: Option<Duration>,
        now: Now,
    ) {
        let at = match self.find(kind, name) {
            Some(at) => {
                self.unlink(at);
                self.link_newest(at);
                at
            }
            None => self.insert(kind, name),
        };
        let mut until = now.plus(lifetime.unwrap_or(self.ttl).min(self.ttl));
        let routes = &mut self.slots[at].routes;
        if let Some(known) = routes.iter().position(|route| route.bid == bid) {
            until = until.max(routes.remove(known).until);
        }
        routes.truncate(BIDS_PER_NAME - 1);
        routes.insert(0, Route { bid, until });
    }

    /// Calls `found` for each broker that wants answers to the name, newest first; stops when it
    /// returns false. Counts as a use. Rule: R12 b.
    pub fn visit(
        &mut self,
        kind: KindCode,
        name: &str,
        now: Now,
        mut found: impl FnMut(Bid) -> bool,
    ) {
        let Some(at) = self.find(kind, name) else {
            return;
        };
        let routes = &mut self.slots[at].routes;
        routes.retain(|route| route.until > now);
        if routes.is_empty() {
            self.drop_slot(at);
            return;
        }
        for route in &self.slots[at].routes {
            if !found(route.bid) {
                break;
            }
        }
        self.unlink(at);
        self.link_newest(at);
    }

    /// The newest broker that wants answers and is reachable: where a queue message goes first.
    pub fn newest(
        &mut self,
        kind: KindCode,
        name: &str,
        now: Now,
        is_reachable: impl Fn(Bid) -> bool,
    ) -> Option<Bid> {
        let mut newest = None;
        self.visit(kind, name, now, |bid| {
            if is_reachable(bid) {
                newest = Some(bid);
            }
            newest.is_none()
        });
        newest
    }

    /// Where a message to a queue goes first: nowhere else when the newest requester is here.
    /// Rule: R12 b.
    pub fn way_out(
        &mut self,
        kind: KindCode,
        name: &str,
        own: Bid,
        now: Now,
        is_reachable: impl Fn(Bid) -> bool,
    ) -> Option<Bid> {
        self.newest(kind, name, now, |bid| bid == own || is_reachable(bid))
            .filter(|bid| *bid != own)
    }

    /// Whether a message may leave for another broker by what was learned; `None` when nothing was.
    /// No use is counted. Rule: R12 d.
    #[must_use]
    pub fn may_leave(
        &self,
        kind: KindCode,
        name: &str,
        own: Bid,
        now: Now,
        is_reachable: impl Fn(Bid) -> bool,
    ) -> Option<bool> {
        let routes = &self.slots[self.find(kind, name)?].routes;
        let mut known = routes.iter().filter(|route| route.until > now).peekable();
        known.peek()?;
        let to = known.find(|route| route.bid == own || is_reachable(route.bid));
        Some(to.is_some_and(|route| route.bid != own))
    }

    /// True when the name has a route, reachable or not. No use is counted.
    #[must_use]
    pub fn is_known(&self, kind: KindCode, name: &str, now: Now) -> bool {
        self.find(kind, name)
            .is_some_and(|at| self.slots[at].routes.iter().any(|route| route.until > now))
    }

    /// Forgets what was learned about the name: its temporary destination is gone.
    pub fn forget(&mut self, kind: KindCode, name: &str) {
        if let Some(at) = self.find(kind, name) {
            self.drop_slot(at);
        }
    }

    /// Drops up to `budget` of the least recently used names whose routes are over.
    pub fn sweep(&mut self, now: Now, budget: usize) {
        let mut at = self.oldest;
        for _ in 0..budget {
            let Some(slot) = self.slots.get_mut(at) else {
                return;
            };
            let newer = slot.newer;
            slot.routes.retain(|route| route.until > now);
            if slot.routes.is_empty() {
                self.drop_slot(at);
            }
            at = newer;
        }
    }

    fn find(&self, kind: KindCode, name: &str) -> Option<usize> {
        self.names
            .get(name)?
            .iter()
            .copied()
            .find(|at| self.slots[*at].kind == kind)
    }

    fn insert(&mut self, kind: KindCode, name: &str) -> usize {
        if self.count >= self.cap {
            self.drop_slot(self.oldest);
        }
        let slot = Slot {
            kind,
            name: Box::from(name),
            routes: Vec::new(),
            older: NONE,
            newer: NONE,
        };
        let at = match self.free.pop() {
            Some(at) => {
                self.slots[at] = slot;
                at
            }
            None => {
                self.slots.push(slot);
                self.slots.len() - 1
            }
        };
        self.names.entry(Box::from(name)).or_default().push(at);
        self.count += 1;
        self.link_newest(at);
        at
    }

    fn drop_slot(&mut self, at: usize) {
        if at >= self.slots.len() {
            return;
        }
        self.unlink(at);
        let name = std::mem::take(&mut self.slots[at].name);
        self.slots[at].routes = Vec::new();
        if let Some(slots) = self.names.get_mut(&name) {
            slots.retain(|other| *other != at);
            if slots.is_empty() {
                self.names.remove(&name);
            }
        }
        self.free.push(at);
        self.count -= 1;
    }

    fn unlink(&mut self, at: usize) {
        let (older, newer) = (self.slots[at].older, self.slots[at].newer);
        match self.slots.get_mut(older) {
            Some(slot) => slot.newer = newer,
            None => self.oldest = newer,
        }
        match self.slots.get_mut(newer) {
            Some(slot) => slot.older = older,
            None => self.newest = older,
        }
    }

    fn link_newest(&mut self, at: usize) {
        (self.slots[at].older, self.slots[at].newer) = (self.newest, NONE);
        match self.slots.get_mut(self.newest) {
            Some(slot) => slot.newer = at,
            None => self.oldest = at,
        }
        self.newest = at;
    }
}
