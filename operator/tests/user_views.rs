//! What one run of a network decides about its users, from documents that were read and checked as ever.

mod cluster;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use causeway_operator::api::condition::Reason;
use causeway_operator::client::view::StatusView;
use causeway_operator::kube_io::secrets::Contents;
use causeway_operator::model::observed::{BrokerState, ChildKind};
use causeway_operator::names::SiteName;
use causeway_operator::network::credentials::{self, HashCache};
use causeway_operator::render;
use causeway_operator::user::view::{Ack, Inputs, UserView, views};
use k8s_openapi::jiff::Timestamp;
use serde_json::json;

use self::cluster::{COUNTRIES, Cluster};

/// The two users of the countries, one more that is generated, and two that are wrong.
const USERS: &str = "
---
apiVersion: causeway.dev/v1alpha1
kind: BrokerUser
metadata: {name: made}
spec:
  networkRef: {name: mcollective}
  sites: {names: [ie]}
  credentials: {type: Generated, generated: {rotation: \"1\"}}
---
apiVersion: causeway.dev/v1alpha1
kind: BrokerUser
metadata: {name: second}
spec:
  networkRef: {name: mcollective}
  username: amq
  credentials: {type: Password, secretRef: {name: user-amq}}
---
apiVersion: causeway.dev/v1alpha1
kind: BrokerUser
metadata: {name: lost}
spec:
  networkRef: {name: mcollective}
  sites: {matchLabels: {country: uk}}
  credentials: {type: Password, secretRef: {name: nowhere}}
---
apiVersion: causeway.dev/v1alpha1
kind: BrokerUser
metadata: {name: abroad}
spec:
  networkRef: {name: mcollective}
  sites: {names: [us, xx]}
  credentials: {type: Password, secretRef: {name: nowhere}}
";

/// A user of a site elsewhere, and one of a site here and of one that is none.
const PLACED: &str = "
---
apiVersion: causeway.dev/v1alpha1
kind: BrokerUser
metadata: {name: far}
spec:
  networkRef: {name: mcollective}
  sites: {names: [us]}
  credentials: {type: Password, secretRef: {name: nowhere}}
---
apiVersion: causeway.dev/v1alpha1
kind: BrokerUser
metadata: {name: nearly, annotations: {causeway.dev/reconcile: paused, other.dev/x: z}}
spec:
  networkRef: {name: mcollective}
  sites: {names: [ie, ukk]}
  credentials: {type: Password, secretRef: {name: user-amq}}
";

/// A user whose hash is none.
const HASHED: &str = "
---
apiVersion: causeway.dev/v1alpha1
kind: BrokerUser
metadata: {name: hashed}
spec:
  networkRef: {name: mcollective}
  credentials: {type: PasswordHash, secretRef: {name: user-hashed}}
---
apiVersion: v1
kind: Secret
metadata: {name: user-hashed}
stringData: {passwordHash: plain}
";

struct Run {
    cluster: Cluster,
    brokers: BTreeMap<SiteName, BrokerState>,
    contents: BTreeMap<String, Contents>,
}

impl Run {
    fn new() -> Self {
        let text = format!("{COUNTRIES}{USERS}{PLACED}");
        Self {
            cluster: Cluster::new(&text, &["ie", "uk"]),
            brokers: BTreeMap::new(),
            contents: BTreeMap::new(),
        }
    }

    fn fingerprints(&self) -> BTreeMap<String, String> {
        let network = self.cluster.valid();
        let jobs = credentials::missing(&network, &HashCache::new());
        let hash = causeway_broker::security::password::DUMMY;
        let hashes: HashCache = jobs.into_iter().map(|job| (job, hash.to_owned())).collect();
        render::fingerprints(&network, &hashes).expect("hashed")
    }

    fn views(&self) -> BTreeMap<String, UserView> {
        let checked = self.cluster.validate();
        let fingerprints = checked.is_ok().then(|| self.fingerprints());
        let findings = match checked {
            Ok((_, findings)) | Err(findings) => findings,
        };
        let users = self.cluster.declared.users.keys();
        let known = users.map(|name| (name.clone(), (format!("uid of {name}"), 3)));
        views(&Inputs {
            now: Timestamp::from_second(1_800_000_000).expect("a time"),
            declared: &self.cluster.declared,
            known: &known.collect(),
            contents: &self.contents,
            findings: &findings,
            fingerprints: fingerprints.as_ref(),
            config_hashes: &BTreeMap::from([(SiteName::new("uk"), "abc".to_owned())]),
            brokers: &self.brokers,
            is_paused: false,
        })
    }

    fn answer(&mut self, site: &str, page: &serde_json::Value) {
        let view = StatusView::parse(page.to_string().as_bytes()).expect("a page");
        let state = BrokerState {
            view: Some(view),
            answered: Some(Timestamp::from_second(1_800_000_000).expect("a time")),
            ..BrokerState::default()
        };
        self.brokers.insert(SiteName::new(site), state);
    }
}

fn acks(view: &UserView) -> Vec<(&str, Ack)> {
    let sites = view.sites.iter();
    sites.map(|(site, ack)| (site.as_str(), *ack)).collect()
}

#[test]
fn a_user_is_known_where_its_sites_are_and_is_about_the_generation_that_was_read() {
    let views = Run::new().views();
    let sites = |name: &str| -> Vec<String> {
        let local = views[name].local_sites.iter();
        local.map(ToString::to_string).collect()
    };
    assert_eq!(sites("amq"), ["ie", "uk"]);
    assert_eq!(sites("made"), ["ie"]);
    assert_eq!(sites("lost"), ["uk"]);
    assert!(sites("abroad").is_empty());
    let amq = &views["amq"];
    assert_eq!((amq.uid.as_str(), amq.generation), ("uid of amq", 3));
    assert!(amq.is_served && amq.problem.is_none());
}

#[test]
fn a_mistake_is_told_of_its_user_alone() {
    let views = Run::new().views();
    let reason = |name: &str| views[name].problem.as_ref().map(|(reason, _)| *reason);
    assert_eq!(reason("amq"), None);
    assert_eq!(reason("mcollective"), None);
    assert_eq!(reason("far"), None, "its Secret is for others to have");
    assert_eq!(reason("abroad"), Some(Reason::UnknownSite));
    assert_eq!(reason("nearly"), None, "it is known here");
    assert_eq!(reason("second"), Some(Reason::DuplicateUsername));
    assert_eq!(reason("lost"), Some(Reason::SecretNotFound));
    assert_eq!(reason("made"), Some(Reason::SecretNotFound));
    assert!(!views["second"].is_served);
    let (_, problem) = views["abroad"].problem.clone().expect("a problem");
    assert!(problem.contains("the network has no site xx"), "{problem}");
    let doubts = views["nearly"].doubts.clone().unwrap_or_default();
    assert!(
        doubts.contains("the network has no site ukk (did you mean uk?)"),
        "{doubts}"
    );
}

#[test]
fn a_broker_has_a_user_when_it_tells_its_fingerprint_and_an_old_one_when_it_runs_all_the_files() {
    let mut run = Run::new();
    let prints = run.fingerprints();
    let users = json!({"amq": prints["amq"], "mcollective": "0000000000000000"});
    run.answer("ie", &json!({"users": users}));
    let views = run.views();
    assert_eq!(
        acks(&views["amq"]),
        [("ie", Ack::Same), ("uk", Ack::NotAsked)]
    );
    assert_eq!(
        acks(&views["mcollective"]),
        [("ie", Ack::Other), ("uk", Ack::NotAsked)]
    );
    run.answer("uk", &json!({"config": {"applied": "abc"}}));
    assert_eq!(acks(&run.views()["amq"])[1], ("uk", Ack::Same));
    run.answer("uk", &json!({"config": {"applied": "abd"}}));
    assert_eq!(acks(&run.views()["amq"])[1], ("uk", Ack::Other));
    let uk = run.brokers.get_mut("uk").expect("it answered");
    uk.failures = 10;
    assert_eq!(acks(&run.views()["amq"])[1], ("uk", Ack::Lost));
}

#[test]
fn sites_that_are_stopped_are_not_asked() {
    let mut run = Run::new();
    for site in &mut run.cluster.declared.network.spec.sites {
        if site.name == "uk" {
            site.mode = serde_json::from_value(json!("Stopped")).expect("a mode");
        }
    }
    let views = run.views();
    assert_eq!(acks(&views["amq"]), [("ie", Ack::NotAsked)]);
    assert_eq!(views["amq"].local_sites.len(), 2);
    assert!(views["lost"].sites.is_empty());
}

#[test]
fn what_keeps_a_whole_network_is_told_to_its_users() {
    let mut run = Run::new();
    let sites = &mut run.cluster.declared.network.spec.sites;
    (sites[0].id, sites[1].id) = (Some(7), Some(7));
    let views = run.views();
    let blocked = views["amq"].blocked.clone().unwrap_or_default();
    assert!(blocked.contains("same short id 7"), "{blocked}");
    assert!(!views["amq"].is_served);
    let reason = views["lost"].problem.as_ref().map(|(reason, _)| *reason);
    assert_eq!(reason, Some(Reason::SecretNotFound));
}

#[test]
fn an_annotation_of_ours_on_a_user_is_a_doubt_about_it_and_others_are_none() {
    let doubts = Run::new().views()["nearly"]
        .doubts
        .clone()
        .unwrap_or_default();
    let expected = "metadata.annotations[\"causeway.dev/reconcile\"]: is no annotation of a BrokerUser, so it is ignored \
                    (it is one for a BrokerNetwork)";
    assert!(doubts.contains(expected), "{doubts}");
    assert!(!doubts.contains("other.dev"), "{doubts}");
}

#[test]
fn a_password_is_not_made_in_a_moment_while_the_network_is_paused() {
    let mut run = Run::new();
    let annotations = &mut run.cluster.declared.network.metadata.annotations;
    let paused = ("causeway.dev/reconcile".to_owned(), "paused".to_owned());
    annotations.get_or_insert_default().extend([paused]);
    let (_, problem) = run.views()["made"].problem.clone().expect("a problem");
    assert!(
        problem.contains("is not made while the network is paused"),
        "{problem}"
    );
}

#[test]
fn a_link_without_its_secret_is_nothing_to_any_user() {
    let mut run = Run::new();
    run.cluster.declared.secrets.remove("link-ie-uk");
    let amq = &run.views()["amq"];
    assert!(amq.is_served && amq.blocked.is_none() && amq.problem.is_none());
}

#[test]
fn a_generated_password_is_nobodys_but_the_operators() {
    let mut run = Run::new();
    let secret = BTreeMap::from([("password".to_owned(), b"geheim".to_vec())]);
    let secrets = &mut run.cluster.declared.secrets;
    secrets.insert("made-credentials".to_owned(), secret);
    let made = &run.views()["made"];
    assert!(made.is_served && made.problem.is_none());
    // Claimed by two: what the operator made goes on, and somebody is told.
    let foreign = &mut run.cluster.declared.foreign;
    foreign.insert("made-credentials".to_owned(), "X/y too".to_owned());
    let made = &run.views()["made"];
    let problem = made.problem.clone().map(|(reason, _)| reason);
    assert_eq!(problem, Some(Reason::SecretNotOwned));
    assert!(made.is_served);
    // Somebody else's alone: what it holds is not even read.
    run.cluster.declared.secrets.remove("made-credentials");
    let made = &run.views()["made"];
    let (reason, message) = made.problem.clone().expect("a problem");
    assert_eq!(reason, Reason::SecretNotOwned);
    assert!(message.contains("belongs to X/y"), "{message}");
    assert!(!made.is_served);
}

#[test]
fn the_credential_is_the_rotation_or_the_version_of_the_secret() {
    let mut run = Run::new();
    let contents = |version: &str, rotation: Option<&str>| Contents {
        resource_version: version.to_owned(),
        uid: String::new(),
        data: BTreeMap::new(),
        owners: Vec::new(),
        rotation: rotation.map(str::to_owned),
    };
    run.contents = BTreeMap::from([
        ("user-amq".to_owned(), contents("17", None)),
        ("made-credentials".to_owned(), contents("18", Some("1"))),
    ]);
    let views = run.views();
    assert_eq!(views["amq"].credential.as_deref(), Some("17"));
    assert_eq!(views["made"].credential.as_deref(), Some("1"));
    assert_eq!(views["mcollective"].credential, None);
}

/// The files that the sites here hold now.
fn settled(run: &mut Run) {
    let desired = run.cluster.build();
    for site in ["ie", "uk"] {
        let name = format!("mcollective--{site}-config");
        let secret = cluster::object(&desired, ChildKind::Secret, &name);
        let users = secret["data"]["users.yaml"].as_str().expect("a file");
        let users = STANDARD.decode(users).expect("base64");
        let files = BTreeMap::from([(render::USERS.to_owned(), users)]);
        run.cluster.declared.secrets.insert(name, files);
    }
}

#[test]
fn a_wrong_hash_leaves_its_user_out_and_holds_nobody_up() {
    let text = format!("{COUNTRIES}{HASHED}");
    let mut run = Run::new();
    run.cluster = Cluster::new(&text, &["ie", "uk"]);
    let views = run.views();
    let (reason, message) = views["hashed"].problem.clone().expect("a problem");
    assert_eq!(reason, Reason::SecretMalformed);
    assert!(
        message.contains("passwordHash of Secret user-hashed"),
        "{message}"
    );
    assert!(!views["hashed"].is_served);
    assert!(views["amq"].is_served && views["amq"].problem.is_none());
    // Building reads the files as a broker will, and panics at one that it would refuse.
    let _ = run.cluster.build();
}

#[test]
fn who_loses_a_secret_keeps_what_was_in_force() {
    let mut run = Run::new();
    let before = run.fingerprints();
    settled(&mut run);
    run.cluster.declared.secrets.remove("user-amq");
    assert_eq!(run.fingerprints(), before);
    let amq = &run.views()["amq"];
    assert!(amq.is_served);
    let reason = amq.problem.as_ref().map(|(reason, _)| *reason);
    assert_eq!(reason, Some(Reason::SecretNotFound));
    // Of whom nothing was in force nothing is kept.
    assert!(!before.contains_key("lost"), "{before:#?}");

    run.cluster
        .declared
        .secrets
        .insert("user-amq".to_owned(), BTreeMap::new());
    assert_eq!(run.fingerprints(), before);
    let reason = run.views()["amq"]
        .problem
        .as_ref()
        .map(|(reason, _)| *reason);
    assert_eq!(reason, Some(Reason::SecretMalformed));
}
