//! What a site brings to join a network: a Secret with a fresh certificate, its key, and the root of the others.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use rcgen::{Issuer, KeyPair};
use serde_json::{Value, json};
use x509_parser::pem::Pem;

use causeway_broker::config::certificates::{self, PairError};

use crate::api::patterns;
use crate::api::shared::MAX_NAME;
use crate::authority::{self, SiteIdentity, Validity};
use crate::names;

/// Most days of a certificate: ten years.
pub const MAX_DAYS: u32 = 3_650;
/// Most letters of a label of a DNS name, and of a namespace (RFC 1123).
const MAX_LABEL: usize = 63;
/// Most letters of a DNS name (RFC 1123).
const MAX_HOST: usize = 253;

/// What a bundle is made from.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The network.
    pub network: &'a str,
    /// The site.
    pub site: &'a str,
    /// First part of the identity.
    pub trust_domain: &'a str,
    /// Namespace of the Secret, where it is known.
    pub namespace: Option<&'a str>,
    /// Further host names and addresses.
    pub hosts: &'a [String],
    /// How long the certificate is good for.
    pub validity: Validity,
}

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A name that no network or site has.
    #[error("{what} {name}: must be {words}, at most {most} letters")]
    Name {
        /// Which name.
        what: &'static str,
        /// The name.
        name: String,
        /// What it must be.
        words: &'static str,
        /// The most letters that it may have.
        most: usize,
    },
    /// The certificate of the authority cannot be used.
    #[error("the certificate of the authority {0}")]
    Certificate(String),
    /// The key of the authority cannot be used.
    #[error("the key of the authority {0}")]
    Key(String),
    /// What was given is no authority.
    #[error(
        "the certificate of the authority is that of no authority: its basic constraints do not say CA"
    )]
    NoAuthority,
    /// The authority has come to its end.
    #[error("the certificate of the authority has expired")]
    Expired,
    /// A host name is none.
    #[error("{0} is no host name and no address")]
    Host(String),
    /// Signing failed.
    #[error("making a certificate: {0}")]
    Make(#[from] rcgen::Error),
}

/// A bundle.
pub struct Bundle {
    /// The Secret.
    pub secret: Secret,
    /// The certificate outlives the authority, which makes it worth nothing from then on.
    pub outlives_authority: bool,
}

/// Makes a bundle.
///
/// # Errors
/// The names are none, or the authority cannot sign.
pub fn make(
    request: &Request<'_>,
    ca_certificate: &str,
    ca_key: &str,
) -> Result<Bundle, BundleError> {
    check_names(request)?;
    let authority = read_authority(ca_certificate, ca_key, request.validity.now)?;
    let key = KeyPair::from_pem(ca_key).map_err(|error| BundleError::Key(error.to_string()))?;
    let issuer = Issuer::from_ca_cert_pem(ca_certificate, key)?;
    let uri = names::site_uri(request.trust_domain, request.network, request.site);
    let identity = SiteIdentity {
        site: request.site,
        uri: &uri,
        hosts: hosts(request)?,
    };
    let pair = authority::site(&issuer, identity, request.validity)?;
    let mut chain = text(pair.certificate);
    // Whoever trusts the root alone needs what is between it and the site.
    chain.extend(authority.between);
    let data = [
        ("ca.crt", ca_certificate.to_owned()),
        ("tls.crt", chain),
        ("tls.key", text(pair.key)),
    ];
    let end = request.validity.end();
    Ok(Bundle {
        secret: secret(
            request,
            data.map(|(key, value)| (key.to_owned(), value)).into(),
        ),
        outlives_authority: end > authority.end,
    })
}

fn secret(request: &Request<'_>, data: BTreeMap<String, String>) -> Secret {
    Secret {
        metadata: ObjectMeta {
            name: Some(names::certificate_secret(
                None,
                request.network,
                request.site,
            )),
            namespace: request.namespace.map(str::to_owned),
            ..ObjectMeta::default()
        },
        type_: Some("kubernetes.io/tls".to_owned()),
        string_data: Some(data),
        ..Secret::default()
    }
}

