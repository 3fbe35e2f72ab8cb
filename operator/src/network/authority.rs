//! What the development authority of a network has to do in a cluster, judged from what its Secrets hold (made once, never
//! written over while it is good).
//!
//! Roots change without a gap: when an authority has a third of its time left, another root is made and given to every
//! site; a day later, when each broker has long trusted both, it signs.

use std::collections::BTreeMap;

use causeway_broker::config::certificates;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

use crate::authority::{Pair, SiteIdentity};
use crate::development::{self, Authority};
use crate::model::ValidSite;
use crate::names;

/// Bytes by key.
pub type Data = BTreeMap<String, Vec<u8>>;

/// Chain, of the authority that signs or of the site.
pub const CERTIFICATE: &str = "tls.crt";
/// Its key.
pub const KEY: &str = "tls.key";
/// Every root that counts.
pub const ROOTS: &str = "ca.crt";
const NEXT_CERTIFICATE: &str = "next.crt";
const NEXT_KEY: &str = "next.key";

/// The next root signs after this time. Brokers have it within minutes.
const OVERLAP: SignedDuration = SignedDuration::from_hours(24);

/// What is due for an authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    /// It is good.
    Nothing,
    /// There is none that could sign.
    Make,
    /// Another root is to be made known.
    Announce,
    /// The root that was made known is to sign.
    Switch,
}

/// What is due for an authority with this Secret.
#[must_use]
pub fn duty(stored: Option<&Data>, now: Timestamp) -> Duty {
    let Some(stored) = stored else {
        return Duty::Make;
    };
    let certificate = value(stored, CERTIFICATE);
    if !is_pair(stored, CERTIFICATE, KEY) || development::is_over(certificate, now) {
        return Duty::Make;
    }
    let next = value(stored, NEXT_CERTIFICATE);
    if !is_pair(stored, NEXT_CERTIFICATE, NEXT_KEY) || development::is_over(next, now) {
        return match development::is_due(certificate, now) {
            true => Duty::Announce,
            false if certificates::check_roots(value(stored, ROOTS)).is_err() => Duty::Make,
            false => Duty::Nothing,
        };
    }
    let begin = development::begin(next).unwrap_or(i64::MAX);
    match now.as_second().saturating_sub(begin) > OVERLAP.as_secs() {
        true => Duty::Switch,
        false => Duty::Nothing,
    }
}

fn is_pair(stored: &Data, certificate: &str, key: &str) -> bool {
    certificates::check_pair(value(stored, certificate), value(stored, key)).is_empty()
}

/// What a Secret holds under a key; nothing is as good as empty.
#[must_use]
pub fn value<'a>(stored: &'a Data, key: &str) -> &'a [u8] {
    stored.get(key).map(Vec::as_slice).unwrap_or_default()
}

/// The Secret of an authority that begins.
#[must_use]
pub fn begun(pair: Pair) -> Data {
    let roots = pair.certificate.clone();
    data([
        (CERTIFICATE, pair.certificate),
        (KEY, pair.key),
        (ROOTS, roots),
    ])
}

/// The Secret of an authority whose next root is known.
#[must_use]
pub fn announced(stored: &Data, next: Pair) -> Data {
    let old = value(stored, CERTIFICATE);
    let roots = [old, &next.certificate].concat();
    data([
        (CERTIFICATE, old.to_vec()),
        (KEY, value(stored, KEY).to_vec()),
        (ROOTS, roots),
        (NEXT_CERTIFICATE, next.certificate),
        (NEXT_KEY, next.key),
    ])
}

/// The Secret of an authority whose next root signs; the one before counts until its end.
#[must_use]
pub fn switched(stored: &Data) -> Data {
    data([
        (CERTIFICATE, value(stored, NEXT_CERTIFICATE).to_vec()),
        (KEY, value(stored, NEXT_KEY).to_vec()),
        (ROOTS, value(stored, ROOTS).to_vec()),
    ])
}

/// The Secret of a site.
#[must_use]
pub fn of_site(pair: Pair, roots: &[u8]) -> Data {
    data([
        (CERTIFICATE, pair.certificate),
        (KEY, pair.key),
        (ROOTS, roots.to_vec()),
    ])
}

