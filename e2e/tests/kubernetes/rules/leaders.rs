//! Several operators, of which one acts.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use causeway_e2e::kubernetes::Operator;
use causeway_e2e::kubernetes::proxy::{Proxy, Request};
use causeway_e2e::wait;
use rustix::process::Signal;

use super::super::operator::Place;
use super::{Behind, countries, wait_made};

/// How long a leader that is not heard of stays leader.
const LEASE: Duration = Duration::from_secs(4);
/// Who waits notices the end of a lease within another second; five times both on a busy machine.
const TAKEN: Duration = Duration::from_secs(25);

/// An operator that wants to lead, behind a proxy of its own.
struct Candidate<'a> {
    operator: Operator<'a>,
    proxy: Proxy,
}

impl<'a> Candidate<'a> {
    fn start(place: &'a Place) -> Result<Self> {
        let proxy = Proxy::start(&place.cluster, None)?;
        let own = format!("--own-namespace={}", place.namespace);
        let arguments = [
            "--leader-elect=true",
            "--lease-duration=4s",
            "--lease-renew=1s",
            &own,
        ];
        let operator = Operator::launch(
            &place.cluster,
            proxy.kubeconfig(),
            "ie",
            place.namespace,
            &arguments,
        )?;
        operator.wait_ready()?;
        Ok(Self { operator, proxy })
    }

    /// Waits until it leads; returns how long that took.
    fn wait_leads(&self) -> Result<Duration> {
        let begin = Instant::now();
        let leads = wait::until("a leader", TAKEN, || {
            Ok(self.operator.leads()?.then_some(()))
        });
        leads.with_context(|| self.operator.log())?;
        self.operator.wait_ready()?;
        Ok(begin.elapsed())
    }

    /// What it tried to write beside the lease.
    fn writes_since(&self, mark: usize) -> Vec<Request> {
        let mut writes = self.proxy.writes_since(mark);
        writes.retain(|one| !one.path.contains("/leases"));
        writes
    }

    /// It ends because somebody else leads.
    fn wait_lost(self) -> Result<()> {
        let (status, log) = self.operator.wait_end()?;
        ensure!(!status.success(), "it ends with {status}\n{log}");
        ensure!(log.contains("leadership is lost"), "{log}");
        Ok(())
    }
}

fn place(namespace: &'static str) -> Result<Behind> {
    let behind = Behind::new(namespace)?;
    behind.place.apply(&countries()?)?;
    Ok(behind)
}

/// O7: of two operators one writes. The other takes over when the first is killed, and at once when it is stopped.
#[test]
fn one_of_two_operators_writes_and_the_other_takes_over() -> Result<()> {
    let behind = place("rule-leaders")?;
    let first = Candidate::start(&behind.place)?;
    first.wait_leads()?;
    wait_made(&behind.place, &first.operator, "ie")?;
    let second = Candidate::start(&behind.place)?;
    behind.take_budget()?;
    behind.wait_budget(&first.operator, wait::PATIENCE)?;
    ensure!(!second.operator.leads()?, "two lead");
    let asked = second.proxy.requests_since(0);
    let others = asked.iter().filter(|one| !one.path.contains("/leases/"));
    let others: Vec<_> = others.collect();
    ensure!(others.is_empty(), "who waits asks: {others:?}");

    first.operator.kill();
    let killed = second.wait_leads()?;
    second.operator.wait_settled()?;
    let writes = second.writes_since(0);
    ensure!(writes.is_empty(), "it begins with writes: {writes:?}");
    behind.take_budget()?;
    behind.wait_budget(&second.operator, wait::PATIENCE)?;

    let third = Candidate::start(&behind.place)?;
    ensure!(!third.operator.leads()?, "two lead");
    second.operator.stop()?;
    let stopped = third.wait_leads()?;
    println!("taken over {killed:?} after a death, {stopped:?} after an end");
    ensure!(
        stopped < LEASE,
        "it waited for the end of a lease: {stopped:?}"
    );
    third.operator.stop()
}

