//! A client logs in with its certificate: a broker process, a hand-written directory, real TLS.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

type Authority = CertifiedIssuer<'static, KeyPair>;
type Stream = StreamOwned<ClientConnection, TcpStream>;

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::default();
    params.distinguished_name = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let key = KeyPair::generate().expect("a key");
    CertifiedIssuer::self_signed(params, key).expect("an authority")
}

/// Certificate and key as PEM.
fn leaf(authority: &Authority, name: &str, uri: Option<&str>) -> (String, String) {
    let hosts = vec!["127.0.0.1".to_owned()];
    let mut params = CertificateParams::new(hosts).expect("names");
    params.distinguished_name = named(name);
    if let Some(uri) = uri {
        let uri = uri.try_into().expect("a URI");
        params.subject_alt_names.push(SanType::URI(uri));
    }
    let key = KeyPair::generate().expect("a key");
    let made = params.signed_by(&key, authority).expect("signed");
    (made.pem(), key.serialize_pem())
}

struct Broker {
    folder: PathBuf,
    port: u16,
    sites: Authority,
    users: Authority,
    process: Child,
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

const USERS: &str = "
format: 1
users:
  - {name: node, groups: [all], certificate: {common_name: node1}}
  - {name: probe, groups: [all], certificate: {uri: 'spiffe://causeway/user/probe'}}
";

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join("config").join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    std::fs::write(path, text).expect("written");
}

