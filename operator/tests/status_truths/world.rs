//! A network of three countries of which this cluster runs one, all well, and what can happen to it.

use std::collections::{BTreeMap, BTreeSet};

use causeway_operator::api::BrokerNetwork;
use causeway_operator::api::condition::{ConditionType, Reason};
use causeway_operator::api::status::{BrokerNetworkStatus, OperatorStatus};
use causeway_operator::client::view::StatusView;
use causeway_operator::finding::{Finding, Subject};
use causeway_operator::model::observed::{
    BrokerState, ChildKey, ChildKind, Live, Observed, Outcome, Owner, PodState,
};
use causeway_operator::model::plan::{Plan, SiteAction};
use causeway_operator::model::{Declared, ValidNetwork};
use causeway_operator::names::SiteName;
use causeway_operator::network::status::{Computed, Inputs, Users, compute};
use causeway_operator::network::validate::{self, MissingSecrets};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// What the local broker is meant to run.
pub const HASH: &str = "0123456789abcdef";
/// What other sites have that have other documents.
pub const OTHER: &str = "1:00000000000000000000000000000000";

pub struct World {
    pub now: Timestamp,
    pub network: BrokerNetwork,
    pub local: BTreeSet<SiteName>,
    /// No rule about several clusters applies.
    pub has_one_cluster: bool,
    pub valid: Option<ValidNetwork>,
    pub findings: Vec<Finding>,
    pub users: Users,
    pub plan: Plan,
    pub hashes: BTreeMap<SiteName, String>,
    pub observed: Observed,
    pub outcome: Outcome,
    pub operator: OperatorStatus,
}

pub fn ie() -> SiteName {
    SiteName::new("ie")
}

fn spec() -> Value {
    json!({
        "linkAuth": {"mode": "Password"},
        "sites": [
            {"name": "ie", "endpoint": {"host": "ie.example.com"}},
            {"name": "uk", "endpoint": {"host": "uk.example.com"}},
            {"name": "us", "endpoint": {"host": "us.example.com"}},
        ],
        "links": [
            {"name": "ie-uk", "between": ["ie", "uk"]},
            {"name": "uk-us", "between": ["uk", "us"]},
        ],
    })
}

impl World {
    /// Everything is well, and nobody has looked at it yet.
    pub fn new() -> Self {
        let network = serde_json::from_value(json!({
            "apiVersion": "causeway.dev/v1alpha1", "kind": "BrokerNetwork",
            "metadata": {"name": "mco", "generation": 7},
            "spec": spec(),
        }));
        let mut world = Self {
            now: "2026-11-25T12:00:00Z".parse().expect("a time"),
            network: network.expect("a network"),
            local: BTreeSet::from([ie()]),
            has_one_cluster: false,
            valid: None,
            findings: Vec::new(),
            users: Users {
                served: 2,
                declared: 2,
                ..Users::default()
            },
            plan: Plan::default(),
            hashes: BTreeMap::from([(ie(), HASH.to_owned())]),
            observed: Observed::default(),
            outcome: Outcome::default(),
            operator: OperatorStatus {
                namespace: "causeway".to_owned(),
                name: "causeway-operator".to_owned(),
                version: "0.1.0".to_owned(),
            },
        };
        world.plan.sites.insert(ie(), SiteAction::Live);
        world.validate();
        world.deploy();
        world.observed.pods = vec![PodState {
            name: "mco--ie-x".to_owned(),
            site: "ie".to_owned(),
            phase: "Running".to_owned(),
            is_ready: true,
            ..PodState::default()
        }];
        world.answer(|_| {});
        world
    }

    /// The same after somebody has looked.
    pub fn settled() -> Self {
        let mut world = Self::new();
        world.step();
        world
    }

    /// Changes the spec and checks it.
    pub fn change(&mut self, change: impl FnOnce(&mut Value)) {
        let mut value = serde_json::to_value(&self.network).expect("JSON");
        change(&mut value["spec"]);
        self.network = serde_json::from_value(value).expect("a network");
        self.validate();
    }

