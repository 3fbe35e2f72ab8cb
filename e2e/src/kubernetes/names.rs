//! The cluster's DNS: names of Services and of the pods behind headless ones, and names that a test
//! declares.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use serde_json::Value;

use super::access::Access;
use super::dns;
use super::follower::{Follower, Objects};

/// What the names of all Services end with.
const ZONE: &str = ".svc.cluster.local";

/// The label of an EndpointSlice that says whose it is.
const OWNER: &str = "kubernetes.io/service-name";

/// What is known.
#[derive(Debug, Default)]
struct Table {
    is_over: bool,
    declared: BTreeMap<String, Ipv4Addr>,
    /// Address by `NAMESPACE/NAME`; headless Services have none.
    services: BTreeMap<String, Option<Ipv4Addr>>,
    /// Ready addresses behind a Service, each with its host name.
    endpoints: BTreeMap<String, Vec<(String, Ipv4Addr)>>,
}

/// Answers until it is dropped.
#[derive(Debug)]
pub(super) struct Names {
    table: Arc<Mutex<Table>>,
    socket: Arc<UdpSocket>,
    thread: Option<JoinHandle<()>>,
    _followers: [Follower; 2],
}

impl Names {
    /// Serves at this address, in the network namespace of the caller.
    pub(super) fn serve(address: Ipv4Addr, access: &Access) -> Result<Self> {
        let socket = UdpSocket::bind((address, 53));
        let socket = Arc::new(socket.with_context(|| format!("DNS at {address}"))?);
        let table = Arc::new(Mutex::new(Table::default()));
        let thread = {
            let (socket, table) = (Arc::clone(&socket), Arc::clone(&table));
            std::thread::spawn(move || answer_all(&socket, &table))
        };
        let services = Arc::clone(&table);
        let services = Follower::start(access.clone(), "/api/v1/services", move |objects| {
            lock(&services).services = addresses(objects);
            Ok(())
        });
        let slices = Arc::clone(&table);
        let path = "/apis/discovery.k8s.io/v1/endpointslices";
        let slices = Follower::start(access.clone(), path, move |objects| {
            lock(&slices).endpoints = endpoints(objects);
            Ok(())
        });
        Ok(Self {
            table,
            socket,
            thread: Some(thread),
            _followers: [services, slices],
        })
    }

