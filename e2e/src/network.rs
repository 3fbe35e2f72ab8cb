//! A network under test: `causeway up` on ports of its own, its events, its brokers.

use std::fs::File;
use std::io::BufReader;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde_json::Value;

use crate::client::Client;
use crate::document::Document;
use crate::events::{Event, Events};
use crate::metrics::Scrape;
use crate::ports::{self, Block};
use crate::process::{self, Folder};
use crate::{http, wait};

/// `up` drains for at most 5 s; a test waits five times that.
const STOP: Duration = Duration::from_secs(25);

/// Blocks kept free for sites that a test adds.
const SPARE_SITES: u16 = 2;

/// A running network. [`Network::stop`] ends it and checks that it ends well; one that is only
/// dropped belongs to a failed test, so its log is printed and its folder stays.
pub struct Network {
    _machine: File,
    folder: Folder,
    ports: Block,
    child: Child,
    is_stopped: bool,
    /// Blocks of ports it holds.
    slots: u16,
    /// What `up` reports.
    pub events: Events,
    /// What it was given last.
    pub document: Document,
}

impl Network {
    /// Starts a network and waits until it is ready.
    ///
    /// # Errors
    /// It cannot be started, or is not ready in time.
    pub fn up(document: Document) -> Result<Self> {
        Self::up_with(document, &[])
    }

    /// The same with further arguments of `causeway up`.
    ///
    /// # Errors
    /// It cannot be started, or is not ready in time.
    pub fn up_with(document: Document, arguments: &[&str]) -> Result<Self> {
        let machine = ports::whole_machine()?;
        let folder = Folder::new()?;
        let slots = u16::try_from(document.sites.len())? + SPARE_SITES;
        let ports = Block::take(slots)?;
        std::fs::write(folder.path().join("network.yaml"), document.to_yaml())?;
        let (child, events) = spawn(folder.path(), ports.base(), arguments)?;
        let network = Self {
            _machine: machine,
            folder,
            ports,
            child,
            is_stopped: false,
            slots,
            events,
            document,
        };
        network.wait_ready(0)?;
        Ok(network)
    }

    /// `kill -9` of `up`, with which its brokers end, and another `up` when they have.
    ///
    /// # Errors
    /// They do not end in time, or the other one is not ready.
    pub fn kill_up_and_start_again(&mut self) -> Result<()> {
        process::end(&mut self.child);
        let ports = self.ports.base()..self.ports.base() + ports::PER_SITE * self.slots;
        wait::until("the brokers to end", wait::PATIENCE, || {
            let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
            Ok(ports.clone().all(is_free).then_some(()))
        })?;
        (self.child, self.events) = spawn(self.folder.path(), self.ports.base(), &[])?;
        self.wait_ready(0)?;
        Ok(())
    }

    /// Waits for `ready` after a mark.
    ///
    /// # Errors
    /// It did not come in time.
    pub fn wait_ready(&self, mark: usize) -> Result<Event> {
        self.events
            .wait(mark, "ready", wait::START, |event| event.kind() == "ready")
    }

