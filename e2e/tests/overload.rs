//! Clients that ask for too much: the broker stays within its memory, answers its admin page, and keeps its links.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use causeway_e2e::client::error_text;
use causeway_e2e::document::{Document, Shape};
use causeway_e2e::frame::Frame;
use causeway_e2e::http;
use causeway_e2e::network::Network;
use causeway_e2e::wait;

/// The admin page answers within 0.4 s, whatever clients do; a test waits five times that.
const ANSWERS: Duration = Duration::from_secs(2);
/// A process needs no more than this beside `memory.limit` (docs/configuration.md).
const BESIDE: u64 = 64 << 20;
const LIMIT: u64 = 64 << 20;

/// Two sites whose brokers have 64Mi.
fn small_brokers() -> Result<Network> {
    let mut document = Document::new(Shape::Chain, &["ie", "uk"]);
    document
        .settings
        .push("extra: {memory.limit: 64Mi}".to_owned());
    Network::up(document)
}

/// Asks the admin page again and again, and remembers the longest time that an answer took.
struct Watch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Duration>>,
}

impl Watch {
    fn start(network: &Network, site: &str) -> Result<Self> {
        let port = network.port_of(site, "admin")?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            let mut longest = Duration::ZERO;
            while !stopped.load(Ordering::Relaxed) {
                let asked = Instant::now();
                http::fetch(port, "/healthz")?;
                longest = longest.max(asked.elapsed());
                thread::sleep(Duration::from_millis(50));
            }
            Ok(longest)
        });
        Ok(Self { stop, thread })
    }

    fn end(self, what: &str) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let longest = match self.thread.join() {
            Ok(longest) => longest?,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        println!("{what}: /healthz within {longest:?} (stated: 0.4 s)");
        ensure!(longest < ANSWERS, "{what}: /healthz took {longest:?}");
        Ok(())
    }
}

fn no_link_was_lost(network: &Network, mark: usize) -> Result<()> {
    let events = network.events.since(mark);
    let lost = events
        .iter()
        .find(|event| event.kind() == "link" && event.text("state") == "down");
    ensure!(lost.is_none(), "a link was lost: {lost:?}");
    Ok(())
}

/// What a broker's process holds now, in bytes.
fn resident(network: &Network, site: &str) -> Result<u64> {
    let pid = network.site(site)?.value["pid"].as_i64().context("a pid")?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.split_whitespace().next());
    Ok(kib.context("VmRSS")?.parse::<u64>()? << 10)
}

fn stays_within_its_memory(network: &Network, site: &str, what: &str) -> Result<()> {
    let resident = resident(network, site)?;
    println!(
        "{what}: {} MiB with memory.limit 64Mi (stated: 128 MiB)",
        resident >> 20
    );
    ensure!(resident < LIMIT + BESIDE, "{what}: {resident} bytes");
    Ok(())
}

/// A socket whose client is in.
fn logged_in(network: &Network, site: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", network.port(site)?))?;
    let password = network.document.password("amq");
    write!(
        stream,
        "CONNECT\naccept-version:1.2\nhost:x\nlogin:amq\npasscode:{password}\n\n\0"
    )?;
    stream.set_write_timeout(Some(Duration::from_millis(500)))?;
    Ok(stream)
}

