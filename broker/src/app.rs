//! The composition root: configuration, broker, listeners, admin page, signals.

mod change;
mod doors;
mod folder;
mod start;
mod stop;
mod succession;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::doors::Door;
use self::folder::StateFolder;
use self::start::Prepared;
use self::succession::End;
use crate::broker::Broker;
use crate::config::Config;
use crate::config::reload::{self, Watch};
use crate::link::node::Node;
use crate::net::listener::Listeners;
use crate::telemetry;

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
/// Signals that come within so long of the first one are the same wish.
pub const ONE_ASKING: Duration = Duration::from_millis(300);

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
    let (watch, config) = Watch::begin(&options.config_dir)?;
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
    runtime.block_on(serve(options, Arc::new(config), watch))
}

/// Ends this process with its parent, however the parent ends.
fn end_with(parent: u32) -> anyhow::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))?;
    let is_child = rustix::process::getppid()
        .is_some_and(|pid| u32::try_from(pid.as_raw_nonzero().get()).ok() == Some(parent));
    anyhow::ensure!(is_child, "the process that started this broker is gone");
    Ok(())
}

/// What asks this process to end, or to look at its files.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    End,
    Look,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Ask {
        tokio::select! {
            _ = self.terminate.recv() => Ask::End,
            _ = self.interrupt.recv() => Ask::End,
            _ = self.hangup.recv() => Ask::Look,
        }
    }

    /// Returns when this process is asked to end.
    async fn asked(&mut self) {
        while self.next().await != Ask::End {}
    }

    /// Returns when somebody has lost patience with an end that was asked for just now. A parent that dies asks once for
    /// each of its threads.
    async fn asked_again(&mut self) {
        let first = tokio::time::Instant::now();
        self.asked().await;
        while first.elapsed() < ONE_ASKING {
            self.asked().await;
        }
    }
}

async fn serve(options: &Options, mut config: Arc<Config>, mut watch: Watch) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let folder = Arc::new(StateFolder::open(Path::new(&config.broker.state_dir))?);
    let mut prepared = Prepared::new(&config, &folder)?;
    let mut taken = tokio::select! {
        taken = succession::take(&config, &prepared) => taken?,
        () = signals.asked() => return Ok(()),
    };
    loop {
        let ready = (prepared, Arc::clone(&folder));
        let app = App::start(options, config, ready, taken).await?;
        match app.work(&mut watch, &mut signals).await {
            End::Stopped => return Ok(()),
            // The next process did not come: this one is its own.
            End::Kept(of) => (config, taken) = (of.config, of.taken),
        }
        prepared = Prepared::new(&config, &folder)?;
    }
}

struct App {
    broker: Arc<Broker>,
    node: Arc<Node>,
    listeners: Listeners,
    link: Option<Door>,
    admin: Option<Door>,
    is_ready: Arc<AtomicBool>,
    cancel: CancellationToken,
    /// Whatever holds a port.
    holders: TaskTracker,
    parts: Arc<std::sync::Mutex<Vec<serde_json::Value>>>,
    folder: Arc<StateFolder>,
}

impl App {
    async fn work(mut self, watch: &mut Watch, signals: &mut Signals) -> End {
        let (newer, mut claimants) = mpsc::channel(1);
        self.node.announce_claimants(newer);
        let mut looks = tokio::time::interval(LOOK);
        let mut sweeps = tokio::time::interval(Duration::from_secs(1));
        let claimant = loop {
            tokio::select! {
                ask = signals.next() => match ask {
                    Ask::End => break None,
                    Ask::Look => self.look(watch),
                },
                claimant = claimants.recv() => break claimant,
                _ = looks.tick() => self.look(watch),
                _ = sweeps.tick() => self.broker.sweep(),
            }
        };
        if let Some(claimant) = claimant {
            return self.be_succeeded(claimant, &mut claimants, signals).await;
        }
        tokio::select! {
            () = self.stop() => {}
            () = signals.asked_again() => {}
        }
        End::Stopped
    }
}
