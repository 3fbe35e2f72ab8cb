//! Which connections NetworkPolicies let through, decided as a network plugin would: what a pod opens must be let out
//! where it is, and let in where it goes. An `ipBlock` speaks of the world outside; pods are meant by their labels.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Labels of an object.
pub type Labels = BTreeMap<String, String>;

/// What policies know of a pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its labels.
    pub labels: Labels,
    /// Those of its namespace.
    pub namespace_labels: Labels,
    /// Ports that have names.
    pub ports: BTreeMap<String, u16>,
}

impl Pod {
    /// Reads a Pod and its Namespace.
    #[must_use]
    pub fn read(pod: &Value, namespace: &Value) -> Self {
        let metadata = &pod["metadata"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let containers = list(&pod["spec"]["containers"]);
        let ports = containers.flat_map(|container| list(&container["ports"]));
        let named = |port: &Value| Some((port["name"].as_str()?.to_owned(), number(port)?));
        Self {
            name: text(&metadata["name"]),
            namespace: text(&metadata["namespace"]),
            labels: labels(&metadata["labels"]),
            namespace_labels: labels(&namespace["metadata"]["labels"]),
            ports: ports.filter_map(named).collect(),
        }
    }
}

/// One end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// A pod of the cluster.
    Pod(Pod),
    /// Somebody who is no pod, at this address.
    Outside(Ipv4Addr),
}

impl fmt::Display for Peer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pod(pod) => write!(formatter, "{}/{}", pod.namespace, pod.name),
            Self::Outside(address) => write!(formatter, "{address}"),
        }
    }
}

/// What a connection is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// A stream.
    Tcp,
    /// Single packets, such as questions about names.
    Udp,
}

impl Protocol {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        }
    }
}

/// A connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// Who opens it.
    pub from: Peer,
    /// Who is to accept it.
    pub to: Peer,
    /// The port there.
    pub port: u16,
    /// Over what.
    pub protocol: Protocol,
}

impl Flow {
    /// A TCP connection.
    #[must_use]
    pub const fn tcp(from: Peer, to: Peer, port: u16) -> Self {
        Self {
            from,
            to,
            port,
            protocol: Protocol::Tcp,
        }
    }
}

impl fmt::Display for Flow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} -> {}:{}", self.from, self.to, self.port)?;
        match self.protocol {
            Protocol::Tcp => Ok(()),
            Protocol::Udp => formatter.write_str("/udp"),
        }
    }
}

/// Which end of a connection a policy is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    In,
    Out,
}

impl Direction {
    /// Name of the type, field with the rules, and field with the other end.
    const fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::In => ("Ingress", "ingress", "from"),
            Self::Out => ("Egress", "egress", "to"),
        }
    }

    /// Whether a policy is about it: without types it is about what comes in, and with rules for it about what goes out.
    fn is_of(self, spec: &Value) -> bool {
        let (name, rules, _) = self.words();
        match &spec["policyTypes"] {
            Value::Null => self == Self::In || !spec[rules].is_null(),
            types => list(types).any(|kind| kind == name),
        }
    }
}

/// The NetworkPolicies of a cluster.
#[derive(Debug, Clone, Default)]
pub struct Policies(Vec<Value>);

impl Policies {
    /// Takes NetworkPolicy objects, each with its namespace.
    #[must_use]
    pub fn new(objects: Vec<Value>) -> Self {
        Self(objects)
    }

    /// Whether some policy judges what comes in to a pod. Everything may come in to others.
    #[must_use]
    pub fn isolate(&self, pod: &Pod) -> bool {
        self.judging(pod, Direction::In).next().is_some()
    }

    /// Whether they let a connection through at both of its ends.
    #[must_use]
    pub fn allow(&self, flow: &Flow) -> bool {
        self.pass(&flow.to, Direction::In, &flow.from, flow)
            && self.pass(&flow.from, Direction::Out, &flow.to, flow)
    }