    /// The file that `up` follows.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("network.yaml")
    }

    /// A folder for what else the test writes.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// First of ten ports that no site uses, for a broker beside the network.
    #[must_use]
    pub fn spare_port(&self) -> u16 {
        let slots = ports::PER_SITE * (self.slots - 1);
        self.ports.base() + slots
    }

    /// The latest `site` event of a site.
    ///
    /// # Errors
    /// There is none.
    pub fn site(&self, site: &str) -> Result<Event> {
        let mut events = self.events.since(0);
        events.retain(|event| event.is_about("site", site));
        events
            .pop()
            .with_context(|| format!("site {site} never listened"))
    }

    /// The STOMP port of a site.
    ///
    /// # Errors
    /// The site does not listen.
    pub fn port(&self, site: &str) -> Result<u16> {
        self.port_of(site, "stomp")
    }

    /// The port of a site's listener, by its name in the `site` event.
    ///
    /// # Errors
    /// The site has no such listener.
    pub fn port_of(&self, site: &str, listener: &str) -> Result<u16> {
        let event = self.site(site)?;
        let address = event.text(listener);
        let port = address
            .rsplit_once(':')
            .with_context(|| format!("{site} has no listener {listener}: {}", event.value))?
            .1;
        Ok(port.trim_end_matches('/').parse()?)
    }

    /// Logs in at a site as a user of the document.
    ///
    /// # Errors
    /// No connection, or refused.
    pub fn connect(&self, site: &str, user: &str) -> Result<Client> {
        Client::connect(self.port(site)?, user, self.document.password(user))
            .with_context(|| format!("{user} at {site}"))
    }

    /// The same with a client id.
    ///
    /// # Errors
    /// No connection, or refused.
    pub fn connect_as(&self, site: &str, user: &str, client_id: &str) -> Result<Client> {
        self.connect_at(self.port(site)?, user, client_id)
            .with_context(|| format!("{user} at {site} as {client_id}"))
    }

    /// Logs in at any port as a user of the document.
    ///
    /// # Errors
    /// No connection, or refused.
    pub fn connect_at(&self, port: u16, user: &str, client_id: &str) -> Result<Client> {
        Client::connect_as(port, user, self.document.password(user), client_id)
    }

    /// All metrics of a site.
    ///
    /// # Errors
    /// The site does not answer.
    pub fn scrape(&self, site: &str) -> Result<Scrape> {
        let (status, text) = http::fetch(self.port_of(site, "admin")?, "/metrics")?;
        ensure!(status == 200, "/metrics of {site} answers {status}");
        Scrape::parse(&text)
    }

    /// The sum of a site's series of that name and these labels.
    ///
    /// # Errors
    /// The site does not answer.
    pub fn metric(&self, site: &str, name: &str, labels: &[(&str, &str)]) -> Result<f64> {
        Ok(self.scrape(site)?.sum(name, labels))
    }

    /// Waits until a metric of a site is at least so much, since a scrape is up to 250 ms old.
    ///
    /// # Errors
    /// It stays below.
    pub fn metric_reaches(
        &self,
        site: &str,
        name: &str,
        labels: &[(&str, &str)],
        least: f64,
    ) -> Result<f64> {
        let mut last = 0.0;
        let what = format!("{name}{labels:?} of {site} to reach {least}");
        let reached = wait::until(&what, wait::PATIENCE, || {
            last = self.metric(site, name, labels)?;
            Ok((last >= least).then_some(last))
        });
        reached.with_context(|| format!("last value {last}"))
    }

    /// `/status` of a site.
    ///
    /// # Errors
    /// The site does not answer with JSON.
    pub fn status(&self, site: &str) -> Result<Value> {
        let (status, text) = http::fetch(self.port_of(site, "admin")?, "/status")?;
        ensure!(status == 200, "/status of {site} answers {status}: {text}");
        Ok(serde_json::from_str(&text)?)
    }

    /// `kill -9` of a site's broker; the time is that just after.
    ///
    /// # Errors
    /// There is no such process.
    pub fn kill(&self, site: &str) -> Result<Instant> {
        self.signal(site, Signal::KILL)
    }

    /// `kill` of a site's broker: it leaves as planned. The time is that just after.
    ///
    /// # Errors
    /// There is no such process.
    pub fn stop_site(&self, site: &str) -> Result<Instant> {
        self.signal(site, Signal::TERM)
    }

    /// `kill -STOP` of a site's broker: it hangs from then on.
    ///
    /// # Errors
    /// There is no such process.
    pub fn hang(&self, site: &str) -> Result<Instant> {
        self.signal(site, Signal::STOP)
    }

    /// `kill -CONT`: one that hangs goes on.
    ///
    /// # Errors
    /// There is no such process.
    pub fn resume(&self, site: &str) -> Result<Instant> {
        self.signal(site, Signal::CONT)
    }

    fn signal(&self, site: &str, signal: Signal) -> Result<Instant> {
        let event = self.site(site)?;
        let pid = event
            .value
            .get("pid")
            .and_then(Value::as_i64)
            .with_context(|| format!("no pid in {}", event.value))?;
        process::signal(i32::try_from(pid)?, signal)?;
        Ok(Instant::now())
    }

    /// Changes the document, writes the file and waits until the change is in force.
    ///
    /// # Errors
    /// It is not in force in time.
    pub fn change(&mut self, edit: impl FnOnce(&mut Document)) -> Result<()> {
        edit(&mut self.document);
        let mark = self.events.mark();
        self.write_file(&self.document.to_yaml())?;
        let applied = |event: &Event| matches!(event.kind(), "applied" | "error");
        let event = self.events.wait(mark, "applied", wait::START, applied)?;
        ensure!(
            event.kind() == "applied",
            "the change was refused: {}",
            event.value
        );
        Ok(())
    }

    /// Replaces the file at once, as an editor does.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_file(&self, text: &str) -> Result<()> {
        let beside = self.folder.path().join("network.yaml.new");
        std::fs::write(&beside, text)?;
        Ok(std::fs::rename(beside, self.file())?)
    }

    /// Ends the network as Ctrl-C would, and checks that it ends well.
    ///
    /// # Errors
    /// It does not end in time, or with another exit code than 0.
    pub fn stop(self) -> Result<()> {
        self.end(Signal::TERM)
    }

    /// Closes its terminal, and checks that it ends well; under `nohup`, which its process inherits, that it lives on until
    /// it is told to end.
    ///
    /// # Errors
    /// It does not end in time, or with another exit code than 0.
    pub fn hang_up(mut self) -> Result<()> {
        if !process::ignores_hangup()? {
            return self.end(Signal::HUP);
        }
        process::signal(i32::try_from(self.child.id())?, Signal::HUP)?;
        let ended = process::wait(&mut self.child, Duration::from_secs(1))?;
        ensure!(ended.is_none(), "it ended under nohup: {ended:?}");
        self.stop()
    }

    /// Ends the network with a signal that reaches it twice at once, as from a wrapper that passes it on.
    ///
    /// # Errors
    /// It does not end in time, or with another exit code than 0.
    pub fn stop_twice(self) -> Result<()> {
        process::signal(i32::try_from(self.child.id())?, Signal::INT)?;
        // The first one is not pending any more, so that there are two.
        std::thread::sleep(Duration::from_millis(30));
        self.end(Signal::INT)
    }

    fn end(mut self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.child.id())?;
        process::signal(pid, signal)?;
        let status = process::wait(&mut self.child, STOP)?
            .with_context(|| format!("causeway up is still there {STOP:?} after {signal:?}"))?;
        ensure!(status.success(), "causeway up ended with {status}");
        let strays = self
            .events
            .since(0)
            .into_iter()
            .find(|event| event.kind() == "not json");
        ensure!(strays.is_none(), "on standard output: {strays:?}");
        self.is_stopped = true;
        Ok(())
    }

    /// What `up` and its brokers logged: its standard error, and the log files of its state folder.
    ///
    /// # Errors
    /// A folder cannot be listed.
    pub fn logs(&self) -> Result<String> {
        let mut text = String::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    folders.push(entry.path());
                } else if entry.path().extension().is_some_and(|end| end == "log") {
                    text.push_str(&String::from_utf8_lossy(&std::fs::read(entry.path())?));
                }
            }
        }
        Ok(text)
    }

    /// The end of that.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let text = self.logs().unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(80)..].join("\n")
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if self.is_stopped {
            return;
        }
        self.folder.is_kept = true;
        eprintln!(
            "log of {}:\n{}",
            self.folder.path().display(),
            self.log_tail()
        );
        // The brokers end with their parent.
        process::end(&mut self.child);
    }
}

/// Starts `up` and follows what it tells.
fn spawn(folder: &Path, base_port: u16, arguments: &[&str]) -> Result<(Child, Events)> {
    let mut log = File::options();
    let log = log.append(true).create(true).open(folder.join("up.log"))?;
    let mut child = up_command(folder, base_port)?
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .context("starting causeway up")?;
    let output = child.stdout.take().context("no standard output")?;
    Ok((child, Events::follow(BufReader::new(output))))
}

/// `causeway up` for a file `network.yaml` in a folder, its state beside it.
///
/// # Errors
/// The command was not built.
pub fn up_command(folder: &Path, base_port: u16) -> Result<Command> {
    let mut command = Command::new(process::causeway()?);
    command
        .arg("up")
        .arg(folder.join("network.yaml"))
        .arg("--state")
        .arg(folder.join("state"))
        .args(["--base-port", &base_port.to_string(), "-o", "json"])
        .current_dir(folder);
    Ok(command)
}
