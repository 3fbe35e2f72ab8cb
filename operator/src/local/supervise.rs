//! The one loop of `up`: signals, brokers that end, what brokers say, changes of the file.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use causeway_broker::app::ONE_ASKING;
use causeway_broker::lost::Lost;

use super::children::{Change, Children, Launch, LogTo};
use super::events::Event;
use super::layout;
use super::plan::{DRAIN_SECONDS, LOOPBACK, Plan, SitePlan};
use super::poll::Poller;
use super::ports::{self, PortError};
use super::prepare::PrepareError;
use super::progress::{self, Progress};
use super::report::{KEPT, KEPT_UNTIL_FREE, Reporter};
use super::state::StateFolder;
use crate::cli::Output;
use crate::client::view::StatusView;
use crate::documents::Problem;
use crate::model::ListenerKind;

const TICK: Duration = Duration::from_millis(20);
/// How often a change is tried that a taken port keeps out.
const AGAIN: Duration = Duration::from_secs(3);
/// A broker ends by itself within its drain time; then it is killed, so that all is over within 5 s.
const STOP_PATIENCE: Duration = Duration::from_secs(DRAIN_SECONDS);

/// What the loop is told by other threads.
#[derive(Debug)]
pub enum Message {
    /// Ctrl-C, SIGTERM, or the terminal is gone.
    Stop,
    /// What a broker says.
    View {
        /// Its site.
        site: String,
        /// Its page.
        view: Box<StatusView>,
    },
    /// The file changed: what it means now, and what is probably not meant.
    Changed(Box<Plan>, Vec<Problem>),
    /// Certificates were renewed; the network is the same.
    Renewed(Box<Plan>),
    /// The file changed, and this is what is wrong with it.
    Broken(Vec<Problem>),
    /// The file changed, and it cannot run here.
    Impossible(String),
}

/// A running network.
pub struct Supervisor<'a> {
    folder: &'a StateFolder,
    reporter: &'a Reporter,
    sender: Sender<Message>,
    children: Children,
    progress: Progress,
    pollers: BTreeMap<String, Poller>,
    plan: Option<Plan>,
    /// The ports that the broker of each site was started with, or has taken since.
    held: BTreeMap<String, BTreeSet<u16>>,
    /// Sites that start when those have ended whose ports they are to have.
    waiting: BTreeMap<String, SitePlan>,
    /// A change that a taken port keeps out.
    refused: Option<Refused>,
    /// When the end was asked for.
    stopping: Option<Instant>,
}

/// What the files mean, and nobody has done yet.
struct Refused {
    plan: Plan,
    is_change: bool,
    again: Instant,
}

impl<'a> Supervisor<'a> {
    /// Nothing runs yet.
    ///
    /// # Errors
    /// The path of our own executable is unknown.
    pub fn new(
        folder: &'a StateFolder,
        reporter: &'a Reporter,
        restarts: bool,
        sender: Sender<Message>,
    ) -> std::io::Result<Self> {
        let log_to = match reporter.output() {
            Output::Text => LogTo::File,
            Output::Json => LogTo::Stderr,
        };
        Ok(Self {
            folder,
            reporter,
            sender,
            children: Children::new(log_to, restarts)?,
            progress: Progress::default(),
            pollers: BTreeMap::new(),
            plan: None,
            held: BTreeMap::new(),
            waiting: BTreeMap::new(),
            refused: None,
            stopping: None,
        })
    }

