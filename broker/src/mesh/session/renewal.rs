//! When the connection of a link that is up is renewed, and how the newer one follows the older one
//! (R25). Pure bookkeeping; the core dials and closes.

use std::time::Duration;

use crate::mesh::config::{LinkAuth, Secret};
use crate::mesh::ids::{ConnId, Now};
use crate::mesh::random::Random;

/// What is due because a configuration changed is spread over so much time for each link of the
/// site,
pub(in crate::mesh) const SPREAD: Duration = Duration::from_secs(5);
/// and over no more than this.
pub(in crate::mesh) const MOST_SPREAD: Duration = Duration::from_secs(600);
/// A connection is renewed so long before the first certificate of its two ends is over.
const BEFORE_END: Duration = Duration::from_secs(3600);
/// A certificate that is over sooner than that is asked for again when half of what is left has
/// passed, and not more often than this.
const LEAST_LEFT: Duration = Duration::from_secs(60);
/// The older connection has so long to get its last acknowledgements.
pub(in crate::mesh) const DRAIN: Duration = Duration::from_secs(5);
/// The first wait after a renewal that failed; it doubles,
const FAILED_MIN: Duration = Duration::from_secs(5);
/// up to this.
const FAILED_MAX: Duration = Duration::from_secs(600);

/// What an end of a link would open a connection with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::mesh) struct Offer {
    /// What may be shown.
    pub(in crate::mesh) auth: LinkAuth,
    /// Certificate and roots, where they count.
    pub(in crate::mesh) tls: u64,
    /// The password.
    pub(in crate::mesh) secret: Option<Secret>,
}

impl Offer {
    /// True when a connection that was opened with `self` is to be renewed because `now` is in
    /// force. Of a connection that certificates opened the password says nothing.
    pub(in crate::mesh) fn is_outdated(&self, now: &Self, by_certificate: bool) -> bool {
        let is_other_secret = !by_certificate && self.secret != now.secret;
        self.auth != now.auth || self.tls != now.tls || is_other_secret
    }
}

/// The next renewal of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mesh) struct Renewal {
    /// When it is due.
    pub(in crate::mesh) at: Option<Now>,
    /// A dial for it is under way.
    pub(in crate::mesh) is_dialling: bool,
    not_before: Now,
    wait: Duration,
}

impl Default for Renewal {
    fn default() -> Self {
        Self {
            at: None,
            is_dialling: false,
            not_before: Now(0),
            wait: FAILED_MIN,
        }
    }
}

impl Renewal {
    /// A connection is new: it is due again when it is old, or soon over.
    pub(in crate::mesh) fn begin(
        &mut self,
        renew_after: Duration,
        ends: Option<Now>,
        random: &mut Random,
        now: Now,
    ) {
        let old = (!renew_after.is_zero()).then(|| now.plus(random.about(renew_after)));
        let over = ends.map(|ends| {
            let left = ends.since(now);
            let in_time = left.saturating_sub(BEFORE_END);
            now.plus(in_time.max(left / 2).max(LEAST_LEFT))
        });
        *self = Self {
            at: old.into_iter().chain(over).min(),
            ..Self::default()
        };
    }

    /// Not later than then, but for the wait after a failure.
    pub(in crate::mesh) fn want(&mut self, at: Now) {
        let at = at.max(self.not_before);
        self.at = Some(self.at.map_or(at, |known| known.min(at)));
    }

    /// It failed, and the older connection stays.
    pub(in crate::mesh) fn failed(&mut self, random: &mut Random, now: Now) {
        self.is_dialling = false;
        self.not_before = now.plus(random.about(self.wait));
        self.wait = (self.wait * 2).min(FAILED_MAX);
        self.at = Some(self.not_before);
    }

    /// A new configuration may have mended what made it fail.
    pub(in crate::mesh) const fn forgive(&mut self) {
        self.not_before = Now(0);
        self.wait = FAILED_MIN;
    }
}

/// The older connection of a link while its last frames are acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::mesh) struct Retiring {
    /// Which.
    pub(in crate::mesh) conn: ConnId,
    /// No longer than this.
    pub(in crate::mesh) until: Now,
    /// Nothing of this end is under way on it.
    pub(in crate::mesh) is_drained: bool,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Offer, Renewal};
    use crate::mesh::config::{LinkAuth, Secret};
    use crate::mesh::ids::Now;
    use crate::mesh::random::Random;

    const HOUR: Duration = Duration::from_secs(3600);

    fn due(renew_after: Duration, ends: Option<Duration>) -> Option<Duration> {
        let (mut renewal, now) = (Renewal::default(), Now(7));
        let ends = ends.map(|left| now.plus(left));
        renewal.begin(renew_after, ends, &mut Random::new(1), now);
        Some(renewal.at?.since(now))
    }

    #[test]
    fn a_connection_is_renewed_when_it_is_old_or_an_hour_before_its_certificate_ends() {
        let old = due(24 * HOUR, None).unwrap();
        assert!(old >= 24 * HOUR * 9 / 10 && old <= 24 * HOUR * 11 / 10);
        assert_eq!(due(24 * HOUR, Some(5 * HOUR)), Some(4 * HOUR));
        assert_eq!(due(Duration::ZERO, Some(5 * HOUR)), Some(4 * HOUR));
        assert_eq!(due(Duration::ZERO, None), None);
    }

    #[test]
    fn a_certificate_that_is_over_soon_is_looked_at_again_but_not_all_the_time() {
        let minute = Duration::from_secs(60);
        assert_eq!(due(Duration::ZERO, Some(HOUR)), Some(HOUR / 2));
        assert_eq!(due(Duration::ZERO, Some(minute)), Some(minute));
        assert_eq!(due(Duration::ZERO, Some(Duration::ZERO)), Some(minute));
    }

    #[test]
    fn who_is_refused_waits_longer_each_time_until_a_configuration_changes() {
        let (mut renewal, mut random) = (Renewal::default(), Random::new(1));
        let mut nominal = Duration::from_secs(5);
        for _ in 0..12 {
            renewal.failed(&mut random, Now(0));
            let waited = renewal.at.unwrap().since(Now(0));
            assert!(waited >= nominal * 9 / 10 && waited <= nominal * 11 / 10);
            nominal = (nominal * 2).min(Duration::from_secs(600));
        }
        let before = renewal.at;
        renewal.want(Now(1));
        assert_eq!(renewal.at, before, "asking does not help");
        renewal.forgive();
        renewal.want(Now(1));
        assert_eq!(renewal.at, Some(Now(1)));
    }

    #[test]
    fn only_what_opened_a_connection_makes_it_outdated() {
        let offer = |tls, secret: &[u8]| Offer {
            auth: LinkAuth::Both,
            tls,
            secret: Some(Secret::new(secret)),
        };
        let now = offer(1, b"new");
        assert!(!now.is_outdated(&now, false));
        assert!(offer(1, b"old").is_outdated(&now, false));
        assert!(!offer(1, b"old").is_outdated(&now, true));
        assert!(offer(2, b"new").is_outdated(&now, true));
        let auth = LinkAuth::Mtls;
        assert!(
            Offer {
                auth,
                ..offer(1, b"new")
            }
            .is_outdated(&now, true)
        );
    }
}
