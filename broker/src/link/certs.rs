//! What the own certificate says, and whether other sites would take it; for `/status`.

use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

use super::tls::{Verifier, fingerprint, uri_of};
use crate::clock;
use crate::config::Config;
use crate::config::certificates::{PairError, check_pair};
use crate::config::file::{LinkAuthMode, Tls};
use crate::net::tls;

/// What is wrong with a certificate: a word that stays, and a sentence.
type Problem = (&'static str, String);

/// The own certificates; none where the files name none.
#[must_use]
pub fn describe(config: &Config, verifier: &Verifier) -> Vec<Value> {
    let own = config.broker.tls.iter();
    own.map(|tls| own_certificate(config, tls, verifier, clock::wall_ms() / 1000))
        .collect()
}

fn own_certificate(config: &Config, tls: &Tls, verifier: &Verifier, now: i64) -> Value {
    let chain = tls::certificates(file(config, &tls.certificate)).unwrap_or_default();
    let parsed: Vec<X509Certificate<'_>> = chain.iter().filter_map(|one| parse(one)).collect();
    let first = parsed.first();
    // A chain is as good as the first of its certificates that ends.
    let ends = parsed
        .iter()
        .map(|one| one.validity().not_after.timestamp());
    let end = ends.min();
    let found = malformed(config, tls)
        .or_else(|| over(&parsed, now))
        .or_else(|| refused(config, tls, &chain, verifier));
    let (problem, error) = found.unzip();
    json!({
        "file": tls.certificate,
        "subject": first.map(|one| one.subject().to_string()).unwrap_or_default(),
        "sans": first.map(names).unwrap_or_default(),
        "notAfter": end.map(|end| clock::rfc3339(end.saturating_mul(1000))),
        "fingerprint": chain.first().map(|one| fingerprint(one)),
        "problem": problem,
        "error": error,
    })
}

fn file<'a>(config: &'a Config, path: &str) -> &'a [u8] {
    let bytes = config.others.get(path);
    bytes.map(Vec::as_slice).unwrap_or_default()
}

fn parse<'a>(certificate: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    let parsed = x509_parser::parse_x509_certificate(certificate);
    parsed.ok().map(|(_, parsed)| parsed)
}

fn malformed(config: &Config, tls: &Tls) -> Option<Problem> {
    let (chain, key) = (file(config, &tls.certificate), file(config, &tls.key));
    let error = check_pair(chain, key).into_iter().next()?;
    let text = match error {
        PairError::Certificate(error) => error.to_string(),
        PairError::Key(error) => format!("{} {error}", tls.key),
    };
    Some(("pair_malformed", text))
}

