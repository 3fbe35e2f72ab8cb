//! Bad input is answered with everything that is wrong with it, and nothing else happens.

use std::io::BufReader;
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use causeway_e2e::client::{Client, error_text};
use causeway_e2e::document::{Document, MCOLLECTIVE, NETWORK, Shape};
use causeway_e2e::events::Events;
use causeway_e2e::frame::Frame;
use causeway_e2e::network::{Network, up_command};
use causeway_e2e::ports::{self, Block};
use causeway_e2e::process::{self, Finished, Folder, run};
use causeway_e2e::wait;

/// Exit codes of the command line.
const BAD_INPUT: Option<i32> = Some(2);
const MACHINE: Option<i32> = Some(3);

/// A failed login is answered and closed within 2 s, a broken frame at once; a test waits five
/// times that.
const CLOSED: Duration = Duration::from_secs(10);

fn up(folder: &Folder, base_port: u16, yaml: &str) -> Result<Finished> {
    std::fs::write(folder.path().join("network.yaml"), yaml)?;
    run(&mut up_command(folder.path(), base_port)?, wait::START)
}

/// What is done to a good document, and what the answer must name.
struct Row {
    name: &'static str,
    change: fn(String) -> String,
    named: &'static [&'static str],
}

const ROWS: &[Row] = &[
    Row {
        name: "text that is no YAML",
        change: |good| good + "---\n: - [broken\n",
        named: &["network.yaml"],
    },
    Row {
        name: "a typo in a field",
        change: |good| good.replace("  topology:", "  topolgy:"),
        named: &["topolgy", "did you mean topology"],
    },
    Row {
        name: "an unknown field",
        change: |good| good.replace("{name: uk}", "{name: uk, colour: red}"),
        named: &["colour"],
    },
    Row {
        name: "two sites of one name",
        change: |good| good.replace("- {name: uk}", "- {name: uk}\n    - {name: uk}"),
        named: &["uk"],
    },
    Row {
        name: "a link to a site that is not there",
        change: |good| {
            let link = "  links:\n    - {name: ie-atlantis, between: [ie, atlantis]}\n";
            good.replace("  authorization:", &format!("{link}  authorization:"))
        },
        named: &["links[0].between", "atlantis"],
    },
    Row {
        name: "a missing Secret",
        change: |good| {
            good.replace(
                "{name: user-amq}\nstringData",
                "{name: user-other}\nstringData",
            )
        },
        named: &["user-amq"],
    },
    Row {
        name: "a missing key of a Secret",
        change: |good| good.replace("  password: \"Afuphohxoh\"", "  pasword: \"Afuphohxoh\""),
        named: &["user-amq", "password"],
    },
    Row {
        name: "an impossible port",
        change: |good| {
            let with_port = "{name: us, listeners: {stomp: {port: 99999}}}";
            good.replace("{name: us}", with_port)
        },
        named: &["stomp.port", "65535"],
    },
];

fn nothing_started(what: &str, base_port: u16, finished: &Finished) -> Result<()> {
    ensure!(
        !finished.stdout.contains("\"event\":\"site\""),
        "{what}: a site was started: {}",
        finished.stdout
    );
    for port in base_port..base_port + 30 {
        ensure!(
            TcpStream::connect(("127.0.0.1", port)).is_err(),
            "{what}: something listens at port {port}"
        );
    }
    Ok(())
}

fn is_named(finished: &Finished, names: &[&str]) -> Result<()> {
    let output = finished.output();
    let absent: Vec<_> = names
        .iter()
        .filter(|name| !output.contains(**name))
        .collect();
    ensure!(absent.is_empty(), "{absent:?} not in: {output}");
    Ok(())
}

#[test]
fn each_kind_of_mistake_is_named_and_nothing_is_started() -> Result<()> {
    let ports = Block::take(3)?;
    let good = Document::new(Shape::Chain, &["ie", "uk", "us"]).to_yaml();
    for row in ROWS {
        let bad = (row.change)(good.clone());
        ensure!(bad != good, "{}: the row changes nothing", row.name);
        let folder = Folder::new()?;
        let finished = up(&folder, ports.base(), &bad).context(row.name)?;
        ensure!(
            finished.code == BAD_INPUT,
            "{}: exit code {:?}: {}",
            row.name,
            finished.code,
            finished.output()
        );
        is_named(&finished, row.named).context(row.name)?;
        nothing_started(row.name, ports.base(), &finished)?;
    }
    Ok(())
}

#[test]
fn several_mistakes_are_all_told_at_once() -> Result<()> {
    let ports = Block::take(3)?;
    let mut bad = Document::new(Shape::Chain, &["ie", "uk", "us"]).to_yaml();
    for name in ["an unknown field", "an impossible port"] {
        let row = ROWS.iter().find(|row| row.name == name).context(name)?;
        bad = (row.change)(bad);
    }
    let bad = bad
        .replace("  groups: [admins", "  grupos: [admins")
        .replace(
            "{name: user-mcollective}\nstringData",
            "{name: user-other}\nstringData",
        );
    let folder = Folder::new()?;
    let finished = up(&folder, ports.base(), &bad)?;
    ensure!(finished.code == BAD_INPUT, "{}", finished.output());
    is_named(
        &finished,
        &["colour", "stomp.port", "grupos", "user-mcollective"],
    )?;
    nothing_started("several mistakes", ports.base(), &finished)
}

