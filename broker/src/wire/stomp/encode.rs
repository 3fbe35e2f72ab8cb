//! Frames to clients. A MESSAGE is a prefix that differs per subscriber (subscription, ack) and a
//! tail that does not; the tail is encoded once for all whose version reads it alike.

use crate::model::{Kind, MessageView, ReplyTo, temporary};

use super::headers;
use super::version::Version;

/// How header values are made harmless, by version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escaping {
    /// 1.0 has no escapes: line ends are spelled out, NUL is left out.
    V10,
    /// 1.1: `\\`, `\n`, `\c`.
    V11,
    /// 1.2: also `\r`.
    V12,
}

impl Escaping {
    /// A number below 3, for tables.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::V10 => 0,
            Self::V11 => 1,
            Self::V12 => 2,
        }
    }
}

impl From<Version> for Escaping {
    fn from(version: Version) -> Self {
        match version {
            Version::V10 => Self::V10,
            Version::V11 => Self::V11,
            Version::V12 => Self::V12,
        }
    }
}

/// How temporary destinations are shown to one reader.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Presentation {
    /// What the names of the reader's own temporary destinations begin with; empty = it has none.
    pub own_names: Box<str>,
    /// The broker the reader is connected to.
    pub home: [u8; 16],
}

impl Presentation {
    /// True when this reader sees the message differently from others.
    #[must_use]
    pub fn changes(&self, view: &MessageView<'_>) -> bool {
        if view.kind.is_temporary() {
            return true;
        }
        match view.reply_to {
            Some(ReplyTo::Destination(kind, name)) if kind.is_temporary() => self.owns(name),
            _ => false,
        }
    }

    fn owns(&self, name: &str) -> bool {
        !self.own_names.is_empty() && name.starts_with(&*self.own_names)
    }
}

/// True when the versions need different tails: a header has a byte that one of them escapes, or
/// a blank at an end, which 1.0 trims and may find nothing left.
#[must_use]
pub fn differs_by_version(view: &MessageView<'_>) -> bool {
    let is_special = |text: &str| {
        let is_blank = |byte: Option<&u8>| byte.is_none_or(|byte| *byte <= b' ');
        is_blank(text.as_bytes().first())
            || is_blank(text.as_bytes().last())
            || memchr::memchr3(b'\\', b'\n', b':', text.as_bytes()).is_some()
            || has_rare(text)
    };
    let reply_to = match view.reply_to {
        Some(ReplyTo::Destination(_, text) | ReplyTo::Text(text)) => Some(text),
        None => None,
    };
    let fields = [
        view.correlation_id,
        view.jms_type,
        view.user,
        view.original_destination,
        reply_to,
    ];
    is_special(view.name)
        || is_special(view.id)
        || fields.into_iter().flatten().any(is_special)
        || view
            .headers
            .iter()
            .any(|(name, value)| is_special(name) || is_special(value))
}

fn has_rare(text: &str) -> bool {
    memchr::memchr2(b'\r', 0, text.as_bytes()).is_some()
}

/// Appends the head of a MESSAGE.
pub fn prefix(subscription: Option<&str>, ack: Option<u64>, escaping: Escaping, out: &mut Vec<u8>) {
    // `content-length` comes first in the tail; clients that look for the pattern anywhere in the
    // block find no other header that ends like it, because neither of these two does.
    out.extend_from_slice(b"MESSAGE\n");
    if let Some(subscription) = subscription {
        header(out, escaping, "subscription", subscription);
    }
    if let Some(ack) = ack {
        number(out, "ack", ack);
    }
}

