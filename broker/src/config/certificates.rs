//! Whether certificates, keys and bundles can be used. One check for whoever writes a configuration directory and for
//! the broker that reads it. No reason quotes what it is about: a key may stand where a certificate is expected.

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, RootCertStore};

/// Why a certificate, a key or a bundle cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The text looks like PEM and is none.
    #[error(
        "is not PEM: a line is damaged, or \"-----BEGIN …-----\" and \"-----END …-----\" do not stand on lines of their own"
    )]
    NotPem,
    /// There is no certificate in the text.
    #[error("holds no certificate: PEM with \"-----BEGIN CERTIFICATE-----\" is expected")]
    NoCertificate,
    /// There is no key in the text.
    #[error(
        "holds no private key: PEM with \"-----BEGIN PRIVATE KEY-----\" is expected (PKCS#8; PKCS#1 and SEC1 are read too)"
    )]
    NoKey,
    /// There is a key in the text, and a password on it.
    #[error("holds a private key that is encrypted: nobody can be asked for its password")]
    EncryptedKey,
    /// What stands between the lines of PEM is no certificate.
    #[error("its certificate number {0} is no X.509 certificate")]
    NotX509(usize),
    /// A certificate cannot be a root.
    #[error("its certificate number {0} cannot be used as a root")]
    NoRoot(usize),
    /// What stands between the lines of PEM is no key that can be used.
    #[error("is no private key that can be used: RSA, ECDSA and Ed25519 are")]
    UnusableKey,
    /// The key is another one's.
    #[error("does not belong to the certificate: its public key is another")]
    OtherKey,
}

/// Where a certificate with its key is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PairError {
    /// In the certificate or its chain.
    Certificate(CertificateError),
    /// In the key.
    Key(CertificateError),
}

/// Checks a certificate chain and its key: every mistake, that of the certificate first.
#[must_use]
pub fn check_pair(chain: &[u8], key: &[u8]) -> Vec<PairError> {
    match (read_chain(chain), read_key(key)) {
        (Ok(chain), Ok(key)) => fits(chain, key).err().into_iter().collect(),
        (chain, key) => {
            let chain = chain.err().map(PairError::Certificate);
            let key = key.err().map(PairError::Key);
            chain.into_iter().chain(key).collect()
        }
    }
}

/// Checks a bundle of root certificates.
///
/// # Errors
/// It holds none, or one that cannot be a root.
pub fn check_roots(bundle: &[u8]) -> Result<(), CertificateError> {
    let mut store = RootCertStore::empty();
    for (index, certificate) in certificates(bundle)?.into_iter().enumerate() {
        let added = store.add(certificate);
        added.map_err(|_| CertificateError::NoRoot(index + 1))?;
    }
    Ok(())
}

/// The end of the first certificate of a chain in Unix seconds.
#[must_use]
pub fn end(chain: &[u8]) -> Option<i64> {
    let chain = certificates(chain).ok()?;
    let (_, first) = x509_parser::parse_x509_certificate(chain.first()?).ok()?;
    Some(first.validity().not_after.timestamp())
}

fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let found = CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>();
    match found {
        Ok(found) if found.is_empty() => Err(CertificateError::NoCertificate),
        Ok(found) => Ok(found),
        Err(_) => Err(CertificateError::NotPem),
    }
}

fn read_chain(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let chain = certificates(text)?;
    let is_x509 = |der: &CertificateDer<'_>| {
        x509_parser::parse_x509_certificate(der).is_ok_and(|(rest, _)| rest.is_empty())
    };
    match chain.iter().position(|der| !is_x509(der)) {
        Some(index) => Err(CertificateError::NotX509(index + 1)),
        None => Ok(chain),
    }
}

fn read_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, CertificateError> {
    let is_encrypted = || {
        let mark = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";
        text.windows(mark.len()).any(|window| window == mark)
    };
    PrivateKeyDer::from_pem_slice(text).map_err(|error| match error {
        pem::Error::NoItemsFound if is_encrypted() => CertificateError::EncryptedKey,
        pem::Error::NoItemsFound => CertificateError::NoKey,
        _ => CertificateError::NotPem,
    })
}

/// As rustls looks at them when a listener is opened.
fn fits(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<(), PairError> {
    let key = aws_lc_rs::sign::any_supported_type(&key)
        .map_err(|_| PairError::Key(CertificateError::UnusableKey))?;
    match CertifiedKey::new(chain, key).keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(()),
        Err(rustls::Error::InconsistentKeys(_)) => Err(PairError::Key(CertificateError::OtherKey)),
        Err(_) => Err(PairError::Certificate(CertificateError::NotX509(1))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::test_support::certified;

    #[test]
    fn what_a_broker_can_start_with_is_in_order() {
        let (certificate, key) = certified();
        assert_eq!(check_pair(certificate.as_bytes(), key.as_bytes()), []);
        let bundle = format!("roots of ours:\n{certificate}{}", certified().0);
        assert_eq!(check_roots(bundle.as_bytes()), Ok(()));
    }

    #[test]
    fn each_mistake_of_a_pair_is_told_with_its_side() {
        use CertificateError::{EncryptedKey, NoCertificate, NoKey, NotPem, NotX509, OtherKey};
        let (certificate, key) = certified();
        let other = certified().1;
        let cut = &certificate[..certificate.len() - 40];
        let one_line = key.replace('\n', "");
        let hollow = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let chain = format!("{certificate}{hollow}");
        let locked = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
        let hollow_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let (of_certificate, of_key) = (PairError::Certificate, PairError::Key);
        let rows: [(&str, &str, &[PairError]); 10] = [
            (&certificate, &other, &[of_key(OtherKey)]),
            ("garbage", &key, &[of_certificate(NoCertificate)]),
            ("", "", &[of_certificate(NoCertificate), of_key(NoKey)]),
            (&key, &key, &[of_certificate(NoCertificate)]),
            (cut, &key, &[of_certificate(NotPem)]),
            (hollow, &key, &[of_certificate(NotX509(1))]),
            (&chain, &key, &[of_certificate(NotX509(2))]),
            (&certificate, &certificate, &[of_key(NoKey)]),
            (&certificate, &locked, &[of_key(EncryptedKey)]),
            (
                &certificate,
                hollow_key,
                &[of_key(CertificateError::UnusableKey)],
            ),
        ];
        for (chain, key, expected) in rows {
            assert_eq!(check_pair(chain.as_bytes(), key.as_bytes()), expected);
        }
        // What a key that lost its line ends is answered with must not quote it.
        let told = check_pair(certificate.as_bytes(), one_line.as_bytes());
        assert_eq!(told, [of_key(NotPem)]);
    }

    #[test]
    fn a_bundle_without_a_root_is_told() {
        use CertificateError::{NoCertificate, NoRoot, NotPem};
        let (certificate, key) = certified();
        let hollow = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let rows = [
            ("garbage".to_owned(), NoCertificate),
            (key, NoCertificate),
            (certificate.replace("-----END", "----END"), NotPem),
            (format!("{certificate}{hollow}"), NoRoot(2)),
        ];
        for (bundle, expected) in rows {
            assert_eq!(check_roots(bundle.as_bytes()), Err(expected));
        }
    }
}
