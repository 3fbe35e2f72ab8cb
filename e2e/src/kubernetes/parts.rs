//! The programs of Kubernetes: those of `KUBEBUILDER_ASSETS`, else built from `e2e/kubernetes/`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use super::stages::{say, seconds};
use crate::process::{need, run};

/// Where the Go program is.
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/kubernetes");

/// What the program's `go.mod` asks for.
const VERSION: &str = "v1.37.2";

/// Names that the program answers to.
const NAMES: [&str; 7] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubectl",
    "kubelet",
];

/// Six minutes on two free cores; twenty were seen on busy ones.
const BUILD: Duration = Duration::from_secs(3600);

/// The folders to look in.
#[derive(Debug)]
pub(super) struct Parts {
    assets: Option<PathBuf>,
    built: PathBuf,
}

impl Parts {
    /// Finds the parts, and builds them when nobody has yet.
    pub(super) fn ready() -> Result<Self> {
        let assets = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
        let built = cache()?.join(key()?);
        std::fs::create_dir_all(&built).with_context(|| built.display().to_string())?;
        // Whoever comes second waits for the first one's build.
        let lock = File::create(built.join("lock"))?;
        lock.lock().context("waiting for another build")?;
        if !built.join("complete").exists() {
            build(&built)?;
            File::create(built.join("complete"))?;
        }
        Ok(Self { assets, built })
    }

    /// The program of that name.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        let asset = self.assets.as_ref().map(|folder| folder.join(name));
        asset
            .filter(|path| path.is_file())
            .unwrap_or_else(|| self.built.join(name))
    }
}

/// What is worth keeping from one run of the tests to the next.
pub(super) fn cache() -> Result<PathBuf> {
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"));
    let folder = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(home)
        .context("neither XDG_CACHE_HOME nor HOME is set")?;
    Ok(folder.join("causeway/kubernetes"))
}

/// Changes with everything that the programs are made of.
fn key() -> Result<String> {
    let mut hash = Sha256::new();
    for file in ["go.sum", "main.go", "pause/main.go"] {
        let path = Path::new(SOURCE).join(file);
        hash.update(std::fs::read(&path).with_context(|| path.display().to_string())?);
    }
    let digest = hash.finalize();
    Ok(digest[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

fn build(folder: &Path) -> Result<()> {
    say(&format!(
        "building Kubernetes {VERSION} into {}: 6 minutes on two free cores, once",
        folder.display()
    ));
    let started = Instant::now();
    let version = "k8s.io/component-base/version";
    let flags = format!(
        "-s -w -X {version}.gitVersion={VERSION} -X {version}.gitMajor=1 -X {version}.gitMinor=37"
    );
    go(&flags, &folder.join("kubernetes"), ".")?;
    go("-s -w", &folder.join("pause"), "./pause")?;
    for name in NAMES {
        std::fs::hard_link(folder.join("kubernetes"), folder.join(name))
            .or_else(|error| match error.kind() {
                std::io::ErrorKind::AlreadyExists => Ok(()),
                _ => Err(error),
            })
            .with_context(|| format!("naming {name}"))?;
    }
    say(&format!("built in {} s", seconds(started.elapsed())));
    Ok(())
}

fn go(flags: &str, output: &Path, package: &str) -> Result<()> {
    let go = need(
        "go",
        "apt-get install golang (a version that knows `go 1.26`, or fetches it), or see https://go.dev/doc/install",
    )?;
    let mut command = Command::new(go);
    command
        .args(["build", "-trimpath", "-ldflags", flags, "-o"])
        .arg(output)
        .arg(package)
        .current_dir(SOURCE)
        .env("CGO_ENABLED", "0");
    run(&mut command, BUILD)?.success("go build")?;
    Ok(())
}