/// Appends the rest of a MESSAGE: all other headers, the body, NUL and one line feed.
pub fn tail(view: &MessageView<'_>, escaping: Escaping, reader: &Presentation, out: &mut Vec<u8>) {
    out.reserve(view.body.len() + view.headers.as_bytes().len() + 256);
    if !view.text {
        number(out, "content-length", view.body.len() as u64);
    }
    destination(
        out,
        escaping,
        "destination",
        view.kind,
        view.name,
        None,
        reader,
    );
    header(out, escaping, "message-id", view.id);
    signed(out, "expires", view.expires_ms);
    number(out, "priority", u64::from(view.priority));
    signed(out, "timestamp", view.timestamp_ms);
    optional(out, escaping, "correlation-id", view.correlation_id);
    match view.reply_to {
        Some(ReplyTo::Destination(kind, name)) => {
            destination(
                out,
                escaping,
                "reply-to",
                kind,
                name,
                view.reply_home,
                reader,
            );
        }
        Some(ReplyTo::Text(text)) => header(out, escaping, "reply-to", text),
        None => {}
    }
    optional(out, escaping, "type", view.jms_type);
    optional(out, escaping, "JMSXUserID", view.user);
    optional(
        out,
        escaping,
        "original-destination",
        view.original_destination,
    );
    if view.redelivered {
        out.extend_from_slice(b"redelivered:true\n");
    }
    if view.persistent {
        out.extend_from_slice(b"persistent:true\n");
    }
    for (name, value) in view.headers.iter() {
        let misleads = view.text && looks_like_length(escaping, name, value);
        if !headers::is_of_message(name) && !misleads {
            header(out, escaping, name, value);
        }
    }
    out.push(b'\n');
    out.extend_from_slice(view.body);
    out.extend_from_slice(b"\0\n");
}

/// True when the Ruby gem would read the line as the length of the body: it searches the whole head
/// for the pattern and takes the first match, which in a text message is never ours.
fn looks_like_length(escaping: Escaping, name: &str, value: &str) -> bool {
    const LENGTH: &str = "content-length";
    name.trim_end().ends_with(LENGTH)
        || (escaping == Escaping::V10
            && value
                .trim_end()
                .ends_with(|last: char| last.is_ascii_digit())
            && memchr::memmem::find(value.as_bytes(), LENGTH.as_bytes()).is_some())
}

fn destination(
    out: &mut Vec<u8>,
    escaping: Escaping,
    header_name: &str,
    kind: Kind,
    name: &str,
    home: Option<[u8; 16]>,
    reader: &Presentation,
) {
    out.extend_from_slice(header_name.as_bytes());
    out.push(b':');
    if kind.is_temporary() && reader.owns(name) {
        let own = if kind == Kind::TempQueue {
            "/temp-queue/"
        } else {
            "/temp-topic/"
        };
        out.extend_from_slice(own.as_bytes());
        escape(
            out,
            escaping,
            name.get(reader.own_names.len()..).unwrap_or(name),
        );
    } else {
        out.extend_from_slice(kind.stomp_prefix().as_bytes());
        escape(out, escaping, name);
        if let Some(home) = home
            && kind.is_temporary()
            && home != reader.home
        {
            let mut text = String::new();
            temporary::push_home(&mut text, home);
            out.extend_from_slice(text.as_bytes());
        }
    }
    out.push(b'\n');
}

fn optional(out: &mut Vec<u8>, escaping: Escaping, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        header(out, escaping, name, value);
    }
}

/// Writes a line, unless its reader would take it for another one or raise on it.
fn header(out: &mut Vec<u8>, escaping: Escaping, name: &str, value: &str) {
    let is_kept = match escaping {
        // Readers trim names and values, and raise when nothing is left.
        Escaping::V10 => {
            !is_blank(value)
                && name.trim().len() == name.len()
                && !name.bytes().any(|byte| matches!(byte, b':' | b'\n'))
        }
        Escaping::V11 | Escaping::V12 => true,
    };
    // What cannot be escaped would be left out, and turn the name into another one.
    let has_unwritable = |byte: u8| byte == 0 || (byte == b'\r' && escaping != Escaping::V12);
    if !is_kept || name.is_empty() || name.bytes().any(has_unwritable) {
        return;
    }
    escape(out, escaping, name);
    out.push(b':');
    escape(out, escaping, value);
    out.push(b'\n');
}

fn is_blank(text: &str) -> bool {
    text.bytes().all(|byte| byte <= b' ')
}

