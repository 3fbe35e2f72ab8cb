//! The real MCollective: `mcollectived` processes and the `mco` command, each with a configuration
//! of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::process::{self, Finished};
use crate::wait;

const INSTALL: &str = "apt-get install mcollective mcollective-client ruby-stomp";

/// Discovery takes 2 s, and Ruby on a busy machine a few more to start.
const COMMAND: Duration = Duration::from_secs(60);

/// Where a node or client connects, and as whom.
#[derive(Debug, Clone)]
pub struct Login<'a> {
    /// Where the broker listens for STOMP.
    pub address: SocketAddr,
    /// User.
    pub user: &'a str,
    /// Password.
    pub password: &'a str,
}

/// One `mcollectived`; ends when dropped.
#[derive(Debug)]
pub struct Node {
    /// Its identity.
    pub identity: String,
    child: Child,
    log: PathBuf,
}

impl Node {
    /// Starts a node with facts of its own.
    ///
    /// # Errors
    /// MCollective is not installed, or files cannot be written.
    pub fn start(
        folder: &Path,
        identity: &str,
        login: &Login<'_>,
        facts: &[(&str, &str)],
    ) -> Result<Self> {
        let program = process::need("mcollectived", INSTALL)?;
        let folder = folder.join(identity);
        let config = write_config(&folder, "server.cfg", identity, login)?;
        let facts: BTreeMap<&str, &str> = facts.iter().copied().collect();
        std::fs::write(folder.join("facts.json"), serde_json::to_string(&facts)?)?;
        let log = folder.join("mcollective.log");
        let output = File::create(folder.join("output.log"))?;
        let child = clean(&mut Command::new(program), &folder)
            .arg("--config")
            .arg(config)
            .arg("--no-daemonize")
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .context("starting mcollectived")?;
        Ok(Self {
            identity: identity.to_owned(),
            child,
            log,
        })
    }

    /// What it logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        process::end(&mut self.child);
    }
}

/// The `mco` command at one site.
#[derive(Debug)]
pub struct Mco {
    folder: PathBuf,
    config: PathBuf,
}

impl Mco {
    /// Writes the client's configuration.
    ///
    /// # Errors
    /// Files cannot be written.
    pub fn new(folder: &Path, name: &str, login: &Login<'_>) -> Result<Self> {
        let folder = folder.join(name);
        let config = write_config(&folder, "client.cfg", name, login)?;
        Ok(Self { folder, config })
    }

    /// Runs `mco` with these arguments.
    ///
    /// # Errors
    /// MCollective is not installed, or the command does not end in time.
    pub fn run(&self, arguments: &[&str]) -> Result<Finished> {
        let program = process::need("mco", INSTALL)?;
        let mut command = Command::new(program);
        clean(&mut command, &self.folder)
            .args(arguments)
            .arg("--config")
            .arg(&self.config);
        process::run(&mut command, COMMAND)
    }

    /// `mco ping`: who answers.
    ///
    /// # Errors
    /// The command failed to run.
    pub fn ping(&self) -> Result<BTreeSet<String>> {
        Ok(pinged(&self.run(&["ping"])?.stdout))
    }

    /// Pings until so many nodes answer, since daemons take a while to start.
    ///
    /// # Errors
    /// They do not all answer in time.
    pub fn wait_for(&self, nodes: usize) -> Result<()> {
        let what = format!("{nodes} nodes to answer a ping");
        wait::until(&what, 4 * wait::PATIENCE, || {
            let answers = self.ping()?.len();
            Ok((answers >= nodes).then_some(()))
        })
    }

    /// `mco rpc …` as JSON: the sender and data of each reply.
    ///
    /// # Errors
    /// The command failed, or its output is no JSON.
    pub fn rpc(&self, arguments: &[&str]) -> Result<Vec<(String, Value)>> {
        let mut all = vec!["rpc"];
        all.extend_from_slice(arguments);
        all.push("--json");
        let finished = self.run(&all)?;
        replies(&finished.stdout).with_context(|| finished.output())
    }

