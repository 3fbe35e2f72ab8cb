//! `causeway can-i USER VERB DEST -f FILE`.

use std::path::PathBuf;

use causeway_broker::security::Verb;
use clap::ValueEnum;
use serde_json::json;

use super::failure::UsageError;
use super::{Exit, Output, input, out};
use crate::client::target;
use crate::names::SiteName;
use crate::rights::{self, Answer, Question};

/// Arguments of `causeway can-i`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  causeway can-i mcollective read topic/mcollective.agents -f deploy/examples/countries.yaml
  causeway can-i amq write 'queue/orders,topic://audit' -f network.yaml -f users.yaml --site ie

The decision is the broker's own. A composite is allowed if every part is; the pattern of a subscription if one right
covers all of it. Ends with 1 if the answer is no.")]
pub struct Args {
    /// Login name.
    pub user: String,
    /// What the user wants to do.
    #[arg(value_enum)]
    pub verb: Word,
    /// queue/NAME or topic/NAME, where `*` and `>` stand for parts of a name; several parts are joined by commas.
    #[arg(value_name = "DEST", value_parser = target::destination)]
    pub destination: String,
    /// Documents, as `kubectl apply` would take them; `-` is standard input. May be given more than once.
    #[arg(long = "file", short = 'f', required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// At this site [default: wherever the user is known].
    #[arg(long, value_name = "S")]
    pub site: Option<String>,
    /// The network, where the files declare several.
    #[arg(long, value_name = "NAME")]
    pub network: Option<String>,
    /// How the answer is printed.
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Output,
}

/// What rights are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Word {
    /// Subscribe, browse.
    Read,
    /// Send.
    Write,
    /// Create and remove queues.
    Admin,
}

impl From<Word> for Verb {
    fn from(word: Word) -> Self {
        match word {
            Word::Read => Self::Read,
            Word::Write => Self::Write,
            Word::Admin => Self::Admin,
        }
    }
}

/// Prints yes or no, and why.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let loaded = match input::network(&args.files, args.network.as_deref(), args.output) {
        Ok(loaded) => loaded,
        Err(exit) => return Ok(exit),
    };
    let site = args.site.as_deref().map(SiteName::new);
    let question = Question {
        user: &args.user,
        verb: args.verb.into(),
        destination: &args.destination,
        site: site.as_ref(),
    };
    let answer = rights::answer(&loaded.declared, &loaded.network, &question)
        .map_err(|error| UsageError(error.to_string()))?;
    out::print(match args.output {
        Output::Json => json_text(args, &answer)?,
        Output::Text => text(args, &answer),
    })?;
    Ok(match answer.allowed {
        true => Exit::Good,
        false => Exit::Negative,
    })
}

fn json_text(args: &Args, answer: &Answer) -> Result<String, serde_json::Error> {
    let mut value = serde_json::to_value(answer)?;
    value["user"] = json!(args.user);
    value["verb"] = json!(rights::operation(args.verb.into()));
    value["site"] = json!(args.site);
    Ok(format!("{}\n", serde_json::to_string_pretty(&value)?))
}

fn text(args: &Args, answer: &Answer) -> String {
    let verb = rights::operation(args.verb.into());
    let mut text = String::new();
    for part in &answer.parts {
        let word = if part.allowed { "yes" } else { "no" };
        let place: Vec<&str> = [&part.document, &part.path]
            .into_iter()
            .filter_map(|place| place.as_deref())
            .collect();
        let place = match place.is_empty() {
            true => String::new(),
            false => format!(" ({})", place.join(" ")),
        };
        text += &format!(
            "{word}: {} {verb} {}: {}{place}\n",
            args.user, part.destination, part.because
        );
    }
    if answer.parts.len() > 1 {
        let word = if answer.allowed { "yes" } else { "no" };
        text += &format!("{word} as a whole: every part has to be allowed\n");
    }
    for note in &answer.notes {
        text += &format!("note: {note}\n");
    }
    text
}