fn escape(out: &mut Vec<u8>, escaping: Escaping, text: &str) {
    let bytes = text.as_bytes();
    let is_plain = match escaping {
        Escaping::V10 => memchr::memchr3(b'\n', b'\r', 0, bytes).is_none(),
        _ => memchr::memchr3(b'\\', b'\n', b':', bytes).is_none() && !has_rare(text),
    };
    if is_plain {
        out.extend_from_slice(bytes);
        return;
    }
    for byte in bytes {
        match (byte, escaping) {
            (b'\n', _) => out.extend_from_slice(b"\\n"),
            (b'\r', Escaping::V10 | Escaping::V12) => out.extend_from_slice(b"\\r"),
            // 1.1 has no escape for it, and a raw one would end the line for lenient readers.
            (b'\r', Escaping::V11) | (0, _) => {}
            (b'\\', Escaping::V11 | Escaping::V12) => out.extend_from_slice(b"\\\\"),
            (b':', Escaping::V11 | Escaping::V12) => out.extend_from_slice(b"\\c"),
            (byte, _) => out.push(*byte),
        }
    }
}

fn number(out: &mut Vec<u8>, name: &str, value: u64) {
    out.extend_from_slice(name.as_bytes());
    out.push(b':');
    push_decimal(out, value);
    out.push(b'\n');
}

fn signed(out: &mut Vec<u8>, name: &str, value: i64) {
    out.extend_from_slice(name.as_bytes());
    out.push(b':');
    if value < 0 {
        out.push(b'-');
    }
    push_decimal(out, value.unsigned_abs());
    out.push(b'\n');
}

/// Appends a number in decimal digits, without the machinery of formatting.
pub fn push_decimal(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0_u8; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

/// Appends a RECEIPT.
pub fn receipt(id: &str, escaping: Escaping, out: &mut Vec<u8>) {
    out.extend_from_slice(b"RECEIPT\n");
    header(out, escaping, "receipt-id", id);
    out.extend_from_slice(b"\n\0\n");
}

/// Appends an ERROR; `receipt_id` when the failed frame asked for a receipt.
pub fn error(
    message: &str,
    receipt_id: Option<&str>,
    extra: Option<(&str, &str)>,
    escaping: Escaping,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(b"ERROR\ncontent-type:text/plain\n");
    if let Some((name, value)) = extra {
        header(out, escaping, name, value);
    }
    header(out, escaping, "message", message);
    if let Some(id) = receipt_id {
        header(out, escaping, "receipt-id", id);
    }
    out.push(b'\n');
    out.extend(message.bytes().filter(|byte| *byte != 0));
    out.extend_from_slice(b"\0\n");
}

/// Everything that CONNECTED says.
#[derive(Debug, Clone, Copy)]
pub struct Connected<'a> {
    /// Agreed version.
    pub version: Version,
    /// The connection's id, or the client id it gave.
    pub session: &'a str,
    /// Name and version of the broker.
    pub server: &'a str,
    /// Our offer: how often we can send, how often we want to hear. Both sides work out from it
    /// and from CONNECT what is agreed.
    pub heart_beat_ms: (u64, u64),
    /// What the client asked to have echoed.
    pub response_id: Option<&'a str>,
    /// True where persistent messages live in memory only.
    pub is_memory_only: bool,
}

/// Appends a CONNECTED. Its headers are never escaped; values that would break a line are cut out.
pub fn connected(frame: &Connected<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"CONNECTED\n");
    let mut line = |name: &str, value: &str| {
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        out.extend(
            value
                .bytes()
                .filter(|byte| !matches!(byte, b'\n' | b'\r' | 0)),
        );
        out.push(b'\n');
    };
    line("version", frame.version.text());
    line("session", frame.session);
    line("server", frame.server);
    line(
        "heart-beat",
        &format!("{},{}", frame.heart_beat_ms.0, frame.heart_beat_ms.1),
    );
    if let Some(id) = frame.response_id {
        line("response-id", id);
        line("receipt-id", id);
    }
    if frame.is_memory_only {
        line("durability", "memory");
    }
    out.extend_from_slice(b"\n\0\n");
}

/// Appends the MESSAGE that tells a browser that it has seen everything.
pub fn browser_end(
    destination: &str,
    subscription: Option<&str>,
    escaping: Escaping,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(b"MESSAGE\n");
    if let Some(subscription) = subscription {
        header(out, escaping, "subscription", subscription);
    }
    header(out, escaping, "destination", destination);
    out.extend_from_slice(b"message-id:0\nbrowser:end\n\n\0\n");
}
