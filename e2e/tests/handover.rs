//! One process of a site gives everything to the next one (R26).

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use causeway_e2e::client::Client;
use causeway_e2e::document::{Document, MCOLLECTIVE, Shape};
use causeway_e2e::network::Network;
use causeway_e2e::next_process::NextProcess;
use causeway_e2e::{http, wait};

const REST: &str = "/queue/mcollective.rest";
const NEWS: &str = "/topic/mcollective.news";
const DURABLE: [(&str, &str); 2] = [
    ("activemq.subscriptionName", "news"),
    ("ack", "client-individual"),
];
const MESSAGES: usize = 1_000;
const CLIENTS: usize = 200;
const QUIET: Duration = Duration::from_millis(300);

fn up() -> Result<Network> {
    Network::up(Document::new(Shape::Chain, &["ie", "us"]))
}

fn same(_: &str, text: String) -> String {
    text
}

fn fill(network: &Network) -> Result<()> {
    let mut producer = network.connect("ie", MCOLLECTIVE)?;
    for number in 1..MESSAGES {
        let number = number.to_string();
        producer.send(
            REST,
            &[("persistent", "true"), ("number", &number)],
            &number,
        )?;
    }
    let headers = [("number", "last"), ("expires", "9999999999999")];
    producer.send_with_receipt(REST, &headers, "last")?;
    producer.disconnect()
}

fn expect_rest(client: &mut Client, first_is_redelivered: bool) -> Result<()> {
    let headers = [("ack", "client-individual")];
    client.subscribe("rest", REST, &headers)?;
    for number in 1..=MESSAGES {
        let expected = match number {
            MESSAGES => "last".to_owned(),
            number => number.to_string(),
        };
        let message = client.message()?;
        ensure!(
            message.text() == expected,
            "{expected} should have come: {message:?}"
        );
        ensure!(message.header("number") == Some(&expected), "{message:?}");
        let is_redelivered = message.header("redelivered") == Some("true");
        ensure!(
            is_redelivered == (number == 1 && first_is_redelivered),
            "{message:?}"
        );
        let expires = message.header("expires") != Some("0");
        ensure!(expires == (number == MESSAGES), "{message:?}");
        client.acknowledge(&message)?;
    }
    let extra = client.receive(QUIET)?;
    ensure!(extra.is_none(), "one too many: {extra:?}");
    Ok(())
}

#[test]
fn queues_and_durable_subscriptions_go_to_the_next_process_whole_and_in_order() -> Result<()> {
    let network = up()?;
    let mut reader = network.connect_as("ie", MCOLLECTIVE, "reader")?;
    reader.subscribe("1", NEWS, &DURABLE)?;
    reader.disconnect()?;
    let mut far = network.connect("us", MCOLLECTIVE)?;
    wait::until("the interest to arrive", wait::PATIENCE, || {
        far.send_with_receipt(NEWS, &[], "probe")?;
        let kept = network.metric("ie", "causeway_durable_messages", &[])?;
        Ok((kept > 0.0).then_some(()))
    })?;
    fill(&network)?;
    // It holds the first message when its broker goes.
    let mut holder = network.connect("ie", MCOLLECTIVE)?;
    let one = [("ack", "client-individual"), ("activemq.prefetchSize", "1")];
    holder.subscribe("1", REST, &one)?;
    ensure!(
        holder.message()?.text() == "1",
        "another message is the first one"
    );
    for number in 0..100 {
        far.send(NEWS, &[("persistent", "true")], &format!("before {number}"))?;
    }
    network.metric_reaches("ie", "causeway_durable_messages", &[], 101.0)?;
    let next = NextProcess::start(&network, "ie", same)?;
    next.wait_ready()?;
    holder.expect_close(wait::PATIENCE)?;
    let (ready, _) = http::fetch(network.port_of("ie", "admin")?, "/readyz")?;
    ensure!(ready == 503, "the older process still says that it serves");
    ensure!(
        network.connect("ie", MCOLLECTIVE).is_err(),
        "it still takes clients"
    );
    expect_rest(
        &mut network.connect_at(next.port(), MCOLLECTIVE, "consumer")?,
        true,
    )?;
    // What is said elsewhere finds the subscription at its new place, before its client does.
    far.send_with_receipt(NEWS, &[("persistent", "true")], "after")?;
    let mut reader = network.connect_at(next.port(), MCOLLECTIVE, "reader")?;
    reader.subscribe("1", NEWS, &DURABLE)?;
    let mut texts = Vec::new();
    while texts.last().is_none_or(|last| last != "after") {
        let message = reader.message().context(next.log())?;
        reader.acknowledge(&message)?;
        texts.push(message.text().to_owned());
    }
    let mut expected: Vec<String> = (0..100).map(|number| format!("before {number}")).collect();
    expected.push("after".to_owned());
    texts.retain(|text| text != "probe");
    ensure!(texts == expected, "{texts:?}");
    network.stop()
}

