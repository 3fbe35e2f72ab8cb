//! Programs beside those of Kubernetes: Helm, built from its Go modules once, `kubectl`, `promtool`.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::parts::{Parts, cache};
use super::stages::{say, seconds};
use crate::process::{need, run};

/// Minutes on two free cores.
const BUILD: Duration = Duration::from_secs(3600);

/// A Helm that the charts are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Helm {
    /// Of the line that many run still.
    Three,
    /// The current one.
    Four,
}

impl Helm {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Three, Self::Four];

    const fn module(self) -> (&'static str, &'static str) {
        match self {
            Self::Three => ("helm.sh/helm/v3/cmd/helm", "v3.22.0"),
            Self::Four => ("helm.sh/helm/v4/cmd/helm", "v4.3.1"),
        }
    }

    /// What its own releases are linked with: without it Helm 3 takes every cluster that it does not ask for Kubernetes 1.20.
    fn flags(self) -> String {
        let packages: &[&str] = match self {
            Self::Three => &["pkg/lint/rules", "pkg/chartutil"],
            Self::Four => &[],
        };
        let version = packages.iter().flat_map(|package| {
            let name = format!("-X helm.sh/helm/v3/{package}.k8sVersion");
            [format!("{name}Major=1"), format!("{name}Minor=37")]
        });
        let all: Vec<String> = ["-s", "-w"]
            .map(str::to_owned)
            .into_iter()
            .chain(version)
            .collect();
        all.join(" ")
    }
}

/// That Helm, built when nobody has yet.
///
/// # Errors
/// Go is missing, or the build fails.
pub fn helm(version: Helm) -> Result<PathBuf> {
    let (module, number) = version.module();
    let folder = cache()?.join(format!("helm-{number}"));
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    // Whoever comes second waits for the first one's build.
    let lock = File::create(folder.join("lock"))?;
    lock.lock().context("waiting for another build")?;
    let program = folder.join("helm");
    if program.is_file() {
        return Ok(program);
    }
    say(&format!(
        "building Helm {number} into {}: minutes, once",
        folder.display()
    ));
    let started = Instant::now();
    let mut install = Command::new(need(
        "go",
        "apt-get install golang (a version that knows `go 1.26`, or fetches it), or see https://go.dev/doc/install",
    )?);
    install
        .args(["install", "-trimpath", "-ldflags", &version.flags()])
        .arg(format!("{module}@{number}"))
        .current_dir(&folder)
        .env("GOBIN", &folder)
        .env("CGO_ENABLED", "0");
    run(&mut install, BUILD)?.success("go install")?;
    say(&format!(
        "Helm {number} built in {} s",
        seconds(started.elapsed())
    ));
    Ok(program)
}

/// A `kubectl` for what needs no cluster: that of the built Kubernetes, or the installed one where
/// `KUBECONFIG` says that none is to be built.
///
/// # Errors
/// It is missing, or cannot be built.
pub fn kubectl() -> Result<PathBuf> {
    if std::env::var_os("KUBECONFIG").is_some() {
        return need("kubectl", "apt-get install kubernetes-client");
    }
    Ok(Parts::ready()?.path("kubectl"))
}

/// `promtool`, which comes with Prometheus. `test.sh` takes it out of the package, for installing that starts a server.
///
/// # Errors
/// It is missing.
pub fn promtool() -> Result<PathBuf> {
    match std::env::var_os("CAUSEWAY_E2E_PROMTOOL") {
        Some(path) => Ok(PathBuf::from(path)),
        None => need("promtool", "./test.sh, or: apt-get install prometheus"),
    }
}
