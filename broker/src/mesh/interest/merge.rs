//! Too many entries of one kind: those that share the longest prefix become one `<prefix>.>`.
//! Rule: R5.

use std::collections::{BTreeMap, BTreeSet};

use super::{Demand, Summary};

/// The filters of one kind: which prefixes stand for many of them, and how many have none.
#[derive(Debug, Default)]
pub(super) struct Merged {
    prefixes: BTreeMap<Box<str>, Sum>,
    /// Filters without a merged prefix.
    loose: usize,
    /// Filters below a merged prefix.
    covered: usize,
    /// Prefixes with filters below them.
    used: usize,
    /// How many entries the last attempt has left, where that was too many.
    stuck: usize,
}

/// What a prefix stands for. Its credit may be too high (R5: too wide, never too narrow).
#[derive(Debug, Default)]
struct Sum {
    filters: usize,
    consumers: u32,
    credit: u32,
}

impl Merged {
    /// The shortest merged prefix that covers a filter.
    pub(super) fn of<'a>(&self, filter: &'a str) -> Option<&'a str> {
        if self.prefixes.is_empty() {
            return None;
        }
        let ends = filter.match_indices('.').map(|(at, _)| &filter[..at]);
        ends.into_iter()
            .find(|prefix| self.prefixes.contains_key(*prefix))
    }

    /// What all filters below a prefix ask for; `None` when there is none.
    pub(super) fn sum(&self, prefix: &str) -> Option<Demand> {
        let sum = self.prefixes.get(prefix).filter(|sum| sum.filters > 0)?;
        Some(Demand {
            consumers: sum.consumers,
            credit: sum.credit,
            summary: Summary::Opaque,
            is_wider: false,
        })
    }

    /// A filter is new, where nothing was `known` of it, or asks for something else.
    pub(super) fn note(&mut self, filter: &str, known: Option<&Demand>, demand: &Demand) {
        let is_new = known.is_none();
        let Some(sum) = self.below(filter) else {
            self.loose += usize::from(is_new);
            return;
        };
        sum.filters += usize::from(is_new);
        let before = known.map_or(0, |known| known.consumers);
        sum.consumers = sum.consumers.saturating_sub(before) + demand.consumers;
        sum.credit = sum.credit.max(demand.credit);
        let is_first = is_new && sum.filters == 1;
        self.used += usize::from(is_first);
        self.covered += usize::from(is_new);
    }

    /// A filter is gone.
    pub(super) fn forget(&mut self, filter: &str, known: &Demand) {
        let Some(sum) = self.below(filter) else {
            self.loose = self.loose.saturating_sub(1);
            return;
        };
        sum.filters = sum.filters.saturating_sub(1);
        sum.consumers = sum.consumers.saturating_sub(known.consumers);
        let is_last = sum.filters == 0;
        self.used -= usize::from(is_last);
        self.covered = self.covered.saturating_sub(1);
    }

    /// True when there are more entries than `cap`, or so few filters that none need be merged.
    pub(super) fn is_due(&self, cap: usize) -> bool {
        let entries = self.loose + self.used;
        let is_too_many = entries > cap && entries > self.stuck + self.stuck / 4;
        is_too_many || (!self.prefixes.is_empty() && self.loose + self.covered <= cap / 2)
    }

    /// Merges, or takes apart. True when something is advertised otherwise than before.
    pub(super) fn update(&mut self, filters: &[(&str, &Demand)], cap: usize) -> bool {
        let before = self.prefixes.len();
        if filters.len() <= cap / 2 {
            self.prefixes.clear();
        } else {
            // Down to three quarters, so that the next few do not cause the whole work again.
            let names: Vec<&str> = filters.iter().map(|(name, _)| *name).collect();
            self.reduce(&names, cap - cap / 4);
        }
        let is_changed = self.prefixes.len() != before;
        (self.loose, self.covered, self.used) = (0, 0, 0);
        for sum in self.prefixes.values_mut() {
            *sum = Sum::default();
        }
        for (name, demand) in filters {
            self.note(name, None, demand);
        }
        let entries = self.loose + self.used;
        self.stuck = if entries > cap { entries } else { 0 };
        is_changed
    }

    fn below(&mut self, filter: &str) -> Option<&mut Sum> {
        let prefix = self.of(filter)?;
        self.prefixes.get_mut(prefix)
    }

    /// Merges until at most `most` of the filters are left, deepest prefixes first, among those the
    /// ones with most entries. What has no prefix in common with anything stays.
    fn reduce(&mut self, filters: &[&str], most: usize) {
        let mut left: BTreeSet<String> = filters
            .iter()
            .map(|filter| self.merged_form(filter))
            .collect();
        let deepest = left
            .iter()
            .map(|filter| filter.matches('.').count())
            .max()
            .unwrap_or(0);
        for depth in (1..=deepest).rev() {
            for prefix in shared(&left, depth) {
                if left.len() <= most {
                    return;
                }
                remove_below(&mut left, &prefix);
                left.insert(format!("{prefix}.>"));
                self.prefixes
                    .insert(prefix.into_boxed_str(), Sum::default());
            }
        }
    }

    fn merged_form(&self, filter: &str) -> String {
        self.of(filter)
            .map_or_else(|| filter.to_owned(), |prefix| format!("{prefix}.>"))
    }
}