    fn pass(&self, own: &Peer, direction: Direction, other: &Peer, flow: &Flow) -> bool {
        // Outside nobody has policies.
        let Peer::Pod(pod) = own else { return true };
        let (_, rules, _) = direction.words();
        let mut rules = self
            .judging(pod, direction)
            .flat_map(|policy| list(&policy["spec"][rules]).map(move |rule| (policy, rule)));
        self.judging(pod, direction).next().is_none()
            || rules.any(|(policy, rule)| {
                has_port(rule, flow) && has_peer(rule, direction, namespace(policy), other)
            })
    }

    fn judging(&self, pod: &Pod, direction: Direction) -> impl Iterator<Item = &Value> {
        self.0.iter().filter(move |policy| {
            let spec = &policy["spec"];
            direction.is_of(spec)
                && namespace(policy) == pod.namespace
                && selects(&spec["podSelector"], &pod.labels)
        })
    }
}

/// Connections that a test made, and those that must be refused.
#[derive(Debug, Clone, Default)]
pub struct Flows {
    wanted: Vec<Flow>,
    unwanted: Vec<Flow>,
}

impl Flows {
    /// Records one that the network needs.
    pub fn needs(&mut self, flow: Flow) {
        self.wanted.push(flow);
    }

    /// Records one that nobody may make.
    pub fn forbids(&mut self, flow: Flow) {
        self.unwanted.push(flow);
    }

    /// Compares them with what policies say.
    ///
    /// # Errors
    /// A flow that is needed would be refused, or one that is forbidden let through.
    pub fn check(&self, policies: &Policies) -> Result<()> {
        let refused = self.wanted.iter().filter(|flow| !policies.allow(flow));
        let passed = self.unwanted.iter().filter(|flow| policies.allow(flow));
        let mistakes: Vec<String> = refused
            .map(|flow| format!("refused, but needed: {flow}"))
            .chain(passed.map(|flow| format!("let through, but forbidden: {flow}")))
            .collect();
        ensure!(mistakes.is_empty(), "{}", mistakes.join("\n"));
        Ok(())
    }
}

fn namespace(policy: &Value) -> &str {
    policy["metadata"]["namespace"]
        .as_str()
        .unwrap_or("default")
}

/// A rule without ports is about all of them.
fn has_port(rule: &Value, flow: &Flow) -> bool {
    let is_meant = |port: &Value| {
        let protocol = port["protocol"].as_str().unwrap_or("TCP");
        let is_one = protocol == flow.protocol.as_str();
        let first = match (&port["port"], &flow.to) {
            (Value::Null, _) => return is_one,
            (Value::String(name), Peer::Pod(pod)) => pod.ports.get(name).copied().map(u64::from),
            (other, _) => other.as_u64(),
        };
        let last = port["endPort"].as_u64().or(first);
        let range = first.zip(last);
        is_one && range.is_some_and(|(first, last)| (first..=last).contains(&u64::from(flow.port)))
    };
    let ports = &rule["ports"];
    list(ports).next().is_none() || list(ports).any(is_meant)
}

/// A rule without peers is about everybody.
fn has_peer(rule: &Value, direction: Direction, namespace: &str, other: &Peer) -> bool {
    let (_, _, peers) = direction.words();
    let peers = &rule[peers];
    list(peers).next().is_none()
        || list(peers).any(|peer| match other {
            Peer::Pod(pod) => means_pod(peer, namespace, pod),
            Peer::Outside(address) => means_address(&peer["ipBlock"], *address),
        })
}

fn means_pod(peer: &Value, namespace: &str, pod: &Pod) -> bool {
    let (pods, namespaces) = (&peer["podSelector"], &peer["namespaceSelector"]);
    let is_at_home = match namespaces {
        Value::Null => !pods.is_null() && pod.namespace == namespace,
        selector => selects(selector, &pod.namespace_labels),
    };
    is_at_home && (pods.is_null() || selects(pods, &pod.labels))
}

