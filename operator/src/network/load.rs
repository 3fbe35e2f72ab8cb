//! Files to a valid network: what every command that reads documents begins with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::validate::{self, MissingSecrets};
use crate::api::condition::Reason;
use crate::documents::schema_walk::nearest;
use crate::documents::{self, Documents, Problem, Severity, Source};
use crate::finding::Finding;
use crate::model::{Declared, ValidNetwork};
use crate::names;
use crate::rule::Rule;
use crate::user::password;

/// A network that was read from files.
pub struct Loaded {
    /// The network.
    pub network: ValidNetwork,
    /// What was written about it.
    pub declared: Declared,
    /// Warnings and notes.
    pub problems: Vec<Problem>,
}

/// Without what was written: Secrets are part of it.
impl std::fmt::Debug for Loaded {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Loaded")
            .field("network", &self.network)
            .field("problems", &self.problems)
            .finish_non_exhaustive()
    }
}

/// Looks at what was written, and at the network if it is valid.
pub type Further<'a> = dyn Fn(&Declared, Option<&ValidNetwork>) -> Vec<Finding> + 'a;

/// Secrets by name: bytes by key.
pub type Secrets = BTreeMap<String, BTreeMap<String, Vec<u8>>>;

/// What stands for passwords that are made where the network runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generated<'a> {
    /// Nothing: they are not made here.
    Nothing,
    /// Any text: whether everything else is in order is to be known before one is made.
    StandIn,
    /// What was made.
    Made(&'a Secrets),
}

/// What is wanted from files.
#[derive(Clone)]
pub struct Wanted<'a> {
    /// The network, where they declare several.
    pub network: Option<&'a str>,
    /// What to do about a Secret that is not there.
    pub missing: MissingSecrets,
    /// What stands for passwords that are made where the network runs.
    pub generated: Generated<'a>,
    /// The sites that run in one place; absent: all.
    pub local: Option<BTreeSet<String>>,
    /// Looks further than is needed to run the network.
    pub further: &'a Further<'a>,
}

/// What files hold, with everything that is wrong with it.
pub struct Examined {
    /// The network, if it is valid.
    pub network: Option<ValidNetwork>,
    /// What was written about it, if that could be read.
    pub declared: Option<Declared>,
    /// All that was found, with its place, in the order of the files.
    pub problems: Vec<Problem>,
}

/// Reads and checks files; `network` chooses where they declare several.
///
/// # Errors
/// Every problem, with its place, in the order of the files.
pub fn load(
    sources: &[Arc<Source>],
    network: Option<&str>,
    missing: MissingSecrets,
) -> Result<Loaded, Vec<Problem>> {
    load_with(sources, network, missing, Generated::Nothing)
}

/// The same, with what stands for passwords that are made where the network runs.
///
/// # Errors
/// Every problem, with its place, in the order of the files.
pub fn load_with(
    sources: &[Arc<Source>],
    network: Option<&str>,
    missing: MissingSecrets,
    generated: Generated<'_>,
) -> Result<Loaded, Vec<Problem>> {
    let examined = examine(
        sources,
        Wanted {
            network,
            missing,
            generated,
            local: None,
            further: &|_, _| Vec::new(),
        },
    );
    match (examined.network, examined.declared) {
        (Some(network), Some(declared)) if !has_errors(&examined.problems) => Ok(Loaded {
            network,
            declared,
            problems: examined.problems,
        }),
        _ => Err(examined.problems),
    }
}

/// Reads and checks files, and goes on as far as it can.
#[must_use]
pub fn examine(sources: &[Arc<Source>], wanted: Wanted<'_>) -> Examined {
    let missing = wanted.missing;
    let mut documents = documents::read(sources);
    let mut problems = std::mem::take(&mut documents.problems);
    let Some(name) = choose(&documents, wanted.network, sources, &mut problems) else {
        return Examined::nothing(problems, sources);
    };
    problems.extend(strangers(&documents, missing));
    let Some(mut declared) = declare(&documents, &name) else {
        return Examined::nothing(problems, sources);
    };
    declared.local_sites = wanted.local;
    give(&mut declared, wanted.generated);
    let (valid, mut findings) = match validate::run(&declared, missing) {
        Ok((valid, findings)) => (Some(valid), findings),
        Err(findings) => (None, findings),
    };
    // What stands in the place of a missing secret is nothing a broker would take.
    let is_marked = |finding: &Finding| finding.cause != Reason::AnnotationIgnored;
    let is_whole = missing == MissingSecrets::Refuse || !findings.iter().any(is_marked);
    let is_clean = is_whole && !has_errors(&problems);
    findings.extend(
        valid
            .iter()
            .filter(|_| is_clean)
            .flat_map(validate::refused),
    );
    findings.extend((wanted.further)(&declared, valid.as_ref()));
    // The schema has said enough about a field that it refuses.
    let is_refused = |found: &Problem| {
        problems.iter().any(|problem| {
            (&problem.document, &problem.path) == (&found.document, &found.path)
                && !found.path.is_empty()
        })
    };
    let located = findings
        .into_iter()
        .filter_map(|finding| finding.locate(&documents, &name));
    let found: Vec<Problem> = located.filter(|found| !is_refused(found)).collect();
    problems.extend(found);
    Examined {
        network: valid,
        declared: Some(declared),
        problems: sorted(problems, sources),
    }
}

impl Examined {
    fn nothing(problems: Vec<Problem>, sources: &[Arc<Source>]) -> Self {
        Self {
            network: None,
            declared: None,
            problems: sorted(problems, sources),
        }
    }
}

