//! Every subscriber gets every message once, on any graph, over no more transmissions than the
//! trees have edges.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use causeway_e2e::client::Client;
use causeway_e2e::deliveries::{Deliveries, collect};
use causeway_e2e::document::{Document, MCOLLECTIVE, Shape};
use causeway_e2e::network::Network;
use causeway_e2e::wait;

const MESSAGES: usize = 300;
const TOPIC: &str = "/topic/mcollective.once";

/// Longer than a scrape may be old.
const SETTLED: Duration = Duration::from_millis(600);

#[test]
fn each_message_arrives_once_along_a_chain() -> Result<()> {
    exactly_once(Document::new(Shape::Chain, &["a", "b", "c", "d"]))
}

#[test]
fn each_message_arrives_once_around_a_star() -> Result<()> {
    exactly_once(Document::new(Shape::Star, &["hub", "a", "b", "c"]))
}

#[test]
fn each_message_arrives_once_around_a_ring() -> Result<()> {
    exactly_once(Document::new(Shape::Ring, &["a", "b", "c", "d"]))
}

#[test]
fn each_message_arrives_once_in_a_mesh_of_four() -> Result<()> {
    exactly_once(Document::new(Shape::Mesh, &["a", "b", "c", "d"]))
}

#[test]
fn each_message_arrives_once_in_two_rings_that_share_a_broker() -> Result<()> {
    exactly_once(Document::two_rings())
}

fn exactly_once(document: Document) -> Result<()> {
    let network = Network::up(document)?;
    let sites = network.document.sites.clone();
    let (mut publishers, mut subscribers) = (Vec::new(), Vec::new());
    for site in &sites {
        let mut subscriber = network.connect(site, MCOLLECTIVE)?;
        subscriber.subscribe("once", TOPIC, &[])?;
        subscribers.push(subscriber);
        publishers.push(network.connect(site, MCOLLECTIVE)?);
    }
    warm_up(&sites, &mut publishers, &mut subscribers)?;
    let before = settled(&network, &sites)?;
    let expected: BTreeSet<String> = sites
        .iter()
        .flat_map(|site| (0..MESSAGES).map(move |number| format!("{site}/{number}")))
        .collect();

    let start = Instant::now();
    let deliveries = publish_and_collect(&sites, publishers, &mut subscribers, expected.len())?;
    println!("{} sites, {:?}", sites.len(), start.elapsed());
    for (site, deliveries) in sites.iter().zip(&deliveries) {
        deliveries.exactly_once(site, &expected)?;
    }
    transmissions(&network, &sites, before)?;
    drop(subscribers);
    network.stop()
}

/// Publishes rounds until one reaches every subscriber from every site: then all know of all
/// subscriptions.
fn warm_up(sites: &[String], publishers: &mut [Client], subscribers: &mut [Client]) -> Result<()> {
    let mut round = 0;
    wait::until("every subscription to be known", wait::START, || {
        round += 1;
        for (site, publisher) in sites.iter().zip(&mut *publishers) {
            publisher.send(TOPIC, &[], &format!("warm-up {round} {site}"))?;
        }
        let mut is_complete = true;
        for subscriber in &mut *subscribers {
            let mut heard = 0;
            while heard < sites.len() {
                let Some(frame) = subscriber.receive(Duration::from_millis(500))? else {
                    is_complete = false;
                    break;
                };
                if frame.text().starts_with(&format!("warm-up {round} ")) {
                    heard += 1;
                }
            }
        }
        Ok(is_complete.then_some(()))
    })?;
    // Late copies of earlier rounds must not be taken for what follows.
    for subscriber in subscribers {
        while subscriber.receive(Duration::from_millis(200))?.is_some() {}
    }
    Ok(())
}

fn publish_and_collect(
    sites: &[String],
    publishers: Vec<Client>,
    subscribers: &mut [Client],
    expected: usize,
) -> Result<Vec<Deliveries>> {
    std::thread::scope(|scope| {
        let readers: Vec<_> = subscribers
            .iter_mut()
            .map(|client| {
                scope.spawn(move || {
                    collect(client, expected, Duration::from_millis(500), wait::PATIENCE)
                })
            })
            .collect();
        let writers: Vec<_> = sites
            .iter()
            .zip(publishers)
            .map(|(site, client)| scope.spawn(move || publish(site, client)))
            .collect();
        for writer in writers {
            writer
                .join()
                .map_err(|_| anyhow!("a publisher panicked"))??;
        }
        readers
            .into_iter()
            .map(|reader| {
                reader
                    .join()
                    .map_err(|_| anyhow!("a subscriber panicked"))?
            })
            .collect()
    })
}

fn publish(site: &str, mut client: Client) -> Result<()> {
    for number in 0..MESSAGES {
        client.send(TOPIC, &[], &format!("{site}/{number}"))?;
    }
    client
        .disconnect()
        .with_context(|| format!("publisher at {site}"))
}

/// FWD frames of topics that all brokers together have given to their links.
fn sent_over_links(network: &Network, sites: &[String]) -> Result<f64> {
    let labels = [("direction", "out"), ("kind", "topic")];
    sites
        .iter()
        .map(|site| network.metric(site, "causeway_link_messages_total", &labels))
        .sum()
}

/// The same, once it does not change any more.
fn settled(network: &Network, sites: &[String]) -> Result<f64> {
    wait::until("the links to be quiet", wait::PATIENCE, || {
        let before = sent_over_links(network, sites)?;
        std::thread::sleep(SETTLED);
        let after = sent_over_links(network, sites)?;
        Ok((before == after).then_some(after))
    })
}

/// Each broker's tree reaches the n − 1 others over n − 1 edges.
fn transmissions(network: &Network, sites: &[String], before: f64) -> Result<()> {
    let edges = MESSAGES * sites.len() * (sites.len() - 1);
    let seen = settled(network, sites)? - before;
    println!("{seen} transmissions, the trees have {edges} edges");
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let expected = edges as f64;
    ensure!(
        seen == expected,
        "{seen} transmissions over {edges} edges of the trees"
    );
    Ok(())
}
