//! Durable topic subscriptions, from a client's side.

use std::sync::Arc;

use super::{Peer, RIGHTS, broker_with, config_of, frames};
use crate::broker::Broker;
use crate::clock;

const DURABLE: &str = "destination:/topic/t\nactivemq.subscriptionName:d";

/// Alice's client `c` has subscribed durably and left.
fn left_behind(broker: &Arc<Broker>, headers: &str) {
    let mut peer = Peer::connect(broker, "alice", "c");
    peer.subscribe(headers);
    assert_eq!(peer.heard(), "");
    peer.leave();
}

/// What alice's client `c` finds when it comes back.
fn found(broker: &Arc<Broker>, headers: &str) -> Vec<String> {
    let mut peer = Peer::connect(broker, "alice", "c");
    peer.subscribe(headers);
    let bodies = peer.bodies();
    peer.leave();
    bodies
}

fn publish(broker: &Arc<Broker>, topic: &str, bodies: &[&str]) {
    let mut peer = Peer::connect(broker, "bob", "p");
    for body in bodies {
        peer.send(topic, body);
    }
    assert_eq!(peer.heard(), "");
    peer.leave();
}

fn pending(broker: &Broker) -> Vec<usize> {
    let all = broker.durables.all().into_iter();
    all.map(|durable| durable.cell.numbers().depth).collect()
}

#[test]
fn what_comes_while_the_client_is_away_waits_for_it_once_and_in_order() {
    let broker = broker_with("");
    publish(&broker, "/topic/t", &["too early"]);
    left_behind(&broker, DURABLE);
    publish(&broker, "/topic/t", &["a", "b"]);
    publish(&broker, "/topic/other", &["x"]);
    assert_eq!(found(&broker, DURABLE), ["a", "b"]);
    assert_eq!(found(&broker, DURABLE), Vec::<String>::new());
}

#[test]
fn the_message_is_what_the_topic_was_sent_and_the_receipt_comes_before_it() {
    let broker = broker_with("");
    left_behind(&broker, DURABLE);
    publish(&broker, "/topic/t", &["a"]);
    let mut peer = Peer::connect(&broker, "alice", "c");
    peer.subscribe(&format!("{DURABLE}\nreceipt:r"));
    let heard = peer.heard();
    let heads: Vec<&str> = frames(&heard).map(|(head, _)| head).collect();
    assert_eq!(heads[0], "RECEIPT\nreceipt-id:r");
    assert!(heads[1].contains("destination:/topic/t\n"), "{heard}");
    assert!(heads[1].contains("subscription:1\n"), "{heard}");
    assert!(!heard.contains("redelivered"), "{heard}");
    assert_eq!(heads.len(), 2);
}

#[test]
fn what_was_not_acknowledged_comes_again_flagged_and_what_was_does_not() {
    for mode in ["client", "client-individual"] {
        let broker = broker_with("");
        let headers = format!("{DURABLE}\nack:{mode}\nactivemq.prefetchSize:1");
        left_behind(&broker, &headers);
        publish(&broker, "/topic/t", &["a", "b", "c"]);
        let mut peer = Peer::connect(&broker, "alice", "c");
        peer.subscribe(&headers);
        let first = peer.message();
        assert_eq!(first.body, "a", "{mode}");
        assert_eq!(peer.heard(), "", "a window of one");
        let token = first.header("ack").expect("a token").to_owned();
        peer.say(&format!("ACK\nid:{token}\n\n\0"));
        assert_eq!(peer.message().body, "b");
        peer.leave();
        let mut peer = Peer::connect(&broker, "alice", "c");
        peer.subscribe(&headers);
        let again = peer.message();
        assert_eq!(
            (again.body.as_str(), again.header("redelivered")),
            ("b", Some("true"))
        );
    }
}

#[test]
fn another_selector_topic_or_no_local_is_another_subscription_without_the_backlog() {
    for changed in [
        "destination:/topic/t\nselector:x = 1\nactivemq.subscriptionName:d",
        "destination:/topic/t.>\nactivemq.subscriptionName:d",
        "destination:/topic/t\nactivemq.noLocal:true\nactivemq.subscriptionName:d",
    ] {
        let broker = broker_with("");
        left_behind(&broker, DURABLE);
        publish(&broker, "/topic/t", &["a"]);
        assert_eq!(found(&broker, changed), Vec::<String>::new(), "{changed}");
        assert_eq!(pending(&broker), [0], "one subscription of that name");
        assert_eq!(found(&broker, DURABLE), Vec::<String>::new(), "{changed}");
    }
}

