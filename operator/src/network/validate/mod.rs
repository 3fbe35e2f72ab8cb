//! What was written to what is valid, or every finding the user can act on.
//!
//! What the schema and its rules decide has been decided before; this checks what needs the whole: links
//! after expansion, ids, Secrets, and what the broker's own parser accepts.

mod annotations;
mod cluster;
mod groups;
mod hashes;
mod kept;
mod secrets;
mod settings;
mod sites;
mod tls;
mod users;

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use causeway_broker::config::Problem;
use causeway_broker::config::file::{LinkAuthMode, Temporary};
use causeway_broker::config::units::{Size, Span};
use causeway_broker::security::password;

use crate::api::condition::Reason;
use crate::api::network::{
    Authorization, BrokerNetworkSpec, LINK_COST, Link, LinkAuthMode as Mode, LinkState,
};
use crate::api::shared::{Address, Entry};
use crate::documents::Severity;
use crate::documents::schema_walk::nearest;
use crate::documents::tree::field_path;
use crate::finding::{Finding, Subject};
use crate::model::{Declared, ValidEntry, ValidLink, ValidNetwork};
use crate::names::{LinkName, NetworkName, SiteName};
use crate::network::credentials::{self, HashCache};
use crate::network::placement;
use crate::render::{self, extra};
use crate::rule::Rule;
use crate::topology::collectives;
use crate::topology::expand::{self, Expanded, TopologyError};

/// What to do about a Secret or a key that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingSecrets {
    /// It is an error: nothing can start without it.
    Refuse,
    /// It is a warning, and `<missing: SECRET/KEY>` stands in its place.
    Mark,
}

/// Checks a network as a whole; the findings beside a valid network are warnings.
///
/// # Errors
/// Every finding, at least one of them an error.
pub fn run(
    declared: &Declared,
    missing: MissingSecrets,
) -> Result<(ValidNetwork, Vec<Finding>), Vec<Finding>> {
    let spec = &declared.network.spec;
    let mut check = Check {
        declared,
        missing,
        findings: Vec::new(),
        kept: None,
        keeps_certificates: false,
        named: OnceCell::new(),
    };
    let sites = check.sites();
    let links = check.links();
    let tls = check.tls();
    let settings = check.settings();
    let users = check.users(&sites);
    check.groups();
    check.annotations();
    let cluster = check.cluster();
    if check.findings.iter().any(|finding| check.blocks(finding)) {
        return Err(check.findings);
    }
    let mut network = ValidNetwork {
        name: NetworkName::new(declared.name()),
        sites,
        site_order: spec
            .sites
            .iter()
            .map(|site| SiteName::new(&site.name))
            .collect(),
        links,
        link_auth: link_auth(spec),
        tls,
        denied_sites: spec.denied_sites.iter().flatten().cloned().collect(),
        entries: entries(spec.authorization.as_ref()),
        temporary: temporary(spec.authorization.as_ref()),
        cluster,
        settings,
        users,
        spec_hash: String::new(),
        users_hash: hashes::users(&declared.users),
    };
    network.spec_hash = hashes::spec(&network);
    if check.keeps_certificates {
        network.link_auth = LinkAuthMode::Mtls;
    }
    Ok((network, check.findings))
}

/// What the broker's own validator finds in the files of each site, so that one it would refuse never
/// reaches it. Certificates and hashes are other people's and are not looked at; what stands in the place
/// of a missing secret would be.
#[must_use]
pub fn refused(network: &ValidNetwork) -> Vec<Finding> {
    let jobs = credentials::missing(network, &HashCache::new());
    let hashes: HashCache = jobs
        .into_iter()
        .map(|job| (job, password::DUMMY.to_owned()))
        .collect();
    let mut found = BTreeSet::new();
    for site in network.sites.keys() {
        let Some(placement) = placement::in_cluster(network, site) else {
            continue;
        };
        match render::render(network, site, &placement, &hashes) {
            Err(error) => drop(found.insert(("spec".to_owned(), error.to_string()))),
            Ok(files) => {
                let problems = render::check(&files, &render::unknown_certificates()).err();
                let is_ours = |problem: &Problem| !problem.path.starts_with("tls.");
                let problems = problems.unwrap_or_default().into_iter().filter(is_ours);
                found.extend(problems.map(|problem| blamed(network, &problem)));
            }
        }
    }
    let finding = |(path, reason)| {
        let reason = format!("a broker would refuse its files: {reason}");
        Finding::error(Subject::Network, path, reason).because(Reason::ConfigRejected)
    };
    found.into_iter().map(finding).collect()
}

