//! Whether the ports of a site's listeners are free, and who has those that are not.

use std::fs;
use std::net::TcpListener;

use super::plan::{LOOPBACK, SitePlan};

/// A port cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// Somebody listens there.
    #[error(
        "port {port} of {LOOPBACK}, for the listener {listener} of site {site}, is taken by {holder}: stop that, or choose other ports with --base-port"
    )]
    Taken {
        /// The port.
        port: u16,
        /// The listener.
        listener: &'static str,
        /// The site.
        site: String,
        /// Who has it.
        holder: Holder,
    },
    /// The system does not let us have it.
    #[error(
        "port {port} of {LOOPBACK}, for the listener {listener} of site {site}, cannot be used ({cause}): choose other ports with --base-port"
    )]
    Unusable {
        /// The port.
        port: u16,
        /// The listener.
        listener: &'static str,
        /// The site.
        site: String,
        /// What the system says.
        cause: std::io::Error,
    },
}

/// Who listens on a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// A process that can be seen.
    Process {
        /// Its number.
        pid: u32,
        /// Its command line, shortened.
        command: String,
    },
    /// One that cannot: it is somebody else's, or it has just gone.
    Hidden,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Process { pid, command } => write!(formatter, "process {pid} ({command})"),
            Self::Hidden => formatter.write_str("a process that cannot be seen from here"),
        }
    }
}

/// Checks that the ports of a site's listeners are free.
///
/// # Errors
/// One is not: which, and who has it.
pub fn check(site: &SitePlan) -> Result<(), PortError> {
    for (kind, port) in &site.ports {
        let Err(cause) = TcpListener::bind((LOOPBACK, *port)) else {
            continue;
        };
        let (port, listener, site) = (*port, kind.field(), site.name.clone());
        return Err(match cause.kind() {
            std::io::ErrorKind::AddrInUse => PortError::Taken {
                port,
                listener,
                site,
                holder: holder(port),
            },
            _ => PortError::Unusable {
                port,
                listener,
                site,
                cause,
            },
        });
    }
    Ok(())
}

/// Who listens on a port of this machine, as far as `/proc` tells.
#[must_use]
pub fn holder(port: u16) -> Holder {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let sockets: Vec<String> = tables
        .into_iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|text| listening(&text, port))
        .collect();
    let Some(pid) = owner(&sockets) else {
        return Holder::Hidden;
    };
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    Holder::Process {
        pid,
        command: shown(&command),
    }
}

/// State of a socket that listens, as the kernel writes it.
const LISTEN: &str = "0A";
/// Letters of a command line that are shown.
const MAX_COMMAND: usize = 100;

/// The links by which processes hold the sockets that listen on a port.
fn listening(table: &str, port: u16) -> Vec<String> {
    let wanted = format!("{port:04X}");
    let link = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (_, local) = fields.get(1)?.rsplit_once(':')?;
        let is_it = local == wanted && *fields.get(3)? == LISTEN;
        is_it.then(|| fields.get(9).map(|inode| format!("socket:[{inode}]")))?
    };
    table.lines().filter_map(link).collect()
}

/// The first process that has one of these sockets open.
fn owner(sockets: &[String]) -> Option<u32> {
    if sockets.is_empty() {
        return None;
    }
    let has_one = |pid: &u32| {
        let Ok(open) = fs::read_dir(format!("/proc/{pid}/fd")) else {
            return false;
        };
        open.filter_map(Result::ok)
            .filter_map(|entry| fs::read_link(entry.path()).ok())
            .any(|target| {
                sockets
                    .iter()
                    .any(|socket| target.as_os_str() == socket.as_str())
            })
    };
    let processes = fs::read_dir("/proc").ok()?.filter_map(Result::ok);
    let mut pids: Vec<u32> = processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    pids.into_iter().find(has_one)
}

/// A command line as `/proc` has it, for people.
fn shown(command: &[u8]) -> String {
    let text = String::from_utf8_lossy(command);
    let text = text.trim_end_matches('\0').replace(['\0', '\n'], " ");
    match text.char_indices().nth(MAX_COMMAND) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::ListenerKind;

    #[test]
    fn a_taken_port_names_the_process_that_has_it() {
        let listener = TcpListener::bind((LOOPBACK, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let mut site = SitePlan {
            name: "ie".to_owned(),
            labels: BTreeMap::new(),
            is_running: true,
            ports: BTreeMap::from([(ListenerKind::Stomp, port)]),
            files: BTreeMap::new(),
            hash: String::new(),
        };
        let text = check(&site).expect_err("taken").to_string();
        let command = std::env::current_exe().expect("a path");
        let name = command.file_name().expect("a name").to_string_lossy();
        let start = format!(
            "port {port} of 127.0.0.1, for the listener stomp of site ie, is taken by process {} (",
            std::process::id()
        );
        assert!(text.starts_with(&start), "{text}");
        assert!(text.contains(name.as_ref()), "{text}");
        drop(listener);
        assert!(check(&site).is_ok());
        site.ports.clear();
        assert!(check(&site).is_ok());
    }

    #[test]
    fn only_sockets_that_listen_on_the_port_count() {
        let table = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:F0AD 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1
   1: 0100007F:F0AD 0100007F:9999 01 00000000:00000000 00:00000000 00000000  1000        0 4712 1
   2: 0100007F:F0AE 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4713 1
";
        assert_eq!(listening(table, 0xF0AD), ["socket:[4711]"]);
        assert!(listening(table, 1).is_empty());
    }

    #[test]
    fn long_command_lines_are_shortened() {
        assert_eq!(shown(b"causeway\0up\0a.yaml\0"), "causeway up a.yaml");
        assert_eq!(shown(&[b'x'; 200]).chars().count(), MAX_COMMAND + 1);
    }
}
