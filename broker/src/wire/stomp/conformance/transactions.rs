//! BEGIN, COMMIT, ABORT, and what they hold back.

use super::super::session::MAX_TRANSACTIONS;
use super::Wire;

/// Bytes of messages, and memory of all.
fn taken(wire: &Wire) -> (usize, usize) {
    let memory = wire.session.transaction_memory();
    (wire.session.transaction_bytes, memory)
}

#[test]
fn sends_become_visible_at_commit_in_their_order() {
    let mut wire = Wire::open("1.2");
    wire.feed("BEGIN\ntransaction:t\n\n\0");
    wire.feed("SEND\ndestination:/queue/a\ntransaction:t\nx:1\n\none\0");
    wire.feed("ACK\nid:4\ntransaction:t\n\n\0");
    wire.feed("SEND\ndestination:/topic/b\ntransaction:t\n\ntwo\0");
    let held = [
        "check queue://a",
        "ack Token(4) Some(\"t\")",
        "check topic://b",
    ];
    assert_eq!(wire.events(), held);
    assert_eq!(
        wire.ask("COMMIT\ntransaction:t\nreceipt:c\n\n\0"),
        "RECEIPT\nreceipt-id:c\n\n^@\n"
    );
    assert_eq!(
        wire.events(),
        [
            "check queue://a",
            "check topic://b",
            "commit t",
            "publish queue://a",
            "publish topic://b"
        ]
    );
    let first = wire.sink.published[0].view().expect("an envelope");
    assert_eq!(
        (first.body, first.headers.get("x")),
        (&b"one"[..], Some("1"))
    );
    assert_eq!(first.headers.get("transaction"), None);
    assert!(
        wire.ask("COMMIT\ntransaction:t\n\n\0")
            .contains("Invalid transaction id")
    );
}

#[test]
fn an_aborted_transaction_publishes_nothing() {
    let mut wire = Wire::open("1.1");
    wire.feed("BEGIN\ntransaction:t\n\n\0SEND\ndestination:/queue/a\ntransaction:t\n\none\0");
    wire.feed("ABORT\ntransaction:t\n\n\0");
    assert_eq!(wire.events(), ["check queue://a", "abort t"]);
    assert!(wire.sink.published.is_empty());
    assert_eq!(taken(&wire), (0, 0));
}

#[test]
fn leaving_aborts_what_is_open() {
    let mut wire = Wire::open("1.1");
    wire.feed("BEGIN\ntransaction:a\n\n\0BEGIN\ntransaction:b\n\n\0DISCONNECT\n\n\0");
    assert_eq!(wire.events(), ["abort a", "abort b"]);
}

#[test]
fn an_id_is_begun_once() {
    let mut wire = Wire::open("1.1");
    assert_eq!(wire.ask("BEGIN\ntransaction:t\n\n\0"), "");
    assert!(
        wire.ask("BEGIN\ntransaction:t\n\n\0")
            .contains("Invalid transaction id")
    );
}

#[test]
fn open_transactions_are_bounded() {
    let mut wire = Wire::open("1.1");
    for id in 0..MAX_TRANSACTIONS {
        assert_eq!(wire.ask(format!("BEGIN\ntransaction:{id}\n\n\0")), "");
    }
    assert!(
        wire.ask("BEGIN\ntransaction:x\n\n\0")
            .contains("too many open transactions")
    );
    wire.feed("ABORT\ntransaction:0\n\n\0");
    assert_eq!(wire.ask("BEGIN\ntransaction:x\n\n\0"), "");
}

#[test]
fn too_many_frames_roll_a_transaction_back() {
    let mut wire = Wire::open("1.2");
    wire.feed("BEGIN\ntransaction:t\n\n\0");
    for _ in 0..2 {
        assert_eq!(
            wire.ask("SEND\ndestination:/queue/a\ntransaction:t\n\n\0"),
            ""
        );
        assert_eq!(wire.ask("ACK\nid:1\ntransaction:t\n\n\0"), "");
    }
    wire.events();
    let said = wire.ask("ACK\nid:1\ntransaction:t\n\n\0");
    assert!(
        said.contains("transaction t is larger than allowed"),
        "{said}"
    );
    assert_eq!(wire.events(), ["abort t"]);
    assert!(
        wire.ask("COMMIT\ntransaction:t\n\n\0")
            .contains("Invalid transaction id")
    );
    assert!(wire.sink.published.is_empty());
}

