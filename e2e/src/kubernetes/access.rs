//! The way to an API server for the harness itself: one connection for each request.

use std::io::{BufReader, Read, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;

use super::message::Head;

/// How long one write may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection to the API server.
pub(super) type Connection = StreamOwned<ClientConnection, TcpStream>;

/// Where the API server is, and who asks it.
#[derive(Debug, Clone)]
pub(super) struct Access {
    host: String,
    port: u16,
    tls: Arc<ClientConfig>,
    token: Option<String>,
}

impl Access {
    /// Reads a kubeconfig with one context that names no files, as `kubectl config view --flatten
    /// --minify` prints it. With a token it is the token's account that asks, else the file's user.
    pub(super) fn read(kubeconfig: &Value, token: Option<String>) -> Result<Self> {
        let cluster = &kubeconfig["clusters"][0]["cluster"];
        let user = &kubeconfig["users"][0]["user"];
        let server = cluster["server"].as_str().context("no server")?;
        let server = server.strip_prefix("https://").context("no https server")?;
        let server = server.trim_end_matches('/');
        let (host, port) = server.rsplit_once(':').unwrap_or((server, "443"));
        let own = user["token"].as_str().map(str::to_owned);
        let certificate = match &token {
            None => pem(&user["client-certificate-data"])?.zip(pem(&user["client-key-data"])?),
            Some(_) => None,
        };
        let authority = pem(&cluster["certificate-authority-data"])?.context("no authority")?;
        Ok(Self {
            host: host.to_owned(),
            port: port.parse()?,
            tls: Arc::new(tls(&authority, certificate)?),
            token: token.or(own),
        })
    }

    /// Sends a request and returns the head of the answer, and where its body comes from.
    ///
    /// HTTP/1.0 makes the server end each body by closing, watches too.
    pub(super) fn send(
        &self,
        verb: &str,
        path: &str,
        headers: Vec<(String, String)>,
        body: &[u8],
    ) -> Result<(Head, BufReader<Connection>)> {
        let mut connection = self.connect()?;
        let head = Head {
            first: format!("{verb} {path} HTTP/1.0"),
            headers,
        };
        let mut head = head.with("Host", &self.host);
        if !body.is_empty() {
            head = head.with("Content-Length", body.len());
        }
        if let Some(token) = &self.token {
            head = head.with("Authorization", format!("Bearer {token}"));
        }
        head.write(&mut connection)?;
        connection.write_all(body)?;
        connection.flush()?;
        let mut reader = BufReader::new(connection);
        let answer = Head::read(&mut reader)?;
        Ok((answer.context("closed without an answer")?, reader))
    }

    fn connect(&self) -> Result<Connection> {
        let name = ServerName::try_from(self.host.clone())?;
        let session = ClientConnection::new(Arc::clone(&self.tls), name)?;
        let socket = TcpStream::connect((self.host.as_str(), self.port))
            .with_context(|| format!("connecting to {}:{}", self.host, self.port))?;
        socket.set_nodelay(true)?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(StreamOwned::new(session, socket))
    }

    /// The JSON at a path.
    pub(super) fn get(&self, path: &str) -> Result<Value> {
        let (head, body) = self.send("GET", path, json("Accept"), &[])?;
        answer(&head, body).with_context(|| format!("GET {path}"))
    }

    /// Merges something into the object at a path.
    pub(super) fn merge(&self, path: &str, patch: &Value) -> Result<Value> {
        let kind = "application/merge-patch+json".to_owned();
        let headers = vec![("Content-Type".to_owned(), kind)];
        let (head, body) = self.send("PATCH", path, headers, patch.to_string().as_bytes())?;
        answer(&head, body).with_context(|| format!("PATCH {path}"))
    }
}

/// A header that speaks of JSON.
pub(super) fn json(name: &str) -> Vec<(String, String)> {
    vec![(name.to_owned(), "application/json".to_owned())]
}

/// The rest of a body. A server that leaves without a good-bye has ended it, too.
pub(super) fn rest(body: &mut impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What came is in `bytes` whatever ended it.
    let _ = body.read_to_end(&mut bytes);
    bytes
}

fn answer(head: &Head, mut body: impl Read) -> Result<Value> {
    let bytes = rest(&mut body);
    let text = || String::from_utf8_lossy(&bytes).into_owned();
    ensure!(
        head.second()?.starts_with('2'),
        "{}: {}",
        head.first,
        text()
    );
    serde_json::from_slice(&bytes).with_context(text)
}

fn pem(value: &Value) -> Result<Option<Vec<u8>>> {
    let text = value.as_str();
    text.map(|text| STANDARD.decode(text).context("not base64"))
        .transpose()
}

fn tls(authority: &[u8], certificate: Option<(Vec<u8>, Vec<u8>)>) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(authority) {
        roots.add(root?)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let Some((chain, key)) = certificate else {
        return Ok(config.with_no_client_auth());
    };
    let chain = CertificateDer::pem_slice_iter(&chain).collect::<Result<_, _>>()?;
    Ok(config.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(&key)?)?)
}
