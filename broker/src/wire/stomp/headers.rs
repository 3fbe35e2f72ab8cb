//! Header names and escapes.

use std::borrow::Cow;

use super::error::FrameError;
use super::frame::FrameRef;
use super::version::Version;

/// Reads one header part of a client's frame by the rules of its version. Only a part with a
/// backslash is copied.
///
/// # Errors
/// The part is not UTF-8, or has an escape that its version does not know.
pub fn decode(bytes: &[u8], version: Version) -> Result<Cow<'_, str>, FrameError> {
    let text = std::str::from_utf8(bytes).map_err(|_| FrameError::HeaderNotUtf8)?;
    if version == Version::V10 || memchr::memchr(b'\\', bytes).is_none() {
        return Ok(Cow::Borrowed(text));
    }
    unescape(text, version, false).map(Cow::Owned)
}

/// Checks the headers of a frame whose headers are not all looked at: a broken one is fatal there
/// too.
///
/// # Errors
/// As [`decode`].
pub fn check(frame: &FrameRef<'_>, version: Version) -> Result<(), FrameError> {
    for (name, value) in frame.headers() {
        decode(name, version)?;
        decode(value, version)?;
    }
    Ok(())
}

/// Reads a part of a `STOMP` frame: escapes are decoded, unknown ones stay (some clients escape
/// the login, others do not).
///
/// # Errors
/// The part is not UTF-8.
pub fn decode_lenient(bytes: &[u8]) -> Result<Cow<'_, str>, FrameError> {
    let text = std::str::from_utf8(bytes).map_err(|_| FrameError::HeaderNotUtf8)?;
    if memchr::memchr(b'\\', bytes).is_none() {
        return Ok(Cow::Borrowed(text));
    }
    unescape(text, Version::V12, true).map(Cow::Owned)
}

fn unescape(text: &str, version: Version, keeps_unknown: bool) -> Result<String, FrameError> {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            out.push(character);
            continue;
        }
        match characters.next() {
            Some('\\') => out.push('\\'),
            Some('n') => out.push('\n'),
            Some('c') => out.push(':'),
            Some('r') if version == Version::V12 => out.push('\r'),
            Some(other) if keeps_unknown => {
                out.push('\\');
                out.push(other);
            }
            None if keeps_unknown => out.push('\\'),
            _ => return Err(FrameError::UndefinedEscape),
        }
    }
    Ok(out)
}

/// True for header names that only the broker may set: they are removed from what clients send.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    matches!(
        name,
        "message-id"
            | "redelivered"
            | "subscription"
            | "JMSXUserID"
            | "original-destination"
            | "ack"
    ) || is_own(name)
}

fn is_own(name: &str) -> bool {
    let Some(prefix) = name.as_bytes().get(..8) else {
        return false;
    };
    prefix.eq_ignore_ascii_case(b"causeway")
        && matches!(name.as_bytes().get(8), Some(b'-' | b'_' | b'.'))
}

/// True for headers of SEND that have a meaning of their own and are no property.
#[must_use]
pub fn is_field(name: &str) -> bool {
    matches!(
        name,
        "destination"
            | "content-length"
            | "receipt"
            | "transaction"
            | "persistent"
            | "expires"
            | "priority"
            | "timestamp"
            | "correlation-id"
            | "type"
            | "reply-to"
            | "amq-msg-type"
    )
}

/// True for headers that the broker writes into a MESSAGE itself. A property of that name, which
/// other protocols may carry, would be read as the broker's word.
#[must_use]
pub fn is_of_message(name: &str) -> bool {
    matches!(
        name,
        "content-length"
            | "destination"
            | "message-id"
            | "subscription"
            | "ack"
            | "expires"
            | "priority"
            | "timestamp"
            | "correlation-id"
            | "reply-to"
            | "type"
            | "JMSXUserID"
            | "original-destination"
            | "redelivered"
            | "persistent"
            | "browser"
    )
}

#[cfg(test)]
mod tests {
    use super::{decode, decode_lenient, is_reserved};
    use crate::wire::stomp::{FrameError, Version};

    #[test]
    fn each_version_reads_its_own_escapes() {
        let rows: [(&str, Version, Result<&str, FrameError>); 8] = [
            (r"a\nb", Version::V10, Ok(r"a\nb")),
            (r"a\nb", Version::V11, Ok("a\nb")),
            (r"a\cb\\", Version::V11, Ok(r"a:b\")),
            (r"a\rb", Version::V11, Err(FrameError::UndefinedEscape)),
            (r"a\rb", Version::V12, Ok("a\rb")),
            (r"a\tb", Version::V12, Err(FrameError::UndefinedEscape)),
            (r"a\", Version::V12, Err(FrameError::UndefinedEscape)),
            ("plain", Version::V12, Ok("plain")),
        ];
        for (text, version, expected) in rows {
            let decoded = decode(text.as_bytes(), version);
            assert_eq!(
                decoded.as_deref().map_err(|error| *error),
                expected,
                "{text} {version:?}"
            );
        }
        assert_eq!(decode_lenient(br"a\cb\t").as_deref(), Ok(r"a:b\t"));
    }

    #[test]
    fn names_of_the_broker_are_reserved_in_any_case() {
        for name in [
            "Causeway-origin",
            "causeway.x",
            "CAUSEWAY_y",
            "message-id",
            "JMSXUserID",
        ] {
            assert!(is_reserved(name), "{name}");
        }
        for name in ["causeways", "causeway", "x-causeway-y", "reply-to"] {
            assert!(!is_reserved(name), "{name}");
        }
    }
}
