//! As much of an HTTP client as the admin page needs: GET over plain TCP, a whole answer with a length.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

/// Bytes of an answer; a page of 64 sites and 100,000 queues is well below.
const MAX_ANSWER: u64 = 64 << 20;

const CONNECT: Duration = Duration::from_secs(3);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The URL is not one of ours.
    #[error("{0:?} is not http://HOST:PORT")]
    Url(String),
    /// The connection failed.
    #[error("{address}: {cause}")]
    Io {
        /// Host and port.
        address: String,
        /// What happened.
        cause: io::Error,
    },
    /// The other side does not speak HTTP as expected.
    #[error("{address} does not answer as a broker's admin page does: {what}")]
    Strange {
        /// Host and port.
        address: String,
        /// What is wrong.
        what: &'static str,
    },
    /// The other side refused.
    #[error("{address} answers {status} to {path}{}", advice(*status))]
    Status {
        /// Host and port.
        address: String,
        /// What was asked.
        path: String,
        /// The number.
        status: u16,
    },
}

/// What the caller can do about it.
const fn advice(status: u16) -> &'static str {
    match status {
        401 => {
            ": it wants its admin token (admin_token of its secrets.yaml; on Kubernetes the key adminToken of the Secret NETWORK--SITE-keys); name a file that holds it with --token-file FILE"
        }
        _ => "",
    }
}

/// `HOST:PORT` of `http://HOST:PORT/`.
///
/// # Errors
/// It is something else.
pub fn address(url: &str) -> Result<String, HttpError> {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let address = rest.split('/').next().unwrap_or_default();
    let port = address
        .rsplit_once(':')
        .map(|(_, port)| port.parse::<u16>());
    match port {
        Some(Ok(_)) => Ok(address.to_owned()),
        _ => Err(HttpError::Url(url.to_owned())),
    }
}

/// The body of a page.
///
/// # Errors
/// No connection within 3 s, no answer within `patience`, or another status than 200.
pub fn get(
    address: &str,
    path: &str,
    token: Option<&str>,
    patience: Duration,
) -> Result<Vec<u8>, HttpError> {
    let answer = exchange(address, path, token, patience).map_err(|cause| HttpError::Io {
        address: address.to_owned(),
        cause,
    })?;
    body(address, path, &answer)
}

/// The body of a whole answer.
///
/// # Errors
/// It is none, is cut short, or has another status than 200.
pub fn body(address: &str, path: &str, answer: &[u8]) -> Result<Vec<u8>, HttpError> {
    let strange = |what| HttpError::Strange {
        address: address.to_owned(),
        what,
    };
    let end = find(answer, b"\r\n\r\n").ok_or_else(|| strange("no end of the headers"))?;
    let head = std::str::from_utf8(&answer[..end]).map_err(|_| strange("headers are not text"))?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|number| number.parse::<u16>().ok())
        .ok_or_else(|| strange("no status"))?;
    if status != 200 {
        return Err(HttpError::Status {
            address: address.to_owned(),
            path: path.to_owned(),
            status,
        });
    }
    let body = &answer[end + 4..];
    if content_length(head) != Some(body.len()) {
        return Err(strange("the length is not what was promised"));
    }
    Ok(body.to_vec())
}

fn exchange(
    address: &str,
    path: &str,
    token: Option<&str>,
    patience: Duration,
) -> io::Result<Vec<u8>> {
    let target = address
        .to_socket_addrs()?
        .next()
        .ok_or_else(|| io::Error::other("has no address"))?;
    let mut stream = TcpStream::connect_timeout(&target, CONNECT)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(CONNECT))?;
    stream.write_all(request(address, path, token).as_bytes())?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer)?;
    Ok(answer)
}

/// A request after whose answer the other side closes.
#[must_use]
pub fn request(address: &str, path: &str, token: Option<&str>) -> String {
    let token = token.map_or(String::new(), |token| {
        format!("Authorization: Bearer {token}\r\n")
    });
    format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{token}Connection: close\r\n\r\n")
}

/// Bytes of a whole answer, once its head is there.
#[must_use]
pub fn whole(answer: &[u8]) -> Option<usize> {
    let end = find(answer, b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    content_length(head)?.checked_add(end + 4)
}

fn content_length(head: &str) -> Option<usize> {
    let mut lines = head.lines();
    lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse().ok())?
    })
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_host_and_a_port() {
        assert_eq!(
            address("http://127.0.0.1:61611/").ok().as_deref(),
            Some("127.0.0.1:61611")
        );
        assert_eq!(address("[::1]:8161").ok().as_deref(), Some("[::1]:8161"));
        assert!(address("http://localhost").is_err());
        assert!(address("https://localhost:1").is_err());
    }

    #[test]
    fn an_answer_cut_short_is_an_error() {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 12";
        assert_eq!(content_length(head), Some(12));
        assert_eq!(content_length("HTTP/1.1 200 OK"), None);
        assert_eq!(whole(head.as_bytes()), None);
        let answer = format!("{head}\r\n\r\n0123");
        assert_eq!(whole(answer.as_bytes()), Some(answer.len() + 8));
        assert!(body("a:1", "/", answer.as_bytes()).is_err());
    }
}