/// The prefixes of that many parts that several filters have, most used first.
fn shared(filters: &BTreeSet<String>, depth: usize) -> Vec<String> {
    let mut groups: BTreeMap<&str, usize> = BTreeMap::new();
    for filter in filters {
        let Some((at, _)) = filter.match_indices('.').nth(depth - 1) else {
            continue;
        };
        // A wildcard in the prefix would make the merged filter a pattern that nobody asked for.
        if !filter[..at]
            .split('.')
            .any(|part| part == "*" || part == ">")
        {
            *groups.entry(&filter[..at]).or_default() += 1;
        }
    }
    let mut shared: Vec<(usize, &str)> = groups
        .into_iter()
        .filter(|(_, count)| *count > 1)
        .map(|(prefix, count)| (count, prefix))
        .collect();
    shared.sort_by(|one, other| other.0.cmp(&one.0).then(one.1.cmp(other.1)));
    shared
        .into_iter()
        .map(|(_, prefix)| prefix.to_owned())
        .collect()
}

/// Without looking at all the others: there may be as many prefixes as filters.
fn remove_below(filters: &mut BTreeSet<String>, prefix: &str) {
    let (start, end) = (format!("{prefix}."), format!("{prefix}/"));
    let below: Vec<String> = filters.range(start..end).cloned().collect();
    for filter in below {
        filters.remove(&filter);
    }
}

#[cfg(test)]
mod tests {
    use super::Merged;
    use crate::mesh::interest::Demand;

    fn reduced(filters: &[&str], most: usize) -> Merged {
        let mut merged = Merged::default();
        merged.reduce(filters, most);
        merged
    }

    #[test]
    fn the_deepest_shared_prefix_goes_first() {
        let filters = ["a.b.c.1", "a.b.c.2", "a.x", "a.y", "z"];
        let mut merged = reduced(&filters, 4);
        assert_eq!(merged.of("a.b.c.1"), Some("a.b.c"));
        assert_eq!(merged.of("a.x"), None);
        merged.reduce(&filters, 3);
        assert_eq!(merged.of("a.x"), Some("a"));
        assert_eq!(merged.of("a.b.c.1"), Some("a"));
        assert_eq!(merged.of("z"), None);
    }

    #[test]
    fn names_that_share_only_the_beginning_are_merged_there() {
        let merged = reduced(&["m.reply.web1.1", "m.reply.web2.2", "m.x", "m0"], 3);
        assert_eq!(merged.of("m.reply.web1.1"), Some("m.reply"));
        assert_eq!(merged.of("m.x"), None);
        assert_eq!(merged.of("m0"), None);
    }

    #[test]
    fn what_shares_no_prefix_is_left_alone() {
        let merged = reduced(&["a", "b", "*.c", "*.d"], 1);
        assert!(merged.prefixes.is_empty());
    }

    fn demand(consumers: u32) -> Demand {
        Demand::of(consumers)
    }

    #[test]
    fn a_prefix_sums_what_comes_and_goes_below_it() {
        let (one, three) = (demand(1), demand(3));
        let mut merged = Merged::default();
        let filters = ["a.1", "a.2", "a.3", "a.4", "b"].map(|name| (name, &one));
        filters
            .iter()
            .for_each(|(name, one)| merged.note(name, None, one));
        assert!(merged.is_due(4));
        assert!(merged.update(&filters, 4));
        assert_eq!(merged.sum("a").map(|sum| sum.consumers), Some(4));
        merged.note("a.5", None, &one);
        merged.note("a.1", Some(&one), &three);
        assert_eq!(merged.sum("a").map(|sum| sum.consumers), Some(7));
        for name in ["a.2", "a.3", "a.4", "a.5"] {
            merged.forget(name, &one);
        }
        assert_eq!(merged.sum("a").map(|sum| sum.consumers), Some(3));
        merged.forget("a.1", &three);
        assert!(merged.sum("a").is_none());
        assert!(
            merged.is_due(4),
            "one filter is left: nothing need be merged"
        );
    }

    #[test]
    fn filters_that_cannot_be_merged_are_not_tried_again_for_each_of_them() {
        let one = demand(1);
        let mut merged = Merged::default();
        let names: Vec<String> = (0..40).map(|number| format!("t{number}")).collect();
        let filters: Vec<_> = names.iter().map(|name| (&**name, &one)).collect();
        assert!(!merged.update(&filters, 20));
        assert!(!merged.is_due(20));
        for number in 40..50 {
            merged.note(&format!("t{number}"), None, &one);
            assert!(!merged.is_due(20));
        }
        merged.note("t50", None, &one);
        assert!(merged.is_due(20), "a quarter more than last time");
    }
}
