//! Which connections the pods of a namespace have, as their own kernel tells: nobody has to remember what was made.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context, Result};
use serde_json::Value;

use super::cluster::Cluster;
use super::node::ctr;

/// State of a socket that waits for connections.
const LISTEN: &str = "0A";

/// A TCP connection that a pod has, or had within the last minute.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Connection {
    /// Name of the pod.
    pub pod: String,
    /// Whether somebody else opened it.
    pub is_accepted: bool,
    /// The address of the other end.
    pub other: Ipv4Addr,
    /// The port that was asked for: of the pod where it accepted, else of the other end.
    pub port: u16,
}

impl Cluster {
    /// The TCP connections of all pods of a namespace that run.
    ///
    /// # Errors
    /// The cluster has no node of ours.
    pub fn connections(&self, namespace: &str) -> Result<BTreeSet<Connection>> {
        let processes = self.processes()?;
        let pods = self.json(&["get", "pods", "--namespace", namespace])?;
        let mut found = BTreeSet::new();
        for pod in pods["items"].as_array().into_iter().flatten() {
            let name = pod["metadata"]["name"].as_str().context("no name")?;
            let Some(process) = container(pod).and_then(|id| processes.get(id)) else {
                continue;
            };
            let mut table = String::new();
            for file in ["tcp", "tcp6"] {
                // A pod may end meanwhile.
                let path = format!("/proc/{process}/net/{file}");
                table.push_str(&std::fs::read_to_string(path).unwrap_or_default());
            }
            found.extend(connections(name, &table));
        }
        Ok(found)
    }

    /// The processes of containers by the containers' ids.
    fn processes(&self) -> Result<BTreeMap<String, String>> {
        let tasks = ctr(self.folder(), &["tasks", "ls"])?;
        let words = |line: &str| {
            let mut words = line.split_whitespace().map(str::to_owned);
            Some((words.next()?, words.next()?))
        };
        Ok(tasks.lines().skip(1).filter_map(words).collect())
    }
}

fn container(pod: &Value) -> Option<&str> {
    let id = pod["status"]["containerStatuses"][0]["containerID"].as_str()?;
    id.strip_prefix("containerd://")
}

/// Reads tables of `/proc/net`.
fn connections(pod: &str, table: &str) -> BTreeSet<Connection> {
    let sockets: Vec<_> = table.lines().filter_map(socket).collect();
    let open = sockets.iter().filter(|socket| socket.state == LISTEN);
    let open: BTreeSet<u16> = open.map(|socket| socket.own).collect();
    let others = sockets.iter().filter(|socket| socket.state != LISTEN);
    let others = others.filter(|socket| !socket.other.is_loopback());
    others
        .map(|socket| Connection {
            pod: pod.to_owned(),
            is_accepted: open.contains(&socket.own),
            other: socket.other,
            port: match open.contains(&socket.own) {
                true => socket.own,
                false => socket.port,
            },
        })
        .collect()
}

struct Socket<'a> {
    own: u16,
    other: Ipv4Addr,
    port: u16,
    state: &'a str,
}

fn socket(line: &str) -> Option<Socket<'_>> {
    let mut words = line.split_whitespace().skip(1);
    let (_, own) = end(words.next()?)?;
    let (other, port) = end(words.next()?)?;
    let state = words.next()?;
    Some(Socket {
        own,
        other,
        port,
        state,
    })
}

/// An address and port of the table: words of four bytes in the order of the machine.
fn end(text: &str) -> Option<(Ipv4Addr, u16)> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words = address.as_bytes().chunks(8);
    let words = words.map(|word| u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok());
    let bytes: Vec<u8> = words
        .collect::<Option<Vec<u32>>>()?
        .into_iter()
        .flat_map(u32::to_ne_bytes)
        .collect();
    let address = match bytes.len() {
        4 => Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?),
        _ => match IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)).to_canonical() {
            IpAddr::V4(address) => address,
            IpAddr::V6(address) if address.is_unspecified() => Ipv4Addr::UNSPECIFIED,
            IpAddr::V6(_) => return None,
        },
    };
    Some((address, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue\n\
        0: 0100007F:1F90 00000000:0000 0A 00000000:00000000\n\
        1: 0200D20A:A1B2 0100C80A:1928 01 00000000:00000000\n\
        2: 0100007F:1F90 0100007F:A1B3 01 00000000:00000000\n\
        0: 00000000000000000000000000000000:F0AD 00000000000000000000000000000000:0000 0A 0:0\n\
        1: 0000000000000000FFFF00000200D20A:F0AD 0000000000000000FFFF00000300D20A:9C40 06 0:0\n";

    #[test]
    fn who_opened_a_connection_is_told_by_the_ports_that_are_open() {
        let all: Vec<_> = connections("a", TABLE).into_iter().collect();
        let pod = || "a".to_owned();
        assert_eq!(
            all,
            [
                Connection {
                    pod: pod(),
                    is_accepted: false,
                    other: Ipv4Addr::new(10, 200, 0, 1),
                    port: 6440,
                },
                Connection {
                    pod: pod(),
                    is_accepted: true,
                    other: Ipv4Addr::new(10, 210, 0, 3),
                    port: 61613,
                },
            ]
        );
    }
}