impl Broker {
    fn start(test: &str) -> Self {
        let name = format!("causeway-certificate-{test}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::remove_dir_all(&folder).ok();
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = free.local_addr().expect("an address").port();
        drop(free);
        let (sites, users) = (authority("sites"), authority("users"));
        let (certificate, key) = leaf(&sites, "a", None);
        write(&folder, "tls/tls.crt", &certificate);
        write(&folder, "tls/tls.key", &key);
        write(&folder, "clients/ca.crt", &users.pem());
        write(&folder, "users.yaml", USERS);
        write(&folder, "secrets.yaml", "format: 1\n");
        let state = folder.join("state").display().to_string();
        let text = format!(
            "format: 1\nnetwork: n\nsite: a\ninstance: 75baf888-e8ef-5714-b3bf-9a76db51ac0c\n\
             state_dir: {state}\nsites: [{{name: a}}]\n\
             listeners: {{stomp_tls: {{bind: 127.0.0.1, port: {port}}}}}\n\
             tls: {{certificate: tls/tls.crt, key: tls/tls.key, client_trust_bundle: clients/ca.crt}}\n\
             authorization:\n  entries:\n    - {{queue: '>', read: [all], write: [all], admin: [all]}}\n"
        );
        write(&folder, "broker.yaml", &text);
        let process = Command::new(env!("CARGO_BIN_EXE_causeway-broker"))
            .arg("--config")
            .arg(folder.join("config"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the broker starts");
        Self {
            folder,
            port,
            sites,
            users,
            process,
        }
    }

    fn connect(&self, identity: Option<&(String, String)>) -> Stream {
        let mut roots = RootCertStore::empty();
        let root = self.sites.der().clone();
        roots.add(root).expect("a root");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots);
        let config = match identity {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = CertificateDer::from_pem_slice(certificate.as_bytes());
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
                let chain = vec![chain.expect("a certificate")];
                config.with_client_auth_cert(chain, key).expect("a pair")
            }
        };
        let name = ServerName::try_from("127.0.0.1").expect("a name");
        let session = ClientConnection::new(Arc::new(config), name).expect("a session");
        let until = Instant::now() + PATIENCE;
        let socket = loop {
            match TcpStream::connect(("127.0.0.1", self.port)) {
                Ok(socket) => break socket,
                Err(error) => assert!(Instant::now() < until, "nobody listens: {error}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let timeout = socket.set_read_timeout(Some(PATIENCE));
        timeout.expect("a timeout");
        StreamOwned::new(session, socket)
    }

    /// The first line of the answer to a CONNECT with these headers, and all of it.
    fn log_in(&self, identity: Option<&(String, String)>, headers: &str) -> (Stream, String) {
        let mut stream = self.connect(identity);
        let frame = format!("CONNECT\naccept-version:1.2\nhost:a\n{headers}\n\0");
        // A broker that refuses the certificate may have closed already.
        let _ = stream.write_all(frame.as_bytes());
        let answer = next_frame(&mut stream);
        (stream, answer)
    }
}

/// The next frame, or nothing if the connection ends; heart-beats are passed over.
fn next_frame(stream: &mut Stream) -> String {
    let (mut frame, mut byte) = (String::new(), [0]);
    while let Ok(1) = stream.read(&mut byte) {
        match byte[0] {
            0 => break,
            b'\n' if frame.is_empty() => {}
            letter => frame.push(char::from(letter)),
        }
    }
    frame
}

/// Whether a message is taken.
fn can_send(stream: &mut Stream) -> bool {
    let send = b"SEND\ndestination:/queue/a\nreceipt:1\n\nhi\0";
    stream.write_all(send).is_ok() && next_frame(stream).starts_with("RECEIPT\n")
}

#[test]
fn the_user_of_a_certificate_is_in_without_a_password() {
    let broker = Broker::start("in");
    let node = leaf(&broker.users, "node1", None);
    let probe = leaf(&broker.users, "x", Some("spiffe://causeway/user/probe"));
    for (identity, headers) in [(&node, ""), (&node, "login:node\n"), (&probe, "")] {
        let (mut stream, answer) = broker.log_in(Some(identity), headers);
        assert!(answer.starts_with("CONNECTED\n"), "{answer}");
        assert!(can_send(&mut stream), "no receipt");
    }
}

/// What a TLS port answers to bytes in clear, up to the end of the connection.
fn answer_in_clear(port: u16, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    let timeout = socket.set_read_timeout(Some(PATIENCE));
    timeout.expect("a timeout");
    socket.write_all(bytes).expect("written");
    let mut answer = String::new();
    // The end may come as a reset.
    let _ = socket.read_to_string(&mut answer);
    answer
}

#[test]
fn who_speaks_in_clear_to_the_tls_port_is_told_so() {
    let broker = Broker::start("clear");
    let node = leaf(&broker.users, "node1", None);
    let (mut stream, _) = broker.log_in(Some(&node), "");
    for (bytes, named) in [
        (
            &b"CONNECT\naccept-version:1.2\nhost:a\n\n\0"[..],
            "STOMP in clear",
        ),
        (b"\r\nSTOMP\naccept-version:1.2\n\n\0", "STOMP in clear"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP"),
    ] {
        let answer = answer_in_clear(broker.port, bytes);
        let text = format!("this looks like {named}, and this port speaks STOMP over TLS");
        assert!(answer.starts_with("ERROR\n"), "{answer:?}");
        assert!(answer.contains(&text), "{answer:?}");
    }
    assert!(can_send(&mut stream), "others go on");
}

#[test]
fn other_certificates_names_and_passwords_let_nobody_in() {
    let broker = Broker::start("out");
    let node = leaf(&broker.users, "node1", None);
    let unknown = leaf(&broker.users, "node2", None);
    let foreign = leaf(&authority("others"), "node1", None);
    for (what, identity, headers) in [
        ("no certificate", None, ""),
        ("a name nobody has", Some(&unknown), ""),
        ("another authority", Some(&foreign), ""),
        ("the name of somebody else", Some(&node), "login:probe\n"),
        ("a password", Some(&node), "login:node\npasscode:x\n"),
    ] {
        let (_, answer) = broker.log_in(identity, headers);
        let is_refused = answer.is_empty() || answer.starts_with("ERROR\n");
        assert!(is_refused, "{what}: {answer}");
    }
}

#[test]
fn a_certificate_that_is_withdrawn_ends_its_connections() {
    let broker = Broker::start("withdrawn");
    let node = leaf(&broker.users, "node1", None);
    let probe = leaf(&broker.users, "x", Some("spiffe://causeway/user/probe"));
    let (mut gone, answer) = broker.log_in(Some(&node), "");
    assert!(answer.starts_with("CONNECTED\n"), "{answer}");
    let (mut stays, answer) = broker.log_in(Some(&probe), "");
    assert!(answer.starts_with("CONNECTED\n"), "{answer}");
    let users = USERS.replace("common_name: node1", "common_name: node9");
    write(&broker.folder, "users.yaml", &users);
    // The rest of the last frame may come first; then the end, by whichever sign.
    let mut byte = [0];
    let until = Instant::now() + PATIENCE;
    while let Ok(1) = gone.read(&mut byte) {
        assert!(Instant::now() < until, "the connection stays open");
    }
    assert!(Instant::now() < until, "the connection stays open");
    assert!(can_send(&mut stays), "the other one was closed too");
}
