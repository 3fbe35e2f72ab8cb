//! One client connection: a reader that feeds the session, and a writer for what publishers could
//! not write themselves.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::login::verify;
use super::outbound::{Flush, Outbound};
use super::sink::ConnectionSink;
use crate::broker::Broker;
use crate::broker::connections::OpenGuard;
use crate::broker::ledger::Account;
use crate::clock;
use crate::config::valid::Limits;
use crate::queue::{Forwarded, Work};
use crate::security::authn::Authenticator;
use crate::security::certificate::Names;
use crate::wire::stomp::session::{Settings, Time};
use crate::wire::stomp::{Decoded, Decoder, FrameError, Session, Sink, frame};

/// Bytes a client may send before it is in.
const PRE_AUTH_FRAME: usize = 16 << 10;
/// How long the last words may take to be written.
const LINGER: Duration = Duration::from_secs(2);
/// How often a full queue is tried again.
pub(super) const RETRY: Duration = Duration::from_millis(5);
/// What a producer waits after each batch while its queue, or the broker, is three quarters full.
const STALL: Duration = Duration::from_millis(5);
/// How long a producer that has unacknowledged messages itself waits for a full queue: its
/// acknowledgements stand behind the message it waits with.
const OWN_DEADLOCK: Duration = Duration::from_secs(1);

/// How long a full ring holds producers of what it may drop.
const FULL_HOLD: Duration = Duration::from_secs(1);

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; 64 << 10]);
}

/// What is read from.
#[derive(Debug)]
pub enum Reader {
    /// A plain socket.
    Plain(Arc<TcpStream>),
    /// An encrypted one, with a buffer of its own.
    Tls(ReadHalf<TlsStream<TcpStream>>, Vec<u8>),
}

/// What is written to.
#[derive(Debug)]
pub enum Writer {
    /// A plain socket.
    Plain(Arc<TcpStream>),
    /// An encrypted one.
    Tls(WriteHalf<TlsStream<TcpStream>>),
}

pub(super) struct Client {
    pub(super) session: Session,
    pub(super) decoder: Decoder,
    pub(super) partial: Vec<u8>,
    pub(super) sink: ConnectionSink,
    pub(super) limits: Limits,
    pub(super) certificate: Option<Names>,
    /// Open transactions, and a frame that has not arrived whole.
    account: Account,
    /// What it broke.
    broken: Option<FrameError>,
}

/// Who is at the other end, before any login.
#[derive(Debug)]
pub struct Peer {
    /// Address and port.
    pub address: String,
    /// What its certificate calls it, where it has shown a valid one.
    pub certificate: Option<Names>,
}

/// What listeners hand to each connection.
#[derive(Debug, Clone)]
pub struct Shared {
    /// The broker.
    pub broker: Arc<Broker>,
    /// Verifies logins.
    pub authenticator: Arc<Authenticator>,
    /// Ends every connection.
    pub cancel: CancellationToken,
}

pub(super) fn frame_limits(limits: &Limits, is_open: bool) -> frame::Limits {
    frame::Limits {
        line: limits.max_line,
        header_block: limits.max_header_block,
        headers: limits.max_headers,
        frame: if is_open {
            limits.frame
        } else {
            PRE_AUTH_FRAME.min(limits.frame)
        },
    }
}

fn settings(limits: &Limits) -> Settings {
    Settings {
        server: concat!("causeway/", env!("CARGO_PKG_VERSION")).to_owned(),
        heart_beat_ms: (limits.heart_beat.send.0, limits.heart_beat.want.0),
        is_memory_only: true,
        subscriptions: limits.subscriptions,
        id_length: limits.id_length,
        destination_length: limits.destination_length,
        transaction_frames: limits.transaction_frames,
        transaction_bytes: limits.transaction_bytes,
    }
}

/// Serves one connection until it ends, however it ends.
pub async fn serve(
    shared: Shared,
    mut reader: Reader,
    writer: Writer,
    peer: Peer,
    mut guard: OpenGuard,
) {
    let Peer {
        address,
        certificate,
    } = peer;
    let broker = shared.broker.clone();
    let limits = broker.config().limits.clone();
    let id = broker.connections.next_id();
    let outbound = Arc::new(Outbound::new(id, limits.outbound, broker.ledger.clone()));
    if let Reader::Plain(stream) = &reader {
        outbound.attach_socket(stream.clone());
    }
    let cancel = shared.cancel.child_token();
    let mut client = Client::new(broker.clone(), outbound.clone(), limits);
    client.certificate = certificate;
    let writing = tokio::spawn(write(
        broker.clone(),
        writer,
        outbound.clone(),
        cancel.clone(),
        client.limits.write_deadline.duration(),
    ));
    read(
        &shared,
        &mut client,
        &mut reader,
        &address,
        &cancel,
        &mut guard,
    )
    .await;
    if let Some(error) = client.broken {
        super::foreign::report(&broker, error, &address);
    }
    drain(&outbound, client.session.is_closed()).await;
    client.session.abort_all(&mut client.sink);
    client.sink.leave();
    cancel.cancel();
    // The writer ends by the token; its panic would be reported by its task.
    let _ = writing.await;
    broker
        .metrics
        .connections
        .set(i64::from(broker.connections.counts().0).saturating_sub(1));
}

