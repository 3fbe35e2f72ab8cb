//! Bytes to frames. The caller owns the buffer; the decoder remembers how far it has looked, so a
//! frame that arrives byte by byte is scanned once.

use std::fmt;

use super::command::MAX_COMMAND;
use super::error::FrameError;
use super::first::First;

pub use super::command::Command;

/// Bounds on what is read; each is checked before more is buffered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a header line.
    pub line: usize,
    /// Bytes of all header lines.
    pub header_block: usize,
    /// Headers.
    pub headers: usize,
    /// Bytes of the whole frame, its NUL and the blank lines before it apart.
    pub frame: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            line: 8 << 10,
            header_block: 64 << 10,
            headers: 128,
            frame: 10 << 20,
        }
    }
}

/// Offsets of one header in the buffer.
#[derive(Debug, Clone, Copy)]
struct HeaderSpan {
    start: usize,
    colon: usize,
    end: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before a command; blank lines and stray NULs are skipped.
    Start,
    /// Reading header lines.
    Headers,
    /// Reading a body of known length.
    Sized(usize),
    /// Reading up to the first NUL.
    UntilNul,
}

/// What the buffer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoded {
    /// More bytes are needed. The first `skip` bytes may be dropped.
    Incomplete {
        /// Heart-beats at the front.
        skip: usize,
    },
    /// A frame; it and what stands before it are `consumed` bytes.
    Frame {
        /// Bytes to drop once the frame is handled.
        consumed: usize,
    },
}

/// Finds frames in a buffer.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    state: State,
    command: Command,
    headers: Vec<HeaderSpan>,
    /// Where the current line, or the body, begins.
    mark: usize,
    /// How far was scanned for the byte looked for.
    scanned: usize,
    frame_start: usize,
    header_start: usize,
    content_length: Option<usize>,
    body: (usize, usize),
}

