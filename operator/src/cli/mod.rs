//! The command line: one file per subcommand, each from its arguments to a call. No logic lives here.

pub mod can_i;
pub mod cluster_args;
pub mod complete;
pub mod completion;
pub mod connect;
pub mod crds;
pub mod dump;
pub mod failure;
pub mod input;
pub mod invoked;
pub mod join_bundle;
pub mod lint;
pub mod operator;
pub mod out;
pub mod path;
pub mod plan;
mod plan_text;
pub mod probe;
pub mod publish;
pub mod ready;
pub mod render;
mod render_dir;
pub mod status;
mod status_broker;
mod status_cluster;
pub mod subscribe;
pub mod table;
pub mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

/// Declares a network of message brokers once and runs it anywhere.
#[derive(Debug, Parser)]
#[command(
    name = "causeway",
    version,
    about,
    after_help = "\
Examples:
  causeway up deploy/examples/countries.yaml
  causeway sub stomp://127.0.0.1:61613 topic/news --user amq --from deploy/examples/countries.yaml
  causeway lint deploy/examples/countries.yaml
  causeway plan -f network.yaml --from old.yaml
  causeway status mcollective -n amq
  causeway dump mcollective -n amq
  causeway crds | kubectl apply -f -

Exit codes: 0 good, 1 a negative answer or findings, 2 bad usage or invalid input, 3 a failure of the network
or the machine."
)]
pub struct LowArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run all sites of a network on this machine.
    Up(up::Args),
    /// Run the sites of this cluster: the Kubernetes operator.
    Operator(Box<operator::Args>),
    /// Print the broker's files that the documents stand for.
    Render(render::Args),
    /// Find what is probably not meant.
    Lint(lint::Args),
    /// Show what an edit changes, or what a loss would come to.
    Plan(plan::Args),
    /// Say whether a user may do something, and why.
    #[command(name = "can-i")]
    CanI(can_i::Args),
    /// Show the way between two sites.
    Path(path::Args),
    /// Print a Secret with a fresh certificate for a site.
    JoinBundle(join_bundle::Args),
    /// Print the custom resource definitions.
    Crds(crds::Args),
    /// Show how a network is: from a broker, from `up`, or from the cluster.
    Status(status::Args),
    /// Gather what somebody needs who is to help, without secrets.
    Dump(dump::Args),
    /// Send messages to a broker.
    Pub(publish::Args),
    /// Receive messages from a broker.
    Sub(subscribe::Args),
    /// Measure how long a message takes through a broker and back.
    Probe(probe::Args),
    /// Ask a broker or an operator whether it is ready.
    Ready(ready::Args),
    /// Print a completion script for a shell.
    Completion(completion::Args),
    /// Run one broker, as a child of `up`.
    #[command(hide = true)]
    Broker(up::BrokerArgs),
    /// Print what may come next on a command line.
    #[command(name = invoked::COMPLETE, hide = true)]
    Complete(complete::Args),
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Output {
    /// For people.
    #[default]
    Text,
    /// For programs: JSON with the same fields.
    Json,
}

/// What a command came to; its number is the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It did what was asked.
    Good = 0,
    /// A negative answer, or findings.
    Negative = 1,
    /// Bad usage, unreadable or invalid input.
    BadInput = 2,
    /// The network, the API server or the machine failed.
    Failure = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Runs one command line; what an error means for the exit code [`failure`] knows.
pub fn run(args: LowArgs) -> anyhow::Result<Exit> {
    match args.command {
        Command::Render(args) => render::run(&args),
        Command::Lint(args) => lint::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::CanI(args) => can_i::run(&args),
        Command::Path(args) => path::run(&args),
        Command::JoinBundle(args) => join_bundle::run(&args),
        Command::Crds(args) => crds::run(&args),
        Command::Completion(args) => completion::run(&args),
        Command::Up(args) => up::run(args),
        Command::Operator(args) => operator::run(*args),
        Command::Status(args) => status::run(&args),
        Command::Dump(args) => dump::run(&args),
        Command::Pub(args) => publish::run(args),
        Command::Sub(args) => subscribe::run(args),
        Command::Probe(args) => probe::run(args),
        Command::Ready(args) => ready::run(&args),
        Command::Broker(args) => up::run_broker(args),
        Command::Complete(args) => complete::run(&args),
    }
}
