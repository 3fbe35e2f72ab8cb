//! The API server is away, refuses, or is slow.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use causeway_e2e::wait;

use super::super::operator::OF_IE;
use super::{Behind, RESYNC, edited, nothing_is_left_to_do};

/// So long it is away: ten minutes in the rule. After 20 s each watch has tried five times and waits for its sixth.
const AWAY: Duration = Duration::from_secs(20);
/// Kinds that are watched.
const WATCHES: usize = 9;

/// O1: an API server that is away is asked less and less often, at moments of chance; the operator goes on, the brokers'
/// Deployment is untouched, and what changed meanwhile is done within one resync of its return.
#[test]
fn an_api_server_that_is_away_is_asked_less_and_less_often_and_found_again() -> Result<()> {
    let behind = Behind::new("rule-away")?;
    let operator = behind.operate("ie")?;
    let deployment = || Ok(behind.place.made()?.remove("Deployment mcollective--ie"));
    let before: Result<Option<String>> = deployment();
    let before = before?.context("no Deployment")?;
    let gone = Instant::now();
    behind.proxy.go_away();
    behind.take_budget()?;
    behind.place.apply(&edited("cost: 50", "cost: 60")?)?;
    std::thread::sleep(AWAY.saturating_sub(gone.elapsed()));
    let attempts = behind.proxy.turned_away();
    backs_off(&attempts, gone)?;
    operator.resident().context("the operator has ended")?;
    behind.proxy.come_back();
    let took = behind.wait_budget(&operator, RESYNC)?;
    operator.wait_settled()?;
    println!(
        "{} attempts in {AWAY:?}, done {took:?} after its return",
        attempts.len()
    );
    let after: Result<Option<String>> = deployment();
    ensure!(after?.as_ref() == Some(&before), "{}", operator.log());
    operator.stop()?;
    nothing_is_left_to_do(&behind.place, "ie")
}

/// Fewer attempts in each half, not all at the same moments.
fn backs_off(attempts: &[Instant], gone: Instant) -> Result<()> {
    let ages = attempts.iter().map(|at| at.duration_since(gone));
    let (late, early): (Vec<Duration>, Vec<Duration>) = ages.partition(|age| *age > AWAY / 2);
    let count = attempts.len();
    ensure!(count >= WATCHES, "only {count} attempts: who asks?");
    ensure!(count <= WATCHES * 8, "{count} attempts in {AWAY:?}");
    ensure!(
        late.len() * 2 <= early.len(),
        "{} attempts, then {}",
        early.len(),
        late.len()
    );
    let moments: BTreeSet<u128> = early.iter().map(|age| age.as_millis() / 50).collect();
    ensure!(
        moments.len() >= early.len() / 3,
        "{} attempts at {} moments",
        early.len(),
        moments.len()
    );
    Ok(())
}

/// O1: what is refused with 500, 503 and 429 is tried again soon, later each time, and done once it is not refused.
#[test]
fn what_is_refused_for_a_while_is_tried_again_and_done() -> Result<()> {
    let behind = Behind::new("rule-refused")?;
    let operator = behind.operate("ie")?;
    for status in [500, 503, 429] {
        let mark = behind.proxy.recorded();
        behind.proxy.refuse("POST ", status, 2);
        behind.proxy.refuse("PATCH ", status, 2);
        behind.take_budget()?;
        let took = behind.wait_budget(&operator, RESYNC)?;
        operator.wait_settled()?;
        let writes = behind.proxy.writes_since(mark);
        let refused = writes.iter().filter(|one| one.status == Some(status));
        let refused = refused.count();
        println!("{status}: {refused} of {} writes, {took:?}", writes.len());
        ensure!(refused >= 2, "{writes:?}");
        ensure!(writes.len() <= refused + 8, "{writes:?}");
    }
    for (status, times) in [(500, WATCHES), (503, WATCHES), (429, WATCHES)] {
        let mark = behind.proxy.recorded();
        behind.proxy.refuse("WATCH ", status, times);
        behind.proxy.close_watches();
        behind.take_budget()?;
        let took = behind.wait_budget(&operator, RESYNC)?;
        let asked = behind.proxy.requests_since(mark).len();
        println!("watches refused with {status}: {asked} requests, {took:?}");
        ensure!(asked <= WATCHES * 6, "{asked} requests");
    }
    operator.stop()
}

/// O1: an API server that takes half a second for each answer gets each object made once.
#[test]
fn a_slow_api_server_gets_each_object_once() -> Result<()> {
    let behind = Behind::new("rule-slow")?;
    behind.proxy.delay("", Duration::from_millis(500));
    let operator = behind.launch("ie", &[])?;
    operator.wait_ready()?;
    let begin = Instant::now();
    wait::until("everything to be made", RESYNC, || {
        Ok((behind.place.names()? == OF_IE).then_some(()))
    })
    .with_context(|| operator.log())?;
    println!("everything is there after {:?}", begin.elapsed());
    operator.wait_settled()?;
    let mut writes = behind.proxy.writes_since(0);
    writes.retain(|one| !one.path.contains("/status") && !one.path.contains("/events"));
    let done = writes.iter();
    let done = done.filter(|one| one.status.is_some_and(|status| status < 300));
    ensure!(done.count() == OF_IE.len(), "{writes:#?}");
    // What was made and is not seen yet may be asked for again, and is there already.
    let refused = writes.len() - OF_IE.len();
    println!("{refused} were there already");
    ensure!(refused <= OF_IE.len(), "{writes:#?}");
    behind.proxy.heal();
    operator.stop()?;
    nothing_is_left_to_do(&behind.place, "ie")
}
