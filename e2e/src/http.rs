//! One GET of an admin listener.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use anyhow::{Context, Result};

use crate::wait::PATIENCE;

/// Status code and body of `GET path` at a port of this machine.
///
/// # Errors
/// No connection, or no answer that is HTTP.
pub fn fetch(port: u16, path: &str) -> Result<(u16, String)> {
    fetch_from((Ipv4Addr::LOCALHOST, port).into(), path, None)
}

/// The same anywhere, with a token where one is wanted.
///
/// # Errors
/// No connection, or no answer that is HTTP.
pub fn fetch_from(address: SocketAddr, path: &str, token: Option<&str>) -> Result<(u16, String)> {
    let mut stream =
        TcpStream::connect(address).with_context(|| format!("admin listener at {address}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\n{}Connection: close\r\n\r\n",
        token.unwrap_or_default()
    )?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    parse(&bytes).with_context(|| format!("answer to GET {path}"))
}

fn parse(bytes: &[u8]) -> Result<(u16, String)> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n").context("no end of head")?;
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    let is_chunked = head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked");
    let body = if is_chunked {
        join_chunks(body)?
    } else {
        body.to_owned()
    };
    Ok((status, body))
}

fn join_chunks(mut rest: &str) -> Result<String> {
    let mut body = String::new();
    loop {
        let (size, behind) = rest.split_once("\r\n").context("no chunk size")?;
        let size = usize::from_str_radix(size.trim(), 16)?;
        if size == 0 {
            return Ok(body);
        }
        body.push_str(behind.get(..size).context("a chunk is cut short")?);
        rest = behind.get(size + 2..).context("no end of chunk")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_joined() -> Result<()> {
        let answer =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n";
        assert_eq!(parse(answer)?, (200, "abcd".to_owned()));
        Ok(())
    }
}
