//! Connections to the admin page: counted, and each ended when it makes no progress.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::question::LONGEST_WAIT;

/// Bytes of a request.
const MAX_HEAD: usize = 8 << 10;
/// A request has to come within this time, from the connection or from the answer before it.
const HEAD_PATIENCE: Duration = Duration::from_secs(5);
/// A connection is closed after this time, when the answer that is under way is out.
const LIFETIME: Duration = Duration::from_secs(60);
/// How long that answer may take.
const LAST_ANSWER: Duration = LONGEST_WAIT.saturating_add(HEAD_PATIENCE);
/// How long somebody may take to read that there is no room.
const REFUSAL_PATIENCE: Duration = Duration::from_secs(1);
/// Pause after a failed accept: the cause, mostly a lack of file handles, may pass.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const NO_ROOM: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 44\r\nConnection: close\r\n\r\nadmin.max_connections connections are open.\n";

/// A counted connection.
struct Seat(Arc<AtomicUsize>);

impl Seat {
    /// A seat, if fewer than `limit` are taken.
    fn take(taken: &Arc<AtomicUsize>, limit: usize) -> Option<Self> {
        let next = |count: usize| (count < limit).then_some(count + 1);
        taken
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, next)
            .ok()
            .map(|_| Self(taken.clone()))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Serves until cancelled; never more connections at a time than `limit` says when they come.
pub async fn serve(
    listener: &TcpListener,
    router: Router,
    limit: impl Fn() -> usize,
    cancel: CancellationToken,
) {
    serve_within(listener, router, limit, cancel, HEAD_PATIENCE).await;
}

async fn serve_within(
    listener: &TcpListener,
    router: Router,
    limit: impl Fn() -> usize,
    cancel: CancellationToken,
    head_patience: Duration,
) {
    let (taken, refused) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    loop {
        let accepted = tokio::select! {
            () = cancel.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "the admin listener cannot accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let limit = limit();
        if let Some(seat) = Seat::take(&taken, limit) {
            let served = connection(stream, router.clone(), cancel.clone(), head_patience);
            tokio::spawn(async move {
                served.await;
                drop(seat);
            });
        } else if let Some(seat) = Seat::take(&refused, limit) {
            // Beyond as many refusals at a time the connection is closed without a word.
            tokio::spawn(refuse(stream, seat));
        }
    }
}

async fn connection(
    stream: TcpStream,
    router: Router,
    cancel: CancellationToken,
    head_patience: Duration,
) {
    let service = TowerToHyperService::new(router);
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_patience)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut served = std::pin::pin!(served);
    tokio::select! {
        // How a client leaves is its own affair.
        _ = served.as_mut() => return,
        () = cancel.cancelled() => {}
        () = tokio::time::sleep(LIFETIME) => {}
    }
    served.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(LAST_ANSWER, served).await;
}

/// Says that there is no room, and reads what the client sends meanwhile: a close with unread bytes would take the
/// answer with it.
async fn refuse(mut stream: TcpStream, _seat: Seat) {
    let told = async {
        stream.write_all(NO_ROOM.as_bytes()).await?;
        stream.shutdown().await?;
        let mut rest = [0; 1024];
        while stream.read(&mut rest).await? > 0 {}
        std::io::Result::Ok(())
    };
    let _ = tokio::time::timeout(REFUSAL_PATIENCE, told).await;
}

#[cfg(test)]
mod tests {
    use axum::routing::get;

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(300);

    async fn started(
        limit: usize,
        patience: Duration,
    ) -> (std::net::SocketAddr, CancellationToken) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().route("/", get(async || "here\n"));
        let cancel = CancellationToken::new();
        let until = cancel.clone();
        tokio::spawn(async move {
            serve_within(&listener, router, move || limit, until, patience).await;
        });
        (address, cancel)
    }

    /// Asks once over a connection that then stays open.
    async fn ask(address: std::net::SocketAddr) -> (TcpStream, String) {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        stream.write_all(request).await.expect("sent");
        let mut answer = Vec::new();
        while !answer.ends_with(b"\n") || !answer.windows(4).any(|end| end == b"\r\n\r\n") {
            let mut bytes = [0; 512];
            let length = stream.read(&mut bytes).await.expect("an answer");
            assert!(length > 0, "closed: {}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&bytes[..length]);
        }
        (stream, String::from_utf8_lossy(&answer).into_owned())
    }

    #[tokio::test]
    async fn the_last_seat_is_served_the_next_one_is_told_and_a_free_one_is_used_again() {
        let (address, cancel) = started(2, HEAD_PATIENCE).await;
        let (first, answer) = ask(address).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let (_second, answer) = ask(address).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let (mut third, answer) = ask(address).await;
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(answer.ends_with("admin.max_connections connections are open.\n"));
        let rest = third.read(&mut [0; 16]).await;
        assert!(matches!(rest, Ok(0)), "the connection is closed: {rest:?}");
        drop(first);
        let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
        while ask(address).await.1.starts_with("HTTP/1.1 503") {
            assert!(tokio::time::Instant::now() < deadline, "no seat is free");
        }
        cancel.cancel();
    }

    #[tokio::test]
    async fn who_says_nothing_is_disconnected() {
        let (address, cancel) = started(1, PATIENCE).await;
        let mut silent = TcpStream::connect(address).await.expect("a connection");
        let began = tokio::time::Instant::now();
        let read = silent.read(&mut [0; 16]).await;
        assert!(matches!(read, Ok(0)), "{read:?}");
        assert!(began.elapsed() >= PATIENCE, "{:?}", began.elapsed());
        cancel.cancel();
    }
}
