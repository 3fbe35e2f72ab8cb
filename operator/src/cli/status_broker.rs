//! `causeway status` from a broker: its view of the whole network.

use std::path::PathBuf;
use std::time::Duration;

use super::input::FileError;
use super::status::{Args, print};
use super::{Exit, Output};
use crate::client::http;
use crate::client::locate::Located;
use crate::client::status::describe;
use crate::client::view::StatusView;

const PATIENCE: Duration = Duration::from_secs(5);
/// Figures are read again after this time, everything else as soon as it changes.
const WAIT_SECONDS: u64 = 2;
/// Pause between two questions, after an answer and after none.
const PAUSE: Duration = Duration::from_millis(100);
const RETRY: Duration = Duration::from_millis(500);

/// Prints one broker's view of the network.
///
/// # Errors
/// There is no network to ask, or no broker answers.
pub(super) fn run(args: &Args, asked: Asked) -> anyhow::Result<Exit> {
    let token = match &args.token_file {
        Some(path) => Some(std::fs::read_to_string(path).map_err(FileError::at(path))?),
        None => None,
    };
    let token = token.as_deref().map(str::trim);
    if args.watch {
        return follow(args, &asked, token);
    }
    let page = asked.page(token, None)?;
    print(&asked.text(&page, args.output)?, false)?;
    Ok(Exit::Good)
}

/// Prints what is new until Ctrl-C. A broker that does not answer is no reason to end.
fn follow(args: &Args, asked: &Asked, token: Option<&str>) -> anyhow::Result<Exit> {
    let (mut shown, mut known) = (String::new(), None);
    loop {
        let page = asked.page(token, known.as_ref());
        let (text, pause) = match &page {
            Ok(page) => (asked.text(page, args.output)?, PAUSE),
            Err(error) => (format!("{error:#}\n"), RETRY),
        };
        known = page.ok();
        if text != shown {
            print(&text, true)?;
            shown = text;
        }
        std::thread::sleep(pause);
    }
}

/// Who is asked, and why them.
pub(super) struct Asked {
    pages: Vec<String>,
    /// The state folder that named them.
    folder: Option<PathBuf>,
}

impl Asked {
    /// The broker with this admin page.
    pub(super) fn broker(url: &str) -> Result<Self, http::HttpError> {
        Ok(Self {
            pages: vec![http::address(url)?],
            folder: None,
        })
    }

    /// Any broker of a network that `causeway up` runs.
    pub(super) fn local(located: Located) -> Self {
        Self {
            pages: located.pages,
            folder: Some(located.folder),
        }
    }
}

/// An answer, and who gave it.
struct Page {
    address: String,
    revision: u64,
    body: Vec<u8>,
}

impl Asked {
    /// What the first broker that answers says; where an earlier page is given, its broker, once something is new.
    fn page(&self, token: Option<&str>, known: Option<&Page>) -> anyhow::Result<Page> {
        if let Some(known) = known {
            let path = format!("/status?since={}&wait={WAIT_SECONDS}s", known.revision);
            if let Ok(page) = Page::read(&known.address, &path, token) {
                return Ok(page);
            }
        }
        let mut last = None;
        for address in &self.pages {
            match Page::read(address, "/status", token) {
                Ok(page) => return Ok(page),
                Err(error) => last = Some(error),
            }
        }
        let error = last.unwrap_or_else(|| anyhow::anyhow!("the network has no site"));
        Err(match &self.folder {
            None => error,
            Some(folder) => error.context(format!(
                "no broker of the network whose state is in {} answers (is `causeway up` running? {OTHERS})",
                folder.display()
            )),
        })
    }

    fn text(&self, page: &Page, output: Output) -> anyhow::Result<String> {
        if output == Output::Json {
            let text = String::from_utf8_lossy(&page.body);
            return Ok(format!("{}\n", text.trim_end()));
        }
        let told = describe(&StatusView::parse(&page.body)?);
        Ok(match &self.folder {
            None => told,
            Some(folder) => format!("state folder {} ({OTHERS})\n{told}", folder.display()),
        })
    }
}

/// How to ask for something else.
const OTHERS: &str = "another network: causeway status NAME, or --state DIR";

impl Page {
    fn read(address: &str, path: &str, token: Option<&str>) -> anyhow::Result<Self> {
        let body = http::get(address, path, token, PATIENCE)?;
        let revision = StatusView::parse(&body)?.revision;
        Ok(Self {
            address: address.to_owned(),
            revision,
            body,
        })
    }
}