fn means_address(block: &Value, address: Ipv4Addr) -> bool {
    let is_in = |range: &Value| {
        range
            .as_str()
            .is_some_and(|range| contains(range, address).unwrap_or_default())
    };
    is_in(&block["cidr"]) && !list(&block["except"]).any(is_in)
}

/// Whether `ADDRESS/LENGTH` contains an address.
fn contains(range: &str, address: Ipv4Addr) -> Result<bool> {
    let (first, length) = range.split_once('/').context("a range without a length")?;
    let first: Ipv4Addr = first.parse()?;
    let length: u32 = length.parse()?;
    let mask = u32::MAX.checked_shl(32 - length.min(32)).unwrap_or(0);
    Ok(u32::from(first) & mask == u32::from(address) & mask)
}

fn selects(selector: &Value, labels: &Labels) -> bool {
    let wanted = selector["matchLabels"].as_object().into_iter().flatten();
    let mut wanted = wanted.map(|(key, value)| (labels.get(key), value.as_str()));
    let has_all = wanted.all(|(own, value)| own.map(String::as_str) == value);
    has_all && list(&selector["matchExpressions"]).all(|expression| holds(expression, labels))
}

fn holds(expression: &Value, labels: &Labels) -> bool {
    let own = labels.get(expression["key"].as_str().unwrap_or_default());
    let is_listed = || {
        let mut values = list(&expression["values"]);
        values.any(|value| own.is_some_and(|own| value == own))
    };
    match expression["operator"].as_str() {
        Some("In") => is_listed(),
        Some("NotIn") => !is_listed(),
        Some("Exists") => own.is_some(),
        Some("DoesNotExist") => own.is_none(),
        _ => false,
    }
}

