//! SUBSCRIBE and UNSUBSCRIBE.

use super::super::encode::{self, Escaping};
use super::Wire;

/// The details of the last subscription, as `Debug` shows them.
fn subscribed(version: &str, headers: &str) -> String {
    let mut wire = Wire::open(version);
    let said = wire.ask(format!("SUBSCRIBE\nid:1\n{headers}\n\0"));
    assert_eq!(said, "", "{headers}");
    wire.events().pop().unwrap_or_default()
}

#[test]
fn the_options_are_read() {
    for (headers, expected) in [
        ("destination:/queue/a\n", "mode: Auto"),
        ("destination:/queue/a\nack:client\n", "mode: Client"),
        (
            "destination:/queue/a\nack:client-individual\n",
            "mode: Individual",
        ),
        ("destination:/queue/a\nack:auto\n", "mode: Auto"),
        (
            "destination:/queue/a\nselector:x = 'a\\cb'\n",
            "selector: Some(\"x = 'a:b'\")",
        ),
        ("destination:/queue/a\nselector:  \n", "selector: None"),
        ("destination:/queue/a\nbrowser:true\n", "is_browser: true"),
        ("destination:/queue/a\n", "prefetch: None"),
        (
            "destination:/queue/a\nactivemq.prefetchSize:7\n",
            "prefetch: Some(7)",
        ),
        (
            "destination:/queue/a\nactivemq.prefetchSize:0\n",
            "prefetch: Some(1)",
        ),
        (
            "destination:/queue/a\nactivemq.prefetchSize:32767\n",
            "prefetch: Some(32767)",
        ),
        (
            "destination:/queue/a\nactivemq.priority:-128\n",
            "priority: -128",
        ),
        (
            "destination:/queue/a\nactivemq.exclusive:true\n",
            "is_exclusive: true",
        ),
        (
            "destination:/topic/a\nactivemq.noLocal:true\n",
            "no_local: true",
        ),
        (
            "destination:/topic/a\nactivemq.retroactive:true\n",
            "is_retroactive: true",
        ),
        (
            "destination:/topic/a\nactivemq.maximumPendingMessageLimit:5\n",
            "pending_limit: Some(5)",
        ),
        (
            "destination:/topic/a\nactivemq.maximumPendingMessageLimit:-1\n",
            "pending_limit: None",
        ),
        (
            "destination:/topic/a\nactivemq.subscriptionName:d\n",
            "durable_name: Some(\"d\")",
        ),
        (
            "destination:/topic/a.>,b\n",
            "parts: [(Topic, \"a.>\"), (Topic, \"b\")]",
        ),
    ] {
        let seen = subscribed("1.2", headers);
        assert!(seen.contains(expected), "{headers}: {seen}");
    }
}

#[test]
fn browsing_came_with_1_1() {
    let headers = "destination:/queue/a\nbrowser:true\n";
    assert!(subscribed("1.0", headers).contains("is_browser: false"));
    assert!(subscribed("1.1", headers).contains("is_browser: true"));
}

#[test]
fn a_durable_subscription_needs_a_client_id() {
    let mut wire = Wire::fresh();
    wire.feed("CONNECT\naccept-version:1.2\n\n\0");
    wire.session.logged_in("s", &mut wire.sink);
    wire.said();
    let said = wire.ask("SUBSCRIBE\nid:1\ndestination:/topic/a\nactivemq.subscriptionName:d\n\n\0");
    assert!(said.contains("needs a client-id"), "{said}");
    assert!(wire.events().is_empty());
}

#[test]
fn a_durable_subscription_is_of_topics_and_has_a_usable_name() {
    for (headers, expected) in [
        (
            "destination:/queue/a\nactivemq.subscriptionName:d\n",
            "cannot durably subscribe to a Queue",
        ),
        (
            "destination:/topic/a,queue://b\nactivemq.subscriptionName:d\n",
            "cannot durably subscribe to a Queue",
        ),
        (
            "destination:/topic/a\nactivemq.subscriptionName:\n",
            "has a name",
        ),
        (
            "destination:/topic/a\nbrowser:true\nactivemq.subscriptionName:d\n",
            "is no browser",
        ),
    ] {
        let mut wire = Wire::open("1.2");
        let said = wire.ask(format!("SUBSCRIBE\nid:1\n{headers}\n\0"));
        assert!(said.contains(expected), "{headers}: {said}");
        assert!(wire.events().is_empty(), "{headers}");
    }
    let mut wire = Wire::open("1.2");
    let of_length = |length: usize| {
        let name = "d".repeat(length);
        format!(
            "SUBSCRIBE\nid:{length}\ndestination:/topic/a\nactivemq.subscriptionName:{name}\n\n\0"
        )
    };
    assert_eq!(wire.ask(of_length(32)), "");
    let said = wire.ask(of_length(33));
    assert!(
        said.contains("activemq.subscriptionName header is longer"),
        "{said}"
    );
}

