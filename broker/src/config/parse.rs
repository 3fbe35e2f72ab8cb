//! From the text of a file to its type. When that fails, the parts are tried one by one, so that
//! every unknown key and wrong value is told, not only the first.

use serde::de::DeserializeOwned;
use serde_yaml::{Mapping, Value};

use super::file::{
    Address, AdminSection, BrokerFile, Entry, LimitsSection, Link, LinkSecret, Listeners,
    LogSection, MemorySection, MeshSection, QueuePolicy, QueueSection, SecretsFile,
    SecuritySection, ShutdownSection, Site, StompSection, Temporary, Tls, TopicSection, User,
    UsersFile,
};
use super::problem::{Problem, Problems};

/// Bytes of one file.
pub const MAX_FILE: usize = 16 << 20;

/// A file of the directory.
pub(super) trait Document: DeserializeOwned {
    /// Its name.
    const NAME: &'static str;

    /// Tries its parts.
    fn explain(root: &Mapping, trial: &mut Trial<'_>);
}

/// The file, or nothing and every mistake found in it.
pub(super) fn parse<T: Document>(bytes: &[u8], problems: &mut Problems) -> Option<T> {
    if bytes.len() > MAX_FILE {
        problems.add(T::NAME, "", "is larger than 16 MiB");
        return None;
    }
    let error = match serde_yaml::from_slice::<T>(bytes) {
        Ok(file) => return Some(file),
        Err(error) => error,
    };
    let known = problems.0.len();
    let whole = serde_yaml::from_slice::<Value>(bytes);
    if let Ok(Value::Mapping(root)) = &whole {
        let mut trial = Trial {
            file: T::NAME,
            problems,
        };
        T::explain(root, &mut trial);
    }
    if problems.0.len() == known {
        let reason = match &whole {
            Err(error) if T::NAME == SecretsFile::NAME => hidden_syntax(error),
            Ok(_) | Err(_) => reason(T::NAME, &error),
        };
        problems.0.push(Problem {
            file: T::NAME,
            line: error.location().map(|location| location.line()),
            path: String::new(),
            reason,
        });
    }
    None
}

/// What the parser says about a text that is no YAML, without the text.
fn hidden_syntax(error: &serde_yaml::Error) -> String {
    if error.to_string().contains("duplicate entry") {
        return "a key is there twice (the text is not shown)".to_owned();
    }
    let place = error.location().map_or(String::new(), |location| {
        format!(" at line {}, column {}", location.line(), location.column())
    });
    format!("is not YAML: a mistake of syntax{place} (the text is not shown)")
}

/// What the parser says, unless it may quote a secret.
fn reason(file: &str, error: &serde_yaml::Error) -> String {
    let text = error.to_string();
    let is_harmless = text.contains("unknown field") || text.contains("missing field");
    if !is_harmless && (file == SecretsFile::NAME || text.contains('$')) {
        return match text.contains("invalid type") {
            true => "has another type than it should, such as a list where text is expected (the value is not shown)",
            false => "cannot be read (the value is not shown)",
        }
        .to_owned();
    }
    text
}

/// Tries parts of a file and notes those that do not parse.
pub(super) struct Trial<'a> {
    file: &'static str,
    problems: &'a mut Problems,
}

impl Trial<'_> {
    /// One part as a whole.
    fn whole<T: DeserializeOwned>(&mut self, path: &str, value: &Value) {
        let Err(error) = serde_yaml::from_value::<T>(value.clone()) else {
            return;
        };
        let text = error.to_string();
        let unknown = text
            .split_once("unknown field `")
            .and_then(|(_, rest)| rest.split_once('`'))
            .map(|(name, _)| name);
        let path = match unknown {
            Some(name) if !path.ends_with(&format!(".{name}")) => format!("{path}.{name}"),
            _ => path.to_owned(),
        };
        let reason = reason(self.file, &error);
        self.problems.add(self.file, path, reason);
    }

    /// A part whose keys can all be left out: each by itself.
    fn keys<T: DeserializeOwned>(&mut self, path: &str, value: &Value) {
        let Value::Mapping(mapping) = value else {
            return self.whole::<T>(path, value);
        };
        for (key, value) in mapping {
            let name = key.as_str().unwrap_or("?");
            let alone = Mapping::from_iter([(key.clone(), value.clone())]);
            self.whole::<T>(&format!("{path}.{name}"), &Value::Mapping(alone));
        }
    }

    /// A list: each entry by itself.
    fn entries<T: DeserializeOwned>(&mut self, path: &str, value: &Value) {
        let Value::Sequence(list) = value else {
            return self.whole::<Vec<T>>(path, value);
        };
        for (index, value) in list.iter().enumerate() {
            self.whole::<T>(&format!("{path}[{index}]"), value);
        }
    }

    /// The keys of the file itself: those that must be there, and what each has to be.
    fn root(
        &mut self,
        root: &Mapping,
        required: &[&str],
        mut part: impl FnMut(&mut Self, &str, &Value) -> bool,
    ) {
        for key in required.iter().filter(|key| !root.contains_key(**key)) {
            self.problems.add(self.file, *key, "is missing");
        }
        for (key, value) in root {
            let name = key.as_str().unwrap_or("?");
            if !part(self, name, value) {
                self.problems
                    .add(self.file, name, "is not a key of this file");
            }
        }
    }
}