fn labels(value: &Value) -> Labels {
    let all = value.as_object().into_iter().flatten();
    all.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

fn number(port: &Value) -> Option<u16> {
    u16::try_from(port["containerPort"].as_u64()?).ok()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NAME: &str = "kubernetes.io/metadata.name";

    fn pod(namespace: &str, app: &str) -> Pod {
        let object = json!({
            "metadata": {"name": app, "namespace": namespace, "labels": {"app": app}},
            "spec": {"containers": [{"ports": [{"name": "stomp", "containerPort": 61613}]}]},
        });
        Pod::read(&object, &json!({"metadata": {"labels": {NAME: namespace}}}))
    }

    fn ingress(rules: Value) -> Policies {
        Policies::new(vec![json!({
            "metadata": {"namespace": "a"},
            "spec": {
                "podSelector": {"matchLabels": {"app": "broker"}},
                "policyTypes": ["Ingress"],
                "ingress": rules,
            },
        })])
    }

    fn flow(from: Peer, port: u16) -> Flow {
        Flow::tcp(from, peer("a", "broker"), port)
    }

    fn peer(namespace: &str, app: &str) -> Peer {
        Peer::Pod(pod(namespace, app))
    }

    #[test]
    fn a_pod_that_no_policy_selects_takes_everything_and_a_selected_one_nothing() {
        let policies = ingress(json!([]));
        assert!(!policies.allow(&flow(peer("a", "client"), 61613)));
        let to = Flow {
            to: peer("a", "other"),
            ..flow(peer("a", "client"), 61613)
        };
        assert!(policies.allow(&to));
        let elsewhere = Flow {
            to: peer("b", "broker"),
            ..flow(peer("a", "client"), 61613)
        };
        assert!(policies.allow(&elsewhere));
        assert!(ingress(json!([{}])).allow(&flow(peer("b", "x"), 1)));
    }

    #[test]
    fn a_rule_names_pods_here_in_other_namespaces_or_both() {
        let here = json!({"podSelector": {"matchLabels": {"app": "client"}}});
        let there = json!({"namespaceSelector": {"matchLabels": {NAME: "b"}}});
        let both = json!({
            "podSelector": {"matchLabels": {"app": "client"}},
            "namespaceSelector": {"matchExpressions": [
                {"key": NAME, "operator": "In", "values": ["b", "c"]},
            ]},
        });
        for (meant, allowed) in [
            (here, [true, false, false]),
            (there, [false, true, true]),
            (both, [false, true, false]),
        ] {
            let policies = ingress(json!([{"from": [meant]}]));
            let sources = [peer("a", "client"), peer("b", "client"), peer("b", "x")];
            let found = sources.map(|source| policies.allow(&flow(source, 1)));
            assert_eq!(found, allowed, "{meant}");
        }
    }

    #[test]
    fn a_port_is_a_number_a_name_or_a_range() {
        for (port, allowed) in [
            (json!({"port": 61613}), [true, false]),
            (json!({"port": "stomp", "protocol": "TCP"}), [true, false]),
            (json!({"port": "other"}), [false, false]),
            (json!({"port": 61610, "endPort": 61620}), [true, true]),
            (json!({"port": 61613, "protocol": "UDP"}), [false, false]),
        ] {
            let policies = ingress(json!([{"ports": [port]}]));
            let found = [61613, 61618].map(|port| policies.allow(&flow(peer("b", "x"), port)));
            assert_eq!(found, allowed, "{port}");
        }
    }

    #[test]
    fn a_block_means_addresses_outside_with_exceptions_and_no_pods() {
        let block = json!({"cidr": "10.2.0.0/16", "except": ["10.2.3.0/24"]});
        let policies = ingress(json!([{"from": [{"ipBlock": block}]}]));
        let outside = |c| Peer::Outside(Ipv4Addr::new(10, 2, c, 9));
        assert!(policies.allow(&flow(outside(1), 1)));
        assert!(!policies.allow(&flow(outside(3), 1)));
        assert!(!policies.allow(&flow(Peer::Outside(Ipv4Addr::LOCALHOST), 1)));
        assert!(!policies.allow(&flow(peer("a", "client"), 1)));
        let anywhere = ingress(json!([{"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]));
        assert!(anywhere.allow(&flow(outside(3), 1)));
    }

    #[test]
    fn what_goes_out_is_judged_where_it_comes_from_and_by_its_protocol() {
        let rule = json!({
            "to": [{"ipBlock": {"cidr": "10.2.0.0/16"}}],
            "ports": [{"port": 53, "protocol": "UDP"}, {"port": 443}],
        });
        let policies = Policies::new(vec![json!({
            "metadata": {"namespace": "a"},
            "spec": {
                "podSelector": {"matchLabels": {"app": "broker"}},
                "policyTypes": ["Egress"], "egress": [rule],
            },
        })]);
        let out = |from, port, protocol| Flow {
            from,
            to: Peer::Outside(Ipv4Addr::new(10, 2, 0, 1)),
            port,
            protocol,
        };
        for (from, port, protocol, allowed) in [
            (peer("a", "broker"), 53, Protocol::Udp, true),
            (peer("a", "broker"), 53, Protocol::Tcp, false),
            (peer("a", "broker"), 443, Protocol::Tcp, true),
            (peer("a", "client"), 53, Protocol::Tcp, true),
        ] {
            assert_eq!(policies.allow(&out(from, port, protocol)), allowed);
        }
        // It is about nothing that comes in.
        assert!(policies.allow(&flow(peer("b", "x"), 1)));
    }

    #[test]
    fn the_check_names_each_flow_that_goes_the_wrong_way() {
        let policies = ingress(json!([{"ports": [{"port": "stomp"}]}]));
        let mut flows = Flows::default();
        flows.needs(flow(peer("a", "client"), 61613));
        flows.forbids(flow(peer("a", "client"), 8161));
        assert!(flows.check(&policies).is_ok());
        flows.needs(flow(peer("b", "x"), 61618));
        flows.forbids(flow(Peer::Outside(Ipv4Addr::new(9, 9, 9, 9)), 61613));
        let said = flows.check(&policies).map_err(|error| error.to_string());
        let expected = "refused, but needed: b/x -> a/broker:61618\n\
            let through, but forbidden: 9.9.9.9 -> a/broker:61613";
        assert_eq!(said, Err(expected.to_owned()));
    }
}
