//! What consumers of one queue are to each other, from the clients' side.

use super::{Peer, broker_with};

fn consumer(broker: &std::sync::Arc<crate::broker::Broker>, id: &str, headers: &str) -> Peer {
    let mut peer = Peer::connect(broker, "alice", id);
    peer.subscribe(&format!("destination:/queue/q\n{headers}"));
    peer
}

#[test]
fn messages_of_one_group_go_to_one_consumer_until_it_leaves() {
    let broker = broker_with("");
    let mut first = consumer(&broker, "1", "ack:client\nactivemq.prefetchSize:2");
    let mut second = consumer(&broker, "2", "ack:client\nactivemq.prefetchSize:10");
    let mut bob = Peer::connect(&broker, "bob", "p");
    for body in ["a", "b", "c"] {
        bob.send_with("/queue/q", "JMSXGroupID:g\n", body);
    }
    assert_eq!(first.bodies(), ["a", "b"]);
    assert_eq!(second.heard(), "", "c waits for the first consumer");
    first.leave();
    assert_eq!(second.bodies(), ["a", "b", "c"]);
}

#[test]
fn a_group_is_closed_by_its_last_message() {
    let broker = broker_with("");
    let mut first = consumer(&broker, "1", "ack:client");
    let mut bob = Peer::connect(&broker, "bob", "p");
    bob.send_with("/queue/q", "JMSXGroupID:g\nJMSXGroupSeq:1\n", "a");
    let mut second = consumer(&broker, "2", "ack:client");
    bob.send_with("/queue/q", "JMSXGroupID:g\nJMSXGroupSeq:-1\n", "b");
    assert_eq!(first.bodies(), ["a", "b"]);
    bob.send_with("/queue/q", "JMSXGroupID:g\n", "c");
    assert_eq!(second.bodies(), ["c"], "it has waited longer for a message");
}

#[test]
fn an_exclusive_consumer_gets_everything_and_the_next_one_when_it_goes() {
    let broker = broker_with("");
    let mut plain = consumer(&broker, "1", "ack:client");
    let mut first = consumer(&broker, "2", "ack:client\nactivemq.exclusive:true");
    let mut next = consumer(&broker, "3", "ack:client\nactivemq.exclusive:true");
    let mut bob = Peer::connect(&broker, "bob", "p");
    bob.send("/queue/q", "a");
    assert_eq!(first.bodies(), ["a"]);
    first.leave();
    assert_eq!(next.bodies(), ["a"]);
    assert_eq!(plain.heard(), "");
}

#[test]
fn a_consumer_of_higher_priority_is_served_first() {
    let broker = broker_with("");
    let mut low = consumer(&broker, "1", "ack:client\nactivemq.priority:-1");
    let window = "ack:client\nactivemq.priority:5\nactivemq.prefetchSize:1";
    let mut high = consumer(&broker, "2", window);
    let mut bob = Peer::connect(&broker, "bob", "p");
    bob.send("/queue/q", "a");
    bob.send("/queue/q", "b");
    assert_eq!(high.bodies(), ["a"]);
    assert_eq!(low.bodies(), ["b"], "what it has no room for");
}

#[test]
fn a_monitor_takes_no_reply_away_from_a_requester_and_everything_else() {
    let broker = broker_with("");
    let mut monitor = Peer::connect(&broker, "alice", "m");
    monitor.subscribe("destination:/queue/>");
    let mut bob = Peer::connect(&broker, "bob", "p");
    let asks = |name: &str| {
        let mut peer = Peer::connect(&broker, "alice", name);
        let window = "ack:client-individual\nactivemq.prefetchSize:1";
        peer.subscribe(&format!("destination:/queue/{name}\n{window}"));
        peer
    };
    let (mut requester, mut plain) = (asks("a.reply.b"), asks("work"));
    for body in ["1", "2"] {
        bob.send("/queue/a.reply.b", body);
    }
    assert_eq!(requester.bodies(), ["1"]);
    assert_eq!(monitor.heard(), "", "2 waits for the requester");
    for body in ["3", "4"] {
        bob.send("/queue/work", body);
    }
    assert_eq!((plain.bodies().len(), monitor.bodies().len()), (1, 1));
    // The requester is gone for less than two seconds.
    requester.leave();
    broker.sweep();
    assert_eq!(monitor.heard(), "");
    bob.send("/queue/other.reply.b", "5");
    assert_eq!(monitor.bodies(), ["5"], "nobody asked for it");
}

#[test]
fn names_of_replies_are_those_that_the_configuration_says() {
    let broker = broker_with("mesh: {reply_patterns: [\"answers.>\"]}\n");
    let mut monitor = Peer::connect(&broker, "alice", "m");
    monitor.subscribe("destination:/queue/>");
    let mut requester = Peer::connect(&broker, "alice", "r");
    for (id, name) in [(1, "a.reply.b"), (2, "answers.a")] {
        let window = "ack:client-individual\nactivemq.prefetchSize:1";
        requester.say(&format!(
            "SUBSCRIBE\nid:{id}\ndestination:/queue/{name}\n{window}\n\n\0"
        ));
    }
    let mut bob = Peer::connect(&broker, "bob", "p");
    for body in ["1", "2"] {
        bob.send("/queue/a.reply.b", body);
        bob.send("/queue/answers.a", body);
    }
    assert_eq!(requester.bodies().len(), 2);
    assert_eq!(monitor.bodies().len(), 1);
}
