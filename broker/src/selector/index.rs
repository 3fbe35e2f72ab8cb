//! Classes of equal selectors, and which of them match a message.
//!
//! A selector with a condition `name = literal` is found by the value of that property; only the
//! others, and what is left of those found, are evaluated.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::values::{Hit, ValueIndex};
use super::{Properties, Selector, Truth};

/// A class of an index. Small numbers, given again after the class is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClassId(u32);

impl ClassId {
    /// The id as a number: a place in a table of the caller.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// What it cost to find the classes of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MatchCost {
    /// Lookups of a value in a map.
    pub lookups: u32,
    /// Selectors evaluated.
    pub evaluations: u32,
    /// Evaluations that ran out of steps.
    pub out_of_steps: u32,
}

/// The selector classes of one destination, each with data of the caller.
///
/// A class is one selector with a count of those who use it. Matching takes time by the number of
/// properties that selectors name in an equality and by the number of evaluations, not by the
/// number of classes.
#[derive(Debug, Clone)]
pub struct ClassIndex<K = ()> {
    slots: Vec<Option<Class<K>>>,
    free: Vec<ClassId>,
    ids: HashMap<Option<Selector>, ClassId>,
    by_name: BTreeMap<Box<str>, ValueIndex>,
    residual: BTreeSet<ClassId>,
    unconditional: Option<ClassId>,
}

#[derive(Debug, Clone)]
struct Class<K> {
    selector: Option<Selector>,
    references: usize,
    data: K,
}

impl<K> Default for ClassIndex<K> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            ids: HashMap::new(),
            by_name: BTreeMap::new(),
            residual: BTreeSet::new(),
            unconditional: None,
        }
    }
}

impl<K: Default> ClassIndex<K> {
    /// An index without classes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a user of `selector`, and the class if it is the first; none matches every message.
    pub fn insert(&mut self, selector: Option<Selector>) -> ClassId {
        if let Some(&id) = self.ids.get(&selector) {
            if let Some(class) = self.class_mut(id) {
                class.references += 1;
            }
            return id;
        }
        let id = self.place(Class {
            selector: selector.clone(),
            references: 1,
            data: K::default(),
        });
        self.link(selector.as_ref(), id);
        self.ids.insert(selector, id);
        id
    }
}

impl<K> ClassIndex<K> {
    /// Removes a user of the class. Returns the class's data if it was the last one.
    pub fn remove(&mut self, id: ClassId) -> Option<K> {
        let slot = self.slots.get_mut(id.index())?;
        let class = slot.as_mut()?;
        class.references -= 1;
        if class.references > 0 {
            return None;
        }
        let class = slot.take()?;
        self.free.push(id);
        self.ids.remove(&class.selector);
        self.unlink(class.selector.as_ref(), id);
        Some(class.data)
    }

    /// The selector of a class; none if the class matches every message or does not exist.
    #[must_use]
    pub fn selector(&self, id: ClassId) -> Option<&Selector> {
        self.class(id)?.selector.as_ref()
    }

    /// The data of a class.
    #[must_use]
    pub fn data(&self, id: ClassId) -> Option<&K> {
        Some(&self.class(id)?.data)
    }

    /// The data of a class, to change.
    pub fn data_mut(&mut self, id: ClassId) -> Option<&mut K> {
        Some(&mut self.class_mut(id)?.data)
    }

    /// The number of classes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no class.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Appends the classes that match a message, in ascending order, and says what it cost.
    pub fn matching(&self, properties: &dyn Properties, found: &mut Vec<ClassId>) -> MatchCost {
        let start = found.len();
        let mut cost = MatchCost::default();
        found.extend(self.unconditional);
        for (name, values) in &self.by_name {
            let lookups = values.hits(properties.value(name), |hit| {
                if self.confirm(hit, properties, &mut cost) {
                    found.push(hit.id());
                }
            });
            cost.lookups += lookups;
        }
        for &id in &self.residual {
            if self.evaluate(id, properties, &mut cost) {
                found.push(id);
            }
        }
        if let Some(found) = found.get_mut(start..) {
            found.sort_unstable();
        }
        cost
    }

    /// Whether the class of a hit matches; evaluates it unless the hit says all.
    fn confirm(&self, hit: Hit, properties: &dyn Properties, cost: &mut MatchCost) -> bool {
        if let Hit::Certain(id) = hit
            && self.selector(id).is_some_and(Selector::is_equality)
        {
            return true;
        }
        self.evaluate(hit.id(), properties, cost)
    }

    fn evaluate(&self, id: ClassId, properties: &dyn Properties, cost: &mut MatchCost) -> bool {
        let Some(selector) = self.selector(id) else {
            return false;
        };
        let evaluation = selector.evaluate(properties);
        cost.evaluations += 1;
        cost.out_of_steps += u32::from(evaluation.out_of_steps);
        evaluation.truth == Truth::True
    }

    fn place(&mut self, class: Class<K>) -> ClassId {
        if let Some(id) = self.free.pop()
            && let Some(slot) = self.slots.get_mut(id.index())
        {
            *slot = Some(class);
            return id;
        }
        // More than 2^32 classes do not fit into memory.
        let id = ClassId(self.slots.len() as u32);
        self.slots.push(Some(class));
        id
    }

    fn link(&mut self, selector: Option<&Selector>, id: ClassId) {
        let Some(selector) = selector else {
            self.unconditional = Some(id);
            return;
        };
        match selector.equality_key() {
            Some(key) => {
                let values = self.by_name.entry(key.name.into()).or_default();
                values.add(key.literal, selector.conversion(), id);
            }
            None => {
                self.residual.insert(id);
            }
        }
    }

    fn unlink(&mut self, selector: Option<&Selector>, id: ClassId) {
        let Some(selector) = selector else {
            self.unconditional = None;
            return;
        };
        let Some(key) = selector.equality_key() else {
            self.residual.remove(&id);
            return;
        };
        if let Some(values) = self.by_name.get_mut(key.name) {
            values.remove(key.literal, selector.conversion(), id);
            if values.is_empty() {
                self.by_name.remove(key.name);
            }
        }
    }

    fn class(&self, id: ClassId) -> Option<&Class<K>> {
        self.slots.get(id.index())?.as_ref()
    }

    fn class_mut(&mut self, id: ClassId) -> Option<&mut Class<K>> {
        self.slots.get_mut(id.index())?.as_mut()
    }
}
