//! A valid network, a site and a placement to the broker's configuration directory: the one generator
//! behind `causeway render`, `causeway up` and the operator. Equal input gives equal bytes.

mod broker;
pub mod canonical;
pub mod extra;
pub mod redact;
mod secrets;
mod users;

use std::collections::BTreeMap;

use causeway_broker::config::file::{Authorization, User};
use causeway_broker::config::{Config, Files, Problem};
use serde::Serialize;

use crate::model::{Placement, ValidNetwork, ValidUser};
use crate::names::SiteName;
use crate::network::credentials::HashCache;

/// Contents of files by their path in the directory.
pub type SiteFiles = BTreeMap<String, Vec<u8>>;

/// The file that holds nothing secret.
pub const BROKER: &str = "broker.yaml";
/// The users of a site.
pub const USERS: &str = "users.yaml";
/// Passwords of links.
pub const SECRETS: &str = "secrets.yaml";
/// The certificate chain of a site.
pub const CERTIFICATE: &str = "tls/tls.crt";
/// The key of a site.
pub const KEY: &str = "tls/tls.key";
/// Roots of the other sites.
pub const TRUST_BUNDLE: &str = "ca/ca.crt";
/// Roots of client certificates.
pub const CLIENT_TRUST_BUNDLE: &str = "clients/ca.crt";

/// One text for the hash of a site's three files and that of its certificates.
#[must_use]
pub fn whole_hash(files: &str, certificates: &str) -> String {
    if certificates.is_empty() {
        files.to_owned()
    } else {
        format!("{files}+{certificates}")
    }
}

/// Why a site cannot be rendered.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The network has no such site.
    #[error("the network has no site {0}")]
    NoSuchSite(SiteName),
    /// A password has not been hashed before.
    #[error("the password of user {0} has not been hashed")]
    NotHashed(String),
    /// A key of `settings.extra` is refused.
    #[error("settings.extra {key} {error}")]
    Extra {
        /// The key.
        key: String,
        /// Why.
        error: extra::ExtraError,
    },
    /// A file cannot be written as YAML.
    #[error("{0}")]
    Yaml(#[from] serde_yaml::Error),
}

/// Renders the three files of a site. Certificates are not among them.
///
/// # Errors
/// The site is unknown, or a password is not in the cache.
pub fn render(
    network: &ValidNetwork,
    site: &SiteName,
    placement: &Placement,
    hashes: &HashCache,
) -> Result<SiteFiles, RenderError> {
    let broker = broker::file(network, site, placement)?;
    let users = users::file(network, site, hashes)?;
    let secrets = secrets::file(network, site, placement);
    Ok(SiteFiles::from([
        (BROKER.to_owned(), broker.into_bytes()),
        (USERS.to_owned(), yaml(&users)?),
        (SECRETS.to_owned(), yaml(&secrets)?),
    ]))
}

/// The fingerprint of each user as its broker tells it, by login name. A user is the same at every site that knows it.
///
/// # Errors
/// A password is not in the cache.
pub fn fingerprints(
    network: &ValidNetwork,
    hashes: &HashCache,
) -> Result<BTreeMap<String, String>, RenderError> {
    let users = network.users.iter();
    users
        .map(|(name, valid)| {
            let user = users::user(name, valid, hashes)?;
            Ok((name.clone(), user.fingerprint()))
        })
        .collect()
}

/// What groups may do, as `broker.yaml` says it: entries in the order of the network's.
#[must_use]
pub fn authorization(network: &ValidNetwork) -> Authorization {
    broker::authorization(network)
}

/// A user as `users.yaml` says it, without what proves who it is.
#[must_use]
pub fn rights_of(name: &str, user: &ValidUser) -> User {
    users::rights(name, user)
}

/// A path for every certificate that `broker.yaml` may name, each without contents.
#[must_use]
pub fn unknown_certificates() -> BTreeMap<String, Vec<u8>> {
    [CERTIFICATE, KEY, TRUST_BUNDLE, CLIENT_TRUST_BUNDLE]
        .map(|path| (path.to_owned(), Vec::new()))
        .into()
}

/// Reads rendered files as the broker will, so that one it would refuse never reaches it. `certificates`
/// holds the files that `broker.yaml` names, by path.
///
/// # Errors
/// Everything the broker would find.
pub fn check(
    files: &SiteFiles,
    certificates: &BTreeMap<String, Vec<u8>>,
) -> Result<Config, Vec<Problem>> {
    let file = |name| files.get(name).cloned().unwrap_or_default();
    Config::from_files(&Files {
        broker: file(BROKER),
        users: file(USERS),
        secrets: file(SECRETS),
        others: certificates.clone(),
    })
}

/// The certificates of a site that the input held, by path.
#[must_use]
pub fn certificates(network: &ValidNetwork, site: &SiteName) -> BTreeMap<String, Vec<u8>> {
    let Some(tls) = &network.tls else {
        return BTreeMap::new();
    };
    let material = tls.material.as_ref();
    let own = material.and_then(|material| material.sites.get(site));
    let roots = material.and_then(|material| material.trust_bundle.clone());
    [
        (CERTIFICATE, own.map(|(chain, _)| chain.clone())),
        (KEY, own.map(|(_, key)| key.expose().as_bytes().to_vec())),
        (TRUST_BUNDLE, roots),
        (CLIENT_TRUST_BUNDLE, tls.client_trust_bundle.clone()),
    ]
    .into_iter()
    .filter_map(|(path, bytes)| bytes.map(|bytes| (path.to_owned(), bytes)))
    .collect()
}

fn yaml<T: Serialize>(value: &T) -> Result<Vec<u8>, serde_yaml::Error> {
    serde_yaml::to_string(value).map(String::into_bytes)
}
