//! Networks of brokers in virtual time: the control plane, the data plane and the connections of
//! the broker, over streams that are cut into segments, delayed, stalled and reset.
//!
//! A run is a scenario, a number of brokers and a seed, which decide everything. A network comes
//! up, carries messages in peace, suffers at least three faults under traffic, heals, and carries
//! messages in peace again. What is checked (numbers are those of the design):
//!
//! * I1, always: no subscriber gets a message twice; an unmarked copy reaches a broker once.
//! * I4 and I6, always: the parts of each split are disjoint and together the whole; nothing is
//!   sent on above its bound of hops.
//! * I9, always: no data frame is written before map and interest frames that were queued before it.
//! * Always: no broker takes offence at the bytes of another one.
//! * I7, within 90 s after the last fault: all links up and advertised, maps, interest and reports
//!   equal, everybody reached, each topic mapped to exactly the brokers that want it, rings and
//!   limbo empty. Then I4 and I5: following next hops is the shortest way, from all to all.
//! * I2 and I3, in peace: exactly once to everybody, over a tree of shortest paths without a wire
//!   too much.
//! * I16 in `one-…`, one link after the other in a network that stays connected: nothing is lost to
//!   subscribers that were there before.
//! * I18 in `halves`: two parts that do not reach each other serve their own subscribers, and I4:
//!   everybody reaches exactly their own part.
//! * I17, always: rings, overflow, limbo and windows keep to their bounds, with what R10 allows above.
//! * I22 in `full-…`: over slow wires and full rings links stay up, producers wait and go on, and
//!   what may not be dropped arrives.
//! * I30 in `only-…`: an only path that is back within `limbo_time` loses nothing.
//! * I24 in `leave-…`: a broker that leaves loses nothing where the others stay connected.
//! * I16, I21 and R21 in `change-…`: links come, go and change their costs without a loss and within
//!   a bound of bytes; nothing of a denied site is taken.
//! * I19 in `claims-…`: a second claim of a live site is refused; a process with an old clock is taken.
//! * I27 in `renew-…`: other certificates or passwords renew links under traffic, and neither a link
//!   nor a route nor a message shows it; I16 when connections fail in the middle of it.
//! * I8, always: versions of records never fall. R9: no message is dropped before its time is over.
//!
//! All other runs suffer anything: resets, silence in one or both directions, flapping, partitions,
//! crashes with a new epoch. What is lost meanwhile is not judged there.
//!
//! `queue-…`, `reply-…` and `monitor-…` carry queue messages instead: producers everywhere, consumers that are slow,
//! select, come, wander and go, messages that expire, requests with an answering queue or topic of
//! their own. Queues are the product's own state.
//!
//! * I12, always: a message is in service at one broker, one consumer is done with it; a second one
//!   only after doubt or a crash, and one of them is told. In the end everything is consumed that
//!   somebody wants, no transfer is open, and only what its owner's crash took is missing.
//! * I13, always: nothing waits while a consumer that is reached and selects it has had room for
//!   longer than sweep, hold, back-off and a round of credit.
//! * I14, always: a message moves once, and again only with a reason; no entry in one state refuses it
//!   twice, for want of a consumer, to a broker that has had it all the time.
//! * I10 and I28, in peace: who asks in a queue or under a topic that lives 900 ms, and so was
//!   announced to nobody, has the answer; so has who waits for it at another broker.
//! * I17: reorder buffers and learned routes are within their caps.
//! * R16, always: nothing is promised to others where nobody consumes any more.
//!
//! I11 holds in all runs: while no path changes, frames arrive in the order of their origin.
//! I29 in `monitor-…`, always: monitors of all answers, in queues and topics, take none away from who
//! waits for it, and have none that somebody waits for, or waited for a moment ago.
//! Exclusive consumers are not simulated here.
//!
//! A run that fails is made smaller before it is shown, by halving brokers, faults and messages. The
//! last part of its line says how much of the script is played.
//!
//! ```text
//! CAUSEWAY_SIM_SEEDS=10000 cargo test --release -p causeway-broker --test mesh_sim many -- --nocapture
//! CAUSEWAY_SIM=ring:12:0x9f3ac1 cargo test -p causeway-broker --test mesh_sim replay -- --nocapture
//! CAUSEWAY_SIM=ring:6:0x1:faults=3,messages=100 cargo test -p causeway-broker --test mesh_sim replay
//! CAUSEWAY_SIM_KIND=full CAUSEWAY_SIM_SEEDS=100 cargo test -p causeway-broker --test mesh_sim many
//! ```

