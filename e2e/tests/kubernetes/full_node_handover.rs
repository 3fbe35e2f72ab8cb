//! A change that needs another pod takes nothing of what waits at a site with it, where the site says `strategy: Handover`
//! (R26).

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use causeway_e2e::client::Client;
use causeway_e2e::wait;
use serde_json::Value;

use super::full_node_operator::UP;
use super::region::Region;

const REST: &str = "/queue/mcollective.rest";
const NEWS: &str = "/topic/mcollective.kept";
const DURABLE: [(&str, &str); 2] = [
    ("activemq.subscriptionName", "kept"),
    ("ack", "client-individual"),
];
const MESSAGES: usize = 2_000;
const KEPT: usize = 200;
/// Nobody is served for about two seconds; five times that.
const AWAY: Duration = Duration::from_secs(10);

fn names(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().into_iter().flatten();
    items
        .filter_map(|item| item["metadata"]["name"].as_str())
        .collect()
}

/// Until the pod of a site is another one, and alone; the longest time in which nobody could log in.
fn roll(region: &Region, site: &str, before: &str) -> Result<Duration> {
    let (mut served, mut away) = (Instant::now(), Duration::ZERO);
    wait::until("the site to have another pod", UP, || {
        if region.connect(site).is_ok() {
            away = away.max(served.elapsed());
            served = Instant::now();
        }
        let selector = format!("--selector=causeway.dev/site={site}");
        let pods = region.place.json(&["get", "pods", &selector])?;
        let items = pods["items"].as_array().context("no pods")?;
        let [pod] = &items[..] else { return Ok(None) };
        let is_new = pod["metadata"]["uid"] != before;
        let is_ready = pod["status"]["containerStatuses"][0]["ready"] == true;
        Ok((is_new && is_ready).then_some(()))
    })?;
    Ok(away)
}

fn expect(
    client: &mut Client,
    destination: &str,
    headers: &[(&str, &str)],
    count: usize,
) -> Result<()> {
    client.subscribe("1", destination, headers)?;
    for number in 0..count {
        let message = client.message()?;
        ensure!(
            message.text() == number.to_string(),
            "{number} should have come: {message:?}"
        );
        client.acknowledge(&message)?;
    }
    let extra = client.receive(Duration::from_millis(300))?;
    ensure!(extra.is_none(), "one too many: {extra:?}");
    Ok(())
}

#[test]
fn a_new_pod_takes_over_everything_that_waits_at_its_site() -> Result<()> {
    let region = Region::of_countries("handed")?;
    let operator = region.operate()?;
    region.wait_ready(&operator)?;
    let pods = region.pods()?;
    region.change_defaults(r#""strategy":"Handover""#)?;
    wait::until("the brokers to know of it", UP, || {
        let services = region.place.json(&["get", "services"])?;
        let is_there = names(&services).contains(&"mcollective--ie-handover");
        let list = region.place.json(&["get", "deployments"])?;
        let mut all = list["items"].as_array().into_iter().flatten();
        let rolls = |one: &Value| one["spec"]["strategy"]["type"] == "RollingUpdate";
        Ok((is_there && all.all(rolls)).then_some(()))
    })?;
    region.wait_ready(&operator)?;
    operator.wait_settled()?;
    ensure!(
        region.pods()? == pods,
        "the strategy alone restarted a broker"
    );

    let mut reader = region.connect_as("ie", "reader")?;
    reader.subscribe("1", NEWS, &DURABLE)?;
    reader.disconnect()?;
    let mut producer = region.connect("ie")?;
    for number in 0..KEPT {
        producer.send_with_receipt(NEWS, &[("persistent", "true")], &number.to_string())?;
    }
    for number in 0..MESSAGES {
        producer.send(REST, &[("persistent", "true")], &number.to_string())?;
    }
    producer.disconnect()?;
    let before = region.uid("ie")?;
    region.change_defaults(r#""podLabels":{"example.com/rolled":"yes"}"#)?;
    let away = roll(&region, "ie", &before).with_context(|| operator.log())?;
    println!(
        "{MESSAGES} messages and a durable subscription went to a new pod; nobody could log in for {away:?}"
    );
    ensure!(away < AWAY, "nobody could log in for {away:?}");
    region.wait_ready(&operator)?;
    // Who clears a node does so first.
    let before = region.uid("ie")?;
    let deployment = "deployment/mcollective--ie";
    region.place.kubectl(&["rollout", "restart", deployment])?;
    let away = roll(&region, "ie", &before).with_context(|| operator.log())?;
    println!("and to a third one, restarted by hand; nobody could log in for {away:?}");
    let individual = [("ack", "client-individual")];
    expect(&mut region.connect("ie")?, REST, &individual, MESSAGES)?;
    expect(
        &mut region.connect_as("ie", "reader")?,
        NEWS,
        &DURABLE,
        KEPT,
    )?;
    region.wait_ready(&operator)?;
    let log = operator.log();
    ensure!(
        !log.contains("DuplicateSite"),
        "two pods were two claims: {log}"
    );
    Ok(())
}

#[test]
fn a_new_pod_that_never_starts_leaves_the_old_one_where_it_is() -> Result<()> {
    let region = Region::of_countries("unpulled")?;
    let operator = region.operate()?;
    region.wait_ready(&operator)?;
    region.change_defaults(r#""strategy":"Handover""#)?;
    operator.wait_settled()?;
    let before = region.uid("ie")?;
    let mut client = region.connect("ie")?;
    let image =
        r#""image":{"repository":"causeway.invalid/none","tag":"none","pullPolicy":"Never"}"#;
    region.change_defaults(image)?;
    let message = wait::until("the status to name what is wrong", UP, || {
        let network = region
            .place
            .json(&["get", "brokernetwork", "mcollective"])?;
        let text = network["status"].to_string();
        Ok(text.contains("ErrImageNeverPull").then_some(text))
    })
    .with_context(|| operator.log())?;
    println!("{message}");
    client.send_with_receipt(REST, &[], "still served")?;
    ensure!(region.uid("ie")? == before, "the pod that served is gone");
    Ok(())
}
