//! Certificates: of an authority that signs itself, and of sites. Nothing here reads or writes files.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};

const DAY: Duration = Duration::from_secs(86_400);
/// Clocks differ, and a certificate from the future is refused.
const BACKDATED: Duration = Duration::from_secs(3_600);

/// A certificate chain and its key, as PEM.
#[derive(Clone)]
pub struct Pair {
    /// The certificate.
    pub certificate: Vec<u8>,
    /// The key.
    pub key: Vec<u8>,
}

/// From when, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Validity {
    /// When it is made.
    pub now: SystemTime,
    /// How many days it is good for.
    pub days: u32,
}

/// Who a site's certificate is for.
#[derive(Debug, Clone)]
pub struct SiteIdentity<'a> {
    /// The name of the site.
    pub site: &'a str,
    /// Its identity: an exact URI.
    pub uri: &'a str,
    /// Host names and addresses it is dialled by.
    pub hosts: Vec<String>,
}

/// An authority that signs itself.
///
/// # Errors
/// Making or signing fails.
pub fn root(common_name: &str, validity: Validity) -> Result<Pair, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name = named(common_name);
    validity.apply(&mut params);
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok(pair(&certificate, &key))
}

/// A certificate for a site, for both ends of a connection.
///
/// # Errors
/// A name is none, or signing fails.
pub fn site(
    issuer: &Issuer<'_, KeyPair>,
    identity: SiteIdentity<'_>,
    validity: Validity,
) -> Result<Pair, rcgen::Error> {
    let mut params = CertificateParams::new(identity.hosts)?;
    let uri = SanType::URI(identity.uri.to_owned().try_into()?);
    params.subject_alt_names.push(uri);
    params.distinguished_name = named(identity.site);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params.use_authority_key_identifier_extension = true;
    validity.apply(&mut params);
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, issuer)?;
    Ok(pair(&certificate, &key))
}

fn pair(certificate: &rcgen::Certificate, key: &KeyPair) -> Pair {
    Pair {
        certificate: certificate.pem().into_bytes(),
        key: key.serialize_pem().into_bytes(),
    }
}

fn named(text: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, text);
    name
}

impl Validity {
    /// When it is over.
    #[must_use]
    pub fn end(self) -> SystemTime {
        self.now + DAY * self.days
    }

    fn apply(self, params: &mut CertificateParams) {
        params.not_before = (self.now - BACKDATED).into();
        params.not_after = self.end().into();
    }
}
