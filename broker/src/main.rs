//! `causeway-broker`: one broker from one configuration directory.

use std::process::ExitCode;

use causeway_broker::{app, cli};

fn main() -> ExitCode {
    match cli::parse(std::env::args_os()) {
        cli::Parsed::Run(options) => report(app::run(&options)),
        cli::Parsed::Check(directory) => report(app::check(&directory).map(warn)),
        cli::Parsed::Exit(code) => ExitCode::from(code),
    }
}

#[expect(clippy::print_stderr, reason = "for whoever checks a directory")]
fn warn(warnings: Vec<String>) {
    for warning in warnings {
        eprintln!("causeway-broker: warning: {warning}");
    }
}

#[expect(clippy::print_stderr, reason = "the last word of the process")]
fn report(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("causeway-broker: {error:#}");
            ExitCode::FAILURE
        }
    }
}
