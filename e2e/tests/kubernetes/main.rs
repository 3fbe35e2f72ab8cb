//! The schemas, the documents and the images on a real Kubernetes.

mod brokers;
mod full_node;
mod schemas;

use std::process::Command;

use anyhow::{Context, Result};
use causeway_e2e::process::{causeway, run};
use causeway_e2e::wait::PATIENCE;

/// The documents of the README.
const COUNTRIES: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../deploy/examples/countries.yaml"
);

/// The text of [`COUNTRIES`].
fn countries() -> Result<String> {
    std::fs::read_to_string(COUNTRIES).context(COUNTRIES)
}

/// What `causeway` prints for arguments that it takes.
fn print(arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(causeway()?);
    let finished = run(command.args(arguments), PATIENCE)?;
    Ok(finished.success(&arguments.join(" "))?.stdout)
}
