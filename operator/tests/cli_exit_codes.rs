//! Exit codes of the client commands, as `docs/clients.md` lists them.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

const COUNTRIES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../deploy/examples/countries.yaml"
);
/// Nobody listens there.
const NOBODY: &str = "stomp://127.0.0.1:1";

/// A folder of the test's own, in which nothing was started.
fn folder(test: &str) -> PathBuf {
    let name = format!("causeway-exit-{test}-{}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    std::fs::remove_dir_all(&folder).ok();
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn causeway(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_causeway"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("CAUSEWAY_PASSWORD")
        .env("KUBECONFIG", "/nowhere")
        .stdin(Stdio::null())
        .output()
        .expect("the command starts")
}

fn ends_with(folder: &Path, code: i32, arguments: &[&str], said: &str) {
    let output = causeway(folder, arguments);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
    assert!(
        text.contains(said),
        "{arguments:?}: {said:?} is not in {text}"
    );
}

#[test]
fn up_that_is_stopped_while_it_starts_ends_well_and_leaves_nothing_half_made() {
    let folder = folder("early");
    let base = TcpListener::bind("127.0.0.1:0").expect("a port");
    let base = base.local_addr().expect("an address").port().min(65_000);
    let mut up = Command::new(env!("CARGO_BIN_EXE_causeway"))
        .args(["up", COUNTRIES, "--state", "state", "--base-port"])
        .arg(base.to_string())
        .current_dir(&folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the command starts");
    // The first thing that it makes.
    while !folder.join("state").exists() {
        assert!(up.try_wait().expect("a child").is_none(), "it has ended");
        thread::sleep(Duration::from_millis(1));
    }
    let pid = i32::try_from(up.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    let interrupt = rustix::process::Signal::INT;
    rustix::process::kill_process(pid.expect("a pid"), interrupt).expect("sent");
    let status = up.wait().expect("it ends");
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(!folder.join("state").exists());
    std::fs::remove_dir_all(&folder).ok();
}

#[test]
fn what_was_named_wrongly_is_bad_usage_and_a_connection_that_fails_is_not() {
    let folder = folder("usage");
    std::fs::write(folder.join("empty.pem"), "nothing").expect("written");
    let (_, roots) = tls_listener("broker.example");
    std::fs::write(folder.join("ca.pem"), roots).expect("written");
    let rows: [(&[&str], &str); 8] = [
        (
            &["--user", "nobody", "--from", COUNTRIES],
            "no BrokerUser nobody",
        ),
        (
            &["--user", "amq", "--from", "/nowhere.yaml"],
            "/nowhere.yaml",
        ),
        (
            &["--user", "amq", "--password-file", "/nowhere"],
            "/nowhere",
        ),
        (&["--user", "amq"], "no password for user amq"),
        (&["--ca", "/nowhere"], "/nowhere"),
        (&["--ca", "empty.pem"], "holds no certificate"),
        (&[], "name them with --ca FILE"),
        (
            &["--ca", "ca.pem", "--certificate", "/no", "--key", "/no"],
            "/no: ",
        ),
    ];
    for (extra, said) in rows {
        for command in [
            ["probe"].as_slice(),
            &["pub", "queue/a"],
            &["sub", "queue/a"],
        ] {
            let (name, rest) = command.split_at(1);
            let arguments = [name, &["stomps://127.0.0.1:1"], rest, extra].concat();
            ends_with(&folder, 2, &arguments, said);
        }
    }
    let body = ["pub", NOBODY, "queue/a", "--file", "/nowhere"];
    ends_with(&folder, 2, &body, "/nowhere");
    let known = [
        "pub", NOBODY, "queue/a", "--user", "amq", "--from", COUNTRIES,
    ];
    ends_with(&folder, 3, &known, "refused");
    std::fs::remove_dir_all(&folder).ok();
}

#[test]
fn arguments_that_make_no_sense_are_bad_usage_before_anything_is_sent() {
    let folder = folder("arguments");
    for command in ["pub", "sub"] {
        let none = [command, NOBODY, "queue/a", "--count", "0"];
        ends_with(&folder, 2, &none, "at least 1");
        for own in ["destination:/queue/b", "receipt:1"] {
            let header = [command, NOBODY, "queue/a", "--header", own];
            ends_with(&folder, 2, &header, "this command sets that header itself");
        }
    }
    let length = [
        "pub",
        NOBODY,
        "queue/a",
        "x",
        "--header",
        "content-length:99",
    ];
    ends_with(
        &folder,
        2,
        &length,
        "all of destination, content-length, receipt",
    );
    let reply = [
        "pub",
        NOBODY,
        "queue/a",
        "x",
        "--header",
        "reply-to:/queue/b",
    ];
    ends_with(&folder, 3, &reply, "refused");
    ends_with(
        &folder,
        2,
        &[&reply[..], &["--reply"]].concat(),
        "--header reply-to",
    );
    std::fs::remove_dir_all(&folder).ok();
}

#[test]
fn status_of_nothing_is_bad_usage_and_of_a_broker_that_is_not_there_a_failure() {
    let folder = folder("status");
    std::fs::write(folder.join("file"), "x").expect("written");
    let state = "is no state folder";
    ends_with(&folder, 2, &["status"], "nothing was started");
    ends_with(&folder, 2, &["status", "--state", "nowhere"], state);
    ends_with(&folder, 2, &["status", "--state", "file"], state);
    ends_with(
        &folder,
        2,
        &["status", "n", "--state", "file"],
        "cannot be used with",
    );
    ends_with(&folder, 2, &["status", "--broker", "x"], "http://HOST:PORT");
    let broker = ["status", "--broker", "http://127.0.0.1:1"];
    ends_with(&folder, 3, &broker, "refused");
    let token = [&broker[..], &["--token-file", "/nowhere"]].concat();
    ends_with(&folder, 2, &token, "/nowhere");
    std::fs::remove_dir_all(&folder).ok();
}

#[test]
fn a_cluster_that_is_not_named_well_is_bad_usage_and_one_that_does_not_answer_a_failure() {
    let folder = folder("cluster");
    let gone = "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
        clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1', insecure-skip-tls-verify: true}}]\n\
        contexts: [{name: c, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {token: t}}]\n";
    std::fs::write(folder.join("gone"), gone).expect("written");
    let none = "no kubeconfig was found";
    let plan = ["plan", "-f", COUNTRIES, "--cluster"];
    for arguments in [&["status", "--cluster"][..], &["dump", "-n", "x"], &plan] {
        ends_with(&folder, 2, arguments, none);
        let silent = [arguments, &["--kubeconfig", "gone"]].concat();
        let said = "reading brokernetworks.causeway.dev from the API server";
        ends_with(&folder, 3, &silent, said);
        let missing = [arguments, &["--kubeconfig", "/nowhere"]].concat();
        ends_with(&folder, 2, &missing, "/nowhere");
    }
    let context = ["status", "--kubeconfig", "gone", "--context", "d"];
    ends_with(&folder, 2, &context, "(it has the contexts c)");
    let both = ["status", "--broker", "http://127.0.0.1:1", "-n", "x"];
    ends_with(&folder, 2, &both, "choose one");
    let forgotten = ["plan", "-f", COUNTRIES, "--from", COUNTRIES, "-n", "x"];
    ends_with(&folder, 2, &forgotten, "add --cluster");
    ends_with(&folder, 2, &["dump"], "nothing was started");
    std::fs::remove_dir_all(&folder).ok();
}

#[test]
fn up_refuses_what_is_no_text_and_what_can_be_no_state_folder() {
    let folder = folder("up");
    std::fs::write(folder.join("state"), "x").expect("written");
    std::fs::write(folder.join("latin.yaml"), b"a: 1\nb: caf\xe9\n").expect("written");
    let text = "latin.yaml: line 2 is not UTF-8";
    ends_with(&folder, 2, &["up", "latin.yaml"], text);
    ends_with(&folder, 2, &["render", "latin.yaml"], text);
    for state in ["state", "state/below"] {
        let arguments = ["up", COUNTRIES, "--state", state];
        ends_with(&folder, 2, &arguments, "cannot be made: state is a file");
    }
    std::fs::remove_dir_all(&folder).ok();
}

/// Takes one TLS connection with a certificate of its own making; the authority's certificate.
fn tls_listener(name: &str) -> (u16, String) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).expect("a certificate");
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der());
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.expect("a key"))
        .expect("a configuration");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let session = rustls::ServerConnection::new(std::sync::Arc::new(config.clone()));
            let (mut stream, mut session) = (stream.expect("one"), session.expect("a session"));
            // The client turns away: that is what is tested.
            let _ = session.complete_io(&mut stream);
        }
    });
    (port, made.cert.pem())
}