    /// `mco find …`: the names it prints.
    ///
    /// # Errors
    /// The command failed to run.
    pub fn find(&self, arguments: &[&str]) -> Result<BTreeSet<String>> {
        let mut all = vec!["find"];
        all.extend_from_slice(arguments);
        let finished = self.run(&all)?;
        let names = finished.stdout.lines().map(str::trim);
        Ok(names
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect())
    }
}

/// Identities in the output of `mco ping`; a node that answers twice is an identity with `twice`
/// behind it.
fn pinged(output: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for line in output.lines().filter(|line| line.contains("time=")) {
        let name = line.split_whitespace().next().unwrap_or_default();
        if !names.insert(name.to_owned()) {
            names.insert(format!("{name} twice"));
        }
    }
    names
}

fn replies(output: &str) -> Result<Vec<(String, Value)>> {
    // Anything Ruby warns about comes before the document.
    let start = output.find('[').context("no JSON in the output")?;
    let values: Vec<Value> = serde_json::from_str(output[start..].trim())?;
    values
        .into_iter()
        .map(|value| {
            let sender = value.get("sender").and_then(Value::as_str);
            let sender = sender.context("reply without a sender")?.to_owned();
            Ok((sender, value.get("data").cloned().unwrap_or_default()))
        })
        .collect()
}

/// No user's own settings may change what the test sees.
fn clean<'a>(command: &'a mut Command, home: &Path) -> &'a mut Command {
    command
        .env("HOME", home)
        .env_remove("STOMP_USER")
        .env_remove("STOMP_PASSWORD")
        .env_remove("STOMP_SERVER")
        .env_remove("STOMP_PORT")
        .env_remove("MCOLLECTIVE_EXTRA_OPTS")
        .current_dir(home)
}

fn write_config(folder: &Path, file: &str, identity: &str, login: &Login<'_>) -> Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    let place = folder.display();
    // Where MCollective finds mcollective/facts/json_facts.rb.
    let plugins = concat!(env!("CARGO_MANIFEST_DIR"), "/clients");
    let Login {
        address,
        user,
        password,
    } = login;
    let (host, port) = (address.ip(), address.port());
    let text = format!(
        "main_collective = mcollective\n\
         collectives = mcollective\n\
         libdir = {plugins}:/usr/share/mcollective/plugins\n\
         identity = {identity}\n\
         logger_type = file\n\
         logfile = {place}/mcollective.log\n\
         loglevel = info\n\
         daemonize = 0\n\
         registerinterval = 0\n\
         direct_addressing = 1\n\
         classesfile = {place}/classes.txt\n\
         securityprovider = psk\n\
         plugin.psk = causeway\n\
         factsource = json\n\
         plugin.json = {place}/facts.json\n\
         connector = activemq\n\
         plugin.activemq.pool.size = 1\n\
         plugin.activemq.pool.1.host = {host}\n\
         plugin.activemq.pool.1.port = {port}\n\
         plugin.activemq.pool.1.user = {user}\n\
         plugin.activemq.pool.1.password = {password}\n\
         plugin.activemq.max_reconnect_delay = 1\n"
    );
    std::fs::write(folder.join("facts.json"), "{}")?;
    std::fs::write(folder.join("classes.txt"), "")?;
    let path = folder.join(file);
    std::fs::write(&path, text)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_answers_twice_is_seen() {
        let output = "ie1    time=12.1 ms\nuk1    time=13.1 ms\nie1   time=14.0 ms\n\n\n---- ping statistics ----\n";
        let expected = ["ie1", "ie1 twice", "uk1"].map(str::to_owned);
        assert_eq!(pinged(output), BTreeSet::from(expected));
    }

    #[test]
    fn replies_are_read_behind_warnings() -> Result<()> {
        let output = "warning: old ruby\n[\n {\"agent\": \"rpcutil\", \"sender\": \"ie1\", \"data\": {\"pong\": 1}}\n]\n";
        let replies = replies(output)?;
        assert_eq!(replies[0].0, "ie1");
        assert_eq!(replies[0].1["pong"], 1);
        Ok(())
    }
}
