//! Message groups: what names the same group goes to the same consumer, in order.
//!
//! A group gets its consumer when the first of its messages is handed over, and keeps it until a
//! message closes the group, the consumer leaves or may no longer be served, or so many other groups
//! were used meanwhile that it is forgotten. While its consumer has no room, its messages are
//! reserved for it and stand before nobody else.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::state::Queue;
use super::types::{ConsumerId, Effect};
use crate::model::MessageView;

/// Groups whose consumer is remembered at once; the one that was not used for longest is forgotten.
pub const MAX_GROUPS: usize = 1024;

/// A group with more waiting messages than this is not closed: each end of a group looks at all of
/// them, and a queue full of ends would keep the broker busy.
pub const MAX_RELEASED: usize = 256;

/// What a message says about its group.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: Arc<str>,
    /// The group ends with it (`JMSXGroupSeq` below 0).
    pub(super) closes: bool,
    /// It waits for this consumer alone.
    pub(super) reserved: Option<ConsumerId>,
}

#[derive(Debug, Default)]
struct Group {
    /// The consumer, and when the group was last used.
    owner: Option<(ConsumerId, u64)>,
    /// Its messages that wait.
    ready: BTreeSet<u64>,
}

/// The groups of one queue that have a consumer or waiting messages.
#[derive(Debug, Default)]
pub(super) struct Groups {
    by_name: HashMap<Arc<str>, Group>,
    /// Those with a consumer, the longest unused first.
    by_use: BTreeMap<u64, Arc<str>>,
    next_use: u64,
}

impl Groups {
    fn owner(&self, name: &str) -> Option<ConsumerId> {
        Some(self.by_name.get(name)?.owner?.0)
    }

    fn waiting(&self, name: &str) -> usize {
        self.by_name.get(name).map_or(0, |group| group.ready.len())
    }

    fn note_ready(&mut self, name: &Arc<str>, seq: u64) {
        let group = self.by_name.entry(name.clone()).or_default();
        group.ready.insert(seq);
    }

    fn forget_ready(&mut self, name: &str, seq: u64) {
        if let Some(group) = self.by_name.get_mut(name) {
            group.ready.remove(&seq);
            if group.ready.is_empty() && group.owner.is_none() {
                self.by_name.remove(name);
            }
        }
    }

    /// Makes it the group's consumer, or notes that it is used again.
    fn use_by(&mut self, name: &Arc<str>, id: ConsumerId) {
        let group = self.by_name.entry(name.clone()).or_default();
        if let Some((_, last)) = group.owner {
            self.by_use.remove(&last);
        }
        self.next_use += 1;
        group.owner = Some((id, self.next_use));
        self.by_use.insert(self.next_use, name.clone());
    }

    /// Takes the consumer away; returns it with the messages that wait.
    fn disown(&mut self, name: &str) -> Option<(ConsumerId, Vec<u64>)> {
        let group = self.by_name.get_mut(name)?;
        let (owner, last) = group.owner.take()?;
        self.by_use.remove(&last);
        let ready: Vec<u64> = group.ready.iter().copied().collect();
        if ready.is_empty() {
            self.by_name.remove(name);
        }
        Some((owner, ready))
    }

    fn owned_by(&self, id: ConsumerId) -> Vec<Arc<str>> {
        let is_its = |name: &&Arc<str>| self.owner(name) == Some(id);
        self.by_use.values().filter(is_its).cloned().collect()
    }

    fn surplus(&self) -> Option<Arc<str>> {
        let is_too_many = self.by_use.len() > MAX_GROUPS;
        self.by_use.values().next().filter(|_| is_too_many).cloned()
    }
}

impl Queue {
    /// Leaves groups alone: the queue has one consumer.
    pub fn ignore_groups(&mut self) {
        self.has_groups = false;
    }

    /// The group that a message names. The name of a known one is shared.
    pub(super) fn member_of(&self, view: &MessageView<'_>) -> Option<Box<Member>> {
        if !self.has_groups {
            return None;
        }
        let name = view
            .headers
            .get("JMSXGroupID")
            .filter(|name| !name.is_empty())?;
        let number = view.headers.get("JMSXGroupSeq");
        let number = number.and_then(|text| text.trim().parse::<i64>().ok());
        let known = self.groups.by_name.get_key_value(name);
        Some(Box::new(Member {
            name: known.map_or_else(|| Arc::from(name), |(name, _)| name.clone()),
            closes: number.is_some_and(|number| number < 0),
            reserved: None,
        }))
    }

