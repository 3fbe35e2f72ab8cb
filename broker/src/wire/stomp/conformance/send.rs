//! SEND: which header becomes what.

use super::Wire;
use crate::model::{Kind, ReplyTo};

#[test]
fn a_plain_send_has_the_defaults_of_stomp() {
    let mut wire = Wire::open("1.2");
    wire.feed("SEND\ndestination:/queue/A.B\n\nhello\0");
    let view = wire.last();
    assert_eq!(
        (view.kind, view.name, view.id),
        (Kind::Queue, "A.B", "ID:t-1:1")
    );
    assert_eq!(
        (view.persistent, view.text, view.priority),
        (false, true, 4)
    );
    assert_eq!((view.timestamp_ms, view.expires_ms), (1_000_000, 0));
    assert_eq!(
        (view.body, view.reply_to, view.correlation_id),
        (&b"hello"[..], None, None)
    );
    assert_eq!(view.headers.iter().count(), 0);
    wire.feed("SEND\ndestination:/queue/A.B\n\n\0");
    assert_eq!(wire.last().id, "ID:t-1:2");
}

#[test]
fn fields_and_properties_are_told_apart() {
    let mut wire = Wire::open("1.2");
    wire.feed(
        "SEND\ndestination:/topic/t\npersistent:true\nexpires:99\npriority:12\ntimestamp:5\n\
         correlation-id:c\ntype:t\nreply-to:/queue/r\nreceipt:1\ncontent-length:2\n\
         content-type:text/x\nJMSXGroupID:g\ntransformation:jms-xml\nempty:\n\nhi\0",
    );
    assert_eq!(wire.said(), "RECEIPT\nreceipt-id:1\n\n^@\n");
    let view = wire.last();
    assert_eq!(
        (view.persistent, view.text, view.priority),
        (true, false, 9)
    );
    assert_eq!(
        (view.timestamp_ms, wire.sink.published[0].expires_ms),
        (5, 99)
    );
    assert_eq!((view.correlation_id, view.jms_type), (Some("c"), Some("t")));
    assert_eq!(view.reply_to, Some(ReplyTo::Destination(Kind::Queue, "r")));
    let properties: Vec<_> = view.headers.iter().collect();
    let expected = [
        ("content-type", "text/x"),
        ("JMSXGroupID", "g"),
        ("transformation", "jms-xml"),
        ("empty", ""),
    ];
    assert_eq!(properties, expected);
}

#[test]
fn the_first_of_equal_names_wins() {
    let mut wire = Wire::open("1.1");
    wire.feed(
        "SEND\ndestination:/queue/a\ndestination:/queue/b\nx:1\nx:2\nx\\c:3\nx\\c:4\n\
         persistent:true\npersistent:false\npriority:1\npriority:2\nexpires:3\nexpires:x\n\n\0",
    );
    let view = wire.last();
    assert_eq!((view.name, view.persistent, view.priority), ("a", true, 1));
    assert_eq!(
        view.headers.iter().collect::<Vec<_>>(),
        [("x", "1"), ("x:", "3")]
    );
}

#[test]
fn numbers_are_clamped_where_they_have_a_range() {
    for (header, priority, expires_ms) in [
        ("priority:0", 0, 0),
        ("priority:-3", 0, 0),
        ("priority:9", 9, 0),
        ("priority:10", 9, 0),
        ("expires:0", 4, 0),
        ("expires:-5", 4, 0),
        ("expires:1700000000000", 4, 1_700_000_000_000),
    ] {
        let mut wire = Wire::open("1.1");
        wire.feed(format!("SEND\ndestination:/queue/a\n{header}\n\n\0"));
        let message = &wire.sink.published[0];
        assert_eq!(message.expires_ms, expires_ms, "{header}");
        assert_eq!(wire.last().priority, priority, "{header}");
    }
}

#[test]
fn the_type_of_the_body_can_be_said() {
    for (headers, is_text) in [
        ("", true),
        ("content-length:1\n", false),
        ("content-length:1\namq-msg-type:text\n", true),
        ("amq-msg-type:bytes\n", false),
    ] {
        let mut wire = Wire::open("1.0");
        wire.feed(format!("SEND\ndestination:/queue/a\n{headers}\nx\0"));
        assert_eq!(wire.last().text, is_text, "{headers}");
        assert_eq!(wire.last().headers.iter().count(), 0, "{headers}");
    }
}

#[test]
fn escapes_are_read_by_version() {
    for (version, header, expected) in [
        ("1.0", r"x:a\nb\c", ("x", r"a\nb\c")),
        ("1.0", "x: a:b ", ("x", "a:b")),
        ("1.1", r"x\c:a\nb\\", ("x:", "a\nb\\")),
        ("1.1", "x: a:b ", ("x", " a:b ")),
        ("1.2", r"x:\r\n", ("x", "\r\n")),
    ] {
        let mut wire = Wire::open(version);
        wire.feed(format!("SEND\ndestination:/queue/a\n{header}\n\n\0"));
        let view = wire.last();
        assert_eq!(
            view.headers.iter().next(),
            Some(expected),
            "{version} {header}"
        );
    }
}

#[test]
fn a_reply_to_of_an_unknown_form_stays_as_it_is() {
    for text in ["jms.queue.x", "/queue/", "queue://x", "/temp-queue/"] {
        let mut wire = Wire::open("1.1");
        wire.feed(format!("SEND\ndestination:/queue/a\nreply-to:{text}\n\n\0"));
        assert_eq!(wire.last().reply_to, Some(ReplyTo::Text(text)));
    }
    let mut wire = Wire::open("1.1");
    let long = format!("/temp-queue/{}", "n".repeat(250));
    wire.feed(format!("SEND\ndestination:/queue/a\nreply-to:{long}\n\n\0"));
    assert_eq!(wire.last().reply_to, Some(ReplyTo::Text(&long)));
    assert_eq!(wire.events(), ["publish queue://a"]);
}