/// The field of the object behind a mistake in the broker's files, as far as that is one key of `settings.extra`.
fn blamed(network: &ValidNetwork, problem: &Problem) -> (String, String) {
    let Problem {
        file, path, reason, ..
    } = problem;
    let mut keys = network.settings.extra.keys();
    match keys.find(|key| extra::is_about(path, key)) {
        Some(key) => (
            field_path("spec.settings.extra", key),
            extra::reason_at(path, reason, key),
        ),
        None => ("spec".to_owned(), format!("{file} {path}: {reason}")),
    }
}

struct Check<'a> {
    declared: &'a Declared,
    missing: MissingSecrets,
    findings: Vec<Finding>,
    /// What the files of now hold; read when the first user or link needs it.
    kept: Option<kept::InForce>,
    /// Links go on with certificates alone, since the passwords that are to come beside them are not there yet.
    keeps_certificates: bool,
    /// Secrets that the documents name; made when the first one is missing.
    named: OnceCell<BTreeSet<String>>,
}

impl Check<'_> {
    /// Whether a finding forbids going on. In a cluster a wrong user, or a link without its password, is left out or stays as
    /// it is, and nobody else is held up: least of all what takes somebody's access.
    fn blocks(&self, finding: &Finding) -> bool {
        let is_one = matches!(finding.subject, Subject::User(_) | Subject::Link(_));
        let is_alone = self.declared.local_sites.is_some() && is_one;
        finding.severity == Severity::Error && !is_alone
    }

    fn add(&mut self, path: impl Into<String>, reason: impl Into<String>) {
        self.findings
            .push(Finding::error(Subject::Network, path, reason));
    }

    fn links(&mut self) -> BTreeMap<LinkName, ValidLink> {
        let spec = &self.declared.network.spec;
        let (all, errors) = expand::links(spec);
        for error in errors {
            let (path, cause, rule) = match &error {
                TopologyError::DuplicatePair { index, .. } => (
                    format!("spec.links[{index}].between"),
                    Reason::DuplicatePair,
                    Rule::DuplicatePair,
                ),
                TopologyError::DuplicateName { index, .. } => (
                    format!("spec.links[{index}].name"),
                    Reason::DuplicateLinkName,
                    Rule::DuplicateLinkName,
                ),
                TopologyError::TooMany { .. } | TopologyError::TooManyAt { .. } => {
                    let path = "spec.links".to_owned();
                    (path, Reason::TooManyLinks, Rule::TooManyLinks)
                }
            };
            let finding = Finding::error(Subject::Network, path, error.to_string());
            self.findings.push(finding.because(cause).called(rule));
        }
        self.unknown_ends();
        let mut links = BTreeMap::new();
        for expanded in all {
            let written = expanded
                .written
                .and_then(|index| spec.links.as_ref()?.get(index));
            if written.and_then(|link| link.state) != Some(LinkState::Disabled) {
                let link = self.link(&expanded, written);
                links.insert(LinkName::new(&expanded.name), link);
            }
        }
        links
    }

    /// N4 with the entry that is wrong.
    fn unknown_ends(&mut self) {
        let spec = &self.declared.network.spec;
        let sites = || spec.sites.iter().map(|site| site.name.as_str());
        for (index, link) in spec.links.iter().flatten().enumerate() {
            for (end, name) in link.between.iter().enumerate() {
                if sites().any(|site| site == name) {
                    continue;
                }
                let path = format!("spec.links[{index}].between[{end}]");
                let mut finding = Finding::error(
                    Subject::Network,
                    path,
                    format!(
                        "the network has no site {name}, an end of link {}",
                        link.name
                    ),
                );
                finding.help = nearest(name, sites()).map(|near| format!("did you mean {near}?"));
                self.findings.push(finding);
            }
        }
    }

    fn link(&mut self, expanded: &Expanded, written: Option<&Link>) -> ValidLink {
        let path = match expanded.written {
            Some(index) => format!("spec.links[{index}]"),
            None => "spec.topology".to_owned(),
        };
        let tuning = written
            .and_then(|link| link.tuning.clone())
            .unwrap_or_default();
        let heartbeat = self.parsed(
            tuning.heartbeat.as_deref(),
            &format!("{path}.tuning.heartbeat"),
        );
        let heartbeat = heartbeat.unwrap_or(Span::seconds(1));
        if !(100..=60_000).contains(&heartbeat.0) {
            self.add(
                format!("{path}.tuning.heartbeat"),
                "is out of range: 100ms to 60s",
            );
        }
        let window: Option<Size> =
            self.parsed(tuning.window.as_deref(), &format!("{path}.tuning.window"));
        ValidLink {
            ends: [
                SiteName::new(&expanded.pair.0),
                SiteName::new(&expanded.pair.1),
            ],
            cost: written
                .and_then(|link| link.cost)
                .and_then(|cost| u16::try_from(cost).ok())
                .unwrap_or(LINK_COST),
            dialer: written
                .and_then(|link| link.dialer.as_deref())
                .map(SiteName::new),
            addresses: written
                .and_then(|link| link.addresses.clone())
                .unwrap_or_default(),
            heartbeat,
            window,
            secret: self.link_secret(
                &expanded.name,
                [&expanded.pair.0, &expanded.pair.1],
                written,
                &path,
            ),
        }
    }

    /// A duration or a size; the schema has seen to its form, so that only a huge number is left to refuse.
    fn parsed<T: std::str::FromStr>(&mut self, text: Option<&str>, path: &str) -> Option<T>
    where
        T::Err: std::fmt::Display,
    {
        match text?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.add(path, error.to_string());
                None
            }
        }
    }
}

