//! A second process of a site that `causeway up` runs: what a pod is that starts beside the one that serves.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::network::Network;
use crate::ports::Block;
use crate::{http, process, wait};

/// A process of a site; ends when dropped.
#[derive(Debug)]
pub struct NextProcess {
    child: Child,
    log: PathBuf,
    base_port: u16,
    /// Where it has ports of its own; those of the network otherwise.
    _ports: Option<Block>,
}

impl NextProcess {
    /// Gives the older process an admin token, which those of one machine do not have.
    ///
    /// # Errors
    /// Its files are not there, or it does not take them.
    pub fn prepare(network: &Network, site: &str) -> Result<()> {
        give_token(network, site, &config_of(network.folder(), site)?)
    }

    /// Starts one with the files of the site, other ports, and the older process as the one to take over from.
    /// `edit` is given the text of each file.
    ///
    /// # Errors
    /// The files are not there, or the broker was not built.
    pub fn start(
        network: &Network,
        site: &str,
        edit: impl Fn(&str, String) -> String,
    ) -> Result<Self> {
        Self::start_at(network.spare_port(), network, site, edit)
    }

    /// Another one at the same time.
    ///
    /// # Errors
    /// The files are not there, or the broker was not built.
    pub fn start_beside(network: &Network, site: &str) -> Result<Self> {
        let ports = Block::take(1)?;
        let mut next = Self::start_at(ports.base(), network, site, |_, text| text)?;
        next._ports = Some(ports);
        Ok(next)
    }

    fn start_at(
        base_port: u16,
        network: &Network,
        site: &str,
        edit: impl Fn(&str, String) -> String,
    ) -> Result<Self> {
        let older = network.port_of(site, "link")?;
        let folder = network.folder().join(format!("next-{site}-{base_port}"));
        let state = folder.join("data");
        fs::create_dir_all(&state)?;
        let config = folder.join("config");
        let own = config_of(network.folder(), site)?;
        Self::prepare(network, site)?;
        copy(&own, &config)?;
        for name in ["broker.yaml", "secrets.yaml"] {
            let path = config.join(name);
            let mut text = fs::read_to_string(&path)?;
            if name == "broker.yaml" {
                text = moved(&text, base_port, &state)?;
                text.push_str(&format!("handover: {{host: 127.0.0.1, port: {older}}}\n"));
            }
            fs::write(&path, edit(name, text))?;
        }
        let log = folder.join("broker.log");
        let output = File::options().create(true).append(true).open(&log)?;
        let child = Command::new(process::causeway()?.with_file_name("causeway-broker"))
            .arg("--config")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .context("starting causeway-broker")?;
        Ok(Self {
            child,
            log,
            base_port,
            _ports: None,
        })
    }

    /// Waits until it serves.
    ///
    /// # Errors
    /// It does not in time.
    pub fn wait_ready(&self) -> Result<()> {
        wait::until("the next process to be ready", wait::PATIENCE, || {
            Ok((self.page("/readyz") == Some(200)).then_some(()))
        })
        .with_context(|| self.log())
    }

    /// What its admin page answers, if it does.
    #[must_use]
    pub fn page(&self, path: &str) -> Option<u16> {
        let answer = http::fetch(self.base_port + ADMIN, path).ok()?;
        Some(answer.0)
    }

    /// The port of its STOMP listener.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.base_port + STOMP
    }

    /// What it logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        process::end(&mut self.child);
    }
}

impl Drop for NextProcess {
    fn drop(&mut self) {
        process::end(&mut self.child);
    }
}

const ADMIN: u16 = 1;
const STOMP: u16 = 3;
const LINK: u16 = 8;

/// Where `up` keeps the files of a site.
fn config_of(folder: &Path, site: &str) -> Result<PathBuf> {
    let mut found = vec![folder.join("state")];
    while let Some(folder) = found.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let is_wanted = path.ends_with(format!("{site}/config"));
            if is_wanted {
                return Ok(path);
            }
            if path.is_dir() && !path.is_symlink() {
                found.push(path);
            }
        }
    }
    anyhow::bail!("no files of {site} below {}", folder.display())
}

/// A broker of one machine has no admin token of its own accord.
fn give_token(network: &Network, site: &str, config: &Path) -> Result<()> {
    let path = config.join("secrets.yaml");
    let text = fs::read_to_string(&path)?;
    if text.contains("admin_token:") {
        return Ok(());
    }
    let applied = || -> Result<Value> { Ok(network.status(site)?["config"]["applied"].clone()) };
    let before = applied()?;
    fs::write(&path, format!("{text}admin_token: token-of-a-test\n"))?;
    wait::until("the token to be in force", wait::PATIENCE, || {
        Ok((applied()? != before).then_some(()))
    })
}

/// Files and folders as whoever reads them sees them.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
        if name.to_string_lossy().starts_with("..") {
            continue;
        }
        match path.is_dir() {
            true => copy(&path, &to.join(name))?,
            false => {
                fs::copy(&path, to.join(name))?;
            }
        }
    }
    Ok(())
}

/// `broker.yaml` with the ports of another place and a state folder of its own.
fn moved(text: &str, base_port: u16, state: &Path) -> Result<String> {
    let mut listener = "";
    let mut changed = 0;
    let mut lines = Vec::new();
    for line in text.lines() {
        let key = line.trim_end_matches(':');
        let offset = match listener {
            "  stomp" => Some(STOMP),
            "  link" => Some(LINK),
            "  admin" => Some(ADMIN),
            _ => None,
        };
        if line.starts_with("    port:")
            && let Some(offset) = offset
        {
            changed += 1;
            lines.push(format!("    port: {}", base_port + offset));
            continue;
        }
        if line.starts_with("state_dir:") {
            lines.push(format!("state_dir: {}", state.display()));
            continue;
        }
        if line.ends_with(':') && !line.starts_with("    ") {
            listener = key;
        }
        lines.push(line.to_owned());
    }
    ensure!(
        changed == 3,
        "three listeners were to be moved, not {changed}: {text}"
    );
    Ok(lines.join("\n") + "\n")
}
