//! What a plan takes from the machine: the slots and keys of the state folder, certificates, hashes of passwords.

use std::collections::BTreeMap;

use causeway_broker::security::password::HashError;
use uuid::Uuid;

use super::ca::{Authority, AuthorityError};
use super::plan::{self, Files, Ground, Plan, PlanError, SiteGround};
use super::state::{StateError, StateFolder};
use crate::model::{ValidNetwork, ValidTls};
use crate::names::SiteName;
use crate::network::credentials::{self, HashCache};
use crate::render;

/// Why a valid network cannot run here.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The state folder cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// There are no certificates.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// A password cannot be hashed.
    #[error("hashing a password")]
    Hash(#[from] HashError),
    /// It does not fit this machine.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

/// What differs between two state folders and not between two plans of one.
pub struct Planner<'a> {
    folder: &'a StateFolder,
    base_port: Option<u16>,
    claimant: Uuid,
    salt_key: [u8; 32],
    hashes: HashCache,
}

impl<'a> Planner<'a> {
    /// A planner for a state folder; `base_port` moves the blocks, else they stay where they were.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn new(folder: &'a StateFolder, base_port: Option<u16>) -> Result<Self, StateError> {
        Ok(Self {
            folder,
            base_port,
            claimant: folder.uid()?,
            salt_key: folder.salt_key()?,
            hashes: HashCache::new(),
        })
    }

    /// Places a network on this machine and generates every file; slow where passwords have to be hashed.
    ///
    /// # Errors
    /// It cannot run here.
    pub fn plan(&mut self, network: &ValidNetwork) -> Result<Plan, PrepareError> {
        credentials::fill(network, &self.salt_key, &mut self.hashes)?;
        let kept = self.folder.slots()?;
        let ground = Ground {
            base_port: self.base_port.unwrap_or(kept.base_port),
            kept,
            claimant: self.claimant,
            hashes: &self.hashes,
            sites: self.sites(network)?,
        };
        Ok(plan::plan(network, &ground)?)
    }

    fn sites(
        &self,
        network: &ValidNetwork,
    ) -> Result<BTreeMap<SiteName, SiteGround>, AuthorityError> {
        let development = match &network.tls {
            Some(tls) if tls.material.is_none() => {
                let folder = self.folder.authority();
                Some((tls, Authority::open(&folder, network.name.as_str())?))
            }
            _ => None,
        };
        let mut sites = BTreeMap::new();
        for name in &network.site_order {
            let mut certificates = render::certificates(network, name);
            if let Some((tls, authority)) = &development {
                certificates.extend(issue(network, name, tls, authority)?);
            }
            let state_dir = self.folder.data(name.as_str()).display().to_string();
            let ground = SiteGround {
                state_dir,
                certificates,
            };
            sites.insert(name.clone(), ground);
        }
        Ok(sites)
    }
}

/// What the development authority gives a site.
fn issue(
    network: &ValidNetwork,
    site: &SiteName,
    tls: &ValidTls,
    authority: &Authority,
) -> Result<Files, AuthorityError> {
    let pair = authority.site(&tls.trust_domain, network.name.as_str(), site.as_str())?;
    let mut files = BTreeMap::from([
        (render::CERTIFICATE.to_owned(), pair.certificate),
        (render::KEY.to_owned(), pair.key),
        (render::TRUST_BUNDLE.to_owned(), authority.root()),
    ]);
    if tls.accepts_clients && tls.client_trust_bundle.is_none() {
        files.insert(render::CLIENT_TRUST_BUNDLE.to_owned(), authority.root());
    }
    Ok(files)
}
