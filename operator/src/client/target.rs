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
    /// Not a number of messages.
    #[error("a whole number of messages, at least 1")]
    Count,
    /// Not a header.
    #[error("a header is NAME:VALUE")]
    Header,
}

/// A header was given that the command sets itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("--header {name}: this command sets that header itself, as it does with all of {own}")]
pub struct OwnHeader {
    name: String,
    own: String,
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

/// Refuses headers that the command sets itself: the broker would see two of one name.
///
/// # Errors
/// One of them is among those that were given.
pub fn refuse_own(given: &[(String, String)], own: &[&'static str]) -> Result<(), OwnHeader> {
    match given.iter().find(|(name, _)| own.contains(&name.as_str())) {
        None => Ok(()),
        Some((name, _)) => Err(OwnHeader {
            name: name.clone(),
            own: own.join(", "),
        }),
    }
}

/// A number of messages, such as 1.
///
/// # Errors
/// It is none, or 0.
pub fn count(text: &str) -> Result<u64, TargetError> {
    let count = text.parse().ok().filter(|count| *count > 0);
    count.ok_or(TargetError::Count)
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

    #[test]
    fn a_header_that_the_command_sets_itself_is_refused_with_all_of_them() {
        let given = |name: &str| [(name.to_owned(), "1".to_owned())];
        let own = ["destination", "content-length"];
        assert_eq!(refuse_own(&given("priority"), &own), Ok(()));
        let refused = refuse_own(&given("content-length"), &own);
        let text = refused.expect_err("its own").to_string();
        assert!(text.starts_with("--header content-length: "), "{text}");
        assert!(
            text.ends_with("all of destination, content-length"),
            "{text}"
        );
    }

    #[test]
    fn a_number_of_messages_is_at_least_one() {
        assert_eq!(count("12"), Ok(12));
        for bad in ["0", "-1", "x", "1.5", ""] {
            assert_eq!(count(bad), Err(TargetError::Count), "{bad}");
        }
    }
}
