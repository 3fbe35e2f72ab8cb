//! The table of errors: what stays open, what closes, and that `receipt-id` is there.

use super::super::FrameError;
use super::{Refusal, Wire};

fn error(text: &str, escaped: &str) -> String {
    format!("ERROR\ncontent-type:text/plain\nmessage:{escaped}\nreceipt-id:r\n\n{text}^@\n")
}

fn ill(name: &str) -> String {
    format!(
        "Illegal destination name: [{name}] -- ActiveMQ STOMP destinations must begin with one of: \
         /queue/ /topic/ /temp-queue/ /temp-topic/"
    )
}

#[test]
fn refused_requests_leave_the_connection_open() {
    let rows: Vec<(&str, String)> = vec![
        (
            "SEND\n",
            "SEND received without a Destination specified!".into(),
        ),
        (
            "SUBSCRIBE\nid:1\n",
            "SUBSCRIBE received without a Destination specified!".into(),
        ),
        ("SEND\ndestination:a\n", ill("a")),
        ("SEND\ndestination:queue://a\n", ill("queue://a")),
        ("SUBSCRIBE\nid:1\ndestination:/Queue/a\n", ill("/Queue/a")),
        (
            "SEND\ndestination:/queue/\n",
            "Illegal destination name: [] -- the name is empty".into(),
        ),
        (
            "SEND\ndestination:/queue/a.*\n",
            "Illegal destination name: [a.*] -- a message cannot be sent to a wildcard".into(),
        ),
        (
            "SEND\ndestination:/queue/a\nexpires:soon\n",
            "The expires header has an unusable value [soon]: it must be an integer".into(),
        ),
        (
            "SEND\ndestination:/queue/a\npriority:high\n",
            "The priority header has an unusable value [high]: it must be an integer".into(),
        ),
        (
            "SEND\ndestination:/queue/a\ntimestamp:1.5\n",
            "The timestamp header has an unusable value [1.5]: it must be an integer".into(),
        ),
        (
            "SEND\ndestination:/queue/a\namq-msg-type:map\n",
            "The amq-msg-type header has an unusable value [map]: it must be text or bytes".into(),
        ),
        (
            "SEND\ndestination:/queue/a\ntransaction:x\n",
            "Invalid transaction id: x".into(),
        ),
        (
            "SUBSCRIBE\ndestination:/queue/a\n",
            "SUBSCRIBE received without a id header".into(),
        ),
        (
            "SUBSCRIBE\nid:1\ndestination:/queue/a\nactivemq.prefetchSize:many\n",
            "The activemq.prefetchSize header has an unusable value [many]: it must be 0 to 32767"
                .into(),
        ),
        (
            "SUBSCRIBE\nid:1\ndestination:/queue/a\nack:banana\n",
            "The ack header has an unusable value [banana]: it must be auto, client or \
             client-individual"
                .into(),
        ),
        (
            "SUBSCRIBE\nid:1\ndestination:/queue/a\nack:Client\n",
            "The ack header has an unusable value [Client]: it must be auto, client or \
             client-individual"
                .into(),
        ),
        (
            "SUBSCRIBE\nid:1\ndestination:/queue/a\nactivemq.prefetchSize:32768\n",
            "The activemq.prefetchSize header has an unusable value [32768]: it must be 0 to 32767"
                .into(),
        ),
        (
            "SUBSCRIBE\nid:1\ndestination:/topic/a\nactivemq.prefetchSize:-1\n",
            "The activemq.prefetchSize header has an unusable value [-1]: it must be 0 to 32767"
                .into(),
        ),
        (
            "SUBSCRIBE\nid:1\ndestination:/topic/a\nactivemq.maximumPendingMessageLimit:-2\n",
            "The activemq.maximumPendingMessageLimit header has an unusable value [-2]: it must be \
             -1 to 4294967295, and -1 is no limit"
                .into(),
        ),
        (
            "SUBSCRIBE\nid:1\ndestination:/topic/a..>\n",
            "Illegal destination name: [a..>] -- a segment of the name is empty: no dot at either \
             end, and no two together"
                .into(),
        ),
        (
            "SUBSCRIBE\nid:1\ndestination:/queue/a\nactivemq.priority:128\n",
            "The activemq.priority header has an unusable value [128]: it must be -128 to 127".into(),
        ),
        (
            "SUBSCRIBE\nid:1\ndestination:/queue/a\nactivemq.subscriptionName:d\n",
            "Invalid Subscription: cannot durably subscribe to a Queue destination!".into(),
        ),
        ("UNSUBSCRIBE\nid:9\n", "No subscription matched.".into()),
        (
            "ACK\nid:x\n",
            "Unexpected ACK received for message-id [x]".into(),
        ),
        ("ACK\n", "Unexpected ACK received for message-id []".into()),
        (
            "NACK\nid:-1\n",
            "Unexpected NACK received for message-id [-1]".into(),
        ),
        (
            "ACK\nid:1\ntransaction:x\n",
            "Invalid transaction id: x".into(),
        ),
        (
            "BEGIN\n",
            "BEGIN received without a transaction header".into(),
        ),
        (
            "COMMIT\ntransaction:x\n",
            "Invalid transaction id: x".into(),
        ),
        ("ABORT\ntransaction:x\n", "Invalid transaction id: x".into()),
    ];
    for (head, text) in rows {
        let mut wire = Wire::open("1.2");
        let said = wire.ask(format!("{head}receipt:r\n\n\0"));
        assert_eq!(said, error(&text, &text.replace(':', "\\c")), "{head}");
        assert!(wire.session.is_open() && !wire.sink.is_closed, "{head}");
        let next = wire.ask("SEND\ndestination:/queue/next\nreceipt:2\n\n\0");
        assert_eq!(next, "RECEIPT\nreceipt-id:2\n\n^@\n", "{head}");
    }
}