    /// Makes a plan real: checks the ports of what is new, writes every directory, starts and stops brokers. A site whose
    /// ports are those of a broker that has not ended yet starts after it.
    ///
    /// # Errors
    /// A port is taken, and then nothing was changed; or a file cannot be written.
    pub fn apply(&mut self, plan: Plan, is_change: bool) -> anyhow::Result<()> {
        let now = Instant::now();
        let running = progress::running(&plan);
        let is_new = |site: &&&SitePlan| !self.pollers.contains_key(&site.name);
        let (waiting, free): (Vec<&SitePlan>, Vec<&SitePlan>) = running
            .values()
            .filter(is_new)
            .partition(|site| self.has_to_wait(site));
        for site in free {
            ports::check(site)?;
        }
        let waiting: BTreeMap<String, SitePlan> = waiting
            .into_iter()
            .map(|site| (site.name.clone(), site.clone()))
            .collect();
        self.folder.keep_slots(&plan.slots)?;
        for site in running.values() {
            layout::write(&self.folder.config(&site.name), &site.files)?;
            layout::make_folder(&self.folder.data(&site.name))?;
        }
        self.progress.follow(&plan, is_change);
        let gone: Vec<String> = self
            .pollers
            .keys()
            .filter(|site| !running.contains_key(site.as_str()))
            .cloned()
            .collect();
        for site in running.values() {
            if !waiting.contains_key(&site.name) {
                self.start(site, now)?;
            }
        }
        for site in gone {
            self.pollers.remove(&site);
            self.children.stop(&site, now, STOP_PATIENCE);
        }
        self.waiting = waiting;
        self.plan = Some(plan);
        Ok(())
    }

    /// Whether a port of a site is still that of one of our own brokers.
    fn has_to_wait(&self, site: &SitePlan) -> bool {
        let is_held = |port: &u16| {
            let mut held = self.held.iter();
            held.any(|(site, ports)| ports.contains(port) && self.children.is_active(site))
        };
        site.ports.values().any(is_held)
    }

    /// Starts the sites whose ports are free by now.
    fn start_waiting(&mut self, now: Instant) {
        let due: Vec<SitePlan> = self
            .waiting
            .values()
            .filter(|site| !self.has_to_wait(site))
            .cloned()
            .collect();
        for site in due {
            self.waiting.remove(&site.name);
            if let Err(error) = self.start(&site, now) {
                self.reporter.event(&Event::error(format!("{error:#}")));
            }
        }
    }

