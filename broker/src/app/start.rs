//! From a configuration to a running broker.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::Context;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{App, Options, succession};
use crate::broker::Broker;
use crate::clock;
use crate::config::Config;
use crate::handover::Taken;
use crate::link::node::Node;
use crate::link::settings;
use crate::link::tls::{LinkTls, Verifier};
use crate::lost::Lost;
use crate::net::connection::Shared;
use crate::net::listener::{self, Listeners, Reserved};
use crate::security::authn::Authenticator;

/// All that could keep a process from starting has been tried, before anything is taken from the one before it.
pub(super) struct Prepared {
    /// Its ports, through which nothing is served yet.
    pub(super) ports: Reserved,
    /// As links are dialled.
    pub(super) client: Arc<rustls::ClientConfig>,
    authenticator: Authenticator,
}

impl Prepared {
    /// # Errors
    /// A port is taken, a certificate cannot be used, or the state folder cannot be written to.
    pub(super) fn new(config: &Config) -> anyhow::Result<Self> {
        // That it can be written is what matters: the one that counts is known when the older process has told its own.
        next_epoch(Path::new(&config.broker.state_dir), 0)?;
        Verifier::new(config)?;
        Ok(Self {
            client: LinkTls::new(config)?.client,
            ports: reserve(config)?,
            authenticator: Authenticator::new(config.limits.verify_permits)?,
        })
    }
}

fn reserve(config: &Config) -> anyhow::Result<Reserved> {
    let listeners = &config.broker.listeners;
    let mut ports = Reserved::default();
    if let Some(admin) = &listeners.admin {
        ports
            .reserve(&admin.bind, admin.port)
            .context("listeners.admin")?;
    }
    if let Some(link) = &listeners.link {
        ports
            .reserve(&link.bind, link.port)
            .context("listeners.link")?;
    }
    listener::reserve(config, &mut ports).context("listeners")?;
    Ok(ports)
}

impl App {
    pub(super) async fn start(
        options: &Options,
        config: Arc<Config>,
        prepared: Prepared,
        taken: Taken,
    ) -> anyhow::Result<Self> {
        let mut ports = prepared.ports;
        let epoch = next_epoch(Path::new(&config.broker.state_dir), taken.epoch)?;
        // Whoever has not asked for it by now never will.
        let _ = Lost::take(Path::new(&config.broker.state_dir));
        let cancel = CancellationToken::new();
        let mesh = settings::mesh_config(&config);
        let broker = Arc::new(Broker::new(config.clone(), epoch, mesh.bid().0));
        let claim = settings::claim(&config, epoch);
        let seed = random_seed()?;
        let links = cancel.child_token();
        let node = Node::new(broker.clone(), &config, &mesh, claim, seed, links)?;
        broker.attach_remote(node.clone());
        succession::restore(&broker, taken);
        tokio::spawn(node.clone().run());
        let shared = Shared {
            broker: broker.clone(),
            authenticator: Arc::new(prepared.authenticator),
            cancel: cancel.child_token(),
        };
        let holders = TaskTracker::new();
        let mut app = Self {
            broker,
            node,
            listeners: Listeners::new(shared, holders.clone()),
            link: None,
            admin: None,
            is_ready: Arc::default(),
            cancel,
            holders,
            parts: Arc::default(),
        };
        app.open(&config, &mut ports)?;
        app.is_ready.store(true, Ordering::Release);
        tracing::info!(
            network = config.broker.network,
            site = config.broker.site,
            config = config.hash,
            directory = %options.config_dir.display(),
            "broker started"
        );
        Ok(app)
    }
}

/// Chance for back-offs; nothing secret is made of it.
fn random_seed() -> anyhow::Result<u64> {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| anyhow::anyhow!("the system gives no random bytes"))?;
    Ok(u64::from_be_bytes(bytes))
}

/// The epoch of this start: larger than every earlier one of the same state folder, even when the
/// clock went back, and than that of the process before this one.
fn next_epoch(state: &Path, before: u64) -> anyhow::Result<u64> {
    std::fs::create_dir_all(state)
        .with_context(|| format!("{} cannot be made", state.display()))?;
    let path = state.join("epoch");
    let last = std::fs::read_to_string(&path)
        .ok()
        .and_then(|text| text.trim().parse::<u64>().ok());
    let now = u64::try_from(clock::wall_ms()).unwrap_or(1);
    let last = last.unwrap_or(0).max(before);
    let epoch = now.max(last.saturating_add(1));
    let fresh = state.join("epoch.new");
    std::fs::write(&fresh, format!("{epoch}\n"))
        .with_context(|| format!("{} cannot be written", fresh.display()))?;
    std::fs::rename(&fresh, &path)
        .with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(epoch)
}