#[path = "support/mesh_sim/mod.rs"]
mod sim;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sim::queue_runs::QUEUE_SCENARIOS;
use sim::scenario::{Run, SCENARIOS, Scenario};
use sim::shrink::{Most, shrink};
use sim::topology::Shape;
use sim::world::{Sabotage, World};

/// Fresh seeds of a usual run; `CAUSEWAY_SIM_SEEDS` says another number.
const USUAL: u64 = 200;
/// The same with queues: one of them is as much work as several of the others.
const USUAL_WITH_QUEUES: u64 = 40;

/// Runs that broke an invariant once.
const KNOWN_BUGS: [&str; 11] = [
    // A PING overtook the ACCEPT queued before it.
    "star:6:0xca05",
    // Wandered between brokers whose maps differed for as long as an advertisement was held back.
    "one-ring:6:0x6611a09d814b8968",
    // A message whose time was over was offered again and again.
    "queue-mesh:5:0x3",
    // A receiver gave a new stream up before its owner could have sent the lost beginning again.
    "queue-countries:6:0x6611b391deb4bd3c",
    // Frames of a dead link overtook interest that was gathered but not said.
    "countries:5:0x6611b5b3f0f5f000",
    // A cost that changed several times was told late, and messages went round until they were dropped.
    "change-regular:7:0x6611b590793d8202",
    // A slow link was taken for dead in the middle of a long message.
    "full-ring:7:0x6611b119a3e12606",
    // A message whose time was over while it was in doubt came back and was served.
    "queue-star:7:0x6611b73bd19f0eaa",
    // A message that had gone round while maps differed waited for a map that never came.
    "leave-regular:10:0x6611bfb8acf0e5ca",
    // Each refusal of one batch doubled the back-off.
    "queue-countries:8:0x6611bfb8ad8d27f4",
    // A copy of a transfer that was still on its way was taken by the next process of its receiver.
    "queue-countries:8:0x66136436be9a437d:messages=0",
];

/// Networks larger than those of fresh seeds.
const LARGE: [&str; 5] = [
    "tree:20:7",
    "parallel:20:4",
    "change-regular:20:3",
    "full-tree:20:1",
    "tree:50:7",
];

/// What the kinds of runs are there for; each happens in the fixed runs.
const SEEN: [&str; 16] = [
    "claim refused",
    "costs tried",
    "deny",
    "expired",
    "full ring drops",
    "leave",
    "link added",
    "link removed",
    "old clock",
    "monitor served",
    "only path judged",
    "parted",
    "producer is slowed",
    "producer waits",
    "renewal struck",
    "renewed",
];

/// Runs on two threads; gives the reports of those that failed, made as small as they get, and what
/// was seen.
fn execute_all(runs: &[Run]) -> (Vec<String>, BTreeSet<&'static str>) {
    let next = AtomicU64::new(0);
    let work = || {
        let (mut reports, mut seen) = (Vec::new(), BTreeSet::new());
        while let Ok(at) = usize::try_from(next.fetch_add(1, Ordering::Relaxed))
            && let Some(run) = runs.get(at)
        {
            let world = run.execute();
            seen.extend(world.watch.seen.keys());
            if world.oracle.failure.is_some() {
                let small = shrink(*run, None);
                let report = small.report(&small.execute()).unwrap_or_default();
                reports.push(format!("{run}: {report}"));
            }
        }
        (reports, seen)
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(work);
        let (mut reports, mut seen) = work();
        let (more, others) = other.join().expect("a run panicked");
        reports.extend(more);
        seen.extend(others);
        (reports, seen)
    })
}

fn fresh_run(scenarios: &[Scenario], seed: u64) -> Run {
    // One kind of runs, for whoever looks for something.
    let kind = std::env::var("CAUSEWAY_SIM_KIND").unwrap_or_default();
    let kinds = scenarios.iter().filter(|one| one.name.starts_with(&kind));
    let kinds: Vec<Scenario> = kinds.copied().collect();
    let scenario = kinds[usize::try_from(seed % kinds.len() as u64).unwrap()];
    // Everybody with everybody is much more work for the same rules.
    let most = match (scenario.shape, (seed >> 16) % 16) {
        (Shape::Mesh, _) => 2,
        (_, 0) => 8,
        _ => 4,
    };
    Run {
        scenario,
        brokers: 5 + usize::try_from((seed >> 8) % most).unwrap(),
        seed,
        most: Most::default(),
    }
}