#[test]
fn producers_without_a_pause_hold_up_neither_links_nor_the_admin_page() -> Result<()> {
    let network = small_brokers()?;
    let mark = network.events.mark();
    let stop = Arc::new(AtomicBool::new(false));
    let received = Arc::new(AtomicU64::new(0));
    let mut threads = Vec::new();
    for site in ["ie", "uk"] {
        let mut consumer = network.connect(site, "amq")?;
        consumer.subscribe("1", "/topic/flood", &[])?;
        let (stop, received) = (stop.clone(), received.clone());
        threads.push(thread::spawn(move || -> Result<()> {
            while !stop.load(Ordering::Relaxed) {
                let found = consumer.receive(Duration::from_millis(100))?;
                received.fetch_add(found.is_some().into(), Ordering::Relaxed);
            }
            Ok(())
        }));
    }
    for _ in 0..4 {
        let mut stream = logged_in(&network, "ie")?;
        let stop = stop.clone();
        threads.push(thread::spawn(move || -> Result<()> {
            let frames = "SEND\ndestination:/topic/flood\n\n0123456789\0".repeat(1000);
            let mut rest = frames.as_bytes();
            while !stop.load(Ordering::Relaxed) {
                // It may be held back for a while; what was written of a frame was written.
                if let Ok(written) = stream.write(rest) {
                    rest = &rest[written..];
                }
                if rest.is_empty() {
                    rest = frames.as_bytes();
                }
            }
            Ok(())
        }));
    }
    let watch = Watch::start(&network, "ie")?;
    thread::sleep(Duration::from_secs(6));
    watch.end("4 producers without a pause")?;
    stop.store(true, Ordering::Relaxed);
    for thread in threads {
        match thread.join() {
            Ok(ended) => ended?,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
    let received = received.load(Ordering::Relaxed);
    println!("{received} messages were received meanwhile");
    ensure!(received > 1000, "only {received} messages came through");
    no_link_was_lost(&network, mark)?;
    network.stop()
}

#[test]
fn half_frames_of_many_clients_are_held_within_the_memory_and_give_way() -> Result<()> {
    let network = small_brokers()?;
    let mark = network.events.mark();
    let half = [
        b"SEND\ndestination:/topic/large\ncontent-length:10000000\n\n".to_vec(),
        vec![b'x'; 9_000_000],
    ]
    .concat();
    let mut held = Vec::new();
    for _ in 0..40 {
        let mut stream = logged_in(&network, "ie")?;
        stream.set_nonblocking(true)?;
        // As much as the socket takes; the broker reads what it has memory for.
        let written = stream.write(&half)?;
        held.push((stream, &half[written..]));
    }
    let watch = Watch::start(&network, "ie")?;
    let end = Instant::now() + Duration::from_secs(4);
    while Instant::now() < end {
        for (stream, rest) in &mut held {
            if let Ok(written) = stream.write(rest) {
                *rest = &rest[written..];
            }
        }
        thread::sleep(Duration::from_millis(10));
    }
    stays_within_its_memory(&network, "ie", "40 half frames of 10 MB")?;
    let mut other = network.connect("ie", "amq")?;
    let small = Instant::now();
    other.send_with_receipt("/queue/other", &[], &"x".repeat(10_000))?;
    let took = small.elapsed();
    println!("a small message meanwhile: {took:?} (stated: 0.2 s)");
    ensure!(took < Duration::from_secs(1), "{took:?}");
    // Nobody goes on with the large ones: each loses its turn after a second of silence.
    let errors = "causeway_frame_errors_total";
    network.metric_reaches("ie", errors, &[("error", "too_slow")], 2.0)?;
    watch.end("half frames")?;
    drop(held);
    let large = "y".repeat(5_000_000);
    other.send_with_receipt("/queue/other", &[], &large)?;
    no_link_was_lost(&network, mark)?;
    network.stop()
}

#[test]
fn subscriptions_by_the_thousand_are_refused_where_their_memory_ends() -> Result<()> {
    let network = small_brokers()?;
    let mark = network.events.mark();
    let watch = Watch::start(&network, "ie")?;
    let list: Vec<String> = (0..50).map(|number| format!("'v{number}'")).collect();
    let selector = format!("a IN ({})", list.join(","));
    let mut clients = Vec::new();
    let mut refused = None;
    for client in 0..8 {
        let mut connection = network.connect("ie", "amq")?;
        for number in 0..2000 {
            let id = number.to_string();
            let destination = format!("/topic/many.{client}.{number}");
            let headers = [
                ("id", id.as_str()),
                ("destination", destination.as_str()),
                ("selector", selector.as_str()),
            ];
            connection.write(&Frame::new("SUBSCRIBE", &headers))?;
        }
        // An ERROR refuses one subscription and leaves the connection open.
        if let Some(frame) = connection.receive(Duration::from_millis(500))? {
            refused.get_or_insert(error_text(&frame));
        }
        clients.push(connection);
    }
    let refused = refused.context("every subscription was taken")?;
    ensure!(refused.contains("limits.subscription_memory"), "{refused}");
    stays_within_its_memory(&network, "ie", "16,000 subscriptions with selectors")?;
    drop(clients);
    wait::until("their subscriptions to end", wait::PATIENCE, || {
        let left = network.metric("ie", "causeway_subscriptions", &[])?;
        Ok((left == 0.0).then_some(()))
    })?;
    let mut later = network.connect("ie", "amq")?;
    later.subscribe("1", "/topic/later", &[])?;
    watch.end("subscriptions by the thousand")?;
    no_link_was_lost(&network, mark)?;
    network.stop()
}

#[test]
fn a_message_to_each_of_many_queues_waits_where_the_memory_ends() -> Result<()> {
    let network = small_brokers()?;
    let mark = network.events.mark();
    let watch = Watch::start(&network, "ie")?;
    let mut stream = logged_in(&network, "ie")?;
    let mut number = 0;
    let end = Instant::now() + wait::PATIENCE;
    while Instant::now() < end {
        let frames: String = (number..number + 100)
            .map(|number| format!("SEND\ndestination:/queue/many.{number}\n\nx\0"))
            .collect();
        number += 100;
        if stream.write_all(frames.as_bytes()).is_err() {
            break;
        }
    }
    ensure!(Instant::now() < end, "{number} queues and no end");
    println!("the producer waits after {number} queues at most");
    stays_within_its_memory(&network, "ie", "queues by the thousand")?;
    network.metric_reaches("ie", "causeway_producers_waiting", &[("for", "room")], 1.0)?;
    wait::until("the log to say that producers wait", wait::PATIENCE, || {
        let is_told = network
            .logs()?
            .contains("producers to queues wait (memory.limit)");
        Ok(is_told.then_some(()))
    })?;
    let mut consumer = network.connect("ie", "amq")?;
    consumer.subscribe("1", "/queue/many.7", &[])?;
    consumer.message()?;
    watch.end("queues by the thousand")?;
    no_link_was_lost(&network, mark)?;
    network.stop()
}
