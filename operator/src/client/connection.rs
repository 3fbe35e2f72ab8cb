//! One STOMP connection that blocks: connect, send a frame, wait for a frame.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use causeway_broker::wire::stomp::client::{Frame, take_frame};
use causeway_broker::wire::stomp::error::FrameError;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, ClientConnection, InvalidMessage, StreamOwned};

use super::target::Target;

const CONNECT: Duration = Duration::from_secs(10);
/// The broker gives a sign at least this often, or is taken for dead after twice the time.
const HEART_BEAT: Duration = Duration::from_secs(10);

/// What went wrong on a connection.
#[derive(Debug, thiserror::Error)]
pub enum StompError {
    /// The name has no address.
    #[error("{0} has no address")]
    NoAddress(String),
    /// The connection failed.
    #[error("{target}: {cause}")]
    Io {
        /// Host and port.
        target: String,
        /// What happened.
        cause: io::Error,
    },
    /// TLS failed.
    #[error("TLS with {target}: {}", told(cause))]
    Tls {
        /// Host and port.
        target: String,
        /// What happened.
        cause: rustls::Error,
    },
    /// A host that no certificate can be for.
    #[error("{0} is not a name that a certificate can be for")]
    Name(String),
    /// TLS needs roots.
    #[error("stomps:// needs the roots to trust: name them with --ca FILE")]
    NoRoots,
    /// The roots do not vouch for the broker's certificate.
    #[error("the certificate of {target} is not trusted: {cause}{}", advice(cause))]
    Untrusted {
        /// Host and port.
        target: String,
        /// Why not.
        cause: CertificateError,
    },
    /// What came is not STOMP.
    #[error("the broker does not speak STOMP")]
    Frame(#[from] FrameError),
    /// The broker refused something.
    #[error("the broker says: {message}")]
    Refused {
        /// Its words.
        message: String,
    },
    /// The broker refused the login.
    #[error("the broker refuses the login: {message}")]
    LoginRefused {
        /// Its words.
        message: String,
    },
    /// The broker closed the connection.
    #[error("the broker closed the connection")]
    Closed,
    /// Nothing came in time.
    #[error("no answer within {} s", .0.as_secs_f64())]
    Timeout(Duration),
    /// The broker gives no sign any more.
    #[error("the broker has been silent for {} s", .0.as_secs())]
    Silent(Duration),
}

impl StompError {
    /// Whether the broker answered and the answer is no.
    #[must_use]
    pub const fn is_negative(&self) -> bool {
        matches!(
            self,
            Self::Refused { .. } | Self::LoginRefused { .. } | Self::Timeout(_)
        )
    }

    /// Whether something was named that cannot do: the wrong roots, the wrong host, or none.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        match self {
            Self::Name(_) | Self::NoRoots => true,
            Self::Untrusted { cause, .. } => is_about_arguments(cause),
            _ => false,
        }
    }

    /// Whether it is the login that the broker did not take.
    #[must_use]
    pub const fn is_about_login(&self) -> bool {
        matches!(self, Self::LoginRefused { .. })
    }
}

const fn is_about_arguments(cause: &CertificateError) -> bool {
    is_about_roots(cause) || is_about_name(cause)
}

const fn is_about_roots(cause: &CertificateError) -> bool {
    matches!(
        cause,
        CertificateError::UnknownIssuer | CertificateError::BadSignature
    )
}

const fn is_about_name(cause: &CertificateError) -> bool {
    matches!(
        cause,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
    )
}

/// What went wrong with TLS, in words where rustls only names it.
fn told(cause: &rustls::Error) -> String {
    match cause {
        // The first bytes are no TLS record at all.
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "the port does not speak TLS: stomp:// is for plain ports, stomps:// for those with TLS"
                .to_owned()
        }
        cause => cause.to_string(),
    }
}

