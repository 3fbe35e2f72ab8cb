//! `causeway completion SHELL`.

use clap_complete::Shell;

use super::invoked::Invoked;
use super::{Exit, out};

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
    let invoked = Invoked::now();
    let mut command = invoked.command();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, invoked.file(), &mut script);
    out::print(script)?;
    Ok(Exit::Good)
}
