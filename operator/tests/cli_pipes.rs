//! Every command at the head of a pipe whose other end is closed ends quietly.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::thread;

const COUNTRIES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../deploy/examples/countries.yaml"
);

/// The command with a standard output that nobody reads.
fn unread(arguments: &[&str]) -> Output {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    Command::new(env!("CARGO_BIN_EXE_causeway"))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .and_then(std::process::Child::wait_with_output)
        .expect("the command starts")
}

fn ends_quietly(arguments: &[&str]) {
    let output = unread(arguments);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {text}");
    assert_eq!(text, "", "{arguments:?}");
}

/// Answers every request with a status page, until the test is over.
fn admin_page() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, mut bytes) = (stream.expect("one"), [0; 4096]);
            let asked = stream.read(&mut bytes).expect("a request");
            assert!(bytes[..asked].starts_with(b"GET /status"));
            let page = r#"{"revision": 3, "network": "n", "site": "ie"}"#;
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", page.len());
            // The command may have gone.
            let _ = stream.write_all((head + page).as_bytes());
        }
    });
    port
}

/// A broker that gives receipts, and sends every message back, at once and to whoever subscribed.
fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let (mut text, mut bytes) = (String::new(), [0; 4096]);
        while let Ok(length @ 1..) = stream.read(&mut bytes) {
            text.push_str(&String::from_utf8_lossy(&bytes[..length]));
            while let Some(end) = text.find('\0') {
                let frame: String = text.drain(..=end).collect();
                let _ = stream.write_all(answer(frame.trim_start()).as_bytes());
            }
        }
    });
    port
}

fn answer(frame: &str) -> String {
    if frame.starts_with("CONNECT") {
        return "CONNECTED\nversion:1.2\n\n\0".to_owned();
    }
    let mut lines = frame.lines();
    let receipt = lines.find_map(|line| line.strip_prefix("receipt:"));
    let receipt = receipt.map_or(String::new(), |receipt| {
        format!("RECEIPT\nreceipt-id:{receipt}\n\n\0")
    });
    let body = frame.split_once("\n\n").map_or("", |(_, body)| body);
    match frame.starts_with("SEND") || frame.contains("destination:/queue/") {
        true => format!("{receipt}MESSAGE\nmessage-id:1\n\n{body}"),
        false => receipt,
    }
}

#[test]
fn commands_that_print_what_they_know_end_quietly() {
    ends_quietly(&["crds"]);
    ends_quietly(&["completion", "bash"]);
    ends_quietly(&["render", COUNTRIES]);
    ends_quietly(&["render", COUNTRIES, "--explain"]);
    ends_quietly(&["--help"]);
}

#[test]
fn status_ends_quietly_whether_it_follows_or_not() {
    let broker = format!("http://127.0.0.1:{}", admin_page());
    ends_quietly(&["status", "--broker", &broker]);
    ends_quietly(&["status", "--broker", &broker, "-o", "json"]);
    ends_quietly(&["status", "--broker", &broker, "--watch"]);
}

#[test]
fn clients_of_a_broker_end_quietly() {
    let url = || format!("stomp://127.0.0.1:{}", echo());
    ends_quietly(&["probe", &url()]);
    ends_quietly(&["sub", &url(), "queue/a"]);
    ends_quietly(&["pub", &url(), "topic/a", "x", "--reply", "-o", "json"]);
}

#[test]
fn what_is_wrong_with_a_file_counts_even_if_nobody_reads_it() {
    let wrong = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/everything_wrong.yaml"
    );
    let output = unread(&["render", wrong, "-o", "json"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn findings_that_cannot_be_written_are_a_failure_of_the_machine() {
    let full = || std::fs::File::create("/dev/full").expect("a device");
    let output = Command::new(env!("CARGO_BIN_EXE_causeway"))
        .args(["lint", COUNTRIES, "-o", "json"])
        .stdin(Stdio::null())
        .stdout(full())
        .output()
        .expect("the command starts");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("No space left on device"), "{text}");
}