fn data<const N: usize>(pairs: [(&str, Vec<u8>); N]) -> Data {
    pairs.map(|(key, bytes)| (key.to_owned(), bytes)).into()
}

/// Whether the Secret of a site holds what it should.
#[must_use]
pub fn is_good(
    stored: &Data,
    authority: &Authority,
    roots: &[u8],
    identity: &SiteIdentity<'_>,
    now: Timestamp,
) -> bool {
    let (certificate, key) = (value(stored, CERTIFICATE), value(stored, KEY));
    value(stored, ROOTS) == roots && authority.vouches(certificate, key, identity, now)
}

/// The names a site is dialled by: its endpoint, and its Services, short and with their namespace.
#[must_use]
pub fn hosts(network: &str, namespace: Option<&str>, name: &str, site: &ValidSite) -> Vec<String> {
    let endpoint = site.endpoint.iter().map(|endpoint| endpoint.host.clone());
    let own = names::service_hosts(network, name, namespace);
    endpoint.chain(own).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(days: i64) -> Timestamp {
        let start: Timestamp = "2026-10-01T00:00:00Z".parse().expect("a time");
        start + SignedDuration::from_hours(days * 24)
    }

    fn made(days: i64) -> Pair {
        Authority::make("n", day(days)).expect("made")
    }

    fn site(stored: &Data, now: Timestamp) -> Data {
        let authority =
            Authority::open(value(stored, CERTIFICATE), value(stored, KEY)).expect("opened");
        let pair = authority.site(identity(), now).expect("signed");
        of_site(pair, value(stored, ROOTS))
    }

    fn identity() -> SiteIdentity<'static> {
        SiteIdentity {
            site: "ie",
            uri: "spiffe://causeway/network/n/site/ie",
            hosts: vec!["ie.example.com".to_owned()],
        }
    }

    fn is_good_at(stored: &Data, of: &Data, now: Timestamp) -> bool {
        let authority = Authority::open(value(of, CERTIFICATE), value(of, KEY)).expect("opened");
        is_good(stored, &authority, value(of, ROOTS), &identity(), now)
    }

    /// O11, by a clock that is set.
    #[test]
    fn another_root_is_known_for_a_day_before_it_signs() {
        assert_eq!(duty(None, day(0)), Duty::Make);
        let first = begun(made(0));
        for (days, expected) in [
            (0, Duty::Nothing),
            (243, Duty::Nothing),
            (244, Duty::Announce),
            (366, Duty::Make),
        ] {
            assert_eq!(duty(Some(&first), day(days)), expected, "day {days}");
        }
        let both = announced(&first, made(244));
        assert_eq!(duty(Some(&both), day(244)), Duty::Nothing);
        assert_eq!(value(&both, CERTIFICATE), value(&first, CERTIFICATE));
        assert_eq!(duty(Some(&both), day(245)), Duty::Switch);
        let second = switched(&both);
        assert_eq!(duty(Some(&second), day(245)), Duty::Nothing);
        assert_eq!(value(&second, ROOTS), value(&both, ROOTS));
        assert_eq!(duty(Some(&second), day(244 + 244)), Duty::Announce);
    }

    #[test]
    fn what_somebody_spoiled_is_made_anew() {
        let good = begun(made(0));
        for key in [CERTIFICATE, KEY, ROOTS] {
            let mut spoiled = good.clone();
            spoiled.insert(key.to_owned(), b"garbage".to_vec());
            assert_eq!(duty(Some(&spoiled), day(0)), Duty::Make, "{key}");
        }
    }

    #[test]
    fn a_site_has_another_certificate_at_two_thirds_with_other_roots_and_with_another_signer() {
        let first = begun(made(0));
        let of_site = site(&first, day(0));
        assert!(is_good_at(&of_site, &first, day(0)));
        assert!(is_good_at(&of_site, &first, day(59)));
        assert!(!is_good_at(&of_site, &first, day(61)));
        let both = announced(&first, made(1));
        assert!(!is_good_at(&of_site, &both, day(1)));
        let between = site(&both, day(1));
        assert!(is_good_at(&between, &both, day(1)));
        assert!(!is_good_at(&between, &switched(&both), day(2)));
    }
}
