//! `causeway completion SHELL`.

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Exit, LowArgs, out};

/// Arguments of `causeway completion`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  causeway completion bash > /etc/bash_completion.d/causeway
  source <(causeway completion zsh)")]
pub struct Args {
    /// The shell to write for.
    pub shell: Shell,
}

/// Prints the script on standard output.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let mut command = LowArgs::command();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "causeway", &mut script);
    out::print(script)?;
    Ok(Exit::Good)
}
