//! `causeway pub`, `sub` and `status` as a user sees them, against a listener that plays the broker.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Output};
use std::thread::{self, JoinHandle};

fn causeway(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_causeway"))
        .args(arguments)
        .output()
        .expect("the command starts")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Takes one connection and answers what each frame that comes calls for.
fn broker(
    answer: impl Fn(&str) -> Option<String> + Send + 'static,
) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let thread = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let (mut text, mut bytes) = (String::new(), [0; 4096]);
        while let Ok(length) = stream.read(&mut bytes) {
            if length == 0 {
                return;
            }
            text.push_str(&String::from_utf8_lossy(&bytes[..length]));
            while let Some(end) = text.find('\0') {
                let frame: String = text.drain(..=end).collect();
                if let Some(answer) = answer(frame.trim_start()) {
                    // The command may have gone, having seen enough.
                    let _ = stream.write_all(answer.as_bytes());
                }
            }
        }
    });
    (address, thread)
}

/// CONNECTED and receipts; everything else is left to the test.
fn politely(frame: &str) -> Option<String> {
    if frame.starts_with("CONNECT") {
        return Some("CONNECTED\nversion:1.2\n\n\0".to_owned());
    }
    let receipt = frame
        .lines()
        .find_map(|line| line.strip_prefix("receipt:"))?;
    Some(format!("RECEIPT\nreceipt-id:{receipt}\n\n\0"))
}

#[test]
fn refusing_messages_that_count_as_consumed_is_bad_usage() {
    let url = "stomp://127.0.0.1:1";
    for extra in [&[][..], &["--ack", "auto"][..]] {
        let mut arguments = vec!["sub", url, "queue/a", "--nack"];
        arguments.extend(extra);
        let output = causeway(&arguments);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains("--nack needs --ack client"));
    }
    let output = causeway(&["sub", url, "queue/a", "--nack", "--ack", "client"]);
    assert_eq!(output.status.code(), Some(3), "nobody listens there");
}

#[test]
fn the_number_of_answers_never_takes_the_next_argument() {
    let url = "stomp://127.0.0.1:1";
    let output = causeway(&["pub", url, "queue/a", "--reply", "hello"]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let output = causeway(&["pub", url, "queue/a", "hello", "--reply=2"]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let output = causeway(&["pub", url, "queue/a", "hello", "--reply", "2"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("unexpected argument '2'"));
}

#[test]
fn answers_that_are_missing_are_told_in_the_last_line() {
    let (address, thread) = broker(|frame| {
        if frame.starts_with("SEND") && frame.contains("no 1") {
            return Some("MESSAGE\nsubscription:reply\nmessage-id:1\n\nyes\0".to_owned());
        }
        politely(frame)
    });
    let url = format!("stomp://{address}");
    let output = causeway(&[
        "pub",
        &url,
        "queue/a",
        "no {n}",
        "--count=3",
        "--reply",
        "--timeout=0.3",
    ]);
    thread.join().expect("the broker ends");
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "yes\n");
    let text = stderr(&output);
    assert_eq!(
        text.lines().last(),
        Some(
            "error: 1 of 3 answers came: message 2 was not answered within 0.3 s; the message after it was not sent"
        ),
        "{text}"
    );
}

/// What `sub` ends with where so many messages come, with these arguments.
fn received(messages: usize, arguments: &[&str]) -> Option<i32> {
    let (address, thread) = broker(move |frame| {
        let message = "MESSAGE\nsubscription:0\nmessage-id:1\n\nx\0";
        match frame.starts_with("SUBSCRIBE") {
            true => politely(frame).map(|receipt| receipt + &message.repeat(messages)),
            false => politely(frame),
        }
    });
    let url = format!("stomp://{address}");
    let output = causeway(&[&["sub", &url, "queue/a"], arguments].concat());
    thread.join().expect("the broker ends");
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(shown, "x\n".repeat(messages), "{}", stderr(&output));
    output.status.code()
}

#[test]
fn too_few_messages_within_the_time_are_a_negative_answer() {
    assert_eq!(received(0, &["--timeout=0.2"]), Some(1));
    assert_eq!(received(1, &["--timeout=0.2"]), Some(0));
    assert_eq!(received(1, &["--timeout=0.2", "--count=2"]), Some(1));
    assert_eq!(received(2, &["--timeout=0.2", "--count=2"]), Some(0));
}

#[test]
fn a_refused_login_hints_at_the_user_when_none_was_named() {
    let refuse = |_: &str| Some("ERROR\nmessage:User name [] is invalid.\n\n\0".to_owned());
    let (address, thread) = broker(refuse);
    let url = format!("stomp://{address}");
    let output = causeway(&["sub", &url, "queue/a"]);
    thread.join().expect("the broker ends");
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(text.contains("name a user with --user"), "{text}");
    let (address, thread) = broker(refuse);
    let url = format!("stomp://{address}");
    let output = Command::new(env!("CARGO_BIN_EXE_causeway"))
        .args(["sub", &url, "queue/a", "--user", "amq"])
        .env("CAUSEWAY_PASSWORD", "wrong")
        .output()
        .expect("the command starts");
    thread.join().expect("the broker ends");
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(!text.contains("--user"), "{text}");
}

/// A state folder below a new folder, with one site whose admin page has that port.
fn state_folder(test: &str, admin: u16) -> std::path::PathBuf {
    let name = format!("causeway-status-{test}-{}", std::process::id());
    let home = std::env::temp_dir().join(name);
    std::fs::remove_dir_all(&home).ok();
    let folder = home.join(".causeway/mcollective");
    std::fs::create_dir_all(&folder).expect("a folder");
    let slots = format!(r#"{{"basePort": {}, "sites": {{"ie": 0}}}}"#, admin - 1);
    std::fs::write(folder.join("slots.json"), slots).expect("written");
    home
}

fn status(home: &std::path::Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_causeway"))
        .arg("status")
        .args(arguments)
        .current_dir(home)
        .env("KUBECONFIG", "/nowhere")
        .output()
        .expect("the command starts")
}

#[test]
fn status_says_which_state_folder_it_read_and_how_to_name_another() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let home = state_folder("folder", port);
    let thread = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut bytes = [0; 4096];
        let length = stream.read(&mut bytes).expect("a request");
        assert!(bytes[..length].starts_with(b"GET /status HTTP/1.1"));
        let page = r#"{"revision": 3, "network": "mcollective", "site": "ie"}"#;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", page.len());
        let written = stream.write_all((head + page).as_bytes());
        written.expect("the command reads");
    });
    let output = status(&home, &[]);
    thread.join().expect("it was asked");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let head = "state folder .causeway/mcollective (another network: causeway status NAME, or --state DIR)\n\
                network mcollective, as ie sees it";
    assert!(text.starts_with(head), "{text}{}", stderr(&output));
    // The listener is gone: nobody answers any more.
    let output = status(&home, &["--state", ".causeway/mcollective"]);
    assert_eq!(output.status.code(), Some(3));
    let text = stderr(&output);
    for part in ["whose state is in .causeway/mcollective", "--state DIR"] {
        assert!(text.contains(part), "{text}");
    }
    std::fs::remove_dir_all(&home).ok();
}

#[test]
fn a_network_that_is_not_there_is_bad_usage_and_lists_those_that_are() {
    let home = state_folder("names", 61_611);
    let output = status(&home, &["mcolective"]);
    assert_eq!(output.status.code(), Some(2));
    let text = stderr(&output);
    let expected = "there is mcollective (sites ie); did you mean mcollective?";
    assert!(text.contains(expected), "{text}");
    std::fs::remove_dir_all(&home).ok();
}