fn over(chain: &[X509Certificate<'_>], now: i64) -> Option<Problem> {
    let mut outside = chain
        .iter()
        .map(|one| one.validity())
        .filter_map(|validity| {
            let (start, end) = (
                validity.not_before.timestamp(),
                validity.not_after.timestamp(),
            );
            let day = |seconds: i64| clock::rfc3339(seconds.saturating_mul(1000));
            if end <= now {
                Some(format!("has ended at {}", day(end)))
            } else if now < start {
                Some(format!("begins at {}", day(start)))
            } else {
                None
            }
        });
    outside.next().map(|text| ("expired", text))
}

/// What other sites would refuse where links are opened with certificates.
fn refused(
    config: &Config,
    tls: &Tls,
    chain: &[CertificateDer<'_>],
    verifier: &Verifier,
) -> Option<Problem> {
    if config.broker.link_auth == LinkAuthMode::Password {
        return None;
    }
    let (network, site) = (&config.broker.network, &config.broker.site);
    let wanted = format!(
        "spiffe://{}/network/{network}/site/{site}",
        tls.trust_domain
    );
    let name = chain.first().and_then(uri_of);
    if name.as_ref() != Some(&wanted) {
        let name = name.unwrap_or_else(|| "nothing".to_owned());
        let text = format!("the first URI among its names is {name}, not {wanted}");
        return Some(("name_mismatch", text));
    }
    let text = "it does not end at a root of the own trust bundle, or is not for TLS clients";
    (!verifier.trusts(chain)).then(|| ("untrusted_root", text.to_owned()))
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let extension = certificate.subject_alternative_name().ok().flatten();
    let names = extension.map(|extension| &extension.value.general_names);
    let text = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(text) | GeneralName::URI(text) | GeneralName::RFC822Name(text) => {
            Some((*text).to_owned())
        }
        GeneralName::IPAddress(bytes) => address(bytes),
        _ => None,
    };
    names.into_iter().flatten().filter_map(text).collect()
}

fn address(bytes: &[u8]) -> Option<String> {
    let four = <[u8; 4]>::try_from(bytes).map(std::net::IpAddr::from);
    let address = four.or_else(|_| <[u8; 16]>::try_from(bytes).map(std::net::IpAddr::from));
    address.ok().map(|address| address.to_string())
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
        KeyPair, SanType,
    };

    use super::*;
    use crate::config::Files;
    use crate::config::test_support;

    /// Of 2026-11-25, within what is made here.
    const NOW: i64 = 1_795_600_000;
    const OWN: &str = "spiffe://causeway/network/n/site/a";

    struct Authority {
        pem: String,
        issuer: Issuer<'static, KeyPair>,
    }

    fn authority(name: &str) -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a root").pem();
        let issuer = Issuer::from_ca_cert_pem(&pem, key).expect("an authority");
        Authority { pem, issuer }
    }

    fn site(authority: &Authority, uri: &str) -> (String, String) {
        let names = vec!["a.example.com".to_owned(), "192.0.2.1".to_owned()];
        let mut params = CertificateParams::new(names).expect("names");
        let uri = uri.try_into().expect("a URI");
        params.subject_alt_names.push(SanType::URI(uri));
        params.distinguished_name.push(DnType::CommonName, "a");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2036, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let made = params.signed_by(&key, &authority.issuer);
        (made.expect("a certificate").pem(), key.serialize_pem())
    }

    fn files(auth: &str, pair: &(String, String), roots: &str) -> Files {
        let mut files = test_support::files();
        let tls = format!(
            "link_auth: {auth}\ntls: {{certificate: tls.crt, key: tls.key, trust_bundle: ca.crt}}\n"
        );
        files.broker.extend(tls.into_bytes());
        let own = [
            ("tls.crt", &*pair.0),
            ("tls.key", &*pair.1),
            ("ca.crt", roots),
        ];
        let own = own.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
        files.others.extend(own);
        files
    }

    fn told(auth: &str, pair: &(String, String), roots: &str, now: i64) -> Value {
        let config = test_support::config(&files(auth, pair, roots));
        let verifier = Verifier::new(&config).expect("roots");
        let tls = config.broker.tls.as_ref().expect("it has certificates");
        own_certificate(&config, tls, &verifier, now)
    }

    #[test]
    fn a_good_certificate_is_told_with_its_names_and_its_end() {
        let root = authority("root");
        let told = told("mtls", &site(&root, OWN), &root.pem, NOW);
        assert_eq!(told["file"], "tls.crt");
        assert_eq!(told["notAfter"], "2036-01-01T00:00:00Z");
        assert_eq!(told["sans"], json!(["a.example.com", "192.0.2.1", OWN]));
        let subject = told["subject"].as_str().unwrap_or_default();
        assert!(subject.contains("CN=a"), "{subject}");
        assert_eq!(
            (&told["problem"], &told["error"]),
            (&Value::Null, &Value::Null)
        );
    }

    #[test]
    fn what_is_wrong_is_told_as_a_word_and_a_sentence() {
        let (root, other) = (authority("root"), authority("other"));
        let (good, strange) = (site(&root, OWN), site(&root, "spiffe://causeway/x"));
        let late = 2_100_000_000;
        let rows = [
            ("mtls", &good, &root, late, json!("expired"), "2036-01-01"),
            (
                "mtls",
                &good,
                &root,
                0,
                json!("expired"),
                "begins at 2026-01-01",
            ),
            (
                "mtls",
                &strange,
                &root,
                NOW,
                json!("name_mismatch"),
                "causeway/x",
            ),
            ("mtls", &good, &other, NOW, json!("untrusted_root"), "root"),
            // Passwords prove links: whom clients trust is their affair.
            ("password", &strange, &other, NOW, Value::Null, ""),
        ];
        for (auth, pair, roots, now, problem, part) in rows {
            let told = told(auth, pair, &roots.pem, now);
            assert_eq!(told["problem"], problem, "{told}");
            let error = told["error"].as_str().unwrap_or_default();
            assert!(error.contains(part), "{told}");
        }
    }

    #[test]
    fn the_root_that_a_chain_leads_to_is_told_among_several() {
        let (old, new) = (authority("root"), authority("root"));
        let pair = site(&new, OWN);
        let roots = format!("{}{}", old.pem, new.pem);
        let config = test_support::config(&files("mtls", &pair, &roots));
        let verifier = Verifier::new(&config).expect("roots");
        let chain = tls::certificates(pair.0.as_bytes()).expect("a chain");
        let expected = tls::certificates(new.pem.as_bytes()).expect("a root");
        let found = verifier.root_of(Some(&chain));
        assert_eq!(found, expected.first().map(|root| fingerprint(root)));
        assert_eq!(verifier.root_of(None), None);
    }
}
