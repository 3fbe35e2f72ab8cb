//! The command line: one file per subcommand, each from its arguments to a call. No logic lives here.

pub mod completion;
pub mod connect;
pub mod crds;
pub mod failure;
pub mod input;
pub mod out;
pub mod probe;
pub mod publish;
pub mod render;
mod render_dir;
pub mod status;
pub mod subscribe;
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
  causeway render deploy/examples/countries.yaml --site ie
  causeway crds | kubectl apply -f -

Exit codes: 0 good, 1 a negative answer, 2 bad usage or invalid input, 3 a failure of the network
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
    /// Print the broker's files that the documents stand for.
    Render(render::Args),
    /// Print the custom resource definitions.
    Crds(crds::Args),
    /// Show how a network is, as one of its brokers sees it.
    Status(status::Args),
    /// Send messages to a broker.
    Pub(publish::Args),
    /// Receive messages from a broker.
    Sub(subscribe::Args),
    /// Measure how long a message takes through a broker and back.
    Probe(probe::Args),
    /// Print a completion script for a shell.
    Completion(completion::Args),
    /// Run one broker, as a child of `up`.
    #[command(hide = true)]
    Broker(up::BrokerArgs),
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
        Command::Crds(args) => crds::run(&args),
        Command::Completion(args) => completion::run(&args),
        Command::Up(args) => up::run(args),
        Command::Status(args) => status::run(&args),
        Command::Pub(args) => publish::run(args),
        Command::Sub(args) => subscribe::run(args),
        Command::Probe(args) => probe::run(args),
        Command::Broker(args) => up::run_broker(args),
    }
}