impl Document for BrokerFile {
    const NAME: &'static str = "broker.yaml";

    fn explain(root: &Mapping, trial: &mut Trial<'_>) {
        let required = [
            "format",
            "network",
            "site",
            "instance",
            "listeners",
            "sites",
        ];
        trial.root(root, &required, |trial, key, value| {
            match key {
                "format" => trial.whole::<u32>(key, value),
                "network" | "site" | "instance" | "state_dir" => trial.whole::<String>(key, value),
                "id" => trial.whole::<Option<u16>>(key, value),
                "spec_hash" | "users_hash" => trial.whole::<Option<String>>(key, value),
                "listeners" => trial.keys::<Listeners>(key, value),
                "tls" => trial.whole::<Option<Tls>>(key, value),
                "sites" => trial.entries::<Site>(key, value),
                "denied_sites" => trial.entries::<String>(key, value),
                "link_auth" => trial.whole::<super::file::LinkAuthMode>(key, value),
                "links" => trial.entries::<Link>(key, value),
                "authorization" => authorization(trial, value),
                "queue" => queue(trial, value),
                "topic" => trial.keys::<TopicSection>(key, value),
                "limits" => trial.keys::<LimitsSection>(key, value),
                "memory" => trial.keys::<MemorySection>(key, value),
                "stomp" => trial.keys::<StompSection>(key, value),
                "security" => trial.keys::<SecuritySection>(key, value),
                "admin" => trial.keys::<AdminSection>(key, value),
                "mesh" => trial.keys::<MeshSection>(key, value),
                "shutdown" => trial.keys::<ShutdownSection>(key, value),
                "handover" => trial.whole::<Option<Address>>(key, value),
                "log" => trial.keys::<LogSection>(key, value),
                _ => return false,
            }
            true
        });
    }
}

fn authorization(trial: &mut Trial<'_>, value: &Value) {
    let path = "authorization";
    let Value::Mapping(mapping) = value else {
        return trial.whole::<super::file::Authorization>(path, value);
    };
    for (key, value) in mapping {
        match key.as_str() {
            Some("entries") => trial.entries::<Entry>("authorization.entries", value),
            Some("temporary") => trial.whole::<Temporary>("authorization.temporary", value),
            other => {
                let path = format!("{path}.{}", other.unwrap_or("?"));
                trial.problems.add(trial.file, path, "is not a key here");
            }
        }
    }
}

fn queue(trial: &mut Trial<'_>, value: &Value) {
    let Value::Mapping(mapping) = value else {
        return trial.whole::<QueueSection>("queue", value);
    };
    let mut rest = mapping.clone();
    if let Some(policies) = rest.remove("policies") {
        trial.entries::<QueuePolicy>("queue.policies", &policies);
    }
    trial.keys::<QueueSection>("queue", &Value::Mapping(rest));
}

impl Document for UsersFile {
    const NAME: &'static str = "users.yaml";

    fn explain(root: &Mapping, trial: &mut Trial<'_>) {
        trial.root(root, &["format", "users"], |trial, key, value| {
            match key {
                "format" => trial.whole::<u32>(key, value),
                "users" => trial.entries::<User>(key, value),
                _ => return false,
            }
            true
        });
    }
}

/// Each value by itself, so that the key is told whose value cannot be shown.
fn link_secret(trial: &mut Trial<'_>, path: &str, secret: &Value) {
    let known = trial.problems.0.len();
    for key in ["user", "current", "previous"] {
        if let Some(value) = secret.get(key) {
            trial.whole::<Option<String>>(&format!("{path}.{key}"), value);
        }
    }
    if trial.problems.0.len() == known {
        trial.whole::<LinkSecret>(path, secret);
    }
}

impl Document for SecretsFile {
    const NAME: &'static str = "secrets.yaml";

    fn explain(root: &Mapping, trial: &mut Trial<'_>) {
        trial.root(root, &["format"], |trial, key, value| {
            match (key, value) {
                ("format", _) => trial.whole::<u32>(key, value),
                ("admin_token", _) => trial.whole::<Option<String>>(key, value),
                ("links", Value::Mapping(links)) => {
                    for (name, secret) in links {
                        let path = format!("links.{}", name.as_str().unwrap_or("?"));
                        link_secret(trial, &path, secret);
                    }
                }
                ("links", _) => {
                    trial
                        .problems
                        .add(trial.file, key, "must be secrets by link name");
                }
                _ => return false,
            }
            true
        });
    }
}