impl Decoder {
    /// A decoder before the first byte.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: State::Start,
            command: Command::FromServer,
            headers: Vec::new(),
            mark: 0,
            scanned: 0,
            frame_start: 0,
            header_start: 0,
            content_length: None,
            body: (0, 0),
        }
    }

    /// Changes the limits for the next frame: larger ones after login, new ones after a reload.
    pub const fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Looks for a frame at the front of `buffer`. After `Frame` the caller reads it through
    /// [`Decoder::frame`] and drops the consumed bytes; after `Incomplete` it drops the skipped
    /// ones. The rest must be presented again at the front.
    ///
    /// # Errors
    /// The bytes break the protocol or a limit; the connection cannot go on.
    pub fn decode(&mut self, buffer: &[u8]) -> Result<Decoded, FrameError> {
        if self.state == State::Start && !self.read_command(buffer)? {
            return Ok(self.incomplete());
        }
        if self.state == State::Headers && !self.read_headers(buffer)? {
            return Ok(self.incomplete());
        }
        self.read_body(buffer)
    }

    /// Gives the blank lines before the frame away, so that they are not kept while it grows.
    fn incomplete(&mut self) -> Decoded {
        let skip = std::mem::take(&mut self.frame_start);
        if skip > 0 {
            self.mark -= skip;
            self.scanned -= skip;
            self.header_start -= skip;
            for span in &mut self.headers {
                span.start -= skip;
                span.colon -= skip;
                span.end -= skip;
            }
        }
        Decoded::Incomplete { skip }
    }

    /// True when the command line is there.
    fn read_command(&mut self, buffer: &[u8]) -> Result<bool, FrameError> {
        self.mark += blank_prefix(&buffer[self.mark..]);
        self.scanned = self.scanned.max(self.mark);
        self.frame_start = self.mark;
        self.header_start = self.mark;
        self.headers.clear();
        self.content_length = None;
        let found = self.find_newline(buffer, MAX_COMMAND);
        let line = without_return(&buffer[self.mark..found.unwrap_or(buffer.len())]);
        // A TLS record has no lines, and the path of a request may be long.
        let name_it = |error| First::of(line).error().unwrap_or(error);
        if line.len() > MAX_COMMAND {
            return Err(name_it(FrameError::CommandTooLong { limit: MAX_COMMAND }));
        }
        let Some(end) = found else {
            return First::of(line).error().map_or(Ok(false), Err);
        };
        self.command = Command::parse(line).map_err(name_it)?;
        self.begin_line(end + 1);
        self.header_start = end + 1;
        self.state = State::Headers;
        Ok(true)
    }

    fn begin_line(&mut self, at: usize) {
        self.mark = at;
        self.scanned = at;
    }

    fn find_newline(&mut self, buffer: &[u8], limit: usize) -> Option<usize> {
        // A line may be one byte longer for its carriage return.
        let end = buffer.len().min(self.mark + limit + 2);
        if self.scanned >= end {
            return None;
        }
        let found = memchr::memchr(b'\n', &buffer[self.scanned..end]).map(|at| self.scanned + at);
        self.scanned = found.unwrap_or(end);
        found
    }

    /// True when the blank line was reached.
    fn read_headers(&mut self, buffer: &[u8]) -> Result<bool, FrameError> {
        loop {
            let limit = self.limits.line;
            let found = self.find_newline(buffer, limit);
            let end = found.unwrap_or(buffer.len());
            let line = without_return(&buffer[self.mark..end]);
            if line.len() > limit {
                return Err(FrameError::LineTooLong { limit });
            }
            // Before login a frame is smaller than a header block may be later.
            let block = self.limits.header_block.min(self.limits.frame);
            if end - self.header_start > block {
                return Err(FrameError::HeadersTooLong { limit: block });
            }
            if found.is_none() {
                return Ok(false);
            }
            if line.is_empty() {
                self.begin_line(end + 1);
                self.state = match self.content_length {
                    Some(length) => State::Sized(length),
                    None => State::UntilNul,
                };
                return Ok(true);
            }
            self.add_header(line)?;
            self.begin_line(end + 1);
        }
    }

    fn add_header(&mut self, line: &[u8]) -> Result<(), FrameError> {
        if self.headers.len() >= self.limits.headers {
            return Err(FrameError::TooManyHeaders {
                limit: self.limits.headers,
            });
        }
        let colon = memchr::memchr(b':', line).ok_or(FrameError::HeaderWithoutColon)?;
        let span = HeaderSpan {
            start: self.mark,
            colon: self.mark + colon,
            end: self.mark + line.len(),
        };
        self.headers.push(span);
        if self.command == Command::Send && &line[..colon] == b"content-length" {
            let length = parse_length(&line[colon + 1..])?;
            if self.content_length.replace(length).is_some() {
                return Err(FrameError::BadContentLength);
            }
            if length > self.limits.frame {
                return Err(FrameError::TooLarge {
                    limit: self.limits.frame,
                });
            }
        }
        Ok(())
    }

    fn read_body(&mut self, buffer: &[u8]) -> Result<Decoded, FrameError> {
        let limit = self.limits.frame;
        let end = match self.state {
            State::Sized(length) => {
                let end = self.mark + length;
                if end - self.frame_start > limit {
                    return Err(FrameError::TooLarge { limit });
                }
                match buffer.get(end) {
                    None => return Ok(self.incomplete()),
                    Some(0) => end,
                    Some(_) => return Err(FrameError::NoNulAfterBody),
                }
            }
            _ => {
                let found = memchr::memchr(0, &buffer[self.scanned..]).map(|at| self.scanned + at);
                let end = found.unwrap_or(buffer.len());
                if end - self.frame_start > limit {
                    return Err(FrameError::TooLarge { limit });
                }
                self.scanned = end;
                match found {
                    None => return Ok(self.incomplete()),
                    Some(end) => end,
                }
            }
        };
        self.body = (self.mark, end);
        self.state = State::Start;
        self.mark = 0;
        self.scanned = 0;
        self.frame_start = 0;
        Ok(Decoded::Frame { consumed: end + 1 })
    }

    /// The frame that `decode` just found in the same buffer.
    #[must_use]
    pub fn frame<'a>(&'a self, buffer: &'a [u8]) -> FrameRef<'a> {
        FrameRef {
            command: self.command,
            headers: &self.headers,
            buffer,
            body: buffer.get(self.body.0..self.body.1).unwrap_or(&[]),
            has_length: self.content_length.is_some(),
        }
    }
}

/// A frame in the read buffer.
#[derive(Clone, Copy)]
pub struct FrameRef<'a> {
    /// What the client asks for.
    pub command: Command,
    headers: &'a [HeaderSpan],
    buffer: &'a [u8],
    /// The body, byte-exact.
    pub body: &'a [u8],
    /// True when a `content-length` told the body's end.
    pub has_length: bool,
}

/// Neither headers nor body: the first may hold a password.
impl fmt::Debug for FrameRef<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("FrameRef")
            .field("command", &self.command)
            .field("headers", &self.headers.len())
            .field("body", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl<'a> FrameRef<'a> {
    /// Names and values as they stand on the wire.
    pub fn headers(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let buffer = self.buffer;
        self.headers.iter().map(move |span| {
            (
                &buffer[span.start..span.colon],
                &buffer[span.colon + 1..span.end],
            )
        })
    }

    /// The value of the first header of that name, as on the wire.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&'a [u8]> {
        self.headers()
            .find(|(key, _)| *key == name.as_bytes())
            .map(|(_, value)| value)
    }
}

fn blank_prefix(bytes: &[u8]) -> usize {
    let is_blank = |position: usize, byte: u8| match byte {
        b'\n' | 0 => true,
        b'\r' => bytes.get(position + 1) == Some(&b'\n'),
        _ => false,
    };
    bytes
        .iter()
        .enumerate()
        .take_while(|(position, byte)| is_blank(*position, **byte))
        .count()
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn parse_length(value: &[u8]) -> Result<usize, FrameError> {
    let value = value.trim_ascii();
    if value.is_empty() || value.len() > 18 || !value.iter().all(u8::is_ascii_digit) {
        return Err(FrameError::BadContentLength);
    }
    std::str::from_utf8(value)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or(FrameError::BadContentLength)
}