#[test]
fn unsubscribe_with_the_durable_name_ends_the_consumer_and_deletes() {
    for (version, unsubscribe) in [
        (
            "1.0",
            "UNSUBSCRIBE\ndestination:/topic/a\nactivemq.subscriptionName:d\n\n\0",
        ),
        ("1.0", "UNSUBSCRIBE\nactivemq.subscriptionName:d\n\n\0"),
        (
            "1.1",
            "UNSUBSCRIBE\nid:1\nactivemq.subscriptionName:d\n\n\0",
        ),
        ("1.2", "UNSUBSCRIBE\nactivemq.subscriptionName:d\n\n\0"),
    ] {
        let mut wire = Wire::open(version);
        wire.feed("SUBSCRIBE\nid:1\ndestination:/topic/a\nactivemq.subscriptionName:d\n\n\0");
        wire.events();
        assert_eq!(wire.ask(unsubscribe), "", "{version}");
        assert_eq!(wire.events(), ["unsubscribe 1", "delete c d"], "{version}");
        assert_eq!(
            wire.ask(unsubscribe),
            "",
            "{version}: whether it exists is the sink's to say"
        );
        assert_eq!(wire.events(), ["delete c d"], "{version}");
    }
}

#[test]
fn without_a_client_id_the_name_stands_for_both() {
    let mut wire = Wire::fresh();
    wire.feed("CONNECT\naccept-version:1.1\n\n\0");
    wire.session.logged_in("s", &mut wire.sink);
    wire.said();
    wire.feed("UNSUBSCRIBE\nactivemq.subscriptionName:d\n\n\0");
    assert_eq!(wire.events(), ["delete d d"]);
}

#[test]
fn the_receipt_goes_through_the_sink_and_comes_once() {
    let mut wire = Wire::open("1.2");
    let said = wire.ask("SUBSCRIBE\nid:1\ndestination:/queue/a\nreceipt:a\\cb\n\n\0");
    assert_eq!(said, "RECEIPT\nreceipt-id:a\\cb\n\n^@\n");
}

#[test]
fn a_duplicate_id_leaves_the_first_one_alone() {
    let mut wire = Wire::open("1.1");
    wire.feed("SUBSCRIBE\nid:1\ndestination:/queue/a\n\n\0");
    let said = wire.ask("SUBSCRIBE\nid:1\ndestination:/queue/b\n\n\0");
    assert!(
        said.contains("There already is a subscription for id [1]"),
        "{said}"
    );
    wire.events();
    assert_eq!(wire.ask("UNSUBSCRIBE\nid:1\n\n\0"), "");
    assert_eq!(wire.events(), ["unsubscribe 1"]);
    wire.feed("SUBSCRIBE\nid:1\ndestination:/queue/b\n\n\0");
    assert_eq!(wire.events()[0], "subscribe 2 queue://b Auto");
}

#[test]
fn a_connection_has_so_many_subscriptions_and_no_more() {
    let mut wire = Wire::open("1.0");
    for _ in 0..3 {
        assert_eq!(wire.ask("SUBSCRIBE\ndestination:/queue/a\n\n\0"), "");
    }
    let said = wire.ask("SUBSCRIBE\ndestination:/queue/a\n\n\0");
    assert!(said.contains("too many subscriptions"), "{said}");
    wire.feed("UNSUBSCRIBE\ndestination:/queue/a\n\n\0");
    assert_eq!(wire.ask("SUBSCRIBE\ndestination:/queue/a\n\n\0"), "");
}

#[test]
fn a_1_0_subscription_ends_by_destination_first_match_first() {
    let mut wire = Wire::open("1.0");
    wire.feed("SUBSCRIBE\ndestination:/queue/a\n\n\0SUBSCRIBE\ndestination: /queue/a\nid:x\n\n\0");
    wire.events();
    wire.feed("UNSUBSCRIBE\ndestination:/queue/a\nid:x\n\n\0");
    assert_eq!(wire.events(), ["unsubscribe 2"]);
    wire.feed("UNSUBSCRIBE\ndestination:/queue/a\n\n\0");
    assert_eq!(wire.events(), ["unsubscribe 1"]);
    let said = wire.ask("UNSUBSCRIBE\ndestination:/queue/a\n\n\0");
    assert!(said.contains("No subscription matched."), "{said}");
}

#[test]
fn from_1_1_on_only_the_id_ends_a_subscription() {
    let mut wire = Wire::open("1.1");
    wire.feed("SUBSCRIBE\nid:1\ndestination:/queue/a\n\n\0");
    wire.events();
    let said = wire.ask("UNSUBSCRIBE\ndestination:/queue/a\n\n\0");
    assert!(said.contains("No subscription matched."), "{said}");
    assert!(wire.events().is_empty());
}

#[test]
fn a_message_is_a_prefix_and_a_tail() {
    let mut out = Vec::new();
    encode::prefix(Some("a:b"), Some(7), Escaping::V12, &mut out);
    assert_eq!(out, b"MESSAGE\nsubscription:a\\cb\nack:7\n");
    out.clear();
    encode::prefix(None, None, Escaping::V10, &mut out);
    assert_eq!(out, b"MESSAGE\n");
}

#[test]
fn the_end_of_browsing_is_a_message_of_its_own() {
    let mut out = Vec::new();
    encode::browser_end("/queue/a", Some("1"), Escaping::V12, &mut out);
    let expected =
        b"MESSAGE\nsubscription:1\ndestination:/queue/a\nmessage-id:0\nbrowser:end\n\n\0\n";
    assert_eq!(out, expected);
}