#[test]
fn fixed_seeds_keep_all_invariants() {
    let mut runs: Vec<Run> = SCENARIOS
        .iter()
        .chain(&QUEUE_SCENARIOS)
        .map(|scenario| Run {
            scenario: *scenario,
            brokers: 6,
            seed: 0xca09,
            most: Most::default(),
        })
        .collect();
    let known = KNOWN_BUGS.iter().chain(&LARGE);
    runs.extend(known.map(|line| Run::parse(line).expect("a known run")));
    let (reports, seen) = execute_all(&runs);
    assert!(reports.is_empty(), "{}", reports.join("\n\n"));
    let missing: Vec<&&str> = SEEN.iter().filter(|what| !seen.contains(**what)).collect();
    assert!(missing.is_empty(), "never seen: {missing:?}");
}

/// The rules that are left out, where, and the invariant that is broken by it.
const SABOTAGES: [(Sabotage, &[&str], &str); 15] = [
    (Sabotage::Window, &ONE_LINK, "I1"),
    (Sabotage::Mark, &ONE_LINK, "I1"),
    (Sabotage::Resplit, &ONE_LINK, "I16"),
    (Sabotage::Forget, &ONE_LINK, "I16"),
    (Sabotage::TwoWay, &["halves"], "I4"),
    (Sabotage::Barrier, &["ring", "mesh"], "I9"),
    (Sabotage::Hops, &["ring", "countries"], "I6"),
    (Sabotage::ReaderWaits, &["full-ring"], "I22"),
    (Sabotage::Producers, &["full-ring", "full-tree"], "I17"),
    (Sabotage::Sign, &["full-ring", "full-tree"], "I22"),
    (Sabotage::Limbo, &["only-chain", "only-tree"], "I30"),
    (Sabotage::Hurry, &["leave-ring", "leave-mesh"], "I24"),
    (Sabotage::Removed, &["change-regular", "change-grid"], "I16"),
    (Sabotage::Overtake, &["renew-ring", "renew-mesh"], "I11"),
    (Sabotage::Renewed, &["renew-ring", "renew-mesh"], "I16"),
];
const ONE_LINK: [&str; 4] = ["one-ring", "one-mesh", "one-countries", "one-regular"];

/// The first seed at which something breaks when a rule is left out, and what.
fn noticed(sabotage: Sabotage, scenarios: &[&str]) -> Option<(u64, &'static str)> {
    (0..200).find_map(|seed| {
        let name = scenarios[usize::try_from(seed).unwrap() % scenarios.len()];
        let run = Run::parse(&format!("{name}:6:{seed}")).expect("a run");
        let world = run.execute_without(Some(sabotage));
        let failure = world.oracle.failure?;
        Some((seed, failure.invariant))
    })
}

#[test]
fn a_driver_that_leaves_a_rule_out_is_noticed() {
    for (sabotage, scenarios, invariant) in SABOTAGES {
        let found = noticed(sabotage, scenarios);
        println!("{sabotage:?}: {found:?}");
        let found = found.map(|(_, invariant)| invariant);
        assert_eq!(found, Some(invariant), "{sabotage:?}");
    }
}

#[test]
fn a_driver_that_leaves_a_rule_of_queues_out_is_noticed() {
    let queues: &[&str] = &["queue-ring", "queue-mesh", "queue-chain"];
    let replies: &[&str] = &["reply-ring", "reply-mesh", "reply-chain"];
    let monitors: &[&str] = &["monitor-ring", "monitor-mesh", "monitor-chain"];
    for (sabotage, scenarios, invariant) in [
        (Sabotage::Learned, replies, "I10"),
        (Sabotage::Addition, replies, "I10"),
        (Sabotage::Monitors, monitors, "I29"),
        (Sabotage::Patterns, monitors, "I28"),
        (Sabotage::Refusals, queues, "I14"),
        (Sabotage::Repeats, queues, "I12"),
        (Sabotage::Gone, queues, "I13"),
        (Sabotage::Sweep, queues, "I13"),
    ] {
        let found = noticed(sabotage, scenarios).map(|(_, invariant)| invariant);
        assert_eq!(found, Some(invariant), "{sabotage:?}");
    }
}

/// Round trip 20 ms and a bit: jitter adds up to half of it.
#[test]
fn a_consumer_with_little_room_is_served_at_the_pace_of_the_wire() {
    let (delay, round_trip) = (Duration::from_millis(10), Duration::from_millis(20));
    for (prefetch, count) in [(1, 50), (2, 100), (10, 500)] {
        let took = sim::queue_runs::pace(prefetch, count, delay, None);
        println!("prefetch {prefetch}: {count} messages took {took:?}");
        assert!(took < 50 * 2 * round_trip, "prefetch {prefetch}: {took:?}");
    }
    let took = sim::queue_runs::pace(1, 50, delay, Some(Sabotage::Room));
    assert!(took > Duration::from_secs(20), "not told of room: {took:?}");
}