#[test]
fn a_port_in_use_is_named() -> Result<()> {
    let ports = Block::take(3)?;
    let taken = ports.base() + 13;
    let _holder = TcpListener::bind(("127.0.0.1", taken))?;
    let yaml = Document::new(Shape::Chain, &["ie", "uk", "us"]).to_yaml();
    let folder = Folder::new()?;
    let finished = up(&folder, ports.base(), &yaml)?;
    ensure!(
        finished.code == MACHINE,
        "exit code {:?}: {}",
        finished.code,
        finished.output()
    );
    let state = folder.path().join("state");
    ensure!(!state.exists(), "the state folder it made is left behind");
    let holder = format!("process {}", std::process::id());
    is_named(
        &finished,
        &[&taken.to_string(), "uk", &holder, "--base-port"],
    )
}

#[test]
fn a_block_of_ports_beyond_the_last_one_is_refused() -> Result<()> {
    let yaml = Document::new(Shape::Chain, &["ie", "uk", "us"]).to_yaml();
    let folder = Folder::new()?;
    let finished = up(&folder, 65_520, &yaml)?;
    ensure!(
        finished.code == BAD_INPUT || finished.code == MACHINE,
        "exit code {:?}: {}",
        finished.code,
        finished.output()
    );
    is_named(&finished, &["--base-port"])
}

#[test]
fn a_second_network_on_the_same_state_folder_is_refused() -> Result<()> {
    let network = Network::up(Document::new(Shape::Chain, &["ie", "uk"]))?;
    let ports = Block::take(2)?;
    let mut command = up_command(network.folder(), ports.base())?;
    let finished = run(&mut command, wait::START)?;
    ensure!(
        finished.code == MACHINE,
        "exit code {:?}: {}",
        finished.code,
        finished.output()
    );
    let state = network.folder().join("state").display().to_string();
    is_named(&finished, &[&state])?;
    network.connect("ie", MCOLLECTIVE)?.disconnect()?;
    network.stop()
}

/// `up` ends within 5 s, whatever its brokers do; a test on a busy machine waits five times that.
const STATED_END: Duration = Duration::from_secs(5);

#[test]
fn a_broker_that_hangs_does_not_hold_up_the_end() -> Result<()> {
    let network = Network::up(Document::new(Shape::Chain, &["ie", "uk"]))?;
    let asked = network.hang("uk")?;
    network.stop()?;
    let taken = asked.elapsed();
    println!("ended {taken:?} after Ctrl-C with a broker that hangs, stated {STATED_END:?}");
    ensure!(taken < 5 * STATED_END, "it took {taken:?}");
    Ok(())
}

#[test]
fn brokers_whose_log_nobody_reads_run_on() -> Result<()> {
    let _machine = ports::whole_machine()?;
    let block = Block::take(2)?;
    let folder = Folder::new()?;
    let yaml = Document::new(Shape::Chain, &["ie", "uk"]).to_yaml();
    std::fs::write(folder.path().join("network.yaml"), yaml)?;
    let (reader, log) = std::io::pipe()?;
    drop(reader);
    let mut child = up_command(folder.path(), block.base())?
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()?;
    let output = child.stdout.take().context("no standard output")?;
    let events = Events::follow(BufReader::new(output));
    let ready = events.wait(0, "ready", wait::START, |event| event.kind() == "ready");
    process::end(&mut child);
    ready.map(drop)
}

fn one_site() -> Result<Network> {
    let mut document = Document::new(Shape::Custom, &["ie"]);
    document.settings.push("maxFrameSize: 64Ki".to_owned());
    Network::up(document)
}

#[test]
fn a_wrong_password_is_answered_counted_and_closed() -> Result<()> {
    let network = one_site()?;
    for user in [MCOLLECTIVE, "nobody"] {
        let mut client = Client::open(network.port("ie")?)?;
        let headers = [
            ("accept-version", "1.2"),
            ("login", user),
            ("passcode", "wrong"),
        ];
        client.write(&Frame::new("CONNECT", &headers))?;
        let error = client.error()?;
        let text = format!("User name [{user}] or password is invalid.");
        ensure!(
            error.header("message") == Some(text.as_str()) && error.text().trim_end() == text,
            "{}",
            error_text(&error)
        );
        client.expect_close(CLOSED)?;
    }
    network.metric_reaches("ie", "causeway_login_failures_total", &[], 2.0)?;
    network.stop()
}

