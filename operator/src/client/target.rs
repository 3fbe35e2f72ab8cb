//! Where a client connects, and what destinations and headers look like on the command line.

use std::str::FromStr;

use crate::api::network::{STOMP_PORT, STOMP_TLS_PORT};

/// Why a text is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Not a URL of a broker.
    #[error("a broker is stomp://HOST:PORT, or stomps://HOST:PORT for TLS")]
    Url,
    /// Not a destination.
    #[error(
        "a destination is queue/NAME, topic/NAME, temp-queue/NAME or temp-topic/NAME, with or without a slash before it"
    )]
    Destination,
    /// Not a header.
    #[error("a header is NAME:VALUE")]
    Header,
}

/// A broker's listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Host name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Whether TLS is spoken.
    pub is_tls: bool,
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let (is_tls, rest) = match text.split_once("://") {
            None => (false, text),
            Some(("stomp" | "tcp", rest)) => (false, rest),
            Some(("stomps" | "stomp+ssl" | "ssl", rest)) => (true, rest),
            Some(_) => return Err(TargetError::Url),
        };
        let rest = rest.trim_end_matches('/');
        let default = if is_tls { STOMP_TLS_PORT } else { STOMP_PORT };
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => rest.split_once(']').ok_or(TargetError::Url)?,
            None => rest.split_at(rest.find(':').unwrap_or(rest.len())),
        };
        let port = match port.strip_prefix(':') {
            Some(port) => port.parse().map_err(|_| TargetError::Url)?,
            None if port.is_empty() => default,
            None => return Err(TargetError::Url),
        };
        let is_plain = !host.is_empty() && !host.contains(['/', '@', '?', '#']);
        is_plain
            .then(|| Self {
                host: host.to_owned(),
                port,
                is_tls,
            })
            .ok_or(TargetError::Url)
    }
}

/// A destination as STOMP writes it.
///
/// # Errors
/// It has no kind, or no name.
pub fn destination(text: &str) -> Result<String, TargetError> {
    let bare = text.strip_prefix('/').unwrap_or(text);
    match bare.split_once('/') {
        Some(("queue" | "topic" | "temp-queue" | "temp-topic", name)) if !name.is_empty() => {
            Ok(format!("/{bare}"))
        }
        _ => Err(TargetError::Destination),
    }
}

/// A header from `NAME:VALUE` or `NAME=VALUE`, whichever sign comes first.
///
/// # Errors
/// There is neither sign, or no name.
pub fn header(text: &str) -> Result<(String, String), TargetError> {
    match text.split_once([':', '=']) {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(TargetError::Header),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(host: &str, port: u16, is_tls: bool) -> Result<Target, TargetError> {
        let host = host.to_owned();
        Ok(Target { host, port, is_tls })
    }

    #[test]
    fn a_broker_is_a_scheme_a_host_and_a_port() {
        assert_eq!("stomp://localhost:1".parse(), target("localhost", 1, false));
        assert_eq!(
            "stomps://a.example/".parse(),
            target("a.example", 61_614, true)
        );
        assert_eq!("127.0.0.1".parse(), target("127.0.0.1", 61_613, false));
        assert_eq!("stomp://[::1]:61623".parse(), target("::1", 61_623, false));
        for bad in [
            "http://a:1",
            "stomp://",
            "stomp://a:x",
            "stomp://u@a:1",
            "stomp://[::1",
        ] {
            assert_eq!(bad.parse::<Target>(), Err(TargetError::Url), "{bad}");
        }
    }

    #[test]
    fn destinations_need_a_kind() {
        assert_eq!(destination("queue/a.b").as_deref(), Ok("/queue/a.b"));
        assert_eq!(destination("/topic/>").as_deref(), Ok("/topic/>"));
        assert_eq!(destination("a.b"), Err(TargetError::Destination));
        assert_eq!(destination("queue/"), Err(TargetError::Destination));
    }

    #[test]
    fn a_header_may_hold_colons_in_its_value() {
        assert_eq!(header("a:b:c"), Ok(("a".to_owned(), "b:c".to_owned())));
        assert_eq!(header("a=b:c"), Ok(("a".to_owned(), "b:c".to_owned())));
        assert_eq!(header("a"), Err(TargetError::Header));
    }
}
