//! `causeway __complete WORD…`: what may come next, in the words of `kubectl`'s plugins.
//!
//! One candidate a line, with its meaning behind a tab; the last line is a colon and what the shell does beyond them.

use clap::{Arg, ArgAction, Command};

use super::invoked::Invoked;
use super::{Exit, out};

/// Arguments of the hidden command.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The words so far; the last one is being typed.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub words: Vec<String>,
}

/// The shell completes names of files if there is no candidate.
const FILES: u8 = 0;
/// It does not.
const NO_FILES: u8 = 4;

/// Prints the candidates.
pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let mut command = Invoked::now().command();
    command.build();
    let (candidates, directive) = candidates(&command, &args.words);
    let lines = candidates.iter().map(|(word, help)| match help.is_empty() {
        true => format!("{word}\n"),
        false => format!("{word}\t{help}\n"),
    });
    out::print(format!("{}:{directive}\n", lines.collect::<String>()))?;
    Ok(Exit::Good)
}

type Candidate = (String, String);

/// What may stand in the place of the last word.
fn candidates(root: &Command, words: &[String]) -> (Vec<Candidate>, u8) {
    let (typed, before) = match words.split_last() {
        Some((typed, before)) => (typed.as_str(), before),
        None => ("", words),
    };
    let Some(command) = before.first().and_then(|name| root.find_subcommand(name)) else {
        let known = root.get_subcommands().filter(|one| !one.is_hide_set());
        let known = known.map(|one| (one.get_name().to_owned(), about(one.get_about())));
        return (starting(known, typed), NO_FILES);
    };
    if typed.starts_with('-') {
        let options = command.get_arguments().filter(|one| !one.is_hide_set());
        let options = options.filter_map(|one| {
            let long = one.get_long()?;
            Some((format!("--{long}"), about(one.get_help())))
        });
        return (starting(options, typed), NO_FILES);
    }
    match expected(command, &before[1..]) {
        Some(argument) => {
            let values = argument.get_possible_values();
            let directive = if values.is_empty() { FILES } else { NO_FILES };
            let values = values.iter().filter(|value| !value.is_hide_set());
            let values = values.map(|value| (value.get_name().to_owned(), about(value.get_help())));
            (starting(values, typed), directive)
        }
        None => (Vec::new(), FILES),
    }
}

/// The argument that the next word belongs to.
fn expected<'a>(command: &'a Command, before: &[String]) -> Option<&'a Arg> {
    let option = |word: &String| {
        let mut options = command.get_arguments().filter(|one| !one.is_positional());
        options.find(|one| {
            let long = one.get_long().map(|long| format!("--{long}"));
            let short = one.get_short().map(|short| format!("-{short}"));
            long.as_ref() == Some(word) || short.as_ref() == Some(word)
        })
    };
    let takes_value = |one: &Arg| matches!(one.get_action(), ArgAction::Set | ArgAction::Append);
    let mut positions = 0;
    let mut words = before.iter();
    while let Some(word) = words.next() {
        if !word.starts_with('-') {
            positions += 1;
            continue;
        }
        if let Some(found) = option(word).filter(|one| takes_value(one))
            && words.next().is_none()
        {
            return Some(found);
        }
    }
    let mut positionals = command.get_positionals();
    positionals
        .nth(positions)
        .or_else(|| command.get_positionals().last())
}

fn starting(known: impl Iterator<Item = Candidate>, typed: &str) -> Vec<Candidate> {
    known.filter(|(word, _)| word.starts_with(typed)).collect()
}

/// The first line of a help text.
fn about(help: Option<&clap::builder::StyledStr>) -> String {
    let text = help.map(ToString::to_string).unwrap_or_default();
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(words: &[&str]) -> (Vec<String>, u8) {
        let mut command = Invoked::Plugin.command();
        command.build();
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let (found, directive) = candidates(&command, &words);
        (found.into_iter().map(|(word, _)| word).collect(), directive)
    }

    #[test]
    fn commands_options_and_values_complete_and_files_do_elsewhere() {
        assert_eq!(names(&["li"]), (vec!["lint".to_owned()], NO_FILES));
        assert!(names(&[""]).0.contains(&"can-i".to_owned()));
        assert!(
            !names(&[""])
                .0
                .iter()
                .any(|name| name == "broker" || name == "__complete")
        );
        assert_eq!(
            names(&["plan", "--lose-"]),
            (vec!["--lose-each".to_owned()], NO_FILES)
        );
        assert_eq!(
            names(&["lint", "a.yaml", "-o", ""]),
            (vec!["text".to_owned(), "json".to_owned()], NO_FILES)
        );
        assert_eq!(
            names(&["can-i", "amq", "r"]),
            (vec!["read".to_owned()], NO_FILES)
        );
        assert_eq!(names(&["lint", "net"]), (Vec::new(), FILES));
        assert_eq!(names(&["plan", "-f", ""]), (Vec::new(), FILES));
    }
}
