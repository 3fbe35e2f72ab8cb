//! `causeway operator` as a process of the test's own, against a cluster or a proxy in front of it.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

use super::{BROKER_IMAGE, Cluster};
use crate::metrics::Scrape;
use crate::ports::Block;
use crate::process::{self, Folder};
use crate::{http, wait};

/// It needs a second to fill its stores, and is given five times that on a busy machine.
const READY: Duration = Duration::from_secs(30);

/// A running operator; dropped, it is killed.
pub struct Operator<'a> {
    cluster: &'a Cluster,
    child: Child,
    ports: Block,
    folder: Folder,
}

impl<'a> Operator<'a> {
    /// Starts one for some sites of one namespace and waits until it is ready.
    ///
    /// # Errors
    /// It ends, or is not ready in time.
    pub fn start(cluster: &'a Cluster, sites: &str, namespace: &str) -> Result<Self> {
        let operator = Self::launch(cluster, cluster.kubeconfig(), sites, namespace, &[])?;
        operator.wait_ready()?;
        Ok(operator)
    }

    /// The same with a kubeconfig of its own and further arguments, without waiting.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn launch(
        cluster: &'a Cluster,
        kubeconfig: &Path,
        sites: &str,
        namespace: &str,
        arguments: &[&str],
    ) -> Result<Self> {
        let folder = Folder::new()?;
        let ports = Block::take(1)?;
        let log = File::create(folder.path().join("operator.log"))?;
        let address = format!("127.0.0.1:{}", ports.base());
        let mut command = Command::new(process::causeway()?);
        command.args(["operator", "--sites", sites]);
        if !arguments
            .iter()
            .any(|one| one.starts_with("--leader-elect"))
        {
            command.arg("--leader-elect=false");
        }
        command
            .args(["--namespaces", namespace, "--http", &address])
            .args([
                "--broker-image",
                BROKER_IMAGE,
                "--broker-pull-policy",
                "Never",
            ])
            .args(["--log-level", "info,causeway_operator=debug"])
            .args(arguments)
            .env("KUBECONFIG", kubeconfig)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let child = cluster.inside(|| command.spawn().context("starting causeway operator"))?;
        Ok(Self {
            cluster,
            child,
            ports,
            folder,
        })
    }

    /// Waits until its stores are filled.
    ///
    /// # Errors
    /// It ends, or is not ready in time.
    pub fn wait_ready(&self) -> Result<()> {
        let ready = wait::until("the operator to be ready", READY, || {
            let answer = self.get("/readyz");
            Ok(answer.ok().filter(|(status, _)| *status == 200))
        });
        ready.map(drop).with_context(|| self.log())
    }

    /// Waits until it has come to the end of reconciles without anything left to do: nothing was written for a while.
    ///
    /// # Errors
    /// It goes on writing, or does not answer.
    pub fn wait_settled(&self) -> Result<f64> {
        let mut last = -1.0;
        let mut since = std::time::Instant::now();
        wait::until("the operator to settle", wait::START, || {
            let (writes, reconciles) = self.counts()?;
            if writes != last {
                last = writes;
                since = std::time::Instant::now();
            }
            let is_quiet = since.elapsed() >= Duration::from_secs(2) && reconciles > 0.0;
            Ok(is_quiet.then_some(writes))
        })
        .with_context(|| self.log())
    }

    fn counts(&self) -> Result<(f64, f64)> {
        let scrape = self.scrape()?;
        Ok((
            scrape.sum("causeway_operator_api_writes_total", &[]),
            scrape.sum("causeway_operator_reconciles_total", &[]),
        ))
    }

    /// How often it has changed something.
    ///
    /// # Errors
    /// It does not answer.
    pub fn writes(&self) -> Result<f64> {
        Ok(self.counts()?.0)
    }

    /// Its metrics.
    ///
    /// # Errors
    /// It does not answer.
    pub fn scrape(&self) -> Result<Scrape> {
        let (status, text) = self.get("/metrics")?;
        ensure!(status == 200, "/metrics answers {status}");
        Scrape::parse(&text)
    }

    fn get(&self, path: &str) -> Result<(u16, String)> {
        self.cluster.inside(|| http::fetch(self.ports.base(), path))
    }

    /// Bytes that it has in memory.
    ///
    /// # Errors
    /// It has ended.
    pub fn resident(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let text = std::fs::read_to_string(path)?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes: u64 = line
            .and_then(|rest| rest.split_whitespace().next())
            .context("no VmRSS")?
            .parse()?;
        Ok(kilobytes * 1024)
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        let path = self.folder.path().join("operator.log");
        std::fs::read_to_string(path).unwrap_or_default()
    }

    /// Stops it as a cluster would, and checks that it ends well.
    ///
    /// # Errors
    /// It ends otherwise.
    pub fn stop(mut self) -> Result<()> {
        process::signal(self.child.id().try_into()?, Signal::TERM)?;
        let status = process::wait(&mut self.child, READY)?.context("it does not end")?;
        ensure!(status.success(), "it ends with {status}\n{}", self.log());
        Ok(())
    }

    /// Waits until it ends by itself, and tells how and what it said.
    ///
    /// # Errors
    /// It goes on.
    pub fn wait_end(mut self) -> Result<(ExitStatus, String)> {
        let status = process::wait(&mut self.child, READY)?;
        let status = status
            .context("it does not end")
            .with_context(|| self.log())?;
        Ok((status, self.log()))
    }

    /// Whether it acts.
    ///
    /// # Errors
    /// It does not answer.
    pub fn leads(&self) -> Result<bool> {
        Ok(self.scrape()?.sum("causeway_operator_leader", &[]) == 1.0)
    }

    /// Kills it at once.
    pub fn kill(mut self) {
        process::end(&mut self.child);
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// It has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        process::signal(self.child.id().try_into()?, signal)
    }
}

impl Drop for Operator<'_> {
    fn drop(&mut self) {
        process::end(&mut self.child);
    }
}
