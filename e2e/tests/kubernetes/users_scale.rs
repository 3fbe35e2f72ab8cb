//! Thousands of users in one cluster, given as hashes: how long the first convergence takes, how long one change, and what
//! they cost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use causeway_e2e::kubernetes::{Cluster, Level, Operator};
use causeway_e2e::wait;
use serde_json::json;

use super::operator::Place;

const NETWORKS: usize = 100;
const USERS: usize = 5_000;
/// The first convergence takes 60 s; five times that.
const FIRST: Duration = Duration::from_secs(300);
/// A change of one user takes 1 s; five times that.
const CHANGE: Duration = Duration::from_secs(5);
/// Documents given to one `kubectl`.
const CHUNK: usize = 700;
/// Bytes that the operator may have in memory, in a build with all its checks: five times what is stated of a release.
const MEMORY: u64 = 5 * 150_000_000;
/// Of "wanderlust" with a salt of zeros.
const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn network(number: usize) -> String {
    let sites: Vec<_> = ["ie", "uk", "us", "de", "fr"]
        .iter()
        .map(|name| json!({"name": name}))
        .collect();
    json!({
        "apiVersion": "causeway.dev/v1alpha1", "kind": "BrokerNetwork",
        "metadata": {"name": format!("net{number}")},
        "spec": {"sites": sites, "linkAuth": {"mode": "Password"}},
    })
    .to_string()
}

fn user(number: usize, groups: &[&str]) -> String {
    json!({
        "apiVersion": "causeway.dev/v1alpha1", "kind": "BrokerUser",
        "metadata": {"name": format!("user{number}")},
        "spec": {
            "networkRef": {"name": format!("net{}", number % NETWORKS)}, "groups": groups,
            "credentials": {"type": "PasswordHash", "secretRef": {"name": "hash"}},
        },
    })
    .to_string()
}

/// Applies many documents with as many `kubectl` as it takes to keep the API server busy.
fn apply(place: &Place, documents: &[String]) -> Result<()> {
    std::thread::scope(|scope| {
        let started: Vec<_> = documents
            .chunks(CHUNK)
            .map(|chunk| scope.spawn(move || place.apply(&chunk.join("\n---\n"))))
            .collect();
        for applied in started {
            applied.join().ok().context("kubectl panicked")??;
        }
        Ok(())
    })
}

#[test]
fn five_thousand_users_cost_one_status_each_and_one_change_costs_one() -> Result<()> {
    // What controllers make of a thousand objects would be timed with what is under test.
    let cluster = Arc::new(Cluster::start(Level::ApiServer, 0)?);
    let place = Place::on(cluster, "users-scale")?;
    let started = Instant::now();
    let hash = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hash"},
        "stringData": {"passwordHash": HASH},
    });
    place.apply(&hash.to_string())?;
    let documents: Vec<String> = (0..NETWORKS)
        .map(network)
        .chain((0..USERS).map(|number| user(number, &["everyone"])))
        .collect();
    apply(&place, &documents)?;
    println!(
        "{} documents applied in {:?}",
        documents.len(),
        started.elapsed()
    );

    let started = Instant::now();
    let operator = Operator::start(&place.cluster, "ie,uk,us,de,fr", place.namespace)?;
    let writes = |verb: &[(&str, &str)]| -> Result<f64> {
        Ok(operator
            .scrape()?
            .sum("causeway_operator_api_writes_total", verb))
    };
    let statuses = [("kind", "BrokerUser"), ("verb", "status")];
    wait::until("a status for every user", FIRST, || {
        Ok((writes(&statuses)? >= USERS as f64).then_some(()))
    })
    .with_context(|| operator.log())?;
    println!("first convergence: {:?}", started.elapsed());
    let all = operator.wait_settled()?;
    let of_users = writes(&statuses)?;
    println!(
        "{all} writes, {of_users} of them statuses of users; {} MB resident",
        operator.resident()? / 1_000_000
    );
    ensure!(of_users == USERS as f64, "{of_users} statuses of users");
    ensure!(
        operator.resident()? < MEMORY,
        "{} bytes",
        operator.resident()?
    );

    let mut times = Vec::new();
    for number in 0..5 {
        let version = || {
            let name = format!("net{number}--ie-config");
            place
                .json(&["get", "secret", &name])
                .map(|one| one["metadata"]["resourceVersion"].clone())
        };
        let before = version()?;
        place.apply(&user(number, &["everyone", "admins"]))?;
        let started = Instant::now();
        wait::until("a change of one user to be written", CHANGE, || {
            Ok((version()? != before).then_some(()))
        })
        .with_context(|| operator.log())?;
        times.push(started.elapsed());
    }
    times.sort();
    let after = operator.wait_settled()? - all;
    println!(
        "a change of one user is written after {:?} (median), {:?} at most, in {} writes each",
        times[2],
        times[4],
        after / 5.0
    );
    // Five configurations, the status of the user, and that of the network for its hash of the users.
    ensure!(after <= 5.0 * 8.0, "{after} writes for five changes");
    operator.stop()?;
    let again = Operator::start(&place.cluster, "ie,uk,us,de,fr", place.namespace)?;
    let writes = again.wait_settled()?;
    ensure!(writes == 0.0, "{writes} writes after a restart");
    Ok(())
}
