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

use super::client::Client;
use super::outbound::{Flush, Outbound};
use super::waiting::{self, RETRY};
use crate::broker::Broker;
use crate::broker::connections::OpenGuard;
use crate::clock;
use crate::queue::Work;
use crate::security::authn::Authenticator;
use crate::security::certificate::Names;
use crate::wire::stomp::FrameError;

/// How long the last words may take to be written.
const LINGER: Duration = Duration::from_secs(2);
/// Subscriptions of a client that left which are ended before others have their turn.
const LEAVE_AT_ONCE: usize = 64;

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

/// Who is at the other end, before any login.
#[derive(Debug)]
pub struct Peer {
    /// Address and port.
    pub address: String,
    /// What its certificate calls it, where it has shown a valid one.
    pub certificate: Option<Names>,
    /// Which of the listeners since the start has accepted it.
    pub listener: u64,
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
        listener,
    } = peer;
    let broker = shared.broker.clone();
    let limits = broker.config().limits.clone();
    let id = broker.connections.next_id();
    let outbound = Arc::new(Outbound::new(
        id,
        limits.outbound,
        broker.memory.clients.clone(),
    ));
    if let Reader::Plain(stream) = &reader {
        outbound.attach_socket(stream);
    }
    let cancel = shared.cancel.child_token();
    let mut client = Client::new(broker.clone(), outbound.clone(), limits);
    client.certificate = certificate;
    client.listener = listener;
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
    while !client.sink.leave_some(LEAVE_AT_ONCE) {
        tokio::task::yield_now().await;
    }
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
    let mut turn = None;
    loop {
        let waited = Instant::now();
        if !waiting::wait_for_memory(client, &mut turn, login_deadline, cancel).await {
            return;
        }
        heard += waited.elapsed();
        let expect_ms = client.session.heart_beat().expect_ms;
        let silent_at = match client.session.is_open() {
            false => Some(login_deadline),
            true if expect_ms > 0 => Some(heard + Duration::from_millis(expect_ms * 2)),
            true => None,
        };
        let turn_ends = turn.as_ref().map(|turn| turn.ends(heard));
        let deadline = silent_at.into_iter().chain(turn_ends).min();
        let outcome = tokio::select! {
            biased;
            () = cancel.cancelled() => return,
            outcome = fill(reader, client) => outcome,
            () = sleep_until(deadline) => {
                let reason = match client.session.is_open() {
                    false => "login_deadline",
                    true if deadline == turn_ends => {
                        client.give_up(FrameError::TooSlow);
                        return;
                    }
                    true => "silent",
                };
                shared.broker.metrics.connections_refused.with_label_values(&[reason]).inc();
                return;
            }
        };
        match outcome {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        if !waiting::follow_up(shared, client, address, cancel, guard).await {
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
