//! Listeners for clients: opened, moved and closed while the broker runs.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwapOption;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::{Peer, Reader, Shared, Writer, serve};
use super::{foreign, tls};
use crate::broker::Broker;
use crate::broker::connections::OpenGuard;
use crate::config::Config;
use crate::config::file::Listener;
use crate::security::certificate::Names;

const BACKLOG: i32 = 4096;
const TLS: &str = "stomp_tls";

/// The open listeners.
#[derive(Debug)]
pub struct Listeners {
    shared: Shared,
    holders: TaskTracker,
    open: BTreeMap<&'static str, Open>,
    /// How many were opened since the start.
    opened: u64,
    tls: Arc<ArcSwapOption<rustls::ServerConfig>>,
}

#[derive(Debug)]
struct Open {
    number: u64,
    address: SocketAddr,
    cancel: CancellationToken,
}

/// Binds a port; `::` takes both families.
///
/// # Errors
/// The address does not parse, or the port is taken.
pub fn bind(host: &str, port: u16) -> anyhow::Result<TcpListener> {
    let address: IpAddr = host
        .parse()
        .with_context(|| format!("{host} is not an address"))?;
    let address = SocketAddr::new(address, port);
    let make = || -> io::Result<TcpListener> {
        let domain = if address.is_ipv6() {
            Domain::IPV6
        } else {
            Domain::IPV4
        };
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    make().with_context(|| format!("cannot listen on {address}"))
}

/// Ports that are bound, and through which nothing is served yet: whoever connects waits.
#[derive(Debug, Default)]
pub struct Reserved(BTreeMap<(String, u16), TcpListener>);

impl Reserved {
    /// Binds a port for later.
    ///
    /// # Errors
    /// The address does not parse, or the port is taken.
    pub fn reserve(&mut self, host: &str, port: u16) -> anyhow::Result<()> {
        let listener = bind(host, port)?;
        self.0.insert((host.to_owned(), port), listener);
        Ok(())
    }

    /// The port, if it is reserved.
    #[must_use]
    pub fn get(&self, host: &str, port: u16) -> Option<&TcpListener> {
        self.0.get(&(host.to_owned(), port))
    }

    /// The port as it was reserved, or bound now.
    ///
    /// # Errors
    /// The address does not parse, or the port is taken.
    pub fn bind(&mut self, host: &str, port: u16) -> anyhow::Result<TcpListener> {
        match self.0.remove(&(host.to_owned(), port)) {
            Some(reserved) => Ok(reserved),
            None => bind(host, port),
        }
    }
}

/// Reserves the ports for clients.
///
/// # Errors
/// A port is taken, or the certificate cannot be used.
pub fn reserve(config: &Config, ports: &mut Reserved) -> anyhow::Result<()> {
    let wanted = wanted(config);
    if wanted.contains_key(TLS) {
        server_config(config)?;
    }
    for address in wanted.values() {
        ports.reserve(&address.ip().to_string(), address.port())?;
    }
    Ok(())
}

/// The listeners of a configuration.
fn wanted(config: &Config) -> BTreeMap<&'static str, SocketAddr> {
    let listeners = &config.broker.listeners;
    let all = [("stomp", &listeners.stomp), (TLS, &listeners.stomp_tls)];
    let address = |(name, listener): (&'static str, &Option<Listener>)| {
        let listener = listener.as_ref()?;
        let address = SocketAddr::new(listener.bind.parse().ok()?, listener.port);
        Some((name, address))
    };
    all.into_iter().filter_map(address).collect()
}

impl Listeners {
    /// None open yet; `holders` tells when their ports are free again.
    #[must_use]
    pub fn new(shared: Shared, holders: TaskTracker) -> Self {
        Self {
            shared,
            holders,
            open: BTreeMap::new(),
            opened: 0,
            tls: Arc::default(),
        }
    }

    /// Makes the open listeners those of the configuration. Nothing is closed when something that
    /// is new cannot be opened.
    ///
    /// # Errors
    /// A port is taken, or the certificate cannot be used.
    pub fn apply(&mut self, config: &Config, ports: &mut Reserved) -> anyhow::Result<()> {
        let wanted = wanted(config);
        if wanted.contains_key(TLS) {
            self.tls.store(Some(server_config(config)?));
        }
        let mut opened = Vec::new();
        for (name, address) in &wanted {
            if self
                .open
                .get(name)
                .is_none_or(|open| open.address != *address)
            {
                opened.push((
                    *name,
                    *address,
                    ports.bind(&address.ip().to_string(), address.port())?,
                ));
            }
        }
        self.open.retain(|name, open| {
            let stays = wanted.get(name) == Some(&open.address);
            if !stays {
                tracing::info!(listener = name, address = %open.address, "listener closed");
                open.cancel.cancel();
                tokio::spawn(drain(self.shared.broker.clone(), open.number));
            }
            stays
        });
        for (name, address, listener) in opened {
            let cancel = self.shared.cancel.child_token();
            tracing::info!(listener = name, %address, "listening");
            let tls = (name == TLS).then(|| self.tls.clone());
            self.opened += 1;
            let number = self.opened;
            let (shared, until) = (self.shared.clone(), cancel.clone());
            self.holders
                .spawn(accept(listener, number, shared, tls, until));
            let open = Open {
                number,
                address,
                cancel,
            };
            self.open.insert(name, open);
        }
        Ok(())
    }

