//! Which names are reply names, and when monitors have to stand back (R12 c, d).

use std::time::Duration;

use crate::mesh::ids::Now;

/// A consumer of the literal name keeps monitors away this long after it was last known.
pub const MONITOR_HOLD: Duration = Duration::from_secs(2);

/// The configured patterns of reply names (`*.reply.>`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplyPatterns(Vec<Vec<Box<str>>>);

impl ReplyPatterns {
    /// `*` stands for one part between dots, `>` at the end for one or more.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Self {
        Self(
            patterns
                .into_iter()
                .map(|text| text.split('.').map(Box::from).collect())
                .collect(),
        )
    }

    /// True when the name matches a pattern.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| is_match(pattern, name))
    }
}

fn is_match(pattern: &[Box<str>], name: &str) -> bool {
    let mut parts = name.split('.');
    for (at, wanted) in pattern.iter().enumerate() {
        let Some(part) = parts.next() else {
            return false;
        };
        match &**wanted {
            ">" if at + 1 == pattern.len() => return true,
            "*" => {}
            literal if literal == part => {}
            _ => return false,
        }
    }
    parts.next().is_none()
}

/// True when a queue has to be kept from consumers with a wildcard filter: it is a reply queue and
/// a consumer of its literal name is known, here or elsewhere, or was a moment ago. Rule: R12 d.
#[must_use]
pub fn spares_monitors(is_reply_queue: bool, literal_last_seen: Option<Now>, now: Now) -> bool {
    is_reply_queue && literal_last_seen.is_some_and(|seen| now.since(seen) < MONITOR_HOLD)
}
