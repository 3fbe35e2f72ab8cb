//! The development authority: what it signs, for how long, and when that is due again. `causeway up` keeps it in a folder,
//! the operator in Secrets. Nobody else trusts it. The time is given; only keys are random.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::SystemTime;

use causeway_broker::config::certificates;
use k8s_openapi::jiff::Timestamp;
use rcgen::{Issuer, KeyPair};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::pem::Pem;

use crate::authority::{self, Pair, SiteIdentity, Validity};

/// Days that an authority is good for.
pub const AUTHORITY_DAYS: u32 = 365;
/// Days that a site's certificate is good for.
pub const SITE_DAYS: u32 = 90;

/// An authority that can sign.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    key_id: Vec<u8>,
}

impl Authority {
    /// Makes an authority for a network.
    ///
    /// # Errors
    /// Making a key or signing fails.
    pub fn make(network: &str, now: Timestamp) -> Result<Pair, rcgen::Error> {
        let name = format!("Causeway development CA of {network}");
        authority::root(&name, validity(now, AUTHORITY_DAYS))
    }

    /// An authority that was made.
    ///
    /// # Errors
    /// It is none.
    pub fn open(certificate: &[u8], key: &[u8]) -> Result<Self, rcgen::Error> {
        let facts = Facts::of(certificate).ok_or(rcgen::Error::CouldNotParseCertificate)?;
        let key = KeyPair::from_pem(&String::from_utf8_lossy(key))?;
        let certificate = String::from_utf8_lossy(certificate);
        Ok(Self {
            issuer: Issuer::from_ca_cert_pem(&certificate, key)?,
            key_id: facts.key_id,
        })
    }

    /// Makes a certificate of a site.
    ///
    /// # Errors
    /// A name is none, or signing fails.
    pub fn site(&self, identity: SiteIdentity<'_>, now: Timestamp) -> Result<Pair, rcgen::Error> {
        authority::site(&self.issuer, identity, validity(now, SITE_DAYS))
    }

    /// Whether a pair is what this authority would make for an identity, and has more than a third of its time left.
    #[must_use]
    pub fn vouches(
        &self,
        certificate: &[u8],
        key: &[u8],
        identity: &SiteIdentity<'_>,
        now: Timestamp,
    ) -> bool {
        let Some(facts) = Facts::of(certificate) else {
            return false;
        };
        facts.issuer_id == self.key_id
            && facts.names == wanted(identity)
            && !facts.is_due(now)
            && certificates::check_pair(certificate, key).is_empty()
    }
}

fn validity(now: Timestamp, days: u32) -> Validity {
    Validity {
        now: SystemTime::from(now),
        days,
    }
}

/// Whether a certificate has a third of its time left or less; what is none has no time at all.
#[must_use]
pub fn is_due(certificate: &[u8], now: Timestamp) -> bool {
    Facts::of(certificate).is_none_or(|facts| facts.is_due(now))
}

/// Whether the time of a certificate is over; what is none is over.
#[must_use]
pub fn is_over(certificate: &[u8], now: Timestamp) -> bool {
    Facts::of(certificate).is_none_or(|facts| facts.end <= now.as_second())
}

/// Since when a certificate is good, in Unix seconds.
#[must_use]
pub fn begin(certificate: &[u8]) -> Option<i64> {
    Facts::of(certificate).map(|facts| facts.begin)
}

/// What a certificate says of itself.
struct Facts {
    begin: i64,
    end: i64,
    /// Alternative names, as text.
    names: BTreeSet<String>,
    /// Of the own key; empty where it is not said.
    key_id: Vec<u8>,
    /// Of the key that signed it.
    issuer_id: Vec<u8>,
}

impl Facts {
    /// Of the first certificate of a PEM text.
    fn of(text: &[u8]) -> Option<Self> {
        let pem = Pem::iter_from_buffer(text).next()?.ok()?;
        let parsed = pem.parse_x509().ok()?;
        let mut facts = Self {
            begin: parsed.validity().not_before.timestamp(),
            end: parsed.validity().not_after.timestamp(),
            names: names(&parsed),
            key_id: Vec::new(),
            issuer_id: Vec::new(),
        };
        for extension in parsed.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::SubjectKeyIdentifier(id) => facts.key_id = id.0.to_vec(),
                ParsedExtension::AuthorityKeyIdentifier(id) => {
                    let id = id.key_identifier.as_ref();
                    facts.issuer_id = id.map(|id| id.0.to_vec()).unwrap_or_default();
                }
                _ => {}
            }
        }
        Some(facts)
    }

    fn is_due(&self, now: Timestamp) -> bool {
        now.as_second() > self.begin + (self.end - self.begin) / 3 * 2
    }
}

/// The names of an identity as a certificate has them.
fn wanted(identity: &SiteIdentity<'_>) -> BTreeSet<String> {
    let host = |host: &String| match host.parse::<IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_) => host.clone(),
    };
    let hosts = identity.hosts.iter().map(host);
    hosts.chain([identity.uri.to_owned()]).collect()
}

fn names(certificate: &X509Certificate<'_>) -> BTreeSet<String> {
    let extension = certificate.subject_alternative_name().ok().flatten();
    let names = extension.map(|extension| &extension.value.general_names);
    let text = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(text) | GeneralName::URI(text) => Some((*text).to_owned()),
        GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
        _ => None,
    };
    names.into_iter().flatten().filter_map(text).collect()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::SignedDuration;

    use super::*;

    fn day(days: i64) -> Timestamp {
        let start: Timestamp = "2026-10-01T00:00:00Z".parse().expect("a time");
        start + SignedDuration::from_hours(days * 24)
    }

    fn identity(host: &str) -> SiteIdentity<'static> {
        SiteIdentity {
            site: "ie",
            uri: "spiffe://causeway/network/n/site/ie",
            hosts: vec![
                host.to_owned(),
                "192.0.2.7".to_owned(),
                "2001:DB8:0::7".to_owned(),
            ],
        }
    }

    #[test]
    fn a_certificate_counts_for_its_names_its_authority_and_two_thirds_of_its_time() {
        let (first, second) = (
            Authority::make("n", day(0)).expect("made"),
            Authority::make("n", day(0)).expect("made"),
        );
        let open = |pair: &Pair| Authority::open(&pair.certificate, &pair.key).expect("opened");
        let (first, second) = (open(&first), open(&second));
        let pair = first
            .site(identity("ie.example.com"), day(0))
            .expect("signed");
        let vouches = |by: &Authority, key: &[u8], host: &str, days: i64| {
            by.vouches(&pair.certificate, key, &identity(host), day(days))
        };
        assert!(vouches(&first, &pair.key, "ie.example.com", 0));
        assert!(vouches(&first, &pair.key, "ie.example.com", 59));
        assert!(!vouches(&first, &pair.key, "ie.example.com", 61));
        assert!(!vouches(&first, &pair.key, "uk.example.com", 0));
        assert!(!vouches(&second, &pair.key, "ie.example.com", 0));
        assert!(!vouches(&first, b"", "ie.example.com", 0));
    }

    #[test]
    fn what_is_no_certificate_is_due_and_over() {
        let pair = Authority::make("n", day(0)).expect("made");
        assert!(!is_due(&pair.certificate, day(243)));
        assert!(is_due(&pair.certificate, day(244)));
        assert!(!is_over(&pair.certificate, day(364)));
        assert!(is_over(&pair.certificate, day(366)));
        for nothing in ["", "garbage", "-----BEGIN CERTIFICATE-----"] {
            assert!(is_due(nothing.as_bytes(), day(0)) && is_over(nothing.as_bytes(), day(0)));
        }
    }
}
