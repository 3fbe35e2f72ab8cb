//! What a client leaves unacknowledged comes back in its old order, flagged where it was handed out.

use std::sync::Arc;

use super::{Peer, broker_with, frames};
use crate::broker::Broker;
use crate::queue::state::ConsumerId;

/// How a client ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Unsubscribe,
    Disconnect,
    AbortThenLost,
    LostAmidTransaction,
    CommitThenLost,
}

const ENDS: [End; 5] = [
    End::Unsubscribe,
    End::Disconnect,
    End::AbortThenLost,
    End::LostAmidTransaction,
    End::CommitThenLost,
];

/// Bodies, those that are flagged with a star, and the tokens to acknowledge them by.
fn heard(peer: &mut Peer) -> Vec<(String, String)> {
    let text = peer.heard();
    frames(&text)
        .map(|(head, body)| {
            assert!(head.starts_with("MESSAGE\n"), "{text}");
            let is_flagged = head.lines().any(|line| line == "redelivered:true");
            assert_eq!(is_flagged, head.contains("redelivered"), "{head}");
            let star = if is_flagged { "*" } else { "" };
            let token = head.lines().find_map(|line| line.strip_prefix("ack:"));
            (
                format!("{body}{star}"),
                token.unwrap_or_default().to_owned(),
            )
        })
        .collect()
}

fn names(got: &[(String, String)]) -> Vec<&str> {
    got.iter().map(|(body, _)| body.as_str()).collect()
}

fn consumer(broker: &Arc<Broker>, id: &str, headers: &str) -> Peer {
    let mut peer = Peer::connect(broker, "alice", id);
    peer.subscribe(&format!("destination:/queue/q\n{headers}"));
    peer
}

fn answer(peer: &mut Peer, command: &str, token: &str, transaction: Option<&str>) {
    let transaction = transaction.map_or_else(String::new, |id| format!("transaction:{id}\n"));
    peer.say(&format!("{command}\nid:{token}\n{transaction}\n\0"));
    assert_eq!(peer.heard(), "", "no ERROR, and nothing comes again");
}

/// Eight messages, five of them handed out; 2 is acknowledged, and 4 within a transaction.
fn hand_out(broker: &Arc<Broker>) -> Peer {
    let mut bob = Peer::connect(broker, "bob", "p");
    for number in 1..=8 {
        bob.send("/queue/q", &number.to_string());
    }
    let mut peer = consumer(
        broker,
        "1",
        "ack:client-individual\nactivemq.prefetchSize:5",
    );
    let got = heard(&mut peer);
    assert_eq!(names(&got), ["1", "2", "3", "4", "5"]);
    // An answer makes room, and 6 is to stay where it is.
    let cell = broker.queues.all()[0].clone();
    let id = ConsumerId(cell.local_subscribers()[0].key);
    cell.apply(&mut peer.client.sink.work, |queue, effects| {
        queue.set_capacity(id, 0, effects);
    });
    answer(&mut peer, "ACK", &got[1].1, None);
    peer.say("BEGIN\ntransaction:t\n\n\0");
    answer(&mut peer, "ACK", &got[3].1, Some("t"));
    peer
}

fn leave(mut peer: Peer, end: End) {
    match end {
        End::Unsubscribe => {
            peer.say("ABORT\ntransaction:t\n\n\0UNSUBSCRIBE\nid:1\n\n\0");
        }
        End::Disconnect => {
            peer.say("DISCONNECT\nreceipt:bye\n\n\0");
            assert_eq!(peer.heard(), "RECEIPT\nreceipt-id:bye\n\n\0\n");
        }
        End::AbortThenLost => peer.say("ABORT\ntransaction:t\n\n\0"),
        End::CommitThenLost => peer.say("COMMIT\ntransaction:t\n\n\0"),
        End::LostAmidTransaction => {}
    }
    assert_eq!(peer.heard(), "", "{end:?}: nothing comes again here");
    peer.leave();
}

