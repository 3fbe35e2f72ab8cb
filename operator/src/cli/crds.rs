//! `causeway crds`.

use clap::builder::PossibleValuesParser;

use super::{Exit, out};
use crate::api::crd;

/// Arguments of `causeway crds`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  causeway crds | kubectl apply -f -
  causeway crds --kind BrokerUser > crds/brokerusers.yaml")]
pub struct Args {
    /// Only this kind.
    #[arg(long, value_parser = PossibleValuesParser::new(crd::KINDS))]
    pub kind: Option<String>,
}

/// Prints the definitions as YAML documents.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let is_wanted = |kind: &&str| args.kind.as_deref().is_none_or(|wanted| wanted == *kind);
    let documents: Vec<String> = crd::KINDS
        .into_iter()
        .filter(is_wanted)
        .filter_map(crd::definition_yaml)
        .collect();
    out::print(documents.join("---\n"))?;
    Ok(Exit::Good)
}
