//! The development authority: certificates for a network that runs on one machine, made in the state folder and
//! renewed in time. Nobody else trusts them.

use std::fs;
use std::path::{Path, PathBuf};

use k8s_openapi::jiff::Timestamp;

use super::layout::{self, LayoutError};
use crate::authority::{Pair, SiteIdentity};
use crate::development::{self, Authority as Signer};
use crate::names;

/// Why there are no certificates.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// Making or signing failed.
    #[error("making a certificate")]
    Certificate(#[from] rcgen::Error),
    /// A file cannot be written.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A file cannot be read.
    #[error("{}: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What happened.
        cause: std::io::Error,
    },
}

/// An authority in a folder.
pub struct Authority {
    folder: PathBuf,
    root: Vec<u8>,
    signer: Signer,
}

impl Authority {
    /// The authority of a folder: made if it is not there, or if it has a third of its time left or less.
    ///
    /// # Errors
    /// It cannot be made, read or written.
    pub fn open(folder: &Path, network: &str) -> Result<Self, AuthorityError> {
        let now = Timestamp::now();
        let kept =
            read_pair(folder, "ca")?.filter(|pair| !development::is_due(&pair.certificate, now));
        let pair = match kept {
            Some(pair) => pair,
            None => {
                let pair = Signer::make(network, now)?;
                write_pair(folder, "ca", &pair)?;
                pair
            }
        };
        Ok(Self {
            folder: folder.to_owned(),
            signer: Signer::open(&pair.certificate, &pair.key)?,
            root: pair.certificate,
        })
    }

    /// The root that everybody here trusts, as PEM.
    #[must_use]
    pub fn root(&self) -> Vec<u8> {
        self.root.clone()
    }

    /// The certificate of a site: kept from an earlier run unless a third of its time or less is left.
    ///
    /// # Errors
    /// It cannot be made, read or written.
    pub fn site(&self, domain: &str, network: &str, site: &str) -> Result<Pair, AuthorityError> {
        let uri = names::site_uri(domain, network, site);
        let identity = SiteIdentity {
            site,
            uri: &uri,
            hosts: vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
        };
        let now = Timestamp::now();
        // A site may be called `ca`.
        let name = format!("site-{site}");
        let kept = read_pair(&self.folder, &name)?.filter(|pair| {
            let Pair { certificate, key } = pair;
            self.signer.vouches(certificate, key, &identity, now)
        });
        if let Some(pair) = kept {
            return Ok(pair);
        }
        let pair = self.signer.site(identity, now)?;
        write_pair(&self.folder, &name, &pair)?;
        Ok(pair)
    }
}

/// The pair of a name, if both files are there.
fn read_pair(folder: &Path, name: &str) -> Result<Option<Pair>, AuthorityError> {
    let (certificate, key) = paths(folder, name);
    if !certificate.exists() || !key.exists() {
        return Ok(None);
    }
    let read = |path: PathBuf| fs::read(&path).map_err(|cause| AuthorityError::Io { path, cause });
    Ok(Some(Pair {
        certificate: read(certificate)?,
        key: read(key)?,
    }))
}

fn write_pair(folder: &Path, name: &str, pair: &Pair) -> Result<(), AuthorityError> {
    layout::make_folder(folder)?;
    let (certificate, key) = paths(folder, name);
    layout::write_private(&key, &pair.key)?;
    layout::write_private(&certificate, &pair.certificate)?;
    Ok(())
}

fn paths(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    (
        folder.join(format!("{name}.crt")),
        folder.join(format!("{name}.key")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_start_uses_the_certificates_of_the_first() {
        let folder = std::env::temp_dir().join(format!("causeway-ca-{}", std::process::id()));
        fs::remove_dir_all(&folder).ok();
        let first = Authority::open(&folder, "n").expect("made");
        let pair = first.site("causeway", "n", "ie").expect("made");
        let again = Authority::open(&folder, "n").expect("read");
        assert_eq!(again.root(), first.root());
        let same = again.site("causeway", "n", "ie").expect("read");
        assert_eq!(same.certificate, pair.certificate);
        let other = again.site("elsewhere", "n", "ie").expect("made anew");
        assert_ne!(other.certificate, pair.certificate);
        fs::remove_dir_all(&folder).ok();
    }
}
