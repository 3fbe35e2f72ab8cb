//! Who is next: filing messages under classes, serving consumers, taking messages back.

use crate::model::{Message, MessageView};
use crate::routing::properties::MessageProperties;
use crate::selector::ClassId;

use super::state::{Consumer, Kept, Queue, REMOTE};
use super::types::{ConsumerId, DeadReason, Effect};

impl Queue {
    pub(super) fn insert_ready(&mut self, seq: u64, message: Message, effects: &mut Vec<Effect>) {
        let view = message.view();
        let group = view.as_ref().and_then(|view| self.member_of(view));
        let classes = self.matching_classes(view.as_ref());
        let kept = Kept {
            message,
            holder: None,
            classes,
            group,
            history: None,
        };
        self.kept.insert(seq, kept);
        self.scan.came(self.ready_count);
        self.ready_count += 1;
        self.offer_one(seq, effects);
        self.settle(effects);
    }

    fn matching_classes(&mut self, view: Option<&MessageView<'_>>) -> Vec<ClassId> {
        if self.classes.is_empty() {
            return Vec::new();
        }
        self.scratch.clear();
        if let Some(view) = view {
            self.index
                .matching(&MessageProperties::new(view), &mut self.scratch);
        }
        self.scratch.clone()
    }

    /// Gives a ready message to the consumer of its group, or to the best one with room; else it
    /// waits.
    pub(super) fn offer_one(&mut self, seq: u64, effects: &mut Vec<Effect>) {
        let Some(kept) = self.kept.get(&seq).filter(|kept| kept.holder.is_none()) else {
            return;
        };
        if kept.group.is_some()
            && let Some(owner) = self.owner_of(seq)
        {
            let has_room = self.consumers.get(&owner).is_some_and(Consumer::has_room);
            return match has_room {
                true => self.hand_over(seq, owner, effects),
                false => self.reserve(seq, owner),
            };
        }
        let best = kept
            .classes
            .iter()
            .filter_map(|class| self.classes.get(class)?.available.first().copied())
            .min();
        match best {
            Some((.., consumer)) => self.hand_over(seq, consumer, effects),
            None => self.file(seq),
        }
    }

    pub(super) fn hand_over(&mut self, seq: u64, id: ConsumerId, effects: &mut Vec<Effect>) {
        self.unfile(seq);
        let Some(kept) = self.kept.get_mut(&seq) else {
            return;
        };
        let Some(consumer) = self.consumers.get_mut(&id) else {
            return;
        };
        kept.holder = Some(id);
        self.ready_count -= 1;
        let old_key = consumer.key(id);
        consumer.in_flight.insert(seq);
        consumer.turn = self.next_turn;
        self.next_turn += 1;
        if let Some(class) = self.classes.get_mut(&consumer.class)
            && class.available.remove(&old_key)
            && consumer.has_room()
        {
            class.available.insert(consumer.key(id));
        }
        effects.push(Effect::Deliver {
            consumer: id,
            seq,
            message: kept.message.clone(),
        });
        if kept.group.is_some() {
            self.note_group(seq, id);
        }
    }

    pub(super) fn file_backlog_under(&mut self, class: ClassId) {
        let mut matching = Vec::new();
        for (seq, kept) in &mut self.kept {
            let Some(view) = kept.message.view() else {
                continue;
            };
            self.scratch.clear();
            self.index
                .matching(&MessageProperties::new(&view), &mut self.scratch);
            if self.scratch.contains(&class) {
                kept.classes.push(class);
                let is_reserved = kept
                    .group
                    .as_ref()
                    .is_some_and(|one| one.reserved.is_some());
                if kept.holder.is_none() && !is_reserved {
                    matching.push(*seq);
                }
            }
        }
        if let Some(class) = self.classes.get_mut(&class) {
            class.ready.extend(matching);
        }
    }

