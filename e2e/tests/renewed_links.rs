//! Passwords, certificates and the authority of links change while traffic flows over them: every
//! link goes on over a newer connection, and nobody notices.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use causeway_e2e::certificates::SiteCertificates;
use causeway_e2e::document::{Document, MCOLLECTIVE, NETWORK, Shape};
use causeway_e2e::network::Network;
use causeway_e2e::traffic::Traffic;
use causeway_e2e::wait;
use serde_json::Value;

const SITES: [&str; 3] = ["ie", "uk", "us"];
const TOPIC: &str = "/topic/mcollective.traffic";
/// 200 messages a second in each direction.
const INTERVAL: Duration = Duration::from_millis(5);
/// Renewals of a site with two links are spread over 10 s, and the later one of two ends decides.
const RENEWED: Duration = Duration::from_secs(75);

/// One end of a link, as its site shows it.
fn ends(network: &Network) -> Result<Vec<Value>> {
    let mut ends = Vec::new();
    for site in SITES {
        let status = network.status(site)?;
        let links = status["links"].as_array().context("no links")?;
        ends.extend(links.iter().cloned());
    }
    Ok(ends)
}

/// How often links came up, went on over newer connections, and sent messages again, at all ends.
fn counts(network: &Network) -> Result<[f64; 3]> {
    let mut counts = [0.0; 3];
    for site in SITES {
        let scrape = network.scrape(site)?;
        let done = [("result", "done")];
        for (count, (name, labels)) in counts.iter_mut().zip([
            ("causeway_link_connects_total", &[][..]),
            ("causeway_link_renewals_total", &done[..]),
            ("causeway_link_resent_messages_total", &[][..]),
        ]) {
            *count += scrape.sum(name, labels);
        }
    }
    Ok(counts)
}

/// Waits until every end of every link is as it should be.
fn wait_for(network: &Network, what: &str, is_so: impl Fn(&Value) -> bool) -> Result<Duration> {
    let begin = Instant::now();
    wait::until(what, RENEWED, || {
        let ends = ends(network)?;
        Ok(ends.iter().all(&is_so).then_some(()))
    })?;
    Ok(begin.elapsed())
}

/// Traffic in both directions, from end to end.
fn traffic(network: &Network) -> Result<[Traffic; 2]> {
    let start = |from, to, topic| Traffic::start(network, (from, to), MCOLLECTIVE, topic, INTERVAL);
    Ok([
        start("ie", "us", TOPIC)?,
        start("us", "ie", "/topic/mcollective.back")?,
    ])
}

/// How long the ends of all links are in their state.
fn ages(network: &Network) -> Result<Vec<Duration>> {
    let ages = ends(network)?.into_iter().map(|end| {
        let age = end["sinceMs"].as_u64().context("no age of a state")?;
        Ok(Duration::from_millis(age))
    });
    ages.collect()
}

/// What is compared in the end: when, how long links were in their states, and what they counted.
type Before = (Instant, Vec<Duration>, [f64; 3]);

fn before(network: &Network) -> Result<Before> {
    Ok((Instant::now(), ages(network)?, counts(network)?))
}

/// I27: everything arrived once, no link went down, and each was renewed.
fn nobody_noticed(
    network: Network,
    traffic: [Traffic; 2],
    (begin, before, counted): Before,
    least: f64,
) -> Result<()> {
    let passed = begin.elapsed();
    for (now, then) in ages(&network)?.into_iter().zip(before) {
        // They are asked one after the other.
        let slack = Duration::from_secs(2);
        ensure!(
            now + slack >= then + passed,
            "a state is {now:?} old and was {then:?}"
        );
    }
    for one in traffic {
        let report = one.finish()?;
        println!("{} messages", report.sent.len());
        report.complete()?;
    }
    let [connects, renewals, resent] = counts(&network)?;
    println!("{connects} connects, {renewals} renewals, {resent} messages sent again");
    ensure!(connects == counted[0], "links came up {connects} times");
    ensure!(renewals >= counted[1] + least, "{renewals} renewals");
    ensure!(resent == counted[2], "{resent} messages were sent again");
    network.stop()
}

