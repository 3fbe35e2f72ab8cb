//! `causeway sub URL DEST`.

use std::time::Duration;

use causeway_broker::wire::stomp::client::Frame;
use clap::ValueEnum;

use super::connect::{self, Connect};
use super::failure::UsageError;
use super::{Exit, Output, out};
use crate::client::subscribe::{self, Subscription};
use crate::client::target;

/// Arguments of `causeway sub`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  causeway sub stomp://127.0.0.1:61613 'topic/mcollective.>' --user amq --from deploy/examples/countries.yaml
  causeway sub stomp://127.0.0.1:61613 queue/orders --selector \"JMSPriority > 5\" --count 1 --headers -u amq
  causeway sub stomp://127.0.0.1:61613 queue/echo --echo -u amq

Ends with 1 if --timeout is over and nothing came, or fewer than --count messages.")]
pub struct Args {
    /// Where to connect and as whom.
    #[command(flatten)]
    pub connect: Connect,
    /// queue/NAME or topic/NAME, where `*` and `>` stand for parts of a name; temp-queue/NAME or temp-topic/NAME.
    #[arg(value_name = "DEST", value_parser = target::destination)]
    pub destination: String,
    /// Only messages whose headers fit.
    #[arg(long, short, value_name = "SQL")]
    pub selector: Option<String>,
    /// Who acknowledges: the broker by itself, or this command after each message is printed.
    #[arg(long, value_enum, default_value_t)]
    pub ack: Ack,
    /// Refuse every message instead of acknowledging it: it becomes a dead letter, or is dropped where it is not persistent. Needs --ack client or client-individual
    #[arg(long)]
    pub nack: bool,
    /// A further header of the subscription; may be given more than once. The command itself sets id, destination, ack
    /// and receipt.
    #[arg(long, short = 'H', value_name = "NAME:VALUE", value_parser = target::header)]
    pub header: Vec<(String, String)>,
    /// Stop after so many messages.
    #[arg(long, short = 'n', value_name = "N", value_parser = target::count)]
    pub count: Option<u64>,
    /// Stop after so many seconds without a message.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub timeout: Option<Duration>,
    /// Send every message's body back to its reply-to.
    #[arg(long)]
    pub echo: bool,
    /// Print headers too.
    #[arg(long)]
    pub headers: bool,
    /// How messages are printed.
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Output,
}

/// Ways of acknowledging.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Ack {
    /// A message counts as consumed when it is sent.
    #[default]
    Auto,
    /// An acknowledgement counts for all messages before it too.
    Client,
    /// Every message is acknowledged by itself.
    ClientIndividual,
}

impl Ack {
    const fn header(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Client => "client",
            Self::ClientIndividual => "client-individual",
        }
    }
}

/// Receives and prints.
///
/// # Errors
/// No password, or the connection fails.
pub fn run(args: Args) -> anyhow::Result<Exit> {
    if args.nack && args.ack == Ack::Auto {
        return Err(UsageError(
            "--nack needs --ack client or --ack client-individual: with --ack auto a message counts as consumed when it is sent, and nothing is left to refuse"
                .to_owned(),
        )
        .into());
    }
    let has_user = args.connect.user.is_some();
    connect::judge(receive(args), has_user)
}

fn receive(args: Args) -> anyhow::Result<Exit> {
    let mut own = vec!["id", "destination", "ack", "receipt"];
    own.extend(args.selector.is_some().then_some("selector"));
    target::refuse_own(&args.header, &own)?;
    let subscription = Subscription {
        destination: args.destination,
        selector: args.selector,
        ack: args.ack.header(),
        nacks: args.nack,
        headers: args.header,
        count: args.count,
        patience: args.timeout,
        echoes: args.echo,
    };
    let connection = args.connect.open()?;
    let mut printed = Ok(());
    let is_complete = subscribe::run(connection, &subscription, |message| {
        printed = out::print(show(message, args.headers, args.output) + "\n");
        printed.is_ok()
    })?;
    printed?;
    Ok(if is_complete {
        Exit::Good
    } else {
        Exit::Negative
    })
}

/// A message for people, or as one line of JSON.
#[must_use]
pub fn show(message: &Frame, with_headers: bool, output: Output) -> String {
    let body = String::from_utf8_lossy(&message.body);
    match output {
        Output::Json => {
            // The first header of a name counts in STOMP.
            let headers: serde_json::Map<String, serde_json::Value> = message
                .headers
                .iter()
                .rev()
                .map(|(name, value)| (name.clone(), value.clone().into()))
                .collect();
            serde_json::json!({"headers": headers, "body": body}).to_string()
        }
        Output::Text if with_headers => {
            let headers = message
                .headers
                .iter()
                .map(|(name, value)| format!("{name}: {value}\n"));
            format!("{}\n{body}\n", headers.collect::<String>())
        }
        Output::Text => body.into_owned(),
    }
}

/// A number of seconds, such as 2 or 0.5.
///
/// # Errors
/// It is no positive number.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| *seconds > 0.0);
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "a positive number of seconds, such as 2 or 0.5".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_shows_the_header_that_counts() {
        let message = Frame::new("MESSAGE")
            .with("a", "1")
            .with("a", "2")
            .with_body(b"x");
        let shown = show(&message, false, Output::Json);
        assert_eq!(shown, r#"{"body":"x","headers":{"a":"1"}}"#);
    }

    #[test]
    fn a_time_is_a_positive_number_of_seconds() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for bad in ["0", "-1", "x", "nan", "inf", "1e300"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
