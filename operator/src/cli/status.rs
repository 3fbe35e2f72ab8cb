//! `causeway status [NAME]`: from a broker, from the network that `causeway up` runs here, or from a cluster.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use super::cluster_args::ClusterArgs;
use super::failure::UsageError;
use super::invoked::Invoked;
use super::out::{self, OutError};
use super::status_broker::{self, Asked};
use super::{Exit, Output, status_cluster};
use crate::client::cluster;
use crate::client::locate::{self, FindError};
use crate::local::state::HOME;

/// Arguments of `causeway status`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  causeway status                                   # the network that `causeway up` runs below this folder
  causeway status --watch
  causeway status --broker http://127.0.0.1:61621   # as the second site sees it
  causeway status mcollective -n amq                # from the cluster of the kubeconfig
  causeway status -A --context uk                   # every network there, a line each
  causeway status mcollective --tls                 # what links were opened with, and the certificates

Asked is the broker of --broker, else the network of --state or below .causeway, else the cluster; with -n, -A, --context,
--kubeconfig, --tls or --cluster, and as `kubectl causeway`, the cluster. Ends with 1 if a network that is shown from a
cluster is not Ready, if an operator has not looked at it or at one of its users as they are now, or if no operator has
been heard of for three times the duration of its Lease.")]
pub struct Args {
    /// Name of the network, where there are several; not together with --state, which names one.
    pub name: Option<String>,
    /// The admin page of the broker to ask, instead of NAME or --state.
    #[arg(long, value_name = "URL", conflicts_with = "name")]
    pub broker: Option<String>,
    /// The token of that page, where it wants one.
    #[arg(long, value_name = "FILE", requires = "broker")]
    pub token_file: Option<PathBuf>,
    /// The state folder of `causeway up`, if it is not below .causeway; it holds one network, so no NAME is taken.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["broker", "name"])]
    pub state: Option<PathBuf>,
    /// Ask the cluster, whatever runs here.
    #[arg(long, conflicts_with_all = ["broker", "state"], help_heading = "Cluster")]
    pub cluster: bool,
    /// Networks of all namespaces.
    #[arg(long, short = 'A', conflicts_with_all = ["broker", "state", "namespace"], help_heading = "Cluster")]
    pub all_namespaces: bool,
    /// Which cluster.
    #[command(flatten)]
    pub place: ClusterArgs,
    /// What links were opened with, and whether certificates are good, from the cluster.
    #[arg(long, conflicts_with_all = ["broker", "state"], help_heading = "Cluster")]
    pub tls: bool,
    /// Follow it until Ctrl-C.
    #[arg(long, short)]
    pub watch: bool,
    /// Tables, or what was answered as it is.
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Output,
}

impl Args {
    fn wants_cluster(&self) -> bool {
        self.cluster || self.all_namespaces || self.tls || self.place.is_given()
    }
}

/// Prints how networks are.
///
/// # Errors
/// There is nobody to ask, or nobody answers.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    match source(args, Invoked::now())? {
        Some(asked) => status_broker::run(args, asked),
        None => status_cluster::run(args),
    }
}

/// The brokers that are asked; nothing where the cluster is.
fn source(args: &Args, invoked: Invoked) -> anyhow::Result<Option<Asked>> {
    let has_own = args.broker.is_some() || args.state.is_some();
    if args.wants_cluster() {
        return match has_own {
            false => Ok(None),
            true => Err(UsageError(
                "--broker and --state name brokers; -n, --context and --kubeconfig a cluster: choose one".to_owned(),
            )
            .into()),
        };
    }
    if let Some(url) = &args.broker {
        return Ok(Some(Asked::broker(url)?));
    }
    if let Some(folder) = &args.state {
        return Ok(Some(Asked::local(locate::at(folder)?)));
    }
    let has_cluster = cluster::is_there();
    if has_cluster && invoked == Invoked::Plugin {
        return Ok(None);
    }
    match locate::below(Path::new(HOME), args.name.as_deref()) {
        Ok(located) => Ok(Some(Asked::local(located))),
        // What is not here may be there.
        Err(FindError::Nothing(_) | FindError::NoSuchNetwork { .. }) if has_cluster => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Prints a text; one that is followed takes the place of the one before.
pub(super) fn print(text: &str, is_followed: bool) -> Result<(), OutError> {
    // Clear the screen and go to its first line.
    let clear = match is_followed && std::io::stdout().is_terminal() {
        true => "\x1b[H\x1b[2J",
        false => "",
    };
    out::print(format!("{clear}{text}"))
}
