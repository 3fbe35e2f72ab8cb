//! Ends whatever a cluster started, by what carries the name of its folder: processes, mounts,
//! control groups, the network namespace.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{Pid, Signal, kill_process};

use super::stages::say;
use super::{namespace, traces};

/// Programs that a cluster runs; others that happen to name its folder are left alone.
const OURS: [&str; 9] = [
    "containerd",
    "containerd-shim-runc-v2",
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubelet",
    "runc",
];

/// Killed processes are gone within this.
const PATIENCE: Duration = Duration::from_secs(5);

/// The lock that the owner of a cluster's folder holds.
pub(super) const LOCK: &str = "cluster.lock";

/// The name of a cluster's namespace and control group.
pub(super) fn name(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Clears what clusters left whose tests were killed.
pub(super) fn clear_abandoned() {
    let entries = std::fs::read_dir(std::env::temp_dir());
    for entry in entries.into_iter().flatten().flatten() {
        let folder = entry.path();
        let Ok(lock) = std::fs::File::open(folder.join(LOCK)) else {
            continue;
        };
        if name(&folder).starts_with("causeway-e2e-") && lock.try_lock().is_ok() {
            say(&format!("clearing what is left of {}", folder.display()));
            clear(&folder);
            // What another user left stays.
            let _ = std::fs::remove_dir_all(&folder);
        }
    }
}

/// Ends and removes all of it but the folder's files. Nothing here can be reported: the next start
/// tries again.
pub(super) fn clear(folder: &Path) {
    let groups = control_groups(&name(folder));
    let until = Instant::now() + PATIENCE;
    // Ended processes may have started others meanwhile.
    loop {
        let mut pids = processes(folder);
        pids.extend(groups.iter().flat_map(|group| members(group)));
        if pids.is_empty() || Instant::now() > until {
            break;
        }
        for pid in pids {
            let _ = kill_process(pid, Signal::KILL);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    for point in mounts(folder) {
        let _ = unmount(point, UnmountFlags::DETACH);
    }
    for group in groups {
        remove_group(&group);
    }
    namespace::remove(&name(folder));
    traces::remove(folder);
}

/// Our programs that name the folder in their command line.
fn processes(folder: &Path) -> Vec<Pid> {
    let mark = folder.display().to_string();
    let is_ours = |pid: &Pid| {
        let path = format!("/proc/{}/cmdline", pid.as_raw_nonzero());
        let line = std::fs::read(path).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        let mut arguments = line.split('\0');
        let program = arguments.next().and_then(|path| path.rsplit('/').next());
        program.is_some_and(|program| OURS.contains(&program))
            && arguments.any(|argument| names(argument, &mark))
    };
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| pid(&entry.file_name().to_string_lossy()))
        .filter(is_ours)
        .collect()
}

/// Whether a text names the folder, and not one whose name only starts like it.
fn names(text: &str, folder: &str) -> bool {
    text.split_once(folder)
        .is_some_and(|(_, rest)| rest.is_empty() || rest.starts_with('/'))
}

fn pid(text: &str) -> Option<Pid> {
    text.trim().parse().ok().and_then(Pid::from_raw)
}

/// Mounts below the folder, the innermost first.
fn mounts(folder: &Path) -> Vec<PathBuf> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut points: Vec<PathBuf> = table
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(PathBuf::from)
        .filter(|point| point.starts_with(folder))
        .collect();
    points.reverse();
    points
}

/// The group of that name in every hierarchy: one with version 2, several with version 1.
pub(super) fn control_groups(name: &str) -> Vec<PathBuf> {
    let mut groups: Vec<PathBuf> = hierarchies()
        .into_iter()
        .map(|root| root.join(name))
        .collect();
    groups.retain(|group| group.is_dir());
    groups
}

/// Where groups can be made.
pub(super) fn hierarchies() -> Vec<PathBuf> {
    let root = PathBuf::from("/sys/fs/cgroup");
    if root.join("cgroup.procs").exists() {
        return vec![root];
    }
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    folders.retain(|folder| folder.join("cgroup.procs").exists());
    folders
}

/// Processes of a group and of those below it.
fn members(group: &Path) -> Vec<Pid> {
    let text = std::fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    let mut pids: Vec<Pid> = text.lines().filter_map(pid).collect();
    pids.extend(children(group).iter().flat_map(|child| members(child)));
    pids
}

fn remove_group(group: &Path) {
    children(group).iter().for_each(|child| remove_group(child));
    let _ = std::fs::remove_dir(group);
}

fn children(group: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(group).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    folders.retain(|path| path.is_dir());
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_told_from_one_that_starts_like_it() {
        assert!(names("--config=/tmp/e2e-1-1/kubelet", "/tmp/e2e-1-1"));
        assert!(names("/tmp/e2e-1-1", "/tmp/e2e-1-1"));
        assert!(!names("--config=/tmp/e2e-1-10/kubelet", "/tmp/e2e-1-1"));
    }
}
