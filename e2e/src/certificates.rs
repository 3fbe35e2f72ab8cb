//! Certificates of an authority that a test makes for itself.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

use crate::document::secret;

/// An authority that signs what it is given.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: CertificateDer<'static>,
}

impl Authority {
    /// Makes a new one.
    ///
    /// # Errors
    /// Key generation failed.
    pub fn make(name: &str) -> Result<Self> {
        let key = KeyPair::generate()?;
        let (params, certificate) = root(name, &key)?;
        Ok(Self {
            pem: certificate.pem(),
            der: certificate.der().clone(),
            issuer: Issuer::new(params, key),
        })
    }

    /// Its own certificate.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Certificate and key of a site of a network, both in PEM.
    ///
    /// # Errors
    /// Key generation failed.
    pub fn site(&self, network: &str, site: &str) -> Result<(String, String)> {
        self.sign(leaf(network, site)?)
    }

    /// Certificate and key, both in PEM.
    pub(crate) fn sign(&self, mut params: CertificateParams) -> Result<(String, String)> {
        let key = KeyPair::generate()?;
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok((certificate.pem(), key.serialize_pem()))
    }
}

/// Certificate and key of a new authority, both in PEM, for who signs by other means.
///
/// # Errors
/// Key generation failed.
pub fn authority(name: &str) -> Result<(String, String)> {
    let key = KeyPair::generate()?;
    let (_, certificate) = root(name, &key)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

fn root(name: &str, key: &KeyPair) -> Result<(CertificateParams, Certificate)> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(key)?;
    Ok((params, certificate))
}

/// An authority and one certificate per site.
#[derive(Debug, Clone)]
pub struct SiteCertificates {
    authority_pem: String,
    authority_der: CertificateDer<'static>,
    /// Certificate and key of each site.
    sites: BTreeMap<String, (String, String)>,
}

impl SiteCertificates {
    /// Makes a new authority and certificates for sites of a network.
    ///
    /// # Errors
    /// Key generation failed.
    pub fn make(network: &str, sites: &[&str]) -> Result<Self> {
        let authority = Authority::make("causeway test authority")?;
        let sites = sites
            .iter()
            .map(|site| Ok(((*site).to_owned(), authority.sign(leaf(network, site)?)?)))
            .collect::<Result<_>>()?;
        Ok(Self {
            authority_pem: authority.pem().to_owned(),
            authority_der: authority.der,
            sites,
        })
    }

    /// The same certificates for sites that trust the authority of others beside their own.
    #[must_use]
    pub fn trusting(&self, others: &Self) -> Self {
        Self {
            authority_pem: format!("{}{}", self.authority_pem, others.authority_pem),
            ..self.clone()
        }
    }

    /// The same with the certificate of one site from others: a rotation that stopped half way.
    #[must_use]
    pub fn with_one_of(&self, others: &Self, site: &str) -> Self {
        let mut mixed = self.clone();
        let other = others.sites.get(site).cloned();
        mixed
            .sites
            .extend(other.map(|other| (site.to_owned(), other)));
        mixed
    }

    /// What a client needs that trusts this authority and no other.
    ///
    /// # Errors
    /// The authority's certificate cannot be used as a root.
    pub fn client_config(&self) -> Result<Arc<ClientConfig>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority_der.clone())?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Arc::new(config))
    }

    /// Writes the authority's certificate to a file, for clients that read it there.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_authority(&self, path: &Path) -> Result<()> {
        std::fs::write(path, &self.authority_pem).with_context(|| path.display().to_string())
    }

    /// The Secrets that `spec.tls` with source Secret refers to.
    pub(crate) fn documents(&self, network: &str, sites: &[String]) -> String {
        let mut yaml = secret(
            &format!("{network}-roots"),
            &[("ca.crt", &self.authority_pem)],
        );
        for site in sites {
            if let Some((certificate, key)) = self.sites.get(site) {
                let name = format!("{network}--{site}-tls");
                yaml.push_str(&secret(
                    &name,
                    &[
                        ("tls.crt", certificate),
                        ("tls.key", key),
                        ("ca.crt", &self.authority_pem),
                    ],
                ));
            }
        }
        yaml
    }
}

/// OpenSSL takes a certificate whose issuer has its own name for a self-signed one, so names must
/// differ.
pub(crate) fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

fn leaf(network: &str, site: &str) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    params.distinguished_name = named(site);
    let identity = format!("spiffe://causeway/network/{network}/site/{site}");
    params
        .subject_alt_names
        .push(SanType::URI(identity.try_into()?));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    Ok(params)
}
