//! `causeway plan -f NEW --from OLD`, or `--cluster`, and what-if questions.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::cluster_args::{ClusterArgs, runtime};
use super::failure::UsageError;
use super::{Exit, Output, input, out, plan_text};
use crate::change::{self, ObjectChanges, SiteChange};
use crate::client::cluster::{Cluster, ClusterError};
use crate::client::declared;
use crate::documents::{Problem, Severity, Source};
use crate::finding::Finding;
use crate::lint;
use crate::model::{Declared, ValidNetwork};
use crate::names::SiteName;
use crate::network::load::{Generated, Loaded, Wanted, examine};
use crate::network::validate::MissingSecrets;
use crate::topology::what_if::{self, Loss, Outcome};

/// Arguments of `causeway plan`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  causeway plan -f network.yaml --from <(git show main:network.yaml)
  causeway plan -f network.yaml --from old.yaml --site ie -o json
  causeway plan -f network.yaml --cluster -n amq --context uk
  causeway plan -f network.yaml --lose site:uk --lose link:ie-us
  causeway plan -f network.yaml --lose-each

Classes: live is in force without a restart, restart makes a new pod, none concerns no broker. A Secret that one side
does not hold counts as unchanged, and a cluster's Secrets are not read. Ends with 1 if NEW brings warnings that OLD does
not have, or if a loss cuts sites off from each other.")]
pub struct Args {
    /// The documents as they are to be; `-` is standard input. May be given more than once.
    #[arg(long = "file", short = 'f', required = true, value_name = "NEW")]
    pub files: Vec<PathBuf>,
    /// The documents as they are; may be given more than once.
    #[arg(long, value_name = "OLD")]
    pub from: Vec<PathBuf>,
    /// Compare with what the cluster has, instead of OLD.
    #[arg(long, conflicts_with = "from", help_heading = "Cluster")]
    pub cluster: bool,
    /// Which cluster.
    #[command(flatten)]
    pub place: ClusterArgs,
    /// Only this site; may be given more than once.
    #[arg(long, value_name = "S")]
    pub site: Vec<String>,
    /// What if site:NAME or link:NAME were lost? May be given more than once: all at the same time.
    #[arg(long, value_name = "site:X|link:Y", conflicts_with = "lose_each")]
    pub lose: Vec<Loss>,
    /// What if each site and each link were lost, one at a time?
    #[arg(long)]
    pub lose_each: bool,
    /// The network, where the files declare several.
    #[arg(long, value_name = "NAME")]
    pub network: Option<String>,
    /// How the plan is printed.
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Output,
}

impl Args {
    fn wants(&self, site: &SiteName) -> bool {
        self.site.is_empty() || self.site.iter().any(|name| name == site.as_str())
    }
}

/// All that was found out.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    /// The network.
    pub(super) network: String,
    /// Site by site; absent: nothing was compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sites: Option<Vec<SiteChange>>,
    /// What comes and goes in a cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) objects: Option<ObjectChanges>,
    /// What losses come to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) what_if: Vec<Outcome>,
    /// Findings that the old documents do not have.
    pub(super) findings: Vec<serde_json::Value>,
}

/// Prints what an edit changes, and what losses come to.
///
/// # Errors
/// The cluster does not tell, or the output cannot be written.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    if args.place.is_given() && !args.cluster {
        let text =
            "-n, --context and --kubeconfig name a cluster: add --cluster to compare with it";
        return Err(UsageError(text.to_owned()).into());
    }
    let has_question = args.cluster || args.lose_each || !args.lose.is_empty();
    if args.from.is_empty() && !has_question {
        let text = "what is it to be compared with? The documents as they are: --from OLD; what the cluster has: --cluster; or a loss: --lose site:NAME, --lose link:NAME, --lose-each";
        return Err(UsageError(text.to_owned()).into());
    }
    let (old, new, found) = match read(args)? {
        Ok(read) => read,
        Err(exit) => return Ok(exit),
    };
    known_sites(args, old.as_ref(), &new.network)?;
    let compared = old.as_ref().map(|old| {
        let mut sites = change::compare(&old.network, &new.network);
        sites.retain(|site| args.wants(&site.site));
        let before = Some((&old.declared, &old.network));
        let after = (&new.declared, &new.network);
        let objects = change::objects(before, after, |site| args.wants(site));
        (sites, objects)
    });
    let (sites, objects) = compared.unzip();
    let what_if = outcomes(args, &new.network)?;
    let is_negative = found
        .iter()
        .any(|problem| problem.severity < Severity::Note)
        || what_if.iter().any(|outcome| !outcome.cut.is_empty());
    let report = Report {
        network: new.network.name.to_string(),
        sites,
        objects,
        what_if,
        findings: found
            .iter()
            .filter_map(|problem| serde_json::from_str(&problem.to_json()).ok())
            .collect(),
    };
    out::print(match args.output {
        Output::Json => format!("{}\n", serde_json::to_string_pretty(&report)?),
        Output::Text => plan_text::report(&report, args.lose_each),
    })?;
    if args.output == Output::Text {
        input::complain(&found);
    }
    Ok(match is_negative {
        true => Exit::Negative,
        false => Exit::Good,
    })
}

