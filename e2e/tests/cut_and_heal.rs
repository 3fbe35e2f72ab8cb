//! A ring survives the death of the broker in use: deliveries go on, nothing comes twice, the
//! broker is used again.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use causeway_e2e::document::{Document, MCOLLECTIVE, Shape, link_name};
use causeway_e2e::network::Network;
use causeway_e2e::traffic::{Report, Traffic};
use causeway_e2e::wait;

/// 50 messages a second.
const INTERVAL: Duration = Duration::from_millis(20);

/// The stated figure: deliveries go on after so long, and nothing older than that is lost.
const STATED: Duration = Duration::from_millis(50);

const PUBLISHER: &str = "b";
const SUBSCRIBER: &str = "d";

/// What a broker has given to its link with the subscriber's.
fn passed_on(network: &Network, site: &str) -> Result<f64> {
    let link = link_name(site, SUBSCRIBER);
    let labels = [
        ("link", link.as_str()),
        ("direction", "out"),
        ("kind", "topic"),
    ];
    network.metric(site, "causeway_link_messages_total", &labels)
}

/// Of the two ways around the ring, the broker on the one that is used.
fn broker_in_use(network: &Network) -> Result<&'static str> {
    wait::until("one of the two ways to be used", wait::PATIENCE, || {
        let (a, c) = (passed_on(network, "a")?, passed_on(network, "c")?);
        ensure!(a < 10.0 || c < 10.0, "both ways are used: a {a}, c {c}");
        Ok(if a >= 20.0 {
            Some("a")
        } else if c >= 20.0 {
            Some("c")
        } else {
            None
        })
    })
}

#[test]
fn a_ring_goes_on_when_the_broker_in_use_is_killed_and_uses_it_again() -> Result<()> {
    let network = Network::up(Document::new(Shape::Ring, &["a", "b", "c", "d"]))?;
    let ends = (PUBLISHER, SUBSCRIBER);
    let topic = "/topic/mcollective.cut";
    let traffic = Traffic::start(&network, ends, MCOLLECTIVE, topic, INTERVAL)?;
    let victim = broker_in_use(&network)?;

    let mark = network.events.mark();
    let before = Instant::now();
    let killed = network.kill(victim)?;
    traffic.go_on(100)?;
    network.wait_ready(mark)?;
    // Counters of the new process begin at 0.
    wait::until("the broker to be used again", wait::PATIENCE, || {
        Ok((passed_on(&network, victim)? >= 20.0).then_some(()))
    })?;
    let report = traffic.finish()?;

    let pause = report.longest_pause(before, killed + Duration::from_secs(1));
    println!(
        "killed {victim}: {} sent, {} lost, longest pause {pause:?}",
        report.sent.len(),
        report.lost().len()
    );
    println!("stated: {STATED:?} above the {INTERVAL:?} between messages");
    let twice = report.duplicates();
    ensure!(twice.is_empty(), "came twice: {twice:?}");
    lost_only_just_before(&report, killed)?;
    ensure!(pause <= 5 * STATED + INTERVAL, "no delivery for {pause:?}");
    network.stop()
}

/// Only what the dead broker alone may have held is lost.
fn lost_only_just_before(report: &Report, killed: Instant) -> Result<()> {
    for number in report.lost() {
        let sent = report.sent[number];
        let age = killed.saturating_duration_since(sent);
        ensure!(
            sent <= killed && age <= 5 * STATED,
            "message {number} is lost although it was sent {age:?} before the kill"
        );
    }
    Ok(())
}

#[test]
fn nothing_is_lost_when_a_broker_beside_the_path_is_killed() -> Result<()> {
    let network = Network::up(Document::new(Shape::Ring, &["a", "b", "c", "d"]))?;
    let ends = (PUBLISHER, SUBSCRIBER);
    let topic = "/topic/mcollective.cut";
    let traffic = Traffic::start(&network, ends, MCOLLECTIVE, topic, INTERVAL)?;
    let unused = if broker_in_use(&network)? == "a" {
        "c"
    } else {
        "a"
    };
    let mark = network.events.mark();
    network.kill(unused)?;
    network.wait_ready(mark)?;
    traffic.go_on(50)?;
    traffic.finish()?.complete()?;
    network.stop()
}
