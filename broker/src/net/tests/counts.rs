//! Every message is counted once: clients have it, or it is dropped for a reason.

use std::sync::Arc;

use super::{Peer, broker_with, frames};
use crate::broker::Broker;

const REASONS: [&str; 3] = ["topic_pending", "subscriber_gone", "expired"];

/// What clients have, and what was dropped, by those reasons.
fn counts(broker: &Arc<Broker>) -> (u64, [u64; 3]) {
    let dropped = &broker.metrics.messages_dropped;
    let of = |reason| dropped.with_label_values(&[reason]).get();
    (broker.metrics.messages_out.get(), REASONS.map(of))
}

fn publish(broker: &Arc<Broker>, messages: usize) {
    let mut peer = Peer::connect(broker, "bob", "p");
    for number in 0..messages {
        peer.send("/topic/t", &format!("{number:0>1000}"));
    }
    peer.leave();
}

fn subscriber(broker: &Arc<Broker>, headers: &str) -> Peer {
    let mut peer = Peer::connect(broker, "alice", "c");
    peer.subscribe(&format!("destination:/topic/t\n{headers}"));
    assert_eq!(peer.heard(), "");
    peer
}

#[test]
fn what_a_slow_subscriber_loses_is_dropped_and_not_handed_out() {
    let broker = broker_with("limits: {outbound: 16Ki}\n");
    let mut peer = subscriber(&broker, "");
    publish(&broker, 50);
    assert_eq!(counts(&broker).0, 0, "nothing was written yet");
    let got = peer.bodies();
    assert!(got.len() > 5 && got.len() < 17, "{}", got.len());
    assert!(got[got.len() - 1].ends_with("49"), "the newest is kept");
    let got = u64::try_from(got.len()).unwrap_or(0);
    assert_eq!(counts(&broker), (got, [50 - got, 0, 0]));
    assert_eq!(peer.client.sink.outbound.dropped(), 50 - got);
    publish(&broker, 1);
    assert_eq!(peer.bodies().len(), 1);
    assert_eq!(counts(&broker), (got + 1, [50 - got, 0, 0]));
}

#[test]
fn what_was_not_written_when_the_client_went_is_lost() {
    let broker = broker_with("");
    let mut peer = subscriber(&broker, "");
    publish(&broker, 3);
    assert_eq!(peer.bodies().len(), 3);
    publish(&broker, 4);
    // The socket took two and a half of the four.
    let outbound = peer.client.sink.outbound.clone();
    let Ok(Some((chunk, from))) = outbound.take_chunk(1) else {
        panic!("four messages wait")
    };
    let written = chunk.len() * 5 / 8;
    outbound.give_back(chunk, from, &Ok(written), &mut Vec::new(), 1);
    publish(&broker, 2);
    assert_eq!(counts(&broker), (3, [0, 0, 0]));
    peer.leave();
    assert_eq!(counts(&broker), (5, [0, 4, 0]));
}

#[test]
fn a_writer_that_is_cut_off_leaves_nothing_uncounted() {
    for has_failed in [true, false] {
        let broker = broker_with("");
        let peer = subscriber(&broker, "");
        publish(&broker, 2);
        let outbound = peer.client.sink.outbound.clone();
        let Ok(Some((chunk, from))) = outbound.take_chunk(1) else {
            panic!("two messages wait")
        };
        peer.leave();
        if has_failed {
            let gone = Err(std::io::ErrorKind::BrokenPipe.into());
            outbound.give_back(chunk, from, &gone, &mut Vec::new(), 1);
        }
        drop(outbound);
        assert_eq!(counts(&broker), (0, [0, 2, 0]), "{has_failed}");
    }
}

#[test]
fn with_a_window_each_message_ends_once_too() {
    for (mode, acked, expected) in [
        // Two in flight and two more fit: the oldest of those that wait make room.
        ("client", 1, (1, [3, 3, 0])),
        ("client-individual", 0, (0, [3, 4, 0])),
        ("auto", 0, (2, [3, 2, 0])),
    ] {
        let broker = broker_with("");
        let headers = "activemq.prefetchSize:2\nactivemq.maximumPendingMessageLimit:2";
        let mut peer = subscriber(&broker, &format!("ack:{mode}\n{headers}"));
        publish(&broker, 7);
        let outbound = peer.client.sink.outbound.clone();
        let Ok(Some((chunk, from))) = outbound.take_chunk(1) else {
            panic!("two messages are in its window")
        };
        let text = String::from_utf8_lossy(&chunk).into_owned();
        let all = chunk.len();
        outbound.give_back(chunk, from, &Ok(all), &mut peer.client.sink.work.written, 1);
        let heads: Vec<_> = frames(&text).map(|(head, _)| head).collect();
        assert_eq!(heads.len(), 2, "{mode}");
        for head in &heads[..acked] {
            let token = head.lines().find_map(|line| line.strip_prefix("ack:"));
            let token = token.unwrap_or_default();
            peer.say(&format!("ACK\nid:{token}\n\n\0"));
        }
        peer.broker.settle(&mut peer.client.sink.work);
        peer.leave();
        assert_eq!(counts(&broker), expected, "{mode}");
    }
}

#[test]
fn what_a_topic_subscriber_refuses_it_has_had() {
    let broker = broker_with("");
    let mut peer = subscriber(&broker, "ack:client-individual");
    publish(&broker, 1);
    let token = peer.message().header("ack").expect("a token").to_owned();
    peer.say(&format!("NACK\nid:{token}\n\n\0"));
    peer.leave();
    assert_eq!(counts(&broker), (1, [0, 0, 0]));
}

#[test]
fn what_a_temporary_queue_still_holds_ends_with_its_owner() {
    let broker = broker_with("");
    let mut peer = Peer::connect(&broker, "alice", "c");
    peer.send("/temp-queue/t", "a");
    peer.send("/temp-queue/t", "b");
    peer.leave();
    assert_eq!(counts(&broker), (0, [0, 2, 0]));
}
