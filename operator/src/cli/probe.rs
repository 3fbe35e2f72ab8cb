//! `causeway probe URL`.

use std::time::Duration;

use super::connect::{self, Connect};
use super::subscribe::seconds;
use super::{Exit, Output, out};
use crate::client::{probe, target};

/// Arguments of `causeway probe`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  causeway probe stomp://127.0.0.1:61613 --user amq --from deploy/examples/countries.yaml
  causeway probe stomp://127.0.0.1:61613 --dest topic/probe --count 100 -u amq")]
pub struct Args {
    /// Where to connect and as whom.
    #[command(flatten)]
    pub connect: Connect,
    /// Where messages go and come from; a queue of the connection's own where nothing is said.
    #[arg(long, value_name = "DEST", value_parser = target::destination, default_value = probe::OWN)]
    pub dest: String,
    /// So many messages, one after the other.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 5, value_parser = target::count)]
    pub count: u64,
    /// Wait so many seconds for each.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub timeout: Duration,
    /// How the times are printed.
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Output,
}

/// Sends messages to itself and prints how long they took.
///
/// # Errors
/// No password, or the connection fails.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    connect::judge(measure(&args), args.connect.user.is_some())
}

fn measure(args: &Args) -> anyhow::Result<Exit> {
    let connection = args.connect.open()?;
    let times = probe::run(connection, &args.dest, args.count, args.timeout)?;
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let (shortest, median, longest) = times.summary().unwrap_or_default();
    let line = match args.output {
        Output::Text => format!(
            "{} of {} messages came back: shortest {:.3} ms, median {:.3} ms, longest {:.3} ms",
            times.all.len(),
            args.count,
            milliseconds(shortest),
            milliseconds(median),
            milliseconds(longest)
        ),
        Output::Json => serde_json::json!({
            "messages": times.all.len(),
            "shortestMs": milliseconds(shortest),
            "medianMs": milliseconds(median),
            "longestMs": milliseconds(longest),
        })
        .to_string(),
    };
    out::print(line + "\n")?;
    Ok(Exit::Good)
}
