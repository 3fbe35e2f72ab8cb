//! Topic subscriptions with a window, from a client's side.

use std::sync::Arc;

use super::{Peer, RIGHTS, broker_with, config_of, frames};
use crate::broker::Broker;

fn subscriber(broker: &Arc<Broker>, headers: &str) -> Peer {
    let mut peer = Peer::connect(broker, "alice", "c");
    peer.subscribe(&format!("destination:/topic/t\n{headers}"));
    peer
}

fn publish(broker: &Arc<Broker>, bodies: &[&str]) {
    let mut peer = Peer::connect(broker, "bob", "p");
    for body in bodies {
        peer.send("/topic/t", body);
    }
    peer.leave();
}

/// The bodies and the ack tokens of what was heard.
fn heard(peer: &mut Peer) -> Vec<(String, String)> {
    let text = peer.heard();
    frames(&text)
        .map(|(head, body)| {
            let token = head.lines().find_map(|line| line.strip_prefix("ack:"));
            (body.to_owned(), token.unwrap_or_default().to_owned())
        })
        .collect()
}

fn bodies(peer: &mut Peer) -> Vec<String> {
    heard(peer).into_iter().map(|(body, _)| body).collect()
}

fn ack(peer: &mut Peer, token: &str) {
    peer.say(&format!("ACK\nid:{token}\n\n\0"));
}

#[test]
fn a_topic_subscriber_that_acknowledges_has_a_window() {
    for (mode, after_second) in [("client", vec!["c", "d"]), ("client-individual", vec!["c"])] {
        let broker = broker_with("");
        let headers = format!("ack:{mode}\nactivemq.prefetchSize:2");
        let mut peer = subscriber(&broker, &headers);
        publish(&broker, &["a", "b", "c", "d"]);
        let first = heard(&mut peer);
        assert_eq!(
            first.iter().map(|(body, _)| body).collect::<Vec<_>>(),
            ["a", "b"]
        );
        ack(&mut peer, &first[1].1);
        assert_eq!(bodies(&mut peer), after_second, "{mode}");
    }
}

#[test]
fn the_default_window_is_that_of_the_configuration() {
    let broker = broker_with("topic: {prefetch: 3}\n");
    let mut peer = subscriber(&broker, "ack:client");
    publish(&broker, &["a", "b", "c", "d"]);
    assert_eq!(bodies(&mut peer), ["a", "b", "c"]);
    let mut plain = Peer::connect(&broker, "bob", "b");
    plain.subscribe("destination:/topic/t");
    publish(&broker, &["1", "2", "3", "4", "5"]);
    assert_eq!(plain.bodies().len(), 5, "mode auto has none");
}

#[test]
fn beyond_its_window_so_many_are_held_as_it_asks_for_and_the_oldest_go() {
    for (limit, expected) in [
        ("0", vec!["a"]),
        ("1", vec!["a", "d"]),
        ("2", vec!["a", "c", "d"]),
    ] {
        let broker = broker_with("");
        let headers = format!(
            "ack:client\nactivemq.prefetchSize:1\nactivemq.maximumPendingMessageLimit:{limit}"
        );
        let mut peer = subscriber(&broker, &headers);
        publish(&broker, &["a", "b", "c", "d"]);
        let mut got = Vec::new();
        loop {
            let next = heard(&mut peer);
            let Some((body, token)) = next.first() else {
                break;
            };
            got.push(body.clone());
            ack(&mut peer, token);
        }
        assert_eq!(got, expected, "limit {limit}");
        let dropped = u64::try_from(4 - expected.len()).unwrap_or(0);
        let counter = &broker.metrics.messages_dropped;
        assert_eq!(counter.with_label_values(&["topic_pending"]).get(), dropped);
        assert_eq!(peer.client.sink.outbound.dropped(), dropped);
    }
}

#[test]
fn a_pending_limit_holds_in_mode_auto_too() {
    let broker = broker_with("");
    let headers = "activemq.prefetchSize:1\nactivemq.maximumPendingMessageLimit:1";
    let mut peer = subscriber(&broker, headers);
    publish(&broker, &["a", "b", "c", "d"]);
    assert_eq!(peer.bodies(), ["a", "d"], "while nothing was written");
    publish(&broker, &["e"]);
    assert_eq!(peer.bodies(), ["e"]);
}

