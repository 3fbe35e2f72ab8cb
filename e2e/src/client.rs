//! A blocking STOMP client over plain sockets or TLS.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::frame::{Frame, decode};
use crate::wait::PATIENCE;

/// How long one read may block before the deadline is looked at again.
const TICK: Duration = Duration::from_millis(50);

enum Transport {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Transport {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes),
            Self::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }

    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => &stream.sock,
        }
    }
}

/// One connection. Frames that arrive while something else is waited for are kept and received
/// later.
pub struct Client {
    transport: Transport,
    buffer: Vec<u8>,
    kept: VecDeque<Frame>,
    receipts: u64,
    /// CONNECTED, once logged in.
    pub connected: Frame,
}

impl Client {
    /// Connects and logs in with STOMP 1.2.
    ///
    /// # Errors
    /// No connection, or the broker's ERROR.
    pub fn connect(port: u16, user: &str, password: &str) -> Result<Self> {
        Self::open(port)?.log_in(user, password, &[])
    }

    /// The same at any address.
    ///
    /// # Errors
    /// No connection, or the broker's ERROR.
    pub fn connect_to(address: SocketAddr, user: &str, password: &str) -> Result<Self> {
        Self::over(Transport::Plain(socket_to(address)?)).log_in(user, password, &[])
    }

    /// The same with a client id.
    ///
    /// # Errors
    /// No connection, or the broker's ERROR.
    pub fn connect_as(port: u16, user: &str, password: &str, client_id: &str) -> Result<Self> {
        Self::open(port)?.log_in(user, password, &[("client-id", client_id)])
    }

    /// The same at any address.
    ///
    /// # Errors
    /// No connection, or the broker's ERROR.
    pub fn connect_to_as(
        address: SocketAddr,
        user: &str,
        password: &str,
        client_id: &str,
    ) -> Result<Self> {
        let headers = [("client-id", client_id)];
        Self::over(Transport::Plain(socket_to(address)?)).log_in(user, password, &headers)
    }

    /// Connects over TLS and logs in; the certificate must be good for `localhost`.
    ///
    /// # Errors
    /// No connection, a bad certificate, or the broker's ERROR.
    pub fn connect_tls(
        port: u16,
        config: Arc<ClientConfig>,
        user: &str,
        password: &str,
    ) -> Result<Self> {
        let name = ServerName::try_from("localhost")?;
        let session = ClientConnection::new(config, name)?;
        let stream = StreamOwned::new(session, socket(port)?);
        Self::over(Transport::Tls(Box::new(stream))).log_in(user, password, &[])
    }

    /// Connects and says nothing yet.
    ///
    /// # Errors
    /// No connection.
    pub fn open(port: u16) -> Result<Self> {
        Ok(Self::over(Transport::Plain(socket(port)?)))
    }

    fn over(transport: Transport) -> Self {
        Self {
            transport,
            buffer: Vec::new(),
            kept: VecDeque::new(),
            receipts: 0,
            connected: Frame::default(),
        }
    }

    fn log_in(mut self, user: &str, password: &str, more: &[(&str, &str)]) -> Result<Self> {
        let mut headers = vec![
            ("accept-version", "1.2"),
            ("host", "causeway"),
            ("login", user),
            ("passcode", password),
        ];
        headers.extend_from_slice(more);
        self.write(&Frame::new("CONNECT", &headers))?;
        let answer = self
            .receive(PATIENCE)?
            .context("no answer to CONNECT within the deadline")?;
        ensure!(
            answer.command == "CONNECTED",
            "login refused: {}",
            error_text(&answer)
        );
        self.connected = answer;
        Ok(self)
    }

