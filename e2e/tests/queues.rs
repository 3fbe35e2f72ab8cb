//! Queues across the network: each message is consumed once, none is stuck, replies always find
//! back.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use causeway_e2e::client::Client;
use causeway_e2e::deliveries::{Deliveries, collect};
use causeway_e2e::document::{ADMIN, Document, MCOLLECTIVE, Shape};
use causeway_e2e::frame::Frame;
use causeway_e2e::network::Network;
use causeway_e2e::wait;

const SITES: [&str; 3] = ["ie", "uk", "us"];
const QUIET: Duration = Duration::from_millis(500);

fn chain() -> Result<Network> {
    Network::up(Document::new(Shape::Chain, &SITES))
}

fn nothing_waits(network: &Network) -> Result<()> {
    wait::until("all queues to be empty", wait::PATIENCE, || {
        let mut waiting = 0.0;
        for site in SITES {
            waiting += network.metric(site, "causeway_queue_messages", &[])?;
        }
        Ok((waiting == 0.0).then_some(()))
    })
    .with_context(|| SITES.map(|site| waiting_at(network, site)).concat())
}

/// The queues of a site that hold something, for the error.
fn waiting_at(network: &Network, site: &str) -> String {
    let status = network.status(site).unwrap_or_default();
    let queues = status["queues"].as_array().cloned().unwrap_or_default();
    let waiting: Vec<String> = queues
        .iter()
        .filter(|queue| queue["depth"] != 0)
        .map(ToString::to_string)
        .collect();
    format!("{site}: {waiting:?}\n")
}

const WORK: &str = "/queue/mcollective.work";
const PER_PRODUCER: usize = 500;

/// What has been consumed: a message counts when the broker has confirmed its acknowledgement.
#[derive(Default)]
struct Consumed {
    deliveries: Mutex<Deliveries>,
    count: AtomicUsize,
}

