//! A single broker from a directory written by hand: the peer that does not belong.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::metrics::Scrape;
use crate::{http, process, wait};

/// Who the broker claims to be, and whom it dials.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// Name of its network.
    pub network: &'a str,
    /// Name of its site.
    pub site: &'a str,
    /// The site it dials.
    pub peer: &'a str,
    /// Name of the link it dials.
    pub link: &'a str,
    /// Password of that link.
    pub password: &'a str,
    /// Where the peer accepts links.
    pub peer_port: u16,
    /// First of ten free ports.
    pub base_port: u16,
}

/// A running broker; ends when dropped.
#[derive(Debug)]
pub struct Stranger {
    child: Child,
    log: PathBuf,
    admin: u16,
}

impl Stranger {
    /// Writes the directory below a folder and starts the broker.
    ///
    /// # Errors
    /// It was not built, or does not get ready.
    pub fn start(folder: &Path, claim: &Claim<'_>) -> Result<Self> {
        let program = process::causeway()?.with_file_name("causeway-broker");
        ensure!(
            program.exists(),
            "{} is missing; make it with: cargo build -p causeway-broker",
            program.display()
        );
        let folder = folder.join(format!("stranger-{}-{}", claim.network, claim.site));
        std::fs::create_dir_all(folder.join("data"))?;
        std::fs::write(folder.join("broker.yaml"), broker_file(&folder, claim))?;
        std::fs::write(folder.join("users.yaml"), "format: 1\nusers: []\n")?;
        let Claim { link, password, .. } = claim;
        std::fs::write(
            folder.join("secrets.yaml"),
            format!("format: 1\nlinks:\n  {link}: {{current: \"{password}\"}}\n"),
        )?;
        let log = folder.join("broker.log");
        let output = File::create(&log)?;
        let child = Command::new(program)
            .arg("--config")
            .arg(&folder)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .context("starting causeway-broker")?;
        let stranger = Self {
            child,
            log,
            admin: claim.base_port + 1,
        };
        wait::until("the stranger to be ready", wait::PATIENCE, || {
            let answer = http::fetch(stranger.admin, "/readyz");
            Ok(answer.is_ok_and(|(status, _)| status == 200).then_some(()))
        })
        .with_context(|| stranger.log())?;
        Ok(stranger)
    }

    /// What it logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Its metrics.
    ///
    /// # Errors
    /// It does not answer.
    pub fn scrape(&self) -> Result<Scrape> {
        Scrape::parse(&http::fetch(self.admin, "/metrics")?.1)
    }

    /// Its `/status`.
    ///
    /// # Errors
    /// It does not answer with JSON.
    pub fn status(&self) -> Result<Value> {
        Ok(serde_json::from_str(
            &http::fetch(self.admin, "/status")?.1,
        )?)
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        process::end(&mut self.child);
    }
}

fn broker_file(folder: &Path, claim: &Claim<'_>) -> String {
    let Claim {
        network,
        site,
        peer,
        link,
        peer_port,
        base_port,
        ..
    } = claim;
    let state = folder.join("data");
    format!(
        "format: 1\n\
         network: {network}\n\
         site: {site}\n\
         instance: 11111111-2222-5333-8444-555555555555\n\
         state_dir: {}\n\
         listeners:\n\
         \x20 stomp: {{bind: 127.0.0.1, port: {}}}\n\
         \x20 link: {{bind: 127.0.0.1, port: {}}}\n\
         \x20 admin: {{bind: 127.0.0.1, port: {}, status: open}}\n\
         sites:\n\
         \x20 - {{name: {site}}}\n\
         \x20 - {{name: {peer}}}\n\
         link_auth: password\n\
         links:\n\
         \x20 - name: {link}\n\
         \x20   peer: {peer}\n\
         \x20   addresses: [{{host: 127.0.0.1, port: {peer_port}}}]\n",
        state.display(),
        base_port + 3,
        base_port + 8,
        base_port + 1,
    )
}
