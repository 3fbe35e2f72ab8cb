//! What containerd and the kubelet write outside the cluster's folder, where no setting moves it.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// Links to the logs of containers.
const CONTAINER_LOGS: &str = "/var/log/containers";

/// Answers of the network plugins.
const NETWORK_RESULTS: &str = "/var/lib/cni/results";

/// Where the kubelet listens for device plugins.
const DEVICE_PLUGINS: &str = "/var/lib/kubelet/device-plugins";

/// containerd's folder of running containers, each with the socket of the process that holds it.
const TASKS: &str = "containerd/state/io.containerd.runtime.v2.task/k8s.io";

/// Removes all of that, once nothing of the cluster runs any more. What cannot be removed is no
/// harm to anybody.
pub(super) fn remove(folder: &Path) {
    for task in entries(&folder.join(TASKS)) {
        if let Ok(address) = std::fs::read_to_string(task.join("address")) {
            let _ = std::fs::remove_file(address.trim_start_matches("unix://"));
        }
        let id = file_name(&task);
        let results = entries(Path::new(NETWORK_RESULTS));
        for result in results.filter(|path| file_name(path).contains(&id)) {
            let _ = std::fs::remove_file(result);
        }
    }
    for link in entries(Path::new(CONTAINER_LOGS)) {
        if std::fs::read_link(&link).is_ok_and(|target| target.starts_with(folder)) {
            let _ = std::fs::remove_file(link);
        }
    }
    let socket = Path::new(DEVICE_PLUGINS).join("kubelet.sock");
    // Another kubelet may live on this machine.
    if UnixStream::connect(&socket).is_err() {
        let _ = std::fs::remove_file(socket);
        // Only what is empty can be removed like this.
        let _ = std::fs::remove_dir(DEVICE_PLUGINS);
        let _ = std::fs::remove_dir("/var/lib/kubelet");
    }
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let all = std::fs::read_dir(folder).into_iter().flatten().flatten();
    all.map(|entry| entry.path())
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
