//! The broker's command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Parser;

use crate::app;

#[derive(Debug, Parser)]
#[command(
    name = "causeway-broker",
    version,
    about = "A message broker whose links make many brokers one server",
    after_help = "Examples:\n  causeway-broker --config /etc/causeway\n  causeway-broker --check /etc/causeway   # exit code 0, or 1 with every error"
)]
struct Arguments {
    /// Directory with broker.yaml, users.yaml and secrets.yaml
    #[arg(long, value_name = "DIR", required_unless_present = "check")]
    config: Option<PathBuf>,
    /// Validate a directory and exit
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    check: Option<PathBuf>,
    /// End when this process is no longer the parent
    #[arg(long, value_name = "PID", hide = true)]
    parent: Option<u32>,
}

/// What the arguments ask for.
#[derive(Debug)]
pub enum Parsed {
    /// Run a broker.
    Run(app::Options),
    /// Validate a directory.
    Check(PathBuf),
    /// Help, version or a mistake was printed.
    Exit(u8),
}

/// Reads the arguments, the program's name first.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Parsed {
    match Arguments::try_parse_from(arguments) {
        Ok(Arguments {
            check: Some(directory),
            ..
        }) => Parsed::Check(directory),
        Ok(Arguments {
            config: Some(config_dir),
            parent,
            ..
        }) => Parsed::Run(app::Options { config_dir, parent }),
        Ok(_) => Parsed::Exit(2),
        Err(error) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            // Nothing is left to tell anybody when even this cannot be written.
            let _ = error.print();
            Parsed::Exit(code)
        }
    }
}
