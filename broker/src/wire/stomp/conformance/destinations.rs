//! Destinations: blanks, composites, wildcards, temporary ones, limits.

use super::super::encode::{self, Escaping, Presentation};
use super::super::{MAX_PARTS, MAX_SEGMENTS};
use super::Wire;
use crate::model::{Kind, MessageView, ReplyTo};

fn send(destination: &str) -> Vec<String> {
    let mut wire = Wire::open("1.2");
    let said = wire.ask(format!("SEND\ndestination:{destination}\n\n\0"));
    if said.is_empty() {
        wire.events()
    } else {
        assert!(wire.sink.published.is_empty() && wire.session.is_open());
        vec!["refused".to_owned()]
    }
}

#[test]
fn a_send_goes_to_each_part_once() {
    for (destination, expected) in [
        ("/queue/a", &["publish queue://a"][..]),
        (" /topic/a ", &["publish topic://a"]),
        ("/queue/ a", &["publish queue://a"]),
        (
            "/queue/topic\\c//a",
            &["check topic://a", "publish topic://a"],
        ),
        (
            "/queue/a, b,topic\\c//c",
            &[
                "check queue://a",
                "check queue://b",
                "check topic://c",
                "publish queue://a",
                "publish queue://b",
                "publish topic://c",
            ],
        ),
        (
            "/queue/a,a,queue\\c//a",
            &["check queue://a", "publish queue://a"],
        ),
        ("/queue/a,", &["refused"]),
        ("/queue/a,,b", &["refused"]),
        ("/queue/a..b", &["refused"]),
        ("/queue/.a", &["refused"]),
        ("/topic/a.", &["refused"]),
        ("/topic/.", &["refused"]),
        ("/queue/a,b..c", &["refused"]),
        ("/queue/a,topic\\c//.b", &["refused"]),
        ("/temp-queue/a..b", &["refused"]),
        ("/queue/a*b", &["check queue://a*b", "publish queue://a*b"]),
    ] {
        assert_eq!(send(destination), expected, "{destination}");
    }
}

#[test]
fn nothing_is_sent_to_a_wildcard() {
    for destination in [
        "/topic/a.*",
        "/topic/*.a",
        "/topic/>",
        "/queue/a.>.b",
        "/queue/a,b.>",
    ] {
        assert_eq!(send(destination), ["refused"], "{destination}");
    }
}

#[test]
fn one_refused_part_refuses_the_whole() {
    let mut wire = Wire::open("1.2");
    wire.sink.refusal = Some(super::Refusal::TooManyDestinations);
    let said = wire.ask("SEND\ndestination:/queue/a,b\n\n\0");
    assert!(said.starts_with("ERROR\n"));
    assert!(wire.sink.published.is_empty());
}

#[test]
fn copies_of_a_composite_tell_what_they_were_sent_to() {
    let mut wire = Wire::open("1.2");
    wire.feed("SEND\ndestination:/queue/a,b\n\nx\0SEND\ndestination:/queue/a,a\n\nx\0");
    let originals: Vec<_> = wire
        .sink
        .published
        .iter()
        .filter_map(|message| Some(message.view()?.original_destination.map(str::to_owned)))
        .collect();
    let composite = Some("/queue/a,b".to_owned());
    assert_eq!(originals, [composite.clone(), composite, None]);
}

#[test]
fn names_have_limits() {
    let name = |length: usize| format!("/queue/{}", "n".repeat(length - 7));
    assert_ne!(send(&name(256)), ["refused"]);
    assert_eq!(send(&name(257)), ["refused"]);
    let segments = |count: usize| format!("/queue/{}", vec!["s"; count].join("."));
    assert_ne!(send(&segments(MAX_SEGMENTS)), ["refused"]);
    assert_eq!(send(&segments(MAX_SEGMENTS + 1)), ["refused"]);
    let parts = |count: usize| {
        let parts: Vec<_> = (0..count).map(|part| part.to_string()).collect();
        format!("/queue/{}", parts.join(","))
    };
    assert_eq!(send(&parts(MAX_PARTS)).len(), 2 * MAX_PARTS);
    assert_eq!(send(&parts(MAX_PARTS + 1)), ["refused"]);
}

