//! Local topic subscriptions: literal names in a map, patterns in a tree.

use std::collections::HashMap;
use std::sync::Arc;

use super::filter_tree::FilterTree;
use crate::model::destination::is_pattern;

/// Subscriptions by what they ask for. `S` is told apart by its key.
#[derive(Debug)]
pub struct TopicTable<S> {
    literal: HashMap<Arc<str>, Vec<Arc<S>>>,
    patterns: FilterTree<Arc<S>>,
    len: usize,
}

impl<S> Default for TopicTable<S> {
    fn default() -> Self {
        Self {
            literal: HashMap::new(),
            patterns: FilterTree::default(),
            len: 0,
        }
    }
}

impl<S> TopicTable<S> {
    /// Adds a subscription.
    pub fn insert(&mut self, filter: &str, subscription: Arc<S>) {
        if is_pattern(filter) {
            self.patterns.insert(filter, subscription);
        } else if let Some(list) = self.literal.get_mut(filter) {
            list.push(subscription);
        } else {
            self.literal.insert(Arc::from(filter), vec![subscription]);
        }
        self.len += 1;
    }

    /// Removes a subscription; false when it was not there.
    pub fn remove(&mut self, filter: &str, subscription: &Arc<S>) -> bool {
        let is_it = |other: &Arc<S>| Arc::ptr_eq(other, subscription);
        let removed = if is_pattern(filter) {
            self.patterns.remove(filter, is_it).is_some()
        } else {
            self.remove_literal(filter, is_it)
        };
        if removed {
            self.len -= 1;
        }
        removed
    }

    fn remove_literal(&mut self, filter: &str, is_it: impl Fn(&Arc<S>) -> bool) -> bool {
        let Some(list) = self.literal.get_mut(filter) else {
            return false;
        };
        let Some(position) = list.iter().position(is_it) else {
            return false;
        };
        list.remove(position);
        if list.is_empty() {
            self.literal.remove(filter);
        }
        true
    }

    /// Every subscription that wants `name`, in the order they were made among equals.
    #[must_use]
    pub fn matching(&self, name: &str) -> Vec<Arc<S>> {
        let mut found: Vec<Arc<S>> = self.literal.get(name).cloned().unwrap_or_default();
        if !self.patterns.is_empty() {
            self.patterns
                .matching(name, &mut |subscription| found.push(subscription.clone()));
        }
        found
    }

    /// Subscriptions in all.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// True when nobody subscribes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Names that somebody subscribes to literally.
    #[must_use]
    pub fn literal_names(&self) -> usize {
        self.literal.len()
    }
}