/// The Secret as a manifest, what says what it is first.
///
/// # Errors
/// It does not become YAML, which no input brings about.
pub fn manifest(secret: &Secret) -> Result<String, serde_yaml::Error> {
    let part = |value: Value| serde_yaml::to_string(&value);
    Ok(format!(
        "apiVersion: v1\nkind: Secret\n{}{}{}",
        part(json!({"metadata": secret.metadata}))?,
        part(json!({"type": secret.type_}))?,
        part(json!({"stringData": secret.string_data}))?
    ))
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

fn check_names(request: &Request<'_>) -> Result<(), BundleError> {
    let domain = Some(request.trust_domain);
    // A Service whose name begins with that of the network has to begin with a letter.
    if !request.network.starts_with(char::is_alphabetic) {
        return Err(wrong(
            "the network",
            request.network,
            patterns::SITE,
            MAX_NAME,
        ));
    }
    for (what, name, pattern, most) in [
        (
            "the network",
            Some(request.network),
            patterns::SITE,
            MAX_NAME,
        ),
        ("the site", Some(request.site), patterns::SITE, MAX_NAME),
        (
            "the namespace",
            request.namespace,
            patterns::LINK,
            MAX_LABEL,
        ),
        ("the trust domain", domain, patterns::DOMAIN, MAX_LABEL),
    ] {
        let Some(name) = name else { continue };
        let known = patterns::find(pattern);
        if !known.is_some_and(|known| (known.matches)(name)) || name.len() > most {
            return Err(wrong(what, name, pattern, most));
        }
    }
    Ok(())
}

fn wrong(what: &'static str, name: &str, pattern: &str, most: usize) -> BundleError {
    BundleError::Name {
        what,
        name: name.to_owned(),
        words: patterns::find(pattern).map_or("a name", |known| known.words),
        most,
    }
}

/// The names that the site is dialled by in its cluster, and those that were given.
fn hosts(request: &Request<'_>) -> Result<Vec<String>, BundleError> {
    let mut hosts = Vec::new();
    for host in request.hosts {
        let is_address = host.parse::<core::net::IpAddr>().is_ok();
        if !is_address && !is_host(host) {
            return Err(BundleError::Host(host.clone()));
        }
        hosts.push(host.clone());
    }
    hosts.extend(names::service_hosts(
        request.network,
        request.site,
        request.namespace,
    ));
    let mut seen = BTreeSet::new();
    hosts.retain(|host| seen.insert(host.clone()));
    Ok(hosts)
}

/// A DNS name; its first label may be a star.
fn is_host(host: &str) -> bool {
    let bare = host.strip_prefix("*.").unwrap_or(host);
    let is_label = |label: &str| {
        let edges = [label.chars().next(), label.chars().last()];
        let letters = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
        label.len() <= MAX_LABEL
            && label.chars().all(letters)
            && edges.iter().flatten().all(|edge| *edge != '-')
            && !label.is_empty()
    };
    host.len() <= MAX_HOST && bare.split('.').all(is_label)
}

/// What is known of an authority.
struct Authority {
    /// When it ends.
    end: SystemTime,
    /// Its certificate, if it is not a root itself.
    between: Option<String>,
}

fn read_authority(certificate: &str, key: &str, now: SystemTime) -> Result<Authority, BundleError> {
    if let Some(error) = certificates::check_pair(certificate.as_bytes(), key.as_bytes()).first() {
        return Err(match error {
            PairError::Certificate(error) => BundleError::Certificate(error.to_string()),
            PairError::Key(error) => BundleError::Key(error.to_string()),
        });
    }
    let unreadable = || BundleError::Certificate("cannot be read".to_owned());
    let pem = Pem::iter_from_buffer(certificate.as_bytes())
        .next()
        .and_then(Result::ok)
        .ok_or_else(unreadable)?;
    let parsed = pem.parse_x509().map_err(|_| unreadable())?;
    if !parsed.is_ca() {
        return Err(BundleError::NoAuthority);
    }
    let end = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or(0);
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(end);
    if end <= now {
        return Err(BundleError::Expired);
    }
    let is_root = parsed.subject() == parsed.issuer();
    let first = certificate
        .find(END)
        .map(|at| &certificate[..at + END.len()]);
    let between = first.filter(|_| !is_root).map(|first| format!("{first}\n"));
    Ok(Authority { end, between })
}

const END: &str = "-----END CERTIFICATE-----";
