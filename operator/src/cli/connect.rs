//! What `pub`, `sub` and `probe` have in common: where to connect, as whom, trusting whom.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::input::FileError;
use super::{Exit, out};
use crate::client::connection::Login;
use crate::client::{Connection, StompError, Target, password};

/// Where to connect and as whom.
#[derive(Debug, clap::Args)]
pub struct Connect {
    /// The broker: stomp://HOST:PORT, or stomps://HOST:PORT for TLS.
    #[arg(value_name = "URL")]
    pub url: Target,
    /// The user; without one no login is sent.
    #[arg(long, short, value_name = "U")]
    pub user: Option<String>,
    /// Take the password from the documents of the network.
    #[arg(long, value_name = "FILE", requires = "user")]
    pub from: Option<PathBuf>,
    /// Take the password from a file [else: the variable CAUSEWAY_PASSWORD, or a prompt].
    #[arg(long, value_name = "FILE", requires = "user")]
    pub password_file: Option<PathBuf>,
    /// Roots to trust with stomps:// (PEM); below a folder with one network of `causeway up`, those of its
    /// development CA.
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// A certificate to show with stomps:// (PEM): who is declared with it needs no password.
    #[arg(long, value_name = "FILE", requires = "key", conflicts_with_all = ["from", "password_file"])]
    pub certificate: Option<PathBuf>,
    /// Its key (PEM).
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub key: Option<PathBuf>,
    /// The host that is named to the broker.
    #[arg(long, value_name = "NAME", default_value = "causeway")]
    pub host: String,
}

impl Connect {
    /// Connects and logs in.
    ///
    /// # Errors
    /// No password, no connection, or the broker refuses.
    pub fn open(&self) -> anyhow::Result<Connection> {
        let login = match &self.user {
            None => Login::default(),
            Some(user) if self.certificate.is_some() => Login {
                user: Some(user.clone()),
                password: String::new(),
            },
            Some(user) => Login {
                user: Some(user.clone()),
                password: password::find(
                    user,
                    self.from.as_deref(),
                    self.password_file.as_deref(),
                )?,
            },
        };
        let tls = if self.url.is_tls { self.tls()? } else { None };
        Ok(Connection::open(&self.url, tls, &login, &self.host)?)
    }

    fn tls(&self) -> anyhow::Result<Option<Arc<ClientConfig>>> {
        let Some(path) = self.ca.clone().or_else(development_root) else {
            return Ok(None);
        };
        let config = ClientConfig::builder().with_root_certificates(roots(&path)?);
        Ok(Some(Arc::new(match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => {
                let chain = CertificateDer::pem_file_iter(certificate)
                    .and_then(Iterator::collect)
                    .map_err(FileError::at(certificate))?;
                let secret = PrivateKeyDer::from_pem_file(key).map_err(FileError::at(key))?;
                config
                    .with_client_auth_cert(chain, secret)
                    .map_err(FileError::at(certificate))?
            }
            _ => config.with_no_client_auth(),
        })))
    }
}

/// The certificates of a file, to be trusted.
fn roots(path: &Path) -> Result<RootCertStore, FileError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(FileError::at(path))? {
        let certificate = certificate.map_err(FileError::at(path))?;
        roots.add(certificate).map_err(FileError::at(path))?;
    }
    match roots.is_empty() {
        true => Err(FileError::at(path)("holds no certificate in PEM")),
        false => Ok(roots),
    }
}

/// The root of the only network that was started here.
fn development_root() -> Option<PathBuf> {
    let entries = std::fs::read_dir(crate::local::state::HOME).ok()?;
    let roots = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path().join("ca/ca.crt"));
    let mut roots = roots.filter(|root| root.is_file());
    let first = roots.next()?;
    roots.next().is_none().then_some(first)
}

/// What a broker's refusal means for the exit code: it is an answer, not a failure. Who named no user is told how.
///
/// # Errors
/// Everything that is not a refusal.
pub fn judge(result: anyhow::Result<Exit>, has_user: bool) -> anyhow::Result<Exit> {
    let error = match result {
        Err(error) => error,
        result => return result,
    };
    let known = error.downcast_ref::<StompError>();
    let hint = match has_user {
        false if known.is_some_and(StompError::is_about_login) => USER_HINT,
        _ => "",
    };
    if known.is_some_and(StompError::is_negative) {
        out::complain(format_args!("error: {error:#}{hint}"));
        return Ok(Exit::Negative);
    }
    Err(error)
}

const USER_HINT: &str =
    " (nobody was logged in: name a user with --user, and where its password is, as --help shows)";