#[test]
fn the_bytes_of_all_transactions_are_bounded_together() {
    let mut wire = Wire::open("1.2");
    wire.feed("BEGIN\ntransaction:a\n\n\0BEGIN\ntransaction:b\n\n\0");
    let send = |id: &str, length: usize| {
        let body = "b".repeat(length);
        format!("SEND\ndestination:/queue/a\ntransaction:{id}\n\n{body}\0")
    };
    assert_eq!(wire.ask(send("a", 2500)), "");
    assert!(
        wire.ask(send("b", 2500))
            .contains("transaction b is larger")
    );
    assert_eq!(wire.ask("COMMIT\ntransaction:a\n\n\0"), "");
    assert_eq!(wire.sink.published.len(), 1);
    assert_eq!(taken(&wire), (0, 0));
}

#[test]
fn all_that_transactions_take_is_counted_and_only_messages_are_refused_for_it() {
    let mut wire = Wire::open("1.2");
    let id = "t".repeat(20);
    wire.feed(format!("BEGIN\ntransaction:{id}\n\n\0"));
    let empty = taken(&wire).1;
    assert!(empty > 2 * id.len() + 500, "{empty}");
    let send = format!("SEND\ndestination:/queue/a\ntransaction:{id}\n\n\0");
    assert_eq!(wire.ask(&send), "");
    let (bytes, memory) = taken(&wire);
    assert!(bytes > 0 && memory >= empty + bytes + 100, "{memory}");
    wire.session.limit_transactions(memory);
    assert_eq!(wire.ask(format!("ACK\nid:1\ntransaction:{id}\n\n\0")), "");
    assert!(taken(&wire).1 >= memory + 200);
    assert!(wire.ask(&send).contains("is larger than allowed"));
    assert_eq!(taken(&wire), (0, 0));
}

#[test]
fn a_full_queue_at_commit_is_told_and_the_rest_still_goes() {
    let mut wire = Wire::open("1.2");
    wire.feed("BEGIN\ntransaction:t\n\n\0SEND\ndestination:/queue/a\ntransaction:t\n\n\0");
    wire.feed("SEND\ndestination:/queue/b\ntransaction:t\n\n\0");
    wire.events();
    wire.sink.publish_refusal = Some(super::Refusal::Full {
        destination: "queue://a".into(),
    });
    let said = wire.ask("COMMIT\ntransaction:t\nreceipt:r\n\n\0");
    assert!(
        said.starts_with("ERROR\n") && said.contains("receipt-id:r\n"),
        "{said}"
    );
    assert_eq!(
        wire.events(),
        [
            "check queue://a",
            "check queue://b",
            "commit t",
            "publish queue://b"
        ]
    );
}

#[test]
fn a_right_that_is_gone_at_commit_rolls_everything_back() {
    let mut wire = Wire::open("1.2");
    wire.feed("BEGIN\ntransaction:t\n\n\0SEND\ndestination:/queue/a\ntransaction:t\n\n\0");
    wire.feed("SEND\ndestination:/queue/a\ntransaction:t\n\n\0ACK\nid:4\ntransaction:t\n\n\0");
    wire.events();
    wire.sink.refusal = Some(super::Refusal::NotAuthorized {
        user: "u".into(),
        verb: "write to",
        destination: "queue://a".into(),
    });
    let said = wire.ask("COMMIT\ntransaction:t\nreceipt:r\n\n\0");
    assert!(said.contains("receipt-id:r\n"), "{said}");
    assert_eq!(wire.events(), ["abort t"]);
    assert_eq!(taken(&wire), (0, 0));
    let said = wire.ask("COMMIT\ntransaction:t\n\n\0");
    assert!(said.contains("Invalid transaction id"), "{said}");
}
