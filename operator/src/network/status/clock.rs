//! Now, and when an age that matters will have passed.

use std::cell::Cell;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

/// Now, and the next time at which one of the ages that were asked for passes.
#[derive(Debug)]
pub struct Clock {
    now: Timestamp,
    next: Cell<Option<SignedDuration>>,
}

impl Clock {
    /// A clock that stands still.
    pub const fn new(now: Timestamp) -> Self {
        Self {
            now,
            next: Cell::new(None),
        }
    }

    /// Now, as a status writes it.
    pub fn now(&self) -> Time {
        whole(self.now)
    }

    /// Whether so much time has passed. If not, that is a time to look again.
    pub fn has_passed(&self, since: Timestamp, age: SignedDuration) -> bool {
        let left = age - self.now.duration_since(since);
        if left <= SignedDuration::ZERO {
            return true;
        }
        let next = self.next.get().map_or(left, |next| next.min(left));
        self.next.set(Some(next));
        false
    }

    /// Whether a time lies less than a span ahead, or behind. If not, that is a time to look again.
    pub fn is_near(&self, end: Timestamp, span: SignedDuration) -> bool {
        self.has_passed(end, -span)
    }

    /// When to look again.
    pub fn next(&self) -> Option<Duration> {
        self.next.get().map(|left| left.unsigned_abs())
    }
}

/// A time without fractions of seconds: a status holds none, so that it is equal to itself once it was read again.
pub fn whole(time: Timestamp) -> Time {
    Time(Timestamp::from_second(time.as_second()).unwrap_or(time))
}

/// A time of the past, given its age in milliseconds.
pub fn ago(time: Timestamp, milliseconds: u64) -> Timestamp {
    let age = i64::try_from(milliseconds).unwrap_or(i64::MAX);
    time.checked_sub(SignedDuration::from_millis(age))
        .unwrap_or(Timestamp::UNIX_EPOCH)
}
