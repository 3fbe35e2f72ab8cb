//! Sockets of links: dial, accept, read, write.

#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rustls::pki_types::ServerName;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_util::sync::CancellationToken;

use super::conn::Conn;
use super::data::Arrivals;
use super::lasting::LinkData;
use super::node::{Node, now};
use super::tls;
use crate::clock;
use crate::handover;
use crate::mesh::config::Address;
use crate::mesh::event::{CloseCause, ControlFrame, DialFailure, Event, Transport};
use crate::mesh::frame::{
    Admission, FrameError, FrameType, HEADER_LEN, Header, Limits, Phase, Reassembly, decode_lack,
};
use crate::mesh::ids::{LinkId, Now};
use crate::net::tls::{binding, nonce};

/// How long the peer may take to close after our last frame.
const LAST_WORD: Duration = Duration::from_secs(1);
/// Data is told as a sign of life at most this often.
pub const SIGN_GAP: Duration = Duration::from_millis(20);
/// Bytes that the system may keep unsent.
const UNSENT: u32 = 128 << 10;
/// Bytes read at once.
const READ: usize = 64 << 10;

/// What the control plane is told of a fresh connection.
fn transport<Data>(
    node: &Node,
    config: &tls::LinkTls,
    session: &rustls::ConnectionCommon<Data>,
) -> Transport {
    let (verifier, chain) = (node.verifier.load(), session.peer_certificates());
    // The end of a certificate matters where certificates are checked.
    let ends = [Some(config.ends_ms), chain.and_then(tls::end_of)];
    let ends = ends
        .into_iter()
        .flatten()
        .filter(|_| config.has_certificate);
    Transport {
        verified: verifier.verified_name(chain),
        root: verifier.root_of(chain),
        has_certificate: config.has_certificate,
        tls: config.number,
        ends_ms: ends.min().unwrap_or_default(),
        binding: binding(session),
        nonce: nonce(),
        wall_ms: clock::wall_ms(),
    }
}

/// How long a connection, and then its TLS handshake, may take.
fn connect_patience(node: &Node) -> Duration {
    node.broker.config().limits.mesh_times.connect.duration()
}

fn prepare(stream: &TcpStream) {
    // Without it small frames wait for the peer's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    // What the system keeps without having sent it would hide for minutes whether a slow wire moves.
    let _ = SockRef::from(stream).set_tcp_notsent_lowat(UNSENT);
}

/// Dials an address for a link and serves what comes of it.
pub async fn dial(node: Arc<Node>, link: LinkId, address: Address) {
    let target = (address.host.clone(), address.port);
    let patience = connect_patience(&node);
    let connected = tokio::time::timeout(patience, TcpStream::connect(target)).await;
    let Ok(Ok(stream)) = connected else {
        return node.control(Event::DialFailed {
            link,
            why: DialFailure::Unreachable,
        });
    };
    prepare(&stream);
    let config = node.tls.load_full();
    let Ok(name) = ServerName::try_from(address.host.clone()) else {
        return node.control(Event::DialFailed {
            link,
            why: DialFailure::Unreachable,
        });
    };
    let connector = TlsConnector::from(config.client.clone());
    let handshake = tokio::time::timeout(patience, connector.connect(name, stream)).await;
    let Ok(Ok(stream)) = handshake else {
        return node.control(Event::DialFailed {
            link,
            why: DialFailure::Tls,
        });
    };
    let (_, session) = stream.get_ref();
    let transport = transport(&node, &config, session);
    let conn = node.open_conn();
    let chain = session.peer_certificates();
    if let Some(chain) = chain.filter(|_| transport.verified.is_some()) {
        conn.keep_chain(chain);
    }
    node.control(Event::Dialled {
        link,
        conn: conn.id,
        transport,
    });
    serve(node, conn, stream).await;
}

