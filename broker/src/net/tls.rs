//! TLS for listeners and links: from PEM text to rustls configurations.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// The label of the exporter value that the password proof is bound to (3.2).
const EXPORTER_LABEL: &[u8] = b"EXPORTER-causeway-link-1";

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// No certificate could be read.
    #[error("the certificate cannot be read: {0}")]
    Certificate(String),
    /// No private key could be read.
    #[error("the private key cannot be read: {0}")]
    Key(String),
    /// No usable root certificate.
    #[error("the trust bundle cannot be read: {0}")]
    Roots(String),
    /// Key and certificate do not belong together, or are not usable.
    #[error("certificate and key cannot be used")]
    Unusable(#[from] rustls::Error),
}

/// A certificate chain with its key.
#[derive(Debug)]
pub struct Identity {
    /// The chain, own certificate first.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its private key.
    pub key: PrivateKeyDer<'static>,
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self {
            chain: self.chain.clone(),
            key: self.key.clone_key(),
        }
    }
}

/// Reads a chain and a key.
///
/// # Errors
/// Either is missing or is not PEM.
pub fn identity(certificate: &[u8], key: &[u8]) -> Result<Identity, TlsError> {
    let chain = CertificateDer::pem_slice_iter(certificate)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsError::Certificate(error.to_string()))?;
    if chain.is_empty() {
        return Err(TlsError::Certificate("no certificate in the file".into()));
    }
    let key =
        PrivateKeyDer::from_pem_slice(key).map_err(|error| TlsError::Key(error.to_string()))?;
    Ok(Identity { chain, key })
}

/// Reads certificates, one after another.
///
/// # Errors
/// One is not PEM.
pub fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_slice_iter(text)
        .collect::<Result<_, _>>()
        .map_err(|error| TlsError::Roots(error.to_string()))
}

/// Reads root certificates.
///
/// # Errors
/// There is none, or one does not parse.
pub fn roots(bundle: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(bundle)? {
        store.add(certificate)?;
    }
    if store.is_empty() {
        return Err(TlsError::Roots("no certificate in the file".into()));
    }
    Ok(store)
}

/// A key made at start, for links whose password proves who is there.
///
/// # Errors
/// The system gives no randomness.
pub fn self_signed(name: &str) -> Result<Identity, TlsError> {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()])
        .map_err(|error| TlsError::Certificate(error.to_string()))?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())
        .map_err(|error| TlsError::Key(error.to_owned()))?;
    Ok(Identity {
        chain: vec![made.cert.der().clone()],
        key,
    })
}

/// A listener for clients: our certificate, theirs only when roots are given (and then optional).
///
/// # Errors
/// Key and certificate do not fit.
pub fn server(
    identity: &Identity,
    client_roots: Option<RootCertStore>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let builder = ServerConfig::builder();
    let builder = match client_roots {
        None => builder.with_no_client_auth(),
        Some(roots) => {
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots))
                .allow_unauthenticated()
                .build()
                .map_err(|error| TlsError::Roots(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    Ok(Arc::new(builder.with_single_cert(
        identity.chain.clone(),
        identity.key.clone_key(),
    )?))
}

/// A dialler that checks the peer's certificate against roots and shows its own.
///
/// # Errors
/// Key and certificate do not fit.
pub fn client(
    roots: RootCertStore,
    identity: Option<&Identity>,
) -> Result<Arc<ClientConfig>, TlsError> {
    let builder = ClientConfig::builder().with_root_certificates(roots);
    Ok(Arc::new(match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            builder.with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())?
        }
    }))
}

/// The value that binds a password proof to this channel.
#[must_use]
pub fn binding<Data>(connection: &rustls::ConnectionCommon<Data>) -> Option<[u8; 32]> {
    connection
        .export_keying_material([0; 32], EXPORTER_LABEL, None)
        .ok()
}

/// Random bytes that no other exchange has.
#[must_use]
pub fn nonce() -> [u8; 32] {
    let mut bytes = [0; 32];
    if aws_lc_rs::rand::fill(&mut bytes).is_err() {
        // A nonce that is not random would let a proof be replayed.
        tracing::error!("the system gives no random bytes");
        std::process::abort();
    }
    bytes
}