#[test]
fn links_get_other_passwords_under_traffic() -> Result<()> {
    let mut network = Network::up(Document::new(Shape::Chain, &SITES))?;
    let flow = traffic(&network)?;
    let before = before(&network)?;

    network.change(|document| document.link_passwords = ("-second", Some("")))?;
    let goal = 4.0;
    let begin = Instant::now();
    wait::until("every link to be renewed", RENEWED, || {
        let [_, renewals, _] = counts(&network)?;
        Ok((renewals >= goal).then_some(()))
    })?;
    wait_for(&network, "current passwords", |end| {
        end["credential"] == "current"
    })?;
    println!("renewed after {:?}", begin.elapsed());

    // The one before is good for nothing any more.
    network.change(|document| document.link_passwords = ("-second", None))?;
    flow[0].go_on(400)?;
    nobody_noticed(network, flow, before, goal)
}

/// A network whose links take certificates of an authority.
fn with_certificates(certificates: &SiteCertificates) -> Result<Network> {
    let mut document = Document::new(Shape::Chain, &SITES);
    (document.tls, document.link_auth) = (Some(certificates.clone()), Some("MTLS"));
    Network::up(document)
}

/// O11: both roots are trusted, then the certificates change, then the old root goes; no link is down at any time.
#[test]
fn the_authority_of_links_is_exchanged_under_traffic() -> Result<()> {
    let old = SiteCertificates::make(NETWORK, &SITES)?;
    let new = SiteCertificates::make(NETWORK, &SITES)?;
    let mut network = with_certificates(&old)?;
    let first = ends(&network)?;
    let root = first[0]["root"].clone();
    ensure!(root.is_string(), "no root is shown: {}", first[0]);
    let flow = traffic(&network)?;
    let before = before(&network)?;

    network.change(|document| document.tls = Some(old.trusting(&new)))?;
    flow[0].go_on(200)?;
    network.change(|document| document.tls = Some(new.trusting(&old)))?;
    let took = wait_for(&network, "other roots", |end| {
        end["state"] == "up" && end["root"].is_string() && end["root"] != root
    })?;
    println!("no link needs the old authority any more after {took:?}");

    network.change(|document| document.tls = Some(new.clone()))?;
    flow[0].go_on(400)?;
    nobody_noticed(network, flow, before, 4.0)
}

/// O11: a rotation that stops half way, with a certificate whose root nobody trusts yet, takes no link down: each stays on
/// the connection that it has, until the root is there.
#[test]
fn a_certificate_that_nobody_trusts_yet_takes_no_link_down() -> Result<()> {
    let old = SiteCertificates::make(NETWORK, &SITES)?;
    let new = SiteCertificates::make(NETWORK, &SITES)?;
    let mut network = with_certificates(&old)?;
    let first = ends(&network)?;
    let root = first[0]["root"].clone();
    let flow = traffic(&network)?;
    let before = before(&network)?;

    let half = old.with_one_of(&new, "us");
    network.change(|document| document.tls = Some(half.clone()))?;
    let failed = [("result", "failed")];
    // Whoever dialled the link counts it.
    wait::until("a renewal to fail", RENEWED, || {
        let count = |site| network.metric(site, "causeway_link_renewals_total", &failed);
        Ok((count("uk")? + count("us")? >= 1.0).then_some(()))
    })?;
    flow[0].go_on(400)?;
    for end in ends(&network)? {
        ensure!(end["state"] == "up" && end["root"] == root, "{end}");
    }
    network.change(|document| document.tls = Some(half.trusting(&new)))?;
    let took = wait_for(&network, "the other root at us", |end| {
        let is_of_us = end["link"] == "uk-us" && end["peer"] == "us";
        end["state"] == "up" && (!is_of_us || end["root"] != root)
    })?;
    println!("the new certificate is in use {took:?} after its root is trusted");
    nobody_noticed(network, flow, before, 2.0)
}

#[test]
fn links_go_from_passwords_to_certificates_under_traffic() -> Result<()> {
    let mut document = Document::new(Shape::Chain, &SITES);
    document.tls = Some(SiteCertificates::make(NETWORK, &SITES)?);
    document.link_auth = Some("Password");
    let mut network = Network::up(document)?;
    wait_for(&network, "passwords", |end| end["credential"] == "current")?;
    let flow = traffic(&network)?;
    let before = before(&network)?;

    network.change(|document| document.link_auth = Some("PasswordAndMTLS"))?;
    let took = wait_for(&network, "certificates", |end| {
        end["state"] == "up" && end["credential"] == "certificate"
    })?;
    println!("no link needs its password any more after {took:?}");

    network.change(|document| document.link_auth = Some("MTLS"))?;
    flow[0].go_on(400)?;
    nobody_noticed(network, flow, before, 4.0)
}
