//! Printing: a table and a line per event for people, an object per event for programs.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::events::Event;
use super::plan::{LOOPBACK, Plan, SitePlan};
use super::table;
use crate::cli::{Output, input, out};
use crate::documents::{Problem, Severity};
use crate::model::ListenerKind;

/// What a failed change means for what runs.
pub const KEPT: &str = "the old configuration stays in force";
/// What a change comes to that a taken port keeps out.
pub const KEPT_UNTIL_FREE: &str = "the old configuration stays in force until the port is free";

const GREEN: &str = "32";
const YELLOW: &str = "33";
const RED: &str = "31";

/// Where reports go.
#[derive(Debug)]
pub struct Reporter {
    output: Output,
    started: Instant,
    colours: bool,
}

impl Reporter {
    /// Reports on standard output.
    #[must_use]
    pub fn new(output: Output) -> Self {
        Self {
            output,
            started: Instant::now(),
            colours: std::io::stdout().is_terminal(),
        }
    }

    /// How it prints.
    #[must_use]
    pub fn output(&self) -> Output {
        self.output
    }

    /// Prints an event. Nobody reading is no reason to stop the brokers.
    pub fn event(&self, event: &Event) {
        let line = match self.output {
            Output::Json => event.to_json(),
            Output::Text => {
                let seconds = self.started.elapsed().as_secs_f64();
                format!("{seconds:8.1}s  {}", self.coloured(event))
            }
        };
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    }

    /// Prints what is wrong with the documents.
    pub fn problems(&self, problems: &[Problem]) {
        match self.output {
            Output::Text => input::complain(problems),
            Output::Json => {
                for problem in problems {
                    match problem.severity {
                        Severity::Error => self.event(&Event::problem(problem)),
                        // There is no event for what stops nothing.
                        Severity::Warning | Severity::Note => {
                            out::complain(format_args!("warning: {problem}"));
                        }
                    }
                }
            }
        }
    }

    /// Prints what is wrong with a change, and that nothing came of it.
    pub fn refused(&self, problems: &[Problem]) {
        let errors = problems
            .iter()
            .filter(|problem| problem.severity == Severity::Error);
        match self.output {
            Output::Json => {
                errors.for_each(|problem| self.event(&Event::problem(problem).with_outcome(KEPT)))
            }
            Output::Text => {
                input::complain(problems);
                self.event(&Event::error(format!("the change is not applied: {KEPT}")));
            }
        }
    }

    /// Prints what runs where.
    pub fn plan(&self, plan: &Plan, folder: &Path, passwords: &BTreeMap<String, PathBuf>) {
        if self.output == Output::Text {
            let mut out = std::io::stdout().lock();
            let text = describe(plan, folder, passwords);
            let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        }
    }

    fn coloured(&self, event: &Event) -> String {
        let text = event.to_text();
        let colour = match event {
            Event::Link { state, .. } if state == "up" => GREEN,
            Event::Ready | Event::Applied { .. } => GREEN,
            Event::Link { state, .. } if state == "connecting" => return text,
            Event::Link { .. } | Event::Lost { .. } => YELLOW,
            Event::Exit { .. } | Event::Error { .. } => RED,
            Event::Site { .. } => return text,
        };
        match self.colours {
            true => format!("\x1b[{colour}m{text}\x1b[0m"),
            false => text,
        }
    }
}

fn describe(plan: &Plan, folder: &Path, passwords: &BTreeMap<String, PathBuf>) -> String {
    let head = ["SITE", "STOMP", "STOMP+TLS", "LINK", "ADMIN", "LABELS"];
    let rows: Vec<Vec<String>> = plan.sites.iter().map(row).collect();
    let users: Vec<String> = plan
        .users
        .iter()
        .map(|(user, groups)| format!("{user} ({})", groups.join(", ")))
        .collect();
    let passwords: String = passwords
        .iter()
        .map(|(user, place)| format!("password of {user}: {}\n", place.display()))
        .collect();
    format!(
        "network {}\n\n{}\nusers to try: {}\n{passwords}state and logs: {}\n\n",
        plan.network,
        table::render(&head, &rows),
        if users.is_empty() {
            "none".to_owned()
        } else {
            users.join("; ")
        },
        folder.display()
    )
}

fn row(site: &SitePlan) -> Vec<String> {
    let port = |kind| site.ports.get(&kind).filter(|_| site.is_running);
    let address = |kind| port(kind).map_or("-".to_owned(), |port| format!("{LOOPBACK}:{port}"));
    let admin = port(ListenerKind::Admin).map(|port| format!("http://{LOOPBACK}:{port}"));
    let labels = site
        .labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"));
    vec![
        site.name.clone(),
        if site.is_running {
            address(ListenerKind::Stomp)
        } else {
            "stopped".to_owned()
        },
        address(ListenerKind::StompTls),
        address(ListenerKind::Link),
        admin.unwrap_or_else(|| "-".to_owned()),
        labels.collect::<Vec<_>>().join(" "),
    ]
}
