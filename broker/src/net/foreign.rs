//! What came to the wrong port: STOMP in clear or HTTP where TLS is spoken, and TLS or HTTP where
//! STOMP is. It is named to the client and in the log, so that nobody has to guess.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::broker::Broker;
use crate::wire::stomp::encode::{self, Escaping};
use crate::wire::stomp::{First, FrameError};

/// How long a client that came to the wrong port may take to read why, and how much of what it
/// goes on sending is read meanwhile: without that the answer could be lost with the connection.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_READS: usize = 16;

/// What a connection to a TLS listener begins with; its bytes stay in the socket.
///
/// # Errors
/// The socket is gone.
pub async fn look(stream: &TcpStream) -> std::io::Result<First> {
    let mut start = [0; 16];
    let count = stream.peek(&mut start).await?;
    Ok(First::of(&start[..count]))
}

/// Says in clear that this port speaks TLS, counts and logs it. Nothing is done where the client
/// speaks TLS, or what it speaks is not known: the handshake finds out.
pub async fn refuse(broker: &Broker, first: First, stream: &mut TcpStream, address: &str) -> bool {
    let (reason, what) = match first {
        First::Stomp => ("stomp_on_tls_port", "STOMP in clear"),
        First::Http => ("http_on_tls_port", "HTTP"),
        First::Tls | First::Unknown => return false,
    };
    let refused = &broker.metrics.connections_refused;
    refused.with_label_values(&[reason]).inc();
    let listeners = &broker.config().broker.listeners;
    let clear = listeners.stomp.as_ref().map(|one| one.port);
    let instead = clear.map_or_else(String::new, |port| {
        format!(", or the port of STOMP in clear, {port}")
    });
    let text =
        format!("this looks like {what}, and this port speaks STOMP over TLS: use TLS{instead}");
    tracing::info!(address, "{text}");
    // A client that does not read why it is refused is refused all the same.
    let _ = timeout(LINGER, answer(stream, &text)).await;
    true
}

async fn answer(stream: &mut TcpStream, text: &str) -> std::io::Result<()> {
    let mut frame = Vec::new();
    encode::error(text, None, None, Escaping::V10, &mut frame);
    stream.write_all(&frame).await?;
    stream.shutdown().await?;
    let mut rest = [0; 1024];
    for _ in 0..LINGER_READS {
        if stream.read(&mut rest).await? == 0 {
            break;
        }
    }
    Ok(())
}

/// Logs that a client came to a plain listener with something that is not STOMP: who speaks TLS
/// cannot read an ERROR.
pub fn report(broker: &Broker, error: FrameError, address: &str) {
    match error {
        FrameError::LooksLikeTls => {
            let listeners = &broker.config().broker.listeners;
            let port = listeners.stomp_tls.as_ref().map(|one| one.port);
            let instead = port.map_or_else(
                || "this broker has no TLS listener".to_owned(),
                |port| format!("stomps is at port {port}"),
            );
            tracing::info!(address, "TLS on the plain STOMP port: {instead}");
        }
        FrameError::LooksLikeHttp => tracing::info!(address, "HTTP on the STOMP port"),
        _ => {}
    }
}
