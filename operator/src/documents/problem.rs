//! What is wrong with a document, and how that is shown: the source line marked, as a compiler does.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource};
use serde::Serialize;

use super::tree::Mark;
use crate::rule::Rule;

/// Bytes of the longest line that is shown.
const MAX_SHOWN: usize = 400;

/// A text and the name of the file it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Name of the file.
    pub name: String,
    /// Its text.
    pub text: String,
}

impl Source {
    /// A text under a name.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            text: text.into(),
        })
    }
}

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing is done while it is there.
    Error,
    /// It is done all the same.
    Warning,
    /// Worth knowing.
    Note,
}

/// One problem with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub reason: String,
    /// The file.
    pub source: Arc<Source>,
    /// The place in it; the default is none.
    pub at: Mark,
    /// Kind and name of the document, such as `BrokerNetwork/mcollective`.
    pub document: String,
    /// Path of the field.
    pub path: String,
    /// What to do.
    pub help: Option<String>,
    /// The source line holds a secret and is not shown.
    pub is_secret: bool,
    /// What `causeway lint` calls it.
    pub rule: Option<Rule>,
}

/// A problem as `-o json` prints it.
#[derive(Debug, Serialize)]
struct Json<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finding: Option<&'a str>,
    severity: Severity,
    reason: &'a str,
    file: &'a str,
    line: usize,
    column: usize,
    document: &'a str,
    path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<&'a str>,
}

impl Problem {
    /// One line of JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        let json = Json {
            rule: self.rule.map(Rule::number),
            finding: self.rule.map(Rule::name),
            severity: self.severity,
            reason: &self.reason,
            file: &self.source.name,
            line: self.at.line,
            column: self.at.column,
            document: &self.document,
            path: &self.path,
            help: self.help.as_deref(),
        };
        serde_json::to_string(&json).unwrap_or_default()
    }

    /// Several lines for people.
    #[must_use]
    pub fn to_text(&self, colours: bool) -> String {
        let theme = if colours {
            GraphicalTheme::unicode()
        } else {
            GraphicalTheme::unicode_nocolor()
        };
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_width(110)
            .with_links(false);
        let shown = Shown {
            problem: self,
            source: NamedSource::new(&self.source.name, self.source.text.clone())
                .with_language("yaml"),
        };
        let mut text = String::new();
        match handler.render_report(&mut text, &shown) {
            Ok(()) => text,
            Err(fmt::Error) => self.to_string(),
        }
    }

    fn shows_source(&self) -> bool {
        self.at.line > 0 && !self.is_secret && self.is_short()
    }

    /// Whether the marked line and its neighbours can be shown: a marker in thousands of letters helps nobody.
    fn is_short(&self) -> bool {
        let first = self.at.line.saturating_sub(2);
        let mut lines = self.source.text.lines().skip(first).take(3);
        lines.all(|line| line.len() <= MAX_SHOWN)
    }

    fn place(&self) -> String {
        [self.document.as_str(), self.path.as_str()]
            .into_iter()
            .filter(|part| !part.is_empty())
            .map(printable)
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// Names from documents do what they like to nobody's terminal.
fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        match letter.is_control() {
            true => shown.extend(letter.escape_default()),
            false => shown.push(letter),
        }
    }
    Cow::Owned(shown)
}

/// `file:line:column: document path: reason (help)`.
impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.source.name)?;
        if self.at.line > 0 {
            write!(formatter, ":{}:{}", self.at.line, self.at.column)?;
        }
        let place = self.place();
        if !place.is_empty() {
            write!(formatter, ": {place}")?;
        }
        write!(formatter, ": {}", printable(&self.reason))?;
        match &self.help {
            Some(help) => write!(formatter, " ({})", printable(help)),
            None => Ok(()),
        }
    }
}

/// A problem in miette's words.
#[derive(Debug)]
struct Shown<'a> {
    problem: &'a Problem,
    source: NamedSource<String>,
}

impl std::error::Error for Shown<'_> {}

/// The reason alone where the source is shown below it, else everything in one line.
impl fmt::Display for Shown<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problem = self.problem;
        let place = problem.place();
        if problem.shows_source() {
            match place.is_empty() {
                true => formatter.write_str(&printable(&problem.reason)),
                false => write!(formatter, "{place}: {}", printable(&problem.reason)),
            }
        } else {
            let without_help = Problem {
                help: None,
                ..problem.clone()
            };
            write!(formatter, "{without_help}")
        }
    }
}

impl Diagnostic for Shown<'_> {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.problem.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
            Severity::Note => miette::Severity::Advice,
        })
    }

    fn code<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        let rule = self.problem.rule?;
        Some(Box::new(rule))
    }

    fn help<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        self.problem
            .help
            .as_ref()
            .map(|help| Box::new(printable(help)) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.problem
            .shows_source()
            .then_some(&self.source as &dyn miette::SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let at = self.problem.at;
        let label = LabeledSpan::new(Some("here".to_owned()), at.offset, at.length);
        self.problem
            .shows_source()
            .then(|| Box::new(std::iter::once(label)) as Box<dyn Iterator<Item = _>>)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_too_long_to_be_shown_is_named_by_its_number() {
        let told = |text: String| {
            let at = Mark {
                offset: text.len() - 2,
                length: 1,
                line: 2,
                column: 7,
            };
            let problem = Problem {
                severity: Severity::Error,
                reason: "no".to_owned(),
                source: Source::new("n.yaml", text),
                at,
                document: String::new(),
                path: String::new(),
                help: None,
                is_secret: false,
                rule: None,
            };
            problem.to_text(false)
        };
        let short = told("a: 1\nb: [[[\n".to_owned());
        assert!(
            short.contains("b: [[[") && short.contains("here"),
            "{short}"
        );
        let long = told(format!("a: 1\nb: {}\n", "[".repeat(10_000)));
        assert!(
            long.contains("n.yaml:2:7: no") && long.len() < 100,
            "{long}"
        );
    }
}