/// Accepts links until cancelled.
pub async fn accept(node: Arc<Node>, listener: TcpListener, cancel: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = cancel.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                tokio::spawn(accepted_link(node.clone(), stream));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a link");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn accepted_link(node: Arc<Node>, stream: TcpStream) {
    prepare(&stream);
    let config = node.tls.load_full();
    let acceptor = TlsAcceptor::from(config.server.clone());
    let handshake = tokio::time::timeout(connect_patience(&node), acceptor.accept(stream)).await;
    let Ok(Ok(stream)) = handshake else {
        tracing::debug!("a link's TLS handshake failed");
        return;
    };
    let (socket, session) = stream.get_ref();
    if session.alpn_protocol() == Some(handover::ALPN) {
        let at = socket.local_addr().map(|at| {
            let at = std::net::SocketAddr::new(at.ip().to_canonical(), at.port());
            at.to_string()
        });
        let binding = binding(session);
        return super::succession::hear(&node, stream, at.unwrap_or_default(), binding).await;
    }
    let transport = transport(&node, &config, session);
    let conn = node.open_conn();
    let chain = session.peer_certificates();
    if let Some(chain) = chain.filter(|_| transport.verified.is_some()) {
        conn.keep_chain(chain);
    }
    node.control(Event::Accepted {
        conn: conn.id,
        transport,
    });
    serve(node, conn, stream).await;
}

async fn serve<S>(node: Arc<Node>, conn: Arc<Conn>, stream: S)
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (reader, writer) = tokio::io::split(stream);
    let writing = tokio::spawn(write(node.clone(), conn.clone(), writer));
    let cause = tokio::select! {
        biased;
        () = conn.cancel.cancelled() => CloseCause::Closed,
        cause = read(&node, &conn, reader) => cause,
    };
    conn.cancel.cancel();
    // The writer ends by the token; its panic would be reported by its task.
    let _ = writing.await;
    node.drop_conn(conn.id);
    node.control(Event::Closed {
        conn: conn.id,
        why: cause,
    });
}

async fn write<W: AsyncWrite + Unpin>(node: Arc<Node>, conn: Arc<Conn>, mut writer: W) {
    let mut batch = Vec::new();
    loop {
        batch.clear();
        let filled = conn.fill(&mut batch, now());
        if filled.has_room {
            node.control(Event::Room { conn: conn.id });
        }
        if !batch.is_empty() {
            let written = tokio::select! {
                biased;
                () = conn.cancel.cancelled() => return,
                written = write_batch(&mut writer, &batch, || {
                    if filled.has_data {
                        conn.took(now());
                    }
                }) => written,
            };
            if written.is_err() {
                conn.cancel.cancel();
                return;
            }
            node.count_sent(&conn, batch.len());
            if !filled.is_last {
                continue;
            }
        }
        if filled.is_last {
            // The peer closes when it has read our last frame.
            let _ = writer.shutdown().await;
            let _ = tokio::time::timeout(LAST_WORD, conn.cancel.cancelled()).await;
            conn.cancel.cancel();
            return;
        }
        tokio::select! {
            biased;
            () = conn.cancel.cancelled() => return,
            () = conn.wait(now()) => {}
        }
    }
}

/// Writes a batch, and says each time that the transport took some of it.
async fn write_batch<W: AsyncWrite + Unpin>(
    writer: &mut W,
    mut rest: &[u8],
    took: impl Fn(),
) -> io::Result<()> {
    while !rest.is_empty() {
        let count = writer.write(rest).await?;
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        took();
        rest = &rest[count..];
    }
    writer.flush().await
}