#[test]
fn only_what_the_selector_matches_is_kept() {
    let broker = broker_with("");
    let headers = format!("{DURABLE}\nselector:colour = 'red'");
    left_behind(&broker, &headers);
    let mut bob = Peer::connect(&broker, "bob", "p");
    bob.send_with("/topic/t", "colour:red\n", "a");
    bob.send_with("/topic/t", "colour:blue\n", "b");
    assert_eq!(pending(&broker), [1]);
    assert_eq!(found(&broker, &headers), ["a"]);
}

#[test]
fn overlapping_parts_of_a_composite_give_one_copy() {
    let broker = broker_with("");
    let headers = "destination:/topic/t.>,t.a,u\nactivemq.subscriptionName:d";
    left_behind(&broker, headers);
    publish(&broker, "/topic/t.a", &["a"]);
    publish(&broker, "/topic/u", &["b"]);
    assert_eq!(found(&broker, headers), ["a", "b"]);
}

#[test]
fn one_consumer_at_a_time_and_one_connection_of_a_client_id() {
    let broker = broker_with("");
    let mut first = Peer::connect(&broker, "alice", "c");
    first.subscribe(DURABLE);
    first.say(&format!("SUBSCRIBE\nid:2\n{DURABLE}\nreceipt:r\n\n\0"));
    let said = first.heard();
    let text = "Durable consumer is in use for client: c and subscriptionName: d";
    assert!(
        said.contains(text) && said.contains("receipt-id:r"),
        "{said}"
    );
    let mut second = Peer::try_connect(&broker, "alice", "c", "1.2");
    let said = second.heard();
    assert!(
        said.contains("Broker: Client: c already connected"),
        "{said}"
    );
    second.leave();
    publish(&broker, "/topic/t", &["a"]);
    assert_eq!(first.bodies(), ["a"], "the first one is not disturbed");
}

#[test]
fn another_user_does_not_get_it_by_taking_the_client_id() {
    let broker = broker_with("");
    left_behind(&broker, DURABLE);
    publish(&broker, "/topic/t", &["a"]);
    let mut bob = Peer::connect(&broker, "bob", "c");
    bob.say("UNSUBSCRIBE\nactivemq.subscriptionName:d\n\n\0");
    assert!(bob.heard().contains("No subscription matched."));
    bob.subscribe(DURABLE);
    assert_eq!(bob.heard(), "");
    bob.leave();
    assert_eq!(found(&broker, DURABLE), ["a"]);
}

#[test]
fn unsubscribe_by_id_keeps_it_and_with_its_name_deletes_it() {
    for unsubscribe in [
        "UNSUBSCRIBE\nid:1\nactivemq.subscriptionName:d\n\n\0",
        "UNSUBSCRIBE\nactivemq.subscriptionName:d\n\n\0",
    ] {
        let broker = broker_with("");
        let mut peer = Peer::connect(&broker, "alice", "c");
        peer.subscribe(DURABLE);
        peer.say("UNSUBSCRIBE\nid:1\n\n\0");
        publish(&broker, "/topic/t", &["a"]);
        assert_eq!(pending(&broker), [1]);
        peer.subscribe(DURABLE);
        assert_eq!(peer.bodies(), ["a"]);
        peer.say(unsubscribe);
        assert_eq!(peer.heard(), "", "{unsubscribe:?}");
        assert!(broker.durables.is_empty());
        peer.say(unsubscribe);
        assert!(peer.heard().contains("No subscription matched."));
        peer.subscribe(DURABLE);
        assert_eq!(peer.heard(), "", "the id is free, and nothing was kept");
    }
}

#[test]
fn a_deleted_one_that_cached_routes_still_know_keeps_nothing() {
    let broker = broker_with("");
    left_behind(&broker, DURABLE);
    publish(&broker, "/topic/t", &["a"]);
    let cell = broker.durables.all()[0].cell.clone();
    let mut peer = Peer::connect(&broker, "alice", "c");
    peer.say("UNSUBSCRIBE\nactivemq.subscriptionName:d\n\n\0");
    assert_eq!(peer.heard(), "");
    assert_eq!((cell.numbers().depth, cell.numbers().bytes), (0, 0));
}

#[test]
fn at_its_limit_of_messages_the_oldest_go_and_are_counted() {
    let broker = broker_with("topic: {durable_max_messages: 3}\n");
    left_behind(&broker, DURABLE);
    publish(&broker, "/topic/t", &["a", "b", "c"]);
    assert_eq!(broker.durables.all()[0].dropped(), 0);
    publish(&broker, "/topic/t", &["d"]);
    assert_eq!(broker.durables.all()[0].dropped(), 1);
    let counter = &broker.metrics.messages_dropped;
    assert_eq!(counter.with_label_values(&["durable_full"]).get(), 1);
    assert_eq!(found(&broker, DURABLE), ["b", "c", "d"]);
}