/// What the caller can do about it.
const fn advice(cause: &CertificateError) -> &'static str {
    match (is_about_roots(cause), is_about_name(cause)) {
        (true, _) => " (name the roots that it ends at with --ca FILE)",
        (_, true) => " (name the host as the certificate does)",
        _ => "",
    }
}

/// Who logs in.
#[derive(Clone, Default)]
pub struct Login {
    /// The user; none: no login is sent.
    pub user: Option<String>,
    /// The password.
    pub password: String,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// A connection that is logged in.
pub struct Connection {
    stream: Stream,
    target: String,
    buffer: Vec<u8>,
    heard: Instant,
    receipts: u64,
    /// Frames that came while a receipt was waited for.
    waiting: std::collections::VecDeque<Frame>,
}

impl Connection {
    /// Connects and logs in.
    ///
    /// # Errors
    /// No connection, no TLS, or the broker refuses the login.
    pub fn open(
        target: &Target,
        tls: Option<Arc<ClientConfig>>,
        login: &Login,
        host: &str,
    ) -> Result<Self, StompError> {
        let name = format!("{}:{}", target.host, target.port);
        let stream = match target.is_tls {
            false => Stream::Plain(dial(target, &name)?),
            true => {
                let config = tls.ok_or(StompError::NoRoots)?;
                let server = ServerName::try_from(target.host.clone())
                    .map_err(|_| StompError::Name(target.host.clone()))?;
                let session = ClientConnection::new(config, server).map_err(|cause| {
                    let target = name.clone();
                    StompError::Tls { target, cause }
                })?;
                Stream::Tls(Box::new(StreamOwned::new(session, dial(target, &name)?)))
            }
        };
        let mut connection = Self {
            stream,
            target: name,
            buffer: Vec::new(),
            heard: Instant::now(),
            receipts: 0,
            waiting: std::collections::VecDeque::new(),
        };
        connection.log_in(login, host)?;
        Ok(connection)
    }

