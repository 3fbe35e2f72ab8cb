//! CONNECT, STOMP, CONNECTED and the logins that fail.

use super::Wire;

#[test]
fn connected_says_everything_in_each_version() {
    for (accept, version) in [
        ("", "1.0"),
        ("accept-version:1.0\n", "1.0"),
        ("accept-version:1.1,1.0\n", "1.1"),
        ("accept-version:1.0,1.2,1.1,9.9\n", "1.2"),
    ] {
        let mut wire = Wire::fresh();
        wire.feed(format!("CONNECT\n{accept}host:any\nrequest-id:r\n\n\0"));
        wire.session.logged_in("ID:s-1", &mut wire.sink);
        let expected = format!(
            "CONNECTED\nversion:{version}\nsession:ID:s-1\nserver:causeway/1.0\n\
             heart-beat:1000,10000\nresponse-id:r\nreceipt-id:r\ndurability:memory\n\n^@\n"
        );
        assert_eq!(wire.said(), expected, "{accept}");
    }
}

#[test]
fn a_receipt_on_connect_is_echoed_and_gets_no_receipt_frame() {
    let mut wire = Wire::fresh();
    wire.feed("CONNECT\nreceipt:7\nclient-id:me\n\n\0");
    wire.session.logged_in("ID:s-1", &mut wire.sink);
    let said = wire.said();
    assert!(said.contains("session:me\n"), "{said}");
    assert!(said.contains("response-id:7\nreceipt-id:7\n"), "{said}");
    assert!(!said.contains("RECEIPT\n"), "{said}");
}

#[test]
fn no_common_version_is_told_and_closed() {
    let mut wire = Wire::fresh();
    let said = wire.ask("CONNECT\naccept-version:2.0\n\n\0");
    let expected = "ERROR\ncontent-type:text/plain\nversion:1.0,1.1,1.2\n\
                    message:Supported protocol versions are 1.0, 1.1, 1.2\n\n\
                    Supported protocol versions are 1.0, 1.1, 1.2^@\n";
    assert_eq!(said, expected);
    assert!(wire.sink.is_closed);
    assert!(wire.sink.login.is_none());
}

#[test]
fn connect_is_not_escaped_and_stomp_is() {
    for (command, login, expected) in [
        ("CONNECT", r"a\cb\n", r"a\cb\n"),
        ("STOMP", r"a\cb\\", r"a:b\"),
        ("STOMP", r"a\tb", r"a\tb"),
        ("STOMP", "a:b", "a:b"),
    ] {
        let mut wire = Wire::fresh();
        wire.feed(format!(
            "{command}\naccept-version:1.2\nlogin:{login}\n\n\0"
        ));
        let seen = wire.sink.login.expect("no login");
        assert_eq!(seen.login, expected, "{command} {login}");
    }
}

#[test]
fn blanks_around_values_are_trimmed_in_1_0_only() {
    for (version, expected) in [("1.0", "amq"), ("1.1", " amq "), ("1.2", " amq ")] {
        let mut wire = Wire::fresh();
        wire.feed(format!(
            "CONNECT\naccept-version: {version}\nlogin: amq \n\n\0"
        ));
        let seen = wire.sink.login.expect("no login");
        assert_eq!(seen.login, expected, "{version}");
    }
}

#[test]
fn the_first_of_repeated_headers_counts() {
    let mut wire = Wire::fresh();
    wire.feed("CONNECT\nlogin:one\nlogin:two\npasscode:p\npasscode:q\n\n\0");
    let seen = wire.sink.login.expect("no login");
    assert_eq!((seen.login.as_str(), seen.passcode.as_str()), ("one", "p"));
}

#[test]
fn lines_may_end_with_return_and_line_feed() {
    let mut wire = Wire::fresh();
    wire.feed("\r\nCONNECT\r\nlogin:amq\naccept-version:1.2\r\n\r\n\0\r\n");
    let seen = wire.sink.login.take().expect("no login");
    assert_eq!(seen.login, "amq");
    assert_eq!(wire.session.version().text(), "1.2");
}

#[test]
fn what_mcollective_sends_is_understood() {
    let mut wire = Wire::fresh();
    wire.feed(
        "CONNECT\naccept-version:1.0\nhost:mcollective\nlogin:mcollective\npasscode:secret\n\
         content-length:0\ncontent-type:text/plain; charset=UTF-8\n\n\0\n",
    );
    wire.session.logged_in("s", &mut wire.sink);
    wire.said();
    let said = wire.ask(
        "SUBSCRIBE\nselector:mc_identity = 'web1.example.com'\n\
         destination:/queue/mcollective.nodes\ncontent-length:0\n\
         content-type:text/plain; charset=UTF-8\n\n\0\n",
    );
    assert_eq!(said, "");
    assert_eq!(
        wire.events()[0],
        "subscribe 1 queue://mcollective.nodes Auto"
    );
}

#[test]
fn heart_beats_are_agreed_on_by_the_specification() {
    for (header, send_ms, expect_ms) in [
        ("heart-beat:30500,29500\n", 29_500, 30_500),
        ("heart-beat:1,1\n", 1000, 10_000),
        ("heart-beat:0,5000\n", 5000, 0),
        ("", 0, 0),
    ] {
        let mut wire = Wire::fresh();
        wire.feed(format!("CONNECT\naccept-version:1.1\n{header}\n\0"));
        let agreed = wire.session.heart_beat();
        assert_eq!((agreed.send_ms, agreed.expect_ms), (send_ms, expect_ms));
    }
}

#[test]
fn a_failed_login_is_told_with_the_receipt_and_closed() {
    let mut wire = Wire::fresh();
    wire.feed("CONNECT\nlogin:x\nreceipt:r\n\n\0SEND\ndestination:/queue/a\n\n\0");
    assert!(wire.session.is_verifying());
    let text = "User name [x] or password is invalid.";
    wire.session.login_failed(text, &mut wire.sink);
    wire.feed("");
    let expected =
        format!("ERROR\ncontent-type:text/plain\nmessage:{text}\nreceipt-id:r\n\n{text}^@\n");
    assert_eq!(wire.said(), expected);
    assert!(wire.sink.is_closed && wire.sink.published.is_empty());
}

#[test]
fn a_client_id_that_is_too_long_is_refused() {
    for (length, is_closed) in [(32, false), (33, true)] {
        let mut wire = Wire::fresh();
        wire.feed(format!("CONNECT\nclient-id:{}\n\n\0", "c".repeat(length)));
        assert_eq!(wire.sink.is_closed, is_closed, "{length}");
        assert_eq!(wire.sink.login.is_none(), is_closed, "{length}");
    }
}

#[test]
fn a_password_is_not_shown_by_debug() {
    let mut wire = Wire::fresh();
    let bytes = b"CONNECT\nlogin:amq\npasscode:hunter2\n\n\0";
    assert!(wire.decoder.decode(bytes).is_ok());
    let frame = format!("{:?}", wire.decoder.frame(bytes));
    wire.decoder = super::Decoder::new(super::Limits::default());
    wire.feed(bytes);
    let login = format!("{:?}", wire.sink.login);
    let session = format!("{:?}", wire.session);
    for text in [frame, login, session] {
        assert!(!text.contains("hunter2"), "{text}");
        assert!(!text.contains("104, 117, 110"), "{text}");
    }
}
