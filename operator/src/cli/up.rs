//! `causeway up FILE…`, and the hidden command that its children run.

use std::path::PathBuf;

use causeway_broker::app;

use super::{Exit, Output};
use crate::local::{self, Settings};

/// Arguments of `causeway up`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  causeway up deploy/examples/countries.yaml
  causeway up network.yaml users.yaml --base-port 21610 -o json

The site in slot i has the ports N + 10*i + 1 (admin), 3 (STOMP), 4 (STOMP over TLS) and 8 (link) on
127.0.0.1. A change of FILE is applied while it runs. Ctrl-C stops everything.")]
pub struct Args {
    /// Documents, as `kubectl apply` would take them; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The network, where the files declare several.
    #[arg(long, value_name = "NAME")]
    pub network: Option<String>,
    /// Where ports, keys, certificates and the brokers' files are kept [default: .causeway/NETWORK].
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// First port of the first block [default: as before, at first 61610].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub base_port: Option<u16>,
    /// Leave a broker dead that dies.
    #[arg(long)]
    pub no_restart: bool,
    /// A table and lines for people, or one JSON object a line.
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Output,
}

/// Runs the network until Ctrl-C or SIGTERM.
///
/// # Errors
/// The machine does not let it.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    local::run(&Settings {
        files: args.files,
        network: args.network,
        state: args.state,
        base_port: args.base_port,
        restarts: !args.no_restart,
        output: args.output,
    })
}

/// Arguments of the hidden command that runs one broker.
#[derive(Debug, clap::Args)]
pub struct BrokerArgs {
    /// Configuration directory.
    #[arg(long, value_name = "DIR")]
    pub config: PathBuf,
    /// End when this process is no longer the parent.
    #[arg(long, value_name = "PID")]
    pub parent: Option<u32>,
}

/// Runs one broker until it is told to stop.
///
/// # Errors
/// Its files are wrong, or a port cannot be opened.
pub fn run_broker(args: BrokerArgs) -> anyhow::Result<Exit> {
    app::run(&app::Options {
        config_dir: args.config,
        parent: args.parent,
    })?;
    Ok(Exit::Good)
}
