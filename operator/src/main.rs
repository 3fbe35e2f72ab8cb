//! The `causeway` command: parse arguments, run, map the outcome to an exit code.

use std::process::ExitCode;

use causeway_operator::cli::{self, Exit};

fn main() -> ExitCode {
    let args = cli::invoked::parse();
    if rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .is_err()
    {
        cli::out::complain("error: another TLS provider is already installed");
        return Exit::Failure.into();
    }
    match cli::run(args) {
        Ok(exit) => exit.into(),
        Err(error) => cli::failure::tell(&error).into(),
    }
}