    fn validate(&mut self) {
        let secret = || BTreeMap::from([("current".to_owned(), b"a-long-password-1".to_vec())]);
        let secrets = ["mco-link-ie-uk", "mco-link-ie-us", "mco-link-uk-us"];
        let declared = Declared {
            network: self.network.clone(),
            users: BTreeMap::new(),
            local_sites: (!self.has_one_cluster)
                .then(|| self.local.iter().map(ToString::to_string).collect()),
            secrets: secrets.map(|name| (name.to_owned(), secret())).into(),
            unreadable: BTreeSet::new(),
            unread: BTreeMap::new(),
            annotations: BTreeMap::new(),
            foreign: BTreeMap::new(),
            config_maps: BTreeMap::new(),
        };
        let checked = validate::run(&declared, MissingSecrets::Refuse);
        self.valid = Some(checked.expect("it is valid").0);
    }

    pub fn annotate(&mut self, key: &str, value: &str) {
        let annotations = self.network.metadata.annotations.get_or_insert_default();
        annotations.insert(key.to_owned(), value.to_owned());
    }

    /// The local broker's page; `sites[0]` is uk, `sites[1]` us, `links[0]` the own end of ie-uk.
    pub fn page(&self) -> Value {
        let valid = self.valid.as_ref().expect("it is valid");
        let end = |link: &str, from: &str, peer: &str| {
            json!({
                "link": link, "from": from, "peer": peer, "state": "up", "sinceMs": 60_000, "rttMs": 23.4,
                "pending": 0, "credential": "current", "role": "dialer",
            })
        };
        let (spec_hash, users_hash) = (&valid.spec_hash, &valid.users_hash);
        let site = |name: &str, via: &str, hops: u32, links: Value| {
            json!({
                "site": name, "reachable": true, "via": via, "hops": hops, "version": "0.1.0",
                "specHash": spec_hash, "usersHash": users_hash, "reportAgeMs": 1000, "links": links,
            })
        };
        json!({
            "revision": 1, "network": "mco", "site": "ie", "version": "0.1.0",
            "config": {
                "applied": HASH, "seen": HASH, "since": "2026-11-25T10:00:00Z",
                "specHash": spec_hash, "usersHash": users_hash,
            },
            "links": [end("ie-uk", "ie", "uk")],
            "sites": [
                site("uk", "ie-uk", 1, json!([end("ie-uk", "uk", "ie"), end("uk-us", "uk", "us")])),
                site("us", "ie-uk", 2, json!([end("uk-us", "us", "uk")])),
            ],
            "certs": [],
        })
    }

    /// The local broker answers.
    pub fn answer(&mut self, change: impl FnOnce(&mut Value)) {
        let mut page = self.page();
        change(&mut page);
        let view: StatusView = serde_json::from_value(page).expect("a page");
        let state = BrokerState {
            view: Some(view),
            answered: Some(self.now),
            ..BrokerState::default()
        };
        self.observed.brokers.insert(ie(), state);
    }

    /// The local broker has not answered for so long, so many times.
    pub fn silence(&mut self, seconds: i64, failures: u32) {
        let state = self.observed.brokers.get_mut(&ie()).expect("a broker");
        state.failures = failures;
        self.wait(seconds);
    }

    pub fn wait(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
    }

    pub fn object(&mut self, kind: ChildKind, name: &str, value: Value) {
        let name = name.to_owned();
        let live = Live {
            uid: "1".to_owned(),
            resource_version: "1".to_owned(),
            owner: Owner::Ours,
            is_deleting: false,
            value,
        };
        self.observed.children.insert(ChildKey { kind, name }, live);
    }

    fn deploy(&mut self) {
        self.deployment(json!({
            "observedGeneration": 3, "replicas": 1, "updatedReplicas": 1,
            "conditions": [{"type": "Available", "status": "True"}],
        }));
    }

    pub fn deployment(&mut self, status: Value) {
        let value = json!({"metadata": {"generation": 3}, "status": status});
        self.object(ChildKind::Deployment, "mco--ie", value);
    }

    /// The pod does not serve.
    pub fn stop_pod(&mut self) {
        self.deployment(json!({
            "observedGeneration": 3, "replicas": 1, "updatedReplicas": 1,
            "conditions": [{"type": "Available", "status": "False"}],
        }));
        self.observed.pods[0].is_ready = false;
    }

