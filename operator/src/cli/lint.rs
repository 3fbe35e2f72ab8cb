//! `causeway lint FILE…`.

use std::path::PathBuf;

use super::{Exit, Output, input, out};
use crate::documents::{Problem, Severity};
use crate::lint;
use crate::network::load::{Generated, Wanted, examine};
use crate::network::validate::MissingSecrets;

/// Arguments of `causeway lint`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  causeway lint deploy/examples/countries.yaml
  causeway lint network.yaml users.yaml --strict
  causeway lint network.yaml --sites ie,uk -o json

Ends with 1 if a finding is an error (with --strict: or a warning), with 2 if the documents are no network at all.
docs/cli.md lists the findings.")]
pub struct Args {
    /// Documents, as `kubectl apply` would take them; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// End with 1 for a warning too.
    #[arg(long)]
    pub strict: bool,
    /// The sites of one cluster, as its operator is told: Secrets of others are not missed, and links within it need no
    /// endpoint.
    #[arg(long, value_name = "S", value_delimiter = ',')]
    pub sites: Vec<String>,
    /// The network, where the files declare several.
    #[arg(long, value_name = "NAME")]
    pub network: Option<String>,
    /// How findings are printed: for people on standard error, or one JSON object a line on standard output.
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Output,
}

/// Prints every finding.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let sources = match input::sources(&args.files) {
        Ok(sources) => sources,
        Err(exit) => return Ok(exit),
    };
    let local = (!args.sites.is_empty() && args.sites != ["*"])
        .then(|| args.sites.iter().cloned().collect());
    let examined = examine(
        &sources,
        Wanted {
            network: args.network.as_deref(),
            missing: MissingSecrets::Mark,
            generated: Generated::Nothing,
            local,
            further: &lint::run,
        },
    );
    if let Some(declared) = &examined.declared {
        let sites = &declared.network.spec.sites;
        let is_known = |name: &String| name == "*" || sites.iter().any(|site| site.name == *name);
        if let Some(unknown) = args.sites.iter().find(|name| !is_known(name)) {
            let names: Vec<&str> = sites.iter().map(|site| site.name.as_str()).collect();
            out::complain(format_args!(
                "error: there is no site {unknown}; the network has {}",
                names.join(", ")
            ));
            return Ok(Exit::BadInput);
        }
    }
    input::print(&examined.problems, args.output)?;
    if args.output == Output::Text {
        out::print(summary(&examined.problems))?;
    }
    Ok(exit(&examined.problems, args.strict))
}

/// What is wrong with the documents themselves is bad input; a finding is an answer.
fn exit(problems: &[Problem], is_strict: bool) -> Exit {
    let errors = || {
        problems
            .iter()
            .filter(|problem| problem.severity == Severity::Error)
    };
    let warns = || {
        problems
            .iter()
            .any(|problem| problem.severity == Severity::Warning)
    };
    if errors().any(|problem| problem.rule.is_none()) {
        Exit::BadInput
    } else if errors().next().is_some() || (is_strict && warns()) {
        Exit::Negative
    } else {
        Exit::Good
    }
}

fn summary(problems: &[Problem]) -> String {
    let count = |severity: Severity, word: &str| {
        let problems = problems.iter();
        let count = problems
            .filter(|problem| problem.severity == severity)
            .count();
        let end = if count == 1 { "" } else { "s" };
        format!("{count} {word}{end}")
    };
    format!(
        "{}, {}, {}\n",
        count(Severity::Error, "error"),
        count(Severity::Warning, "warning"),
        count(Severity::Note, "note")
    )
}