#[test]
fn a_certificate_that_the_roots_do_not_vouch_for_is_bad_usage() {
    let folder = folder("tls");
    let (port, own) = tls_listener("broker.example");
    let (_, other) = tls_listener("broker.example");
    std::fs::write(folder.join("own.pem"), own).expect("written");
    std::fs::write(folder.join("other.pem"), other).expect("written");
    let url = format!("stomps://localhost:{port}");
    let advice = [
        ("other.pem", "that it ends at with --ca FILE"),
        ("own.pem", "name the host as the certificate does"),
    ];
    for (file, said) in advice {
        ends_with(&folder, 2, &["probe", &url, "--ca", file], said);
    }
    std::fs::remove_dir_all(&folder).ok();
}

/// Answers one connection with these bytes and says where.
fn answering(bytes: &'static [u8]) -> String {
    use std::io::{Read as _, Write as _};
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    thread::spawn(move || {
        if let Ok((mut stream, _)) = listener.accept() {
            let mut asked = [0; 4096];
            let _ = stream.read(&mut asked);
            let _ = stream.write_all(bytes);
        }
    });
    address
}

#[test]
fn a_page_that_wants_a_token_and_a_port_without_tls_are_told_with_what_to_do() {
    let folder = folder("advice");
    let page = answering(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
    let status = ["status", "--broker", &format!("http://{page}")];
    ends_with(&folder, 1, &status, "--token-file FILE");
    let (_, roots) = tls_listener("broker.example");
    std::fs::write(folder.join("ca.pem"), roots).expect("written");
    let plain = answering(b"ERROR\nmessage:what is that\n\n\0");
    let url = format!("stomps://{plain}");
    let probe = ["probe", &url, "--ca", "ca.pem"];
    ends_with(&folder, 3, &probe, "the port does not speak TLS");
    std::fs::remove_dir_all(&folder).ok();
}
