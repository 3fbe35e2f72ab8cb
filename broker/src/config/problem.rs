//! A mistake in a configuration directory, and where it stands.

use std::fmt;

/// One mistake: where it is and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: &'static str,
    /// Its line, where that is known; the first is 1.
    pub line: Option<usize>,
    /// The key.
    pub path: String,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.file)?;
        if let Some(line) = self.line {
            write!(formatter, ":{line}")?;
        }
        if !self.path.is_empty() {
            write!(formatter, ": {}", self.path)?;
        }
        write!(formatter, ": {}", self.reason)
    }
}

/// Collects mistakes.
#[derive(Debug, Default)]
pub(super) struct Problems(pub(super) Vec<Problem>);

impl Problems {
    pub(super) fn add(
        &mut self,
        file: &'static str,
        path: impl Into<String>,
        reason: impl Into<String>,
    ) {
        self.0.push(Problem {
            file,
            line: None,
            path: path.into(),
            reason: reason.into(),
        });
    }

    /// Finds the lines of the mistakes in the text of their file, as far as it can.
    pub(super) fn find_lines(&mut self, file: &'static str, text: &str) {
        let lines: Vec<&str> = text.lines().collect();
        for problem in &mut self.0 {
            if problem.file == file && problem.line.is_none() {
                problem.line = line_of(&lines, &problem.path);
            }
        }
    }
}

/// The line of a path such as `links.ie-uk.cost` or `authorization.entries[2]`: each part is looked
/// for behind the one before it; the last one found counts. The parser that could tell exactly
/// keeps no positions of what it accepted.
fn line_of(lines: &[&str], path: &str) -> Option<usize> {
    let mut found = None;
    let mut rest = path;
    while let Some((part, after)) = next_part(rest) {
        let start = found.unwrap_or(0);
        let line = match part {
            Part::Key(key) => (start..lines.len()).find(|line| names(lines[*line], key)),
            Part::Index(index) => item(lines, start, index),
        };
        let Some(line) = line else { break };
        found = Some(line);
        rest = after;
    }
    found.map(|line| line + 1)
}

enum Part<'a> {
    Key(&'a str),
    Index(usize),
}

fn next_part(path: &str) -> Option<(Part<'_>, &str)> {
    let path = path.strip_prefix('.').unwrap_or(path);
    if let Some(inner) = path.strip_prefix('[') {
        let (number, after) = inner.split_once(']')?;
        return Some((Part::Index(number.parse().ok()?), after));
    }
    let end = path.find(['.', '[']).unwrap_or(path.len());
    let (key, after) = path.split_at(end);
    (!key.is_empty()).then_some((Part::Key(key), after))
}

/// True when the line holds `key:`, or the entry of a list that is called `key`.
fn names(line: &str, key: &str) -> bool {
    let code = line.split(" #").next().unwrap_or(line);
    code.match_indices(key).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + key.len()..]);
        let quote = |character: char| character == '"' || character == '\'';
        let before = before.strip_suffix(quote).unwrap_or(before);
        let after = after.strip_prefix(quote).unwrap_or(after);
        let starts = before
            .chars()
            .last()
            .is_none_or(|last| " {,-".contains(last));
        let is_key = after.starts_with(':');
        let is_name = before.ends_with("name: ")
            && after.chars().next().is_none_or(|next| " ,}".contains(next));
        starts && (is_key || is_name)
    })
}

/// The line of the entry with that index in the list behind `start`.
fn item(lines: &[&str], start: usize, index: usize) -> Option<usize> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut items = (start..lines.len()).filter(|line| lines[*line].trim_start().starts_with("- "));
    let first = items.next()?;
    let depth = indent(lines[first]);
    std::iter::once(first)
        .chain(items.filter(|line| indent(lines[*line]) == depth))
        .nth(index)
}

#[cfg(test)]
mod tests {
    use super::line_of;

    const TEXT: &str = "\
format: 1
listeners:
  stomp: {bind: \"::\", port: 1}
  admin:
    port: 2
links:
  - name: ie-uk
    cost: 0
  - {name: ie-us, cost: 5}
authorization:
  entries:
    - {queue: \">\"}
    - queue: a
      read: [x]
    - {topic: a}
";

    #[test]
    fn a_path_leads_to_its_line() {
        let lines: Vec<&str> = TEXT.lines().collect();
        let rows = [
            ("format", Some(1)),
            ("listeners.admin.port", Some(5)),
            ("listeners.stomp.port", Some(3)),
            ("links.ie-uk.cost", Some(8)),
            ("links.ie-us.cost", Some(9)),
            ("authorization.entries[0]", Some(12)),
            ("authorization.entries[2]", Some(15)),
            ("links.ie-uk.absent", Some(7)),
            ("absent", None),
            ("", None),
        ];
        for (path, line) in rows {
            assert_eq!(line_of(&lines, path), line, "{path}");
        }
    }
}
