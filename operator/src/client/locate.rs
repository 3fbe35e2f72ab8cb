//! Where the brokers are that `causeway up` runs on this machine.

use std::path::{Path, PathBuf};

use crate::documents::schema_walk::nearest;
use crate::local::slots::{OutOfPorts, Slots};
use crate::local::state::{self, StateError};

/// Why no broker can be asked.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// No network was started below this folder.
    #[error(
        "nothing was started by `causeway up` below {}: name another state folder with --state DIR, a broker with --broker URL, or a cluster with --kubeconfig FILE",
        .0.display()
    )]
    Nothing(PathBuf),
    /// The folder that was named holds no state.
    #[error(
        "{} is no state folder of `causeway up`: it names its folder when it starts, by default .causeway/NETWORK",
        .0.display()
    )]
    NoState(PathBuf),
    /// There are networks, but none of that name.
    #[error("no network {name} was started below {}: there {known}{hint}", home.display())]
    NoSuchNetwork {
        /// What was asked for.
        name: String,
        /// Where the networks are.
        home: PathBuf,
        /// The networks and their sites.
        known: String,
        /// What may have been meant.
        hint: String,
    },
    /// Several were.
    #[error("several networks were started here, name one: {0}")]
    Several(String),
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The state makes no sense.
    #[error(transparent)]
    Ports(#[from] OutOfPorts),
    /// A folder cannot be read.
    #[error("{}: {cause}", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// What happened.
        cause: std::io::Error,
    },
}

impl FindError {
    /// Whether there is nothing of what was named; else the state is there and cannot be used.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        match self {
            Self::Nothing(_) | Self::NoState(_) | Self::NoSuchNetwork { .. } | Self::Several(_) => {
                true
            }
            Self::State(_) | Self::Ports(_) | Self::Io { .. } => false,
        }
    }
}

/// A network that was started here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// Its state folder.
    pub folder: PathBuf,
    /// The admin pages of its sites, in the order of their slots.
    pub pages: Vec<String>,
}

/// The network whose state is in this folder.
///
/// # Errors
/// There is none.
pub fn at(folder: &Path) -> Result<Located, FindError> {
    match state::read_slots(folder)? {
        Some(slots) => located(folder, &slots),
        None => Err(FindError::NoState(folder.to_owned())),
    }
}

/// The network that was started below a folder: the one of that name, or the only one.
///
/// # Errors
/// There is none, or there are several and no name is given.
pub fn below(home: &Path, name: Option<&str>) -> Result<Located, FindError> {
    let networks = networks(home)?;
    let is_wanted = |network: &&Network| name.is_none_or(|name| network.name == name);
    let wanted: Vec<&Network> = networks.iter().filter(is_wanted).collect();
    match (wanted.as_slice(), name) {
        ([network], _) => located(&network.folder, &network.slots),
        ([], Some(name)) if !networks.is_empty() => Err(FindError::NoSuchNetwork {
            name: name.to_owned(),
            home: home.to_owned(),
            known: describe(&networks),
            hint: hint(&networks, name),
        }),
        ([], _) => Err(FindError::Nothing(home.to_owned())),
        (several, _) => {
            let names: Vec<&str> = several.iter().map(|found| found.name.as_str()).collect();
            Err(FindError::Several(names.join(", ")))
        }
    }
}

struct Network {
    name: String,
    folder: PathBuf,
    slots: Slots,
}

fn networks(home: &Path) -> Result<Vec<Network>, FindError> {
    let entries = match std::fs::read_dir(home) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => {
            let path = home.to_owned();
            return Err(FindError::Io { path, cause });
        }
    };
    let mut networks = Vec::new();
    for entry in entries.filter_map(Result::ok) {
        let (name, folder) = (entry.file_name(), entry.path());
        if let Some(slots) = state::read_slots(&folder)? {
            let name = name.to_string_lossy().into_owned();
            networks.push(Network {
                name,
                folder,
                slots,
            });
        }
    }
    networks.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(networks)
}

fn located(folder: &Path, slots: &Slots) -> Result<Located, FindError> {
    let page = |site| Ok(format!("127.0.0.1:{}", slots.ports(site)?.admin()));
    let pages: Result<Vec<String>, OutOfPorts> = in_order(slots).into_iter().map(page).collect();
    Ok(Located {
        folder: folder.to_owned(),
        pages: pages?,
    })
}

fn in_order(slots: &Slots) -> Vec<&str> {
    let mut sites: Vec<(u16, &str)> = slots
        .sites
        .iter()
        .map(|(site, slot)| (*slot, site.as_str()))
        .collect();
    sites.sort_unstable();
    sites.into_iter().map(|(_, site)| site).collect()
}

fn describe(networks: &[Network]) -> String {
    let one = |network: &Network| {
        let sites = in_order(&network.slots).join(", ");
        format!("{} (sites {sites})", network.name)
    };
    let verb = if networks.len() == 1 { "is" } else { "are" };
    let all: Vec<String> = networks.iter().map(one).collect();
    format!("{verb} {}", all.join("; "))
}

/// What may have been meant: a site of a network, or a name that is nearly that of a network.
fn hint(networks: &[Network], name: &str) -> String {
    let site = networks.iter().find_map(|network| {
        network
            .slots
            .ports(name)
            .ok()
            .filter(|_| network.slots.sites.contains_key(name))
    });
    if let Some(ports) = site {
        return format!(
            "; {name} is a site, which --broker http://127.0.0.1:{} asks",
            ports.admin()
        );
    }
    let names = networks.iter().map(|network| network.name.as_str());
    nearest(name, names).map_or(String::new(), |near| format!("; did you mean {near}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(test: &str) -> PathBuf {
        let name = format!("causeway-locate-{test}-{}", std::process::id());
        let home = std::env::temp_dir().join(name);
        std::fs::remove_dir_all(&home).ok();
        let folder = home.join("mcollective");
        std::fs::create_dir_all(&folder).expect("a folder");
        let slots = r#"{"basePort": 61610, "sites": {"us": 1, "ie": 0}}"#;
        std::fs::write(folder.join("slots.json"), slots).expect("written");
        home
    }

    #[test]
    fn the_only_network_is_found_and_its_folder_is_told() {
        let home = home("only");
        let found = below(&home, None).expect("one");
        assert_eq!(found.folder, home.join("mcollective"));
        assert_eq!(found.pages, ["127.0.0.1:61611", "127.0.0.1:61621"]);
        assert_eq!(at(&home.join("mcollective")).expect("the same"), found);
        let error = at(&home).expect_err("no state").to_string();
        assert!(error.contains("is no state folder"), "{error}");
        std::fs::remove_dir_all(&home).ok();
    }

    #[test]
    fn a_name_that_is_not_there_lists_those_that_are() {
        let home = home("names");
        let error = |name| below(&home, Some(name)).expect_err("none").to_string();
        let misspelt = error("mcolective");
        let expected = "there is mcollective (sites ie, us); did you mean mcollective?";
        assert!(misspelt.ends_with(expected), "{misspelt}");
        let site = error("us");
        let expected = "us is a site, which --broker http://127.0.0.1:61621 asks";
        assert!(site.ends_with(expected), "{site}");
        std::fs::remove_dir_all(&home).ok();
    }
}
