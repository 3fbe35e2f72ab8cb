//! What the binary was called as: `causeway`, or as a plugin of `kubectl`.

use std::ffi::OsString;
use std::path::Path;

use clap::{Command, CommandFactory as _, FromArgMatches as _};

use super::LowArgs;

/// The file name by which `kubectl` finds its plugin `causeway`.
const PLUGIN: &str = "kubectl-causeway";
/// The file name by which `kubectl` finds what completes that plugin.
const COMPLETER: &str = "kubectl_complete-causeway";
/// Hidden command with which the completer asks.
pub const COMPLETE: &str = "__complete";

/// What the binary was called as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invoked {
    /// By its own name, or any other.
    Causeway,
    /// By `kubectl`.
    Plugin,
    /// By `kubectl`, to complete a command line.
    Completer,
}

impl Invoked {
    /// From the first word of a command line.
    #[must_use]
    pub fn from_first(word: Option<OsString>) -> Self {
        let word = word.unwrap_or_default();
        let name = Path::new(&word).file_name().and_then(|name| name.to_str());
        match name {
            Some(PLUGIN) => Self::Plugin,
            Some(COMPLETER) => Self::Completer,
            _ => Self::Causeway,
        }
    }

    /// As this process was called.
    #[must_use]
    pub fn now() -> Self {
        Self::from_first(std::env::args_os().next())
    }

    /// The file that a shell completes.
    #[must_use]
    pub const fn file(self) -> &'static str {
        match self {
            Self::Causeway => "causeway",
            Self::Plugin | Self::Completer => PLUGIN,
        }
    }

    /// The command as it shows itself.
    #[must_use]
    pub fn command(self) -> Command {
        let command = LowArgs::command();
        match self {
            Self::Causeway => command,
            Self::Plugin | Self::Completer => as_plugin(command),
        }
    }
}

/// Parses the command line; what is wrong with it, and help, ends the process.
#[must_use]
pub fn parse() -> LowArgs {
    let invoked = Invoked::now();
    let mut words: Vec<OsString> = std::env::args_os().collect();
    if invoked == Invoked::Completer {
        words.insert(1, COMPLETE.into());
    }
    let mut command = invoked.command();
    let matches = command.clone().get_matches_from(words);
    match LowArgs::from_arg_matches(&matches) {
        Ok(args) => args,
        Err(error) => error.format(&mut command).exit(),
    }
}

/// Shows the command, and the examples of each subcommand, as they are typed.
fn as_plugin(command: Command) -> Command {
    let names: Vec<String> = command
        .get_subcommands()
        .map(|one| one.get_name().to_owned())
        .collect();
    let renamed = |text: String| {
        names.iter().fold(text, |text, name| {
            text.replace(
                &format!("causeway {name}"),
                &format!("kubectl causeway {name}"),
            )
        })
    };
    let after = |command: Command| match command.get_after_help() {
        Some(help) => {
            let help = renamed(help.to_string());
            command.after_help(help)
        }
        None => command,
    };
    after(command)
        .bin_name("kubectl causeway")
        .display_name(PLUGIN)
        .mut_subcommands(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_file_tells_who_calls() {
        let rows = [
            ("causeway", Invoked::Causeway),
            ("/usr/bin/kubectl-causeway", Invoked::Plugin),
            ("kubectl_complete-causeway", Invoked::Completer),
            ("/opt/causeway-1.2", Invoked::Causeway),
        ];
        for (word, expected) in rows {
            assert_eq!(Invoked::from_first(Some(word.into())), expected, "{word}");
        }
        assert_eq!(Invoked::from_first(None), Invoked::Causeway);
    }
}