#[test]
fn at_its_limit_of_bytes_the_oldest_go_and_what_is_in_flight_stays() {
    let broker = broker_with("topic: {durable_max_bytes: 4Ki}\n");
    let headers = format!("{DURABLE}\nack:client\nactivemq.prefetchSize:1");
    let mut peer = Peer::connect(&broker, "alice", "c");
    peer.subscribe(&headers);
    let body = "x".repeat(1500);
    publish(&broker, "/topic/t", &[&format!("1{body}")]);
    let first = peer.message();
    publish(
        &broker,
        "/topic/t",
        &[&format!("2{body}"), &format!("3{body}")],
    );
    assert_eq!(broker.durables.all()[0].dropped(), 1);
    let token = first.header("ack").expect("a token").to_owned();
    peer.say(&format!("ACK\nid:{token}\n\n\0"));
    assert!(peer.message().body.starts_with('3'));
    // What is too large beside the one in flight is lost itself.
    publish(&broker, "/topic/t", &[&"y".repeat(5000)]);
    assert_eq!(broker.durables.all()[0].dropped(), 2);
}

#[test]
fn there_are_so_many_and_no_more_and_so_many_of_one_user() {
    let limits = "limits: {durable_subscriptions: 3, durable_subscriptions_per_user: 2}\n";
    let broker = broker_with(limits);
    let mut alice = Peer::connect(&broker, "alice", "c");
    let ask = |peer: &mut Peer, name: &str| {
        peer.say(&format!(
            "SUBSCRIBE\nid:{name}\ndestination:/topic/t\nactivemq.subscriptionName:{name}\n\n\0"
        ));
        peer.heard()
    };
    assert_eq!(ask(&mut alice, "1"), "");
    assert_eq!(ask(&mut alice, "2"), "");
    let said = ask(&mut alice, "3");
    assert!(said.contains("too many durable subscriptions"), "{said}");
    let mut bob = Peer::connect(&broker, "bob", "b");
    assert_eq!(ask(&mut bob, "1"), "");
    let said = ask(&mut bob, "2");
    assert!(said.contains("too many durable subscriptions"), "{said}");
    alice.say("UNSUBSCRIBE\nid:1\nactivemq.subscriptionName:1\n\n\0");
    assert_eq!(ask(&mut bob, "2"), "");
}

#[test]
fn a_client_without_the_right_gets_no_durable_subscription() {
    let rights = "authorization:\n  entries:\n    - {topic: \"u\", read: [all], write: [all]}\n";
    let broker = Arc::new(Broker::new(config_of(&["alice"], rights, ""), 1, [1; 16]));
    let mut peer = Peer::connect(&broker, "alice", "c");
    peer.subscribe("destination:/topic/u,t\nactivemq.subscriptionName:d");
    let said = peer.heard();
    assert!(
        said.contains("not authorized to read from: topic://t"),
        "{said}"
    );
    assert!(broker.durables.is_empty());
}

#[test]
fn without_its_right_it_is_silent_and_with_it_served_again() {
    let broker = broker_with("");
    let headers = format!("{DURABLE}\nack:client\nactivemq.prefetchSize:1");
    let mut peer = Peer::connect(&broker, "alice", "c");
    peer.subscribe(&headers);
    publish(&broker, "/topic/t", &["a", "b"]);
    let first = peer.message();
    let no_read = "authorization:\n  entries:\n    - {topic: \">\", write: [all]}\n";
    broker.apply_config(config_of(&["alice", "bob"], no_read, ""));
    publish(&broker, "/topic/t", &["c"]);
    let token = first.header("ack").expect("a token").to_owned();
    peer.say(&format!("ACK\nid:{token}\n\n\0"));
    assert_eq!(peer.heard(), "", "silent, and no ERROR");
    assert_eq!(pending(&broker), [1], "b waits, c was not collected");
    broker.apply_config(config_of(&["alice", "bob"], RIGHTS, ""));
    assert_eq!(peer.message().body, "b");
    peer.leave();
    publish(&broker, "/topic/t", &["d"]);
    assert_eq!(pending(&broker), [2]);
}

#[test]
fn what_a_pattern_collected_under_a_name_that_is_denied_now_is_not_shown() {
    let broker = broker_with("");
    let headers = "destination:/topic/t.>\nactivemq.subscriptionName:d";
    left_behind(&broker, headers);
    publish(&broker, "/topic/t.a", &["a"]);
    publish(&broker, "/topic/t.secret", &["s"]);
    let config = config_of(&["alice", "bob"], RIGHTS, "");
    let mut changed = (*config).clone();
    changed.users.users[0].permissions =
        serde_yaml::from_str("[{topic: t.secret, operations: [read], effect: deny}]")
            .expect("a permission");
    broker.apply_config(Arc::new(changed));
    publish(&broker, "/topic/t.secret", &["s"]);
    assert_eq!(found(&broker, headers), ["a"]);
}