    /// Runs until everything has been stopped.
    pub fn run(mut self, receiver: &Receiver<Message>) {
        loop {
            match receiver.recv_timeout(TICK) {
                Ok(message) => self.handle(message),
                Err(RecvTimeoutError::Timeout) => {}
                // We hold a sender ourselves.
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let now = Instant::now();
            for change in self.children.tick(now) {
                self.note(change);
            }
            if self.stopping.is_some() && self.children.is_empty() {
                return;
            }
            if self.stopping.is_none() {
                self.start_waiting(now);
                self.try_refused(now);
                let events = self.progress.conclude();
                self.report(events);
            }
        }
    }

    fn start(&mut self, site: &SitePlan, now: Instant) -> anyhow::Result<()> {
        let ports = site.ports.values().copied().collect();
        self.held.insert(site.name.clone(), ports);
        // A broker that died and is not to be started again stays dead.
        if self.pollers.contains_key(&site.name) {
            return Ok(());
        }
        // Told by nobody when `up` was killed before its brokers.
        self.tell_lost(&site.name);
        let launch = Launch {
            config: self.folder.config(&site.name),
            log: self.folder.log(&site.name),
        };
        self.children.start(&site.name, launch, now)?;
        let port = site
            .ports
            .get(&ListenerKind::Admin)
            .copied()
            .unwrap_or_default();
        let (name, sender) = (site.name.clone(), self.sender.clone());
        let poller = Poller::start(format!("{LOOPBACK}:{port}"), move |view| {
            let (site, view) = (name.clone(), Box::new(view));
            // The loop is over: nobody is left to tell.
            let _ = sender.send(Message::View { site, view });
        });
        self.pollers.insert(site.name.clone(), poller);
        Ok(())
    }

    fn handle(&mut self, message: Message) {
        if !matches!(message, Message::View { .. }) {
            // The files mean something else now.
            self.refused = None;
        }
        match message {
            Message::Stop => self.stop(),
            _ if self.stopping.is_some() => {}
            Message::View { site, view } => self.view(&site, &view),
            Message::Changed(plan, warnings) => {
                self.reporter.problems(&warnings);
                self.change(*plan, true);
            }
            Message::Renewed(plan) => self.change(*plan, false),
            Message::Broken(problems) => self.reporter.refused(&problems),
            Message::Impossible(message) => {
                let event = Event::error(message).with_outcome(KEPT);
                self.reporter.event(&event);
            }
        }
    }

    /// The first time in order, the second time at once. Wrappers such as `timeout` pass on what the terminal sends to all:
    /// what comes together is one wish.
    fn stop(&mut self) {
        let now = Instant::now();
        let patience = match self.stopping {
            None => STOP_PATIENCE,
            Some(since) if now.duration_since(since) < ONE_ASKING => return,
            Some(_) => Duration::ZERO,
        };
        self.stopping.get_or_insert(now);
        self.waiting.clear();
        self.pollers.clear();
        self.children.stop_all(now, patience);
    }

    fn view(&mut self, site: &str, view: &StatusView) {
        let is_ours = self
            .plan
            .as_ref()
            .is_some_and(|plan| plan.network == view.network && site == view.site);
        if let Some(pid) = self.children.pid(site).filter(|_| is_ours) {
            let events = self.progress.observe(site, pid, view);
            self.report(events);
        }
    }

    /// A port that somebody else had may be free by now. Nothing is said again while it is not.
    fn try_refused(&mut self, now: Instant) {
        let Some(due) = self.refused.take_if(|refused| refused.again <= now) else {
            return;
        };
        match self.apply(due.plan.clone(), due.is_change) {
            Ok(()) => {}
            Err(error) if error.is::<PortError>() => {
                let again = now + AGAIN;
                self.refused = Some(Refused { again, ..due });
            }
            Err(error) => self.reporter.event(&Event::error(format!("{error:#}"))),
        }
    }

    fn change(&mut self, plan: Plan, is_change: bool) {
        let running = self.plan.as_ref().map(|plan| plan.network.clone());
        let error = match running.filter(|network| *network != plan.network) {
            Some(network) => Some(
                Event::error(format!(
                    "the file now declares network {}, but {network} is running: start another `causeway up` for it",
                    plan.network
                ))
                .with_outcome(KEPT),
            ),
            None => self.apply(plan.clone(), is_change).err().map(|error| {
                let event = Event::error(format!("{error:#}"));
                // Ports are looked at before anything is changed.
                if !error.is::<PortError>() {
                    return event;
                }
                let again = Instant::now() + AGAIN;
                self.refused = Some(Refused {
                    plan,
                    is_change,
                    again,
                });
                event.with_outcome(KEPT_UNTIL_FREE)
            }),
        };
        if let Some(error) = error {
            self.reporter.event(&error);
        }
    }

    fn note(&mut self, change: Change) {
        match change {
            Change::Ended {
                site,
                status,
                is_left_dead,
                is_unasked,
                said,
            } => {
                let is_failed_start = is_unasked && !self.progress.is_listening(&site);
                // One that waits for this end comes back.
                let is_left_dead = is_left_dead && !self.waiting.contains_key(&site);
                self.progress.ended(&site, is_left_dead);
                let why = is_failed_start.then(|| self.failed_start(&site, said));
                let exit = Event::Exit {
                    site: site.clone(),
                    status,
                };
                self.report([exit].into_iter().chain(why).collect());
                self.tell_lost(&site);
            }
            Change::NotStarted { message } => self.reporter.event(&Event::error(message)),
        }
    }

    /// What the last stop of a broker took with it.
    fn tell_lost(&self, site: &str) {
        if let Some(lost) = Lost::take(&self.folder.data(site)) {
            self.reporter.event(&Event::Lost {
                site: site.to_owned(),
                messages: lost.messages,
                queues: lost.queues,
            });
        }
    }

    /// Why a broker ended before it listened, as far as it told.
    fn failed_start(&self, site: &str, said: Option<String>) -> Event {
        let log = match self.reporter.output() {
            Output::Text => format!("its log is {}", self.folder.log(site).display()),
            Output::Json => "its log on standard error may say why".to_owned(),
        };
        let said = said.map_or(String::new(), |said| format!(": {said}"));
        Event::error(format!(
            "the broker of site {site} ended before it listened{said} ({log})"
        ))
    }

    fn report(&self, events: Vec<Event>) {
        for event in &events {
            self.reporter.event(event);
        }
    }
}

/// What a plan that cannot be made means to those who wait for it.
impl From<PrepareError> for Message {
    fn from(error: PrepareError) -> Self {
        Self::Impossible(format!("{:#}", anyhow::Error::from(error)))
    }
}
