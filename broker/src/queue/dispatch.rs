//! Who is next: filing messages under classes, serving consumers, taking messages back.

use crate::model::Message;
use crate::routing::properties::MessageProperties;
use crate::selector::ClassId;

use super::state::{Kept, Queue, REMOTE};
use super::types::{ConsumerId, DeadReason, Effect};

impl Queue {
    pub(super) fn insert_ready(&mut self, seq: u64, message: Message, effects: &mut Vec<Effect>) {
        let classes = self.matching_classes(&message);
        self.kept.insert(
            seq,
            Kept {
                message,
                holder: None,
                classes,
                history: None,
            },
        );
        self.ready_count += 1;
        self.offer(seq, effects);
    }

    pub(super) fn matching_classes(&mut self, message: &Message) -> Vec<ClassId> {
        if self.classes.is_empty() {
            return Vec::new();
        }
        self.scratch.clear();
        if let Some(view) = message.view() {
            self.index
                .matching(&MessageProperties::new(&view), &mut self.scratch);
        }
        self.scratch.clone()
    }

    /// Gives a ready message to the best consumer with room, or files it under its classes.
    pub(super) fn offer(&mut self, seq: u64, effects: &mut Vec<Effect>) {
        let Some(kept) = self.kept.get(&seq) else {
            return;
        };
        let best = kept
            .classes
            .iter()
            .filter_map(|class| self.classes.get(class)?.available.first().copied())
            .min();
        match best {
            Some((.., consumer)) => self.hand_over(seq, consumer, effects),
            None => {
                for class in &kept.classes {
                    if let Some(class) = self.classes.get_mut(class) {
                        class.ready.insert(seq);
                    }
                }
            }
        }
    }

    pub(super) fn hand_over(&mut self, seq: u64, id: ConsumerId, effects: &mut Vec<Effect>) {
        let Some(kept) = self.kept.get_mut(&seq) else {
            return;
        };
        let Some(consumer) = self.consumers.get_mut(&id) else {
            return;
        };
        kept.holder = Some(id);
        self.ready_count -= 1;
        for class in &kept.classes {
            if let Some(class) = self.classes.get_mut(class) {
                class.ready.remove(&seq);
            }
        }
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
                if kept.holder.is_none() {
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
        let class_id = consumer.class;
        let has_room = consumer.has_room() && is_allowed;
        if let Some(class) = self.classes.get_mut(&class_id) {
            if has_room {
                class.available.insert(key);
            } else {
                class.available.remove(&key);
            }
        }
        if has_room {
            self.serve(id, class_id, effects);
        }
    }

    pub(super) fn refresh_all(&mut self, effects: &mut Vec<Effect>) {
        let mut ids: Vec<ConsumerId> = self.consumers.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            self.refresh(id, effects);
        }
    }

    pub(super) fn may_serve(&self, id: ConsumerId) -> bool {
        self.exclusive.first().is_none_or(|first| *first == id)
    }

    pub(super) fn serve(&mut self, id: ConsumerId, class: ClassId, effects: &mut Vec<Effect>) {
        while let Some(consumer) = self.consumers.get(&id)
            && consumer.has_room()
        {
            let Some(seq) = self
                .classes
                .get(&class)
                .and_then(|class| class.ready.first().copied())
            else {
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
        let kept = self.kept.remove(&seq)?;
        self.bytes = self.bytes.saturating_sub(kept.message.len());
        self.counters.dequeued += 1;
        if kept.holder.is_none() {
            self.ready_count -= 1;
            for class in &kept.classes {
                if let Some(class) = self.classes.get_mut(class) {
                    class.ready.remove(&seq);
                }
            }
        }
        Some(kept.message)
    }

    pub(super) fn put_back(&mut self, seq: u64, was_seen: bool, effects: &mut Vec<Effect>) {
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
        self.offer(seq, effects);
    }
}
