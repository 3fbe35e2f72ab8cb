//! What a client speaks, by its first bytes.

use super::error::FrameError;

/// Words that HTTP requests begin with. CONNECT is a word of STOMP too, but nothing follows it there.
const HTTP: [&[u8]; 9] = [
    b"GET ",
    b"HEAD ",
    b"POST ",
    b"PUT ",
    b"DELETE ",
    b"OPTIONS ",
    b"PATCH ",
    b"CONNECT ",
    b"PRI * HTTP",
];
/// A TLS record that holds a handshake; the minor version differs.
const TLS: &[u8] = b"\x16\x03";

/// A protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum First {
    /// CONNECT or STOMP.
    Stomp,
    /// An HTTP request.
    Http,
    /// A TLS handshake.
    Tls,
    /// Something else, or too little of it.
    Unknown,
}

impl First {
    /// Judges the first bytes of a connection, which may be less than a whole word.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let bytes = bytes.trim_ascii_start();
        if HTTP.iter().any(|word| bytes.starts_with(word)) {
            Self::Http
        } else if bytes.starts_with(TLS) {
            Self::Tls
        } else if is_word(bytes, b"CONNECT") || is_word(bytes, b"STOMP") {
            Self::Stomp
        } else {
            Self::Unknown
        }
    }

    /// What is wrong with it where a STOMP command is expected.
    pub(super) fn error(self) -> Option<FrameError> {
        match self {
            Self::Http => Some(FrameError::LooksLikeHttp),
            Self::Tls => Some(FrameError::LooksLikeTls),
            Self::Stomp | Self::Unknown => None,
        }
    }
}

fn is_word(bytes: &[u8], word: &[u8]) -> bool {
    let rest = bytes.strip_prefix(word);
    rest.is_some_and(|rest| {
        rest.first()
            .is_none_or(|next| matches!(next, b'\r' | b'\n'))
    })
}

#[cfg(test)]
mod tests {
    use super::First;

    #[test]
    fn protocols_are_told_apart_by_their_first_bytes() {
        let rows: [(&[u8], First); 14] = [
            (b"CONNECT\naccept-version:1.2\n", First::Stomp),
            (b"\r\n\nSTOMP\r\n", First::Stomp),
            (b"STOMP", First::Stomp),
            (b"STOMPED\n", First::Unknown),
            (b"CONNECT a.example:443 HTTP/1.1\r\n", First::Http),
            (b"GET / HTTP/1.1\r\n", First::Http),
            (b"PRI * HTTP/2.0\r\n", First::Http),
            (b"GETTING", First::Unknown),
            (b"\x16\x03\x01\x02\x00\x01", First::Tls),
            (b"\x16\x03\x03", First::Tls),
            (b"\x16", First::Unknown),
            (b"\x16\x02", First::Unknown),
            (b"SEND\n", First::Unknown),
            (b"", First::Unknown),
        ];
        for (bytes, expected) in rows {
            assert_eq!(First::of(bytes), expected, "{bytes:?}");
        }
    }
}
