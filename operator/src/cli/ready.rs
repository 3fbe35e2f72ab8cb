//! `causeway ready URL`.

use std::time::Duration;

use super::{Exit, out};
use crate::client::http::{self, HttpError};

/// How long the answer may take; probes of the kubelet wait less.
const PATIENCE: Duration = Duration::from_secs(10);

/// Arguments of `causeway ready`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  causeway ready http://causeway.causeway.svc:8080        # an operator
  causeway ready http://127.0.0.1:61621                   # a broker")]
pub struct Args {
    /// The page's address: http://HOST:PORT.
    #[arg(value_name = "URL")]
    pub url: String,
}

/// Asks `/readyz` and says what it answers.
///
/// # Errors
/// Nobody answers.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let address = http::address(&args.url)?;
    match http::get(&address, "/readyz", None, PATIENCE) {
        Ok(_) => {
            out::print(format!("{address} is ready\n"))?;
            Ok(Exit::Good)
        }
        Err(HttpError::Status { status: 503, .. }) => {
            out::print(format!("{address} is not ready\n"))?;
            Ok(Exit::Negative)
        }
        Err(error) => Err(error.into()),
    }
}
