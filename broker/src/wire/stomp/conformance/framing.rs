//! Where frames begin and end, however their bytes arrive.

use super::{Decoded, Decoder, Limits, Wire};

/// Frames of every shape, back to back.
const STREAM: &[u8] = b"\n\r\n\0SEND\ndestination:/queue/a\n\ntext\0\n\n\
    SEND\r\ndestination:/queue/b\r\ncontent-length:5\r\nx:y:z\r\n\r\na\0b\n\0\0\r\n\
    SEND\ndestination:/topic/c\nreceipt:\\c1\\\\\n\n\0\
    SUBSCRIBE\nid:1\ndestination:/topic/c.>\ncontent-length:99\nreceipt:2\n\nignored\0\
    UNSUBSCRIBE\nid:1\n\n\0\n\0\nACK\nid:5\n\n\0NACK\nid:6\n\n\0DISCONNECT\nreceipt:3\n\n\0";

fn outcome(wire: &mut Wire) -> (String, Vec<String>, Vec<Vec<u8>>) {
    let bodies = wire.sink.published.iter();
    let bodies = bodies.filter_map(|message| Some(message.view()?.body.to_vec()));
    let bodies = bodies.collect();
    (wire.said(), wire.events(), bodies)
}

#[test]
fn a_stream_means_the_same_however_it_is_cut() {
    let mut whole = Wire::open("1.2");
    whole.feed(STREAM);
    let expected = outcome(&mut whole);
    assert!(whole.sink.is_closed);
    assert_eq!(expected.2, [b"text".to_vec(), b"a\0b\n\0".to_vec(), vec![]]);
    assert_eq!(
        expected.0,
        "RECEIPT\nreceipt-id:\\c1\\\\\n\n^@\nRECEIPT\nreceipt-id:2\n\n^@\nRECEIPT\nreceipt-id:3\n\n^@\n"
    );
    for cut in 0..=STREAM.len() {
        let mut wire = Wire::open("1.2");
        wire.feed(&STREAM[..cut]);
        wire.feed(&STREAM[cut..]);
        assert_eq!(outcome(&mut wire), expected, "cut at {cut}");
    }
    for step in [1, 2, 3, 7] {
        let mut wire = Wire::open("1.2");
        STREAM.chunks(step).for_each(|chunk| wire.feed(chunk));
        assert_eq!(outcome(&mut wire), expected, "chunks of {step}");
    }
}

#[test]
fn floods_of_blank_lines_and_nuls_are_dropped_at_once() {
    for flood in [&b"\n"[..], b"\r\n", b"\0"] {
        let bytes = flood.repeat(50_000);
        let mut decoder = Decoder::new(Limits::default());
        let skip = bytes.len();
        assert_eq!(decoder.decode(&bytes), Ok(Decoded::Incomplete { skip }));
        let mut wire = Wire::open("1.0");
        wire.feed(&bytes);
        assert!(wire.buffer.is_empty() && !wire.sink.is_closed);
        wire.feed("SEND\ndestination:/queue/a\n\n\0");
        assert_eq!(wire.events(), ["publish queue://a"]);
    }
}

#[test]
fn only_whole_words_in_capitals_are_commands() {
    for word in [
        "SUB", "SENDX", "send", "Send", " SEND", "SEND ", "UNSUB", "CONNECT:",
    ] {
        let mut wire = Wire::open("1.1");
        let said = wire.ask(format!("{word}\ndestination:/queue/a\n\n\0"));
        assert!(said.contains("message:unknown command\n"), "{word}: {said}");
        assert!(wire.sink.is_closed, "{word}");
    }
}

#[test]
fn other_protocols_are_named_by_their_first_bytes() {
    let path = "x".repeat(500);
    let http = "this looks like HTTP; this port speaks STOMP";
    for (bytes, text, label) in [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), http, "http"),
        (b"POST /a".to_vec(), http, "http"),
        (format!("GET /{path}").into_bytes(), http, "http"),
        (
            b"\x16\x03\x01\x02\x00\x01\x00\n\x00".to_vec(),
            "this looks like TLS; this port speaks STOMP in clear, stomps has a port of its own",
            "tls_on_plain_port",
        ),
    ] {
        for cut in 6..bytes.len() {
            let mut decoder = Decoder::new(Limits::default());
            let error = decoder.decode(&bytes[..cut]).expect_err("no command");
            assert_eq!((error.to_string().as_str(), error.label()), (text, label));
        }
        let mut wire = Wire::fresh();
        wire.feed(&bytes);
        let said = wire.said();
        assert!(said.starts_with("ERROR\n") && said.contains(text), "{said}");
        assert!(wire.sink.is_closed);
    }
}

#[test]
fn content_length_tells_the_body_of_send_only() {
    let mut wire = Wire::open("1.0");
    wire.feed("SEND\ndestination:/queue/a\ncontent-length:3\n\n\0\n\0\0");
    assert_eq!(wire.last().body, b"\0\n\0");
    assert!(!wire.last().text);
    let said =
        wire.ask("BEGIN\ntransaction:t\ncontent-length:x\ncontent-length:-1\nreceipt:1\n\n\0");
    assert_eq!(said, "RECEIPT\nreceipt-id:1\n\n^@\n");
}

#[test]
fn nothing_is_heard_after_disconnect() {
    let mut wire = Wire::open("1.2");
    let said =
        wire.ask("DISCONNECT\nreceipt:bye\n\n\0SEND\ndestination:/queue/a\nreceipt:late\n\n\0");
    assert_eq!(said, "RECEIPT\nreceipt-id:bye\n\n^@\n");
    assert!(wire.session.is_closed());
    assert!(wire.sink.is_closed && wire.events().is_empty());
}

#[test]
fn a_decoder_keeps_its_table_between_frames() {
    let frame = b"SEND\ndestination:/queue/a\na:1\nb:2\n\nbody\0";
    let mut decoder = Decoder::new(Limits::default());
    for _ in 0..3 {
        let consumed = frame.len();
        assert_eq!(decoder.decode(frame), Ok(Decoded::Frame { consumed }));
        let seen = decoder.frame(frame);
        assert_eq!(seen.headers().count(), 3);
        assert_eq!(seen.first("b"), Some(&b"2"[..]));
        assert_eq!(seen.first("c"), None);
        assert_eq!(seen.body, b"body");
        assert!(!seen.has_length);
    }
}
