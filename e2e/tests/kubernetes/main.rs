//! The schemas, the documents and the images on a real Kubernetes.

mod brokers;
mod cli;
mod definitions;
mod development_authority;
mod faults;
mod full_node;
mod full_node_bad_input;
mod full_node_handover;
mod full_node_operator;
mod full_node_regions;
mod full_node_services;
mod local_operator;
mod lost_secrets;
mod operator;
mod region;
mod rights;
mod rules;
mod schemas;
mod surroundings;
mod users;
mod users_live;
mod users_scale;

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