    /// Recomputes whether the consumer is available, and serves it while it has room.
    pub(super) fn refresh(&mut self, id: ConsumerId, effects: &mut Vec<Effect>) {
        let is_allowed = self.may_serve(id);
        let Some(consumer) = self.consumers.get(&id) else {
            return;
        };
        let key = consumer.key(id);
        let (class_id, capacity) = (consumer.class, consumer.capacity);
        let has_room = consumer.has_room() && is_allowed;
        if let Some(class) = self.classes.get_mut(&class_id) {
            if has_room {
                class.available.insert(key);
            } else {
                class.available.remove(&key);
            }
        }
        if !is_allowed || capacity == 0 {
            self.release_groups_of(id);
        }
        if has_room {
            self.serve(id, class_id, effects);
        }
        self.settle(effects);
    }

    pub(super) fn refresh_all(&mut self, effects: &mut Vec<Effect>) {
        let mut ids: Vec<ConsumerId> = self.consumers.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            self.refresh(id, effects);
        }
    }

    pub(super) fn may_serve(&self, id: ConsumerId) -> bool {
        let is_served = |one: &&ConsumerId| !self.monitors.is_spared(**one);
        let first = self.exclusive.iter().find(is_served);
        is_served(&&id) && first.is_none_or(|first| *first == id)
    }

    pub(super) fn serve(&mut self, id: ConsumerId, class: ClassId, effects: &mut Vec<Effect>) {
        while let Some(consumer) = self.consumers.get(&id)
            && consumer.has_room()
        {
            let shared = self
                .classes
                .get(&class)
                .and_then(|class| class.ready.first());
            let own = consumer.reserved.first();
            let Some(seq) = shared.into_iter().chain(own).min().copied() else {
                break;
            };
            self.hand_over(seq, id, effects);
        }
    }

    pub(super) fn drop_class(&mut self, id: ClassId) {
        self.classes.remove(&id);
        for kept in self.kept.values_mut() {
            kept.classes.retain(|class| *class != id);
        }
    }

    pub(super) fn take_from(&mut self, id: ConsumerId, seq: u64) -> bool {
        let Some(consumer) = self.consumers.get_mut(&id) else {
            return false;
        };
        consumer.in_flight.remove(&seq)
    }

    pub(super) fn remove(&mut self, seq: u64) -> Option<Message> {
        if self.kept.get(&seq)?.holder.is_none() {
            self.ready_count -= 1;
            self.unfile(seq);
        }
        let kept = self.kept.remove(&seq)?;
        self.bytes = self.bytes.saturating_sub(kept.message.len());
        self.counters.dequeued += 1;
        Some(kept.message)
    }

    /// Lets a message in somebody's hands wait again, and offers it.
    pub(super) fn put_back(&mut self, seq: u64, was_seen: bool, effects: &mut Vec<Effect>) {
        self.let_wait(seq, was_seen, effects);
        self.settle(effects);
    }

    /// Lets a message in somebody's hands wait again; it is offered when the command is over.
    pub(super) fn let_wait(&mut self, seq: u64, was_seen: bool, effects: &mut Vec<Effect>) {
        let Some(kept) = self.kept.get_mut(&seq) else {
            return;
        };
        let Some(holder) = kept.holder.take() else {
            return;
        };
        if let Some(history) = &mut kept.history
            && holder != REMOTE
        {
            history.since = None;
        }
        self.scan.came(self.ready_count);
        self.ready_count += 1;
        self.scan.came_back(seq);
        if was_seen {
            kept.message.redelivered = true;
            kept.message.redeliveries = kept.message.redeliveries.saturating_add(1);
            let limit = self.limits.max_redeliveries;
            if limit != 0 && kept.message.redeliveries > limit {
                if let Some(message) = self.remove(seq) {
                    effects.push(Effect::Dead {
                        message,
                        reason: DeadReason::Redeliveries,
                    });
                }
                return;
            }
        }
        self.file(seq);
        self.unsettled.insert(seq);
    }
}