#[test]
fn credit_that_is_not_needed_any_more_is_returned_at_once() {
    assert_eq!(sim::queue_runs::credit_after(false), (0, 0));
    assert_eq!(sim::queue_runs::credit_after(true), (0, 0));
    assert_eq!(sim::queue_runs::promised_for_nobody(None), 0);
    let left_out = Some(Sabotage::Promises);
    assert!(sim::queue_runs::promised_for_nobody(left_out) > 0);
}

#[test]
fn a_link_that_carries_one_message_for_longer_than_it_may_stand_still_stays_up() {
    let failure = |sabotage| {
        let mut world = World::new(Shape::Chain, 2, 1);
        world.sabotage = sabotage;
        (0..2).for_each(|at| world.start(at));
        world.run(std::time::Duration::from_secs(1));
        world.settle();
        world.long_message();
        world.oracle.failure
    };
    assert!(failure(None).is_none(), "{:?}", failure(None));
    // The link ends, and the message is too old for another way.
    assert!(failure(Some(Sabotage::Took)).is_some());
}

#[test]
fn a_run_that_fails_is_made_smaller() {
    let left_out = Some(Sabotage::Forget);
    let run = Run::parse("one-ring:6:0x8").expect("a run");
    let small = shrink(run, left_out);
    let failure = |run: &Run| run.execute_without(left_out).oracle.failure;
    let (before, after) = (failure(&run), failure(&small));
    assert_eq!(before.map(|one| one.invariant), Some("I16"));
    assert_eq!(after.map(|one| one.invariant), Some("I16"));
    assert!(small.brokers < run.brokers, "{small}");
}

#[test]
fn the_line_of_a_run_says_how_much_of_it_is_played() {
    for line in [
        "ring:6:0x1:faults=3,messages=100",
        "full-tree:5:0x2:messages=7",
        "ring:5:0x1",
    ] {
        assert_eq!(Run::parse(line).expect("a run").to_string(), line);
    }
    let run = Run::parse("ring:6:0x1:faults=1,messages=50").expect("a run");
    let world = run.execute();
    assert_eq!((world.faults.len(), world.oracle.messages.len()), (1, 50));
}

#[test]
fn many_seeds_keep_all_invariants() {
    many(&SCENARIOS, USUAL);
}

#[test]
fn many_seeds_with_queues_keep_all_invariants() {
    many(&QUEUE_SCENARIOS, USUAL_WITH_QUEUES);
}

fn many(scenarios: &[Scenario], usual: u64) {
    let count = match std::env::var("CAUSEWAY_SIM_SEEDS") {
        Err(_) => usual,
        Ok(count) => count.parse().expect("a number of seeds"),
    };
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let base = u64::try_from(clock.as_micros()).unwrap() << 12;
    println!("{count} seeds from {base:#x}");
    let runs: Vec<Run> = (0..count)
        .map(|at| fresh_run(scenarios, base + at * 257))
        .collect();
    let (reports, _) = execute_all(&runs);
    let first = reports.first().cloned().unwrap_or_default();
    for report in &reports {
        let mut lines = report.lines();
        println!("{}", lines.next().unwrap_or_default());
        println!("  {}", lines.next_back().unwrap_or_default());
    }
    assert!(reports.is_empty(), "{} fail\n{first}", reports.len());
}

#[test]
fn replay() {
    let text = std::env::var("CAUSEWAY_SIM").unwrap_or_else(|_| "ring:5:1".to_owned());
    let run = Run::parse(&text).expect("CAUSEWAY_SIM=<scenario>:<brokers>:<seed>");
    let world = run.execute();
    for (at, note) in &world.oracle.trace {
        println!("{:>14.6} ms  {note}", at.0 as f64 / 1e6);
    }
    println!("seen: {:?}", world.watch.seen);
    if let Some(report) = run.report(&world) {
        panic!("{report}");
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..10 {
        for scenarios in [&SCENARIOS[..], &QUEUE_SCENARIOS] {
            let run = fresh_run(scenarios, seed);
            let (one, other) = (run.execute(), run.execute());
            assert!(one.oracle.trace == other.oracle.trace, "{run}");
        }
    }
}
