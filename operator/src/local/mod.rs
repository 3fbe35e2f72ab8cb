//! `causeway up`: every site of a network as a process of its own on this machine.
//!
//! Pure: [`slots`] (who has which ports), [`plan`] (files for every site), [`progress`] (how far the network is),
//! [`events`] and [`table`] (what is printed). Acting: [`state`] (the folder), [`ca`] (certificates), [`passwords`] (those that are generated), [`prepare`] (what a
//! plan takes from the machine), [`ports`] (whether they are free), [`layout`] (writing files), [`children`] (processes), `last_words` (what they said before they ended), [`poll`] (asking brokers), [`watch`] (following the file), [`supervise`] (the loop).

pub mod ca;
pub mod children;
pub mod events;
mod last_words;
pub mod layout;
pub mod passwords;
pub mod plan;
pub mod poll;
pub mod ports;
pub mod prepare;
pub mod progress;
pub mod report;
pub mod slots;
pub mod state;
pub mod supervise;
pub mod table;
pub mod watch;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::events::Event;
use self::plan::Plan;
use self::prepare::{Planner, PrepareError};
use self::report::Reporter;
use self::state::StateFolder;
use self::supervise::{Message, Supervisor};
use self::watch::Watch;
use crate::cli::{Exit, Output, input, out};
use crate::documents::{Problem, Source};
use crate::network::load::Loaded;

/// So often the files are generated anew without a change, which renews certificates in time.
const RENEWAL: Duration = Duration::from_secs(12 * 3_600);

/// What `up` is asked to do.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Documents.
    pub files: Vec<PathBuf>,
    /// The network, where the files declare several.
    pub network: Option<String>,
    /// The state folder; default: `.causeway/<network>`.
    pub state: Option<PathBuf>,
    /// First port of the first block; default: as before, or 61610.
    pub base_port: Option<u16>,
    /// Whether a broker that dies is started again.
    pub restarts: bool,
    /// How events are printed.
    pub output: Output,
}

/// Runs a network until Ctrl-C, SIGTERM, or the end of its terminal.
///
/// # Errors
/// The machine does not let it: a taken port, a state folder in use, a file that cannot be written.
pub fn run(settings: &Settings) -> anyhow::Result<Exit> {
    let reporter = Reporter::new(settings.output);
    let sources = match input::read(&settings.files) {
        Ok(sources) => sources,
        Err(errors) => {
            report_unreadable(&reporter, &errors);
            return Ok(Exit::BadInput);
        }
    };
    let loaded = match passwords::check(&sources, settings.network.as_deref()) {
        Ok(loaded) => loaded,
        Err(problems) => {
            reporter.problems(&problems);
            return Ok(Exit::BadInput);
        }
    };
    reporter.problems(&loaded.problems);
    let result = start(settings, &reporter, sources, loaded);
    if let Err(error) = &result
        && settings.output == Output::Json
    {
        reporter.event(&Event::error(format!("{error:#}")));
    }
    result.map(|()| Exit::Good)
}

fn start(
    settings: &Settings,
    reporter: &Reporter,
    sources: Vec<Arc<Source>>,
    checked: Loaded,
) -> anyhow::Result<()> {
    let name = checked.network.name.as_str();
    let path = match &settings.state {
        Some(path) => path.clone(),
        None => Path::new(state::HOME).join(name),
    };
    let (sender, receiver) = mpsc::channel();
    // What is made from here on has to be cleared away, whenever that is asked for.
    follow_signals(sender.clone())?;
    let folder = Arc::new(StateFolder::open(&path)?);
    let network = settings.network.as_deref();
    let filled = passwords::fill(&folder, &sources, network, checked);
    let loaded = filled.inspect_err(|_| folder.undo())?;
    let plan = plan(&folder, settings.base_port, &loaded).inspect_err(|_| folder.undo())?;
    // Nobody but a signal sends yet.
    if receiver.try_recv().is_ok() {
        folder.undo();
        return Ok(());
    }
    let restarts = settings.restarts;
    let mut supervisor = Supervisor::new(&folder, reporter, restarts, sender.clone())?;
    supervisor.apply(plan.clone(), false)?;
    let passwords = passwords::places(&folder, &loaded);
    reporter.plan(&plan, folder.path(), &passwords);
    let watch = Watch::new(settings.files.clone(), sources.clone());
    let follower = Follower {
        folder: Arc::clone(&folder),
        network: settings.network.clone(),
        base_port: settings.base_port,
        sources,
        sender,
    };
    thread::spawn(move || follower.run(watch));
    supervisor.run(&receiver);
    Ok(())
}

