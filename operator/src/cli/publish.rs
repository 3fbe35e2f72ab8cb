//! `causeway pub URL DEST [BODY]`.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::connect::{self, Connect};
use super::input::FileError;
use super::subscribe::{seconds, show};
use super::{Exit, Output, out};
use crate::client::publish::{self, Publication};
use crate::client::target;

/// Arguments of `causeway pub`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  causeway pub stomp://127.0.0.1:61613 topic/news hello --user amq --from deploy/examples/countries.yaml
  causeway pub stomp://127.0.0.1:61613 queue/orders --file order.json --header priority:9 --receipt -u amq
  causeway pub stomp://127.0.0.1:61613 queue/echo 'hello' --count 10 --reply -u amq
  date | causeway pub stomps://127.0.0.1:61614 queue/times --file - -u amq

Ends with 1 if an answer is missing after --timeout.")]
pub struct Args {
    /// Where to connect and as whom.
    #[command(flatten)]
    pub connect: Connect,
    /// queue/NAME, topic/NAME, temp-queue/NAME or temp-topic/NAME; names of temp- belong to this connection.
    #[arg(value_name = "DEST", value_parser = target::destination)]
    pub destination: String,
    /// The body; the letter n in braces stands for the number of the message where there are several.
    #[arg(value_name = "BODY", conflicts_with = "file")]
    pub body: Option<String>,
    /// Take the body from a file; `-` is standard input.
    #[arg(long, short, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// A further header; may be given more than once. The command itself sets destination, content-length, receipt, and
    /// what --reply and --persistent stand for.
    #[arg(long, short = 'H', value_name = "NAME:VALUE", value_parser = target::header)]
    pub header: Vec<(String, String)>,
    /// Mark the message as persistent.
    #[arg(long)]
    pub persistent: bool,
    /// Send so many messages.
    #[arg(long, short = 'n', value_name = "N", default_value_t = 1, value_parser = target::count)]
    pub count: u64,
    /// Wait until the broker has taken each message, not only the last one.
    #[arg(long)]
    pub receipt: bool,
    /// Wait for an answer on a fresh reply queue, or for so many: --reply or --reply=N.
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_value_t = 0, default_missing_value = "1")]
    pub reply: u64,
    /// Wait so many seconds for a receipt or an answer.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub timeout: Duration,
    /// How answers are printed.
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Output,
}

/// Sends, and prints the answers.
///
/// # Errors
/// A file cannot be read, or the connection fails.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    let has_user = args.connect.user.is_some();
    connect::judge(send(args), has_user)
}

fn send(args: Args) -> anyhow::Result<Exit> {
    let body = match (args.body, &args.file) {
        (Some(body), _) => body.into_bytes(),
        (None, Some(path)) => read(path)?,
        (None, None) => Vec::new(),
    };
    let mut own = vec!["destination", "content-length", "receipt"];
    own.extend((args.reply > 0).then_some("reply-to"));
    own.extend(args.persistent.then_some("persistent"));
    target::refuse_own(&args.header, &own)?;
    let mut headers = args.header;
    if args.persistent {
        headers.push(("persistent".to_owned(), "true".to_owned()));
    }
    let publication = Publication {
        destination: args.destination,
        headers,
        body,
        count: args.count,
        receipts: args.receipt,
        replies: args.reply,
        patience: args.timeout,
    };
    let connection = args.connect.open()?;
    let mut printed = Ok(());
    let outcome = publish::run(connection, &publication, |answer, time| {
        let line = show(answer, false, args.output);
        let milliseconds = time.as_secs_f64() * 1e3;
        if printed.is_ok() {
            printed = out::print(line + "\n");
        }
        if args.output == Output::Text {
            out::complain(format_args!("answered after {milliseconds:.1} ms"));
        }
    })?;
    printed?;
    match outcome.missing() {
        None => Ok(Exit::Good),
        Some(what) => {
            out::complain(format_args!("error: {what}"));
            Ok(Exit::Negative)
        }
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    if path == Path::new("-") {
        let mut body = Vec::new();
        std::io::stdin().lock().read_to_end(&mut body)?;
        return Ok(body);
    }
    Ok(std::fs::read(path).map_err(FileError::at(path))?)
}
