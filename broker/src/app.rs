//! The composition root: configuration, broker, listeners, admin page, signals.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::admin::{self, Admin};
use crate::broker::Broker;
use crate::config::Config;
use crate::config::diff;
use crate::config::reload::{self, Seen, Watch};
use crate::link::node::Node;
use crate::link::{io, settings};
use crate::lost::Lost;
use crate::net::connection::Shared;
use crate::net::listener::{self, Listeners};
use crate::security::authn::Authenticator;
use crate::{clock, telemetry};

/// How to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// The configuration directory.
    pub config_dir: PathBuf,
    /// End when this process is no longer the parent.
    pub parent: Option<u32>,
}

/// How often the directory is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// Validates a directory; what is in order and still not advisable is returned.
///
/// # Errors
/// Every mistake there is.
pub fn check(directory: &Path) -> anyhow::Result<Vec<String>> {
    let config = reload::load(directory)?;
    Ok(reload::exposed(directory, &config))
}

/// Runs a broker until it is told to stop.
///
/// # Errors
/// The configuration is wrong, or a port cannot be opened.
pub fn run(options: &Options) -> anyhow::Result<()> {
    if let Some(parent) = options.parent {
        end_with(parent)?;
    }
    // The provider is process-wide; whoever installed one before us installed the same.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let config = Arc::new(reload::load(&options.config_dir)?);
    let format = config.limits.log_format;
    telemetry::init(
        config.limits.log_level.text(),
        format == crate::config::file::LogFormat::Json,
    );
    for warning in reload::exposed(&options.config_dir, &config) {
        tracing::warn!(directory = %options.config_dir.display(), "{warning}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(options, config))
}

/// Ends this process with its parent, however the parent ends.
fn end_with(parent: u32) -> anyhow::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))?;
    let is_child = rustix::process::getppid()
        .is_some_and(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok() == Some(parent));
    anyhow::ensure!(is_child, "the process that started this broker is gone");
    Ok(())
}