/// What is to run. Its ports are looked at before anything else is written, so that a start that fails here can be undone.
fn plan(folder: &StateFolder, base_port: Option<u16>, loaded: &Loaded) -> anyhow::Result<Plan> {
    let plan = Planner::new(folder, base_port)?.plan(&loaded.network)?;
    for site in progress::running(&plan).values() {
        ports::check(site)?;
    }
    Ok(plan)
}

fn report_unreadable(reporter: &Reporter, errors: &[String]) {
    for error in errors {
        match reporter.output() {
            Output::Json => reporter.event(&Event::error(error.clone())),
            Output::Text => out::complain(format_args!("error: {error}")),
        }
    }
}

/// Signals become messages; from here on none of them ends this process by itself.
fn follow_signals(sender: Sender<Message>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("following signals")?;
    let (interrupt, terminate, hangup) = {
        let _guard = runtime.enter();
        let hangup = (!outlives_terminal()).then(|| signal(SignalKind::hangup()));
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            hangup.transpose()?,
        )
    };
    thread::spawn(move || {
        let hung_up = async {
            // A terminal that goes away may say so more than once, and is in no hurry.
            if let Some(mut hangup) = hangup {
                hangup.recv().await;
                let _ = sender.send(Message::Stop);
            }
        };
        let (one, other) = (pass_on(interrupt, &sender), pass_on(terminate, &sender));
        runtime.block_on(async { tokio::join!(one, other, hung_up) });
    });
    Ok(())
}

async fn pass_on(mut signal: Signal, sender: &Sender<Message>) {
    while signal.recv().await.is_some() && sender.send(Message::Stop).is_ok() {}
}

/// Whether this process is to outlive its terminal: `nohup` has SIGHUP ignored.
fn outlives_terminal() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // The lowest bit is that of signal 1.
    ignored.is_some_and(|mask| mask & 1 == 1)
}

/// Follows the files in a thread of its own, since hashing passwords takes its time.
struct Follower {
    folder: Arc<StateFolder>,
    network: Option<String>,
    base_port: Option<u16>,
    sources: Vec<Arc<Source>>,
    sender: Sender<Message>,
}

impl Follower {
    fn run(mut self, mut watch: Watch) {
        let folder = Arc::clone(&self.folder);
        let mut planner = match Planner::new(&folder, self.base_port) {
            Ok(planner) => planner,
            Err(error) => {
                let _ = self.sender.send(Message::Impossible(error.to_string()));
                return;
            }
        };
        let mut planned = Instant::now();
        loop {
            thread::sleep(watch::PERIOD);
            let reading = if watch.is_useful() {
                watch.look()
            } else {
                None
            };
            let message = match reading {
                None if planned.elapsed() < RENEWAL => continue,
                None => self
                    .plan(&self.sources, &mut planner)
                    .map(|(plan, _)| Message::Renewed(plan)),
                Some(Ok(sources)) => {
                    let planned = self.plan(&sources, &mut planner);
                    // What was renewed from a broken file would be nothing.
                    if planned.is_ok() {
                        self.sources = sources;
                    }
                    planned.map(|(plan, warnings)| Message::Changed(plan, warnings))
                }
                Some(Err(errors)) => Err(Message::Impossible(errors.join("; "))),
            };
            planned = Instant::now();
            let message = message.unwrap_or_else(|failed| failed);
            if self.sender.send(message).is_err() {
                return;
            }
        }
    }

    /// What the files mean, with warnings.
    fn plan(
        &self,
        sources: &[Arc<Source>],
        planner: &mut Planner<'_>,
    ) -> Result<(Box<Plan>, Vec<Problem>), Message> {
        let network = self.network.as_deref();
        let checked = passwords::check(sources, network).map_err(Message::Broken)?;
        let loaded = passwords::fill(&self.folder, sources, network, checked)
            .map_err(|error| Message::Impossible(error.to_string()))?;
        let plan = planner.plan(&loaded.network);
        plan.map(|plan| (Box::new(plan), loaded.problems))
            .map_err(|error: PrepareError| error.into())
    }
}