#[test]
fn what_the_broker_refuses_is_told_in_the_words_people_match_on() {
    let denied = |verb, destination: &str| Refusal::NotAuthorized {
        user: "x".into(),
        verb,
        destination: destination.into(),
    };
    for (refusal, text) in [
        (
            denied("read from", "topic://y"),
            "User x is not authorized to read from: topic://y",
        ),
        (
            denied("write to", "queue://y"),
            "User x is not authorized to write to: queue://y",
        ),
        (
            denied("create", "queue://y"),
            "User x is not authorized to create: queue://y",
        ),
        (
            Refusal::Full {
                destination: "queue://y".into(),
            },
            "queue://y is full: the message was refused",
        ),
    ] {
        let mut wire = Wire::open("1.0");
        wire.sink.refusal = Some(refusal);
        let said = wire.ask("SEND\ndestination:/queue/y\nreceipt:r\n\n\0");
        assert_eq!(said, error(text, text));
        assert!(wire.session.is_open());
        assert!(wire.events().is_empty());
    }
}

#[test]
fn a_refused_subscription_is_forgotten() {
    let mut wire = Wire::open("1.1");
    wire.sink.refusal = Some(Refusal::BadSelector("x".into()));
    let subscribe = "SUBSCRIBE\nid:1\ndestination:/queue/a\nreceipt:r\n\n\0";
    let text = "Invalid selector: x";
    assert_eq!(wire.ask(subscribe), error(text, &text.replace(':', "\\c")));
    assert_eq!(wire.ask(subscribe), "RECEIPT\nreceipt-id:r\n\n^@\n");
}

