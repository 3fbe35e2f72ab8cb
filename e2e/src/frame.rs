//! STOMP frames as the tests send and read them: small, strict, independent of the broker's own
//! codec.

use std::fmt::Write as _;

use anyhow::{Context, Result, bail, ensure};

/// One frame; headers in the order of the wire, the first of equal names counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frame {
    /// `MESSAGE`, `RECEIPT`, …
    pub command: String,
    /// Names and values, decoded.
    pub headers: Vec<(String, String)>,
    /// The bytes behind the blank line.
    pub body: Vec<u8>,
}

impl Frame {
    /// A frame with headers and no body.
    #[must_use]
    pub fn new(command: &str, headers: &[(&str, &str)]) -> Self {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Self {
            command: command.to_owned(),
            headers,
            body: Vec::new(),
        }
    }

    /// The same frame with a body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body as text; bytes that are none are replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The frame as it goes over the wire; CONNECT is not escaped.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let is_plain = self.command == "CONNECT";
        let mut head = format!("{}\n", self.command);
        for (name, value) in &self.headers {
            let line = if is_plain {
                writeln!(head, "{name}:{value}")
            } else {
                writeln!(head, "{}:{}", escape(name), escape(value))
            };
            // Writing to a String cannot fail.
            debug_assert!(line.is_ok());
        }
        if !self.body.is_empty() {
            head.push_str(&format!("content-length:{}\n", self.body.len()));
        }
        head.push('\n');
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes.push(0);
        bytes
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('\r', "\\r")
        .replace('\n', "\\n")
        .replace(':', "\\c")
}

fn unescape(text: &str) -> Result<String> {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            plain.push(character);
            continue;
        }
        plain.push(match characters.next() {
            Some('\\') => '\\',
            Some('r') => '\r',
            Some('n') => '\n',
            Some('c') => ':',
            other => bail!("undefined escape {other:?} in {text:?}"),
        });
    }
    Ok(plain)
}

/// Reads the first whole frame of the bytes; the number says how many bytes it took, heart-beats
/// before it included.
///
/// # Errors
/// What is there can never become a frame.
pub fn decode(bytes: &[u8]) -> Result<Option<(Frame, usize)>> {
    let start = bytes
        .iter()
        .take_while(|byte| matches!(byte, b'\n' | b'\r'))
        .count();
    let rest = &bytes[start..];
    let Some(end) = rest.windows(2).position(|pair| pair == b"\n\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&rest[..end]).context("frame head is not UTF-8")?;
    let mut lines = head.split('\n');
    let command = lines.next().unwrap_or_default().to_owned();
    let is_plain = command == "CONNECTED";
    let mut headers = Vec::new();
    for line in lines {
        let (name, value) = line
            .split_once(':')
            .with_context(|| format!("header without a colon: {line:?}"))?;
        headers.push(if is_plain {
            (name.to_owned(), value.to_owned())
        } else {
            (unescape(name)?, unescape(value)?)
        });
    }
    let mut frame = Frame {
        command,
        headers,
        body: Vec::new(),
    };
    let behind = &rest[end + 2..];
    let Some(length) = body_length(&frame, behind)? else {
        return Ok(None);
    };
    frame.body = behind[..length].to_vec();
    Ok(Some((frame, start + end + 2 + length + 1)))
}

/// How long the body is; nothing while it is not all there.
fn body_length(frame: &Frame, behind: &[u8]) -> Result<Option<usize>> {
    let Some(announced) = frame.header("content-length") else {
        return Ok(behind.iter().position(|byte| *byte == 0));
    };
    let length: usize = announced.parse().context("content-length")?;
    match behind.get(length) {
        None => Ok(None),
        Some(byte) => {
            ensure!(*byte == 0, "no NUL behind {length} bytes of body");
            Ok(Some(length))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_back_as_it_was_written() -> Result<()> {
        let frame = Frame::new("SEND", &[("destination", "/queue/a"), ("odd", "a:b\nc\\d")])
            .with_body(&b"with\0nul"[..]);
        let mut bytes = b"\n\n".to_vec();
        bytes.extend(frame.encode());
        let length = bytes.len();
        bytes.extend_from_slice(b"MESS");
        let (read, used) = decode(&bytes)?.context("a whole frame")?;
        assert_eq!(read.header("odd"), Some("a:b\nc\\d"));
        assert_eq!((read.body, used), (frame.body, length));
        Ok(())
    }

    #[test]
    fn every_beginning_of_a_frame_waits_for_the_rest() -> Result<()> {
        let bytes = Frame::new("RECEIPT", &[("receipt-id", "1")])
            .with_body("x")
            .encode();
        for end in 0..bytes.len() {
            assert_eq!(decode(&bytes[..end])?, None, "{end} bytes");
        }
        Ok(())
    }

    #[test]
    fn an_undefined_escape_is_an_error() {
        assert!(decode(b"MESSAGE\na:\\t\n\n\0").is_err());
    }
}
