//! From a configuration to a running broker.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::Context;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::folder::StateFolder;
use super::{App, Options, succession};
use crate::broker::Broker;
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
    pub(super) fn new(config: &Config, folder: &StateFolder) -> anyhow::Result<Self> {
        // That it can be written is what matters: the one that counts is known when the older process has told its own.
        folder.next_epoch(0)?;
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
        (prepared, folder): (Prepared, Arc<StateFolder>),
        taken: Taken,
    ) -> anyhow::Result<Self> {
        let mut ports = prepared.ports;
        let epoch = folder.next_epoch(taken.epoch)?;
        // Whoever has not asked for it by now never will.
        let _ = Lost::take(folder.path());
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
            folder,
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