/// O7: a leader that is paused beyond its lease writes nothing when it goes on, though it finds something to repair and
/// whoever leads now is not quick enough to do it: it ends.
#[test]
fn a_leader_that_was_paused_beyond_its_lease_writes_nothing_any_more() -> Result<()> {
    let behind = place("rule-paused")?;
    let first = Candidate::start(&behind.place)?;
    first.wait_leads()?;
    wait_made(&behind.place, &first.operator, "ie")?;
    let second = Candidate::start(&behind.place)?;
    first.operator.signal(Signal::STOP)?;
    let mark = first.proxy.recorded();
    let took = second.wait_leads()?;
    println!("taken over {took:?} after the pause began");
    second.operator.wait_settled()?;
    renewed(&second)?;
    second.operator.signal(Signal::STOP)?;
    behind.take_budget()?;
    first.operator.signal(Signal::CONT)?;
    let (proxy, operator) = (first.proxy, first.operator);
    let (status, log) = operator.wait_end()?;
    let mut writes = proxy.writes_since(mark);
    println!("the first ends with {status}; {writes:?}");
    writes.retain(|one| !one.path.contains("/leases"));
    ensure!(writes.is_empty(), "{writes:?}\n{log}");
    ensure!(!status.success(), "{status}\n{log}");
    let budgets = behind.place.names()?;
    let budget = "PodDisruptionBudget mcollective--ie".to_owned();
    ensure!(!budgets.contains(&budget), "somebody wrote");
    second.operator.signal(Signal::CONT)?;
    behind.wait_budget(&second.operator, wait::PATIENCE)?;
    second.operator.stop()
}

/// Waits until a leader has renewed its lease just now.
fn renewed(leader: &Candidate<'_>) -> Result<()> {
    let mark = leader.proxy.recorded();
    wait::until("another renewal", TAKEN, || {
        let writes = leader.proxy.writes_since(mark);
        let mut renewals = writes.iter();
        let is_renewed = renewals.any(|one| one.path.contains("/leases") && one.status.is_some());
        Ok(is_renewed.then_some(()))
    })
}

/// O7: a leader that reaches the API server, yet cannot renew its lease, stops writing when the lease is over, before
/// another begins.
#[test]
fn a_leader_that_cannot_renew_stops_before_another_begins() -> Result<()> {
    let behind = place("rule-unrenewed")?;
    let first = Candidate::start(&behind.place)?;
    first.wait_leads()?;
    wait_made(&behind.place, &first.operator, "ie")?;
    let second = Candidate::start(&behind.place)?;
    first.proxy.refuse("/leases/", 500, usize::MAX);
    let took = second.wait_leads()?;
    let mark = first.proxy.recorded();
    println!("taken over {took:?} after the last renewal");
    for _ in 0..3 {
        behind.take_budget()?;
        behind.wait_budget(&second.operator, wait::PATIENCE)?;
        std::thread::sleep(Duration::from_millis(500));
    }
    let writes = first.writes_since(mark);
    ensure!(writes.is_empty(), "{writes:?}");
    first.operator.resident().context("it has ended")?;
    first.proxy.heal();
    first.wait_lost()?;
    second.operator.stop()
}

/// O7, O1: an API server that is away for longer than a lease ends nobody: the leader writes nothing meanwhile and goes on
/// with the lease that nobody could take.
#[test]
fn a_leader_outlives_an_api_server_that_is_away_for_longer_than_a_lease() -> Result<()> {
    let behind = place("rule-outlived")?;
    let only = Candidate::start(&behind.place)?;
    only.wait_leads()?;
    wait_made(&behind.place, &only.operator, "ie")?;
    only.proxy.go_away();
    behind.take_budget()?;
    std::thread::sleep(LEASE + Duration::from_secs(2));
    only.proxy.come_back();
    let took = behind.wait_budget(&only.operator, super::RESYNC)?;
    println!("done {took:?} after its return");
    only.operator.stop()
}
