//! Passwords of `type: Generated`: made once, kept in the state folder, and made anew when the rotation is another.
//!
//! `generated.json` is what counts; `passwords/NAME` holds the current one alone, for `--password-file`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::layout;
use super::state::{StateError, StateFolder};
use crate::documents::{Problem, Source};
use crate::names;
use crate::network::load::{Generated, Loaded, Secrets, load_with};
use crate::network::validate::MissingSecrets;
use crate::user::keeper;
use crate::user::password::{self, PASSWORD, PREVIOUS};

/// The file with all of them.
const FILE: &str = "generated.json";
/// The folder with a file for each.
const FOLDER: &str = "passwords";

/// A password that was made; never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    rotation: String,
    password: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous_password: Option<String>,
}

/// What the files mean, with the passwords that are generated.
///
/// # Errors
/// What is wrong with the files; nothing is made then.
pub fn check(sources: &[Arc<Source>], network: Option<&str>) -> Result<Loaded, Vec<Problem>> {
    load_with(sources, network, MissingSecrets::Refuse, Generated::StandIn)
}

/// The same with the passwords of the state folder in it, which are made where they are missing.
///
/// # Errors
/// The state folder cannot be read or written.
pub fn fill(
    folder: &StateFolder,
    sources: &[Arc<Source>],
    network: Option<&str>,
    checked: Loaded,
) -> Result<Loaded, StateError> {
    let users: BTreeMap<&String, &str> = generated(&checked).collect();
    if users.is_empty() {
        return Ok(checked);
    }
    let secrets = make(folder, &users)?;
    // Only passwords are others than a moment ago: what was in order is so still.
    let filled = load_with(
        sources,
        network,
        MissingSecrets::Refuse,
        Generated::Made(&secrets),
    );
    Ok(filled.unwrap_or(checked))
}

/// Where the password of each user is that has a generated one, by login name.
#[must_use]
pub fn places(folder: &StateFolder, loaded: &Loaded) -> BTreeMap<String, PathBuf> {
    let users = generated(loaded).map(|(name, _)| {
        let spec = loaded.declared.users.get(name);
        let username = spec.and_then(|spec| spec.username.as_ref()).unwrap_or(name);
        (username.clone(), folder.path().join(FOLDER).join(name))
    });
    users.collect()
}

/// The users whose password is generated, with the rotation that each asks for.
fn generated(loaded: &Loaded) -> impl Iterator<Item = (&String, &str)> {
    let users = loaded.declared.users.iter();
    users.filter_map(|(name, spec)| Some((name, password::rotation(spec)?)))
}

fn make(folder: &StateFolder, users: &BTreeMap<&String, &str>) -> Result<Secrets, StateError> {
    let path = folder.path().join(FILE);
    let kept = folder.read(FILE)?;
    let mut all: BTreeMap<String, Made> = match &kept {
        Some(bytes) => serde_json::from_slice(bytes).map_err(|_| StateError::Damaged {
            path: path.clone(),
            what: "it is not what was written".to_owned(),
        })?,
        None => BTreeMap::new(),
    };
    for (name, rotation) in users {
        let old = all.get(*name);
        if old.is_some_and(|old| old.rotation == *rotation) {
            continue;
        }
        let made = Made {
            rotation: (*rotation).to_owned(),
            password: keeper::random()
                .map_err(|_| StateError::Random)?
                .expose()
                .to_owned(),
            previous_password: old.map(|old| old.password.clone()),
        };
        all.insert((*name).clone(), made);
    }
    let bytes = serde_json::to_vec_pretty(&all).unwrap_or_default();
    if kept.as_ref() != Some(&bytes) {
        folder.write(FILE, &bytes)?;
    }
    layout::make_folder(&folder.path().join(FOLDER))?;
    let mut secrets = Secrets::new();
    for name in users.keys() {
        let Some(made) = all.get(*name) else {
            continue;
        };
        folder.write(&format!("{FOLDER}/{name}"), made.password.as_bytes())?;
        let mut data = BTreeMap::from([(PASSWORD.to_owned(), made.password.clone().into_bytes())]);
        let previous = made.previous_password.clone();
        data.extend(previous.map(|previous| (PREVIOUS.to_owned(), previous.into_bytes())));
        secrets.insert(names::generated_secret(name), data);
    }
    Ok(secrets)
}
