//! Messages whose time is over while they wait.

use super::{Peer, broker_with};
use crate::clock;

/// Milliseconds that a message of these tests lives.
const LIFE_MS: i64 = 20;

fn expires() -> (i64, String) {
    let at = clock::wall_ms() + LIFE_MS;
    (at, format!("persistent:true\nexpires:{at}\n"))
}

fn wait_until(wall_ms: i64) {
    while clock::wall_ms() < wall_ms {
        std::thread::yield_now();
    }
}

#[test]
fn a_consumer_that_comes_too_late_gets_the_next_one_and_the_first_is_a_dead_letter() {
    let broker = broker_with("");
    let mut bob = Peer::connect(&broker, "bob", "p");
    let (at, headers) = expires();
    bob.send_with("/queue/q", &headers, "a");
    bob.send("/queue/q", "b");
    wait_until(at);
    let mut peer = Peer::connect(&broker, "alice", "c");
    peer.subscribe("destination:/queue/q\nack:client\nactivemq.prefetchSize:1");
    assert_eq!(peer.bodies(), ["b"], "no sweep came between");
    bob.subscribe("destination:/queue/ActiveMQ.DLQ");
    assert_eq!(bob.bodies(), ["a"]);
    let counter = &broker.metrics.dead_letters;
    assert_eq!(counter.with_label_values(&["expired"]).get(), 1);
}

/// The queues that dead letters came from, how many expired messages were dropped, and how many
/// were kept.
fn ends(broker: &std::sync::Arc<crate::broker::Broker>) -> (Vec<String>, u64, u64) {
    let mut reader = Peer::connect(broker, "bob", "r");
    reader.subscribe("destination:/queue/ActiveMQ.DLQ");
    let heard = reader.heard();
    let of = |line: &str| {
        line.strip_prefix("original-destination:queue\\c//")
            .map(str::to_owned)
    };
    let dead = heard.lines().filter_map(of).collect();
    reader.leave();
    let count = |counter: &prometheus::IntCounterVec| counter.with_label_values(&["expired"]).get();
    let metrics = &broker.metrics;
    (
        dead,
        count(&metrics.messages_dropped),
        count(&metrics.dead_letters),
    )
}

#[test]
fn what_is_over_when_it_is_sent_ends_as_what_expires_later() {
    let rows = [
        ("/queue/q", "persistent:true\n", "", true),
        ("/queue/q", "", "", false),
        ("/queue/q", "", "dead_letter_non_persistent: true", true),
        (
            "/queue/q",
            "persistent:true\n",
            "dead_letter_expired: false",
            false,
        ),
        ("/queue/q", "persistent:true\n", "dead_letter: \"\"", false),
        ("/queue/ActiveMQ.DLQ", "persistent:true\n", "", false),
        ("/topic/t", "persistent:true\n", "", false),
        ("/temp-queue/t", "persistent:true\n", "", false),
    ];
    for (destination, headers, policy, is_kept) in rows {
        for is_over_at_once in [true, false] {
            let broker = broker_with(&format!("queue: {{{policy}}}\n"));
            let mut peer = Peer::connect(&broker, "alice", "c");
            if destination.starts_with("/queue") || is_over_at_once {
                let at = clock::wall_ms() + if is_over_at_once { 0 } else { LIFE_MS };
                let headers = format!("{headers}expires:{at}\nreceipt:r\n");
                peer.send_with(destination, &headers, "late");
                assert!(peer.heard().starts_with("RECEIPT\n"));
                wait_until(at);
                peer.subscribe(&format!("destination:{destination}"));
                assert_eq!(peer.heard(), "");
                let expected: &[&str] = if is_kept { &["q"] } else { &[] };
                let (dead, dropped, kept) = ends(&broker);
                let row = format!("{destination} {headers} {policy} {is_over_at_once}");
                assert_eq!(dead, expected, "{row}");
                assert_eq!(kept, u64::from(is_kept), "{row}");
                assert_eq!(dropped, u64::from(!is_kept), "{row}");
                assert_eq!(broker.metrics.messages_in.get(), 1, "{row}");
            }
        }
    }
}

#[test]
fn what_is_over_when_its_transaction_ends_is_a_dead_letter_too() {
    let broker = broker_with("");
    let mut peer = Peer::connect(&broker, "alice", "c");
    let (at, headers) = expires();
    peer.say("BEGIN\ntransaction:x\n\n\0");
    peer.send_with("/queue/q", &format!("transaction:x\n{headers}"), "a");
    wait_until(at);
    peer.say("COMMIT\ntransaction:x\n\n\0");
    assert_eq!(ends(&broker), (vec!["q".to_owned()], 0, 1));
}

#[test]
fn what_waited_for_room_in_a_window_is_looked_at_again() {
    for destination in ["/queue/q", "/topic/t"] {
        let broker = broker_with("");
        let mut peer = Peer::connect(&broker, "alice", "c");
        peer.subscribe(&format!(
            "destination:{destination}\nack:client\nactivemq.prefetchSize:1"
        ));
        let mut bob = Peer::connect(&broker, "bob", "p");
        bob.send(destination, "a");
        let (at, headers) = expires();
        for _ in 0..3 {
            bob.send_with(destination, &headers, "late");
        }
        bob.send(destination, "b");
        let first = peer.message();
        wait_until(at);
        let token = first.header("ack").expect("a token").to_owned();
        peer.say(&format!("ACK\nid:{token}\n\n\0"));
        assert_eq!(peer.bodies(), ["b"], "{destination}");
    }
}

#[test]
fn a_durable_subscriber_that_comes_too_late_does_not_get_it() {
    let broker = broker_with("");
    let durable = "destination:/topic/t\nactivemq.subscriptionName:d";
    let mut peer = Peer::connect(&broker, "alice", "c");
    peer.subscribe(durable);
    peer.leave();
    let mut bob = Peer::connect(&broker, "bob", "p");
    let (at, headers) = expires();
    bob.send_with("/topic/t", &headers, "a");
    bob.send("/topic/t", "b");
    wait_until(at);
    let mut peer = Peer::connect(&broker, "alice", "c");
    peer.subscribe(durable);
    assert_eq!(peer.bodies(), ["b"]);
}

#[test]
fn what_expires_inside_an_open_transaction_is_not_published() {
    let broker = broker_with("");
    let mut peer = Peer::connect(&broker, "alice", "c");
    peer.subscribe("destination:/topic/t");
    let (at, headers) = expires();
    peer.say("BEGIN\ntransaction:x\n\n\0");
    peer.send_with("/topic/t", &format!("transaction:x\n{headers}"), "a");
    peer.send_with("/topic/t", "transaction:x\n", "b");
    wait_until(at);
    peer.say("COMMIT\ntransaction:x\n\n\0");
    assert_eq!(peer.bodies(), ["b"]);
}