fn has_errors(problems: &[Problem]) -> bool {
    problems
        .iter()
        .any(|problem| problem.severity == Severity::Error)
}

/// The name of the network that is meant; nothing where that is not clear.
fn choose(
    documents: &Documents,
    wanted: Option<&str>,
    sources: &[Arc<Source>],
    problems: &mut Vec<Problem>,
) -> Option<String> {
    let declared: Vec<&str> = networks(documents).collect();
    let (reason, help) = match (wanted, declared.as_slice()) {
        (Some(name), names) if names.contains(&name) => return Some(name.to_owned()),
        (None, [name]) => return Some((*name).to_owned()),
        (Some(name), []) => (format!("there is no BrokerNetwork {name}"), None),
        (Some(name), names) => (
            format!(
                "there is no BrokerNetwork {name}, only {}",
                names.join(", ")
            ),
            meant(name, documents),
        ),
        (None, []) if has_errors(problems) => return None,
        (None, []) => (
            "there is no document of kind BrokerNetwork".to_owned(),
            None,
        ),
        (None, names) => (
            format!("there are several networks: {}", names.join(", ")),
            Some("choose one with --network NAME".to_owned()),
        ),
    };
    problems.push(Problem {
        severity: Severity::Error,
        reason,
        source: sources
            .first()
            .map_or_else(|| Source::new("input", ""), Arc::clone),
        at: Default::default(),
        document: String::new(),
        path: String::new(),
        help,
        is_secret: false,
        rule: None,
    });
    None
}

/// The networks that are declared.
fn networks(documents: &Documents) -> impl Iterator<Item = &str> {
    let labels = documents.labels.keys();
    labels.filter_map(|label| label.strip_prefix("BrokerNetwork/"))
}

fn meant(name: &str, documents: &Documents) -> Option<String> {
    nearest(name, networks(documents)).map(|near| format!("did you mean {near}?"))
}

/// L16: users of networks that are nowhere in the input. Where something is to run, they could not log in.
fn strangers(documents: &Documents, missing: MissingSecrets) -> Vec<Problem> {
    let (severity, end) = match missing {
        MissingSecrets::Refuse => (Severity::Error, ""),
        MissingSecrets::Mark => (Severity::Warning, "; the user is passed over"),
    };
    documents
        .users
        .values()
        .filter(|user| {
            let network = user.value.spec.network_ref.name.as_str();
            !networks(documents).any(|known| known == network)
        })
        .map(|user| {
            let network = &user.value.spec.network_ref.name;
            let reason = format!("there is no BrokerNetwork {network}{end}");
            let help = meant(network, documents);
            let problem = user.problem(severity, "spec.networkRef.name", reason, help);
            Problem {
                rule: Some(Rule::UnknownReference),
                ..problem
            }
        })
        .collect()
}

fn declare(documents: &Documents, name: &str) -> Option<Declared> {
    let bytes = |objects: &BTreeMap<String, documents::Object<documents::read::Data>>| {
        let pairs = objects
            .iter()
            .map(|(name, object)| (name.clone(), object.value.clone()));
        pairs.collect::<BTreeMap<_, _>>()
    };
    let users = documents
        .users
        .iter()
        .filter(|(_, user)| user.value.spec.network_ref.name == name);
    let secrets = documents
        .labels
        .keys()
        .filter_map(|label| label.strip_prefix("Secret/"));
    Some(Declared {
        network: documents.networks.get(name)?.value.clone(),
        users: users
            .map(|(name, user)| (name.clone(), user.value.spec.clone()))
            .collect(),
        annotations: annotations(documents, name),
        unreadable: secrets
            .filter(|secret| !documents.secrets.contains_key(*secret))
            .map(str::to_owned)
            .collect(),
        local_sites: None,
        unread: BTreeMap::new(),
        foreign: BTreeMap::new(),
        secrets: bytes(&documents.secrets),
        config_maps: bytes(&documents.config_maps),
    })
}

fn annotations(documents: &Documents, network: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let users = documents.users.iter();
    let users = users.filter(|(_, user)| user.value.spec.network_ref.name == network);
    let own = users.filter_map(|(name, user)| {
        let annotations = user.value.metadata.annotations.clone()?;
        Some((name.clone(), annotations))
    });
    own.collect()
}

/// Puts what stands for passwords that are made where the network runs in their places.
fn give(declared: &mut Declared, generated: Generated<'_>) {
    if generated == Generated::Nothing {
        return;
    }
    let users = declared.users.iter();
    let names: Vec<String> = users
        .filter(|(_, spec)| password::rotation(spec).is_some())
        .map(|(name, _)| names::generated_secret(name))
        .collect();
    for name in names {
        // What is made is never taken from what somebody wrote.
        if declared.secrets.remove(&name).is_some() {
            declared.foreign.insert(name, "the files".to_owned());
            continue;
        }
        let secret = match generated {
            Generated::Made(secrets) => secrets.get(&name).cloned(),
            Generated::StandIn | Generated::Nothing => {
                let text = b"stand-in".to_vec();
                Some(BTreeMap::from([(password::PASSWORD.to_owned(), text)]))
            }
        };
        declared.secrets.extend(secret.map(|secret| (name, secret)));
    }
}

/// In the order of the files, and in each by place.
fn sorted(mut problems: Vec<Problem>, sources: &[Arc<Source>]) -> Vec<Problem> {
    let rank = |problem: &Problem| {
        sources
            .iter()
            .position(|source| Arc::ptr_eq(source, &problem.source))
    };
    problems.sort_by_key(|problem| (rank(problem), problem.at.offset));
    problems
}
