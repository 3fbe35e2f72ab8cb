//! Memory that runs out around a container: the kernel ends the process that it finds worst, which came near no limit of its
//! own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::cluster::Cluster;
use super::remains;
use crate::process::{need, run};

/// Takes memory in the group until a process has ended.
const HOG: &str = r#"
import os, sys
victim, group = sys.argv[1:]
with open(f"{group}/cgroup.procs", "w") as procs:
    procs.write(str(os.getpid()))
# Memory of a file in memory counts for the group, and makes no process the worst.
held, step, taken = os.memfd_create("hog"), b"x" * (1 << 17), 0
while os.path.exists(f"/proc/{victim}/exe") and taken < 65536:
    os.write(held, step)
    taken += 1
sys.exit(os.path.exists(f"/proc/{victim}/exe"))
"#;

/// Bytes that are free before: what the kubelet says of a pod weighs as much as all memory, so there has to be some.
const ROOM: u64 = 32 << 20;

/// Thousands of pages: the kernel weighs by whole ones.
const WHOLE: u64 = 1000 * 4096;

/// A node's cache is given up within seconds.
const PATIENCE: Duration = Duration::from_secs(60);

impl Cluster {
    /// Lets the memory run out where a pod is, until the kernel has ended its broker.
    ///
    /// # Errors
    /// The pod runs no broker, or nothing ends it.
    pub fn run_out_of_memory(&self, pod_uid: &str) -> Result<()> {
        let victim = broker_of(pod_uid)?;
        let group = Group::of(&remains::name(self.folder()), pod_uid)?;
        let inner = group.path.join("hog");
        fs::create_dir_all(&inner)?;
        let limit = (group.used()? + ROOM).next_multiple_of(WHOLE);
        group.limit(&limit.to_string())?;
        let mut hog = Command::new(need("python3", "apt-get install python3")?);
        hog.args(["-c", HOG, &victim.to_string()]).arg(&inner);
        let ended = run(&mut hog, PATIENCE);
        group.limit(group.unlimited)?;
        let _ = fs::remove_dir(&inner);
        // Whoever takes the memory may be ended next, before it sees that the broker was.
        let ended = ended?.output();
        let is_there = Path::new(&format!("/proc/{victim}/exe")).exists();
        ensure!(
            !is_there,
            "the broker outlived all memory of its node: {ended}"
        );
        Ok(())
    }
}

/// The control group of a pod.
struct Group {
    path: PathBuf,
    limit: &'static str,
    used: &'static str,
    unlimited: &'static str,
}

impl Group {
    fn of(node: &str, pod_uid: &str) -> Result<Self> {
        let nodes = remains::control_groups(node).into_iter();
        let mut groups = nodes.filter_map(|node| below(&node, &format!("pod{pod_uid}")));
        let versions = [
            ("memory.max", "memory.current", "max"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "-1"),
        ];
        groups
            .find_map(|path| {
                let (limit, used, unlimited) = versions
                    .into_iter()
                    .find(|(limit, ..)| path.join(limit).exists())?;
                Some(Self {
                    path,
                    limit,
                    used,
                    unlimited,
                })
            })
            .context("no control group limits the memory of a pod here")
    }

    fn used(&self) -> Result<u64> {
        let text = fs::read_to_string(self.path.join(self.used))?;
        Ok(text.trim().parse()?)
    }

    fn limit(&self, bytes: &str) -> Result<()> {
        let path = self.path.join(self.limit);
        fs::write(&path, bytes).with_context(|| format!("{bytes} to {}", path.display()))
    }
}

/// The folder of that name, however deep.
fn below(folder: &Path, name: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?.flatten();
    let folders: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    let found = folders.iter().find(|path| path.ends_with(name)).cloned();
    found.or_else(|| folders.iter().find_map(|folder| below(folder, name)))
}

/// The process of a pod's broker.
fn broker_of(pod_uid: &str) -> Result<u32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        if is_broker(&entry.path(), pod_uid) {
            found.push(pid);
        }
    }
    ensure!(found.len() == 1, "pod {pod_uid} runs the brokers {found:?}");
    Ok(found[0])
}

fn is_broker(process: &Path, pod_uid: &str) -> bool {
    let text = |name: &str| fs::read_to_string(process.join(name)).unwrap_or_default();
    let group = format!("pod{pod_uid}/");
    text("comm").trim() == "causeway-broker" && text("cgroup").contains(&group)
}
