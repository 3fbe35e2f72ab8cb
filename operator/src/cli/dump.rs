//! `causeway dump [NAME]`.

use std::path::{Path, PathBuf};

use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;

use super::cluster_args::{ClusterArgs, runtime};
use super::failure::UsageError;
use super::invoked::Invoked;
use super::{Exit, out};
use crate::api::BrokerNetwork;
use crate::client::cluster::{self as kubernetes, Cluster, ClusterError};
use crate::client::locate::{self, FindError, Located};
use crate::dump::{self, Bundle, Place, Summary};
use crate::local::state::HOME;

/// Arguments of `causeway dump`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  causeway dump mcollective -n amq                  # from the cluster, into a file beside
  causeway dump --context uk -o uk.tar.gz
  causeway dump --state .causeway/mcollective -o /tmp/mcollective   # a folder, of what `causeway up` runs

In it: the objects of the network with their status, events, logs of brokers and operator, each broker's /status and
/metrics, versions, findings of lint. Of Secrets there are names and sizes of keys, never a value. What cannot be had is
named with the reason in README.txt, and is no error.")]
pub struct Args {
    /// Name of the network, where there are several.
    pub name: Option<String>,
    /// Where it goes: a file that ends in .tar.gz or .tgz, or a new folder; else a file named for network and time.
    #[arg(long, short, value_name = "PATH")]
    pub output: Option<PathBuf>,
    /// The state folder of `causeway up`, if it is not below .causeway; it holds one network, so no NAME is taken.
    #[arg(long, value_name = "DIR", conflicts_with = "name")]
    pub state: Option<PathBuf>,
    /// Ask the cluster, whatever runs here.
    #[arg(long, conflicts_with = "state", help_heading = "Cluster")]
    pub cluster: bool,
    /// Which cluster.
    #[command(flatten)]
    pub place: ClusterArgs,
}

/// Writes a bundle and says what is in it.
///
/// # Errors
/// There is no such network, or the bundle cannot be written.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let summary = match local(args, Invoked::now())? {
        Some(located) => from_folder(args, &located)?,
        None => from_cluster(args)?,
    };
    let missing = summary.missing.len();
    for one in &summary.missing {
        out::complain(format_args!("left out: {one}"));
    }
    let end = match missing {
        0 => "nothing was left out".to_owned(),
        count => format!("{count} left out, with the reasons in README.txt"),
    };
    let (path, parts) = (summary.path.display(), summary.parts);
    out::print(format!("{path}: {parts} parts, {end}\n"))?;
    Ok(Exit::Good)
}

/// The network that runs here; nothing where the cluster is asked.
fn local(args: &Args, invoked: Invoked) -> anyhow::Result<Option<Located>> {
    if let Some(folder) = &args.state {
        if args.place.is_given() {
            let text = "--state names a network on this machine; -n, --context and --kubeconfig a cluster: choose one";
            return Err(UsageError(text.to_owned()).into());
        }
        return Ok(Some(locate::at(folder)?));
    }
    let has_cluster = kubernetes::is_there();
    if args.cluster || args.place.is_given() || (has_cluster && invoked == Invoked::Plugin) {
        return Ok(None);
    }
    match locate::below(Path::new(HOME), args.name.as_deref()) {
        Ok(located) => Ok(Some(located)),
        // What is not here may be there.
        Err(FindError::Nothing(_) | FindError::NoSuchNetwork { .. }) if has_cluster => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn from_folder(args: &Args, located: &Located) -> anyhow::Result<Summary> {
    let name = located
        .folder
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let (mut bundle, about) = begin(args, &name, "this machine")?;
    dump::local::collect(&located.folder, &mut bundle)?;
    Ok(bundle.finish(&about)?)
}

fn from_cluster(args: &Args) -> anyhow::Result<Summary> {
    runtime()?.block_on(async {
        let cluster = Cluster::connect(&args.place.target()).await?;
        let network = network(args, &cluster).await?;
        let place = format!("namespace {}", cluster.namespace);
        let (mut bundle, about) = begin(args, &network.name_any(), &place)?;
        dump::cluster::collect(&cluster, &network, &mut bundle).await?;
        Ok(bundle.finish(&about)?)
    })
}

/// The network of the name, or the only one.
async fn network(args: &Args, cluster: &Cluster) -> anyhow::Result<BrokerNetwork> {
    if let Some(name) = &args.name {
        return Ok(cluster.network(name).await?);
    }
    let mut all = cluster.networks(false).await?;
    match (all.len(), all.pop()) {
        (1, Some(only)) => Ok(only),
        (_, None) => {
            Err(ClusterError::NoNetworks(format!("namespace {}", cluster.namespace)).into())
        }
        (_, Some(last)) => {
            all.push(last);
            let names: Vec<String> = all.iter().map(|one| one.name_any()).collect();
            Err(UsageError(format!(
                "there are several networks, name one: {}",
                names.join(", ")
            ))
            .into())
        }
    }
}

fn begin(args: &Args, name: &str, place: &str) -> anyhow::Result<(Bundle, String)> {
    let now = Timestamp::now();
    let root = format!("causeway-{name}-{}", now.strftime("%Y%m%dT%H%M%SZ"));
    let path = args.output.clone();
    let path = path.unwrap_or_else(|| PathBuf::from(format!("{root}.tar.gz")));
    let bundle = Bundle::begin(Place::of(&path), &root, now)?;
    Ok((
        bundle,
        format!("support bundle of the network {name} in {place}"),
    ))
}