#[test]
fn a_next_process_that_dies_before_it_has_everything_costs_nothing() -> Result<()> {
    let network = up()?;
    fill(&network)?;
    let first = NextProcess::start(&network, "ie", same)?;
    wait::until("the older process to close", wait::PATIENCE, || {
        Ok(network.connect("ie", MCOLLECTIVE).is_err().then_some(()))
    })?;
    first.kill();
    let (ready, _) = http::fetch(network.port_of("ie", "admin")?, "/readyz")?;
    ensure!(ready == 200, "a Service would lead nobody to what it keeps");
    // Nobody comes: it serves again, as if it had been started with what it keeps.
    let mut near = wait::until("the older process to serve again", wait::PATIENCE, || {
        Ok(network.connect("ie", MCOLLECTIVE).ok())
    })?;
    let mut far = network.connect("us", MCOLLECTIVE)?;
    far.subscribe("1", NEWS, &[])?;
    wait::until("a message over its link", wait::PATIENCE, || {
        near.send_with_receipt(NEWS, &[], "here again")?;
        far.receive(QUIET)
    })?;
    let second = NextProcess::start(&network, "ie", same)?;
    second.wait_ready()?;
    expect_rest(
        &mut network.connect_at(second.port(), MCOLLECTIVE, "consumer")?,
        false,
    )?;
    network.stop()
}

#[test]
fn who_has_another_admin_token_is_given_nothing() -> Result<()> {
    let network = up()?;
    fill(&network)?;
    let next = NextProcess::start(&network, "ie", |name, text| match name {
        "secrets.yaml" => {
            let lines = text
                .lines()
                .map(|line| match line.starts_with("admin_token:") {
                    true => "admin_token: not-the-token-of-this-site",
                    false => line,
                });
            lines.collect::<Vec<_>>().join("\n")
        }
        _ => text,
    })?;
    let log = wait::until("the next process to end", wait::PATIENCE, || {
        let log = next.log();
        Ok(log.contains("another admin token").then_some(log))
    })?;
    ensure!(log.contains("gives nothing"), "{log}");
    ensure!(next.page("/healthz").is_none(), "it runs beside the other");
    expect_rest(&mut network.connect("ie", MCOLLECTIVE)?, false)?;
    network.stop()
}

#[test]
fn who_hears_nothing_of_the_process_before_it_lives_and_starts_without_after_ten_seconds()
-> Result<()> {
    let network = up()?;
    // Its token is in force before it hangs.
    NextProcess::prepare(&network, "ie")?;
    network.hang("ie")?;
    let started = Instant::now();
    let next = NextProcess::start(&network, "ie", same)?;
    wait::until(
        "the next process to say that it lives",
        wait::PATIENCE,
        || Ok((next.page("/healthz") == Some(200)).then_some(())),
    )?;
    ensure!(next.page("/readyz") == Some(503), "it says that it serves");
    next.wait_ready()?;
    let waited = started.elapsed();
    println!("it served after {waited:?}");
    ensure!(
        waited >= Duration::from_secs(10),
        "it waited for {waited:?} only"
    );
    network
        .connect_at(next.port(), MCOLLECTIVE, "client")?
        .disconnect()?;
    network.kill("ie")?;
    Ok(())
}