/// Waits until the last words are written.
async fn drain(outbound: &Outbound, has_last_words: bool) {
    let deadline = Instant::now() + LINGER;
    while has_last_words && outbound.pending_bytes() > 0 && Instant::now() < deadline {
        outbound.wake();
        tokio::time::sleep(RETRY).await;
    }
}

async fn read(
    shared: &Shared,
    client: &mut Client,
    reader: &mut Reader,
    address: &str,
    cancel: &CancellationToken,
    guard: &mut OpenGuard,
) {
    let login_deadline = Instant::now() + client.limits.pre_auth_deadline.duration();
    let mut heard = Instant::now();
    loop {
        let expect_ms = client.session.heart_beat().expect_ms;
        let deadline = match client.session.is_open() {
            false => Some(login_deadline),
            true if expect_ms > 0 => Some(heard + Duration::from_millis(expect_ms * 2)),
            true => None,
        };
        let outcome = tokio::select! {
            biased;
            () = cancel.cancelled() => return,
            outcome = fill(reader, client) => outcome,
            () = sleep_until(deadline) => {
                let reason = if client.session.is_open() { "silent" } else { "login_deadline" };
                shared.broker.metrics.connections_refused.with_label_values(&[reason]).inc();
                return;
            }
        };
        match outcome {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        if !follow_up(shared, client, address, cancel, guard).await {
            return;
        }
        // Waiting for a queue or a login was our doing: the client's bytes may wait in the kernel.
        heard = Instant::now();
        // A client that sends without pause finds its socket ready each time and would hold its worker:
        // as many of them as there are workers would stop links and the admin page.
        tokio::task::yield_now().await;
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Finishes what a batch has left: a login, a full queue. False when the connection ends.
async fn follow_up(
    shared: &Shared,
    client: &mut Client,
    address: &str,
    cancel: &CancellationToken,
    guard: &mut OpenGuard,
) -> bool {
    loop {
        if let Some(login) = client.sink.pending_login.take() {
            verify(shared, client, login, address, cancel, guard).await;
        } else if client.sink.work.forwarded != Forwarded::Nothing {
            if !wait_for_links(client, cancel).await {
                return false;
            }
        } else if !client.sink.held.is_empty() {
            if !wait_for_room(client, cancel).await {
                return false;
            }
        } else {
            if std::mem::take(&mut client.sink.work.is_tight) {
                tokio::time::sleep(STALL).await;
            }
            return !client.sink.is_closing;
        }
        // Frames that arrived behind the login or the full queue.
        client.handle(&[]);
    }
}

/// Holds a producer while the ring of a link is full: for good where its messages must not be
/// dropped, for a second otherwise. Rule: R10. False when the connection ends.
async fn wait_for_links(client: &mut Client, cancel: &CancellationToken) -> bool {
    let since = Instant::now();
    let forwarded = std::mem::take(&mut client.sink.work.forwarded);
    while client.sink.broker.is_link_full()
        && (forwarded == Forwarded::Reliable || since.elapsed() < FULL_HOLD)
    {
        if timeout(RETRY, cancel.cancelled()).await.is_ok() {
            return false;
        }
    }
    true
}

async fn wait_for_room(client: &mut Client, cancel: &CancellationToken) -> bool {
    let since = Instant::now();
    while !client.sink.retry_held() {
        client.sink.broker.clone().settle(&mut client.sink.work);
        let has_unacked = client
            .sink
            .outbound
            .with_unacked(|unacked| !unacked.is_empty());
        if has_unacked && since.elapsed() > OWN_DEADLOCK {
            let full = client.sink.held.drain(..).count();
            let mut frame = Vec::new();
            let text = format!("the queue is full: {full} messages were refused");
            let escaping = client.session.version().into();
            crate::wire::stomp::encode::error(&text, None, None, escaping, &mut frame);
            client.sink.reply(&frame);
            break;
        }
        if timeout(RETRY, cancel.cancelled()).await.is_ok() {
            return false;
        }
    }
    true
}

async fn fill(reader: &mut Reader, client: &mut Client) -> io::Result<usize> {
    match reader {
        Reader::Plain(stream) => loop {
            stream.readable().await?;
            let outcome = SCRATCH.with_borrow_mut(|scratch| match stream.try_read(scratch) {
                Ok(count) => {
                    client.handle(&scratch[..count]);
                    Some(Ok(count))
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
                Err(error) => Some(Err(error)),
            });
            if let Some(outcome) = outcome {
                return outcome;
            }
        },
        Reader::Tls(stream, buffer) => {
            let count = stream.read(buffer).await?;
            client.handle(&buffer[..count]);
            Ok(count)
        }
    }
}

impl Client {
    /// A client that has said nothing yet.
    pub(super) fn new(broker: Arc<Broker>, outbound: Arc<Outbound>, limits: Limits) -> Self {
        let site = broker.config().broker.site.clone();
        let prefix = format!("ID:{site}-{:x}-{}:", broker.epoch, outbound.connection);
        Self {
            account: Account::new(broker.ledger.clone()),
            broken: None,
            session: Session::new(settings(&limits), &prefix),
            decoder: Decoder::new(frame_limits(&limits, false)),
            partial: Vec::new(),
            sink: ConnectionSink::new(broker, outbound, prefix.into_boxed_str()),
            limits,
            certificate: None,
        }
    }

    /// Handles bytes, and what was left over from earlier ones.
    pub(super) fn handle(&mut self, bytes: &[u8]) {
        self.sink.refresh_identity();
        let is_full = self.account.ledger().is_full_for(0);
        self.session.limit_transactions(match is_full {
            true => self.session.transaction_bytes(),
            false => self.limits.transaction_bytes,
        });
        if self.partial.is_empty() {
            let consumed = self.decode(bytes);
            self.partial.extend_from_slice(&bytes[consumed..]);
        } else {
            let mut buffer = std::mem::take(&mut self.partial);
            buffer.extend_from_slice(bytes);
            let consumed = self.decode(&buffer);
            buffer.drain(..consumed);
            if buffer.is_empty() && buffer.capacity() > 4096 {
                // An idle connection owns no large buffer.
                buffer = Vec::new();
            }
            self.partial = buffer;
        }
        self.account
            .set(self.session.transaction_bytes() + self.partial.len());
        self.sink.finish_batch();
    }

    fn decode(&mut self, bytes: &[u8]) -> usize {
        let time = Time {
            wall_ms: clock::wall_ms(),
        };
        let mut consumed = 0;
        while consumed < bytes.len()
            && self.sink.held.is_empty()
            && self.sink.pending_login.is_none()
            && !self.sink.is_closing
        {
            let rest = &bytes[consumed..];
            match self.decoder.decode(rest) {
                Ok(Decoded::Incomplete { skip }) => return consumed + skip,
                Ok(Decoded::Frame { consumed: length }) => {
                    let frame = self.decoder.frame(rest);
                    if let Err(error) = self.session.on_frame(&frame, time, &mut self.sink) {
                        self.fail(error);
                    }
                    consumed += length;
                }
                Err(error) => self.fail(error),
            }
        }
        if self.sink.is_closing {
            bytes.len()
        } else {
            consumed
        }
    }

    fn fail(&mut self, error: FrameError) {
        self.broken = Some(error);
        self.sink
            .broker
            .metrics
            .frame_errors
            .with_label_values(&[error.label()])
            .inc();
        self.session.fail(error, &mut self.sink);
    }
}

/// Writes what publishers could not, sends heart-beats, and ends a client that takes nothing.
async fn write(
    broker: Arc<Broker>,
    mut writer: Writer,
    outbound: Arc<Outbound>,
    cancel: CancellationToken,
    write_deadline: Duration,
) {
    let mut work = Work::default();
    loop {
        let beat_ms = outbound.beat_ms();
        tokio::select! {
            biased;
            () = cancel.cancelled() => break,
            () = outbound.woken() => {}
            () = sleep_for(beat_ms) => {
                if outbound.waiting_since_ns() == 0 {
                    outbound.push(&[b"\n"]);
                }
            }
        }
        let outcome = tokio::select! {
            biased;
            () = cancel.cancelled() => break,
            outcome = write_all(&mut writer, &outbound, &mut work, write_deadline) => outcome,
        };
        broker.settle(&mut work);
        if outcome.is_err() {
            cancel.cancel();
            break;
        }
    }
    if let Writer::Tls(stream) = &mut writer {
        // The peer may be gone already; nothing more can be told to it then.
        let _ = timeout(Duration::from_millis(200), stream.shutdown()).await;
    }
}

async fn sleep_for(beat_ms: u64) {
    match beat_ms {
        0 => std::future::pending().await,
        beat_ms => tokio::time::sleep(Duration::from_millis(beat_ms)).await,
    }
}

async fn write_all(
    writer: &mut Writer,
    outbound: &Outbound,
    work: &mut Work,
    deadline: Duration,
) -> io::Result<()> {
    loop {
        let now_ns = clock::monotonic_ns();
        match writer {
            Writer::Plain(stream) => match outbound.flush(stream, &mut work.written, now_ns) {
                Flush::Done | Flush::Busy => return Ok(()),
                Flush::Broken => return Err(io::ErrorKind::BrokenPipe.into()),
                Flush::WouldBlock => {
                    timeout(deadline, stream.writable())
                        .await
                        .map_err(|_| slow())??;
                }
            },
            Writer::Tls(stream) => match outbound.take_chunk(now_ns) {
                Ok(None) => {
                    stream.flush().await?;
                    return Ok(());
                }
                Ok(Some((chunk, from))) => {
                    let result = match timeout(deadline, stream.write(&chunk[from..])).await {
                        Ok(result) => result,
                        Err(_) => Err(slow()),
                    };
                    if outbound.give_back(chunk, from, &result, &mut work.written, now_ns)
                        != Flush::Done
                    {
                        return Err(io::ErrorKind::BrokenPipe.into());
                    }
                }
                Err(_) => return Ok(()),
            },
        }
    }
}

fn slow() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the client takes no bytes")
}