    fn log_in(&mut self, login: &Login, host: &str) -> Result<(), StompError> {
        let beats = format!("0,{}", HEART_BEAT.as_millis());
        let mut frame = Frame::new("CONNECT")
            .with("accept-version", "1.2")
            .with("host", host)
            .with("heart-beat", &beats);
        if let Some(user) = &login.user {
            frame = frame.with("login", user).with("passcode", &login.password);
        }
        self.send(&frame)?;
        let answer = self.next(Some(Instant::now() + CONNECT));
        let answer = answer.map_err(|error| match error {
            StompError::Refused { message } => StompError::LoginRefused { message },
            error => error,
        })?;
        match answer {
            Some(frame) if frame.command == "CONNECTED" => Ok(()),
            Some(frame) => Err(StompError::Refused {
                message: format!("{} instead of CONNECTED", frame.command),
            }),
            None => Err(StompError::Timeout(CONNECT)),
        }
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// The connection failed.
    pub fn send(&mut self, frame: &Frame) -> Result<(), StompError> {
        let bytes = frame.encode();
        let written = match &mut self.stream {
            Stream::Plain(stream) => stream.write_all(&bytes),
            Stream::Tls(stream) => stream.write_all(&bytes).and_then(|()| stream.flush()),
        };
        written.map_err(|cause| self.failed(cause))
    }

    /// Sends a frame and waits until the broker has done what it asks; messages that come meanwhile are kept.
    ///
    /// # Errors
    /// The broker refuses, or says nothing within `patience`.
    pub fn send_and_wait(&mut self, frame: Frame, patience: Duration) -> Result<(), StompError> {
        self.receipts += 1;
        let receipt = format!("r{}", self.receipts);
        self.send(&frame.with("receipt", &receipt))?;
        let deadline = Instant::now() + patience;
        loop {
            match self.read_frame(Some(deadline))? {
                None => return Err(StompError::Timeout(patience)),
                Some(frame) if frame.command == "RECEIPT" => {
                    if frame.header("receipt-id") == Some(&receipt) {
                        return Ok(());
                    }
                }
                Some(frame) => self.waiting.push_back(frame),
            }
        }
    }

    /// The next frame, or nothing if none came before the deadline.
    ///
    /// # Errors
    /// The broker refuses something, closes, falls silent, or does not speak STOMP.
    pub fn next(&mut self, deadline: Option<Instant>) -> Result<Option<Frame>, StompError> {
        match self.waiting.pop_front() {
            Some(frame) => Ok(Some(frame)),
            None => self.read_frame(deadline),
        }
    }

    /// Says good-bye and waits until everything sent before has been done.
    ///
    /// # Errors
    /// The broker refuses something that was sent before.
    pub fn close(mut self, patience: Duration) -> Result<(), StompError> {
        self.send_and_wait(Frame::new("DISCONNECT"), patience)
    }

    fn read_frame(&mut self, deadline: Option<Instant>) -> Result<Option<Frame>, StompError> {
        loop {
            if let Some(frame) = take_frame(&mut self.buffer)? {
                return match frame.command.as_str() {
                    "ERROR" => Err(refusal(&frame)),
                    _ => Ok(Some(frame)),
                };
            }
            let now = Instant::now();
            let silence_ends = self.heard + 2 * HEART_BEAT;
            if silence_ends <= now {
                return Err(StompError::Silent(2 * HEART_BEAT));
            }
            if deadline.is_some_and(|deadline| deadline <= now) {
                return Ok(None);
            }
            let until = deadline.map_or(silence_ends, |deadline| deadline.min(silence_ends));
            self.read_bytes(until.duration_since(now))?;
        }
    }

    fn read_bytes(&mut self, patience: Duration) -> Result<(), StompError> {
        let mut bytes = [0; 64 << 10];
        // A timeout of zero means none at all.
        let patience = patience.max(Duration::from_millis(1));
        let socket = match &self.stream {
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => stream.get_ref(),
        };
        let set = socket.set_read_timeout(Some(patience));
        let read = set.and_then(|()| match &mut self.stream {
            Stream::Plain(stream) => stream.read(&mut bytes),
            Stream::Tls(stream) => stream.read(&mut bytes),
        });
        match read {
            Ok(0) => Err(StompError::Closed),
            Ok(length) => {
                self.heard = Instant::now();
                self.buffer.extend_from_slice(&bytes[..length]);
                Ok(())
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock
                | io::ErrorKind::TimedOut
                | io::ErrorKind::Interrupted => Ok(()),
                io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
                    Err(StompError::Closed)
                }
                _ => Err(self.failed(error)),
            },
        }
    }

    fn failed(&self, cause: io::Error) -> StompError {
        let target = self.target.clone();
        let tls = cause
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match tls {
            Some(rustls::Error::InvalidCertificate(cause)) => StompError::Untrusted {
                target,
                cause: cause.clone(),
            },
            Some(tls) => StompError::Tls {
                target,
                cause: tls.clone(),
            },
            None => StompError::Io { target, cause },
        }
    }
}

fn dial(target: &Target, name: &str) -> Result<TcpStream, StompError> {
    let failed = |cause| StompError::Io {
        target: name.to_owned(),
        cause,
    };
    let addresses = (target.host.as_str(), target.port)
        .to_socket_addrs()
        .map_err(failed)?;
    let mut last = StompError::NoAddress(target.host.clone());
    for address in addresses {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(stream) => {
                stream.set_nodelay(true).map_err(failed)?;
                return Ok(stream);
            }
            Err(error) => last = failed(error),
        }
    }
    Err(last)
}

/// The words of an ERROR frame, on one line.
fn refusal(frame: &Frame) -> StompError {
    let message = frame.header("message").unwrap_or("ERROR").to_owned();
    let body = String::from_utf8_lossy(&frame.body).trim().to_owned();
    let message = match body.is_empty() || message.contains(&body) {
        true => message,
        false => format!("{message}: {}", body.replace('\n', " ")),
    };
    StompError::Refused { message }
}