/// Reads frames until the connection ends.
async fn read<R: AsyncRead + Unpin>(node: &Node, conn: &Conn, mut reader: R) -> CloseCause {
    let limit = node.broker.config().limits.frame;
    let limits = Limits::for_client_frame(limit);
    let mut reading = Reading {
        limits,
        reassembly: Reassembly::new(limits.fwd),
        state: Arrivals::default(),
        link: None,
        buffer: BytesMut::with_capacity(READ),
        is_up: false,
        told: Now(0),
    };
    loop {
        reading.buffer.reserve(READ);
        match reader.read_buf(&mut reading.buffer).await {
            Ok(0) => return CloseCause::Closed,
            Ok(count) => {
                if let Some(link) = &reading.link {
                    link.counters.bytes_in.inc_by(count as u64);
                }
            }
            Err(_) => return CloseCause::Reset,
        }
        if let Err(error) = reading.handle(node, conn) {
            tracing::warn!(%error, "a link broke the protocol");
            node.control(Event::Broken {
                conn: conn.id,
                error,
            });
            // The last frame is written and the peer closes, or patience ends.
            tokio::time::sleep(LAST_WORD).await;
            return CloseCause::Closed;
        }
        node.settle(&mut reading.state);
    }
}

struct Reading {
    limits: Limits,
    reassembly: Reassembly,
    state: Arrivals,
    link: Option<Arc<LinkData>>,
    buffer: BytesMut,
    is_up: bool,
    /// When control was told of data.
    told: Now,
}

impl Reading {
    /// The phase decides what may arrive. Once up, a connection stays up until it ends, and the
    /// control plane need not be asked for each message.
    fn phase(&mut self, node: &Node, conn: &Conn) -> Option<Phase> {
        if self.is_up {
            return Some(Phase::Up);
        }
        let phase = node.with_core(|core| core.phase(conn.id));
        self.is_up = phase == Some(Phase::Up);
        phase
    }

    fn handle(&mut self, node: &Node, conn: &Conn) -> Result<(), FrameError> {
        let mut has_data = false;
        while let Some(header) = Header::decode(&self.buffer) {
            let Some(phase) = self.phase(node, conn) else {
                return Ok(());
            };
            let admission = self.limits.admit(header, phase)?;
            let whole = HEADER_LEN + usize::try_from(header.len).unwrap_or(usize::MAX);
            if self.buffer.len() < whole {
                break;
            }
            let body = self.buffer.split_to(whole).freeze().slice(HEADER_LEN..);
            let Admission::Take(kind) = admission else {
                continue;
            };
            if kind.is_data() {
                has_data = true;
                self.data(node, conn, kind, header.flags, body)?;
            } else {
                node.control(Event::Frame {
                    conn: conn.id,
                    frame: ControlFrame { kind, body },
                });
            }
        }
        // A part of a frame is a sign of life too: a slow wire carries a long one for longer than
        // silence may last (R11).
        let is_sign = has_data || (self.is_up && !self.buffer.is_empty());
        let present = now();
        if is_sign && present.since(self.told) >= SIGN_GAP {
            self.told = present;
            node.control(Event::Alive { conn: conn.id });
        }
        Ok(())
    }

    fn data(
        &mut self,
        node: &Node,
        conn: &Conn,
        kind: FrameType,
        flags: u8,
        body: Bytes,
    ) -> Result<(), FrameError> {
        if self.link.is_none() {
            self.link = conn.link().cloned();
        }
        let Some(link) = self.link.clone() else {
            return Ok(());
        };
        let length = body.len();
        let complete = match kind {
            FrameType::Lack => {
                let lseq = decode_lack(&body)?;
                let acked = link.lack(conn.id, lseq, now())?;
                if acked.is_free {
                    node.ring_is_free();
                }
                if let Some(newer) = acked.drained {
                    let (link, conn) = (link.id, newer);
                    node.control(Event::Drained { link, conn });
                }
                return Ok(());
            }
            FrameType::Cont => self.reassembly.cont(&body)?,
            _ => self.reassembly.fwd(flags, body)?,
        };
        if let Some(frame) = complete {
            let lseq = frame.head.lseq;
            node.on_fwd(&link, frame, &mut self.state);
            conn.handled(lseq, length, now());
        }
        Ok(())
    }
}
