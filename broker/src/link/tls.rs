//! TLS of links: with a password only the channel is protected here and the password proves who is
//! there; with certificates the chain proves it.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig,
    SignatureScheme,
};
use sha2::{Digest, Sha256};

use crate::config::Config;
use crate::handover;
use crate::net::tls::{self, TlsError};

/// Both sides' configurations.
#[derive(Debug, Clone)]
pub struct LinkTls {
    /// For accepted connections.
    pub server: Arc<ServerConfig>,
    /// For dialled ones.
    pub client: Arc<ClientConfig>,
    /// True when this site shows a certificate of the network.
    pub has_certificate: bool,
    /// Stands for certificate and roots.
    pub number: u64,
    /// When the own chain ends, in ms of the wall clock; 0 without a certificate.
    pub ends_ms: i64,
}

impl LinkTls {
    /// What the configuration asks for.
    ///
    /// # Errors
    /// Certificates cannot be used.
    pub fn new(config: &Config) -> Result<Self, TlsError> {
        let tls = config.broker.tls.as_ref();
        let file = |path: &String| {
            config
                .others
                .get(path)
                .map(Vec::as_slice)
                .unwrap_or_default()
        };
        let roots = tls
            .and_then(|tls| tls.trust_bundle.as_ref())
            .map(|path| tls::roots(file(path)))
            .transpose()?;
        let identity = match tls {
            Some(tls) => tls::identity(file(&tls.certificate), file(&tls.key))?,
            None => tls::self_signed("causeway-link")?,
        };
        let ends_ms = tls.and_then(|_| end_of(&identity.chain));
        let checker = Arc::new(Checker::new(roots)?);
        let mut server = ServerConfig::builder()
            .with_client_cert_verifier(checker.clone())
            .with_single_cert(identity.chain.clone(), identity.key.clone_key())?;
        // Links name no protocol.
        server.alpn_protocols = vec![handover::ALPN.to_vec()];
        let client = ClientConfig::builder()
            .dangerous()
            .with_custom_certificate_verifier(checker.clone())
            .with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())?;
        Ok(Self {
            server: Arc::new(server),
            client: Arc::new(client),
            has_certificate: checker.client.is_some(),
            number: super::settings::tls_number(config),
            ends_ms: ends_ms.unwrap_or_default(),
        })
    }
}

/// Takes every certificate in the handshake and checks only that the peer has its key. Whether the
/// chain leads to the network's roots is asked afterwards, by [`verified_name`]: a link may be
/// proved by its password instead (3.2), and then the channel needs a key, not a name.
#[derive(Debug)]
struct Checker {
    client: Option<Arc<dyn ClientCertVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl Checker {
    fn new(roots: Option<RootCertStore>) -> Result<Self, TlsError> {
        let client = match roots {
            None => None,
            Some(roots) => Some(
                WebPkiClientVerifier::builder(Arc::new(roots))
                    .build()
                    .map_err(|error| TlsError::Roots(error.to_string()))?,
            ),
        };
        Ok(Self {
            client,
            provider: Arc::new(rustls::crypto::aws_lc_rs::default_provider()),
        })
    }
}

/// What both traits want to know in the same words: whether the peer has its certificate's key.
macro_rules! checks_signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let algorithms = &self.provider.signature_verification_algorithms;
            verify_tls12_signature(message, cert, signed, algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let algorithms = &self.provider.signature_verification_algorithms;
            verify_tls13_signature(message, cert, signed, algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            let algorithms = &self.provider.signature_verification_algorithms;
            algorithms.supported_schemes()
        }
    };
}

impl ServerCertVerifier for Checker {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    checks_signatures!();
}

impl ClientCertVerifier for Checker {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    checks_signatures!();
}

/// Who checks a chain.
type Roots = Arc<dyn ClientCertVerifier>;

/// Checks chains against the network's roots, now.
#[derive(Debug, Clone)]
pub struct Verifier {
    /// All roots together.
    all: Option<Roots>,
    /// Each root with the start of its fingerprint.
    each: Vec<(String, Roots)>,
}

impl Verifier {
    /// For the roots of a configuration; verifies nobody without roots.
    ///
    /// # Errors
    /// The roots cannot be used.
    pub fn new(config: &Config) -> Result<Self, TlsError> {
        let path = config
            .broker
            .tls
            .as_ref()
            .and_then(|tls| tls.trust_bundle.as_ref());
        let Some(path) = path else {
            return Ok(Self {
                all: None,
                each: Vec::new(),
            });
        };
        let file = config
            .others
            .get(path)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let one = |root: CertificateDer<'static>| {
            let mut store = RootCertStore::empty();
            let name = fingerprint(&root);
            store.add(root)?;
            let roots = Checker::new(Some(store))?.client;
            Ok(roots.map(|roots| (name, roots)))
        };
        let each = tls::certificates(file)?.into_iter().map(one);
        let each: Result<Vec<_>, TlsError> = each.collect();
        Ok(Self {
            all: Checker::new(Some(tls::roots(file)?))?.client,
            each: each?.into_iter().flatten().collect(),
        })
    }

    /// True when there are roots, and a chain leads to one of them.
    #[must_use]
    pub fn trusts(&self, chain: &[CertificateDer<'_>]) -> bool {
        self.all.as_ref().is_some_and(|all| leads_to(all, chain))
    }

    /// The URI that a valid chain names its holder by.
    #[must_use]
    pub fn verified_name(&self, chain: Option<&[CertificateDer<'_>]>) -> Option<String> {
        let chain = chain.filter(|chain| self.trusts(chain))?;
        uri_of(chain.first()?)
    }

    /// Start of the fingerprint of the root that a chain leads to, for people: which roots are still needed.
    #[must_use]
    pub fn root_of(&self, chain: Option<&[CertificateDer<'_>]>) -> Option<String> {
        let chain = chain?;
        let mut each = self.each.iter();
        let found = each.find(|(_, root)| leads_to(root, chain));
        found.map(|(name, _)| name.clone())
    }
}

fn leads_to(roots: &Roots, chain: &[CertificateDer<'_>]) -> bool {
    let Some((first, rest)) = chain.split_first() else {
        return false;
    };
    let now = UnixTime::now();
    roots.verify_client_cert(first, rest, now).is_ok()
}

/// The first 8 bytes of the SHA-256 fingerprint of a certificate.
#[must_use]
pub fn fingerprint(certificate: &[u8]) -> String {
    let digest = Sha256::digest(certificate);
    let bytes = digest.iter().take(8);
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

/// The first URI among the names of a certificate.
#[must_use]
pub fn uri_of(certificate: &CertificateDer<'_>) -> Option<String> {
    use x509_parser::extensions::GeneralName;
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let names = parsed.subject_alternative_name().ok()??;
    names
        .value
        .general_names
        .iter()
        .find_map(|name| match name {
            GeneralName::URI(uri) => Some((*uri).to_owned()),
            _ => None,
        })
}

/// When the first certificate of a chain to end does so, in ms of the wall clock.
#[must_use]
pub fn end_of(chain: &[CertificateDer<'_>]) -> Option<i64> {
    let ends = chain.iter().filter_map(|one| {
        let (_, parsed) = x509_parser::parse_x509_certificate(one).ok()?;
        let seconds = parsed.validity().not_after.timestamp();
        Some(seconds.saturating_mul(1000))
    });
    ends.min()
}