impl Consumed {
    fn note(&self, message: &Frame) -> Result<()> {
        let mut deliveries = self.deliveries.lock().map_err(|_| anyhow!("poisoned"))?;
        deliveries.note(message.text());
        self.count.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// Consumes a few messages and leaves with others still unacknowledged, again and again.
fn come_and_go(
    network: &Network,
    site: &str,
    consumed: &Consumed,
    is_over: &AtomicBool,
) -> Result<()> {
    let mut visits = 0_u32;
    while !is_over.load(Ordering::SeqCst) {
        visits += 1;
        let mut client = network.connect(site, MCOLLECTIVE)?;
        let headers = [
            ("ack", "client-individual"),
            ("activemq.prefetchSize", "10"),
        ];
        client.subscribe("work", WORK, &headers)?;
        for _ in 0..20 {
            let Some(message) = client.receive(Duration::from_millis(300))? else {
                break;
            };
            client.acknowledge(&message)?;
            consumed.note(&message)?;
        }
        // Every second visit ends without a word: the socket is just closed.
        if visits.is_multiple_of(2) {
            client.disconnect()?;
        }
    }
    Ok(())
}

fn produce(network: &Network, site: &str) -> Result<()> {
    let mut client = network.connect(site, MCOLLECTIVE)?;
    for number in 0..PER_PRODUCER {
        client.send(WORK, &[], &format!("{site}/{number}"))?;
    }
    client.disconnect()
}

#[test]
fn each_message_is_consumed_once_while_consumers_come_and_go() -> Result<()> {
    let network = chain()?;
    let producers = ["ie", "us"];
    let (consumed, is_over) = (Consumed::default(), AtomicBool::new(false));
    let all = producers.len() * PER_PRODUCER;
    std::thread::scope(|scope| -> Result<()> {
        let consumers = SITES.map(|site| {
            let (network, consumed, is_over) = (&network, &consumed, &is_over);
            scope.spawn(move || come_and_go(network, site, consumed, is_over))
        });
        let work = || -> Result<()> {
            for site in producers {
                produce(&network, site)?;
            }
            wait::until("everything to be consumed", 2 * wait::PATIENCE, || {
                Ok((consumed.count.load(Ordering::SeqCst) >= all).then_some(()))
            })
        };
        let outcome = work();
        is_over.store(true, Ordering::SeqCst);
        for consumer in consumers {
            consumer
                .join()
                .map_err(|_| anyhow!("a consumer panicked"))??;
        }
        outcome
    })?;
    let expected = producers
        .iter()
        .flat_map(|site| (0..PER_PRODUCER).map(move |number| format!("{site}/{number}")))
        .collect();
    let deliveries = consumed
        .deliveries
        .lock()
        .map_err(|_| anyhow!("poisoned"))?;
    deliveries.exactly_once("all consumers together", &expected)?;
    nothing_waits(&network)?;
    network.stop()
}

const PAINT: &str = "/queue/mcollective.paint";

fn consumer(network: &Network, site: &str, selector: &str) -> Result<Client> {
    let mut client = network.connect(site, MCOLLECTIVE)?;
    client.subscribe("paint", PAINT, &[("selector", selector)])?;
    Ok(client)
}

#[test]
fn selectors_decide_across_links_and_what_nobody_wants_waits_for_who_does() -> Result<()> {
    const EACH: usize = 200;
    let network = chain()?;
    let mut red = consumer(&network, "us", "colour = 'red'")?;
    let mut big = consumer(&network, "uk", "colour = 'blue' AND size > 5")?;
    let mut producer = network.connect("ie", MCOLLECTIVE)?;
    for number in 0..EACH {
        for (colour, size) in [("red", "1"), ("blue", "9"), ("blue", "2")] {
            let headers = [("colour", colour), ("size", size)];
            producer.send(PAINT, &headers, &format!("{colour} {size} {number}"))?;
        }
    }
    producer.disconnect()?;
    let expected = |prefix: &str| {
        (0..EACH)
            .map(|number| format!("{prefix} {number}"))
            .collect()
    };
    let got = collect(&mut red, EACH, QUIET, wait::PATIENCE)?;
    got.exactly_once("red at us", &expected("red 1"))?;
    let got = collect(&mut big, EACH, QUIET, wait::PATIENCE)?;
    got.exactly_once("big blue at uk", &expected("blue 9"))?;
    // The small blue ones were wanted by nobody so far; now somebody at the far end wants them.
    let mut small = consumer(&network, "us", "colour = 'blue' AND size <= 5")?;
    let got = collect(&mut small, EACH, QUIET, wait::PATIENCE)?;
    got.exactly_once("small blue at us", &expected("blue 2"))?;
    nothing_waits(&network)?;
    network.stop()
}

const REQUESTS: &str = "/queue/mcollective.requests";
const CLIENTS: usize = 4;
const PER_CLIENT: usize = 500;

/// Answers requests until told to stop.
fn work(network: &Network, is_over: &AtomicBool) -> Result<()> {
    let mut client = network.connect("us", MCOLLECTIVE)?;
    client.subscribe("requests", REQUESTS, &[("activemq.prefetchSize", "1")])?;
    while !is_over.load(Ordering::SeqCst) {
        let Some(request) = client.receive(Duration::from_millis(100))? else {
            continue;
        };
        let reply_to = request.header("reply-to").context("no reply-to")?;
        client.send(reply_to, &[], &format!("answer to {}", request.text()))?;
    }
    client.disconnect()
}

/// As MCollective does it: subscribe without waiting, publish right behind, unsubscribe after the
/// answer.
fn ask(network: &Network, number: usize) -> Result<Duration> {
    let mut client = network.connect("ie", MCOLLECTIVE)?;
    let mut slowest = Duration::ZERO;
    for request in 0..PER_CLIENT {
        let reply_to = format!("/queue/mcollective.reply.ie.example.com_{number}.{request}");
        let id = format!("reply-{request}");
        let start = Instant::now();
        let subscribe = [("id", id.as_str()), ("destination", reply_to.as_str())];
        client.write(&Frame::new("SUBSCRIBE", &subscribe))?;
        let body = format!("{number}/{request}");
        client.send(REQUESTS, &[("reply-to", &reply_to)], &body)?;
        let reply = client
            .message()
            .with_context(|| format!("reply to request {body}"))?;
        ensure!(
            reply.text() == format!("answer to {body}"),
            "request {body} got {:?}",
            reply.text()
        );
        slowest = slowest.max(start.elapsed());
        client.write(&Frame::new("UNSUBSCRIBE", &[("id", id.as_str())]))?;
    }
    client.disconnect()?;
    Ok(slowest)
}

#[test]
fn two_thousand_requests_get_their_replies_on_fresh_queues() -> Result<()> {
    let network = chain()?;
    let is_over = AtomicBool::new(false);
    let start = Instant::now();
    std::thread::scope(|scope| -> Result<()> {
        let workers = [(); 3].map(|()| scope.spawn(|| work(&network, &is_over)));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let network = &network;
                scope.spawn(move || ask(network, number))
            })
            .collect();
        let outcomes: Vec<_> = clients.into_iter().map(|client| client.join()).collect();
        is_over.store(true, Ordering::SeqCst);
        for worker in workers {
            worker.join().map_err(|_| anyhow!("a worker panicked"))??;
        }
        for outcome in outcomes {
            let slowest = outcome.map_err(|_| anyhow!("a client panicked"))??;
            println!("slowest answer of a client: {slowest:?}");
        }
        Ok(())
    })?;
    println!("{} replies in {:?}", CLIENTS * PER_CLIENT, start.elapsed());
    nothing_waits(&network)?;
    network.stop()
}

const ASK: &str = "/topic/mcollective.ask";

/// Answers one request as often as it says.
fn answer(worker: &mut Client) -> Result<()> {
    let request = worker.message()?;
    let reply_to = request.header("reply-to").context("no reply-to")?;
    for number in 0..request.text().parse()? {
        worker.send(reply_to, &[], &format!("{reply_to} {number}"))?;
    }
    Ok(())
}

fn monitor(network: &Network, site: &str) -> Result<Client> {
    let mut client = network.connect(site, ADMIN)?;
    client.subscribe("all", "/queue/>", &[])?;
    Ok(client)
}

