//! What one run of a network decided about each of its users, and what the brokers say of them.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::Timestamp;

use super::password;
use crate::api::condition::Reason;
use crate::api::network::{BrokerNetworkSpec, SiteMode};
use crate::api::user::{BrokerUserSpec, CredentialKind, UserSites};
use crate::client::view::StatusView;
use crate::documents::Severity;
use crate::finding::{Finding, Subject};
use crate::kube_io::secrets::Contents;
use crate::model::Declared;
use crate::model::observed::BrokerState;
use crate::names::{self, SiteName};
use crate::network::status::clock::Clock;
use crate::network::status::facts;

/// Findings in a message.
const MAX_FINDINGS: usize = 3;

/// What a broker says of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ack {
    /// It knows the user exactly as declared.
    Same,
    /// It knows another user of the name, or none.
    Other,
    /// It has not been asked since the operator started.
    NotAsked,
    /// It does not answer.
    Lost,
}

/// What was decided about a user.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserView {
    /// Uid of the object that this is about.
    pub uid: String,
    /// Its generation.
    pub generation: i64,
    /// The sites of this cluster that know the user.
    pub local_sites: BTreeSet<SiteName>,
    /// Those of them that are meant to run, with what their brokers say.
    pub sites: BTreeMap<SiteName, Ack>,
    /// The first mistake, and all of them in words.
    pub problem: Option<(Reason, String)>,
    /// What is probably not meant, in words.
    pub doubts: Option<String>,
    /// The credential that the brokers should have: the rotation of a generated password, else the version of the Secret.
    pub credential: Option<String>,
    /// The brokers' files hold the user.
    pub is_served: bool,
    /// Why no files can be made for the network at all.
    pub blocked: Option<String>,
    /// Nothing but statuses is written.
    pub is_paused: bool,
}

/// What the views of all users of a network follow from.
pub struct Inputs<'a> {
    /// Now.
    pub now: Timestamp,
    /// What was written.
    pub declared: &'a Declared,
    /// Uid and generation of each user.
    pub known: &'a BTreeMap<String, (String, i64)>,
    /// The Secrets that were read.
    pub contents: &'a BTreeMap<String, Contents>,
    /// What was found.
    pub findings: &'a [Finding],
    /// Fingerprint of each user in the files by login name; nothing where the network is not valid.
    pub fingerprints: Option<&'a BTreeMap<String, String>>,
    /// Hash of the files that each local site should run.
    pub config_hashes: &'a BTreeMap<SiteName, String>,
    /// What the local brokers tell.
    pub brokers: &'a BTreeMap<SiteName, BrokerState>,
    /// Nothing but statuses is written.
    pub is_paused: bool,
}

/// The view of each user, by the name of its object.
#[must_use]
pub fn views(inputs: &Inputs<'_>) -> BTreeMap<String, UserView> {
    let clock = Clock::new(inputs.now);
    let brokers: BTreeMap<&SiteName, Contact<'_>> = inputs
        .brokers
        .iter()
        .map(|(site, state)| (site, contact(&clock, state)))
        .collect();
    let mut told = Told::of(inputs.findings);
    let blocked = inputs.fingerprints.is_none().then(|| told.network());
    let users = inputs.declared.users.iter();
    users
        .filter_map(|(name, spec)| {
            let (uid, generation) = inputs.known.get(name)?;
            let username = spec.username.as_deref().unwrap_or(name);
            let wanted = inputs.fingerprints.and_then(|all| all.get(username));
            let local_sites = local_sites(inputs.declared, spec.sites.as_ref());
            let spec_of_network = &inputs.declared.network.spec;
            let running = local_sites
                .iter()
                .filter(|site| is_running(spec_of_network, site));
            let sites = running.map(|site| {
                let contact = brokers.get(site).copied().unwrap_or(Contact::NotAsked);
                let hash = inputs.config_hashes.get(site);
                (site.clone(), ack(contact, username, wanted, hash))
            });
            let (problem, doubts) = told.user(name);
            let is_other = matches!(problem, Some((Reason::DuplicateUsername, _)));
            let view = UserView {
                uid: uid.clone(),
                generation: *generation,
                sites: sites.collect(),
                local_sites,
                problem,
                doubts,
                credential: credential(name, spec, inputs.contents),
                is_served: wanted.is_some() && !is_other,
                blocked: blocked.clone(),
                is_paused: inputs.is_paused,
            };
            Some((name.clone(), view))
        })
        .collect()
}

/// How a broker is to be had.
#[derive(Clone, Copy)]
enum Contact<'a> {
    Answers(&'a StatusView),
    NotAsked,
    Lost,
}