type Read = (Option<Loaded>, Loaded, Vec<Problem>);

/// Both sets of documents, and what is new about the second.
fn read(args: &Args) -> anyhow::Result<Result<Read, Exit>> {
    let files = match input::sources(&args.files) {
        Ok(files) => files,
        Err(exit) => return Ok(Err(exit)),
    };
    let older = match older(args, &files)? {
        Ok(older) => older,
        Err(exit) => return Ok(Err(exit)),
    };
    Ok(compared(args, older.as_deref(), &files))
}

type Sources = Vec<Arc<Source>>;

/// The documents that NEW is compared with; nothing where only losses are asked for.
fn older(args: &Args, new: &[Arc<Source>]) -> anyhow::Result<Result<Option<Sources>, Exit>> {
    if !args.cluster {
        let is_asked = !args.from.is_empty();
        return Ok(is_asked.then(|| input::sources(&args.from)).transpose());
    }
    // Which network is meant the new documents say; what is wrong with them is better said before a cluster is asked.
    let network = match side(args, new, None) {
        Ok(loaded) => loaded.declared.network,
        Err(exit) => return Ok(Err(exit)),
    };
    let mut target = args.place.target();
    target.namespace = target
        .namespace
        .or_else(|| network.metadata.namespace.clone());
    let name = network.metadata.name.unwrap_or_default();
    let (network, users) = runtime()?.block_on(async {
        let cluster = Cluster::connect(&target).await?;
        let network = cluster.network(&name).await?;
        Ok::<_, ClusterError>((network, cluster.users(false).await?))
    })?;
    Ok(Ok(Some(vec![declared::source(&network, &users)?])))
}

fn compared(args: &Args, older: Option<&[Arc<Source>]>, new: &[Arc<Source>]) -> Result<Read, Exit> {
    let old = older.map(|older| side(args, older, None)).transpose()?;
    let mut new = side(args, new, old.as_ref())?;
    let mut found = std::mem::take(&mut new.problems);
    match &old {
        // What is wrong with both is no matter of the edit.
        Some(old) => found.retain(|problem| {
            let is_old = old.problems.iter().any(|known| is_same(known, problem));
            // A cluster's Secrets were not read: whether what is wrong with one is new nobody knows.
            let is_unknown = args.cluster && problem.document.starts_with("Secret/");
            !is_old && !is_unknown
        }),
        None => found.clear(),
    }
    Ok((old, new, found))
}

fn is_same(one: &Problem, other: &Problem) -> bool {
    (&one.document, &one.reason, one.rule) == (&other.document, &other.reason, other.rule)
}

/// One set of documents with its findings; over an older one, with what may not change.
fn side(args: &Args, sources: &[Arc<Source>], older: Option<&Loaded>) -> Result<Loaded, Exit> {
    let further = |declared: &Declared, valid: Option<&ValidNetwork>| {
        let mut findings: Vec<Finding> = lint::run(declared, valid);
        if let (Some(older), Some(_)) = (older, valid) {
            findings.extend(change::refusals(&older.declared, declared));
        }
        findings
    };
    let examined = examine(
        sources,
        Wanted {
            network: args.network.as_deref(),
            missing: MissingSecrets::Mark,
            generated: Generated::Nothing,
            local: None,
            further: &further,
        },
    );
    let is_wrong = |problem: &Problem| problem.severity == Severity::Error;
    let has_errors = examined.problems.iter().any(is_wrong);
    match (examined.network, examined.declared) {
        (Some(network), Some(declared)) if !has_errors => Ok(Loaded {
            network,
            declared,
            problems: examined.problems,
        }),
        _ => {
            let mut problems = examined.problems;
            problems.retain(is_wrong);
            Err(input::refuse(&problems, args.output))
        }
    }
}

fn known_sites(args: &Args, old: Option<&Loaded>, new: &ValidNetwork) -> Result<(), UsageError> {
    let is_known = |name: &str| {
        new.sites.contains_key(name) || old.is_some_and(|old| old.network.sites.contains_key(name))
    };
    match args.site.iter().find(|name| !is_known(name)) {
        None => Ok(()),
        Some(name) => {
            let known: Vec<&str> = new.sites.keys().map(SiteName::as_str).collect();
            let known = known.join(", ");
            Err(UsageError(format!(
                "there is no site {name}; the network has {known}"
            )))
        }
    }
}

fn outcomes(args: &Args, network: &ValidNetwork) -> Result<Vec<Outcome>, UsageError> {
    if args.lose_each {
        return Ok(what_if::lose_each(network));
    }
    if args.lose.is_empty() {
        return Ok(Vec::new());
    }
    let outcome = what_if::lose(network, &args.lose);
    Ok(vec![
        outcome.map_err(|error| UsageError(error.to_string()))?,
    ])
}
