//! The client's side of the codec, for tools and tests: frames with owned headers.

use super::error::FrameError;

/// A frame from a server, or one to send.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frame {
    /// The command word.
    pub command: String,
    /// Headers in order, unescaped.
    pub headers: Vec<(String, String)>,
    /// The body, byte-exact.
    pub body: Vec<u8>,
}

impl Frame {
    /// A frame without headers.
    #[must_use]
    pub fn new(command: &str) -> Self {
        Self {
            command: command.to_owned(),
            ..Self::default()
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn with_body(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }

    /// The value of the first header of that name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The bytes to send. CONNECT is not escaped, so what would break its lines is left out;
    /// everything else is escaped as 1.2 asks.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let write = if self.command == "CONNECT" {
            cut
        } else {
            escape
        };
        let mut out = self.command.as_bytes().to_vec();
        out.push(b'\n');
        for (name, value) in &self.headers {
            write(name, &mut out);
            out.push(b':');
            write(value, &mut out);
            out.push(b'\n');
        }
        out.push(b'\n');
        out.extend_from_slice(&self.body);
        out.push(0);
        out
    }
}

fn cut(text: &str, out: &mut Vec<u8>) {
    out.extend(text.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')));
}

fn escape(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b':' => out.extend_from_slice(b"\\c"),
            byte => out.push(byte),
        }
    }
}

/// Takes the first whole frame out of the buffer; blank lines before it are dropped.
///
/// # Errors
/// The bytes are not a frame.
pub fn take_frame(buffer: &mut Vec<u8>) -> Result<Option<Frame>, FrameError> {
    let blank = buffer
        .iter()
        .take_while(|byte| matches!(byte, b'\n' | b'\r' | 0))
        .count();
    buffer.drain(..blank);
    let Some((head_end, body_start)) = blank_line(buffer) else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&buffer[..head_end]).map_err(|_| FrameError::HeaderNotUtf8)?;
    let mut lines = head.lines();
    let mut frame = Frame::new(lines.next().unwrap_or_default());
    let is_escaped = frame.command != "CONNECTED";
    for line in lines {
        let (name, value) = line.split_once(':').ok_or(FrameError::HeaderWithoutColon)?;
        let read = |part: &str| {
            if is_escaped {
                unescape(part)
            } else {
                part.to_owned()
            }
        };
        frame.headers.push((read(name), read(value)));
    }
    let length = match frame.header("content-length") {
        None => None,
        Some(text) => Some(
            text.parse::<usize>()
                .map_err(|_| FrameError::BadContentLength)?,
        ),
    };
    let rest = &buffer[body_start..];
    let end = match length {
        Some(length) if rest.len() <= length => return Ok(None),
        Some(length) if rest[length] != 0 => return Err(FrameError::NoNulAfterBody),
        Some(length) => length,
        None => match memchr::memchr(0, rest) {
            None => return Ok(None),
            Some(end) => end,
        },
    };
    frame.body = rest[..end].to_vec();
    buffer.drain(..body_start + end + 1);
    Ok(Some(frame))
}

fn blank_line(buffer: &[u8]) -> Option<(usize, usize)> {
    let plain = memchr::memmem::find(buffer, b"\n\n").map(|at| (at + 1, at + 2));
    let returns = memchr::memmem::find(buffer, b"\n\r\n").map(|at| (at + 1, at + 3));
    match (plain, returns) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            out.push(character);
            continue;
        }
        match characters.next() {
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('c') => out.push(':'),
            Some(other) => out.push(other),
            None => out.push('\\'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Frame, take_frame};

    #[test]
    fn a_frame_is_taken_when_it_is_whole() {
        let sent = Frame::new("MESSAGE")
            .with("a", "x:y\n")
            .with("content-length", "3")
            .with_body(b"a\0b");
        let bytes = sent.encode();
        let mut buffer = b"\n".to_vec();
        for (index, byte) in bytes.iter().enumerate() {
            buffer.push(*byte);
            let taken = take_frame(&mut buffer);
            if index + 1 < bytes.len() {
                assert_eq!(taken, Ok(None), "after {index}");
            } else {
                assert_eq!(taken, Ok(Some(sent.clone())));
            }
        }
        assert!(buffer.is_empty());
    }
}