#[test]
fn temporary_names_are_resolved_wherever_they_stand() {
    let mut wire = Wire::open("1.2");
    wire.feed("SUBSCRIBE\nid:1\ndestination:/temp-queue/r\n\n\0");
    let events = wire.events();
    let expected = [
        "temporary temp-queue://r",
        "subscribe 1 temp-queue://ID:t-1:r Auto",
    ];
    assert_eq!(events[..2], expected);
    wire.feed("SEND\ndestination:/queue/a\nreply-to:/temp-topic/r\n\n\0");
    let expected = ReplyTo::Destination(Kind::TempTopic, "ID:t-1:r");
    assert_eq!(wire.last().reply_to, Some(expected));
    wire.feed("SEND\ndestination:/temp-queue/r\n\n\0");
    assert_eq!(
        (wire.last().kind, wire.last().name),
        (Kind::TempQueue, "ID:t-1:r")
    );
    wire.events();
    let remote = "/remote-temp-queue/ID\\cx-1\\cr~01";
    wire.feed(format!(
        "SEND\ndestination:{remote}\nreply-to:{remote}\n\n\0"
    ));
    let view = wire.last();
    assert_eq!((view.kind, view.name), (Kind::TempQueue, "ID:x-1:r~01"));
    let expected = ReplyTo::Destination(Kind::TempQueue, "ID:x-1:r~01");
    assert_eq!(view.reply_to, Some(expected));
    let expected = [
        "check temp-queue://ID:x-1:r~01",
        "publish temp-queue://ID:x-1:r~01",
    ];
    assert_eq!(wire.events(), expected);
}

#[test]
fn a_temporary_destination_is_shown_to_its_owner_by_his_name() {
    let view = MessageView {
        reply_to: Some(ReplyTo::Destination(Kind::TempTopic, "ID:t-1:r")),
        ..MessageView::new(Kind::TempQueue, "ID:t-1:q", "1", b"")
    };
    let shown = |own_names: &str| {
        let reader = Presentation {
            own_names: own_names.into(),
            home: [0; 16],
        };
        assert!(reader.changes(&view));
        let mut out = Vec::new();
        encode::tail(&view, Escaping::V10, &reader, &mut out);
        String::from_utf8(out).expect("UTF-8")
    };
    let owner = shown("ID:t-1:");
    assert!(owner.contains("destination:/temp-queue/q\n"), "{owner}");
    assert!(owner.contains("reply-to:/temp-topic/r\n"), "{owner}");
    let other = shown("ID:t-2:");
    assert!(
        other.contains("destination:/remote-temp-queue/ID:t-1:q\n"),
        "{other}"
    );
    assert!(
        other.contains("reply-to:/remote-temp-topic/ID:t-1:r\n"),
        "{other}"
    );
}

#[test]
fn one_temporary_destination_too_many_is_refused_wherever_it_stands() {
    for frame in [
        "SEND\ndestination:/temp-queue/x\nreceipt:r\n\n\0",
        "SEND\ndestination:/queue/a\nreply-to:/temp-queue/x\nreceipt:r\n\n\0",
        "SUBSCRIBE\nid:1\ndestination:/temp-topic/x\nreceipt:r\n\n\0",
    ] {
        let mut wire = Wire::open("1.2");
        wire.sink.refusal = Some(super::Refusal::TooManyTemporaries);
        let said = wire.ask(frame);
        assert!(said.contains("too many temporary destinations"), "{said}");
        assert!(said.contains("receipt-id:r\n"), "{said}");
        assert!(wire.events().is_empty(), "{frame}");
        assert_eq!(wire.ask("SEND\ndestination:/queue/a\n\n\0"), "");
    }
}
