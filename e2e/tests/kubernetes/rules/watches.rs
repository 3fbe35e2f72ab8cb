//! Watches end, are too old, and lose events.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use causeway_e2e::kubernetes::Operator;
use causeway_e2e::kubernetes::proxy::Request;
use causeway_e2e::wait;

use super::{Behind, RESYNC, edited, lists, nothing_is_left_to_do, watches};

/// Kinds that are watched.
const WATCHES: usize = 9;

/// O2: a watch that ends is begun again where it ended, without a list.
#[test]
fn watches_that_end_go_on_where_they_ended() -> Result<()> {
    let behind = Behind::new("rule-closed")?;
    let operator = behind.operate("ie")?;
    let mark = behind.proxy.recorded();
    for round in 1..=3 {
        behind.proxy.close_watches();
        wait::until("every watch to be back", wait::PATIENCE, || {
            let requests = behind.proxy.requests_since(mark);
            Ok((watches(&requests, 200) >= round * WATCHES).then_some(()))
        })
        .with_context(|| operator.log())?;
    }
    let requests = behind.proxy.requests_since(mark);
    ensure!(lists(&requests).is_empty(), "{:?}", lists(&requests));
    ensure!(watches(&requests, 200) == 3 * WATCHES, "{requests:#?}");
    behind.take_budget()?;
    let took = behind.wait_budget(&operator, wait::PATIENCE)?;
    println!("three rounds without a list, an event is heard after {took:?}");
    operator.stop()
}

/// O2: a watch whose version is too old, as after bookmarks that never came, is followed by one list in pages. An API
/// server that says so again and again is asked less and less often, and the operator holds no more than before.
#[test]
fn a_watch_that_is_too_old_is_followed_by_one_list_in_pages() -> Result<()> {
    let behind = Behind::new("rule-too-old")?;
    let operator = behind.operate("ie")?;
    let before = operator.resident()?;
    let mark = behind.proxy.recorded();
    let begin = Instant::now();
    behind.proxy.refuse("WATCH ", 410, 3 * WATCHES);
    behind.proxy.close_watches();
    let requests = wait::until("every refusal, and watches again", RESYNC, || {
        let requests = behind.proxy.requests_since(mark);
        let is_over = watches(&requests, 410) == 3 * WATCHES && watches(&requests, 200) >= WATCHES;
        Ok(is_over.then_some(requests))
    })
    .with_context(|| operator.log())?;
    println!("{} refusals in {:?}", 3 * WATCHES, begin.elapsed());
    let told = by_kind(&requests, |one| one.status == Some(410));
    let listed = by_kind(&requests, |one| one.verb == "GET");
    ensure!(told == listed, "{told:?} refusals, {listed:?} lists");
    let pages = lists(&requests);
    ensure!(pages.len() == 3 * WATCHES, "a list without pages");
    quiet(&behind, &operator)?;
    let grown = operator.resident()?.saturating_sub(before);
    println!("{grown} bytes more");
    ensure!(grown < 16 << 20, "{grown} bytes more");
    behind.take_budget()?;
    behind.wait_budget(&operator, wait::PATIENCE)?;
    operator.stop()
}

/// How many of the requests are about each kind.
fn by_kind(requests: &[Request], is_meant: impl Fn(&Request) -> bool) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for one in requests.iter().filter(|one| is_meant(one)) {
        let path = one.path.split('?').next().unwrap_or_default();
        let kind = path.rsplit('/').next().unwrap_or_default();
        *counts.entry(kind).or_default() += 1;
    }
    counts
}

/// Nothing is asked any more.
fn quiet(behind: &Behind, operator: &Operator<'_>) -> Result<()> {
    operator.wait_settled()?;
    let mark = behind.proxy.recorded();
    std::thread::sleep(Duration::from_secs(2));
    let asked = behind.proxy.requests_since(mark);
    ensure!(asked.is_empty(), "{asked:?}");
    Ok(())
}

/// O2: an API server that ends each watch as soon as it has begun is not asked in a hot loop.
#[test]
fn watches_that_end_at_once_are_no_hot_loop() -> Result<()> {
    let behind = Behind::new("rule-short")?;
    let operator = behind.operate("ie")?;
    let mark = behind.proxy.recorded();
    behind.proxy.end_at_once("WATCH ", usize::MAX);
    behind.proxy.close_watches();
    std::thread::sleep(Duration::from_secs(5));
    let asked = behind.proxy.requests_since(mark).len();
    println!("{asked} requests in 5 s");
    ensure!(asked <= WATCHES * 7, "{asked} requests in 5 s");
    behind.proxy.heal();
    behind.take_budget()?;
    behind.wait_budget(&operator, wait::PATIENCE)?;
    operator.stop()
}

/// O4: every third event of every watch is lost while a network is made, changed and tampered with; once the watches have
/// to list again the end is the same as if nothing had been lost.
#[test]
fn events_that_are_lost_change_nothing_about_the_end() -> Result<()> {
    let behind = Behind::new("rule-lost")?;
    let network = ["delete", "brokernetwork", "mcollective"];
    behind.place.kubectl(&network)?;
    behind.proxy.lose_every("WATCH ", 3);
    let operator = behind.launch("ie", &[])?;
    operator.wait_ready()?;
    let closed = "    listeners:\n      stomp: {state: Closed}\n";
    for documents in [
        super::countries()?,
        edited("cost: 50", "cost: 60")?,
        edited("    listeners:\n", closed)?,
        edited("cost: 50", "cost: 70")?,
    ] {
        behind.place.apply(&documents)?;
        std::thread::sleep(Duration::from_secs(1));
    }
    behind.take_budget()?;
    let service = ["delete", "service", "mcollective--ie-stomp"];
    behind
        .place
        .kubectl(&[&service[..], &["--ignore-not-found"]].concat())?;
    std::thread::sleep(Duration::from_secs(1));
    behind.proxy.heal();
    behind.proxy.refuse("WATCH ", 410, WATCHES);
    behind.proxy.close_watches();
    behind.wait_budget(&operator, RESYNC)?;
    operator.wait_settled()?;
    operator.stop()?;
    nothing_is_left_to_do(&behind.place, "ie")
}
