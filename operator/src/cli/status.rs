//! `causeway status [NAME]`.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;

use super::{Exit, Output};
use crate::client::http;
use crate::client::status::{describe, find};
use crate::client::view::StatusView;
use crate::local::state::HOME;

const PATIENCE: Duration = Duration::from_secs(5);
const REFRESH: Duration = Duration::from_millis(500);

/// Arguments of `causeway status`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  causeway status                                   # the network that `causeway up` runs below this folder
  causeway status --watch
  causeway status --broker http://127.0.0.1:61621   # as the second site sees it")]
pub struct Args {
    /// Name of the network, where several were started here.
    pub name: Option<String>,
    /// The admin page of the broker to ask.
    #[arg(long, value_name = "URL", conflicts_with = "name")]
    pub broker: Option<String>,
    /// The token of that page, where it wants one.
    #[arg(long, value_name = "FILE", requires = "broker")]
    pub token_file: Option<PathBuf>,
    /// The state folder of `causeway up`, if it is not below .causeway.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["broker", "name"])]
    pub state: Option<PathBuf>,
    /// Follow it until Ctrl-C.
    #[arg(long, short)]
    pub watch: bool,
    /// Tables, or the page as it is.
    #[arg(long, short, value_enum, default_value_t)]
    pub output: Output,
}

/// Prints one broker's view of the network.
///
/// # Errors
/// No broker answers.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let addresses = addresses(args)?;
    let token = match &args.token_file {
        Some(path) => {
            Some(std::fs::read_to_string(path).with_context(|| path.display().to_string())?)
        }
        None => None,
    };
    let token = token.as_deref().map(str::trim);
    let mut shown = String::new();
    loop {
        let text = match (page(&addresses, token, args.output), args.watch) {
            (Ok(text), _) => text,
            (Err(error), false) => return Err(error),
            (Err(error), true) => format!("{error:#}\n"),
        };
        if text != shown {
            print(&text, args.watch)?;
            shown = text;
        }
        if !args.watch {
            return Ok(Exit::Good);
        }
        std::thread::sleep(REFRESH);
    }
}

fn addresses(args: &Args) -> anyhow::Result<Vec<String>> {
    if let Some(url) = &args.broker {
        return Ok(vec![http::address(url)?]);
    }
    let folder = args
        .state
        .as_deref()
        .and_then(|state| Some((state.parent()?, state.file_name()?.to_str()?)));
    match folder {
        Some((home, name)) => Ok(find(home, Some(name))?),
        None => Ok(find(Path::new(HOME), args.name.as_deref())?),
    }
}

/// What the first broker that answers says.
fn page(addresses: &[String], token: Option<&str>, output: Output) -> anyhow::Result<String> {
    let mut last = None;
    for address in addresses {
        match http::get(address, "/status", token, PATIENCE) {
            Err(error) => last = Some(error),
            Ok(body) if output == Output::Json => {
                return Ok(format!("{}\n", String::from_utf8_lossy(&body).trim_end()));
            }
            Ok(body) => return Ok(describe(&StatusView::parse(&body)?)),
        }
    }
    Err(last.map_or_else(|| anyhow::anyhow!("the network has no site"), Into::into))
}

fn print(text: &str, is_followed: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if is_followed && out.is_terminal() {
        // Clear the screen and go to its first line.
        out.write_all(b"\x1b[H\x1b[2J")?;
    }
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}
