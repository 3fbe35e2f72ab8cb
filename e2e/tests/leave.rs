//! A broker that is stopped as planned loses nothing (R24, I24).

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use causeway_e2e::deliveries::Deliveries;
use causeway_e2e::document::{Document, MCOLLECTIVE, Shape};
use causeway_e2e::events::{Event, Events};
use causeway_e2e::network::Network;
use causeway_e2e::wait;

const REST: &str = "/queue/mcollective.rest";
const WORK: &str = "/queue/mcollective.work";
const MESSAGES: usize = 500;

#[test]
fn what_waits_in_the_queues_of_a_broker_that_is_stopped_goes_to_others_that_have_consumers()
-> Result<()> {
    let network = Network::up(Document::new(Shape::Ring, &["ie", "uk", "us", "de"]))?;
    // It acknowledges nothing before the broker is gone, so its credit is used up by one message.
    let mut consumer = network.connect("us", MCOLLECTIVE)?;
    let headers = [("ack", "client"), ("activemq.prefetchSize", "1")];
    consumer.subscribe("1", WORK, &headers)?;
    let mut producer = network.connect("ie", MCOLLECTIVE)?;
    for number in 1..MESSAGES {
        producer.send(WORK, &[], &number.to_string())?;
    }
    producer.send_with_receipt(WORK, &[], "0")?;
    network.metric_reaches("ie", "causeway_queue_messages", &[], MESSAGES as f64 / 2.0)?;
    let asked = Instant::now();
    network.stop_site("ie")?;
    network.metric_reaches("us", "causeway_queue_messages", &[], MESSAGES as f64)?;
    println!(
        "all {MESSAGES} handed over {:?} after the stop",
        asked.elapsed()
    );
    let mut deliveries = Deliveries::default();
    for _ in 0..MESSAGES {
        let message = consumer.message()?;
        deliveries.note(message.text());
        consumer.acknowledge(&message)?;
    }
    println!(
        "all {MESSAGES} consumed {:?} after the stop",
        asked.elapsed()
    );
    let expected = (0..MESSAGES).map(|number| number.to_string()).collect();
    deliveries.exactly_once("the consumer", &expected)?;
    wait::until("the broker to be back", wait::PATIENCE, || {
        Ok(network.connect("ie", MCOLLECTIVE).ok())
    })?;
    let extra = consumer.receive(Duration::from_millis(500))?;
    ensure!(extra.is_none(), "one too many: {extra:?}");
    network.stop()
}

/// What the `lost` event of a site tells: all messages, and those of the queue of work.
fn lost(events: &Events, site: &str) -> Result<(u64, u64)> {
    let is_wanted = |event: &Event| event.is_about("lost", site);
    let event = events.wait(0, "lost", wait::PATIENCE, is_wanted)?;
    let work = &event.value["queues"]["mcollective.work"];
    let numbers = event.value["messages"].as_u64().zip(work.as_u64());
    numbers.with_context(|| event.value.to_string())
}

fn fill(network: &Network, site: &str) -> Result<()> {
    let mut producer = network.connect(site, MCOLLECTIVE)?;
    for body in ["1", "2", "3"] {
        producer.send_with_receipt(WORK, &[], body)?;
    }
    producer.send_with_receipt(REST, &[], "4")?;
    producer.disconnect()
}

#[test]
fn what_nobody_else_consumes_is_counted_by_queue_when_its_site_ends() -> Result<()> {
    let mut network = Network::up(Document::new(Shape::Chain, &["ie", "uk", "us"]))?;
    fill(&network, "us")?;
    network.change(|document| document.sites.retain(|site| site != "us"))?;
    ensure!(lost(&network.events, "us")? == (4, 3));
    fill(&network, "ie")?;
    // What one site hands over before it ends is not lost with it, and is not counted.
    let mut consumer = network.connect("uk", MCOLLECTIVE)?;
    consumer.subscribe("1", REST, &[])?;
    consumer.message()?;
    let events = network.events.clone();
    network.stop()?;
    ensure!(lost(&events, "ie")? == (3, 3));
    Ok(())
}

#[test]
fn a_signal_that_comes_twice_at_once_is_one_wish() -> Result<()> {
    let network = Network::up(Document::new(Shape::Chain, &["ie", "uk"]))?;
    fill(&network, "uk")?;
    network.stop_site("uk")?;
    // The first one is not pending any more, so that there are two.
    std::thread::sleep(Duration::from_millis(30));
    network.stop_site("uk")?;
    ensure!(lost(&network.events, "uk")? == (4, 3));
    network.stop()
}

#[test]
fn a_network_whose_terminal_is_closed_ends_as_with_ctrl_c() -> Result<()> {
    let network = Network::up(Document::new(Shape::Chain, &["ie", "uk"]))?;
    fill(&network, "ie")?;
    let events = network.events.clone();
    network.hang_up()?;
    ensure!(lost(&events, "ie")? == (4, 3));
    Ok(())
}

#[test]
fn ctrl_c_that_comes_twice_at_once_is_one_wish() -> Result<()> {
    let network = Network::up(Document::new(Shape::Chain, &["ie", "uk"]))?;
    fill(&network, "ie")?;
    let events = network.events.clone();
    network.stop_twice()?;
    ensure!(lost(&events, "ie")? == (4, 3));
    Ok(())
}

#[test]
fn what_was_lost_with_a_killed_up_is_told_by_the_next_one() -> Result<()> {
    let mut network = Network::up(Document::new(Shape::Chain, &["ie", "uk"]))?;
    fill(&network, "ie")?;
    network.kill_up_and_start_again()?;
    ensure!(lost(&network.events, "ie")? == (4, 3));
    network.stop()
}
