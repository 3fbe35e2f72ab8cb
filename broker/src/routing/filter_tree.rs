//! A trie of dotted filters: which values' filters match a name.
//!
//! `*` stands for one segment, `>` for the rest, and `a.>` matches `a` too. A look-up costs the
//! depth of the name times the wildcard branches on the way, whatever the number of filters.

use std::collections::HashMap;

#[derive(Debug)]
struct Node<T> {
    /// Values whose filter ends here.
    here: Vec<T>,
    /// Values whose filter has `>` as its next and last segment.
    rest: Vec<T>,
    any: Option<Box<Node<T>>>,
    children: HashMap<Box<str>, Node<T>>,
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self {
            here: Vec::new(),
            rest: Vec::new(),
            any: None,
            children: HashMap::new(),
        }
    }
}

impl<T> Node<T> {
    fn is_empty(&self) -> bool {
        self.here.is_empty()
            && self.rest.is_empty()
            && self.any.is_none()
            && self.children.is_empty()
    }
}

/// Filters, each with values in the order they were added.
#[derive(Debug)]
pub struct FilterTree<T> {
    root: Node<T>,
    len: usize,
}

impl<T> Default for FilterTree<T> {
    fn default() -> Self {
        Self {
            root: Node::default(),
            len: 0,
        }
    }
}

impl<T> FilterTree<T> {
    /// Values in the tree.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// True when nothing was added.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a value under a filter.
    pub fn insert(&mut self, filter: &str, value: T) {
        let mut node = &mut self.root;
        let mut ends_open = false;
        for segment in filter.split('.') {
            node = match segment {
                ">" => {
                    ends_open = true;
                    break;
                }
                "*" => node.any.get_or_insert_with(Box::default),
                literal => node.children.entry(Box::from(literal)).or_default(),
            };
        }
        if ends_open {
            node.rest.push(value);
        } else {
            node.here.push(value);
        }
        self.len += 1;
    }

    /// Removes the first value under that filter that `is_it` accepts, and returns it.
    pub fn remove(&mut self, filter: &str, is_it: impl Fn(&T) -> bool) -> Option<T> {
        let segments: Vec<&str> = filter.split('.').collect();
        let removed = remove_below(&mut self.root, &segments, &is_it);
        if removed.is_some() {
            self.len -= 1;
        }
        removed
    }

    /// Calls `found` for each value whose filter matches the literal `name`.
    pub fn matching<'t>(&'t self, name: &str, found: &mut dyn FnMut(&'t T)) {
        walk(&self.root, Some(name), found);
    }

    /// Calls `found` for each value whose filter is exactly `filter`, wildcards taken literally.
    pub fn exactly<'t>(&'t self, filter: &str, found: &mut dyn FnMut(&'t T)) {
        let mut node = &self.root;
        for segment in filter.split('.') {
            let next = match segment {
                ">" => {
                    node.rest.iter().for_each(found);
                    return;
                }
                "*" => node.any.as_deref(),
                literal => node.children.get(literal),
            };
            match next {
                Some(next) => node = next,
                None => return,
            }
        }
        node.here.iter().for_each(found);
    }
}

fn walk<'t, T>(node: &'t Node<T>, rest: Option<&str>, found: &mut dyn FnMut(&'t T)) {
    node.rest.iter().for_each(&mut *found);
    let Some(rest) = rest else {
        node.here.iter().for_each(found);
        return;
    };
    let (segment, below) = match rest.split_once('.') {
        Some((segment, below)) => (segment, Some(below)),
        None => (rest, None),
    };
    if let Some(child) = node.children.get(segment) {
        walk(child, below, found);
    }
    if let Some(any) = &node.any {
        walk(any, below, found);
    }
}

fn remove_below<T>(
    node: &mut Node<T>,
    segments: &[&str],
    is_it: &impl Fn(&T) -> bool,
) -> Option<T> {
    let Some((segment, below)) = segments.split_first() else {
        return take(&mut node.here, is_it);
    };
    match *segment {
        ">" => take(&mut node.rest, is_it),
        "*" => {
            let any = node.any.as_deref_mut()?;
            let removed = remove_below(any, below, is_it);
            if any.is_empty() {
                node.any = None;
            }
            removed
        }
        literal => {
            let child = node.children.get_mut(literal)?;
            let removed = remove_below(child, below, is_it);
            if child.is_empty() {
                node.children.remove(literal);
            }
            removed
        }
    }
}

fn take<T>(values: &mut Vec<T>, is_it: &impl Fn(&T) -> bool) -> Option<T> {
    let position = values.iter().position(is_it)?;
    Some(values.remove(position))
}

#[cfg(test)]
mod tests {
    use super::FilterTree;
    use crate::model::destination::matches;

    fn found(tree: &FilterTree<usize>, name: &str) -> Vec<usize> {
        let mut values = Vec::new();
        tree.matching(name, &mut |value| values.push(*value));
        values.sort_unstable();
        values
    }

    #[test]
    fn the_tree_agrees_with_matching_one_by_one() {
        let filters = [
            "a.b", "a.*", "a.>", ">", "*.b", "*.*", "a.b.c", "a.*.c", "*", "b.>", "a.b.>",
        ];
        let mut tree = FilterTree::default();
        for (index, filter) in filters.iter().enumerate() {
            tree.insert(filter, index);
        }
        for name in [
            "a", "b", "a.b", "a.c", "a.b.c", "b.b", "a.x.c", "q.r.s.t", "a.b.c.d",
        ] {
            let expected: Vec<usize> = (0..filters.len())
                .filter(|index| matches(filters[*index], name))
                .collect();
            assert_eq!(found(&tree, name), expected, "{name}");
        }
    }

    #[test]
    fn removal_leaves_nothing_behind() {
        let mut tree = FilterTree::default();
        for filter in ["a.*.>", "a.b", ">"] {
            tree.insert(filter, 1);
            tree.insert(filter, 2);
        }
        for filter in ["a.*.>", "a.b", ">"] {
            assert_eq!(tree.remove(filter, |value| *value == 2), Some(2));
            assert_eq!(tree.remove(filter, |value| *value == 2), None);
            assert_eq!(tree.remove(filter, |value| *value == 1), Some(1));
        }
        assert!(tree.is_empty());
        assert!(tree.root.is_empty());
    }

    #[test]
    fn exact_look_up_takes_wildcards_literally() {
        let mut tree = FilterTree::default();
        tree.insert("a.>", 1);
        tree.insert("a.b", 2);
        let mut values = Vec::new();
        tree.exactly("a.b", &mut |value| values.push(*value));
        assert_eq!(values, [2]);
    }
}
