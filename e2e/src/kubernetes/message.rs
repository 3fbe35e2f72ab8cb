//! HTTP messages as bytes: what the harness needs to ask an API server and to stand in front of one.

use std::io::{BufRead, Read, Write};

use anyhow::{Context, Result, ensure};

/// Longer heads are nobody's.
const HEAD_LIMIT: u64 = 256 * 1024;

/// The lines before the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    /// Request line or status line.
    pub(super) first: String,
    /// Names as they came, with their values.
    pub(super) headers: Vec<(String, String)>,
}

impl Head {
    /// Reads one; nothing when the other side closed instead.
    pub(super) fn read(from: &mut impl BufRead) -> Result<Option<Self>> {
        let mut lines = from.take(HEAD_LIMIT);
        let first = line(&mut lines)?;
        if first.is_empty() {
            return Ok(None);
        }
        let mut headers = Vec::new();
        loop {
            let text = line(&mut lines)?;
            if text.is_empty() {
                return Ok(Some(Self { first, headers }));
            }
            let (name, value) = text.split_once(':').context("a header without a colon")?;
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let (_, value) = headers.find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(value)
    }

    /// Forgets headers of these names.
    pub(super) fn without(mut self, names: &[&str]) -> Self {
        self.headers
            .retain(|(key, _)| !names.iter().any(|name| key.eq_ignore_ascii_case(name)));
        self
    }

    /// Adds a header.
    pub(super) fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// The second word of the first line: the path, or the status.
    pub(super) fn second(&self) -> Result<&str> {
        let word = self.first.split(' ').nth(1);
        word.with_context(|| format!("not HTTP: {:?}", self.first))
    }

    /// Writes it with the empty line behind it.
    pub(super) fn write(&self, to: &mut impl Write) -> Result<()> {
        let mut text = format!("{}\r\n", self.first);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        to.write_all(text.as_bytes())?;
        Ok(())
    }
}

/// The body of a request: as long as it says, in chunks, or none.
pub(super) fn request_body(head: &Head, from: &mut impl BufRead) -> Result<Vec<u8>> {
    let is_chunked = head
        .header("transfer-encoding")
        .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
    if is_chunked {
        return chunks(from);
    }
    let length = head.header("content-length").unwrap_or("0").parse()?;
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    Ok(body)
}

fn chunks(from: &mut impl BufRead) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = usize::from_str_radix(&line(from)?, 16).context("no chunk size")?;
        let start = body.len();
        body.resize(start + size, 0);
        from.read_exact(&mut body[start..])?;
        ensure!(line(from)?.is_empty(), "no end of chunk");
        if size == 0 {
            return Ok(body);
        }
    }
}

/// One line without its end; empty at the end of everything.
fn line(from: &mut impl BufRead) -> Result<String> {
    let mut text = String::new();
    from.read_line(&mut text)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_in_chunks_is_read_whole() -> Result<()> {
        let mut bytes: &[u8] = b"POST /api HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
            3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n";
        let head = Head::read(&mut bytes)?.context("no head")?;
        assert_eq!(head.second()?, "/api");
        assert_eq!(request_body(&head, &mut bytes)?, b"abcd");
        assert_eq!(Head::read(&mut bytes)?, None);
        Ok(())
    }

    #[test]
    fn headers_are_found_removed_and_written_whatever_their_case() -> Result<()> {
        let mut bytes: &[u8] = b"GET / HTTP/1.1\r\nHOST: here\r\naccept: all\r\n\r\n";
        let head = Head::read(&mut bytes)?.context("no head")?;
        assert_eq!(head.header("Host"), Some("here"));
        let mut written = Vec::new();
        head.without(&["host"])
            .with("Connection", "close")
            .write(&mut written)?;
        let expected = "GET / HTTP/1.1\r\naccept: all\r\nConnection: close\r\n\r\n";
        assert_eq!(String::from_utf8(written)?, expected);
        Ok(())
    }
}