/// One answer for each of many fresh queues; the subscription is there no longer than it must.
fn ask_for_one_each(requester: &mut Client, worker: &mut Client, requests: usize) -> Result<()> {
    for request in 0..requests {
        let reply_to = format!("/queue/mcollective.reply.ie.{request}");
        let id = format!("reply-{request}");
        let subscribe = [("id", id.as_str()), ("destination", reply_to.as_str())];
        requester.write(&Frame::new("SUBSCRIBE", &subscribe))?;
        requester.send(ASK, &[("reply-to", &reply_to)], "1")?;
        answer(worker)?;
        let reply = requester
            .message()
            .with_context(|| format!("reply to request {request}"))?;
        ensure!(reply.text() == format!("{reply_to} 0"), "{}", reply.text());
        requester.write(&Frame::new("UNSUBSCRIBE", &[("id", id.as_str())]))?;
    }
    Ok(())
}

/// Where no request taught the way, the entry of the subscription keeps monitors away.
fn await_without_asking(network: &Network, worker: &mut Client) -> Result<()> {
    const REPLIES: &str = "/queue/mcollective.reply.ie.untaught";
    let mut requester = network.connect("ie", MCOLLECTIVE)?;
    requester.subscribe("untaught", REPLIES, &[])?;
    let remote = [("source", "remote")];
    network.metric_reaches("us", "causeway_mesh_interest_entries", &remote, 2.0)?;
    for number in 0..50 {
        worker.send(REPLIES, &[], &number.to_string())?;
    }
    let got = collect(&mut requester, 50, QUIET, wait::PATIENCE)?;
    let expected = (0..50).map(|number| number.to_string()).collect();
    got.exactly_once("the requester", &expected)?;
    requester.disconnect()
}

#[test]
fn monitors_get_no_reply_before_its_requester_is_gone() -> Result<()> {
    let network = Network::up(Document::new(Shape::Chain, &["ie", "us"]))?;
    let mut monitors = [monitor(&network, "ie")?, monitor(&network, "us")?];
    let mut worker = network.connect("us", MCOLLECTIVE)?;
    worker.subscribe("ask", ASK, &[])?;
    network.metric_reaches(
        "ie",
        "causeway_mesh_interest_entries",
        &[("source", "remote")],
        2.0,
    )?;
    await_without_asking(&network, &mut worker)?;
    let mut requester = network.connect("ie", MCOLLECTIVE)?;
    ask_for_one_each(&mut requester, &mut worker, 200)?;
    // Of three answers the requester takes one at a time, and leaves with the first.
    let last = "/queue/mcollective.reply.ie.last";
    let window = [("ack", "client-individual"), ("activemq.prefetchSize", "1")];
    requester.subscribe("last", last, &window)?;
    requester.send(ASK, &[("reply-to", last)], "3")?;
    answer(&mut worker)?;
    ensure!(requester.message()?.text() == format!("{last} 0"));
    for monitor in &mut monitors {
        let taken = monitor.receive(3 * QUIET)?;
        ensure!(taken.is_none(), "a monitor took {taken:?}");
    }
    requester.disconnect()?;
    let gone = Instant::now();
    for number in 0..3 {
        let left = monitors[0].message()?;
        ensure!(left.text() == format!("{last} {number}"), "{}", left.text());
    }
    let held = gone.elapsed();
    println!("what was left went to the monitor after {held:?}");
    // The broker saw the requester leave a little before its client knew.
    ensure!(held > Duration::from_millis(1900), "after {held:?} already");
    let twice = monitors[1].receive(QUIET)?;
    ensure!(twice.is_none(), "the other monitor took {twice:?}");
    network.stop()
}

/// Messages that a worker with room for one consumes one by one, two links away,
const ONE_BY_ONE: usize = 200;
/// and the time that is stated for it, 2 ms each. Five times as long is a failure; if credit came by
/// back-off or sweep it would be more than 15 s.
const USUAL: Duration = Duration::from_millis(400);

#[test]
fn a_worker_with_room_for_one_is_served_at_the_pace_of_the_links() -> Result<()> {
    let network = chain()?;
    let mut worker = network.connect("us", MCOLLECTIVE)?;
    let headers = [("ack", "client-individual"), ("activemq.prefetchSize", "1")];
    worker.subscribe("work", WORK, &headers)?;
    let mut producer = network.connect("ie", MCOLLECTIVE)?;
    for number in 0..ONE_BY_ONE {
        producer.send(WORK, &[], &number.to_string())?;
    }
    let begun = Instant::now();
    for number in 0..ONE_BY_ONE {
        let message = worker.receive(wait::PATIENCE)?;
        let message = message.with_context(|| format!("message {number} is missing"))?;
        worker.acknowledge(&message)?;
    }
    let took = begun.elapsed();
    println!("{ONE_BY_ONE} messages one by one across two links took {took:?}");
    ensure!(took < 5 * USUAL, "took {took:?}");
    nothing_waits(&network)
}
