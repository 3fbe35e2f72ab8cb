//! The account of what clients make the broker keep.

use super::{Peer, broker_with};

/// 16Mi: ten of them are for clients.
const SMALL: &str = "memory: {limit: 16Mi}\nqueue: {max_bytes: 64Mi}\nmesh: {rings: 1Mi}\n";
const MIB: usize = 1 << 20;

fn big() -> String {
    "x".repeat(MIB)
}

#[test]
fn many_queues_together_are_held_within_the_account_and_their_producers_wait() {
    let broker = broker_with(SMALL);
    let mut peer = Peer::connect(&broker, "alice", "p");
    for number in 0..9 {
        peer.send(&format!("/queue/{}.{}", number % 3, number), "small");
        peer.send(&format!("/queue/{}", number % 3), &big());
    }
    assert!(peer.client.sink.held.is_empty());
    assert!(broker.ledger.is_tight());
    peer.send("/queue/0", &big());
    assert_eq!(peer.client.sink.held.len(), 1, "the queue itself has room");
    let mut consumer = Peer::connect(&broker, "bob", "c");
    consumer.subscribe("destination:/queue/1");
    assert_eq!(consumer.bodies().len(), 3);
    assert!(peer.client.sink.retry_held());
}

#[test]
fn what_a_queue_held_is_out_of_the_account_when_it_is_gone() {
    let broker = broker_with(SMALL);
    let mut peer = Peer::connect(&broker, "alice", "p");
    peer.send("/temp-queue/t", &big());
    peer.subscribe("destination:/temp-queue/u\nack:client");
    peer.send("/temp-queue/u", &big());
    assert!(broker.ledger.used() >= 2 * MIB);
    peer.leave();
    assert_eq!(broker.ledger.used(), 0);
}

#[test]
fn while_the_account_is_full_transactions_grow_no_more_and_are_rolled_back() {
    let broker = broker_with(SMALL);
    let mut peer = Peer::connect(&broker, "alice", "p");
    for _ in 0..9 {
        peer.send("/queue/q", &big());
    }
    let mut other = Peer::connect(&broker, "bob", "t");
    other.say("BEGIN\ntransaction:1\n\n\0");
    other.send_with("/queue/r", "transaction:1\n", &"y".repeat(MIB / 2));
    assert!(other.heard().is_empty());
    peer.send("/queue/other", &big());
    peer.send("/queue/another", &big());
    let before = broker.ledger.used();
    other.send_with("/queue/r", "transaction:1\n", "one more");
    let heard = other.heard();
    assert!(heard.starts_with("ERROR\n"), "{heard}");
    assert!(broker.ledger.used() < before - MIB / 4, "rolled back");
}
