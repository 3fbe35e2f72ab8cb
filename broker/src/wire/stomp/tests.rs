//! Raw bytes in, raw bytes out: one test per rule.

use super::encode::{self, Escaping, Presentation};
use super::session::{AckName, Answer, Login, Settings, Subscribe, Time};
use super::{Decoded, Decoder, FrameError, Limits, Refusal, Session, Sink};
use crate::model::{HeaderBlockBuf, Kind, Message, MessageView, ReplyTo};

/// Notes what the session asks for, and refuses `/queue/denied`.
#[derive(Debug, Default)]
struct Recorder {
    log: Vec<String>,
    sent: Vec<Message>,
    out: Vec<u8>,
    logins: Vec<Login>,
    is_closed: bool,
}

impl Sink for Recorder {
    fn login(&mut self, login: Login) {
        self.logins.push(login);
    }

    fn temporary(&mut self, _kind: Kind, private: &str) -> String {
        format!("ID:t:{private}")
    }

    fn check_publish(&mut self, _kind: Kind, name: &str) -> Result<(), Refusal> {
        if name == "denied" {
            Err(Refusal::TooManyDestinations)
        } else {
            Ok(())
        }
    }

    fn publish(&mut self, view: &MessageView<'_>) -> Result<(), Refusal> {
        self.check_publish(view.kind, view.name)?;
        self.log
            .push(format!("publish {}{}", view.kind.scheme(), view.name));
        self.sent.push(Message::from_view(view));
        Ok(())
    }

    fn subscribe(&mut self, subscribe: &Subscribe<'_>, receipt: &[u8]) -> Result<(), Refusal> {
        self.out.extend_from_slice(receipt);
        self.log.push(format!(
            "subscribe {} {:?}",
            subscribe.destination, subscribe.mode
        ));
        Ok(())
    }

    fn unsubscribe(&mut self, number: u32) {
        self.log.push(format!("unsubscribe {number}"));
    }

    fn answer(&mut self, answer: &Answer, transaction: Option<&str>) -> Result<(), Refusal> {
        let name = match &answer.name {
            AckName::Token(token) => token.to_string(),
            AckName::MessageId(id, subscription) => format!("{id}/{subscription:?}"),
        };
        self.log.push(format!(
            "answer {name} nack={} {transaction:?}",
            answer.is_nack
        ));
        Ok(())
    }

    fn end_transaction(&mut self, transaction: &str, is_commit: bool) {
        self.log
            .push(format!("end {transaction} commit={is_commit}"));
    }

    fn reply(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    fn close(&mut self) {
        self.is_closed = true;
    }
}

fn settings() -> Settings {
    Settings {
        server: "causeway/test".into(),
        heart_beat_ms: (1000, 10_000),
        is_memory_only: true,
        subscriptions: 3,
        id_length: 20,
        destination_length: 100,
        transaction_frames: 2,
        transaction_bytes: 10_000,
    }
}

struct Peer {
    session: Session,
    decoder: Decoder,
    sink: Recorder,
    buffer: Vec<u8>,
}

impl Peer {
    fn fresh() -> Self {
        Self {
            session: Session::new(settings(), "ID:x:"),
            decoder: Decoder::new(Limits::default()),
            sink: Recorder::default(),
            buffer: Vec::new(),
        }
    }

    fn open(version: &str) -> Self {
        let mut peer = Self::fresh();
        peer.say(&format!(
            "CONNECT\naccept-version:{version}\nhost:h\nlogin:u\npasscode:p\n\n\0"
        ));
        peer.session.logged_in("s1", &mut peer.sink);
        peer.sink.out.clear();
        peer
    }

