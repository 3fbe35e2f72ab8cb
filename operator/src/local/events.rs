//! What `up` reports: one event, one line, for people or for programs.

use std::collections::BTreeMap;

use serde::Serialize;

use super::plan::LOOPBACK;
use crate::documents::Problem;
use crate::model::ListenerKind;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event {
    /// A site listens.
    Site {
        /// The site.
        site: String,
        /// Its process.
        pid: u32,
        /// Addresses by listener; that of the admin page is a URL.
        #[serde(flatten)]
        listeners: BTreeMap<&'static str, String>,
    },
    /// One end's view of a link changed.
    Link {
        /// The link.
        link: String,
        /// The end that says it.
        from: String,
        /// The other end.
        to: String,
        /// State.
        state: String,
        /// Why.
        reason: String,
    },
    /// Everything listens and every link is up at both ends.
    Ready,
    /// A change of the file is in force everywhere.
    Applied {
        /// Hash of what the network is meant to be.
        hash: String,
    },
    /// A broker ended.
    Exit {
        /// Its site.
        site: String,
        /// How.
        status: String,
    },
    /// A broker that ended as planned had messages that nobody else took over.
    Lost {
        /// Its site.
        site: String,
        /// How many.
        messages: u64,
        /// How many in each queue.
        queues: BTreeMap<String, u64>,
    },
    /// Something is wrong.
    Error {
        /// What.
        message: String,
        /// In which file.
        #[serde(skip_serializing_if = "Option::is_none")]
        file: Option<String>,
        /// In which line.
        #[serde(skip_serializing_if = "Option::is_none")]
        line: Option<usize>,
        /// Which field.
        #[serde(skip_serializing_if = "Option::is_none")]
        path: Option<String>,
    },
}

impl Event {
    /// A site that listens.
    #[must_use]
    pub fn site(site: &str, pid: u32, ports: &BTreeMap<ListenerKind, u16>) -> Self {
        let address = |(kind, port): (&ListenerKind, &u16)| {
            let address = match kind {
                ListenerKind::Admin => format!("http://{LOOPBACK}:{port}"),
                _ => format!("{LOOPBACK}:{port}"),
            };
            (kind.field(), address)
        };
        Self::Site {
            site: site.to_owned(),
            pid,
            listeners: ports.iter().map(address).collect(),
        }
    }

    /// An error that belongs to no file.
    #[must_use]
    pub fn error(message: impl Into<String>) -> Self {
        Self::Error {
            message: message.into(),
            file: None,
            line: None,
            path: None,
        }
    }

    /// A problem of a file.
    #[must_use]
    pub fn problem(problem: &Problem) -> Self {
        let has_place = problem.at.line > 0;
        let help = problem.help.iter().map(|help| format!(" ({help})"));
        Self::Error {
            message: format!("{}{}", problem.reason, help.collect::<String>()),
            file: Some(problem.source.name.clone()),
            line: has_place.then_some(problem.at.line),
            path: (!problem.path.is_empty()).then(|| problem.path.clone()),
        }
    }

    /// The same, with what it means for what runs.
    #[must_use]
    pub fn with_outcome(mut self, outcome: &str) -> Self {
        if let Self::Error { message, .. } = &mut self {
            message.push_str("; ");
            message.push_str(outcome);
        }
        self
    }

    /// One line of JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// One line for people.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Site {
                site,
                pid,
                listeners,
            } => {
                let stomp = listeners.get("stomp").or_else(|| listeners.get("stompTls"));
                let stomp = stomp.map_or(String::new(), |address| format!(" on {address}"));
                format!("site {site} listens{stomp} (pid {pid})")
            }
            Self::Link {
                link,
                from,
                to,
                state,
                reason,
            } => {
                let reason = match reason.as_str() {
                    "" => String::new(),
                    reason => format!(" ({reason})"),
                };
                format!("link {link} {state}{reason}, seen from {from} to {to}")
            }
            Self::Ready => "ready: every site listens, every link is up".to_owned(),
            Self::Applied { hash } => format!("the change is in force everywhere ({hash})"),
            Self::Exit { site, status } => format!("site {site} ended ({status})"),
            Self::Lost {
                site,
                messages,
                queues,
            } => lost(site, *messages, queues),
            Self::Error {
                message,
                file,
                line,
                path,
            } => {
                let file = file.iter().map(|file| match line {
                    Some(line) => format!("{file}:{line}: "),
                    None => format!("{file}: "),
                });
                let path = path.iter().map(|path| format!("{path}: "));
                let place: String = file.chain(path).collect();
                format!("error: {place}{message}")
            }
        }
    }
}