    /// The consumer that a waiting message has to go to, if it can take it.
    pub(super) fn owner_of(&self, seq: u64) -> Option<ConsumerId> {
        let kept = self.kept.get(&seq)?;
        let owner = self.groups.owner(&kept.group.as_ref()?.name)?;
        let class = self.consumers.get(&owner)?.class;
        kept.classes.contains(&class).then_some(owner)
    }

    /// Lets a message wait for everybody who matches.
    pub(super) fn file(&mut self, seq: u64) {
        let Some(kept) = self.kept.get(&seq) else {
            return;
        };
        for class in &kept.classes {
            if let Some(class) = self.classes.get_mut(class) {
                class.ready.insert(seq);
            }
        }
        if let Some(member) = &kept.group {
            self.groups.note_ready(&member.name, seq);
        }
    }

    /// Takes a message out of whatever set it waits in.
    pub(super) fn unfile(&mut self, seq: u64) {
        let Some(kept) = self.kept.get_mut(&seq) else {
            return;
        };
        for class in &kept.classes {
            if let Some(class) = self.classes.get_mut(class) {
                class.ready.remove(&seq);
            }
        }
        if let Some(member) = &mut kept.group {
            self.groups.forget_ready(&member.name, seq);
            if let Some(owner) = member.reserved.take() {
                self.reserved_count -= 1;
                if let Some(owner) = self.consumers.get_mut(&owner) {
                    owner.reserved.remove(&seq);
                }
            }
        }
    }

    /// Lets a message wait for one consumer.
    pub(super) fn reserve(&mut self, seq: u64, id: ConsumerId) {
        self.unfile(seq);
        let Some(kept) = self.kept.get_mut(&seq) else {
            return;
        };
        if let Some(member) = &mut kept.group
            && let Some(owner) = self.consumers.get_mut(&id)
        {
            member.reserved = Some(id);
            self.reserved_count += 1;
            owner.reserved.insert(seq);
            self.groups.note_ready(&member.name, seq);
        }
    }

    /// A message of a group was handed over: the group has that consumer now, or is closed.
    pub(super) fn note_group(&mut self, seq: u64, id: ConsumerId) {
        let Some(member) = self.kept.get(&seq).and_then(|kept| kept.group.as_ref()) else {
            return;
        };
        let (name, owner) = (member.name.clone(), self.groups.owner(&member.name));
        if member.closes && self.groups.waiting(&name) <= MAX_RELEASED {
            return self.release_group(&name);
        }
        match owner {
            Some(owner) if owner == id => self.groups.use_by(&name, id),
            // The consumer of the group does not want this one.
            Some(_) => {}
            None => {
                self.groups.use_by(&name, id);
                let waiting = self.groups.by_name.get(&name);
                let waiting: Vec<u64> = waiting
                    .map(|group| group.ready.iter().copied().collect())
                    .unwrap_or_default();
                for seq in waiting {
                    if self.owner_of(seq) == Some(id) {
                        self.reserve(seq, id);
                    }
                }
                if let Some(surplus) = self.groups.surplus() {
                    self.release_group(&surplus);
                }
            }
        }
    }

    /// The group has no consumer any more; what waits is offered again when the command is done.
    fn release_group(&mut self, name: &str) {
        let Some((_, ready)) = self.groups.disown(name) else {
            return;
        };
        for seq in ready {
            self.unfile(seq);
            self.file(seq);
            self.scan.came_back(seq);
            self.unsettled.insert(seq);
        }
    }

    /// A consumer is served nothing more: its groups are free.
    pub(super) fn release_groups_of(&mut self, id: ConsumerId) {
        if self.groups.by_use.is_empty() {
            return;
        }
        for name in self.groups.owned_by(id) {
            self.release_group(&name);
        }
    }

    /// Offers what was released while something else was done, oldest first.
    pub(super) fn settle(&mut self, effects: &mut Vec<Effect>) {
        while let Some(seq) = self.unsettled.pop_first() {
            self.offer_one(seq, effects);
        }
    }
}
