//! The brokers as processes of their own: started, ended, started again when they die.
//!
//! Linux tells a child that its parent is gone when the *thread* that started it ends. So [`Children`] belongs to one
//! thread, which lives as long as `up`: whoever owns it must not hand it on.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::last_words;
use rustix::process::{Pid, Signal, kill_process};

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A broker that lived this long starts again with the first pause.
const LONG_LIFE: Duration = Duration::from_secs(60);

/// A broker cannot be started.
#[derive(Debug, thiserror::Error)]
#[error("starting the broker of site {site}: {cause}")]
pub struct StartError {
    site: String,
    cause: io::Error,
}

/// Where brokers log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogTo {
    /// Our standard error.
    Stderr,
    /// A file of each site.
    File,
}

/// How to start the broker of a site.
#[derive(Debug, Clone)]
pub struct Launch {
    /// Its configuration directory.
    pub config: PathBuf,
    /// Its log, where it has one of its own.
    pub log: PathBuf,
}

/// Something that happened to a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It ended.
    Ended {
        /// Its site.
        site: String,
        /// How.
        status: String,
        /// Nobody starts it again.
        is_left_dead: bool,
        /// Nobody had asked it to.
        is_unasked: bool,
        /// The last error in its log since it was started.
        said: Option<String>,
    },
    /// It could not be started.
    NotStarted {
        /// What the system says.
        message: String,
    },
}

#[derive(Debug)]
enum State {
    Alive {
        child: Child,
        since: Instant,
        /// How long its log was when it started.
        log_from: u64,
    },
    Waiting {
        until: Instant,
    },
    Dead,
}

#[derive(Debug)]
struct Broker {
    launch: Launch,
    state: State,
    is_wanted: bool,
    /// When it is killed, once it was asked to stop.
    kill_at: Option<Instant>,
    pause: Duration,
}

/// The brokers of a network, by site.
#[derive(Debug)]
pub struct Children {
    executable: PathBuf,
    log_to: LogTo,
    restarts: bool,
    brokers: BTreeMap<String, Broker>,
}

impl Children {
    /// No brokers yet; `restarts` decides whether one that dies is started again.
    ///
    /// # Errors
    /// The path of our own executable is unknown.
    pub fn new(log_to: LogTo, restarts: bool) -> io::Result<Self> {
        Ok(Self {
            executable: std::env::current_exe()?,
            log_to,
            restarts,
            brokers: BTreeMap::new(),
        })
    }

    /// Starts a broker; one that is about to end is started again when it has ended.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(&mut self, site: &str, launch: Launch, now: Instant) -> Result<(), StartError> {
        let broker = self.brokers.entry(site.to_owned()).or_insert(Broker {
            launch: launch.clone(),
            state: State::Dead,
            is_wanted: true,
            kill_at: None,
            pause: FIRST_PAUSE,
        });
        broker.launch = launch;
        broker.is_wanted = true;
        if matches!(broker.state, State::Alive { .. }) {
            return Ok(());
        }
        broker
            .spawn(&self.executable, self.log_to, now)
            .map_err(|cause| {
                let site = site.to_owned();
                StartError { site, cause }
            })
    }

    /// Asks a broker to stop; it is killed if it has not ended after `patience`.
    pub fn stop(&mut self, site: &str, now: Instant, patience: Duration) {
        if let Some(broker) = self.brokers.get_mut(site) {
            broker.stop(now, patience);
        }
    }

    /// Asks every broker to stop.
    pub fn stop_all(&mut self, now: Instant, patience: Duration) {
        for broker in self.brokers.values_mut() {
            broker.stop(now, patience);
        }
    }

    /// The process of a site's broker, while it is alive and wanted.
    #[must_use]
    pub fn pid(&self, site: &str) -> Option<u32> {
        let is_used = |broker: &&Broker| broker.is_wanted && broker.kill_at.is_none();
        let broker = self.brokers.get(site).filter(is_used)?;
        match &broker.state {
            State::Alive { child, .. } => Some(child.id()),
            State::Waiting { .. } | State::Dead => None,
        }
    }

    /// Whether a site's broker has or will have its ports: it is alive, be it asked to stop, or about to start again.
    #[must_use]
    pub fn is_active(&self, site: &str) -> bool {
        let broker = self.brokers.get(site);
        broker.is_some_and(|broker| !matches!(broker.state, State::Dead))
    }

    /// Whether any process is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let mut brokers = self.brokers.values();
        !brokers.any(|broker| matches!(broker.state, State::Alive { .. }))
    }

    /// Looks at every process, kills those whose time is over, starts those that are due.
    pub fn tick(&mut self, now: Instant) -> Vec<Change> {
        let mut changes = Vec::new();
        for (site, broker) in &mut self.brokers {
            if let Some((status, log_from)) = broker.ended(now) {
                let is_unasked = broker.kill_at.is_none();
                let has_log = is_unasked && self.log_to == LogTo::File;
                let said = has_log.then(|| last_words::read(&broker.launch.log, log_from));
                broker.state = match broker.is_wanted && (self.restarts || broker.kill_at.is_some())
                {
                    true => State::Waiting {
                        until: now + broker.next_pause(),
                    },
                    false => State::Dead,
                };
                broker.kill_at = None;
                changes.push(Change::Ended {
                    site: site.clone(),
                    status: describe(status),
                    is_left_dead: matches!(broker.state, State::Dead),
                    is_unasked,
                    said: said.flatten(),
                });
            }
            let is_due = matches!(broker.state, State::Waiting { until } if until <= now);
            if is_due && let Err(error) = broker.spawn(&self.executable, self.log_to, now) {
                broker.state = State::Waiting {
                    until: now + broker.next_pause(),
                };
                let message = format!("starting the broker of site {site}: {error}");
                changes.push(Change::NotStarted { message });
            }
        }
        self.brokers
            .retain(|_, broker| broker.is_wanted || !matches!(broker.state, State::Dead));
        changes
    }
}