#[test]
fn broken_frames_close_and_name_the_receipt() {
    for (version, frame, broken) in [
        (
            "1.1",
            "SEND\ndestination:/queue/a\nx:\\t\n",
            FrameError::UndefinedEscape,
        ),
        (
            "1.1",
            "SEND\ndestination:/queue/a\nx:\\r\n",
            FrameError::UndefinedEscape,
        ),
        ("1.2", "SEND\n\\x:1\n", FrameError::UndefinedEscape),
        ("1.2", "ACK\nid:1\nunused:\\\n", FrameError::UndefinedEscape),
        ("1.2", "CONNECT\n", FrameError::AlreadyConnected),
        ("1.2", "STOMP\n", FrameError::AlreadyConnected),
        ("1.2", "MESSAGE\n", FrameError::ServerCommand),
        ("1.2", "RECEIPT\n", FrameError::ServerCommand),
        ("1.2", "ERROR\n", FrameError::ServerCommand),
        ("1.2", "CONNECTED\n", FrameError::ServerCommand),
    ] {
        let mut wire = Wire::open(version);
        let said = wire.ask(format!(
            "{frame}receipt:r\n\n\0SEND\ndestination:/queue/b\n\n\0"
        ));
        let text = broken.to_string();
        assert_eq!(said, error(&text, &text), "{frame}");
        assert!(wire.sink.is_closed && wire.events().is_empty(), "{frame}");
    }
}

#[test]
fn a_broken_start_closes() {
    for (frame, broken) in [
        ("SEND\ndestination:/queue/a\n", FrameError::NotConnected),
        ("DISCONNECT\n", FrameError::NotConnected),
        ("CONNECTED\n", FrameError::ServerCommand),
        ("CONNECT\nheart-beat:1\n", FrameError::BadHeartBeat),
        ("CONNECT\nheart-beat:-1,5\n", FrameError::BadHeartBeat),
        ("CONNECT\nheart-beat:a,b\n", FrameError::BadHeartBeat),
    ] {
        let mut wire = Wire::fresh();
        let said = wire.ask(format!("{frame}receipt:r\n\n\0"));
        let text = broken.to_string();
        assert_eq!(said, error(&text, &text), "{frame}");
        assert!(wire.sink.is_closed && wire.sink.login.is_none(), "{frame}");
    }
}

#[test]
fn a_header_that_is_not_utf_8_is_broken() {
    let mut wire = Wire::open("1.0");
    wire.feed(b"SEND\ndestination:/queue/a\nx:\xff\n\n\0");
    assert!(wire.sink.is_closed && wire.events().is_empty());
}

#[test]
fn a_receipt_id_has_a_limit() {
    let mut wire = Wire::open("1.2");
    let at = "r".repeat(32);
    let said = wire.ask(format!("SEND\ndestination:/queue/a\nreceipt:{at}\n\n\0"));
    assert_eq!(said, format!("RECEIPT\nreceipt-id:{at}\n\n^@\n"));
    let said = wire.ask(format!("SEND\ndestination:/queue/b\nreceipt:{at}r\n\n\0"));
    assert!(
        said.starts_with("ERROR\n") && !said.contains("receipt-id"),
        "{said}"
    );
    assert_eq!(wire.events(), ["publish queue://a"]);
}

#[test]
fn every_broken_frame_has_a_label_of_its_own() {
    let all = [
        FrameError::CommandTooLong { limit: 1 },
        FrameError::UnknownCommand,
        FrameError::LineTooLong { limit: 1 },
        FrameError::HeadersTooLong { limit: 1 },
        FrameError::TooManyHeaders { limit: 1 },
        FrameError::HeaderWithoutColon,
        FrameError::HeaderNotUtf8,
        FrameError::UndefinedEscape,
        FrameError::BadContentLength,
        FrameError::TooLarge { limit: 1 },
        FrameError::NoNulAfterBody,
        FrameError::NotConnected,
        FrameError::AlreadyConnected,
        FrameError::ServerCommand,
        FrameError::NoCommonVersion,
        FrameError::BadHeartBeat,
    ];
    let mut labels: Vec<_> = all.iter().map(|error| error.label()).collect();
    labels.sort_unstable();
    labels.dedup();
    assert_eq!(labels.len(), all.len());
}