/// Fault: F25.
#[test]
fn a_denied_destination_is_answered_and_counted_and_the_connection_stays() -> Result<()> {
    let network = one_site()?;
    let mut client = network.connect("ie", MCOLLECTIVE)?;
    let before = network.metric("ie", "causeway_denied_total", &[])?;
    for (frame, expected) in [
        (
            Frame::new("SEND", &[("destination", "/queue/secret")]).with_body("x"),
            "queue://secret",
        ),
        (
            Frame::new("SEND", &[("destination", "/topic/mcollective.ok,secret")]).with_body("x"),
            "not authorized",
        ),
        (
            Frame::new("SUBSCRIBE", &[("id", "1"), ("destination", "/topic/>")]),
            "not authorized to read from: topic://>",
        ),
    ] {
        let error = client.call(frame.clone()).err();
        let text = format!("{:#}", error.with_context(|| format!("{frame:?}"))?);
        ensure!(
            text.contains(expected),
            "{expected:?} expected, got {text:?}"
        );
    }
    client.send_with_receipt("/topic/mcollective.ok", &[], "still open")?;
    network.metric_reaches("ie", "causeway_denied_total", &[], before + 3.0)?;
    client.disconnect()?;
    network.stop()
}

/// Fault: F18, F19.
#[test]
fn a_broken_frame_is_answered_counted_and_closed_while_others_go_on() -> Result<()> {
    let network = one_site()?;
    let mut bystander = network.connect("ie", MCOLLECTIVE)?;
    let oversized = format!(
        "SEND\ndestination:/topic/mcollective.big\ncontent-length:{}\n\n",
        1_000_000_000
    );
    let many_headers = format!(
        "SEND\ndestination:/queue/mcollective.x\n{}\n\0",
        "a:b\n".repeat(200)
    );
    let rows: [(&str, &[u8]); 6] = [
        (
            "an unknown command",
            b"SNED\ndestination:/queue/mcollective.x\n\n\0",
        ),
        ("a header without a colon", b"SEND\ndestination\n\n\0"),
        (
            "an undefined escape",
            b"SEND\ndestination:/queue/mcollective.x\nodd:\\t\n\n\0",
        ),
        (
            "a content-length that is no number",
            b"SEND\ndestination:/queue/mcollective.x\ncontent-length:-1\n\n\0",
        ),
        ("a frame larger than allowed", oversized.as_bytes()),
        ("too many headers", many_headers.as_bytes()),
    ];
    for (name, bytes) in rows {
        let before = network.metric("ie", "causeway_frame_errors_total", &[])?;
        let mut client = network.connect("ie", MCOLLECTIVE)?;
        client.write_bytes(bytes).context(name)?;
        let error = client.error().context(name)?;
        println!("{name}: {}", error_text(&error));
        client.expect_close(CLOSED).context(name)?;
        network
            .metric_reaches("ie", "causeway_frame_errors_total", &[], before + 1.0)
            .context(name)?;
    }
    bystander.send_with_receipt("/topic/mcollective.x", &[], "still here")?;
    bystander.disconnect()?;
    network.stop()
}

#[test]
fn what_comes_to_the_wrong_port_is_named_and_counted() -> Result<()> {
    const ERRORS: &str = "causeway_frame_errors_total";
    let network = one_site()?;
    for (bytes, named, label) in [
        (&b"GET / HTTP/1.1\r\nHost: ie\r\n\r\n"[..], "HTTP", "http"),
        (b"\x16\x03\x01\x02\x00\x01\x00", "TLS", "tls_on_plain_port"),
    ] {
        let mut client = Client::open(network.port("ie")?)?;
        client.write_bytes(bytes)?;
        let error = client.error()?;
        let text = error.header("message").unwrap_or_default().to_owned();
        let expected = format!("this looks like {named}; this port speaks STOMP");
        ensure!(text.starts_with(&expected), "{text}");
        client.expect_close(CLOSED)?;
        network.metric_reaches("ie", ERRORS, &[("error", label)], 1.0)?;
    }
    network.stop()
}

/// Fault: F19.
#[test]
fn what_is_not_stomp_is_closed_before_it_costs_memory() -> Result<()> {
    let network = one_site()?;
    let before = network.metric("ie", "process_resident_memory_bytes", &[])?;
    for _ in 0..50 {
        let mut client = Client::open(network.port("ie")?)?;
        // 64 KiB without a line end: four times what is read before login. The broker may close
        // while we write.
        let _ = client.write_bytes(&vec![b'x'; 64 * 1024]);
        while let Ok(frame) = client.receive(CLOSED) {
            frame.context("the connection is still open")?;
        }
    }
    let after = network.metric("ie", "process_resident_memory_bytes", &[])?;
    println!("resident memory: {before} then {after} bytes");
    ensure!(
        after - before < 32.0 * 1024.0 * 1024.0,
        "memory grew from {before} to {after}"
    );
    network.connect("ie", MCOLLECTIVE)?.disconnect()?;
    network.stop()
}

#[test]
fn no_secret_is_shown_by_the_admin_listener() -> Result<()> {
    let network = one_site()?;
    let status = network.status("ie")?.to_string();
    ensure!(status.contains(NETWORK), "{status}");
    for user in network.document.users.values() {
        ensure!(!status.contains(&user.password), "/status holds a password");
    }
    ensure!(!status.contains("argon2"), "/status holds a hash");
    network.stop()
}
