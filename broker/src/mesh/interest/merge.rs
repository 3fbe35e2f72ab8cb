//! Too many entries of one kind: those that share the longest prefix become one `<prefix>.>`.
//! Rule: R5.

use std::collections::{BTreeMap, BTreeSet};

/// Prefixes whose entries are merged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Prefixes(BTreeSet<Box<str>>);

impl Prefixes {
    /// The shortest merged prefix that covers a filter.
    pub(super) fn of<'a>(&self, filter: &'a str) -> Option<&'a str> {
        let ends = filter.match_indices('.').map(|(at, _)| &filter[..at]);
        ends.into_iter().find(|prefix| self.0.contains(*prefix))
    }

    /// Merges until at most `cap` of the filters are left, deepest prefixes first, among those the
    /// ones with most entries. What has no prefix in common with anything stays.
    pub(super) fn reduce(&mut self, filters: &[&str], cap: usize) {
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
                if left.len() <= cap {
                    return;
                }
                left.retain(|filter| !is_below(filter, &prefix));
                left.insert(format!("{prefix}.>"));
                self.0.insert(prefix.into_boxed_str());
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

fn is_below(filter: &str, prefix: &str) -> bool {
    filter
        .strip_prefix(prefix)
        .is_some_and(|rest| rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::Prefixes;

    #[test]
    fn the_deepest_shared_prefix_goes_first() {
        let filters = ["a.b.c.1", "a.b.c.2", "a.x", "a.y", "z"];
        let mut prefixes = Prefixes::default();
        prefixes.reduce(&filters, 4);
        assert_eq!(prefixes.of("a.b.c.1"), Some("a.b.c"));
        assert_eq!(prefixes.of("a.x"), None);
        prefixes.reduce(&filters, 3);
        assert_eq!(prefixes.of("a.x"), Some("a"));
        assert_eq!(prefixes.of("a.b.c.1"), Some("a"));
        assert_eq!(prefixes.of("z"), None);
    }

    #[test]
    fn names_that_share_only_the_beginning_are_merged_there() {
        let mut prefixes = Prefixes::default();
        prefixes.reduce(&["m.reply.web1.1", "m.reply.web2.2", "m.x"], 2);
        assert_eq!(prefixes.of("m.reply.web1.1"), Some("m.reply"));
        assert_eq!(prefixes.of("m.x"), None);
    }

    #[test]
    fn what_shares_no_prefix_is_left_alone() {
        let mut prefixes = Prefixes::default();
        prefixes.reduce(&["a", "b", "*.c", "*.d"], 1);
        assert_eq!(prefixes, Prefixes::default());
    }
}
