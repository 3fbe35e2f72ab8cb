//! Files to a valid network: what every command that reads documents begins with.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::validate::{self, MissingSecrets};
use crate::documents::schema_walk::nearest;
use crate::documents::{self, Documents, Problem, Severity, Source};
use crate::model::{Declared, ValidNetwork};

/// A network that was read from files.
#[derive(Debug)]
pub struct Loaded {
    /// The network.
    pub network: ValidNetwork,
    /// Warnings and notes.
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
    let mut documents = documents::read(sources);
    let mut problems = std::mem::take(&mut documents.problems);
    let Some(name) = choose(&documents, network, sources, &mut problems) else {
        return Err(sorted(problems, sources));
    };
    problems.extend(strangers(&documents, missing));
    let Some(declared) = declare(&documents, &name) else {
        return Err(sorted(problems, sources));
    };
    let (valid, mut findings) = match validate::run(&declared, missing) {
        Ok((valid, findings)) => (Some(valid), findings),
        Err(findings) => (None, findings),
    };
    // What stands in the place of a missing secret is nothing a broker would take.
    let is_whole = missing == MissingSecrets::Refuse || findings.is_empty();
    let is_clean = is_whole && !has_errors(&problems);
    findings.extend(
        valid
            .iter()
            .filter(|_| is_clean)
            .flat_map(validate::refused),
    );
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
    let problems = sorted(problems, sources);
    match valid {
        Some(network) if !has_errors(&problems) => Ok(Loaded { network, problems }),
        _ => Err(problems),
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
            user.problem(severity, "spec.networkRef.name", reason, help)
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
        unreadable: secrets
            .filter(|secret| !documents.secrets.contains_key(*secret))
            .map(str::to_owned)
            .collect(),
        secrets: bytes(&documents.secrets),
        config_maps: bytes(&documents.config_maps),
    })
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
