//! Rights and limits that a connection meets.

use std::sync::Arc;

use super::{Peer, broker_with, config_of};
use crate::broker::Broker;
use crate::clock;
use crate::model::{Destination, Kind};
use crate::queue::Work;

const MAY_SEND: &str = "
authorization:
  entries:
    - {topic: \">\", read: [all], write: [all]}
    - {queue: \">\", read: [all], write: [all], admin: [all]}
";

const MAY_NOT: &str = "
authorization:
  entries:
    - {topic: \"t\", read: [all], write: [all]}
    - {queue: \">\", read: [all], write: [all]}
";

fn broker() -> Arc<Broker> {
    Arc::new(Broker::new(
        config_of(&["alice", "bob"], MAY_SEND, ""),
        1,
        [1; 16],
    ))
}

#[test]
fn a_commit_whose_right_is_gone_is_rolled_back_as_a_whole() {
    for (lost, refusal) in [
        ("/topic/u", "not authorized to write to: topic://u"),
        ("/queue/fresh", "not authorized to create: queue://fresh"),
    ] {
        let broker = broker();
        let mut peer = Peer::connect(&broker, "alice", "c");
        let mut bob = Peer::connect(&broker, "bob", "b");
        peer.subscribe("destination:/topic/t\nack:client-individual");
        bob.send("/topic/t", "first");
        let first = peer.message();
        let token = first.header("ack").expect("a token").to_owned();
        peer.say("BEGIN\ntransaction:x\n\n\0");
        peer.say(&format!("ACK\nid:{token}\ntransaction:x\n\n\0"));
        peer.send_with("/topic/t", "transaction:x\n", "a");
        peer.send_with(lost, "transaction:x\n", "b");
        assert_eq!(peer.heard(), "", "{lost}");
        broker.apply_config(config_of(&["alice", "bob"], MAY_NOT, ""));
        peer.say("COMMIT\ntransaction:x\nreceipt:r\n\n\0");
        let said = peer.heard();
        assert!(
            said.starts_with("ERROR\n") && said.contains(refusal),
            "{said}"
        );
        assert!(said.contains("receipt-id:r\n"), "{said}");
        assert!(!said.contains("MESSAGE\n"), "nothing was published: {said}");
        assert!(broker.queues.is_empty());
        peer.say(&format!("ACK\nid:{token}\n\n\0"));
        assert_eq!(peer.heard(), "", "the message is in its hands again");
        peer.say("COMMIT\ntransaction:x\n\n\0");
        assert!(peer.heard().contains("Invalid transaction id: x"));
    }
}

#[test]
fn a_composite_that_would_make_a_queue_without_the_right_sends_nothing() {
    let config = config_of(&["alice", "bob"], MAY_NOT, "");
    let broker = Arc::new(Broker::new(config, 1, [1; 16]));
    let mut peer = Peer::connect(&broker, "alice", "c");
    peer.subscribe("destination:/topic/t");
    peer.send("/topic/t,queue://fresh", "a");
    let said = peer.heard();
    assert!(
        said.starts_with("ERROR\n") && !said.contains("MESSAGE"),
        "{said}"
    );
}

#[test]
fn a_connection_makes_so_many_temporary_destinations_and_no_more() {
    let broker = broker_with("limits: {temporary_destinations: 3}\n");
    let mut peer = Peer::connect(&broker, "alice", "c");
    peer.subscribe("destination:/temp-queue/1");
    peer.send("/temp-topic/2", "a");
    peer.send_with("/queue/q", "reply-to:/temp-queue/3\n", "a");
    assert_eq!(peer.heard(), "");
    let refusal = "too many temporary destinations";
    peer.send("/temp-queue/4", "a");
    assert!(peer.heard().contains(refusal));
    peer.send_with("/queue/q", "reply-to:/temp-topic/4\nreceipt:r\n", "a");
    let said = peer.heard();
    assert!(
        said.contains(refusal) && said.contains("receipt-id:r"),
        "{said}"
    );
    peer.say("SUBSCRIBE\nid:2\ndestination:/temp-topic/4\n\n\0");
    assert!(peer.heard().contains(refusal));
    peer.send("/temp-queue/1", "known");
    assert_eq!(peer.bodies(), ["known"], "what it has goes on");
    peer.leave();
    let mut peer = Peer::connect(&broker, "alice", "c");
    peer.subscribe("destination:/temp-queue/1");
    assert_eq!(peer.heard(), "", "it left with its own");
}

#[test]
fn a_temporary_queue_counts_as_a_destination() {
    let broker = broker_with("limits: {destinations: 1}\n");
    let mut peer = Peer::connect(&broker, "alice", "c");
    peer.send("/queue/q", "a");
    peer.subscribe("destination:/temp-queue/1");
    assert!(peer.heard().contains("too many destinations"));
}

#[test]
fn a_temporary_queue_and_a_temporary_topic_may_have_one_name() {
    let broker = broker_with("");
    let mut peer = Peer::connect(&broker, "alice", "c");
    peer.subscribe("destination:/temp-queue/x");
    peer.say("SUBSCRIBE\nid:2\ndestination:/temp-topic/x\n\n\0");
    peer.send("/temp-topic/x", "t");
    assert_eq!(peer.message().header("subscription"), Some("2"));
    peer.send("/temp-queue/x", "q");
    assert_eq!(peer.message().header("subscription"), Some("1"));
}

#[test]
fn what_waits_in_the_temporary_queue_of_a_client_that_left_is_forgotten_at_once() {
    let broker = broker_with("");
    let mut peer = Peer::connect(&broker, "alice", "c");
    peer.send("/temp-queue/x", "a");
    let cell = broker.queues.all()[0].clone();
    assert_eq!(cell.numbers().depth, 1);
    peer.leave();
    assert_eq!(cell.numbers().depth, 0);
    assert!(broker.queues.is_empty());
}

#[test]
fn what_only_passes_through_to_another_home_is_removed_when_idle_and_what_is_owned_is_not() {
    let broker = broker_with("queue: {idle_after: 1ms}\n");
    let mut peer = Peer::connect(&broker, "alice", "c");
    peer.send_with("/topic/t", "reply-to:/temp-queue/own\n", "a");
    let passing = Destination::new(Kind::TempQueue, "x@00");
    assert!(broker.queue(&passing, &mut Work::default()).is_some());
    assert_eq!(broker.queues.len(), 2);
    let later = clock::monotonic_ns() + 2_000_000;
    while clock::monotonic_ns() < later {
        std::thread::yield_now();
    }
    broker.sweep();
    assert!(broker.queues.find(&passing).is_none());
    assert_eq!(broker.queues.len(), 1, "its own stays");
}

#[test]
fn a_composite_subscription_that_would_make_too_many_queues_is_none_at_all() {
    let broker = broker_with("limits: {destinations: 2}\n");
    let mut peer = Peer::connect(&broker, "alice", "c");
    peer.subscribe("destination:/queue/a,b,c");
    assert!(peer.heard().contains("too many destinations"));
    assert_eq!(broker.metrics.subscriptions.get(), 0);
    peer.subscribe("destination:/queue/b");
    peer.send("/queue/b", "for the second one alone");
    assert_eq!(peer.bodies(), ["for the second one alone"]);
    peer.leave();
    assert_eq!(broker.metrics.subscriptions.get(), 0);
}