    /// A second pod beside the one that serves.
    pub fn add_pod_that_waits(&mut self) {
        self.observed.pods.push(PodState {
            name: "mco--ie-a".to_owned(),
            site: "ie".to_owned(),
            phase: "Pending".to_owned(),
            waiting: Some("ErrImageNeverPull".to_owned()),
            ..PodState::default()
        });
    }

    pub fn find(&mut self, cause: Reason) {
        let subject = Subject::Network;
        let finding = Finding::error(subject, "spec.links[0]", "is not right").because(cause);
        self.findings.push(finding);
        self.valid = None;
    }

    /// An annotation of the network is none that counts.
    pub fn ignore(&mut self, key: &str) {
        let path = format!("metadata.annotations[\"{key}\"]");
        let reason = "is no annotation of a BrokerNetwork, so it is ignored";
        let finding = Finding::warning(Subject::Network, path, reason);
        let finding = finding.because(Reason::AnnotationIgnored);
        self.findings.push(finding.with_help("did you mean X?"));
    }

    /// A user is wrong and let in by nobody.
    pub fn leave_out(&mut self, user: &str) {
        self.users.served -= 1;
        self.users.left_out.insert(user.to_owned());
    }

    /// A link goes on with what was in force, since its Secret is not what it should be.
    pub fn lose_link(&mut self, cause: Reason) {
        let subject = Subject::Link("ie-uk".to_owned());
        let reason = "Secret mco-link-ie-uk is missing";
        let finding = Finding::error(subject, "spec.links[0].name", reason).because(cause);
        let help = "link ie-uk goes on with the password in force";
        self.findings.push(finding.with_help(help));
    }

    pub fn warn(&mut self, cause: Reason) {
        let subject = Subject::Secret("mco--ie-tls".to_owned());
        let finding = Finding::warning(subject, "tls.crt", "is not there").because(cause);
        self.findings.push(finding);
    }

    pub fn warn_of_network(&mut self, cause: Reason) {
        let reason = "Secret mco--ie-tls is missing";
        let finding = Finding::warning(Subject::Network, "spec.tls.source", reason);
        self.findings.push(finding.because(cause));
    }

    pub fn compute(&self) -> Computed {
        compute(&Inputs {
            now: self.now,
            network: &self.network,
            local: &self.local,
            operator: &self.operator,
            valid: self.valid.as_ref(),
            findings: &self.findings,
            users: &self.users,
            plan: Some(&self.plan),
            config_hashes: &self.hashes,
            observed: &self.observed,
            outcome: &self.outcome,
        })
    }

    /// Computes the status and writes it.
    pub fn step(&mut self) -> Computed {
        let computed = self.compute();
        // As the API server keeps it.
        let text = serde_json::to_string(&computed.status).expect("JSON");
        self.network.status = Some(serde_json::from_str(&text).expect("a status"));
        computed
    }
}

pub fn condition(status: &BrokerNetworkStatus, kind: ConditionType) -> Option<&Condition> {
    let mut all = status.conditions.iter().flatten();
    all.find(|condition| condition.type_ == kind.as_str())
}

/// Every condition as "Type=Status Reason".
pub fn words(status: &BrokerNetworkStatus) -> Vec<String> {
    let all = status.conditions.iter().flatten();
    all.map(|one| format!("{}={} {}", one.type_, one.status, one.reason))
        .collect()
}

/// The verdict of tools that read any object's status, such as Flux and Helm.
pub fn kstatus(world: &World, status: &BrokerNetworkStatus) -> &'static str {
    let is = |kind, wanted| condition(status, kind).is_some_and(|one| one.status == wanted);
    if world.network.metadata.deletion_timestamp.is_some() {
        "Terminating"
    } else if status.observed_generation != world.network.metadata.generation
        || is(ConditionType::Reconciling, "True")
    {
        "InProgress"
    } else if is(ConditionType::Stalled, "True") {
        "Failed"
    } else if is(ConditionType::Ready, "True") {
        "Current"
    } else {
        "InProgress"
    }
}