    /// Feeds bytes; returns what came back.
    fn say(&mut self, text: &str) -> String {
        self.feed(text.as_bytes());
        String::from_utf8(std::mem::take(&mut self.sink.out)).unwrap_or_default()
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        loop {
            match self.decoder.decode(&self.buffer) {
                Ok(Decoded::Incomplete { skip }) => {
                    self.buffer.drain(..skip);
                    return;
                }
                Ok(Decoded::Frame { consumed }) => {
                    let frame = self.decoder.frame(&self.buffer);
                    let time = Time { wall_ms: 1_000_000 };
                    if let Err(error) = self.session.on_frame(&frame, time, &mut self.sink) {
                        self.session.fail(error, &mut self.sink);
                        return;
                    }
                    self.buffer.drain(..consumed);
                }
                Err(error) => {
                    self.session.fail(error, &mut self.sink);
                    return;
                }
            }
        }
    }
}

#[test]
fn connected_tells_version_session_heart_beat_and_what_was_asked() {
    let mut peer = Peer::fresh();
    peer.say("CONNECT\naccept-version:1.1,1.2\nhost:h\nlogin:u\npasscode:p\nheart-beat:500,500\nreceipt:r1\n\n\0");
    assert_eq!(peer.sink.logins[0].login, "u");
    peer.session.logged_in("s1", &mut peer.sink);
    let text = String::from_utf8(peer.sink.out.clone()).unwrap_or_default();
    assert_eq!(
        text,
        "CONNECTED\nversion:1.2\nsession:s1\nserver:causeway/test\nheart-beat:1000,10000\n\
         response-id:r1\nreceipt-id:r1\ndurability:memory\n\n\0\n"
    );
}

#[test]
fn a_stomp_frame_may_escape_its_login_and_connect_does_not() {
    for (command, passcode) in [("STOMP", "a:b"), ("CONNECT", r"a\cb")] {
        let mut peer = Peer::fresh();
        peer.say(&format!(
            "{command}\naccept-version:1.2\nlogin:u\npasscode:a\\cb\n\n\0"
        ));
        assert_eq!(peer.sink.logins[0].passcode, passcode, "{command}");
    }
}

#[test]
fn fatal_frames_get_an_error_and_the_end() {
    let rows = [
        (
            "SEND\ndestination:/queue/a\n\n\0",
            "the first frame must be CONNECT",
        ),
        ("CONNECT\naccept-version:3.0\n\n\0", "version:1.0,1.1,1.2"),
        (
            "CONNECT\naccept-version:1.2\nheart-beat:x,1\n\n\0",
            "heart-beat must be",
        ),
        ("MESSAGE\n\n\0", "may not send"),
        ("connect\n\n\0", "unknown command"),
        ("CONNECT\nno colon\n\n\0", "no colon"),
    ];
    for (bytes, expected) in rows {
        let mut peer = Peer::fresh();
        let answer = peer.say(bytes);
        assert!(
            answer.starts_with("ERROR\n") && answer.contains(expected),
            "{bytes:?}: {answer}"
        );
        assert!(peer.sink.is_closed, "{bytes:?}");
    }
    for bytes in ["CONNECT\n\n\0", "SEND\ndestination:/queue/a\nbad:\\t\n\n\0"] {
        let mut peer = Peer::open("1.2");
        assert!(peer.say(bytes).starts_with("ERROR\n"), "{bytes:?}");
        assert!(peer.sink.is_closed, "{bytes:?}");
    }
}

#[test]
fn refused_requests_get_an_error_with_their_receipt_id_and_the_connection_stays() {
    let rows = [
        (
            "SEND\nreceipt:r\n\n\0",
            "SEND received without a Destination specified!",
        ),
        (
            "SEND\nreceipt:r\ndestination:/foo/a\n\n\0",
            "Illegal destination name: [/foo/a]",
        ),
        ("SEND\nreceipt:r\ndestination:/queue/a.>\n\n\0", "wildcard"),
        (
            "SEND\nreceipt:r\ndestination:/queue/a,denied\n\n\0",
            "too many destinations",
        ),
        (
            "SEND\nreceipt:r\ndestination:/queue/a\nexpires:x\n\n\0",
            "expires",
        ),
        (
            "SEND\nreceipt:r\ndestination:/queue/a\namq-msg-type:map\n\n\0",
            "amq-msg-type",
        ),
        (
            "SEND\nreceipt:r\ndestination:/queue/a\ntransaction:t\n\n\0",
            "Invalid transaction id",
        ),
        (
            "SUBSCRIBE\nreceipt:r\ndestination:/queue/a\n\n\0",
            "without a id header",
        ),
        (
            "UNSUBSCRIBE\nreceipt:r\nid:9\n\n\0",
            "No subscription matched.",
        ),
        (
            "ACK\nreceipt:r\nid:x\n\n\0",
            "Unexpected ACK received for message-id [x]",
        ),
        (
            "COMMIT\nreceipt:r\ntransaction:t\n\n\0",
            "Invalid transaction id",
        ),
        (
            "BEGIN\nreceipt:r\n\n\0",
            "BEGIN received without a transaction header",
        ),
    ];
    for (bytes, expected) in rows {
        let mut peer = Peer::open("1.2");
        let answer = peer.say(bytes);
        assert!(
            answer.starts_with("ERROR\n") && answer.contains(&expected.replace(':', "\\c")),
            "{bytes:?}: {answer}"
        );
        assert!(answer.contains("receipt-id:r\n"), "{bytes:?}: {answer}");
        assert!(
            !peer.sink.is_closed && peer.sink.sent.is_empty(),
            "{bytes:?}"
        );
    }
}

#[test]
fn frames_split_at_every_byte_and_many_in_one_read_mean_the_same() {
    let bytes = b"\n\r\nSEND\r\ndestination:/topic/a\r\ncontent-length:4\r\n\r\na\0\nb\0\n\n\
        SUBSCRIBE\nid:1\ndestination:/queue/q\nack:client\n\n\0\nSEND\ndestination:/queue/b\n\nhi\0";
    let mut whole = Peer::open("1.2");
    whole.feed(bytes);
    assert_eq!(
        whole.sink.log,
        [
            "publish topic://a",
            "subscribe /queue/q Client",
            "publish queue://b"
        ]
    );
    assert_eq!(
        whole.sink.sent[0].view().map(|view| view.body.to_vec()),
        Some(b"a\0\nb".to_vec())
    );
    for cut in 1..bytes.len() {
        let mut peer = Peer::open("1.2");
        peer.feed(&bytes[..cut]);
        peer.feed(&bytes[cut..]);
        assert_eq!(peer.sink.log, whole.sink.log, "cut at {cut}");
    }
    let mut dripped = Peer::open("1.2");
    bytes.iter().for_each(|byte| dripped.feed(&[*byte]));
    assert_eq!(dripped.sink.log, whole.sink.log);
}

#[test]
fn limits_hold_at_their_edge() {
    let limits = Limits {
        line: 30,
        header_block: 60,
        headers: 2,
        frame: 100,
    };
    let outcome = |bytes: &str| {
        let mut decoder = Decoder::new(limits);
        decoder.decode(bytes.as_bytes())
    };
    let line = |length: usize| format!("SEND\na:{}\n\n\0", "x".repeat(length - 2));
    assert!(matches!(outcome(&line(30)), Ok(Decoded::Frame { .. })));
    assert_eq!(
        outcome(&line(31)),
        Err(FrameError::LineTooLong { limit: 30 })
    );
    assert!(matches!(
        outcome("SEND\na:1\nb:2\n\n\0"),
        Ok(Decoded::Frame { .. })
    ));
    assert_eq!(
        outcome("SEND\na:1\nb:2\nc:3\n\n\0"),
        Err(FrameError::TooManyHeaders { limit: 2 })
    );
    let endless = "x".repeat(70);
    assert_eq!(
        outcome(&endless),
        Err(FrameError::CommandTooLong { limit: 64 })
    );
    for bad in ["-1", "+1", "1x", "", "9999999999999"] {
        let text = format!("SEND\ncontent-length:{bad}\n\n\0");
        assert_eq!(outcome(&text), Err(FrameError::BadContentLength), "{bad}");
    }
    assert_eq!(
        outcome("SEND\ncontent-length:101\n\n"),
        Err(FrameError::TooLarge { limit: 100 })
    );
    assert_eq!(
        outcome("SEND\ncontent-length:1\n\nab\0"),
        Err(FrameError::NoNulAfterBody)
    );
    let body = "b".repeat(120);
    assert_eq!(
        outcome(&format!("SEND\n\n{body}")),
        Err(FrameError::TooLarge { limit: 100 })
    );
}

#[test]
fn headers_of_the_broker_are_taken_out_and_the_first_of_equals_wins() {
    let mut peer = Peer::open("1.1");
    peer.say(
        "SEND\ndestination:/queue/a\nmessage-id:fake\nCauseway-x:1\nJMSXUserID:root\nx:1\nx:2\n\
         priority:12\npersistent:true\nreply-to:/temp-queue/r\n\nhi\0",
    );
    let Some(view) = peer.sink.sent[0].view() else {
        panic!("a message was sent")
    };
    assert_eq!(view.headers.iter().collect::<Vec<_>>(), [("x", "1")]);
    assert_eq!(
        (view.id, view.priority, view.persistent, view.text),
        ("ID:x:1", 9, true, true)
    );
    assert_eq!(
        view.reply_to,
        Some(ReplyTo::Destination(Kind::TempQueue, "ID:t:r"))
    );
}

#[test]
fn a_transaction_holds_sends_back_and_has_an_end() {
    let mut peer = Peer::open("1.2");
    peer.say("BEGIN\ntransaction:t\n\n\0SEND\ntransaction:t\ndestination:/queue/a\n\n1\0ACK\nid:7\ntransaction:t\n\n\0");
    assert!(peer.sink.sent.is_empty());
    assert_eq!(
        peer.say("COMMIT\ntransaction:t\nreceipt:c\n\n\0"),
        "RECEIPT\nreceipt-id:c\n\n\0\n"
    );
    assert_eq!(
        peer.sink.log,
        [
            "answer 7 nack=false Some(\"t\")",
            "end t commit=true",
            "publish queue://a"
        ]
    );
    peer.say("BEGIN\ntransaction:u\n\n\0");
    for _ in 0..2 {
        assert_eq!(
            peer.say("SEND\ntransaction:u\ndestination:/queue/a\n\n1\0"),
            ""
        );
    }
    let answer = peer.say("SEND\ntransaction:u\ndestination:/queue/a\n\n1\0");
    assert!(answer.contains("larger than allowed"), "{answer}");
    assert!(
        peer.say("COMMIT\ntransaction:u\n\n\0")
            .contains("Invalid transaction id")
    );
}

#[test]
fn a_subscription_id_is_used_once_and_their_number_is_bounded() {
    let mut peer = Peer::open("1.1");
    assert_eq!(
        peer.say("SUBSCRIBE\nid:1\ndestination:/topic/a\nreceipt:s\n\n\0"),
        "RECEIPT\nreceipt-id:s\n\n\0\n"
    );
    assert!(
        peer.say("SUBSCRIBE\nid:1\ndestination:/topic/b\n\n\0")
            .contains("already is")
    );
    peer.say(
        "SUBSCRIBE\nid:2\ndestination:/topic/b\n\n\0SUBSCRIBE\nid:3\ndestination:/topic/c\n\n\0",
    );
    assert!(
        peer.say("SUBSCRIBE\nid:4\ndestination:/topic/d\n\n\0")
            .contains("too many")
    );
    assert_eq!(peer.say("UNSUBSCRIBE\nid:1\n\n\0"), "");
    assert_eq!(peer.say("SUBSCRIBE\nid:4\ndestination:/topic/d\n\n\0"), "");
    assert!(peer.sink.log.contains(&"unsubscribe 1".to_owned()));
}

#[test]
fn a_1_0_client_may_leave_ids_out() {
    let mut peer = Peer::open("1.0");
    assert_eq!(peer.say("SUBSCRIBE\ndestination: /queue/a \n\n\0"), "");
    assert_eq!(peer.say("ACK\nmessage-id:m\n\n\0"), "");
    assert_eq!(peer.say("UNSUBSCRIBE\ndestination:/queue/a\n\n\0"), "");
    assert_eq!(
        peer.sink.log,
        [
            "subscribe /queue/a Auto",
            "answer m/None nack=false None",
            "unsubscribe 1"
        ]
    );
}

#[test]
fn disconnect_is_answered_last_and_nothing_after_it_is_handled() {
    let mut peer = Peer::open("1.2");
    let answer = peer.say("SEND\ndestination:/queue/a\nreceipt:a\n\n\0DISCONNECT\nreceipt:d\n\n\0SEND\ndestination:/queue/b\n\n\0");
    assert_eq!(
        answer,
        "RECEIPT\nreceipt-id:a\n\n\0\nRECEIPT\nreceipt-id:d\n\n\0\n"
    );
    assert!(peer.sink.is_closed);
    assert_eq!(peer.sink.log, ["publish queue://a"]);
}

fn rendered(view: &MessageView<'_>, escaping: Escaping) -> String {
    let mut out = Vec::new();
    encode::tail(view, escaping, &Presentation::default(), &mut out);
    String::from_utf8(out).unwrap_or_default()
}

#[test]
fn a_hostile_sender_cannot_inject_headers_into_a_1_0_receiver() {
    let mut headers = HeaderBlockBuf::default();
    assert!(headers.push("x", "a\nmessage-id:forged\r"));
    assert!(headers.push("bad:name", "v"));
    assert!(headers.push("empty", ""));
    assert!(headers.push("nul", "a\0b"));
    let view = MessageView {
        headers: headers.block(),
        ..MessageView::new(Kind::Topic, "t", "ID:1", b"")
    };
    assert!(encode::differs_by_version(&view));
    let old = rendered(&view, Escaping::V10);
    assert!(
        old.contains("x:a\\nmessage-id:forged\\r\n") && old.contains("nul:ab\n"),
        "{old}"
    );
    assert!(!old.contains("bad") && !old.contains("empty"), "{old}");
    let new = rendered(&view, Escaping::V12);
    assert!(
        new.contains("x:a\\nmessage-id\\cforged\\r\n") && new.contains("bad\\cname:v\n"),
        "{new}"
    );
    assert!(new.contains("empty:\n"), "{new}");
}

#[test]
fn arbitrary_bytes_never_panic_the_decoder() {
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let pieces: [&[u8]; 9] = [
        b"SEND\n",
        b"\n",
        b":",
        b"content-length:",
        b"3",
        b"\0",
        b"\r\n",
        b"x",
        b"CONNECT\n",
    ];
    for _ in 0..20_000 {
        let mut bytes = Vec::new();
        for _ in 0..12 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            bytes.extend_from_slice(pieces[(random % 9) as usize]);
        }
        let mut decoder = Decoder::new(Limits::default());
        let mut rest = &bytes[..];
        while let Ok(Decoded::Frame { consumed }) = decoder.decode(rest) {
            assert!(consumed > 0 && consumed <= rest.len());
            rest = &rest[consumed..];
        }
    }
}