async fn serve(options: &Options, config: Arc<Config>) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let app = App::start(options, config).await?;
    let mut watch = Watch::new(&options.config_dir);
    let mut looks = tokio::time::interval(LOOK);
    let mut sweeps = tokio::time::interval(Duration::from_secs(1));
    let mut app = app;
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => app.look(&mut watch).await,
            _ = looks.tick() => app.look(&mut watch).await,
            _ = sweeps.tick() => app.broker.sweep(),
        }
    }
    tokio::select! {
        () = app.stop() => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

struct App {
    broker: Arc<Broker>,
    node: Arc<Node>,
    listeners: Listeners,
    link: Option<(String, u16, CancellationToken)>,
    admin: Option<(String, u16, CancellationToken)>,
    is_ready: Arc<AtomicBool>,
    cancel: CancellationToken,
    parts: Arc<std::sync::Mutex<Vec<serde_json::Value>>>,
}

impl App {
    async fn start(options: &Options, config: Arc<Config>) -> anyhow::Result<Self> {
        let epoch = next_epoch(Path::new(&config.broker.state_dir))?;
        // Whoever has not asked for it by now never will.
        let _ = Lost::take(Path::new(&config.broker.state_dir));
        let cancel = CancellationToken::new();
        let mesh = settings::mesh_config(&config);
        let broker = Arc::new(Broker::new(config.clone(), epoch, mesh.bid().0));
        let claim = settings::claim(&config, epoch);
        let seed = random_seed()?;
        let node = Node::new(
            broker.clone(),
            &config,
            &mesh,
            claim,
            seed,
            cancel.child_token(),
        )?;
        broker.attach_remote(node.clone());
        tokio::spawn(node.clone().run());
        let authenticator = Arc::new(Authenticator::new(config.limits.verify_permits)?);
        let shared = Shared {
            broker: broker.clone(),
            authenticator,
            cancel: cancel.child_token(),
        };
        let mut app = Self {
            broker,
            node,
            listeners: Listeners::new(shared),
            link: None,
            admin: None,
            is_ready: Arc::new(AtomicBool::new(false)),
            cancel,
            parts: Arc::default(),
        };
        app.open_admin(&config).await?;
        app.open_link(&config)?;
        app.listeners.apply(&config)?;
        app.note_listeners();
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

    async fn open_admin(&mut self, config: &Config) -> anyhow::Result<()> {
        let Some(wanted) = &config.broker.listeners.admin else {
            if let Some((.., cancel)) = self.admin.take() {
                cancel.cancel();
            }
            return Ok(());
        };
        let is_open = self
            .admin
            .as_ref()
            .is_some_and(|(host, port, _)| *host == wanted.bind && *port == wanted.port);
        if is_open {
            return Ok(());
        }
        let socket = listener::bind(&wanted.bind, wanted.port)?;
        if let Some((.., cancel)) = self.admin.take() {
            cancel.cancel();
        }
        let cancel = self.cancel.child_token();
        let (listeners, node) = (self.parts.clone(), self.node.clone());
        let parts = Arc::new(move |value: &mut serde_json::Value| {
            node.add_status(value);
            let listeners = listeners
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            value["listeners"] = serde_json::Value::Array(listeners.clone());
        });
        let admin = Admin {
            broker: self.broker.clone(),
            is_ready: self.is_ready.clone(),
            parts,
            cancel: cancel.clone(),
        };
        tokio::spawn(admin::serve(socket, admin));
        self.admin = Some((wanted.bind.clone(), wanted.port, cancel));
        Ok(())
    }

    fn open_link(&mut self, config: &Config) -> anyhow::Result<()> {
        let wanted = config.broker.listeners.link.as_ref();
        let is_open = match (&self.link, wanted) {
            (Some((host, port, _)), Some(wanted)) => *host == wanted.bind && *port == wanted.port,
            (None, None) => true,
            _ => false,
        };
        if is_open {
            return Ok(());
        }
        let opened = match wanted {
            None => None,
            Some(wanted) => {
                let socket = listener::bind(&wanted.bind, wanted.port)?;
                let cancel = self.cancel.child_token();
                tokio::spawn(io::accept(self.node.clone(), socket, cancel.clone()));
                Some((wanted.bind.clone(), wanted.port, cancel))
            }
        };
        if let Some((.., cancel)) = std::mem::replace(&mut self.link, opened) {
            cancel.cancel();
        }
        Ok(())
    }

    fn note_listeners(&self) {
        let mut parts = self
            .parts
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        *parts = self
            .listeners
            .addresses()
            .into_iter()
            .map(|(name, address)| {
                serde_json::json!({"name": name, "address": address.to_string(), "state": "open"})
            })
            .collect();
        if let Some((host, port, _)) = &self.link {
            parts.push(serde_json::json!({
                "name": "link", "address": format!("{host}:{port}"), "state": "open"
            }));
        }
        drop(parts);
        self.broker.changes.note();
    }

    async fn look(&mut self, watch: &mut Watch) {
        let (hash, error) = match watch.look() {
            Seen::Unchanged => return,
            Seen::Broken(hash, error) => (hash, error),
            Seen::New(config) => match self.apply(config.clone()).await {
                Ok(()) => {
                    tracing::info!(config = config.hash, "configuration applied");
                    self.broker.reloads.applied(&config.hash);
                    self.broker.changes.note();
                    self.broker.metrics.config_reload_successful.set(1);
                    return;
                }
                Err(error) => (config.hash.clone(), format!("{error:#}")),
            },
        };
        tracing::error!(
            config = hash,
            error,
            "configuration refused, the old one stays in force"
        );
        self.broker.reloads.refused(&hash, &error);
        self.broker.changes.note();
        self.broker.metrics.config_reload_successful.set(0);
    }

    async fn apply(&mut self, config: Arc<Config>) -> anyhow::Result<()> {
        let changes = diff::diff(&self.broker.config(), &config);
        anyhow::ensure!(
            changes.needs_restart.is_empty(),
            "{} cannot change while the broker runs: restart it",
            changes.needs_restart.join(", ")
        );
        self.listeners.apply(&config).context("listeners")?;
        self.open_link(&config).context("listeners.link")?;
        self.open_admin(&config).await.context("listeners.admin")?;
        self.note_listeners();
        self.node
            .apply(&config, &settings::mesh_config(&config))
            .context("links")?;
        self.broker.apply_config(config);
        Ok(())
    }

    /// Stops accepting, closes clients at the drain rate, and ends.
    async fn stop(&mut self) {
        self.is_ready.store(false, Ordering::Release);
        self.listeners.close();
        let limits = self.broker.config().limits.clone();
        let connections = self.broker.connections.all();
        let rate = f64::from(limits.drain_rate);
        let allowed = (limits.drain.duration() / 2).as_secs_f64();
        let pause = (1.0 / rate).min(allowed / (connections.len().max(1) as f64));
        for connection in connections {
            connection.cancel.cancel();
            tokio::time::sleep(Duration::from_secs_f64(pause)).await;
        }
        self.node.leave(limits.drain.duration() / 4).await;
        self.tell_lost();
        self.cancel.cancel();
        tracing::info!("broker stopped");
    }
}

impl App {
    /// Logs what this stop takes with it, and leaves it in the state folder.
    fn tell_lost(&self) {
        let queues = self.broker.queues.all();
        let depths = queues.iter().map(|cell| {
            let depth = u64::try_from(cell.numbers().depth).unwrap_or(u64::MAX);
            (cell.destination.name.to_string(), depth)
        });
        let lost = Lost::count(depths);
        if lost.messages > 0 {
            tracing::warn!(
                messages = lost.messages,
                queues = lost.queues.len(),
                "queue messages are lost: no other site has a consumer for them, or they could not be handed over in time"
            );
        }
        let kept = lost.keep(Path::new(&self.broker.config().broker.state_dir));
        if let Err(error) = kept {
            tracing::warn!(%error, "what is lost cannot be written to the state folder");
        }
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
/// clock went back.
fn next_epoch(state: &Path) -> anyhow::Result<u64> {
    std::fs::create_dir_all(state)
        .with_context(|| format!("{} cannot be made", state.display()))?;
    let path = state.join("epoch");
    let last = std::fs::read_to_string(&path)
        .ok()
        .and_then(|text| text.trim().parse::<u64>().ok());
    let now = u64::try_from(clock::wall_ms()).unwrap_or(1);
    let epoch = last.map_or(now, |last| now.max(last + 1));
    let fresh = state.join("epoch.new");
    std::fs::write(&fresh, format!("{epoch}\n"))
        .with_context(|| format!("{} cannot be written", fresh.display()))?;
    std::fs::rename(&fresh, &path)
        .with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(epoch)
}