/// What comes back after that end.
fn returned(end: End) -> &'static [&'static str] {
    match end {
        End::CommitThenLost => &["1*", "3*", "5*"],
        _ => &["1*", "3*", "4*", "5*"],
    }
}

#[test]
fn it_comes_back_in_its_old_order_before_what_was_never_handed_out() {
    for end in ENDS {
        let broker = broker_with("");
        leave(hand_out(&broker), end);
        let mut next = consumer(&broker, "2", "ack:client");
        let got = heard(&mut next);
        let expected = [returned(end), &["6", "7", "8"]].concat();
        assert_eq!(names(&got), expected, "{end:?}");
        // All of it can be acknowledged: nothing is left behind in a table of the old client.
        answer(&mut next, "ACK", &got[got.len() - 1].1, None);
        next.leave();
        assert_eq!(broker.queues.all()[0].numbers().depth, 0, "{end:?}");
    }
}

#[test]
fn a_consumer_that_is_there_gets_it_in_that_order_too() {
    for end in ENDS {
        let broker = broker_with("");
        let peer = hand_out(&broker);
        let mut other = consumer(&broker, "2", "ack:client");
        assert_eq!(names(&heard(&mut other)), ["6", "7", "8"]);
        leave(peer, end);
        assert_eq!(names(&heard(&mut other)), returned(end), "{end:?}");
    }
}

#[test]
fn after_abort_the_same_message_can_be_acknowledged_again() {
    let broker = broker_with("");
    let mut bob = Peer::connect(&broker, "bob", "p");
    for body in ["a", "b"] {
        bob.send("/queue/q", body);
    }
    let mut peer = consumer(&broker, "1", "ack:client");
    let got = heard(&mut peer);
    for _ in 0..2 {
        peer.say("BEGIN\ntransaction:t\n\n\0");
        answer(&mut peer, "ACK", &got[1].1, Some("t"));
        peer.say("ABORT\ntransaction:t\n\n\0");
    }
    answer(&mut peer, "ACK", &got[0].1, None);
    peer.leave();
    let mut next = consumer(&broker, "2", "ack:client");
    assert_eq!(names(&heard(&mut next)), ["b*"]);
}

#[test]
fn what_is_published_while_a_client_goes_was_not_handed_out() {
    for mode in ["auto", "client"] {
        let broker = broker_with("");
        let mut peer = consumer(&broker, "1", &format!("ack:{mode}"));
        let mut bob = Peer::connect(&broker, "bob", "p");
        bob.send("/queue/q", "1");
        assert_eq!(names(&heard(&mut peer)), ["1"]);
        peer.client.sink.outbound.close();
        bob.send("/queue/q", "2");
        bob.send("/queue/q", "3");
        peer.leave();
        let mut next = consumer(&broker, "2", "ack:client");
        let seen: &[&str] = if mode == "auto" {
            &["2", "3"]
        } else {
            &["1*", "2", "3"]
        };
        assert_eq!(names(&heard(&mut next)), seen, "{mode}");
    }
}

#[test]
fn a_client_with_two_subscriptions_to_a_queue_returns_each_message_once() {
    let broker = broker_with("queue: {max_redeliveries: 1}\n");
    let mut peer = consumer(&broker, "1", "ack:client");
    peer.say("SUBSCRIBE\nid:2\ndestination:/queue/q\nack:client\n\n\0");
    let mut bob = Peer::connect(&broker, "bob", "p");
    for body in ["1", "2", "3", "4"] {
        bob.send("/queue/q", body);
    }
    assert_eq!(heard(&mut peer).len(), 4);
    peer.leave();
    let mut next = consumer(&broker, "2", "ack:client");
    assert_eq!(names(&heard(&mut next)), ["1*", "2*", "3*", "4*"]);
    assert_eq!(
        broker
            .metrics
            .dead_letters
            .with_label_values(&["redeliveries"])
            .get(),
        0
    );
}
