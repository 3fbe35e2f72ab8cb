//! What a hostile sender cannot do to its readers, above all to those on 1.0, which has no escapes.

use super::super::encode::{self, Escaping, Presentation};
use super::Wire;
use crate::model::{HeaderBlockBuf, Kind, MessageView, ReplyTo};

const ALL: [Escaping; 3] = [Escaping::V10, Escaping::V11, Escaping::V12];

/// The header lines that a reader sees behind the broker's own five.
fn lines(view: &MessageView<'_>, escaping: Escaping) -> Vec<String> {
    let mut out = Vec::new();
    encode::prefix(Some("1"), None, escaping, &mut out);
    encode::tail(view, escaping, &Presentation::default(), &mut out);
    let text = String::from_utf8(out).expect("UTF-8");
    let (head, body) = text.split_once("\n\n").expect("no blank line");
    assert_eq!(body, "body\0\n");
    let mut lines = head.split('\n').map(str::to_owned);
    let first: Vec<_> = lines.by_ref().take(7).collect();
    let own = [
        "MESSAGE",
        "subscription:1",
        "destination:/topic/a",
        "message-id:ID:1",
        "expires:0",
        "priority:4",
        "timestamp:0",
    ];
    if escaping == Escaping::V10 {
        assert_eq!(first, own);
    }
    lines.collect()
}

fn with_properties(properties: &[(&str, &str)], check: impl Fn(&MessageView<'_>)) {
    let mut block = HeaderBlockBuf::default();
    for (name, value) in properties {
        assert!(block.push(name, value));
    }
    check(&MessageView {
        headers: block.block(),
        ..MessageView::new(Kind::Topic, "a", "ID:1", b"body")
    });
}

#[test]
fn values_are_escaped_as_each_version_can() {
    let rows = [
        ("a\nb", "x:a\\nb", "x:a\\nb", "x:a\\nb"),
        ("a\rb", "x:a\\rb", "x:ab", "x:a\\rb"),
        ("a\0b", "x:ab", "x:ab", "x:ab"),
        ("a:b", "x:a:b", "x:a\\cb", "x:a\\cb"),
        ("a\\b", "x:a\\b", "x:a\\\\b", "x:a\\\\b"),
        (
            "\n\0admin:1",
            "x:\\nadmin:1",
            "x:\\nadmin\\c1",
            "x:\\nadmin\\c1",
        ),
        (" a ", "x: a ", "x: a ", "x: a "),
        ("é😀", "x:é😀", "x:é😀", "x:é😀"),
    ];
    for (value, v10, v11, v12) in rows {
        with_properties(&[("x", value)], |view| {
            for (escaping, expected) in ALL.into_iter().zip([v10, v11, v12]) {
                assert_eq!(lines(view, escaping), [expected], "{value:?} {escaping:?}");
            }
        });
    }
}

#[test]
fn a_1_0_reader_gets_no_header_that_it_would_raise_on_or_misread() {
    for (name, value) in [
        ("x", ""),
        ("x", " \t "),
        ("x", "\0"),
        ("x", " \0"),
        ("", "v"),
        (" ", "v"),
        ("a:b", "v"),
        ("a\nb", "v"),
        ("a\rb", "v"),
        ("a\0b", "v"),
        (" JMSXUserID", "root"),
        ("redelivered ", "true"),
    ] {
        with_properties(&[(name, value), ("kept", "1")], |view| {
            assert_eq!(lines(view, Escaping::V10), ["kept:1"], "{name:?}:{value:?}");
            assert!(encode::differs_by_version(view), "{name:?}:{value:?}");
        });
    }
    with_properties(&[("x", ""), ("a:b", "v")], |view| {
        assert_eq!(lines(view, Escaping::V11), ["x:", "a\\cb:v"]);
        assert_eq!(lines(view, Escaping::V12), ["x:", "a\\cb:v"]);
    });
}

#[test]
fn a_name_does_not_turn_into_one_of_ours_on_the_way_out() {
    for name in ["content-\0length", "\0ack", "message-id\0", ""] {
        with_properties(&[(name, "5")], |view| {
            for escaping in ALL {
                assert!(lines(view, escaping).is_empty(), "{name:?} {escaping:?}");
            }
        });
    }
    with_properties(&[("content-\rlength", "5")], |view| {
        assert!(lines(view, Escaping::V11).is_empty());
        assert_eq!(lines(view, Escaping::V12), ["content-\\rlength:5"]);
    });
    for name in [
        "content-length",
        "destination",
        "subscription",
        "ack",
        "redelivered",
        "browser",
    ] {
        with_properties(&[(name, "x")], |view| {
            for escaping in ALL {
                assert!(lines(view, escaping).is_empty(), "{name}");
            }
        });
    }
}

#[test]
fn no_header_of_a_text_message_passes_for_its_length() {
    for (name, value) in [
        ("x-content-length", "9"),
        ("content-length ", "9"),
        ("x", "content-length:9"),
        ("x", "content-length : 9 "),
    ] {
        with_properties(&[(name, value)], |view| {
            assert!(lines(view, Escaping::V10).is_empty(), "{name}:{value}");
        });
    }
    with_properties(&[("x-content-length", "9")], |view| {
        let bytes = MessageView {
            text: false,
            ..*view
        };
        let mut out = Vec::new();
        encode::tail(&bytes, Escaping::V12, &Presentation::default(), &mut out);
        let text = String::from_utf8_lossy(&out);
        assert!(text.starts_with("content-length:4\n"), "{text}");
        assert!(text.contains("\nx-content-length:9\n"), "{text}");
        assert!(lines(view, Escaping::V12).is_empty());
    });
}

#[test]
fn fields_are_escaped_like_properties() {
    let evil = "a\nack:1\0";
    let view = MessageView {
        correlation_id: Some(evil),
        jms_type: Some(evil),
        user: Some(evil),
        original_destination: Some(evil),
        reply_to: Some(ReplyTo::Text(evil)),
        ..MessageView::new(Kind::Topic, "a", "ID:1", b"body")
    };
    let names = [
        "correlation-id",
        "reply-to",
        "type",
        "JMSXUserID",
        "original-destination",
    ];
    let expected = |value: &str| names.map(|name| format!("{name}:{value}"));
    assert_eq!(lines(&view, Escaping::V10), expected("a\\nack:1"));
    assert_eq!(lines(&view, Escaping::V12), expected("a\\nack\\c1"));
}

#[test]
fn what_is_only_the_brokers_to_say_is_taken_from_no_client() {
    let mut wire = Wire::open("1.2");
    wire.feed(
        "SEND\ndestination:/topic/a\nmessage-id:1\nredelivered:true\nsubscription:2\n\
         JMSXUserID:root\noriginal-destination:x\nack:7\ncauseway-hops:1\nCauseway.x:1\n\
         causeway_y:1\ncausewayz:kept\n\n\0",
    );
    let view = wire.last();
    assert_eq!(
        view.headers.iter().collect::<Vec<_>>(),
        [("causewayz", "kept")]
    );
    assert_eq!(
        (view.id, view.redelivered, view.user),
        ("ID:t-1:1", false, None)
    );
    assert_eq!(view.original_destination, None);
}

#[test]
fn an_error_repeats_nothing_that_ends_its_frame() {
    let mut wire = Wire::open("1.2");
    let said = wire.ask("SEND\ndestination:a\\nx\0:1\nreceipt:\\nr\n\n\0");
    assert_eq!(said.matches("^@").count(), 1, "{said}");
    assert!(said.contains("receipt-id:\\nr\n"), "{said}");
    assert!(said.contains("[a\\nx\\c1]"), "{said}");
}
