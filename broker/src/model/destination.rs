//! Destinations: the kind and the name that every message is addressed to.

use std::fmt;
use std::sync::Arc;

/// The four name spaces of destinations. Equal names in different spaces are different things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Each message goes to one consumer.
    Queue,
    /// Each message goes to every subscriber.
    Topic,
    /// A queue that belongs to a connection and dies with it.
    TempQueue,
    /// A topic that belongs to a connection and dies with it.
    TempTopic,
}

impl Kind {
    /// True for queues, temporary ones included.
    #[must_use]
    pub const fn is_queue(self) -> bool {
        matches!(self, Self::Queue | Self::TempQueue)
    }

    /// True for destinations that belong to a connection.
    #[must_use]
    pub const fn is_temporary(self) -> bool {
        matches!(self, Self::TempQueue | Self::TempTopic)
    }

    /// The number that stands for this kind in an envelope.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Queue => 0,
            Self::Topic => 1,
            Self::TempQueue => 2,
            Self::TempTopic => 3,
        }
    }

    /// The kind that an envelope's number stands for.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Queue),
            1 => Some(Self::Topic),
            2 => Some(Self::TempQueue),
            3 => Some(Self::TempTopic),
            _ => None,
        }
    }

    /// The prefix of the STOMP form of a name as everybody but the owner of a temporary one sees
    /// it (`/queue/`, `/remote-temp-queue/`, …).
    #[must_use]
    pub const fn stomp_prefix(self) -> &'static str {
        match self {
            Self::Queue => "/queue/",
            Self::Topic => "/topic/",
            Self::TempQueue => "/remote-temp-queue/",
            Self::TempTopic => "/remote-temp-topic/",
        }
    }

    /// The scheme of the JMS form (`queue://x`), which ActiveMQ's error texts use.
    #[must_use]
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::Queue => "queue://",
            Self::Topic => "topic://",
            Self::TempQueue => "temp-queue://",
            Self::TempTopic => "temp-topic://",
        }
    }
}

/// One destination, or the pattern of a wildcard subscription: a kind and a dotted name.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Destination {
    /// The name space.
    pub kind: Kind,
    /// The name without any prefix.
    pub name: Arc<str>,
}

impl Destination {
    /// A destination of that kind and name.
    #[must_use]
    pub fn new(kind: Kind, name: &str) -> Self {
        Self {
            kind,
            name: Arc::from(name),
        }
    }

    /// True when a segment of the name is `*` or `>`, so that it matches more than itself.
    #[must_use]
    pub fn is_pattern(&self) -> bool {
        is_pattern(&self.name)
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.kind.scheme(), self.name)
    }
}

impl fmt::Debug for Destination {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// True when a segment of `name` is a wildcard. `*` inside a segment (`a.b*`) is a literal.
#[must_use]
pub fn is_pattern(name: &str) -> bool {
    name.split('.')
        .any(|segment| segment == "*" || segment == ">")
}

/// True when `name` is matched by `pattern`: `*` stands for one segment, `>` for the rest, and
/// `a.>` matches `a` too.
#[must_use]
pub fn matches(pattern: &str, name: &str) -> bool {
    let mut wanted = pattern.split('.');
    let mut given = name.split('.');
    loop {
        match (wanted.next(), given.next()) {
            (Some(">"), _) | (None, None) => return true,
            (Some("*"), Some(_)) => {}
            (Some(segment), Some(other)) if segment == other => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{is_pattern, matches};

    #[test]
    fn wildcards_match_segments_and_rests() {
        let rows = [
            ("a.b", "a.b", true),
            ("a.*", "a.b", true),
            ("a.*", "a", false),
            ("a.*", "a.b.c", false),
            ("a.>", "a.b.c", true),
            ("a.>", "a", true),
            (">", "x", true),
            ("*.reply.>", "mcollective.reply.web1.9", true),
            ("a.b*", "a.bc", false),
            ("a.b", "a.b.c", false),
        ];
        for (pattern, name, expected) in rows {
            assert_eq!(matches(pattern, name), expected, "{pattern} against {name}");
        }
    }

    #[test]
    fn a_star_inside_a_segment_is_a_literal() {
        assert!(!is_pattern("a.b*"));
        assert!(is_pattern("a.*.b"));
        assert!(is_pattern("a.>"));
    }
}
