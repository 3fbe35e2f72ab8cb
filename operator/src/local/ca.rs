//! The development authority: certificates for a network that runs on one machine, made in the state folder and
//! renewed in time. Nobody else trusts them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};

use super::layout::{self, LayoutError};
use crate::names;

const DAY: Duration = Duration::from_secs(86_400);
const AUTHORITY_DAYS: u32 = 365;
const SITE_DAYS: u32 = 90;
/// Clocks differ, and a certificate from the future is refused.
const BACKDATED: Duration = Duration::from_secs(3_600);

/// Why there are no certificates.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// Making or signing failed.
    #[error("making a certificate")]
    Certificate(#[from] rcgen::Error),
    /// A file cannot be written.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A file cannot be read.
    #[error("{}: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What happened.
        cause: std::io::Error,
    },
}

/// A certificate chain and its key, as PEM.
#[derive(Clone)]
pub struct Pair {
    /// The certificate.
    pub certificate: Vec<u8>,
    /// The key.
    pub key: Vec<u8>,
}

/// An authority in a folder.
pub struct Authority {
    folder: PathBuf,
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// The authority of a folder: made if it is not there, or if it has less than a third of its time left.
    ///
    /// # Errors
    /// It cannot be made, read or written.
    pub fn open(folder: &Path, network: &str) -> Result<Self, AuthorityError> {
        let (certificate, key) = match read_pair(folder, "ca", AUTHORITY_DAYS)? {
            Some(pair) => (
                text(&pair.certificate),
                KeyPair::from_pem(&text(&pair.key))?,
            ),
            None => make_authority(folder, network)?,
        };
        let issuer = Issuer::from_ca_cert_pem(&certificate, key)?;
        Ok(Self {
            folder: folder.to_owned(),
            certificate,
            issuer,
        })
    }

    /// The root that everybody here trusts, as PEM.
    #[must_use]
    pub fn root(&self) -> Vec<u8> {
        self.certificate.clone().into_bytes()
    }

    /// The certificate of a site: kept from an earlier run unless a third of its time or less is left.
    ///
    /// # Errors
    /// It cannot be made, read or written.
    pub fn site(&self, domain: &str, network: &str, site: &str) -> Result<Pair, AuthorityError> {
        let uri = names::site_uri(domain, network, site);
        // A certificate for another identity, or from an authority that was replaced, does not count.
        let made_for = format!("{uri}\n{}", self.certificate);
        // A site may be called `ca`.
        let name = format!("site-{site}");
        let note = self.folder.join(format!("{name}.for"));
        let is_same = fs::read_to_string(&note).is_ok_and(|text| text == made_for);
        if is_same && let Some(pair) = read_pair(&self.folder, &name, SITE_DAYS)? {
            return Ok(pair);
        }
        let pair = self.make_site(&uri, site)?;
        write_pair(&self.folder, &name, &pair)?;
        layout::write_private(&note, made_for.as_bytes())?;
        Ok(pair)
    }

    fn make_site(&self, uri: &str, site: &str) -> Result<Pair, AuthorityError> {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names)?;
        let uri = SanType::URI(uri.to_owned().try_into()?);
        params.subject_alt_names.push(uri);
        params.distinguished_name = common_name(site);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        set_validity(&mut params, SITE_DAYS);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Pair {
            certificate: certificate.pem().into_bytes(),
            key: key.serialize_pem().into_bytes(),
        })
    }
}

fn make_authority(folder: &Path, network: &str) -> Result<(String, KeyPair), AuthorityError> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name = common_name(&format!("Causeway development CA of {network}"));
    set_validity(&mut params, AUTHORITY_DAYS);
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?.pem();
    let pair = Pair {
        certificate: certificate.clone().into_bytes(),
        key: key.serialize_pem().into_bytes(),
    };
    write_pair(folder, "ca", &pair)?;
    Ok((certificate, key))
}

fn common_name(text: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, text);
    name
}

fn set_validity(params: &mut CertificateParams, days: u32) {
    let now = SystemTime::now();
    params.not_before = (now - BACKDATED).into();
    params.not_after = (now + DAY * days).into();
}

/// A pair that was made so recently that more than a third of its days is left.
fn read_pair(folder: &Path, name: &str, days: u32) -> Result<Option<Pair>, AuthorityError> {
    let (certificate, key) = paths(folder, name);
    let age = fs::metadata(&certificate)
        .and_then(|metadata| metadata.modified())
        .ok()
        .and_then(|made| made.elapsed().ok());
    if !key.exists() || age.is_none_or(|age| age > DAY * days * 2 / 3) {
        return Ok(None);
    }
    let read = |path: PathBuf| fs::read(&path).map_err(|cause| AuthorityError::Io { path, cause });
    Ok(Some(Pair {
        certificate: read(certificate)?,
        key: read(key)?,
    }))
}

fn write_pair(folder: &Path, name: &str, pair: &Pair) -> Result<(), AuthorityError> {
    layout::make_folder(folder)?;
    let (certificate, key) = paths(folder, name);
    layout::write_private(&key, &pair.key)?;
    layout::write_private(&certificate, &pair.certificate)?;
    Ok(())
}

fn paths(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    (
        folder.join(format!("{name}.crt")),
        folder.join(format!("{name}.key")),
    )
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_start_uses_the_certificates_of_the_first() {
        let folder = std::env::temp_dir().join(format!("causeway-ca-{}", std::process::id()));
        fs::remove_dir_all(&folder).ok();
        let first = Authority::open(&folder, "n").expect("made");
        let pair = first.site("causeway", "n", "ie").expect("made");
        let again = Authority::open(&folder, "n").expect("read");
        assert_eq!(again.root(), first.root());
        let same = again.site("causeway", "n", "ie").expect("read");
        assert_eq!(same.certificate, pair.certificate);
        let other = again.site("elsewhere", "n", "ie").expect("made anew");
        assert_ne!(other.certificate, pair.certificate);
        fs::remove_dir_all(&folder).ok();
    }
}