impl Broker {
    fn spawn(&mut self, executable: &Path, log_to: LogTo, now: Instant) -> io::Result<()> {
        let (stdout, stderr) = match log_to {
            LogTo::Stderr => {
                let both = io::stderr().as_fd().try_clone_to_owned()?;
                (Stdio::from(both), Stdio::inherit())
            }
            LogTo::File => {
                let mut options = OpenOptions::new();
                let file = options
                    .append(true)
                    .create(true)
                    .mode(0o600)
                    .open(&self.launch.log)?;
                (Stdio::from(file.try_clone()?), Stdio::from(file))
            }
        };
        let log_from = last_words::length(&self.launch.log);
        let child = Command::new(executable)
            .arg("broker")
            .arg("--config")
            .arg(&self.launch.config)
            .arg("--parent")
            .arg(std::process::id().to_string())
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            // The terminal's Ctrl-C is for `up` alone, which then stops its brokers in order.
            .process_group(0)
            .spawn()?;
        self.state = State::Alive {
            child,
            since: now,
            log_from,
        };
        Ok(())
    }

    fn stop(&mut self, now: Instant, patience: Duration) {
        self.is_wanted = false;
        match &self.state {
            State::Alive { child, .. } => {
                send(child, Signal::TERM);
                let deadline = now + patience;
                self.kill_at = Some(self.kill_at.map_or(deadline, |at| at.min(deadline)));
            }
            State::Waiting { .. } => self.state = State::Dead,
            State::Dead => {}
        }
    }

    /// The status of a process that has just ended, and where its part of the log begins.
    fn ended(&mut self, now: Instant) -> Option<(ExitStatus, u64)> {
        let State::Alive {
            child,
            since,
            log_from,
        } = &mut self.state
        else {
            return None;
        };
        if let Ok(Some(status)) = child.try_wait() {
            if now.duration_since(*since) >= LONG_LIFE {
                self.pause = FIRST_PAUSE;
            }
            return Some((status, *log_from));
        }
        if self.kill_at.is_some_and(|at| at <= now) {
            send(child, Signal::KILL);
        }
        None
    }

    fn next_pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        pause
    }
}

/// Until `try_wait` has returned the status, the process id cannot belong to anybody else.
fn send(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // It may have ended by itself just now, which is what was wanted.
        let _ = kill_process(pid, signal);
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("signal: {signal}"),
        (None, Some(code)) => format!("exit status: {code}"),
        (None, None) => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_told_as_the_events_document_it() {
        assert_eq!(describe(ExitStatus::from_raw(9)), "signal: 9");
        assert_eq!(describe(ExitStatus::from_raw(3 << 8)), "exit status: 3");
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let mut broker = Broker {
            launch: Launch {
                config: PathBuf::new(),
                log: PathBuf::new(),
            },
            state: State::Dead,
            is_wanted: true,
            kill_at: None,
            pause: FIRST_PAUSE,
        };
        let pauses: Vec<u64> = (0..7).map(|_| broker.next_pause().as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
    }
}
