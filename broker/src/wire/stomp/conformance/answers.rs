//! ACK and NACK in each version.

use super::Wire;

fn with_subscription(version: &str) -> Wire {
    let mut wire = Wire::open(version);
    wire.feed("SUBSCRIBE\nid:s\ndestination:/queue/a\nack:client\n\n\0");
    wire.events();
    wire
}

#[test]
fn each_version_names_the_message_its_own_way() {
    for (version, headers, expected) in [
        ("1.0", "message-id:m\n", "ack MessageId(\"m\", None) None"),
        (
            "1.0",
            "message-id:m\nsubscription:s\n",
            "ack MessageId(\"m\", Some(1)) None",
        ),
        (
            "1.1",
            "message-id:m\\c1\nsubscription:s\n",
            "ack MessageId(\"m:1\", Some(1)) None",
        ),
        ("1.2", "id:17\n", "ack Token(17) None"),
        ("1.2", "id:0\nmessage-id:m\n", "ack Token(0) None"),
    ] {
        let mut wire = with_subscription(version);
        let said = wire.ask(format!("ACK\n{headers}receipt:r\n\n\0"));
        assert_eq!(said, "RECEIPT\nreceipt-id:r\n\n^@\n", "{version} {headers}");
        assert_eq!(wire.events(), [expected], "{version} {headers}");
    }
}

#[test]
fn an_answer_that_names_nothing_is_refused_and_goes_no_further() {
    for (version, headers, shown) in [
        ("1.0", "", ""),
        ("1.0", "id:1\n", ""),
        ("1.0", "message-id:m\nsubscription:x\n", "m"),
        ("1.1", "message-id:m\n", "m"),
        ("1.1", "message-id:m\nsubscription:x\n", "m"),
        ("1.1", "subscription:s\n", ""),
        ("1.2", "message-id:m\nsubscription:s\n", ""),
        ("1.2", "id:m\n", "m"),
        ("1.2", "id:+1\n", "+1"),
        ("1.2", "id:01\n", "01"),
        ("1.2", "id:\n", ""),
        ("1.2", "id:99999999999999999999\n", "99999999999999999999"),
    ] {
        let mut wire = with_subscription(version);
        let said = wire.ask(format!("ACK\n{headers}\n\0"));
        let text = format!("Unexpected ACK received for message-id [{shown}]");
        let expected = format!("ERROR\ncontent-type:text/plain\nmessage:{text}\n\n{text}^@\n");
        assert_eq!(said, expected, "{version} {headers}");
        assert!(wire.session.is_open() && wire.events().is_empty());
    }
}

#[test]
fn nack_came_with_1_1() {
    for (version, headers, expected) in [
        ("1.0", "message-id:m\n", &[][..]),
        (
            "1.1",
            "message-id:m\nsubscription:s\n",
            &["nack MessageId(\"m\", Some(1)) None"],
        ),
        ("1.2", "id:3\n", &["nack Token(3) None"]),
    ] {
        let mut wire = with_subscription(version);
        let said = wire.ask(format!("NACK\n{headers}\n\0"));
        assert_eq!(
            said.contains("connection is in v1.0 mode"),
            version == "1.0"
        );
        assert!(wire.session.is_open());
        assert_eq!(wire.events(), expected, "{version}");
    }
}

#[test]
fn a_subscription_that_ended_is_named_no_more() {
    let mut wire = with_subscription("1.1");
    wire.feed("UNSUBSCRIBE\nid:s\n\n\0");
    let said = wire.ask("ACK\nmessage-id:m\nsubscription:s\n\n\0");
    assert!(said.contains("Unexpected ACK"), "{said}");
    assert_eq!(wire.events(), ["unsubscribe 1"]);
}
