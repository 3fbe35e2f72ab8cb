//! Every limit of the decoder at its edge.

use super::super::{FrameError, MAX_COMMAND};
use super::{Decoded, Decoder, Limits, Wire};

const LIMITS: Limits = Limits {
    line: 20,
    header_block: 60,
    headers: 4,
    frame: 120,
};

/// What the decoder says to the whole; the same when the bytes come one by one.
fn decode(bytes: &[u8]) -> Result<(), FrameError> {
    let whole = Decoder::new(LIMITS).decode(bytes);
    let mut decoder = Decoder::new(LIMITS);
    let slow = (1..=bytes.len()).map(|end| decoder.decode(&bytes[..end]));
    let slow = slow.filter(|step| *step != Ok(Decoded::Incomplete { skip: 0 }));
    assert_eq!(slow.take(1).last(), Some(whole));
    whole.map(|_| ())
}

fn with_headers(lines: &[&str]) -> Vec<u8> {
    format!("SEND\n{}\n\n\0", lines.join("\n")).into_bytes()
}

#[test]
fn a_command_line_has_a_limit() {
    let at = format!("{}\n", "A".repeat(MAX_COMMAND));
    assert_eq!(decode(at.as_bytes()), Err(FrameError::UnknownCommand));
    let above = format!("{}\n", "A".repeat(MAX_COMMAND + 1));
    let too_long = Err(FrameError::CommandTooLong { limit: MAX_COMMAND });
    assert_eq!(decode(above.as_bytes()), too_long);
    // No newline ever.
    assert_eq!(decode("A".repeat(MAX_COMMAND + 1).as_bytes()), too_long);
}

#[test]
fn a_header_line_has_a_limit() {
    for end in ["\n", "\r\n"] {
        let line = |length: usize| format!("SEND\nx:{}{end}\n\0", "v".repeat(length - 2));
        assert_eq!(decode(line(20).as_bytes()), Ok(()), "{end:?}");
        let too_long = Err(FrameError::LineTooLong { limit: 20 });
        assert_eq!(decode(line(21).as_bytes()), too_long, "{end:?}");
    }
    let endless = format!("SEND\nx:{}", "v".repeat(19));
    let too_long = Err(FrameError::LineTooLong { limit: 20 });
    assert_eq!(decode(endless.as_bytes()), too_long);
}

#[test]
fn a_header_block_has_a_limit() {
    let at = [
        "a:34567890123456789",
        "b:34567890123456789",
        "c:34567890123456789",
    ];
    assert_eq!(at.iter().map(|line| line.len() + 1).sum::<usize>(), 60);
    assert_eq!(decode(&with_headers(&at)), Ok(()));
    let above = [
        "a:34567890123456789",
        "b:34567890123456789",
        "c:345678901234567890",
    ];
    let too_long = Err(FrameError::HeadersTooLong { limit: 60 });
    assert_eq!(decode(&with_headers(&above)), too_long);
}

#[test]
fn the_number_of_headers_has_a_limit() {
    assert_eq!(decode(&with_headers(&["a:1", "b:2", "c:3", "d:4"])), Ok(()));
    assert_eq!(
        decode(&with_headers(&["a:1", "b:2", "c:3", "d:4", "e:5"])),
        Err(FrameError::TooManyHeaders { limit: 4 })
    );
}

#[test]
fn a_frame_has_a_limit_and_blank_lines_before_it_do_not_count() {
    let too_large = Err(FrameError::TooLarge { limit: 120 });
    let body = |length: usize| format!("SEND\na:1\n\n{}\0", "b".repeat(length));
    let head = body(0).len() - 1;
    assert_eq!(decode(body(120 - head).as_bytes()), Ok(()));
    assert_eq!(decode(body(121 - head).as_bytes()), too_large);
    let late = format!("{}{}", "\n".repeat(500), body(120 - head));
    assert!(Decoder::new(LIMITS).decode(late.as_bytes()).is_ok());
    let sized =
        |length: usize| format!("SEND\ncontent-length:{length}\n\n{}\0", "b".repeat(length));
    assert_eq!(decode(sized(96).as_bytes()), Ok(()));
    assert_eq!(sized(96).len(), 121);
    assert_eq!(decode(sized(97).as_bytes()), too_large);
}

#[test]
fn a_declared_length_is_refused_before_its_bytes_come() {
    let declared = b"SEND\ncontent-length:121\n";
    assert_eq!(decode(declared), Err(FrameError::TooLarge { limit: 120 }));
    let endless = b"SEND\n\n".iter().chain(&[b'x'; 200]).copied();
    let endless: Vec<u8> = endless.collect();
    assert_eq!(decode(&endless), Err(FrameError::TooLarge { limit: 120 }));
}

#[test]
fn a_content_length_is_one_plain_number() {
    for (value, expected) in [
        ("3", Ok(())),
        ("003", Ok(())),
        (" 3", Ok(())),
        ("-1", Err(FrameError::BadContentLength)),
        ("+3", Err(FrameError::BadContentLength)),
        ("3.0", Err(FrameError::BadContentLength)),
        ("0x3", Err(FrameError::BadContentLength)),
        ("", Err(FrameError::BadContentLength)),
        ("3 4", Err(FrameError::BadContentLength)),
        ("2147483648", Err(FrameError::TooLarge { limit: 120 })),
        ("18446744073709551616", Err(FrameError::BadContentLength)),
        ("2", Err(FrameError::NoNulAfterBody)),
    ] {
        let bytes = format!("SEND\ncontent-length:{value}\n\nabc\0");
        let limits = Limits { line: 64, ..LIMITS };
        let seen = Decoder::new(limits).decode(bytes.as_bytes()).map(|_| ());
        assert_eq!(seen, expected, "{value:?}");
    }
    let twice = b"SEND\ncontent-length:3\ncontent-length:3\n\nabc\0";
    assert_eq!(decode(twice), Err(FrameError::BadContentLength));
}

#[test]
fn limits_before_login_bound_the_head_too() {
    let limits = Limits {
        frame: 40,
        ..LIMITS
    };
    let head = with_headers(&["a:1234567890123", "b:1234567890123", "c:1234567890123"]);
    let seen = Decoder::new(limits).decode(&head);
    assert_eq!(seen, Err(FrameError::HeadersTooLong { limit: 40 }));
}

#[test]
fn larger_limits_apply_from_the_next_frame_on() {
    let mut decoder = Decoder::new(LIMITS);
    let frame = format!("SEND\n\n{}\0", "b".repeat(200));
    decoder.set_limits(Limits::default());
    let consumed = frame.len();
    assert_eq!(
        decoder.decode(frame.as_bytes()),
        Ok(Decoded::Frame { consumed })
    );
}

#[test]
fn a_broken_frame_is_told_and_closes() {
    let mut wire = Wire::open("1.2");
    let said = wire.ask("SEND\nno colon here\n\n\0");
    let text = "a header line has no colon";
    let expected = format!("ERROR\ncontent-type:text/plain\nmessage:{text}\n\n{text}^@\n");
    assert_eq!(said, expected);
    assert!(wire.sink.is_closed);
}