fn contact<'a>(clock: &Clock, state: &'a BrokerState) -> Contact<'a> {
    match &state.view {
        _ if facts::is_lost(clock, state) => Contact::Lost,
        Some(view) => Contact::Answers(view),
        None => Contact::NotAsked,
    }
}

fn ack(
    contact: Contact<'_>,
    username: &str,
    wanted: Option<&String>,
    hash: Option<&String>,
) -> Ack {
    let view = match contact {
        Contact::NotAsked => return Ack::NotAsked,
        Contact::Lost => return Ack::Lost,
        Contact::Answers(view) => view,
    };
    let is_same = match &view.users {
        Some(users) => wanted.is_some() && users.get(username) == wanted,
        // A broker that is too old to tell of users tells of all its files at once.
        None => wanted.is_some() && hash.is_some() && view.config.applied.as_ref() == hash,
    };
    if is_same { Ack::Same } else { Ack::Other }
}

/// The sites of this cluster that know a user, whether or not the user is served.
fn local_sites(declared: &Declared, wanted: Option<&UserSites>) -> BTreeSet<SiteName> {
    let sites = declared.network.spec.sites.iter();
    let is_meant = |site: &&crate::api::site::Site| {
        let Some(wanted) = wanted else {
            return true;
        };
        match &wanted.match_labels {
            Some(labels) => labels.iter().all(|(key, value)| {
                site.labels.as_ref().and_then(|own| own.get(key)) == Some(value)
            }),
            None => wanted.names.iter().flatten().any(|name| *name == site.name),
        }
    };
    sites
        .filter(|site| declared.is_local(&site.name))
        .filter(is_meant)
        .map(|site| SiteName::new(&site.name))
        .collect()
}

fn is_running(network: &BrokerNetworkSpec, name: &SiteName) -> bool {
    let mut sites = network.sites.iter();
    let site = sites.find(|site| site.name == name.as_str());
    site.is_some_and(|site| site.mode != Some(SiteMode::Stopped))
}

fn credential(
    name: &str,
    spec: &BrokerUserSpec,
    contents: &BTreeMap<String, Contents>,
) -> Option<String> {
    if password::rotation(spec).is_some() {
        return contents
            .get(&names::generated_secret(name))?
            .rotation
            .clone();
    }
    if spec.credentials.kind == CredentialKind::Certificate {
        return None;
    }
    let reference = spec.credentials.secret_ref.as_ref()?;
    let held = contents.get(&reference.name)?;
    Some(held.resource_version.clone())
}

/// What was found, by whom it is about.
struct Told<'a> {
    network: Vec<&'a Finding>,
    users: BTreeMap<&'a str, Vec<&'a Finding>>,
}

impl<'a> Told<'a> {
    fn of(findings: &'a [Finding]) -> Self {
        let mut told = Self {
            network: Vec::new(),
            users: BTreeMap::new(),
        };
        for finding in findings {
            match &finding.subject {
                Subject::User(name) => told.users.entry(name).or_default().push(finding),
                _ if finding.severity == Severity::Error => told.network.push(finding),
                _ => {}
            }
        }
        told
    }

    fn network(&self) -> String {
        words(&self.network)
    }

    /// The mistakes of a user, and the doubts about it.
    fn user(&mut self, name: &str) -> (Option<(Reason, String)>, Option<String>) {
        let all = self.users.remove(name).unwrap_or_default();
        let of = |severity| {
            let found: Vec<&Finding> = all
                .iter()
                .copied()
                .filter(|finding| finding.severity == severity)
                .collect();
            let first = found.first().map(|finding| finding.cause);
            first.map(|cause| (cause, words(&found)))
        };
        let doubts = of(Severity::Warning).map(|(_, words)| words);
        // What is made in a moment is awaited like what somebody else has to give.
        let awaited = of(Severity::Note).filter(|(cause, _)| *cause == Reason::SecretNotFound);
        (of(Severity::Error).or(awaited), doubts)
    }
}

fn words(findings: &[&Finding]) -> String {
    let shown = findings.iter().take(MAX_FINDINGS).map(|finding| {
        let help = finding.help.as_ref().map(|help| format!(" ({help})"));
        let help = help.unwrap_or_default();
        match finding.path.is_empty() {
            true => format!("{}{help}", finding.reason),
            false => format!("{}: {}{help}", finding.path, finding.reason),
        }
    });
    let text = shown.collect::<Vec<_>>().join("; ");
    match findings.len() {
        ..=MAX_FINDINGS => text,
        count => format!("{text}; and {} more", count - MAX_FINDINGS),
    }
}
