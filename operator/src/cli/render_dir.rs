//! `causeway render --output-dir DIR`: the directories themselves, for brokers that run somewhere else.

use std::path::{Path, PathBuf};
use std::{fs, io};

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use causeway_broker::config::file::SecretsFile;

use super::input::FileError;
use super::out;
use crate::local::layout::{self, LayoutError};
use crate::model::ValidNetwork;
use crate::names::SiteName;
use crate::network::credentials::{self, HashCache};
use crate::network::placement;
use crate::render;

/// The key of the salts of password hashes, as in a state folder: made at the first time, beside the directories.
const SALT_KEY: &str = "salt-key";
/// The mark of a directory that was written by us.
const DATA: &str = "..data";

/// Why a directory cannot be written.
#[derive(Debug, thiserror::Error)]
enum DirError {
    /// Something else is in it.
    #[error(
        "is there and does not come from `causeway render`: choose another folder, or empty it"
    )]
    Strange,
    /// It cannot be looked into.
    #[error("cannot be looked into: {0}")]
    Unreadable(io::Error),
    /// A file cannot be written.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The salt key is none.
    #[error("{} is damaged: it has to hold 32 bytes", .0.display())]
    Damaged(PathBuf),
    /// The operating system gives no random bytes.
    #[error("the operating system gives no random bytes")]
    Random,
}

/// Writes the directory of each site that is wanted, and says what is still missing in it.
pub(super) fn write(
    folder: &Path,
    network: &ValidNetwork,
    wanted: impl Fn(&SiteName) -> bool,
) -> anyhow::Result<()> {
    let sites: Vec<&SiteName> = network.sites.keys().filter(|site| wanted(site)).collect();
    for site in &sites {
        let directory = folder.join(site.as_str());
        check(&directory).map_err(FileError::at(&directory))?;
    }
    layout::make_folder(folder)?;
    let mut hashes = HashCache::new();
    credentials::fill(network, &salt_key(folder)?, &mut hashes)?;
    for site in sites {
        one(&folder.join(site.as_str()), network, site, &hashes)?;
    }
    Ok(())
}

fn one(
    directory: &Path,
    network: &ValidNetwork,
    site: &SiteName,
    hashes: &HashCache,
) -> anyhow::Result<()> {
    let Some(mut placement) = placement::in_cluster(network, site) else {
        return Ok(());
    };
    placement.admin_token = token(directory)?;
    let mut files = render::render(network, site, &placement, hashes)?;
    let certificates = render::certificates(network, site);
    let missing = render::check(&files, &certificates).err();
    files.extend(certificates);
    layout::write(directory, &files)?;
    out::print(format!("{}\n", directory.display()))?;
    for problem in missing.into_iter().flatten() {
        out::complain(format_args!("warning: {}: {problem}", directory.display()));
    }
    Ok(())
}

/// A directory may be replaced when it is not there, or empty, or was written before.
fn check(directory: &Path) -> Result<(), DirError> {
    let mut entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(DirError::Unreadable(error)),
    };
    match entries.next().is_none() || fs::symlink_metadata(directory.join(DATA)).is_ok() {
        true => Ok(()),
        false => Err(DirError::Strange),
    }
}

/// The token of the admin page: that of the last time, so that whoever knows it may go on asking.
fn token(directory: &Path) -> Result<String, DirError> {
    let kept = fs::read(directory.join(render::SECRETS)).ok();
    let kept = kept.and_then(|bytes| serde_yaml::from_slice::<SecretsFile>(&bytes).ok());
    if let Some(token) = kept.and_then(|mut secrets| secrets.admin_token.take()) {
        return Ok(token);
    }
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).map_err(|_| DirError::Random)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn salt_key(folder: &Path) -> Result<[u8; 32], DirError> {
    let path = folder.join(SALT_KEY);
    if let Ok(bytes) = fs::read(&path) {
        return <[u8; 32]>::try_from(bytes).map_err(|_| DirError::Damaged(path));
    }
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).map_err(|_| DirError::Random)?;
    layout::write_private(&path, &bytes)?;
    Ok(bytes)
}