    /// Stops accepting.
    pub fn close(&mut self) {
        for open in std::mem::take(&mut self.open).into_values() {
            open.cancel.cancel();
        }
    }

    /// Names and addresses.
    #[must_use]
    pub fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        self.open
            .iter()
            .map(|(name, open)| (*name, open.address))
            .collect()
    }
}

fn server_config(config: &Config) -> anyhow::Result<Arc<rustls::ServerConfig>> {
    let tls = config
        .broker
        .tls
        .as_ref()
        .context("a TLS listener needs tls")?;
    let file = |path: &String| {
        config
            .others
            .get(path)
            .map(Vec::as_slice)
            .unwrap_or_default()
    };
    let identity = tls::identity(file(&tls.certificate), file(&tls.key))?;
    let roots = tls
        .client_trust_bundle
        .as_ref()
        .map(|path| tls::roots(file(path)))
        .transpose()?;
    Ok(tls::server(&identity, roots)?)
}

/// Ends the clients that came through a listener that is closed, no more in a second than may come
/// back to another broker in that time.
async fn drain(broker: Arc<Broker>, listener: u64) {
    let pause = Duration::from_secs(1) / broker.config().limits.drain_rate;
    for connection in broker.connections.all() {
        if connection.listener == listener {
            connection.cancel.cancel();
            tokio::time::sleep(pause).await;
        }
    }
}

async fn accept(
    listener: TcpListener,
    number: u64,
    shared: Shared,
    tls: Option<Arc<ArcSwapOption<rustls::ServerConfig>>>,
    cancel: CancellationToken,
) {
    let mut pause = Duration::from_millis(10);
    loop {
        let accepted = tokio::select! {
            biased;
            () = cancel.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                pause = Duration::from_millis(10);
                admit(
                    &shared,
                    number,
                    stream,
                    address,
                    tls.as_ref().and_then(|tls| tls.load_full()),
                );
            }
            Err(error) => {
                // Out of descriptors: those who are connected go on, the backlog holds the rest.
                tracing::warn!(%error, "cannot accept");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(1));
            }
        }
    }
}

fn admit(
    shared: &Shared,
    listener: u64,
    stream: TcpStream,
    address: SocketAddr,
    tls: Option<Arc<rustls::ServerConfig>>,
) {
    let broker = &shared.broker;
    let limits = broker.config().limits.clone();
    let (open, before_login) = broker.connections.counts();
    let refused = if open >= limits.connections {
        Some("too_many")
    } else if before_login >= limits.pre_auth_connections {
        Some("too_many_before_login")
    } else {
        None
    };
    if let Some(reason) = refused {
        broker
            .metrics
            .connections_refused
            .with_label_values(&[reason])
            .inc();
        return;
    }
    broker.metrics.connections_total.inc();
    broker.metrics.connections.set(i64::from(open) + 1);
    let guard = broker.connections.open();
    // Without it small replies wait for the peer's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let (shared, address) = (shared.clone(), address.to_string());
    let deadline = limits.pre_auth_deadline.duration();
    tokio::spawn(async move {
        match tls {
            None => {
                let stream = Arc::new(stream);
                let peer = Peer {
                    address,
                    certificate: None,
                    listener,
                };
                serve(
                    shared,
                    Reader::Plain(stream.clone()),
                    Writer::Plain(stream),
                    peer,
                    guard,
                )
                .await;
            }
            Some(config) => {
                let address = (address, listener);
                serve_tls(shared, stream, config, address, guard, deadline).await;
            }
        }
    });
}

async fn serve_tls(
    shared: Shared,
    mut stream: TcpStream,
    config: Arc<rustls::ServerConfig>,
    (address, listener): (String, u64),
    guard: OpenGuard,
    deadline: Duration,
) {
    let handshake = async {
        let first = foreign::look(&stream).await?;
        if foreign::refuse(&shared.broker, first, &mut stream, &address).await {
            return Ok(None);
        }
        TlsAcceptor::from(config).accept(stream).await.map(Some)
    };
    match tokio::time::timeout(deadline, handshake).await {
        Ok(Ok(None)) => {}
        Ok(Ok(Some(stream))) => {
            let (_, session) = stream.get_ref();
            let first = session.peer_certificates().and_then(<[_]>::first);
            let peer = Peer {
                address,
                certificate: first.and_then(|first| Names::of(first)),
                listener,
            };
            let (reader, writer) = tokio::io::split(stream);
            let reader = Reader::Tls(reader, vec![0; 16 << 10]);
            serve(shared, reader, Writer::Tls(writer), peer, guard).await;
        }
        Ok(Err(error)) => {
            shared
                .broker
                .metrics
                .connections_refused
                .with_label_values(&["tls"])
                .inc();
            tracing::debug!(%error, address, "TLS handshake failed");
        }
        Err(_) => {
            shared
                .broker
                .metrics
                .connections_refused
                .with_label_values(&["login_deadline"])
                .inc();
        }
    }
}
