//! Durable topic subscriptions: what the network says while a client is away waits for it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use causeway_e2e::client::Client;
use causeway_e2e::document::{Document, MCOLLECTIVE, Shape};
use causeway_e2e::frame::Frame;
use causeway_e2e::network::Network;
use causeway_e2e::wait;

const TOPIC: &str = "/topic/mcollective.news";
const NAME: [(&str, &str); 2] = [
    ("activemq.subscriptionName", "news"),
    ("ack", "client-individual"),
];
const MESSAGES: usize = 200;
const QUIET: Duration = Duration::from_millis(300);

fn reader(network: &Network) -> Result<Client> {
    network.connect_as("ie", MCOLLECTIVE, "reader")
}

/// Until the far site knows of an interest in the topic, what it sends goes nowhere. The probe tells
/// when: it is collected by the subscription that nobody consumes from.
fn wait_for_interest(network: &Network, producer: &mut Client) -> Result<()> {
    wait::until("the interest to arrive", wait::PATIENCE, || {
        producer.send_with_receipt(TOPIC, &[], "probe")?;
        let kept = network.metric("ie", "causeway_durable_messages", &[])?;
        Ok((kept > 0.0).then_some(()))
    })
}

#[test]
fn what_another_site_says_while_the_client_is_away_waits_for_it_once() -> Result<()> {
    let network = Network::up(Document::new(Shape::Chain, &["ie", "uk", "us"]))?;
    let mut client = reader(&network)?;
    client.subscribe("1", TOPIC, &NAME)?;
    client.disconnect()?;
    let mut producer = network.connect("us", MCOLLECTIVE)?;
    wait_for_interest(&network, &mut producer)?;
    for number in 0..MESSAGES {
        producer.send(TOPIC, &[("persistent", "true")], &number.to_string())?;
    }
    producer.disconnect()?;
    let mut client = reader(&network)?;
    client.subscribe("1", TOPIC, &NAME)?;
    let mut expected = 0;
    let mut last = None;
    while expected < MESSAGES {
        let message = client.message()?;
        if message.text() == "probe" {
            client.acknowledge(&message)?;
            continue;
        }
        ensure!(
            message.text() == expected.to_string(),
            "{expected} should have come, not {}",
            message.text()
        );
        expected += 1;
        if expected < MESSAGES {
            client.acknowledge(&message)?;
        } else {
            last = Some(message);
        }
    }
    let extra = client.receive(QUIET)?;
    ensure!(extra.is_none(), "one too many: {extra:?}");
    // It leaves without a word and without having acknowledged the last one, which comes again.
    drop(client);
    let mut client = wait::until("the old connection to be gone", wait::PATIENCE, || {
        Ok(reader(&network).ok())
    })?;
    client.subscribe("1", TOPIC, &NAME)?;
    let again = client.message()?;
    let last = last.context("no last message")?;
    ensure!(again.text() == last.text(), "{again:?}");
    ensure!(again.header("redelivered") == Some("true"), "{again:?}");
    ensure!(
        again.header("message-id") == last.header("message-id"),
        "{again:?}"
    );
    client.acknowledge(&again)?;
    let end = [("id", "1"), ("activemq.subscriptionName", "news")];
    client.call(Frame::new("UNSUBSCRIBE", &end))?;
    let status = network.status("ie")?;
    ensure!(
        status["durableSubscriptions"] == serde_json::json!([]),
        "{}",
        status["durableSubscriptions"]
    );
    client.disconnect()?;
    network.stop()
}