#[test]
fn a_removed_user_takes_its_durable_subscriptions_along() {
    let broker = broker_with("");
    left_behind(&broker, DURABLE);
    broker.apply_config(config_of(&["bob"], RIGHTS, ""));
    assert!(broker.durables.is_empty());
}

#[test]
fn what_expires_while_it_waits_is_dropped_and_is_no_dead_letter() {
    let broker = broker_with("");
    left_behind(&broker, DURABLE);
    let mut bob = Peer::connect(&broker, "bob", "p");
    let expires = format!("persistent:true\nexpires:{}\n", clock::wall_ms() + 30);
    bob.send_with("/topic/t", &expires, "a");
    bob.send("/topic/t", "b");
    assert_eq!(pending(&broker), [2]);
    while clock::wall_ms()
        < expires
            .trim()
            .rsplit(':')
            .next()
            .map_or(0, |ms| ms.parse().unwrap_or(0))
    {
        std::thread::yield_now();
    }
    broker.sweep();
    assert_eq!(pending(&broker), [1]);
    assert!(broker.queues.is_empty());
    let metrics = &broker.metrics;
    assert_eq!(
        metrics
            .messages_dropped
            .with_label_values(&["expired"])
            .get(),
        1
    );
    assert_eq!(metrics.durable_messages.get(), 1);
    assert_eq!(
        metrics
            .durable_subscriptions
            .with_label_values(&["offline"])
            .get(),
        1
    );
    assert_eq!(found(&broker, DURABLE), ["b"]);
}

#[test]
fn a_refused_persistent_message_is_a_dead_letter_of_its_topic() {
    let broker = broker_with("");
    let mut peer = Peer::connect(&broker, "alice", "c");
    peer.subscribe(&format!("{DURABLE}\nack:client-individual"));
    let mut bob = Peer::connect(&broker, "bob", "p");
    bob.send_with("/topic/t", "persistent:true\n", "a");
    let message = peer.message();
    let token = message.header("ack").expect("a token").to_owned();
    peer.say(&format!("NACK\nid:{token}\n\n\0"));
    bob.subscribe("destination:/queue/ActiveMQ.DLQ");
    let dead = bob.message();
    assert_eq!(dead.body, "a");
    assert_eq!(dead.header("original-destination"), Some("topic\\c//t"));
    assert_eq!(dead.header("destination"), Some("/queue/ActiveMQ.DLQ"));
}

#[test]
fn no_local_leaves_out_what_its_own_connection_sends() {
    let broker = broker_with("");
    let mut peer = Peer::connect(&broker, "alice", "c");
    peer.subscribe(&format!("{DURABLE}\nactivemq.noLocal:true"));
    peer.send("/topic/t", "own");
    publish(&broker, "/topic/t", &["other"]);
    assert_eq!(peer.bodies(), ["other"]);
}

#[test]
fn status_shows_it_without_its_messages() {
    let broker = broker_with("");
    left_behind(&broker, DURABLE);
    publish(&broker, "/topic/t", &["a secret body"]);
    let status = broker.status();
    let shown = &status["durableSubscriptions"][0];
    assert_eq!(shown["name"], "d");
    assert_eq!(shown["clientId"], "c");
    assert_eq!(shown["pending"], 1);
    assert!(shown["connection"].is_null(), "{shown}");
    assert!(!status.to_string().contains("a secret body"));
}

#[test]
fn an_aborted_acknowledgement_leaves_the_message_with_the_subscription() {
    let broker = broker_with("");
    let headers = format!("{DURABLE}\nack:client");
    let mut peer = Peer::connect(&broker, "alice", "c");
    peer.subscribe(&headers);
    publish(&broker, "/topic/t", &["a", "b"]);
    let heard = peer.heard();
    let acks = heard.lines().filter_map(|line| line.strip_prefix("ack:"));
    let acks: Vec<&str> = acks.collect();
    peer.say("BEGIN\ntransaction:t\n\n\0");
    peer.say(&format!("ACK\nid:{}\ntransaction:t\n\n\0", acks[0]));
    peer.say("ABORT\ntransaction:t\n\n\0");
    assert_eq!(pending(&broker), [2]);
    peer.say("BEGIN\ntransaction:u\n\n\0");
    peer.say(&format!("ACK\nid:{}\ntransaction:u\n\n\0", acks[1]));
    assert_eq!(pending(&broker), [2]);
    peer.say("COMMIT\ntransaction:u\n\n\0");
    assert_eq!(pending(&broker), [0]);
    assert_eq!(peer.heard(), "");
}