#[test]
fn who_cannot_start_asks_for_nothing() -> Result<()> {
    let network = up()?;
    fill(&network)?;
    let mut client = network.connect("ie", MCOLLECTIVE)?;
    let taken = network.port("us")?;
    let first = NextProcess::start(&network, "ie", |name, text| match name {
        "broker.yaml" => text.replace(
            &format!("    port: {}", network.spare_port() + 3),
            &format!("    port: {taken}"),
        ),
        _ => text,
    })?;
    wait::until("the next process to end", wait::PATIENCE, || {
        Ok(first.log().contains("cannot listen").then_some(()))
    })?;
    ensure!(first.page("/healthz").is_none(), "it goes on");
    // The older process never heard of it: who is connected stays.
    expect_rest(&mut client, false)?;
    network.stop()
}

#[test]
fn what_was_admitted_is_handed_over_to_a_process_with_smaller_limits() -> Result<()> {
    let network = up()?;
    let mut reader = network.connect_as("ie", MCOLLECTIVE, "reader")?;
    reader.subscribe("1", NEWS, &DURABLE)?;
    reader.disconnect()?;
    let long = "x".repeat(3 << 20);
    let mut producer = network.connect("ie", MCOLLECTIVE)?;
    producer.send_with_receipt(REST, &[], &long)?;
    producer.disconnect()?;
    let next = NextProcess::start(&network, "ie", |name, text| match name {
        "broker.yaml" => format!("{text}limits: {{frame: 1Mi, durable_subscriptions: 0}}\n"),
        _ => text,
    })?;
    next.wait_ready()?;
    let mut client = network.connect_at(next.port(), MCOLLECTIVE, "consumer")?;
    client.subscribe("1", REST, &[("ack", "auto")])?;
    ensure!(client.message()?.text() == long, "another message came");
    client.send_with_receipt(NEWS, &[("persistent", "true")], "news")?;
    let mut reader = network.connect_at(next.port(), MCOLLECTIVE, "reader")?;
    reader.subscribe("1", NEWS, &DURABLE)?;
    ensure!(reader.message()?.text() == "news", "another message came");
    network.stop()
}

#[test]
fn of_two_next_processes_one_has_everything_and_the_other_one_ends() -> Result<()> {
    let network = up()?;
    fill(&network)?;
    NextProcess::prepare(&network, "ie")?;
    // That many take a second to be closed, in which both have asked.
    let connected: Vec<Client> = (0..CLIENTS)
        .map(|_| network.connect("ie", MCOLLECTIVE))
        .collect::<Result<_>>()?;
    network.hang("ie")?;
    let both = [
        NextProcess::start(&network, "ie", same)?,
        NextProcess::start_beside(&network, "ie")?,
    ];
    wait::until("both to ask", wait::PATIENCE, || {
        let asks = |one: &NextProcess| one.page("/healthz") == Some(200);
        Ok(both.iter().all(asks).then_some(()))
    })?;
    network.resume("ie")?;
    let ends = |one: &NextProcess| one.log().contains("it has handed over to another process");
    let winner = wait::until("one of them to end", wait::PATIENCE, || {
        Ok(both.iter().position(ends).map(|loser| &both[1 - loser]))
    })?;
    winner.wait_ready()?;
    drop(connected);
    let serving = both.iter().filter(|one| one.page("/readyz") == Some(200));
    ensure!(serving.count() == 1, "both say that they serve");
    let mut client = network.connect_at(winner.port(), MCOLLECTIVE, "consumer")?;
    expect_rest(&mut client, false)?;
    network.stop()
}
