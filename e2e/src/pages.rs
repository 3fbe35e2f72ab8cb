//! Commands of the project's pages, so that tests run what users read.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// A command of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// What is typed, which may go over several lines.
    pub text: String,
    /// What stands behind `#`.
    pub comment: String,
}

impl Command {
    /// What is typed in a region that the comment speaks of: behind its colon it has the words that take the place of
    /// the last that begin alike, as in `a --b c   # in the other region: --b d`.
    #[must_use]
    pub fn elsewhere(&self) -> String {
        let other = self.comment.split_once(": ").map(|(_, other)| other);
        let place = other.and_then(|other| {
            let first = other.split_whitespace().next()?;
            Some((self.text.rfind(first)?, other))
        });
        match place {
            Some((start, other)) => format!("{}{other}", &self.text[..start]),
            None => self.text.clone(),
        }
    }
}

/// A file or folder of the source tree.
#[must_use]
pub fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// The commands of the one block of a page that has this text in it.
///
/// # Errors
/// There is no such page, no such block, or several.
pub fn commands(page: &str, text: &str) -> Result<Vec<Command>> {
    Ok(parse(&block(page, "sh", text)?))
}

/// The one block of a page in a language that has this text in it.
///
/// # Errors
/// There is no such page, no such block, or several.
pub fn block(page: &str, language: &str, text: &str) -> Result<String> {
    let path = source(page);
    let all = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let found: Vec<&str> = blocks(&all, language)
        .filter(|block| block.contains(text))
        .collect();
    let count = found.len();
    ensure!(count == 1, "{page} has {count} blocks with {text:?}");
    Ok(found[0].to_owned())
}

/// The blocks of a language.
fn blocks<'a>(page: &'a str, language: &str) -> impl Iterator<Item = &'a str> {
    // Every other part is outside.
    let inside = page.split("\n```").skip(1).step_by(2);
    let begin = format!("{language}\n");
    inside.filter_map(move |block| block.strip_prefix(begin.as_str()))
}

fn parse(block: &str) -> Vec<Command> {
    let mut commands = Vec::new();
    let mut text = String::new();
    for line in block.lines() {
        let (line, comment) = line.split_once(" #").unwrap_or((line, ""));
        let line = line.trim_end();
        if line.starts_with('#') || line.is_empty() {
            continue;
        }
        text.push_str(line);
        if line.ends_with('\\') {
            text.push('\n');
            continue;
        }
        commands.push(Command {
            text: std::mem::take(&mut text),
            comment: comment.trim().to_owned(),
        });
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# Title\n\n```sh\nother\n```\n\n```yaml\nsites: 1\n```\n\n```sh\n\
        install --set a={ie}   # in the other region: --set a={us}\nlong \\\n    line\n# alone\n```\n";

    #[test]
    fn commands_are_read_with_their_comments_and_their_form_elsewhere() {
        let all: Vec<&str> = blocks(PAGE, "sh").collect();
        assert_eq!(all.len(), 2);
        let commands = parse(all[1]);
        assert_eq!(commands[0].text, "install --set a={ie}");
        assert_eq!(commands[0].elsewhere(), "install --set a={us}");
        assert_eq!(commands[1].text, "long \\\n    line");
        assert_eq!(commands[1].elsewhere(), commands[1].text);
        assert_eq!(commands.len(), 2);
    }
}