#[test]
fn what_is_in_its_hands_and_waits_for_it_takes_so_many_bytes() {
    let broker = broker_with("limits: {outbound: 4Ki}\n");
    let mut peer = subscriber(&broker, "ack:client\nactivemq.prefetchSize:1");
    let body = "x".repeat(1500);
    publish(
        &broker,
        &[
            &format!("1{body}"),
            &format!("2{body}"),
            &format!("3{body}"),
        ],
    );
    let first = heard(&mut peer);
    assert!(first[0].0.starts_with('1'));
    ack(&mut peer, &first[0].1);
    assert!(heard(&mut peer)[0].0.starts_with('3'), "2 made room for 3");
}

#[test]
fn a_refused_topic_message_is_no_dead_letter_and_makes_room() {
    let broker = broker_with("");
    let mut peer = subscriber(&broker, "ack:client-individual\nactivemq.prefetchSize:1");
    let mut bob = Peer::connect(&broker, "bob", "p");
    bob.send_with("/topic/t", "persistent:true\n", "a");
    bob.send("/topic/t", "b");
    let first = heard(&mut peer);
    peer.say(&format!("NACK\nid:{}\n\n\0", first[0].1));
    assert_eq!(bodies(&mut peer), ["b"]);
    assert!(broker.queues.is_empty());
}

#[test]
fn the_window_of_a_subscription_without_its_right_is_closed_until_it_is_back() {
    let broker = broker_with("");
    let mut peer = subscriber(&broker, "ack:client\nactivemq.prefetchSize:1");
    publish(&broker, &["a", "b"]);
    let first = heard(&mut peer);
    let no_read = "authorization:\n  entries:\n    - {topic: \">\", write: [all]}\n";
    broker.apply_config(config_of(&["alice", "bob"], no_read, ""));
    ack(&mut peer, &first[0].1);
    assert_eq!(peer.heard(), "");
    broker.apply_config(config_of(&["alice", "bob"], RIGHTS, ""));
    assert_eq!(bodies(&mut peer), ["b"]);
}

#[test]
fn an_acknowledgement_after_the_end_of_its_subscription_is_unexpected() {
    let broker = broker_with("");
    let mut peer = subscriber(&broker, "ack:client");
    publish(&broker, &["a"]);
    let first = heard(&mut peer);
    peer.say("UNSUBSCRIBE\nid:1\n\n\0");
    ack(&mut peer, &first[0].1);
    assert!(peer.heard().contains("Unexpected ACK received"));
}

#[test]
fn a_temporary_topic_has_a_window_as_well() {
    let broker = broker_with("");
    let mut peer = Peer::connect(&broker, "alice", "c");
    peer.subscribe("destination:/temp-topic/x\nack:client\nactivemq.prefetchSize:1");
    peer.send("/temp-topic/x", "a");
    peer.send("/temp-topic/x", "b");
    let first = heard(&mut peer);
    assert_eq!(first.len(), 1);
    ack(&mut peer, &first[0].1);
    assert_eq!(bodies(&mut peer), ["b"]);
}

#[test]
fn the_selector_and_no_local_hold_before_the_window() {
    let broker = broker_with("");
    let headers = "ack:client\nactivemq.noLocal:true\nselector:colour = 'red'";
    let mut peer = subscriber(&broker, headers);
    peer.send_with("/topic/t", "colour:red\n", "own");
    let mut bob = Peer::connect(&broker, "bob", "p");
    bob.send_with("/topic/t", "colour:blue\n", "blue");
    bob.send_with("/topic/t", "colour:red\n", "red");
    assert_eq!(bodies(&mut peer), ["red"]);
}

#[test]
fn what_a_topic_would_have_kept_is_nothing_and_dispatch_is_never_asked_about() {
    let broker = broker_with("");
    publish(&broker, &["before"]);
    let headers = "activemq.retroactive:true\nactivemq.dispatchAsync:false\nactivemq.unknown:x";
    let mut peer = subscriber(&broker, headers);
    assert_eq!(peer.heard(), "");
    publish(&broker, &["after"]);
    assert_eq!(peer.bodies(), ["after"]);
}