    /// Gives a name an address.
    pub(super) fn declare(&self, name: &str, address: Ipv4Addr) {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        lock(&self.table).declared.insert(name, address);
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        lock(&self.table).is_over = true;
        // Wakes the thread, which waits for a question.
        let woken = self.socket.local_addr();
        if woken.is_ok_and(|own| self.socket.send_to(&[], own).is_ok())
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

fn answer_all(socket: &UdpSocket, table: &Mutex<Table>) {
    let mut buffer = [0; 512];
    loop {
        // An error here is about an earlier answer that found nobody.
        let received: Option<(usize, SocketAddr)> = socket.recv_from(&mut buffer).ok();
        let table = lock(table);
        if table.is_over {
            return;
        }
        let Some((length, from)) = received else {
            continue;
        };
        if let Some(bytes) = dns::answer(&buffer[..length], |name| table.lookup(name)) {
            let _ = socket.send_to(&bytes, from);
        }
    }
}

impl Table {
    fn lookup(&self, name: &str) -> Option<Vec<Ipv4Addr>> {
        if let Some(address) = self.declared.get(name) {
            return Some(vec![*address]);
        }
        let labels: Vec<&str> = name.strip_suffix(ZONE)?.split('.').collect();
        let (host, key) = match labels[..] {
            [service, namespace] => (None, format!("{namespace}/{service}")),
            [host, service, namespace] => (Some(host), format!("{namespace}/{service}")),
            _ => return None,
        };
        let address = *self.services.get(&key)?;
        match (host, address) {
            (None, Some(address)) => Some(vec![address]),
            (None, None) => Some(self.behind(&key, |_| true)),
            (Some(host), _) => {
                let found = self.behind(&key, |name| name == host);
                (!found.is_empty()).then_some(found)
            }
        }
    }

    fn behind(&self, service: &str, is_meant: impl Fn(&str) -> bool) -> Vec<Ipv4Addr> {
        let endpoints = self.endpoints.get(service).into_iter().flatten();
        let meant = endpoints.filter(|(host, _)| is_meant(host));
        meant.map(|(_, address)| *address).collect()
    }
}

fn addresses(services: &Objects) -> BTreeMap<String, Option<Ipv4Addr>> {
    let own = |service: &Value| service["spec"]["clusterIP"].as_str()?.parse().ok();
    let services = services.iter();
    services
        .filter(|(_, service)| service["spec"]["type"] != "ExternalName")
        .map(|(key, service)| (key.clone(), own(service)))
        .collect()
}

fn endpoints(slices: &Objects) -> BTreeMap<String, Vec<(String, Ipv4Addr)>> {
    let mut all: BTreeMap<String, Vec<(String, Ipv4Addr)>> = BTreeMap::new();
    for slice in slices.values() {
        let metadata = &slice["metadata"];
        let (Some(namespace), Some(owner)) = (
            metadata["namespace"].as_str(),
            metadata["labels"][OWNER].as_str(),
        ) else {
            continue;
        };
        let known = all.entry(format!("{namespace}/{owner}")).or_default();
        for endpoint in slice["endpoints"].as_array().into_iter().flatten() {
            if endpoint["conditions"]["ready"] == false {
                continue;
            }
            let host = endpoint["hostname"].as_str().unwrap_or_default();
            let addresses = endpoint["addresses"].as_array().into_iter().flatten();
            let addresses = addresses.filter_map(|address| address.as_str()?.parse().ok());
            known.extend(addresses.map(|address| (host.to_owned(), address)));
        }
    }
    all
}

fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn table() -> Table {
        let services = [
            ("a/one", json!({"spec": {"clusterIP": "10.0.0.9"}})),
            ("a/many", json!({"spec": {"clusterIP": "None"}})),
            (
                "a/else",
                json!({"spec": {"type": "ExternalName", "externalName": "b.example.com"}}),
            ),
        ];
        let slice = json!({
            "metadata": {"namespace": "a", "labels": {OWNER: "many"}},
            "endpoints": [
                {"addresses": ["10.1.0.1"], "hostname": "m-0", "conditions": {"ready": true}},
                {"addresses": ["10.1.0.2"], "hostname": "m-1", "conditions": {"ready": false}},
                {"addresses": ["10.1.0.3"], "conditions": {}},
            ],
        });
        let services = services.map(|(key, service)| (key.to_owned(), service));
        let slices = [("a/many-x".to_owned(), slice)];
        Table {
            services: addresses(&services.into()),
            endpoints: endpoints(&slices.into()),
            declared: [("amq.example.com".to_owned(), Ipv4Addr::new(10, 2, 0, 1))].into(),
            is_over: false,
        }
    }

    fn found(name: &str) -> Option<Vec<String>> {
        let addresses = table().lookup(name)?;
        Some(addresses.iter().map(Ipv4Addr::to_string).collect())
    }

    #[test]
    fn services_ready_pods_and_declared_names_are_found_and_nothing_else() {
        for (name, expected) in [
            ("one.a.svc.cluster.local", Some(vec!["10.0.0.9"])),
            (
                "many.a.svc.cluster.local",
                Some(vec!["10.1.0.1", "10.1.0.3"]),
            ),
            ("m-0.many.a.svc.cluster.local", Some(vec!["10.1.0.1"])),
            ("m-1.many.a.svc.cluster.local", None),
            ("one.b.svc.cluster.local", None),
            ("else.a.svc.cluster.local", None),
            ("amq.example.com", Some(vec!["10.2.0.1"])),
            ("amq.example.com.a.svc.cluster.local", None),
            ("one", None),
        ] {
            let expected = expected.map(|all| all.into_iter().map(str::to_owned).collect());
            assert_eq!(found(name), expected, "{name}");
        }
    }
}