    /// Writes a frame.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn write(&mut self, frame: &Frame) -> Result<()> {
        self.write_bytes(&frame.encode())
    }

    /// Writes bytes as they are, for what no proper client would send.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn write_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.transport.write_all(bytes)?)
    }

    /// Writes a frame with a `receipt` header and waits for its RECEIPT.
    ///
    /// # Errors
    /// The broker answered with ERROR, or not in time.
    pub fn call(&mut self, mut frame: Frame) -> Result<()> {
        self.receipts += 1;
        let receipt = format!("receipt-{}", self.receipts);
        frame.headers.push(("receipt".to_owned(), receipt.clone()));
        self.write(&frame)?;
        let end = Instant::now() + PATIENCE;
        loop {
            let answer = self
                .next_from_wire(end)?
                .with_context(|| format!("no receipt for {}", frame.command))?;
            match answer.command.as_str() {
                "RECEIPT" if answer.header("receipt-id") == Some(receipt.as_str()) => return Ok(()),
                "ERROR" => bail!("{}", error_text(&answer)),
                _ => self.kept.push_back(answer),
            }
        }
    }

    /// Subscribes and waits until the subscription is active.
    ///
    /// # Errors
    /// The broker answered with ERROR, or not in time.
    pub fn subscribe(
        &mut self,
        id: &str,
        destination: &str,
        headers: &[(&str, &str)],
    ) -> Result<()> {
        let mut all = vec![("id", id), ("destination", destination)];
        all.extend_from_slice(headers);
        self.call(Frame::new("SUBSCRIBE", &all))
    }

    /// Ends a subscription and waits for the receipt.
    ///
    /// # Errors
    /// The broker answered with ERROR, or not in time.
    pub fn unsubscribe(&mut self, id: &str) -> Result<()> {
        self.call(Frame::new("UNSUBSCRIBE", &[("id", id)]))
    }

    /// Sends a message and waits for nothing.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn send(&mut self, destination: &str, headers: &[(&str, &str)], body: &str) -> Result<()> {
        self.write(&send_frame(destination, headers, body))
    }

    /// Sends a message and waits for its receipt.
    ///
    /// # Errors
    /// The broker answered with ERROR, or not in time.
    pub fn send_with_receipt(
        &mut self,
        destination: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<()> {
        self.call(send_frame(destination, headers, body))
    }

    /// Acknowledges a message and waits until that counts.
    ///
    /// # Errors
    /// The message has no `ack` header, or the broker did not take it.
    pub fn acknowledge(&mut self, message: &Frame) -> Result<()> {
        let id = message.header("ack").context("MESSAGE without ack")?;
        self.call(Frame::new("ACK", &[("id", id)]))
    }

    /// The next frame, or nothing when none came in time.
    ///
    /// # Errors
    /// The connection is gone, or what came is not a frame.
    pub fn receive(&mut self, patience: Duration) -> Result<Option<Frame>> {
        match self.kept.pop_front() {
            Some(frame) => Ok(Some(frame)),
            None => self.next_from_wire(Instant::now() + patience),
        }
    }

    /// The next frame, which must be a MESSAGE.
    ///
    /// # Errors
    /// Nothing came within the general deadline, or something else did.
    pub fn message(&mut self) -> Result<Frame> {
        let frame = self.receive(PATIENCE)?.context("no message in time")?;
        ensure!(
            frame.command == "MESSAGE",
            "expected a MESSAGE, not {}",
            error_text(&frame)
        );
        Ok(frame)
    }

    /// The next frame, which must be an ERROR.
    ///
    /// # Errors
    /// Nothing came within the general deadline, or something else did.
    pub fn error(&mut self) -> Result<Frame> {
        let frame = self.receive(PATIENCE)?.context("no ERROR in time")?;
        ensure!(frame.command == "ERROR", "expected an ERROR, not {frame:?}");
        Ok(frame)
    }

    /// Waits until the broker closes the connection.
    ///
    /// # Errors
    /// It stays open beyond the patience given, or a frame arrives.
    pub fn expect_close(&mut self, patience: Duration) -> Result<()> {
        match self.receive(patience) {
            Err(_) => Ok(()),
            Ok(None) => bail!("the connection is still open after {patience:?}"),
            Ok(Some(frame)) => bail!("the connection is open and brought {frame:?}"),
        }
    }

    /// Leaves politely: everything sent before has been processed.
    ///
    /// # Errors
    /// The receipt did not come.
    pub fn disconnect(mut self) -> Result<()> {
        self.call(Frame::new("DISCONNECT", &[]))
    }

    fn next_from_wire(&mut self, end: Instant) -> Result<Option<Frame>> {
        let mut chunk = [0_u8; 64 * 1024];
        loop {
            if let Some((frame, used)) = decode(&self.buffer)? {
                self.buffer.drain(..used);
                return Ok(Some(frame));
            }
            let now = Instant::now();
            if now >= end {
                return Ok(None);
            }
            // A timeout of zero would mean to block for ever.
            let timeout = (end - now).min(TICK).max(Duration::from_millis(1));
            self.transport.socket().set_read_timeout(Some(timeout))?;
            match self.transport.read(&mut chunk) {
                Ok(0) => bail!("the broker closed the connection"),
                Ok(count) => self.buffer.extend_from_slice(&chunk[..count]),
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// What an ERROR says, on one line.
#[must_use]
pub fn error_text(frame: &Frame) -> String {
    let message = frame.header("message").unwrap_or_default();
    format!("{} {message} {}", frame.command, frame.text().trim())
}

fn send_frame(destination: &str, headers: &[(&str, &str)], body: &str) -> Frame {
    let mut all = vec![("destination", destination)];
    all.extend_from_slice(headers);
    Frame::new("SEND", &all).with_body(body)
}

fn socket(port: u16) -> Result<TcpStream> {
    socket_to((Ipv4Addr::LOCALHOST, port).into())
}

fn socket_to(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}