fn link_auth(spec: &BrokerNetworkSpec) -> LinkAuthMode {
    match spec.link_auth.unwrap_or_default().mode {
        Mode::Password => LinkAuthMode::Password,
        Mode::Mtls => LinkAuthMode::Mtls,
        Mode::PasswordAndMtls => LinkAuthMode::PasswordAndMtls,
    }
}

/// The written entries and those of the collectives, sorted, so that the order of the document is nothing.
fn entries(authorization: Option<&Authorization>) -> Vec<ValidEntry> {
    let written = authorization
        .and_then(|rights| rights.entries.as_deref())
        .unwrap_or_default();
    let collectives = authorization
        .and_then(|rights| rights.collectives.as_deref())
        .unwrap_or_default();
    let mut entries: Vec<ValidEntry> = written
        .iter()
        .map(entry)
        .chain(collectives.iter().flat_map(collectives::entries))
        .collect();
    entries.sort();
    entries.dedup();
    entries
}

fn entry(entry: &Entry) -> ValidEntry {
    ValidEntry {
        is_queue: entry.queue.is_some(),
        pattern: entry
            .queue
            .clone()
            .or_else(|| entry.topic.clone())
            .unwrap_or_default(),
        read: sorted(entry.read.as_deref()),
        write: sorted(entry.write.as_deref()),
        admin: sorted(entry.admin.as_deref()),
        collective: None,
    }
}

fn temporary(authorization: Option<&Authorization>) -> Temporary {
    let default = Temporary::default();
    let Some(written) = authorization.and_then(|rights| rights.temporary.as_ref()) else {
        return default;
    };
    let list = |groups: &Option<Vec<String>>, default: Vec<String>| {
        groups
            .as_deref()
            .map_or(default, |groups| sorted(Some(groups)))
    };
    Temporary {
        read: list(&written.read, default.read),
        write: list(&written.write, default.write),
        admin: list(&written.admin, default.admin),
    }
}

fn sorted(groups: Option<&[String]>) -> Vec<String> {
    let mut groups = groups.unwrap_or_default().to_vec();
    groups.sort();
    groups.dedup();
    groups
}

/// A port that the schema has bounded.
fn port(written: Option<i32>, default: u16) -> u16 {
    written
        .and_then(|port| u16::try_from(port).ok())
        .unwrap_or(default)
}

fn address(host: &str, written: Option<i32>, default: u16) -> Address {
    Address {
        host: host.to_owned(),
        port: i32::from(port(written, default)),
    }
}
