//! Regions are given the documents in every order, and edits minutes apart: they agree a moment after the last of them, and
//! until then each says which site has which hash.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use causeway_e2e::certificates::Authority;
use causeway_e2e::kubernetes::Region;
use causeway_e2e::wait;
use serde_json::Value;

use super::declared::{Declared, GUEST, NETWORK};
use super::observed::{Brokers, REGIONS, SITES, apply, login, name};
use super::{Place, condition, is_true};

const NAMESPACE: &str = "ordered";
/// Every order of the network, its users and its Secrets.
const ORDERS: [[usize; 3]; 6] = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
];
/// Time between two documents.
const APART: Duration = Duration::from_millis(700);
/// Regions agree within 30 s after the last document; five times that.
const AGREED: Duration = Duration::from_secs(150);
/// The guest's password and that of the links, at first and after each edit.
const PASSWORDS: [(&str, &str); 7] = [
    ("guest-zero", "links-have-zero-in-it"),
    ("guest-one", "links-have-one-in-it"),
    ("guest-two", "links-have-two-in-it"),
    ("guest-three", "links-have-three-in-it"),
    ("guest-four", "links-have-four-in-it"),
    ("guest-five", "links-have-five-in-it"),
    ("guest-six", "links-have-six-in-it"),
];

#[test]
fn regions_agree_whatever_the_order_of_documents_and_say_who_differs_until_then() -> Result<()> {
    let place = Place::with_operator(NAMESPACE, "")?;
    let authority = Authority::make("the authority")?;
    let mut declared = Declared::new(&authority)?;
    let [(mut guest, link), edits @ ..] = PASSWORDS;
    declared.guest = Some(("guests", (guest, None)));
    declared.link = (link, None);
    // One region has the network first and the other one the Secrets.
    give(&place, &declared, [[0, 1, 2], [2, 1, 0]])?;
    let started = Instant::now();
    name(&place, &SITES)?;
    let took = agree(&place, guest, started)?;
    println!("made in two orders: agreed {took:?} after the last document");
    for (order, (newer, link)) in ORDERS.into_iter().zip(edits) {
        declared.sign(&authority)?;
        declared.cost += 1;
        declared.guest = Some(("guests", (newer, Some(guest))));
        declared.link = (link, Some(declared.link.0));
        guest = newer;
        let mut other = order;
        other.reverse();
        give(&place, &declared, [order, other])?;
        let took = agree(&place, guest, Instant::now())?;
        println!("edited in the order {order:?} here and {other:?} there: agreed after {took:?}");
    }
    edits_apart(&place, &mut declared, guest)
}

/// Gives each region the documents in an order of its own.
fn give(place: &Place, declared: &Declared, orders: [[usize; 3]; 2]) -> Result<()> {
    let pieces = declared.pieces(place.namespace)?;
    for turn in 0..pieces.len() {
        for (region, order) in REGIONS.into_iter().zip(orders) {
            apply(place, &pieces[order[turn]], &[region])?;
        }
        std::thread::sleep(APART);
    }
    Ok(())
}

/// Waits until both regions say so, all brokers have the same documents, and everybody knows the guest's password.
fn agree(place: &Place, password: &str, started: Instant) -> Result<Duration> {
    let mut last = String::new();
    let agreed = wait::until("the regions to agree", AGREED, || {
        last = disagreement(place, password)?;
        Ok(last.is_empty().then_some(()))
    });
    agreed.with_context(|| format!("{last}\n{}", place.explain()))?;
    Ok(started.elapsed())
}

/// What is not yet as it should be, in words.
fn disagreement(place: &Place, password: &str) -> Result<String> {
    let mut hashes = BTreeSet::new();
    for region in REGIONS {
        let network = place.network(region, NETWORK)?;
        for kind in ["Ready", "ConfigApplied", "LinksUp", "PeersInSync"] {
            let message = condition(&network, kind).map(|one| one["message"].to_string());
            let message = message.unwrap_or_default();
            if !is_true(&network, kind) || message.contains("other documents") {
                return Ok(format!("{region:?}: {kind}: {message}"));
            }
        }
        let status = &network["status"];
        hashes.insert((
            status["specHash"].to_string(),
            status["usersHash"].to_string(),
        ));
    }
    if hashes.len() > 1 {
        return Ok(format!("hashes {hashes:?}"));
    }
    for (site, _) in SITES {
        if let Err(error) = login(place, site, GUEST, password) {
            return Ok(format!("at {site}: {error:#}"));
        }
    }
    let (spec, _) = hashes.pop_first().context("no hash")?;
    for broker in &Brokers::of(place)?.all {
        let page = broker.page(place)?;
        let own = page["config"]["specHash"].to_string();
        if own != spec {
            return Ok(format!("{} runs {own}, not {spec}", broker.site));
        }
    }
    Ok(String::new())
}

/// An edit is in force in one region and unknown in the other, for as long as it takes until both say so.
fn edits_apart(place: &Place, declared: &mut Declared, guest: &str) -> Result<()> {
    let before = hash(&place.network(Region::Here, NETWORK)?);
    declared.cost = 77;
    let documents = declared.documents(place.namespace)?;
    apply(place, &documents, &[Region::Here])?;
    let started = Instant::now();
    let told = wait::until("both regions to say who differs", AGREED, || {
        let (here, there) = (
            place.network(Region::Here, NETWORK)?,
            place.network(Region::There, NETWORK)?,
        );
        let now = hash(&here);
        let is_told = now != before
            && hash(&there) == before
            && names(&here, &["us"], &before)
            && names(&there, &["ie", "uk"], &now);
        Ok(is_told.then(|| [here, there].map(|one| message(&one))))
    });
    let told = told.with_context(|| place.explain())?;
    println!(
        "after {:?} both say who differs: {told:?}",
        started.elapsed()
    );
    for region in REGIONS {
        let network = place.network(region, NETWORK)?;
        ensure!(
            is_true(&network, "LinksUp"),
            "{region:?}: drift blocks nothing"
        );
    }
    apply(place, &documents, &[Region::There])?;
    let took = agree(place, guest, Instant::now())?;
    println!("edited in one region and later in the other: agreed after {took:?}");
    Ok(())
}

fn hash(network: &Value) -> String {
    network["status"]["specHash"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

fn message(network: &Value) -> String {
    let told = condition(network, "PeersInSync").map(|one| &one["message"]);
    told.and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn names(network: &Value, sites: &[&str], hash: &str) -> bool {
    let message = message(network);
    let mut sites = sites.iter();
    sites.all(|site| message.contains(&format!("{site} has specHash {hash}")))
}
