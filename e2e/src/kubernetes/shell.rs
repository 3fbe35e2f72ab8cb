//! Command lines as a user types them: `helm`, `kubectl` and `causeway` are in the path and mean this cluster.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::cluster::Cluster;
use super::tools::{Helm, helm};
use crate::process::{self, Finished, run};

/// `helm test` and `kubectl wait` take their time.
const PATIENCE: Duration = Duration::from_secs(240);

impl Cluster {
    /// Runs a command line in a folder. Without a namespace of its own it is about this one.
    ///
    /// # Errors
    /// A program is missing, or the command does not end in time.
    pub fn try_shell(&self, folder: &Path, namespace: &str, command: &str) -> Result<Finished> {
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-euc", command])
            .current_dir(folder)
            .env("KUBECONFIG", self.kubeconfig_in(namespace)?)
            .env("PATH", self.path()?);
        for (name, folder) in [
            ("HELM_CACHE_HOME", "helm/cache"),
            ("HELM_CONFIG_HOME", "helm/config"),
            ("HELM_DATA_HOME", "helm/data"),
        ] {
            shell.env(name, self.folder().join(folder));
        }
        self.inside(|| run(&mut shell, PATIENCE))
    }

    /// The same, of a command that is to succeed; returns what it prints.
    ///
    /// # Errors
    /// It ends with another exit code than 0.
    pub fn shell(&self, folder: &Path, namespace: &str, command: &str) -> Result<String> {
        let finished = self.try_shell(folder, namespace, command)?;
        Ok(finished.success(command)?.stdout)
    }

    fn path(&self) -> Result<OsString> {
        let folder = |program: &Path| -> Result<PathBuf> {
            let folder = program.parent().context("a program is in a folder")?;
            Ok(folder.to_owned())
        };
        let own = [
            folder(&helm(Helm::Four)?)?,
            folder(&self.kubectl)?,
            folder(&process::causeway()?)?,
        ];
        let inherited = std::env::var_os("PATH").unwrap_or_default();
        let all = own.into_iter().chain(std::env::split_paths(&inherited));
        Ok(std::env::join_paths(all)?)
    }
}
