//! A broker that is stopped as planned loses nothing (R24, I24).

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use causeway_e2e::deliveries::Deliveries;
use causeway_e2e::document::{Document, MCOLLECTIVE, Shape};
use causeway_e2e::network::Network;
use causeway_e2e::wait;

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
    Ok(())
}