/// So many queues are named in a line for people, the fullest first.
const NAMED: usize = 5;

fn lost(site: &str, messages: u64, queues: &BTreeMap<String, u64>) -> String {
    let mut fullest: Vec<(&String, &u64)> = queues.iter().collect();
    fullest.sort_by_key(|(_, depth)| std::cmp::Reverse(**depth));
    let named = fullest.iter().take(NAMED);
    let mut names: Vec<String> = named
        .map(|(name, depth)| format!("{name} ({depth})"))
        .collect();
    if fullest.len() > NAMED {
        names.push(format!("and {} more", fullest.len() - NAMED));
    }
    let many = |count: u64, word: &str| match count {
        1 => format!("1 {word}"),
        _ => format!("{count} {word}s"),
    };
    format!(
        "site {site}: {} in {} {} lost with it: {}",
        many(messages, "message"),
        many(fullest.len() as u64, "queue"),
        if messages == 1 { "was" } else { "were" },
        names.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_shows_its_open_listeners_and_the_admin_page_as_a_url() {
        let ports = BTreeMap::from([
            (ListenerKind::Stomp, 61_613),
            (ListenerKind::Link, 61_618),
            (ListenerKind::Admin, 61_611),
        ]);
        let line: serde_json::Value =
            serde_json::from_str(&Event::site("ie", 4711, &ports).to_json()).expect("JSON");
        let expected = serde_json::json!({
            "event": "site", "site": "ie", "pid": 4711, "stomp": "127.0.0.1:61613",
            "link": "127.0.0.1:61618", "admin": "http://127.0.0.1:61611",
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn events_have_the_documented_fields() {
        assert_eq!(Event::Ready.to_json(), r#"{"event":"ready"}"#);
        let exit = Event::Exit {
            site: "uk".to_owned(),
            status: "signal: 9".to_owned(),
        };
        assert_eq!(
            exit.to_json(),
            r#"{"event":"exit","site":"uk","status":"signal: 9"}"#
        );
        assert_eq!(
            Event::error("no").to_json(),
            r#"{"event":"error","message":"no"}"#
        );
        assert_eq!(
            Event::error("no").with_outcome("all stays").to_json(),
            r#"{"event":"error","message":"no; all stays"}"#
        );
    }

    #[test]
    fn what_was_lost_is_told_with_the_fullest_queues_first() {
        let event = |queues: &[(&str, u64)]| Event::Lost {
            site: "ie".to_owned(),
            messages: queues.iter().map(|(_, depth)| depth).sum(),
            queues: queues
                .iter()
                .map(|(name, depth)| ((*name).to_owned(), *depth))
                .collect(),
        };
        assert_eq!(
            event(&[("a", 1), ("b", 2)]).to_text(),
            "site ie: 3 messages in 2 queues were lost with it: b (2), a (1)"
        );
        assert_eq!(
            event(&[("a", 1)]).to_text(),
            "site ie: 1 message in 1 queue was lost with it: a (1)"
        );
        let seven = ["a", "b", "c", "d", "e", "f", "g"].map(|name| (name, 1));
        let text = event(&seven).to_text();
        assert!(text.ends_with(": a (1), b (1), c (1), d (1), e (1), and 2 more"));
        assert_eq!(
            event(&[("a", 1)]).to_json(),
            r#"{"event":"lost","site":"ie","messages":1,"queues":{"a":1}}"#
        );
    }
}
